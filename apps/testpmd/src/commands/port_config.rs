//! `port config`: queues, descriptors, lengths of all ports or one.

use super::set::MOST_BURST;
use super::{Command, Family};
use crate::app::App;
use crate::grammar::{Values, Which};
use crate::ports::PortState;
use crate::screen::{complain, fail, say};
use crate::settings::fixed_speed;
use crate::show::code;
use iogate::port::{MAX_QUEUES, rx_offload_names, tx_offload_names};

pub(super) const FAMILY: Family = Family {
    name: "port-config",
    about: "Configuration of ports and their queues.",
    commands: &[
        Command { pattern: "port config mtu port:u16 bytes:u16", help: "Set the MTU of a port.", run: mtu },
        Command {
            pattern: "port config all rxq|txq|rxd|txd count:u16",
            help: "Set the number of queues, or of descriptors, of all ports.",
            run: queues,
        },
        Command {
            pattern: "port config all txpt|txht|txwt|rxpt|rxht|rxwt value:u8",
            help: "Set the prefetch, host or write-back threshold of all queues.",
            run: thresholds,
        },
        Command {
            pattern: "port config all txfreet|txrst|rxfreet value:u16",
            help: "Set after how many descriptors all queues free or report.",
            run: thresholds,
        },
        Command {
            pattern: "port config all drop-en on|off",
            help: "Have devices drop packets for which a queue has no descriptor, or not.",
            run: thresholds,
        },
        Command {
            pattern: "port config all burst count:u16",
            help: "Set the number of packets per burst.",
            run: burst,
        },
        Command {
            pattern: "port config all max-pkt-len bytes:u32",
            help: "Set the longest frame of all ports.",
            run: max_pkt_len,
        },
        Command {
            pattern: "port config all max-lro-pkt-size bytes:u32",
            help: "Set the longest packet that ports put together from several.",
            run: max_lro,
        },
        Command {
            pattern: "port config who:ports speed 10|100|1000|10000|25000|40000|50000|100000|200000|auto duplex half|full|auto",
            help: "Set the one speed (Mbit/s) that the link of a port, or of all, may have.",
            run: speed,
        },
        Command {
            pattern: "port config port:u16 rxq|txq queue:u16 ring_size count:u16",
            help: "Set the descriptors of a queue.",
            run: ring_size,
        },
        Command {
            pattern: "port config port:u16 rx_offload|tx_offload offload:text on|off",
            help: "Turn an offload of a port on or off.",
            run: offload,
        },
        Command {
            pattern: "port port:u16 rxq|txq queue:u16 rx_offload|tx_offload offload:text on|off",
            help: "Turn an offload of a queue on or off.",
            run: queue_offload,
        },
    ],
};

fn mtu(app: &mut App, values: &Values) {
    let (id, bytes) = (values.u16(3), values.u16(4));
    let Some(port) = app.port(id) else { return };
    match port.device.set_mtu(bytes) {
        Ok(()) => port.config.mtu = Some(bytes),
        Err(error) => complain!("Set MTU failed. diag={}", code(&error)),
    }
}

fn all_stopped(app: &App) -> bool {
    let stopped = !app.ports.iter().any(PortState::started);
    if !stopped {
        complain!("Please stop all ports first");
    }
    stopped
}

fn queues(app: &mut App, values: &Values) {
    if !all_stopped(app) {
        return;
    }
    let (what, count) = (values.word(3), values.u16(4));
    if matches!(what, "rxd" | "txd") {
        if count == 0 {
            return complain!("{what} 0 invalid - must be > 0");
        }
        set_descriptors(app, what == "rxd", count);
        return;
    }
    if count == 0 {
        return complain!("Warning: Either rx or tx queues should be non zero");
    }
    let most = |port: &PortState| match what {
        "rxq" => port.device.info().max_rx_queues,
        _ => port.device.info().max_tx_queues,
    };
    if let Some(port) = app.ports.iter().find(|port| count > most(port)) {
        let direction = if what == "rxq" { "rx" } else { "tx" };
        let (most, id) = (most(port), port.device.id());
        return complain!(
            "Fail: input {what} ({count}) can't be greater than max_{direction}_queues ({most}) of port {id}"
        );
    }
    if count > MAX_QUEUES {
        return complain!("Fail: input {what} ({count}) can't be greater than {MAX_QUEUES}");
    }
    let configs = app.ports.iter_mut().map(|port| {
        port.changed = true;
        &mut port.config
    });
    for config in configs.chain([&mut app.options.port]) {
        // What single queues were told is over: the queues are new ones.
        match what {
            "rxq" => (config.rx_queues, config.rx_own) = (count, Vec::new()),
            _ => (config.tx_queues, config.tx_own) = (count, Vec::new()),
        }
    }
}

fn set_descriptors(app: &mut App, rx: bool, count: u16) {
    for port in app.ports.iter_mut() {
        port.changed = true;
    }
    let configs = app.ports.iter_mut().map(|port| &mut port.config);
    for config in configs.chain([&mut app.options.port]) {
        let (common, own) = match rx {
            true => (&mut config.rx, &mut config.rx_own),
            false => (&mut config.tx, &mut config.tx_own),
        };
        common.descriptors = count;
        own.iter_mut().for_each(|(_, queue)| queue.descriptors = count);
    }
}

fn thresholds(app: &mut App, values: &Values) {
    if !all_stopped(app) {
        return;
    }
    let (what, value) = (values.word(3), values.u16(4));
    for port in app.ports.iter_mut() {
        port.changed = true;
    }
    let configs = app.ports.iter_mut().map(|port| &mut port.config);
    for config in configs.chain([&mut app.options.port]) {
        let (common, own) = match what.starts_with("tx") {
            true => (&mut config.tx, &mut config.tx_own),
            false => (&mut config.rx, &mut config.rx_own),
        };
        let queues = [common].into_iter().chain(own.iter_mut().map(|(_, queue)| queue));
        for at in queues.map(|queue| &mut queue.thresholds) {
            match what {
                "txpt" | "rxpt" => at.prefetch = Some(value as u8),
                "txht" | "rxht" => at.host = Some(value as u8),
                "txwt" | "rxwt" => at.writeback = Some(value as u8),
                "txfreet" | "rxfreet" => at.free = Some(value),
                "txrst" => at.rs = Some(value),
                _ => at.drop = Some(values.is(4, "on")),
            }
        }
    }
}

fn burst(app: &mut App, values: &Values) {
    if !all_stopped(app) {
        return;
    }
    match values.u16(4) {
        0 => {
            say!("PMD does not recommend a burst size.\nUser provided value must be between 1 and {MOST_BURST}");
            fail();
        }
        count if count <= MOST_BURST => app.settings.burst = count,
        _ => complain!("burst must be >= 1 && <= {MOST_BURST}"),
    }
}

/// Shortest frame; header and check sequence of the longest.
const SHORTEST: u64 = 64;
const OVERHEAD: u64 = 18;

fn max_pkt_len(app: &mut App, values: &Values) {
    if !all_stopped(app) {
        return;
    }
    let length = values.number(4);
    if length < SHORTEST {
        return complain!("max-pkt-len can not be less than {SHORTEST}");
    }
    let mtu = u16::try_from(length - OVERHEAD).unwrap_or(u16::MAX);
    app.options.max_pkt_len = Some(length as u32);
    for port in app.ports.iter_mut() {
        port.config.mtu = Some(mtu.min(port.device.info().max_mtu));
        port.changed = true;
    }
}

fn max_lro(app: &mut App, values: &Values) {
    if !all_stopped(app) {
        return;
    }
    for port in app.ports.iter_mut() {
        port.config.max_lro = Some(values.number(4) as u32);
        port.changed = true;
    }
}

fn speed(app: &mut App, values: &Values) {
    let which = values.which(2);
    match which {
        Which::All if !all_stopped(app) => return,
        Which::One(id) => match app.port(id) {
            None => return,
            Some(port) if port.started() => return complain!("Please stop port {id} first"),
            Some(_) => {}
        },
        Which::All => {}
    }
    let Some(speeds) = fixed_speed(values.word(4), values.is(6, "half")) else {
        return complain!("Invalid speed/duplex parameters");
    };
    for port in app.ports.iter_mut() {
        if which == Which::All || which == Which::One(port.device.id()) {
            port.config.link_speeds = speeds;
            port.changed = true;
        }
    }
}

/// Whether a port has such a queue; says so when not.
pub(super) fn has_queue(port: &PortState, rx: bool, queue: u16) -> bool {
    let (count, kind, name) = match rx {
        true => (port.config.rx_queues, "RX", "nb_rxq"),
        false => (port.config.tx_queues, "TX", "nb_txq"),
    };
    if queue >= count {
        complain!("Invalid {kind} queue {queue} (must be < {name}={count})");
    }
    queue < count
}

fn ring_size(app: &mut App, values: &Values) {
    let (rx, queue, count) = (values.is(3, "rxq"), values.u16(4), values.u16(6));
    let Some(port) = app.port(values.u16(2)) else { return };
    if !has_queue(port, rx, queue) {
        return;
    }
    if count == 0 {
        return complain!("Invalid ring size 0");
    }
    match rx {
        true => port.config.rx_queue_mut(queue).descriptors = count,
        false => port.config.tx_queue_mut(queue).descriptors = count,
    }
}

/// The bit of an offload by its name, as it is typed.
fn bit(rx: bool, name: &str) -> Option<u64> {
    let names = |bit| if rx { rx_offload_names(bit) } else { tx_offload_names(bit) };
    let named = |bit: &u64| names(*bit).iter().any(|known| known.to_lowercase() == name && known != "UNKNOWN");
    (0..u64::BITS).map(|bit| 1 << bit).find(named)
}

fn offload(app: &mut App, values: &Values) {
    let (id, rx, on) = (values.u16(2), values.is(3, "rx_offload"), values.is(5, "on"));
    let Some(bit) = bit(rx, values.word(4)) else { return complain!("Bad arguments") };
    let Some(port) = app.ports.get_mut(id) else {
        complain!("Invalid port_id={id}");
        return complain!("Error during getting device (port {id}) info: No such device");
    };
    if port.started() {
        return complain!("Error: Can't config offload when Port {id} is not stopped");
    }
    let able = if rx { port.device.info().rx_offloads } else { port.device.info().tx_offloads };
    if able & bit == 0 {
        return complain!("Error: port {id} doesn't support offload: {}", values.word(4));
    }
    let offloads = if rx { &mut port.config.rx_offloads } else { &mut port.config.tx_offloads };
    *offloads = if on { *offloads | bit } else { *offloads & !bit };
    port.without.retain(|(of_rx, _), _| *of_rx != rx);
    port.changed = true;
}

fn queue_offload(app: &mut App, values: &Values) {
    let (id, rx, queue, on) = (values.u16(1), values.is(2, "rxq"), values.u16(3), values.is(6, "on"));
    if rx != values.is(4, "rx_offload") {
        return complain!("Bad arguments");
    }
    let Some(bit) = bit(rx, values.word(5)) else { return complain!("Bad arguments") };
    let Some(port) = app.port(id) else { return };
    if port.started() {
        return complain!("Error: Can't config offload when Port {id} is not stopped");
    }
    let (count, able) = match rx {
        true => (port.config.rx_queues, port.device.info().rx_queue_offloads),
        false => (port.config.tx_queues, port.device.info().tx_queue_offloads),
    };
    if queue >= count {
        return complain!("Error: input queue_id should be 0 ... {}", count.saturating_sub(1));
    }
    if able & bit == 0 {
        return complain!("Error: port {id} doesn't support per queue offload: {}", values.word(5));
    }
    let config = if rx { port.config.rx_queue_mut(queue) } else { port.config.tx_queue_mut(queue) };
    config.offloads = if on { config.offloads | bit } else { config.offloads & !bit };
    let without = port.without.entry((rx, queue)).or_default();
    *without = if on { *without & !bit } else { *without | bit };
    port.changed = true;
}

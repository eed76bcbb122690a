//! Single queues: what they are, and starting, stopping and setting them up.

use super::port_config::has_queue;
use super::{Command, Family};
use crate::app::App;
use crate::grammar::Values;
use crate::screen::{complain, say};
use crate::show::{cause, code, json};
use iogate::Error;
use iogate::port::{DescriptorState, QueueInfo, QueueState, rx_offload_names, tx_offload_names};

pub(super) const FAMILY: Family = Family {
    name: "queues",
    about: "Single queues and their offloads.",
    commands: &[
        Command { pattern: "show rxq|txq info port:u16 queue:u16", help: "Display how a queue was set up.", run: info },
        Command {
            pattern: "show port port:u16 rx_offload|tx_offload capabilities|configuration",
            help: "List offloads of a port and its queues.",
            run: offloads,
        },
        Command {
            pattern: "show port port:u16 rxq queue:u16 desc used count",
            help: "Show the number of filled RX descriptors.",
            run: used,
        },
        Command {
            pattern: "show port port:u16 rxq|txq queue:u16 desc descriptor:u16 status",
            help: "Show the status of a descriptor.",
            run: descriptor,
        },
        Command { pattern: "port port:u16 rxq|txq queue:u16 start|stop", help: "Start or stop a queue.", run: toggle },
        Command { pattern: "port port:u16 rxq|txq queue:u16 setup", help: "Set a queue up anew.", run: setup },
        Command {
            pattern: "port port:u16 rxq|txq queue:u16 deferred_start on|off",
            help: "Start a queue with its port, or not.",
            run: deferred,
        },
    ],
};

fn info(app: &mut App, values: &Values) {
    let (rx, id, queue) = (values.is(1, "rxq"), values.u16(3), values.u16(4));
    let kind = if rx { "RX" } else { "TX" };
    let failed = |code: i32, text: &str| {
        complain!("Failed to retrieve information for port: {id}, {kind} queue: {queue}\nerror desc: {text}({code})");
    };
    let Some(port) = app.ports.get(id) else {
        complain!("Invalid port_id={id}");
        return failed(-19, "No such device");
    };
    let asked = if rx { port.device.rx_queue_info(queue) } else { port.device.tx_queue_info(queue) };
    match asked {
        Ok(info) if app.json => json::device::queue(id, queue, rx, &info),
        Ok(info) => show_info(id, queue, rx, &info),
        Err(error) => failed(code(&error), &cause(&error)),
    }
}

fn show_info(id: u16, queue: u16, rx: bool, info: &QueueInfo) {
    let on = |yes: bool| if yes { "on" } else { "off" };
    let (kind, stars) = (if rx { "RX" } else { "TX" }, "*********************");
    say!("\n{stars} Infos for port {id:<2}, {kind} queue {queue:<2} {stars}");
    if rx {
        say!("Mempool: {}", if info.pool.is_empty() { "NULL" } else { "mb_pool_0" });
    }
    say!("{kind} prefetch threshold: {}", info.prefetch);
    say!("{kind} host threshold: {}", info.host);
    say!("{kind} writeback threshold: {}", info.writeback);
    if !rx {
        say!("TX RS threshold: {}", info.rs_threshold);
    }
    say!("{kind} free threshold: {}", info.free_threshold);
    if rx {
        say!("RX drop packets: {}", on(info.drop));
    }
    say!("{kind} deferred start: {}", on(info.deferred_start));
    if rx {
        say!("RX scattered packets: {}", on(info.scattered));
    }
    let state = match info.state {
        QueueState::Stopped => "stopped",
        QueueState::Started => "started",
        QueueState::Hairpin => "hairpin",
        QueueState::Unknown => "unknown",
    };
    say!("{} queue state: {state}", if rx { "Rx" } else { "Tx" });
    say!("Number of {}: {}", if rx { "RXDs" } else { "TXDs" }, info.descriptors);
    if !info.burst_mode.is_empty() {
        say!("Burst mode: {}", info.burst_mode);
    }
    say!();
}

fn offloads(app: &mut App, values: &Values) {
    let (rx, id) = (values.is(3, "rx_offload"), values.u16(2));
    let Some(port) = app.ports.get(id) else {
        complain!("Invalid port_id={id}");
        return complain!("Error during getting device (port {id}) info: No such device");
    };
    let names = |bits: u64| -> String {
        let names = if rx { rx_offload_names(bits) } else { tx_offload_names(bits) };
        names.iter().map(|name| format!(" {name}")).collect()
    };
    let (info, config, kind) = (port.device.info(), &port.config, if rx { "Rx" } else { "Tx" });
    if values.is(4, "capabilities") {
        let (all, queue) = match rx {
            true => (info.rx_offloads, info.rx_queue_offloads),
            false => (info.tx_offloads, info.tx_queue_offloads),
        };
        if app.json {
            return json::device::offload_capabilities(id, rx, all & !queue, queue);
        }
        say!("{kind} Offloading Capabilities of port {id} :");
        say!("  Per Queue :{}", names(queue));
        say!("  Per Port  :{}", names(all & !queue));
        return say!();
    }
    let (of_port, count) = match rx {
        true => (config.rx_offloads, config.rx_queues),
        false => (config.tx_offloads, config.tx_queues),
    };
    let own = |queue| if rx { config.rx_queue(queue).offloads } else { config.tx_queue(queue).offloads };
    let kept = |queue| of_port & !port.without.get(&(rx, queue)).copied().unwrap_or(0);
    let of_queues: Vec<u64> = (0..count).map(|queue| kept(queue) | own(queue)).collect();
    if app.json {
        return json::device::offload_configuration(id, rx, of_port, &of_queues);
    }
    say!("{kind} Offloading Configuration of port {id} :");
    say!("  Port :{}", names(of_port));
    for (queue, offloads) in of_queues.iter().enumerate() {
        say!("  Queue[{queue:>2}] :{}", names(*offloads));
    }
    say!();
}

fn used(app: &mut App, values: &Values) {
    let (queue, id, json) = (values.u16(4), values.u16(2), app.json);
    let Some(port) = app.port(id) else { return };
    match port.device.rx_waiting(queue) {
        Ok(count) if json => json::device::used(id, queue, count),
        Ok(count) => say!("Used desc count = {count}"),
        Err(_) => complain!("Invalid queueid = {queue}"),
    }
}

fn descriptor(app: &mut App, values: &Values) {
    let (rx, queue, number) = (values.is(3, "rxq"), values.u16(4), values.u16(6));
    let (id, json) = (values.u16(2), app.json);
    let Some(port) = app.port(id) else { return };
    let state = match rx {
        true => port.device.rx_descriptor(queue, number),
        false => port.device.tx_descriptor(queue, number),
    };
    match (state, rx) {
        (Ok(state), _) if json => json::device::descriptor(id, queue, number, rx, state),
        (Ok(DescriptorState::Busy), true) => say!("Desc status = AVAILABLE"),
        (Ok(DescriptorState::Busy), false) => say!("Desc status = FULL"),
        (Ok(DescriptorState::Done), _) => say!("Desc status = DONE"),
        (Ok(DescriptorState::Unavailable), _) => say!("Desc status = UNAVAILABLE"),
        (Err(_), _) => complain!("Invalid input: queue id = {queue}, desc id = {number}"),
    }
}

/// Does something to a queue that nobody may have meanwhile: forwarding pauses for it.
fn aside(app: &mut App, work: impl FnOnce(&mut App)) {
    let forwarding = app.running.is_some();
    if forwarding {
        app.pause_forwarding();
    }
    work(app);
    if forwarding {
        app.resume_forwarding();
    }
}

fn toggle(app: &mut App, values: &Values) {
    let (id, rx, queue, run) = (values.u16(1), values.is(2, "rxq"), values.u16(3), values.is(4, "start"));
    let Some(port) = app.port(id) else { return };
    if !has_queue(port, rx, queue) {
        return;
    }
    aside(app, |app| {
        let Some(port) = app.ports.get_mut(id) else { return };
        let Some(running) = &port.port else {
            return complain!("Port {id} is not started");
        };
        match port.device.run_queue(running, rx, queue, run) {
            Ok(()) => {
                let list = if rx { &mut port.stopped_rx } else { &mut port.stopped_tx };
                list.retain(|stopped| *stopped != queue);
                if !run {
                    list.push(queue);
                }
            }
            Err(error) => complain!("{}", unsupported(&error)),
        }
    });
}

/// What the original says where a driver cannot.
fn unsupported(error: &Error) -> String {
    match code(error) {
        -95 => "Function not supported in PMD".to_owned(),
        _ => cause(error),
    }
}

fn setup(app: &mut App, values: &Values) {
    let (id, rx, queue) = (values.u16(1), values.is(2, "rxq"), values.u16(3));
    let Some(port) = app.port(id) else { return };
    if !has_queue(port, rx, queue) {
        return;
    }
    let pool = app.pool.clone();
    aside(app, |app| {
        let Some(port) = app.ports.get_mut(id) else { return };
        let Some(running) = &port.port else {
            // The start of the port sets it up.
            port.changed = true;
            return port.device.note_queue(rx, queue, &port.config);
        };
        if port.device.setup_queue(running, rx, queue, &port.config, &pool).is_err() {
            complain!("Failed to setup {} queue", if rx { "RX" } else { "TX" });
        }
    });
}

fn deferred(app: &mut App, values: &Values) {
    let (rx, queue, on) = (values.is(2, "rxq"), values.u16(3), values.is(5, "on"));
    let Some(port) = app.stopped_port(values.u16(1)) else { return };
    if !has_queue(port, rx, queue) {
        return;
    }
    match rx {
        true => port.config.rx_queue_mut(queue).deferred_start = on,
        false => port.config.tx_queue_mut(queue).deferred_start = on,
    }
    port.changed = true;
}

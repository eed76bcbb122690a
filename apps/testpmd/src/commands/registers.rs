//! What lies below a driver: counters of queues, and descriptors in memory.

use super::{Command, Family};
use crate::app::App;
use crate::commands::port_config::has_queue;
use crate::grammar::Values;
use crate::screen::complain;
use iogate::eal::Dump;

pub(super) const FAMILY: Family = Family {
    name: "registers",
    about: "Counters of queues and descriptors in memory.",
    commands: &[
        Command {
            pattern: "set stat_qmap rx|tx port:u16 queue:u16 counter:u8",
            help: "Count a queue in one of the device's counters.",
            run: map,
        },
        Command {
            pattern: "read rxd|txd port:u16 queue:u16 descriptor:u16",
            help: "Read a descriptor, on devices that keep them where they can be found.",
            run: read,
        },
    ],
};

/// Counters of queues that a device can have.
const COUNTERS: u16 = 16;

fn map(app: &mut App, values: &Values) {
    let (rx, queue, counter) = (values.is(2, "rx"), values.u16(4), values.u16(5));
    let Some(port) = app.port(values.u16(3)) else { return };
    if !has_queue(port, rx, queue) {
        return;
    }
    if counter >= COUNTERS {
        return complain!("map_value not in required range 0..{}", COUNTERS - 1);
    }
    if port.device.count_queue_in(rx, queue, counter as u8).is_err() {
        complain!("failed to set {} queue stats mapping.", values.word(2));
    }
}

/// What the original takes for the size of a ring whose driver does not say.
const RING_SIZES: [u16; 2] = [128, 512];

fn read(app: &mut App, values: &Values) {
    let (rx, id, queue, descriptor) = (values.is(1, "rxd"), values.u16(2), values.u16(3), values.u16(4));
    let (kind, upper) = if rx { ("rx", "Rx") } else { ("tx", "Tx") };
    let Some(port) = app.ports.get(id) else { return complain!("Invalid port_id={id}") };
    let count = if rx { port.config.rx_queues } else { port.config.tx_queues };
    if queue >= count {
        return complain!("Invalid {upper} queue_id={queue}");
    }
    let known = if rx { port.device.rx_queue_info(queue) } else { port.device.tx_queue_info(queue) };
    let config = if rx { port.config.rx_queue(queue) } else { port.config.tx_queue(queue) };
    let size = match (known, config.descriptors) {
        (Ok(info), _) => info.descriptors,
        (Err(_), 0) => RING_SIZES[usize::from(!rx)],
        (Err(_), size) => size,
    };
    if descriptor >= size {
        let kind = kind.to_uppercase();
        return complain!("Invalid {kind} descriptor {descriptor} (must be < ring_size={size})");
    }
    let zone = format!("eth_p{id}_q{queue}_{kind}_ring");
    if app.eal.dump(Dump::Memzones).contains(&zone) {
        return complain!("{kind}_ring: how {} lays descriptors out is not known here", port.device.info().driver);
    }
    complain!("{kind}_ring ring memory zoneof (port {id}, queue {queue}) not found (zone name = {zone}");
}

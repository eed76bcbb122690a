//! `csum`: what `csum` mode does.

use super::{Command, Family};
use crate::app::App;
use crate::forward::Where;
use crate::grammar::Values;
use crate::screen::{complain, say};
use crate::show::json;

pub(super) const FAMILY: Family = Family {
    name: "checksums",
    about: "Checksums in csum mode.",
    commands: &[
        Command {
            pattern: "csum set ip|udp|tcp|sctp|outer-ip|outer-udp hw|sw port:u16",
            help: "Set who computes a checksum of packets that leave by a port.",
            run: set,
        },
        Command { pattern: "csum parse-tunnel on|off port:u16", help: "Look into tunnels, or not.", run: parse_tunnel },
        Command { pattern: "csum mac-swap on|off port:u16", help: "Write MAC addresses, or not.", run: mac_swap },
        Command { pattern: "csum show port:u16", help: "Display them.", run: show },
    ],
};

/// Name, as typed and as shown, and the TX offload bit.
const KINDS: [(&str, &str, &str, u64); 6] = [
    ("ip", "IP", "IP", 1 << 1),
    ("udp", "UDP", "UDP", 1 << 2),
    ("tcp", "TCP", "TCP", 1 << 3),
    ("sctp", "SCTP", "SCTP", 1 << 4),
    ("outer-ip", "Outer-Ip", "Outer IP", 1 << 7),
    ("outer-udp", "Outer-Udp", "Outer UDP", 1 << 20),
];

fn known(app: &mut App, id: u16) -> bool {
    let there = app.port(id).is_some();
    if !there {
        complain!("invalid port {id}");
    }
    there
}

fn field(app: &mut App, id: u16, kind: &str) -> Where {
    let checksum = app.settings.modes.checksum(id);
    match kind {
        "ip" => checksum.ip,
        "udp" => checksum.udp,
        "tcp" => checksum.tcp,
        "sctp" => checksum.sctp,
        "outer-ip" => checksum.outer_ip,
        _ => checksum.outer_udp,
    }
}

fn set(app: &mut App, values: &Values) {
    let (kind, hardware, id) = (values.word(2), values.is(3, "hw"), values.u16(4));
    if !known(app, id) {
        return;
    }
    let Some(port) = app.stopped_port(id) else { return };
    let Some((_, _, name, bit)) = KINDS.iter().find(|(typed, ..)| *typed == kind) else { return };
    if hardware && port.device.info().tx_offloads & bit == 0 {
        complain!("{name} checksum offload is not supported by port {id}");
    } else {
        let offloads = &mut port.config.tx_offloads;
        *offloads = if hardware { *offloads | bit } else { *offloads & !bit };
        port.changed = true;
        let place = if hardware { Where::Hardware } else { Where::Software };
        let checksum = app.settings.modes.checksums.entry(id).or_default();
        match kind {
            "ip" => checksum.ip = place,
            "udp" => checksum.udp = place,
            "tcp" => checksum.tcp = place,
            "sctp" => checksum.sctp = place,
            "outer-ip" => checksum.outer_ip = place,
            _ => checksum.outer_udp = place,
        }
    }
    display(app, id);
}

fn parse_tunnel(app: &mut App, values: &Values) {
    let id = values.u16(3);
    if known(app, id) {
        app.settings.modes.checksums.entry(id).or_default().parse_tunnels = values.is(2, "on");
        display(app, id);
    }
}

fn mac_swap(app: &mut App, values: &Values) {
    let id = values.u16(3);
    if app.port(id).is_some() {
        app.settings.modes.checksums.entry(id).or_default().mac_swap = values.is(2, "on");
    }
}

fn show(app: &mut App, values: &Values) {
    let id = values.u16(2);
    if !known(app, id) || app.stopped_port(id).is_none() {
        return;
    }
    if app.json {
        let places: Vec<_> = KINDS.iter().map(|(kind, ..)| (*kind, field(app, id, kind) == Where::Hardware)).collect();
        return json::config::checksums(id, app.settings.modes.checksum(id).parse_tunnels, places.into_iter());
    }
    display(app, id);
}

fn display(app: &mut App, id: u16) {
    let on = |yes: bool| if yes { "on" } else { "off" };
    say!("Parse tunnel is {}", on(app.settings.modes.checksum(id).parse_tunnels));
    for (kind, name, ..) in KINDS {
        let place = if field(app, id, kind) == Where::Hardware { "hw" } else { "sw" };
        say!("{name} checksum offload is {place}");
    }
}

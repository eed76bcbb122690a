//! TCP segments in csum mode: put together (GRO), and cut (TSO, GSO).

use super::{Command, Family};
use crate::app::App;
use crate::forward::Config;
use crate::grammar::Values;
use crate::screen::{complain, say};
use crate::show::json;

pub(super) const FAMILY: Family = Family {
    name: "segments",
    about: "Segments of TCP in csum mode.",
    commands: &[
        Command {
            pattern: "tso set size:u16 port:u16",
            help: "Set the most payload of TCP segments that leave by a port; 0 for any.",
            run: set_tso,
        },
        Command { pattern: "tso show port:u16", help: "Display it.", run: show_tso },
        Command {
            pattern: "tunnel_tso set size:u16 port:u16",
            help: "Set the same for TCP in tunnels, which csum parse-tunnel has to be on for.",
            run: set_tunnel_tso,
        },
        Command { pattern: "tunnel_tso show port:u16", help: "Display it.", run: show_tunnel_tso },
        Command {
            pattern: "set port port:u16 gro on|off",
            help: "Put segments together that a port receives, or not.",
            run: set_gro,
        },
        Command { pattern: "show port port:u16 gro", help: "Display whether that is done.", run: show_gro },
        Command {
            pattern: "set gro flush rounds:u8",
            help: "Set for how many rounds packets wait to be put together, 1 to 4.",
            run: set_rounds,
        },
        Command {
            pattern: "set port port:u16 gso on|off",
            help: "Cut long packets that leave by a port, or not.",
            run: set_gso,
        },
        Command { pattern: "show port port:u16 gso", help: "Display whether that is done.", run: show_gso },
        Command {
            pattern: "set gso segsz bytes:u16",
            help: "Set the length of packets that are cut, headers included.",
            run: set_size,
        },
    ],
};

/// `RTE_ETH_TX_OFFLOAD_TCP_TSO`.
const TCP_TSO: u64 = 1 << 5;
/// The shortest packet with TCP behind IPv4, and room for a byte.
const SHORTEST: u16 = 55;
const MOST_ROUNDS: u32 = 4;

fn set_tso(app: &mut App, values: &Values) {
    let (size, id) = (values.u16(2), values.u16(3));
    let Some(port) = app.stopped_port(id) else { return };
    let able = port.device.info().tx_offloads & TCP_TSO != 0;
    if able {
        let offloads = &mut port.config.tx_offloads;
        *offloads = if size > 0 { *offloads | TCP_TSO } else { *offloads & !TCP_TSO };
    }
    port.changed = true;
    match size {
        0 => drop(app.settings.modes.tso.remove(&id)),
        _ if able => drop(app.settings.modes.tso.insert(id, size)),
        _ => return complain!("Error: TSO is not supported by port {id}"),
    }
    tell_tso(app, id);
}

fn show_tso(app: &mut App, values: &Values) {
    let id = values.u16(2);
    if app.stopped_port(id).is_some() {
        tell_tso(app, id);
    }
}

fn tell_tso(app: &App, id: u16) {
    let size = app.settings.modes.tso.get(&id);
    match size {
        _ if app.json => json::config::tso(id, size.copied()),
        Some(size) => say!("TSO segment size for non-tunneled packets is {size}"),
        None => say!("TSO for non-tunneled packets is disabled"),
    }
}

fn set_tunnel_tso(app: &mut App, values: &Values) {
    let (size, id) = (values.u16(2), values.u16(3));
    let Some(port) = app.stopped_port(id) else { return };
    port.changed = true;
    let modes = &mut app.settings.modes;
    match size {
        0 => drop(modes.tunnel_tso.remove(&id)),
        _ if modes.checksum(id).parse_tunnels => drop(modes.tunnel_tso.insert(id, size)),
        _ => return complain!("Error: csum parse_tunnel must be set so that tunneled packets are recognized"),
    }
    tell_tunnel_tso(app, id);
}

fn show_tunnel_tso(app: &mut App, values: &Values) {
    let id = values.u16(2);
    if app.stopped_port(id).is_some() {
        tell_tunnel_tso(app, id);
    }
}

fn tell_tunnel_tso(app: &App, id: u16) {
    match app.settings.modes.tunnel_tso.get(&id) {
        size if app.json => json::config::tunnel_tso(id, size.copied()),
        Some(size) => say!("TSO segment size for tunneled packets is {size}"),
        None => say!("TSO for tunneled packets is disabled"),
    }
}

fn there(app: &App, id: u16) -> bool {
    let there = app.ports.get(id).is_some();
    if !there {
        complain!("invalid port id {id}");
    }
    there
}

fn set_gro(app: &mut App, values: &Values) {
    let (id, on) = (values.u16(2), values.is(4, "on"));
    if !there(app, id) {
        return;
    }
    if app.running.is_some() {
        return complain!("Before enable/disable GRO, please stop forwarding first");
    }
    let ports = &mut app.settings.modes.gro;
    match if on { ports.insert(id) } else { ports.remove(&id) } {
        true => {}
        false if on => complain!("Port {id} has enabled GRO. Please disable GRO first"),
        false => complain!("Port {id} has disabled GRO"),
    }
}

fn show_gro(app: &mut App, values: &Values) {
    let id = values.u16(2);
    if app.ports.get(id).is_none() {
        return complain!("Invalid port id {id}.");
    }
    let Config { gro, gro_rounds, .. } = &app.settings.modes;
    // As many as the original says; there is room for so many here, too.
    let most = if *gro_rounds > 1 { 2048 } else { 128 };
    match gro.contains(&id) {
        on if app.json => json::config::gro(id, on, *gro_rounds),
        true => {
            say!("GRO type: TCP/IPv4\nMax number of packets to perform GRO: {most}\nFlushing cycles: {gro_rounds}")
        }
        false => say!("Port {id} doesn't enable GRO."),
    }
}

fn set_rounds(app: &mut App, values: &Values) {
    if app.running.is_some() {
        return complain!("Before change flush interval for GRO, please stop forwarding first.");
    }
    let rounds = values.number(3) as u32;
    let known = (1..=MOST_ROUNDS).contains(&rounds);
    app.settings.modes.gro_rounds = if known { rounds } else { 1 };
    if !known {
        complain!("The flushing cycle be in the range of 1 to {MOST_ROUNDS}. Revert to the default value 1.");
    }
}

fn set_gso(app: &mut App, values: &Values) {
    let (id, on) = (values.u16(2), values.is(4, "on"));
    if !there(app, id) {
        return;
    }
    if app.running.is_some() {
        return complain!("before {} GSO, please stop forwarding first", if on { "enabling" } else { "disabling" });
    }
    let ports = &mut app.settings.modes.gso;
    let _was = if on { ports.insert(id) } else { ports.remove(&id) };
}

fn show_gso(app: &mut App, values: &Values) {
    let id = values.u16(2);
    if !there(app, id) {
        return;
    }
    let Config { gso, gso_size, .. } = &app.settings.modes;
    match gso.contains(&id) {
        on if app.json => json::config::gso(id, on, *gso_size),
        true => say!("Max GSO'd packet size: {gso_size}B\nSupported GSO types: TCP/IPv4, UDP/IPv4, TCP/IPv6"),
        false => say!("GSO is not enabled on Port {id}"),
    }
}

fn set_size(app: &mut App, values: &Values) {
    if app.running.is_some() {
        return complain!("Before setting GSO segsz, please first stop forwarding");
    }
    match values.u16(3) {
        size if size >= SHORTEST => app.settings.modes.gso_size = size,
        _ => complain!("gso_size should be larger than {SHORTEST}. Please input a legal value"),
    }
}

//! `show` and `clear`.

use super::{Command, Family};
use crate::app::App;
use crate::engine::{self, Counts};
use crate::grammar::Values;
use crate::ports::{PortState, Sample};
use crate::screen::{complain, say};
use crate::show::{cause, code, config, json, port_info, port_stats};

pub(super) const FAMILY: Family = Family {
    name: "display",
    about: "Displaying port, stats and config information.",
    commands: &[
        Command {
            pattern: "show port info who:ports",
            help: "Display information for a port, or all.",
            run: port_info,
        },
        Command {
            pattern: "show port stats who:ports",
            help: "Display statistics of a port, or all.",
            run: port_stats,
        },
        Command {
            pattern: "show port xstats who:ports",
            help: "Display extended statistics of a port, or all.",
            run: port_xstats,
        },
        Command { pattern: "show port summary who:ports", help: "Display a table of ports.", run: summary },
        Command {
            pattern: "clear port stats who:ports",
            help: "Clear statistics of a port, or all.",
            run: clear_stats,
        },
        Command {
            pattern: "clear port xstats who:ports",
            help: "Clear extended statistics of a port, or all.",
            run: clear_xstats,
        },
        Command { pattern: "show fwd stats all", help: "Display what was forwarded.", run: |app, _| show_forward(app) },
        Command { pattern: "clear fwd stats all", help: "Count from now on.", run: |app, _| clear_forward(app) },
        Command {
            pattern: "show config rxtx|fwd|cores|txpkts|rxpkts|rxhdrs|rxoffs",
            help: "Display the configuration of forwarding.",
            run: show_config,
        },
        Command { pattern: "show device info device:text", help: "Display devices, all or by name.", run: device_info },
        Command { pattern: "show port port:u16 macs", help: "Display the addresses of a port.", run: macs },
        Command { pattern: "show port port:u16 mcast_macs", help: "Display the groups of a port.", run: groups },
        Command { pattern: "show port port:u16 flow_ctrl", help: "Display flow control of a port.", run: flow_control },
        Command { pattern: "show port port:u16 ptypes", help: "Display what a port tells apart.", run: ptypes },
    ],
};

fn port_info(app: &mut App, values: &Values) {
    let Some(ids) = app.which_listed(values.which(3)) else { return };
    if app.json {
        return json::ports(app, &ids, "port-info", json::info);
    }
    ids.iter().filter_map(|id| app.ports.get(*id)).for_each(port_info::info);
}

fn port_stats(app: &mut App, values: &Values) {
    let Some(ids) = app.which_listed(values.which(3)) else { return };
    if app.json {
        return json::stats(app, &ids);
    }
    let display = app.options.display_xstats.clone();
    for id in ids {
        if let Some(port) = app.ports.get(id) {
            port_stats::stats(port, &display);
        }
    }
}

fn port_xstats(app: &mut App, values: &Values) {
    let Some(ids) = app.which_listed(values.which(3)) else { return };
    if app.json {
        return json::ports(app, &ids, "port-xstats", json::xstats);
    }
    for port in ids.iter().filter_map(|id| app.ports.get(*id)) {
        port_stats::xstats(port, app.settings.hide_zero);
    }
}

fn summary(app: &mut App, values: &Values) {
    let Some(ids) = app.which_listed(values.which(3)) else { return };
    if app.json {
        return json::ports(app, &ids, "port-summary", json::summary);
    }
    port_info::summary(ids.iter().filter_map(|id| app.ports.get(*id)), app.ports.len());
}

fn clear_stats(app: &mut App, values: &Values) {
    let Some(ids) = app.which_listed(values.which(3)) else { return };
    for id in ids {
        let Some(port) = app.ports.get_mut(id) else { continue };
        match port.device.reset_stats() {
            Ok(()) => {
                port.recent.restart(Sample::take(&port.device).ok());
                say!("\n  NIC statistics for port {id} cleared");
            }
            Err(error) => complain!("Error: failed to reset stats (port {id}): {}", cause(&error)),
        }
    }
    restart_counts(app);
}

fn clear_xstats(app: &mut App, values: &Values) {
    let Some(ids) = app.which_listed(values.which(3)) else { return };
    for id in ids {
        let Some(port) = app.ports.get_mut(id) else { continue };
        if let Err(error) = port.device.reset_xstats() {
            complain!("Error: failed to reset xstats (port {id}): {}", cause(&error));
        }
        port.recent.restart(Sample::take(&port.device).ok());
    }
    restart_counts(app);
}

/// Counters that went back would make nonsense of what was counted since.
fn restart_counts(app: &mut App) {
    if let Some(mut running) = app.running.take() {
        running.clear(app);
        app.running = Some(running);
    }
}

fn counts(app: &App) -> Counts {
    let nothing = || {
        let ports = app.settings.forwarding().iter().map(|id| (*id, engine::PortCounts::default())).collect();
        Counts { ports, mode: app.settings.mode.name(), ..Counts::default() }
    };
    match &app.running {
        Some(running) => running.counts(app),
        None => app.finished.clone().unwrap_or_else(nothing),
    }
}

fn show_forward(app: &App) {
    let counts = counts(app);
    if app.json { json::forward(&counts, app.settings.wanted) } else { engine::show(&counts, app.settings.wanted) }
}

fn clear_forward(app: &mut App) {
    app.finished = None;
    restart_counts(app);
}

fn show_config(app: &mut App, values: &Values) {
    if app.json {
        return match values.word(2) {
            "rxtx" => json::config::rxtx(app),
            "fwd" => json::config::forward(app, &app.plan()),
            "cores" => json::config::cores(app),
            "txpkts" => json::config::txpkts(app),
            "rxpkts" => json::config::list("rxpkts", &app.settings.rxpkts),
            "rxhdrs" => json::config::segment_headers(&app.settings),
            _ => json::config::list("rxoffs", &app.settings.rxoffs),
        };
    }
    match values.word(2) {
        "rxtx" => config::rxtx(app),
        "fwd" => config::forward(app, &app.plan()),
        "cores" => config::cores(app),
        "txpkts" => config::txpkts(app),
        "rxpkts" => config::list("Segment sizes", "segments", &app.settings.rxpkts),
        "rxhdrs" => config::segment_headers(&app.settings),
        _ => config::list("Segment offsets", "offsets", &app.settings.rxoffs),
    }
}

fn device_info(app: &mut App, values: &Values) {
    let wanted = values.word(3);
    let mut names: Vec<String> = app.ports.iter().map(|port| port.device.info().name.clone()).collect();
    names.dedup();
    if wanted != "all" {
        names.retain(|name| name == wanted);
        if names.is_empty() {
            return complain!("cannot parse identifier");
        }
    }
    let ports = |name: &String| app.ports.iter().filter(|port| port.device.info().name == *name).collect();
    let devices: Vec<(&str, Vec<&PortState>)> = names.iter().map(|name| (name.as_str(), ports(name))).collect();
    if app.json {
        return json::device::devices(&devices);
    }
    devices.iter().for_each(|(name, ports)| port_info::device(name, ports));
}

fn macs(app: &mut App, values: &Values) {
    let (id, json) = (values.u16(2), app.json);
    let Some(port) = app.port(id) else { return };
    match port.device.macs() {
        Ok(macs) if json => json::device::macs("port-macs", id, &macs),
        Ok(macs) => {
            say!("Number of MAC address added: {}", macs.len());
            macs.iter().for_each(|mac| say!("  {}", mac.to_string().to_uppercase()));
        }
        Err(error) => complain!("{}", cause(&error)),
    }
}

fn groups(app: &mut App, values: &Values) {
    let (id, json) = (values.u16(2), app.json);
    let Some(port) = app.port(id) else { return };
    if json {
        return json::device::macs("port-mcast-macs", id, &port.groups);
    }
    say!("Number of Multicast MAC address added: {}", port.groups.len());
    port.groups.iter().for_each(|mac| say!("  {}", mac.to_string().to_uppercase()));
}

fn flow_control(app: &mut App, values: &Values) {
    let (id, json) = (values.u16(2), app.json);
    let Some(port) = app.port(id) else { return };
    let flow = match port.device.flow_control() {
        Ok(flow) => flow,
        Err(error) => return complain!("Failed to get current flow ctrl information: err = {}", code(&error)),
    };
    if json {
        return json::device::flow_control(id, &flow);
    }
    let on = |yes: bool| if yes { "on" } else { "off" };
    say!("\n********************* Flow control infos for port {id:<2} *********************");
    say!("FC mode:");
    say!("   Rx pause: {}", on(flow.rx));
    say!("   Tx pause: {}", on(flow.tx));
    say!("Autoneg: {}", on(flow.autoneg));
    say!("Pause time: 0x{:x}", flow.pause_time);
    say!("High waterline: 0x{:x}", flow.high_water);
    say!("Low waterline: 0x{:x}", flow.low_water);
    say!("Send XON: {}", on(flow.send_xon));
    say!("Forward MAC control frames: {}", on(flow.forward_control));
    say!("\n***********************************   End  ********************************");
}

/// Layers of packet types, and the bits of each.
const LAYERS: [(&str, u32); 7] = [
    ("L2", 0xf),
    ("L3", 0xf0),
    ("L4", 0xf00),
    ("Tunnel", 0xf000),
    ("Inner L2", 0xf_0000),
    ("Inner L3", 0xf0_0000),
    ("Inner L4", 0xf00_0000),
];

fn ptypes(app: &mut App, values: &Values) {
    let (id, json) = (values.u16(2), app.json);
    let Some(port) = app.port(id) else { return };
    let types = match port.device.ptypes() {
        Ok(types) if json => return json::device::ptypes(id, &types),
        Ok(types) => types,
        Err(error) => return complain!("{}", cause(&error)),
    };
    for (layer, mask) in LAYERS {
        let of: Vec<u32> = types.iter().copied().filter(|kind| kind & mask != 0).collect();
        if of.is_empty() {
            say!("{layer} ptypes unsupported");
            continue;
        }
        say!("Supported {layer} ptypes:");
        of.iter().for_each(|kind| say!("\t{}", iogate::port::ptype_name(*kind)));
    }
}

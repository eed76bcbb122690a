//! `set`: how forwarding is to be, and what ports receive.

use super::{Command, Family};
use crate::app::App;
use crate::forward::{Mode, Split};
use crate::grammar::{Values, Which};
use crate::screen::{complain, say};
use crate::settings::{Settings, headers, numbers, port_list, segments};
use crate::show::cause;
use crate::soft::Device;
use std::time::Duration;

/// The longest burst that can be asked for.
pub(super) const MOST_BURST: u16 = 512;

pub(super) const FAMILY: Family = Family {
    name: "config",
    about: "Configuration of forwarding.",
    commands: &[
        Command {
            pattern: "set default",
            help: "Set the default configuration of forwarding.",
            run: |app, _| default(app),
        },
        Command { pattern: "set fwd mode:text", help: "Set the forwarding mode.", run: |app, v| mode(app, v, false) },
        Command {
            pattern: "set fwd mode:text retry",
            help: "Set the forwarding mode, and offer packets again that a port did not take.",
            run: |app, v| mode(app, v, true),
        },
        Command {
            pattern: "set burst tx delay delay:u32 retry times:u32",
            help: "Set microseconds between retries, and how many there are.",
            run: retries,
        },
        Command {
            pattern: "set verbose level:u16",
            help: "Set what is said of packets: 1 received ones, 2 sent ones, 3 and above both, 0 nothing.",
            run: verbose,
        },
        Command { pattern: "set burst count:u16", help: "Set the number of packets per burst.", run: burst },
        Command { pattern: "set nbcore count:u16", help: "Set the number of forwarding cores.", run: nbcore },
        Command { pattern: "set nbport count:u16", help: "Set the number of forwarding ports.", run: nbport },
        Command { pattern: "set corelist list:text", help: "Set the list of forwarding cores.", run: corelist },
        Command { pattern: "set coremask mask:text", help: "Set the bitmask of forwarding cores.", run: coremask },
        Command { pattern: "set portlist list:text", help: "Set the list of forwarding ports.", run: portlist },
        Command { pattern: "set portmask mask:text", help: "Set the bitmask of forwarding ports.", run: portmask },
        Command { pattern: "set txpkts lengths:text", help: "Set the segments of packets that are made.", run: txpkts },
        Command { pattern: "set txsplit way:text", help: "Set how packets are split: on, off or rand.", run: txsplit },
        Command {
            pattern: "set rxpkts lengths:text",
            help: "Set the segments of packets that are received.",
            run: rxpkts,
        },
        Command {
            pattern: "set rxhdrs headers:text",
            help: "Set the headers that those end with: eth, ipv4, ipv6, ipv4-udp, ipv6-tcp, ...",
            run: rxhdrs,
        },
        Command { pattern: "set rxoffs offsets:text", help: "Set where the data of those begins.", run: rxoffs },
        Command {
            pattern: "set eth-peer port:u16 mac:text",
            help: "Set the destination of what a port sends in mac mode.",
            run: eth_peer,
        },
        Command {
            pattern: "set flush_rx on|off",
            help: "Throw away what waits when forwarding starts, or not.",
            run: |app, v| {
                app.settings.flush_rx = v.is(2, "on");
            },
        },
        Command {
            pattern: "set link_check on|off",
            help: "Check links after starting ports, or not.",
            run: |app, v| {
                app.settings.link_check = v.is(2, "on");
            },
        },
        Command {
            pattern: "set xstats-hide-zero on|off",
            help: "Hide extended statistics that are 0, or not.",
            run: |app, v| {
                app.settings.hide_zero = v.is(2, "on");
            },
        },
        Command {
            pattern: "set promisc who:ports on|off",
            help: "Set the promiscuous mode of ports.",
            run: promiscuous,
        },
        Command {
            pattern: "set allmulti who:ports on|off",
            help: "Set the all-multicast mode of ports.",
            run: allmulti,
        },
        Command {
            pattern: "set link-up|link-down port port:u16",
            help: "Take the link of a port up or down.",
            run: link,
        },
        Command {
            pattern: "set output text|json",
            help: "Set how show answers.",
            run: |app, v| {
                app.json = v.is(2, "json");
            },
        },
    ],
};

fn default(app: &mut App) {
    say!("Reset to default forwarding configuration...");
    let (ports, lcores) = (app.ports.ids(), app.lcores.iter().filter(|lcore| !lcore.main).map(|lcore| lcore.id));
    let (nb_ports, lcores) = (ports.len(), lcores.collect());
    app.settings = Settings { ports, nb_ports, lcores, ..Settings::new(&app.options) };
}

fn mode(app: &mut App, values: &Values, retry: bool) {
    let name = values.word(2);
    let Ok(mode) = name.parse::<Mode>() else { return complain!("Bad arguments") };
    if retry && !mode.can_retry() {
        return complain!("Bad arguments");
    }
    if let Err(refused) = mode.check() {
        return complain!("{name} packet forwarding mode: {refused}");
    }
    app.settings.mode = mode;
    app.settings.retry = retry;
    app.settings.mode_name = if mode.aliases().contains(&name) { name.to_owned() } else { mode.name().to_owned() };
    say!("Set {name} packet forwarding mode{}", if retry { " with retry" } else { "" });
}

fn retries(app: &mut App, values: &Values) {
    app.settings.retries.delay = Duration::from_micros(values.number(4));
    app.settings.retries.times = values.number(6) as u32;
}

fn verbose(app: &mut App, values: &Values) {
    let level = values.u16(2);
    let before = app.verbose.set(level);
    say!("Change verbose level from {before} to {level}");
}

fn burst(app: &mut App, values: &Values) {
    let count = values.u16(2);
    if count > MOST_BURST {
        return complain!("nb pkt per burst: {count} > {MOST_BURST} (maximum packet per burst)  ignored");
    }
    app.settings.burst = count;
    say!("Number of packets per burst set to {count}");
}

fn nbcore(app: &mut App, values: &Values) {
    let (count, there) = (usize::from(values.u16(2)), app.settings.lcores.len());
    if count > there {
        return complain!("nb fwd cores {count} > {there} (max. number of configured lcores) - ignored");
    }
    if count == 0 {
        return complain!("nb fwd cores 0: at least one core has to forward - ignored");
    }
    app.settings.nb_cores = count;
    say!("Number of forwarding cores set to {count}");
}

fn nbport(app: &mut App, values: &Values) {
    let (count, there) = (usize::from(values.u16(2)), app.settings.ports.len());
    if count > there {
        return complain!("nb fwd ports {count} > {there} (number of configured ports) - ignored");
    }
    app.settings.nb_ports = count;
    say!("Number of forwarding ports set to {count}");
    app.settings.warn_of_odd_ports();
}

fn corelist(app: &mut App, values: &Values) {
    match port_list(values.word(2)) {
        Ok(list) => set_cores(app, list.into_iter().map(u32::from).collect()),
        Err(why) => complain!("{why}"),
    }
}

fn coremask(app: &mut App, values: &Values) {
    match mask(values.word(2)) {
        Some(list) => set_cores(app, list.into_iter().map(u32::from).collect()),
        None => complain!("Bad arguments"),
    }
}

fn set_cores(app: &mut App, list: Vec<u32>) {
    if app.running.is_some() {
        return complain!("Please stop forwarding first");
    }
    for (at, lcore) in list.iter().enumerate() {
        let known = app.lcores.iter().find(|known| known.id == *lcore);
        match known {
            None => return complain!("lcore {lcore} not enabled"),
            Some(known) if known.main => {
                return complain!(
                    "lcore {lcore} cannot be masked on for running packet forwarding, which is the main lcore and reserved \
                     for command line parsing only"
                );
            }
            Some(_) => {}
        }
        if let Some(before) = list[..at].iter().position(|other| other == lcore) {
            return complain!("duplicated core {lcore} at index {before} and {at}");
        }
    }
    if list.is_empty() {
        return complain!("Invalid NULL mask of cores");
    }
    app.settings.nb_cores = list.len();
    app.settings.lcores = list;
}

fn portlist(app: &mut App, values: &Values) {
    match port_list(values.word(2)) {
        Ok(list) => set_ports(app, list),
        Err(why) => complain!("{why}"),
    }
}

fn portmask(app: &mut App, values: &Values) {
    match mask(values.word(2)) {
        Some(list) if list.is_empty() => complain!("Invalid NULL mask of ports"),
        Some(list) => set_ports(app, list),
        None => complain!("Bad arguments"),
    }
}

fn set_ports(app: &mut App, list: Vec<u16>) {
    if app.running.is_some() {
        return complain!("Please stop forwarding first");
    }
    for (at, id) in list.iter().enumerate() {
        if app.ports.get(*id).is_none() {
            return complain!("Invalid port {id}");
        }
        if let Some(before) = list[..at].iter().position(|other| other == id) {
            return complain!("duplicated port {id} at index {before} and {at}");
        }
    }
    let (before, now) = (app.settings.nb_ports, list.len());
    app.settings.ports = list;
    app.settings.nb_ports = now;
    if before != now {
        say!("previous number of forwarding ports {before} - changed to number of configured ports {now}");
    }
}

/// The bits of a hexadecimal mask.
fn mask(text: &str) -> Option<Vec<u16>> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mask = u64::from_str_radix(digits, 16).ok().filter(|_| plain)?;
    Some((0..64).filter(|bit| mask >> bit & 1 == 1).collect())
}

fn txpkts(app: &mut App, values: &Values) {
    match segments(values.word(2)) {
        Ok(list) => app.settings.modes.segments = list,
        Err(why) => complain!("{why}"),
    }
}

fn txsplit(app: &mut App, values: &Values) {
    app.settings.modes.split = match values.word(2) {
        "off" => Split::Off,
        "on" => Split::On,
        "rand" => Split::Random,
        other => return complain!("unknown value: \"{other}\""),
    };
}

fn rxpkts(app: &mut App, values: &Values) {
    match numbers(values.word(2), 8, "segments") {
        Ok(list) => app.settings.rxpkts = list,
        Err(why) => complain!("{why}"),
    }
}

fn rxhdrs(app: &mut App, values: &Values) {
    match headers(values.word(2)) {
        Ok((list, lengths)) => (app.settings.rxhdrs, app.settings.rxpkts) = (list, lengths),
        Err(why) => complain!("{why}"),
    }
}

fn rxoffs(app: &mut App, values: &Values) {
    match numbers(values.word(2), 8, "offsets") {
        Ok(list) => app.settings.rxoffs = list,
        Err(why) => complain!("{why}"),
    }
}

fn eth_peer(app: &mut App, values: &Values) {
    let (id, text) = (values.u16(2), values.word(3));
    let Ok(mac) = text.parse() else { return complain!("Error: Invalid ethernet address: {text}") };
    if app.ports.get(id).is_none() {
        return complain!("Error: Invalid port number {id}");
    }
    app.settings.modes.peers.insert(id, mac);
}

/// Does something to one device or all; a device that is not there is said to be none, as DPDK does.
fn each(app: &mut App, which: Which, what: &str, work: impl Fn(&Device) -> iogate::Result<()>) {
    let ids = match which {
        Which::All => app.ports.ids(),
        Which::One(id) => vec![id],
    };
    for id in ids {
        let Some(port) = app.ports.get(id) else {
            complain!("Invalid port_id={id}");
            complain!("Error during {what} for port {id}: No such device");
            continue;
        };
        if let Err(error) = work(&port.device) {
            complain!("Error during {what} for port {id}: {}", cause(&error));
        }
    }
}

fn promiscuous(app: &mut App, values: &Values) {
    let on = values.is(3, "on");
    let what = if on { "enabling promiscuous mode" } else { "disabling promiscuous mode" };
    each(app, values.which(2), what, |device| device.set_promiscuous(on));
}

fn allmulti(app: &mut App, values: &Values) {
    let on = values.is(3, "on");
    let what = if on { "enabling all-multicast mode" } else { "disabling all-multicast mode" };
    each(app, values.which(2), what, |device| device.set_allmulticast(on));
}

fn link(app: &mut App, values: &Values) {
    let up = values.is(1, "link-up");
    let id = values.u16(3);
    let done = match app.ports.get(id) {
        Some(port) => port.device.set_link(up).is_ok(),
        None => {
            complain!("Invalid port_id={id}");
            false
        }
    };
    if !done {
        complain!("Set link {} fail.", if up { "up" } else { "down" });
    }
}

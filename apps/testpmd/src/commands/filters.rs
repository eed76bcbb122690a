//! What a port receives: addresses, groups, tunnels.

use super::{Command, Family};
use crate::app::App;
use crate::grammar::Values;
use crate::screen::complain;
use crate::show::{cause, code};
use iogate::packet::MacAddr;
use iogate::port::Tunnel;

pub(super) const FAMILY: Family = Family {
    name: "filters",
    about: "Addresses, groups and tunnels that ports receive.",
    commands: &[
        Command {
            pattern: "mac_addr add|remove|set port:u16 mac:mac",
            help: "Add or remove an address of a port, or make it its own.",
            run: mac_addr,
        },
        Command {
            pattern: "mcast_addr add|remove port:u16 mac:mac",
            help: "Add or remove a group of a port.",
            run: mcast_addr,
        },
        Command { pattern: "mcast_addr flush port:u16", help: "Remove all groups of a port.", run: mcast_flush },
        Command {
            pattern: "rx_vxlan_port add|rm udp:u16 port:u16",
            help: "Tell a port a UDP port of VXLAN, or to forget it.",
            run: |app, v| tunnel_port(app, v.u16(3), "vxlan", v.u16(2), v.is(1, "add"), "udp tunneling add error"),
        },
        Command {
            pattern: "port config port:u16 udp_tunnel_port add|rm vxlan|geneve|vxlan-gpe|ecpri udp:u16",
            help: "Tell a port a UDP port of a tunnel, or to forget it.",
            run: |app, v| {
                tunnel_port(app, v.u16(2), v.word(5), v.u16(6), v.is(4, "add"), "udp tunneling port add error");
            },
        },
    ],
};

fn mac_addr(app: &mut App, values: &Values) {
    let (id, mac) = (values.u16(2), values.mac(3));
    let Some(port) = app.ports.get(id) else {
        complain!("Invalid port_id={id}");
        return complain!("mac_addr_cmd error: (No such device)");
    };
    let result = match values.word(1) {
        "add" => port.device.add_mac(mac),
        "remove" => port.device.remove_mac(mac),
        _ => port.device.set_mac(mac),
    };
    if let Err(error) = result {
        complain!("mac_addr_cmd error: ({})", cause(&error));
    }
}

fn is_group(mac: MacAddr) -> bool {
    mac.octets()[0] & 1 == 1
}

fn mcast_addr(app: &mut App, values: &Values) {
    let (add, id, mac) = (values.is(1, "add"), values.u16(2), values.mac(3));
    if !is_group(mac) {
        return complain!("Invalid multicast addr {}", mac.to_string().to_uppercase());
    }
    let Some(port) = app.port(id) else { return };
    let known = port.groups.contains(&mac);
    if add && known {
        return complain!("multicast address already filtered by port");
    }
    if !add && !known {
        return complain!("multicast address not filtered by port {id}");
    }
    let mut groups = port.groups.clone();
    match add {
        true => groups.push(mac),
        false => groups.retain(|group| *group != mac),
    }
    set_groups(app, id, groups);
}

fn mcast_flush(app: &mut App, values: &Values) {
    let id = values.u16(2);
    if app.port(id).is_some_and(|port| !port.groups.is_empty()) {
        set_groups(app, id, Vec::new());
    }
}

fn set_groups(app: &mut App, id: u16, groups: Vec<MacAddr>) {
    let Some(port) = app.ports.get_mut(id) else { return };
    match port.device.set_groups(&groups) {
        Ok(()) => port.groups = groups,
        Err(error) => {
            let (count, code) = (groups.len(), code(&error));
            complain!("rte_eth_dev_set_mc_addr_list(port={id}, nb={count}) failed. diag={code}");
        }
    }
}

fn tunnel_port(app: &mut App, id: u16, kind: &str, udp: u16, add: bool, failed: &str) {
    let kind = match kind {
        "geneve" => Tunnel::Geneve,
        "vxlan-gpe" => Tunnel::VxlanGpe,
        "ecpri" => Tunnel::Ecpri,
        _ => Tunnel::Vxlan,
    };
    let Some(port) = app.ports.get(id) else {
        complain!("Invalid port_id={id}");
        return complain!("{failed}: (No such device)");
    };
    if let Err(error) = port.device.tunnel_port(kind, udp, add) {
        complain!("{failed}: ({})", cause(&error));
    }
}

//! VLAN tags.

use super::{Command, Family};
use crate::app::App;
use crate::grammar::Values;
use crate::screen::complain;
use crate::show::code;

pub(super) const FAMILY: Family = Family {
    name: "vlan",
    about: "VLAN tags: taking them off, filtering.",
    commands: &[
        Command {
            pattern: "vlan set strip|filter|extend|qinq_strip on|off port:u16",
            help: "Turn what a port does with VLAN tags on or off.",
            run: offload,
        },
        Command { pattern: "rx_vlan add|rm vlan:u16 port:u16", help: "Receive a VLAN, or no more.", run: filter },
        Command {
            pattern: "tx_vlan set port:u16 vlan:u16",
            help: "Give packets a tag when they leave by a port, except in io mode.",
            run: |app, v| tx_set(app, v.u16(2), &[v.u16(3)]),
        },
        Command {
            pattern: "tx_vlan set port:u16 inner:u16 outer:u16",
            help: "Give packets two tags when they leave by a port, except in io mode.",
            run: |app, v| tx_set(app, v.u16(2), &[v.u16(3), v.u16(4)]),
        },
        Command {
            pattern: "tx_vlan reset port:u16",
            help: "Give packets no tag.",
            run: |app, v| tx_set(app, v.u16(2), &[]),
        },
        Command { pattern: "rx_vlan add|rm all port:u16", help: "Receive all VLANs, or none.", run: filter_all },
    ],
};

/// `RTE_ETH_RX_OFFLOAD_*` of strip, filter, extend, QinQ strip.
const BITS: [(&str, u64); 4] = [("strip", 1), ("filter", 1 << 9), ("extend", 1 << 10), ("qinq_strip", 1 << 5)];

/// `RTE_ETH_TX_OFFLOAD_*`.
const VLAN_INSERT: u64 = 1 << 0;
const QINQ_INSERT: u64 = 1 << 8;

fn offload(app: &mut App, values: &Values) {
    let (what, on) = (values.word(2), values.is(3, "on"));
    let Some(port) = app.port(values.u16(4)) else { return };
    let mut vlan = port.device.vlan();
    match what {
        "strip" => vlan.strip = on,
        "filter" => vlan.filter = on,
        "extend" => vlan.extend = on,
        _ => vlan.qinq_strip = on,
    }
    if let Err(error) = port.device.set_vlan(vlan) {
        let (id, code) = (port.device.id(), code(&error));
        return complain!("rx_vlan_{what}_set(port_pi={id}, on={}) failed diag={code}", u8::from(on));
    }
    if let Some((_, bit)) = BITS.iter().find(|(name, _)| *name == what) {
        let offloads = &mut port.config.rx_offloads;
        *offloads = if on { *offloads | bit } else { *offloads & !bit };
    }
}

/// Whether there is such a VLAN; says so when not.
fn valid(vlan: u16) -> bool {
    if vlan >= 4096 {
        complain!("Invalid vlan_id {vlan} (must be < 4096)");
    }
    vlan < 4096
}

fn set(app: &mut App, id: u16, vlan: u16, on: bool) -> bool {
    let Some(port) = app.port(id) else { return false };
    let result = port.device.filter_vlan(vlan, on);
    if let Err(error) = &result {
        let (on, code) = (u8::from(on), code(error));
        complain!("rte_eth_dev_vlan_filter(port_pi={id}, vlan_id={vlan}, on={on}) failed diag={code}");
    }
    result.is_ok()
}

fn filter(app: &mut App, values: &Values) {
    let vlan = values.u16(2);
    if valid(vlan) {
        set(app, values.u16(3), vlan, values.is(1, "add"));
    }
}

fn tx_set(app: &mut App, id: u16, vlans: &[u16]) {
    if let Some(port) = app.stopped_port(id)
        && vlans.iter().all(|vlan| valid(*vlan))
    {
        port.tx_vlans = vlans.to_vec();
        // The software that inserts them asks nobody; this is what is shown.
        let wanted = match vlans.len() {
            0 => 0,
            1 => VLAN_INSERT,
            _ => VLAN_INSERT | QINQ_INSERT,
        };
        let others = port.config.tx_offloads & !(VLAN_INSERT | QINQ_INSERT);
        port.config.tx_offloads = others | wanted & port.device.info().tx_offloads;
        port.changed = true;
    }
}

fn filter_all(app: &mut App, values: &Values) {
    for vlan in 0..4096 {
        if !set(app, values.u16(3), vlan, values.is(1, "add")) {
            return;
        }
    }
}

//! The gateway's job as OpenFlow rules: four tables, which a packet goes through once until OVS caches the outcome.
//!
//! | table | decides |
//! |---|---|
//! | 0 | whose frame it is, by port, tag and source; ARP, IPv4, IPv6 and neighbour discovery senders |
//! | 1 | class and priority, and whether it may be on this side |
//! | 2 | the adapter or uplink it is for, and its tag there |
//!
//! Register 0 is the sender (adapter + 1, 0 from an uplink), 1 the priority, 2 the side, 4 the network. Flows count, so
//! there are counters by sender, by receiver, by class and by reason. Multicast is dropped, as by the peer in C.

use anyhow::{Result, ensure};
use iogate_gateway::config::model::{Config, PortRange, Selector, Side};
use iogate_gateway::dataplane::Tables;
use iogate_gateway::dataplane::tables::Attachment;
use std::net::IpAddr;

/// Number of the OpenFlow port that a link's or uplink's frames come from.
pub(super) fn rx_port(way: usize) -> usize {
    100 + way
}

/// Number of the OpenFlow port that frames to a link or uplink leave by.
pub(super) fn tx_port(way: usize) -> usize {
    1 + way
}

/// The rules, one a line, as `ovs-ofctl add-flows` reads them.
///
/// # Errors
/// When the configuration has what these rules do not do.
pub(super) fn flows(config: &Config) -> Result<Vec<String>> {
    let tables = Tables::new(config);
    let mut flows = vec![
        "table=0,priority=200,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=drop".to_owned(),
        "table=0,priority=200,dl_src=01:00:00:00:00:00/01:00:00:00:00:00,actions=drop".to_owned(),
        "table=0,priority=200,dl_type=0x8808,actions=drop".to_owned(),
    ];
    for (number, attachment) in tables.attachments.iter().enumerate() {
        ensure!(
            attachment.forbidden == 0 && attachment.up,
            "OVS's flows know no forbidden protocols and no adapters down"
        );
        from_server(number, attachment, tables.networks[usize::from(attachment.network)].side, &mut flows);
    }
    for (number, network) in tables.networks.iter().enumerate() {
        for uplink in &network.uplinks {
            let port = rx_port(config.links.len() + uplink.index());
            let from = format!("table=0,in_port={port},{}", tag(network.vlan));
            flows.push(format!("{from},priority=10,actions={}", enter(0, network.side, number)));
            for own in tables.attachments.iter().filter(|own| usize::from(own.network) == number) {
                flows.push(format!("{from},priority=30,dl_src={},actions=drop", own.mac));
            }
        }
    }
    classes(config, &mut flows);
    for (number, attachment) in tables.attachments.iter().enumerate() {
        let to = format!("table=2,reg4={},dl_dst={}", attachment.network, attachment.mac);
        let leave = leave(attachment.vlan, tx_port(usize::from(attachment.outlet)));
        flows.push(format!("{to},priority=10,actions={leave}"));
        flows.push(format!("{to},priority=20,reg0={},actions=drop", number + 1));
    }
    for (number, network) in tables.networks.iter().enumerate() {
        let Some(uplink) = network.uplinks.first() else { continue };
        let leave = leave(network.vlan, tx_port(config.links.len() + uplink.index()));
        flows.push(format!("table=2,priority=1,reg4={number},actions={leave}"));
        flows.push(format!("table=2,priority=5,reg4={number},reg0=0,actions=drop"));
    }
    Ok(flows)
}

fn tag(vlan: u16) -> String {
    if vlan == 0 { "vlan_tci=0x0000/0x1fff".to_owned() } else { format!("dl_vlan={vlan}") }
}

/// What the first table notes for the others.
fn enter(sender: usize, side: Side, network: usize) -> String {
    let note = |value: usize, register: u8| format!("load:{value}->NXM_NX_REG{register}[]");
    format!("{},{},{},resubmit(,1)", note(sender, 0), note(side as usize, 2), note(network, 4))
}

fn leave(vlan: u16, port: usize) -> String {
    match vlan {
        0 => format!("strip_vlan,output:{port}"),
        _ => format!("mod_vlan_vid:{vlan},move:NXM_NX_REG1[0..2]->NXM_OF_VLAN_TCI[13..15],output:{port}"),
    }
}

fn from_server(number: usize, own: &Attachment, side: Side, flows: &mut Vec<String>) {
    let port = rx_port(usize::from(own.outlet));
    let from = format!("table=0,in_port={port},{},dl_src={}", tag(own.vlan), own.mac);
    let enter = enter(number + 1, side, own.network.into());
    let mut allow =
        |priority: u16, what: String| flows.push(format!("{from},priority={priority},{what}actions={enter}"));
    allow(10, String::new());
    let v4 = || own.ips.iter().filter(|ip| ip.is_ipv4());
    let v6 = || own.ips.iter().filter(|ip| ip.is_ipv6());
    let unspecified = [IpAddr::from([0; 4]), IpAddr::from([0_u16; 8])];
    if !own.ips.is_empty() {
        for ip in v4().chain(&unspecified[..1]) {
            allow(20, format!("ip,nw_src={ip},"));
            allow(20, format!("arp,arp_sha={},arp_spa={ip},", own.mac));
        }
        for ip in v6().chain(&unspecified[1..]) {
            allow(20, format!("ipv6,ipv6_src={ip},"));
            allow(40, format!("icmp6,icmp_type=135,ipv6_src={ip},nd_sll={},", own.mac));
        }
        for ip in v6() {
            allow(40, format!("icmp6,icmp_type=136,nd_target={ip},nd_tll={},", own.mac));
        }
        let checks = [(own.antispoof.ip, "ip"), (own.antispoof.ip, "ipv6"), (own.antispoof.arp, "arp")];
        for (_, what) in checks.iter().filter(|(on, _)| *on) {
            flows.push(format!("{from},priority=15,{what},actions=drop"));
        }
        for kind in 133..=137 {
            flows.push(format!("{from},priority=30,icmp6,icmp_type={kind},actions=drop"));
        }
    }
}

/// The first class that matches has the frame.
fn classes(config: &Config, flows: &mut Vec<String>) {
    for (number, class) in config.classes.iter().enumerate() {
        let is_default = number == config.default_class.index();
        let matches = class.rules.iter().flat_map(|rule| selector(*rule));
        let matches = matches.map(|what| (100 - number, what));
        for (priority, what) in matches.chain(is_default.then(|| (1, String::new()))) {
            for side in [Side::Network, Side::Storage] {
                let actions = match class.scope.allows(side) {
                    true => format!("load:{}->NXM_NX_REG1[],resubmit(,2)", class.pcp),
                    false => "drop".to_owned(),
                };
                flows.push(format!("table=1,priority={priority},reg2={},{what}actions={actions}", side as u8));
            }
        }
    }
}

fn selector(rule: Selector) -> Vec<String> {
    let of_ports = |protocols: &[&str], sides: &[&str], range: PortRange| -> Vec<String> {
        let each = protocols.iter().flat_map(|protocol| sides.iter().map(move |side| (protocol, side)));
        let blocks = blocks(range);
        each.flat_map(|(protocol, side)| blocks.iter().map(move |block| format!("{protocol},{side}={block},")))
            .collect()
    };
    let udp = ["udp", "udp6"];
    match rule {
        Selector::EtherType(kind) => vec![format!("dl_type={},", kind.0)],
        Selector::IpProtocol(number) => vec![format!("ip,nw_proto={number},"), format!("ipv6,nw_proto={number},")],
        Selector::TcpPort(range) => of_ports(&["tcp", "tcp6"], &["tp_src", "tp_dst"], range),
        Selector::UdpPort(range) => of_ports(&udp, &["tp_src", "tp_dst"], range),
        Selector::UdpSrc(range) => of_ports(&udp, &["tp_src"], range),
        Selector::UdpDst(range) => of_ports(&udp, &["tp_dst"], range),
    }
}

/// A range of ports as `PORT/MASK`, as few as there can be.
fn blocks(range: PortRange) -> Vec<String> {
    let (mut at, end) = (u32::from(range.first()), u32::from(range.last()) + 1);
    let mut blocks = Vec::new();
    while at < end {
        let aligned = if at == 0 { 1 << 16 } else { 1 << at.trailing_zeros() };
        let most = 1 << (end - at).ilog2();
        let size = aligned.min(most);
        blocks.push(format!("{at}/{:#06x}", 0x1_0000 - size));
        at += size;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_blocks() {
        let of = |first, last| blocks(PortRange::new(first, last).unwrap());
        assert_eq!(of(3260, 3260), ["3260/0xffff"]);
        assert_eq!(of(6800, 7568).len(), 8, "{:?}", of(6800, 7568));
        assert_eq!(of(0, 65535), ["0/0x0000"]);
        assert_eq!(of(3, 8), ["3/0xffff", "4/0xfffc", "8/0xffff"]);
    }
}

//! A configuration as the peer in C reads it: one item a line, names resolved to numbers.
//!
//! ```text
//! ports LINKS UPLINKS ADAPTERS DEFAULT-CLASS
//! class NUMBER PCP NETWORK STORAGE                    whether frames of it may be on either side
//! match ethertype|ip|tcp|udp-src|udp-dst FIRST LAST BITS    a bit for each class, from bit 8 on for each protocol
//! network NUMBER SIDE VLAN UPLINK MTU PAYLOAD
//! adapter LINK TAG NETWORK FORBIDDEN ARP ND IP MAC [ADDRESS]...
//! ```

use iogate_gateway::config::model::{Config, Selector, Side};
use iogate_gateway::dataplane::Tables;
use std::fmt::Write as _;

/// The whole file.
pub(super) fn text(config: &Config) -> String {
    let tables = Tables::new(config);
    let mut text = String::new();
    let mut add = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string grows");
    let (links, uplinks) = (config.links.len(), config.uplinks.len());
    let default = config.default_class.index();
    add(format_args!("ports {links} {uplinks} {} {default}", tables.attachments.len()));
    for (number, class) in config.classes.iter().enumerate() {
        let [network, storage] = [Side::Network, Side::Storage].map(|side| u8::from(class.scope.allows(side)));
        add(format_args!("class {number} {} {network} {storage}", class.pcp));
    }
    let classes = config.classes.iter().enumerate();
    let of_classes = classes.flat_map(|(number, class)| class.rules.iter().map(move |rule| (*rule, 1_u32 << number)));
    let of_protocols = config.protocols.iter().map(|(protocol, rule)| (*rule, 1 << (8 + *protocol as u32)));
    for (rule, bits) in of_classes.chain(of_protocols) {
        for (kind, first, last) in lines(rule) {
            add(format_args!("match {kind} {first} {last} {bits:x}"));
        }
    }
    for (number, network) in tables.networks.iter().enumerate() {
        let uplink = network.uplinks.first().map_or(0, |uplink| uplink.index());
        let side = network.side as u8;
        add(format_args!("network {number} {side} {} {uplink} {} {}", network.vlan, network.mtu, network.payload));
    }
    for attachment in &tables.attachments {
        let checks = attachment.antispoof;
        let [arp, nd, ip] = [checks.arp, checks.nd, checks.ip].map(u8::from);
        let (outlet, tag, network) = (attachment.outlet, attachment.vlan, attachment.network);
        let [a, b, c, d, e, f] = attachment.mac.octets();
        let mac = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        let ips: String = attachment.ips.iter().map(|ip| format!(" {ip}")).collect();
        add(format_args!("adapter {outlet} {tag} {network} {:x} {arp} {nd} {ip} {mac:x}{ips}", attachment.forbidden));
    }
    text
}

fn lines(rule: Selector) -> Vec<(&'static str, u16, u16)> {
    match rule {
        Selector::EtherType(kind) => vec![("ethertype", kind.0, kind.0)],
        Selector::IpProtocol(number) => vec![("ip", number.into(), number.into())],
        Selector::TcpPort(range) => vec![("tcp", range.first(), range.last())],
        Selector::UdpPort(range) => {
            vec![("udp-src", range.first(), range.last()), ("udp-dst", range.first(), range.last())]
        }
        Selector::UdpSrc(range) => vec![("udp-src", range.first(), range.last())],
        Selector::UdpDst(range) => vec![("udp-dst", range.first(), range.last())],
    }
}

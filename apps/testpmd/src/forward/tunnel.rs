//! Tunnels that `csum` looks into when it is told to: VXLAN, VXLAN-GPE, GENEVE and GTP over UDP,
//! GRE, and IP in IP.

use super::layers::{Ip, IpLayer, word};
use iogate::packet::{EtherType, IpProtocol};

const GTP_CONTROL: u16 = 2123;
const GTP_USER: u16 = 2152;
const VXLAN: u16 = 4789;
/// An Ethernet frame, in GRE and GENEVE.
const BRIDGED: u16 = 0x6558;
const UDP_HEADER: usize = 8;

/// UDP ports of tunnels that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelPorts {
    /// Of VXLAN-GPE (`--vxlan-gpe-port`).
    pub vxlan_gpe: u16,
    /// Of GENEVE (`--geneve-parsed-port`).
    pub geneve: u16,
}

impl Default for TunnelPorts {
    fn default() -> Self {
        TunnelPorts { vxlan_gpe: 4790, geneve: 6081 }
    }
}

/// A packet in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tunnel {
    /// The IP packet inside, if it is one.
    pub(super) inner: Option<IpLayer>,
    /// Whether its header would be the same around a packet of another length.
    pub(super) any_length: bool,
}

/// What the payload of a tunnel starts with.
#[derive(Clone, Copy)]
enum Inside {
    Ethernet,
    Ip(Ip),
    /// As its first four bits say.
    Version,
    Other,
}

/// The tunnel that an IP packet is the outside of, if it is.
pub(super) fn behind(frame: &[u8], outer: IpLayer, ports: TunnelPorts) -> Option<Tunnel> {
    let (inside, at, any_length) = match outer.protocol {
        IpProtocol::UDP => over_udp(frame, outer.payload, ports)?,
        IpProtocol::GRE => over_gre(frame, outer.payload)?,
        IpProtocol::IPV4 if matches!(frame.get(outer.payload)? >> 4, 4 | 6) => (Inside::Version, outer.payload, true),
        _ => return None,
    };
    let inner = match inside {
        Inside::Ethernet => IpLayer::behind_ethernet(frame, at),
        Inside::Ip(kind) => IpLayer::at(frame, kind, at),
        Inside::Version => IpLayer::by_version(frame, at),
        Inside::Other => None,
    };
    Some(Tunnel { inner, any_length })
}

/// By the ports: the first of those that are known, in the original's order. What is inside, where, and whether the
/// header is for any length.
fn over_udp(frame: &[u8], at: usize, ports: TunnelPorts) -> Option<(Inside, usize, bool)> {
    let (src, dst, at) = (word(frame, at)?, word(frame, at + 2)?, at + UDP_HEADER);
    if src == GTP_CONTROL || matches!(dst, GTP_CONTROL | GTP_USER) {
        let (&flags, &kind) = (frame.get(at)?, frame.get(at + 1)?);
        // Extension header, sequence number or N-PDU number: all are there when one is.
        let optional = if flags & 0b111 != 0 { 4 } else { 0 };
        let inside = if kind == 0xff { Inside::Version } else { Inside::Other };
        // It has a length of its own.
        return Some((inside, at + 8 + optional, false));
    }
    match dst {
        _ if dst == ports.vxlan_gpe => {
            let inside = match *frame.get(at + 3)? {
                0 | 1 => Inside::Ip(Ip::V4),
                2 => Inside::Ip(Ip::V6),
                3 => Inside::Ethernet,
                _ => return None,
            };
            Some((inside, at + 8, true))
        }
        VXLAN => Some((Inside::Ethernet, at + 8, true)),
        _ if dst == ports.geneve => {
            let options = usize::from(frame.get(at)? & 0x3f) * 4;
            let inside = match word(frame, at + 2)? {
                0 => Inside::Ip(Ip::V4),
                other => by_type(other)?,
            };
            Some((inside, at + 8 + options, true))
        }
        _ => None,
    }
}

/// As [`over_udp`].
fn over_gre(frame: &[u8], at: usize) -> Option<(Inside, usize, bool)> {
    let (flags, inside) = (word(frame, at)?, by_type(word(frame, at + 2)?)?);
    // Checksum, key and sequence number, four bytes each.
    let optional = (flags & 0xb000).count_ones() as usize * 4;
    // A checksum, or a number, is of one packet.
    Some((inside, at + 4 + optional, flags & 0x9000 == 0))
}

fn by_type(ether_type: u16) -> Option<Inside> {
    match EtherType(ether_type) {
        EtherType::IPV4 => Some(Inside::Ip(Ip::V4)),
        EtherType::IPV6 => Some(Inside::Ip(Ip::V6)),
        EtherType(BRIDGED) => Some(Inside::Ethernet),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::forward::testing::*;
    use iogate::testkit::Frame;

    const VXLAN_GPE: u16 = 4790;
    const GENEVE: u16 = 6081;
    const PORTS: TunnelPorts = TunnelPorts { vxlan_gpe: VXLAN_GPE, geneve: GENEVE };

    /// Frames of every kind of tunnel, all checksums right, a TCP segment inside.
    pub(in crate::forward) fn tunnels() -> Vec<Vec<u8>> {
        let v4 = || Frame::ethernet(PEER, OURS).ipv4([10, 1, 1, 1], [10, 2, 2, 2]).tcp(7, 8).payload(b"inside").build();
        let v6 = || Frame::ethernet(PEER, OURS).vlan(3).ipv6([1; 16], [2; 16]).tcp(7, 8).payload(b"odd").build();
        let packet = |frame: Vec<u8>| frame[if frame[12] == 8 { 14 } else { 18 }..].to_vec();
        let outside = |udp: u16, header: &[u8], inside: Vec<u8>| {
            let ip = Frame::ethernet(OURS, PEER).ipv4([9, 9, 9, 1], [9, 9, 9, 2]);
            ip.udp(5555, udp).payload(header).payload(inside).build()
        };
        let over = |protocol: IpProtocol, header: &[u8], inside: Vec<u8>| {
            let ip = Frame::ethernet(OURS, PEER).vlan(8).ipv4([9, 9, 9, 1], [9, 9, 9, 2]);
            ip.protocol(protocol).payload(header).payload(inside).build()
        };
        let gre = |flags: u8, kind: u16, rest: usize| [&[flags, 0][..], &kind.to_be_bytes(), &vec![1; rest]].concat();
        vec![
            outside(VXLAN, &[8, 0, 0, 0, 0, 0, 1, 0], v4()),
            outside(VXLAN, &[8, 0, 0, 0, 0, 0, 1, 0], v6()),
            outside(VXLAN_GPE, &[0x0c, 0, 0, 1, 0, 0, 1, 0], packet(v4())),
            outside(VXLAN_GPE, &[0x0c, 0, 0, 2, 0, 0, 1, 0], packet(v6())),
            outside(VXLAN_GPE, &[0x0c, 0, 0, 3, 0, 0, 1, 0], v4()),
            outside(GENEVE, &[0, 0, 0x65, 0x58, 0, 0, 1, 0], v4()),
            outside(GENEVE, &[2, 0, 0x08, 0x00, 0, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8], packet(v4())),
            outside(GENEVE, &[0, 0, 0x86, 0xdd, 0, 0, 1, 0], packet(v6())),
            outside(GTP_USER, &[0x30, 0xff, 0, 60, 0, 0, 0, 1], packet(v4())),
            outside(GTP_USER, &[0x32, 0xff, 0, 64, 0, 0, 0, 1, 0, 1, 0, 0], packet(v6())),
            over(IpProtocol::GRE, &gre(0, 0x0800, 0), packet(v4())),
            over(IpProtocol::GRE, &gre(0x20, 0x86dd, 4), packet(v6())),
            over(IpProtocol::GRE, &gre(0xb0, BRIDGED, 12), v6()),
            over(IpProtocol::IPV4, &[], packet(v4())),
            over(IpProtocol::IPV4, &[], packet(v6())),
        ]
    }

    #[test]
    fn what_is_inside_is_found() {
        for frame in tunnels() {
            let outer = IpLayer::behind_ethernet(&frame, 0).unwrap();
            let inner = behind(&frame, outer, PORTS).unwrap().inner.unwrap();
            assert_eq!((inner.protocol, word(&frame, inner.payload)), (IpProtocol::TCP, Some(7)), "{frame:02x?}");
            for len in 0..frame.len() {
                let cut = &frame[..len];
                if let Some(outer) = IpLayer::behind_ethernet(cut, 0) {
                    behind(cut, outer, PORTS);
                }
            }
        }
    }

    #[test]
    fn other_ports_and_types_are_no_tunnels() {
        let plain = Frame::ethernet(OURS, PEER).ipv4([1; 4], [2; 4]);
        let gre = plain.clone().protocol(IpProtocol::GRE).payload([0, 0, 0x88, 0x47, 1, 2, 3, 4]).build();
        for frame in [plain.clone().udp(1, 2).payload([0; 40]).build(), plain.tcp(1, VXLAN).build(), gre] {
            let outer = IpLayer::behind_ethernet(&frame, 0).unwrap();
            assert_eq!(behind(&frame, outer, PORTS), None);
        }
        let control = Frame::ethernet(OURS, PEER).ipv4([1; 4], [2; 4]).udp(1, GTP_CONTROL).payload([0x40; 16]).build();
        let outer = IpLayer::behind_ethernet(&control, 0).unwrap();
        assert_eq!(behind(&control, outer, PORTS), Some(Tunnel { inner: None, any_length: false }));
    }

    #[test]
    fn other_ports_can_be_told() {
        assert_eq!(TunnelPorts::default(), PORTS);
        let told = TunnelPorts { vxlan_gpe: 7000, geneve: 7001 };
        for mut frame in tunnels() {
            let outer = IpLayer::behind_ethernet(&frame, 0).unwrap();
            let usual = behind(&frame, outer, PORTS);
            let to = match word(&frame, outer.payload + 2) {
                Some(VXLAN_GPE) => told.vxlan_gpe,
                Some(GENEVE) => told.geneve,
                _ => continue,
            };
            assert_eq!(behind(&frame, outer, told), None);
            frame[outer.payload + 2..][..2].copy_from_slice(&to.to_be_bytes());
            assert_eq!(behind(&frame, outer, told), usual);
        }
    }
}

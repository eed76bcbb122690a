//! The headers of a frame that rules look at.

use super::super::headers::Ip;
use iogate::packet::{EtherType, Ethernet, Header, IpProtocol, Vlan};
use iogate::port::FlowHeader;

/// Headers that a rule can look at in a packet, those of tunnels included.
pub(super) const MOST_LAYERS: usize = 12;

/// A header in a packet, and where it starts.
pub(super) type Layer = (FlowHeader, usize);

/// Bytes of the headers of ARP for IPv4 over Ethernet, UDP and VXLAN.
const ARP: usize = 28;
const UDP: usize = 8;
const VXLAN: usize = 8;

/// Writes down the headers of a frame, as far as they are whole; returns how many. UDP to one of the
/// ports in `tunnels` is VXLAN.
pub(super) fn layers(frame: &[u8], tunnels: &[u16], layers: &mut [Layer; MOST_LAYERS]) -> usize {
    let mut found = 0;
    let mut note = |kind, at| {
        let room = found < MOST_LAYERS;
        if room {
            layers[found] = (kind, at);
            found += 1;
        }
        room
    };
    let mut start = 0;
    // A frame, and those in its tunnels.
    while let Some((ethernet, mut rest)) = frame.get(start..).and_then(|frame| Ethernet::parse(frame).ok()) {
        let mut kind = ethernet.ether_type();
        if !note(FlowHeader::Ethernet, start) {
            break;
        }
        let mut at = start + size_of::<Ethernet>();
        while kind.is_vlan()
            && let Ok((tag, behind)) = Vlan::parse(rest)
            && note(FlowHeader::Vlan, at)
        {
            (kind, rest, at) = (tag.ether_type(), behind, at + size_of::<Vlan>());
        }
        let ip = match kind {
            EtherType::ARP if rest.len() >= ARP => {
                note(FlowHeader::Arp, at);
                break;
            }
            EtherType::IPV4 => Ip::v4(rest, at).filter(|_| note(FlowHeader::Ipv4, at)),
            EtherType::IPV6 => Ip::v6(rest, at).filter(|_| note(FlowHeader::Ipv6, at)),
            _ => None,
        };
        let Some(ip) = ip.filter(|ip| ip.starts) else { break };
        let (at, payload) = (ip.payload.start, &frame[ip.payload]);
        let (kind, least) = match ip.protocol {
            IpProtocol::TCP => (FlowHeader::Tcp, 20),
            IpProtocol::UDP => (FlowHeader::Udp, UDP),
            IpProtocol::SCTP => (FlowHeader::Sctp, 12),
            IpProtocol::ICMP if !ip.v6 => (FlowHeader::Icmp, 8),
            _ => break,
        };
        if payload.len() < least || !note(kind, at) || kind != FlowHeader::Udp {
            break;
        }
        let dst_port = u16::from_be_bytes([payload[2], payload[3]]);
        let tunnel = tunnels.contains(&dst_port) && payload.len() >= UDP + VXLAN;
        if !tunnel || !note(FlowHeader::Vxlan, at + UDP) {
            break;
        }
        start = at + UDP + VXLAN;
    }
    found
}

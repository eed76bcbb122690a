//! Frames by their layers.

use crate::packet::arp::{Arp, Operation};
use crate::packet::icmp::{Icmp, IcmpType};
use crate::packet::icmpv6::{Icmpv6, Icmpv6Type};
use crate::packet::ndp::{NeighborAdvertisement, NeighborSolicitation};
use crate::packet::{
    EtherType, Ethernet, Header, IpProtocol, Ipv4, Ipv6, MacAddr, Malformed, PseudoHeader, Tci, Tcp, TcpFlags, Udp,
    Vlan, VlanTag,
};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A locally administered address, by number: `02:00:00:00:00:NN`.
pub const fn mac(number: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0, number])
}

/// Builds a frame, layer by layer from the outside in; lengths and checksums are filled in at the end.
///
/// ```
/// use iogate::packet::{Header, Layer2, Ipv4, MacAddr};
/// use iogate::testkit::{Frame, mac};
///
/// let frame = Frame::ethernet(mac(1), MacAddr::BROADCAST)
///     .vlan(100)
///     .ipv4([10, 0, 0, 1], [10, 0, 0, 255])
///     .udp(5000, 5001)
///     .payload(b"hello")
///     .build();
/// let front = Layer2::parse(&frame).unwrap();
/// assert!(Ipv4::parse(&frame[front.offset..]).unwrap().0.checksum_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Frame {
    ethernet: (MacAddr, MacAddr),
    tags: Vec<VlanTag>,
    ether_type: EtherType,
    ip: Option<Ip>,
    transport: IpProtocol,
    /// Everything behind the IP header, or behind the tags where there is none.
    body: Vec<u8>,
    shortest: usize,
}

#[derive(Clone, Copy, Debug)]
enum Ip {
    V4 { src: Ipv4Addr, dst: Ipv4Addr, ttl: u8, dscp: u8 },
    V6 { src: Ipv6Addr, dst: Ipv6Addr, hops: u8, dscp: u8 },
}

impl Frame {
    /// From a source address to a destination. Without anything else it is of the type 0x88b5, which
    /// is for experiments.
    pub fn ethernet(src: impl Into<MacAddr>, dst: impl Into<MacAddr>) -> Self {
        Frame {
            ethernet: (src.into(), dst.into()),
            tags: Vec::new(),
            ether_type: EtherType(0x88b5),
            ip: None,
            transport: IpProtocol(253),
            body: Vec::new(),
            shortest: 0,
        }
    }

    /// Adds a tag with a VLAN identifier, behind those there are.
    pub fn vlan(self, vid: u16) -> Self {
        self.tag(EtherType::VLAN, Tci::new(vid, 0, false))
    }

    /// Adds a tag with a priority.
    pub fn priority(self, vid: u16, pcp: u8) -> Self {
        self.tag(EtherType::VLAN, Tci::new(vid, pcp, false))
    }

    /// Adds a service tag and a customer tag in it.
    pub fn qinq(self, service: u16, customer: u16) -> Self {
        self.tag(EtherType::SERVICE_VLAN, Tci::new(service, 0, false)).vlan(customer)
    }

    /// Adds any tag.
    pub fn tag(mut self, tpid: EtherType, tci: Tci) -> Self {
        self.tags.push(VlanTag { tpid, tci });
        self
    }

    /// Sets the type, for a payload of one's own.
    pub fn ether_type(mut self, ether_type: EtherType) -> Self {
        self.ether_type = ether_type;
        self
    }

    /// An ARP message.
    pub fn arp(
        self,
        operation: Operation,
        sender: (impl Into<MacAddr>, impl Into<Ipv4Addr>),
        target: (impl Into<MacAddr>, impl Into<Ipv4Addr>),
    ) -> Self {
        self.ether_type(EtherType::ARP).header::<Arp>(|arp| {
            arp.set_operation(operation);
            arp.set_sender_mac(sender.0.into());
            arp.set_sender_ip(sender.1.into());
            arp.set_target_mac(target.0.into());
            arp.set_target_ip(target.1.into());
        })
    }

    /// An ARP request: the frame's source has address `sender` and looks for `target`.
    pub fn arp_request(self, sender: impl Into<Ipv4Addr>, target: impl Into<Ipv4Addr>) -> Self {
        let src = self.ethernet.0;
        self.arp(Operation::REQUEST, (src, sender), ([0; 6], target))
    }

    /// An ARP reply: the frame's source has address `sender` and tells the frame's destination, which
    /// has `target`.
    pub fn arp_reply(self, sender: impl Into<Ipv4Addr>, target: impl Into<Ipv4Addr>) -> Self {
        let (src, dst) = self.ethernet;
        self.arp(Operation::REPLY, (src, sender), (dst, target))
    }

    /// Over IPv4.
    pub fn ipv4(mut self, src: impl Into<Ipv4Addr>, dst: impl Into<Ipv4Addr>) -> Self {
        self.ip = Some(Ip::V4 { src: src.into(), dst: dst.into(), ttl: 64, dscp: 0 });
        self.ether_type(EtherType::IPV4)
    }

    /// Over IPv6.
    pub fn ipv6(mut self, src: impl Into<Ipv6Addr>, dst: impl Into<Ipv6Addr>) -> Self {
        self.ip = Some(Ip::V6 { src: src.into(), dst: dst.into(), hops: 64, dscp: 0 });
        self.ether_type(EtherType::IPV6)
    }

    /// Sets the TTL or hop limit, which is 64 otherwise.
    pub fn ttl(mut self, hops: u8) -> Self {
        match &mut self.ip {
            Some(Ip::V4 { ttl, .. }) => *ttl = hops,
            Some(Ip::V6 { hops: limit, .. }) => *limit = hops,
            None => {}
        }
        self
    }

    /// Sets the differentiated services code point.
    pub fn dscp(mut self, code: u8) -> Self {
        if let Some(Ip::V4 { dscp, .. } | Ip::V6 { dscp, .. }) = &mut self.ip {
            *dscp = code;
        }
        self
    }

    /// Sets the IP protocol, for a payload of one's own. Checksums are filled in for TCP, UDP, ICMP
    /// and ICMPv6.
    pub fn protocol(mut self, protocol: IpProtocol) -> Self {
        self.transport = protocol;
        self
    }

    /// A TCP segment, pushing data.
    pub fn tcp(self, src_port: u16, dst_port: u16) -> Self {
        self.protocol(IpProtocol::TCP).header::<Tcp>(|tcp| {
            tcp.set_src_port(src_port);
            tcp.set_dst_port(dst_port);
            tcp.set_sequence(1);
            tcp.set_acknowledgment(1);
            tcp.set_flags(TcpFlags::ACK | TcpFlags::PSH);
            tcp.set_window(0xffff);
        })
    }

    /// Sets the flags of a TCP segment.
    ///
    /// # Panics
    /// When it is none.
    pub fn tcp_flags(mut self, flags: TcpFlags) -> Self {
        Tcp::parse_mut(&mut self.body).expect("tcp() comes first").0.set_flags(flags);
        self
    }

    /// Sets the number of a TCP segment's first byte, which is 1 else.
    ///
    /// # Panics
    /// When it is none.
    pub fn tcp_sequence(mut self, number: u32) -> Self {
        Tcp::parse_mut(&mut self.body).expect("tcp() comes first").0.set_sequence(number);
        self
    }

    /// A UDP datagram.
    pub fn udp(self, src_port: u16, dst_port: u16) -> Self {
        self.protocol(IpProtocol::UDP).header::<Udp>(|udp| {
            udp.set_src_port(src_port);
            udp.set_dst_port(dst_port);
        })
    }

    /// An ICMP echo request.
    pub fn icmp_echo(self, identifier: u16, sequence: u16) -> Self {
        self.protocol(IpProtocol::ICMP).header::<Icmp>(|icmp| {
            icmp.set_kind(IcmpType::ECHO_REQUEST);
            icmp.set_identifier(identifier);
            icmp.set_sequence(sequence);
        })
    }

    /// An ICMPv6 echo request.
    pub fn icmpv6_echo(self, identifier: u16, sequence: u16) -> Self {
        self.protocol(IpProtocol::ICMPV6)
            .header::<Icmpv6>(|icmp| icmp.set_kind(Icmpv6Type::ECHO_REQUEST))
            .payload(identifier.to_be_bytes())
            .payload(sequence.to_be_bytes())
    }

    /// An IPv6 neighbour solicitation for `target`, with the frame's source as link-layer address.
    pub fn neighbor_solicitation(self, target: impl Into<Ipv6Addr>) -> Self {
        let source = self.ethernet.0;
        self.protocol(IpProtocol::ICMPV6)
            .ttl(255)
            .header::<NeighborSolicitation>(|message| message.set_target(target.into()))
            .payload([1, 1])
            .payload(source.octets())
    }

    /// An IPv6 neighbour advertisement for `target`, with the frame's source as link-layer address.
    pub fn neighbor_advertisement(self, target: impl Into<Ipv6Addr>) -> Self {
        let source = self.ethernet.0;
        self.protocol(IpProtocol::ICMPV6)
            .ttl(255)
            .header::<NeighborAdvertisement>(|message| {
                message.set_flags(NeighborAdvertisement::SOLICITED | NeighborAdvertisement::OVERRIDE);
                message.set_target(target.into());
            })
            .payload([2, 1])
            .payload(source.octets())
    }

    /// Adds a header of any kind behind what there is, blank but for what `fill` sets.
    ///
    /// # Panics
    /// When a blank header of the kind cannot be made.
    pub fn header<H: Header + ?Sized>(mut self, fill: impl FnOnce(&mut H)) -> Self {
        let at = self.body.len();
        self.body.resize(at + H::BLANK.len(), 0);
        fill(placed(H::place(&mut self.body[at..])));
        self
    }

    /// Adds bytes at the end.
    pub fn payload(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.body.extend_from_slice(bytes.as_ref());
        self
    }

    /// What stands behind the IP header, or behind the tags where there is none, so far.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Adds zeros at the end of the built frame up to 60 bytes, as a card does.
    pub fn padded(self) -> Self {
        self.padded_to(60)
    }

    /// Adds zeros at the end of the built frame up to `bytes`.
    pub fn padded_to(mut self, bytes: usize) -> Self {
        self.shortest = bytes;
        self
    }

    /// The bytes.
    ///
    /// # Panics
    /// When the layers do not fit each other or their length fields.
    pub fn build(mut self) -> Vec<u8> {
        self.seal();
        let ip = match self.ip {
            None => 0,
            Some(Ip::V4 { .. }) => Ipv4::BLANK.len(),
            Some(Ip::V6 { .. }) => Ipv6::BLANK.len(),
        };
        let front = Ethernet::BLANK.len() + Vlan::BLANK.len() * self.tags.len() + ip;
        let mut frame = vec![0; front];
        frame.append(&mut self.body);

        let (ethernet, mut rest) = placed2(Ethernet::place(&mut frame));
        ethernet.set_src(self.ethernet.0);
        ethernet.set_dst(self.ethernet.1);
        let mut types = self.tags.iter().map(|tag| tag.tpid).chain([self.ether_type]);
        ethernet.set_ether_type(types.next().unwrap_or(self.ether_type));
        for (tag, next) in self.tags.iter().zip(types) {
            let (vlan, behind) = placed2(Vlan::place(rest));
            vlan.set_tci(tag.tci);
            vlan.set_ether_type(next);
            rest = behind;
        }
        match self.ip {
            None => {}
            Some(Ip::V4 { src, dst, ttl, dscp }) => {
                let ip = placed(Ipv4::place(rest));
                ip.set_src(src);
                ip.set_dst(dst);
                ip.set_ttl(ttl);
                ip.set_dscp(dscp);
                ip.set_protocol(self.transport);
                ip.fill_checksum();
            }
            Some(Ip::V6 { src, dst, hops, dscp }) => {
                let ip = placed(Ipv6::place(rest));
                ip.set_src(src);
                ip.set_dst(dst);
                ip.set_hop_limit(hops);
                ip.set_traffic_class(dscp << 2);
                ip.set_next_header(self.transport);
            }
        }
        frame.resize(frame.len().max(self.shortest), 0);
        frame
    }

    /// Fills in the length and the checksum of what IP carries.
    fn seal(&mut self) {
        let pseudo = match self.ip {
            None => return,
            Some(Ip::V4 { src, dst, .. }) => PseudoHeader::v4(src, dst, self.transport),
            Some(Ip::V6 { src, dst, .. }) => PseudoHeader::v6(src, dst, self.transport),
        };
        let body = &mut self.body;
        let sealed = match self.transport {
            IpProtocol::TCP => pseudo.fill_tcp(body),
            IpProtocol::UDP => {
                let payload = body.len() - Udp::BLANK.len();
                let udp = Udp::parse_front_mut(body).and_then(|(udp, _)| udp.set_payload_len(payload));
                udp.and_then(|()| pseudo.fill_udp(body))
            }
            IpProtocol::ICMP => Icmp::fill_checksum(body),
            IpProtocol::ICMPV6 => pseudo.fill_icmpv6(body),
            _ => Ok(()),
        };
        sealed.unwrap_or_else(|error| panic!("{error}"));
    }
}

fn placed2<'a, H: Header + ?Sized>(header: Result<(&'a mut H, &'a mut [u8]), Malformed>) -> (&'a mut H, &'a mut [u8]) {
    header.unwrap_or_else(|error| panic!("{error}"))
}

fn placed<'a, H: Header + ?Sized>(header: Result<(&'a mut H, &'a mut [u8]), Malformed>) -> &'a mut H {
    placed2(header).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Layer2;

    #[test]
    fn tags_stand_in_order() {
        let frame = Frame::ethernet(mac(1), mac(2)).qinq(5, 7).arp_request([10, 0, 0, 1], [10, 0, 0, 2]).build();
        let front = Layer2::parse(&frame).unwrap();
        let (outer, inner) = (front.outer.unwrap(), front.inner.unwrap());
        assert_eq!(
            (outer.tpid, outer.tci.vid(), inner.tpid, inner.tci.vid()),
            (EtherType::SERVICE_VLAN, 5, EtherType::VLAN, 7)
        );
        let (arp, rest) = Arp::parse(&frame[front.offset..]).unwrap();
        assert_eq!((arp.sender_mac(), arp.target_ip().octets(), rest.len()), (mac(1), [10, 0, 0, 2], 0));
    }

    #[test]
    fn checksums_hold_over_both_versions_of_ip() {
        let v4 = Frame::ethernet(mac(1), mac(2)).ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
        let v6 = Frame::ethernet(mac(1), mac(2)).ipv6([0xfd; 16], [0xfe; 16]);
        for frame in [
            v4.clone().tcp(1, 2),
            v4.clone().udp(1, 2),
            v6.clone().tcp(1, 2),
            v6.clone().udp(1, 2),
            v6.clone().icmpv6_echo(1, 2),
            v6.neighbor_solicitation([9; 16]),
        ] {
            let protocol = frame.transport;
            let bytes = frame.payload([1, 2, 3]).build();
            let rest = &bytes[14..];
            let ok = match Ipv4::parse(rest) {
                Ok((ip, payload)) => {
                    ip.checksum_ok() && ip.protocol() == protocol && PseudoHeader::of_ipv4(ip).verify(payload)
                }
                Err(_) => {
                    let (ip, payload) = Ipv6::parse(rest).unwrap();
                    ip.next_header() == protocol && PseudoHeader::v6(ip.src(), ip.dst(), protocol).verify(payload)
                }
            };
            assert!(ok, "{protocol} {bytes:02x?}");
        }
        let ping = v4.icmp_echo(1, 2).payload([3; 56]).build();
        assert_eq!(ping.len(), 98);
        assert!(Icmp::checksum_ok(&ping[34..]));
    }

    #[test]
    fn padding_is_beyond_the_lengths() {
        let frame = Frame::ethernet(mac(1), mac(2)).ipv4([1; 4], [2; 4]).udp(1, 2).padded().build();
        let (_, datagram) = Ipv4::parse(&frame[14..]).unwrap();
        assert_eq!((frame.len(), datagram.len()), (60, 8));
    }
}

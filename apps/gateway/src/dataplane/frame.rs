//! The first look at a frame: what it is, found once and carried beside it.

use super::addresses::UNTAGGED;
use super::classifier::{Classifier, NO_PROTOCOL, Verdict};
use super::drop;
use iogate::packet::vlan::TAG_LEN;
use iogate::packet::{EtherType, Ethernet, Header, IpProtocol, Ipv4, Ipv6, Malformed, Tcp, Udp, Vlan};
use iogate::pipeline::DropReason;

/// What a frame carries, as far as later stages care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// Nothing that is looked into.
    #[default]
    Other,
    /// ARP.
    Arp,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// ICMPv6, which neighbour discovery is part of.
    Icmpv6,
}

/// What is known of a frame. Travels beside it through the pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Where the layer above Ethernet starts: 14, or 18 behind a tag.
    pub offset: u8,
    /// Where ICMPv6 starts behind the IPv6 header.
    pub upper: u16,
    /// The VLAN it is tagged with, or [`UNTAGGED`], also when the tag carries a priority only.
    pub vlan: u16,
    /// What it carries.
    pub payload: Payload,
    /// The middle or the end of an IP packet, which tells neither ports nor protocol.
    pub later_fragment: bool,
    /// A piece of an IP packet.
    pub fragment: bool,
    /// Its class.
    pub class: u8,
    /// It is in that class because no class asks for it.
    pub unclaimed: bool,
    /// Its storage protocol, or [`NO_PROTOCOL`].
    pub protocol: u8,
    /// It claims no sender's address inside but the one in `sender`.
    pub plain: bool,
    /// The IPv4 address that a plain frame claims as its sender's, as it stands there, or 0.
    pub sender: u32,
    /// The attachment it came from; meaningless for frames from uplinks.
    pub attachment: u32,
    /// The network it is in.
    pub network: u16,
}

impl Meta {
    /// Looks at a frame of `len` bytes, of which `frame` are the first: all but for frames that are
    /// longer than a buffer.
    ///
    /// # Errors
    /// The reason to drop it, whoever sent it.
    #[inline]
    pub fn read(&mut self, frame: &[u8], len: usize, classifier: &Classifier) -> Result<(), DropReason> {
        let (ethernet, behind) = Ethernet::parse(frame).map_err(malformed)?;
        if !ethernet.src().is_unicast() {
            return Err(drop::BAD_SOURCE);
        }
        *self = Meta { offset: 14, vlan: UNTAGGED, protocol: NO_PROTOCOL, plain: true, ..Meta::default() };
        let (mut kind, mut behind) = (ethernet.ether_type(), behind);
        if kind == EtherType::VLAN {
            let (tag, rest) = Vlan::parse(behind).map_err(malformed)?;
            self.vlan = tag.tci().vid();
            self.offset += TAG_LEN as u8;
            (kind, behind) = (tag.ether_type(), rest);
        }
        if kind.is_vlan() {
            return Err(drop::NESTED_TAG);
        }
        if kind == EtherType::MAC_CONTROL {
            return Err(drop::MAC_CONTROL);
        }
        if ethernet.dst().is_link_local() {
            return Err(drop::LINK_LOCAL);
        }
        let verdict = match kind {
            EtherType::IPV4 => self.ipv4(behind, len, classifier)?,
            EtherType::IPV6 => self.ipv6(behind, len, classifier)?,
            EtherType::ARP => {
                (self.payload, self.plain) = (Payload::Arp, false);
                classifier.ether_type(kind)
            }
            _ => {
                self.nothing_hidden(kind, behind)?;
                classifier.ether_type(kind)
            }
        };
        self.protocol = verdict.protocol();
        (self.class, self.unclaimed) = classifier.class_of(verdict);
        Ok(())
    }

    /// Stations and switches there are that look behind more kinds of tag than the standard has, and
    /// behind LLC: what they would see there is not looked at here.
    fn nothing_hidden(&self, kind: EtherType, behind: &[u8]) -> Result<(), DropReason> {
        const VENDORS_TAGS: [EtherType; 3] = [EtherType(0x9100), EtherType(0x9200), EtherType(0x9300)];
        const SNAP: [u8; 3] = [0xaa, 0xaa, 3];
        if VENDORS_TAGS.contains(&kind) {
            return Err(drop::NESTED_TAG);
        }
        if kind.is_length() && behind.starts_with(&SNAP) { Err(drop::SNAP) } else { Ok(()) }
    }

    #[inline]
    fn ipv4(&mut self, bytes: &[u8], len: usize, classifier: &Classifier) -> Result<Verdict, DropReason> {
        let (ip, payload) = Ipv4::parse_front(bytes).map_err(malformed)?;
        self.must_fit(usize::from(ip.total_len()), len)?;
        self.payload = Payload::Ipv4;
        self.sender = u32::from_ne_bytes(ip.src().octets());
        self.fragment = ip.is_fragment();
        self.later_fragment = !ip.has_transport_header();
        self.transport(EtherType::IPV4, ip.protocol(), payload, classifier)
    }

    #[inline]
    fn ipv6(&mut self, bytes: &[u8], len: usize, classifier: &Classifier) -> Result<Verdict, DropReason> {
        let (ip, payload) = Ipv6::parse_front(bytes).map_err(malformed)?;
        self.must_fit(size_of::<Ipv6>() + usize::from(ip.payload_len()), len)?;
        let upper = ip.upper_layer(payload).map_err(malformed)?;
        (self.payload, self.plain) = (Payload::Ipv6, false);
        self.fragment = upper.fragment.is_some();
        self.later_fragment = !upper.has_transport_header();
        let rest = payload.get(upper.offset..).ok_or(drop::MALFORMED)?;
        if upper.protocol == IpProtocol::ICMPV6 {
            self.payload = Payload::Icmpv6;
            self.upper = upper.offset as u16;
        }
        self.transport(EtherType::IPV6, upper.protocol, rest, classifier)
    }

    /// The length that an IP header gives, against what there is of the frame.
    #[inline]
    fn must_fit(&self, packet: usize, frame: usize) -> Result<(), DropReason> {
        if usize::from(self.offset) + packet > frame { Err(drop::MALFORMED) } else { Ok(()) }
    }

    #[inline]
    fn transport(
        &self,
        kind: EtherType,
        protocol: IpProtocol,
        bytes: &[u8],
        classifier: &Classifier,
    ) -> Result<Verdict, DropReason> {
        let verdict = classifier.ip_protocol(classifier.ether_type(kind), protocol.0);
        if self.later_fragment {
            return Ok(verdict);
        }
        // Of a first fragment only the header must be there, not what the length in it promises.
        Ok(match protocol {
            IpProtocol::TCP => {
                let (tcp, _) = Tcp::parse_front(bytes).map_err(malformed)?;
                classifier.tcp(verdict, tcp.src_port(), tcp.dst_port())
            }
            IpProtocol::UDP => {
                let (udp, _) = Udp::parse_front(bytes).map_err(malformed)?;
                classifier.udp(verdict, udp.src_port(), udp.dst_port())
            }
            _ => verdict,
        })
    }
}

#[inline]
fn malformed(_: Malformed) -> DropReason {
    drop::MALFORMED
}

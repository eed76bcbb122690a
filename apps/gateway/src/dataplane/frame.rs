//! What a frame is, found once and carried beside it.

use super::addresses::{Address, UNTAGGED};
use super::classifier::{Classifier, NOTHING, VENDORS_TAGS, Verdict};
use super::drop;
use super::flows::Sight;
use super::ports::Transport;
use iogate::packet::vlan::TAG_LEN;
use iogate::packet::{EtherType, Ethernet, Header, IpProtocol, Ipv4, Ipv6, Malformed, Tcp, Udp, Vlan};
use iogate::pipeline::DropReason;

/// What a frame carries, as far as later stages care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Payload {
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

/// How much of an IP packet is in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Piece {
    /// All, or it is none.
    #[default]
    Whole,
    /// The beginning.
    First,
    /// The middle or the end, which tells neither ports nor protocol.
    Later,
}

impl Piece {
    fn new(is_fragment: bool, has_transport_header: bool) -> Self {
        match (is_fragment, has_transport_header) {
            (_, false) => Piece::Later,
            (true, true) => Piece::First,
            (false, true) => Piece::Whole,
        }
    }
}

/// What is known of a frame. Travels beside it through the pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Source and the VLAN it is tagged with: [`UNTAGGED`] also when the tag carries a priority only.
    pub(super) src: Address,
    /// Destination.
    pub(super) dst: Address,
    /// What matches it.
    pub(super) verdict: Verdict,
    /// The IPv4 address that a plain frame claims as its sender's, as it stands there, or 0.
    pub(super) sender: u32,
    /// The attachment it came from; meaningless for frames from uplinks.
    pub(super) attachment: u32,
    /// Bytes.
    pub(super) len: u32,
    /// The network it is in.
    pub(super) network: u16,
    /// Where ICMPv6 starts behind the IPv6 header.
    pub(super) upper: u16,
    /// Where the layer above Ethernet starts: 14, or 18 behind a tag.
    pub(super) offset: u8,
    /// What it carries.
    pub(super) payload: Payload,
    /// Its class.
    pub(super) class: u8,
    /// A bit for each [`Side`](crate::config::model::Side) on which it may be.
    pub(super) sides: u8,
    /// Its storage protocol, or [`NO_PROTOCOL`](super::classifier::NO_PROTOCOL).
    pub(super) protocol: u8,
    /// It claims no sender's address inside but the one in `sender`, and the source of an IPv6 header.
    pub(super) plain: bool,
    /// Whether it is a piece of an IP packet.
    pub(super) piece: Piece,
    /// Where all headers that were looked at end, bytes inside; 0 for what is no IP packet.
    pub(super) headers: u8,
    /// What [`Flows`](super::flows::Flows) saw of it.
    pub(super) sight: Sight,
}

impl Meta {
    /// Looks at a frame of `len` bytes, of which `frame` are the first: all but for frames that are
    /// longer than a buffer. `glance` is quicker, when it is enough.
    ///
    /// # Errors
    /// The reason to drop it, whoever sent it.
    #[cold]
    #[inline(never)]
    pub fn read(&mut self, frame: &[u8], len: usize, classifier: &Classifier) -> Result<(), DropReason> {
        let (ethernet, behind) = Ethernet::parse(frame).map_err(malformed)?;
        if !ethernet.src().is_unicast() {
            return Err(drop::BAD_SOURCE);
        }
        let (mut kind, mut behind, mut vlan) = (ethernet.ether_type(), behind, UNTAGGED);
        *self = Meta { offset: size_of::<Ethernet>() as u8, len: len as u32, sight: self.sight, ..Meta::default() };
        if kind == EtherType::VLAN {
            let (tag, rest) = Vlan::parse(behind).map_err(malformed)?;
            vlan = tag.tci().vid();
            self.offset += TAG_LEN as u8;
            (kind, behind) = (tag.ether_type(), rest);
        }
        (self.src, self.dst) = (Address::new(ethernet.src(), vlan), Address::new(ethernet.dst(), UNTAGGED));
        if kind.is_vlan() {
            return Err(drop::NESTED_TAG);
        }
        if kind == EtherType::MAC_CONTROL {
            return Err(drop::MAC_CONTROL);
        }
        if ethernet.dst().is_link_local() {
            return Err(drop::LINK_LOCAL);
        }
        let inside = match kind {
            EtherType::IPV4 => self.ipv4(behind, len, classifier)?,
            EtherType::IPV6 => self.ipv6(behind, len, classifier)?,
            EtherType::ARP => {
                self.payload = Payload::Arp;
                NOTHING
            }
            _ => {
                self.nothing_hidden(kind, behind)?;
                NOTHING
            }
        };
        self.verdict = classifier.kind(kind).verdict().and(inside);
        self.conclude(classifier);
        Ok(())
    }

    /// Whether there is a decision of before, and nothing else is known of it.
    #[inline]
    pub(super) fn is_known(&self) -> bool {
        matches!(self.sight, Sight::Known(_))
    }

    /// Says what follows from the verdict.
    #[inline]
    pub(super) fn conclude(&mut self, classifier: &Classifier) {
        let standing = classifier.standing(self.verdict);
        (self.protocol, self.class, self.sides) = (self.verdict.protocol(), standing.class, standing.sides);
    }

    /// Stations and switches there are that look behind more kinds of tag than the standard has, and
    /// behind LLC: what they would see there is not looked at here.
    fn nothing_hidden(&self, kind: EtherType, behind: &[u8]) -> Result<(), DropReason> {
        const SNAP: [u8; 3] = [0xaa, 0xaa, 3];
        if VENDORS_TAGS.contains(&kind) {
            return Err(drop::NESTED_TAG);
        }
        if kind.is_length() && behind.starts_with(&SNAP) { Err(drop::SNAP) } else { Ok(()) }
    }

    fn ipv4(&mut self, bytes: &[u8], len: usize, classifier: &Classifier) -> Result<Verdict, DropReason> {
        let (ip, payload) = Ipv4::parse_front(bytes).map_err(malformed)?;
        self.must_fit(usize::from(ip.total_len()), len)?;
        self.payload = Payload::Ipv4;
        self.piece = Piece::new(ip.is_fragment(), ip.has_transport_header());
        self.transport(ip.protocol(), payload, classifier)
    }

    fn ipv6(&mut self, bytes: &[u8], len: usize, classifier: &Classifier) -> Result<Verdict, DropReason> {
        let (ip, payload) = Ipv6::parse_front(bytes).map_err(malformed)?;
        self.must_fit(size_of::<Ipv6>() + usize::from(ip.payload_len()), len)?;
        let upper = ip.upper_layer(payload).map_err(malformed)?;
        self.payload = Payload::Ipv6;
        self.piece = Piece::new(upper.fragment.is_some(), upper.has_transport_header());
        let rest = payload.get(upper.offset..).ok_or(drop::MALFORMED)?;
        if upper.protocol == IpProtocol::ICMPV6 {
            self.payload = Payload::Icmpv6;
            self.upper = upper.offset as u16;
        }
        self.transport(upper.protocol, rest, classifier)
    }

    /// The length that an IP header gives, against what there is of the frame.
    fn must_fit(&self, packet: usize, frame: usize) -> Result<(), DropReason> {
        if usize::from(self.offset) + packet > frame { Err(drop::MALFORMED) } else { Ok(()) }
    }

    fn transport(&self, protocol: IpProtocol, bytes: &[u8], classifier: &Classifier) -> Result<Verdict, DropReason> {
        let verdict = classifier.above_ipv4(protocol.0).verdict;
        if self.piece == Piece::Later {
            return Ok(verdict);
        }
        // Of a first fragment only the header must be there, not what the length in it promises.
        let by_ports = match protocol {
            IpProtocol::TCP => {
                let (tcp, _) = Tcp::parse_front(bytes).map_err(malformed)?;
                classifier.ports(Transport::Tcp, tcp.src_port(), tcp.dst_port())
            }
            IpProtocol::UDP => {
                let (udp, _) = Udp::parse_front(bytes).map_err(malformed)?;
                classifier.ports(Transport::Udp, udp.src_port(), udp.dst_port())
            }
            _ => NOTHING,
        };
        Ok(verdict.and(by_ports))
    }
}

fn malformed(_: Malformed) -> DropReason {
    drop::MALFORMED
}

//! Work on a packet that its sender leaves to the card: a guest asks its virtio card to finish checksums and to
//! cut what it sends into segments, and vhost hands these wishes over with the packet. The next card may take
//! them, or software must do the work: see [`Outlet::finishing`](crate::pipeline::Outlet::finishing).

use super::Mbuf;
use crate::packet::{EtherType, Ethernet, Header, IpProtocol, Ipv4, Ipv6, Tcp, Udp, Vlan};

/// `RTE_MBUF_F_RX_L4_CKSUM_NONE`: both bits. The checksum is that of the pseudo header alone.
const CHECKSUM_LEFT: u64 = 1 << 3 | 1 << 8;
/// `RTE_MBUF_F_RX_LRO`: to be cut into segments of `tso_segsz` bytes.
const CUTTING_LEFT: u64 = 1 << 16;

const TX_TCP_SEG: u64 = 1 << 50;
const TX_TCP_CHECKSUM: u64 = 1 << 52;
const TX_UDP_CHECKSUM: u64 = 3 << 52;
const TX_IPV4: u64 = 1 << 55;
const TX_IPV6: u64 = 1 << 56;

/// Where `tso_segsz` stands in `tx_offload`, and how much stands before it.
const SEGMENT_SHIFT: u32 = 24;

/// Where software's own note of what is inside of a tunnel stands: in place of DPDK's lengths of the outer headers.
const INSIDE_SHIFT: u32 = 40;

/// Lengths of the headers of a whole TCP or UDP packet, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderLengths {
    /// Ethernet, and a tag if it has one; of what is inside of a tunnel, all that is before its IP header.
    pub l2: usize,
    /// IP, with options and extension headers.
    pub l3: usize,
    /// TCP with options, or UDP.
    pub l4: usize,
    /// Whether it is IPv6, and not IPv4.
    pub ipv6: bool,
    /// Whether it is UDP, and not TCP.
    pub udp: bool,
}

impl HeaderLengths {
    /// Of a frame whose headers are all there; nothing for fragments, frames with several tags, and all else.
    pub fn of(frame: &[u8]) -> Option<HeaderLengths> {
        let (kind, l2) = outermost(frame)?;
        Self::of_ip(frame, kind, l2)
    }

    /// Of the packet in a tunnel whose IP header begins at `inside`.
    pub fn inside(frame: &[u8], inside: usize) -> Option<HeaderLengths> {
        let kind = match frame.get(inside)? >> 4 {
            4 => EtherType::IPV4,
            6 => EtherType::IPV6,
            _ => return None,
        };
        Self::of_ip(frame, kind, inside)
    }

    fn of_ip(frame: &[u8], kind: EtherType, l2: usize) -> Option<HeaderLengths> {
        let rest = frame.get(l2..)?;
        let (l3, protocol, rest) = match kind {
            EtherType::IPV4 => {
                let (ip, behind) = Ipv4::parse_front(rest).ok()?;
                if ip.is_fragment() {
                    return None;
                }
                (ip.header_len(), ip.protocol(), behind)
            }
            EtherType::IPV6 => {
                let (ip, behind) = Ipv6::parse_front(rest).ok()?;
                let upper = ip.upper_layer(behind).ok()?;
                if upper.fragment.is_some() {
                    return None;
                }
                (size_of::<Ipv6>() + upper.offset, upper.protocol, behind.get(upper.offset..)?)
            }
            _ => return None,
        };
        let l4 = match protocol {
            IpProtocol::TCP => Tcp::parse_front(rest).ok()?.0.header_len(),
            IpProtocol::UDP => {
                Udp::parse_front(rest).ok()?;
                size_of::<Udp>()
            }
            _ => return None,
        };
        Some(HeaderLengths { l2, l3, l4, ipv6: kind == EtherType::IPV6, udp: protocol == IpProtocol::UDP })
    }

    /// What each piece has in front: fragments of a datagram have no UDP header, but for the first, whose payload it
    /// counts as.
    pub(crate) fn copied(&self) -> usize {
        self.l2 + self.l3 + if self.udp { 0 } else { self.l4 }
    }

    /// As DPDK packs them; nothing when they are too long for that.
    fn packed(&self) -> Option<u64> {
        let fits = self.l2 < 1 << 7 && self.l3 < 1 << 9 && self.l4 < 1 << 8;
        fits.then_some((self.l2 | self.l3 << 7 | self.l4 << 16) as u64)
    }
}

/// What a frame has behind Ethernet, and behind a tag if it has one, and where.
pub(crate) fn outermost(frame: &[u8]) -> Option<(EtherType, usize)> {
    let (ethernet, rest) = Ethernet::parse(frame).ok()?;
    let (kind, l2) = (ethernet.ether_type(), size_of::<Ethernet>());
    if kind != EtherType::VLAN {
        return Some((kind, l2));
    }
    let (vlan, _) = Vlan::parse(rest).ok()?;
    Some((vlan.ether_type(), l2 + size_of::<Vlan>()))
}

impl Mbuf {
    /// Whether its sender left work to the card.
    #[inline]
    pub fn is_unfinished(&self) -> bool {
        let flags = self.flags();
        flags & CHECKSUM_LEFT == CHECKSUM_LEFT || flags & CUTTING_LEFT != 0
    }

    /// The most payload of each segment, bytes, that its sender wants it cut into; nothing when it is to be sent
    /// as it is.
    #[inline]
    pub fn segment_size(&self) -> Option<u16> {
        (self.flags() & CUTTING_LEFT != 0).then(|| (self.head().tx_offload >> SEGMENT_SHIFT) as u16)
    }

    /// Leaves the checksum of TCP or UDP to be finished and, if a size is given, the packet to be cut: what vhost
    /// does for a guest.
    pub fn leave_unfinished(&mut self, segment_size: Option<u16>) {
        let head = self.head_mut();
        head.ol_flags |= CHECKSUM_LEFT;
        if let Some(size) = segment_size {
            head.ol_flags |= CUTTING_LEFT;
            head.tx_offload = u64::from(size) << SEGMENT_SHIFT;
        }
    }

    /// Leaves TCP inside of a tunnel to be cut into segments of at most `segment_size` bytes of payload. The inner IP
    /// header begins at `inside`; what is before it goes before each segment, lengths and checksums of IP and UDP
    /// mended. False, and nothing done, when the headers are not there, or of another kind. Only software does it.
    #[must_use]
    pub fn leave_tunnel_to_cut(&mut self, segment_size: u16, inside: u16) -> bool {
        let Some((EtherType::IPV4 | EtherType::IPV6, l2)) = outermost(self.data()) else { return false };
        // From the outer IP header on: a tag may still be put before it.
        let behind = usize::from(inside).saturating_sub(l2);
        let tcp = HeaderLengths::inside(self.data(), inside.into()).is_some_and(|lengths| !lengths.udp);
        if behind == 0 || !tcp {
            return false;
        }
        self.leave_unfinished(Some(segment_size));
        self.head_mut().tx_offload |= (behind as u64) << INSIDE_SHIFT;
        true
    }

    /// How far behind the outer IP header the inner one is, where that is to be cut; otherwise 0.
    fn inside_to_cut(&self) -> usize {
        if self.flags() & CUTTING_LEFT == 0 { 0 } else { (self.head().tx_offload >> INSIDE_SHIFT) as u16 as usize }
    }

    /// Whether it is to be cut inside of a tunnel.
    pub(crate) fn cuts_inside(&self) -> bool {
        self.inside_to_cut() > 0
    }

    /// The lengths of the headers that its sender left work about.
    pub(crate) fn unfinished_lengths(&self) -> Option<HeaderLengths> {
        match self.inside_to_cut() {
            0 => HeaderLengths::of(self.data()),
            behind => HeaderLengths::inside(self.data(), outermost(self.data())?.1 + behind),
        }
    }

    /// Says that nothing is left to do.
    pub(crate) fn set_finished(&mut self) {
        let head = self.head_mut();
        head.ol_flags &= !(CHECKSUM_LEFT | CUTTING_LEFT);
        head.tx_offload = 0;
    }

    /// Asks the card that it is sent to for the work. False, and nothing done, when the headers are too long to
    /// say so.
    pub(crate) fn ask_card(&mut self, lengths: HeaderLengths) -> bool {
        let HeaderLengths { ipv6, udp, .. } = lengths;
        let (Some(packed), size) = (lengths.packed(), self.segment_size()) else { return false };
        let head = self.head_mut();
        head.ol_flags &= !(CHECKSUM_LEFT | CUTTING_LEFT);
        head.ol_flags |= if ipv6 { TX_IPV6 } else { TX_IPV4 };
        head.ol_flags |= if udp { TX_UDP_CHECKSUM } else { TX_TCP_CHECKSUM };
        if size.is_some() {
            head.ol_flags |= TX_TCP_SEG;
        }
        head.tx_offload = packed | u64::from(size.unwrap_or(0)) << SEGMENT_SHIFT;
        true
    }

    /// Says beside the packet where its headers are and what they are (`RTE_PTYPE_*`). False, and nothing done, when they
    /// are too long to say so.
    pub(super) fn say_lengths(&mut self, lengths: HeaderLengths, packet_type: u32) -> bool {
        let Some(packed) = lengths.packed() else { return false };
        let head = self.head_mut();
        (head.tx_offload, head.packet_type) = (packed, packet_type);
        true
    }
}

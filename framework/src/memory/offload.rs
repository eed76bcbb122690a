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

/// Lengths of the headers of a whole TCP or UDP packet, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderLengths {
    /// Ethernet, and a tag if it has one.
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
        let (ethernet, mut rest) = Ethernet::parse(frame).ok()?;
        let (mut kind, mut l2) = (ethernet.ether_type(), size_of::<Ethernet>());
        if kind == EtherType::VLAN {
            let (vlan, behind) = Vlan::parse(rest).ok()?;
            (kind, rest) = (vlan.ether_type(), behind);
            l2 += size_of::<Vlan>();
        }
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

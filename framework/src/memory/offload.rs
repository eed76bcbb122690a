//! Work on a packet that its sender leaves to the card: a guest asks its virtio card to finish checksums and to
//! cut what it sends into segments, and vhost hands these wishes over with the packet. The next card may take
//! them, or software must do the work: see [`Outlet::finishing`](crate::pipeline::Outlet::finishing).

use super::Mbuf;

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

/// Lengths of the headers of a packet, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeaderLengths {
    /// Ethernet and tags.
    pub(crate) l2: usize,
    /// IP, with options and extension headers.
    pub(crate) l3: usize,
    /// TCP with options, or UDP.
    pub(crate) l4: usize,
    pub(crate) ipv6: bool,
    pub(crate) udp: bool,
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
        let HeaderLengths { l2, l3, l4, ipv6, udp } = lengths;
        if l2 >= 1 << 7 || l3 >= 1 << 9 || l4 >= 1 << 8 {
            return false;
        }
        let size = self.segment_size();
        let head = self.head_mut();
        head.ol_flags &= !(CHECKSUM_LEFT | CUTTING_LEFT);
        head.ol_flags |= if ipv6 { TX_IPV6 } else { TX_IPV4 };
        head.ol_flags |= if udp { TX_UDP_CHECKSUM } else { TX_TCP_CHECKSUM };
        if size.is_some() {
            head.ol_flags |= TX_TCP_SEG;
        }
        head.tx_offload = (l2 | l3 << 7 | l4 << 16) as u64 | u64::from(size.unwrap_or(0)) << SEGMENT_SHIFT;
        true
    }
}

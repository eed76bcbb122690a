//! One packet.

use crate::packet::vlan::{self, TAG_LEN};
use crate::packet::{EtherType, Ethernet, Header, Malformed, Tci, VlanTag};
use std::ptr::NonNull;
use std::slice;

/// A packet: one buffer, or a chain of them, with one owner.
///
/// Reading and writing work on the first segment, where the headers are; [`Mbuf::linearize`] makes
/// the whole packet contiguous. Lengths are in bytes, without the frame check sequence.
#[derive(Debug)]
#[repr(transparent)]
pub struct Mbuf(NonNull<dpdk_sys::rte_mbuf>);

// SAFETY: an mbuf is plain memory with one owner, and pools take buffers back from any thread.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// # Safety
    /// `raw` is a valid mbuf whose reference count is 1 and whose only owner is the caller.
    pub(crate) unsafe fn from_raw(raw: *mut dpdk_sys::rte_mbuf) -> Self {
        // SAFETY: valid, so not null.
        Mbuf(unsafe { NonNull::new_unchecked(raw) })
    }

    pub(super) fn head(&self) -> &dpdk_sys::rte_mbuf {
        // SAFETY: owned, so valid, and nobody else writes it.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn head_mut(&mut self) -> &mut dpdk_sys::rte_mbuf {
        // SAFETY: owned, so valid, and nobody else has it.
        unsafe { self.0.as_mut() }
    }

    /// Bytes in the whole packet.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "an empty packet is not a case that anybody asks about")]
    pub fn len(&self) -> usize {
        self.head().pkt_len as usize
    }

    /// Buffers in the chain, 1 for most packets.
    #[inline]
    pub fn segments(&self) -> usize {
        usize::from(self.head().nb_segs)
    }

    /// The data of the first segment.
    #[inline]
    pub fn data(&self) -> &[u8] {
        let head = self.head();
        // SAFETY: DPDK keeps data_off + data_len <= buf_len of an allocation that the mbuf owns.
        unsafe { slice::from_raw_parts(data_start(head), usize::from(head.data_len)) }
    }

    /// The data of each segment, in order.
    #[inline]
    pub fn segment_data(&self) -> impl Iterator<Item = &[u8]> {
        let mut next = Some(self.head());
        std::iter::from_fn(move || {
            let segment = next?;
            // SAFETY: the packet owns its whole chain, whose end is null.
            next = unsafe { segment.next.as_ref() };
            // SAFETY: as in `data`.
            Some(unsafe { slice::from_raw_parts(data_start(segment), usize::from(segment.data_len)) })
        })
    }

    /// Puts another packet behind this one, which becomes one of more segments. Gives it back when
    /// that would be too many.
    #[inline]
    pub fn chain(&mut self, tail: Mbuf) -> Result<(), Mbuf> {
        // SAFETY: both are owned and valid, and two packets; on success the first owns both.
        match unsafe { dpdk_sys::shim_chain(self.0.as_ptr(), tail.0.as_ptr()) } {
            0 => {
                std::mem::forget(tail);
                Ok(())
            }
            _ => Err(tail),
        }
    }

    /// The data of the first segment, to be changed.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [u8] {
        let head = self.head_mut();
        // SAFETY: as in `data`; the reference count is 1, so nobody else reads these bytes.
        unsafe { slice::from_raw_parts_mut(data_start(head), usize::from(head.data_len)) }
    }

    /// The first `N` bytes, whether the data reaches so far or not: behind its end stands whatever the
    /// buffer was used for before. For parsers that read all headers alike and see afterwards which of
    /// them were there. Nothing when the packet has several segments, or the buffer ends before.
    #[inline]
    pub fn front<const N: usize>(&self) -> Option<&[u8; N]> {
        let head = self.head();
        if head.nb_segs != 1 || usize::from(head.data_off) + N > usize::from(head.buf_len) {
            return None;
        }
        // SAFETY: the buffer has `buf_len` bytes, all of them initialised when its pool was mapped, and
        // nobody else writes to them.
        Some(unsafe { &*data_start(head).cast::<[u8; N]>() })
    }

    /// Brings the start of the data closer: for all packets of a batch before the first is read.
    #[inline]
    pub fn prefetch(&self) {
        super::prefetch_at(data_start(self.head()));
    }

    /// The header at the front of the packet.
    #[inline]
    pub fn header<H: Header + ?Sized>(&self) -> Result<&H, Malformed> {
        H::parse(self.data()).map(|(header, _)| header)
    }

    /// The header at the front of the packet, to be changed.
    #[inline]
    pub fn header_mut<H: Header + ?Sized>(&mut self) -> Result<&mut H, Malformed> {
        H::parse_mut(self.data_mut()).map(|(header, _)| header)
    }

    /// Free bytes in front of the data.
    pub fn headroom(&self) -> usize {
        usize::from(self.head().data_off)
    }

    /// Free bytes behind the data of the first segment.
    pub fn tailroom(&self) -> usize {
        let head = self.head();
        usize::from(head.buf_len).saturating_sub(usize::from(head.data_off) + usize::from(head.data_len))
    }

    /// Grows the packet at its front and returns the new bytes, whose content is arbitrary; nothing
    /// when the headroom is too small.
    #[inline]
    pub fn prepend(&mut self, bytes: usize) -> Option<&mut [u8]> {
        if bytes > self.headroom() || bytes > usize::from(u16::MAX - self.head().data_len) {
            return None;
        }
        let head = self.head_mut();
        head.data_off -= bytes as u16;
        head.data_len += bytes as u16;
        head.pkt_len += bytes as u32;
        Some(&mut self.data_mut()[..bytes])
    }

    /// Cuts bytes off the front. False, and nothing done, when the first segment has fewer.
    #[inline]
    #[must_use]
    pub fn trim_front(&mut self, bytes: usize) -> bool {
        if bytes > usize::from(self.head().data_len) {
            return false;
        }
        let head = self.head_mut();
        head.data_off += bytes as u16;
        head.data_len -= bytes as u16;
        head.pkt_len -= bytes as u32;
        true
    }

    /// [`prepend`](Mbuf::prepend) and [`trim_front`](Mbuf::trim_front) in one, without a branch for the
    /// direction: grows the packet at its front by `longer` bytes and shortens it by `shorter`. False,
    /// and nothing done, when the headroom or the first segment is too small for the difference.
    #[inline]
    #[must_use]
    pub fn move_front(&mut self, longer: u16, shorter: u16) -> bool {
        let more = i32::from(longer) - i32::from(shorter);
        let head = self.head_mut();
        let (offset, len) = (i32::from(head.data_off) - more, i32::from(head.data_len) + more);
        // Neither is negative or too large.
        if (offset | len) as u32 > u32::from(u16::MAX) {
            return false;
        }
        (head.data_off, head.data_len) = (offset as u16, len as u16);
        head.pkt_len = head.pkt_len.wrapping_add_signed(more);
        true
    }

    /// Grows a packet of one segment at its end and returns the new bytes, whose content is
    /// arbitrary; nothing when the tailroom is too small or there are several segments.
    pub fn append(&mut self, bytes: usize) -> Option<&mut [u8]> {
        if bytes > self.tailroom() || self.segments() != 1 {
            return None;
        }
        let head = self.head_mut();
        let before = usize::from(head.data_len);
        head.data_len += bytes as u16;
        head.pkt_len += bytes as u32;
        Some(&mut self.data_mut()[before..])
    }

    /// Cuts a packet of one segment to `bytes`. False, and nothing done, when it is shorter or has
    /// several segments.
    #[must_use]
    pub fn truncate(&mut self, bytes: usize) -> bool {
        if bytes > self.len() || self.segments() != 1 {
            return false;
        }
        let head = self.head_mut();
        head.data_len = bytes as u16;
        head.pkt_len = bytes as u32;
        true
    }

    /// Makes the whole packet contiguous in its first segment. False when it does not fit there.
    #[must_use]
    #[inline]
    pub fn linearize(&mut self) -> bool {
        // SAFETY: owned and valid.
        self.segments() == 1 || unsafe { dpdk_sys::shim_linearize(self.0.as_ptr()) } == 0
    }

    /// A deep copy from the pool that this packet's first buffer came from; nothing when that has
    /// run dry.
    pub fn copy(&self) -> Option<Mbuf> {
        // SAFETY: owned and valid; a copy from offset 0 of any length.
        let raw = unsafe { dpdk_sys::rte_pktmbuf_copy(self.0.as_ptr(), self.head().pool, 0, u32::MAX) };
        // SAFETY: a fresh packet with one owner, unless null.
        (!raw.is_null()).then(|| unsafe { Mbuf::from_raw(raw) })
    }

    /// An empty packet from the pool that this one's first buffer came from; nothing when that has run dry.
    pub(crate) fn alloc_like(&self) -> Option<Mbuf> {
        let mut mbuf = std::ptr::null_mut();
        // SAFETY: the pool lives as long as a buffer of it is out; room for one pointer is given, and one is asked for.
        let result = unsafe { dpdk_sys::shim_alloc_bulk(self.head().pool, &mut mbuf, 1) };
        // SAFETY: a fresh mbuf with one owner.
        (result == 0).then(|| unsafe { Mbuf::from_raw(mbuf) })
    }

    /// DPDK's number of the port that received it.
    pub fn port(&self) -> u16 {
        self.head().port
    }

    /// What its device says it is (`RTE_PTYPE_*`), 0 when nothing.
    pub fn packet_type(&self) -> u32 {
        self.head().packet_type
    }

    /// `RTE_MBUF_F_*`.
    pub fn flags(&self) -> u64 {
        self.head().ol_flags
    }

    /// The hash that its device spread it by, when it says so.
    pub fn rss_hash(&self) -> Option<u32> {
        const RSS_HASH: u64 = 1 << 1;
        (self.flags() & RSS_HASH != 0).then(|| self.head().hash_rss)
    }

    /// The VLAN tag that its device took off, when it says so.
    #[inline]
    pub fn stripped_vlan(&self) -> Option<u16> {
        (self.flags() & VLAN_STRIPPED != 0).then(|| self.head().vlan_tci)
    }

    /// Puts the VLAN tag back that its device took off; nothing to do when there is none. False, and
    /// nothing done, when there is no headroom for it, or no addresses to put it behind.
    #[inline]
    #[must_use]
    pub fn restore_vlan(&mut self) -> bool {
        let Some(tci) = self.stripped_vlan().map(Tci) else { return true };
        if self.data().len() < size_of::<Ethernet>() || self.prepend(TAG_LEN).is_none() {
            return false;
        }
        self.head_mut().ol_flags &= !(VLAN | VLAN_STRIPPED);
        vlan::insert(self.data_mut(), VlanTag { tpid: EtherType::VLAN, tci }).is_ok()
    }

    /// Takes the VLAN tag off and keeps it beside the data, as devices that strip tags do. False, and
    /// nothing done, when it has none.
    #[must_use]
    pub fn strip_vlan(&mut self) -> bool {
        if !self.header::<Ethernet>().is_ok_and(|ethernet| ethernet.ether_type() == EtherType::VLAN) {
            return false;
        }
        let Ok(Some(tag)) = vlan::remove(self.data_mut()) else { return false };
        self.note_tags(tag.tci.0, None);
        self.trim_front(TAG_LEN)
    }

    /// Lets the packet have several owners, which may read and send it.
    pub fn share(self) -> SharedMbuf {
        SharedMbuf(self)
    }
}

/// `RTE_MBUF_F_RX_VLAN`: a tag was seen.
const VLAN: u64 = 1 << 0;
/// `RTE_MBUF_F_RX_VLAN_STRIPPED`: it stands in `vlan_tci` alone.
const VLAN_STRIPPED: u64 = 1 << 6;

fn data_start(head: &dpdk_sys::rte_mbuf) -> *mut u8 {
    head.buf_addr.cast::<u8>().wrapping_add(usize::from(head.data_off))
}

impl Drop for Mbuf {
    fn drop(&mut self) {
        // SAFETY: this is the owner, and it is gone after this.
        unsafe { dpdk_sys::shim_free(self.0.as_ptr()) };
    }
}

/// A packet with several owners: it can be read and sent, not changed. Cloning costs one count.
///
/// A driver that hands buffers over instead of bytes (a ring port) gets a copy of its own, so that
/// what comes out at the other end has one owner again.
#[derive(Debug)]
pub struct SharedMbuf(Mbuf);

impl SharedMbuf {
    /// The data of the first segment.
    pub fn data(&self) -> &[u8] {
        self.0.data()
    }

    /// Bytes in the whole packet.
    #[allow(clippy::len_without_is_empty, reason = "an empty packet is not a case that anybody asks about")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Buffers in the chain, 1 for most packets.
    pub fn segments(&self) -> usize {
        self.0.segments()
    }

    /// Whether its sender left work to the card: see [`Mbuf::is_unfinished`].
    #[inline]
    pub fn is_unfinished(&self) -> bool {
        self.0.is_unfinished()
    }

    /// A deep copy with one owner; nothing when the pool has run dry.
    pub fn copy(&self) -> Option<Mbuf> {
        self.0.copy()
    }

    /// One of the owners, as something that can be put in a batch. What is made of it must only be
    /// given to a driver that reads it: others may own the same buffer.
    pub(crate) fn into_owner(self) -> Mbuf {
        self.0
    }
}

impl Clone for SharedMbuf {
    fn clone(&self) -> Self {
        let raw = self.0.0;
        // SAFETY: this owner keeps it alive, and the new owner is counted before it exists.
        unsafe { dpdk_sys::shim_refcnt_update(raw.as_ptr(), 1) };
        SharedMbuf(Mbuf(raw))
    }
}

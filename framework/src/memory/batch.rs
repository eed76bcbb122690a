//! Up to 32 packets and what is known about each.

use super::Mbuf;
use crate::packet::Header;
use std::mem::MaybeUninit;

/// Packets in a full batch: what a burst receives at most.
pub const BURST: usize = 32;

/// Up to `N` packets, each with metadata `M`, without a heap allocation. What is left in it when it
/// is dropped goes back to the pools in one call.
///
/// ```
/// # fn main() -> iogate::Result<()> {
/// use iogate::prelude::*;
///
/// let eal = Eal::builder().memory_mb(64).start()?;
/// let pool = eal.pool("example").buffers(256).create()?;
/// let mut batch: Batch<u32> = Batch::new();
/// pool.alloc_bulk(&mut batch, 4);
/// for (packet, number) in batch.iter_mut() {
///     packet.append(60);
///     *number += 7;
/// }
/// assert!(batch.iter().all(|(packet, number)| packet.len() == 60 && *number == 7));
/// # Ok(())
/// # }
/// ```
pub struct Batch<M = (), const N: usize = BURST> {
    // The first `len` of both are initialised, and the mbufs owned.
    mbufs: [MaybeUninit<Mbuf>; N],
    meta: [MaybeUninit<M>; N],
    len: usize,
}

impl<M: Copy + Default, const N: usize> Default for Batch<M, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Copy + Default, const N: usize> Batch<M, N> {
    /// An empty batch.
    pub fn new() -> Self {
        Batch { mbufs: [const { MaybeUninit::uninit() }; N], meta: [const { MaybeUninit::uninit() }; N], len: 0 }
    }

    /// Packets in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no more fit.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == N
    }

    /// The packets, to be read.
    #[inline]
    pub fn packets(&self) -> &[Mbuf] {
        // SAFETY: the first `len` are initialised.
        unsafe { self.mbufs[..self.len].assume_init_ref() }
    }

    /// The packets, to be changed.
    #[inline]
    pub fn packets_mut(&mut self) -> &mut [Mbuf] {
        // SAFETY: the first `len` are initialised.
        unsafe { self.mbufs[..self.len].assume_init_mut() }
    }

    /// The metadata, in the packets' order.
    #[inline]
    pub fn meta(&self) -> &[M] {
        // SAFETY: the first `len` are initialised.
        unsafe { self.meta[..self.len].assume_init_ref() }
    }

    /// Packets and metadata apart, to be changed.
    #[inline]
    pub fn split_mut(&mut self) -> (&mut [Mbuf], &mut [M]) {
        // SAFETY: the first `len` of both are initialised.
        unsafe { (self.mbufs[..self.len].assume_init_mut(), self.meta[..self.len].assume_init_mut()) }
    }

    /// Each packet with its metadata.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Mbuf, &M)> {
        self.packets().iter().zip(self.meta())
    }

    /// Each packet with its metadata, to be changed.
    #[inline]
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&mut Mbuf, &mut M)> {
        let (packets, meta) = self.split_mut();
        packets.iter_mut().zip(meta)
    }

    /// The header `H` at the front of each packet that has one.
    #[inline]
    pub fn headers_mut<H: Header + ?Sized + 'static>(&mut self) -> impl Iterator<Item = &mut H> {
        self.packets_mut().iter_mut().filter_map(|packet| packet.header_mut::<H>().ok())
    }

    /// Adds a packet at the end, or gives it back when the batch is full.
    #[inline]
    pub fn push(&mut self, packet: Mbuf, meta: M) -> Result<(), Mbuf> {
        // A comparison that proves both indices too.
        let len = self.len;
        if len >= N {
            return Err(packet);
        }
        self.mbufs[len].write(packet);
        self.meta[len].write(meta);
        self.len = len + 1;
        Ok(())
    }

    /// Gives all packets back to their pools, in one call.
    #[inline]
    pub fn clear(&mut self) {
        let len = self.len;
        if len > 0 {
            self.len = 0;
            // SAFETY: the first `len` were owned packets, and the batch calls itself empty already.
            unsafe { dpdk_sys::rte_pktmbuf_free_bulk(self.mbufs.as_mut_ptr().cast(), len as u32) };
        }
    }

    /// Takes all packets out, in order.
    #[inline]
    pub fn drain(&mut self) -> impl Iterator<Item = (Mbuf, M)> {
        Drain { end: std::mem::replace(&mut self.len, 0), next: 0, batch: self }
    }

    /// Offers packets from the front on to `work`, which is told their places too, until it gives one back. That and
    /// those behind it stay. Returns how many are gone.
    #[inline]
    pub fn offer_each(&mut self, mut work: impl FnMut(usize, Mbuf, &mut M) -> Result<(), Mbuf>) -> usize {
        let end = std::mem::replace(&mut self.len, 0).min(N);
        // Closes the gap when it goes, also when the closure panics.
        let mut rest = Sieve { batch: self, kept: 0, next: 0, end };
        while rest.next < rest.end {
            let at = rest.next;
            rest.next += 1;
            // SAFETY: each of the first `end` is read once, and the batch calls itself empty meanwhile.
            let packet = unsafe { rest.batch.mbufs[at].assume_init_read() };
            // SAFETY: as above.
            if let Err(packet) = work(at, packet, unsafe { rest.batch.meta[at].assume_init_mut() }) {
                rest.batch.mbufs[at].write(packet);
                rest.next = at;
                break;
            }
        }
        rest.next
    }

    /// Keeps the packets that `keep` returns nothing for, in order, and hands the others with what
    /// it returned to `removed`.
    #[inline]
    pub fn remove_if<R>(
        &mut self,
        mut decide: impl FnMut(&mut Mbuf, &mut M) -> Option<R>,
        mut removed: impl FnMut(Mbuf, M, R),
    ) {
        let end = std::mem::replace(&mut self.len, 0);
        // Closes the gap when it goes, also when a closure panics.
        let mut sieve = Sieve { batch: self, kept: 0, next: 0, end };
        while sieve.next < sieve.end {
            let (at, kept, batch) = (sieve.next, sieve.kept, &mut *sieve.batch);
            // SAFETY: slots from `next` on are initialised and have not been moved.
            let (packet, meta) = unsafe { (batch.mbufs[at].assume_init_mut(), batch.meta[at].assume_init_mut()) };
            match decide(packet, meta) {
                None => {
                    if kept != at {
                        batch.mbufs.swap(kept, at);
                        batch.meta.swap(kept, at);
                    }
                    sieve.kept += 1;
                    sieve.next += 1;
                }
                Some(reason) => {
                    // SAFETY: read once: the slot becomes part of the gap.
                    let (packet, meta) = unsafe { (batch.mbufs[at].assume_init_read(), batch.meta[at].assume_init()) };
                    sieve.next += 1;
                    removed(packet, meta, reason);
                }
            }
        }
    }

    /// Receives: `fill` writes at most as many as it is told there is room for, and says how many.
    #[inline]
    pub(crate) fn fill_raw(
        &mut self,
        most: usize,
        fill: impl FnOnce(*mut *mut dpdk_sys::rte_mbuf, usize) -> usize,
    ) -> usize {
        let free = (N - self.len).min(most);
        // SAFETY: there are `N` slots, and `len` of them are used at most. `Mbuf` is a transparent pointer, so an array
        // of slots is an array of raw pointers.
        let slots = unsafe { self.mbufs.as_mut_ptr().add(self.len).cast() };
        let count = fill(slots, free).min(free);
        let end = self.len + count;
        if size_of::<M>() > 0 {
            for meta in &mut self.meta[self.len..end] {
                meta.write(M::default());
            }
        }
        self.len = end;
        count
    }

    /// Sends: `take` consumes the first of at most `most` packets and says how many; the rest stay, in order. It is not
    /// asked to take none.
    #[inline]
    pub(crate) fn take_raw(
        &mut self,
        most: usize,
        take: impl FnOnce(*mut *mut dpdk_sys::rte_mbuf, usize) -> usize,
    ) -> usize {
        let end = self.len;
        let count = end.min(most);
        if count == 0 {
            return 0;
        }
        self.len = 0;
        let taken = take(self.mbufs.as_mut_ptr().cast(), count).min(count);
        if taken < end {
            self.close_gap(taken, end);
        }
        taken
    }

    /// Moves what is left of `end` packets without the first `taken` of them to the front.
    #[cold]
    fn close_gap(&mut self, taken: usize, end: usize) {
        for at in taken..end {
            self.mbufs.swap(at - taken, at);
            self.meta.swap(at - taken, at);
        }
        self.len = end - taken;
    }
}

impl<M, const N: usize> Drop for Batch<M, N> {
    fn drop(&mut self) {
        let len = std::mem::replace(&mut self.len, 0);
        if len > 0 {
            // SAFETY: the first `len` are owned packets, and nobody reads them after this.
            unsafe { dpdk_sys::rte_pktmbuf_free_bulk(self.mbufs.as_mut_ptr().cast(), len as u32) };
        }
    }
}

/// A batch in the middle of [`Batch::remove_if`] or [`Batch::offer_each`]: it owns its slots below `kept` and from
/// `next` to `end`, and calls itself empty meanwhile.
struct Sieve<'a, M, const N: usize> {
    batch: &'a mut Batch<M, N>,
    kept: usize,
    next: usize,
    end: usize,
}

impl<M, const N: usize> Drop for Sieve<'_, M, N> {
    #[inline]
    fn drop(&mut self) {
        // Those that were not looked at, or given back, stay.
        for at in self.next..self.end {
            self.batch.mbufs.swap(self.kept, at);
            self.batch.meta.swap(self.kept, at);
            self.kept += 1;
        }
        self.batch.len = self.kept;
    }
}

struct Drain<'a, M, const N: usize> {
    batch: &'a mut Batch<M, N>,
    next: usize,
    end: usize,
}

impl<M: Copy, const N: usize> Iterator for Drain<'_, M, N> {
    type Item = (Mbuf, M);

    #[inline]
    fn next(&mut self) -> Option<(Mbuf, M)> {
        if self.next == self.end {
            return None;
        }
        let at = self.next;
        self.next += 1;
        // SAFETY: each of the first `end` is read once, and the batch calls itself empty meanwhile.
        Some(unsafe { (self.batch.mbufs[at].assume_init_read(), self.batch.meta[at].assume_init_read()) })
    }
}

impl<M, const N: usize> Drop for Drain<'_, M, N> {
    fn drop(&mut self) {
        for at in self.next..self.end {
            // SAFETY: not yet read, and not read again.
            unsafe { self.batch.mbufs[at].assume_init_drop() };
        }
    }
}

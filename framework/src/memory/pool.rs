//! Pools of mbufs.

use super::{Batch, Mbuf};
use crate::eal::Eal;
use crate::error::{Errno, Error, Result};
use std::collections::HashSet;
use std::ffi::{CString, c_void};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes in front of a fresh buffer's data, where tags and headers can be pushed.
pub(crate) const HEADROOM: u16 = dpdk_sys::RTE_PKTMBUF_HEADROOM as u16;

/// Options of an [`MbufPool`]; see [`Eal::pool`].
#[derive(Clone, Debug)]
pub struct PoolBuilder {
    eal: Eal,
    name: String,
    buffers: u32,
    data_room: u16,
    cache: u32,
}

impl PoolBuilder {
    pub(crate) fn new(eal: &Eal, name: &str) -> Self {
        PoolBuilder { eal: eal.clone(), name: name.to_owned(), buffers: 8192, data_room: 2048 + HEADROOM, cache: 256 }
    }

    /// How many buffers. Default 8192.
    pub fn buffers(mut self, count: u32) -> Self {
        self.buffers = count;
        self
    }

    /// Size of a buffer, headroom (128 bytes) included. Default 2176, which holds 2048 bytes of frame.
    pub fn data_room(mut self, bytes: u16) -> Self {
        self.data_room = bytes;
        self
    }

    /// Free buffers that each worker keeps to itself, at most 512. Default 256. A pool smaller than
    /// one and a half caches gets a smaller cache.
    pub fn cache(mut self, buffers: u32) -> Self {
        self.cache = buffers;
        self
    }

    /// Makes the pool.
    ///
    /// # Errors
    /// [`Error::Pool`], which says how much memory it took, how much there was and how to get more.
    pub fn create(self) -> Result<MbufPool> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        // DPDK's names are short and unique; ours are the user's.
        let unique = format!("iogate{}", SERIAL.fetch_add(1, Ordering::Relaxed));
        let unique = CString::new(unique).expect("no NUL in it");
        let cache = self.cache.min(512).min(self.buffers / 3 * 2);
        if !self.eal.huge_pages() && self.bytes() > largest_free_block() {
            // To try would take all there is for a moment, from under whoever needs some of it.
            return Err(self.explain(Errno(libc::ENOMEM)));
        }
        // SAFETY: the name is a C string that DPDK copies; the other arguments are numbers it checks.
        let raw =
            unsafe { dpdk_sys::shim_pool_create(unique.as_ptr(), self.buffers, cache, self.data_room, SOCKET_ANY) };
        match NonNull::new(raw) {
            Some(raw) => {
                let inner = Inner { raw, name: self.name, lost: AtomicU32::new(0), eal: self.eal };
                Ok(MbufPool { inner: Arc::new(inner) })
            }
            None => Err(self.explain(Errno::last())),
        }
    }

    /// Memory that the buffers take.
    fn bytes(&self) -> u64 {
        const MBUF: u64 = 128;
        const OBJECT_HEADER: u64 = 64;
        // And up to another cache line each, so that they spread over the channels of memory.
        let each = (OBJECT_HEADER + MBUF + u64::from(self.data_room)).next_multiple_of(64) + 64;
        each * u64::from(self.buffers)
    }

    fn explain(self, cause: Errno) -> Error {
        let wanted_kib = self.bytes() / 1024;
        let memory = self.eal.memory_mb();
        let more = u64::from(memory) + wanted_kib.div_ceil(1024);
        let hint = match self.eal.huge_pages() {
            true => {
                format!("give EAL {more} MiB instead of {memory}, and reserve as many in /proc/sys/vm/nr_hugepages")
            }
            false => format!("give EAL {more} MiB instead of {memory}, or ask for fewer buffers"),
        };
        Error::Pool {
            pool: self.name,
            buffers: self.buffers,
            data_room: self.data_room,
            wanted_kib,
            free_kib: largest_free_block() / 1024,
            cause,
            hint,
        }
    }
}

const SOCKET_ANY: i32 = -1;

/// The largest free piece of EAL's heap, bytes.
fn largest_free_block() -> u64 {
    let mut stats = dpdk_sys::rte_malloc_socket_stats::default();
    // SAFETY: fills the structure that it is given; a socket that is not there gives an error.
    let result = unsafe { dpdk_sys::rte_malloc_get_socket_stats(0, &mut stats) };
    if result == 0 { stats.greatest_free_size as u64 } else { 0 }
}

/// A pool of equal buffers. Cheap to clone.
///
/// The memory is given back when the last handle is gone (ports hold one each) and every buffer is
/// home. When buffers are still out, the memory stays as it is and a log line says how many are
/// missing: freeing it under them would be worse than keeping it.
#[derive(Clone, Debug)]
pub struct MbufPool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    raw: NonNull<dpdk_sys::rte_mempool>,
    name: String,
    /// Buffers that drivers of closed ports never give back.
    lost: AtomicU32,
    eal: Eal,
}

// SAFETY: DPDK's pools may be used from any thread.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl MbufPool {
    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// How many buffers it has.
    pub fn size(&self) -> u32 {
        // SAFETY: the pool is alive as long as this handle.
        unsafe { dpdk_sys::shim_pool_size(self.raw()) }
    }

    /// How many buffers are home. Exact when nobody uses the pool at the moment.
    pub fn available(&self) -> u32 {
        // SAFETY: the pool is alive as long as this handle.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.raw()) }
    }

    /// How many buffers are out: held by mbufs, batches, or the queues of ports.
    pub fn in_use(&self) -> u32 {
        (self.size() - self.available()).saturating_sub(self.lost())
    }

    /// How many buffers were lost to drivers that do not give all back when a port closes. They are
    /// unused, and freed with the pool.
    pub fn lost(&self) -> u32 {
        self.inner.lost.load(Ordering::Relaxed)
    }

    /// Frees buffers that the kernel held for an AF_XDP socket that is closed, given as offsets in the
    /// umem that the driver made of this pool. Returns how many they were; others are left alone.
    pub(crate) fn take_back(&self, offsets: impl IntoIterator<Item = u64>) -> u32 {
        let mut buffers: HashSet<usize> = HashSet::new();
        unsafe extern "C" fn note(
            _: *mut dpdk_sys::rte_mempool,
            buffers: *mut c_void,
            buffer: *mut c_void,
            _: std::ffi::c_uint,
        ) {
            // SAFETY: what is passed below, and not used elsewhere during the call.
            unsafe { (*buffers.cast::<HashSet<usize>>()).insert(buffer as usize) };
        }
        // SAFETY: the pool is alive; the callback is given the set that it expects.
        let umem = unsafe {
            dpdk_sys::rte_mempool_obj_iter(self.raw(), Some(note), (&raw mut buffers).cast());
            dpdk_sys::shim_xdp_umem(self.raw())
        };
        let mut count = 0;
        for offset in offsets {
            let buffer = (umem as usize).wrapping_add(offset as usize);
            if buffers.remove(&buffer) {
                // SAFETY: one of the pool's buffers, owned by a driver that has forgotten it.
                unsafe { dpdk_sys::shim_free(buffer as *mut dpdk_sys::rte_mbuf) };
                count += 1;
            }
        }
        count
    }

    /// Notes buffers that a driver will not give back any more, and that nobody uses.
    pub(crate) fn lose(&self, buffers: u32) {
        self.inner.lost.fetch_add(buffers, Ordering::Relaxed);
    }

    /// Takes an empty buffer, or nothing when the pool has run dry.
    pub fn alloc(&self) -> Option<Mbuf> {
        let mut mbuf = std::ptr::null_mut();
        // SAFETY: room for one pointer is given, and one is asked for.
        let result = unsafe { dpdk_sys::shim_alloc_bulk(self.raw(), &mut mbuf, 1) };
        if result != 0 {
            return None;
        }
        // SAFETY: a fresh mbuf with one owner.
        Some(unsafe { Mbuf::from_raw(mbuf) })
    }

    /// Takes a buffer holding a copy of `frame`, or nothing when the pool has run dry or the frame
    /// does not fit one buffer.
    pub fn alloc_from(&self, frame: &[u8]) -> Option<Mbuf> {
        let mut mbuf = self.alloc()?;
        mbuf.append(frame.len())?.copy_from_slice(frame);
        Some(mbuf)
    }

    /// Fills `batch` up to `count` packets with empty buffers: all of them, or none when the pool
    /// has too few. Returns how many were added.
    pub fn alloc_bulk<M: Copy + Default, const N: usize>(&self, batch: &mut Batch<M, N>, count: usize) -> usize {
        let wanted = count.min(N).saturating_sub(batch.len());
        batch.fill_raw(wanted, |slots, wanted| {
            // SAFETY: there is room for as many as are wanted; those are filled with fresh mbufs, or none.
            let result = unsafe { dpdk_sys::shim_alloc_bulk(self.raw(), slots, wanted as u32) };
            if result == 0 { wanted } else { 0 }
        })
    }

    /// As [`alloc_bulk`](MbufPool::alloc_bulk), but with packets of `length` bytes whose content is
    /// arbitrary: the quickest way to make packets. None when a buffer is smaller than that.
    #[inline]
    pub fn alloc_packets<M: Copy + Default, const N: usize>(
        &self,
        batch: &mut Batch<M, N>,
        count: usize,
        length: u16,
    ) -> usize {
        let wanted = count.min(N).saturating_sub(batch.len());
        batch.fill_raw(wanted, |slots, wanted| {
            // SAFETY: as in `alloc_bulk`; the call checks the length.
            let result = unsafe { dpdk_sys::shim_alloc_packets(self.raw(), slots, wanted as u32, length) };
            if result == 0 { wanted } else { 0 }
        })
    }

    pub(crate) fn raw(&self) -> *mut dpdk_sys::rte_mempool {
        self.inner.raw.as_ptr()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let missing = || {
            let pool = self.raw.as_ptr();
            // SAFETY: the last handle is here, so the pool is alive.
            let out = unsafe { dpdk_sys::shim_pool_size(pool) - dpdk_sys::rte_mempool_avail_count(pool) };
            out.saturating_sub(self.lost.load(Ordering::Relaxed))
        };
        // Twice, since one count taken while a packet is being copied elsewhere may be too high.
        let missing = missing().max(missing());
        if missing > 0 {
            tracing::warn!("pool \"{}\": {missing} buffers are still out, so its memory is kept", self.name);
            // Cleaning EAL up would unmap the memory that the buffers are in.
            std::mem::forget(self.eal.clone());
            return;
        }
        // SAFETY: no buffer is out and no handle is left.
        unsafe { dpdk_sys::rte_mempool_free(self.raw.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::eal;

    /// Every mbuf of a pool, its start and its start as devices see it.
    fn addresses(pool: &MbufPool) -> Vec<(u64, u64)> {
        unsafe extern "C" fn note(
            _: *mut dpdk_sys::rte_mempool,
            list: *mut std::ffi::c_void,
            buffer: *mut std::ffi::c_void,
            _: u32,
        ) {
            // SAFETY: the list that was passed below, and a buffer of a pool of mbufs.
            unsafe {
                let mbuf = &*buffer.cast::<dpdk_sys::rte_mbuf>();
                (*list.cast::<Vec<(u64, u64)>>()).push((mbuf.buf_addr as u64, mbuf.buf_iova));
            }
        }
        let mut list = Vec::new();
        // SAFETY: the pool is alive; `note` runs before the call returns.
        unsafe { dpdk_sys::rte_mempool_obj_iter(pool.raw(), Some(note), (&raw mut list).cast()) };
        list
    }

    #[test]
    fn devices_find_every_buffer() {
        // Without huge pages there are no other addresses than virtual ones.
        let pool = eal().pool("found").buffers(100).create().expect("a pool");
        let addresses = addresses(&pool);
        assert_eq!(addresses.len(), 100);
        for (virtual_address, io_address) in addresses {
            assert_eq!(io_address, virtual_address);
        }
    }
}

//! Rings of mbufs: between two workers, and as the wires between two ports.

use super::{Port, PortSpec};
use crate::eal::Eal;
use crate::error::{Errno, Error, Result};
use crate::memory::Batch;
use std::ffi::CString;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug)]
struct RawRing(NonNull<dpdk_sys::rte_ring>);

// SAFETY: rings are made for use from many threads.
unsafe impl Send for RawRing {}
// SAFETY: as above.
unsafe impl Sync for RawRing {}

impl RawRing {
    fn new(name: &str, slots: u32) -> Result<Self> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let unique = CString::new(format!("iogate{}", SERIAL.fetch_add(1, Ordering::Relaxed))).expect("no NUL in it");
        // SAFETY: a C string that the call copies, and numbers that it checks. Flags 0: many
        // producers, many consumers.
        let raw = unsafe { dpdk_sys::rte_ring_create(unique.as_ptr(), slots, -1, 0) };
        let Some(raw) = NonNull::new(raw) else {
            return Err(Error::Ring { ring: name.to_owned(), slots, cause: Errno::last() });
        };
        Ok(RawRing(raw))
    }

    fn drain(&self) {
        let mut batch: Batch = Batch::new();
        while take(self, &mut batch) > 0 {
            batch = Batch::new();
        }
    }
}

impl Drop for RawRing {
    fn drop(&mut self) {
        self.drain();
        // SAFETY: the last owner, and the ring is empty.
        unsafe { dpdk_sys::rte_ring_free(self.0.as_ptr()) };
    }
}

fn take<M: Copy + Default, const N: usize>(ring: &RawRing, batch: &mut Batch<M, N>) -> usize {
    batch.fill_raw(N, |slots, free| {
        // SAFETY: the ring is alive and holds owned mbufs; `slots` has room for `free`.
        unsafe { dpdk_sys::shim_ring_dequeue_burst(ring.0.as_ptr(), slots, free as u32) as usize }
    })
}

/// Carries packets from many workers to the one that owns a TX queue of a port, which it keeps open.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct MbufRing {
    // Dropped before the port.
    raw: Arc<RawRing>,
    port: Port,
}

impl MbufRing {
    /// Makes one of `slots`, a power of two, for packets that `port` is to send; it holds one packet
    /// less.
    pub fn new(port: &Port, slots: u32) -> Result<Self> {
        Ok(MbufRing { raw: Arc::new(RawRing::new(&port.spec().to_string(), slots)?), port: port.clone() })
    }

    /// The port whose packets it carries.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Puts packets in and returns how many found room. The others stay in the batch, in order.
    pub fn send<M: Copy + Default, const N: usize>(&mut self, batch: &mut Batch<M, N>) -> usize {
        batch.take_raw(usize::MAX, |packets, count| {
            // SAFETY: the ring is alive, and owns what it takes.
            unsafe { dpdk_sys::shim_ring_enqueue_burst(self.raw.0.as_ptr(), packets, count as u32) as usize }
        })
    }

    /// Adds what is in it to the batch, as far as that has room, and returns how many. They may have
    /// other owners, so they are only to be sent.
    pub(crate) fn receive<M: Copy + Default, const N: usize>(&mut self, batch: &mut Batch<M, N>) -> usize {
        take(&self.raw, batch)
    }
}

/// Two rings, crosswise between two ports.
#[derive(Debug)]
pub(super) struct Pair {
    name: String,
    there: RawRing,
    back: RawRing,
    _eal: Eal,
}

impl Pair {
    pub(super) fn new(eal: &Eal, name: &str, slots: u32) -> Result<Self> {
        let (there, back) = (RawRing::new(name, slots)?, RawRing::new(name, slots)?);
        Ok(Pair { name: name.to_owned(), there, back, _eal: eal.clone() })
    }

    /// Makes one of the two ports and returns its number.
    pub(super) fn attach(&self, first: bool) -> Result<u16> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let device = CString::new(format!("iogate{}", SERIAL.fetch_add(1, Ordering::Relaxed))).expect("no NUL in it");
        let (rx, tx) = if first { (&self.back, &self.there) } else { (&self.there, &self.back) };
        let (rx, tx) = (rx.0.as_ptr(), tx.0.as_ptr());
        // SAFETY: one live ring each way; the port holds this pair and is closed before it goes.
        let id = unsafe { dpdk_sys::rte_eth_from_rings(device.as_ptr(), &rx, 1, &tx, 1, u32::MAX) };
        let spec: PortSpec = "ring".parse().expect("a valid spec");
        match u16::try_from(id) {
            Ok(id) => Ok(id),
            Err(_) => Err(Error::port(&spec, format!("cannot make one end of the pair \"{}\"", self.name), id, "")),
        }
    }
}

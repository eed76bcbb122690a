//! Ports: devices by PCI address and virtual ones, with their queues, link state and counters.
//!
//! A [`PortSpec`] names a device, [`Eal::port`](crate::eal::Eal::port) begins its configuration and
//! [`PortBuilder::start`] makes and starts it, at any time. A [`Port`] and each of its queues keep
//! it open; it is stopped, closed and removed when the last of them is dropped, before its pool.
//!
//! ```
//! # fn main() -> iogate::Result<()> {
//! use iogate::prelude::*;
//!
//! let eal = Eal::builder().memory_mb(64).start()?;
//! let pool = eal.pool("example").buffers(1024).create()?;
//! let port = eal.port(&"null,size=128".parse().expect("a spec")).pool(&pool).start()?;
//! let mut rx = port.rx(0)?;
//! let mut batch: Batch = Batch::new();
//! assert_eq!(rx.receive(&mut batch), 32, "a null port always has frames");
//! port.tx(0)?.send(&mut batch);
//! assert_eq!(port.stats()?.rx_packets, 32);
//! # Ok(())
//! # }
//! ```

mod builder;
mod queue;
mod ring;
mod spec;
mod state;

pub use builder::PortBuilder;
pub use queue::{RxQueue, TxQueue};
pub use ring::MbufRing;
pub use spec::{PortKind, PortSpec, SpecError};
pub use state::{Link, PortInfo, PortStats};

use crate::eal::Eal;
use crate::error::{Error, Result};
use crate::memory::MbufPool;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Queues a port can have in each direction.
pub const MAX_QUEUES: u16 = 64;

/// A started port. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Port {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    id: u16,
    spec: PortSpec,
    info: PortInfo,
    device: *mut dpdk_sys::rte_device,
    rx_queues: u16,
    tx_queues: u16,
    // Bit n: queue n is out.
    rx_taken: AtomicU64,
    tx_taken: AtomicU64,
    // Dropped after the port was closed, in this order.
    _rings: Option<Arc<ring::Pair>>,
    pool: MbufPool,
    _eal: Eal,
}

// SAFETY: `device` is only handed back to DPDK when the port goes; the rest is Send.
unsafe impl Send for Inner {}
// SAFETY: what changes a port is done by one thread at a time, under `control`, reading is harmless,
// and the queues are handed out once each.
unsafe impl Sync for Inner {}

/// DPDK makes, changes and removes devices from one thread at a time.
fn control() -> MutexGuard<'static, ()> {
    static CONTROL: Mutex<()> = Mutex::new(());
    CONTROL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Port {
    /// DPDK's number of the port.
    pub fn id(&self) -> u16 {
        self.inner.id
    }

    /// What the port was made from.
    pub fn spec(&self) -> &PortSpec {
        &self.inner.spec
    }

    /// What the device is and can do.
    pub fn info(&self) -> &PortInfo {
        &self.inner.info
    }

    /// How many RX queues it has.
    pub fn rx_queues(&self) -> u16 {
        self.inner.rx_queues
    }

    /// How many TX queues it has.
    pub fn tx_queues(&self) -> u16 {
        self.inner.tx_queues
    }

    /// Takes RX queue `queue`. Dropping it makes it available again.
    ///
    /// # Errors
    /// When there is no such queue, or somebody has it.
    pub fn rx(&self, queue: u16) -> Result<RxQueue> {
        self.take("RX", queue, self.inner.rx_queues, &self.inner.rx_taken)?;
        Ok(RxQueue::new(self.clone(), queue))
    }

    /// Takes TX queue `queue`. Dropping it makes it available again.
    ///
    /// # Errors
    /// When there is no such queue, or somebody has it.
    pub fn tx(&self, queue: u16) -> Result<TxQueue> {
        self.take("TX", queue, self.inner.tx_queues, &self.inner.tx_taken)?;
        Ok(TxQueue::new(self.clone(), queue))
    }

    fn take(&self, kind: &str, queue: u16, count: u16, taken: &AtomicU64) -> Result<()> {
        if queue >= count {
            let hint = format!("it has {count}: ask for more with queues()");
            return Err(Error::port_refused(self.spec(), format!("there is no {kind} queue {queue}"), hint));
        }
        if taken.fetch_or(1 << queue, Ordering::AcqRel) & (1 << queue) != 0 {
            let what = format!("{kind} queue {queue} is taken");
            return Err(Error::port_refused(self.spec(), what, "one owner polls a queue"));
        }
        Ok(())
    }

    pub(crate) fn release_rx(&self, queue: u16) {
        self.inner.rx_taken.fetch_and(!(1 << queue), Ordering::AcqRel);
    }

    pub(crate) fn release_tx(&self, queue: u16) {
        self.inner.tx_taken.fetch_and(!(1 << queue), Ordering::AcqRel);
    }
}

/// Buffers that DPDK's AF_XDP driver gives to the kernel for each queue. Every packet received is
/// replaced by another buffer, so it is always as many, and closing the port does not free them.
const AF_XDP_FILL: u32 = 2048;

impl Drop for Inner {
    fn drop(&mut self) {
        let _one_at_a_time = control();
        for queue in 0..self.tx_queues {
            // Some drivers free what was sent only when the next packets are.
            // SAFETY: the port is open and nobody else has the queue; no packet is read.
            unsafe { dpdk_sys::shim_tx_burst(self.id, queue, std::ptr::null_mut(), 0) };
        }
        // SAFETY: the port is open, no queue is out (each holds a handle), and it is not used again.
        let (stop, close, remove) = unsafe {
            let stop = dpdk_sys::rte_eth_dev_stop(self.id);
            let close = dpdk_sys::rte_eth_dev_close(self.id);
            let remove = if self.device.is_null() { 0 } else { dpdk_sys::rte_dev_remove(self.device) };
            (stop, close, remove)
        };
        if (stop, close, remove) != (0, 0, 0) {
            tracing::warn!("port {}: stop {stop}, close {close}, remove {remove}", self.spec);
        }
        if self.spec.kind() == PortKind::AfXdp {
            self.pool.lose(AF_XDP_FILL * u32::from(self.rx_queues));
        }
    }
}

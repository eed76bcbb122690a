//! Ports: devices by PCI address and virtual ones, with their queues, link state and counters.
//!
//! A [`PortSpec`] names a device, [`Eal::port`](crate::eal::Eal::port) begins its configuration and
//! [`PortBuilder::start`] makes and starts it, at any time. A [`Port`] and each of its queues keep
//! it open; it is stopped, closed and removed when the last of them is dropped, before its pool.
//!
//! Underneath stand two types. A [`Device`] is attached and idle: it can be asked and changed, and has
//! no queues. [`Device::start`] makes a [`Port`] of it, which has, and [`Port::stop`] gives the device
//! back when all queues are home. A port is a device too: what a device can do, a port can.
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
//!
//! let (port, _) = port.stop().expect_err("a queue is out");
//! drop(rx);
//! let device = port.stop().map_err(|(_, error)| error)?;
//! let config = PortConfig { rx_queues: 2, ..PortConfig::default() };
//! assert_eq!(device.start(&config, &pool)?.rx_queues(), 2);
//! # Ok(())
//! # }
//! ```

mod admin;
mod builder;
mod config;
mod device;
mod flow;
mod gate;
mod guest;
mod hash;
mod info;
mod interface;
mod lookup;
mod losses;
mod queue;
mod ring;
mod socket;
mod spec;
mod state;
mod xdp;

pub use admin::{DescriptorState, FlowControl, QueueInfo, QueueState, Tunnel, VlanOffloads};
pub use builder::PortBuilder;
pub use config::{PortConfig, QueueConfig, Thresholds};
pub use device::Device;
pub use flow::{FlowAction, FlowCount, FlowError, FlowHash, FlowHeader, FlowItem, FlowRule, MOST_FLOW_PARTS};
pub use hash::{crc32c, toeplitz};
pub use info::{Bus, DescriptorLimits, PortInfo, capability_names, rx_offload_names, tx_offload_names};
pub use interface::{interface_mtu, set_interface_mtu};
pub use lookup::ptype_name;
pub use queue::{RxQueue, TxQueue};
pub use ring::MbufRing;
pub use spec::{PortKind, PortSpec, SpecError};
pub use state::{Link, PortStats};

use crate::error::{Error, Result};
use std::ops::Deref;
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
struct Inner {
    device: Device,
    rx_queues: u16,
    tx_queues: u16,
    // Bit n: queue n is out.
    rx_taken: AtomicU64,
    tx_taken: AtomicU64,
    /// How many of the queues that are out rest. Held while the device is restarted.
    resting: Mutex<u32>,
}

/// How [`Port::restart`] goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Stops and starts the device.
    Plain,
    /// Also takes it back to how it came and configures it, as some drivers of virtual functions want it when
    /// they have seen a reset of the physical one; the same as `Plain` for a driver that has no reset.
    Reset,
}

impl Deref for Port {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.inner.device
    }
}

impl Port {
    /// For a device that was configured with so many queues and has been started.
    fn new(device: Device, rx_queues: u16, tx_queues: u16) -> Self {
        let (rx_taken, tx_taken, resting) = Default::default();
        Port { inner: Arc::new(Inner { device, rx_queues, tx_queues, rx_taken, tx_taken, resting }) }
    }

    /// How many RX queues it has.
    pub fn rx_queues(&self) -> u16 {
        self.inner.rx_queues
    }

    /// How many TX queues it has.
    pub fn tx_queues(&self) -> u16 {
        self.inner.tx_queues
    }

    /// Whether a packet of several segments can be sent: the device can, and, where that makes a
    /// difference to its driver, was configured to.
    pub fn sends_chains(&self) -> bool {
        // SAFETY: a constant of the shim.
        let multi = unsafe { dpdk_sys::SHIM_TX_OFFLOAD_MULTI_SEGS };
        let can = self.info().multi_segment_tx && (self.spec().is_software() || self.tx_offloads() & multi != 0);
        // These follow every chain and do not say so.
        can || matches!(self.info().driver.as_str(), "net_null" | "net_pcap")
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

    /// Stops it and gives the device back, to be changed and started again.
    ///
    /// # Errors
    /// When this is not the last handle: a queue is out, or a clone is kept. The port comes back with
    /// the error and runs on.
    pub fn stop(self) -> Result<Device, (Port, Error)> {
        let device = self.inner.device.clone();
        match Arc::try_unwrap(self.inner) {
            Ok(inner) => {
                drop(inner);
                Ok(device)
            }
            Err(inner) => {
                let error = Error::port_refused(device.spec(), "cannot stop it", "its queues are in use");
                Err((Port { inner }, error))
            }
        }
    }

    /// Stops the device and starts it as it was, while its queues are out: all of them must
    /// [rest](RxQueue::rest), and may end that afterwards. Other ports are not touched. What DPDK keeps
    /// (addresses, promiscuous mode) is as before; groups, VLAN filters and flow rules are to be set anew.
    ///
    /// # Errors
    /// When a queue does not rest; or when a step fails, and the device is stopped then: it can be tried
    /// again.
    pub fn restart(&self, how: Restart) -> Result<()> {
        let resting = self.resting();
        let out = [&self.inner.rx_taken, &self.inner.tx_taken].map(|taken| taken.load(Ordering::Acquire).count_ones());
        let awake = (out[0] + out[1]).saturating_sub(*resting);
        if awake > 0 {
            let what = format!("cannot restart it while {awake} of its queues are polled");
            return Err(Error::port_refused(self.spec(), what, "let all of them rest before"));
        }
        self.inner.device.restart(how, self.inner.tx_queues)
    }

    fn resting(&self) -> MutexGuard<'_, u32> {
        self.inner.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_resting(&self, before: bool, after: bool) {
        if before != after {
            let mut resting = self.resting();
            *resting = if after { *resting + 1 } else { *resting - 1 };
        }
    }

    fn take(&self, kind: &str, queue: u16, count: u16, taken: &AtomicU64) -> Result<()> {
        if queue >= count {
            let hint = format!("it has {count}: ask for more with queues()");
            return Err(Error::port_refused(self.spec(), format!("there is no {kind} queue {queue}"), hint));
        }
        // Not in the middle of a restart.
        let _resting = self.resting();
        if taken.fetch_or(1 << queue, Ordering::AcqRel) & (1 << queue) != 0 {
            let what = format!("{kind} queue {queue} is taken");
            return Err(Error::port_refused(self.spec(), what, "one owner polls a queue"));
        }
        Ok(())
    }

    fn release_rx(&self, queue: u16) {
        self.inner.rx_taken.fetch_and(!(1 << queue), Ordering::AcqRel);
    }

    fn release_tx(&self, queue: u16) {
        self.inner.tx_taken.fetch_and(!(1 << queue), Ordering::AcqRel);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.device.stop(self.tx_queues);
    }
}

//! A device with what software adds to it: one file for what belongs together.

mod addresses;
mod counters;
mod limits;
mod queues;
mod rules;
mod spreading;
mod vlan;

use super::counters::QueueCounters;
use super::features::{self, rx};
use super::rx::Rx;
use super::split::Split;
use super::state::{OVERHEAD, Soft};
use iogate::port::{Port, PortConfig, PortInfo};
use iogate::prelude::MbufPool;
use iogate::{Errno, Error, Result};
use std::ops::Deref;
use std::sync::Arc;

/// Error numbers that DPDK's functions return for the same.
const EINVAL: i32 = 22;
const EBUSY: i32 = 16;
const ENOSPC: i32 = 28;
const ENOSYS: i32 = 38;
const ENOTSUP: i32 = 95;
const EADDRINUSE: i32 = 98;

/// A device. What is asked of it is answered by the framework's device, or by what stands here in its place.
pub(crate) struct Device {
    device: iogate::port::Device,
    soft: Option<Box<Soft>>,
}

impl Deref for Device {
    type Target = iogate::port::Device;

    fn deref(&self) -> &iogate::port::Device {
        &self.device
    }
}

impl Device {
    /// With software's help when that is wanted; unless somebody says, for devices that are no hardware.
    pub(crate) fn new(device: iogate::port::Device, wanted: Option<bool>) -> Self {
        let soft = wanted.unwrap_or(device.spec().is_software()).then(|| Box::new(Soft::new(device.info())));
        Device { device, soft }
    }

    fn error(&self, what: &str, number: i32) -> Error {
        let (port, what) = (self.spec().to_string(), what.to_owned());
        Error::Port { port, what, cause: Some(Errno(number)), hint: String::new() }
    }

    /// What it is and can do.
    pub(crate) fn info(&self) -> &PortInfo {
        self.soft.as_ref().map_or_else(|| self.device.info(), |soft| &soft.info)
    }

    /// What it is and can do now.
    pub(crate) fn read_info(&self) -> Result<PortInfo> {
        let native = self.device.read_info()?;
        let Some(soft) = &self.soft else { return Ok(native) };
        let state = soft.state.borrow();
        let mut info = features::added(&native);
        // None before it is configured.
        if native.rx_queues > 0 {
            (info.rx_queues, info.tx_queues) = (state.config.rx_queues, state.config.tx_queues);
        }
        Ok(info)
    }

    /// Starts it. The device gets as much of the configuration as it can do.
    pub(crate) fn start(&self, config: &PortConfig, pool: &MbufPool) -> Result<Port> {
        let Some(soft) = &self.soft else { return self.device.start(config, pool) };
        let room = pool.alloc().map_or(0, |buffer| buffer.tailroom());
        let mut native = soft.native(self.device.info(), config);
        let longest = config.mtu.map_or(0, |mtu| usize::from(mtu) + OVERHEAD);
        if longest > room {
            native.rx_offloads |= rx::SCATTER & self.device.info().rx_offloads;
        }
        let started = self.device.start(&native, pool)?;
        if let Some(mtu) = config.mtu {
            self.widen(mtu)?;
        }
        soft.started(config);
        let mut state = soft.state.borrow_mut();
        state.room = room;
        state.polled = started.rx_queues();
        drop(state);
        Ok(started)
    }

    /// It was stopped: what waits in its queues is gone, and rules are, which speak of queues, unless they are kept.
    pub(crate) fn stopped(&self, keep_rules: bool) {
        if let Some(soft) = &self.soft {
            let mut state = soft.state.borrow_mut();
            state.rings = None;
            if !keep_rules {
                state.table.clear();
            }
        }
    }

    /// From the next start on, cuts what it receives into segments, or leaves it whole.
    pub(crate) fn set_split(&self, split: Option<Split>) {
        if let Some(soft) = &self.soft {
            soft.change().split = split;
        }
    }

    /// Whether software does what the device cannot.
    pub(crate) fn is_soft(&self) -> bool {
        self.soft.is_some()
    }

    /// Whether there is such an RX queue on the device itself, to be polled.
    pub(crate) fn polls(&self, queue: u16) -> bool {
        self.soft.as_ref().is_none_or(|soft| queue < soft.state.borrow().polled)
    }

    /// What is to be done to packets of an RX queue before anything else; nothing when there is nothing to do.
    /// A stream is `halted` when its packets could not leave: then nobody receives them either.
    pub(crate) fn rx(&self, queue: u16, halted: bool) -> Option<Box<Rx>> {
        let soft = self.soft.as_ref()?;
        let mut program = soft.program(self, self.device.info());
        program.stopped |= u64::from(halted) << queue;
        let state = soft.state.borrow();
        // A queue may still hold what an earlier program put there.
        let fed = state.rings.as_ref().is_some_and(|rings| !self.polls(queue) || rings.waiting(queue) > 0);
        (fed || !program.idle()).then(|| {
            let (rings, counters) = (state.rings.clone(), soft.counters[usize::from(queue)].clone());
            Box::new(Rx { program: Arc::new(program), queue, rings, counters })
        })
    }

    /// What software moved and lost on an RX queue.
    pub(crate) fn queue_counters(&self, queue: u16) -> Option<Arc<QueueCounters>> {
        self.soft.as_ref()?.counters.get(usize::from(queue)).cloned()
    }

    /// Whether workers have yet to be told of a change. Asking makes it no longer so.
    pub(crate) fn take_changed(&self) -> bool {
        self.soft.as_ref().is_some_and(|soft| std::mem::take(&mut soft.state.borrow_mut().changed))
    }

    /// Throws away what waits in an RX queue.
    pub(crate) fn flush(&self, queue: u16) {
        if let Some(rings) = self.soft.as_ref().and_then(|soft| soft.state.borrow().rings.clone()) {
            rings.clear(queue);
        }
    }
}

/// What a device need not be able to do.
fn allowed(result: Result<()>) -> Result<()> {
    result.or_else(|error| if error.errno() == Some(Errno(ENOTSUP)) { Ok(()) } else { Err(error) })
}

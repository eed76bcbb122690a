//! Its queues.

use super::super::features::rx;
use super::{Device, EBUSY, EINVAL};
use iogate::Result;
use iogate::port::{Port, PortConfig, QueueInfo, QueueState, Thresholds};
use iogate::prelude::MbufPool;

impl Device {
    /// Starts or stops a queue that nobody has.
    pub(crate) fn run_queue(&self, running: &Port, rx: bool, queue: u16, run: bool) -> Result<()> {
        let Some(soft) = &self.soft else {
            return if rx { running.run_rx(queue, run) } else { running.run_tx(queue, run) };
        };
        let mut state = soft.change();
        let stopped = if rx { &mut state.stopped.0 } else { &mut state.stopped.1 };
        *stopped = if run { *stopped & !(1 << queue) } else { *stopped | 1 << queue };
        if let (true, Some(rings)) = (rx, &state.rings) {
            rings.clear(queue);
        }
        Ok(())
    }

    /// Sets a queue up anew that nobody has and that is stopped.
    pub(crate) fn setup_queue(
        &self,
        running: &Port,
        rx: bool,
        queue: u16,
        config: &PortConfig,
        pool: &MbufPool,
    ) -> Result<()> {
        let Some(soft) = &self.soft else {
            return if rx { running.setup_rx(queue, config, pool) } else { running.setup_tx(queue, config) };
        };
        let mut state = soft.change();
        if (if rx { state.stopped.0 } else { state.stopped.1 }) >> queue & 1 == 0 {
            return Err(self.error("stop the queue first", EBUSY));
        }
        match rx {
            true => *state.config.rx_queue_mut(queue) = config.rx_queue(queue).clone(),
            false => *state.config.tx_queue_mut(queue) = config.tx_queue(queue).clone(),
        }
        state.rings = soft.rings(&state.config);
        Ok(())
    }

    /// Notes how a queue of a port that is stopped is to be from its next start on.
    pub(crate) fn note_queue(&self, rx: bool, queue: u16, config: &PortConfig) {
        let Some(soft) = &self.soft else { return };
        let mut state = soft.change();
        match rx {
            true => *state.config.rx_queue_mut(queue) = config.rx_queue(queue).clone(),
            false => *state.config.tx_queue_mut(queue) = config.tx_queue(queue).clone(),
        }
    }

    /// An RX queue as it was set up.
    pub(crate) fn rx_queue_info(&self, queue: u16) -> Result<QueueInfo> {
        self.queue_info(true, queue, || self.device.rx_queue_info(queue))
    }

    /// A TX queue as it was set up.
    pub(crate) fn tx_queue_info(&self, queue: u16) -> Result<QueueInfo> {
        self.queue_info(false, queue, || self.device.tx_queue_info(queue))
    }

    fn queue_info(&self, rx: bool, queue: u16, native: impl FnOnce() -> Result<QueueInfo>) -> Result<QueueInfo> {
        let Some(soft) = &self.soft else { return native() };
        let state = soft.state.borrow();
        let config = &state.config;
        let (count, of_port, own, stopped, usual) = match rx {
            true => (
                config.rx_queues,
                config.rx_offloads,
                config.rx_queue(queue),
                state.stopped.0,
                self.info().rx_thresholds,
            ),
            false => (
                config.tx_queues,
                config.tx_offloads,
                config.tx_queue(queue),
                state.stopped.1,
                self.info().tx_thresholds,
            ),
        };
        // Before it is configured there is none.
        if self.device.read_info()?.rx_queues == 0 || queue >= count {
            return Err(self.error("there is no such queue", EINVAL));
        }
        let known = native().ok();
        let Thresholds { prefetch, host, writeback, free, rs, drop } = own.thresholds;
        let runs = self.device.started() && stopped >> queue & 1 == 0;
        let offloads = of_port | own.offloads;
        let descriptors = match own.descriptors {
            0 => known.as_ref().map_or(USUAL_DESCRIPTORS, |known| known.descriptors),
            descriptors => descriptors,
        };
        Ok(QueueInfo {
            pool: if rx { "mb_pool_0".to_owned() } else { String::new() },
            burst_mode: known.as_ref().map(|known| known.burst_mode.clone()).unwrap_or_default(),
            offloads,
            descriptors,
            free_threshold: free.or(usual.free).unwrap_or(0),
            rs_threshold: rs.or(usual.rs).unwrap_or(0),
            prefetch: prefetch.or(usual.prefetch).unwrap_or(0),
            host: host.or(usual.host).unwrap_or(0),
            writeback: writeback.or(usual.writeback).unwrap_or(0),
            deferred_start: own.deferred_start,
            drop: drop.or(usual.drop).unwrap_or(false),
            scattered: rx && (offloads & rx::SCATTER != 0 || soft.scatters(&state)),
            state: if runs { QueueState::Started } else { QueueState::Stopped },
        })
    }

    /// Packets that wait in an RX queue.
    pub(crate) fn rx_waiting(&self, queue: u16) -> Result<u32> {
        let rings = self.soft.as_ref().and_then(|soft| soft.state.borrow().rings.clone());
        match rings {
            Some(rings) if !self.polls(queue) => Ok(rings.waiting(queue) as u32),
            _ => self.device.rx_waiting(queue),
        }
    }
}

/// Descriptors of a queue when neither the user nor the driver says.
const USUAL_DESCRIPTORS: u16 = 512;

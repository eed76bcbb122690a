//! Queues: where a worker meets a port.

use super::Port;
use crate::error::{Error, Result};
use crate::memory::{Batch, Mbuf, SharedMbuf};
use std::cell::Cell;
use std::marker::PhantomData;

/// One RX queue. It may move to another thread, but only one polls it: it is neither `Sync` nor
/// `Clone`, and receiving takes `&mut self`.
#[derive(Debug)]
pub struct RxQueue {
    port: Port,
    id: u16,
    queue: u16,
    restores_vlans: bool,
    resting: bool,
    /// Whether one of the two above is so: one look a burst instead of two.
    is_special: bool,
    _not_sync: PhantomData<Cell<()>>,
}

impl RxQueue {
    pub(super) fn new(port: Port, queue: u16) -> Self {
        RxQueue {
            id: port.id(),
            port,
            queue,
            restores_vlans: false,
            resting: false,
            is_special: false,
            _not_sync: PhantomData,
        }
    }

    /// Whether VLAN tags that the device took off are put back, so that packets are what was on the wire.
    /// Costs nothing where it is off, which is the default: only devices for which
    /// [`PortInfo::may_strip`](super::PortInfo::may_strip) says so need it.
    ///
    /// A packet without room for its tag, of which no driver is known, comes without data: it must not be
    /// taken for an untagged one.
    #[must_use]
    pub fn restore_vlans(mut self, on: bool) -> Self {
        self.restores_vlans = on;
        self.is_special = self.restores_vlans || self.resting;
        self
    }

    /// Lets the device alone, so that it can be [restarted](Port::restart), or polls it again. Nothing is
    /// received meanwhile. Waits for a restart that is under way.
    pub fn rest(&mut self, on: bool) {
        self.port.count_resting(self.resting, on);
        self.resting = on;
        self.is_special = self.restores_vlans || self.resting;
    }

    /// The port it belongs to.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Its number on the port.
    pub fn number(&self) -> u16 {
        self.queue
    }

    /// Adds what has arrived to the batch, as far as that has room, and returns how many.
    #[inline]
    pub fn receive<M: Copy + Default, const N: usize>(&mut self, batch: &mut Batch<M, N>) -> usize {
        self.receive_at_most(batch, N)
    }

    /// As [`receive`](RxQueue::receive), but at most `most` packets.
    #[inline]
    pub fn receive_at_most<M: Copy + Default, const N: usize>(
        &mut self,
        batch: &mut Batch<M, N>,
        most: usize,
    ) -> usize {
        match self.is_special {
            true => self.receive_specially(batch, most),
            false => self.poll(batch, most),
        }
    }

    #[inline]
    fn poll<M: Copy + Default, const N: usize>(&mut self, batch: &mut Batch<M, N>, most: usize) -> usize {
        let (port, queue) = (self.id, self.queue);
        batch.fill_raw(most, |slots, free| {
            // SAFETY: the queue is set up and polled here alone; `slots` has room for `free`.
            usize::from(unsafe { dpdk_sys::rte_eth_rx_burst(port, queue, slots, free as u16) })
        })
    }

    #[inline(never)]
    fn receive_specially<M: Copy + Default, const N: usize>(&mut self, batch: &mut Batch<M, N>, most: usize) -> usize {
        if self.resting {
            return 0;
        }
        let count = self.poll(batch, most);
        let first = batch.len() - count;
        restore_vlans(&mut batch.packets_mut()[first..]);
        count
    }

    /// Makes the calling thread's [`wait`](RxQueue::wait) listen to this queue.
    pub(crate) fn listen(&self) -> Result<()> {
        match self.change_waiting(dpdk_sys::RTE_INTR_EVENT_ADD) {
            0 => Ok(()),
            code => {
                let hint = "not every driver has RX interrupts: choose another idle policy";
                Err(Error::port(self.port.spec(), "cannot wait for RX interrupts", code, hint))
            }
        }
    }

    /// Ends what [`listen`](RxQueue::listen) began, on the same thread: another one may then.
    pub(crate) fn ignore(&self) {
        self.change_waiting(dpdk_sys::RTE_INTR_EVENT_DEL);
    }

    fn change_waiting(&self, how: u32) -> i32 {
        let (id, epoll, nothing) = (self.id, dpdk_sys::RTE_EPOLL_PER_THREAD, std::ptr::null_mut());
        // SAFETY: the queue is set up; the thread's own epoll instance is asked for.
        unsafe { dpdk_sys::rte_eth_dev_rx_intr_ctl_q(id, self.queue, epoll, how as i32, nothing) }
    }

    pub(crate) fn arm(&self, on: bool) {
        if self.resting {
            return;
        }
        // SAFETY: the queue is set up. A driver that needs no arming says so, which is fine.
        unsafe {
            if on {
                dpdk_sys::rte_eth_dev_rx_intr_enable(self.id, self.queue);
            } else {
                dpdk_sys::rte_eth_dev_rx_intr_disable(self.id, self.queue);
            }
        }
    }

    /// Sleeps until a queue that this thread listens to has something, or the time is over.
    pub(crate) fn wait(milliseconds: i32) {
        let mut event = dpdk_sys::rte_epoll_event::default();
        // SAFETY: room for one event.
        unsafe { dpdk_sys::rte_epoll_wait(dpdk_sys::RTE_EPOLL_PER_THREAD, &mut event, 1, milliseconds) };
    }
}

fn restore_vlans(packets: &mut [Mbuf]) {
    for packet in packets {
        if !packet.restore_vlan() {
            let all = packet.data().len();
            let _emptied = packet.trim_front(all);
        }
    }
}

impl Drop for RxQueue {
    fn drop(&mut self) {
        self.rest(false);
        self.port.release_rx(self.queue);
    }
}

/// One TX queue. It may move to another thread, but only one sends on it.
#[derive(Debug)]
pub struct TxQueue {
    port: Port,
    id: u16,
    queue: u16,
    by_pointer: bool,
    whole_only: bool,
    resting: bool,
    /// Whether one of the two above is so: one look a burst instead of two.
    is_special: bool,
    _not_sync: PhantomData<Cell<()>>,
}

impl TxQueue {
    pub(super) fn new(port: Port, queue: u16) -> Self {
        let (by_pointer, whole_only) = (port.info().passes_buffers, !port.sends_chains());
        TxQueue {
            id: port.id(),
            port,
            queue,
            by_pointer,
            whole_only,
            resting: false,
            is_special: whole_only,
            _not_sync: PhantomData,
        }
    }

    /// The port it belongs to.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Its number on the port.
    pub fn number(&self) -> u16 {
        self.queue
    }

    /// Lets the device alone, so that it can be [restarted](Port::restart), or sends again. Nothing is taken
    /// meanwhile. Waits for a restart that is under way.
    pub fn rest(&mut self, on: bool) {
        self.port.count_resting(self.resting, on);
        self.resting = on;
        self.is_special = self.whole_only || self.resting;
    }

    /// Sends the batch and returns how many packets the device took. The others stay in the batch,
    /// in order.
    ///
    /// A packet of several segments stops the batch where the port cannot send it: see
    /// [`Port::sends_chains`].
    #[inline]
    pub fn send<M: Copy + Default, const N: usize>(&mut self, batch: &mut Batch<M, N>) -> usize {
        match self.is_special {
            true => self.send_specially(batch),
            false => self.offer(batch, usize::MAX),
        }
    }

    #[inline(never)]
    fn send_specially<M: Copy + Default, const N: usize>(&mut self, batch: &mut Batch<M, N>) -> usize {
        if self.resting {
            return 0;
        }
        self.offer(batch, whole_ones_in_front(batch.packets()))
    }

    /// As [`send`](TxQueue::send), of packets that were made whole before if they have to be.
    #[inline]
    pub(crate) fn send_whole<M: Copy + Default, const N: usize>(&mut self, batch: &mut Batch<M, N>) -> usize {
        if self.resting {
            return 0;
        }
        self.offer(batch, usize::MAX)
    }

    #[inline]
    fn offer<M: Copy + Default, const N: usize>(&mut self, batch: &mut Batch<M, N>, most: usize) -> usize {
        let (port, queue) = (self.id, self.queue);
        batch.take_raw(most, |packets, count| {
            // SAFETY: `packets` holds `count` owned mbufs, and the device owns those it takes.
            usize::from(unsafe { dpdk_sys::rte_eth_tx_burst(port, queue, packets, count as u16) })
        })
    }

    /// A packet with several owners, made ready for this queue: a copy where the driver hands
    /// buffers over. Nothing when the pool has run dry.
    #[inline]
    pub(crate) fn own(&self, packet: SharedMbuf) -> Option<Mbuf> {
        if self.by_pointer {
            return packet.copy();
        }
        Some(packet.into_owner())
    }
}

/// How many packets there are before the first of several segments, behind which a driver would read on.
#[inline]
fn whole_ones_in_front(packets: &[Mbuf]) -> usize {
    // Nearly always all of them, which is seen without a branch for each: no packet has no segment.
    match packets.iter().fold(1, |all, packet| all | packet.segments()) {
        1 => packets.len(),
        _ => packets.iter().take_while(|packet| packet.segments() == 1).count(),
    }
}

impl Drop for TxQueue {
    fn drop(&mut self) {
        self.rest(false);
        self.port.release_tx(self.queue);
    }
}

//! Receiving and sending: what DPDK's `static inline` functions of these names do, without a call into C before the
//! driver's.

use crate::{rte_eth_call_rx_callbacks, rte_eth_call_tx_callbacks, rte_eth_fp_ops, rte_ethdev_qdata, rte_mbuf};
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Takes at most `count` packets from an RX queue, and returns how many.
///
/// # Safety
/// The port is started and the queue set up, which nobody else polls; `mbufs` has room for `count`.
#[inline]
pub unsafe fn rte_eth_rx_burst(port: u16, queue: u16, mbufs: *mut *mut rte_mbuf, count: u16) -> u16 {
    // SAFETY: the port is started, so that its functions are there, and its queue's data and callbacks.
    unsafe {
        let ops = functions(port);
        let (data, callbacks) = of_queue(&(*ops).rxq, queue);
        match callbacks.is_null() {
            true => (*ops).rx_pkt_burst.unwrap_unchecked()(data, mbufs, count),
            false => receive_and_show(port, queue, mbufs, count, callbacks),
        }
    }
}

/// Sends at most `count` packets on a TX queue, and returns how many, which are the driver's now.
///
/// # Safety
/// The port is started and the queue set up, which nobody else sends on; `mbufs` holds `count` packets, at least one:
/// drivers look at the first.
#[inline]
pub unsafe fn rte_eth_tx_burst(port: u16, queue: u16, mbufs: *mut *mut rte_mbuf, count: u16) -> u16 {
    // SAFETY: as in `rte_eth_rx_burst`.
    unsafe {
        let ops = functions(port);
        let (data, callbacks) = of_queue(&(*ops).txq, queue);
        match callbacks.is_null() {
            true => (*ops).tx_pkt_burst.unwrap_unchecked()(data, mbufs, count),
            false => show_and_send(port, queue, mbufs, count, callbacks),
        }
    }
}

/// Apart from the usual way, which has fewer registers to save so.
///
/// # Safety
/// As [`rte_eth_rx_burst`], and the callbacks are the queue's.
#[cold]
#[inline(never)]
unsafe fn receive_and_show(
    port: u16,
    queue: u16,
    mbufs: *mut *mut rte_mbuf,
    count: u16,
    callbacks: *mut c_void,
) -> u16 {
    // SAFETY: as the caller's.
    unsafe {
        let ops = functions(port);
        let (data, _) = of_queue(&(*ops).rxq, queue);
        let received = (*ops).rx_pkt_burst.unwrap_unchecked()(data, mbufs, count);
        rte_eth_call_rx_callbacks(port, queue, mbufs, received, count, callbacks)
    }
}

/// As [`receive_and_show`], before packets are sent.
///
/// # Safety
/// As [`rte_eth_tx_burst`], and the callbacks are the queue's.
#[cold]
#[inline(never)]
unsafe fn show_and_send(port: u16, queue: u16, mbufs: *mut *mut rte_mbuf, count: u16, callbacks: *mut c_void) -> u16 {
    // SAFETY: as the caller's.
    unsafe {
        let count = rte_eth_call_tx_callbacks(port, queue, mbufs, count, callbacks);
        let ops = functions(port);
        let (data, _) = of_queue(&(*ops).txq, queue);
        (*ops).tx_pkt_burst.unwrap_unchecked()(data, mbufs, count)
    }
}

/// The driver's functions; those of a port that is stopped do nothing.
#[inline]
fn functions(port: u16) -> *const rte_eth_fp_ops {
    let all = &raw const crate::rte_eth_fp_ops;
    // SAFETY: there is an entry for every port that there can be.
    unsafe { all.cast::<rte_eth_fp_ops>().add(usize::from(port)) }
}

/// What the driver keeps of a queue, and who is to see its packets: mostly nobody.
///
/// # Safety
/// There is such a queue.
#[inline]
unsafe fn of_queue(queues: &rte_ethdev_qdata, queue: u16) -> (*mut c_void, *mut c_void) {
    let at = usize::from(queue);
    // SAFETY: both arrays have an entry for the queue. Callbacks are added by other threads, and what is reached
    // through the pointer was written before it.
    unsafe { (*queues.data.add(at), AtomicPtr::from_ptr(queues.clbk.add(at).cast()).load(Ordering::Relaxed)) }
}

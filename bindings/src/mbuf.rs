//! The packet buffer, by offsets that hold in every supported release.

use crate::rte_mempool;
use std::ffi::c_void;
use std::sync::atomic::AtomicU16;

/// A DPDK packet buffer: two cache lines of description; the data stands at `buf_addr + data_off`.
///
/// The order and sizes of these fields are asserted at compile time in `shim.c`.
#[repr(C, align(64))]
#[allow(non_camel_case_types)]
pub struct rte_mbuf {
    /// Start of the buffer, headroom included.
    pub buf_addr: *mut c_void,
    /// The same for a device.
    pub buf_iova: u64,
    /// Where the data starts in the buffer, bytes.
    pub data_off: u16,
    // Counted by several owners at once, while each may hold a reference to the whole.
    refcnt: AtomicU16,
    /// Segments in this packet, this one included.
    pub nb_segs: u16,
    /// The port that received it.
    pub port: u16,
    /// `RTE_MBUF_F_*`.
    pub ol_flags: u64,
    /// `RTE_PTYPE_*`, as far as the device told.
    pub packet_type: u32,
    /// Bytes in the whole packet.
    pub pkt_len: u32,
    /// Bytes in this segment.
    pub data_len: u16,
    /// The tag a device stripped, when `ol_flags` says so.
    pub vlan_tci: u16,
    /// RSS hash, when `ol_flags` says so.
    pub hash_rss: u32,
    /// The number that a flow rule marked it with, when `ol_flags` says so.
    pub hash_fdir_hi: u32,
    /// The outer tag of two that a device stripped.
    pub vlan_tci_outer: u16,
    /// Size of the buffer, headroom included, bytes.
    pub buf_len: u16,
    /// Where the buffer goes when it is freed.
    pub pool: *mut rte_mempool,
    /// The next segment, or null.
    pub next: *mut rte_mbuf,
    /// Header lengths for transmit offloads.
    pub tx_offload: u64,
    shinfo: *mut c_void,
    priv_size: u16,
    timesync: u16,
    dynfield1: [u32; 9],
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<rte_mbuf>() == 128);
    assert!(offset_of!(rte_mbuf, data_off) == 16);
    assert!(offset_of!(rte_mbuf, refcnt) == 18);
    assert!(offset_of!(rte_mbuf, nb_segs) == 20);
    assert!(offset_of!(rte_mbuf, port) == 22);
    assert!(offset_of!(rte_mbuf, ol_flags) == 24);
    assert!(offset_of!(rte_mbuf, packet_type) == 32);
    assert!(offset_of!(rte_mbuf, pkt_len) == 36);
    assert!(offset_of!(rte_mbuf, data_len) == 40);
    assert!(offset_of!(rte_mbuf, vlan_tci) == 42);
    assert!(offset_of!(rte_mbuf, hash_rss) == 44);
    assert!(offset_of!(rte_mbuf, hash_fdir_hi) == 48);
    assert!(offset_of!(rte_mbuf, vlan_tci_outer) == 52);
    assert!(offset_of!(rte_mbuf, buf_len) == 54);
    assert!(offset_of!(rte_mbuf, pool) == 56);
    assert!(offset_of!(rte_mbuf, next) == 64);
    assert!(offset_of!(rte_mbuf, tx_offload) == 72);
    assert!(offset_of!(rte_mbuf, shinfo) == 80);
    assert!(offset_of!(rte_mbuf, priv_size) == 88);
    assert!(offset_of!(rte_mbuf, dynfield1) == 92);
};

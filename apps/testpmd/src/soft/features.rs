//! What software adds to what a device can do.

use super::spread;
use iogate::port::{PortInfo, VlanOffloads};

/// `RTE_ETH_RX_OFFLOAD_*`.
pub(super) mod rx {
    pub(in super::super) const VLAN_STRIP: u64 = 1 << 0;
    pub(in super::super) const IPV4_CKSUM: u64 = 1 << 1;
    pub(in super::super) const UDP_CKSUM: u64 = 1 << 2;
    pub(in super::super) const TCP_CKSUM: u64 = 1 << 3;
    pub(in super::super) const QINQ_STRIP: u64 = 1 << 5;
    pub(in super::super) const VLAN_FILTER: u64 = 1 << 9;
    pub(in super::super) const VLAN_EXTEND: u64 = 1 << 10;
    pub(in super::super) const SCATTER: u64 = 1 << 13;
    pub(in super::super) const SCTP_CKSUM: u64 = 1 << 17;
    pub(in super::super) const RSS_HASH: u64 = 1 << 19;
    pub(in super::super) const BUFFER_SPLIT: u64 = 1 << 20;
}

/// `RTE_ETH_RX_OFFLOAD_BUFFER_SPLIT`, which software alone does.
pub(crate) const BUFFER_SPLIT: u64 = rx::BUFFER_SPLIT;

/// `RTE_ETH_TX_OFFLOAD_*`: VLAN, IPv4, UDP, TCP, SCTP, TSO of TCP, outer IPv4, QinQ, outer UDP.
const TX: u64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 20;
/// `RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE`: all buffers are of one pool and have one owner, which is always so here.
const FAST_FREE: u64 = 1 << 16;
/// `RTE_ETH_DEV_CAPA_RUNTIME_RX_QUEUE_SETUP` and that of TX.
const RUNTIME_SETUP: u64 = 3;

/// Queues in each direction, on devices that have fewer.
const QUEUES: u16 = 16;
/// Addresses of a port.
const ADDRESSES: u32 = 64;

/// Drivers that say they spread packets, and spread none.
const CLAIM_TO_SPREAD: [&str; 1] = ["net_tap"];
/// Drivers whose packets come in several buffers when they are long, and that do not say so.
const SCATTER_SILENTLY: [&str; 2] = ["net_pcap", "net_ring"];

/// RX offloads that a device has itself and that are left to it. Not those that its driver does in software too, and
/// worse: it cannot change them while it runs, or says nothing of IPv6.
pub(super) fn native_rx(native: &PortInfo) -> u64 {
    let worse = match native.driver.as_str() {
        "net_af_packet" => rx::VLAN_STRIP,
        "net_tap" => rx::IPV4_CKSUM | rx::UDP_CKSUM | rx::TCP_CKSUM,
        _ => 0,
    };
    // Nobody tells devices how to split.
    native.rx_offloads & !worse & !rx::BUFFER_SPLIT
}

/// The kernel's interface behind a device, if there is one.
pub(super) fn interface(native: &PortInfo) -> Option<&str> {
    native.arguments.split(',').find_map(|argument| argument.strip_prefix("iface="))
}

/// How many queue pairs of a device are used where software spreads packets over `wanted`.
pub(super) fn pairs(native: &PortInfo, wanted: u16) -> u16 {
    // The kernel spreads over a tap's queues by a rule of its own, and what it puts into two of them would come out
    // in another order. The other devices cannot be without some of their queues: packets are already in them.
    if native.driver == "net_tap" { 1 } else { wanted }
}

/// Whether packets are spread by the device itself.
pub(super) fn spreads(native: &PortInfo) -> bool {
    native.rss_supported != 0 && !CLAIM_TO_SPREAD.contains(&native.driver.as_str())
}

/// What a device can do with software's help.
pub(super) fn added(native: &PortInfo) -> PortInfo {
    let mut info = native.clone();
    info.rx_offloads |= rx::VLAN_STRIP | rx::QINQ_STRIP | rx::VLAN_FILTER | rx::VLAN_EXTEND;
    info.rx_offloads |= rx::BUFFER_SPLIT;
    info.rx_offloads |= rx::IPV4_CKSUM | rx::UDP_CKSUM | rx::TCP_CKSUM | rx::SCTP_CKSUM;
    if SCATTER_SILENTLY.contains(&native.driver.as_str()) {
        info.rx_offloads |= rx::SCATTER;
    }
    info.tx_offloads |= TX | FAST_FREE;
    info.tx_queue_offloads |= FAST_FREE;
    info.capabilities |= RUNTIME_SETUP;
    info.max_tx_queues = info.max_tx_queues.max(QUEUES);
    info.max_macs = info.max_macs.max(ADDRESSES);
    if !spreads(native) {
        info.rx_offloads |= rx::RSS_HASH;
        info.rss_supported = spread::FIELDS;
        info.reta_size = spread::TABLE_SIZE;
        info.hash_key_size = spread::KEY_SIZE as u8;
        info.max_rx_queues = info.max_rx_queues.max(QUEUES);
    }
    info
}

/// VLAN offloads as bits of RX offloads.
pub(super) fn vlan_bits(vlan: VlanOffloads) -> u64 {
    let all = [
        (vlan.strip, rx::VLAN_STRIP),
        (vlan.filter, rx::VLAN_FILTER),
        (vlan.extend, rx::VLAN_EXTEND),
        (vlan.qinq_strip, rx::QINQ_STRIP),
    ];
    all.iter().filter(|(on, _)| *on).fold(0, |bits, (_, bit)| bits | bit)
}

/// And back.
pub(super) fn vlan_of(bits: u64) -> VlanOffloads {
    let on = |bit: u64| bits & bit != 0;
    VlanOffloads {
        strip: on(rx::VLAN_STRIP),
        filter: on(rx::VLAN_FILTER),
        extend: on(rx::VLAN_EXTEND),
        qinq_strip: on(rx::QINQ_STRIP),
    }
}

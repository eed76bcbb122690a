//! What a device is and can do.

use super::PortSpec;
use super::config::Thresholds;
use super::lookup::text;
use crate::error::{Error, Result};
use crate::packet::MacAddr;
use std::ffi::c_char;

/// What a device is and can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// DPDK's name of the device.
    pub name: String,
    /// DPDK's driver.
    pub driver: String,
    /// The bus it is on.
    pub bus: Bus,
    /// What the driver was told when the device was made.
    pub arguments: String,
    /// The firmware's version, where the device says.
    pub firmware: Option<String>,
    /// The address of the port itself.
    pub mac: MacAddr,
    /// The NUMA node it is attached to, if any.
    pub numa_node: Option<u16>,
    /// RX queues it can have.
    pub max_rx_queues: u16,
    /// TX queues it can have.
    pub max_tx_queues: u16,
    /// RX queues it is configured with.
    pub rx_queues: u16,
    /// TX queues it is configured with.
    pub tx_queues: u16,
    /// What an RX queue's descriptors can be.
    pub rx_descriptors: DescriptorLimits,
    /// What a TX queue's descriptors can be.
    pub tx_descriptors: DescriptorLimits,
    /// Smallest MTU, bytes.
    pub min_mtu: u16,
    /// Largest MTU, bytes.
    pub max_mtu: u16,
    /// Smallest RX buffer, bytes.
    pub min_rx_buffer: u32,
    /// Longest packet it can be made to receive, bytes.
    pub max_rx_packet: u32,
    /// Largest packet it can put together of several, bytes.
    pub max_lro_packet: u32,
    /// Addresses it can have.
    pub max_macs: u32,
    /// Addresses it can have by hash.
    pub max_hash_macs: u32,
    /// Virtual functions it can have.
    pub max_vfs: u16,
    /// VMDq pools it can have.
    pub max_vmdq_pools: u16,
    /// Entries of the table that spreads packets over RX queues.
    pub reta_size: u16,
    /// Bytes of the key that packets are hashed with.
    pub hash_key_size: u8,
    /// Every RSS field it supports (`RTE_ETH_RSS_*`).
    pub rss_supported: u64,
    /// RSS fields it supports, of those the framework asks for.
    pub rss_fields: u64,
    /// RX offloads it can do (`RTE_ETH_RX_OFFLOAD_*`), those of single queues included.
    pub rx_offloads: u64,
    /// RX offloads that single queues can do.
    pub rx_queue_offloads: u64,
    /// TX offloads it can do (`RTE_ETH_TX_OFFLOAD_*`), those of single queues included.
    pub tx_offloads: u64,
    /// TX offloads that single queues can do.
    pub tx_queue_offloads: u64,
    /// What the driver recommends for an RX queue.
    pub rx_thresholds: Thresholds,
    /// What the driver recommends for a TX queue.
    pub tx_thresholds: Thresholds,
    /// `RTE_ETH_LINK_SPEED_*`; 0: any.
    pub speeds: u32,
    /// `RTE_ETH_DEV_CAPA_*`.
    pub capabilities: u64,
    /// How it behaves after an error: 0 not at all, 1 it recovers when asked, 2 by itself.
    pub error_handling: u32,
    /// Whether a packet of several segments can be sent.
    pub multi_segment_tx: bool,
    /// Whether it hands buffers over to another port instead of sending bytes.
    pub passes_buffers: bool,
}

impl PortInfo {
    /// Whether received packets may have their VLAN tag beside the data, in
    /// [`Mbuf::stripped_vlan`](crate::memory::Mbuf::stripped_vlan), without anybody having asked for it:
    /// the drivers of some virtual functions turn that on together with a VLAN filter, and so does a
    /// physical function for its virtual ones. Drivers of software devices do as they are told.
    pub fn may_strip(&self) -> bool {
        self.bus.name == "pci"
    }
}

/// Where a device is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bus {
    /// "pci" or "vdev".
    pub name: String,
    /// What the bus says of the device.
    pub info: String,
    /// The NUMA node that the bus says it is on, if any.
    pub numa_node: Option<u16>,
}

/// What a queue's descriptors can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorLimits {
    /// At most so many.
    pub most: u16,
    /// At least so many.
    pub least: u16,
    /// A multiple of this.
    pub align: u16,
    /// Segments of a packet.
    pub segments: u16,
    /// Segments of each packet that a large one is cut into.
    pub mtu_segments: u16,
}

pub(super) fn raw_info(id: u16, spec: &PortSpec) -> Result<dpdk_sys::rte_eth_dev_info> {
    let mut raw = dpdk_sys::rte_eth_dev_info::default();
    // SAFETY: the port exists, and the call fills the structure.
    match unsafe { dpdk_sys::rte_eth_dev_info_get(id, &mut raw) } {
        0 => Ok(raw),
        code => Err(Error::port(spec, "cannot learn what the device is", code, "")),
    }
}

pub(super) fn device_info(id: u16, spec: &PortSpec) -> Result<(PortInfo, *mut dpdk_sys::rte_device)> {
    let raw = raw_info(id, spec)?;
    let mut address = dpdk_sys::rte_ether_addr::default();
    let mut about = dpdk_sys::shim_device::default();
    let mut firmware = [0 as c_char; 256];
    // SAFETY: the port and its device exist and the calls fill what they are given; a device without
    // an address leaves zeros; a port without a device (of rings) leaves NULL.
    let (firmware_known, node) = unsafe {
        dpdk_sys::rte_eth_macaddr_get(id, &mut address);
        if !raw.device.is_null() {
            dpdk_sys::shim_device_get(raw.device, &mut about);
        }
        let known = dpdk_sys::rte_eth_dev_fw_version_get(id, firmware.as_mut_ptr(), firmware.len());
        (known == 0, dpdk_sys::rte_eth_dev_socket_id(id))
    };
    // SAFETY: C strings of the device and the driver, which live as long, or NULL.
    let (driver, name, bus, bus_info, arguments) = unsafe {
        let (bus, bus_info) = (text(about.bus), text(about.bus_info));
        (text(raw.driver_name), text(about.name), bus, bus_info, text(about.arguments))
    };
    // SAFETY: a C string when the call succeeded.
    let firmware = firmware_known.then(|| unsafe { text(firmware.as_ptr()) });
    // SAFETY: constants of the shim.
    let (rss, multi) = unsafe {
        let rss = dpdk_sys::SHIM_RSS_IP | dpdk_sys::SHIM_RSS_TCP | dpdk_sys::SHIM_RSS_UDP;
        (rss, dpdk_sys::SHIM_TX_OFFLOAD_MULTI_SEGS)
    };
    let limits = |limits: dpdk_sys::rte_eth_desc_lim| DescriptorLimits {
        most: limits.nb_max,
        least: limits.nb_min,
        align: limits.nb_align,
        segments: limits.nb_seg_max,
        mtu_segments: limits.nb_mtu_seg_max,
    };
    let (rx, tx) = (raw.default_rxconf, raw.default_txconf);
    // When it starts, this driver sends the descriptors of all its queues in one message that has room for so many, and
    // writes beyond its end when there are more.
    let most = if driver == "net_tap" { dpdk_sys::RTE_MP_MAX_FD_NUM as u16 / 2 } else { u16::MAX };
    let info = PortInfo {
        name,
        passes_buffers: driver == "net_ring",
        driver,
        bus: Bus { name: bus, info: bus_info, numa_node: u16::try_from(about.numa_node).ok() },
        arguments,
        firmware,
        mac: MacAddr::from(address.addr_bytes),
        numa_node: u16::try_from(node).ok(),
        max_rx_queues: raw.max_rx_queues.min(most),
        max_tx_queues: raw.max_tx_queues.min(most),
        rx_queues: raw.nb_rx_queues,
        tx_queues: raw.nb_tx_queues,
        rx_descriptors: limits(raw.rx_desc_lim),
        tx_descriptors: limits(raw.tx_desc_lim),
        min_mtu: raw.min_mtu,
        max_mtu: raw.max_mtu,
        min_rx_buffer: raw.min_rx_bufsize,
        max_rx_packet: raw.max_rx_pktlen,
        max_lro_packet: raw.max_lro_pkt_size,
        max_macs: raw.max_mac_addrs,
        max_hash_macs: raw.max_hash_mac_addrs,
        max_vfs: raw.max_vfs,
        max_vmdq_pools: raw.max_vmdq_pools,
        reta_size: raw.reta_size,
        hash_key_size: raw.hash_key_size,
        rss_supported: raw.flow_type_rss_offloads,
        rss_fields: raw.flow_type_rss_offloads & rss,
        rx_offloads: raw.rx_offload_capa,
        rx_queue_offloads: raw.rx_queue_offload_capa,
        tx_offloads: raw.tx_offload_capa,
        tx_queue_offloads: raw.tx_queue_offload_capa,
        rx_thresholds: Thresholds {
            prefetch: Some(rx.rx_thresh.pthresh),
            host: Some(rx.rx_thresh.hthresh),
            writeback: Some(rx.rx_thresh.wthresh),
            free: Some(rx.rx_free_thresh),
            rs: None,
            drop: Some(rx.rx_drop_en != 0),
        },
        tx_thresholds: Thresholds {
            prefetch: Some(tx.tx_thresh.pthresh),
            host: Some(tx.tx_thresh.hthresh),
            writeback: Some(tx.tx_thresh.wthresh),
            free: Some(tx.tx_free_thresh),
            rs: Some(tx.tx_rs_thresh),
            drop: None,
        },
        speeds: raw.speed_capa,
        capabilities: raw.dev_capa,
        error_handling: raw.err_handle_mode,
        multi_segment_tx: raw.tx_offload_capa & multi != 0,
    };
    Ok((info, raw.device))
}

/// DPDK's names of RX offloads, lowest bit first.
pub fn rx_offload_names(offloads: u64) -> Vec<String> {
    // SAFETY: a static C string, whatever the bit.
    names(offloads, |bit| unsafe { text(dpdk_sys::rte_eth_dev_rx_offload_name(bit)) })
}

/// DPDK's names of TX offloads, lowest bit first.
pub fn tx_offload_names(offloads: u64) -> Vec<String> {
    // SAFETY: a static C string, whatever the bit.
    names(offloads, |bit| unsafe { text(dpdk_sys::rte_eth_dev_tx_offload_name(bit)) })
}

/// DPDK's names of device capabilities, lowest bit first.
pub fn capability_names(capabilities: u64) -> Vec<String> {
    // SAFETY: a static C string, whatever the bit.
    names(capabilities, |bit| unsafe { text(dpdk_sys::rte_eth_dev_capability_name(bit)) })
}

fn names(bits: u64, name: impl Fn(u64) -> String) -> Vec<String> {
    (0..u64::BITS).map(|bit| 1 << bit).filter(|bit| bits & bit != 0).map(name).collect()
}

//! What can be asked of a device and changed on it besides its configuration: addresses, VLANs, flow
//! control, single queues, RSS.

use super::config::{self, PortConfig};
use super::device::control;
use super::lookup::text;
use super::{Device, Port};
use crate::error::{Error, Result};
use crate::memory::MbufPool;
use crate::packet::MacAddr;
use std::collections::BTreeSet;
use std::sync::MutexGuard;

/// A queue as its driver set it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueInfo {
    /// RX: DPDK's name of the pool its buffers come from.
    pub pool: String,
    /// Which of the driver's functions moves packets; empty where it does not say.
    pub burst_mode: String,
    /// `RTE_ETH_RX_OFFLOAD_*` or `RTE_ETH_TX_OFFLOAD_*`.
    pub offloads: u64,
    /// Descriptors.
    pub descriptors: u16,
    /// Descriptors that are freed at a time.
    pub free_threshold: u16,
    /// TX: descriptors after which the device is asked to report.
    pub rs_threshold: u16,
    /// Prefetch threshold.
    pub prefetch: u8,
    /// Host threshold.
    pub host: u8,
    /// Write-back threshold.
    pub writeback: u8,
    /// Whether it is not started with the port.
    pub deferred_start: bool,
    /// RX: whether the device drops packets when it has no descriptor.
    pub drop: bool,
    /// RX: whether packets of several segments come.
    pub scattered: bool,
    /// Whether it runs.
    pub state: QueueState,
}

/// Whether a queue runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words say it")]
pub enum QueueState {
    Stopped,
    Started,
    Hairpin,
    Unknown,
}

/// Where a descriptor is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptorState {
    /// RX: waits for a packet. TX: being sent.
    Busy,
    /// The device is done with it.
    Done,
    /// Held by the driver or the device.
    Unavailable,
}

/// Pause frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowControl {
    /// Obeyed when received.
    pub rx: bool,
    /// Sent.
    pub tx: bool,
    /// Fill level at which a pause is sent.
    pub high_water: u32,
    /// Fill level at which it ends.
    pub low_water: u32,
    /// How long a pause is.
    pub pause_time: u16,
    /// Whether its end is announced.
    pub send_xon: bool,
    /// Whether control frames are passed on to the application.
    pub forward_control: bool,
    /// Whether it is negotiated.
    pub autoneg: bool,
}

/// What the device does with VLAN tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanOffloads {
    /// Takes the tag off.
    pub strip: bool,
    /// Receives only tags it was told.
    pub filter: bool,
    /// Knows two tags.
    pub extend: bool,
    /// Takes both tags off.
    pub qinq_strip: bool,
}

/// Tunnels whose UDP port a device can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words say it")]
pub enum Tunnel {
    Vxlan,
    VxlanGpe,
    Geneve,
    Ecpri,
}

const STRIP: u32 = dpdk_sys::RTE_ETH_VLAN_STRIP_OFFLOAD;
const FILTER: u32 = dpdk_sys::RTE_ETH_VLAN_FILTER_OFFLOAD;
const EXTEND: u32 = dpdk_sys::RTE_ETH_VLAN_EXTEND_OFFLOAD;
const QINQ: u32 = dpdk_sys::RTE_ETH_QINQ_STRIP_OFFLOAD;

impl Device {
    /// Its own address now.
    pub fn mac(&self) -> MacAddr {
        let mut raw = dpdk_sys::rte_ether_addr::default();
        // SAFETY: the port is open, and there is room for an address.
        unsafe { dpdk_sys::rte_eth_macaddr_get(self.id(), &mut raw) };
        MacAddr::from(raw.addr_bytes)
    }

    /// All addresses that it receives, the empty places of its table left out.
    pub fn macs(&self) -> Result<Vec<MacAddr>> {
        let room = self.info().max_macs;
        let mut raw = vec![dpdk_sys::rte_ether_addr::default(); room as usize];
        // SAFETY: the port is open, and there is room for as many addresses as is said.
        let count = unsafe { dpdk_sys::rte_eth_macaddrs_get(self.id(), raw.as_mut_ptr(), room) };
        if count < 0 {
            return Err(Error::port_failed(self.spec(), "cannot read its addresses", count));
        }
        raw.truncate(count as usize);
        let macs = raw.into_iter().map(|raw| MacAddr::from(raw.addr_bytes));
        Ok(macs.filter(|mac| *mac != MacAddr::from([0; 6])).collect())
    }

    /// Makes another address its own.
    pub fn set_mac(&self, mac: MacAddr) -> Result<()> {
        let _one_at_a_time = control();
        let mut raw = address(mac);
        // SAFETY: the port is open; the address is copied.
        let result = unsafe { dpdk_sys::rte_eth_dev_default_mac_addr_set(self.id(), &mut raw) };
        self.check(&format!("cannot set its address to {mac}"), result)
    }

    /// Receives another address too.
    pub fn add_mac(&self, mac: MacAddr) -> Result<()> {
        let _one_at_a_time = control();
        let mut raw = address(mac);
        // SAFETY: the port is open; the address is copied.
        let result = unsafe { dpdk_sys::rte_eth_dev_mac_addr_add(self.id(), &mut raw, 0) };
        self.check(&format!("cannot add the address {mac}"), result)
    }

    /// Receives an address that was added no more.
    pub fn remove_mac(&self, mac: MacAddr) -> Result<()> {
        let _one_at_a_time = control();
        let mut raw = address(mac);
        // SAFETY: the port is open; the address is only read.
        let result = unsafe { dpdk_sys::rte_eth_dev_mac_addr_remove(self.id(), &mut raw) };
        self.check(&format!("cannot remove the address {mac}"), result)
    }

    /// The groups that it receives.
    pub fn set_groups(&self, groups: &[MacAddr]) -> Result<()> {
        let _one_at_a_time = control();
        let mut raw: Vec<_> = groups.iter().map(|mac| address(*mac)).collect();
        let list = if raw.is_empty() { std::ptr::null_mut() } else { raw.as_mut_ptr() };
        // SAFETY: the port is open; as many addresses as is said are there, and copied.
        let result = unsafe { dpdk_sys::rte_eth_dev_set_mc_addr_list(self.id(), list, raw.len() as u32) };
        self.check("cannot set the groups it receives", result)
    }

    /// What it does with VLAN tags.
    pub fn vlan(&self) -> VlanOffloads {
        // SAFETY: the port is open.
        let mask = unsafe { dpdk_sys::rte_eth_dev_get_vlan_offload(self.id()) }.max(0) as u32;
        let on = |bit: u32| mask & bit != 0;
        VlanOffloads { strip: on(STRIP), filter: on(FILTER), extend: on(EXTEND), qinq_strip: on(QINQ) }
    }

    /// Changes what it does with VLAN tags.
    pub fn set_vlan(&self, vlan: VlanOffloads) -> Result<()> {
        let _one_at_a_time = control();
        let all = [(vlan.strip, STRIP), (vlan.filter, FILTER), (vlan.extend, EXTEND), (vlan.qinq_strip, QINQ)];
        let mask = all.iter().filter(|(on, _)| *on).fold(0, |mask, (_, bit)| mask | bit);
        // SAFETY: the port is open.
        let result = unsafe { dpdk_sys::rte_eth_dev_set_vlan_offload(self.id(), mask as i32) };
        self.check("cannot change VLAN offloads", result)
    }

    /// Whether it was configured to receive only VLANs that it is told.
    pub fn filters_vlans(&self) -> bool {
        self.rx_offloads() & super::builder::vlan_filter() != 0
    }

    /// Receives a VLAN, or no more, while [`VlanOffloads::filter`] is on.
    pub fn filter_vlan(&self, vlan: u16, receive: bool) -> Result<()> {
        let _one_at_a_time = control();
        // SAFETY: the port is open.
        let result = unsafe { dpdk_sys::rte_eth_dev_vlan_filter(self.id(), vlan, i32::from(receive)) };
        self.check(&format!("cannot filter VLAN {vlan}"), result)
    }

    /// Its flow control.
    pub fn flow_control(&self) -> Result<FlowControl> {
        let mut raw = dpdk_sys::rte_eth_fc_conf::default();
        // SAFETY: the port is open, and the call fills the structure.
        let result = unsafe { dpdk_sys::rte_eth_dev_flow_ctrl_get(self.id(), &mut raw) };
        self.check("cannot read its flow control", result)?;
        let mode = raw.mode;
        Ok(FlowControl {
            rx: matches!(mode, dpdk_sys::RTE_ETH_FC_RX_PAUSE | dpdk_sys::RTE_ETH_FC_FULL),
            tx: matches!(mode, dpdk_sys::RTE_ETH_FC_TX_PAUSE | dpdk_sys::RTE_ETH_FC_FULL),
            high_water: raw.high_water,
            low_water: raw.low_water,
            pause_time: raw.pause_time,
            send_xon: raw.send_xon != 0,
            forward_control: raw.mac_ctrl_frame_fwd != 0,
            autoneg: raw.autoneg != 0,
        })
    }

    /// Changes its flow control.
    pub fn set_flow_control(&self, flow: &FlowControl) -> Result<()> {
        let _one_at_a_time = control();
        let mut raw = dpdk_sys::rte_eth_fc_conf {
            high_water: flow.high_water,
            low_water: flow.low_water,
            pause_time: flow.pause_time,
            send_xon: u16::from(flow.send_xon),
            mode: match (flow.rx, flow.tx) {
                (true, true) => dpdk_sys::RTE_ETH_FC_FULL,
                (true, false) => dpdk_sys::RTE_ETH_FC_RX_PAUSE,
                (false, true) => dpdk_sys::RTE_ETH_FC_TX_PAUSE,
                (false, false) => dpdk_sys::RTE_ETH_FC_NONE,
            },
            mac_ctrl_frame_fwd: u8::from(flow.forward_control),
            autoneg: u8::from(flow.autoneg),
        };
        // SAFETY: the port is open; the structure is read.
        let result = unsafe { dpdk_sys::rte_eth_dev_flow_ctrl_set(self.id(), &mut raw) };
        self.check("cannot change its flow control", result)
    }

    /// An RX queue as it was set up.
    pub fn rx_queue_info(&self, queue: u16) -> Result<QueueInfo> {
        let mut raw = dpdk_sys::shim_queue::default();
        // SAFETY: the port is open, and the call checks the queue and fills the structure.
        let result = unsafe { dpdk_sys::shim_rx_queue_get(self.id(), queue, &mut raw) };
        self.check(&format!("cannot learn about RX queue {queue}"), result)?;
        Ok(queue_info(&raw))
    }

    /// A TX queue as it was set up.
    pub fn tx_queue_info(&self, queue: u16) -> Result<QueueInfo> {
        let mut raw = dpdk_sys::shim_queue::default();
        // SAFETY: the port is open, and the call checks the queue and fills the structure.
        let result = unsafe { dpdk_sys::shim_tx_queue_get(self.id(), queue, &mut raw) };
        self.check(&format!("cannot learn about TX queue {queue}"), result)?;
        Ok(queue_info(&raw))
    }

    /// Packets that wait in an RX queue.
    pub fn rx_waiting(&self, queue: u16) -> Result<u32> {
        let _set_up = self.hold_rx_queue(queue)?;
        // SAFETY: the port is open and the queue set up.
        let result = unsafe { dpdk_sys::shim_rx_used(self.id(), queue) };
        u32::try_from(result).map_err(|_| Error::port_failed(self.spec(), "cannot count what waits", result))
    }

    /// Where an RX descriptor, counted from the next one to be received, is on its way.
    pub fn rx_descriptor(&self, queue: u16, descriptor: u16) -> Result<DescriptorState> {
        let _set_up = self.hold_rx_queue(queue)?;
        // SAFETY: the port is open and the queue set up; the driver checks the descriptor.
        match unsafe { dpdk_sys::shim_rx_descriptor(self.id(), queue, descriptor) } {
            0 => Ok(DescriptorState::Busy),
            1 => Ok(DescriptorState::Done),
            2 => Ok(DescriptorState::Unavailable),
            code => Err(Error::port_failed(self.spec(), "cannot look at the descriptor", code)),
        }
    }

    /// Where a TX descriptor, counted from the next one to be sent, is on its way.
    pub fn tx_descriptor(&self, queue: u16, descriptor: u16) -> Result<DescriptorState> {
        let _set_up = self.hold_tx_queue(queue)?;
        // SAFETY: the port is open and the queue set up; the driver checks the descriptor.
        match unsafe { dpdk_sys::shim_tx_descriptor(self.id(), queue, descriptor) } {
            0 => Ok(DescriptorState::Busy),
            1 => Ok(DescriptorState::Done),
            2 => Ok(DescriptorState::Unavailable),
            code => Err(Error::port_failed(self.spec(), "cannot look at the descriptor", code)),
        }
    }

    /// For calls that trust the number of an RX queue: checks that it is set up, and keeps it so while
    /// the guard lives.
    fn hold_rx_queue(&self, queue: u16) -> Result<MutexGuard<'static, BTreeSet<u16>>> {
        let mut raw = dpdk_sys::shim_queue::default();
        // SAFETY: the port is open, and the call checks the queue and fills the structure.
        let ask = || unsafe { dpdk_sys::shim_rx_queue_get(self.id(), queue, &mut raw) };
        self.hold_queue("RX", queue, self.configured_queues().0, ask)
    }

    /// As [`hold_rx_queue`](Device::hold_rx_queue), for a TX queue.
    fn hold_tx_queue(&self, queue: u16) -> Result<MutexGuard<'static, BTreeSet<u16>>> {
        let mut raw = dpdk_sys::shim_queue::default();
        // SAFETY: the port is open, and the call checks the queue and fills the structure.
        let ask = || unsafe { dpdk_sys::shim_tx_queue_get(self.id(), queue, &mut raw) };
        self.hold_queue("TX", queue, self.configured_queues().1, ask)
    }

    fn hold_queue(
        &self,
        kind: &str,
        queue: u16,
        count: u16,
        ask: impl FnOnce() -> i32,
    ) -> Result<MutexGuard<'static, BTreeSet<u16>>> {
        let guard = control();
        // Setting a queue up anew may have failed, and leaves none then. Drivers that cannot describe
        // their queues give another error.
        if queue >= count || ask() == -libc::EINVAL {
            let what = format!("there is no {kind} queue {queue}");
            return Err(Error::port_refused(self.spec(), what, format!("it has {count}")));
        }
        Ok(guard)
    }

    /// Has the device count a queue's packets in one of its counters of queues, 0 to 15.
    ///
    /// # Errors
    /// When there is no such queue or counter, or the device has none of them, as most do.
    pub fn count_queue_in(&self, rx: bool, queue: u16, counter: u8) -> Result<()> {
        let _one_at_a_time = control();
        // SAFETY: the port is open; the call checks its arguments.
        let result = unsafe {
            match rx {
                true => dpdk_sys::rte_eth_dev_set_rx_queue_stats_mapping(self.id(), queue, counter),
                false => dpdk_sys::rte_eth_dev_set_tx_queue_stats_mapping(self.id(), queue, counter),
            }
        };
        self.check("cannot count a queue in a counter of its own", result)
    }

    /// The key that packets are hashed with, and the fields (`RTE_ETH_RSS_*`).
    pub fn rss(&self) -> Result<(Vec<u8>, u64)> {
        let mut key = vec![0; usize::from(self.info().hash_key_size)];
        let mut fields = 0;
        let room = if key.is_empty() { std::ptr::null_mut() } else { key.as_mut_ptr() };
        // SAFETY: the port is open; there is room for a key as long as is said, and for a number.
        let result = unsafe { dpdk_sys::shim_rss_get(self.id(), room, key.len() as u8, &mut fields) };
        self.check("cannot read how it spreads packets", result)?;
        Ok((key, fields))
    }

    /// Changes the fields that packets are hashed by, and the key unless it is empty.
    pub fn set_rss(&self, key: &[u8], fields: u64) -> Result<()> {
        let _one_at_a_time = control();
        let length = key.len().min(usize::from(u8::MAX)) as u8;
        // SAFETY: the port is open; the key has as many bytes as is said, and is copied.
        let result = unsafe { dpdk_sys::shim_rss_set(self.id(), key.as_ptr(), length, fields) };
        self.check("cannot change how it spreads packets", result)
    }

    /// The RX queue of each entry of the table that spreads packets.
    pub fn reta(&self) -> Result<Vec<u16>> {
        let size = self.info().reta_size;
        let mut groups = vec![dpdk_sys::rte_eth_rss_reta_entry64::default(); usize::from(size.div_ceil(64))];
        groups.iter_mut().for_each(|group| group.mask = u64::MAX);
        // SAFETY: the port is open, and there are as many entries as is said.
        let result = unsafe { dpdk_sys::rte_eth_dev_rss_reta_query(self.id(), groups.as_mut_ptr(), size) };
        self.check("cannot read the table that spreads packets", result)?;
        let entry = |at: usize| groups[at / 64].reta[at % 64];
        Ok((0..usize::from(size)).map(entry).collect())
    }

    /// Changes entries of the table that spreads packets: (entry, RX queue).
    pub fn set_reta(&self, entries: &[(u16, u16)]) -> Result<()> {
        let _one_at_a_time = control();
        let size = self.info().reta_size;
        let mut groups = vec![dpdk_sys::rte_eth_rss_reta_entry64::default(); usize::from(size.div_ceil(64))];
        for (entry, queue) in entries.iter().filter(|(entry, _)| *entry < size) {
            let group = &mut groups[usize::from(entry / 64)];
            group.mask |= 1 << (entry % 64);
            group.reta[usize::from(entry % 64)] = *queue;
        }
        // SAFETY: the port is open, and there are as many entries as is said.
        let result = unsafe { dpdk_sys::rte_eth_dev_rss_reta_update(self.id(), groups.as_mut_ptr(), size) };
        self.check("cannot change the table that spreads packets", result)
    }

    /// Tells it the UDP port of a tunnel, or to forget it.
    pub fn tunnel_port(&self, tunnel: Tunnel, udp_port: u16, known: bool) -> Result<()> {
        let _one_at_a_time = control();
        let kind = match tunnel {
            Tunnel::Vxlan => dpdk_sys::RTE_ETH_TUNNEL_TYPE_VXLAN,
            Tunnel::VxlanGpe => dpdk_sys::RTE_ETH_TUNNEL_TYPE_VXLAN_GPE,
            Tunnel::Geneve => dpdk_sys::RTE_ETH_TUNNEL_TYPE_GENEVE,
            Tunnel::Ecpri => dpdk_sys::RTE_ETH_TUNNEL_TYPE_ECPRI,
        };
        let mut raw = dpdk_sys::rte_eth_udp_tunnel { udp_port, prot_type: kind as u8 };
        // SAFETY: the port is open; the structure is read.
        let result = unsafe {
            match known {
                true => dpdk_sys::rte_eth_dev_udp_tunnel_port_add(self.id(), &mut raw),
                false => dpdk_sys::rte_eth_dev_udp_tunnel_port_delete(self.id(), &mut raw),
            }
        };
        self.check("cannot change the UDP port of the tunnel", result)
    }

    /// The kinds of packet that it can tell apart (`RTE_PTYPE_*`).
    pub fn ptypes(&self) -> Result<Vec<u32>> {
        let mut types = vec![0_u32; 256];
        let (all, room) = (u32::MAX, types.len() as i32);
        // SAFETY: the port is open, and there is room for as many as is said.
        let count = unsafe { dpdk_sys::rte_eth_dev_get_supported_ptypes(self.id(), all, types.as_mut_ptr(), room) };
        if count < 0 {
            return Err(Error::port_failed(self.spec(), "cannot list what it tells apart", count));
        }
        types.truncate(count as usize);
        Ok(types)
    }
}

impl Port {
    /// Starts or stops an RX queue that nobody has.
    pub fn run_rx(&self, queue: u16, run: bool) -> Result<()> {
        let _nobody_has_it = self.rx(queue)?;
        let _one_at_a_time = control();
        // SAFETY: the port is open and the queue exists.
        let result = unsafe {
            match run {
                true => dpdk_sys::rte_eth_dev_rx_queue_start(self.id(), queue),
                false => dpdk_sys::rte_eth_dev_rx_queue_stop(self.id(), queue),
            }
        };
        self.check(&format!("cannot start or stop RX queue {queue}"), result)
    }

    /// Starts or stops a TX queue that nobody has.
    pub fn run_tx(&self, queue: u16, run: bool) -> Result<()> {
        let _nobody_has_it = self.tx(queue)?;
        let _one_at_a_time = control();
        // SAFETY: the port is open and the queue exists.
        let result = unsafe {
            match run {
                true => dpdk_sys::rte_eth_dev_tx_queue_start(self.id(), queue),
                false => dpdk_sys::rte_eth_dev_tx_queue_stop(self.id(), queue),
            }
        };
        self.check(&format!("cannot start or stop TX queue {queue}"), result)
    }

    /// Sets an RX queue up anew that nobody has and that was stopped.
    pub fn setup_rx(&self, queue: u16, config: &PortConfig, pool: &MbufPool) -> Result<()> {
        let _nobody_has_it = self.rx(queue)?;
        self.keep_pool(pool);
        let _one_at_a_time = control();
        config::rx_setup(self, config, queue, pool)
    }

    /// Sets a TX queue up anew that nobody has and that was stopped.
    pub fn setup_tx(&self, queue: u16, config: &PortConfig) -> Result<()> {
        let _nobody_has_it = self.tx(queue)?;
        let _one_at_a_time = control();
        config::tx_setup(self, config, queue)
    }
}

fn address(mac: MacAddr) -> dpdk_sys::rte_ether_addr {
    dpdk_sys::rte_ether_addr { addr_bytes: mac.into() }
}

fn queue_info(raw: &dpdk_sys::shim_queue) -> QueueInfo {
    // SAFETY: the shim ends both with a NUL.
    let (pool, burst_mode) = unsafe { (text(raw.pool.as_ptr()), text(raw.burst_mode.as_ptr())) };
    QueueInfo {
        pool,
        burst_mode,
        offloads: raw.offloads,
        descriptors: raw.descriptors,
        free_threshold: raw.free_threshold,
        rs_threshold: raw.rs_threshold,
        prefetch: raw.prefetch,
        host: raw.host,
        writeback: raw.writeback,
        deferred_start: raw.deferred_start != 0,
        drop: raw.drop != 0,
        scattered: raw.scattered != 0,
        state: match u32::from(raw.state) {
            dpdk_sys::RTE_ETH_QUEUE_STATE_STOPPED => QueueState::Stopped,
            dpdk_sys::RTE_ETH_QUEUE_STATE_STARTED => QueueState::Started,
            dpdk_sys::RTE_ETH_QUEUE_STATE_HAIRPIN => QueueState::Hairpin,
            _ => QueueState::Unknown,
        },
    }
}

//! What a port is, how it is doing, and what can be changed while it runs.

use super::Device;
use super::device::control;
use crate::error::{Error, Result};
use std::ffi::CStr;
use std::fs;

/// A port's link, as last known to its driver or, for a kernel interface, to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whether frames can pass.
    pub up: bool,
    /// Mbit/s, where known.
    pub speed_mbps: Option<u32>,
    /// Whether both directions work at once.
    pub full_duplex: bool,
    /// Whether the speed was negotiated.
    pub autoneg: bool,
    /// The speed in words: "10 Gbps".
    pub speed: &'static str,
}

/// Counters of a port, since it was started or they were last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received, as the driver counts them.
    pub rx_bytes: u64,
    /// Bytes sent, as the driver counts them.
    pub tx_bytes: u64,
    /// Packets the device lost because nobody fetched them in time.
    pub rx_missed: u64,
    /// Packets received broken.
    pub rx_errors: u64,
    /// Packets the device took and could not send.
    pub tx_errors: u64,
    /// Times that the pool had no buffer for a packet.
    pub rx_no_buffer: u64,
}

impl Device {
    /// The link's state. For kernel interfaces the kernel is asked, since their drivers report a
    /// link that is always up.
    ///
    /// # Errors
    /// While it is [restarted](super::Port::restart), among others.
    pub fn link(&self) -> Result<Link> {
        let _not_restarted = self.read()?;
        let mut raw = dpdk_sys::shim_link::default();
        // SAFETY: the port is open, and the call fills the structure.
        self.check("cannot read the link", unsafe { dpdk_sys::shim_link_get(self.id(), &mut raw) })?;
        let carrier = self.spec().interface().and_then(carrier);
        Ok(Link {
            up: carrier.unwrap_or(raw.up == 1),
            speed_mbps: (raw.speed_mbps != 0 && raw.speed_mbps != u32::MAX).then_some(raw.speed_mbps),
            full_duplex: raw.full_duplex == 1,
            autoneg: raw.autoneg == 1,
            // SAFETY: a static C string, whatever the number.
            speed: unsafe { CStr::from_ptr(dpdk_sys::rte_eth_link_speed_to_str(raw.speed_mbps)) }
                .to_str()
                .unwrap_or("Unknown"),
        })
    }

    /// Counters of the device. For kernel interfaces they have what the kernel lost, too, which the
    /// drivers leave out.
    ///
    /// # Errors
    /// As [`link`](Device::link).
    pub fn stats(&self) -> Result<PortStats> {
        let not_restarted = self.read()?;
        let mut raw = dpdk_sys::shim_stats::default();
        // SAFETY: the port is open, and the call fills the structure.
        self.check("cannot read the counters", unsafe { dpdk_sys::shim_stats_get(self.id(), &mut raw) })?;
        // Not before: a restart, which waits for readers, has what this one asks for.
        drop(not_restarted);
        let losses = self.losses();
        Ok(PortStats {
            rx_packets: raw.rx_packets,
            tx_packets: raw.tx_packets,
            rx_bytes: raw.rx_bytes,
            tx_bytes: raw.tx_bytes,
            rx_missed: raw.rx_missed + losses.missed,
            rx_errors: raw.rx_errors,
            tx_errors: raw.tx_errors + losses.refused,
            rx_no_buffer: raw.rx_nombuf,
        })
    }

    /// Sets the extended counters to 0.
    pub fn reset_xstats(&self) -> Result<()> {
        let _one_at_a_time = control();
        // SAFETY: the port is open.
        self.check("cannot reset the extended counters", unsafe { dpdk_sys::rte_eth_xstats_reset(self.id()) })
    }

    /// Sets the counters to 0.
    pub fn reset_stats(&self) -> Result<()> {
        self.forgive();
        let _one_at_a_time = control();
        // SAFETY: the port is open.
        self.check("cannot reset the counters", unsafe { dpdk_sys::rte_eth_stats_reset(self.id()) })
    }

    /// All counters of the device, by name.
    pub fn xstats(&self) -> Result<Vec<(String, u64)>> {
        let _not_restarted = self.read()?;
        // SAFETY: asks for the number only.
        let count = unsafe { dpdk_sys::rte_eth_xstats_get_names(self.id(), std::ptr::null_mut(), 0) };
        let room = usize::try_from(count)
            .map_err(|_| Error::port(self.spec(), "cannot list the extended counters", count, ""))?;
        let mut names = vec![dpdk_sys::rte_eth_xstat_name::default(); room];
        let mut values = vec![dpdk_sys::rte_eth_xstat::default(); room];
        // SAFETY: room for as many as are asked for in both.
        let (named, read) = unsafe {
            (
                dpdk_sys::rte_eth_xstats_get_names(self.id(), names.as_mut_ptr(), room as u32),
                dpdk_sys::rte_eth_xstats_get(self.id(), values.as_mut_ptr(), room as u32),
            )
        };
        if named != count || read != count {
            return Err(Error::port(self.spec(), "cannot read the extended counters", named.min(read), ""));
        }
        let text = |name: &dpdk_sys::rte_eth_xstat_name| {
            // SAFETY: DPDK ends these names with a NUL.
            unsafe { CStr::from_ptr(name.name.as_ptr()) }.to_string_lossy().into_owned()
        };
        let pair = |value: &dpdk_sys::rte_eth_xstat| Some((text(names.get(value.id as usize)?), value.value));
        Ok(values.iter().filter_map(pair).collect())
    }

    /// Largest packet, bytes without the Ethernet header.
    pub fn mtu(&self) -> Result<u16> {
        let mut mtu = 0;
        // SAFETY: the port is open, and there is room for one number.
        self.check("cannot read the MTU", unsafe { dpdk_sys::rte_eth_dev_get_mtu(self.id(), &mut mtu) })?;
        Ok(mtu)
    }

    /// Changes the MTU; some devices must be stopped for it and refuse.
    pub fn set_mtu(&self, bytes: u16) -> Result<()> {
        let _one_at_a_time = control();
        self.set_mtu_under_control(bytes)
    }

    /// For those that hold [`control`] already.
    pub(super) fn set_mtu_under_control(&self, bytes: u16) -> Result<()> {
        // SAFETY: the port is open; the driver checks the range.
        self.check(&format!("cannot set the MTU to {bytes}"), unsafe {
            dpdk_sys::rte_eth_dev_set_mtu(self.id(), bytes)
        })
    }

    /// Whether frames for any address are received.
    pub fn promiscuous(&self) -> bool {
        // SAFETY: the port is open.
        unsafe { dpdk_sys::rte_eth_promiscuous_get(self.id()) == 1 }
    }

    /// Receives frames for any address, or only for the port's own, broadcast and multicast.
    pub fn set_promiscuous(&self, on: bool) -> Result<()> {
        let _one_at_a_time = control();
        // SAFETY: the port is open.
        let result = unsafe {
            match on {
                true => dpdk_sys::rte_eth_promiscuous_enable(self.id()),
                false => dpdk_sys::rte_eth_promiscuous_disable(self.id()),
            }
        };
        self.check("cannot change promiscuous mode", result)
    }

    /// Whether frames for any group are received.
    pub fn allmulticast(&self) -> bool {
        // SAFETY: the port is open.
        unsafe { dpdk_sys::rte_eth_allmulticast_get(self.id()) == 1 }
    }

    /// Receives frames for any group, or only for those it was told.
    pub fn set_allmulticast(&self, on: bool) -> Result<()> {
        let _one_at_a_time = control();
        // SAFETY: the port is open.
        let result = unsafe {
            match on {
                true => dpdk_sys::rte_eth_allmulticast_enable(self.id()),
                false => dpdk_sys::rte_eth_allmulticast_disable(self.id()),
            }
        };
        self.check("cannot change all-multicast mode", result)
    }

    /// Takes the link up or down.
    pub fn set_link(&self, up: bool) -> Result<()> {
        let _one_at_a_time = control();
        // SAFETY: the port is open.
        let result = unsafe {
            match up {
                true => dpdk_sys::rte_eth_dev_set_link_up(self.id()),
                false => dpdk_sys::rte_eth_dev_set_link_down(self.id()),
            }
        };
        self.check("cannot change the link", result)
    }

    /// What a function that returns 0 or a negative error number said.
    pub(super) fn check(&self, what: &str, result: i32) -> Result<()> {
        match result {
            0 => Ok(()),
            code => Err(Error::port_failed(self.spec(), what, code)),
        }
    }
}

/// Whether the kernel sees a carrier on the interface; nothing when it does not say.
fn carrier(interface: &str) -> Option<bool> {
    if !can_see_interfaces() {
        return None;
    }
    // Cannot be read on an interface that is administratively down, or gone: no frame can pass there.
    Some(fs::read_to_string(format!("{INTERFACES}/{interface}/carrier")).is_ok_and(|text| text.trim() == "1"))
}

/// Whether there is such an interface, or that cannot be told.
pub(super) fn interface_exists(interface: &str) -> bool {
    !can_see_interfaces() || fs::exists(format!("{INTERFACES}/{interface}")).unwrap_or(true)
}

const INTERFACES: &str = "/sys/class/net";

/// Every network namespace has a loopback interface; where it is not seen, sysfs is another's.
fn can_see_interfaces() -> bool {
    fs::exists(format!("{INTERFACES}/lo")).unwrap_or(false)
}

//! From a spec to a started port.

use super::ring::Pair;
use super::{Device, MAX_QUEUES, Port, PortConfig, PortKind, PortSpec};
use crate::eal::Eal;
use crate::error::{Error, Result};
use crate::memory::MbufPool;
use std::sync::Arc;

/// Options of a [`Port`]; see [`Eal::port`].
#[derive(Clone, Debug)]
pub struct PortBuilder {
    eal: Eal,
    spec: PortSpec,
    /// The half of a pair this port is to be, instead of a device made from the spec.
    half: Option<(Arc<Pair>, bool)>,
    pool: Option<MbufPool>,
    config: PortConfig,
    promiscuous: bool,
    vlan_filter: bool,
    offloads: bool,
}

impl PortBuilder {
    pub(crate) fn new(eal: &Eal, spec: &PortSpec) -> Self {
        PortBuilder {
            eal: eal.clone(),
            spec: spec.clone(),
            half: None,
            pool: None,
            config: PortConfig::default(),
            promiscuous: true,
            vlan_filter: false,
            offloads: false,
        }
    }

    pub(crate) fn pair(eal: &Eal, name: &str, slots: u32) -> Result<(Self, Self)> {
        let pair = Arc::new(Pair::new(eal, name, slots)?);
        let half = |first: bool| PortBuilder {
            half: Some((pair.clone(), first)),
            ..PortBuilder::new(eal, &"ring".parse().expect("a valid spec"))
        };
        Ok((half(true), half(false)))
    }

    /// Where received packets' buffers come from. Every port needs one.
    pub fn pool(mut self, pool: &MbufPool) -> Self {
        self.pool = Some(pool.clone());
        self
    }

    /// RX and TX queues, 1 to 64 each. Default 1 each. With several RX queues, RSS spreads packets
    /// by the fields that the device supports.
    pub fn queues(mut self, rx: u16, tx: u16) -> Self {
        (self.config.rx_queues, self.config.tx_queues) = (rx, tx);
        self
    }

    /// TX queues: as many as the device has, up to `most`, instead of a fixed number.
    /// [`Port::tx_queues`] tells how many there are.
    pub fn tx_queues_up_to(mut self, most: u16) -> Self {
        (self.config.tx_queues, self.config.fewer_tx) = (most.clamp(1, MAX_QUEUES), true);
        self
    }

    /// Descriptors of each RX and TX queue. Default 1024 each; the device may round or limit them.
    pub fn descriptors(mut self, rx: u16, tx: u16) -> Self {
        (self.config.rx.descriptors, self.config.tx.descriptors) = (rx, tx);
        self
    }

    /// Largest packet, bytes without the Ethernet header; ignored by drivers that know no MTU. Default: as the device
    /// comes.
    pub fn mtu(mut self, bytes: u16) -> Self {
        self.config.mtu = Some(bytes);
        self
    }

    /// Whether to receive frames for any address. Default true.
    pub fn promiscuous(mut self, on: bool) -> Self {
        self.promiscuous = on;
        self
    }

    /// Receives only VLANs that it is told with [`Device::filter_vlan`], and untagged frames, where the
    /// device has such a filter: see [`Device::filters_vlans`]. Default false.
    pub fn vlan_filter(mut self, on: bool) -> Self {
        self.vlan_filter = on;
        self
    }

    /// Of a vhost port: takes packets as the guest gives them, with checksums to be finished and, where the spec says
    /// `tso=1`, to be cut into segments ([`Mbuf::is_unfinished`](crate::memory::Mbuf::is_unfinished)), instead of having
    /// the driver compute checksums. Every way out for such packets must be
    /// [`finishing`](crate::pipeline::Outlet::finishing). Default false; other ports give no such packets.
    pub fn offloads(mut self, on: bool) -> Self {
        self.offloads = on;
        self
    }

    /// Arms RX interrupts, for a worker that sleeps in
    /// [`Idle::Interrupt`](crate::worker::Idle::Interrupt). Default false.
    pub fn interrupts(mut self, on: bool) -> Self {
        self.config.interrupts = on;
        self
    }

    /// Everything that can be configured, instead of what was said before.
    pub fn config(mut self, config: &PortConfig) -> Self {
        self.config = config.clone();
        self
    }

    /// Makes the device, and leaves it as it comes.
    ///
    /// # Errors
    /// [`Error::Port`], with DPDK's error and what to do. Nothing is left behind then.
    pub fn attach(&self) -> Result<Device> {
        if let Some((pair, first)) = &self.half {
            return Device::attach_half(&self.eal, &self.spec, pair, *first);
        }
        let PortConfig { rx_queues, tx_queues, fewer_tx, .. } = self.config;
        // Queues of kernel interfaces and vhost come in pairs, and more of them than the peer has
        // cannot be made: when fewer TX queues will do, RX decides.
        Device::attach(&self.eal, &self.spec, if fewer_tx { rx_queues } else { rx_queues.max(tx_queues) })
    }

    /// Makes the device, configures and starts it.
    ///
    /// # Errors
    /// [`Error::Port`], with the step that failed, DPDK's error and what to do. Nothing is left
    /// behind then.
    pub fn start(mut self) -> Result<Port> {
        let spec = &self.spec;
        let Some(pool) = &self.pool else {
            return Err(Error::port_refused(spec, "no pool was given", "call pool() before start()"));
        };
        let device = self.attach()?;
        if self.vlan_filter {
            self.config.rx_offloads |= device.info().rx_offloads & vlan_filter();
        }
        if self.offloads && self.spec.kind() == PortKind::Vhost {
            // SAFETY: constants of the shim.
            let (rx, tx) = unsafe { (dpdk_sys::SHIM_RX_OFFLOAD_CHECKSUMS, dpdk_sys::SHIM_TX_OFFLOAD_CHECKSUMS) };
            self.config.rx_offloads |= device.info().rx_offloads & rx;
            self.config.tx_offloads |= device.info().tx_offloads & tx;
        }
        let port = device.start(&self.config, pool)?;
        if self.promiscuous {
            // Drivers of software devices refuse what they do anyway: receive everything.
            port.set_promiscuous(true).or_else(|error| if spec.is_software() { Ok(()) } else { Err(error) })?;
        }
        Ok(port)
    }
}

/// The offload that filters VLANs.
pub(super) fn vlan_filter() -> u64 {
    // SAFETY: a constant of the shim.
    unsafe { dpdk_sys::SHIM_RX_OFFLOAD_VLAN_FILTER }
}

//! The ports, from when they are attached to when they are closed.

mod close;
mod sample;
mod start;
mod stop;

pub(crate) use close::{attach, close, detach, detach_device, reset};
pub(crate) use start::start;
pub(crate) use stop::stop;

pub(crate) use sample::{INTERVAL, Rate, Recent, Sample};

use crate::options::MBUF_FAST_FREE;
use crate::soft::Device;
use iogate::packet::MacAddr;
use iogate::port::{FlowRule, Link, Port, PortConfig};
use std::collections::BTreeMap;
use std::time::Instant;

/// A port and what it was told.
pub(crate) struct PortState {
    pub(crate) device: Device,
    /// While it is started.
    pub(crate) port: Option<Port>,
    pub(crate) config: PortConfig,
    /// Offloads of the port that single queues are to be without: by direction (RX is true) and queue. Devices turn
    /// them on all the same, so this is what is shown.
    pub(crate) without: BTreeMap<(bool, u16), u64>,
    /// Whether the next start configures it.
    pub(crate) changed: bool,
    /// Groups that it was told to receive.
    pub(crate) groups: Vec<MacAddr>,
    /// Its flow rules, by number.
    pub(crate) flows: Vec<(u32, FlowRule)>,
    /// VLAN tags that packets get when they leave: the inner one, then the outer one.
    pub(crate) tx_vlans: Vec<u16>,
    /// Its counters a moment ago, for rates.
    pub(crate) recent: Recent,
    /// Queues that were stopped by a command.
    pub(crate) stopped_rx: Vec<u16>,
    pub(crate) stopped_tx: Vec<u16>,
}

impl PortState {
    /// Of a device that was just attached.
    pub(crate) fn new(device: Device, config: &PortConfig) -> Self {
        let tx_offloads = config.tx_offloads & (device.info().tx_offloads | !MBUF_FAST_FREE);
        PortState {
            config: PortConfig { rx_own: Vec::new(), tx_own: Vec::new(), tx_offloads, ..config.clone() },
            device,
            port: None,
            without: BTreeMap::new(),
            changed: true,
            groups: Vec::new(),
            flows: Vec::new(),
            tx_vlans: Vec::new(),
            recent: Recent::default(),
            stopped_rx: Vec::new(),
            stopped_tx: Vec::new(),
        }
    }

    /// DPDK's name of it.
    pub(crate) fn name(&self) -> &str {
        self.device.spec().target()
    }

    /// Whether it is started.
    pub(crate) fn started(&self) -> bool {
        self.port.is_some()
    }

    /// Its link, if that is known. It is down while the port is stopped, whatever the driver says: that of AF_PACKET asks
    /// the kernel, in DPDK 24.11.
    pub(crate) fn link(&self) -> Option<Link> {
        let link = self.device.link().ok()?;
        Some(Link { up: link.up && self.started(), ..link })
    }

    /// The NUMA node that is shown for it.
    pub(crate) fn socket(&self) -> u16 {
        self.device.info().numa_node.unwrap_or(0)
    }
}

/// All ports by number.
#[derive(Default)]
pub(crate) struct Ports {
    list: BTreeMap<u16, PortState>,
}

impl Ports {
    pub(crate) fn add(&mut self, port: PortState) {
        self.list.insert(port.device.id(), port);
    }

    pub(crate) fn remove(&mut self, id: u16) -> Option<PortState> {
        self.list.remove(&id)
    }

    pub(crate) fn get(&self, id: u16) -> Option<&PortState> {
        self.list.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u16) -> Option<&mut PortState> {
        self.list.get_mut(&id)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &PortState> {
        self.list.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut PortState> {
        self.list.values_mut()
    }

    /// Takes a sample of the counters of each port, where the last one is old enough.
    pub(crate) fn sample(&mut self) {
        let now = Instant::now();
        for port in self.list.values_mut().filter(|port| port.recent.due(now)) {
            if let Ok(sample) = Sample::take(&port.device) {
                port.recent.push(sample);
            }
        }
    }

    pub(crate) fn ids(&self) -> Vec<u16> {
        self.list.keys().copied().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// `[ 0 1 ]`, as the original lists them.
    pub(crate) fn listed(&self) -> String {
        let ids: String = self.list.keys().map(|id| format!(" {id}")).collect();
        format!("[{ids} ]")
    }
}

//! What software was told of a device, and what follows from it for packets.

use super::checksum::Checks;
use super::counters::{Losses, QueueCounters};
use super::device::Device;
use super::features::{self, rx};
use super::filter::Addresses;
use super::rings::Rings;
use super::rules::{Rules, Table};
use super::rx::Program;
use super::split::Split;
use super::spread::{self, Spread};
use super::vlan::{Strip, Vlans};
use iogate::packet::MacAddr;
use iogate::port::{FlowControl, FlowHash, MAX_QUEUES, PortConfig, PortInfo};
use std::cell::RefCell;
use std::sync::Arc;

/// Header and check sequence around a frame's payload, and two tags, of which the MTU says nothing.
pub(super) const OVERHEAD: usize = 14 + 8;

/// What software adds.
pub(super) struct Soft {
    pub(super) info: PortInfo,
    /// Whether packets are spread over queues here.
    pub(super) spreads: bool,
    pub(super) counters: Vec<Arc<QueueCounters>>,
    pub(super) state: RefCell<State>,
}

/// What it was told.
#[derive(Default)]
pub(super) struct State {
    /// Its own address, where the device does not take another one.
    pub(super) mac: Option<MacAddr>,
    pub(super) macs: Vec<MacAddr>,
    pub(super) groups: Vec<MacAddr>,
    pub(super) promiscuous: bool,
    pub(super) all_groups: bool,
    /// RX offloads of VLANs.
    pub(super) vlan: u64,
    pub(super) vlans: Vlans,
    pub(super) mtu: Option<u16>,
    /// How packets are split, while the port is to do that.
    pub(super) split: Option<Split>,
    pub(super) flow_control: Option<FlowControl>,
    pub(super) key: Vec<u8>,
    pub(super) fields: u64,
    pub(super) function: FlowHash,
    pub(super) reta: Vec<u16>,
    pub(super) table: Table,
    pub(super) tunnels: Vec<u16>,
    /// How it was started last, and with what room in a buffer.
    pub(super) config: PortConfig,
    pub(super) room: usize,
    /// RX queues of the device.
    pub(super) polled: u16,
    /// RX and TX queues that do not run, a bit each.
    pub(super) stopped: (u64, u64),
    pub(super) rings: Option<Arc<Rings>>,
    /// What had been lost when counters were set to 0.
    pub(super) forgiven: Losses,
    /// Whether workers have yet to be told.
    pub(super) changed: bool,
}

impl Soft {
    /// Of a device that can do this.
    pub(super) fn new(native: &PortInfo) -> Self {
        Soft {
            info: features::added(native),
            spreads: !features::spreads(native),
            counters: (0..MAX_QUEUES).map(|_| Arc::default()).collect(),
            state: RefCell::new(State { key: spread::KEY.to_vec(), ..State::default() }),
        }
    }

    /// The state, to be changed: workers will be told.
    pub(super) fn change(&self) -> std::cell::RefMut<'_, State> {
        let mut state = self.state.borrow_mut();
        state.changed = true;
        state
    }

    /// Whether packets may be longer than a buffer, and come in several then.
    pub(super) fn scatters(&self, state: &State) -> bool {
        let longer = state.mtu.is_some_and(|mtu| usize::from(mtu) + OVERHEAD > state.room);
        self.info.rx_offloads & rx::SCATTER != 0 && longer
    }

    pub(super) fn losses(&self) -> Losses {
        Losses::of(&self.counters).since(self.state.borrow().forgiven)
    }

    /// What the device itself is told of a configuration.
    pub(super) fn native(&self, info: &PortInfo, config: &PortConfig) -> PortConfig {
        let mut native = PortConfig { mtu: None, ..config.clone() };
        native.rx_queues = config.rx_queues.min(info.max_rx_queues);
        native.tx_queues = config.tx_queues.min(info.max_tx_queues);
        if self.spreads && config.rss_fields != 0 {
            native.rss_fields = 0;
            native.rx_queues = features::pairs(info, native.rx_queues);
            native.tx_queues = features::pairs(info, native.tx_queues);
        }
        native.rx_offloads &= features::native_rx(info);
        native.tx_offloads &= info.tx_offloads;
        for (_, own) in &mut native.rx_own {
            (own.offloads, own.deferred_start) =
                (own.offloads & info.rx_queue_offloads & features::native_rx(info), false);
        }
        for (_, own) in &mut native.tx_own {
            (own.offloads, own.deferred_start) = (own.offloads & info.tx_queue_offloads, false);
        }
        native.rx_own.retain(|(queue, _)| *queue < native.rx_queues);
        native.tx_own.retain(|(queue, _)| *queue < native.tx_queues);
        native
    }

    /// It was started with a configuration.
    pub(super) fn started(&self, config: &PortConfig) {
        let mut state = self.change();
        let queues = config.rx_queues;
        if state.reta.is_empty() || state.config.rx_queues != queues {
            state.reta = (0..spread::TABLE_SIZE).map(|entry| entry % queues).collect();
        }
        state.fields = if queues > 1 { config.rss_fields & spread::FIELDS } else { 0 };
        state.vlan = config.rx_offloads & features::vlan_bits(features::vlan_of(u64::MAX));
        state.mtu = config.mtu.or(state.mtu);
        let deferred = |own: &[(u16, iogate::port::QueueConfig)]| {
            own.iter().filter(|(_, own)| own.deferred_start).fold(0, |bits, (queue, _)| bits | 1 << queue)
        };
        state.stopped = (deferred(&config.rx_own), deferred(&config.tx_own));
        state.config = config.clone();
        state.rings = self.rings(config);
    }

    /// Queues of software's own, where packets may have to go to another queue than they came by.
    pub(super) fn rings(&self, config: &PortConfig) -> Option<Arc<Rings>> {
        let places = (0..config.rx_queues).map(|queue| config.rx_queue(queue).descriptors);
        (config.rx_queues > 1).then(|| Arc::new(Rings::new(places)))
    }

    pub(super) fn program(&self, device: &Device, native: &PortInfo) -> Program {
        let state = self.state.borrow();
        let own = !features::native_rx(native);
        let on = |bit: u64| own & state.config.rx_offloads & bit != 0;
        let vlan = |bit: u64| own & state.vlan & bit != 0;
        let addresses = || Addresses {
            own: device.macs().unwrap_or_default(),
            groups: state.groups.clone(),
            all_groups: state.all_groups,
        };
        let spread = || Spread {
            key: state.key.clone(),
            fields: state.fields,
            function: state.function,
            table: state.reta.clone(),
        };
        Program {
            forget: native.passes_buffers,
            longest: state.mtu.map(|mtu| usize::from(mtu) + OVERHEAD),
            addresses: (!state.promiscuous).then(addresses),
            // As cards do: who wants to see everything sees every VLAN.
            vlans: (vlan(rx::VLAN_FILTER) && !state.promiscuous).then(|| state.vlans.extended(vlan(rx::VLAN_EXTEND))),
            checks: Checks {
                ip: on(rx::IPV4_CKSUM),
                udp: on(rx::UDP_CKSUM),
                tcp: on(rx::TCP_CKSUM),
                sctp: on(rx::SCTP_CKSUM),
            },
            rules: Rules::new(&state.table, &state.tunnels, spread()),
            spread: (self.spreads && state.fields != 0).then(spread),
            split: state.split.clone(),
            strip: Strip { one: vlan(rx::VLAN_STRIP), both: vlan(rx::QINQ_STRIP) },
            stopped: state.stopped.0,
        }
    }
}

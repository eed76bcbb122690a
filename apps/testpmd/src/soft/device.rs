//! A device with what software adds to it.

use super::counters::{Losses, QueueCounters};
use super::features::{self, rx};
use super::rules::Table;
use super::rx::Rx;
use super::spread;
use super::state::{OVERHEAD, Soft};
use iogate::packet::MacAddr;
use iogate::port::{
    FlowControl, FlowCount, FlowError, FlowHash, FlowRule, Port, PortConfig, PortInfo, PortStats, QueueInfo,
    QueueState, Thresholds, Tunnel, VlanOffloads, interface_mtu, set_interface_mtu,
};
use iogate::prelude::MbufPool;
use iogate::{Errno, Error, Result};
use std::ops::Deref;
use std::sync::Arc;

/// Error numbers that DPDK's functions return for the same.
const EINVAL: i32 = 22;
const EBUSY: i32 = 16;
const ENOSPC: i32 = 28;
const ENOSYS: i32 = 38;
const ENOTSUP: i32 = 95;
const EADDRINUSE: i32 = 98;

/// A device. What is asked of it is answered by the framework's device, or by what stands here in its place.
pub(crate) struct Device {
    device: iogate::port::Device,
    soft: Option<Box<Soft>>,
}

impl Deref for Device {
    type Target = iogate::port::Device;

    fn deref(&self) -> &iogate::port::Device {
        &self.device
    }
}

impl Device {
    /// With software's help when that is wanted; unless somebody says, for devices that are no hardware.
    pub(crate) fn new(device: iogate::port::Device, wanted: Option<bool>) -> Self {
        let soft = wanted.unwrap_or(device.spec().is_software()).then(|| Box::new(Soft::new(device.info())));
        Device { device, soft }
    }

    fn error(&self, what: &str, number: i32) -> Error {
        let (port, what) = (self.spec().to_string(), what.to_owned());
        Error::Port { port, what, cause: Some(Errno(number)), hint: String::new() }
    }

    /// What it is and can do.
    pub(crate) fn info(&self) -> &PortInfo {
        self.soft.as_ref().map_or_else(|| self.device.info(), |soft| &soft.info)
    }

    /// What it is and can do now.
    pub(crate) fn read_info(&self) -> Result<PortInfo> {
        let native = self.device.read_info()?;
        let Some(soft) = &self.soft else { return Ok(native) };
        let state = soft.state.borrow();
        let mut info = features::added(&native);
        // None before it is configured.
        if native.rx_queues > 0 {
            (info.rx_queues, info.tx_queues) = (state.config.rx_queues, state.config.tx_queues);
        }
        Ok(info)
    }

    /// Starts it. The device gets as much of the configuration as it can do.
    pub(crate) fn start(&self, config: &PortConfig, pool: &MbufPool) -> Result<Port> {
        let Some(soft) = &self.soft else { return self.device.start(config, pool) };
        let room = pool.alloc().map_or(0, |buffer| buffer.tailroom());
        let mut native = soft.native(self.device.info(), config);
        let longest = config.mtu.map_or(0, |mtu| usize::from(mtu) + OVERHEAD);
        if longest > room {
            native.rx_offloads |= rx::SCATTER & self.device.info().rx_offloads;
        }
        let started = self.device.start(&native, pool)?;
        if let Some(mtu) = config.mtu {
            self.widen(mtu)?;
        }
        soft.started(config);
        let mut state = soft.state.borrow_mut();
        state.room = room;
        state.polled = started.rx_queues();
        drop(state);
        Ok(started)
    }

    /// It was stopped: what waits in its queues is gone, and rules are, which speak of queues.
    pub(crate) fn stopped(&self) {
        if let Some(soft) = &self.soft {
            let mut state = soft.state.borrow_mut();
            state.rings = None;
            state.table = Table::default();
        }
    }

    /// Whether software does what the device cannot.
    pub(crate) fn is_soft(&self) -> bool {
        self.soft.is_some()
    }

    /// Whether there is such an RX queue on the device itself, to be polled.
    pub(crate) fn polls(&self, queue: u16) -> bool {
        self.soft.as_ref().is_none_or(|soft| queue < soft.state.borrow().polled)
    }

    /// What is to be done to packets of an RX queue before anything else; nothing when there is nothing to do.
    /// A stream is `halted` when its packets could not leave: then nobody receives them either.
    pub(crate) fn rx(&self, queue: u16, halted: bool) -> Option<Box<Rx>> {
        let soft = self.soft.as_ref()?;
        let mut program = soft.program(self, self.device.info());
        program.stopped |= u64::from(halted) << queue;
        let state = soft.state.borrow();
        // A queue may still hold what an earlier program put there.
        let fed = state.rings.as_ref().is_some_and(|rings| !self.polls(queue) || rings.waiting(queue) > 0);
        (fed || !program.idle()).then(|| {
            let (rings, counters) = (state.rings.clone(), soft.counters[usize::from(queue)].clone());
            Box::new(Rx { program: Arc::new(program), queue, rings, counters })
        })
    }

    /// What software moved and lost on an RX queue.
    pub(crate) fn queue_counters(&self, queue: u16) -> Option<Arc<QueueCounters>> {
        self.soft.as_ref()?.counters.get(usize::from(queue)).cloned()
    }

    /// Whether workers have yet to be told of a change. Asking makes it no longer so.
    pub(crate) fn take_changed(&self) -> bool {
        self.soft.as_ref().is_some_and(|soft| std::mem::take(&mut soft.state.borrow_mut().changed))
    }

    /// Throws away what waits in an RX queue.
    pub(crate) fn flush(&self, queue: u16) {
        if let Some(rings) = self.soft.as_ref().and_then(|soft| soft.state.borrow().rings.clone()) {
            rings.clear(queue);
        }
    }

    // Addresses.

    /// Its own address.
    pub(crate) fn mac(&self) -> MacAddr {
        let own = self.soft.as_ref().and_then(|soft| soft.state.borrow().mac);
        own.unwrap_or_else(|| self.device.mac())
    }

    /// All addresses that it receives, its own first.
    pub(crate) fn macs(&self) -> Result<Vec<MacAddr>> {
        let Some(soft) = &self.soft else { return self.device.macs() };
        let own = [self.mac()].into_iter().filter(|mac| !mac.is_zero());
        Ok(own.chain(soft.state.borrow().macs.iter().copied()).collect())
    }

    /// Makes another address its own.
    pub(crate) fn set_mac(&self, mac: MacAddr) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.set_mac(mac) };
        match self.device.set_mac(mac) {
            Err(error) if error.errno() != Some(Errno(ENOTSUP)) => return Err(error),
            result => soft.state.borrow_mut().mac = result.is_err().then_some(mac),
        }
        soft.change().macs.retain(|known| *known != mac);
        Ok(())
    }

    /// Receives another address too.
    pub(crate) fn add_mac(&self, mac: MacAddr) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.add_mac(mac) };
        if mac.is_zero() {
            return Err(self.error("no address", EINVAL));
        }
        let known = self.macs()?;
        if known.contains(&mac) {
            return Ok(());
        }
        if known.len() >= soft.info.max_macs as usize {
            return Err(self.error("its table of addresses is full", ENOSPC));
        }
        soft.change().macs.push(mac);
        Ok(())
    }

    /// Receives an address that was added no more.
    pub(crate) fn remove_mac(&self, mac: MacAddr) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.remove_mac(mac) };
        if mac == self.mac() {
            return Err(self.error("it is its own address", EADDRINUSE));
        }
        soft.change().macs.retain(|known| *known != mac);
        Ok(())
    }

    /// The groups that it receives.
    pub(crate) fn set_groups(&self, groups: &[MacAddr]) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.set_groups(groups) };
        allowed(self.device.set_groups(groups))?;
        soft.change().groups = groups.to_vec();
        Ok(())
    }

    /// Whether frames for any address are received.
    pub(crate) fn promiscuous(&self) -> bool {
        self.soft.as_ref().map_or_else(|| self.device.promiscuous(), |soft| soft.state.borrow().promiscuous)
    }

    /// Receives frames for any address, or only for its own.
    pub(crate) fn set_promiscuous(&self, on: bool) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.set_promiscuous(on) };
        allowed(self.device.set_promiscuous(on))?;
        soft.change().promiscuous = on;
        Ok(())
    }

    /// Whether frames for any group are received.
    pub(crate) fn allmulticast(&self) -> bool {
        self.soft.as_ref().map_or_else(|| self.device.allmulticast(), |soft| soft.state.borrow().all_groups)
    }

    /// Receives frames for any group, or only for those it was told.
    pub(crate) fn set_allmulticast(&self, on: bool) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.set_allmulticast(on) };
        allowed(self.device.set_allmulticast(on))?;
        soft.change().all_groups = on;
        Ok(())
    }

    // VLANs.

    /// What it does with VLAN tags.
    pub(crate) fn vlan(&self) -> VlanOffloads {
        self.soft.as_ref().map_or_else(|| self.device.vlan(), |soft| features::vlan_of(soft.state.borrow().vlan))
    }

    /// Changes what it does with VLAN tags.
    pub(crate) fn set_vlan(&self, vlan: VlanOffloads) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.set_vlan(vlan) };
        let bits = features::vlan_bits(vlan);
        // Those that nobody knows are asked of the device, to be refused in its words.
        let native = bits & (features::native_rx(self.device.info()) | !soft.info.rx_offloads);
        if native != features::vlan_bits(self.device.vlan()) {
            self.device.set_vlan(features::vlan_of(native))?;
        }
        soft.change().vlan = bits;
        Ok(())
    }

    /// Receives a VLAN, or no more, while the filter is on.
    pub(crate) fn filter_vlan(&self, vlan: u16, receive: bool) -> Result<()> {
        match &self.soft {
            Some(soft) if features::native_rx(self.device.info()) & rx::VLAN_FILTER == 0 => {
                if soft.state.borrow().vlan & rx::VLAN_FILTER == 0 {
                    crate::screen::warn(&format!("Port {}: VLAN-filtering disabled", self.id()));
                    return Err(self.error("VLAN-filtering disabled", ENOSYS));
                }
                soft.change().vlans.set(vlan, receive);
                Ok(())
            }
            _ => self.device.filter_vlan(vlan, receive),
        }
    }

    // Lengths, pauses, tunnels.

    /// Largest packet, bytes without the Ethernet header.
    pub(crate) fn mtu(&self) -> Result<u16> {
        let own = self.soft.as_ref().and_then(|soft| soft.state.borrow().mtu);
        own.map_or_else(|| self.device.mtu(), Ok)
    }

    /// Changes the MTU.
    pub(crate) fn set_mtu(&self, bytes: u16) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.set_mtu(bytes) };
        if !(self.info().min_mtu..=self.info().max_mtu).contains(&bytes) {
            return Err(self.error("the MTU", EINVAL));
        }
        self.widen(bytes)?;
        soft.change().mtu = Some(bytes);
        Ok(())
    }

    /// Has the device, and the interface behind it, let packets of a size pass. An interface is not made narrower than
    /// it was: packets that are too long are dropped here, and other programs may want it as it is.
    fn widen(&self, bytes: u16) -> Result<()> {
        let interface = features::interface(self.device.info());
        let read = |name| interface_mtu(name).unwrap_or(0);
        let before = interface.map_or(0, read);
        match self.device.set_mtu(bytes) {
            Err(error) if error.errno() == Some(Errno(ENOTSUP)) => {}
            result => result?,
        }
        let (Some(name), wanted) = (interface, before.max(bytes.into())) else { return Ok(()) };
        if read(name) < wanted && set_interface_mtu(name, wanted).is_err() {
            return Err(self.error("the MTU of the interface", EINVAL));
        }
        Ok(())
    }

    /// Its flow control. Where the device has none it is remembered, and no frame is ever held back for it.
    pub(crate) fn flow_control(&self) -> Result<FlowControl> {
        match (&self.soft, self.device.flow_control()) {
            (Some(soft), Err(error)) if error.errno() == Some(Errno(ENOTSUP)) => {
                Ok(soft.state.borrow().flow_control.unwrap_or_default())
            }
            (_, result) => result,
        }
    }

    /// Changes its flow control.
    pub(crate) fn set_flow_control(&self, flow: &FlowControl) -> Result<()> {
        match (&self.soft, self.device.set_flow_control(flow)) {
            (Some(soft), Err(error)) if error.errno() == Some(Errno(ENOTSUP)) => {
                soft.state.borrow_mut().flow_control = Some(*flow);
                Ok(())
            }
            (_, result) => result,
        }
    }

    /// Tells it the UDP port of a tunnel, or to forget it.
    pub(crate) fn tunnel_port(&self, tunnel: Tunnel, udp_port: u16, known: bool) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.tunnel_port(tunnel, udp_port, known) };
        let native = self.device.tunnel_port(tunnel, udp_port, known);
        if tunnel != Tunnel::Vxlan {
            return native;
        }
        allowed(native)?;
        let tunnels = &mut soft.change().tunnels;
        tunnels.retain(|port| *port != udp_port);
        if known {
            tunnels.push(udp_port);
        }
        Ok(())
    }

    // Spreading.

    /// The key that packets are hashed with, and the fields.
    pub(crate) fn rss(&self) -> Result<(Vec<u8>, u64)> {
        let Some(soft) = self.spreading() else { return self.device.rss() };
        let state = soft.state.borrow();
        Ok((state.key.clone(), state.fields))
    }

    /// Changes the fields that packets are hashed by, and the key unless it is empty.
    pub(crate) fn set_rss(&self, key: &[u8], fields: u64) -> Result<()> {
        let Some(soft) = self.spreading() else { return self.device.set_rss(key, fields) };
        if !key.is_empty() && key.len() != spread::KEY_SIZE {
            return Err(self.error("the length of the key", EINVAL));
        }
        let mut state = soft.change();
        state.fields = fields;
        if !key.is_empty() {
            state.key = key.to_vec();
        }
        Ok(())
    }

    /// How hashes are made, where it is known.
    pub(crate) fn hash_function(&self) -> Option<FlowHash> {
        self.spreading().map(|soft| soft.state.borrow().function)
    }

    /// Changes how hashes are made.
    pub(crate) fn set_hash_function(&self, function: FlowHash) -> Result<()> {
        let Some(soft) = self.spreading() else { return Err(self.error("another way to hash", ENOTSUP)) };
        soft.change().function = function;
        Ok(())
    }

    /// The RX queue of each entry of the table that spreads packets.
    pub(crate) fn reta(&self) -> Result<Vec<u16>> {
        let Some(soft) = self.spreading() else { return self.device.reta() };
        let reta = soft.state.borrow().reta.clone();
        if reta.is_empty() { Err(self.error("it is not configured", EINVAL)) } else { Ok(reta) }
    }

    /// Changes entries of the table that spreads packets: (entry, RX queue).
    pub(crate) fn set_reta(&self, entries: &[(u16, u16)]) -> Result<()> {
        let Some(soft) = self.spreading() else { return self.device.set_reta(entries) };
        let mut state = soft.change();
        let queues = state.config.rx_queues;
        if state.reta.is_empty() || entries.iter().any(|(_, queue)| *queue >= queues) {
            return Err(self.error("there is no such queue", EINVAL));
        }
        for (entry, queue) in entries {
            if let Some(place) = state.reta.get_mut(usize::from(*entry)) {
                *place = *queue;
            }
        }
        Ok(())
    }

    fn spreading(&self) -> Option<&Soft> {
        self.soft.as_deref().filter(|soft| soft.spreads)
    }

    // Counters.

    /// Its counters. What software kept from its queues did not come in.
    pub(crate) fn stats(&self) -> Result<PortStats> {
        let mut stats = self.device.stats()?;
        if let Some(soft) = &self.soft {
            soft.losses().apply(&mut stats);
        }
        Ok(stats)
    }

    /// Sets its counters to 0.
    pub(crate) fn reset_stats(&self) -> Result<()> {
        self.device.reset_stats()?;
        self.forgive();
        Ok(())
    }

    /// All counters by name.
    pub(crate) fn xstats(&self) -> Result<Vec<(String, u64)>> {
        let mut all = self.device.xstats()?;
        if let Some(soft) = &self.soft {
            let losses = soft.losses();
            let mut stats = PortStats::default();
            let first = |name: &str| all.iter().find(|(known, _)| known == name).map_or(0, |(_, value)| *value);
            (stats.rx_packets, stats.rx_bytes) = (first("rx_good_packets"), first("rx_good_bytes"));
            (stats.rx_missed, stats.rx_errors) = (first("rx_missed_errors"), first("rx_errors"));
            losses.apply(&mut stats);
            for (name, value) in &mut all {
                match name.as_str() {
                    "rx_good_packets" => *value = stats.rx_packets,
                    "rx_good_bytes" => *value = stats.rx_bytes,
                    "rx_missed_errors" => *value = stats.rx_missed,
                    "rx_errors" => *value = stats.rx_errors,
                    _ => {}
                }
            }
            all.extend(losses.named());
        }
        Ok(all)
    }

    /// Sets the extended counters to 0.
    pub(crate) fn reset_xstats(&self) -> Result<()> {
        self.device.reset_xstats()?;
        self.forgive();
        Ok(())
    }

    fn forgive(&self) {
        if let Some(soft) = &self.soft {
            soft.state.borrow_mut().forgiven = Losses::of(&soft.counters);
        }
    }

    // Queues.

    /// Starts or stops a queue that nobody has.
    pub(crate) fn run_queue(&self, running: &Port, rx: bool, queue: u16, run: bool) -> Result<()> {
        let Some(soft) = &self.soft else {
            return if rx { running.run_rx(queue, run) } else { running.run_tx(queue, run) };
        };
        let mut state = soft.change();
        let stopped = if rx { &mut state.stopped.0 } else { &mut state.stopped.1 };
        *stopped = if run { *stopped & !(1 << queue) } else { *stopped | 1 << queue };
        if let (true, Some(rings)) = (rx, &state.rings) {
            rings.clear(queue);
        }
        Ok(())
    }

    /// Sets a queue up anew that nobody has and that is stopped.
    pub(crate) fn setup_queue(
        &self,
        running: &Port,
        rx: bool,
        queue: u16,
        config: &PortConfig,
        pool: &MbufPool,
    ) -> Result<()> {
        let Some(soft) = &self.soft else {
            return if rx { running.setup_rx(queue, config, pool) } else { running.setup_tx(queue, config) };
        };
        let mut state = soft.change();
        if (if rx { state.stopped.0 } else { state.stopped.1 }) >> queue & 1 == 0 {
            return Err(self.error("stop the queue first", EBUSY));
        }
        match rx {
            true => *state.config.rx_queue_mut(queue) = config.rx_queue(queue).clone(),
            false => *state.config.tx_queue_mut(queue) = config.tx_queue(queue).clone(),
        }
        state.rings = soft.rings(&state.config);
        Ok(())
    }

    /// Notes how a queue of a port that is stopped is to be from its next start on.
    pub(crate) fn note_queue(&self, rx: bool, queue: u16, config: &PortConfig) {
        let Some(soft) = &self.soft else { return };
        let mut state = soft.change();
        match rx {
            true => *state.config.rx_queue_mut(queue) = config.rx_queue(queue).clone(),
            false => *state.config.tx_queue_mut(queue) = config.tx_queue(queue).clone(),
        }
    }

    /// An RX queue as it was set up.
    pub(crate) fn rx_queue_info(&self, queue: u16) -> Result<QueueInfo> {
        self.queue_info(true, queue, || self.device.rx_queue_info(queue))
    }

    /// A TX queue as it was set up.
    pub(crate) fn tx_queue_info(&self, queue: u16) -> Result<QueueInfo> {
        self.queue_info(false, queue, || self.device.tx_queue_info(queue))
    }

    fn queue_info(&self, rx: bool, queue: u16, native: impl FnOnce() -> Result<QueueInfo>) -> Result<QueueInfo> {
        let Some(soft) = &self.soft else { return native() };
        let state = soft.state.borrow();
        let config = &state.config;
        let (count, of_port, own, stopped, usual) = match rx {
            true => (
                config.rx_queues,
                config.rx_offloads,
                config.rx_queue(queue),
                state.stopped.0,
                self.info().rx_thresholds,
            ),
            false => (
                config.tx_queues,
                config.tx_offloads,
                config.tx_queue(queue),
                state.stopped.1,
                self.info().tx_thresholds,
            ),
        };
        // Before it is configured there is none.
        if self.device.read_info()?.rx_queues == 0 || queue >= count {
            return Err(self.error("there is no such queue", EINVAL));
        }
        let known = native().ok();
        let Thresholds { prefetch, host, writeback, free, rs, drop } = own.thresholds;
        let runs = self.device.started() && stopped >> queue & 1 == 0;
        let offloads = of_port | own.offloads;
        let descriptors = match own.descriptors {
            0 => known.as_ref().map_or(USUAL_DESCRIPTORS, |known| known.descriptors),
            descriptors => descriptors,
        };
        Ok(QueueInfo {
            pool: if rx { "mb_pool_0".to_owned() } else { String::new() },
            burst_mode: known.as_ref().map(|known| known.burst_mode.clone()).unwrap_or_default(),
            offloads,
            descriptors,
            free_threshold: free.or(usual.free).unwrap_or(0),
            rs_threshold: rs.or(usual.rs).unwrap_or(0),
            prefetch: prefetch.or(usual.prefetch).unwrap_or(0),
            host: host.or(usual.host).unwrap_or(0),
            writeback: writeback.or(usual.writeback).unwrap_or(0),
            deferred_start: own.deferred_start,
            drop: drop.or(usual.drop).unwrap_or(false),
            scattered: rx && (offloads & rx::SCATTER != 0 || soft.scatters(&state)),
            state: if runs { QueueState::Started } else { QueueState::Stopped },
        })
    }

    /// Packets that wait in an RX queue.
    pub(crate) fn rx_waiting(&self, queue: u16) -> Result<u32> {
        let rings = self.soft.as_ref().and_then(|soft| soft.state.borrow().rings.clone());
        match rings {
            Some(rings) if !self.polls(queue) => Ok(rings.waiting(queue) as u32),
            _ => self.device.rx_waiting(queue),
        }
    }

    // Rules.

    /// Asks whether it would take a rule.
    pub(crate) fn validate_flow(&self, rule: &FlowRule) -> Result<(), FlowError> {
        let Some(soft) = &self.soft else { return self.device.validate_flow(rule) };
        let state = soft.state.borrow();
        super::rules::validate(rule, state.config.rx_queues)
    }

    /// Gives it a rule; returns its number.
    pub(crate) fn create_flow(&self, rule: &FlowRule) -> Result<u32, FlowError> {
        let Some(soft) = &self.soft else { return self.device.create_flow(rule) };
        self.validate_flow(rule)?;
        Ok(soft.change().table.add(rule))
    }

    /// Takes a rule back. False when there is none of this number.
    pub(crate) fn destroy_flow(&self, number: u32) -> Result<bool, FlowError> {
        let Some(soft) = &self.soft else { return self.device.destroy_flow(number) };
        Ok(soft.change().table.remove(number))
    }

    /// Takes all rules back.
    pub(crate) fn flush_flows(&self) -> Result<(), FlowError> {
        let Some(soft) = &self.soft else { return self.device.flush_flows() };
        soft.change().table.clear();
        Ok(())
    }

    /// Receives only what rules ask for, or everything else too.
    pub(crate) fn isolate_flows(&self, on: bool) -> Result<(), FlowError> {
        let Some(soft) = &self.soft else { return self.device.isolate_flows(on) };
        soft.change().table.isolated = on;
        Ok(())
    }

    /// What a rule counted; nothing when there is none of this number.
    pub(crate) fn query_flow(&self, number: u32) -> Result<Option<FlowCount>, FlowError> {
        let Some(soft) = &self.soft else { return self.device.query_flow(number) };
        Ok(soft.state.borrow().table.count(number))
    }
}

/// Descriptors of a queue when neither the user nor the driver says.
const USUAL_DESCRIPTORS: u16 = 512;

/// What a device need not be able to do.
fn allowed(result: Result<()>) -> Result<()> {
    result.or_else(|error| if error.errno() == Some(Errno(ENOTSUP)) { Ok(()) } else { Err(error) })
}

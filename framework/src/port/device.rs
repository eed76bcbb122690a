//! A device from when it is attached to when it is gone.

use super::config::{self, PortConfig};
use super::flow::Rules;
use super::gate::Gate;
use super::guest::Guest;
use super::info::device_info;
use super::lookup::{id_by_name, name_by_id};
use super::losses::{Losses, PacketSockets};
use super::ring::Pair;
use super::xdp::{self, Sockets};
use super::{Port, PortInfo, PortKind, PortSpec, Restart};
use crate::eal::Eal;
use crate::error::{Error, Result};
use crate::memory::MbufPool;
use crate::sriov::Host;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An attached device. Cheap to clone; it is closed and removed when the last handle, port and queue
/// is gone.
#[derive(Clone, Debug)]
pub struct Device {
    attached: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: u16,
    spec: PortSpec,
    info: PortInfo,
    raw: *mut dpdk_sys::rte_device,
    applied: Mutex<Applied>,
    rules: Mutex<Rules>,
    readers: Gate,
    /// Those of an AF_PACKET device.
    packet_sockets: PacketSockets,
    /// What the kernel had lost when the counters were last reset.
    forgiven: Mutex<Losses>,
    /// That of a vhost device.
    guest: Guest,
    // Dropped after the device was closed, in this order.
    _rings: Option<Arc<Pair>>,
    _claim: Option<xdp::Claim>,
    _eal: Eal,
}

/// The configuration that a device has.
#[derive(Debug, Default)]
struct Applied {
    config: Option<(PortConfig, u16)>,
    started: bool,
    /// A restart has stopped it, and did not start it again.
    halted: bool,
    /// Every pool that it was given: queues keep buffers until it is closed.
    pools: Vec<MbufPool>,
    /// The sockets of an AF_XDP device, which its driver does not close.
    xdp_sockets: Vec<(MbufPool, Sockets)>,
}

// SAFETY: `raw` is only handed back to DPDK when the device goes; the rest is Send.
unsafe impl Send for Inner {}
// SAFETY: what changes a device is done by one thread at a time, under `control`, reading is harmless.
unsafe impl Sync for Inner {}

/// DPDK makes, changes and removes devices from one thread at a time. The guard holds the numbers of
/// those that somebody has a handle on.
pub(super) fn control() -> MutexGuard<'static, BTreeSet<u16>> {
    static CONTROL: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    CONTROL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device {
    /// Makes the device that `spec` names, and leaves none behind when it is no port. `queues` is how
    /// many pairs will be used, which some must be told when they are made.
    pub(super) fn attach(eal: &Eal, spec: &PortSpec, queues: u16) -> Result<Device> {
        let mut known = control();
        let claim = match spec.kind() {
            PortKind::AfXdp => Some(xdp::Claim::new(spec)?),
            _ => None,
        };
        let resolved = spec.resolve(&Host::local()).map_err(|why| Error::port_refused(spec, why, ""))?;
        let id = probe(&resolved, queues)?;
        Device::adopt(eal, spec.clone(), id, None, claim, &mut known)
    }

    /// One end of a pair of rings.
    pub(super) fn attach_half(eal: &Eal, spec: &PortSpec, pair: &Arc<Pair>, first: bool) -> Result<Device> {
        let mut known = control();
        let id = pair.attach(first)?;
        Device::adopt(eal, spec.clone(), id, Some(pair.clone()), None, &mut known)
    }

    /// The devices that EAL found or was told to make, as far as nobody has a handle on them yet.
    pub(crate) fn found(eal: &Eal) -> Result<Vec<Device>> {
        // Dropped after the guard: a device that goes takes it too.
        let mut devices = Vec::new();
        let mut known = control();
        // SAFETY: walks the numbers of the ports there are.
        let next = |from: u16| unsafe { dpdk_sys::rte_eth_find_next(from) };
        let mut id = next(0);
        while u32::from(id) < dpdk_sys::RTE_MAX_ETHPORTS {
            if !known.contains(&id) {
                let spec = PortSpec::of_device(&name_by_id(id).unwrap_or_default());
                devices.push(Device::adopt(eal, spec, id, None, None, &mut known)?);
            }
            id = next(id + 1);
        }
        Ok(devices)
    }

    fn adopt(
        eal: &Eal,
        spec: PortSpec,
        id: u16,
        rings: Option<Arc<Pair>>,
        claim: Option<xdp::Claim>,
        known: &mut BTreeSet<u16>,
    ) -> Result<Device> {
        let (info, raw) = device_info(id, &spec).inspect_err(|_| {
            // SAFETY: not started, and nobody else knows it.
            unsafe { dpdk_sys::rte_eth_dev_close(id) };
        })?;
        known.insert(id);
        // SAFETY: the port is open; what is called back has no state but a number for each port.
        let watched = unsafe { dpdk_sys::shim_events_watch(id) };
        if watched != 0 {
            tracing::warn!("port {spec}: its events are not seen ({watched})");
        }
        let packet_sockets = match spec.interface() {
            Some(interface) if spec.kind() == PortKind::AfPacket => PacketSockets::on(interface),
            _ => PacketSockets::default(),
        };
        let inner = Inner {
            id,
            spec,
            info,
            raw,
            applied: Mutex::default(),
            rules: Mutex::default(),
            readers: Gate::default(),
            packet_sockets,
            forgiven: Mutex::default(),
            guest: Guest::default(),
            _rings: rings,
            _claim: claim,
            _eal: eal.clone(),
        };
        let device = Device { attached: Arc::new(inner) };
        if device.spec().kind() == PortKind::Vhost {
            device.attached.guest.watch(id);
        }
        Ok(device)
    }

    /// DPDK's number of the port.
    pub fn id(&self) -> u16 {
        self.attached.id
    }

    /// What the device was made from.
    pub fn spec(&self) -> &PortSpec {
        &self.attached.spec
    }

    /// What the device is and can do, as of when it was attached.
    pub fn info(&self) -> &PortInfo {
        &self.attached.info
    }

    /// What the device is and can do now.
    pub fn read_info(&self) -> Result<PortInfo> {
        device_info(self.id(), self.spec()).map(|(info, _)| info)
    }

    /// Whether it is running.
    pub fn started(&self) -> bool {
        self.applied().started
    }

    /// Starts it. It is configured first, unless it has this configuration already.
    ///
    /// # Errors
    /// [`Error::Port`], with the step that failed, DPDK's error and what to do. The device stays
    /// attached then, and stopped.
    pub fn start(&self, config: &PortConfig, pool: &MbufPool) -> Result<Port> {
        let mut applied = self.applied();
        if applied.started {
            return Err(Error::port_refused(self.spec(), "it is running", "stop it first"));
        }
        let same_pool = applied.pools.last().is_some_and(|last| last.raw() == pool.raw());
        let unchanged = same_pool && applied.config.as_ref().is_some_and(|(last, _)| last == config);
        if !unchanged {
            self.drop_flows();
        }
        let _one_at_a_time = control();
        let tx_queues = match &applied.config {
            Some((_, tx_queues)) if unchanged => *tx_queues,
            _ => {
                applied.config = None;
                applied.pools.push(pool.clone());
                let tx_queues = if self.info().driver == xdp::DRIVER {
                    let (tx_queues, sockets) = Sockets::opened_by(|| config::apply(self, config, pool));
                    applied.xdp_sockets.push((pool.clone(), sockets));
                    tx_queues?
                } else {
                    config::apply(self, config, pool)?
                };
                applied.config = Some((config.clone(), tx_queues));
                tx_queues
            }
        };
        // SAFETY: configured above or before.
        let result = unsafe { dpdk_sys::rte_eth_dev_start(self.id()) };
        if result != 0 {
            return Err(Error::port(self.spec(), "cannot start it", result, attach_hint(self.spec())));
        }
        applied.started = true;
        if self.spec().kind() == PortKind::Vhost {
            // A guest may have come before there were queues for it.
            self.attached.guest.read(self.id());
        }
        Ok(Port::new(self.clone(), config.rx_queues, tx_queues))
    }

    /// Takes a stopped device back to how it came; the next start configures it.
    pub fn reset(&self) -> Result<()> {
        let mut applied = self.applied();
        if applied.started {
            return Err(Error::port_refused(self.spec(), "it is running", "stop it first"));
        }
        self.drop_flows();
        let _one_at_a_time = control();
        applied.config = None;
        // SAFETY: the port is open and stopped.
        self.check("cannot reset it", unsafe { dpdk_sys::rte_eth_dev_reset(self.id()) })
    }

    /// Called when the last handle on the port goes: nobody has a queue any more.
    pub(super) fn stop(&self, tx_queues: u16) {
        self.drop_flows();
        let mut applied = self.applied();
        let _one_at_a_time = control();
        match std::mem::take(&mut applied.halted) {
            // It may have been reset, and not configured again.
            true => applied.config = None,
            false => self.halt(tx_queues),
        }
        applied.started = false;
    }

    /// Called when no queue is polled.
    pub(super) fn restart(&self, how: Restart, tx_queues: u16) -> Result<()> {
        self.drop_flows();
        let mut applied = self.applied();
        let _one_at_a_time = control();
        self.attached.readers.closed(|| self.restart_alone(&mut applied, how, tx_queues))
    }

    fn restart_alone(&self, applied: &mut Applied, how: Restart, tx_queues: u16) -> Result<()> {
        if !std::mem::replace(&mut applied.halted, true) {
            self.halt(tx_queues);
        }
        let reset = match how {
            // SAFETY: the port is open and stopped.
            Restart::Reset => unsafe { dpdk_sys::rte_eth_dev_reset(self.id()) },
            Restart::Plain => -libc::ENOTSUP,
        };
        // A driver that has no reset does all there is to do when it starts.
        if reset != -libc::ENOTSUP {
            self.check("cannot reset it", reset)?;
            // Kept when that fails, for the next try.
            if let (Some((config, _)), Some(pool)) = (&applied.config, applied.pools.last()) {
                config::apply(self, config, pool)?;
            }
        }
        // SAFETY: configured, and stopped.
        let result = unsafe { dpdk_sys::rte_eth_dev_start(self.id()) };
        if result != 0 {
            return Err(Error::port(self.spec(), "cannot start it again", result, attach_hint(self.spec())));
        }
        applied.halted = false;
        Ok(())
    }

    /// Stops the device, under [`control`], when no queue is polled.
    fn halt(&self, tx_queues: u16) {
        for queue in 0..tx_queues {
            // Some drivers free what was sent only when the next packets are.
            // SAFETY: the port is open and nobody uses the queue; no packet is read.
            unsafe { dpdk_sys::shim_tx_nothing(self.id(), queue) };
        }
        // SAFETY: the port is open and no queue is polled.
        let result = unsafe { dpdk_sys::rte_eth_dev_stop(self.id()) };
        if result != 0 {
            tracing::warn!("port {}: stop {result}", self.spec());
        }
    }

    /// To be held while its state is asked for, which a restart takes apart.
    pub(super) fn read(&self) -> Result<MutexGuard<'_, ()>> {
        let refused = || Error::port_refused(self.spec(), "it is being restarted", "ask again later");
        self.attached.readers.enter().ok_or_else(refused)
    }

    /// Whether the device has asked for [`Restart::Reset`] since this was asked last, and whether it has
    /// gone.
    pub fn take_events(&self) -> (bool, bool) {
        // SAFETY: reads and clears a number.
        let events = unsafe { dpdk_sys::shim_events_take(self.id()) };
        (events & dpdk_sys::SHIM_EVENT_RESET != 0, events & dpdk_sys::SHIM_EVENT_REMOVED != 0)
    }

    /// The TX offloads that it was configured with.
    pub(super) fn tx_offloads(&self) -> u64 {
        self.applied().config.as_ref().map_or(0, |(config, _)| config.tx_offloads)
    }

    /// The RX offloads that it was configured with.
    pub(super) fn rx_offloads(&self) -> u64 {
        self.applied().config.as_ref().map_or(0, |(config, _)| config.rx_offloads)
    }

    /// How many RX and TX queues it was configured with; none when it is not configured.
    pub(super) fn configured_queues(&self) -> (u16, u16) {
        self.applied().config.as_ref().map_or((0, 0), |(config, tx_queues)| (config.rx_queues, *tx_queues))
    }

    /// Whether it finishes the checksums of packets that are sent as somebody's card was to, or hands them over to a
    /// guest that does not need them.
    pub fn finishes_checksums(&self) -> bool {
        // SAFETY: a constant of the shim.
        self.spec().kind() == PortKind::Vhost
            && self.tx_offloads() & unsafe { dpdk_sys::SHIM_TX_OFFLOAD_CHECKSUMS } != 0
    }

    /// Whether its guest takes TCP packets that were to be cut into segments as they are.
    pub fn takes_uncut(&self) -> bool {
        self.attached.guest.takes_uncut()
    }

    /// Whether packets that are sent on a TX queue go anywhere: a guest need not use every queue that its vhost port
    /// has, and a guest that is not there uses none.
    #[inline]
    pub fn uses_tx(&self, queue: u16) -> bool {
        self.spec().kind() != PortKind::Vhost || self.attached.guest.uses(queue)
    }

    /// Keeps a pool that a queue was given until the device is closed.
    pub(super) fn keep_pool(&self, pool: &MbufPool) {
        let mut applied = self.applied();
        if !applied.pools.iter().any(|known| known.raw() == pool.raw()) {
            applied.pools.push(pool.clone());
        }
    }

    /// What the kernel lost since the counters were last reset, and the driver does not count.
    pub(super) fn losses(&self) -> Losses {
        self.all_losses().minus(*self.forgiven())
    }

    /// Starts counting losses anew.
    pub(super) fn forgive(&self) {
        let all = self.all_losses();
        *self.forgiven() = all;
    }

    fn all_losses(&self) -> Losses {
        let sockets = self.attached.packet_sockets.losses();
        self.applied().xdp_sockets.iter().map(|(_, sockets)| sockets.losses()).fold(sockets, Losses::plus)
    }

    fn forgiven(&self) -> MutexGuard<'_, Losses> {
        self.attached.forgiven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rules(&self) -> MutexGuard<'_, Rules> {
        self.attached.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn applied(&self) -> MutexGuard<'_, Applied> {
        self.attached.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut known = control();
        known.remove(&self.id);
        let name = name_by_id(self.id);
        if self.spec.kind() == PortKind::Vhost {
            self.guest.ignore(self.id);
        }
        let applied = self.applied.get_mut().unwrap_or_else(PoisonError::into_inner);
        let kept: Vec<_> = applied.xdp_sockets.drain(..).map(|(pool, sockets)| (pool, sockets.keep())).collect();
        // SAFETY: the port is open and stopped, no handle is left, and it is not used again. Its
        // device may be another port's too: then it stays.
        let (close, remove) = unsafe {
            let close = dpdk_sys::rte_eth_dev_close(self.id);
            let shared = self.raw.is_null() || super::lookup::ports_of(self.raw) > 0;
            (close, if shared { 0 } else { dpdk_sys::rte_dev_remove(self.raw) })
        };
        if (close, remove) != (0, 0) {
            tracing::warn!("port {} ({}): close {close}, remove {remove}", self.spec, name.unwrap_or_default());
        }
        for (pool, sockets) in kept {
            sockets.reclaim(&pool);
        }
    }
}

fn probe(spec: &PortSpec, queues: u16) -> Result<u16> {
    if let Some(interface) = spec.interface().filter(|name| !super::state::interface_exists(name)) {
        let what = format!("there is no interface {interface} in this network namespace");
        return Err(Error::port_refused(spec, what, "see `ip link`; it must exist before the port is made"));
    }
    super::socket::make_way(spec)?;
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let (name, arguments) = spec.device(SERIAL.fetch_add(1, Ordering::Relaxed), queues);
    if id_by_name(&name).is_some() {
        return Err(Error::port_refused(spec, "the device is in use", "one port stands for one device"));
    }
    let text = CString::new(arguments).expect("specs hold no NUL");
    // SAFETY: a C string that the call copies.
    let result = unsafe { dpdk_sys::rte_dev_probe(text.as_ptr()) };
    if result != 0 {
        return Err(Error::port(spec, "cannot make the device", result, attach_hint(spec)));
    }
    id_by_name(&name)
        .ok_or_else(|| Error::port_refused(spec, "the device was made, but it is no Ethernet port", attach_hint(spec)))
}

pub(super) fn attach_hint(spec: &PortSpec) -> &'static str {
    match spec.kind() {
        PortKind::Pci | PortKind::Vf | PortKind::Env => {
            "the device must be bound to vfio-pci, and EAL started with the PCI bus"
        }
        PortKind::AfXdp => {
            "the interface must exist and be up, which needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF; \
                            af_packet asks for less"
        }
        PortKind::AfPacket => "the interface must exist and be up, which needs CAP_NET_RAW",
        PortKind::Tap => "it needs CAP_NET_ADMIN, /dev/net/tun and a name that is free",
        PortKind::Vhost | PortKind::Memif => "the folder must exist and be writable, and the socket not in use",
        PortKind::VirtioUser => "a vhost-user backend must be listening there",
        PortKind::Pcap => "the file must exist and be a capture of Ethernet frames",
        PortKind::Ring | PortKind::Null | PortKind::Other => "DPDK's own message stands above",
    }
}

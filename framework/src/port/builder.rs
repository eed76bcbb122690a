//! From a spec to a started port.

use super::ring::Pair;
use super::state::device_info;
use super::{Inner, MAX_QUEUES, Port, PortInfo, PortKind, PortSpec, control};
use crate::eal::Eal;
use crate::error::{Error, Result};
use crate::memory::MbufPool;
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Options of a [`Port`]; see [`Eal::port`].
#[derive(Clone, Debug)]
pub struct PortBuilder {
    eal: Eal,
    spec: PortSpec,
    /// The half of a pair this port is to be, instead of a device made from the spec.
    half: Option<(Arc<Pair>, bool)>,
    pool: Option<MbufPool>,
    rx_queues: u16,
    tx_queues: u16,
    fewer_tx: bool,
    rx_descriptors: u16,
    tx_descriptors: u16,
    mtu: Option<u16>,
    promiscuous: bool,
    interrupts: bool,
}

impl PortBuilder {
    pub(crate) fn new(eal: &Eal, spec: &PortSpec) -> Self {
        PortBuilder {
            eal: eal.clone(),
            spec: spec.clone(),
            half: None,
            pool: None,
            rx_queues: 1,
            tx_queues: 1,
            fewer_tx: false,
            rx_descriptors: 1024,
            tx_descriptors: 1024,
            mtu: None,
            promiscuous: true,
            interrupts: false,
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
        (self.rx_queues, self.tx_queues) = (rx, tx);
        self
    }

    /// TX queues: as many as the device has, up to `most`, instead of a fixed number.
    /// [`Port::tx_queues`] tells how many there are.
    pub fn tx_queues_up_to(mut self, most: u16) -> Self {
        (self.tx_queues, self.fewer_tx) = (most.clamp(1, MAX_QUEUES), true);
        self
    }

    /// Descriptors of each RX and TX queue. Default 1024 each; the device may round or limit them.
    pub fn descriptors(mut self, rx: u16, tx: u16) -> Self {
        (self.rx_descriptors, self.tx_descriptors) = (rx, tx);
        self
    }

    /// Largest packet, bytes without the Ethernet header. Default: as the device comes.
    pub fn mtu(mut self, bytes: u16) -> Self {
        self.mtu = Some(bytes);
        self
    }

    /// Whether to receive frames for any address. Default true.
    pub fn promiscuous(mut self, on: bool) -> Self {
        self.promiscuous = on;
        self
    }

    /// Arms RX interrupts, for a worker that sleeps in
    /// [`Idle::Interrupt`](crate::worker::Idle::Interrupt). Default false.
    pub fn interrupts(mut self, on: bool) -> Self {
        self.interrupts = on;
        self
    }

    /// Makes the device, configures and starts it.
    ///
    /// # Errors
    /// [`Error::Port`], with the step that failed, DPDK's error and what to do. Nothing is left
    /// behind then.
    pub fn start(self) -> Result<Port> {
        let spec = &self.spec;
        let Some(pool) = self.pool.clone() else {
            return Err(Error::port_refused(spec, "no pool was given", "call pool() before start()"));
        };
        if !(1..=MAX_QUEUES).contains(&self.rx_queues) || !(1..=MAX_QUEUES).contains(&self.tx_queues) {
            let what = format!("{} RX and {} TX queues", self.rx_queues, self.tx_queues);
            return Err(Error::port_refused(spec, what, "use 1 to 64 of each"));
        }
        let (id, info, device) = self.make()?;
        let tx_queues = if self.fewer_tx { self.tx_queues.min(info.max_tx_queues).max(1) } else { self.tx_queues };
        // From here on dropping `inner` stops, closes and removes the device.
        let inner = Inner {
            id,
            spec: self.spec.clone(),
            info,
            device,
            rx_queues: self.rx_queues,
            tx_queues,
            rx_taken: AtomicU64::new(0),
            tx_taken: AtomicU64::new(0),
            _rings: self.half.as_ref().map(|(pair, _)| pair.clone()),
            pool: pool.clone(),
            _eal: self.eal.clone(),
        };
        let port = Port { inner: Arc::new(inner) };
        self.configure(&port, &pool)?;
        Ok(port)
    }

    /// Makes the device, and leaves none behind when it is no port.
    fn make(&self) -> Result<(u16, PortInfo, *mut dpdk_sys::rte_device)> {
        let _one_at_a_time = control();
        let id = self.attach()?;
        device_info(id, &self.spec).map(|(info, device)| (id, info, device)).inspect_err(|_| {
            // SAFETY: made above and not started; nobody else knows it.
            unsafe { dpdk_sys::rte_eth_dev_close(id) };
        })
    }

    fn attach(&self) -> Result<u16> {
        if let Some((pair, first)) = &self.half {
            return pair.attach(*first);
        }
        if let Some(interface) = self.spec.interface().filter(|name| !super::state::interface_exists(name)) {
            let what = format!("there is no interface {interface} in this network namespace");
            return Err(Error::port_refused(&self.spec, what, "see `ip link`; it must exist before the port is made"));
        }
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        // Queues of kernel interfaces and vhost come in pairs, and more of them than the peer has
        // cannot be made: when fewer TX queues will do, RX decides.
        let queues = if self.fewer_tx { self.rx_queues } else { self.rx_queues.max(self.tx_queues) };
        let (name, arguments) = self.spec.device(SERIAL.fetch_add(1, Ordering::Relaxed), queues);
        if Port::id_by_name(&name).is_some() {
            return Err(Error::port_refused(&self.spec, "the device is in use", "one port stands for one device"));
        }
        let text = CString::new(arguments).expect("specs hold no NUL");
        // SAFETY: a C string that the call copies.
        let result = unsafe { dpdk_sys::rte_dev_probe(text.as_ptr()) };
        if result != 0 {
            return Err(Error::port(&self.spec, "cannot make the device", result, attach_hint(&self.spec)));
        }
        Port::id_by_name(&name).ok_or_else(|| {
            Error::port_refused(&self.spec, "the device was made, but it is no Ethernet port", attach_hint(&self.spec))
        })
    }

    fn configure(&self, port: &Port, pool: &MbufPool) -> Result<()> {
        let (id, info) = (port.id(), port.info());
        if port.rx_queues() > info.max_rx_queues || port.tx_queues() > info.max_tx_queues {
            return Err(Error::port_refused(
                &self.spec,
                format!("{} RX and {} TX queues wanted", port.rx_queues(), port.tx_queues()),
                format!("the device has {} and {}", info.max_rx_queues, info.max_tx_queues),
            ));
        }
        let check = |what: &str, result: i32| match result {
            0 => Ok(()),
            code => Err(Error::port(&self.spec, what, code, attach_hint(&self.spec))),
        };
        let mut conf = dpdk_sys::rte_eth_conf::default();
        conf.rxmode.mtu = u32::from(self.mtu.unwrap_or(1500).min(info.max_mtu));
        if port.rx_queues() > 1 && info.rss_fields != 0 {
            conf.rxmode.mq_mode = dpdk_sys::RTE_ETH_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf.rss_hf = info.rss_fields;
        }
        if self.interrupts {
            conf.intr_conf.set_rxq(1);
        }
        // SAFETY: `conf` is a valid, initialised configuration that the call copies.
        check("cannot configure it", unsafe {
            dpdk_sys::rte_eth_dev_configure(id, port.rx_queues(), port.tx_queues(), &conf)
        })?;
        if let Some(mtu) = self.mtu {
            port.set_mtu(mtu)?;
        }
        let (mut rx, mut tx) = (self.rx_descriptors, self.tx_descriptors);
        // SAFETY: two numbers, adjusted in place.
        check("cannot agree on descriptors", unsafe {
            dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(id, &mut rx, &mut tx)
        })?;
        let socket = info.numa_node.map_or(u32::MAX, u32::from);
        for queue in 0..port.rx_queues() {
            // SAFETY: the pool outlives the port, which holds a handle on it; NULL asks for the
            // driver's own queue configuration.
            let result =
                unsafe { dpdk_sys::rte_eth_rx_queue_setup(id, queue, rx, socket, std::ptr::null(), pool.raw()) };
            if result != 0 {
                let hint = "the pool may have too few or too small buffers for this driver";
                return Err(Error::port(&self.spec, format!("cannot set up RX queue {queue}"), result, hint));
            }
        }
        for queue in 0..port.tx_queues() {
            // SAFETY: NULL asks for the driver's own queue configuration.
            let result = unsafe { dpdk_sys::rte_eth_tx_queue_setup(id, queue, tx, socket, std::ptr::null()) };
            check(&format!("cannot set up TX queue {queue}"), result)?;
        }
        // SAFETY: configured above.
        let result = unsafe { dpdk_sys::rte_eth_dev_start(id) };
        if result != 0 {
            return Err(Error::port(&self.spec, "cannot start it", result, attach_hint(&self.spec)));
        }
        if self.promiscuous {
            // Drivers of software devices refuse what they do anyway: receive everything.
            port.set_promiscuous(true).or_else(|error| if self.spec.is_software() { Ok(()) } else { Err(error) })?;
        }
        Ok(())
    }
}

fn attach_hint(spec: &PortSpec) -> &'static str {
    match spec.kind() {
        PortKind::Pci => "the device must be bound to vfio-pci, and EAL started with the PCI bus",
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

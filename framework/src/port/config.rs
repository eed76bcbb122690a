//! How a device is to run: queues, descriptors, offloads.

use super::device::attach_hint;
use super::info::raw_info;
use super::{Device, MAX_QUEUES};
use crate::error::{Errno, Error, Result};
use crate::memory::MbufPool;

/// How a device is to run; see [`Device::start`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// RX queues, 1 to 64.
    pub rx_queues: u16,
    /// TX queues, 1 to 64.
    pub tx_queues: u16,
    /// TX queues: rather fewer than fail, where the device has fewer.
    pub fewer_tx: bool,
    /// All RX queues.
    pub rx: QueueConfig,
    /// All TX queues.
    pub tx: QueueConfig,
    /// RX queues that are to differ from `rx`.
    pub rx_own: Vec<(u16, QueueConfig)>,
    /// TX queues that are to differ from `tx`.
    pub tx_own: Vec<(u16, QueueConfig)>,
    /// Largest packet, bytes without the Ethernet header; nothing: as the device comes. A driver that knows no MTU
    /// ignores it.
    pub mtu: Option<u16>,
    /// Largest packet that the device may put together from several (LRO), bytes; nothing: as the device comes.
    pub max_lro: Option<u32>,
    /// `RTE_ETH_LINK_SPEED_*` that the link may have; 0: what both ends agree on. Virtual devices do not care.
    pub link_speeds: u32,
    /// `RTE_ETH_RX_OFFLOAD_*` of the port.
    pub rx_offloads: u64,
    /// `RTE_ETH_TX_OFFLOAD_*` of the port.
    pub tx_offloads: u64,
    /// Fields to spread packets over several RX queues by (`RTE_ETH_RSS_*`), as far as the device
    /// supports them.
    pub rss_fields: u64,
    /// Arms RX interrupts.
    pub interrupts: bool,
}

/// How a queue is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Descriptors; the device may round or limit them. 0: as many as the driver recommends.
    pub descriptors: u16,
    /// `RTE_ETH_RX_OFFLOAD_*` or `RTE_ETH_TX_OFFLOAD_*` of the queue, besides the port's.
    pub offloads: u64,
    /// What else is to differ from what the driver recommends.
    pub thresholds: Thresholds,
    /// The queue is not started with the port.
    pub deferred_start: bool,
}

/// A queue's fine tuning; nothing stands for what the driver recommends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// Prefetch.
    pub prefetch: Option<u8>,
    /// Host.
    pub host: Option<u8>,
    /// Write-back.
    pub writeback: Option<u8>,
    /// Descriptors that are freed at a time.
    pub free: Option<u16>,
    /// TX: descriptors after which the device is asked to report.
    pub rs: Option<u16>,
    /// RX: whether the device drops packets when it has no descriptor, instead of holding them back.
    pub drop: Option<bool>,
}

impl Default for QueueConfig {
    fn default() -> Self {
        QueueConfig { descriptors: 1024, offloads: 0, thresholds: Thresholds::default(), deferred_start: false }
    }
}

impl Default for PortConfig {
    fn default() -> Self {
        PortConfig {
            rx_queues: 1,
            tx_queues: 1,
            fewer_tx: false,
            rx: QueueConfig::default(),
            tx: QueueConfig::default(),
            rx_own: Vec::new(),
            tx_own: Vec::new(),
            mtu: None,
            max_lro: None,
            link_speeds: 0,
            rx_offloads: 0,
            tx_offloads: 0,
            rss_fields: u64::MAX,
            interrupts: false,
        }
    }
}

impl PortConfig {
    /// How RX queue `queue` is to run.
    pub fn rx_queue(&self, queue: u16) -> &QueueConfig {
        self.rx_own.iter().find(|(own, _)| *own == queue).map_or(&self.rx, |(_, config)| config)
    }

    /// How TX queue `queue` is to run.
    pub fn tx_queue(&self, queue: u16) -> &QueueConfig {
        self.tx_own.iter().find(|(own, _)| *own == queue).map_or(&self.tx, |(_, config)| config)
    }

    /// RX queue `queue`, to differ from the others from now on.
    pub fn rx_queue_mut(&mut self, queue: u16) -> &mut QueueConfig {
        own(&mut self.rx_own, &self.rx, queue)
    }

    /// TX queue `queue`, to differ from the others from now on.
    pub fn tx_queue_mut(&mut self, queue: u16) -> &mut QueueConfig {
        own(&mut self.tx_own, &self.tx, queue)
    }
}

fn own<'a>(list: &'a mut Vec<(u16, QueueConfig)>, common: &QueueConfig, queue: u16) -> &'a mut QueueConfig {
    let at = list.iter().position(|(own, _)| *own == queue).unwrap_or_else(|| {
        list.push((queue, common.clone()));
        list.len() - 1
    });
    &mut list[at].1
}

/// What DPDK counts of a packet besides its MTU, bytes.
const ETHERNET_AND_FCS: u32 = 18;

/// Configures the device and sets its queues up, under [`control`](super::device::control). Returns how
/// many TX queues it was given.
pub(super) fn apply(device: &Device, config: &PortConfig, pool: &MbufPool) -> Result<u16> {
    let (id, spec, info) = (device.id(), device.spec(), device.info());
    let (rx_queues, mut tx_queues) = (config.rx_queues, config.tx_queues);
    if !(1..=MAX_QUEUES).contains(&rx_queues) || !(1..=MAX_QUEUES).contains(&tx_queues) {
        let what = format!("{rx_queues} RX and {tx_queues} TX queues");
        return Err(Error::port_refused(spec, what, "use 1 to 64 of each"));
    }
    if config.fewer_tx {
        tx_queues = tx_queues.min(info.max_tx_queues).max(1);
    }
    if rx_queues > info.max_rx_queues || tx_queues > info.max_tx_queues {
        return Err(Error::port_refused(
            spec,
            format!("{rx_queues} RX and {tx_queues} TX queues wanted"),
            format!("the device has {} and {}", info.max_rx_queues, info.max_tx_queues),
        ));
    }
    let check = |what: &str, result: i32| match result {
        0 => Ok(()),
        code => Err(Error::port(spec, what, code, attach_hint(spec))),
    };
    let mut conf = dpdk_sys::rte_eth_conf::default();
    conf.rxmode.mtu = u32::from(config.mtu.unwrap_or(1500).min(info.max_mtu));
    conf.rxmode.max_lro_pkt_size = config.max_lro.unwrap_or(0);
    conf.link_speeds = config.link_speeds;
    conf.rxmode.offloads = config.rx_offloads;
    conf.txmode.offloads = config.tx_offloads;
    if rx_queues > 1 && info.rss_fields & config.rss_fields != 0 {
        conf.rxmode.mq_mode = dpdk_sys::RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = info.rss_fields & config.rss_fields;
    }
    if config.interrupts {
        conf.intr_conf.set_rxq(1);
    }
    // SAFETY: `conf` is a valid, initialised configuration that the call copies.
    let configured = unsafe { dpdk_sys::rte_eth_dev_configure(id, rx_queues, tx_queues, &conf) };
    if config.mtu.is_some_and(|mtu| u32::from(mtu) + ETHERNET_AND_FCS > info.max_rx_packet) && configured != 0 {
        let hint = format!("its longest packet has {} bytes", info.max_rx_packet);
        return Err(Error::port(spec, "cannot configure it", configured, hint));
    }
    check("cannot configure it", configured)?;
    if let Some(mtu) = config.mtu {
        match device.set_mtu_under_control(mtu) {
            // Drivers of some virtual functions take it with the configuration, and in no other way; rings, for example,
            // and vhost take packets of any size.
            Err(error) if error.errno() == Some(Errno(libc::ENOTSUP)) => {}
            result => result?,
        }
    }
    for queue in 0..rx_queues {
        rx_setup(device, config, queue, pool)?;
    }
    for queue in 0..tx_queues {
        tx_setup(device, config, queue)?;
    }
    Ok(tx_queues)
}

/// Sets one RX queue up, under [`control`](super::device::control).
pub(super) fn rx_setup(device: &Device, config: &PortConfig, queue: u16, pool: &MbufPool) -> Result<()> {
    let (wanted, mut raw) = (config.rx_queue(queue), raw_info(device.id(), device.spec())?.default_rxconf);
    let Thresholds { prefetch, host, writeback, free, drop, .. } = wanted.thresholds;
    set(&mut raw.rx_thresh.pthresh, prefetch);
    set(&mut raw.rx_thresh.hthresh, host);
    set(&mut raw.rx_thresh.wthresh, writeback);
    set(&mut raw.rx_free_thresh, free);
    set(&mut raw.rx_drop_en, drop.map(u8::from));
    raw.rx_deferred_start = u8::from(wanted.deferred_start);
    raw.offloads |= config.rx_offloads | wanted.offloads;
    let (mut descriptors, mut unused) = (wanted.descriptors, 512);
    adjust(device, &mut descriptors, &mut unused)?;
    // SAFETY: the device keeps a handle on the pool until it is closed; `raw` is what the driver
    // recommends, changed in numbers only, and copied.
    let result =
        unsafe { dpdk_sys::rte_eth_rx_queue_setup(device.id(), queue, descriptors, socket(device), &raw, pool.raw()) };
    let hint = "the pool may have too few or too small buffers for this driver";
    match result {
        0 => Ok(()),
        code => Err(Error::port(device.spec(), format!("cannot set up RX queue {queue}"), code, hint)),
    }
}

/// Sets one TX queue up, under [`control`](super::device::control).
pub(super) fn tx_setup(device: &Device, config: &PortConfig, queue: u16) -> Result<()> {
    let (wanted, mut raw) = (config.tx_queue(queue), raw_info(device.id(), device.spec())?.default_txconf);
    let Thresholds { prefetch, host, writeback, free, rs, .. } = wanted.thresholds;
    set(&mut raw.tx_thresh.pthresh, prefetch);
    set(&mut raw.tx_thresh.hthresh, host);
    set(&mut raw.tx_thresh.wthresh, writeback);
    set(&mut raw.tx_free_thresh, free);
    set(&mut raw.tx_rs_thresh, rs);
    raw.tx_deferred_start = u8::from(wanted.deferred_start);
    raw.offloads |= config.tx_offloads | wanted.offloads;
    let (mut unused, mut descriptors) = (512, wanted.descriptors);
    adjust(device, &mut unused, &mut descriptors)?;
    // SAFETY: `raw` is what the driver recommends, changed in numbers only, and copied.
    let result = unsafe { dpdk_sys::rte_eth_tx_queue_setup(device.id(), queue, descriptors, socket(device), &raw) };
    match result {
        0 => Ok(()),
        code => {
            let what = format!("cannot set up TX queue {queue}");
            Err(Error::port(device.spec(), what, code, attach_hint(device.spec())))
        }
    }
}

fn set<T>(field: &mut T, wanted: Option<T>) {
    if let Some(wanted) = wanted {
        *field = wanted;
    }
}

fn adjust(device: &Device, rx: &mut u16, tx: &mut u16) -> Result<()> {
    if *rx == 0 || *tx == 0 {
        return Ok(());
    }
    // SAFETY: two numbers, adjusted in place.
    match unsafe { dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(device.id(), rx, tx) } {
        0 => Ok(()),
        code => {
            let spec = device.spec();
            Err(Error::port(spec, "cannot agree on descriptors", code, attach_hint(spec)))
        }
    }
}

fn socket(device: &Device) -> u32 {
    device.info().numa_node.map_or(u32::MAX, u32::from)
}

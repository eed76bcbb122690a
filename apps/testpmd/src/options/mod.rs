//! The command line: EAL's options before `--`, the application's after it.

mod parse;
mod usage;

pub(crate) use parse::{Wrong, parse};
pub(crate) use usage::usage;

use crate::engine::Wanted;
use crate::forward::{Mode, TunnelPorts};
use crate::soft::LastHeader;
use iogate::packet::MacAddr;
use iogate::port::{PortConfig, QueueConfig};
use std::path::PathBuf;
use std::time::Duration;

/// How forwarding ports are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Topology {
    /// 0 and 1, 2 and 3, ...
    #[default]
    Paired,
    /// 0 to 1, 1 to 2, ..., the last to 0.
    Chained,
    /// Each to itself.
    Loop,
}

/// A file of commands, and whether they are echoed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) file: PathBuf,
    pub(crate) echo: bool,
}

/// The application's options, checked as far as that is possible without ports.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) interactive: bool,
    pub(crate) auto_start: bool,
    pub(crate) tx_first: bool,
    pub(crate) stats_period: Option<u16>,
    pub(crate) display_xstats: Vec<String>,
    pub(crate) scripts: Vec<Script>,
    /// Commands to run, and then quit.
    pub(crate) exec: Option<String>,
    /// How long to forward, and then quit.
    pub(crate) duration: Option<Duration>,
    pub(crate) keep_going: bool,
    pub(crate) json: bool,
    /// Whether forwarding cores may sleep when nothing arrives.
    pub(crate) sleep: bool,

    pub(crate) nb_cores: Option<u64>,
    pub(crate) nb_ports: Option<u64>,
    pub(crate) core_mask: Option<u64>,
    pub(crate) port_mask: Option<u64>,
    pub(crate) port_list: Option<String>,
    pub(crate) topology: Topology,

    /// Sizes of buffers, headroom included, of one pool each; 0 stands for segments of packets that are not kept.
    pub(crate) mbuf_sizes: Vec<u16>,
    pub(crate) total_mbufs: Option<u32>,
    pub(crate) mbcache: u32,
    /// Whether queues are to choose among several pools by a packet's length, which no device here does.
    pub(crate) several_pools: bool,
    /// Whether all memory stays where it is: `--mlockall`.
    pub(crate) lock_memory: bool,

    pub(crate) max_pkt_len: Option<u32>,
    pub(crate) eth_peers: Vec<(u16, MacAddr)>,
    pub(crate) tx_ip: [[u8; 4]; 2],
    pub(crate) tx_udp: [u16; 2],
    pub(crate) txpkts: Vec<u16>,
    pub(crate) multi_flow: bool,
    pub(crate) txonly_flows: u16,
    pub(crate) flows: u16,
    pub(crate) flowgen_clones: u16,
    pub(crate) tunnel_ports: TunnelPorts,
    pub(crate) rxpkts: Vec<u16>,
    pub(crate) rxhdrs: Vec<LastHeader>,
    pub(crate) rxoffs: Vec<u16>,
    pub(crate) noisy: Noisy,

    pub(crate) port: PortConfig,
    pub(crate) burst: u16,
    pub(crate) mode: Mode,
    /// Its name, as it was given.
    pub(crate) mode_name: String,

    pub(crate) link_check: bool,
    pub(crate) device_start: bool,
    pub(crate) flush_rx: bool,
    /// Whether ports start in isolated mode.
    pub(crate) isolate: bool,
    /// Whether flow rules outlive a stop of their port.
    pub(crate) keep_flows: bool,
    pub(crate) wanted: Wanted,
    /// Whether software does what devices cannot; nothing: for virtual devices.
    pub(crate) soft_offloads: Option<bool>,
}

/// `--noisy-*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noisy {
    pub(crate) buffer: u64,
    pub(crate) flush_ms: u64,
    pub(crate) memory_mb: u64,
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    pub(crate) both: u64,
}

/// `--mbuf-size`, the default.
pub(crate) const USUAL_BUFFER: u16 = 2048 + 128;

/// `--rss-ip`, the default.
pub(crate) const RSS_IP: u64 = crate::show::rss::IP;

/// `RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE`, which ports have that can.
pub(crate) const MBUF_FAST_FREE: u64 = 1 << 16;

impl Default for Options {
    fn default() -> Self {
        Options {
            interactive: false,
            auto_start: false,
            tx_first: false,
            stats_period: None,
            display_xstats: Vec::new(),
            scripts: Vec::new(),
            exec: None,
            duration: None,
            keep_going: false,
            json: false,
            sleep: false,
            nb_cores: None,
            nb_ports: None,
            core_mask: None,
            port_mask: None,
            port_list: None,
            topology: Topology::Paired,
            mbuf_sizes: vec![USUAL_BUFFER],
            total_mbufs: None,
            mbcache: 250,
            several_pools: false,
            lock_memory: false,
            max_pkt_len: None,
            eth_peers: Vec::new(),
            tx_ip: [[198, 18, 0, 1], [198, 18, 0, 2]],
            tx_udp: [9, 9],
            txpkts: vec![64],
            multi_flow: false,
            txonly_flows: 64,
            flows: 1024,
            flowgen_clones: 0,
            tunnel_ports: TunnelPorts::default(),
            rxpkts: Vec::new(),
            rxhdrs: Vec::new(),
            rxoffs: Vec::new(),
            noisy: Noisy::default(),
            port: PortConfig {
                rx: QueueConfig { descriptors: 0, ..QueueConfig::default() },
                tx: QueueConfig { descriptors: 0, ..QueueConfig::default() },
                rss_fields: RSS_IP,
                tx_offloads: MBUF_FAST_FREE,
                ..PortConfig::default()
            },
            burst: 32,
            mode: Mode::Io,
            mode_name: Mode::Io.name().to_owned(),
            link_check: true,
            device_start: true,
            flush_rx: true,
            isolate: false,
            keep_flows: false,
            wanted: Wanted::default(),
            soft_offloads: None,
        }
    }
}

/// A command line: EAL's arguments, the program's name first, and the application's options.
pub(crate) fn split(arguments: Vec<String>) -> (Vec<String>, Vec<String>) {
    match arguments.iter().position(|argument| argument == "--") {
        Some(at) => (arguments[..at].to_vec(), arguments[at + 1..].to_vec()),
        None => (arguments, Vec::new()),
    }
}

//! The forwarding modes: what becomes of the packets of a stream, from one RX queue to one TX queue.
//!
//! ```text
//!   RX queue -> the mode's stage -> door -> TX queue       io mac macswap 5tswap csum icmpecho noisy
//!   RX queue -> the mode's stage                           rxonly shared_rxq
//!               the mode's stage -> door -> TX queue       txonly flowgen (which receives, too)
//! ```
//!
//! Each mode is a stage in a file of its own. [`Mode::build`] makes what a worker runs:
//!
//! ```ignore
//! let mode: Mode = "macswap".parse()?;
//! let stream = Stream { rx: Some(port.rx(0)?), tx: Some(Outlet::new(peer.tx(0)?)), .. };
//! let built = mode.build(&config, stream)?;
//! worker.poll(built.queues, built.stage);
//! ```

mod config;
mod counters;
mod csum;
mod cut;
mod door;
mod five_tuple_swap;
mod flow_gen;
mod gro;
mod icmp_echo;
mod io;
mod layers;
mod mac;
mod mac_swap;
mod noisy;
#[cfg(test)]
mod original;
mod recycle_mbufs;
mod rx_only;
mod shared_rxq;
mod tags;
#[cfg(test)]
mod testing;
mod tunnel;
mod tx_only;

pub use config::{Checksum, Config, Datagram, NoisyConfig, NoisyMode, Retry, Split, Where};
pub use counters::{BadChecksums, PortCounters};
pub use door::Watch;
pub use tunnel::TunnelPorts;

use door::Door;
use iogate::pipeline::Outlet;
use iogate::port::RxQueue;
use iogate::prelude::*;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What to do with packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Send them as they came.
    #[default]
    Io,
    /// Write the addresses of the TX port and of its peer.
    Mac,
    /// Exchange the addresses.
    MacSwap,
    /// Make packets of many flows; use up what comes.
    FlowGen,
    /// Use up what comes.
    RxOnly,
    /// Make packets.
    TxOnly,
    /// Compute checksums.
    Csum,
    /// Answer ARP and pings.
    IcmpEcho,
    /// Behave like a busy network function.
    Noisy,
    /// Exchange MAC and IP addresses and ports.
    FiveTupleSwap,
    /// As [`Io`](Mode::Io), with buffers going from TX to RX.
    RecycleMbufs,
    /// Answer PTP with hardware time stamps.
    Ieee1588,
    /// Use up what comes on a shared queue, counted by port.
    SharedRxq,
}

impl Mode {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Mode; 13] = [
        Mode::Io,
        Mode::Mac,
        Mode::MacSwap,
        Mode::FlowGen,
        Mode::RxOnly,
        Mode::TxOnly,
        Mode::Csum,
        Mode::IcmpEcho,
        Mode::Noisy,
        Mode::FiveTupleSwap,
        Mode::RecycleMbufs,
        Mode::Ieee1588,
        Mode::SharedRxq,
    ];

    /// Its name, as commands and reports have it.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Io => "io",
            Mode::Mac => "mac",
            Mode::MacSwap => "macswap",
            Mode::FlowGen => "flowgen",
            Mode::RxOnly => "rxonly",
            Mode::TxOnly => "txonly",
            Mode::Csum => "csum",
            Mode::IcmpEcho => "icmpecho",
            Mode::Noisy => "noisy",
            Mode::FiveTupleSwap => "5tswap",
            Mode::RecycleMbufs => "recycle_mbufs",
            Mode::Ieee1588 => "ieee1588",
            Mode::SharedRxq => "shared_rxq",
        }
    }

    /// Other names that are understood: those of the documentation and of test suites.
    pub const fn aliases(self) -> &'static [&'static str] {
        match self {
            Mode::FiveTupleSwap => &["fivetswap"],
            Mode::RecycleMbufs => &["recycle-mbufs"],
            Mode::SharedRxq => &["shared-rxq"],
            _ => &[],
        }
    }

    /// The modes that there are with this DPDK and these devices.
    pub fn available() -> impl Iterator<Item = Mode> {
        Self::ALL.into_iter().filter(|mode| mode.check().is_ok())
    }

    /// Whether `retry` may follow its name.
    pub const fn can_retry(self) -> bool {
        !matches!(self, Mode::RxOnly)
    }

    /// Whether it polls an RX queue.
    pub const fn receives(self) -> bool {
        !matches!(self, Mode::TxOnly)
    }

    /// Whether it sends on a TX queue.
    pub const fn sends(self) -> bool {
        !matches!(self, Mode::RxOnly | Mode::SharedRxq)
    }

    /// Whether it makes packets of its own.
    pub const fn makes(self) -> bool {
        matches!(self, Mode::TxOnly | Mode::FlowGen)
    }

    /// Whether answers leave by the port that the questions came from, whatever the topology.
    pub const fn loops(self) -> bool {
        matches!(self, Mode::IcmpEcho)
    }

    /// Whether there is such a mode here.
    ///
    /// # Errors
    /// [`Refused`], with the reason.
    pub fn check(self) -> Result<(), Refused> {
        match self {
            Mode::RecycleMbufs => recycle_mbufs::check(),
            Mode::Ieee1588 => Err(Refused::NoTimeStamps),
            _ => Ok(()),
        }
    }

    /// Makes what a worker runs for a stream. Queues that the mode does not use are given back.
    ///
    /// # Errors
    /// [`Refused`] when there is no such mode, or the options do not allow it.
    pub fn build(self, config: &Config, mut stream: Stream) -> Result<Built, Refused> {
        self.check()?;
        let queues = match (self.receives(), stream.rx.take()) {
            (false, _) => Vec::new(),
            (true, Some(queue)) => vec![queue],
            (true, None) if stream.fed => Vec::new(),
            (true, None) => return Err(Refused::NoQueue { kind: "RX" }),
        };
        let mut built =
            Built { queues, stage: Box::new(rx_only::RxOnly), bad_checksums: None, by_port: None, holds: false };
        built.stage = match self {
            Mode::RxOnly => Box::new(chain(rx_only::RxOnly)),
            Mode::SharedRxq => {
                let by_port = built.by_port.insert(Arc::default()).clone();
                Box::new(chain(shared_rxq::SharedRxq { by_port }))
            }
            Mode::TxOnly => stream.made_by(tx_only::TxOnly::new(config, &stream)?, config)?,
            Mode::FlowGen => stream.made_by(flow_gen::FlowGen::new(config, &stream)?, config)?,
            Mode::Mac => stream.behind(stream.mac_stage(), config)?,
            Mode::MacSwap => stream.behind(mac_swap::MacSwap, config)?,
            Mode::FiveTupleSwap => stream.behind(five_tuple_swap::FiveTupleSwap, config)?,
            Mode::IcmpEcho => stream.behind(icmp_echo::IcmpEcho { mac: stream.mac }, config)?,
            Mode::Csum => {
                let bad = built.bad_checksums.insert(Arc::default()).clone();
                let to = stream.tx.as_ref().map_or(u16::MAX, |queue| queue.port().id());
                let (csum, cut) =
                    (csum::Csum::new(config.checksum(to), config.tunnel_ports, &stream, bad), config.cut(to));
                match (config.gro.contains(&stream.from), cut.is_needed()) {
                    (false, false) => stream.behind(csum, config)?,
                    (false, true) => stream.cutting().behind(chain(csum).then(cut), config)?,
                    (true, _) => {
                        let gro = gro::Gro::new(config.gro_rounds).map_err(|_| Refused::NoMemoryToHold)?;
                        built.holds = true;
                        stream.cutting().behind(chain(gro).then(csum).then(cut), config)?
                    }
                }
            }
            Mode::Noisy => {
                let (mac, tags, door) = (stream.mac_stage(), stream.tags(config), stream.door(config)?);
                let noisy = noisy::Noisy::new(config, door)?;
                let noisy: Box<dyn Stage> = match tags {
                    Some(tags) => Box::new(chain(tags).then(noisy)),
                    None => Box::new(noisy),
                };
                match config.noisy.mode {
                    NoisyMode::Io => Box::new(chain(noisy)),
                    NoisyMode::Mac => Box::new(chain(mac).then(noisy)),
                    NoisyMode::MacSwap => Box::new(chain(mac_swap::MacSwap).then(noisy)),
                    NoisyMode::FiveTupleSwap => Box::new(chain(five_tuple_swap::FiveTupleSwap).then(noisy)),
                }
            }
            Mode::RecycleMbufs => Box::new(recycle_mbufs::stage(stream.door(config)?)),
            Mode::Io | Mode::Ieee1588 => Box::new(io::stage(stream.door(config)?)),
        };
        Ok(built)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        let named = |mode: &Mode| mode.name() == text || mode.aliases().contains(&text);
        Mode::ALL.into_iter().find(named).ok_or_else(|| UnknownMode(text.to_owned()))
    }
}

/// A text that names no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid {0} packet forwarding mode")]
pub struct UnknownMode(pub String);

/// Why a mode cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// DPDK is too old.
    #[error("it needs DPDK {:02}.{:02} or later, and this is {:02}.{:02}", release.0, release.1, ours.0, ours.1)]
    NeedsDpdk {
        /// The first release that will do.
        release: (u32, u32),
        /// The one that is in use.
        ours: (u32, u32),
    },
    /// No device stamps packets.
    #[error("it needs a device that stamps packets with the time, and none here does")]
    NoTimeStamps,
    /// The stream has no such queue.
    #[error("it needs an {kind} queue")]
    NoQueue {
        /// `RX` or `TX`.
        kind: &'static str,
    },
    /// The headers do not fit.
    #[error("the first segment has {length} bytes, and {needed} are needed for the headers")]
    SegmentTooShort {
        /// As configured.
        length: u16,
        /// At least.
        needed: usize,
    },
    /// A buffer is smaller.
    #[error("a segment of {length} bytes does not fit a buffer, which has room for {room}")]
    SegmentTooLong {
        /// As configured.
        length: u16,
        /// At most.
        room: usize,
    },
    /// Memory is to be touched, and there is none.
    #[error("--noisy-lkup-memory must be > 0 when memory is to be read or written")]
    NoMemory,
    /// Packets are to be put together.
    #[error("there is no memory for packets to be put together (`set port N gro on`)")]
    NoMemoryToHold,
    /// A ring has another size.
    #[error("--noisy-tx-sw-buffer-size must be a power of two, and {size} is none")]
    BufferSize {
        /// As configured.
        size: usize,
    },
}

/// What a stage is made of.
#[derive(Debug)]
pub struct Stream {
    /// The port that packets come from.
    pub from: u16,
    /// Its queue, unless other streams give them.
    pub rx: Option<RxQueue>,
    /// Whether packets come from other streams instead.
    pub fed: bool,
    /// Where they go.
    pub tx: Option<Outlet>,
    /// The address of the TX port.
    pub mac: MacAddr,
    /// The address of who is at its other end: [`Config::peer`].
    pub peer: MacAddr,
    /// Buffers for packets that are made.
    pub pool: MbufPool,
    /// Number of the worker that runs it, which tells its flows from those of others.
    pub worker: u8,
    /// Who looks at packets as they leave.
    pub watch: Option<Watch>,
}

impl Stream {
    fn door(&mut self, config: &Config) -> Result<Door, Refused> {
        let outlet = self.tx.take().ok_or(Refused::NoQueue { kind: "TX" })?;
        Ok(Door::new(outlet, config.retry).watched(self.watch.take()))
    }

    /// With a way out that cuts packets which say so.
    fn cutting(&mut self) -> &mut Self {
        self.tx = self.tx.take().map(|outlet| outlet.finishing(true));
        self
    }

    /// The tags that packets get, if they get any.
    fn tags(&self, config: &Config) -> Option<tags::Tags> {
        let vlans = config.vlans.get(&self.tx.as_ref()?.port().id()).filter(|vlans| !vlans.is_empty())?;
        Some(tags::Tags::new(vlans))
    }

    fn behind<S: Stage + 'static>(&mut self, stage: S, config: &Config) -> Result<Box<dyn Stage>, Refused> {
        self.leaving(stage, config, None)
    }

    fn leaving<S: Stage + 'static>(
        &mut self,
        stage: S,
        config: &Config,
        stamped: Option<u16>,
    ) -> Result<Box<dyn Stage>, Refused> {
        let (tags, door) = (self.tags(config), self.door(config)?.stamping(stamped));
        Ok(match tags {
            Some(tags) => Box::new(chain(stage).then(tags).then(door)),
            None => Box::new(chain(stage).then(door)),
        })
    }

    /// As [`behind`](Stream::behind), for packets that a stage makes.
    fn made_by<S: Stage + 'static>(&mut self, stage: S, config: &Config) -> Result<Box<dyn Stage>, Refused> {
        let group = config.stamp.then_some(u16::from(self.worker));
        self.leaving(stage, config, group)
    }

    fn mac_stage(&self) -> mac::Mac {
        mac::Mac { mac: self.mac, peer: self.peer }
    }
}

/// What a worker runs for a stream.
pub struct Built {
    /// The queues to poll: one, or none.
    pub queues: Vec<RxQueue>,
    /// What to run their packets through.
    pub stage: Box<dyn Stage>,
    /// Of `csum`: how many checksums were wrong.
    pub bad_checksums: Option<Arc<BadChecksums>>,
    /// Of `shared_rxq`: packets by the port they came from.
    pub by_port: Option<Arc<PortCounters>>,
    /// Whether it holds packets, and passes them on in a later round.
    pub holds: bool,
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;

    #[test]
    fn every_name_names_its_mode() {
        for mode in Mode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
            for alias in mode.aliases() {
                assert_eq!(alias.parse(), Ok(mode));
            }
        }
        assert_eq!("fivetswap".parse(), Ok(Mode::FiveTupleSwap));
        assert_eq!("shared-rxq".parse(), Ok(Mode::SharedRxq));
        let unknown = "nosuch".parse::<Mode>().unwrap_err();
        assert_eq!(unknown.to_string(), "Invalid nosuch packet forwarding mode");
        assert!("".parse::<Mode>().is_err() && "IO".parse::<Mode>().is_err());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = Mode::Ieee1588.check().unwrap_err();
        assert!(refused.to_string().contains("time"), "{refused}");
        assert!(!Mode::available().any(|mode| mode == Mode::Ieee1588));
        assert!(Mode::available().any(|mode| mode == Mode::Io));
        for (mode, kind) in [(Mode::Io, "RX"), (Mode::RxOnly, "RX"), (Mode::TxOnly, "TX"), (Mode::FlowGen, "RX")] {
            let pool = iogate::testkit::pool("nothing", 64);
            let stream =
                Stream { from: 0, rx: None, fed: false, tx: None, mac: OURS, peer: PEER, pool, worker: 0, watch: None };
            assert_eq!(mode.build(&config(), stream).err(), Some(Refused::NoQueue { kind }), "{mode}");
        }
    }

    #[test]
    fn a_worker_accounts_for_every_packet_in_every_mode() {
        for mode in Mode::available() {
            let at_least = if mode.receives() { 0 } else { 100 };
            let run = Rig::run_until(mode, &config(), &samples(), at_least);
            assert!(run.totals.balanced() && run.totals.pending == 0, "{mode}: {:?}", run.totals);
            assert_eq!(run.totals.received, if mode.receives() { samples().len() as u64 } else { 0 }, "{mode}");
            let retried =
                Rig::run_until(mode, &Config { retry: Some(Retry::default()), ..config() }, &samples(), at_least);
            assert!(retried.totals.balanced(), "{mode} with retry: {:?}", retried.totals);
        }
    }

    #[test]
    fn unused_queues_are_given_back() {
        let pool = iogate::testkit::pool("unused", 256);
        let port = iogate::testkit::FakePort::with_pool("unused", &pool);
        for mode in [Mode::TxOnly, Mode::RxOnly] {
            let (rx, tx) = (port.port.rx(0).unwrap(), Outlet::new(port.port.tx(0).unwrap()));
            let stream = Stream {
                from: 0,
                rx: Some(rx),
                fed: false,
                tx: Some(tx),
                mac: OURS,
                peer: PEER,
                pool: pool.clone(),
                worker: 0,
                watch: None,
            };
            let built = mode.build(&config(), stream).unwrap();
            assert_eq!(
                (port.port.rx(0).is_ok(), port.port.tx(0).is_ok()),
                (mode == Mode::TxOnly, mode == Mode::RxOnly)
            );
            assert_eq!(built.queues.len(), usize::from(mode == Mode::RxOnly));
        }
    }
}

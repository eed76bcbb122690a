//! What the modes can be told.

use super::TunnelPorts;
use super::cut::Cut;
use iogate::memory::BURST;
use iogate::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

/// The options of all modes. The default is the original's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Packets in a burst of the modes that make them, at most 32 (`--burst`).
    pub burst: usize,
    /// How many bursts `txonly` makes before it rests; nothing for no end (`start tx_first N`).
    pub bursts: Option<u64>,
    /// Who is at the other end of a port (`--eth-peer`); see [`Config::peer`].
    pub peers: BTreeMap<u16, MacAddr>,
    /// What `txonly` sends (`--tx-ip`, `--tx-udp`).
    pub datagram: Datagram,
    /// Lengths of the segments of packets that are made, at least one (`--txpkts`).
    pub segments: Vec<u16>,
    /// How packets are cut into them (`set txsplit`).
    pub split: Split,
    /// Whether `txonly` makes several flows (`--txonly-multi-flow`).
    pub multi_flow: bool,
    /// How many then, of each worker, 1 to 64 (`--txonly-flows`).
    pub txonly_flows: u16,
    /// Whether the modes that make packets stamp them with the time (`set txstamp`); see [`iogate::packet::Stamp`].
    pub stamp: bool,
    /// Flows of `flowgen`, at least 1 (`--flowgen-flows`).
    pub flowgen_flows: u32,
    /// How many more times `flowgen` sends each packet (`--flowgen-clones`).
    pub flowgen_clones: u16,
    /// Of `noisy` (`--noisy-*`).
    pub noisy: NoisyConfig,
    /// Of `csum`, by TX port (`csum set`, `csum parse-tunnel`, `csum mac-swap`); see [`Config::checksum`].
    pub checksums: BTreeMap<u16, Checksum>,
    /// Of `csum`: where it finds tunnels.
    pub tunnel_ports: TunnelPorts,
    /// Of `csum`, by TX port: the most payload of a TCP segment, bytes (`tso set`).
    pub tso: BTreeMap<u16, u16>,
    /// The same inside of tunnels (`tunnel_tso set`).
    pub tunnel_tso: BTreeMap<u16, u16>,
    /// TX ports whose packets `csum` cuts to `gso_size` (`set port N gso on`).
    pub gso: BTreeSet<u16>,
    /// The longest packet then, bytes (`set gso segsz`).
    pub gso_size: u16,
    /// RX ports whose TCP segments `csum` puts together (`set port N gro on`).
    pub gro: BTreeSet<u16>,
    /// For how many rounds it waits for more, 1 to 4 (`set gro flush`).
    pub gro_rounds: u32,
    /// VLANs whose tags packets get that leave by a port, but in `io` mode: one, or the inner and the outer one
    /// (`tx_vlan set`).
    pub vlans: BTreeMap<u16, Vec<u16>>,
    /// Offers packets again that a port did not take (`set fwd MODE retry`).
    pub retry: Option<Retry>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            burst: BURST,
            bursts: None,
            peers: BTreeMap::new(),
            datagram: Datagram::default(),
            segments: vec![64],
            split: Split::Off,
            multi_flow: false,
            txonly_flows: 64,
            stamp: false,
            flowgen_flows: 1024,
            flowgen_clones: 0,
            noisy: NoisyConfig::default(),
            checksums: BTreeMap::new(),
            tunnel_ports: TunnelPorts::default(),
            tso: BTreeMap::new(),
            tunnel_tso: BTreeMap::new(),
            gso: BTreeSet::new(),
            gso_size: 1514,
            gro: BTreeSet::new(),
            gro_rounds: 1,
            vlans: BTreeMap::new(),
            retry: None,
        }
    }
}

impl Config {
    /// Who is at the other end of a port: `02:00:00:00:00:PP` unless told.
    pub fn peer(&self, port: u16) -> MacAddr {
        self.peers.get(&port).copied().unwrap_or(MacAddr::new([2, 0, 0, 0, 0, port as u8]))
    }

    /// What `csum` does to packets that leave by a port.
    pub fn checksum(&self, port: u16) -> Checksum {
        self.checksums.get(&port).copied().unwrap_or_default()
    }

    /// How `csum` has packets cut that leave by a port.
    pub(super) fn cut(&self, port: u16) -> Cut {
        Cut {
            payload: self.tso.get(&port).copied(),
            inner_payload: self.tunnel_tso.get(&port).copied(),
            packet: self.gso.contains(&port).then_some(self.gso_size),
            tunnels: self.checksum(port).parse_tunnels.then_some(self.tunnel_ports),
        }
    }
}

/// Addresses and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
}

impl Default for Datagram {
    fn default() -> Self {
        let (src, dst) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2));
        Datagram { src, dst, src_port: 9, dst_port: 9 }
    }
}

/// How many of the segments a packet has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// All, in modes that make packets.
    #[default]
    Off,
    /// All.
    On,
    /// A random number of them.
    Random,
}

/// Who computes a checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Where {
    /// The mode itself.
    #[default]
    Software,
    /// The port. Ports leave that to the mode as well, which is no different on the wire.
    Hardware,
}

/// What `csum` does to packets that leave by one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Of IPv4 headers.
    pub ip: Where,
    /// Of UDP.
    pub udp: Where,
    /// Of TCP.
    pub tcp: Where,
    /// Of SCTP, which is 0 unless the port is to compute it.
    pub sctp: Where,
    /// Of IPv4 headers outside of a tunnel.
    pub outer_ip: Where,
    /// Of UDP outside of a tunnel.
    pub outer_udp: Where,
    /// Whether to look into tunnels.
    pub parse_tunnels: bool,
    /// Whether to write both MAC addresses.
    pub mac_swap: bool,
}

impl Default for Checksum {
    fn default() -> Self {
        let software = Where::Software;
        Checksum {
            ip: software,
            udp: software,
            tcp: software,
            sctp: software,
            outer_ip: software,
            outer_udp: software,
            parse_tunnels: false,
            mac_swap: true,
        }
    }
}

/// How `noisy` behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoisyConfig {
    /// Size of the FIFO, a power of two; 0 for none.
    pub buffer: u16,
    /// Time after which the FIFO is emptied, milliseconds; 0 for never.
    pub flush_ms: u16,
    /// Memory to touch, MiB.
    pub memory_mb: u64,
    /// Reads for each packet.
    pub reads: u64,
    /// Writes for each packet.
    pub writes: u64,
    /// Reads followed by writes, for each packet.
    pub reads_writes: u64,
    /// What it does to headers.
    pub mode: NoisyMode,
}

/// What `noisy` does to headers: as the modes of these names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are modes")]
pub enum NoisyMode {
    #[default]
    Io,
    Mac,
    MacSwap,
    FiveTupleSwap,
}

/// How long to insist on sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Time before each try.
    pub delay: Duration,
    /// Tries after the first.
    pub times: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { delay: Duration::from_micros(1), times: 64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_have_an_address_each_unless_told() {
        let mut config = Config::default();
        config.peers.insert(3, MacAddr::BROADCAST);
        assert_eq!((config.peer(2).to_string(), config.peer(3)), ("02:00:00:00:00:02".to_owned(), MacAddr::BROADCAST));
    }
}

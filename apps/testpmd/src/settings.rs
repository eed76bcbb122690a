//! What forwarding is to be like: everything that `set` changes and `start` looks at.

use crate::engine::Wanted;
use crate::forward::{Config, Datagram, Mode, NoisyConfig, Retry};
use crate::grammar::number;
use crate::options::{Options, Topology};
use crate::soft::LastHeader;
use iogate::memory::BURST;

/// How forwarding is set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// The mode's name, as it was typed.
    pub(crate) mode_name: String,
    /// What modes look at, except for what follows from the rest of this.
    pub(crate) modes: Config,
    pub(crate) retry: bool,
    pub(crate) retries: Retry,
    pub(crate) burst: u16,
    pub(crate) topology: Topology,
    /// Forwarding ports, in order.
    pub(crate) ports: Vec<u16>,
    /// How many of them are used.
    pub(crate) nb_ports: usize,
    /// Forwarding lcores, in order.
    pub(crate) lcores: Vec<u32>,
    /// How many of them are used.
    pub(crate) nb_cores: usize,
    pub(crate) rxpkts: Vec<u16>,
    /// Headers that segments whose length is 0 end with.
    pub(crate) rxhdrs: Vec<LastHeader>,
    pub(crate) rxoffs: Vec<u16>,
    pub(crate) flush_rx: bool,
    pub(crate) link_check: bool,
    pub(crate) hide_zero: bool,
    /// What is measured while it forwards.
    pub(crate) wanted: Wanted,
}

impl Settings {
    pub(crate) fn new(options: &Options) -> Self {
        let noisy = options.noisy;
        let small = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
        let modes = Config {
            peers: options.eth_peers.iter().copied().collect(),
            datagram: Datagram {
                src: options.tx_ip[0].into(),
                dst: options.tx_ip[1].into(),
                src_port: options.tx_udp[0],
                dst_port: options.tx_udp[1],
            },
            segments: options.txpkts.clone(),
            multi_flow: options.multi_flow,
            txonly_flows: options.txonly_flows,
            flowgen_flows: u32::from(options.flows),
            flowgen_clones: options.flowgen_clones,
            tunnel_ports: options.tunnel_ports,
            noisy: NoisyConfig {
                buffer: small(noisy.buffer),
                flush_ms: small(noisy.flush_ms),
                memory_mb: noisy.memory_mb,
                reads: noisy.reads,
                writes: noisy.writes,
                reads_writes: noisy.both,
                ..NoisyConfig::default()
            },
            ..Config::default()
        };
        Settings {
            mode: options.mode,
            mode_name: options.mode_name.clone(),
            modes,
            retry: false,
            retries: Retry::default(),
            burst: options.burst,
            topology: options.topology,
            ports: Vec::new(),
            nb_ports: 0,
            lcores: Vec::new(),
            nb_cores: 1,
            rxpkts: options.rxpkts.clone(),
            rxhdrs: options.rxhdrs.clone(),
            rxoffs: options.rxoffs.clone(),
            flush_rx: options.flush_rx,
            link_check: options.link_check,
            hide_zero: false,
            wanted: options.wanted,
        }
    }

    /// The ports that forward.
    pub(crate) fn forwarding(&self) -> &[u16] {
        &self.ports[..self.nb_ports.min(self.ports.len())]
    }

    /// What modes look at.
    pub(crate) fn mode_config(&self) -> Config {
        let retry = self.retry.then_some(self.retries);
        Config { burst: usize::from(self.burst.clamp(1, BURST as u16)), retry, ..self.modes.clone() }
    }

    /// Says what the original says of ports that do not come in pairs.
    pub(crate) fn warn_of_odd_ports(&self) {
        if self.topology == Topology::Paired && self.nb_ports % 2 == 1 {
            crate::screen::warn(
                "\nWarning! port-topology=paired and odd forward ports number, the last port will pair with itself.\n",
            );
        }
    }
}

/// Segments a packet can have.
pub(crate) const MOST_SEGMENTS: usize = 8;
/// Ethernet, IPv4 and UDP.
const HEADERS: u32 = 42;

/// Lengths of segments: `64` or `64,128`.
pub(crate) fn segments(text: &str) -> Result<Vec<u16>, String> {
    let list = numbers(text, MOST_SEGMENTS, "segments")?;
    let total: u32 = list.iter().map(|length| u32::from(*length)).sum();
    if total < HEADERS {
        return Err(format!("total packet length={total} < {HEADERS} - give up"));
    }
    Ok(list)
}

/// Numbers between commas.
pub(crate) fn numbers(text: &str, most: usize, what: &str) -> Result<Vec<u16>, String> {
    if let Some(odd) = text.chars().find(|c| !c.is_ascii_digit() && *c != ',') {
        return Err(format!("character {odd} is not a decimal digit"));
    }
    let parts: Vec<&str> = text.split(',').collect();
    if parts.len() > most {
        return Err(format!("nb {what}={} > {most} - give up", parts.len()));
    }
    let one = |part: &&str| {
        let part = part.trim_start_matches('0');
        let value = if part.is_empty() { Some(0) } else { number(part) };
        value.and_then(|value| u16::try_from(value).ok()).ok_or_else(|| format!("bad number in list of {what}"))
    };
    parts.iter().map(one).collect()
}

/// Headers that segments end with (`eth,ipv4`), and the lengths of the segments: not said, one more for the payload.
pub(crate) fn headers(text: &str) -> Result<(Vec<LastHeader>, Vec<u16>), String> {
    let list = LastHeader::list(text)?;
    match list.len() + 1 {
        count if count > MOST_SEGMENTS => {
            Err(format!("nb segments per RX packets={count} > MAX_SEGS_BUFFER_SPLIT - ignored"))
        }
        count => Ok((list, vec![0; count])),
    }
}

/// `RTE_ETH_LINK_SPEED_FIXED` and that of a speed, Mbit/s; 0 for `auto`. None when there is none of it, as most have no
/// half duplex.
pub(crate) fn fixed_speed(text: &str, half: bool) -> Option<u32> {
    let bit = match (text, half) {
        ("10", true) => 1,
        ("10", false) => 2,
        ("100", true) => 3,
        ("100", false) => 4,
        ("1000", false) => 5,
        ("10000", false) => 8,
        ("25000", false) => 10,
        ("40000", false) => 11,
        ("50000", false) => 12,
        ("100000", false) => 14,
        ("200000", false) => 15,
        ("auto", false) => return Some(0),
        _ => return None,
    };
    Some(1 | 1 << bit)
}

/// Port numbers: `0,2-3`.
pub(crate) fn port_list(text: &str) -> Result<Vec<u16>, String> {
    if let Some(odd) = text.chars().find(|c| !c.is_ascii_digit() && !matches!(c, ',' | '-')) {
        return Err(format!("character {odd} is not a decimal digit"));
    }
    let mut list = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let one = |text: &str| text.parse::<u16>().map_err(|_| format!("bad port list {text}"));
        let (first, last) = (one(first)?, one(last)?);
        if last < first || last - first > 256 {
            return Err(format!("bad port list {part}"));
        }
        list.extend(first..=last);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_bits() {
        assert_eq!(fixed_speed("10", true), Some(0b11));
        assert_eq!(fixed_speed("100", false), Some(0b1_0001));
        assert_eq!((fixed_speed("200000", false), fixed_speed("auto", false)), (Some(0x8001), Some(0)));
        assert_eq!((fixed_speed("1000", true), fixed_speed("auto", true), fixed_speed("7", false)), (None, None, None));
    }

    #[test]
    fn lists_are_checked() {
        assert_eq!(port_list("0,2-4"), Ok(vec![0, 2, 3, 4]));
        assert_eq!(port_list("all").unwrap_err(), "character a is not a decimal digit");
        for wrong in ["", ",", "1-", "4-2", "70000"] {
            assert!(port_list(wrong).is_err(), "{wrong}");
        }
        assert_eq!(segments("64,128"), Ok(vec![64, 128]));
        assert_eq!(segments("10").unwrap_err(), "total packet length=10 < 42 - give up");
        assert_eq!(segments("a").unwrap_err(), "character a is not a decimal digit");
    }
}

//! What was forwarded.

use super::observe::{Observed, Wanted};
use super::topology::Link;
use crate::screen::say;
use iogate::port::PortStats;
use iogate::telemetry::cycles_per_second;
use std::collections::BTreeMap;

/// Of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamCounts {
    pub(crate) link: Link,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) dropped: u64,
    pub(crate) bad: Bad,
}

/// Wrong checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) ip: u64,
    pub(crate) transport: u64,
    pub(crate) outer_ip: u64,
    pub(crate) outer_transport: u64,
}

impl Bad {
    pub(crate) fn plus(self, other: Bad) -> Bad {
        Bad {
            ip: self.ip + other.ip,
            transport: self.transport + other.transport,
            outer_ip: self.outer_ip + other.outer_ip,
            outer_transport: self.outer_transport + other.outer_transport,
        }
    }
}

impl Default for StreamCounts {
    fn default() -> Self {
        let link = Link { rx_port: 0, rx_queue: 0, tx_port: 0, tx_queue: 0 };
        StreamCounts { link, received: 0, sent: 0, dropped: 0, bad: Bad::default() }
    }
}

impl StreamCounts {
    pub(crate) fn since(self, base: &StreamCounts) -> StreamCounts {
        StreamCounts {
            received: self.received.saturating_sub(base.received),
            sent: self.sent.saturating_sub(base.sent),
            dropped: self.dropped.saturating_sub(base.dropped),
            ..self
        }
    }
}

impl StreamCounts {
    pub(crate) fn plus(self, before: &StreamCounts) -> StreamCounts {
        StreamCounts {
            received: self.received + before.received,
            sent: self.sent + before.sent,
            dropped: self.dropped + before.dropped,
            bad: self.bad.plus(before.bad),
            ..self
        }
    }
}

/// Of a stage, in all streams that have it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StageCounts {
    pub(crate) name: String,
    /// Batches it was given.
    pub(crate) calls: u64,
    pub(crate) packets: u64,
    /// TSC cycles for each packet, the mean over the streams.
    pub(crate) cycles: Option<f64>,
}

/// Of one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortCounts {
    pub(crate) stats: PortStats,
    pub(crate) tx_dropped: u64,
    pub(crate) bad: Bad,
}

impl PortCounts {
    pub(crate) fn since(mut self, base: &PortCounts) -> PortCounts {
        let (now, then) = (&mut self.stats, &base.stats);
        now.rx_packets = now.rx_packets.saturating_sub(then.rx_packets);
        now.tx_packets = now.tx_packets.saturating_sub(then.tx_packets);
        now.rx_bytes = now.rx_bytes.saturating_sub(then.rx_bytes);
        now.tx_bytes = now.tx_bytes.saturating_sub(then.tx_bytes);
        now.rx_missed = now.rx_missed.saturating_sub(then.rx_missed);
        now.rx_errors = now.rx_errors.saturating_sub(then.rx_errors);
        now.tx_errors = now.tx_errors.saturating_sub(then.tx_errors);
        now.rx_no_buffer = now.rx_no_buffer.saturating_sub(then.rx_no_buffer);
        self
    }
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) mode: &'static str,
    pub(crate) csum: bool,
    /// Whether the mode makes packets of its own.
    pub(crate) makes: bool,
    pub(crate) streams: Vec<StreamCounts>,
    pub(crate) ports: BTreeMap<u16, PortCounts>,
    /// What was measured on the streams.
    pub(crate) observed: Vec<Observed>,
}

impl Counts {
    /// TSC cycles of rounds with packets, and how many packets that were.
    pub(crate) fn cycles(&self) -> (u64, u64) {
        let packets = |stream: &StreamCounts| if self.makes { stream.sent } else { stream.received };
        (self.observed.iter().map(|seen| seen.cycles.get()).sum(), self.streams.iter().map(packets).sum())
    }

    /// Forgets the latency of a port.
    pub(crate) fn clear_latency(&mut self, port: u16) {
        let of_it = self.observed.iter_mut().filter(|seen| seen.link.rx_port == port);
        of_it.for_each(|seen| seen.latency = Default::default());
    }

    /// Bursts by size that came in on a port, and that left by it.
    pub(crate) fn bursts(&self, port: u16) -> [Vec<u64>; 2] {
        let of = |bursts: Vec<Vec<u64>>| {
            let mut lists = bursts.into_iter();
            let mut sum = lists.next().unwrap_or_default();
            lists.for_each(|list| sum.iter_mut().zip(list).for_each(|(sum, count)| *sum += count));
            sum
        };
        let rx = self.observed.iter().filter(|seen| seen.link.rx_port == port).map(|seen| seen.rx_bursts.read());
        let tx = self.observed.iter().filter(|seen| seen.link.tx_port == port).map(|seen| seen.tx_bursts.read());
        [of(rx.collect()), of(tx.collect())]
    }
}

const DASHES: &str = "----------------------";

/// Shows streams, where there are more of them than ports, then ports, then sums.
pub(crate) fn show(counts: &Counts, wanted: Wanted) {
    let by_stream = counts.streams.len() > counts.ports.len();
    if by_stream {
        let busy = counts.streams.iter().filter(|stream| stream.received + stream.sent + stream.dropped > 0);
        for stream in busy {
            show_stream(stream);
            let seen = counts.observed.iter().find(|seen| wanted.bursts && seen.link == stream.link);
            if let Some(seen) = seen {
                show_bursts("RX", &seen.rx_bursts.read());
                show_bursts("TX", &seen.tx_bursts.read());
            }
        }
    }
    let mut sum = PortCounts::default();
    for (id, port) in &counts.ports {
        say!("\n  {DASHES} Forward statistics for port {id:<2} {DASHES}");
        show_port(port, counts.csum);
        if wanted.bursts && !by_stream {
            let [rx, tx] = counts.bursts(*id);
            show_bursts("RX", &rx);
            show_bursts("TX", &tx);
        }
        say!("  {}", "-".repeat(76));
        sum = sum.plus(port);
    }
    say!("\n  +++++++++++++++ Accumulated forward statistics for all ports+++++++++++++++");
    show_port(&sum, false);
    say!("  {}", "+".repeat(76));
    let (cycles, packets) = counts.cycles();
    if wanted.cycles && packets > 0 {
        say!(
            "\n  CPU cycles/packet={:.2} (total cycles={cycles} / total {} packets={packets}) at {} MHz Clock",
            cycles as f64 / packets as f64,
            counts.mode,
            cycles_per_second() / 1_000_000
        );
    }
}

/// Sizes that are named, besides 0.
const NAMED_SIZES: usize = 2;

/// How many bursts there were, and in hundredths how many of them were empty, and of the commonest sizes.
fn show_bursts(way: &str, bursts: &[u64]) {
    if let Some(text) = burst_shares(bursts) {
        say!("  {way}-bursts : {text}");
    }
}

/// Shares are cut off, not rounded, and the last one is what is left to 100.
fn burst_shares(bursts: &[u64]) -> Option<String> {
    let all: u64 = bursts.iter().sum();
    let empty = *bursts.first().filter(|_| all > 0)?;
    if empty == all {
        return Some(format!("{all} [100% of 0 pkts]"));
    }
    let mut sizes: Vec<(usize, u64)> =
        bursts.iter().copied().enumerate().skip(1).filter(|(_, count)| *count > 0).collect();
    sizes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let share = |count: u64| (u128::from(count) * 100 / u128::from(all)) as u64;
    let mut left = 100 - share(empty);
    let mut text = format!("{all} [{}% of 0 pkts", share(empty));
    for (at, (size, count)) in sizes.iter().take(NAMED_SIZES).enumerate() {
        let share = if at + 1 == sizes.len() { left } else { share(*count) };
        left -= share;
        text.push_str(&format!(" + {share}% of {size} pkts"));
    }
    if sizes.len() > NAMED_SIZES {
        text.push_str(&format!(" + {left}% of other"));
    }
    Some(text + "]")
}

fn show_stream(stream: &StreamCounts) {
    let Link { rx_port, rx_queue, tx_port, tx_queue } = stream.link;
    say!(
        "\n  ------- Forward Stats for RX Port={rx_port:>2}/Queue={rx_queue:>2} -> TX Port={tx_port:>2}/Queue={tx_queue:>2} -------"
    );
    say!("  RX-packets: {:<14} TX-packets: {:<14} TX-dropped: {:<14}", stream.received, stream.sent, stream.dropped);
}

fn show_port(port: &PortCounts, csum: bool) {
    let PortCounts { stats, tx_dropped, bad } = port;
    let (received, sent) = (stats.rx_packets, stats.tx_packets);
    let missed = stats.rx_missed;
    say!("  RX-packets: {received:<14} RX-dropped: {missed:<14}RX-total: {}", received + missed);
    if csum {
        say!(
            "  Bad-ipcsum: {:<14} Bad-l4csum: {:<14}Bad-outer-l4csum: {:<14}",
            bad.ip,
            bad.transport,
            bad.outer_transport
        );
        say!("  Bad-outer-ipcsum: {:<14}", bad.outer_ip);
    }
    if stats.rx_errors + stats.rx_no_buffer > 0 {
        say!("  RX-error: {}", stats.rx_errors);
        say!("  RX-nombufs: {:<14}", stats.rx_no_buffer);
    }
    say!("  TX-packets: {sent:<14} TX-dropped: {tx_dropped:<14}TX-total: {}", sent + tx_dropped);
}

impl PortCounts {
    /// Adds what the port counted before.
    pub(crate) fn add(&mut self, before: Option<&PortCounts>) {
        if let Some(before) = before {
            *self = PortCounts { tx_dropped: 0, ..*before }.plus(self);
        }
    }

    fn plus(mut self, other: &PortCounts) -> PortCounts {
        self.stats.rx_packets += other.stats.rx_packets;
        self.stats.tx_packets += other.stats.tx_packets;
        self.stats.rx_missed += other.stats.rx_missed;
        self.stats.rx_errors += other.stats.rx_errors;
        self.stats.rx_no_buffer += other.stats.rx_no_buffer;
        self.tx_dropped += other.tx_dropped;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_bursts_add_up() {
        let of = |list: &[(usize, u64)]| {
            let mut bursts = vec![0; 65];
            list.iter().for_each(|(size, count)| bursts[*size] = *count);
            burst_shares(&bursts).unwrap_or_default()
        };
        assert_eq!(of(&[]), "");
        assert_eq!(of(&[(0, 7)]), "7 [100% of 0 pkts]");
        assert_eq!(of(&[(32, 7)]), "7 [0% of 0 pkts + 100% of 32 pkts]");
        assert_eq!(of(&[(0, 94614), (32, 1)]), "94615 [99% of 0 pkts + 1% of 32 pkts]");
        assert_eq!(of(&[(0, 32902), (32, 31), (31, 1)]), "32934 [99% of 0 pkts + 0% of 32 pkts + 1% of 31 pkts]");
        assert_eq!(
            of(&[(5, 700), (9, 190), (11, 80), (13, 30)]),
            "1000 [0% of 0 pkts + 70% of 5 pkts + 19% of 9 pkts + 11% of other]"
        );
    }
}

//! What was forwarded.

use super::topology::Link;
use crate::screen::say;
use iogate::port::PortStats;
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
    pub(crate) streams: Vec<StreamCounts>,
    pub(crate) ports: BTreeMap<u16, PortCounts>,
}

const DASHES: &str = "----------------------";

/// Shows streams, where there are more of them than ports, then ports, then sums.
pub(crate) fn show(counts: &Counts) {
    if counts.streams.len() > counts.ports.len() {
        counts.streams.iter().filter(|stream| stream.received + stream.sent + stream.dropped > 0).for_each(show_stream);
    }
    let mut sum = PortCounts::default();
    for (id, port) in &counts.ports {
        say!("\n  {DASHES} Forward statistics for port {id:<2} {DASHES}");
        show_port(port, counts.csum);
        say!("  {}", "-".repeat(76));
        sum = sum.plus(port);
    }
    say!("\n  +++++++++++++++ Accumulated forward statistics for all ports+++++++++++++++");
    show_port(&sum, false);
    say!("  {}", "+".repeat(76));
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

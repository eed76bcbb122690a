//! What software lost and moved on an RX queue.

use iogate::pipeline::DropReason;
use iogate::port::PortStats;
use iogate::telemetry::{Counter, Traffic};

/// Why a packet that a device delivered reaches no queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// It is for somebody else.
    Foreign,
    /// It is of another VLAN.
    Vlan,
    /// It is longer than the MTU allows.
    Oversize,
    /// A flow rule drops it.
    Rule,
    /// Its queue is full, or stopped.
    Missed,
    /// There is no buffer for a segment of it.
    NoBuffer,
    /// All its segments are left out.
    Empty,
}

/// How many reasons there are.
const REASONS: usize = 7;

impl Lost {
    const ALL: [Lost; REASONS] =
        [Lost::Foreign, Lost::Vlan, Lost::Oversize, Lost::Rule, Lost::Missed, Lost::NoBuffer, Lost::Empty];

    /// Its name among the extended statistics.
    fn name(self) -> &'static str {
        match self {
            Lost::Foreign => "rx_soft_mac_filtered_packets",
            Lost::Vlan => "rx_soft_vlan_filtered_packets",
            Lost::Oversize => "rx_soft_oversize_errors",
            Lost::Rule => "rx_soft_rule_dropped_packets",
            Lost::Missed => "rx_soft_missed_errors",
            Lost::NoBuffer => "rx_soft_mbuf_allocation_errors",
            Lost::Empty => "rx_soft_empty_packets",
        }
    }

    pub(super) fn reason(self) -> DropReason {
        DropReason::app(8 + self as u8)
    }
}

/// Of one RX queue, from when its port is attached to when it is closed. One worker writes.
#[derive(Debug, Default)]
pub(crate) struct QueueCounters {
    lost: [Traffic; REASONS],
    /// Bytes of packets that were received but for these.
    pub(super) left_out: Counter,
    /// Packets that it gave to other queues, and that others gave to it.
    pub(super) given: Counter,
    pub(super) taken: Counter,
}

impl QueueCounters {
    #[inline]
    pub(super) fn lose(&self, lost: Lost, bytes: usize) {
        self.lost[lost as usize].add(bytes);
    }

    /// As of now.
    pub(crate) fn moved(&self) -> Moved {
        let lost = self.lost.iter().map(Traffic::packets).sum();
        Moved { lost, given: self.given.get(), taken: self.taken.get() }
    }
}

/// Packets that a queue lost, gave away and was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) lost: u64,
    pub(crate) given: u64,
    pub(crate) taken: u64,
}

impl Moved {
    /// Since an earlier time.
    pub(crate) fn since(self, before: Moved) -> Moved {
        Moved { lost: self.lost - before.lost, given: self.given - before.given, taken: self.taken - before.taken }
    }
}

/// What software lost on all queues of a port: packets and bytes, by [`Lost`], and bytes of other packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    lost: [(u64, u64); REASONS],
    left_out: u64,
}

impl Losses {
    pub(super) fn of(queues: &[std::sync::Arc<QueueCounters>]) -> Losses {
        let left_out = queues.iter().map(|queue| queue.left_out.get()).sum();
        let mut all = Losses { left_out, ..Losses::default() };
        for (at, sum) in all.lost.iter_mut().enumerate() {
            for queue in queues {
                sum.0 += queue.lost[at].packets();
                sum.1 += queue.lost[at].bytes();
            }
        }
        all
    }

    pub(super) fn since(mut self, before: Losses) -> Losses {
        for (now, then) in self.lost.iter_mut().zip(before.lost) {
            *now = (now.0 - then.0, now.1 - then.1);
        }
        self.left_out -= before.left_out;
        self
    }

    fn packets(&self, lost: Lost) -> u64 {
        self.lost[lost as usize].0
    }

    /// A port's counters, as if the device had done it.
    pub(super) fn apply(&self, stats: &mut PortStats) {
        let (packets, bytes) = self.lost.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        stats.rx_packets = stats.rx_packets.saturating_sub(packets);
        stats.rx_bytes = stats.rx_bytes.saturating_sub(bytes + self.left_out);
        stats.rx_missed += self.packets(Lost::Missed);
        stats.rx_errors += self.packets(Lost::Oversize);
        stats.rx_no_buffer += self.packets(Lost::NoBuffer);
    }

    /// By name.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, u64)> {
        Lost::ALL.into_iter().map(|lost| (lost.name().to_owned(), self.packets(lost)))
    }
}

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
}

impl Lost {
    const ALL: [Lost; 5] = [Lost::Foreign, Lost::Vlan, Lost::Oversize, Lost::Rule, Lost::Missed];

    /// Its name among the extended statistics.
    fn name(self) -> &'static str {
        match self {
            Lost::Foreign => "rx_soft_mac_filtered_packets",
            Lost::Vlan => "rx_soft_vlan_filtered_packets",
            Lost::Oversize => "rx_soft_oversize_errors",
            Lost::Rule => "rx_soft_rule_dropped_packets",
            Lost::Missed => "rx_soft_missed_errors",
        }
    }

    pub(super) fn reason(self) -> DropReason {
        const REASONS: [DropReason; 5] =
            [DropReason::app(8), DropReason::app(9), DropReason::app(10), DropReason::app(11), DropReason::app(12)];
        REASONS[self as usize]
    }
}

/// Of one RX queue, from when its port is attached to when it is closed. One worker writes.
#[derive(Debug, Default)]
pub(crate) struct QueueCounters {
    lost: [Traffic; 5],
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

/// What software lost on all queues of a port: packets and bytes, by [`Lost`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses([(u64, u64); 5]);

impl Losses {
    pub(super) fn of(queues: &[std::sync::Arc<QueueCounters>]) -> Losses {
        let mut all = Losses::default();
        for (at, sum) in all.0.iter_mut().enumerate() {
            for queue in queues {
                sum.0 += queue.lost[at].packets();
                sum.1 += queue.lost[at].bytes();
            }
        }
        all
    }

    pub(super) fn since(mut self, before: Losses) -> Losses {
        for (now, then) in self.0.iter_mut().zip(before.0) {
            *now = (now.0 - then.0, now.1 - then.1);
        }
        self
    }

    fn packets(&self, lost: Lost) -> u64 {
        self.0[lost as usize].0
    }

    /// A port's counters, as if the device had done it.
    pub(super) fn apply(&self, stats: &mut PortStats) {
        let (packets, bytes) = self.0.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        stats.rx_packets = stats.rx_packets.saturating_sub(packets);
        stats.rx_bytes = stats.rx_bytes.saturating_sub(bytes);
        stats.rx_missed += self.packets(Lost::Missed);
        stats.rx_errors += self.packets(Lost::Oversize);
    }

    /// By name.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, u64)> {
        Lost::ALL.into_iter().map(|lost| (lost.name().to_owned(), self.packets(lost)))
    }
}

//! What is measured on a stream when somebody asks for it: sizes of bursts, cycles, latency.
//!
//! A stream without an [`Observer`] pays a test for each round and nothing else.

use super::topology::Link;
use iogate::packet::Stamp;
use iogate::pipeline::OutletCounters;
use iogate::prelude::*;
use iogate::telemetry::{Counter, Histogram, cycles, cycles_per_second};
use std::sync::Arc;

/// What to measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Sizes of bursts: `set record-burst-stats`.
    pub(crate) bursts: bool,
    /// Cycles of rounds that had packets: `set record-core-cycles`.
    pub(crate) cycles: bool,
    /// The age of stamped packets on arrival: `set latency`.
    pub(crate) latency: bool,
}

/// Packets in a burst, at most: a full one, and what had waited for the port before it.
const SIZES: usize = 2 * BURST + 1;

/// How many bursts there were of each size. One worker writes, anybody reads.
#[derive(Debug)]
pub(crate) struct Bursts([Counter; SIZES]);

impl Default for Bursts {
    fn default() -> Self {
        Bursts(std::array::from_fn(|_| Counter::default()))
    }
}

impl Bursts {
    #[inline]
    fn count(&self, packets: usize) {
        self.0[packets.min(SIZES - 1)].add(1);
    }

    /// Bursts by their size.
    pub(crate) fn read(&self) -> Vec<u64> {
        self.0.iter().map(Counter::get).collect()
    }
}

/// What was measured on a stream. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) link: Link,
    pub(crate) rx_bursts: Arc<Bursts>,
    pub(crate) tx_bursts: Arc<Bursts>,
    /// TSC cycles of the rounds that had packets, polling included.
    pub(crate) cycles: Arc<Counter>,
    /// Nanoseconds from stamping to arrival.
    pub(crate) latency: Arc<Histogram>,
}

impl Observed {
    /// Of a stream, with nothing measured yet.
    pub(crate) fn new(link: Link) -> Self {
        let (rx_bursts, tx_bursts, cycles, latency) = Default::default();
        Observed { link, rx_bursts, tx_bursts, cycles, latency }
    }
}

/// How old the packets were that came in on a port.
pub(crate) fn latency(observed: &[Observed], port: u16) -> hdrhistogram::Histogram<u64> {
    let mut all = Histogram::default().snapshot();
    for seen in observed.iter().filter(|seen| seen.link.rx_port == port) {
        all.add(seen.latency.snapshot()).expect("both grow as far as needed");
    }
    all
}

/// Measures, on the worker.
pub(crate) struct Observer {
    wanted: Wanted,
    observed: Observed,
    outlets: Vec<Arc<OutletCounters>>,
    receives: bool,
    nanoseconds: f64,
    /// When this round began, and whether it had packets.
    began: u64,
    received: bool,
    busy: bool,
    /// Sent and dropped before this round.
    before: (u64, u64),
}

impl Observer {
    /// Of a stream whose packets leave by `outlets`; nothing when nothing is wanted.
    pub(crate) fn new(
        wanted: Wanted,
        observed: &Observed,
        outlets: Vec<Arc<OutletCounters>>,
        receives: bool,
    ) -> Option<Box<Observer>> {
        let observer = || Observer {
            wanted,
            observed: observed.clone(),
            before: left(&outlets),
            outlets,
            receives,
            nanoseconds: 1e9 / cycles_per_second().max(1) as f64,
            began: cycles(),
            received: false,
            busy: false,
        };
        (wanted != Wanted::default()).then(|| Box::new(observer()))
    }

    /// A round begins.
    pub(super) fn begin(&mut self) {
        self.began = cycles();
        (self.received, self.busy) = (false, false);
    }

    /// Packets came.
    pub(super) fn received(&mut self, batch: &Batch) {
        (self.received, self.busy) = (true, true);
        if self.wanted.bursts {
            self.observed.rx_bursts.count(batch.len());
        }
        if self.wanted.latency {
            let now = cycles();
            for packet in batch.packets() {
                let Ok(stamp) = Stamp::at_end(packet.data()) else { continue };
                // Another machine's counter may be ahead of this one's.
                let age = now.saturating_sub(stamp.time());
                self.observed.latency.record((age as f64 * self.nanoseconds) as u64);
            }
        }
    }

    /// The stream has done what it does with a batch, or made one.
    pub(super) fn done(&mut self) {
        let now = left(&self.outlets);
        let sent = now.0.wrapping_sub(self.before.0);
        if now != self.before {
            self.busy = true;
            if self.wanted.bursts {
                self.observed.tx_bursts.count(sent as usize);
            }
        }
        self.before = now;
    }

    /// The round is over.
    pub(super) fn end(&mut self) {
        self.done();
        if self.wanted.bursts && self.receives && !self.received {
            self.observed.rx_bursts.count(0);
        }
        if self.wanted.cycles && self.busy {
            self.observed.cycles.add(cycles().wrapping_sub(self.began));
        }
    }
}

/// Packets sent, and dropped for lack of room.
fn left(outlets: &[Arc<OutletCounters>]) -> (u64, u64) {
    let add = |sum: (u64, u64), outlet: &Arc<OutletCounters>| (sum.0 + outlet.sent(), sum.1 + outlet.drops().total());
    outlets.iter().fold((0, 0), add)
}

//! Whether a worker's core was there: a machine may take it away from a thread that spins, for milliseconds.

use iogate::memory::Batch;
use iogate::pipeline::{Context, Stage};
use iogate::telemetry::cycles;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A round takes a few microseconds when every queue has a burst. One of more than this was interrupted.
const LONGEST_ROUND_US: u64 = 20;
/// For so long afterwards a worker may be behind: it catches up with a full port of 4096 frames at line rate in
/// half a millisecond when it is half as fast again as the line.
const CATCHING_UP_US: u64 = 2000;

/// What one worker says of its rounds. Times are ticks.
#[derive(Debug)]
pub(crate) struct Presence {
    longest_round: u64,
    catching_up: u64,
    /// The last round's begin, or 0.
    last: AtomicU64,
    /// When it came back the last time.
    returned: AtomicU64,
    away: AtomicU64,
    longest: AtomicU64,
}

impl Presence {
    /// With a counter of `hz` ticks a second.
    pub(crate) fn new(hz: u64) -> Presence {
        Presence {
            longest_round: hz * LONGEST_ROUND_US / 1_000_000,
            catching_up: hz * CATCHING_UP_US / 1_000_000,
            last: AtomicU64::default(),
            returned: AtomicU64::default(),
            away: AtomicU64::default(),
            longest: AtomicU64::default(),
        }
    }

    /// A round begins at tick `now`. Called by the worker alone.
    #[inline]
    pub(crate) fn round(&self, now: u64) {
        let last = self.last.load(Relaxed);
        let took = now.saturating_sub(last);
        if last != 0 && took > self.longest_round {
            self.returned.store(now, Relaxed);
            self.away.store(self.away.load(Relaxed) + took, Relaxed);
            self.longest.fetch_max(took, Relaxed);
        }
        self.last.store(now, Relaxed);
    }

    /// Whether the worker is away at tick `now`, or was a moment ago.
    #[inline]
    pub(crate) fn is_behind(&self, now: u64) -> bool {
        let returned = self.returned.load(Relaxed);
        now.saturating_sub(self.last.load(Relaxed)) > self.longest_round
            || (returned != 0 && now.saturating_sub(returned) < self.catching_up)
    }

    /// Forgets how long it was away so far.
    pub(crate) fn forget(&self) {
        self.away.store(0, Relaxed);
        self.longest.store(0, Relaxed);
    }

    /// Ticks that it was away: in all, and the longest time.
    pub(crate) fn away(&self) -> (u64, u64) {
        (self.away.load(Relaxed), self.longest.load(Relaxed))
    }
}

/// A stage that does nothing but say that its worker is there, each round.
pub(crate) struct Here(pub(crate) Arc<Presence>);

impl<M: Copy + Default> Stage<M> for Here {
    fn run(&mut self, _batch: &mut Batch<M>, _cx: &mut Context) {}

    fn generate(&mut self, _batch: &mut Batch<M>, _cx: &mut Context) {
        self.0.round(cycles());
    }
}

/// Reads the clock for so many ticks and does nothing else: what the machine takes from any thread on this core.
pub(crate) fn of_a_clock(hz: u64, ticks: u64) -> Presence {
    let presence = Presence::new(hz);
    let end = cycles() + ticks;
    let mut now = cycles();
    while now < end {
        presence.round(now);
        now = cycles();
    }
    presence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_round_is_an_absence_and_is_remembered_for_a_moment() {
        // A tick is a nanosecond.
        let presence = Presence::new(1_000_000_000);
        assert!(!presence.is_behind(5_000));
        presence.round(1_000);
        presence.round(20_000);
        assert!(!presence.is_behind(40_000) && presence.is_behind(40_001), "it may be 20 us late");
        presence.round(100_000);
        assert_eq!(presence.away(), (80_000, 80_000));
        presence.round(110_000);
        assert!(presence.is_behind(120_000), "it has to catch up");
        presence.round(2_100_000);
        presence.forget();
        presence.round(2_110_000);
        assert_eq!(presence.away(), (0, 0));
        presence.round(4_095_000);
        presence.round(6_100_000);
        presence.round(6_110_000);
        assert_eq!(presence.away(), (1_985_000 + 2_005_000, 2_005_000));
        presence.round(6_120_000);
        assert!(presence.is_behind(6_125_000) && !Presence::new(1).is_behind(0));
    }
}

//! Pacing by the time-stamp counter.
//!
//! Every tick earns a part of a frame, every frame costs its price, and a frame goes when it can be paid for. So the rate
//! is exact over any length of time, whatever the bursts are. Who was kept from the core earns meanwhile, up to
//! [`catch up`](Pacer::new): what is earned beyond that is forgiven, and counted, instead of being sent in one long burst.

use crate::rate::{Pace, Unit};
use std::time::Duration;

/// Keeps a pace.
///
/// ```
/// use iogate_pktgen::pace::Pacer;
/// use iogate_pktgen::rate::Rate;
/// use std::time::Duration;
///
/// let pace = Rate::Packets(1000.0).pace(None, 672.0)?;
/// // A counter of a million ticks a second, for 10 milliseconds.
/// let mut pacer = Pacer::new(pace, 1_000_000, Duration::from_millis(1), Some(Duration::from_millis(10)), 0);
/// let mut sent = 0;
/// for now in 0..20_000 {
///     pacer.advance(now);
///     while pacer.spend(672) {
///         sent += 1;
///     }
/// }
/// assert_eq!(sent, 10);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pacer {
    /// What a tick earns, in thousandths of a unit, divided by the ticks of a second; nothing for all there is.
    earns: Option<u64>,
    unit: Unit,
    /// What a unit costs: a thousand times the ticks of a second.
    price: u64,
    credit: u128,
    most_credit: u128,
    /// What may still be earned; nothing for no end.
    left: Option<u128>,
    /// When it ends, for a pace without a price.
    end: u64,
    last: u64,
    first: bool,
    forgiven: u128,
}

impl Pacer {
    /// From `now` on, for so long. `hz` is how many ticks a second has; `catch_up` is for how long back frames that are
    /// late are still sent.
    pub fn new(pace: Pace, hz: u64, catch_up: Duration, duration: Option<Duration>, now: u64) -> Self {
        let hz = hz.max(1);
        let ticks = |time: Duration| time.as_nanos() * u128::from(hz) / 1_000_000_000;
        let rate = u128::from(pace.thousandths.unwrap_or(0));
        let end = duration.map_or(u64::MAX, |time| now.saturating_add(u64::try_from(ticks(time)).unwrap_or(u64::MAX)));
        Pacer {
            earns: pace.thousandths,
            unit: pace.unit,
            price: hz.saturating_mul(1000),
            credit: 0,
            most_credit: ticks(catch_up).saturating_mul(rate),
            left: duration.map(|time| ticks(time).saturating_mul(rate)),
            end,
            last: now,
            first: true,
            forgiven: 0,
        }
    }

    /// Earns what is due since the last time.
    #[inline]
    pub fn advance(&mut self, now: u64) {
        // Cores may see slightly different counters.
        let ticks = now.saturating_sub(self.last);
        self.last = self.last.max(now);
        let Some(earns) = self.earns else { return };
        let mut earned = u128::from(ticks) * u128::from(earns);
        if let Some(left) = &mut self.left {
            earned = earned.min(*left);
            *left -= earned;
        }
        self.credit += earned;
        // What is late is what there is beyond the price of a frame.
        let most = self.most_credit + self.cost(DEAREST);
        if self.credit > most {
            self.forgiven += self.credit - most;
            self.credit = most;
        }
    }

    /// Pays for a frame of so many bits on the wire, when it can be paid for.
    #[inline]
    pub fn spend(&mut self, wire_bits: u64) -> bool {
        if self.earns.is_none() {
            return self.last < self.end;
        }
        let cost = self.cost(wire_bits);
        if self.first {
            // The first goes at once; it is paid from what is still to be earned.
            self.first = false;
            let missing = cost.saturating_sub(self.credit);
            match &mut self.left {
                Some(left) if *left < missing => return false,
                Some(left) => *left -= missing,
                None => {}
            }
            self.credit = self.credit.max(cost);
        }
        if self.credit < cost {
            return false;
        }
        self.credit -= cost;
        true
    }

    /// Ticks since the moment at which a frame of so many bits could have been paid for, before it is.
    #[inline]
    pub fn lateness(&self, wire_bits: u64) -> u64 {
        match self.earns {
            Some(earns) if !self.first => {
                (self.credit.saturating_sub(self.cost(wire_bits)) as f64 / earns as f64) as u64
            }
            _ => 0,
        }
    }

    /// Whether everything was earned that will be, so that a frame which cannot be paid for now never will.
    #[inline]
    pub fn is_over(&self) -> bool {
        match self.earns {
            Some(_) => self.left == Some(0),
            None => self.last >= self.end,
        }
    }

    /// Gives up what is due and not yet paid for.
    pub fn give_up(&mut self) {
        self.forgiven += std::mem::take(&mut self.credit);
    }

    /// Units, frames or bits, that were due and never sent, because they were too late.
    pub fn forgiven(&self) -> u64 {
        u64::try_from(self.forgiven / u128::from(self.price)).unwrap_or(u64::MAX)
    }

    #[inline]
    fn cost(&self, wire_bits: u64) -> u128 {
        match self.unit {
            Unit::Packets => self.price.into(),
            Unit::Bits => u128::from(wire_bits) * u128::from(self.price),
        }
    }
}

/// Bits that the dearest frame takes on the wire: a jumbo frame.
const DEAREST: u64 = (9018 + 20) * 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Rate;
    use proptest::prelude::*;

    const HZ: u64 = 2_000_000_000;
    const SECOND: Duration = Duration::from_secs(1);

    fn pacer(rate: Rate, catch_up: Duration, duration: Option<Duration>) -> Pacer {
        Pacer::new(rate.pace(None, 672.0).unwrap(), HZ, catch_up, duration, 1000)
    }

    /// Frames that go when it is looked at every `step` ticks, for so many ticks.
    fn sent(pacer: &mut Pacer, step: u64, ticks: u64, wire_bits: u64) -> u64 {
        let mut sent = 0;
        for now in (1000..=1000 + ticks).step_by(step as usize) {
            pacer.advance(now);
            while pacer.spend(wire_bits) {
                sent += 1;
            }
        }
        sent
    }

    #[test]
    fn line_rate_is_exact_to_the_frame() {
        let mut line = pacer(Rate::Bits(1e10), SECOND, Some(SECOND));
        assert_eq!(sent(&mut line, 200_001, HZ + HZ / 10, 672), 14_880_952);
        assert!(line.is_over() && line.forgiven() == 0);
        let mut packets = pacer(Rate::Packets(1e6), SECOND, Some(SECOND));
        assert_eq!(sent(&mut packets, 999_999, HZ + HZ / 10, 672), 1_000_000);
    }

    #[test]
    fn the_first_goes_at_once_and_the_others_on_time() {
        let mut slow = pacer(Rate::Packets(10.0), Duration::from_millis(1), None);
        let mut times = Vec::new();
        for now in (1000..1000 + HZ).step_by(100_000) {
            slow.advance(now);
            while slow.spend(672) {
                times.push((now - 1000) * 10 / HZ);
            }
        }
        assert_eq!(times, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_long_pause_is_forgiven_but_for_the_time_to_catch_up() {
        let mut pacer = pacer(Rate::Packets(1e9), Duration::from_millis(1), None);
        pacer.advance(1000);
        assert!(pacer.spend(672));
        pacer.advance(1000 + HZ);
        let mut sent = 0_u64;
        while pacer.spend(672) {
            sent += 1;
        }
        assert_eq!((sent, pacer.forgiven()), (1_000_001, 998_999_999));
    }

    #[test]
    fn being_a_little_late_costs_no_frame() {
        let (late, second) = (HZ / 100 - 1, Some(SECOND));
        let mut pacer = pacer(Rate::Packets(10.0), Duration::from_millis(10), second);
        let mut sent = 0;
        for due in 0..20 {
            pacer.advance(1000 + due * HZ / 10 + late);
            while pacer.spend(672) {
                sent += 1;
            }
        }
        assert_eq!((sent, pacer.forgiven()), (10, 0));
    }

    #[test]
    fn lateness_is_the_time_since_it_was_due() {
        let mut pacer = pacer(Rate::Packets(1e6), SECOND, None);
        pacer.advance(1000);
        assert!(pacer.spend(672));
        // Due after a microsecond, 2000 ticks.
        pacer.advance(1000 + 2500);
        assert_eq!(pacer.lateness(672), 500);
    }

    #[test]
    fn the_maximum_ends_on_time() {
        let mut pacer = pacer(Rate::Max, Duration::ZERO, Some(SECOND));
        pacer.advance(1000 + HZ - 1);
        assert!(pacer.spend(672) && !pacer.is_over());
        pacer.advance(1000 + HZ);
        assert!(!pacer.spend(672) && pacer.is_over());
    }

    proptest! {
        #[test]
        fn exact_whatever_the_steps(rate in 1u32..2_000_000, step in 1000u64..4_000_000, millis in 1u64..100) {
            let mut pacer = pacer(Rate::Packets(rate.into()), SECOND, Some(Duration::from_millis(millis)));
            let expected = u64::from(rate) * millis / 1000;
            let sent = sent(&mut pacer, step, HZ / 5, 672);
            prop_assert_eq!(sent, expected);
        }
    }
}

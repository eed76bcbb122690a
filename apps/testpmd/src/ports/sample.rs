//! A port's counters at a time, and what they grew by.

use crate::soft::Device;
use iogate::Result;
use iogate::port::PortStats;
use std::time::{Duration, Instant};

/// Counters at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) stats: PortStats,
}

/// Packets and bits a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) rx_pps: u64,
    pub(crate) tx_pps: u64,
    pub(crate) rx_bps: u64,
    pub(crate) tx_bps: u64,
}

impl Sample {
    /// Now.
    pub(crate) fn take(device: &Device) -> Result<Sample> {
        Ok(Sample { stats: device.stats()?, at: Instant::now() })
    }

    /// A second's growth since an earlier one; nothing where counters were set back.
    pub(crate) fn since(&self, before: &Sample) -> Rate {
        let nanoseconds = self.at.duration_since(before.at).as_nanos().max(1);
        let rate = |now: u64, then: u64, factor: u128| {
            (u128::from(now.saturating_sub(then)) * factor * 1_000_000_000 / nanoseconds) as u64
        };
        let (now, then) = (&self.stats, &before.stats);
        Rate {
            rx_pps: rate(now.rx_packets, then.rx_packets, 1),
            tx_pps: rate(now.tx_packets, then.tx_packets, 1),
            rx_bps: rate(now.rx_bytes, then.rx_bytes, 8),
            tx_bps: rate(now.tx_bytes, then.tx_bytes, 8),
        }
    }
}

/// How often samples are taken.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// The last two samples of a port, an interval apart.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recent {
    older: Option<Sample>,
    newer: Option<Sample>,
}

impl Recent {
    /// Whether it is time for another sample.
    pub(crate) fn due(&self, now: Instant) -> bool {
        self.newer.is_none_or(|newer| now.duration_since(newer.at) >= INTERVAL)
    }

    /// Keeps a sample.
    pub(crate) fn push(&mut self, sample: Sample) {
        (self.older, self.newer) = (self.newer, Some(sample));
    }

    /// Counters were set back: nothing was before this.
    pub(crate) fn restart(&mut self, sample: Option<Sample>) {
        (self.older, self.newer) = (None, sample);
    }

    /// A second's growth over the last interval (one to two seconds, less right after the first sample), and how
    /// long that was.
    pub(crate) fn rate(&self, now: &Sample) -> Option<(Rate, Duration)> {
        let before = self.older.or(self.newer)?;
        Some((now.since(&before), now.at.duration_since(before.at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_by_the_second() {
        let at = Instant::now();
        let before = Sample { at, stats: PortStats { rx_packets: 10, tx_bytes: 99, ..PortStats::default() } };
        let stats = PortStats { rx_packets: 1010, tx_bytes: 0, ..PortStats::default() };
        let now = Sample { at: at + Duration::from_millis(500), stats };
        assert_eq!(now.since(&before), Rate { rx_pps: 2000, ..Rate::default() });
    }

    #[test]
    fn a_rate_is_over_the_last_interval_however_often_it_is_asked_for() {
        let begin = Instant::now();
        let sample = |ms: u64, rx_packets| Sample {
            at: begin + Duration::from_millis(ms),
            stats: PortStats { rx_packets, ..PortStats::default() },
        };
        let mut recent = Recent::default();
        assert!(recent.due(begin) && recent.rate(&sample(0, 0)).is_none());
        recent.push(sample(0, 0));
        assert!(!recent.due(sample(999, 0).at) && recent.due(sample(1000, 0).at));
        recent.push(sample(1000, 1_000_000));
        recent.push(sample(2000, 1_000_500));
        for _ in 0..2 {
            let (rate, over) = recent.rate(&sample(2500, 1_000_750)).unwrap();
            assert_eq!((rate.rx_pps, over), (500, Duration::from_millis(1500)));
        }
        recent.restart(Some(sample(3000, 0)));
        assert_eq!(recent.rate(&sample(3500, 50)).unwrap().0.rx_pps, 100);
    }
}

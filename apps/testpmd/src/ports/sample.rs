//! A port's counters at a time, and what they grew by.

use iogate::Result;
use iogate::port::{Device, PortStats};
use std::time::Instant;

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_rate_is_by_the_second() {
        let at = Instant::now();
        let before = Sample { at, stats: PortStats { rx_packets: 10, tx_bytes: 99, ..PortStats::default() } };
        let stats = PortStats { rx_packets: 1010, tx_bytes: 0, ..PortStats::default() };
        let now = Sample { at: at + Duration::from_millis(500), stats };
        assert_eq!(now.since(&before), Rate { rx_pps: 2000, ..Rate::default() });
    }
}

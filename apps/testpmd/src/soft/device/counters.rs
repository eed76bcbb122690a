//! Its counters.

use super::super::counters::Losses;
use super::Device;
use iogate::Result;
use iogate::port::PortStats;

impl Device {
    /// Its counters. What software kept from its queues did not come in.
    pub(crate) fn stats(&self) -> Result<PortStats> {
        let mut stats = self.device.stats()?;
        if let Some(soft) = &self.soft {
            soft.losses().apply(&mut stats);
        }
        Ok(stats)
    }

    /// Sets its counters to 0.
    pub(crate) fn reset_stats(&self) -> Result<()> {
        self.device.reset_stats()?;
        self.forgive();
        Ok(())
    }

    /// All counters by name.
    pub(crate) fn xstats(&self) -> Result<Vec<(String, u64)>> {
        let mut all = self.device.xstats()?;
        if let Some(soft) = &self.soft {
            let losses = soft.losses();
            let mut stats = PortStats::default();
            let first = |name: &str| all.iter().find(|(known, _)| known == name).map_or(0, |(_, value)| *value);
            (stats.rx_packets, stats.rx_bytes) = (first("rx_good_packets"), first("rx_good_bytes"));
            (stats.rx_missed, stats.rx_errors) = (first("rx_missed_errors"), first("rx_errors"));
            losses.apply(&mut stats);
            for (name, value) in &mut all {
                match name.as_str() {
                    "rx_good_packets" => *value = stats.rx_packets,
                    "rx_good_bytes" => *value = stats.rx_bytes,
                    "rx_missed_errors" => *value = stats.rx_missed,
                    "rx_errors" => *value = stats.rx_errors,
                    _ => {}
                }
            }
            all.extend(losses.named());
        }
        Ok(all)
    }

    /// Sets the extended counters to 0.
    pub(crate) fn reset_xstats(&self) -> Result<()> {
        self.device.reset_xstats()?;
        self.forgive();
        Ok(())
    }

    fn forgive(&self) {
        if let Some(soft) = &self.soft {
            soft.state.borrow_mut().forgiven = Losses::of(&soft.counters);
        }
    }
}

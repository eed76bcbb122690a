//! `show port stats` and `show port xstats`.

use crate::ports::{PortState, Sample};
use crate::screen::{complain, say};

const HASHES: &str = "########################";

/// Counters, and what they grew by a second lately. What stands over the rates is what scripts know.
pub(crate) fn stats(port: &PortState, display: &[String]) {
    let id = port.device.id();
    let now = match Sample::take(&port.device) {
        Ok(now) => now,
        Err(error) => {
            return complain!("Error: failed to get stats (port {id}): {}", super::cause(&error));
        }
    };
    let stats = now.stats;
    say!("\n  {HASHES} NIC statistics for port {id:<2} {HASHES}");
    say!("  RX-packets: {:<10} RX-missed: {:<10} RX-bytes:  {}", stats.rx_packets, stats.rx_missed, stats.rx_bytes);
    say!("  RX-errors: {}", stats.rx_errors);
    say!("  RX-nombuf:  {:<10}", stats.rx_no_buffer);
    say!("  TX-packets: {:<10} TX-errors: {:<10} TX-bytes:  {}", stats.tx_packets, stats.tx_errors, stats.tx_bytes);
    let rate = port.recent.rate(&now).map(|(rate, _)| rate).unwrap_or_default();
    say!("\n  Throughput (since last show)");
    say!("  Rx-pps: {:>12}          Rx-bps: {:>12}", rate.rx_pps, rate.rx_bps);
    say!("  Tx-pps: {:>12}          Tx-bps: {:>12}", rate.tx_pps, rate.tx_bps);
    if !display.is_empty() {
        say!();
        let all = port.device.xstats().unwrap_or_default();
        for (name, value) in all.iter().filter(|(name, _)| display.contains(name)) {
            say!("  {name:<32} {value}");
        }
    }
    say!("  {HASHES}############################{HASHES}");
}

/// Every counter that the device has.
pub(crate) fn xstats(port: &PortState, hide_zero: bool) {
    let id = port.device.id();
    say!("###### NIC extended statistics for port {id:<2}");
    match port.device.xstats() {
        Ok(list) => {
            list.iter().filter(|(_, value)| !hide_zero || *value > 0).for_each(|(name, value)| say!("{name}: {value}"));
        }
        Err(_) => complain!("Error: Cannot get xstats"),
    }
}

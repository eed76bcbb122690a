//! `show port N latency`.

use crate::screen::say;
use hdrhistogram::Histogram;

const STARS: &str = "*********************";

/// What is said of the ages of packets: names and nanoseconds.
pub(crate) fn lines(measured: &Histogram<u64>) -> [(&'static str, u64); 7] {
    let at = |quantile| measured.value_at_quantile(quantile);
    [
        ("min", measured.min()),
        ("mean", measured.mean() as u64),
        ("p50", at(0.5)),
        ("p90", at(0.9)),
        ("p99", at(0.99)),
        ("p99.9", at(0.999)),
        ("max", measured.max()),
    ]
}

/// In microseconds.
pub(crate) fn show(id: u16, measured: &Histogram<u64>) {
    say!("\n{STARS} Latency of packets received on port {id:<2} {STARS}");
    say!("Packets measured: {}", measured.len());
    if !measured.is_empty() {
        for (name, nanoseconds) in lines(measured) {
            say!("{:<6} {:>12.3} us", format!("{name}:"), nanoseconds as f64 / 1e3);
        }
    }
}

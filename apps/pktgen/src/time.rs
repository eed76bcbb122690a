//! Durations as people write and read them.

use std::time::Duration;

/// Longest duration that can be asked for: a year.
const LONGEST: f64 = 366.0 * 24.0 * 3600.0;

/// Reads `5s`, `1.5s`, `100ms`, `20us`, `500ns`, `2m` or `1h`.
///
/// # Errors
/// What to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("{text:?} is no duration; write it as 5s, 100ms, 20us, 2m or 1h");
    let units = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (digits, unit) =
        units.iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit))).ok_or_else(refuse)?;
    let plain = digits.bytes().all(|c| c.is_ascii_digit() || c == b'.') && digits.len() < 16;
    let seconds = digits.parse::<f64>().ok().filter(|_| plain).ok_or_else(refuse)? * unit;
    if seconds > LONGEST {
        return Err(format!("{text:?} is longer than a year"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Nanoseconds, as people read them: 12.3 us.
pub fn nanoseconds(value: u64) -> String {
    let digits = |scaled: f64| match scaled {
        scaled if scaled < 10.0 => format!("{scaled:.2}"),
        scaled if scaled < 100.0 => format!("{scaled:.1}"),
        scaled => format!("{scaled:.0}"),
    };
    match value as f64 {
        ns if ns < 1e3 => format!("{value} ns"),
        ns if ns < 1e6 => format!("{} us", digits(ns / 1e3)),
        ns if ns < 1e9 => format!("{} ms", digits(ns / 1e6)),
        ns => format!("{} s", digits(ns / 1e9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read() {
        for (text, micros) in
            [("5s", 5_000_000), ("1.5s", 1_500_000), ("100ms", 100_000), ("20us", 20), ("2m", 120_000_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1e9s", "99999999h", "5 s", "infs", "1.2.3s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nanoseconds_are_shown() {
        let shown = [999, 1_234, 45_678, 999_999, 2_500_000, 3_000_000_000].map(nanoseconds);
        assert_eq!(shown, ["999 ns", "1.23 us", "45.7 us", "1000 us", "2.50 ms", "3.00 s"]);
    }

    proptest! {
        #[test]
        fn reading_is_total(text in "[0-9.nums]{0,8}") {
            let _ = duration(&text);
        }
    }
}

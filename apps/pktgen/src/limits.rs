//! Limits that an outcome must keep, for scripts: what breaks one makes the exit code 3.

use crate::outcome::Outcome;
use crate::time;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What an outcome must keep. Without any limit every outcome is good.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Stamped frames that may be lost.
    pub loss: Option<Loss>,
    /// Latencies that may not be exceeded.
    pub latency: Vec<Latency>,
    /// Frames that may be out of order.
    pub reordered: Option<u64>,
    /// Frames that may come twice.
    pub duplicates: Option<u64>,
    /// The part of the asked rate, 0 to 1, that must be reached.
    pub rate: Option<f64>,
}

/// How much may be lost: `0`, `17` or `0.1%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// So many frames.
    Frames(u64),
    /// Such a part of them, 0 to 1.
    Part(f64),
}

impl FromStr for Loss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} is no loss; write a number of frames (0) or a part of them (0.1%)");
        match text.strip_suffix('%') {
            Some(percent) => part(percent).map(Loss::Part).ok_or_else(refuse),
            None if text.bytes().all(|c| c.is_ascii_digit()) => text.parse().map(Loss::Frames).map_err(|_| refuse()),
            None => Err(refuse()),
        }
    }
}

/// A part of 1 from percent of 0 to 100.
pub(crate) fn part(percent: &str) -> Option<f64> {
    let plain = percent.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    percent.parse::<f64>().ok().filter(|value| plain && (0.0..=100.0).contains(value)).map(|value| value / 100.0)
}

/// A latency that may not be exceeded: `p99=20us`, `max=1ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// The part of frames, 0 to 1, that must be at least as quick.
    pub quantile: f64,
    /// How quick.
    pub most: Duration,
}

impl FromStr for Latency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} is no limit of latency; write p99=20us, p99.9=1ms or max=5ms");
        let (which, most) = text.split_once('=').ok_or_else(refuse)?;
        let quantile = match which {
            "max" => 1.0,
            _ => which.strip_prefix('p').and_then(part).ok_or_else(refuse)?,
        };
        Ok(Latency { quantile, most: time::duration(most)? })
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quantile < 1.0 { write!(f, "p{}", rounded(self.quantile * 100.0)) } else { f.write_str("max") }
    }
}

/// Without the digits that only a float has.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

impl Limits {
    /// Whether one of them is about frames that come back.
    pub fn need_receiving(&self) -> bool {
        let Limits { loss, latency, reordered, duplicates, rate: _ } = self;
        loss.is_some() || !latency.is_empty() || reordered.is_some() || duplicates.is_some()
    }

    /// Which of them an outcome breaks, in words.
    pub fn broken(&self, outcome: &Outcome) -> Vec<String> {
        let mut broken = Vec::new();
        let lost = outcome.lost();
        match self.loss {
            // What nothing is known of keeps no limit.
            Some(_) if outcome.loss().is_none() => {
                broken.push("loss: no stamped frame was sent, so nothing is known of it".to_owned());
            }
            Some(Loss::Frames(most)) if lost > most => broken.push(format!("loss: {lost} frames, {most} allowed")),
            Some(Loss::Part(most)) if outcome.loss().is_some_and(|loss| loss > most) => {
                let loss = outcome.loss().unwrap_or(1.0) * 100.0;
                broken.push(format!("loss: {loss:.4} %, {} % allowed", rounded(most * 100.0)));
            }
            _ => {}
        }
        let latency = outcome.latency();
        for limit in &self.latency {
            let most = u64::try_from(limit.most.as_nanos()).unwrap_or(u64::MAX);
            let found = if limit.quantile < 1.0 { latency.value_at_quantile(limit.quantile) } else { latency.max() };
            let allowed = time::nanoseconds(most);
            if latency.is_empty() {
                broken.push(format!("latency: {limit}: no stamped frame came back, {allowed} allowed"));
            } else if found > most {
                broken.push(format!("latency: {limit} {}, {allowed} allowed", time::nanoseconds(found)));
            }
        }
        for (what, found, most) in [
            ("reordered", outcome.sum(|stream| stream.reordered), self.reordered),
            ("duplicates", outcome.sum(|stream| stream.duplicates), self.duplicates),
        ] {
            if let Some(most) = most.filter(|most| found > *most) {
                broken.push(format!("{what}: {found} frames, {most} allowed"));
            }
        }
        if let (Some(part), Some(asked)) = (self.rate, outcome.asked_fps)
            && outcome.sent_fps() < asked * part
        {
            let found = 100.0 * outcome.sent_fps() / asked;
            broken.push(format!("rate: {found:.3} % of what was asked, {} % needed", rounded(part * 100.0)));
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;

    #[test]
    fn limits_are_read() {
        assert_eq!("0".parse(), Ok(Loss::Frames(0)));
        assert_eq!("0.1%".parse(), Ok(Loss::Part(0.001)));
        let p99 = Latency { quantile: 0.99, most: Duration::from_micros(20) };
        assert_eq!(("p99=20us".parse(), p99.to_string().as_str()), (Ok(p99), "p99"));
        assert_eq!("max=1ms".parse::<Latency>().unwrap().quantile, 1.0);
        for text in ["", "x", "-1", "101%", "1e2%", "0.1"] {
            assert!(text.parse::<Loss>().is_err(), "{text}");
        }
        for text in ["", "p99", "p101=1s", "p=1s", "99=1s", "p99=fast"] {
            assert!(text.parse::<Latency>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_breaks_a_limit_is_said() {
        let broken = |limits: Limits| limits.broken(&outcome(1000, 990));
        let none = Limits::default();
        assert!(broken(none.clone()).is_empty());
        assert_eq!(broken(Limits { loss: Some(Loss::Frames(9)), ..none.clone() }), ["loss: 10 frames, 9 allowed"]);
        assert!(broken(Limits { loss: Some(Loss::Frames(10)), ..none.clone() }).is_empty());
        assert_eq!(
            broken(Limits { loss: Some("0.9%".parse().unwrap()), ..none.clone() }),
            ["loss: 1.0000 %, 0.9 % allowed"]
        );
        let latency = |text: &str| Limits { latency: vec![text.parse().unwrap()], ..none.clone() };
        assert!(broken(latency("p99=2us")).is_empty());
        assert_eq!(broken(latency("max=500ns")), ["latency: max 1.00 us, 500 ns allowed"]);
        assert_eq!(
            broken(Limits { rate: Some(0.999), ..none.clone() }),
            ["rate: 50.000 % of what was asked, 99.9 % needed"]
        );
        let nothing_came = latency("p50=1s").broken(&outcome(1000, 0));
        assert!(nothing_came[0].contains("no stamped frame came back"), "{nothing_came:?}");
        let mut unstamped = outcome(10, 10);
        unstamped.streams[0].stamped = false;
        assert_eq!(Limits { loss: Some(Loss::Frames(0)), ..none }.broken(&unstamped).len(), 1);
    }
}

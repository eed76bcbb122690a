//! How fast: packets or bits a second, or a part of what a line carries.
//!
//! Bits are those on the wire: the frame with its FCS, and the 20 bytes of preamble and gap that it takes besides. So
//! `--rate 5G` is the half of `--line 10G`, which carries 14,880,952 frames of 64 bytes a second.

use crate::frame::size::GAP;
use std::fmt;
use std::str::FromStr;

/// A rate that was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Frames a second.
    Packets(f64),
    /// Bits on the wire a second.
    Bits(f64),
    /// Percent of the line.
    Percent(f64),
    /// As many as the port takes.
    Max,
}

/// Bits a second that a line carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line(pub f64);

impl Line {
    /// 10 Gigabit Ethernet.
    pub const TEN_GIGABIT: Line = Line(1e10);

    /// Frames of `size` bytes, FCS included, that it carries in a second.
    pub fn frames_per_second(self, size: u16) -> f64 {
        self.0 / ((u64::from(size) + GAP) * 8) as f64
    }
}

/// What a [`Rate`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Frames.
    Packets,
    /// Bits on the wire.
    Bits,
}

/// A rate that a pacer keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// What is counted.
    pub unit: Unit,
    /// Thousandths of it in a second; nothing for as many as the port takes.
    pub thousandths: Option<u64>,
}

impl Pace {
    /// As fast as can be.
    pub const MAX: Pace = Pace { unit: Unit::Packets, thousandths: None };

    /// The part of worker `worker` of `workers`; together they are the whole.
    pub fn share(self, worker: u16, workers: u16) -> Self {
        let (worker, workers) = (u64::from(worker), u64::from(workers));
        let thousandths = self.thousandths.map(|all| all / workers + u64::from(worker < all % workers));
        Pace { thousandths, ..self }
    }

    /// Frames a second, when each takes so many bits on the wire; nothing for as many as the port takes.
    pub fn frames_per_second(self, mean_wire_bits: f64) -> Option<f64> {
        let units = self.thousandths? as f64 / 1000.0;
        Some(match self.unit {
            Unit::Packets => units,
            Unit::Bits => units / mean_wire_bits,
        })
    }
}

/// Terabit lines are not in sight; what is beyond is a typing error.
const FASTEST: f64 = 1e12;

impl Rate {
    /// The pace, on a line if there is one, for frames that take so many bits on the wire.
    ///
    /// # Errors
    /// For a rate that the line does not carry, or a percentage of no line.
    pub fn pace(self, line: Option<Line>, mean_wire_bits: f64) -> Result<Pace, String> {
        let (unit, units) = match self {
            Rate::Max => return Ok(Pace::MAX),
            Rate::Packets(packets) => (Unit::Packets, packets),
            Rate::Bits(bits) => (Unit::Bits, bits),
            Rate::Percent(percent) => {
                let line = line.ok_or_else(|| format!("{self} of which line? Say so, for example --line 10G"))?;
                (Unit::Bits, line.0 * percent / 100.0)
            }
        };
        if let Some(Line(line)) = line {
            let bits = if unit == Unit::Packets { units * mean_wire_bits } else { units };
            // A rounding error is no impossible rate.
            if bits > line * (1.0 + 1e-9) {
                let most = line / mean_wire_bits;
                let size = mean_wire_bits / 8.0 - GAP as f64;
                return Err(format!(
                    "{self} is more than a line of {} carries: {most:.0} frames of {size:.0} bytes a second",
                    Bits(line)
                ));
            }
        }
        let thousandths = (units * 1000.0).round() as u64;
        if thousandths == 0 {
            return Err(format!("{self} is less than a frame in a quarter of an hour; use a higher rate"));
        }
        Ok(Pace { unit, thousandths: Some(thousandths) })
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || {
            format!(
                "{text:?} is no rate; write frames a second (1.5Mpps), bits a second (5G), a part of --line (50%), or max"
            )
        };
        if text == "max" {
            return Ok(Rate::Max);
        }
        let (digits, make): (&str, fn(f64) -> Rate) = if let Some(digits) = text.strip_suffix('%') {
            (digits, Rate::Percent)
        } else if let Some(digits) = text.strip_suffix("pps") {
            (digits, Rate::Packets)
        } else {
            (text.strip_suffix("bit/s").or_else(|| text.strip_suffix("bps")).unwrap_or(text), Rate::Bits)
        };
        let value = scaled(digits).ok_or_else(refuse)?;
        let rate = make(value);
        match rate {
            _ if value <= 0.0 => Err(format!("{text}: nothing would be sent; use more than 0")),
            Rate::Percent(percent) if percent > 100.0 => {
                Err(format!("{text}: a line carries no more than 100% of what it carries"))
            }
            _ if value > FASTEST => Err(format!("{text}: no line is that fast; use at most 1000G")),
            _ => Ok(rate),
        }
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_suffix("bit/s").or_else(|| text.strip_suffix("bps")).unwrap_or(text);
        let value = scaled(digits).filter(|value| (1.0..=FASTEST).contains(value));
        value.map(Line).ok_or_else(|| format!("{text:?} is no speed of a line; write it as 10G or 100M"))
    }
}

/// A number with one of the suffixes k, M and G.
pub(crate) fn scaled(text: &str) -> Option<f64> {
    let factor = match text.chars().last()? {
        'k' | 'K' => 1e3,
        'M' => 1e6,
        'G' => 1e9,
        _ => 1.0,
    };
    let digits = if factor > 1.0 { &text[..text.len() - 1] } else { text };
    // Not everything that a float may look like: "inf" and "1e400" are no rates.
    let plain = digits.bytes().all(|c| c.is_ascii_digit() || c == b'.') && digits.len() < 20;
    digits.parse::<f64>().ok().filter(|_| plain).map(|value| value * factor)
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rate::Packets(packets) => write!(f, "{}pps", Scaled(*packets)),
            Rate::Bits(bits) => Bits(*bits).fmt(f),
            Rate::Percent(percent) => write!(f, "{percent}%"),
            Rate::Max => f.write_str("max"),
        }
    }
}

/// Bits a second, as people say it: 10 Gbit/s.
#[derive(Clone, Copy, Debug)]
pub struct Bits(pub f64);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}bit/s", Scaled(self.0))
    }
}

/// A number with a space and a prefix where it is large: 1.49 M.
#[derive(Clone, Copy, Debug)]
pub struct Scaled(pub f64);

impl fmt::Display for Scaled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, prefix) = match self.0 {
            value if value >= 1e9 => (value / 1e9, "G"),
            value if value >= 1e6 => (value / 1e6, "M"),
            value if value >= 1e4 => (value / 1e3, "k"),
            value => (value, ""),
        };
        let text = format!("{value:.3}");
        write!(f, "{} {prefix}", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ten_gigabit_line_rate_is_what_everybody_says() {
        assert_eq!(Line::TEN_GIGABIT.frames_per_second(64) as u64, 14_880_952);
        assert_eq!(Line::TEN_GIGABIT.frames_per_second(1518) as u64, 812_743);
        let bits = ((64 + GAP) * 8) as f64;
        let pace = Rate::Percent(100.0).pace(Some(Line::TEN_GIGABIT), bits).unwrap();
        assert_eq!(pace.frames_per_second(bits).unwrap() as u64, 14_880_952);
        let half = Rate::Percent(50.0).pace(Some(Line::TEN_GIGABIT), bits).unwrap();
        assert_eq!(half, Rate::Bits(5e9).pace(None, bits).unwrap());
    }

    #[test]
    fn rates_are_read() {
        for (text, rate) in [
            ("1Mpps", Rate::Packets(1e6)),
            ("14.88Mpps", Rate::Packets(14.88e6)),
            ("10pps", Rate::Packets(10.0)),
            ("5G", Rate::Bits(5e9)),
            ("100Mbit/s", Rate::Bits(1e8)),
            ("2.5Gbps", Rate::Bits(2.5e9)),
            ("0.1%", Rate::Percent(0.1)),
            ("max", Rate::Max),
        ] {
            assert_eq!(text.parse(), Ok(rate), "{text}");
        }
    }

    #[test]
    fn impossible_rates_are_refused() {
        for text in ["", "fast", "0", "0pps", "-1", "101%", "1e9", "inf", "NaN", "2000G", "1Mppps", "5 G", "..", "pps"]
        {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        let bits = ((64 + GAP) * 8) as f64;
        let ten = Some(Line::TEN_GIGABIT);
        let error = Rate::Packets(15e6).pace(ten, bits).unwrap_err();
        assert_eq!(error, "15 Mpps is more than a line of 10 Gbit/s carries: 14880952 frames of 64 bytes a second");
        assert!(Rate::Bits(2e10).pace(ten, bits).is_err());
        assert!(Rate::Packets(14_880_952.0).pace(ten, bits).is_ok());
        assert!(Rate::Percent(50.0).pace(None, bits).unwrap_err().contains("--line 10G"));
        assert!(Rate::Packets(0.0001).pace(None, bits).is_err());
        assert!("10Q".parse::<Line>().is_err() && "0".parse::<Line>().is_err());
    }

    proptest! {
        #[test]
        fn shares_make_up_the_whole(thousandths in 1u64..1 << 50, workers in 1u16..17) {
            let all = Pace { unit: Unit::Bits, thousandths: Some(thousandths) };
            let sum: u64 = (0..workers).filter_map(|worker| all.share(worker, workers).thousandths).sum();
            prop_assert_eq!(sum, thousandths);
        }

        #[test]
        fn parsing_is_total(text in "[0-9.kMGp%s]{0,10}") {
            if let Ok(rate) = text.parse::<Rate>() {
                let _ = rate.pace(Some(Line::TEN_GIGABIT), 672.0);
                let _ = rate.to_string();
            }
            let _ = text.parse::<Line>();
        }
    }
}

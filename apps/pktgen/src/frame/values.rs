//! What a field holds from frame to frame: the grammar of values, and the cursors that produce them.
//!
//! | text | values |
//! |---|---|
//! | `V` | always V |
//! | `A..B` | A, A+1, ... B, A, ... |
//! | `A..B+S` | A, A+S, ... as far as B |
//! | `A..B@N` | each value for N frames |
//! | `A\|B\|C` | A, B, C, A, ...; a list in TOML |
//! | `random` | any value of the field |
//! | `random:A..B` | A to B, in an order that the seed decides |
//!
//! V, A and B are numbers (`10`, `0x0a`, `true`) or addresses, as the field wants them. Fields wider than 64 bits vary in
//! their low 64 bits.

use super::catalogue::{Field, FieldKind};
use iogate::packet::MacAddr;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The values of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// What every value has in common: all of a fixed one, else what stands above the low 64 bits.
    pub(super) common: u128,
    pub(super) vary: Option<Vary>,
}

/// How the low 64 bits of a field vary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Vary {
    /// `count` values from `from` on, `step` apart, each `every` times.
    Count { from: u64, count: u64, step: u64, every: u64 },
    /// Any of `from` to `to`.
    Random { from: u64, to: u64 },
    /// These, in turn.
    List(Vec<u64>),
}

impl Values {
    /// Always the same.
    pub const fn fixed(value: u128) -> Self {
        Values { common: value, vary: None }
    }

    /// Reads the values of a field.
    ///
    /// # Errors
    /// What is wrong with the text, and what to write instead.
    pub fn parse(text: &str, field: &Field) -> Result<Self, String> {
        let text = text.trim();
        if let Some(range) = text.strip_prefix("random") {
            let (from, to) = match range.strip_prefix(':') {
                Some(range) => range_of(range, field)?,
                None if range.is_empty() && field.bits <= 64 => (0, u128::from(u64::MAX >> (64 - field.bits))),
                None if range.is_empty() => return Err("is too wide for any value; write random:FROM..TO".to_owned()),
                None => return Err(format!("\"random{range}\" is no value; write random or random:FROM..TO")),
            };
            let (common, from, to) = low_parts(from, to)?;
            return Ok(Values { common, vary: Some(Vary::Random { from, to }) });
        }
        if text.contains('|') {
            return Self::list(text.split('|').map(|item| value_of(item.trim(), field)));
        }
        if !text.contains("..") {
            return Ok(Self::fixed(value_of(text, field)?));
        }
        let (text, every) = split_number(text, '@', "frames")?;
        let (range, step) = split_number(text, '+', "a step")?;
        let (from, to) = range_of(range, field)?;
        let (common, from, to) = low_parts(from, to)?;
        // One value more than there are steps, which is 2^64 only for all values of a 64-bit field.
        let count = ((to - from) / step).saturating_add(1);
        Ok(Values { common, vary: Some(Vary::Count { from, count, step, every }) })
    }

    /// These values, in turn.
    ///
    /// # Errors
    /// When there are none, one is wrong, or they differ above the low 64 bits.
    pub fn list(values: impl Iterator<Item = Result<u128, String>>) -> Result<Self, String> {
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let first = *values.first().ok_or("is an empty list; write at least one value")?;
        let low = values.iter().map(|value| low_parts(first.min(*value), first.max(*value)).map(|_| *value as u64));
        let low = low.collect::<Result<Vec<_>, _>>()?;
        Ok(Values { common: high(first), vary: Some(Vary::List(low)) })
    }

    /// How many different values there are; nothing for random ones, of which nobody knows.
    pub fn count(&self) -> Option<u64> {
        match &self.vary {
            None => Some(1),
            Some(Vary::Count { count, .. }) => Some(*count),
            Some(Vary::Random { .. }) => None,
            Some(Vary::List(values)) => Some(values.len() as u64),
        }
    }
}

/// One value of a field.
///
/// # Errors
/// What is wrong with the text, and what to write instead.
pub fn value_of(text: &str, field: &Field) -> Result<u128, String> {
    let quoted = || format!("{text:?}");
    let value = match field.kind {
        FieldKind::Mac => {
            let mac: MacAddr =
                text.parse().map_err(|_| format!("{} is no MAC address; write 02:00:00:00:00:01", quoted()))?;
            mac.octets().iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte))
        }
        FieldKind::Ipv4 => {
            let ip: Ipv4Addr =
                text.parse().map_err(|_| format!("{} is no IPv4 address; write 198.18.0.1", quoted()))?;
            u128::from(ip.to_bits())
        }
        FieldKind::Ipv6 => {
            let ip: Ipv6Addr = text.parse().map_err(|_| format!("{} is no IPv6 address; write 2001:2::1", quoted()))?;
            ip.to_bits()
        }
        FieldKind::Number => number(text).ok_or_else(|| format!("{} is no number; write 10 or 0x0a", quoted()))?,
    };
    fits(value, field)
}

/// The value, when it fits the field.
///
/// # Errors
/// When it does not, and what the most is.
pub fn fits(value: u128, field: &Field) -> Result<u128, String> {
    let most = u128::MAX >> (128 - field.bits);
    if value > most {
        return Err(format!("{value} does not fit {} bits; use at most {most}", field.bits));
    }
    Ok(value)
}

fn number(text: &str) -> Option<u128> {
    let digits = text.replace('_', "");
    match digits.as_str() {
        "true" => Some(1),
        "false" => Some(0),
        _ => match digits.strip_prefix("0x") {
            // from_str_radix takes a sign.
            Some(hex) if hex.bytes().all(|digit| digit.is_ascii_hexdigit()) => u128::from_str_radix(hex, 16).ok(),
            None if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok(),
            _ => None,
        },
    }
}

fn range_of(text: &str, field: &Field) -> Result<(u128, u128), String> {
    let (from, to) = text.split_once("..").ok_or_else(|| format!("{text:?} is no range; write FROM..TO"))?;
    let (from, to) = (value_of(from.trim(), field)?, value_of(to.trim(), field)?);
    if from > to {
        return Err(format!("{text:?} ends before it starts; write the smaller value first"));
    }
    Ok((from, to))
}

/// Splits `..SIGN n` off the end; 1 where there is none.
fn split_number<'a>(text: &'a str, sign: char, what: &str) -> Result<(&'a str, u64), String> {
    let Some((rest, digits)) = text.rsplit_once(sign) else { return Ok((text, 1)) };
    let value = number(digits.trim()).and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0);
    value.map(|value| (rest, value)).ok_or_else(|| format!("{sign}{digits} must be {what}: a number of 1 or more"))
}

const fn high(value: u128) -> u128 {
    value >> 64 << 64
}

/// What two values have in common above 64 bits, and their low parts.
fn low_parts(from: u128, to: u128) -> Result<(u128, u64, u64), String> {
    if high(from) != high(to) {
        return Err("varies above its low 64 bits; keep the upper half the same".to_owned());
    }
    Ok((high(from), from as u64, to as u64))
}

/// Produces the values of a field for one of several workers, which share them out: the first worker takes the first, the
/// second the second and so on, so that together they send what one would.
#[derive(Clone, Debug)]
pub(super) enum Cursor {
    Count { from: u64, step: u64, count: u64, every: u64, at: u64, phase: u64, stride: u64, stride_phase: u64 },
    Random { from: u64, span: u64, dice: Dice },
    List { values: Box<[u64]>, at: usize, stride: usize },
}

impl Cursor {
    /// For worker `worker` of `workers`; `seed` decides what is random.
    pub(super) fn new(vary: &Vary, worker: u64, workers: u64, seed: u64) -> Self {
        match vary {
            Vary::Count { from, count, step, every } => Cursor::Count {
                from: *from,
                step: *step,
                count: *count,
                every: *every,
                at: worker / every % count,
                phase: worker % every,
                stride: workers / every % count,
                stride_phase: workers % every,
            },
            Vary::Random { from, to } => {
                Cursor::Random { from: *from, span: to - from, dice: Dice(mix(seed ^ mix(worker))) }
            }
            Vary::List(values) => Cursor::List {
                at: (worker % values.len() as u64) as usize,
                stride: (workers % values.len() as u64) as usize,
                values: values.clone().into(),
            },
        }
    }

    /// The next value.
    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        match self {
            Cursor::Count { from, step, count, every, at, phase, stride, stride_phase } => {
                let value = from.wrapping_add(at.wrapping_mul(*step));
                *phase += *stride_phase;
                let mut next = *at + *stride;
                if *phase >= *every {
                    *phase -= *every;
                    next += 1;
                }
                if next >= *count {
                    next -= *count;
                }
                *at = next;
                value
            }
            Cursor::Random { from, span, dice } => *from + dice.at_most(*span),
            Cursor::List { values, at, stride } => {
                let value = values[*at];
                *at += *stride;
                if *at >= values.len() {
                    *at -= values.len();
                }
                value
            }
        }
    }
}

/// Numbers that look random: SplitMix64 (Steele, Lea and Flood, 2014). The same seed gives the same numbers, always.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    #[inline]
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// 0 to `most`.
    #[inline]
    fn at_most(&mut self, most: u64) -> u64 {
        let roll = self.roll();
        match most {
            u64::MAX => roll,
            _ => ((u128::from(roll) * u128::from(most + 1)) >> 64) as u64,
        }
    }
}

/// Spreads the bits of a number.
#[inline]
pub(super) const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::header;
    use super::*;
    use proptest::prelude::*;

    fn field(of: &str, name: &str) -> &'static Field {
        header(of).unwrap().field(name).unwrap()
    }

    fn first(values: &Values, count: usize) -> Vec<u64> {
        shared(values, count, 1)
    }

    /// What `workers` produce, taken in turn.
    fn shared(values: &Values, count: usize, workers: u64) -> Vec<u64> {
        let vary = values.vary.as_ref().unwrap();
        let mut cursors: Vec<_> = (0..workers).map(|worker| Cursor::new(vary, worker, workers, 7)).collect();
        (0..count).map(|at| cursors[at % workers as usize].next()).collect()
    }

    #[test]
    fn every_form_is_read() {
        let port = field("udp", "dst_port");
        let parse = |text| Values::parse(text, port).unwrap();
        assert_eq!(parse("0x35"), Values::fixed(53));
        assert_eq!(first(&parse("1..3"), 5), [1, 2, 3, 1, 2]);
        assert_eq!(first(&parse("1..6+2"), 4), [1, 3, 5, 1]);
        assert_eq!(first(&parse("7..8@2"), 5), [7, 7, 8, 8, 7]);
        assert_eq!(first(&parse("53|80|443"), 4), [53, 80, 443, 53]);
        assert!(first(&parse("random:10..12"), 100).iter().all(|value| (10..=12).contains(value)));
        assert!(first(&parse("random"), 1000).iter().any(|value| *value > 40_000));
        assert_eq!(parse("1..1000").count(), Some(1000));
        let ip = Values::parse("10.0.0.255..10.0.1.1", field("ipv4", "src")).unwrap();
        assert_eq!(first(&ip, 3), [0x0a00_00ff, 0x0a00_0100, 0x0a00_0101]);
        let ip = Values::parse("2001:db8::1..2001:db8::ff", field("ipv6", "src")).unwrap();
        assert_eq!((ip.common, ip.count()), (0x2001_0db8 << 96, Some(255)));
        let mac = Values::parse("02:00:00:00:00:00..02:00:00:00:ff:ff", field("ethernet", "src")).unwrap();
        assert_eq!(mac.count(), Some(65_536));
    }

    #[test]
    fn what_is_no_value_is_said() {
        let port = field("udp", "dst_port");
        for (text, said) in [
            ("70000", "does not fit 16 bits; use at most 65535"),
            ("x", "is no number"),
            ("+5", "is no number"),
            ("-1", "is no number"),
            ("0x+5", "is no number"),
            ("", "is no number"),
            ("5..1", "ends before it starts"),
            ("1..5+0", "must be a step"),
            ("1..5@x", "must be frames"),
            ("random:5", "is no range"),
            ("randomly", "is no value"),
            ("1|", "is no number"),
        ] {
            let error = Values::parse(text, port).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(Values::parse("random", field("ipv6", "src")).unwrap_err().contains("too wide"));
        let far = Values::parse("2001::1..2002::1", field("ipv6", "src")).unwrap_err();
        assert!(far.contains("low 64 bits"), "{far}");
        assert!(Values::parse("10.0.0.256", field("ipv4", "src")).unwrap_err().contains("no IPv4 address"));
    }

    #[test]
    fn all_of_64_bits_can_be_counted() {
        let lun = field("iscsi", "lun");
        let values = Values::parse("0..0xffffffffffffffff", lun).unwrap();
        assert_eq!(first(&values, 2), [0, 1]);
        assert!(Values::parse("random", lun).is_ok());
    }

    proptest! {
        #[test]
        fn several_workers_send_what_one_would(
            from in 0u64..1000, count in 1u64..50, step in 1u64..9, every in 1u64..12, workers in 1u64..9,
        ) {
            let vary = Some(Vary::Count { from, count, step, every });
            let values = Values { common: 0, vary };
            let alone = first(&values, 300);
            let plain: Vec<_> = (0..300).map(|at| from + at / every % count * step).collect();
            prop_assert_eq!(&alone, &plain);
            prop_assert_eq!(alone, shared(&values, 300, workers));
            let list = Values { common: 0, vary: Some(Vary::List((from..from + count).collect())) };
            prop_assert_eq!(first(&list, 300), shared(&list, 300, workers));
        }

        #[test]
        fn parsing_is_total(text in "[0-9a-fx.:+@|rndom]{0,24}") {
            for field in [field("udp", "dst_port"), field("ethernet", "src"), field("ipv6", "dst"), field("ipv4", "dst")] {
                if let Ok(values) = Values::parse(&text, field)
                    && let Some(vary) = &values.vary
                {
                    let mut cursor = Cursor::new(vary, 1, 3, 5);
                    for _ in 0..10 {
                        let value = cursor.next();
                        prop_assert!(fits(u128::from(value), field).is_ok());
                    }
                }
            }
        }
    }
}

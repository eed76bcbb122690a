//! Sizes of frames, in bytes with the frame check sequence, as RFC 2544 counts them.
//!
//! | text | sizes |
//! |---|---|
//! | `64` | always 64 |
//! | `64..1518` | 64, 65, ... 1518, 64, ... |
//! | `64..1518+64` | 64 bytes apart |
//! | `64\|128\|1518` | in turn; a list in TOML |
//! | `64*7\|594*4\|1518` | seven of 64 to four of 594 to one of 1518, evenly mixed |
//! | `imix` | the same as the line above |

/// The smallest frame of Ethernet.
pub const SMALLEST: u16 = 64;
/// The largest: a jumbo frame with 9000 bytes of payload.
pub const LARGEST: u16 = 9018;
/// The frame check sequence, which software does not see.
pub const FCS: usize = 4;
/// What a frame takes on the wire besides its bytes: preamble, start delimiter, and the gap to the next.
pub const GAP: u64 = 20;

/// The sizes of a stream's frames, each with its share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes(Vec<(u16, u32)>);

/// As `imix`.
const IMIX: [(u16, u32); 3] = [(64, 7), (594, 4), (1518, 1)];
/// No share is larger, and there are no more sizes with shares: so that one round of them stays short.
const MOST_SHARE: u32 = 1000;
const MOST_SHARED: usize = 64;

impl Sizes {
    /// Always the same size.
    ///
    /// # Errors
    /// When it is below [`SMALLEST`] or above [`LARGEST`].
    pub fn fixed(size: u16) -> Result<Self, String> {
        Self::of(vec![(size, 1)])
    }

    /// Reads sizes.
    ///
    /// # Errors
    /// What is wrong with the text, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "imix" {
            return Self::of(IMIX.to_vec());
        }
        let number = |text: &str| {
            let text = text.trim();
            let digits = text.bytes().all(|digit| digit.is_ascii_digit());
            let value = if digits { text.parse::<u16>().ok() } else { None };
            value.ok_or_else(|| format!("{text:?} is no size; write 64, 64..1518, 64|1518 or imix"))
        };
        if let Some((from, to)) = text.split_once("..") {
            let (to, step) = to.split_once('+').unwrap_or((to, "1"));
            let (from, to, step) = (number(from)?, number(to)?, number(step)?);
            if from > to || step == 0 {
                return Err(format!("{text:?} is no range; write the smaller size first, and a step of 1 or more"));
            }
            return Self::of((from..=to).step_by(usize::from(step)).map(|size| (size, 1)).collect());
        }
        let weighted = |item: &str| {
            let (size, share) = item.split_once('*').unwrap_or((item, "1"));
            Ok::<_, String>((number(size)?, u32::from(number(share)?)))
        };
        Self::of(text.split('|').map(weighted).collect::<Result<_, _>>()?)
    }

    fn of(sizes: Vec<(u16, u32)>) -> Result<Self, String> {
        if let Some((size, _)) = sizes.iter().find(|(size, _)| !(SMALLEST..=LARGEST).contains(size)) {
            return Err(format!("{size} is no size of a frame; use {SMALLEST} to {LARGEST}, with the FCS"));
        }
        if let Some((size, share)) = sizes.iter().find(|(_, share)| !(1..=MOST_SHARE).contains(share)) {
            return Err(format!("{size}*{share}: a share is 1 to {MOST_SHARE}"));
        }
        if sizes.len() > MOST_SHARED && sizes.iter().any(|(_, share)| *share > 1) {
            return Err(format!("{} sizes with shares are too many; use at most {MOST_SHARED}", sizes.len()));
        }
        if sizes.len() > usize::from(LARGEST) {
            return Err(format!("{} sizes are too many; use at most {LARGEST}", sizes.len()));
        }
        Ok(Sizes(sizes))
    }

    /// Each size with its share.
    pub fn shares(&self) -> &[(u16, u32)] {
        &self.0
    }

    /// The smallest of them.
    pub fn smallest(&self) -> u16 {
        self.0.iter().map(|(size, _)| *size).min().unwrap_or(SMALLEST)
    }

    /// The largest of them.
    pub fn largest(&self) -> u16 {
        self.0.iter().map(|(size, _)| *size).max().unwrap_or(SMALLEST)
    }
}

/// Mixes things by their shares as evenly as can be, one round of it: each thing as often as its share, by its number.
pub(crate) fn mixed(shares: &[u32]) -> Vec<u32> {
    let divisor = shares.iter().fold(0, |divisor, share| common_divisor(divisor, *share)).max(1);
    let shares: Vec<i64> = shares.iter().map(|share| i64::from(share / divisor)).collect();
    let total: i64 = shares.iter().sum();
    if shares.iter().all(|share| *share == 1) {
        return (0..shares.len() as u32).collect();
    }
    // Smooth weighted round robin: who has waited longest in proportion to its share is next.
    let mut waited = vec![0; shares.len()];
    let next = |_| {
        for (waited, share) in waited.iter_mut().zip(&shares) {
            *waited += share;
        }
        // The first of those that waited equally long.
        let (at, _) = waited.iter().enumerate().rev().max_by_key(|(_, waited)| **waited).unwrap_or((0, &0));
        waited[at] -= total;
        at as u32
    };
    (0..total).map(next).collect()
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_is_read() {
        let parse = |text| Sizes::parse(text).unwrap().0;
        assert_eq!(parse("64"), [(64, 1)]);
        assert_eq!(parse("64..67"), [(64, 1), (65, 1), (66, 1), (67, 1)]);
        assert_eq!(parse("64..1518+1000"), [(64, 1), (1064, 1)]);
        assert_eq!(parse("64|9018"), [(64, 1), (9018, 1)]);
        assert_eq!(parse("64*7|594*4|1518"), parse("imix"));
    }

    #[test]
    fn what_is_no_size_is_said() {
        for (text, said) in [
            ("63", "use 64 to 9018"),
            ("9019", "use 64 to 9018"),
            ("x", "is no size"),
            ("", "is no size"),
            ("100..64", "is no range"),
            ("64..100+0", "is no range"),
            ("64*0", "a share is 1"),
            ("64*1001", "a share is 1"),
            ("-64", "is no size"),
            (&"64*2|".repeat(65), "is no size"),
            (&vec!["64*2"; 65].join("|"), "65 sizes with shares are too many"),
        ] {
            let error = Sizes::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn imix_is_mixed_evenly() {
        let round = mixed(&[7, 4, 1]);
        let count = |thing| round.iter().filter(|at| **at == thing).count();
        assert_eq!((round.len(), count(0), count(1), count(2)), (12, 7, 4, 1));
        assert!(round.windows(3).all(|three| three != [0, 0, 0]), "{round:?}");
        assert_eq!(mixed(&[2, 2]), [0, 1]);
        assert_eq!(mixed(&[3]), [0]);
    }

    proptest! {
        #[test]
        fn a_round_has_everything_by_its_share(shares in proptest::collection::vec(1u32..20, 1..8)) {
            let round = mixed(&shares);
            let counts: Vec<_> = (0..shares.len()).map(|at| round.iter().filter(|thing| **thing as usize == at).count()).collect();
            let total: u32 = shares.iter().sum();
            for (count, share) in counts.iter().zip(&shares) {
                prop_assert_eq!(count * total as usize, *share as usize * round.len());
            }
        }

        #[test]
        fn parsing_is_total(text in "[0-9.|*+imx]{0,16}") {
            if let Ok(sizes) = Sizes::parse(&text) {
                prop_assert!(sizes.smallest() >= SMALLEST && sizes.largest() <= LARGEST);
            }
        }
    }
}

//! What became of numbered frames: which are new, out of order, twice there, too old to tell.
//!
//! ```text
//!      older          the last WINDOW numbers, a bit each        not yet seen
//!   ------------|0 1 1 1 1 0 1 1 1 ... 1 1 1 1 1 1 1 1 1 1 1|---------------> issued
//!    TooOld         Duplicate (1), Reordered (0)              next   InOrder    Impossible
//! ```
//!
//! A frame is reordered when a later one came before it (RFC 4737, section 3.3). Numbers that the sender has not given
//! out yet are refused, so that no forged frame moves the window.

/// Numbers that are remembered: reordering and duplicates are told apart over so many frames of a channel.
pub const WINDOW: u64 = 16_384;

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The next one, or a later one.
    InOrder,
    /// One that was overtaken by as many numbers.
    Reordered(u64),
    /// One that was here before.
    Duplicate,
    /// Older than the window: overtaken by more than [`WINDOW`] numbers, or here before.
    TooOld,
    /// One that was never sent.
    Impossible,
}

/// Follows the numbers of one channel on one receiver.
#[derive(Clone, Debug)]
pub struct Sequence {
    seen: Box<[u64]>,
    /// One more than the highest number seen.
    next: u64,
}

impl Default for Sequence {
    fn default() -> Self {
        Sequence { seen: vec![0; (WINDOW / 64) as usize].into(), next: 0 }
    }
}

impl Sequence {
    /// Takes the number of a frame that came in, of `issued` that were given out so far. Numbers on the wire wrap at
    /// 2^32, `issued` does not.
    #[inline]
    pub fn arrive(&mut self, number: u32, issued: u64) -> Arrival {
        // The nearest to what is expected of all numbers that look so on the wire.
        let ahead = number.wrapping_sub(self.next as u32) as i32;
        let Some(number) = self.next.checked_add_signed(ahead.into()) else { return Arrival::Impossible };
        if number >= issued {
            return Arrival::Impossible;
        }
        if number >= self.next {
            self.forget(number);
            self.next = number + 1;
            self.mark(number);
            return Arrival::InOrder;
        }
        let behind = self.next - number;
        if behind > WINDOW {
            return Arrival::TooOld;
        }
        if self.mark(number) {
            return Arrival::Duplicate;
        }
        Arrival::Reordered(behind - 1)
    }

    /// Marks a number as seen; says whether it was.
    #[inline]
    fn mark(&mut self, number: u64) -> bool {
        let word = &mut self.seen[(number % WINDOW / 64) as usize];
        let bit = 1 << (number % 64);
        let was = *word & bit != 0;
        *word |= bit;
        was
    }

    /// Frees the bits of the numbers from the next one to `last`.
    #[inline]
    fn forget(&mut self, last: u64) {
        if last - self.next >= WINDOW {
            self.seen.fill(0);
            return;
        }
        for number in self.next..=last {
            self.seen[(number % WINDOW / 64) as usize] &= !(1 << (number % 64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const MANY: u64 = 1 << 40;

    #[test]
    fn each_kind_of_arrival() {
        let mut sequence = Sequence::default();
        let mut arrive = |number| sequence.arrive(number, 100_000);
        assert_eq!(arrive(0), Arrival::InOrder);
        assert_eq!(arrive(3), Arrival::InOrder);
        assert_eq!(arrive(1), Arrival::Reordered(2));
        assert_eq!(arrive(1), Arrival::Duplicate);
        assert_eq!(arrive(3), Arrival::Duplicate);
        assert_eq!(arrive(99_999), Arrival::InOrder);
        assert_eq!(arrive(2), Arrival::TooOld);
        assert_eq!(arrive(100_000), Arrival::Impossible);
        assert_eq!(arrive(u32::MAX), Arrival::Impossible);
        assert_eq!(arrive(99_998), Arrival::Reordered(1));
    }

    #[test]
    fn numbers_wrap() {
        let mut sequence = Sequence { next: (1 << 32) - 2, ..Sequence::default() };
        let mut arrive = |number| sequence.arrive(number, MANY);
        assert_eq!(
            [arrive(u32::MAX - 1), arrive(0), arrive(u32::MAX), arrive(1)],
            [Arrival::InOrder, Arrival::InOrder, Arrival::Reordered(1), Arrival::InOrder]
        );
        assert_eq!(sequence.next, (1 << 32) + 2);
    }

    proptest! {
        #[test]
        fn agrees_with_remembering_everything(numbers in proptest::collection::vec(0u32..40_000, 1..400), issued in 1u64..50_000) {
            let mut sequence = Sequence::default();
            let (mut seen, mut next) = (HashSet::new(), 0);
            for number in numbers {
                let wide = u64::from(number);
                let expected = if wide >= issued {
                    Arrival::Impossible
                } else if wide >= next {
                    next = wide + 1;
                    Arrival::InOrder
                } else if next - wide > WINDOW {
                    Arrival::TooOld
                } else if seen.contains(&wide) {
                    Arrival::Duplicate
                } else {
                    Arrival::Reordered(next - wide - 1)
                };
                if expected != Arrival::Impossible && expected != Arrival::TooOld {
                    seen.insert(wide);
                }
                prop_assert_eq!(sequence.arrive(number, issued), expected);
            }
        }

        #[test]
        fn any_number_is_taken(numbers in proptest::collection::vec(any::<u32>(), 1..100), issued: u64) {
            let mut sequence = Sequence::default();
            for number in numbers {
                sequence.arrive(number, issued);
                prop_assert!(sequence.next <= issued);
            }
        }
    }
}

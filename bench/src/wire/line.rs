//! The serialiser: when a frame's first and last bit pass on a line of so many bits a second.

/// On a line a frame costs more than DPDK counts: 7 bytes of preamble, its delimiter, 4 of FCS, and a gap of 12 (IEEE
/// 802.3, sections 3.1.1 and 4.4.2).
pub(crate) const OVERHEAD: u64 = 24;
/// A time is so many bits finer than a tick of the time-stamp counter.
const FINE: u32 = 20;

/// One direction of a line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Fine ticks of a byte.
    per_byte: u64,
    /// When the last frame has passed, gap included; fine ticks since `origin`.
    free: u64,
    origin: u64,
}

/// When a frame is on the line, ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passage {
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

impl Line {
    /// A line that is free at tick `now` of a counter with `hz` ticks a second.
    pub(crate) fn new(bits_per_second: f64, hz: u64, now: u64) -> Line {
        let per_byte = hz as f64 * 8.0 / bits_per_second * f64::from(1 << FINE);
        Line { per_byte: (per_byte.round() as u64).max(1), free: 0, origin: now }
    }

    /// When the next frame will have passed, if it begins as soon as the line is free: `len` is without FCS, as DPDK counts.
    #[inline]
    pub(crate) fn next_end(&self, len: usize) -> u64 {
        self.tick(self.free + self.cost(len))
    }

    /// Puts a frame on the line that is ready at tick `ready`.
    #[inline]
    pub(crate) fn pass(&mut self, ready: u64, len: usize) -> Passage {
        let begin = self.free.max(ready.saturating_sub(self.origin) << FINE);
        self.free = begin + self.cost(len);
        Passage { begin: self.tick(begin), end: self.tick(self.free) }
    }

    /// How many ticks the line has still to do at tick `now`.
    #[inline]
    pub(crate) fn backlog(&self, now: u64) -> u64 {
        self.tick(self.free).saturating_sub(now)
    }

    /// For how many ticks the line has been idle at tick `now`; it begins to be free now.
    #[inline]
    pub(crate) fn skip_to(&mut self, now: u64) -> u64 {
        let idle = now.saturating_sub(self.tick(self.free));
        self.free = self.free.max(now.saturating_sub(self.origin) << FINE);
        idle
    }

    fn cost(&self, len: usize) -> u64 {
        // Shorter frames are padded.
        (len.max(60) as u64 + OVERHEAD) * self.per_byte
    }

    fn tick(&self, fine: u64) -> u64 {
        self.origin + (fine >> FINE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HZ: u64 = 2_600_000_000;
    const TEN_GIGABIT: f64 = 1e10;

    #[test]
    fn a_second_of_small_frames_is_14_880_952() {
        let mut line = Line::new(TEN_GIGABIT, HZ, 77);
        for _ in 0..14_880_952 {
            line.pass(0, 60);
        }
        let took = line.next_end(60) - 77;
        assert!(took.abs_diff(HZ) < 400, "{took} ticks");
    }

    #[test]
    fn frames_wait_for_the_line_and_the_line_for_frames() {
        // A byte takes one tick.
        let mut line = Line::new(8e9, 1_000_000_000, 1000);
        assert_eq!(line.pass(1000, 60), Passage { begin: 1000, end: 1084 });
        assert_eq!(line.pass(1000, 76), Passage { begin: 1084, end: 1184 });
        assert_eq!((line.backlog(1100), line.backlog(2000)), (84, 0));
        assert_eq!(line.pass(1500, 20), Passage { begin: 1500, end: 1584 });
        assert_eq!((line.skip_to(1600), line.skip_to(1600)), (16, 0));
        assert_eq!(line.next_end(60), 1684);
    }

    proptest! {
        #[test]
        fn frames_never_overlap_and_never_begin_before_they_are_ready(
            frames in proptest::collection::vec((0_u64..100_000, 60_usize..9018), 1..100),
        ) {
            let mut line = Line::new(TEN_GIGABIT, HZ, 0);
            let mut last = 0;
            for (ready, len) in frames {
                let passage = line.pass(ready, len);
                prop_assert!(passage.begin >= ready.max(last) && passage.end > passage.begin);
                last = passage.end;
            }
        }
    }
}

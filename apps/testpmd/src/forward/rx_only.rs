//! `rxonly`: packets are counted and freed.

use iogate::prelude::*;

/// Uses up what it is given.
pub(super) struct RxOnly;

impl Stage for RxOnly {
    #[inline]
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        cx.consume_all(batch);
    }
}

#[cfg(test)]
mod tests {
    use crate::forward::{Mode, testing::*};
    use iogate::pipeline::Totals;

    #[test]
    fn everything_is_consumed() {
        let run = Rig::run_until(Mode::RxOnly, &config(), &samples(), 0);
        let count = samples().len() as u64;
        assert_eq!(run.totals, Totals { received: count, consumed: count, ..Totals::default() });
        assert!(run.frames.is_empty());
    }
}

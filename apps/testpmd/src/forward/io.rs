//! `io`: packets leave as they came, which is what a door alone does.

use super::door::Door;
use iogate::prelude::*;

/// Untouched from the RX to the TX queue.
pub(super) fn stage(door: Door) -> impl Stage {
    chain::<(), _>(door)
}

#[cfg(test)]
mod tests {
    use crate::forward::{Mode, testing::*};
    use proptest::prelude::*;

    #[test]
    fn frames_pass_as_they_are() {
        let frames = samples();
        assert_eq!(forward(Mode::Io, &frames), frames);
    }

    #[test]
    fn any_bytes_pass() {
        let mut rig = Rig::new(Mode::Io, &config());
        for_any_frame(|frame| {
            prop_assert_eq!(rig.pass(&frame), Some(frame));
            Ok(())
        });
    }
}

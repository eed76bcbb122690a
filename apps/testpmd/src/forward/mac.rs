//! `mac`: frames go from the TX port's address to the peer's, as from a router.

use iogate::packet::Ethernet;
use iogate::prelude::*;

/// Writes both addresses.
pub(super) struct Mac {
    pub(super) mac: MacAddr,
    pub(super) peer: MacAddr,
}

impl Stage for Mac {
    #[inline]
    fn run(&mut self, batch: &mut Batch, _cx: &mut Context) {
        for ethernet in batch.headers_mut::<Ethernet>() {
            ethernet.set_dst(self.peer);
            ethernet.set_src(self.mac);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::forward::{Mode, testing::*};
    use proptest::prelude::*;

    /// What the mode is to do, written down another way.
    fn expected(mut frame: Vec<u8>) -> Vec<u8> {
        if frame.len() >= 14 {
            frame[..6].copy_from_slice(&PEER.octets());
            frame[6..12].copy_from_slice(&OURS.octets());
        }
        frame
    }

    #[test]
    fn both_addresses_are_written_and_nothing_else() {
        assert_eq!(forward(Mode::Mac, &samples()), samples().into_iter().map(expected).collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_pass() {
        let mut rig = Rig::new(Mode::Mac, &config());
        for_any_frame(|frame| {
            prop_assert_eq!(rig.pass(&frame), Some(expected(frame)));
            Ok(())
        });
    }
}

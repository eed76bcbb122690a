//! `macswap`: frames go back to where they came from.

use iogate::packet::Ethernet;
use iogate::prelude::*;

/// Exchanges source and destination address.
pub(super) struct MacSwap;

impl Stage for MacSwap {
    #[inline]
    fn run(&mut self, batch: &mut Batch, _cx: &mut Context) {
        for packet in batch.packets_mut() {
            if let Ok(ethernet) = packet.header_mut::<Ethernet>() {
                ethernet.swap_addresses();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::forward::{Mode, testing::*};
    use proptest::prelude::*;

    fn expected(frame: &[u8]) -> Vec<u8> {
        match frame.len() {
            14.. => [&frame[6..12], &frame[..6], &frame[12..]].concat(),
            _ => frame.to_vec(),
        }
    }

    #[test]
    fn addresses_change_places() {
        let expected: Vec<_> = samples().iter().map(|frame| expected(frame)).collect();
        assert_eq!(forward(Mode::MacSwap, &samples()), expected);
    }

    #[test]
    fn any_bytes_pass() {
        let mut rig = Rig::new(Mode::MacSwap, &config());
        for_any_frame(|frame| {
            prop_assert_eq!(rig.pass(&frame), Some(expected(&frame)));
            Ok(())
        });
    }
}

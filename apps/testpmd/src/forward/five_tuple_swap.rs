//! `5tswap`: source and destination change places in Ethernet, IPv4 or IPv6, and TCP or UDP.
//!
//! No checksum changes, since none depends on the order of what it covers. A layer that the packet
//! does not hold ends the walk, with the layers before it swapped. What is looked at is the protocol
//! only: versions, lengths and fragments are not checked, as the original does not.

use super::layers::{Ip, IpLayer};
use iogate::packet::IpProtocol;
use iogate::prelude::*;

/// Exchanges sources and destinations.
pub(super) struct FiveTupleSwap;

impl Stage for FiveTupleSwap {
    #[inline]
    fn run(&mut self, batch: &mut Batch, _cx: &mut Context) {
        for packet in batch.packets_mut() {
            swap(packet.data_mut());
        }
    }
}

#[inline]
fn swap(frame: &mut [u8]) {
    let ip = IpLayer::behind_ethernet(frame, 0);
    swap_at::<6>(frame, 0);
    let Some(ip) = ip else { return };
    match ip.kind {
        Ip::V4 => swap_at::<4>(frame, ip.at + 12),
        Ip::V6 => swap_at::<16>(frame, ip.at + 8),
    }
    if matches!(ip.protocol, IpProtocol::TCP | IpProtocol::UDP) {
        swap_at::<2>(frame, ip.payload);
    }
}

/// Source and destination stand side by side in every layer: `N` bytes each, from `at` on. Nothing
/// happens when they are not there.
#[inline]
fn swap_at<const N: usize>(frame: &mut [u8], at: usize) {
    if let Some((one, rest)) = frame.get_mut(at..).and_then(<[u8]>::split_first_chunk_mut::<N>)
        && let Some(other) = rest.first_chunk_mut::<N>()
    {
        std::mem::swap(one, other);
    }
}

#[cfg(test)]
mod tests {
    use crate::forward::{Mode, testing::*};
    use iogate::testkit::{Frame, mac};
    use proptest::prelude::*;

    const V6: [[u8; 16]; 2] = [[0x11; 16], [0x22; 16]];

    /// A frame and the same the other way round.
    fn pairs() -> Vec<(Vec<u8>, Vec<u8>)> {
        let v4 = |there: bool| {
            let (a, b) = if there { ([10, 0, 0, 1], [10, 9, 8, 7]) } else { ([10, 9, 8, 7], [10, 0, 0, 1]) };
            let (c, d) = if there { (mac(1), mac(2)) } else { (mac(2), mac(1)) };
            (Frame::ethernet(c, d), a, b)
        };
        let ports = |there: bool| if there { (4000, 80) } else { (80, 4000) };
        let both =
            |make: &dyn Fn(bool) -> Frame| (make(true).payload(b"data").build(), make(false).payload(b"data").build());
        let udp4 = |there: bool, tags: fn(Frame) -> Frame| {
            let (ethernet, src, dst) = v4(there);
            tags(ethernet).ipv4(src, dst).udp(ports(there).0, ports(there).1)
        };
        let tcp6 = |there: bool, tags: fn(Frame) -> Frame| {
            let (src, dst) = if there { (V6[0], V6[1]) } else { (V6[1], V6[0]) };
            tags(v4(there).0).ipv6(src, dst).tcp(ports(there).0, ports(there).1)
        };
        vec![
            both(&|there| udp4(there, |frame| frame)),
            both(&|there| udp4(there, |frame| frame.vlan(7))),
            both(&|there| udp4(there, |frame| frame.qinq(5, 6))),
            both(&|there| udp4(there, |frame| frame.qinq(5, 6).vlan(9))),
            both(&|there| tcp6(there, |frame| frame)),
            both(&|there| tcp6(there, |frame| frame.vlan(1))),
            both(&|there| v4(there).0.ipv4(v4(there).1, v4(there).2).icmp_echo(1, 2)),
            both(&|there| v4(there).0),
        ]
    }

    #[test]
    fn every_layer_turns_around() {
        let (there, back): (Vec<_>, Vec<_>) = pairs().into_iter().unzip();
        assert_eq!(forward(Mode::FiveTupleSwap, &there), back);
        assert_eq!(forward(Mode::FiveTupleSwap, &back), there);
    }

    #[test]
    fn a_cut_frame_is_swapped_as_far_as_it_goes() {
        let (there, back) = pairs().swap_remove(0);
        let mut rig = Rig::new(Mode::FiveTupleSwap, &config());
        for (len, swapped) in [(0, 0), (11, 0), (12, 12), (13, 12), (14, 14), (33, 14), (34, 34), (37, 34), (38, 38)] {
            let expected = [&back[..swapped], &there[swapped..len]].concat();
            assert_eq!(rig.pass(&there[..len]), Some(expected), "{len}");
        }
    }

    #[test]
    fn options_move_the_ports() {
        let (there, _) = pairs().swap_remove(0);
        let longer = [&there[..14], &[0x46], &there[15..34], &[1, 1, 1, 0], &there[34..]].concat();
        let mut rig = Rig::new(Mode::FiveTupleSwap, &config());
        let swapped = rig.pass(&longer).unwrap();
        assert_eq!((&swapped[34..38], &swapped[38..42]), (&[1, 1, 1, 0][..], &[0, 80, 15, 160][..]));
    }

    #[test]
    fn twice_is_nothing_for_any_bytes() {
        let mut rig = Rig::new(Mode::FiveTupleSwap, &config());
        for_any_frame(|frame| {
            let once = rig.pass(&frame).expect("it leaves");
            prop_assert_eq!(once.len(), frame.len());
            // Swapped fields that lie over those that led to them may lead elsewhere.
            if frame.get(14).is_none_or(|first| first & 15 >= 5) {
                prop_assert_eq!(rig.pass(&once), Some(frame));
            }
            Ok(())
        });
    }
}

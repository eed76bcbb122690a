//! VLAN tags that packets get when they leave by a port (`tx_vlan set`), written into them whatever the device can.

use iogate::packet::vlan::{self, TAG_LEN};
use iogate::packet::{EtherType, Tci, VlanTag};
use iogate::prelude::*;

/// Puts tags on packets.
pub(super) struct Tags {
    /// Innermost first.
    tags: Vec<VlanTag>,
}

/// There is no room for a tag.
const NO_ROOM: DropReason = DropReason::app(0);

impl Tags {
    /// Of one VLAN, or of the inner and the outer one.
    pub(super) fn new(vlans: &[u16]) -> Self {
        let tpids = [EtherType::VLAN, EtherType::SERVICE_VLAN];
        let tag = |(vlan, tpid): (&u16, EtherType)| VlanTag { tpid, tci: Tci::new(*vlan, 0, false) };
        Tags { tags: vlans.iter().zip(tpids).map(tag).collect() }
    }
}

fn insert(packet: &mut Mbuf, tag: VlanTag) -> bool {
    packet.prepend(TAG_LEN).is_some() && vlan::insert(packet.data_mut(), tag).is_ok()
}

impl Stage for Tags {
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        cx.drop_if(batch, |packet, _| {
            let tagged = self.tags.iter().all(|tag| insert(packet, *tag));
            (!tagged).then_some(NO_ROOM)
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::forward::{Config, Mode, testing::*};
    use iogate::testkit::Frame;

    #[test]
    fn packets_leave_with_their_tags_in_every_mode_but_io() {
        let plain = Frame::ethernet(PEER, OURS).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2).build();
        let vlans = |list: &[u16]| (0..64).map(|port| (port, list.to_vec())).collect();
        let one = Config { vlans: vlans(&[5]), ..config() };
        let two = Config { vlans: vlans(&[5, 6]), ..config() };
        for mode in [Mode::Mac, Mode::MacSwap, Mode::FiveTupleSwap, Mode::Csum, Mode::Noisy] {
            let untagged = Rig::new(mode, &config()).pass(&plain).unwrap();
            let expected = [&untagged[..12], &[0x81, 0, 0, 5], &untagged[12..]].concat();
            assert_eq!(Rig::new(mode, &one).pass(&plain), Some(expected), "{mode}");
            let expected = [&untagged[..12], &[0x88, 0xa8, 0, 6, 0x81, 0, 0, 5], &untagged[12..]].concat();
            assert_eq!(Rig::new(mode, &two).pass(&plain), Some(expected), "{mode}");
        }
        assert_eq!(Rig::new(Mode::Io, &one).pass(&plain), Some(plain.clone()));
        let run = Rig::run_until(Mode::TxOnly, &one, &[], 100);
        assert!(run.totals.balanced() && !run.frames.is_empty());
        assert!(run.frames.iter().all(|frame| frame[12..16] == [0x81, 0, 0, 5]), "made packets too");
    }
}

//! VLANs: which a port receives, and taking tags off.

use super::headers::Headers;
use iogate::packet::EtherType;
use iogate::packet::vlan::{self, TAG_LEN};
use iogate::prelude::*;

/// The VLANs that a port receives.
#[derive(Clone, Debug)]
pub(super) struct Vlans {
    bits: Box<[u64; 64]>,
    /// Of two tags the inner one counts (`vlan set extend`).
    extended: bool,
}

impl Default for Vlans {
    fn default() -> Self {
        Vlans { bits: Box::new([0; 64]), extended: false }
    }
}

impl Vlans {
    /// The same, with the inner one of two tags counting, or the outer one.
    pub(super) fn extended(&self, extended: bool) -> Vlans {
        Vlans { extended, ..self.clone() }
    }

    /// Receives one, or no more.
    pub(super) fn set(&mut self, vlan: u16, receive: bool) {
        let (word, bit) = (&mut self.bits[usize::from(vlan & 0xfff) / 64], 1 << (vlan % 64));
        *word = if receive { *word | bit } else { *word & !bit };
    }

    /// Whether a frame is received: it has no tag, one with a priority alone, or one of these VLANs.
    pub(super) fn receives(&self, headers: &Headers) -> bool {
        let tag = headers.inner.filter(|_| self.extended).or(headers.outer);
        let vlan = tag.map_or(0, |tag| tag.tci.vid());
        vlan == 0 || self.bits[usize::from(vlan) / 64] >> (vlan % 64) & 1 == 1
    }
}

/// Which tags are taken off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Strip {
    /// The outer one, where it is a customer's (0x8100).
    pub(super) one: bool,
    /// The outer one where it is a service's (0x88a8), and the customer's behind it.
    pub(super) both: bool,
}

impl Strip {
    pub(super) fn any(self) -> bool {
        self.one || self.both
    }

    /// Takes tags off and notes them.
    pub(super) fn strip(self, packet: &mut Mbuf, headers: &Headers) {
        let Some(outer) = headers.outer else { return };
        if self.both && outer.tpid == EtherType::SERVICE_VLAN {
            if !take_off(packet) {
                return;
            }
            match headers.inner {
                Some(inner) if inner.tpid == EtherType::VLAN && take_off(packet) => {
                    packet.note_tags(inner.tci.0, Some(outer.tci.0));
                }
                _ => packet.note_tags(outer.tci.0, None),
            }
        } else if self.one && outer.tpid == EtherType::VLAN && take_off(packet) {
            packet.note_tags(outer.tci.0, None);
        }
    }
}

fn take_off(packet: &mut Mbuf) -> bool {
    matches!(vlan::remove(packet.data_mut()), Ok(Some(_))) && packet.trim_front(TAG_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iogate::testkit::{Complete, Frame, mac, pool};
    use proptest::prelude::*;

    fn stripped(strip: Strip, frame: &[u8]) -> (Vec<u8>, Option<u16>, Option<u16>) {
        let pool = pool("strip", 64);
        let _complete = Complete::new(&pool);
        let mut packet = pool.alloc_from(frame).unwrap();
        let headers = Headers::of(packet.data());
        strip.strip(&mut packet, &headers);
        (packet.data().to_vec(), packet.stripped_vlan(), packet.stripped_outer_vlan())
    }

    #[test]
    fn tags_are_taken_off_by_their_kind() {
        let frame = || Frame::ethernet(mac(1), mac(2));
        let ip = |frame: Frame| frame.ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2).build();
        let (plain, single, double) = (ip(frame()), ip(frame().vlan(5)), ip(frame().qinq(6, 5)));
        let inner_left = [&plain[..12], &single[12..]].concat();
        let (one, both) = (Strip { one: true, both: false }, Strip { one: true, both: true });
        assert_eq!(stripped(one, &plain), (plain.clone(), None, None));
        assert_eq!(stripped(one, &single), (plain.clone(), Some(5), None));
        assert_eq!(stripped(one, &double), (double.clone(), None, None), "the outer one is a service's");
        assert_eq!(stripped(both, &double), (plain, Some(5), Some(6)));
        let mut customers = double.clone();
        customers[12..14].copy_from_slice(&[0x81, 0]);
        assert_eq!(stripped(both, &customers), (inner_left.clone(), Some(6), None), "one of two customer's tags");
        let mut services = single;
        services[12..14].copy_from_slice(&[0x88, 0xa8]);
        assert_eq!(stripped(both, &services).1, Some(5), "a service's tag alone");
    }

    proptest! {
        #[test]
        fn what_is_set_is_received(set: Vec<(u16, bool)>, vlan in 1_u16..4096) {
            let mut vlans = Vlans::default();
            set.iter().for_each(|(vlan, receive)| vlans.set(*vlan % 4096, *receive));
            let last = set.iter().rev().find(|(known, _)| *known % 4096 == vlan);
            let frame = Frame::ethernet(mac(1), mac(2)).vlan(vlan).build();
            prop_assert_eq!(vlans.receives(&Headers::of(&frame)), last.is_some_and(|(_, receive)| *receive));
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..64), one: bool, both: bool) {
            stripped(Strip { one, both }, &bytes);
        }
    }

    #[test]
    fn the_outer_tag_counts_or_the_inner_one() {
        let mut vlans = Vlans::default();
        vlans.set(5, true);
        let [inside, outside] =
            [(6, 5), (5, 6)].map(|(outer, inner)| Frame::ethernet(mac(1), mac(2)).qinq(outer, inner).build());
        assert!(vlans.receives(&Headers::of(&outside)) && !vlans.receives(&Headers::of(&inside)));
        vlans.extended = true;
        assert!(vlans.receives(&Headers::of(&inside)) && !vlans.receives(&Headers::of(&outside)));
        assert!(vlans.receives(&Headers::of(&Frame::ethernet(mac(1), mac(2)).vlan(5).build())), "one tag alone");
    }

    #[test]
    fn frames_without_a_vlan_are_received_by_all() {
        let vlans = Vlans::default();
        for frame in [Frame::ethernet(mac(1), mac(2)), Frame::ethernet(mac(1), mac(2)).vlan(0)] {
            assert!(vlans.receives(&Headers::of(&frame.build())));
        }
    }
}

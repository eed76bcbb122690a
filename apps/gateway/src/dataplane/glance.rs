//! The quick look at the frames of a batch: enough for nearly every one.
//!
//! Traffic has no order, so a branch on what a frame is would be guessed wrong, which costs as much as
//! fifty instructions. Instead, a first round reads the Ethernet headers and sorts the frames by the
//! [shape](Shape) of what follows; then each shape has a loop of its own. Whole words are read at fixed
//! places. A frame with anything uncommon about it is left to [`Meta::read`], which alone knows the
//! reasons to drop one; what both take, they take for the same.

use super::addresses::{Address, UNTAGGED};
use super::classifier::{Classifier, Shape, Upper};
use super::frame::{Meta, Payload};
use iogate::memory::{BURST, Mbuf};
use iogate::packet::vlan::TAG_LEN;
use iogate::packet::{Arp, EtherType, Ethernet, Ipv6, Tci, ipv4};

/// What is looked at behind the ethertype. As far as it reaches behind the end of a frame it is arbitrary.
type Inside = [u8; 64];
/// Bytes that are looked at.
const FRONT: usize = size_of::<Ethernet>() + TAG_LEN + size_of::<Inside>();

/// The bits of an address in eight bytes that begin with it.
const MAC: u64 = (1 << 48) - 1;
/// 01-80-C2-00-00-0x, and its bits.
const LINK_LOCAL: u64 = u64::from_le_bytes([0x01, 0x80, 0xc2, 0, 0, 0, 0, 0]);
const LINK_LOCAL_MASK: u64 = u64::from_le_bytes([0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 0, 0]);

/// Some of the frames of a batch: a bit for each place in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places(u32);

const _: () = assert!(BURST <= u32::BITS as usize);

impl Places {
    /// So many, from the first on.
    pub(super) fn all(count: usize) -> Self {
        Places(u32::MAX.checked_shr(u32::BITS - count.min(BURST) as u32).unwrap_or(0))
    }

    /// Adds a place.
    #[inline]
    pub(super) fn add(&mut self, at: usize) {
        self.add_if(at, true);
    }

    /// Adds a place, or does not, without a branch.
    #[inline]
    pub(super) fn add_if(&mut self, at: usize, condition: bool) {
        self.0 |= u32::from(condition) << at;
    }

    /// How many they are.
    pub(super) fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn contains(self, at: usize) -> bool {
        self.0 >> at & 1 != 0
    }
}

impl Iterator for Places {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let (all, first) = (self.0, self.0.trailing_zeros() as usize);
        self.0 &= all.wrapping_sub(1);
        (all != 0).then_some(first)
    }
}

/// Looks at the frames at these places. Of those that it returns, which take [`Meta::read`] to say what they are, there is
/// nothing to rely on so far.
pub(super) fn glance(places: Places, packets: &[Mbuf], metas: &mut [Meta], classifier: &Classifier) -> Places {
    let mut by_shape = [Places::default(); Shape::COUNT];
    for at in places {
        let (Some(packet), Some(meta)) = (packets.get(at), metas.get_mut(at)) else { continue };
        let shape = packet.front().map_or(Shape::Odd, |front| meta.glance(front, packet.len(), classifier));
        by_shape[shape as usize].add(at);
    }
    let [_, ipv4, ipv6, arp, mut odd] = by_shape;
    look_inside(ipv4, packets, metas, &mut odd, |meta, inside| meta.glance_ipv4(inside, classifier));
    look_inside(ipv6, packets, metas, &mut odd, |meta, inside| meta.glance_ipv6(inside, classifier));
    look_inside(arp, packets, metas, &mut odd, Meta::glance_arp);
    for at in places {
        if let Some(meta) = metas.get_mut(at) {
            meta.conclude(classifier);
        }
    }
    odd
}

/// Has `look` look at what is inside these frames; those that it says no to are `odd`.
#[inline]
fn look_inside(
    places: Places,
    packets: &[Mbuf],
    metas: &mut [Meta],
    odd: &mut Places,
    mut look: impl FnMut(&mut Meta, &Inside) -> bool,
) {
    for at in places {
        let (Some(packet), Some(meta)) = (packets.get(at), metas.get_mut(at)) else { continue };
        let inside = packet.front::<FRONT>().and_then(|front| front[..].get(usize::from(meta.offset)..)?.first_chunk());
        if !inside.is_some_and(|inside| look(meta, inside)) {
            odd.add(at);
        }
    }
}

impl Meta {
    /// Looks at what stands in front of everything.
    #[inline]
    fn glance(&mut self, front: &[u8; FRONT], len: usize, classifier: &Classifier) -> Shape {
        let (dst, src) = (u64_at(front, 0), u64_at(front, 6));
        let tagged = src >> 48 == u64::from(EtherType::VLAN.0.to_be());
        let at = size_of::<Ethernet>() + TAG_LEN * usize::from(tagged);
        if (src & 1 != 0) | (src & MAC == 0) | (dst & LINK_LOCAL_MASK == LINK_LOCAL) | (at > len) {
            return Shape::Odd;
        }
        let vlan = Tci(u16_at(front, 14)).vid() & u16::from(tagged).wrapping_neg();
        let kind = classifier.kind(EtherType(u16_at(front, at - 2)));
        *self = Meta {
            src: Address::from_bits(src & MAC, vlan),
            dst: Address::from_bits(dst & MAC, UNTAGGED),
            verdict: kind.verdict(),
            len: len as u32,
            offset: at as u8,
            plain: true,
            sight: self.sight,
            ..Meta::default()
        };
        kind.shape()
    }

    /// Without options, and whole.
    #[inline]
    fn glance_ipv4(&mut self, inside: &Inside, classifier: &Classifier) -> bool {
        const HEAD: u64 = u64::from_le_bytes([0x45, 0, 0, 0, 0, 0, 0, 0]);
        const HEAD_MASK: u64 = u64::from_le_bytes([0xff, 0, 0, 0, 0, 0, 0x3f, 0xff]);
        let (head, next) = (u64_at(inside, 0), u64_at(inside, 8));
        let total = u32::from(((head >> 16) as u16).swap_bytes());
        self.payload = Payload::Ipv4;
        self.sender = (next >> 32) as u32;
        let upper = classifier.above_ipv4((next >> 8) as u8);
        (head & HEAD_MASK == HEAD)
            & (u32::from(self.offset) + total <= self.len)
            & self.glance_transport(inside, ipv4::MIN_LEN, total, upper, classifier)
    }

    /// Without extension headers, and not ICMPv6.
    #[inline]
    fn glance_ipv6(&mut self, inside: &Inside, classifier: &Classifier) -> bool {
        let head = u64_at(inside, 0);
        let total = size_of::<Ipv6>() as u32 + u32::from(((head >> 32) as u16).swap_bytes());
        self.payload = Payload::Ipv6;
        let upper = classifier.above_ipv6((head >> 48) as u8);
        (head & 0xf0 == 0x60)
            & (u32::from(self.offset) + total <= self.len)
            & self.glance_transport(inside, size_of::<Ipv6>(), total, upper, classifier)
    }

    /// The header `header` bytes inside a packet of `total` bytes.
    #[inline]
    fn glance_transport(
        &mut self,
        inside: &Inside,
        header: usize,
        total: u32,
        upper: &Upper,
        classifier: &Classifier,
    ) -> bool {
        let [src, dst] = [0, 2].map(|port| u16_at(inside, header + port));
        self.verdict = self.verdict.and(upper.verdict).and(classifier.ports(upper.transport, src, dst));
        let len = (inside[header + 12] & upper.len_mask) >> 2;
        let headers = header as u32 + u32::from(len) + u32::from(upper.fixed);
        self.headers = headers as u8;
        (len >= upper.least) & (headers <= total) & (u16_at(inside, header + 4) >= u16::from(upper.fixed))
    }

    /// Of Ethernet and IPv4 addresses, from the station whose address it names.
    #[inline]
    fn glance_arp(&mut self, inside: &Inside) -> bool {
        const KINDS: u64 = u64::from_le_bytes([0, 1, 8, 0, 6, 4, 0, 0]);
        self.payload = Payload::Arp;
        self.sender = u64_at(inside, 14) as u32;
        (u64_at(inside, 0) & MAC == KINDS)
            & (Address::from_bits(u64_at(inside, 8) & MAC, UNTAGGED) == self.src.untagged())
            & (usize::from(self.offset) + size_of::<Arp>() <= self.len as usize)
    }
}

#[inline]
fn u64_at<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("every place is near"))
}

/// In network order.
#[inline]
fn u16_at<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes(*bytes[at..].first_chunk().expect("every place is near"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config;
    use crate::dataplane::tables::Tables;
    use crate::dataplane::{antispoof, classifier::NOTHING};
    use iogate::packet::MacAddr;
    use iogate::testkit::Frame;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::path::Path;

    const CONFIG: &str = include_str!("../../tests/dataplane/house.toml");

    fn v4() -> impl Strategy<Value = Ipv4Addr> {
        (0_u8..3).prop_map(|low| if low == 0 { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::new(10, 0, 0, low) })
    }

    fn v6() -> impl Strategy<Value = Ipv6Addr> {
        (0_u16..3)
            .prop_map(|low| if low == 0 { Ipv6Addr::UNSPECIFIED } else { Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, low) })
    }

    /// A frame of a kind that there is, damaged here and there.
    pub(in super::super) fn frames() -> impl Strategy<Value = Vec<u8>> {
        let port = prop_oneof![Just(3260_u16), Just(4791), Just(445), any::<u16>()];
        let damage = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3);
        let what = (0_u8..8, any::<Option<bool>>(), v4(), v6(), port.clone(), port, any::<u8>());
        (what, damage, 0_usize..24, 0_usize..200).prop_map(|(what, damage, cut, payload)| {
            let (kind, tag, v4, v6, src, dst, protocol) = what;
            let ethernet = Frame::ethernet(MacAddr::new([2, 0, 0, 0, 0, 1]), MacAddr::new([2, 0, 0, 0, 0, 2]));
            let ethernet = match tag {
                None => ethernet,
                Some(zero) => ethernet.vlan(if zero { 0 } else { 101 }),
            };
            let (ipv4, ipv6) = (ethernet.clone().ipv4(v4, Ipv4Addr::BROADCAST), ethernet.clone().ipv6(v6, v6));
            let frame = match kind {
                0 => ipv4.tcp(src, dst),
                1 => ipv4.udp(src, dst),
                2 => ipv6.tcp(src, dst),
                3 => ipv6.udp(src, dst),
                4 => ipv4.icmp_echo(1, 1),
                5 => ipv6.neighbor_advertisement(v6),
                6 => ethernet.arp_reply(v4, v4),
                _ => ethernet.ether_type(EtherType(u16::from(protocol) << 8 | 6)),
            };
            let mut frame = if kind < 5 { frame.payload(vec![0; payload]).build() } else { frame.build() };
            damage.iter().for_each(|(at, byte)| *at.get_mut(&mut frame) = *byte);
            frame.truncate(frame.len() - cut.saturating_sub(20).min(frame.len() - 1));
            frame
        })
    }

    proptest! {
        #[test]
        fn a_glance_finds_what_a_closer_look_finds(
            frames in proptest::collection::vec(frames(), 1..BURST),
            own in (v4(), v6(), any::<[bool; 4]>()),
        ) {
            let tables = Tables::new(&config::parse(CONFIG, Path::new("house.toml")).unwrap());
            let pool = iogate::testkit::pool("glance", 63);
            let packets: Vec<Mbuf> = frames.iter().map(|frame| pool.alloc_from(frame).unwrap()).collect();
            let mut metas = vec![Meta::default(); packets.len()];
            let odd = glance(Places::all(packets.len()), &packets, &mut metas, &tables.classifier);
            for (at, (packet, meta)) in packets.iter().zip(&metas).enumerate().filter(|(at, _)| !odd.contains(*at)) {
                let mut closer = Meta::default();
                let looked = closer.read(packet.data(), packet.len(), &tables.classifier);
                prop_assert_eq!(looked, Ok(()), "{:?}", &frames[at]);
                let Meta { plain, sender, headers, .. } = *meta;
                prop_assert_eq!(meta, &Meta { plain, sender, headers, ..closer }, "{:?}", &frames[at]);

                // And what is honest at a glance is honest.
                let (v4, v6, [arp, nd, ip, any]) = own;
                let mut owner = tables.attachments[0].clone();
                owner.mac = MacAddr::new([2, 0, 0, 0, 0, 1]);
                owner.ips = if any { Box::default() } else { Box::new([v4.into(), v6.into()]) };
                owner.first_ipv4 = if any { 0 } else { u32::from_ne_bytes(v4.octets()) };
                owner.first_ipv6 = if any { 0 } else { u128::from_ne_bytes(v6.octets()) };
                (owner.antispoof.arp, owner.antispoof.nd, owner.antispoof.ip) = (arp, nd, ip);
                owner.checked = true;
                if meta.src == Address::new(owner.mac, meta.src.vlan())
                    && antispoof::plainly_honest(packet.data(), meta, &owner)
                {
                    prop_assert_eq!(antispoof::check(packet.data(), meta, &owner), None, "{:?}", &frames[at]);
                }
            }
        }
    }

    #[test]
    fn what_there_is_takes_no_closer_look() {
        let tables = Tables::new(&config::parse(CONFIG, Path::new("house.toml")).unwrap());
        let pool = iogate::testkit::pool("glance", 63);
        let ethernet = || Frame::ethernet(MacAddr::new([2, 0, 0, 0, 0, 1]), MacAddr::new([2, 0, 0, 0, 0, 2]));
        let (v4, v6) = (Ipv4Addr::new(10, 0, 0, 1), Ipv6Addr::LOCALHOST);
        let frames = [
            ethernet().ipv4(v4, v4).tcp(1, 3260),
            ethernet().vlan(7).ipv4(v4, v4).udp(1, 4791),
            ethernet().vlan(7).ipv6(v6, v6).tcp(1, 2),
            ethernet().ipv4(v4, v4).icmp_echo(1, 1),
            ethernet().arp_reply(v4, v4),
            ethernet().ether_type(EtherType::FCOE),
        ];
        let packets: Vec<Mbuf> = frames.map(|frame| pool.alloc_from(&frame.build()).unwrap()).into();
        let mut metas = vec![Meta::default(); packets.len()];
        assert!(glance(Places::all(packets.len()), &packets, &mut metas, &tables.classifier).is_empty());
        assert_ne!(metas[0].verdict, NOTHING);
    }

    #[test]
    fn places_are_those_that_were_added() {
        let mut places = Places::default();
        [31, 0, 7].into_iter().for_each(|at| places.add(at));
        assert!(places.contains(7) && !places.contains(8));
        assert_eq!(places.collect::<Vec<_>>(), [0, 7, 31]);
        assert!(Places::all(0).is_empty() && Places::all(3).eq(0..3) && Places::all(BURST).eq(0..BURST));
    }
}

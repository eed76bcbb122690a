//! What a decision about a frame depends on, in a few words.
//!
//! They are taken from fixed places of the frame, without a branch on what it is: traffic has no order, so a branch
//! would be guessed wrong. Tables say which bits count, by the frame's [shape](Shape) and IP protocol.

use super::classifier::{Classifier, Shape};
use iogate::packet::vlan::TAG_LEN;
use iogate::packet::{Arp, EtherType, Ethernet, IpProtocol, Ipv6, ipv4};
use wide::u8x16;

/// Bytes that are looked at. As far as they reach behind the end of a frame they are arbitrary.
pub(super) const FRONT: usize = ADDRESSES + TAG_LEN + REST;
/// Both addresses.
const ADDRESSES: usize = 12;
/// What is looked at from the ethertype on.
const REST: usize = 2 + 64 + 16;

/// Everything about a frame that decides what becomes of it, but for its lengths.
///
/// Both addresses, a tag's VLAN or the ethertype; of IP and ARP, what says that nothing is uncommon, protocol and
/// source; ports and TCP's header length; the queue; the ethertype again, which may have stood behind a tag.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Key([u8x16; 3]);

impl Key {
    /// No frame's: each has a source.
    pub(super) const NONE: Key = Key([u8x16::ZERO; 3]);

    /// As `==`, without a branch for each part.
    #[inline]
    pub(super) fn is(&self, other: &Key) -> bool {
        let [a, b, c] = [0, 1, 2].map(|at: usize| self.0[at].simd_eq(other.0[at]));
        (a & b & c).all()
    }

    /// From all that differs between flows.
    #[inline]
    pub(super) fn hash(&self, seeds: &[u64; 4]) -> u64 {
        let [[to, from], [_, source], [more, last]] =
            self.0.each_ref().map(|part| [0, 8].map(|at| u64_at(part.as_array(), at)));
        let product = |one: u64, other: u64, at: usize| {
            u128::from(one.wrapping_add(seeds[at])) * u128::from(other.wrapping_add(seeds[at + 1]))
        };
        let sum = product(to, from, 0).wrapping_add(product(source, more ^ last, 2));
        (sum >> 64) as u64 ^ sum as u64
    }
}

/// A place behind the ethertype's start. As these are all that there are, none takes a check.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum At {
    Kind = 0,
    Ipv4Length = 2 + 2,
    Ipv6Length = 2 + 4,
    Ipv6Next = 2 + 6,
    Ipv4Protocol = 2 + 9,
    Ipv4Payload = 2 + ipv4::MIN_LEN as u8,
    Ipv6Payload = 2 + size_of::<Ipv6>() as u8,
}

/// What counts of a frame, by its shape, without a tag or with one.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Form {
    /// Of the first 16 bytes: both addresses, and a tag or the ethertype.
    ethernet: u8x16,
    /// Of the first 16 bytes inside, and the next 8.
    inside: (u8x16, u64),
    /// Of the length that stands inside, if one does; and where the packet ends when it is 0.
    length_mask: u32,
    end: u32,
    /// Where things stand.
    length_at: At,
    protocol_at: At,
    transport_at: At,
    transports: &'static Transports,
}

/// These, and zeros behind them.
const fn bytes(front: &[u8]) -> u8x16 {
    let (mut all, mut at) = ([0; 16], 0);
    while at < front.len() {
        all[at] = front[at];
        at += 1;
    }
    u8x16::new(all)
}

/// Without anything inside that counts.
const OPAQUE: Form = Form {
    ethernet: bytes(&[0xff; ADDRESSES + 2]),
    inside: (u8x16::ZERO, 0),
    length_mask: 0,
    end: size_of::<Ethernet>() as u32,
    length_at: At::Kind,
    protocol_at: At::Kind,
    transport_at: At::Kind,
    transports: &Transports::NONE,
};

const IPV4: Form = Form {
    // Version and header length; whether it is a fragment; protocol and source.
    inside: (bytes(&[0xff, 0, 0, 0, 0, 0, 0x3f, 0xff, 0, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff]), 0),
    length_mask: 0xffff,
    length_at: At::Ipv4Length,
    protocol_at: At::Ipv4Protocol,
    transport_at: At::Ipv4Payload,
    transports: &Transports::ALL,
    ..OPAQUE
};

const IPV6: Form = Form {
    // Version and next header; source.
    inside: (bytes(&[0xf0, 0, 0, 0, 0, 0, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), u64::MAX),
    length_mask: 0xffff,
    end: OPAQUE.end + size_of::<Ipv6>() as u32,
    length_at: At::Ipv6Length,
    protocol_at: At::Ipv6Next,
    transport_at: At::Ipv6Payload,
    transports: &Transports::ALL,
    ..OPAQUE
};

const ARP: Form = Form {
    // All that is constant; the sender's two addresses.
    inside: (
        bytes(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        u64::from_le_bytes([0xff, 0xff, 0, 0, 0, 0, 0, 0]),
    ),
    end: OPAQUE.end + size_of::<Arp>() as u32,
    ..OPAQUE
};

impl Form {
    /// The same behind a tag, of which the VLAN counts.
    const fn tagged(self) -> Form {
        let ethernet =
            bytes(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xff]);
        Form { ethernet, end: self.end + TAG_LEN as u32, ..self }
    }
}

/// There are fewer; a power of two takes no check.
const SHAPES: usize = 8;

/// By shape, each without a tag and then with one.
static FORMS: [Form; 2 * SHAPES] = {
    let mut forms = [OPAQUE; 2 * SHAPES];
    forms[2 * Shape::Ipv4 as usize] = IPV4;
    forms[2 * Shape::Ipv6 as usize] = IPV6;
    forms[2 * Shape::Arp as usize] = ARP;
    let mut at = 0;
    while at < forms.len() {
        forms[at + 1] = forms[at].tagged();
        at += 2;
    }
    forms
};

/// What counts of the first 16 bytes of a transport, by protocol.
#[derive(Debug)]
struct Transports {
    /// Of the first eight, ports.
    ports: [u64; 256],
    /// Of the next eight, the header's length.
    header: [u64; 256],
    /// Of the first eight, bits of a length of which one must be set: it is at least 8 then.
    length: [u64; 256],
}

impl Transports {
    const NONE: Transports = Transports { ports: [0; 256], header: [0; 256], length: [0; 256] };

    const ALL: Transports = {
        const PORTS: u64 = u64::from_le_bytes([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let (tcp, udp) = (IpProtocol::TCP.0 as usize, IpProtocol::UDP.0 as usize);
        let mut all = Self::NONE;
        (all.ports[tcp], all.ports[udp]) = (PORTS, PORTS);
        all.header[tcp] = u64::from_le_bytes([0, 0, 0, 0, 0xf0, 0, 0, 0]);
        all.length[udp] = u64::from_le_bytes([0, 0, 0, 0, 0xff, 0xf8, 0, 0]);
        all
    };
}

/// Places in the last word of a key, of which a transport has 0 to 31 and 36 to 39: that no bit of a length is set;
/// the queue; the ethertype.
const SHORT: u32 = 32;
const QUEUE: u32 = 40;
const KIND: u32 = 48;

/// Looks at frames.
#[derive(Debug)]
pub(super) struct Eye {
    /// By ethertype, as it stands in a frame.
    shapes: Box<[u8; 1 << 16]>,
}

/// A queue, as it stands in a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin(u64);

impl Eye {
    /// For what the classifier looks into.
    pub(super) fn new(classifier: &Classifier) -> Self {
        let shape = |kind: u16| classifier.kind(EtherType(u16::from_be(kind))).shape() as u8;
        let shapes: Vec<u8> = (0..=u16::MAX).map(shape).collect();
        Eye { shapes: shapes.try_into().expect("as many as there are") }
    }

    /// Of the queue at a position; of 256 and more, nothing.
    pub(super) fn origin(queue: usize) -> Option<Origin> {
        u8::try_from(queue).ok().map(|queue| Origin(u64::from(queue) << QUEUE))
    }

    /// The key of a frame, and where what is inside ends by its own account, bytes from the start of the frame.
    #[inline]
    pub(super) fn look(&self, front: &[u8; FRONT], origin: Origin) -> (Key, u32) {
        let tagged = usize::from(u16_at(front, ADDRESSES) == EtherType::VLAN.0.to_be());
        let kind_at = ADDRESSES + TAG_LEN * tagged;
        let rest: &[u8; REST] = front[kind_at..].first_chunk().expect("a place in front");
        let kind = u16_at(rest, 0);
        let form = &FORMS[usize::from(self.shapes[usize::from(kind)]) % SHAPES * 2 + tagged];
        let protocol = usize::from(rest[form.protocol_at as usize]);
        let [upper, more] = [0, 8].map(|at: usize| u64_at(rest, form.transport_at as usize + at));
        let short = u64::from(upper & form.transports.length[protocol] == 0) << SHORT;
        let ports = upper & form.transports.ports[protocol] | more & form.transports.header[protocol];
        let last = ports | short | origin.0 | u64::from(kind) << KIND;
        let (inside, more) = form.inside;
        let words = [u64_at(rest, 18) & more, last].map(u64::to_le_bytes);
        let key = Key([
            u8x16::new(*front.first_chunk().expect("a place in front")) & form.ethernet,
            u8x16::new(*rest[2..].first_chunk().expect("a place in front")) & inside,
            u8x16::new(*words.as_flattened().first_chunk().expect("two words")),
        ]);
        let length = u32::from(u16_at(rest, form.length_at as usize).swap_bytes());
        (key, (length & form.length_mask) + form.end)
    }
}

#[inline]
fn u64_at<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("every place is near"))
}

/// As it stands there.
#[inline]
fn u16_at<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    u16::from_le_bytes(*bytes[at..].first_chunk().expect("every place is near"))
}

#[cfg(test)]
mod tests {
    use super::super::frame::Meta;
    use super::super::glance::{self, Places, glance};
    use super::super::tables::Tables;
    use super::*;
    use crate::config;
    use iogate::memory::Mbuf;
    use iogate::testkit::Frame;
    use proptest::prelude::*;
    use std::path::Path;

    const CONFIG: &str = include_str!("../../tests/dataplane/house.toml");

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Whatever is decided, is decided by what is compared here, and by an IPv6 packet's source, which is in the key.
        #[test]
        fn what_has_one_key_is_alike(frame in glance::tests::frames()) {
            let tables = Tables::new(&config::parse(CONFIG, Path::new("house.toml")).unwrap());
            let pool = iogate::testkit::pool("key", 63);
            let eye = Eye::new(&tables.classifier);
            let look = |packets: &[Mbuf]| {
                let mut meta = [Meta::default()];
                let odd = glance(Places::all(1), packets, &mut meta, &tables.classifier);
                (eye.look(packets[0].front().unwrap(), Eye::origin(0).unwrap()), meta[0], !odd.is_empty())
            };
            let mut packets = [pool.alloc_from(&frame).unwrap()];
            let ((key, _), meta, odd) = look(&packets);
            // Every bit that might count, changed; only of what was found common something is remembered.
            for bit in 0..if odd { 0 } else { frame.len().min(70) * 8 } {
                packets[0].data_mut()[bit / 8] ^= 1 << (bit % 8);
                let ((other_key, end), other, odd) = look(&packets);
                prop_assert_eq!(key.is(&other_key), key == other_key);
                // Only whole frames are known again.
                if key == other_key && end >= u32::from(meta.offset + meta.headers) && end <= frame.len() as u32 {
                    prop_assert!(!odd, "bit {bit} of {:02x?}", frame);
                    prop_assert_eq!(meta, other, "bit {} of {:02x?}", bit, frame);
                }
                packets[0].data_mut()[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn a_key_says_what_the_frame_is() {
        let tables = Tables::new(&config::parse(CONFIG, Path::new("house.toml")).unwrap());
        let pool = iogate::testkit::pool("key", 63);
        let eye = Eye::new(&tables.classifier);
        let look = |frame: &[u8], queue: usize| {
            eye.look(pool.alloc_from(frame).unwrap().front().unwrap(), Eye::origin(queue).unwrap())
        };
        let ethernet = || Frame::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let tcp = |ethernet: Frame, source: u8, port| {
            ethernet.ipv4([10, 0, 0, source], [10, 0, 0, 9]).tcp(port, 3260).build()
        };
        let (key, end) = look(&tcp(ethernet(), 1, 7), 0);
        assert_eq!(end, 14 + 40);
        let others = [
            look(&tcp(ethernet(), 2, 7), 0),
            look(&tcp(ethernet(), 1, 8), 0),
            look(&tcp(ethernet().vlan(0), 1, 7), 0),
            look(&tcp(ethernet().vlan(5), 1, 7), 0),
            look(&tcp(ethernet(), 1, 7), 1),
        ];
        for (at, (other, _)) in others.iter().enumerate() {
            assert!(*other != key && others[..at].iter().all(|(before, _)| before != other), "{at}");
        }
        assert!(Eye::origin(255).is_some() && Eye::origin(256).is_none());
    }
}

//! From ethertypes, IP protocols and ports to a class and a storage protocol.

use super::ports::{End, Ports, Transport};
use super::tag::Priority;
use crate::config::model::{Config, Protocol, Selector, Side};
use iogate::packet::{EtherType, IpProtocol};

/// Everything that matches a frame: a bit for each class, and a bit for each storage protocol. The
/// lowest of each counts, because the first one does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict(u32);

/// The frame is of no storage protocol: the bit behind those of the protocols.
pub(super) const NO_PROTOCOL: u8 = 15;

/// Bits for classes, of which there are at most so many.
pub(super) const CLASSES: usize = 8;

/// Nothing matches.
pub(super) const NOTHING: Verdict = Verdict(0);

impl Verdict {
    fn class(index: usize) -> Self {
        assert!(index < CLASSES, "there are at most 8 classes");
        Verdict(1 << index)
    }

    pub(super) fn of_protocol(protocol: Protocol) -> Self {
        Verdict(1 << (CLASSES + protocol as usize))
    }

    #[inline]
    pub(super) fn and(self, other: Verdict) -> Verdict {
        Verdict(self.0 | other.0)
    }

    /// The storage protocol, or [`NO_PROTOCOL`].
    #[inline]
    pub(super) fn protocol(self) -> u8 {
        (self.0 >> CLASSES | 1 << NO_PROTOCOL).trailing_zeros() as u8
    }
}

/// What follows from a frame's verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its class.
    pub(super) class: u8,
    /// A bit for each [`Side`] on which it may be.
    pub(super) sides: u8,
}

/// How what follows an ethertype is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Shape {
    /// Not at all.
    Opaque,
    Ipv4,
    Ipv6,
    Arp,
    /// A tag, or something that is not for stations: more closely.
    Odd,
}

impl Shape {
    /// How many there are.
    pub(super) const COUNT: usize = 5;

    fn of(kind: EtherType) -> Self {
        match kind {
            EtherType::IPV4 => Shape::Ipv4,
            EtherType::IPV6 => Shape::Ipv6,
            EtherType::ARP => Shape::Arp,
            EtherType::MAC_CONTROL => Shape::Odd,
            kind if kind.is_vlan() || kind.is_length() || VENDORS_TAGS.contains(&kind) => Shape::Odd,
            _ => Shape::Opaque,
        }
    }
}

/// Tags that the standard does not have, but stations and switches look behind.
pub(super) const VENDORS_TAGS: [EtherType; 3] = [EtherType(0x9100), EtherType(0x9200), EtherType(0x9300)];

/// What an ethertype says: a verdict, and above it a shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind(u32);

const SHAPE: u32 = 24;

impl Kind {
    #[inline]
    pub(super) fn verdict(self) -> Verdict {
        Verdict(self.0 & ((1 << SHAPE) - 1))
    }

    #[inline]
    pub(super) fn shape(self) -> Shape {
        match self.0 >> SHAPE {
            0 => Shape::Opaque,
            1 => Shape::Ipv4,
            2 => Shape::Ipv6,
            3 => Shape::Arp,
            _ => Shape::Odd,
        }
    }
}

/// What an IP protocol says, and what must be there of its header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upper {
    pub(super) verdict: Verdict,
    pub(super) transport: Transport,
    /// Bits of its 13th byte that tell its length, in units of four bytes, from bit 4 on.
    pub(super) len_mask: u8,
    /// The least length that may say.
    pub(super) least: u8,
    /// Length of a header that has always the same, and the least that its length field may say.
    pub(super) fixed: u8,
}

impl Upper {
    const PORTLESS: Upper = Upper { verdict: NOTHING, transport: Transport::Portless, len_mask: 0, least: 0, fixed: 0 };
    /// To be looked at more closely: there is no such length.
    const ODD: Upper = Upper { least: u8::MAX, ..Self::PORTLESS };

    fn of(protocol: IpProtocol) -> Self {
        match protocol {
            IpProtocol::TCP => Upper { transport: Transport::Tcp, len_mask: 0xf0, least: 20, ..Self::PORTLESS },
            IpProtocol::UDP => Upper { transport: Transport::Udp, fixed: 8, ..Self::PORTLESS },
            _ => Self::PORTLESS,
        }
    }
}

/// By IP protocol.
type Uppers = Box<[Upper; 256]>;

/// The classes and protocols of a configuration, ready to be looked up.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// By ethertype. Few of them occur, so few cache lines of it are used.
    kinds: Box<[Kind; 1 << 16]>,
    above_ipv4: Uppers,
    above_ipv6: Uppers,
    ports: Ports,
    /// By the first class that asks for a frame, and whether it is of a storage protocol.
    standings: [[Standing; 2]; 2 * CLASSES],
    /// How many classes there are.
    classes: usize,
    /// By class.
    priorities: [Priority; CLASSES],
}

impl Classifier {
    /// For the classes and protocols of `config`.
    pub fn new(config: &Config) -> Self {
        let kinds: Vec<Kind> = (0..=u16::MAX).map(|kind| Kind((Shape::of(EtherType(kind)) as u32) << SHAPE)).collect();
        // Neighbour discovery claims addresses, and extension headers hide what is behind them.
        let odd = |protocol: IpProtocol| protocol == IpProtocol::ICMPV6 || protocol.is_extension();
        let above_ipv6 = |protocol| if odd(protocol) { Upper::ODD } else { Upper::of(protocol) };
        let uppers = |of: &dyn Fn(IpProtocol) -> Upper| Box::new(std::array::from_fn(|at| of(IpProtocol(at as u8))));
        let mut classifier = Classifier {
            kinds: kinds.try_into().expect("as many as there are"),
            above_ipv4: uppers(&Upper::of),
            above_ipv6: uppers(&above_ipv6),
            ports: Ports::new(),
            standings: standings(config),
            classes: config.classes.len(),
            priorities: [Priority::default(); CLASSES],
        };
        for (index, class) in config.classes.iter().enumerate() {
            classifier.priorities[index] = Priority::new(class.pcp);
            for rule in &class.rules {
                classifier.add(*rule, Verdict::class(index));
            }
        }
        for (protocol, rule) in &config.protocols {
            classifier.add(*rule, Verdict::of_protocol(*protocol));
        }
        classifier
    }

    fn add(&mut self, rule: Selector, verdict: Verdict) {
        match rule {
            Selector::EtherType(kind) => self.kinds[usize::from(kind.0)].0 |= verdict.0,
            Selector::IpProtocol(number) => {
                for uppers in [&mut self.above_ipv4, &mut self.above_ipv6] {
                    let known = &mut uppers[usize::from(number)].verdict;
                    *known = known.and(verdict);
                }
            }
            Selector::TcpPort(range) => {
                self.ports.add(Transport::Tcp, End::Src, range, verdict);
                self.ports.add(Transport::Tcp, End::Dst, range, verdict);
            }
            Selector::UdpPort(range) => {
                self.ports.add(Transport::Udp, End::Src, range, verdict);
                self.ports.add(Transport::Udp, End::Dst, range, verdict);
            }
            Selector::UdpSrc(range) => self.ports.add(Transport::Udp, End::Src, range, verdict),
            Selector::UdpDst(range) => self.ports.add(Transport::Udp, End::Dst, range, verdict),
        }
    }

    /// What is known of an ethertype.
    #[inline]
    pub(super) fn kind(&self, kind: EtherType) -> Kind {
        self.kinds[usize::from(kind.0)]
    }

    /// What is known of a protocol above IPv4.
    #[inline]
    pub(super) fn above_ipv4(&self, protocol: u8) -> &Upper {
        &self.above_ipv4[usize::from(protocol)]
    }

    /// What is known of a protocol above IPv6.
    #[inline]
    pub(super) fn above_ipv6(&self, protocol: u8) -> &Upper {
        &self.above_ipv6[usize::from(protocol)]
    }

    /// What a packet is by its ports.
    #[inline]
    pub(super) fn ports(&self, transport: Transport, src: u16, dst: u16) -> Verdict {
        self.ports.find(transport, src, dst)
    }

    /// What follows from a verdict.
    #[inline]
    pub(super) fn standing(&self, verdict: Verdict) -> Standing {
        let first = (verdict.0 | 1 << CLASSES).trailing_zeros() as usize;
        let storage = verdict.0 >> CLASSES != 0;
        self.standings[first % self.standings.len()][usize::from(storage)]
    }

    /// The priority that frames of a class have in their tag.
    #[inline]
    pub(super) fn priority(&self, class: u8) -> Priority {
        self.priorities[usize::from(class) % CLASSES]
    }

    /// Classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }
}

fn standings(config: &Config) -> [[Standing; 2]; 2 * CLASSES] {
    let bit = |side: Side| 1 << side as u8;
    let of_class = |index: usize| {
        let sides = [Side::Network, Side::Storage].into_iter().filter(|side| config.classes[index].scope.allows(*side));
        Standing { class: index as u8, sides: sides.fold(0, |bits, side| bits | bit(side)) }
    };
    let mut standings = [[Standing::default(); 2]; 2 * CLASSES];
    for (index, by_protocol) in standings.iter_mut().enumerate().take(config.classes.len()) {
        *by_protocol = [of_class(index); 2];
    }
    // Of what no class asks for. Storage is storage, also when the default class is the network's.
    let default = of_class(config.default_class.index());
    let storage = Standing { sides: bit(Side::Storage), ..default };
    standings[CLASSES] = [default, if default.sides & bit(Side::Storage) == 0 { storage } else { default }];
    standings
}

/// The protocol with this number.
pub fn protocol(number: u8) -> Option<Protocol> {
    Protocol::ALL.get(usize::from(number)).copied()
}

//! From ethertypes, IP protocols and ports to a class and a storage protocol.

use crate::config::model::{Config, PortRange, Protocol, Selector, Side};
use iogate::packet::EtherType;

/// Everything that matches a frame: a bit for each class, and a bit for each storage protocol. The
/// lowest of each counts, because the first one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict(u32);

/// The frame is of no storage protocol: the bit behind those of the protocols.
pub(super) const NO_PROTOCOL: u8 = 16;

/// Bits for classes, of which there are at most so many.
const CLASSES: u32 = 8;

const NOTHING: Verdict = Verdict(0);

impl Verdict {
    fn class(index: usize) -> Self {
        assert!(index < CLASSES as usize, "there are at most 8 classes");
        Verdict(1 << index)
    }

    fn of_protocol(protocol: Protocol) -> Self {
        Verdict(1 << (CLASSES + protocol as u32))
    }

    #[inline]
    fn and(self, other: Verdict) -> Verdict {
        Verdict(self.0 | other.0)
    }

    /// The storage protocol, or [`NO_PROTOCOL`].
    #[inline]
    pub(super) fn protocol(self) -> u8 {
        (self.0 >> CLASSES | 1 << NO_PROTOCOL).trailing_zeros() as u8
    }
}

/// For every port number: whether anything matches it, and what.
#[derive(Clone, Debug)]
struct Ports {
    // Few ports match anything, and these 8 KiB stay in the first-level cache.
    matching: Box<[u64; 1024]>,
    /// What a port matches, behind one that stands for all that match nothing.
    verdicts: Box<[Verdict]>,
}

impl Ports {
    fn new() -> Self {
        Ports { matching: Box::new([0; 1024]), verdicts: vec![NOTHING; 1 + (1 << 16)].into_boxed_slice() }
    }

    fn add(&mut self, range: PortRange, verdict: Verdict) {
        for port in range.first()..=range.last() {
            let at = usize::from(port);
            self.matching[at / 64] |= 1 << (at % 64);
            self.verdicts[at + 1] = self.verdicts[at + 1].and(verdict);
        }
    }

    /// Without a branch, which would be guessed wrong in mixed traffic.
    #[inline]
    fn find(&self, port: u16) -> Verdict {
        let at = usize::from(port);
        let matches = self.matching[at / 64] >> (at % 64) & 1;
        self.verdicts[(at + 1) * matches as usize]
    }
}

/// The classes and protocols of a configuration, ready to be looked up.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// By ethertype. Few of them occur, so few cache lines of it are used.
    ether_types: Box<[Verdict; 1 << 16]>,
    ip_protocols: Box<[Verdict; 256]>,
    tcp: Ports,
    udp_src: Ports,
    udp_dst: Ports,
    default_class: u8,
    /// How many classes there are.
    classes: usize,
    /// By side: a bit for each class whose frames may be there.
    allowed: [u8; 2],
    /// By class: its priority code point.
    pcps: [u8; CLASSES as usize],
}

impl Classifier {
    /// For the classes and protocols of `config`.
    pub fn new(config: &Config) -> Self {
        let mut classifier = Classifier {
            ether_types: vec![NOTHING; 1 << 16].try_into().expect("as many as there are"),
            ip_protocols: Box::new([NOTHING; 256]),
            tcp: Ports::new(),
            udp_src: Ports::new(),
            udp_dst: Ports::new(),
            default_class: config.default_class.index() as u8,
            classes: config.classes.len(),
            allowed: [0; 2],
            pcps: [0; CLASSES as usize],
        };
        for (index, class) in config.classes.iter().enumerate() {
            classifier.pcps[index] = class.pcp;
            for side in [Side::Network, Side::Storage] {
                classifier.allowed[side as usize] |= u8::from(class.scope.allows(side)) << index;
            }
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
            Selector::EtherType(kind) => {
                let known = &mut self.ether_types[usize::from(kind.0)];
                *known = known.and(verdict);
            }
            Selector::IpProtocol(number) => {
                let known = &mut self.ip_protocols[usize::from(number)];
                *known = known.and(verdict);
            }
            Selector::TcpPort(range) => self.tcp.add(range, verdict),
            Selector::UdpPort(range) => {
                self.udp_src.add(range, verdict);
                self.udp_dst.add(range, verdict);
            }
            Selector::UdpSrc(range) => self.udp_src.add(range, verdict),
            Selector::UdpDst(range) => self.udp_dst.add(range, verdict),
        }
    }

    /// What a frame is by its ethertype alone; so far, when it is IP.
    #[inline]
    pub fn ether_type(&self, kind: EtherType) -> Verdict {
        self.ether_types[usize::from(kind.0)]
    }

    /// What a packet is by its IP protocol, besides what `so_far` says.
    #[inline]
    pub fn ip_protocol(&self, so_far: Verdict, protocol: u8) -> Verdict {
        so_far.and(self.ip_protocols[usize::from(protocol)])
    }

    /// What a packet is by its TCP ports, besides what `so_far` says.
    #[inline]
    pub fn tcp(&self, so_far: Verdict, src: u16, dst: u16) -> Verdict {
        so_far.and(self.tcp.find(src)).and(self.tcp.find(dst))
    }

    /// What a packet is by its UDP ports, besides what `so_far` says.
    #[inline]
    pub fn udp(&self, so_far: Verdict, src: u16, dst: u16) -> Verdict {
        so_far.and(self.udp_src.find(src)).and(self.udp_dst.find(dst))
    }

    /// The class, and whether it is the default because no class asks for the frame.
    #[inline]
    pub fn class_of(&self, verdict: Verdict) -> (u8, bool) {
        let first = (verdict.0 | 1 << CLASSES).trailing_zeros();
        let unclaimed = first >= CLASSES;
        (if unclaimed { self.default_class } else { first as u8 }, unclaimed)
    }

    /// Whether frames of a class may be on that side.
    #[inline]
    pub fn allows(&self, class: u8, side: Side) -> bool {
        self.allowed[side as usize] >> (u32::from(class) % CLASSES) & 1 != 0
    }

    /// The priority that frames of a class have in their tag.
    #[inline]
    pub fn pcp(&self, class: u8) -> u8 {
        self.pcps[usize::from(class) % self.pcps.len()]
    }

    /// Classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }
}

/// The protocol with this number.
pub fn protocol(number: u8) -> Option<Protocol> {
    Protocol::ALL.get(usize::from(number)).copied()
}

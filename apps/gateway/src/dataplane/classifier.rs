//! From ethertypes, IP protocols and ports to a class and a storage protocol.

use crate::config::model::{Config, PortRange, Protocol, Scope, Selector, Side};
use iogate::packet::EtherType;

/// What was made of a frame: the first class and the first protocol that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Index of the class.
    pub class: u8,
    /// The storage protocol, or [`NO_PROTOCOL`].
    pub protocol: u8,
}

/// The frame is of no storage protocol.
pub(super) const NO_PROTOCOL: u8 = u8::MAX;

/// Nothing matched yet: later than every class and protocol.
const NOTHING: Verdict = Verdict { class: u8::MAX, protocol: NO_PROTOCOL };

impl Verdict {
    #[inline]
    fn earlier(self, other: Verdict) -> Verdict {
        Verdict { class: self.class.min(other.class), protocol: self.protocol.min(other.protocol) }
    }
}

/// For every port number: whether anything matches it, and what.
#[derive(Clone, Debug)]
struct Ports {
    // Few ports match anything, and these 8 KiB stay in the first-level cache.
    matching: Box<[u64; 1024]>,
    verdicts: Box<[Verdict]>,
}

impl Ports {
    fn new() -> Self {
        Ports { matching: Box::new([0; 1024]), verdicts: vec![NOTHING; 1 << 16].into_boxed_slice() }
    }

    fn add(&mut self, range: PortRange, verdict: Verdict) {
        for port in range.first()..=range.last() {
            let at = usize::from(port);
            self.matching[at / 64] |= 1 << (at % 64);
            self.verdicts[at] = self.verdicts[at].earlier(verdict);
        }
    }

    #[inline]
    fn find(&self, port: u16) -> Verdict {
        let at = usize::from(port);
        if self.matching[at / 64] >> (at % 64) & 1 == 0 { NOTHING } else { self.verdicts[at] }
    }
}

/// The classes and protocols of a configuration, ready to be looked up.
#[derive(Clone, Debug)]
pub struct Classifier {
    ether_types: Vec<(EtherType, Verdict)>,
    ip_protocols: Box<[Verdict; 256]>,
    tcp: Ports,
    udp_src: Ports,
    udp_dst: Ports,
    default_class: u8,
    /// By class: whether its frames may be on the network side, and on the storage side.
    allowed: Vec<[bool; 2]>,
    /// By class: its priority code point.
    pcps: Vec<u8>,
}

impl Classifier {
    /// For the classes and protocols of `config`.
    pub fn new(config: &Config) -> Self {
        let both = |scope: Scope| [scope.allows(Side::Network), scope.allows(Side::Storage)];
        let mut classifier = Classifier {
            ether_types: Vec::new(),
            ip_protocols: Box::new([NOTHING; 256]),
            tcp: Ports::new(),
            udp_src: Ports::new(),
            udp_dst: Ports::new(),
            default_class: config.default_class.index() as u8,
            allowed: config.classes.iter().map(|class| both(class.scope)).collect(),
            pcps: config.classes.iter().map(|class| class.pcp).collect(),
        };
        for (index, class) in config.classes.iter().enumerate() {
            for rule in &class.rules {
                classifier.add(*rule, Verdict { class: index as u8, ..NOTHING });
            }
        }
        for (protocol, rule) in &config.protocols {
            classifier.add(*rule, Verdict { protocol: *protocol as u8, ..NOTHING });
        }
        classifier
    }

    fn add(&mut self, rule: Selector, verdict: Verdict) {
        match rule {
            Selector::EtherType(kind) => match self.ether_types.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, known)) => *known = known.earlier(verdict),
                None => self.ether_types.push((kind, verdict)),
            },
            Selector::IpProtocol(number) => {
                let known = &mut self.ip_protocols[usize::from(number)];
                *known = known.earlier(verdict);
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
        self.ether_types.iter().find(|(known, _)| *known == kind).map_or(NOTHING, |(_, verdict)| *verdict)
    }

    /// What a packet is by its IP protocol, besides what `so_far` says.
    #[inline]
    pub fn ip_protocol(&self, so_far: Verdict, protocol: u8) -> Verdict {
        so_far.earlier(self.ip_protocols[usize::from(protocol)])
    }

    /// What a packet is by its TCP ports, besides what `so_far` says.
    #[inline]
    pub fn tcp(&self, so_far: Verdict, src: u16, dst: u16) -> Verdict {
        so_far.earlier(self.tcp.find(src)).earlier(self.tcp.find(dst))
    }

    /// What a packet is by its UDP ports, besides what `so_far` says.
    #[inline]
    pub fn udp(&self, so_far: Verdict, src: u16, dst: u16) -> Verdict {
        so_far.earlier(self.udp_src.find(src)).earlier(self.udp_dst.find(dst))
    }

    /// The class, and whether it is the default because no class asks for the frame.
    #[inline]
    pub fn class_of(&self, verdict: Verdict) -> (u8, bool) {
        let unclaimed = verdict.class == NOTHING.class;
        (if unclaimed { self.default_class } else { verdict.class }, unclaimed)
    }

    /// Whether frames of a class may be on that side.
    #[inline]
    pub fn allows(&self, class: u8, side: Side) -> bool {
        self.allowed.get(usize::from(class)).is_some_and(|allowed| allowed[side as usize])
    }

    /// The priority that frames of a class have in their tag.
    #[inline]
    pub fn pcp(&self, class: u8) -> u8 {
        self.pcps.get(usize::from(class)).copied().unwrap_or(0)
    }

    /// Classes there are.
    pub fn classes(&self) -> usize {
        self.allowed.len()
    }
}

/// The protocol of a [`Verdict`].
pub fn protocol(number: u8) -> Option<Protocol> {
    Protocol::ALL.get(usize::from(number)).copied()
}

//! A second opinion on what comes out of the gateway: made from the configuration and the rules in plain words, with
//! nothing of the data path's own code.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use iogate::packet::MacAddr;
use iogate_gateway::config::model::{Adapter, AdapterKind, Config, Protocol, Side};

/// Stands, with a number of four bytes behind it, at the end of frames that are to be known again.
pub(crate) const TRACE: [u8; 4] = [0xc5, 0x3a, 0x9e, 0x71];
/// Frames that can be on their way at a time: more than there are buffers.
const REMEMBERED: usize = 1 << 13;

/// A station in one of its networks.
struct Station {
    link: usize,
    tag: u16,
    mac: MacAddr,
    network: usize,
    adapter: Adapter,
}

impl Station {
    fn speaks(&self, protocol: Option<Protocol>) -> bool {
        match (self.adapter.kind, protocol) {
            (AdapterKind::Vhba { protocols }, Some(protocol)) => protocols.contains(protocol),
            _ => true,
        }
    }
}

#[derive(Clone, Default)]
struct Remembered {
    number: u32,
    port: usize,
    frame: Vec<u8>,
    /// Copies that came out where it went in.
    back: Cell<usize>,
}

/// Knows the rules, and what went in.
pub(crate) struct Judge {
    config: Config,
    stations: Vec<Station>,
    links: usize,
    memory: Vec<Remembered>,
    expected: u64,
    traced: Cell<u64>,
}

/// A frame as far as the rules care.
struct Seen<'a> {
    dst: MacAddr,
    src: MacAddr,
    tag: Option<u16>,
    kind: u16,
    body: &'a [u8],
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn see(frame: &[u8]) -> Option<Seen<'_>> {
    let mac = |at: usize| Some(MacAddr::new(frame.get(at..at + 6)?.try_into().ok()?));
    let (tag, at) = if word(frame, 12)? == 0x8100 { (Some(word(frame, 14)?), 16) } else { (None, 12) };
    Some(Seen { dst: mac(0)?, src: mac(6)?, tag, kind: word(frame, at)?, body: frame.get(at + 2..)? })
}

/// What a frame turned out to be.
#[derive(Debug, PartialEq)]
struct Nature {
    class: usize,
    protocol: Option<Protocol>,
    later_piece: bool,
}

/// The built-in classes in their order, with their priority and where they may be.
const CLASSES: [(u16, Option<Side>); 7] = [
    (7, None),
    (3, Some(Side::Storage)),
    (4, Some(Side::Storage)),
    (5, Some(Side::Storage)),
    (2, Some(Side::Storage)),
    (6, None),
    (0, Some(Side::Network)),
];

fn by_tcp(port: u16) -> Option<(usize, Protocol)> {
    Some(match port {
        3260 => (3, Protocol::Iscsi),
        4420 | 8009 => (3, Protocol::NvmeTcp),
        2049 => (4, Protocol::Nfs),
        445 => (4, Protocol::Smb),
        3300 | 6789 | 6800..=7568 => (4, Protocol::Ceph),
        _ => return None,
    })
}

/// Says what a frame is that the gateway has let through; `None` if it should not have understood it.
fn nature(seen: &Seen<'_>) -> Option<Nature> {
    let plain = |class, protocol| Some(Nature { class, protocol, later_piece: false });
    let body = seen.body;
    let (protocol, transport, later_piece) = match seen.kind {
        0x88cc | 0x8809 => return plain(0, None),
        0x8906 => return plain(1, Some(Protocol::Fcoe)),
        0x8914 => return plain(1, Some(Protocol::Fip)),
        0x8915 => return plain(2, Some(Protocol::Roce)),
        0x88a2 => return plain(3, Some(Protocol::Aoe)),
        0x0806 => return plain(5, None),
        0x0800 => {
            let (first, header) = (*body.first()?, usize::from(body.first()? & 15) * 4);
            let total = usize::from(word(body, 2)?);
            (first >> 4 == 4 && header >= 20 && header <= total && total <= body.len()).then_some(())?;
            (*body.get(9)?, &body[header..total], word(body, 6)? & 0x1fff != 0)
        }
        0x86dd => upper6(body)?,
        0x9100 | 0x9200 | 0x9300 => return None,
        0..=1500 if body.starts_with(&[0xaa, 0xaa, 3]) => return None,
        _ => return plain(6, None),
    };
    let mut found: Vec<(usize, Option<Protocol>)> = Vec::new();
    match protocol {
        1 | 58 => found.push((5, None)),
        6 if !later_piece => {
            (transport.len() >= 20).then_some(())?;
            let ports = [word(transport, 0)?, word(transport, 2)?];
            found.extend(ports.into_iter().filter_map(by_tcp).map(|(class, protocol)| (class, Some(protocol))));
        }
        17 if !later_piece => {
            (transport.len() >= 8).then_some(())?;
            let (src, dst) = (word(transport, 0)?, word(transport, 2)?);
            found.extend((dst == 4791).then_some((2, Some(Protocol::Roce))));
            found.extend((src == 2049 || dst == 2049).then_some((4, Some(Protocol::Nfs))));
        }
        _ => {}
    }
    let class = found.iter().map(|(class, _)| *class).min().unwrap_or(6);
    Some(Nature { class, protocol: found.iter().filter_map(|(_, protocol)| *protocol).min(), later_piece })
}

/// What an IPv6 packet carries: protocol, bytes, and whether it is a later piece of something.
fn upper6(body: &[u8]) -> Option<(u8, &[u8], bool)> {
    let total = 40 + usize::from(word(body, 4)?);
    (body[0] >> 4 == 6 && total <= body.len()).then_some(())?;
    let (mut next, mut rest, mut later) = (body[6], &body[40..total], false);
    while !later && [0, 43, 44, 51, 60, 135, 139, 140].contains(&next) {
        let len = match next {
            44 => 8,
            51 => (usize::from(*rest.get(1)?) + 2) * 4,
            _ => (usize::from(*rest.get(1)?) + 1) * 8,
        };
        later = next == 44 && word(rest, 2)? & 0xfff8 != 0;
        (next, rest) = (rest[0], rest.get(len..)?);
    }
    Some((next, rest, later))
}

/// The frame without its tag, if it has one.
fn bare(frame: &[u8]) -> [&[u8]; 2] {
    [&frame[..12], &frame[if word(frame, 12) == Some(0x8100) { 16 } else { 12 }..]]
}

impl Judge {
    pub(crate) fn new(config: &Config) -> Self {
        let mut stations = Vec::new();
        for (_, adapter) in config.adapters() {
            for attachment in &adapter.attachments {
                stations.push(Station {
                    link: adapter.link.index(),
                    tag: attachment.tag.map_or(0, |tag| tag.get()),
                    mac: adapter.mac,
                    network: attachment.network.index(),
                    adapter: adapter.clone(),
                });
            }
        }
        let links = config.links.len();
        let memory = vec![Remembered { number: u32::MAX, ..Remembered::default() }; REMEMBERED];
        Judge { config: config.clone(), stations, links, memory, expected: 0, traced: Cell::new(0) }
    }

    /// Frames that went in.
    pub(crate) fn expected(&self) -> u64 {
        self.expected
    }

    /// Frames that came out and were known again.
    pub(crate) fn traced(&self) -> u64 {
        self.traced.get()
    }

    /// This frame goes in.
    pub(crate) fn expects(&mut self, port: usize, frame: &[u8]) {
        self.expected += 1;
        if let Some(number) = number(frame) {
            let place = &mut self.memory[number as usize % REMEMBERED];
            (place.number, place.port) = (number, port);
            place.back.set(0);
            place.frame.clear();
            place.frame.extend_from_slice(frame);
        }
    }

    /// The network of a VLAN on an uplink.
    fn network_above(&self, uplink: usize, vlan: u16) -> Option<usize> {
        let here = |(id, network): &(_, &iogate_gateway::config::model::Network)| {
            network.vlan.map_or(0, |vlan| vlan.get()) == vlan
                && self.config.uplinks_of(*id).iter().any(|other| other.index() == uplink)
        };
        self.config.networks().find(here).map(|(id, _)| id.index())
    }

    /// Panics when this frame should not have come out of a port.
    pub(crate) fn allows(&self, port: usize, frame: &[u8]) {
        if let Err(complaint) = self.judge(port, frame) {
            let origin = number(frame).map(|number| &self.memory[number as usize % REMEMBERED]);
            let origin = origin.map_or(String::new(), |from| format!("\nfrom port {}: {:02x?}", from.port, from.frame));
            panic!("{complaint}\nout of port {port}: {frame:02x?}{origin}");
        }
    }

    fn judge(&self, port: usize, frame: &[u8]) -> Result<(), &'static str> {
        let rule = |holds: bool, complaint: &'static str| if holds { Ok(()) } else { Err(complaint) };
        let seen = see(frame).ok_or("too short for Ethernet")?;
        let vlan = seen.tag.map_or(0, |tag| tag & 0xfff);
        rule(seen.tag.is_none() || vlan != 0, "a tag without a VLAN")?;
        rule(![0x8100, 0x88a8].contains(&seen.kind), "a nested tag")?;
        rule(seen.kind != 0x8808, "flow control")?;
        rule(!seen.dst.is_link_local(), "for the next bridge")?;
        rule(seen.src.is_unicast(), "a source that is no station")?;
        let nature = nature(&seen).ok_or("a lie that was not found out")?;
        let (pcp, side) = CLASSES[nature.class];
        rule(seen.tag.is_none_or(|tag| tag >> 12 == pcp << 1), "not the priority of its class")?;

        // Where it could be from or for, judging by what it looks like here.
        let mut networks: Vec<usize> = Vec::new();
        if port < self.links {
            let receives = |s: &&Station| {
                s.link == port
                    && s.tag == vlan
                    && s.adapter.up
                    && s.speaks(nature.protocol)
                    && (s.mac == seen.dst || seen.dst.is_multicast())
            };
            networks.extend(self.stations.iter().filter(receives).map(|s| s.network));
            rule(!networks.is_empty(), "for no station on this link")?;
        } else {
            let network = self.network_above(port - self.links, vlan).ok_or("a VLAN that is not on this uplink")?;
            let sends =
                |s: &Station| s.network == network && s.mac == seen.src && s.adapter.up && s.speaks(nature.protocol);
            rule(self.stations.iter().any(sends), "up, and from no adapter of the network")?;
            networks.push(network);
        }
        networks.retain(|network| {
            let network = &self.config.networks[*network];
            let side_fits = nature.later_piece || side.is_none_or(|side| side == network.kind);
            side_fits && frame.len() <= usize::from(network.mtu)
        });
        rule(!networks.is_empty(), "on the wrong side, or too long")?;
        self.judge_origin(port, vlan, frame, &seen, &nature, &networks)
    }

    /// What can be said of a frame that is known again.
    fn judge_origin(
        &self,
        port: usize,
        vlan: u16,
        frame: &[u8],
        seen: &Seen<'_>,
        nature: &Nature,
        networks: &[usize],
    ) -> Result<(), &'static str> {
        let rule = |holds: bool, complaint: &'static str| if holds { Ok(()) } else { Err(complaint) };
        let Some(number) = number(frame) else { return Ok(()) };
        let origin = &self.memory[number as usize % REMEMBERED];
        rule(origin.number == number, "of a number that is on no way")?;
        self.traced.set(self.traced.get() + 1);
        let came = see(&origin.frame).ok_or("too short when it came")?;
        rule(bare(frame) == bare(&origin.frame), "changed besides its tag")?;
        let came_vlan = came.tag.map_or(0, |tag| tag & 0xfff);
        if origin.port < self.links {
            let sends = |s: &&Station| s.link == origin.port && s.tag == came_vlan && s.mac == came.src;
            let sender = self.stations.iter().find(sends).ok_or("from no adapter of its link")?;
            rule(sender.adapter.up, "from an adapter that is down")?;
            rule(networks.contains(&sender.network), "out of its network")?;
            rule(sender.speaks(nature.protocol), "of a protocol that its sender may not speak")?;
            rule(honest(&sender.adapter, seen), "of a sender that lies")?;
            if port == origin.port && vlan == came_vlan {
                // Others with the same tag on the same link, the sender not among them.
                let other =
                    |s: &&Station| s.link == port && s.tag == vlan && s.network == sender.network && s.adapter.up;
                let others = self.stations.iter().filter(other).filter(|s| s.mac != sender.mac);
                origin.back.set(origin.back.get() + 1);
                rule(seen.dst != sender.mac && origin.back.get() <= others.count(), "back to its sender")?;
            }
        } else {
            rule(port < self.links, "from uplink to uplink")?;
            let network =
                self.network_above(origin.port - self.links, came_vlan).ok_or("of no network of its uplink")?;
            rule(networks.contains(&network), "out of its network, or its fabric")?;
            let ours = self.stations.iter().any(|s| s.network == network && s.mac == came.src);
            rule(!ours, "our own, come back")?;
        }
        Ok(())
    }
}

/// The number at the end of a frame.
fn number(frame: &[u8]) -> Option<u32> {
    let (rest, number) = frame.split_last_chunk::<4>()?;
    rest.ends_with(&TRACE).then_some(u32::from_be_bytes(*number))
}

/// Whether the sender addresses of ARP, neighbour discovery and IP are the adapter's.
fn honest(adapter: &Adapter, seen: &Seen<'_>) -> bool {
    let own = |address: IpAddr| adapter.ips.is_empty() || address.is_unspecified() || adapter.ips.contains(&address);
    let four = |at: usize| seen.body.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    match seen.kind {
        0x0806 if adapter.antispoof.arp => {
            seen.body.get(8..14) == Some(&adapter.mac.octets())
                && four(14).is_some_and(|ip| own(Ipv4Addr::from(ip).into()))
        }
        0x0800 if adapter.antispoof.ip => four(12).is_some_and(|ip| own(Ipv4Addr::from(ip).into())),
        0x86dd => {
            let address = |bytes: &[u8], at: usize| {
                let bytes = bytes.get(at..at + 16).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
                bytes.map(Ipv6Addr::from).is_some_and(|ip| ip.is_unicast_link_local() || own(ip.into()))
            };
            let source = address(seen.body, 8);
            let discovery = match upper6(seen.body) {
                Some((58, message, false)) if adapter.antispoof.nd => match message.first() {
                    Some(133) => source && options_are(message.get(8..), adapter),
                    Some(134) => source && options_are(message.get(16..), adapter),
                    Some(135) => source && options_are(message.get(24..), adapter),
                    Some(136) => address(message, 8) && options_are(message.get(24..), adapter),
                    Some(137) => source,
                    _ => true,
                },
                _ => true,
            };
            discovery && (source || !adapter.antispoof.ip)
        }
        _ => true,
    }
}

/// Whether the link-layer addresses among the options of neighbour discovery are the adapter's.
fn options_are(options: Option<&[u8]>, adapter: &Adapter) -> bool {
    let Some(mut rest) = options else { return false };
    while let [kind, units, ..] = *rest {
        let len = usize::from(units) * 8;
        if len == 0 || len > rest.len() || ([1, 2].contains(&kind) && rest[2..len] != adapter.mac.octets()) {
            return false;
        }
        rest = &rest[len..];
    }
    rest.is_empty()
}

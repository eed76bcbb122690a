//! Frames: valid ones of every protocol, and what becomes of them.

use std::net::Ipv6Addr;

use crate::judge::TRACE;
use iogate::packet::arp::Operation;
use iogate::packet::ndp::{
    NeighborAdvertisement, NeighborSolicitation, Redirect, RouterAdvertisement, RouterSolicitation,
};
use iogate::packet::{EtherType, IpProtocol, MacAddr, Pause, Pfc, fip};
use iogate::testkit::{Frame, mac};
use iogate_gateway::config::Config;

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `limit`, which is not in it.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Makes frames that look as if they belonged where they arrive, and then something happens to them.
pub(crate) struct Maker {
    /// By port: a source and a tag that are at home there.
    homes: Vec<Vec<(MacAddr, u16)>>,
    macs: Vec<MacAddr>,
    tags: Vec<u16>,
    /// From the ethertype on.
    bodies: Vec<Vec<u8>>,
}

impl Maker {
    pub(crate) fn new(config: &Config) -> Self {
        let outside = [MacAddr::new([2, 0xee, 0, 0, 0, 1]), MacAddr::new([2, 0xee, 0, 0, 0, 2])];
        let mut homes = vec![Vec::new(); config.links.len() + config.uplinks.len()];
        let (mut macs, mut tags) = (outside.to_vec(), vec![0, 0, 1, 4095]);
        for (_, adapter) in config.adapters() {
            macs.push(adapter.mac);
            for attachment in &adapter.attachments {
                let tag = attachment.tag.map_or(0, |tag| tag.get());
                homes[adapter.link.index()].push((adapter.mac, tag));
                tags.push(tag);
            }
        }
        for (id, network) in config.networks() {
            let vlan = network.vlan.map_or(0, |vlan| vlan.get());
            tags.push(vlan);
            for uplink in config.uplinks_of(id) {
                homes[config.links.len() + uplink.index()].extend(outside.map(|mac| (mac, vlan)));
            }
        }
        // For all, for some, for none, and for the next bridge.
        macs.extend([MacAddr::BROADCAST; 4]);
        macs.extend([[1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1], [1, 0x10, 0x18, 1, 0, 2]].map(MacAddr::new));
        macs.extend([MacAddr::ZERO, MacAddr::LLDP, MacAddr::PAUSE, MacAddr::new([2, 9, 9, 9, 9, 9])]);
        Maker { homes, macs, tags, bodies: bodies() }
    }

    /// The next frame for a port. Most carry their number at the end, so that they are known again.
    pub(crate) fn frame(&mut self, random: &mut Random, port: usize, number: u32) -> Vec<u8> {
        let home = random.pick(&self.homes[port]);
        let (mut src, mut tag) = home;
        if random.one_in(12) {
            src = random.pick(&self.macs);
        }
        if random.one_in(12) {
            tag = random.pick(&self.tags);
        }
        let mut frame = Vec::with_capacity(2048);
        frame.extend(random.pick(&self.macs).octets());
        frame.extend(src.octets());
        if tag != 0 || random.one_in(12) {
            frame.extend([0x81, 0x00]);
            frame.extend((tag | (random.next() as u16 & 0xf000)).to_be_bytes());
        }
        let body = random.below(self.bodies.len());
        frame.extend(&self.bodies[body]);
        let headers = frame.len();
        for _ in 0..[0, 0, 1, 1, 2, 4][random.below(6)] {
            self.mutate(random, &mut frame, headers);
        }
        if !random.one_in(4) {
            frame.extend(TRACE);
            frame.extend(number.to_be_bytes());
        }
        frame.truncate(2040);
        if frame.is_empty() {
            frame.push(0);
        }
        frame
    }

    fn mutate(&mut self, random: &mut Random, frame: &mut Vec<u8>, headers: usize) {
        if frame.is_empty() {
            return;
        }
        // Where it hurts: in the headers, mostly behind the addresses.
        let len = frame.len();
        let place = |random: &mut Random| match random.below(4) {
            0 => random.below(len),
            1 => random.below(len.min(14)),
            _ => (12 + random.below(64)).min(len - 1),
        };
        match random.below(12) {
            0 | 1 => (0..=random.below(4)).for_each(|_| frame[place(random)] ^= 1 << random.below(8)),
            2 => frame[place(random)] = random.pick(&[0, 1, 0x7f, 0x80, 0xff, 4, 6, 17, 44, 58, 60, 0x45, 0x60]),
            3 => frame[place(random)] = random.next() as u8,
            4 => {
                // A length, a port or a type.
                let at = place(random);
                let value: u16 =
                    random.pick(&[0, 1, 7, 8, 19, 20, 40, 445, 2049, 3260, 4420, 4791, 0x0806, 0x86dd, 0x8906, 0xffff]);
                frame.splice(at..(at + 2).min(len), value.to_be_bytes());
            }
            5 => frame.truncate(place(random)),
            6 => frame.truncate(random.below(len)),
            7 => (0..random.below(64)).for_each(|_| frame.push(random.next() as u8)),
            8 => frame.resize(len + random.below(1600), random.next() as u8),
            9 => {
                // The end of another frame.
                let other = random.below(self.bodies.len());
                let other = &self.bodies[other];
                frame.truncate(place(random));
                frame.extend(&other[random.below(other.len())..]);
            }
            10 => {
                // One tag more.
                let kind = random.pick(&[0x8100_u16, 0x8100, 0x88a8, 0x9100]);
                let tag = random.pick(&self.tags);
                let [a, b] = kind.to_be_bytes();
                let [c, d] = tag.to_be_bytes();
                let at = len.min(12);
                frame.splice(at..at, [a, b, c, d]);
            }
            _ => {
                let from = random.pick(&[0, 12, 14, headers.min(len)]).min(len);
                frame[from..].iter_mut().for_each(|byte| *byte = random.next() as u8);
            }
        }
    }
}

/// One of each kind, from the ethertype on.
fn bodies() -> Vec<Vec<u8>> {
    let own6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x33);
    let frame = || Frame::ethernet(mac(0x33), mac(0x11));
    let v4 = || frame().ipv4([10, 0, 0, 33], [10, 0, 0, 2]);
    let v4_other = || frame().ipv4([10, 0, 0, 34], [10, 0, 0, 2]);
    let v6 = || frame().ipv6(own6, [0xfe; 16]);
    let nd = || v6().protocol(IpProtocol::ICMPV6).ttl(255);
    let mut frames = vec![
        frame().padded(),
        frame().ether_type(EtherType(46)).payload([0xaa; 46]),
        frame().ether_type(EtherType::LLDP).payload([2, 7, 4, 0, 0, 0, 0, 0, 0, 0]),
        frame().ether_type(EtherType::SLOW).payload([1; 46]),
        frame().ether_type(EtherType::MAC_CONTROL).header::<Pause>(|_| ()).padded(),
        frame().ether_type(EtherType::MAC_CONTROL).header::<Pfc>(|pfc| pfc.set_time(3, Some(9))).padded(),
        frame().arp_request([10, 0, 0, 33], [10, 0, 0, 2]),
        frame().arp_request([10, 0, 0, 34], [10, 0, 0, 2]).padded(),
        frame().arp(Operation::REPLY, (mac(0x11), [10, 0, 0, 33]), (mac(0x21), [10, 0, 0, 2])),
        v4().icmp_echo(1, 1).payload([1; 56]),
        v4().tcp(40_000, 443).payload([2; 1400]),
        v4().tcp(40_000, 80),
        v4_other().udp(53, 40_000).payload([3; 100]),
        v4().udp(68, 67).payload([4; 300]),
        v4().protocol(IpProtocol(47)).payload([5; 40]),
        v6().udp(40_000, 443).payload([6; 900]),
        v6().tcp(40_000, 22),
        v6().icmpv6_echo(1, 1).payload([7; 56]),
        v6().neighbor_solicitation([0xfe; 16]),
        v6().neighbor_advertisement(own6),
        nd().header::<NeighborSolicitation>(|ns| ns.set_target(own6)),
        nd().header::<NeighborAdvertisement>(|na| na.set_target([9; 16].into())),
        nd().header::<RouterAdvertisement>(|_| ()),
        nd().header::<RouterSolicitation>(|_| ()),
        nd().header::<Redirect>(|_| ()),
        frame().ipv6([9; 16], [0xfe; 16]).protocol(IpProtocol::ICMPV6).header::<RouterSolicitation>(|_| ()),
        frame()
            .ipv6([0; 16], [0xff; 16])
            .header::<NeighborSolicitation>(|ns| ns.set_target(own6))
            .protocol(IpProtocol::ICMPV6),
        frame().fcoe(0x01_02_03, 0x04_05_06, &[0; 32]),
        frame().fcoe(0x01_02_03, 0x04_05_06, &[0; 1400]),
        frame().fip(fip::Operation::DISCOVERY, 1),
        frame().fip(fip::Operation::VLAN, 1),
        frame().aoe(1, 2),
        frame().roce_v1(5),
        v4().roce_v2(5),
        v6().roce_v2(5),
        v4().udp(2049, 700).payload([8; 200]),
        v4().tcp(50_000, 8009),
        v4().tcp(6800, 50_000),
        v4().tcp(3260, 2049),
    ];
    for ip in [v4(), v6(), v4_other()] {
        frames.extend([ip.clone().iscsi(), ip.clone().nvme_tcp(), ip.clone().nfs(), ip.clone().smb(), ip.ceph()]);
    }
    let mut bodies: Vec<_> = frames.into_iter().map(|frame| frame.build().split_off(12)).collect();
    // Fragments of some, extension headers before others, and some behind LLC or another kind of tag.
    for at in 0..bodies.len() {
        if at % 4 == 0 {
            let snap = [0xaa, 0xaa, 3, 0, 0, 0];
            let len = (bodies[at].len() + snap.len()).min(1500) as u16;
            bodies.push([len.to_be_bytes().as_slice(), &snap, &bodies[at]].concat());
            bodies.push([[0x91, 0, 0, 7].as_slice(), &bodies[at]].concat());
        }
        match bodies[at][..2] {
            [0x08, 0x00] => {
                for field in [0x2000_u16, 0x2008, 0x0008] {
                    let mut piece = bodies[at].clone();
                    piece[8..10].copy_from_slice(&field.to_be_bytes());
                    bodies.push(piece);
                }
            }
            [0x86, 0xdd] => {
                for (kind, header) in
                    [(60, [0, 1, 4, 0, 0, 0, 0]), (44, [0, 0, 1, 0, 0, 0, 7]), (44, [0, 0, 9, 0, 0, 0, 7])]
                {
                    let mut longer = bodies[at].clone();
                    let next = std::mem::replace(&mut longer[8], kind);
                    longer.splice(42..42, [[next].as_slice(), &header].concat());
                    let len = u16::from_be_bytes([longer[6], longer[7]]) + 8;
                    longer[6..8].copy_from_slice(&len.to_be_bytes());
                    bodies.push(longer);
                }
            }
            _ => {}
        }
    }
    bodies
}

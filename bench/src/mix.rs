//! The traffic that the gateway is measured with, and the configuration it crosses.
//!
//! 64 adapters stand on one link or four: 32 vNICs in four networks and 32 vHBAs in four storage
//! networks, half of them with the tag of their network, a quarter with another, a quarter untagged.
//! Behind the two uplinks are 224 more stations, so there are 288 destinations. Every storage protocol
//! that the gateway knows is in the mix, and what a network carries besides.

use crate::lookup::Random;
use iogate::packet::{EtherType, IpProtocol, MacAddr, Stamp};
use iogate::testkit::{Frame, write_pcap};
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

const ADAPTERS: usize = 64;
/// Networks; the second half are storage networks.
const NETWORKS: usize = 8;
/// Stations behind the uplinks, in each network.
const REMOTE: usize = 28;
/// Frames to each destination, from all links together.
const ROUNDS: usize = 8;

/// How long frames are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sizes {
    /// 64 bytes each, as DPDK counts; 66 where IPv6, UDP and a tag leave no choice.
    Small,
    /// 60 bytes each, which are 64 with FCS: the smallest of Ethernet. Tagged IPv6 and RoCE v2 do not fit,
    /// so there is UDP over IPv4 and RoCE v1 instead.
    Smallest,
    /// 64, 590 and 1514 bytes, as 7 to 4 to 1.
    Imix,
}

/// Where frames come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    /// The servers: all that the gateway checks.
    Servers,
    /// The uplinks.
    Uplinks,
}

#[derive(Clone, Copy)]
struct Station {
    network: usize,
    mac: MacAddr,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    /// On its link, 0 for none.
    tag: u16,
}

/// Adapter `number` of 64.
fn adapter(number: usize) -> Station {
    let network = number % NETWORKS;
    let tag = match network % 4 {
        0 => 0,
        1 => 1000 + network as u16,
        _ => 101 + network as u16,
    };
    Station { tag, ..station(network, 1, number + 1) }
}

/// Station `number` behind the uplink of a network.
fn remote(network: usize, number: usize) -> Station {
    station(network, 2, number + 1)
}

fn station(network: usize, kind: u8, number: usize) -> Station {
    let (net, low) = (network as u8, number as u8);
    Station {
        network,
        mac: MacAddr::new([2, 0x49, 0x4f, kind, net, low]),
        v4: Ipv4Addr::new(10, net, kind, low),
        v6: Ipv6Addr::new(0xfd00, 0, 0, u16::from(net), 0, 0, u16::from(kind), u16::from(low)),
        tag: 0,
    }
}

/// VLAN of a network on its uplink; the last network of each kind has none.
fn vlan(network: usize) -> u16 {
    if network % 4 == 3 { 0 } else { 101 + network as u16 }
}

/// The adapters on one of several links.
fn on_link(link: usize, links: usize) -> impl Iterator<Item = Station> {
    let each = ADAPTERS / links;
    (link * each..(link + 1) * each).map(adapter)
}

/// The gateway's configuration, with every check on and so many links.
pub(crate) fn config(links: usize) -> String {
    let mut text = String::from(
        "schema = 1\n[gateway]\nname = \"bench\"\nmtu = 1518\n\
         [[policy]]\nname = \"strict\"\nantispoof = { arp = true, nd = true, ip = true }\n",
    );
    let mut add = |block: std::fmt::Arguments<'_>| text.write_fmt(block).expect("a string grows");
    for link in 0..links {
        add(format_args!("[[link]]\nname = \"link{link}\"\nport = \"null:no-rx={link}\"\n"));
    }
    for (name, kind) in [("lan", "network"), ("san", "storage")] {
        add(format_args!("[[uplink]]\nname = \"{name}\"\nport = \"null:size={}\"\nkind = \"{kind}\"\n", name.len()));
        add(format_args!("[[uplink_group]]\nname = \"{name}\"\nkind = \"{kind}\"\nmembers = [\"{name}\"]\n"));
    }
    for network in 0..NETWORKS {
        let group = if network < NETWORKS / 2 { "lan" } else { "san" };
        let vlan = vlan(network);
        add(format_args!("[[network]]\nname = \"n{network}\"\nvlan = {vlan}\nuplink = \"{group}\"\n"));
    }
    for number in 0..ADAPTERS {
        let Station { network, mac, v4, v6, tag } = adapter(number);
        let kind = if network < NETWORKS / 2 { "vnic" } else { "vhba" };
        add(format_args!("[[{kind}]]\nname = \"a{number}\"\nlink = \"link{}\"\n", number / (ADAPTERS / links)));
        add(format_args!(
            "mac = \"{mac}\"\nnetwork = \"n{network}\"\nips = [\"{v4}\", \"{v6}\"]\npolicy = \"strict\"\n"
        ));
        if tag != 0 {
            add(format_args!("tag = {tag}\n"));
        }
        if kind == "vhba" {
            let all = r#"["fcoe", "iscsi", "nvme-tcp", "roce", "aoe", "nfs", "smb", "ceph"]"#;
            add(format_args!("protocol = {all}\n"));
        }
    }
    text
}

/// Writes a capture for each port that frames come from; returns the ports' names and the files.
pub(crate) fn captures(folder: &Path, links: usize, from: From, sizes: Sizes) -> io::Result<Vec<(String, PathBuf)>> {
    let ports: Vec<(String, Vec<Vec<u8>>)> = match from {
        From::Servers => (0..links).map(|link| (format!("link{link}"), from_link(link, links, sizes))).collect(),
        From::Uplinks => {
            let (lan, san) = (0..NETWORKS / 2, NETWORKS / 2..NETWORKS);
            vec![("lan".to_owned(), from_uplink(lan, sizes)), ("san".to_owned(), from_uplink(san, sizes))]
        }
    };
    let write = |(name, frames): (String, Vec<Vec<u8>>)| {
        let path = folder.join(format!("{name}-of-{links}-{from:?}-{sizes:?}.pcap").to_lowercase());
        write_pcap(&path, frames).map(|()| (name, path))
    };
    ports.into_iter().map(write).collect()
}

/// To each of the 288 destinations, from the adapters of its network on this link.
fn from_link(link: usize, links: usize, sizes: Sizes) -> Vec<Vec<u8>> {
    let locals = (0..ADAPTERS).map(adapter);
    let remotes = (0..NETWORKS).flat_map(|network| (0..REMOTE).map(move |number| remote(network, number)));
    let destinations: Vec<Station> = locals.chain(remotes).collect();
    let mut maker = Maker::new(sizes, link as u64 + 1);
    let mut frames = Vec::new();
    for round in 0..ROUNDS / links {
        for to in &destinations {
            let senders: Vec<Station> =
                on_link(link, links).filter(|own| own.network == to.network && own.mac != to.mac).collect();
            let sender = senders[round % senders.len()];
            frames.push(maker.frame(sender, *to, sender.tag));
        }
    }
    maker.shuffled(frames)
}

/// The smallest frames from one link with all servers, and whether the last 16 bytes of each are padding or payload.
pub(crate) fn smallest_frames() -> Vec<(Vec<u8>, bool)> {
    let frames = from_link(0, 1, Sizes::Smallest);
    frames
        .into_iter()
        .map(|frame| {
            let free = frame.len() - headers_of(&frame) >= Stamp::LEN;
            (frame, free)
        })
        .collect()
}

/// Bytes of the headers that [`Maker`] puts in front.
fn headers_of(frame: &[u8]) -> usize {
    let tag = usize::from(frame[12..14] == EtherType::VLAN.0.to_be_bytes()) * 4;
    let above = 14 + tag;
    match EtherType(u16::from_be_bytes([frame[above - 2], frame[above - 1]])) {
        EtherType::IPV4 if frame[above + 9] == IpProtocol::UDP.0 => above + 28,
        EtherType::ARP => above + 28,
        EtherType::IPV4 => above + 40,
        EtherType::IPV6 => above + 60,
        EtherType::AOE => above + 10,
        _ => above,
    }
}

/// From each station behind an uplink, to four adapters of its network.
fn from_uplink(networks: std::ops::Range<usize>, sizes: Sizes) -> Vec<Vec<u8>> {
    let mut maker = Maker::new(sizes, networks.end as u64);
    let mut frames = Vec::new();
    for network in networks {
        let inside: Vec<Station> = (0..ADAPTERS).map(adapter).filter(|station| station.network == network).collect();
        for (number, to) in (0..REMOTE * 4).zip(inside.iter().cycle()) {
            frames.push(maker.frame(remote(network, number / 4), *to, vlan(network)));
        }
    }
    maker.shuffled(frames)
}

struct Maker {
    sizes: Sizes,
    random: Random,
    /// Frames made so far: network's and storage's.
    made: [usize; 2],
}

const CLIENT: u16 = 49_152;

impl Maker {
    fn new(sizes: Sizes, seed: u64) -> Self {
        Maker { sizes, random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)), made: [0; 2] }
    }

    fn frame(&mut self, from: Station, to: Station, tag: u16) -> Vec<u8> {
        let storage = from.network >= NETWORKS / 2;
        let made = &mut self.made[usize::from(storage)];
        *made += 1;
        let size = match (self.sizes, *made * 5 % 12) {
            (Sizes::Smallest, _) => 60,
            (Sizes::Small, _) | (_, 0..7) => 64,
            (_, 7..11) => 590,
            _ => 1514,
        };
        let ethernet = Frame::ethernet(from.mac, to.mac);
        let ethernet = if tag == 0 { ethernet } else { ethernet.vlan(tag) };
        let v4 = || ethernet.clone().ipv4(from.v4, to.v4);
        let v6 = || ethernet.clone().ipv6(from.v6, to.v6);
        let frame = match (storage, *made % if storage { 11 } else { 7 }) {
            (true, 0) => ethernet.clone().ether_type(EtherType::FCOE),
            (true, 1) => ethernet.clone().ether_type(EtherType::FIP),
            (true, 2) => v4().tcp(CLIENT, 3260),
            (true, 3) => v4().tcp(CLIENT, 4420),
            (true, 4) => ethernet.clone().ether_type(EtherType::ROCE),
            (true, 5) if size == 60 => ethernet.clone().ether_type(EtherType::ROCE),
            (true, 5) => v4().roce_v2(7),
            (true, 6) => ethernet.clone().aoe(1, 2),
            (true, 7) => v4().tcp(CLIENT, 2049),
            (true, 8) => v4().tcp(CLIENT, 445),
            (true, 9) => v4().tcp(CLIENT, 3300),
            (false, 0) => v4().tcp(CLIENT, 80),
            (false, 1) => v4().tcp(443, CLIENT),
            (false, 2) => v4().udp(CLIENT, 53),
            (false, 3) => v4().icmp_echo(1, 1),
            (false, 4) if size == 60 => v4().udp(CLIENT, 443),
            (false, 4) => v6().udp(CLIENT, 443),
            // Zeros behind it must be padding, not options.
            (false, 5) if size > 64 => return v6().neighbor_advertisement(from.v6).padded_to(size).build(),
            (false, 5) => v4().udp(CLIENT, 4500),
            // Both kinds of networks resolve addresses.
            _ => ethernet.clone().arp_reply(from.v4, to.v4),
        };
        let headers = frame.clone().build().len();
        match headers < size {
            true => frame.payload(vec![0; size - headers]).padded_to(size).build(),
            false => frame.build(),
        }
    }

    fn shuffled(mut self, mut frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        for at in (1..frames.len()).rev() {
            frames.swap(at, self.random.below(at + 1));
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_configuration_is_one() {
        let config =
            iogate_gateway::config::parse(&config(4), Path::new("bench.toml")).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((config.adapters.len(), config.links.len(), config.uplinks.len()), (64, 4, 2));
    }

    #[test]
    fn small_frames_are_small_and_go_everywhere() {
        let frames: Vec<_> = (0..4).flat_map(|link| from_link(link, 4, Sizes::Small)).collect();
        assert!(frames.iter().all(|frame| frame.len() == 64 || frame.len() == 66));
        let destinations: HashSet<_> = frames.iter().map(|frame| frame[..6].to_vec()).collect();
        let sources: HashSet<_> = frames.iter().map(|frame| frame[6..12].to_vec()).collect();
        assert_eq!((destinations.len(), sources.len()), (288, 64));
    }

    #[test]
    fn smallest_frames_are_and_some_have_room_for_a_time() {
        let frames = smallest_frames();
        assert!(frames.iter().all(|(frame, _)| frame.len() == 60));
        assert!(frames.iter().filter(|(_, free)| *free).count() > frames.len() / 4);
    }

    #[test]
    fn imix_has_its_three_sizes() {
        let frames = from_uplink(0..4, Sizes::Imix);
        let count = |size| frames.iter().filter(|frame| frame.len() == size).count();
        assert_eq!(count(590) / count(1514), 4);
    }
}

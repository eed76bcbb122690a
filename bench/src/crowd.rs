//! A gateway with as many vNICs, flows and ports as asked for, and frames for it.

use crate::lookup::Random;
use iogate::packet::MacAddr;
use iogate::testkit::{Frame, write_pcap};
use iogate_gateway::config::model::{Adapter, Config};
use std::fmt::Write as _;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

const NETWORKS: usize = 8;
/// A configuration may have so many. More are put into its model by [`add_vnics`].
const MOST_CONFIGURED: usize = 4096;
/// There are at least so many frames.
const FEWEST_FRAMES: usize = 4096;

/// How many of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowd {
    /// 1 to 65,536, spread over the links and over eight networks.
    pub(crate) vnics: usize,
    pub(crate) links: usize,
    /// 1 or 2, each a group of its own.
    pub(crate) uplinks: usize,
    /// Different (addresses, ports); nothing: as many as there are frames.
    pub(crate) flows: Option<usize>,
}

impl Crowd {
    fn frames(self) -> usize {
        FEWEST_FRAMES.max(self.vnics).max(self.flows.unwrap_or(0))
    }

    /// The gateway's configuration: every check is on, and everybody has a tag.
    pub(crate) fn config(self) -> String {
        let mut text = String::from(
            "schema = 1\n[gateway]\nname = \"crowd\"\nmtu = 1518\n\
             [[policy]]\nname = \"strict\"\nantispoof = { arp = true, nd = true, ip = true }\n",
        );
        let mut add = |block: std::fmt::Arguments<'_>| text.write_fmt(block).expect("a string grows");
        for uplink in 0..self.uplinks {
            add(format_args!(
                "[[uplink]]\nname = \"lan{uplink}\"\nport = \"null:size={}\"\nkind = \"network\"\n\
                 [[uplink_group]]\nname = \"lan{uplink}\"\nkind = \"network\"\nmembers = [\"lan{uplink}\"]\n",
                100 + uplink
            ));
        }
        for link in 0..self.links {
            add(format_args!("[[link]]\nname = \"link{link}\"\nport = \"null:no-rx={link}\"\n"));
        }
        for network in 0..NETWORKS {
            let (vlan, uplink) = (101 + network, network % self.uplinks);
            add(format_args!("[[network]]\nname = \"n{network}\"\nvlan = {vlan}\nuplink = \"lan{uplink}\"\n"));
        }
        for number in 0..self.vnics.min(MOST_CONFIGURED) {
            let (link, network, tag) = (number % self.links, number % NETWORKS, tag(number));
            let (mac, ip) = (mac(number), ip(number));
            add(format_args!(
                "[[vnic]]\nname = \"v{number}\"\nlink = \"link{link}\"\nmac = \"{mac}\"\nnetwork = \"n{network}\"\n\
                 ips = [\"{ip}\"]\npolicy = \"strict\"\ntag = {tag}\n"
            ));
        }
        text
    }

    /// Writes a capture for each link; returns the links' names and the files.
    pub(crate) fn captures(self, folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
        let mut by_link = vec![Vec::new(); self.links];
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let frames = self.frames();
        let mut order: Vec<usize> = (0..frames).collect();
        for at in (1..frames).rev() {
            order.swap(at, random.below(at + 1));
        }
        for number in order {
            let flow = number % self.flows.unwrap_or(frames);
            let from = flow % self.vnics;
            by_link[from % self.links].push(self.frame(flow, from));
        }
        let write = |(link, frames): (usize, Vec<Vec<u8>>)| {
            let path = folder.join(format!("{}-{}-{:?}-link{link}.pcap", self.vnics, self.links, self.flows));
            write_pcap(&path, frames).map(|()| (format!("link{link}"), path))
        };
        by_link.into_iter().enumerate().filter(|(_, frames)| !frames.is_empty()).map(write).collect()
    }

    /// Every other flow goes to a vNIC of the same network, if there is another; the rest goes up.
    fn frame(self, flow: usize, from: usize) -> Vec<u8> {
        let neighbours = self.vnics / NETWORKS;
        let local = (flow / self.vnics + from / NETWORKS).is_multiple_of(2) && neighbours > 1;
        let (mac_to, ip_to) = if local {
            let to = (from + NETWORKS * (1 + flow % (neighbours - 1))) % (neighbours * NETWORKS);
            (mac(to), ip(to))
        } else {
            let [_, b, c, d] = (flow as u32).to_be_bytes();
            (MacAddr::new([2, 0x53, 0, b, c, d]), Ipv4Addr::new(198, 18 + (b & 1), c, d))
        };
        let (src, dst) = (1024 + (flow / 7 % 60_000) as u16, 5000 + (flow % 1000) as u16);
        let ip = Frame::ethernet(mac(from), mac_to).vlan(tag(from)).ipv4(ip(from), ip_to);
        ip.udp(src, dst).payload([0; 18]).padded_to(64).build()
    }
}

/// Adds vNICs to those of a crowd's configuration until there are `count`, all alike but for their addresses.
pub(crate) fn add_vnics(config: &mut Config, count: usize) {
    for number in config.adapters.len()..count {
        let alike = config.adapters[number % NETWORKS].clone();
        config.adapters.push(Adapter { mac: mac(number), ips: vec![ip(number).into()], ..alike });
    }
}

fn tag(number: usize) -> u16 {
    1001 + (number % NETWORKS) as u16
}

fn mac(number: usize) -> MacAddr {
    let [.., c, d] = (number as u32).to_be_bytes();
    MacAddr::new([2, 0x49, 0x4f, 0x43, c, d])
}

fn ip(number: usize) -> Ipv4Addr {
    let [.., c, d] = (number as u32).to_be_bytes();
    Ipv4Addr::new(10, 7, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iogate::testkit::read_pcap;
    use std::collections::HashSet;

    #[test]
    fn there_are_as_many_as_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        for (vnics, links, uplinks, flows) in
            [(1, 1, 2, Some(1)), (64, 6, 2, Some(100)), (64, 1, 1, Some(5000)), (1024, 2, 2, None)]
        {
            let crowd = Crowd { vnics, links, uplinks, flows };
            let config = iogate_gateway::config::parse(&crowd.config(), Path::new("crowd.toml"));
            let mut config = config.unwrap_or_else(|e| panic!("{e}"));
            add_vnics(&mut config, vnics);
            assert_eq!((config.adapters.len(), config.ports().count()), (vnics, links + uplinks));
            let captures = crowd.captures(folder.path()).unwrap();
            let frames: Vec<_> = captures.iter().flat_map(|(_, file)| read_pcap(file).unwrap()).collect();
            assert!(frames.iter().all(|frame| frame.len() == 64));
            let tuple = |frame: &Vec<u8>| (frame[..12].to_vec(), frame[30..42].to_vec());
            let different = frames.iter().map(tuple).collect::<HashSet<_>>().len();
            assert_eq!((captures.len(), different), (links.min(vnics), flows.unwrap_or(frames.len())), "{crowd:?}");
        }
    }
}

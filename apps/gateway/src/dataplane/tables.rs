//! What the data path looks things up in: made from the configuration, never changed, swapped whole.

use super::addresses::{Addresses, Scope, UNTAGGED};
use super::classifier::Classifier;
use super::tag::Tag;
use crate::config::model::{AdapterKind, AntiSpoof, Config, GroupMode, Protocol, ProtocolSet, Side, UplinkId};
use iogate::memory::prefer_huge_pages;
use iogate::packet::vlan::TAG_LEN;
use iogate::packet::{Ethernet, MacAddr};
use std::net::IpAddr;

/// Where packets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// The link with this index.
    Link(usize),
    /// The uplink with this index.
    Uplink(usize),
}

/// One network of one adapter, with the tag it has on the link: all that is asked of the sender of a
/// frame, on one cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Attachment {
    /// The first IPv6 address that it may use, as it stands in a frame, or 0.
    pub first_ipv6: u128,
    /// The first IPv4 address, likewise.
    pub first_ipv4: u32,
    /// Addresses it may use; empty is any.
    pub ips: Box<[IpAddr]>,
    /// The adapter's index.
    pub adapter: u16,
    /// The network's index.
    pub network: u16,
    /// The storage protocols it may not speak, a bit each.
    pub forbidden: u16,
    /// Where its frames go out.
    pub outlet: u16,
    /// Its tag on the link, or [`UNTAGGED`].
    pub vlan: u16,
    /// Its address.
    pub mac: MacAddr,
    /// Whether it may have other addresses besides, for FCoE and FIP: see [`Tables::with_logins`].
    pub logs_in: bool,
    /// Which sender addresses are checked.
    pub antispoof: AntiSpoof,
    /// Whether any is.
    pub checked: bool,
    /// Whether it is set up.
    pub up: bool,
}

/// Where a frame may go: to an attachment, or out of a network's uplink. All that is asked of it with
/// every frame.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
pub(super) struct Way {
    /// The tag there.
    pub(super) tag: Tag,
    /// The outlet: those of links first, then those of uplinks.
    pub(super) outlet: u16,
    /// The storage protocols that may not go there, a bit each.
    pub(super) forbidden: u16,
    /// Whether anything may.
    pub(super) open: bool,
}

/// What of a [`Network`] holds for every frame in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) mtu: u16,
    pub(super) payload: u16,
    pub(super) side: Side,
}

/// A broadcast domain.
#[derive(Clone, Debug)]
pub struct Network {
    /// What it carries.
    pub side: Side,
    /// Longest frame, bytes, tags included.
    pub mtu: u16,
    /// Longest payload, bytes: what fits in such a frame with the tag that it has anywhere.
    pub payload: u16,
    /// Its VLAN on the uplinks, or [`UNTAGGED`].
    pub vlan: u16,
    /// The uplinks it may use, the preferred one first.
    pub uplinks: Vec<UplinkId>,
    /// Its attachments, those with the same tag next to each other, and among them those on the same
    /// link.
    pub members: Vec<u32>,
}

/// Size of [`Tables::addresses`], bytes, from which on tables are large.
const LARGE: usize = 256 << 10;

/// No network.
pub const NO_NETWORK: u16 = u16::MAX;

/// Everything the data path looks up, but for what the links' state decides: see [`Active`].
#[derive(Clone, Debug)]
pub struct Tables {
    /// Sources on links, and stations in networks; the values are attachments.
    pub addresses: Addresses,
    /// Attachments of all adapters.
    pub attachments: Vec<Attachment>,
    /// Networks.
    pub networks: Vec<Network>,
    /// By network.
    limits: Box<[Limits]>,
    /// By attachment: the way to it.
    ways: Vec<Way>,
    /// What frames are.
    pub classifier: Classifier,
    /// How many links there are: their outlets stand before the uplinks'.
    pub links: usize,
    /// By uplink and VLAN: the network.
    uplink_networks: Vec<Box<[u16]>>,
    /// By uplink and VLAN: whether the other fabric has a network there.
    uplink_other_fabric: Vec<Vec<u16>>,
    /// By link: the tags in use.
    link_vlans: Vec<Vec<u16>>,
}

impl Tables {
    /// For a configuration. Outlets are numbered links first, then uplinks.
    pub fn new(config: &Config) -> Self {
        let (mut attachments, mut ways) = (Vec::new(), Vec::new());
        let mut link_vlans = vec![Vec::new(); config.links.len()];
        for (id, adapter) in config.adapters() {
            let link = adapter.link.index();
            for attachment in &adapter.attachments {
                let vlan = attachment.tag.map_or(UNTAGGED, |tag| tag.get());
                let network = attachment.network.index();
                link_vlans[link].push(vlan);
                let AntiSpoof { arp, nd, ip } = adapter.antispoof;
                let forbidden = match adapter.kind {
                    AdapterKind::Vnic => 0,
                    AdapterKind::Vhba { protocols } => forbidden(protocols),
                };
                ways.push(Way { tag: Tag::new(vlan), outlet: link as u16, forbidden, open: adapter.up });
                attachments.push(Attachment {
                    first_ipv6: adapter.ips.iter().find_map(|ip| ipv6(*ip)).unwrap_or(0),
                    first_ipv4: adapter.ips.iter().find_map(|ip| ipv4(*ip)).unwrap_or(0),
                    ips: adapter.ips.clone().into(),
                    adapter: id.index() as u16,
                    network: network as u16,
                    forbidden,
                    mac: adapter.mac,
                    antispoof: adapter.antispoof,
                    checked: arp || nd || ip,
                    up: adapter.up,
                    outlet: link as u16,
                    vlan,
                    logs_in: matches!(adapter.kind, AdapterKind::Vhba { protocols } if protocols.contains(Protocol::Fcoe)),
                });
            }
        }
        let (mut networks, mut limits) = (Vec::new(), Vec::new());
        for (index, network) in config.networks.iter().enumerate() {
            let mut members: Vec<u32> = (0..attachments.len() as u32)
                .filter(|at| usize::from(attachments[*at as usize].network) == index)
                .collect();
            members.sort_by_key(|at| (ways[*at as usize].tag.vlan(), ways[*at as usize].outlet));
            let vlan = network.vlan.map_or(UNTAGGED, |vlan| vlan.get());
            let tags = members.iter().map(|at| ways[*at as usize].tag.vlan()).chain([vlan]);
            let tag_len = if tags.max() == Some(UNTAGGED) { 0 } else { TAG_LEN };
            let payload = network.mtu.saturating_sub((size_of::<Ethernet>() + tag_len) as u16);
            limits.push(Limits { mtu: network.mtu, payload, side: network.kind });
            let (side, mtu) = (network.kind, network.mtu);
            networks.push(Network { side, mtu, payload, vlan, uplinks: Vec::new(), members });
        }
        let mut uplink_networks = vec![vec![NO_NETWORK; 4096].into_boxed_slice(); config.uplinks.len()];
        let mut uplink_other_fabric = vec![Vec::new(); config.uplinks.len()];
        for (id, network) in config.networks() {
            let model = &mut networks[id.index()];
            model.uplinks = config.uplinks_of(id).to_vec();
            for uplink in &model.uplinks {
                uplink_networks[uplink.index()][usize::from(model.vlan)] = id.index() as u16;
            }
            if let GroupMode::DualFabric { .. } = config.group(network.group).mode {
                for other in config.group(network.group).members().filter(|uplink| !model.uplinks.contains(uplink)) {
                    uplink_other_fabric[other.index()].push(model.vlan);
                }
            }
        }
        prefer_huge_pages(&attachments);
        Tables {
            addresses: addresses(&attachments, &[]),
            attachments,
            networks,
            limits: limits.into(),
            ways,
            classifier: Classifier::new(config),
            links: config.links.len(),
            uplink_networks,
            uplink_other_fabric,
            link_vlans,
        }
    }

    /// The same with addresses that attachments have besides their own.
    #[must_use]
    pub fn with_logins(&self, logins: &[(u32, MacAddr)]) -> Self {
        let tables = Tables { addresses: addresses(&self.attachments, logins), ..self.clone() };
        prefer_huge_pages(&tables.attachments);
        tables
    }

    /// The attachment number `number`, which came out of [`Tables::addresses`].
    #[inline]
    pub fn attachment(&self, number: u32) -> &Attachment {
        &self.attachments[number as usize]
    }

    /// What holds for every frame in a network.
    #[inline]
    pub(super) fn limits(&self, network: u16) -> Limits {
        self.limits[usize::from(network)]
    }

    /// Whether the tables are so large that it pays to fetch what a batch needs beforehand: more than stays
    /// in a second-level cache.
    #[inline]
    pub(super) fn large(&self) -> bool {
        self.addresses.size() > LARGE
    }

    /// All ways while these uplinks are active: to each attachment, then out of the uplink of each network,
    /// and one that is none.
    pub(super) fn ways(&self, active: &Active) -> Box<[Way]> {
        let out = |(network, uplink): (&Network, &u16)| {
            let (tag, open) = (Tag::new(network.vlan), *uplink != NO_UPLINK);
            Way { tag, outlet: (self.links as u16).saturating_add(*uplink), forbidden: 0, open }
        };
        let none = Way { tag: Tag::new(UNTAGGED), outlet: 0, forbidden: 0, open: false };
        let out = self.networks.iter().zip(&active.0).map(out);
        self.ways.iter().copied().chain(out).chain([none]).collect()
    }

    /// The number of the way out of a network's uplink.
    #[inline]
    pub(super) fn way_out(&self, network: u16) -> u32 {
        self.attachments.len() as u32 + u32::from(network)
    }

    /// The number of the way that is none.
    #[inline]
    pub(super) fn no_way(&self) -> u32 {
        (self.attachments.len() + self.networks.len()) as u32
    }

    /// The network that a VLAN on an uplink belongs to, or [`NO_NETWORK`].
    #[inline]
    pub fn uplink_network(&self, uplink: usize, vlan: u16) -> u16 {
        self.uplink_networks[uplink].get(usize::from(vlan)).copied().unwrap_or(NO_NETWORK)
    }

    /// Whether a VLAN that an uplink does not have is one of its group's other fabric.
    pub fn is_other_fabric(&self, uplink: usize, vlan: u16) -> bool {
        self.uplink_other_fabric[uplink].contains(&vlan)
    }

    /// Whether any adapter on a link has this tag.
    pub fn link_has_vlan(&self, link: usize, vlan: u16) -> bool {
        self.link_vlans[link].contains(&vlan)
    }
}

/// Each attachment by its address on the link and in the network. Of two with one address, the first has it.
fn addresses(attachments: &[Attachment], logins: &[(u32, MacAddr)]) -> Addresses {
    let own = (0..).zip(attachments).map(|(number, attachment)| (number, attachment.mac));
    let both = own.chain(logins.iter().copied()).flat_map(|(number, mac)| {
        let at = &attachments[number as usize];
        let (link, network) = (Scope::link(at.outlet.into()), Scope::network(at.network.into()));
        [(link, at.vlan, mac, number), (network, UNTAGGED, mac, number)]
    });
    Addresses::new(&both.collect::<Vec<_>>())
}

/// A bit for each protocol that is not in the set.
fn forbidden(protocols: ProtocolSet) -> u16 {
    let others = Protocol::ALL.into_iter().filter(|protocol| !protocols.contains(*protocol));
    others.fold(0, |bits, protocol| bits | 1 << protocol as u16)
}

/// An IPv4 address as it stands in a frame.
fn ipv4(ip: IpAddr) -> Option<u32> {
    match ip {
        IpAddr::V4(ip) => Some(u32::from_le_bytes(ip.octets())),
        IpAddr::V6(_) => None,
    }
}

/// An IPv6 address as it stands in a frame.
fn ipv6(ip: IpAddr) -> Option<u128> {
    match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => Some(u128::from_le_bytes(ip.octets())),
    }
}

/// No uplink.
pub const NO_UPLINK: u16 = u16::MAX;

/// By network: the uplink it uses now, or [`NO_UPLINK`]. Swapped when a link's state changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active(pub Vec<u16>);

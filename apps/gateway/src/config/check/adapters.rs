//! The rules of vNICs and vHBAs: what they are on, by which address and tag, and what they may speak.

use std::collections::{HashMap, HashSet};

use iogate::packet::MacAddr;

use super::{Names, numbered};
use crate::config::classes::{Classes, arp};
use crate::config::model::{
    Adapter, AdapterKind, AntiSpoof, Attachment, LinkId, Network, NetworkId, Protocol, Side, Vid,
};
use crate::config::problem::quoted;
use crate::config::raw::{self, RawAdapter, RawAttach, RawNetwork, RawPolicy, RawPort, Ref, protocol_set};
use crate::config::read::Table;

/// The adapters of the file and their policies.
pub(super) struct Raw<'a> {
    policies: Vec<RawPolicy<'a>>,
    pub(super) adapters: Vec<RawAdapter<'a>>,
}

impl<'a> Raw<'a> {
    pub(super) fn read(root: &Table<'a>) -> Self {
        let policies = root.objects("policy").into_iter().map(raw::policy).collect();
        let mut adapters: Vec<_> = root.objects("vnic").into_iter().map(raw::vnic).collect();
        adapters.extend(root.objects("vhba").into_iter().map(raw::vhba));
        Self { policies, adapters }
    }
}

/// What adapters refer to.
struct Around<'a> {
    links: &'a [RawPort<'a>],
    link_names: Names<'a, LinkId>,
    networks: &'a [RawNetwork<'a>],
    /// `None` for those with problems of their own.
    checked: &'a [Option<Network>],
    network_names: Names<'a, NetworkId>,
    policies: Names<'a, AntiSpoof>,
    classes: Option<&'a Classes>,
}

pub(super) fn check(
    raw: &Raw<'_>,
    links: &[RawPort<'_>],
    networks: &[RawNetwork<'_>],
    checked: &[Option<Network>],
    classes: Option<&Classes>,
) -> Option<Vec<Adapter>> {
    let around = Around {
        links,
        // Links share their names with uplinks, and were checked together.
        link_names: Names::collect_quietly("link", numbered(links).map(|(i, l)| (&l.head, &l.name, LinkId(i)))),
        networks,
        checked,
        network_names: Names::collect("network", numbered(networks).map(|(i, n)| (&n.head, &n.name, NetworkId(i)))),
        policies: Names::collect("policy", raw.policies.iter().map(|p| (&p.head, &p.name, p.antispoof))),
        classes,
    };
    Names::collect("vnic or vhba", raw.adapters.iter().map(|a| (&a.head, &a.name, ())));
    arp_can_cross(&raw.adapters, classes);
    let adapters: Vec<_> = raw.adapters.iter().map(|a| around.adapter(a)).collect();
    macs_tell_apart(&raw.adapters, &adapters, networks);
    adapters.into_iter().collect()
}

/// Link, tag and MAC say whose a frame is; network and MAC say whom it is for. So two adapters may share a MAC only as
/// the VLAN sub-interfaces of one interface do: on one link, with different tags, in different networks.
fn macs_tell_apart(raw: &[RawAdapter<'_>], checked: &[Option<Adapter>], networks: &[RawNetwork<'_>]) {
    let mut owners: HashMap<MacAddr, Vec<usize>> = HashMap::new();
    for (at, adapter) in raw.iter().enumerate() {
        let Some(mac) = adapter.mac else { continue };
        let owners = owners.entry(mac.value).or_default();
        let clash = owners.iter().find_map(|owner| {
            let both = || checked[at].as_ref().zip(checked[*owner].as_ref());
            let other_link = adapter.link.zip(raw[*owner].link).is_some_and(|(a, b)| a.value != b.value);
            let how = if other_link { Some("on another link".to_owned()) } else { shared(both()?, networks) };
            how.map(|how| (&raw[*owner].head, how))
        });
        if let Some((owner, how)) = clash {
            let (mac_shown, label, line) = (mac.value, &owner.label, owner.line);
            adapter.head.problem_at(
                mac.line,
                format!("mac = \"{mac_shown}\" is already that of {label} (line {line}), {how}; give each its own"),
            );
        }
        owners.push(at);
    }
}

/// What two adapters with one MAC on one link must not share, if they do.
fn shared((a, b): (&Adapter, &Adapter), networks: &[RawNetwork<'_>]) -> Option<String> {
    let pairs = || a.attachments.iter().flat_map(|a| b.attachments.iter().map(move |b| (a, b)));
    if let Some((both, _)) = pairs().find(|(a, b)| a.network == b.network) {
        let name = networks[both.network.index()].name.as_ref();
        return Some(format!("in the same network{}", name.map_or(String::new(), |name| format!(" \"{name}\""))));
    }
    let (both, _) = pairs().find(|(a, b)| a.tag == b.tag)?;
    Some(both.tag.map_or("untagged too".to_owned(), |tag| format!("with the same tag {tag}")))
}

/// Classes of the file that keep ARP off a side would leave its adapters mute, and nobody would see why.
fn arp_can_cross(adapters: &[RawAdapter<'_>], classes: Option<&Classes>) {
    let Some(classes) = classes else { return };
    let class = classes.class_of(arp());
    for side in [Side::Network, Side::Storage] {
        let speaks_ip = |a: &&RawAdapter<'_>| {
            let ethernet_only = |p: &Protocol| matches!(p, Protocol::Fcoe | Protocol::Fip | Protocol::Aoe);
            a.side == side && a.protocols.as_ref().is_none_or(|named| !named.value.iter().all(ethernet_only))
        };
        if let Some(adapter) = adapters.iter().find(speaks_ip)
            && !class.scope.allows(side)
        {
            let name = &class.name;
            adapter.head.problem(format!(
                "ARP is in class \"{name}\", which may not cross {side} networks; match {{ ethertype = \"0x0806\" }} in a class of kind \"both\""
            ));
        }
    }
}

impl Around<'_> {
    fn adapter(&self, raw: &RawAdapter<'_>) -> Option<Adapter> {
        let link = raw.link.and_then(|name| self.link_names.find(&raw.head, "link", name));
        let attachments = match &raw.attach {
            RawAttach::Access { tag, network } => {
                let network = network.and_then(|name| self.network(raw, "network", name));
                network.map(|network| vec![Attachment { tag: *tag, network }])
            }
            RawAttach::Trunk { networks, tags } => self.trunk(raw, networks, tags),
        };
        if let (Some(link), Some([only])) = (link, attachments.as_deref()) {
            self.fabrics_match(raw, link, only.network);
        }
        self.protocols_can_cross(raw);
        let antispoof = match raw.policy {
            Some(name) => self.policies.find(&raw.head, "policy", name),
            None => Some(AntiSpoof::default()),
        };
        if let (Some(policy), Some(AntiSpoof { ip: true, .. }), []) = (raw.policy, antispoof, raw.ips.as_slice()) {
            let policy = policy.value;
            raw.head.problem(format!("policy \"{policy}\" checks IP addresses but it has none; add ips = [\"...\"], or use a policy with antispoof.ip = false"));
        }
        let kind = match raw.side {
            Side::Network => AdapterKind::Vnic,
            Side::Storage => {
                let named = raw.protocols.as_ref().map(|p| p.value.as_slice());
                AdapterKind::Vhba { protocols: protocol_set(named) }
            }
        };
        Some(Adapter {
            name: raw.name.clone()?,
            kind,
            link: link?,
            mac: raw.mac?.value,
            attachments: attachments?,
            ips: raw.ips.clone(),
            antispoof: antispoof?,
            up: raw.up,
        })
    }

    /// A network that an adapter names, of its own side.
    fn network(&self, raw: &RawAdapter<'_>, key: &str, name: Ref<'_>) -> Option<NetworkId> {
        let id = self.network_names.find(&raw.head, key, name)?;
        let network = self.checked[id.index()].as_ref();
        if let Some(network) = network.filter(|n| n.kind != raw.side) {
            let (adapter, other) = match raw.side {
                Side::Network => ("vnic", "vhba"),
                Side::Storage => ("vhba", "vnic"),
            };
            let (name_shown, kind, side) = (quoted(name.value), network.kind, raw.side);
            raw.head.problem_at(name.line, format!(
                "{key}: {name_shown} is of kind {kind}, where a {adapter} cannot be; name a network of kind {side}, or make it a {other}"
            ));
        }
        Some(id)
    }

    fn trunk(
        &self,
        raw: &RawAdapter<'_>,
        networks: &[Ref<'_>],
        tags: &[(Ref<'_>, Option<Vid>)],
    ) -> Option<Vec<Attachment>> {
        let mut tags: HashMap<&str, _> = tags.iter().map(|(name, tag)| (name.value, (name.line, *tag))).collect();
        let mut names = HashSet::new();
        let mut seen: HashMap<Vid, &str> = HashMap::new();
        let mut attachments = Vec::new();
        for name in networks {
            if !names.insert(name.value) {
                raw.head.problem_at(name.line, format!("networks: {} is there twice; remove one", quoted(name.value)));
                continue;
            }
            let given = tags.remove(name.value);
            let Some(network) = self.network(raw, "networks", *name) else {
                continue;
            };
            let on_uplink = || self.networks[network.index()].vlan;
            let tag = match given {
                Some((_, tag)) => tag,
                None if on_uplink().is_some_and(|v| v.value == 0) => {
                    let name_shown = quoted(name.value);
                    raw.head.problem_at(name.line, format!("networks: {name_shown} is untagged on its uplinks and so gives no tag; add one, as in tags = {{ {name_shown} = 110 }}"));
                    None
                }
                None => on_uplink().and_then(|v| Vid::new(v.value)),
            };
            let Some(tag) = tag else { continue };
            if let Some(other) = seen.insert(tag, name.value) {
                raw.head.problem_at(
                    name.line,
                    format!(
                        "networks: {} and {} both have tag {tag}; give one another in tags",
                        quoted(other),
                        quoted(name.value)
                    ),
                );
            }
            attachments.push(Attachment { tag: Some(tag), network });
        }
        if networks.is_empty() {
            return None;
        }
        for (name, (line, _)) in tags {
            raw.head.problem_at(
                line,
                format!(
                    "tags: {} is not among the networks of the trunk; add it there, or remove it here",
                    quoted(name)
                ),
            );
        }
        Some(attachments)
    }

    /// A link of one fabric carries vHBAs of that fabric only.
    fn fabrics_match(&self, raw: &RawAdapter<'_>, link: LinkId, network: NetworkId) {
        let link = &self.links[link.index()];
        let Some(network) = self.checked[network.index()].as_ref() else {
            return;
        };
        let (Side::Storage, Some(ours)) = (raw.side, link.fabric) else {
            return;
        };
        if network.kind == Side::Storage && network.fabric != Some(ours) {
            let its = network.fabric.map_or("no fabric".to_owned(), |f| format!("fabric {f}"));
            raw.head.problem(format!(
                "network \"{}\" is of {its}, {} of fabric {ours}; use a network and a link of one fabric",
                network.name, link.head.label
            ));
        }
    }

    /// What a vHBA says it speaks is not in a class that stays off storage.
    fn protocols_can_cross(&self, raw: &RawAdapter<'_>) {
        let (Some(named), Some(classes)) = (&raw.protocols, self.classes) else {
            return;
        };
        for protocol in protocol_set(Some(&named.value)).iter() {
            let barred = |s| Some(classes.class_of(s)).filter(|c| !c.scope.allows(Side::Storage));
            if let Some(class) = classes.selectors(protocol).find_map(barred) {
                let name = &class.name;
                raw.head.problem_at(named.line, format!(
                    "{protocol} is in class \"{name}\", which may not cross storage networks; match {{ protocol = \"{protocol}\" }} in a class of kind \"storage\""
                ));
            }
        }
    }
}

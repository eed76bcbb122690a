//! Policies, vNICs and vHBAs.

use std::net::IpAddr;

use iogate::packet::MacAddr;

use super::{Ref, flag, name, texts};
use crate::config::model::{AntiSpoof, Name, Protocol, ProtocolSet, Side, Vid};
use crate::config::read::{At, Head, Table, Value};

pub(in crate::config) struct RawPolicy<'a> {
    pub(in crate::config) head: Head<'a>,
    pub(in crate::config) name: Option<Name>,
    pub(in crate::config) antispoof: AntiSpoof,
}

/// The networks of an adapter.
pub(in crate::config) enum RawAttach<'a> {
    Access { tag: Option<Vid>, network: Option<Ref<'a>> },
    Trunk { networks: Vec<Ref<'a>>, tags: Vec<(Ref<'a>, Option<Vid>)> },
}

pub(in crate::config) struct RawAdapter<'a> {
    pub(in crate::config) head: Head<'a>,
    pub(in crate::config) name: Option<Name>,
    /// What a vHBA says it speaks; `None` is a vNIC.
    pub(in crate::config) protocols: Option<At<Vec<Protocol>>>,
    pub(in crate::config) side: Side,
    pub(in crate::config) link: Option<Ref<'a>>,
    pub(in crate::config) mac: Option<At<MacAddr>>,
    pub(in crate::config) attach: RawAttach<'a>,
    pub(in crate::config) ips: Vec<IpAddr>,
    pub(in crate::config) policy: Option<Ref<'a>>,
    pub(in crate::config) up: bool,
}

/// `[[policy]]`
pub(in crate::config) fn policy<'a>(t: Table<'a>) -> RawPolicy<'a> {
    let name = name(&t);
    let mut antispoof = AntiSpoof::default();
    if let Some(a) = t.get("antispoof").and_then(|v| v.table()) {
        antispoof.arp = flag(&a, "arp", antispoof.arp);
        antispoof.nd = flag(&a, "nd", antispoof.nd);
        antispoof.ip = flag(&a, "ip", antispoof.ip);
        a.finish();
    }
    let head = t.head.clone();
    t.finish();
    RawPolicy { head, name, antispoof }
}

/// `[[vnic]]`
pub(in crate::config) fn vnic<'a>(t: Table<'a>) -> RawAdapter<'a> {
    let modes = [("access", false), ("trunk", true)];
    let trunk = match t.get("mode") {
        // A mode that is not known has been reported; what is listed shows what was meant.
        Some(v) => v.choice(&modes).map_or(t.has("networks"), |m| m.value),
        None => false,
    };
    let attach = if trunk { trunk_networks(&t) } else { access(&t, true) };
    adapter(t, Side::Network, None, attach)
}

/// `[[vhba]]`
pub(in crate::config) fn vhba<'a>(t: Table<'a>) -> RawAdapter<'a> {
    let attach = access(&t, false);
    let protocols = t.get("protocol").map(|v| At { line: v.line, value: protocols(&v) });
    adapter(t, Side::Storage, protocols, attach)
}

fn protocols(v: &Value<'_>) -> Vec<Protocol> {
    let words: Vec<_> = Protocol::ALL.into_iter().filter(|p| *p != Protocol::Fip).map(|p| (p.as_str(), p)).collect();
    if !v.is_list() {
        return v.choice(&words).map(|p| p.value).into_iter().collect();
    }
    let list = v.list().unwrap_or_default();
    if list.is_empty() {
        v.problem("is an empty list; name a protocol, or leave the key out to allow all");
    }
    list.iter().filter_map(|v| v.choice(&words)).map(|p| p.value).collect()
}

/// What an adapter may speak that names these, or none.
pub(in crate::config) fn protocol_set(named: Option<&[Protocol]>) -> ProtocolSet {
    let Some(named) = named else {
        return ProtocolSet::ALL;
    };
    let set = named.iter().fold(ProtocolSet::EMPTY, |set, p| set.with(*p));
    if set.contains(Protocol::Fcoe) { set.with(Protocol::Fip) } else { set }
}

fn tag(v: &Value<'_>) -> Option<Vid> {
    v.int(1..=Vid::MAX).and_then(|n| Vid::new(n.value))
}

fn access<'a>(t: &Table<'a>, vnic: bool) -> RawAttach<'a> {
    let tag = t.get("tag").and_then(|v| tag(&v));
    if vnic {
        for key in ["networks", "tags"] {
            if let Some(v) = t.get(key) {
                v.problem("is for mode = \"trunk\" only; use network and tag, or add mode = \"trunk\"");
            }
        }
    }
    RawAttach::Access { tag, network: t.must("network", "name the network it is on").and_then(|v| v.text()) }
}

fn trunk_networks<'a>(t: &Table<'a>) -> RawAttach<'a> {
    for (key, instead) in [("network", "networks"), ("tag", "tags")] {
        if let Some(v) = t.get(key) {
            v.problem(format!("is for mode = \"access\" only; a trunk has {instead}"));
        }
    }
    let networks = t.must("networks", "list the networks of the trunk");
    let given = networks.is_some();
    let networks = texts(networks);
    if given && networks.is_empty() {
        t.head.problem("the trunk has no networks; list at least one");
    }
    let tags = t.get("tags").and_then(|v| v.table()).map(|t| t.entries()).unwrap_or_default();
    let tags = tags.into_iter().map(|(network, v)| (network, tag(&v))).collect();
    RawAttach::Trunk { networks, tags }
}

fn adapter<'a>(
    t: Table<'a>,
    side: Side,
    protocols: Option<At<Vec<Protocol>>>,
    attach: RawAttach<'a>,
) -> RawAdapter<'a> {
    let name = name(&t);
    let link = t.must("link", "name the link it is on").and_then(|v| v.text());
    let any = flag(&t, "mac_any", false);
    let mac = t.must("mac", "give it an address, as in \"02:49:4f:00:00:01\"").and_then(|v| mac(&v, any));
    let ips = t.get("ips").and_then(|v| v.list()).unwrap_or_default();
    let ips = ips.iter().filter_map(ip).collect();
    let policy = t.get("policy").and_then(|v| v.text());
    let up = flag(&t, "up", true);
    let head = t.head.clone();
    t.finish();
    RawAdapter { head, name, protocols, side, link, mac, attach, ips, policy, up }
}

pub(super) fn mac(v: &Value<'_>, any: bool) -> Option<At<MacAddr>> {
    let mac: At<MacAddr> = v.parse("is not a MAC address; write it as \"02:49:4f:00:00:01\"")?;
    let octets = mac.value.octets();
    if octets[0] & 1 != 0 {
        v.refuse("is a multicast address; use one whose first byte is even");
    } else if octets == [0; 6] {
        v.refuse("is no address; use one of its own");
    } else if octets[0] & 2 == 0 && !any {
        v.refuse("is not locally administered; use one that starts with 02, or add mac_any = true");
    }
    Some(mac)
}

fn ip(v: &Value<'_>) -> Option<IpAddr> {
    let ip: At<IpAddr> =
        v.parse("is not an IP address; write it as \"10.0.0.1\" or \"fd00::1\", without a prefix length")?;
    if ip.value.is_multicast() || ip.value.is_unspecified() {
        v.refuse("is not an address of one host");
    }
    Some(ip.value)
}

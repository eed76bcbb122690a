//! Links, uplinks, their groups and networks.

use std::time::Duration;

use iogate::packet::MacAddr;
use iogate::port::PortSpec;

use super::gateway::{LONGEST_SOCKET_PATH, is_socket_path};
use super::{MAX_QUEUES, Ref, VfPort, VfPorts, fabric, flag, kind, name, texts};
use crate::config::model::{Fabric, Name, Side, Vid};
use crate::config::problem::quoted;
use crate::config::read::{At, Head, Table, Value};

/// A link or an uplink, as far as they are alike.
pub(in crate::config) struct RawPort<'a> {
    pub(in crate::config) head: Head<'a>,
    pub(in crate::config) name: Option<Name>,
    pub(in crate::config) port: Option<At<PortSpec>>,
    pub(in crate::config) queues: u16,
    pub(in crate::config) fabric: Option<Fabric>,
    pub(in crate::config) groups: Vec<MacAddr>,
    /// Of a link with a guest.
    pub(in crate::config) offloads: bool,
    /// Of a link.
    pub(in crate::config) server: Option<Name>,
    /// Of an uplink.
    pub(in crate::config) kind: Option<Side>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum RawMode {
    ActiveStandby,
    DualFabric,
}

pub(in crate::config) struct RawGroup<'a> {
    pub(in crate::config) head: Head<'a>,
    pub(in crate::config) name: Option<Name>,
    pub(in crate::config) kind: Option<Side>,
    pub(in crate::config) mode: RawMode,
    pub(in crate::config) members: Vec<Ref<'a>>,
    /// The line of the key, and whether it is automatic.
    pub(in crate::config) failback: Option<At<bool>>,
    pub(in crate::config) failback_delay: Option<At<Duration>>,
}

pub(in crate::config) struct RawNetwork<'a> {
    pub(in crate::config) head: Head<'a>,
    pub(in crate::config) name: Option<Name>,
    pub(in crate::config) vlan: Option<At<u16>>,
    pub(in crate::config) group: Option<Ref<'a>>,
    pub(in crate::config) fabric: Option<At<Fabric>>,
    pub(in crate::config) mtu: Option<At<u16>>,
}

/// `[[link]]`
pub(in crate::config) fn link<'a>(t: Table<'a>, vfs: &VfPorts<'_>) -> RawPort<'a> {
    let server = t.get("server").and_then(|v| v.name()).map(|n| n.value);
    let attach = t.get("attach").and_then(|v| v.choice(&[("ethernet", false), ("vhost-user", true)]));
    let guest = attach.is_some_and(|attach| attach.value);
    let offloads = guest && flag(&t, "offloads", true);
    let port = if guest {
        (vhost_user(&t, offloads), None)
    } else {
        for key in ["path", "mode", "offloads"] {
            if let Some(v) = t.get(key) {
                v.problem("is for attach = \"vhost-user\" only; use port, or add attach = \"vhost-user\"");
            }
        }
        named_port(&t, vfs)
    };
    RawPort { offloads, ..whole_port(t, port, server, None) }
}

/// `[[uplink]]`
pub(in crate::config) fn uplink<'a>(t: Table<'a>, vfs: &VfPorts<'_>) -> RawPort<'a> {
    let kind = kind(&t);
    let port = named_port(&t, vfs);
    whole_port(t, port, None, kind)
}

/// A port by what it is, or by the name of a VF.
type NamedPort<'v> = (Option<At<PortSpec>>, Option<&'v VfPort<'v>>);

fn named_port<'v>(t: &Table<'_>, vfs: &'v VfPorts<'v>) -> NamedPort<'v> {
    let Some(port) = t.must("port", "say what it is, as in \"af_xdp:eth0\"") else { return (None, None) };
    let vf = if port.is_text() { port.text().and_then(|name| vfs.get(name.value)) } else { None };
    match vf {
        Some(vf) => (vf_port(&port, vf), Some(vf)),
        None => {
            let spec: Option<At<PortSpec>> = port.parse_or_say();
            // It may be meant without being named.
            let place = |spec: &PortSpec| (spec.kind(), spec.target().to_owned());
            let there = spec.as_ref().map(|spec| place(&spec.value));
            let same = |vf: &&VfPort<'_>| there.is_some() && vf.spec.as_ref().map(place) == there;
            vfs.values().filter(same).for_each(|vf| not_a_servers(&port, vf));
            (spec, None)
        }
    }
}

/// The host's side of a guest's virtio card.
fn vhost_user(t: &Table<'_>, offloads: bool) -> Option<At<PortSpec>> {
    if let Some(v) = t.get("port") {
        v.problem("is for attach = \"ethernet\" only; a vhost-user link has path");
    }
    let client = t.get("mode").and_then(|v| v.choice(&[("client", true), ("server", false)]));
    let path = t.must("path", "name the socket that it shares with the guest")?;
    let text = path.text()?.value;
    let client = if client.is_none_or(|client| client.value) { ",client=1" } else { "" };
    let cutting = if offloads { ",tso=1" } else { "" };
    let spec = format!("vhost:{text}{client}{cutting}").parse().ok();
    // A comma would end the path among the driver's arguments.
    let spec = spec.filter(|_| is_socket_path(text) && !text.contains(','));
    if spec.is_none() {
        path.refuse(format!(
            "is not the path of a socket; use an absolute path of at most {LONGEST_SOCKET_PATH} bytes, without white space or commas"
        ));
    }
    spec.map(|value| At { value, line: path.line })
}

fn whole_port<'a>(t: Table<'a>, (port, vf): NamedPort<'_>, server: Option<Name>, kind: Option<Side>) -> RawPort<'a> {
    let name = name(&t);
    let queues = t.get("queues").and_then(|v| v.int(1..=MAX_QUEUES));
    if let (Some(vf), Some(queues)) = (vf, queues)
        && queues.value != vf.queues
    {
        let text = format!("queues = {}, and {} has {}; say it there only", queues.value, vf.head.label, vf.queues);
        t.head.problem_at(queues.line, text);
    }
    let queues = queues.map_or(vf.map_or(1, |vf| vf.queues), |queues| queues.value);
    let fabric = fabric(&t).map(|f| f.value);
    let groups = t.get("groups").and_then(|v| v.list()).unwrap_or_default();
    let groups = groups.iter().filter_map(multicast).collect();
    let head = t.head.clone();
    t.finish();
    RawPort { head, name, port, queues, offloads: false, fabric, groups, server, kind }
}

fn multicast(v: &Value<'_>) -> Option<MacAddr> {
    let mac = v.parse::<MacAddr>("is not a group's address; write it as \"01:00:5e:00:00:fb\"")?.value;
    if !mac.is_multicast() {
        v.refuse("is the address of one station; list addresses of groups, as \"01:00:5e:00:00:fb\"");
    }
    mac.is_multicast().then_some(mac)
}

/// A VF as a port: one that the gateway may poll.
fn vf_port(v: &Value<'_>, vf: &VfPort<'_>) -> Option<At<PortSpec>> {
    not_a_servers(v, vf);
    Some(At { value: vf.spec.clone()?, line: v.line })
}

fn not_a_servers(v: &Value<'_>, vf: &VfPort<'_>) {
    if let Some(server) = vf.server {
        let (label, line) = (&vf.head.label, vf.head.line);
        v.problem(format!(
            "names {label} (line {line}), which server {} has to itself; name one with owner = \"gateway\"",
            quoted(server.as_str())
        ));
    }
}

/// `[[uplink_group]]`
pub(in crate::config) fn group<'a>(t: Table<'a>) -> RawGroup<'a> {
    let modes = [("active-standby", RawMode::ActiveStandby), ("dual-fabric", RawMode::DualFabric)];
    let name = name(&t);
    let kind = kind(&t);
    let mode = t.get("mode").and_then(|v| v.choice(&modes)).map_or(RawMode::ActiveStandby, |m| m.value);
    let members = t.must("members", "list its uplinks, the preferred one first");
    let given = members.is_some();
    let members = texts(members);
    if given && members.is_empty() {
        t.head.problem("it has no members; list its uplinks, or remove it");
    }
    let failback = t.get("failback").and_then(|v| v.choice(&[("auto", true), ("manual", false)]));
    let failback_delay = t.get("failback_delay_ms").and_then(|v| v.int(0..=3_600_000));
    let failback_delay = failback_delay.map(|d| At { value: Duration::from_millis(d.value), line: d.line });
    let head = t.head.clone();
    t.finish();
    RawGroup { head, name, kind, mode, members, failback, failback_delay }
}

/// `[[network]]`
pub(in crate::config) fn network<'a>(t: Table<'a>) -> RawNetwork<'a> {
    let name = name(&t);
    let vlan = t.must("vlan", "say which VLAN it is on its uplinks, 0 for untagged").and_then(|v| v.int(0..=Vid::MAX));
    let group = t.must("uplink", "name its uplink_group").and_then(|v| v.text());
    let fabric = fabric(&t);
    let mtu = t.get("mtu").and_then(|v| v.int(64..=9018));
    let head = t.head.clone();
    t.finish();
    RawNetwork { head, name, vlan, group, fabric, mtu }
}

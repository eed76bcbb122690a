//! The objects as the file has them: every key checked for itself, references still names.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use iogate::packet::MacAddr;
use iogate::port::PortSpec;

use super::model::{
    AntiSpoof, Fabric, Gateway, HugePages, Idle, MbufConfig, Name, Protocol, ProtocolSet, Side, Vid,
};
use super::read::{At, Head, Table, Value};

/// Headroom that DPDK keeps free at the front of every buffer.
const HEADROOM: u16 = 128;
/// Room for two VLAN tags that the gateway may have to push.
const TAGS: u16 = 8;
/// The most RX queues of a port.
const MAX_QUEUES: u16 = 16;
/// The most packets taken from a queue at once, and the default.
pub(super) const BURST: u8 = 32;
/// How long a packet may wait for an idle worker, unless the file says otherwise.
pub(super) const IDLE_LATENCY: Duration = Duration::from_micros(50);

const FABRICS: [(&str, Fabric); 2] = [("A", Fabric::A), ("B", Fabric::B)];
pub(super) const SIDES: [(&str, Side); 2] =
    [("network", Side::Network), ("storage", Side::Storage)];
const GIVE_NAME: &str = "give it a name";

/// A reference to another object by its name.
pub(super) type Ref<'a> = At<&'a str>;

pub(super) struct RawWorker<'a> {
    pub(super) head: Head<'a>,
    pub(super) core: Option<At<u16>>,
    pub(super) queues: Vec<Ref<'a>>,
    pub(super) burst: u8,
    pub(super) idle: Idle,
}

/// A link or an uplink, as far as they are alike.
pub(super) struct RawPort<'a> {
    pub(super) head: Head<'a>,
    pub(super) name: Option<Name>,
    pub(super) port: Option<At<PortSpec>>,
    pub(super) queues: u16,
    pub(super) fabric: Option<Fabric>,
    /// Of a link.
    pub(super) server: Option<Name>,
    /// Of an uplink.
    pub(super) kind: Option<Side>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RawMode {
    ActiveStandby,
    DualFabric,
}

pub(super) struct RawGroup<'a> {
    pub(super) head: Head<'a>,
    pub(super) name: Option<Name>,
    pub(super) kind: Option<Side>,
    pub(super) mode: RawMode,
    pub(super) members: Vec<Ref<'a>>,
    /// The line of the key, and whether it is automatic.
    pub(super) failback: Option<At<bool>>,
    pub(super) failback_delay: Option<At<Duration>>,
}

pub(super) struct RawNetwork<'a> {
    pub(super) head: Head<'a>,
    pub(super) name: Option<Name>,
    pub(super) vlan: Option<At<u16>>,
    pub(super) group: Option<Ref<'a>>,
    pub(super) fabric: Option<At<Fabric>>,
    pub(super) mtu: Option<At<u16>>,
}

pub(super) struct RawPolicy<'a> {
    pub(super) head: Head<'a>,
    pub(super) name: Option<Name>,
    pub(super) antispoof: AntiSpoof,
}

/// The networks of an adapter.
pub(super) enum RawAttach<'a> {
    Access {
        tag: Option<Vid>,
        network: Option<Ref<'a>>,
    },
    Trunk {
        networks: Vec<Ref<'a>>,
        tags: Vec<(Ref<'a>, Option<Vid>)>,
    },
}

pub(super) struct RawAdapter<'a> {
    pub(super) head: Head<'a>,
    pub(super) name: Option<Name>,
    /// What a vHBA says it speaks; `None` is a vNIC.
    pub(super) protocols: Option<At<Vec<Protocol>>>,
    pub(super) side: Side,
    pub(super) link: Option<Ref<'a>>,
    pub(super) mac: Option<At<MacAddr>>,
    pub(super) attach: RawAttach<'a>,
    pub(super) ips: Vec<IpAddr>,
    pub(super) policy: Option<Ref<'a>>,
    pub(super) up: bool,
}

/// `[gateway]`; with problems, a stand-in that lets the other checks go on.
pub(super) fn gateway(root: &Table<'_>) -> Option<Gateway> {
    let Some(t) = root.section("gateway") else {
        if root.get("gateway").is_none() {
            root.head
                .problem("there is no [gateway]; add one with a name");
        }
        return None;
    };
    let name = t.must("name", GIVE_NAME).and_then(|v| v.name());
    let socket = t.get("socket").and_then(|v| socket(&v));
    let mtu = t.get("mtu").and_then(|v| v.int(64..=9018));
    let mtu = mtu.unwrap_or(At {
        value: 1518,
        line: t.head.line,
    });
    let mut mbuf = MbufConfig {
        size: 2304,
        count: 16384,
        per_core_cache: 256,
    };
    let mut size_line = mtu.line;
    if let Some(m) = t.get("mbuf").and_then(|v| v.table()) {
        if let Some(size) = m.get("size").and_then(|v| v.int(256..=32768)) {
            (mbuf.size, size_line) = (size.value, size.line);
        }
        mbuf.count = int(&m, "count", 512..=16_777_216, mbuf.count);
        let cache = m.get("per_core_cache").and_then(|v| v.int(0..=512));
        mbuf.per_core_cache = cache.map_or(mbuf.per_core_cache, |c| c.value);
        if mbuf.per_core_cache > mbuf.count * 2 / 3 {
            let line = cache.map_or(m.head.line, |c| c.line);
            let (cache, count) = (mbuf.per_core_cache, mbuf.count);
            t.head.problem_at(line, format!("mbuf.per_core_cache = {cache} is more than two thirds of mbuf.count = {count}; use at most {}", count * 2 / 3));
        }
        m.finish();
    }
    let needed = mtu.value + HEADROOM + TAGS;
    if needed > mbuf.size {
        let (size, mtu) = (mbuf.size, mtu.value);
        t.head.problem_at(size_line, format!(
            "a frame of mtu = {mtu} does not fit a buffer of mbuf.size = {size} with {HEADROOM} bytes of headroom and {TAGS} for VLAN tags; use mbuf.size = {needed} or more"
        ));
    }
    let memory_mb = t
        .get("memory_mb")
        .and_then(|v| v.int(64..=1_048_576))
        .map(|m| m.value);
    let huge_pages = t
        .get("huge_pages")
        .and_then(|v| v.choice(&[("auto", HugePages::Auto), ("never", HugePages::Never)]));
    let huge_pages = huge_pages.map_or(HugePages::Auto, |h| h.value);
    t.finish();
    let name = name?.value;
    let socket = socket.unwrap_or_else(|| format!("/run/iogate/{name}.sock").into());
    Some(Gateway {
        name,
        socket,
        mtu: mtu.value,
        mbuf,
        memory_mb,
        huge_pages,
    })
}

fn socket(v: &Value<'_>) -> Option<PathBuf> {
    /// The most that a socket address holds.
    const LONGEST: usize = 107;
    let text = v.text()?.value;
    let good = text.starts_with('/') && text.len() <= LONGEST && !text.contains('\0');
    if !good {
        v.refuse(format!(
            "is not the path of a socket; use an absolute path of at most {LONGEST} bytes"
        ));
    }
    good.then(|| text.into())
}

/// An integer that has a default.
fn int<T>(t: &Table<'_>, key: &'static str, range: std::ops::RangeInclusive<T>, default: T) -> T
where
    T: TryFrom<i128> + PartialOrd + std::fmt::Display,
{
    t.get(key)
        .and_then(|v| v.int(range))
        .map_or(default, |n| n.value)
}

fn flag(t: &Table<'_>, key: &'static str, default: bool) -> bool {
    t.get(key).and_then(|v| v.flag()).unwrap_or(default)
}

fn name(t: &Table<'_>) -> Option<Name> {
    t.must("name", GIVE_NAME)
        .and_then(|v| v.name())
        .map(|n| n.value)
}

fn texts<'a>(value: Option<Value<'a>>) -> Vec<Ref<'a>> {
    value.and_then(|v| v.texts()).unwrap_or_default()
}

/// `[[worker]]`
pub(super) fn worker<'a>(mut t: Table<'a>) -> RawWorker<'a> {
    let core = t
        .must("core", "say which core it runs on")
        .and_then(|v| v.int(0..=1023));
    if let Some(core) = core {
        t.head.label = format!("worker on core {}", core.value);
    }
    let queues = t.must("queues", "list the queues it polls, as in [\"eth-srv1:0\"]");
    let queues_given = queues.is_some();
    let queues = texts(queues);
    if queues_given && queues.is_empty() {
        t.head
            .problem("it polls no queue; give it some, or remove it");
    }
    let burst = int(&t, "burst", 1..=BURST, BURST);
    #[derive(Clone, Copy, PartialEq)]
    enum Word {
        Adaptive,
        Spin,
        Pause,
        Interrupt,
    }
    let words = [
        ("adaptive", Word::Adaptive),
        ("spin", Word::Spin),
        ("pause", Word::Pause),
        ("interrupt", Word::Interrupt),
    ];
    let word = t
        .get("idle")
        .and_then(|v| v.choice(&words))
        .map_or(Word::Adaptive, |w| w.value);
    let latency = t.get("idle_latency_us").and_then(|v| v.int(1..=100_000));
    if let (Some(latency), true) = (latency, word != Word::Adaptive) {
        t.head.problem_at(
            latency.line,
            "idle_latency_us is for idle = \"adaptive\" only; remove it",
        );
    }
    let idle = match word {
        Word::Adaptive => {
            Idle::Adaptive(latency.map_or(IDLE_LATENCY, |l| Duration::from_micros(l.value)))
        }
        Word::Spin => Idle::Spin,
        Word::Pause => Idle::Pause,
        Word::Interrupt => Idle::Interrupt,
    };
    let head = t.head.clone();
    t.finish();
    RawWorker {
        head,
        core,
        queues,
        burst,
        idle,
    }
}

/// `[[link]]`
pub(super) fn link<'a>(t: Table<'a>) -> RawPort<'a> {
    let server = t.get("server").and_then(|v| v.name()).map(|n| n.value);
    port(t, server, None)
}

/// `[[uplink]]`
pub(super) fn uplink<'a>(t: Table<'a>) -> RawPort<'a> {
    let kind = kind(&t);
    port(t, None, kind)
}

fn kind(t: &Table<'_>) -> Option<Side> {
    let kind = t.must("kind", "use \"network\" or \"storage\"");
    kind.and_then(|v| v.choice(&SIDES)).map(|k| k.value)
}

fn port<'a>(t: Table<'a>, server: Option<Name>, kind: Option<Side>) -> RawPort<'a> {
    let name = name(&t);
    let port = t
        .must("port", "say what it is, as in \"af_xdp:eth0\"")
        .and_then(|v| v.parse_or_say());
    let queues = int(&t, "queues", 1..=MAX_QUEUES, 1);
    let fabric = fabric(&t).map(|f| f.value);
    let head = t.head.clone();
    t.finish();
    RawPort {
        head,
        name,
        port,
        queues,
        fabric,
        server,
        kind,
    }
}

fn fabric(t: &Table<'_>) -> Option<At<Fabric>> {
    t.get("fabric").and_then(|v| v.choice(&FABRICS))
}

/// `[[uplink_group]]`
pub(super) fn group<'a>(t: Table<'a>) -> RawGroup<'a> {
    let modes = [
        ("active-standby", RawMode::ActiveStandby),
        ("dual-fabric", RawMode::DualFabric),
    ];
    let name = name(&t);
    let kind = kind(&t);
    let mode = t
        .get("mode")
        .and_then(|v| v.choice(&modes))
        .map_or(RawMode::ActiveStandby, |m| m.value);
    let members = t.must("members", "list its uplinks, the preferred one first");
    let given = members.is_some();
    let members = texts(members);
    if given && members.is_empty() {
        t.head
            .problem("it has no members; list its uplinks, or remove it");
    }
    let failback = t
        .get("failback")
        .and_then(|v| v.choice(&[("auto", true), ("manual", false)]));
    let failback_delay = t
        .get("failback_delay_ms")
        .and_then(|v| v.int(0..=3_600_000));
    let failback_delay = failback_delay.map(|d| At {
        value: Duration::from_millis(d.value),
        line: d.line,
    });
    let head = t.head.clone();
    t.finish();
    RawGroup {
        head,
        name,
        kind,
        mode,
        members,
        failback,
        failback_delay,
    }
}

/// `[[network]]`
pub(super) fn network<'a>(t: Table<'a>) -> RawNetwork<'a> {
    let name = name(&t);
    let vlan = t
        .must(
            "vlan",
            "say which VLAN it is on its uplinks, 0 for untagged",
        )
        .and_then(|v| v.int(0..=Vid::MAX));
    let group = t
        .must("uplink", "name its uplink_group")
        .and_then(|v| v.text());
    let fabric = fabric(&t);
    let mtu = t.get("mtu").and_then(|v| v.int(64..=9018));
    let head = t.head.clone();
    t.finish();
    RawNetwork {
        head,
        name,
        vlan,
        group,
        fabric,
        mtu,
    }
}

/// `[[policy]]`
pub(super) fn policy<'a>(t: Table<'a>) -> RawPolicy<'a> {
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
    RawPolicy {
        head,
        name,
        antispoof,
    }
}

/// `[[vnic]]`
pub(super) fn vnic<'a>(t: Table<'a>) -> RawAdapter<'a> {
    let trunk = t
        .get("mode")
        .and_then(|v| v.choice(&[("access", false), ("trunk", true)]));
    let attach = if trunk.is_some_and(|m| m.value) {
        trunk_networks(&t)
    } else {
        access(&t, true)
    };
    adapter(t, Side::Network, None, attach)
}

/// `[[vhba]]`
pub(super) fn vhba<'a>(t: Table<'a>) -> RawAdapter<'a> {
    let attach = access(&t, false);
    let protocols = t.get("protocol").map(|v| At {
        line: v.line,
        value: protocols(&v),
    });
    adapter(t, Side::Storage, protocols, attach)
}

fn protocols(v: &Value<'_>) -> Vec<Protocol> {
    let words: Vec<_> = Protocol::ALL
        .into_iter()
        .filter(|p| *p != Protocol::Fip)
        .map(|p| (p.as_str(), p))
        .collect();
    if !v.is_list() {
        return v.choice(&words).map(|p| p.value).into_iter().collect();
    }
    let list = v.list().unwrap_or_default();
    if list.is_empty() {
        v.problem("is an empty list; name a protocol, or leave the key out to allow all");
    }
    list.iter()
        .filter_map(|v| v.choice(&words))
        .map(|p| p.value)
        .collect()
}

/// What an adapter may speak that names these, or none.
pub(super) fn protocol_set(named: Option<&[Protocol]>) -> ProtocolSet {
    let Some(named) = named else {
        return ProtocolSet::ALL;
    };
    let set = named.iter().fold(ProtocolSet::EMPTY, |set, p| set.with(*p));
    if set.contains(Protocol::Fcoe) {
        set.with(Protocol::Fip)
    } else {
        set
    }
}

fn tag(v: &Value<'_>) -> Option<Vid> {
    v.int(1..=Vid::MAX).and_then(|n| Vid::new(n.value))
}

fn access<'a>(t: &Table<'a>, vnic: bool) -> RawAttach<'a> {
    let tag = t.get("tag").and_then(|v| tag(&v));
    if vnic {
        for key in ["networks", "tags"] {
            if let Some(v) = t.get(key) {
                v.problem(
                    "is for mode = \"trunk\" only; use network and tag, or add mode = \"trunk\"",
                );
            }
        }
    }
    RawAttach::Access {
        tag,
        network: t
            .must("network", "name the network it is on")
            .and_then(|v| v.text()),
    }
}

fn trunk_networks<'a>(t: &Table<'a>) -> RawAttach<'a> {
    for (key, instead) in [("network", "networks"), ("tag", "tags")] {
        if let Some(v) = t.get(key) {
            v.problem(format!(
                "is for mode = \"access\" only; a trunk has {instead}"
            ));
        }
    }
    let networks = t.must("networks", "list the networks of the trunk");
    let given = networks.is_some();
    let networks = texts(networks);
    if given && networks.is_empty() {
        t.head
            .problem("the trunk has no networks; list at least one");
    }
    let tags = t
        .get("tags")
        .and_then(|v| v.table())
        .map(|t| t.entries())
        .unwrap_or_default();
    let tags = tags
        .into_iter()
        .map(|(network, v)| (network, tag(&v)))
        .collect();
    RawAttach::Trunk { networks, tags }
}

fn adapter<'a>(
    t: Table<'a>,
    side: Side,
    protocols: Option<At<Vec<Protocol>>>,
    attach: RawAttach<'a>,
) -> RawAdapter<'a> {
    let name = name(&t);
    let link = t
        .must("link", "name the link it is on")
        .and_then(|v| v.text());
    let any = flag(&t, "mac_any", false);
    let mac = t
        .must("mac", "give it an address, as in \"02:49:4f:00:00:01\"")
        .and_then(|v| mac(&v, any));
    let ips = t.get("ips").and_then(|v| v.list()).unwrap_or_default();
    let ips = ips.iter().filter_map(ip).collect();
    let policy = t.get("policy").and_then(|v| v.text());
    let up = flag(&t, "up", true);
    let head = t.head.clone();
    t.finish();
    RawAdapter {
        head,
        name,
        protocols,
        side,
        link,
        mac,
        attach,
        ips,
        policy,
        up,
    }
}

fn mac(v: &Value<'_>, any: bool) -> Option<At<MacAddr>> {
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
    let ip: At<IpAddr> = v.parse(
        "is not an IP address; write it as \"10.0.0.1\" or \"fd00::1\", without a prefix length",
    )?;
    if ip.value.is_multicast() || ip.value.is_unspecified() {
        v.refuse("is not an address of one host");
    }
    Some(ip.value)
}

//! Traffic classes and the storage protocols they are made of: `[[class]]`, `[protocols]` and what holds without them.

use iogate::packet::EtherType;
use toml::de::DeTable;

use super::model::{Class, ClassId, Name, PortRange, Protocol, Scope, Selector, Side};
use super::problem::Sink;
use super::read::{At, Head, Table, Value};

/// One for each priority code point.
const MOST: usize = 8;
/// Entries of one `match`.
const MOST_MATCHES: usize = 256;
pub(super) const BUILT_IN: &str = include_str!("classes.toml");
const MATCHES: &str = "[{ tcp_port = 3260 }]";

/// Classes and protocols, checked.
pub(super) struct Classes {
    pub(super) classes: Vec<Class>,
    pub(super) default: ClassId,
    pub(super) protocols: Vec<(Protocol, Selector)>,
}

impl Classes {
    /// The class of the frames that a selector finds, if one class has them all.
    pub(super) fn class_of(&self, wanted: Selector) -> &Class {
        let first = self.classes.iter().find(|c| c.rules.iter().any(|rule| covers(*rule, wanted)));
        first.unwrap_or(&self.classes[self.default.index()])
    }

    /// How a protocol is recognised.
    pub(super) fn selectors(&self, protocol: Protocol) -> impl Iterator<Item = Selector> {
        of(&self.protocols, protocol)
    }
}

fn of(table: &[(Protocol, Selector)], protocol: Protocol) -> impl Iterator<Item = Selector> {
    table.iter().filter(move |(p, _)| *p == protocol).map(|(_, s)| *s)
}

/// The ARP ethertype, which every IP network needs.
pub(super) fn arp() -> Selector {
    ethertype(0x0806)
}

fn ethertype(number: u16) -> Selector {
    Selector::EtherType(EtherType(number))
}

/// The ports and ethertypes that the standards give.
fn well_known() -> Vec<(Protocol, Selector)> {
    let tcp = |port| Selector::TcpPort(PortRange::one(port));
    let mut table = vec![
        (Protocol::Fcoe, ethertype(0x8906)),
        (Protocol::Fip, ethertype(0x8914)),
        (Protocol::Iscsi, tcp(3260)),
        (Protocol::NvmeTcp, tcp(4420)),
        (Protocol::NvmeTcp, tcp(8009)),
        (Protocol::Roce, ethertype(0x8915)),
        (Protocol::Roce, Selector::UdpDst(PortRange::one(4791))),
        (Protocol::Aoe, ethertype(0x88a2)),
        (Protocol::Nfs, tcp(2049)),
        (Protocol::Nfs, Selector::UdpPort(PortRange::one(2049))),
        (Protocol::Smb, tcp(445)),
        (Protocol::Ceph, tcp(3300)),
        (Protocol::Ceph, tcp(6789)),
    ];
    table.extend(PortRange::new(6800, 7568).map(|osds| (Protocol::Ceph, Selector::TcpPort(osds))));
    table
}

/// Whether the first selector finds every frame that the second finds.
fn covers(wide: Selector, narrow: Selector) -> bool {
    use Selector::{EtherType, IpProtocol, TcpPort, UdpDst, UdpPort, UdpSrc};
    match (wide, narrow) {
        (EtherType(a), EtherType(b)) => a == b,
        (IpProtocol(a), IpProtocol(b)) => a == b,
        (IpProtocol(6), TcpPort(_)) | (IpProtocol(17), UdpPort(_) | UdpSrc(_) | UdpDst(_)) => true,
        (TcpPort(a), TcpPort(b)) => a.covers(b),
        (UdpPort(a), UdpPort(b) | UdpSrc(b) | UdpDst(b)) => a.covers(b),
        (UdpSrc(a), UdpSrc(b)) | (UdpDst(a), UdpDst(b)) => a.covers(b),
        _ => false,
    }
}

/// Whether the two find some frame for the same reason.
fn overlap(a: Selector, b: Selector) -> bool {
    use Selector::{TcpPort, UdpDst, UdpPort, UdpSrc};
    match (a, b) {
        (TcpPort(a), TcpPort(b)) | (UdpSrc(a), UdpSrc(b)) | (UdpDst(a), UdpDst(b)) => a.overlaps(b),
        (UdpPort(a), UdpPort(b) | UdpSrc(b) | UdpDst(b)) | (UdpSrc(a) | UdpDst(a), UdpPort(b)) => a.overlaps(b),
        _ => covers(a, b) || covers(b, a),
    }
}

/// `[protocols]` and `[[class]]` of the file.
pub(super) fn read(root: &Table<'_>) -> Option<Classes> {
    let protocols = protocols(root);
    let tables = root.objects("class");
    if tables.is_empty() {
        // What is there but is no list of tables has been reported.
        return Some(built_in(protocols));
    }
    build(root, tables, protocols)
}

/// The classes of a file that has none.
fn built_in(protocols: Vec<(Protocol, Selector)>) -> Classes {
    let sink = Sink::new(BUILT_IN);
    let (table, _) = DeTable::parse_recoverable(BUILT_IN);
    let root = Table::root(table.get_ref(), &sink);
    let tables = root.objects("class");
    // A test holds that the built-in text has no problem.
    build(&root, tables, protocols).expect("the built-in classes are sound")
}

/// `[protocols]`: what the file adds to the well-known ports and ethertypes.
fn protocols(root: &Table<'_>) -> Vec<(Protocol, Selector)> {
    let mut all = well_known();
    let Some(t) = root.section("protocols") else {
        return all;
    };
    for protocol in Protocol::ALL {
        let added = t.get(protocol.as_str()).and_then(|v| v.list()).unwrap_or_default();
        for (v, selector) in added.iter().flat_map(|v| selectors(v, None).into_iter().map(move |s| (v, s))) {
            match all.iter().find(|(_, known)| overlap(*known, selector)) {
                Some((owner, _)) if *owner != protocol => v.problem(format!("already means {owner}; remove it")),
                _ => all.push((protocol, selector)),
            }
        }
    }
    t.finish();
    all
}

struct RawClass<'a> {
    head: Head<'a>,
    name: Option<Name>,
    pcp: Option<At<u8>>,
    scope: Option<Scope>,
    rules: Vec<At<Selector>>,
    default: bool,
}

fn build(root: &Table<'_>, tables: Vec<Table<'_>>, protocols: Vec<(Protocol, Selector)>) -> Option<Classes> {
    let raw: Vec<_> = tables.into_iter().map(|t| class(t, &protocols)).collect();
    if let Some(extra) = raw.get(MOST) {
        extra.head.problem(format!("there are {} classes; use at most {MOST}", raw.len()));
        return None;
    }
    for (i, class) in raw.iter().enumerate() {
        let earlier = &raw[..i];
        if let Some(other) = class.name.as_ref().and_then(|n| earlier.iter().find(|o| o.name.as_ref() == Some(n))) {
            class.head.problem(format!("the name is taken by the class in line {}; choose another", other.head.line));
        }
        if let Some(pcp) = class.pcp
            && let Some(other) = earlier.iter().find(|o| o.pcp.is_some_and(|p| p.value == pcp.value))
        {
            class.head.problem_at(
                pcp.line,
                format!("pcp = {} is that of {} (line {}); use another", pcp.value, other.head.label, other.head.line),
            );
        }
        for rule in &class.rules {
            let covered = |o: &&RawClass<'_>| o.rules.iter().any(|r| covers(r.value, rule.value));
            if let Some(other) = earlier.iter().find(covered) {
                class.head.problem_at(
                    rule.line,
                    format!(
                        "a match is never reached: {} (line {}) has those frames; remove one of the two",
                        other.head.label, other.head.line
                    ),
                );
            }
        }
    }
    let mut defaults = raw.iter().zip(0u16..).filter(|(c, _)| c.default);
    let default = defaults.next();
    for (extra, _) in defaults {
        let first = default.map_or(0, |(c, _)| c.head.line);
        extra
            .head
            .problem(format!("is a second default class, after that in line {first}; remove default = true from one"));
    }
    if default.is_none() {
        root.head.problem_at(
            raw.first().map_or(1, |c| c.head.line),
            "no [[class]] is the default; add default = true to the one that takes the rest",
        );
    }
    let (_, default) = default?;
    let whole = |c: RawClass<'_>| {
        let rules = c.rules.into_iter().map(|r| r.value).collect();
        Some(Class { name: c.name?, pcp: c.pcp?.value, scope: c.scope?, rules })
    };
    let classes = raw.into_iter().map(whole).collect::<Option<_>>()?;
    Some(Classes { classes, default: ClassId(default), protocols })
}

fn class<'a>(t: Table<'a>, protocols: &[(Protocol, Selector)]) -> RawClass<'a> {
    let scopes =
        [("network", Scope::Only(Side::Network)), ("storage", Scope::Only(Side::Storage)), ("both", Scope::Both)];
    let name = t.must("name", "give it a name").and_then(|v| v.name()).map(|n| n.value);
    let pcp = t.must("pcp", "give it a priority of its own, 0..7").and_then(|v| v.int(0..=7));
    let scope =
        t.must("kind", "use \"network\", \"storage\" or \"both\"").and_then(|v| v.choice(&scopes)).map(|s| s.value);
    let matches = t.get("match");
    let given = matches.as_ref().is_some_and(|v| v.list().is_none_or(|l| !l.is_empty()));
    let matches = matches.filter(|_| given).and_then(|v| v.list()).unwrap_or_default();
    let default = t.get("default").and_then(|v| v.flag());
    if !given && !default.unwrap_or(false) {
        t.head.problem(format!("it matches nothing; add match = {MATCHES} or the like, or default = true"));
    }
    let mut rules = Vec::new();
    if matches.len() > MOST_MATCHES {
        t.head.problem(format!("match has {} entries; use at most {MOST_MATCHES}", matches.len()));
    }
    for v in matches.iter().take(MOST_MATCHES) {
        rules.extend(selectors(v, Some(protocols)).into_iter().map(|value| At { value, line: v.line }));
    }
    let head = t.head.clone();
    t.finish();
    RawClass { head, name, pcp, scope, rules, default: default.unwrap_or(false) }
}

/// One entry of `match`, or of `[protocols]` where there are no protocols to refer to.
fn selectors(v: &Value<'_>, protocols: Option<&[(Protocol, Selector)]>) -> Vec<Selector> {
    type Make = fn(PortRange) -> Selector;
    const PORTS: [(&str, &str, Make); 4] = [
        ("tcp_port", "tcp_port_range", Selector::TcpPort),
        ("udp_port", "udp_port_range", Selector::UdpPort),
        ("udp_dst", "udp_dst_range", Selector::UdpDst),
        ("udp_src", "udp_src_range", Selector::UdpSrc),
    ];
    let Some(t) = v.table() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    found.extend(t.get("ethertype").and_then(|v| ethertype_value(&v)));
    let ip_protocol = t.get("ip_protocol").and_then(|v| v.int(0..=255));
    found.extend(ip_protocol.map(|n| Selector::IpProtocol(n.value)));
    for (one, range, make) in PORTS {
        let port = t.get(one).and_then(|v| v.int(1..=u16::MAX));
        found.extend(port.map(|n| make(PortRange::one(n.value))));
        found.extend(t.get(range).and_then(|v| port_range(&v)).map(make));
    }
    if let Some(protocols) = protocols {
        let words = Protocol::ALL.map(|p| (p.as_str(), p));
        let named = t.get("protocol").and_then(|v| v.choice(&words));
        found.extend(named.into_iter().flat_map(|p| of(protocols, p.value)));
    }
    if t.key_count() != 1 {
        v.problem(format!("must have exactly one key, as in {MATCHES}; write one entry for each"));
    }
    t.finish();
    found
}

fn ethertype_value(v: &Value<'_>) -> Option<Selector> {
    const HOW: &str = "is not an ethertype; write it as \"0x88a2\", 0x0600..0xffff";
    let number = if v.is_text() {
        let text = v.text()?.value;
        let digits = text.strip_prefix("0x").filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let number = digits.and_then(|d| u16::from_str_radix(d, 16).ok()).filter(|n| *n >= 0x0600);
        if number.is_none() {
            v.refuse(HOW);
        }
        number?
    } else {
        v.int(0x0600..=u16::MAX)?.value
    };
    if [0x8100, 0x88a8].contains(&number) {
        v.refuse("is that of a VLAN tag; use the one behind the tags");
        return None;
    }
    Some(ethertype(number))
}

fn port_range(v: &Value<'_>) -> Option<PortRange> {
    let list = v.list()?;
    let range = match list.as_slice() {
        [first, last] => PortRange::new(first.int(1..=u16::MAX)?.value, last.int(1..=u16::MAX)?.value),
        _ => None,
    };
    if range.is_none() {
        v.problem("is not a range of ports; write it as [first, last]");
    }
    range
}

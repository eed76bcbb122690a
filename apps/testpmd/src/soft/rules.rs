//! Flow rules that software looks packets up in.
//!
//! Rules of group 0 are tried in the order of their priority, then of their age. The first one that decides what
//! becomes of a packet ends it: drop, queue, rss; one that jumps has another group go on. Rules that only mark, count
//! or rewrite let the next ones see the packet too, as passthru does. A packet that no rule decides about goes its
//! usual way.

use super::headers::{Headers, Ip};
use super::spread::{self, Spread};
use crate::flow;
use iogate::Errno;
use iogate::packet::{EtherType, Ethernet, Header, IpProtocol, Ipv4, MacAddr, Vlan, checksum, vxlan};
use iogate::port::{FlowAction, FlowCount, FlowError, FlowHeader, FlowItem, FlowRule};
use iogate::prelude::*;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// `RTE_FLOW_ERROR_TYPE_*`: the part of a rule that an error is about.
mod part {
    pub(super) const INGRESS: u32 = 5;
    pub(super) const EGRESS: u32 = 6;
    pub(super) const TRANSFER: u32 = 7;
    pub(super) const LAST: u32 = 11;
    pub(super) const ITEM: u32 = 13;
    pub(super) const ACTION_NUM: u32 = 14;
    pub(super) const ACTION_CONF: u32 = 15;
    pub(super) const ACTION: u32 = 16;
}

/// Headers that a rule can look at in a packet, those of tunnels included.
const MOST_LAYERS: usize = 12;

/// What a rule counts. Each stream of a port may add to it.
#[derive(Debug, Default)]
struct Hits {
    packets: AtomicU64,
    bytes: AtomicU64,
}

/// The rules of a port, as they were given.
#[derive(Default)]
pub(super) struct Table {
    next: u32,
    list: Vec<(u32, FlowRule, Arc<Hits>)>,
    /// Only what rules ask for is received.
    pub(super) isolated: bool,
}

impl Table {
    /// Adds a rule that was validated; returns its number.
    pub(super) fn add(&mut self, rule: &FlowRule) -> u32 {
        let number = self.next;
        self.next += 1;
        self.list.push((number, rule.clone(), Arc::default()));
        number
    }

    /// False when there is none of this number.
    pub(super) fn remove(&mut self, number: u32) -> bool {
        let before = self.list.len();
        self.list.retain(|(known, ..)| *known != number);
        self.list.len() < before
    }

    pub(super) fn clear(&mut self) {
        *self = Table { isolated: self.isolated, ..Table::default() };
    }

    /// What a rule counted; nothing when there is none of this number.
    pub(super) fn count(&self, number: u32) -> Option<FlowCount> {
        let (_, rule, hits) = self.list.iter().find(|(known, ..)| *known == number)?;
        let counts = rule.actions.contains(&FlowAction::Count);
        let read = |count: &AtomicU64| counts.then(|| count.load(Ordering::Relaxed));
        Some(FlowCount { hits: read(&hits.packets), bytes: read(&hits.bytes) })
    }
}

/// Whether software can do what a rule asks for on a port of so many RX queues.
///
/// # Errors
/// The part that is wrong, and where in the rule it stands.
pub(super) fn validate(rule: &FlowRule, queues: u16) -> Result<(), FlowError> {
    const ENOTSUP: i32 = 95;
    const EINVAL: i32 = 22;
    let refuse = |part, errno, message: String| Err(FlowError { part, message, errno: Errno(errno) });
    if rule.egress {
        return refuse(part::EGRESS, ENOTSUP, "rules are for packets that come in".to_owned());
    }
    if rule.transfer {
        return refuse(part::TRANSFER, ENOTSUP, "there is no card whose ports it could be between".to_owned());
    }
    if !rule.ingress {
        return refuse(part::INGRESS, EINVAL, "a direction is missing: ingress".to_owned());
    }
    if rule.pattern.len() > MOST_LAYERS {
        return refuse(part::ITEM, ENOTSUP, format!("more than {MOST_LAYERS} items"));
    }
    for (at, pair) in rule.pattern.windows(2).enumerate() {
        if !follows(pair[0].kind, pair[1].kind) {
            let [before, name] = [pair[0].kind, pair[1].kind].map(flow::name);
            let message = format!("item {} ({name}) cannot stand behind {before}", at + 2);
            return refuse(part::ITEM, EINVAL, message);
        }
    }
    for (at, item) in rule.pattern.iter().enumerate() {
        let ranges = ranges(item);
        if let Some(range) = ranges.iter().find(|range| range.last < range.first) {
            let name = flow::name(item.kind);
            let message = format!("item {} ({name}): {} ends before it begins", at + 1, range.name);
            return refuse(part::LAST, EINVAL, message);
        }
    }
    if rule.actions.is_empty() {
        return refuse(part::ACTION_NUM, EINVAL, "there is no action".to_owned());
    }
    let mut decided = None;
    for (at, action) in rule.actions.iter().enumerate() {
        let name = flow::action_name(action);
        let place = format!("action {} ({name})", at + 1);
        if let Some(first) = decided {
            return refuse(part::ACTION, EINVAL, format!("{place} comes behind {first}, which is the last"));
        }
        match action {
            FlowAction::Queue(queue) if *queue >= queues => {
                return refuse(part::ACTION_CONF, EINVAL, format!("{place}: there is no RX queue {queue}"));
            }
            FlowAction::Jump(group) if *group <= rule.group => {
                let message = format!("{place}: group {group} is not behind group {}, and could lead back", rule.group);
                return refuse(part::ACTION_CONF, EINVAL, message);
            }
            FlowAction::Spread { fields, queues: list, .. } => {
                if let Some(queue) = list.iter().find(|queue| **queue >= queues) {
                    return refuse(part::ACTION_CONF, EINVAL, format!("{place}: there is no RX queue {queue}"));
                }
                if fields & !spread::FIELDS != 0 || *fields == 0 {
                    let message = format!("{place}: types other than those of IPv4 and IPv6 cannot be hashed");
                    return refuse(part::ACTION_CONF, ENOTSUP, message);
                }
            }
            _ => {}
        }
        let ends =
            matches!(action, FlowAction::Drop | FlowAction::Queue(_) | FlowAction::Jump(_) | FlowAction::Spread { .. });
        decided = ends.then_some(name);
    }
    Ok(())
}

/// Whether one header can stand behind another.
fn follows(before: FlowHeader, header: FlowHeader) -> bool {
    use FlowHeader::{Arp, Ethernet, Icmp, Ipv4, Ipv6, Sctp, Tcp, Udp, Vlan, Vxlan};
    match before {
        Ethernet | Vlan => matches!(header, Vlan | Arp | Ipv4 | Ipv6),
        Ipv4 => matches!(header, Tcp | Udp | Sctp | Icmp),
        Ipv6 => matches!(header, Tcp | Udp | Sctp),
        Udp => header == Vxlan,
        Vxlan => header == Ethernet,
        Tcp | Sctp | Icmp | Arp => false,
    }
}

/// What becomes of a packet.
pub(super) enum Fate<'a> {
    /// What becomes of it without rules.
    Default,
    Drop,
    Queue(u16),
    Spread(&'a Spread),
}

/// The rules of a port, made ready.
#[derive(Debug)]
pub(super) struct Rules {
    groups: BTreeMap<u32, Vec<Ready>>,
    tunnels: Vec<u16>,
    isolated: bool,
}

#[derive(Debug)]
struct Ready {
    priority: u32,
    items: Vec<Match>,
    acts: Vec<Act>,
    ends: End,
    hits: Option<Arc<Hits>>,
}

#[derive(Debug)]
enum Act {
    Mark(Option<u32>),
    SetMac { dst: bool, mac: MacAddr },
    SetIpv4 { dst: bool, ip: Ipv4Addr },
}

#[derive(Debug)]
enum End {
    No,
    Drop,
    Queue(u16),
    Jump(u32),
    Spread(Box<Spread>),
}

/// What a header is to look like.
#[derive(Debug)]
struct Match {
    kind: FlowHeader,
    /// How many of the bytes count, and what they are to be.
    bytes: Option<(usize, [u8; 40], [u8; 40])>,
    ranges: Vec<Range>,
}

/// A field of a header that is to be within a range, both ends included.
#[derive(Clone, Copy, Debug)]
struct Range {
    name: &'static str,
    at: usize,
    length: usize,
    mask: u128,
    first: u128,
    last: u128,
}

/// A header in a packet, and where it starts.
type Layer = (FlowHeader, usize);

impl Rules {
    /// Of a port's table; nothing when there are none and none are needed. `usual` is how the port spreads packets.
    pub(super) fn new(table: &Table, tunnels: &[u16], usual: Spread) -> Option<Rules> {
        if table.list.is_empty() && !table.isolated {
            return None;
        }
        let mut groups: BTreeMap<u32, Vec<Ready>> = BTreeMap::new();
        for (_, rule, hits) in &table.list {
            groups.entry(rule.group).or_default().push(Ready::new(rule, hits, &usual));
        }
        // A stable sort: of one priority, the older ones stay in front.
        groups.values_mut().for_each(|rules| rules.sort_by_key(|rule| rule.priority));
        let tunnels = [vxlan::PORT].into_iter().chain(tunnels.iter().copied()).collect();
        Some(Rules { groups, tunnels, isolated: table.isolated })
    }

    /// Does to a packet what rules ask for; returns what becomes of it.
    pub(super) fn run(&self, packet: &mut Mbuf) -> Fate<'_> {
        let mut layers = [(FlowHeader::Ethernet, 0); MOST_LAYERS];
        let found = self.layers(packet.data(), &mut layers);
        let layers = &layers[..found];
        let unmatched = if self.isolated { Fate::Drop } else { Fate::Default };
        let mut group = 0;
        'group: loop {
            let Some(rules) = self.groups.get(&group) else { return unmatched };
            for rule in rules {
                if !rule.matches(packet.data(), layers) {
                    continue;
                }
                rule.act(packet, layers);
                match &rule.ends {
                    End::No => {}
                    End::Drop => return Fate::Drop,
                    End::Queue(queue) => return Fate::Queue(*queue),
                    End::Spread(spread) => return Fate::Spread(spread),
                    // Always upwards, so there is an end to it.
                    End::Jump(next) => {
                        group = *next;
                        continue 'group;
                    }
                }
            }
            return unmatched;
        }
    }

    /// Writes down the headers of a frame, as far as they are whole; returns how many.
    fn layers(&self, frame: &[u8], layers: &mut [Layer; MOST_LAYERS]) -> usize {
        let mut found = 0;
        let mut note = |kind, at| {
            let room = found < MOST_LAYERS;
            if room {
                layers[found] = (kind, at);
                found += 1;
            }
            room
        };
        let mut start = 0;
        // A frame, and those in its tunnels.
        while let Some((ethernet, mut rest)) = frame.get(start..).and_then(|frame| Ethernet::parse(frame).ok()) {
            let mut kind = ethernet.ether_type();
            if !note(FlowHeader::Ethernet, start) {
                break;
            }
            let mut at = start + size_of::<Ethernet>();
            while kind.is_vlan()
                && let Ok((tag, behind)) = Vlan::parse(rest)
                && note(FlowHeader::Vlan, at)
            {
                (kind, rest, at) = (tag.ether_type(), behind, at + size_of::<Vlan>());
            }
            let ip = match kind {
                EtherType::ARP if rest.len() >= ARP => {
                    note(FlowHeader::Arp, at);
                    break;
                }
                EtherType::IPV4 => Ip::v4(rest, at).filter(|_| note(FlowHeader::Ipv4, at)),
                EtherType::IPV6 => Ip::v6(rest, at).filter(|_| note(FlowHeader::Ipv6, at)),
                _ => None,
            };
            let Some(ip) = ip.filter(|ip| ip.starts) else { break };
            let (at, payload) = (ip.payload.start, &frame[ip.payload]);
            let (kind, least) = match ip.protocol {
                IpProtocol::TCP => (FlowHeader::Tcp, 20),
                IpProtocol::UDP => (FlowHeader::Udp, UDP),
                IpProtocol::SCTP => (FlowHeader::Sctp, 12),
                IpProtocol::ICMP if !ip.v6 => (FlowHeader::Icmp, 8),
                _ => break,
            };
            if payload.len() < least || !note(kind, at) || kind != FlowHeader::Udp {
                break;
            }
            let dst_port = u16::from_be_bytes([payload[2], payload[3]]);
            let tunnel = self.tunnels.contains(&dst_port) && payload.len() >= UDP + VXLAN;
            if !tunnel || !note(FlowHeader::Vxlan, at + UDP) {
                break;
            }
            start = at + UDP + VXLAN;
        }
        found
    }
}

/// Bytes of the headers of ARP for IPv4 over Ethernet, UDP and VXLAN.
const ARP: usize = 28;
const UDP: usize = 8;
const VXLAN: usize = 8;

impl Ready {
    fn new(rule: &FlowRule, hits: &Arc<Hits>, usual: &Spread) -> Ready {
        let (mut acts, mut ends, mut counts) = (Vec::new(), End::No, false);
        for action in &rule.actions {
            match action {
                FlowAction::Passthru => {}
                FlowAction::Count => counts = true,
                FlowAction::Flag => acts.push(Act::Mark(None)),
                FlowAction::Mark(number) => acts.push(Act::Mark(Some(*number))),
                FlowAction::SetMacSrc(mac) => acts.push(Act::SetMac { dst: false, mac: *mac }),
                FlowAction::SetMacDst(mac) => acts.push(Act::SetMac { dst: true, mac: *mac }),
                FlowAction::SetIpv4Src(ip) => acts.push(Act::SetIpv4 { dst: false, ip: *ip }),
                FlowAction::SetIpv4Dst(ip) => acts.push(Act::SetIpv4 { dst: true, ip: *ip }),
                FlowAction::Drop => ends = End::Drop,
                FlowAction::Queue(queue) => ends = End::Queue(*queue),
                FlowAction::Jump(group) => ends = End::Jump(*group),
                FlowAction::Spread { fields, queues, function } => {
                    let table = if queues.is_empty() { usual.table.clone() } else { queues.clone() };
                    let key = usual.key.clone();
                    ends = End::Spread(Box::new(Spread { key, fields: *fields, function: *function, table }));
                }
            }
        }
        let items = rule.pattern.iter().map(Match::new).collect();
        Ready { priority: rule.priority, items, acts, ends, hits: counts.then(|| hits.clone()) }
    }

    /// Whether the items are headers of the packet that follow each other, from the outermost one on.
    fn matches(&self, frame: &[u8], layers: &[Layer]) -> bool {
        let Some(first) = self.items.first() else { return true };
        // A pattern may leave out what is below: any Ethernet, any tags, any IP.
        let Some(start) = layers.iter().position(|(kind, _)| *kind == first.kind) else { return false };
        let layers = &layers[start..];
        layers.len() >= self.items.len()
            && self.items.iter().zip(layers).all(|(item, layer)| item.matches(frame, *layer))
    }

    fn act(&self, packet: &mut Mbuf, layers: &[Layer]) {
        if let Some(hits) = &self.hits {
            hits.packets.fetch_add(1, Ordering::Relaxed);
            hits.bytes.fetch_add(packet.len() as u64, Ordering::Relaxed);
        }
        for act in &self.acts {
            match act {
                Act::Mark(number) => packet.note_mark(*number),
                Act::SetMac { dst, mac } => {
                    if let Ok(ethernet) = packet.header_mut::<Ethernet>() {
                        if *dst { ethernet.set_dst(*mac) } else { ethernet.set_src(*mac) }
                    }
                }
                Act::SetIpv4 { dst, ip } => {
                    let at = layers.iter().find(|(kind, _)| *kind == FlowHeader::Ipv4);
                    if let Some((_, at)) = at {
                        set_ipv4(packet.data_mut(), *at, *dst, *ip);
                    }
                }
            }
        }
    }
}

/// Writes another address into the IPv4 header at `at`, and mends the checksums over it.
fn set_ipv4(frame: &mut [u8], at: usize, dst: bool, new: Ipv4Addr) {
    let found = Headers::of(frame).ip;
    let Ok((header, _)) = Ipv4::parse_front_mut(&mut frame[at..]) else { return };
    let old = if dst { header.dst() } else { header.src() };
    if dst {
        header.rewrite_dst(new)
    } else {
        header.rewrite_src(new)
    }
    let Some(ip) = found.filter(|ip| ip.at == at && ip.starts) else { return };
    let field = match ip.protocol {
        IpProtocol::UDP => 6,
        IpProtocol::TCP => 16,
        _ => return,
    };
    let Some(sum) = frame[ip.payload].get_mut(field..field + 2) else { return };
    let value = u16::from_be_bytes([sum[0], sum[1]]);
    if value == 0 && ip.protocol == IpProtocol::UDP {
        return;
    }
    sum.copy_from_slice(&checksum::update_u32(value, old.to_bits(), new.to_bits()).to_be_bytes());
}

impl Match {
    fn new(item: &FlowItem) -> Match {
        let ranges = ranges(item);
        let bytes = item.bytes.map(|(spec, mut mask)| {
            for range in &ranges {
                mask[range.at..range.at + range.length].fill(0);
            }
            let used = mask.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            (used, spec, mask)
        });
        Match { kind: item.kind, bytes, ranges }
    }

    fn matches(&self, frame: &[u8], (kind, at): Layer) -> bool {
        if kind != self.kind {
            return false;
        }
        let header = &frame[at..];
        let same = self.bytes.as_ref().is_none_or(|(used, spec, mask)| {
            let bytes = header.get(..*used);
            bytes.is_some_and(|bytes| {
                bytes.iter().zip(spec).zip(mask).all(|((byte, spec), mask)| (byte ^ spec) & mask == 0)
            })
        });
        same && self.ranges.iter().all(|range| range.holds(header))
    }
}

impl Range {
    fn holds(&self, header: &[u8]) -> bool {
        let Some(bytes) = header.get(self.at..self.at + self.length) else { return false };
        (self.first..=self.last).contains(&(number(bytes) & self.mask))
    }
}

/// The fields of an item that are to be within a range.
fn ranges(item: &FlowItem) -> Vec<Range> {
    let (Some((spec, mask)), Some(last)) = (&item.bytes, &item.last) else { return Vec::new() };
    let of = |(name, at, length): (&'static str, usize, usize)| {
        let read = |bytes: &[u8; 40]| number(&bytes[at..at + length]);
        let mask = read(mask);
        let range = Range { name, at, length, mask, first: read(spec) & mask, last: read(last) & mask };
        (read(last) != 0).then_some(range)
    };
    let mut found: Vec<Range> = flow::fields(item.kind).filter_map(of).collect();
    // Fields of the same bytes, as of a VLAN tag, are one number.
    found.dedup_by_key(|range| range.at);
    found
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::super::spread::KEY;
    use super::*;
    use iogate::packet::PseudoHeader;
    use iogate::port::FlowHash;
    use iogate::testkit::{Complete, Frame, mac, pool};
    use proptest::prelude::*;

    fn usual() -> Spread {
        Spread { key: KEY.to_vec(), fields: spread::FIELDS, function: FlowHash::Default, table: vec![0, 1] }
    }

    struct Tried {
        table: Table,
    }

    impl Tried {
        fn new(rules: &[&str]) -> Tried {
            let mut table = Table::default();
            for text in rules {
                let rule = flow::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
                validate(&rule, 4).unwrap_or_else(|error| panic!("{text}: {error}"));
                table.add(&rule);
            }
            Tried { table }
        }

        /// What becomes of a frame, in a word, and what it is then.
        fn pass(&self, frame: &[u8]) -> (String, Vec<u8>, Option<Option<u32>>) {
            let pool = pool("rules", 64);
            let _complete = Complete::new(&pool);
            let mut packet = pool.alloc_from(frame).unwrap();
            let rules = Rules::new(&self.table, &[], usual());
            let fate = match rules.as_ref().map_or(Fate::Default, |rules| rules.run(&mut packet)) {
                Fate::Default => "default".to_owned(),
                Fate::Drop => "drop".to_owned(),
                Fate::Queue(queue) => format!("queue {queue}"),
                Fate::Spread(_) => "spread".to_owned(),
            };
            (fate, packet.data().to_vec(), packet.mark())
        }

        fn fate(&self, frame: &[u8]) -> String {
            self.pass(frame).0
        }
    }

    fn udp(dst: [u8; 4], port: u16) -> Vec<u8> {
        Frame::ethernet(mac(1), mac(2)).ipv4([10, 0, 0, 1], dst).udp(1000, port).payload([7; 5]).build()
    }

    #[test]
    fn fields_of_every_header_are_matched() {
        let front = || Frame::ethernet(mac(1), mac(2));
        let v4 = |frame: Frame| frame.ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
        let frames = [
            ("eth src is 02:00:00:00:00:01", v4(front()).udp(1, 2).build()),
            ("eth type is 0x0806", front().arp_request([10, 0, 0, 1], [10, 0, 0, 2]).build()),
            ("eth / arp_eth_ipv4 tpa is 10.0.0.2 opcode is 1", front().arp_request([1; 4], [10, 0, 0, 2]).build()),
            ("eth / vlan vid is 7", v4(front().vlan(7)).udp(1, 2).build()),
            ("eth / vlan pcp is 0 vid is 7 / ipv4", v4(front().vlan(7)).udp(1, 2).build()),
            ("ipv4 src is 10.0.0.1 ttl is 64 tos is 0", v4(front().vlan(7)).udp(1, 2).build()),
            ("eth / ipv4 dst spec 10.0.0.0 dst prefix 24 / tcp flags is 0x18", v4(front()).tcp(1, 2).build()),
            (
                "eth / ipv6 dst is fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe hop is 64 tc is 0 / udp dst is 2",
                front().ipv6([0xfd; 16], [0xfe; 16]).udp(1, 2).build(),
            ),
            ("eth / ipv4 / icmp type is 8 ident is 5 seq is 6", v4(front()).icmp_echo(5, 6).build()),
            ("udp src spec 990 src last 1010 src mask 0xffff", udp([10, 0, 0, 2], 9)),
            (
                "eth / ipv4 / sctp dst is 9 tag is 0x01020304",
                v4(front()).protocol(IpProtocol::SCTP).payload([0, 1, 0, 9, 1, 2, 3, 4, 0, 0, 0, 0]).build(),
            ),
        ];
        let other = Frame::ethernet(mac(5), mac(6)).vlan(3).ipv4([9; 4], [8; 4]).payload([0; 30]).build();
        for (pattern, frame) in &frames {
            let tried = Tried::new(&[&format!("ingress pattern {pattern} / end actions queue index 3 / end")]);
            assert_eq!(tried.fate(frame), "queue 3", "{pattern}");
            assert_eq!(tried.fate(&other), "default", "{pattern}");
        }
    }

    #[test]
    fn a_tunnel_is_looked_into() {
        let inner = udp([10, 9, 9, 9], 53);
        let header = [8, 0, 0, 0, 0, 0, 42, 0];
        let outer = Frame::ethernet(mac(3), mac(4)).ipv4([1; 4], [2; 4]).udp(9999, vxlan::PORT);
        let frame = outer.payload(header).payload(inner).build();
        let rule =
            "ingress pattern eth / ipv4 / udp / vxlan vni is 42 / eth / ipv4 dst is 10.9.9.9 / end actions drop / end";
        assert_eq!(Tried::new(&[rule]).fate(&frame), "drop");
        assert_eq!(Tried::new(&[&rule.replace("42", "43")]).fate(&frame), "default");
    }

    #[test]
    fn priority_decides_then_age_and_groups_are_jumped_to() {
        let rules = [
            "priority 2 ingress pattern eth / end actions drop / end",
            "priority 1 ingress pattern udp dst is 53 / end actions queue index 1 / end",
            "priority 1 ingress pattern udp / end actions queue index 2 / end",
            "ingress pattern udp dst is 80 / end actions jump group 5 / end",
            "group 5 ingress pattern ipv4 dst is 10.0.0.2 / end actions queue index 3 / end",
        ];
        let tried = Tried::new(&rules);
        assert_eq!(tried.fate(&udp([10, 0, 0, 2], 53)), "queue 1");
        assert_eq!(tried.fate(&udp([10, 0, 0, 2], 54)), "queue 2");
        assert_eq!(tried.fate(&udp([10, 0, 0, 2], 80)), "queue 3");
        assert_eq!(tried.fate(&udp([10, 0, 0, 3], 80)), "default", "nothing in the group for it");
        assert_eq!(tried.fate(&Frame::ethernet(mac(1), mac(2)).arp_request([1; 4], [2; 4]).build()), "drop");
        let mut isolated = Tried::new(&rules[1..2]);
        isolated.table.isolated = true;
        assert_eq!(isolated.fate(&udp([10, 0, 0, 2], 54)), "drop");
    }

    #[test]
    fn rules_mark_count_and_rewrite_on_the_way() {
        let mut tried = Tried::new(&[
            "ingress pattern udp / end actions mark id 7 / count / end",
            "ingress pattern eth / end actions set_ipv4_dst ipv4_addr 192.168.2.1 / set_mac_dst mac_addr 02:00:00:00:00:09 / queue index 0 / end",
        ]);
        let frame = udp([10, 0, 0, 2], 53);
        let (fate, bytes, mark) = tried.pass(&frame);
        assert_eq!((fate.as_str(), mark), ("queue 0", Some(Some(7))));
        let expected = Frame::ethernet(mac(1), mac(9)).ipv4([10, 0, 0, 1], [192, 168, 2, 1]).udp(1000, 53);
        assert_eq!(bytes, expected.payload([7; 5]).build(), "checksums included");
        let (header, payload) = Ipv4::parse(&bytes[14..]).unwrap();
        assert!(header.checksum_ok() && PseudoHeader::of_ipv4(header).verify(payload));
        tried.pass(&frame);
        assert_eq!(tried.table.count(0), Some(FlowCount { hits: Some(2), bytes: Some(2 * frame.len() as u64) }));
        assert_eq!(tried.table.count(1), Some(FlowCount::default()), "it does not count");
        assert!(tried.table.remove(0) && !tried.table.remove(0) && tried.table.count(0).is_none());
    }

    #[test]
    fn what_software_cannot_do_is_refused_with_the_place() {
        for (text, part, place) in [
            ("egress pattern eth / end actions drop / end", 6, "come in"),
            ("pattern eth / end actions drop / end", 5, "ingress"),
            ("ingress pattern eth / udp / end actions drop / end", 13, "item 2 (udp)"),
            ("ingress pattern eth / ipv6 / icmp / end actions drop / end", 13, "item 3 (icmp)"),
            ("ingress pattern udp dst spec 9 dst last 5 / end actions drop / end", 11, "item 1 (udp)"),
            ("ingress pattern eth / end actions end", 14, "no action"),
            ("ingress pattern eth / end actions count / queue index 4 / end", 15, "action 2 (queue)"),
            ("group 3 ingress pattern eth / end actions jump group 3 / end", 15, "action 1 (jump)"),
            ("ingress pattern eth / end actions drop / queue index 1 / end", 16, "action 2 (queue)"),
            ("ingress pattern eth / end actions rss types eth end queues 0 end / end", 15, "action 1 (rss)"),
            ("ingress pattern eth / end actions rss queues 9 end / end", 15, "RX queue 9"),
        ] {
            let error = validate(&flow::parse(text).unwrap(), 4).unwrap_err();
            assert!(error.part == part && error.message.contains(place), "{text}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn no_frame_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..128), kind in 0..4_usize) {
            let mut bytes = bytes;
            if let Some(front) = bytes.get_mut(12..15) {
                front.copy_from_slice([&[8, 0, 0x45], &[0x86, 0xdd, 0x60], &[0x81, 0, 0], &[8, 6, 0]][kind]);
            }
            let tried = Tried::new(&[
                "ingress pattern eth dst is 02:00:00:00:00:01 / end actions flag / end",
                "ingress pattern tcp dst spec 1 dst last 9 dst mask 0xffff / end actions set_ipv4_src ipv4_addr 1.2.3.4 / end",
                "ingress pattern udp / vxlan / eth / ipv4 / end actions drop / end",
            ]);
            tried.pass(&bytes);
        }
    }
}

//! Flow rules that software looks packets up in.
//!
//! Rules of group 0 are tried in the order of their priority, then of their age. The first one that decides what
//! becomes of a packet ends it: drop, queue, rss; one that jumps has another group go on. Rules that only mark, count
//! or rewrite let the next ones see the packet too, as passthru does. A packet that no rule decides about goes its
//! usual way.

mod item;
mod layers;
mod table;
#[cfg(test)]
mod tests;
mod validate;

pub(super) use table::Table;
pub(super) use validate::validate;

use super::headers::Headers;
use super::spread::Spread;
use iogate::packet::{Ethernet, Header, IpProtocol, Ipv4, MacAddr, checksum, vxlan};
use iogate::port::{FlowAction, FlowHeader, FlowRule};
use iogate::prelude::*;
use item::Match;
use layers::{Layer, MOST_LAYERS, layers};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use table::Hits;

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
        let mut headers = [(FlowHeader::Ethernet, 0); MOST_LAYERS];
        let found = layers(packet.data(), &self.tunnels, &mut headers);
        let layers = &headers[..found];
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
}

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

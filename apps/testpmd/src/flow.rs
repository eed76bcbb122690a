//! Flow rules as they are typed: `ingress pattern eth / ipv4 src is 10.0.0.1 / end actions drop / end`.

use crate::grammar::number;
use crate::screen::complain;
use crate::show::rss;
use iogate::packet::MacAddr;
use iogate::port::{FlowAction, FlowError, FlowHash, FlowHeader, FlowItem, FlowRule};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Where a rule is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Words before it.
    pub(crate) at: usize,
    pub(crate) what: String,
}

/// How a field is written.
#[derive(Clone, Copy)]
enum Kind {
    Number,
    /// Some bits of the bytes: how many stand behind them, and how many there are.
    Bits(u32, u32),
    Mac,
    Ipv4,
    Ipv6,
}

/// Fields of headers: name, first byte, bytes, how they are written.
type Field = (&'static str, usize, usize, Kind);

const HEADERS: &[(&str, FlowHeader, &[Field])] = &[
    ("eth", FlowHeader::Ethernet, &[("dst", 0, 6, Kind::Mac), ("src", 6, 6, Kind::Mac), ("type", 12, 2, Kind::Number)]),
    (
        "vlan",
        FlowHeader::Vlan,
        &[
            ("tci", 0, 2, Kind::Number),
            ("pcp", 0, 2, Kind::Bits(13, 3)),
            ("dei", 0, 2, Kind::Bits(12, 1)),
            ("vid", 0, 2, Kind::Bits(0, 12)),
            ("inner_type", 2, 2, Kind::Number),
        ],
    ),
    (
        "arp_eth_ipv4",
        FlowHeader::Arp,
        &[
            ("opcode", 6, 2, Kind::Number),
            ("sha", 8, 6, Kind::Mac),
            ("spa", 14, 4, Kind::Ipv4),
            ("tha", 18, 6, Kind::Mac),
            ("tpa", 24, 4, Kind::Ipv4),
        ],
    ),
    (
        "ipv4",
        FlowHeader::Ipv4,
        &[
            ("tos", 1, 1, Kind::Number),
            ("ttl", 8, 1, Kind::Number),
            ("proto", 9, 1, Kind::Number),
            ("src", 12, 4, Kind::Ipv4),
            ("dst", 16, 4, Kind::Ipv4),
        ],
    ),
    (
        "ipv6",
        FlowHeader::Ipv6,
        &[
            ("tc", 0, 4, Kind::Bits(20, 8)),
            ("flow", 0, 4, Kind::Bits(0, 20)),
            ("proto", 6, 1, Kind::Number),
            ("hop", 7, 1, Kind::Number),
            ("src", 8, 16, Kind::Ipv6),
            ("dst", 24, 16, Kind::Ipv6),
        ],
    ),
    (
        "tcp",
        FlowHeader::Tcp,
        &[("src", 0, 2, Kind::Number), ("dst", 2, 2, Kind::Number), ("flags", 13, 1, Kind::Number)],
    ),
    ("udp", FlowHeader::Udp, &[("src", 0, 2, Kind::Number), ("dst", 2, 2, Kind::Number)]),
    (
        "sctp",
        FlowHeader::Sctp,
        &[
            ("src", 0, 2, Kind::Number),
            ("dst", 2, 2, Kind::Number),
            ("tag", 4, 4, Kind::Number),
            ("cksum", 8, 4, Kind::Number),
        ],
    ),
    (
        "icmp",
        FlowHeader::Icmp,
        &[
            ("type", 0, 1, Kind::Number),
            ("code", 1, 1, Kind::Number),
            ("ident", 4, 2, Kind::Number),
            ("seq", 6, 2, Kind::Number),
        ],
    ),
    ("vxlan", FlowHeader::Vxlan, &[("vni", 4, 3, Kind::Number)]),
];

/// What a header is called.
pub(crate) fn name(header: FlowHeader) -> &'static str {
    HEADERS.iter().find(|(_, known, _)| *known == header).map_or("", |(name, ..)| name)
}

/// The fields of a header: name, first byte, bytes.
pub(crate) fn fields(header: FlowHeader) -> impl Iterator<Item = (&'static str, usize, usize)> {
    let fields = HEADERS.iter().find(|(_, known, _)| *known == header).map_or(&[][..], |(.., fields)| fields);
    fields.iter().map(|(name, at, length, _)| (*name, *at, *length))
}

struct Words<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn next(&mut self, wanted: &str) -> Result<&'a str, Wrong> {
        let word = self.peek().ok_or_else(|| self.wrong(wanted))?;
        self.at += 1;
        Ok(word)
    }

    fn number(&mut self, most: u64) -> Result<u64, Wrong> {
        let found = self.peek().and_then(number).filter(|number| *number <= most);
        let found = found.ok_or_else(|| self.wrong(&format!("a number up to {most}")))?;
        self.at += 1;
        Ok(found)
    }

    fn wrong(&self, wanted: &str) -> Wrong {
        Wrong { at: self.at, what: format!("{wanted} is wanted here") }
    }

    fn expect(&mut self, word: &str) -> Result<(), Wrong> {
        if self.peek() != Some(word) {
            return Err(self.wrong(&format!("\"{word}\"")));
        }
        self.at += 1;
        Ok(())
    }
}

/// Reads a rule.
pub(crate) fn parse(text: &str) -> Result<FlowRule, Wrong> {
    let mut words = Words { words: text.split_whitespace().collect(), at: 0 };
    let mut rule = FlowRule::default();
    loop {
        match words.next("\"pattern\"")? {
            "group" => rule.group = words.number(u32::MAX.into())? as u32,
            "priority" => rule.priority = words.number(u32::MAX.into())? as u32,
            "user_id" => drop(words.number(u64::MAX)?),
            "ingress" => rule.ingress = true,
            "egress" => rule.egress = true,
            "transfer" => rule.transfer = true,
            "pattern" => break,
            _ => {
                words.at -= 1;
                return Err(words.wrong("an attribute or \"pattern\""));
            }
        }
    }
    loop {
        if words.peek() == Some("end") {
            words.at += 1;
            break;
        }
        rule.pattern.push(item(&mut words)?);
        words.expect("/")?;
    }
    words.expect("actions")?;
    loop {
        if words.peek() == Some("end") {
            words.at += 1;
            break;
        }
        rule.actions.push(action(&mut words)?);
        words.expect("/")?;
    }
    match words.peek() {
        None => Ok(rule),
        Some(_) => Err(words.wrong("nothing more")),
    }
}

fn item(words: &mut Words) -> Result<FlowItem, Wrong> {
    let name = words.peek();
    let Some((_, kind, fields)) = HEADERS.iter().find(|(known, ..)| Some(*known) == name) else {
        let known: Vec<&str> = HEADERS.iter().map(|(name, ..)| *name).collect();
        return Err(words.wrong(&format!("one of {} or end", known.join(", "))));
    };
    words.at += 1;
    let mut bytes: Option<([u8; 40], [u8; 40])> = None;
    let mut last: Option<[u8; 40]> = None;
    // Fields that have a value, and those of which it was said which bits count: the others count whole.
    let (mut valued, mut masked) = (Vec::new(), Vec::new());
    while let Some(word) = words.peek().filter(|word| *word != "/") {
        let Some(field) = fields.iter().find(|(known, ..)| *known == word) else {
            let known: Vec<&str> = fields.iter().map(|(name, ..)| *name).collect();
            return Err(words.wrong(&format!("one of {} or \"/\"", known.join(", "))));
        };
        let (name, at, length, _) = *field;
        words.at += 1;
        let (spec, mask) = bytes.get_or_insert(([0; 40], [0; 40]));
        let (spec, mask) = (&mut spec[at..at + length], &mut mask[at..at + length]);
        match words.next("is, spec, last, mask or prefix")? {
            "is" => {
                put(spec, field, &value(words, field)?);
                put(mask, field, &whole(field));
                masked.push(name);
            }
            "spec" => {
                put(spec, field, &value(words, field)?);
                valued.push(field);
            }
            "last" => {
                put(&mut last.get_or_insert([0; 40])[at..at + length], field, &value(words, field)?);
                valued.push(field);
            }
            "mask" => {
                put(mask, field, &value(words, field)?);
                masked.push(name);
            }
            "prefix" => {
                let most = whole(field).iter().map(|byte| byte.count_ones()).sum::<u32>();
                let mut bits = words.number(most.into())? as u32;
                let mut first = whole(field);
                // The first bits of those that the field has.
                for byte in &mut first {
                    for bit in (0..8).rev().filter(|bit| *byte >> bit & 1 == 1).collect::<Vec<_>>() {
                        if bits == 0 {
                            *byte &= !(1 << bit);
                        }
                        bits = bits.saturating_sub(1);
                    }
                }
                put(mask, field, &first);
                masked.push(name);
            }
            _ => {
                words.at -= 1;
                return Err(words.wrong("is, spec, last, mask or prefix"));
            }
        }
    }
    for field in valued.into_iter().filter(|(name, ..)| !masked.contains(name)) {
        let (_, at, length, _) = *field;
        if let Some((_, mask)) = &mut bytes {
            put(&mut mask[at..at + length], field, &whole(field));
        }
    }
    Ok(FlowItem { kind: *kind, bytes, last })
}

/// Every bit of a field.
fn whole(&(_, _, length, written): &Field) -> Vec<u8> {
    match written {
        Kind::Bits(behind, count) => (((1_u64 << count) - 1) << behind).to_be_bytes()[8 - length..].to_vec(),
        _ => vec![0xff; length],
    }
}

/// Writes a field into the bytes that it stands in, and leaves what else does.
fn put(bytes: &mut [u8], field: &Field, value: &[u8]) {
    for ((byte, value), mask) in bytes.iter_mut().zip(value).zip(whole(field)) {
        *byte = *byte & !mask | value & mask;
    }
}

fn value(words: &mut Words, &(_, _, length, written): &Field) -> Result<Vec<u8>, Wrong> {
    let text = words.peek().unwrap_or_default();
    let up_to = |most: u64, behind: u32| {
        let number = number(text).filter(|number| *number <= most);
        let bytes = number.map(|number| (number << behind).to_be_bytes()[8 - length..].to_vec());
        (bytes, format!("a number up to {most}"))
    };
    let (bytes, wanted) = match written {
        Kind::Number => up_to(u64::MAX >> (64 - length * 8), 0),
        Kind::Bits(behind, count) => up_to((1 << count) - 1, behind),
        Kind::Mac => (text.parse::<MacAddr>().ok().map(|mac| mac.octets().to_vec()), "a MAC address".to_owned()),
        Kind::Ipv4 => (text.parse::<Ipv4Addr>().ok().map(|ip| ip.octets().to_vec()), "an IPv4 address".to_owned()),
        Kind::Ipv6 => (text.parse::<Ipv6Addr>().ok().map(|ip| ip.octets().to_vec()), "an IPv6 address".to_owned()),
    };
    let bytes = bytes.ok_or_else(|| words.wrong(&wanted))?;
    words.at += 1;
    Ok(bytes)
}

fn action(words: &mut Words) -> Result<FlowAction, Wrong> {
    match words.next("an action")? {
        "drop" => Ok(FlowAction::Drop),
        "passthru" => Ok(FlowAction::Passthru),
        "flag" => Ok(FlowAction::Flag),
        "count" => Ok(FlowAction::Count),
        "queue" => {
            words.expect("index")?;
            Ok(FlowAction::Queue(words.number(u16::MAX.into())? as u16))
        }
        "jump" => {
            words.expect("group")?;
            Ok(FlowAction::Jump(words.number(u32::MAX.into())? as u32))
        }
        "mark" => {
            words.expect("id")?;
            Ok(FlowAction::Mark(words.number(u32::MAX.into())? as u32))
        }
        "rss" => spread(words),
        "set_mac_src" => address(words, "mac_addr", "a MAC address").map(FlowAction::SetMacSrc),
        "set_mac_dst" => address(words, "mac_addr", "a MAC address").map(FlowAction::SetMacDst),
        "set_ipv4_src" => address(words, "ipv4_addr", "an IPv4 address").map(FlowAction::SetIpv4Src),
        "set_ipv4_dst" => address(words, "ipv4_addr", "an IPv4 address").map(FlowAction::SetIpv4Dst),
        _ => {
            words.at -= 1;
            let known = "drop, passthru, flag, count, queue, jump, mark, rss, set_mac_src, set_mac_dst, set_ipv4_src, \
                         set_ipv4_dst";
            Err(words.wrong(&format!("one of {known} or end")))
        }
    }
}

fn address<T: FromStr>(words: &mut Words, name: &str, what: &str) -> Result<T, Wrong> {
    words.expect(name)?;
    let found = words.peek().and_then(|word| word.parse().ok()).ok_or_else(|| words.wrong(what))?;
    words.at += 1;
    Ok(found)
}

/// How hashes are made, as it is typed.
pub(crate) const HASHES: [(&str, FlowHash); 4] = [
    ("default", FlowHash::Default),
    ("toeplitz", FlowHash::Toeplitz),
    ("simple_xor", FlowHash::SimpleXor),
    ("symmetric_toeplitz", FlowHash::SymmetricToeplitz),
];

fn spread(words: &mut Words) -> Result<FlowAction, Wrong> {
    let (mut fields, mut queues, mut function) = (rss::IP, Vec::new(), FlowHash::Default);
    loop {
        match words.peek() {
            Some("types") => {
                words.at += 1;
                fields = 0;
                while let Some(word) = words.peek().filter(|word| *word != "end") {
                    fields |= rss::fields(word).ok_or_else(|| words.wrong("a field of rss or end"))?;
                    words.at += 1;
                }
                words.expect("end")?;
            }
            Some("queues") => {
                words.at += 1;
                while words.peek() != Some("end") {
                    queues.push(words.number(u16::MAX.into())? as u16);
                }
                words.expect("end")?;
            }
            Some("func") => {
                words.at += 1;
                let known = HASHES.iter().find(|(name, _)| words.peek() == Some(name));
                let known =
                    known.ok_or_else(|| words.wrong("one of default, toeplitz, simple_xor, symmetric_toeplitz"));
                function = known?.1;
                words.at += 1;
            }
            _ => return Ok(FlowAction::Spread { fields, queues, function }),
        }
    }
}

/// What an action is called.
pub(crate) fn action_name(action: &FlowAction) -> &'static str {
    match action {
        FlowAction::Drop => "drop",
        FlowAction::Passthru => "passthru",
        FlowAction::Queue(_) => "queue",
        FlowAction::Jump(_) => "jump",
        FlowAction::Mark(_) => "mark",
        FlowAction::Flag => "flag",
        FlowAction::Count => "count",
        FlowAction::Spread { .. } => "rss",
        FlowAction::SetMacSrc(_) => "set_mac_src",
        FlowAction::SetMacDst(_) => "set_mac_dst",
        FlowAction::SetIpv4Src(_) => "set_ipv4_src",
        FlowAction::SetIpv4Dst(_) => "set_ipv4_dst",
    }
}

/// A rule in `flow list`.
pub(crate) fn shown(rule: &FlowRule) -> String {
    let items: Vec<String> = rule.pattern.iter().map(|item| name(item.kind).to_uppercase()).collect();
    let actions: Vec<String> = rule.actions.iter().map(|action| action_name(action).to_uppercase()).collect();
    format!("{} => {}", items.join(" "), actions.join(" "))
}

/// What a rule's error is about, by number.
const PARTS: [&str; 17] = [
    "no error",
    "cause unspecified",
    "flow rule (handle)",
    "group field",
    "priority field",
    "ingress field",
    "egress field",
    "transfer field",
    "attributes structure",
    "pattern length",
    "item specification",
    "item specification range",
    "item specification mask",
    "specific pattern item",
    "number of actions",
    "action configuration",
    "specific action",
];

/// Says why a device wants no rule, or no mode.
pub(crate) fn refused(error: &FlowError) {
    let part = PARTS.get(error.part as usize).unwrap_or(&"unknown type");
    let message = if error.message.is_empty() { "(no stated reason)" } else { &error.message };
    complain!("port_flow_complain(): Caught PMD error type {} ({part}): {message}: {}", error.part, error.errno.text());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rule_is_read_word_by_word() {
        let text = "group 3 priority 2 ingress pattern eth dst is 02:00:00:00:00:01 / ipv4 src spec 10.1.0.0 src prefix 12 / \
                    udp dst is 53 / end actions queue index 1 / end";
        let rule = parse(text).unwrap();
        assert_eq!((rule.group, rule.priority, rule.ingress, rule.pattern.len()), (3, 2, true, 3));
        let (spec, mask) = rule.pattern[1].bytes.unwrap();
        assert_eq!((&spec[12..16], &mask[12..16]), (&[10, 1, 0, 0][..], &[0xff, 0xf0, 0, 0][..]));
        assert_eq!(rule.pattern[2].bytes.unwrap().0[2..4], [0, 53]);
        assert_eq!(rule.actions, [FlowAction::Queue(1)]);
        assert_eq!(shown(&rule), "ETH IPV4 UDP => QUEUE");
    }

    #[test]
    fn rss_takes_fields_and_queues() {
        let rule = parse("ingress pattern eth / end actions rss types udp end queues 0 1 end / end").unwrap();
        assert_eq!(
            rule.actions,
            [FlowAction::Spread { fields: rss::UDP, queues: vec![0, 1], function: FlowHash::Default }]
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, at) in [
            ("", 0),
            ("ingress", 1),
            ("ingress pattern nosuch / end actions drop / end", 2),
            ("ingress pattern eth dst is 1 / end actions drop / end", 5),
            ("ingress pattern udp dst is 65536 / end actions drop / end", 5),
            ("ingress pattern eth / end actions queue index x / end", 8),
            ("ingress pattern eth / end actions drop / end more", 9),
            ("ingress pattern eth end actions drop / end", 3),
        ] {
            assert_eq!(parse(text).unwrap_err().at, at, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "((ingress|pattern|eth|ipv6|vlan|/|end|actions|rss|types|queues|is|prefix|src|tci|129|0x1|drop) ){0,20}") {
            let _ = parse(&text);
        }
    }
}

//! Flow rules as they are typed: `ingress pattern eth / ipv4 src is 10.0.0.1 / end actions drop / end`.

use crate::grammar::number;
use crate::show::rss;
use iogate::packet::MacAddr;
use iogate::port::{FlowAction, FlowHeader, FlowItem, FlowRule};
use std::net::{Ipv4Addr, Ipv6Addr};

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
        &[("tci", 0, 2, Kind::Number), ("vid", 0, 2, Kind::Number), ("inner_type", 2, 2, Kind::Number)],
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
    ("sctp", FlowHeader::Sctp, &[("src", 0, 2, Kind::Number), ("dst", 2, 2, Kind::Number)]),
    ("icmp", FlowHeader::Icmp, &[("type", 0, 1, Kind::Number), ("code", 1, 1, Kind::Number)]),
    ("vxlan", FlowHeader::Vxlan, &[("vni", 4, 3, Kind::Number)]),
];

/// The bits of a VLAN identifier in its field.
const VID: u16 = 0x0fff;

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
    while let Some(word) = words.peek().filter(|word| *word != "/") {
        let Some(&(name, at, length, written)) = fields.iter().find(|(known, ..)| *known == word) else {
            let known: Vec<&str> = fields.iter().map(|(name, ..)| *name).collect();
            return Err(words.wrong(&format!("one of {} or \"/\"", known.join(", "))));
        };
        words.at += 1;
        let (spec, mask) = bytes.get_or_insert(([0; 40], [0; 40]));
        let (spec, mask) = (&mut spec[at..at + length], &mut mask[at..at + length]);
        match words.next("is, spec, mask or prefix")? {
            "is" => {
                spec.copy_from_slice(&value(words, length, written)?);
                mask.fill(0xff);
                if name == "vid" {
                    mask.copy_from_slice(&VID.to_be_bytes());
                }
            }
            "spec" => spec.copy_from_slice(&value(words, length, written)?),
            "mask" => mask.copy_from_slice(&value(words, length, written)?),
            "prefix" => {
                let bits = words.number(length as u64 * 8)? as usize;
                let of = |at: usize| (0xff00_u16 >> bits.saturating_sub(at * 8).min(8)) as u8;
                mask.iter_mut().enumerate().for_each(|(at, byte)| *byte = of(at));
            }
            _ => {
                words.at -= 1;
                return Err(words.wrong("is, spec, mask or prefix"));
            }
        }
    }
    Ok(FlowItem { kind: *kind, bytes })
}

fn value(words: &mut Words, length: usize, written: Kind) -> Result<Vec<u8>, Wrong> {
    let text = words.peek().unwrap_or_default();
    let most = u64::MAX >> (64 - length.min(8) * 8);
    let (bytes, wanted) = match written {
        Kind::Number => {
            let number = number(text).filter(|number| *number <= most);
            (number.map(|number| number.to_be_bytes()[8 - length..].to_vec()), format!("a number up to {most}"))
        }
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
        _ => {
            words.at -= 1;
            Err(words.wrong("one of drop, passthru, flag, count, queue, jump, mark, rss or end"))
        }
    }
}

fn spread(words: &mut Words) -> Result<FlowAction, Wrong> {
    let (mut fields, mut queues) = (rss::IP, Vec::new());
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
                words.expect("default")?;
            }
            _ => return Ok(FlowAction::Spread { fields, queues }),
        }
    }
}

/// A rule in `flow list`.
pub(crate) fn shown(rule: &FlowRule) -> String {
    let header = |kind: FlowHeader| HEADERS.iter().find(|(_, known, _)| *known == kind).map_or("", |(name, ..)| name);
    let items: Vec<String> = rule.pattern.iter().map(|item| header(item.kind).to_uppercase()).collect();
    let action = |action: &FlowAction| match action {
        FlowAction::Drop => "DROP",
        FlowAction::Passthru => "PASSTHRU",
        FlowAction::Queue(_) => "QUEUE",
        FlowAction::Jump(_) => "JUMP",
        FlowAction::Mark(_) => "MARK",
        FlowAction::Flag => "FLAG",
        FlowAction::Count => "COUNT",
        FlowAction::Spread { .. } => "RSS",
    };
    let actions: Vec<&str> = rule.actions.iter().map(action).collect();
    format!("{} => {}", items.join(" "), actions.join(" "))
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
        assert_eq!(rule.actions, [FlowAction::Spread { fields: rss::UDP, queues: vec![0, 1] }]);
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

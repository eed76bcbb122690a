use super::super::spread::{self, KEY};
use super::*;
use crate::flow;
use iogate::packet::PseudoHeader;
use iogate::port::{FlowCount, FlowHash};
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

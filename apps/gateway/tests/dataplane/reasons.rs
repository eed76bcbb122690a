//! One frame for each reason to drop one; and no frame has two.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::harness::{HOUSE, LAN, SAN, house, mac};
use iogate::memory::Batch;
use iogate::packet::arp::Operation;
use iogate::packet::{EtherType, MacAddr};
use iogate::pipeline::{Context, DropReason, Outlet, Stage};
use iogate::testkit::{Complete, FakePort, Frame};
use iogate_gateway::config;
use iogate_gateway::dataplane::frame::Meta;
use iogate_gateway::dataplane::{Active, Ingress, Switch, Tables, drop};

/// Reasons that a frame alone does not provoke: other tests do.
const ELSEWHERE: [DropReason; 1] = [drop::NO_ROOM];

fn cases() -> Vec<(DropReason, &'static str, Vec<u8>)> {
    let from = |src: MacAddr, dst: MacAddr| Frame::ethernet(src, dst);
    let safe = || from(mac(0x33), LAN);
    let v4 = |frame: Frame| frame.ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
    vec![
        (drop::MALFORMED, "eth-srv1", vec![0; 13]),
        (drop::BAD_SOURCE, "eth-srv1", from(MacAddr::ZERO, LAN).build()),
        (drop::LINK_LOCAL, "eth-srv1", from(mac(0x11), MacAddr::LLDP).build()),
        (drop::MAC_CONTROL, "net-a", from(LAN, MacAddr::PAUSE).ether_type(EtherType::MAC_CONTROL).build()),
        (drop::NESTED_TAG, "net-a", from(LAN, mac(0x11)).vlan(110).vlan(1).build()),
        (drop::UNKNOWN_VLAN, "net-a", from(LAN, mac(0x11)).vlan(111).build()),
        (drop::UNKNOWN_SOURCE, "eth-srv1", from(mac(0x14), LAN).build()),
        (drop::ADAPTER_DOWN, "eth-srv2", from(mac(0x22), LAN).build()),
        (drop::SPOOFED_ARP, "eth-hv3", safe().arp(Operation::REPLY, (LAN, [10, 0, 0, 33]), (LAN, [0; 4])).build()),
        (drop::SPOOFED_ND, "eth-hv3", safe().ipv6([0; 16], [0xfe; 16]).neighbor_advertisement([9; 16]).build()),
        (drop::SPOOFED_IP, "eth-hv3", v4(safe()).udp(1, 2).build()),
        (drop::STORAGE_ON_NETWORK, "eth-srv1", v4(from(mac(0x11), LAN)).iscsi().build()),
        (drop::NETWORK_ON_STORAGE, "eth-srv1", v4(from(mac(0x13), SAN)).tcp(1, 80).build()),
        (drop::WRONG_PROTOCOL, "eth-srv2", from(mac(0x21), SAN).vlan(300).aoe(1, 1).build()),
        (drop::DEJA_VU, "net-a", from(mac(0x11), LAN).vlan(110).build()),
        (drop::UNKNOWN_UNICAST, "net-a", from(LAN, SAN).vlan(110).build()),
        (drop::STANDBY_UPLINK, "net-b", from(LAN, MacAddr::BROADCAST).vlan(110).build()),
        (drop::WRONG_FABRIC, "san-a", from(SAN, mac(0x21)).vlan(301).aoe(1, 1).build()),
        // boot-b has no uplink in this test, and no adapter at all.
        (drop::NO_UPLINK, "eth-srv2", from(mac(0x21), SAN).vlan(301).fcoe(1, 2, &[0; 32]).build()),
        (drop::TOO_BIG, "eth-srv1", from(mac(0x11), LAN).payload(vec![0; 1505]).build()),
        (drop::TO_ITSELF, "eth-srv1", from(mac(0x11), mac(0x11)).build()),
        (
            drop::SNAP,
            "eth-srv1",
            from(mac(0x11), LAN).ether_type(EtherType(64)).payload([0xaa, 0xaa, 3, 0, 0, 0, 8, 6]).build(),
        ),
        (drop::NO_RECEIVER, "san-b", from(SAN, MacAddr::BROADCAST).arp_request([1; 4], [2; 4]).build()),
    ]
}

#[test]
fn each_reason_can_be_provoked() {
    let mut gw = house();
    gw.activate("stor-b", None);
    for (reason, port, frame) in cases() {
        gw.refuses(port, frame, reason);
        gw.nothing_else();
    }
    let tested: BTreeSet<_> = cases().into_iter().map(|(reason, ..)| reason).chain(ELSEWHERE).collect();
    let known: BTreeSet<_> = DropReason::all().filter(|r| r.name().is_err() && drop::name(*r) != "unknown").collect();
    assert_eq!(tested, known);
}

#[test]
fn each_reason_has_a_name_and_a_meaning_of_its_own() {
    let known: Vec<_> =
        DropReason::all().filter(|r| drop::name(*r) != "unknown" && drop::name(*r) != "reserved").collect();
    let names: BTreeSet<_> = known.iter().map(|r| drop::name(*r)).collect();
    let meanings: BTreeSet<_> = known.iter().map(|r| drop::meaning(*r)).collect();
    assert_eq!((names.len(), meanings.len()), (known.len(), known.len()));
    for meaning in meanings {
        assert!(meaning.ends_with('.') && !meaning.starts_with(' '), "{meaning:?}");
    }
}

/// A frame whose buffer begins with its first byte has no room for a tag.
#[test]
fn no_headroom_is_a_reason() {
    let _alone = crate::harness::alone();
    let config = config::parse(HOUSE, Path::new("test.toml")).unwrap();
    let pool = iogate::testkit::pool("tight", 255);
    let _complete = Complete::new(&pool);
    let mut fakes: Vec<_> = config.ports().map(|(_, name, ..)| FakePort::with_pool(name.as_str(), &pool)).collect();
    let outlets = fakes.iter().map(|fake| Outlet::new(fake.port.tx(0).unwrap())).collect();
    let active = config.networks().map(|(id, _)| config.uplinks_of(id)[0].index() as u16).collect();
    let mut switch =
        Switch::new(Arc::new(Tables::new(&config)), Arc::new(Active(active)), vec![Ingress::Link(0)], outlets);
    let mut cx = Context::new(1);
    let mut run = |dst: MacAddr| {
        let frame = Frame::ethernet(mac(0x11), dst).payload([5; 200]).build();
        let mut packet = pool.alloc_from(&frame[128..]).unwrap();
        packet.prepend(128).unwrap().copy_from_slice(&frame[..128]);
        assert_eq!(packet.headroom(), 0);
        let mut batch: Batch<Meta> = Batch::new();
        assert!(batch.push(packet, Meta::default()).is_ok());
        switch.run(&mut batch, &mut cx);
        switch.flush(&mut cx);
        let drops = cx.source_counters(0).drops();
        let came: Vec<_> = fakes.iter_mut().map(|fake| fake.received().len()).collect();
        (drops.packets(drop::NO_ROOM), drops.bytes(drop::NO_ROOM), drops.total(), came)
    };
    assert_eq!(run(LAN), (1, 214, 1, vec![0; 7]));
    // Untagged there is no need of it.
    assert_eq!(run(mac(0x32)), (1, 214, 1, vec![0, 0, 1, 0, 0, 0, 0]));
    // Copies have room; the last form takes the buffer itself, which has none: h3.trk and the uplink go without.
    assert_eq!(run(MacAddr::BROADCAST), (3, 3 * 214, 3, vec![0, 1, 1, 0, 0, 0, 0]));
}

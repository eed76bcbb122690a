//! Priorities: a class has its own, whatever the frame came with.

use crate::harness::{LAN, SAN, house, mac};
use iogate::packet::{EtherType, MacAddr, Tci};
use iogate::testkit::Frame;

#[test]
fn the_priority_is_that_of_the_class() {
    let mut gw = house();
    let net = Frame::ethernet(mac(0x21), LAN);
    let over_ip = net.clone().ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
    for (frame, pcp) in [
        (net.clone().arp_request([10, 0, 0, 1], [10, 0, 0, 2]), 6),
        (over_ip.clone().icmp_echo(1, 1), 6),
        (net.clone().ipv6([0xfd; 16], [0xfe; 16]).icmpv6_echo(1, 1), 6),
        (over_ip.clone().tcp(40_000, 443), 0),
        (net.clone(), 0),
    ] {
        for came_with in 0..8 {
            let sent = frame.clone().priority(20, came_with).build();
            gw.passes("eth-srv2", sent, "net-a", frame.clone().priority(110, pcp).build());
        }
    }
    let san = Frame::ethernet(SAN, mac(0x13));
    let block = san.clone().ipv4([10, 1, 0, 1], [10, 1, 0, 2]).iscsi();
    gw.passes("san-a", block.clone().priority(300, 1).build(), "eth-srv1", block.build());
}

#[test]
fn the_drop_eligible_bit_goes() {
    let mut gw = house();
    let frame = Frame::ethernet(mac(0x21), LAN);
    let eligible = frame.clone().tag(EtherType::VLAN, Tci::new(20, 7, true));
    gw.passes("eth-srv2", eligible.build(), "net-a", frame.vlan(110).build());
}

#[test]
fn lengths_are_kept_but_for_the_tag() {
    let mut gw = house();
    for len in [0, 1, 45, 46, 47, 500, 1482] {
        let frame = Frame::ethernet(mac(0x11), LAN).payload(vec![0xa5; len]);
        gw.passes("eth-srv1", frame.clone().build(), "net-a", frame.vlan(110).build());
        let frame = Frame::ethernet(LAN, mac(0x11)).payload(vec![0x5a; len]);
        gw.passes("net-a", frame.clone().vlan(110).build(), "eth-srv1", frame.build());
    }
}

#[test]
fn a_tag_that_the_card_took_off_counts_as_if_it_stood_in_the_frame() {
    let mut gw = house();
    let ip = |src, dst| Frame::ethernet(src, dst).ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
    let udp = |src, dst| ip(src, dst).udp(5000, 5001).payload("a tag beside it");
    let service = EtherType::SERVICE_VLAN;
    for (port, frame) in [
        // Access, tagged on the link: to the uplink, to another server, to everybody.
        ("eth-srv2", udp(mac(0x21), LAN).priority(20, 3)),
        ("eth-srv2", udp(mac(0x21), mac(0x11)).priority(20, 0)),
        ("eth-srv2", udp(mac(0x21), MacAddr::BROADCAST).vlan(20)),
        ("eth-srv1", udp(mac(0x12), LAN).vlan(7)),
        // Untagged on the link; a tag that carries a priority only says no more.
        ("eth-srv1", udp(mac(0x11), LAN)),
        ("eth-srv1", udp(mac(0x11), LAN).priority(0, 5)),
        // A trunk, with a tag of its own and with the network's.
        ("eth-hv3", udp(mac(0x31), LAN).vlan(110)),
        ("eth-hv3", udp(mac(0x31), mac(0x12)).priority(8, 7)),
        // Storage, by tag.
        ("eth-srv2", ip(mac(0x21), SAN).iscsi().vlan(300)),
        ("eth-srv2", ip(mac(0x21), SAN).iscsi().vlan(301)),
        // From uplinks: tagged there, untagged, broadcast.
        ("net-a", udp(LAN, mac(0x11)).priority(110, 6)),
        ("net-a", udp(LAN, mac(0x21)).vlan(110)),
        ("net-a", udp(LAN, mac(0x12))),
        ("net-a", udp(LAN, mac(0x12)).priority(0, 2)),
        ("net-a", udp(LAN, MacAddr::BROADCAST).vlan(110)),
        ("san-a", ip(SAN, mac(0x21)).iscsi().vlan(300)),
        // Refused: tags that are nobody's, of the other fabric, two of them, our own source.
        ("eth-srv2", udp(mac(0x21), LAN).vlan(99)),
        ("eth-srv2", udp(mac(0x21), LAN)),
        ("net-a", udp(LAN, mac(0x11)).vlan(99)),
        ("san-a", ip(SAN, mac(0x21)).iscsi().vlan(301)),
        ("eth-srv2", udp(mac(0x21), LAN).vlan(20).vlan(21)),
        ("net-a", udp(LAN, mac(0x11)).tag(service, Tci::new(110, 0, false))),
        ("net-a", udp(mac(0x11), MacAddr::BROADCAST).vlan(110)),
        // Longer than the network's MTU by its tag alone.
        ("eth-srv1", ip(mac(0x12), LAN).udp(1, 2).payload(vec![0; 1000 - 42 - 4]).vlan(7)),
        ("eth-srv1", ip(mac(0x12), LAN).udp(1, 2).payload(vec![0; 1000 - 42 - 3]).vlan(7)),
    ] {
        let frame = frame.build();
        gw.send(port, &frame);
        let (in_frame, dropped) = (gw.everything(), gw.ask_all());
        gw.send_stripped(port, &frame);
        assert_eq!((gw.everything(), gw.ask_all()), (in_frame.clone(), dropped.clone()), "{port}: {frame:02x?}");
        assert!(in_frame.iter().any(|(_, frames)| !frames.is_empty()) || !dropped.is_empty());
    }
}

//! Priorities: a class has its own, whatever the frame came with.

use crate::harness::{LAN, SAN, house, mac};
use iogate::packet::{EtherType, Tci};
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

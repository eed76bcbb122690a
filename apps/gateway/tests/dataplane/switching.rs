//! Who gets a frame, and with which tag.

use crate::harness::{LAN, SAN, house, mac};
use iogate::packet::MacAddr;
use iogate::testkit::Frame;
use iogate_gateway::dataplane::drop;

/// Something harmless from one station to another.
fn frame(src: MacAddr, dst: MacAddr) -> Frame {
    Frame::ethernet(src, dst).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(5000, 5001).payload("up and down")
}

/// Something that belongs on storage.
fn block(src: MacAddr, dst: MacAddr) -> Frame {
    Frame::ethernet(src, dst).ipv4([10, 1, 0, 1], [10, 1, 0, 2]).iscsi()
}

#[test]
fn an_untagged_adapter_gets_its_vlan_on_the_uplink() {
    let mut gw = house();
    let (up, down) = (frame(mac(0x11), LAN), frame(LAN, mac(0x11)));
    gw.passes("eth-srv1", up.clone().build(), "net-a", up.vlan(110).build());
    gw.passes("net-a", down.clone().vlan(110).build(), "eth-srv1", down.build());
}

#[test]
fn a_tag_on_the_link_becomes_the_vlan_of_the_uplink() {
    let mut gw = house();
    let (up, down) = (frame(mac(0x21), LAN), frame(LAN, mac(0x21)));
    gw.passes("eth-srv2", up.clone().vlan(20).build(), "net-a", up.vlan(110).build());
    gw.passes("net-a", down.clone().vlan(110).build(), "eth-srv2", down.vlan(20).build());
}

#[test]
fn a_tag_on_the_link_is_taken_off_for_an_untagged_uplink() {
    let mut gw = house();
    let (up, down) = (frame(mac(0x12), LAN), frame(LAN, mac(0x12)));
    gw.passes("eth-srv1", up.clone().vlan(7).build(), "net-a", up.build());
    gw.passes("net-a", down.clone().build(), "eth-srv1", down.vlan(7).build());
}

#[test]
fn a_trunk_is_in_each_of_its_networks() {
    let mut gw = house();
    let (up, down) = (frame(mac(0x31), LAN), frame(LAN, mac(0x31)));
    gw.passes("eth-hv3", up.clone().vlan(110).build(), "net-a", up.clone().vlan(110).build());
    gw.passes("eth-hv3", up.clone().vlan(8).build(), "net-a", up.clone().build());
    gw.passes("net-a", down.clone().vlan(110).build(), "eth-hv3", down.clone().vlan(110).build());
    gw.passes("net-a", down.clone().build(), "eth-hv3", down.vlan(8).build());
    // It has no untagged network, though another adapter on the link has.
    gw.refuses("eth-hv3", up.clone().build(), drop::UNKNOWN_SOURCE);
    gw.refuses("eth-hv3", up.vlan(9).build(), drop::UNKNOWN_VLAN);
}

#[test]
fn a_tag_with_a_priority_only_is_no_tag() {
    let mut gw = house();
    let (up, down) = (frame(mac(0x11), LAN), frame(LAN, mac(0x12)));
    gw.passes("eth-srv1", up.clone().priority(0, 5).build(), "net-a", up.vlan(110).build());
    gw.passes("net-a", down.clone().priority(0, 5).build(), "eth-srv1", down.vlan(7).build());
    // Where no tag is wanted it goes, priority and all.
    let local = frame(mac(0x11), mac(0x32));
    gw.passes("eth-srv1", local.clone().priority(0, 5).build(), "eth-hv3", local.build());
    let out = frame(mac(0x31), LAN);
    gw.refuses("eth-hv3", out.priority(0, 1).build(), drop::UNKNOWN_SOURCE);
}

#[test]
fn adapters_on_one_link_are_told_apart_by_mac() {
    let mut gw = house();
    let (net, san) = (frame(mac(0x11), LAN), block(mac(0x13), SAN));
    gw.passes("eth-srv1", net.clone().build(), "net-a", net.vlan(110).build());
    gw.passes("eth-srv1", san.clone().build(), "san-a", san.priority(300, 5).build());
}

#[test]
fn adapters_on_one_link_are_told_apart_by_tag() {
    let mut gw = house();
    let net = frame(mac(0x21), LAN);
    let san = block(mac(0x21), SAN);
    gw.passes("eth-srv2", net.clone().vlan(20).build(), "net-a", net.vlan(110).build());
    gw.passes("eth-srv2", san.clone().vlan(300).build(), "san-a", san.priority(300, 5).build());
    let back = block(SAN, mac(0x21));
    gw.passes("san-a", back.clone().vlan(300).build(), "eth-srv2", back.priority(300, 5).build());
}

#[test]
fn stations_of_a_network_reach_each_other_without_the_uplink() {
    let mut gw = house();
    let to_other_link = frame(mac(0x11), mac(0x21));
    gw.passes("eth-srv1", to_other_link.clone().build(), "eth-srv2", to_other_link.vlan(20).build());
    let back = frame(mac(0x21), mac(0x11));
    gw.passes("eth-srv2", back.clone().vlan(20).build(), "eth-srv1", back.build());
    let same_tag = frame(mac(0x11), mac(0x32));
    gw.passes("eth-srv1", same_tag.clone().build(), "eth-hv3", same_tag.build());
    let trunk_to_access = frame(mac(0x31), mac(0x12));
    gw.passes("eth-hv3", trunk_to_access.clone().vlan(8).build(), "eth-srv1", trunk_to_access.vlan(7).build());
}

#[test]
fn stations_on_one_link_reach_each_other_through_the_gateway() {
    let mut gw = house();
    let pop = frame(mac(0x31), mac(0x32));
    gw.passes("eth-hv3", pop.clone().vlan(110).build(), "eth-hv3", pop.build());
    let push = frame(mac(0x32), mac(0x31));
    gw.passes("eth-hv3", push.clone().build(), "eth-hv3", push.vlan(110).build());
    let neither = frame(mac(0x32), mac(0x33));
    gw.passes("eth-hv3", neither.clone().build(), "eth-hv3", neither.build());
}

#[test]
fn an_adapter_of_another_network_is_a_stranger() {
    let mut gw = house();
    // s1.dmz is not in prod: for s1.net it is somewhere outside.
    let up = frame(mac(0x11), mac(0x12));
    gw.passes("eth-srv1", up.clone().build(), "net-a", up.vlan(110).build());
    gw.refuses("net-a", frame(LAN, mac(0x12)).vlan(110).build(), drop::UNKNOWN_UNICAST);
}

#[test]
fn unknown_unicast_goes_up_and_never_sideways_or_down() {
    let mut gw = house();
    for dst in [LAN, MacAddr::ZERO, MacAddr::new([0xfe, 1, 2, 3, 4, 5])] {
        let up = frame(mac(0x11), dst);
        gw.passes("eth-srv1", up.clone().build(), "net-a", up.vlan(110).build());
    }
    gw.refuses("net-a", frame(LAN, SAN).vlan(110).build(), drop::UNKNOWN_UNICAST);
    gw.refuses("net-a", frame(LAN, SAN).build(), drop::UNKNOWN_UNICAST);
    gw.refuses("san-a", block(SAN, LAN).vlan(300).build(), drop::UNKNOWN_UNICAST);
}

#[test]
fn only_the_adapters_of_a_link_send_on_it() {
    let mut gw = house();
    // A stranger, an adapter of another link, one of this link with the wrong tag, and the right tag for another.
    gw.refuses("eth-srv1", frame(LAN, mac(0x21)).build(), drop::UNKNOWN_SOURCE);
    gw.refuses("eth-srv1", frame(mac(0x32), LAN).build(), drop::UNKNOWN_SOURCE);
    gw.refuses("eth-srv1", frame(mac(0x12), LAN).build(), drop::UNKNOWN_SOURCE);
    gw.refuses("eth-srv1", frame(mac(0x11), LAN).vlan(7).build(), drop::UNKNOWN_SOURCE);
    gw.refuses("eth-srv1", frame(mac(0x11), LAN).vlan(110).build(), drop::UNKNOWN_VLAN);
    gw.refuses("eth-srv2", frame(mac(0x21), LAN).vlan(4095).build(), drop::UNKNOWN_VLAN);
    for vlan in [1, 7, 20, 300, 4095] {
        gw.refuses("net-a", frame(LAN, mac(0x11)).vlan(vlan).build(), drop::UNKNOWN_VLAN);
    }
}

#[test]
fn an_adapter_that_is_down_neither_sends_nor_receives() {
    let mut gw = house();
    gw.refuses("eth-srv2", frame(mac(0x22), LAN).build(), drop::ADAPTER_DOWN);
    gw.refuses("eth-srv2", frame(mac(0x22), MacAddr::BROADCAST).build(), drop::ADAPTER_DOWN);
    gw.refuses("eth-srv1", frame(mac(0x11), mac(0x22)).build(), drop::ADAPTER_DOWN);
    gw.refuses("net-a", frame(LAN, mac(0x22)).vlan(110).build(), drop::ADAPTER_DOWN);
}

#[test]
fn nothing_goes_back_to_its_sender() {
    let mut gw = house();
    gw.refuses("eth-srv1", frame(mac(0x11), mac(0x11)).build(), drop::TO_ITSELF);
    gw.refuses("eth-hv3", frame(mac(0x31), mac(0x31)).vlan(110).build(), drop::TO_ITSELF);
    gw.refuses("eth-hv3", frame(mac(0x31), mac(0x31)).vlan(8).build(), drop::TO_ITSELF);
}

#[test]
fn a_batch_keeps_its_order() {
    let mut gw = house();
    let numbered = |n: u16| frame(mac(0x11), LAN).payload(n.to_be_bytes());
    gw.send_all("eth-srv1", (0..100).map(|n| numbered(n).build()));
    let wanted: Vec<_> = (0..100).map(|n| numbered(n).vlan(110).build()).collect();
    assert_eq!(gw.received("net-a"), wanted);
}

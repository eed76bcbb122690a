//! Fabrics A and B have nothing in common.

use crate::harness::{SAN, house, mac};
use iogate::packet::MacAddr;
use iogate::testkit::Frame;
use iogate_gateway::dataplane::drop;

fn fcoe(src: MacAddr, dst: MacAddr) -> Frame {
    Frame::ethernet(src, dst).fcoe(0x01_02_03, 0x04_05_06, &[0; 32])
}

fn arp(src: MacAddr) -> Frame {
    Frame::ethernet(src, MacAddr::BROADCAST).arp_request([10, 1, 0, 1], [10, 1, 0, 2])
}

#[test]
fn each_network_uses_the_uplink_of_its_fabric() {
    let mut gw = house();
    let a = fcoe(mac(0x13), SAN);
    gw.passes("eth-srv1", a.clone().build(), "san-a", a.priority(300, 3).build());
    let b = fcoe(mac(0x21), SAN);
    gw.passes("eth-srv2", b.clone().vlan(301).build(), "san-b", b.priority(301, 3).build());
}

#[test]
fn a_station_of_the_other_fabric_is_not_a_neighbour() {
    let mut gw = house();
    // 0x21 is in both fabrics, by its tag, and 0x13 in A only: what B sends to it goes up, and stays in B.
    let b = fcoe(mac(0x21), mac(0x13));
    gw.passes("eth-srv2", b.clone().vlan(301).build(), "san-b", b.clone().priority(301, 3).build());
    gw.refuses("san-b", fcoe(SAN, mac(0x13)).vlan(301).build(), drop::UNKNOWN_UNICAST);
    // For all means for all of the fabric.
    gw.send("eth-srv2", arp(mac(0x21)).vlan(301).build());
    gw.expect("san-b", arp(mac(0x21)).priority(301, 6).build());
    gw.nothing_else();
    gw.send("san-a", arp(SAN).vlan(300).build());
    gw.expect("eth-srv1", arp(SAN).build());
    gw.expect("eth-srv2", arp(SAN).priority(300, 6).build());
}

#[test]
fn a_vlan_of_the_other_fabric_is_on_the_wrong_uplink() {
    let mut gw = house();
    gw.refuses("san-a", fcoe(SAN, mac(0x21)).vlan(301).build(), drop::WRONG_FABRIC);
    gw.refuses("san-b", fcoe(SAN, mac(0x13)).vlan(300).build(), drop::WRONG_FABRIC);
    gw.refuses("san-a", arp(SAN).vlan(301).build(), drop::WRONG_FABRIC);
    // Untagged is fabric B's too.
    gw.refuses("san-a", arp(SAN).build(), drop::WRONG_FABRIC);
    gw.refuses("san-b", arp(SAN).build(), drop::NO_RECEIVER);
    for vlan in [1, 110, 4095] {
        gw.refuses("san-a", arp(SAN).vlan(vlan).build(), drop::UNKNOWN_VLAN);
    }
    gw.refuses("net-a", arp(SAN).vlan(300).build(), drop::UNKNOWN_VLAN);
}

#[test]
fn one_fabric_does_not_stand_in_for_the_other() {
    let mut gw = house();
    gw.activate("stor-a", None);
    gw.refuses("eth-srv1", fcoe(mac(0x13), SAN).build(), drop::NO_UPLINK);
    let b = fcoe(mac(0x21), SAN);
    gw.passes("eth-srv2", b.clone().vlan(301).build(), "san-b", b.priority(301, 3).build());
}

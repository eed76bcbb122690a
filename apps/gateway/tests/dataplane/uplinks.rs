//! Groups of uplinks: who is active, who stands by, and what comes back.

use crate::harness::{LAN, house, mac};
use iogate::packet::MacAddr;
use iogate::testkit::Frame;
use iogate_gateway::dataplane::drop;

fn frame(src: MacAddr, dst: MacAddr) -> Frame {
    Frame::ethernet(src, dst).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(40_000, 80).payload("GET /")
}

#[test]
fn the_active_uplink_can_be_another() {
    let mut gw = house();
    let up = frame(mac(0x11), LAN);
    let tagged = up.clone().vlan(110).build();
    gw.passes("eth-srv1", up.clone().build(), "net-a", &tagged);
    gw.activate("prod", Some("net-b"));
    gw.passes("eth-srv1", up.clone().build(), "net-b", &tagged);
    // Each network for itself.
    let dmz = frame(mac(0x12), LAN);
    gw.passes("eth-srv1", dmz.clone().vlan(7).build(), "net-a", dmz.build());
    gw.activate("prod", Some("net-a"));
    gw.passes("eth-srv1", up.build(), "net-a", &tagged);
}

#[test]
fn nothing_leaves_without_an_uplink() {
    let mut gw = house();
    gw.activate("prod", None);
    gw.refuses("eth-srv1", frame(mac(0x11), LAN).build(), drop::NO_UPLINK);
    // Neighbours do not need it.
    let local = frame(mac(0x11), mac(0x21));
    gw.passes("eth-srv1", local.clone().build(), "eth-srv2", local.vlan(20).build());
}

#[test]
fn a_standby_uplink_brings_unicast_but_nothing_for_all() {
    let mut gw = house();
    let unicast = frame(LAN, mac(0x11));
    gw.passes("net-b", unicast.clone().vlan(110).build(), "eth-srv1", unicast.build());
    let multicast = MacAddr::new([1, 0, 0x5e, 1, 2, 3]);
    for dst in [MacAddr::BROADCAST, multicast] {
        gw.refuses("net-b", frame(LAN, dst).vlan(110).build(), drop::STANDBY_UPLINK);
        gw.refuses("net-b", frame(LAN, dst).build(), drop::STANDBY_UPLINK);
    }
    gw.activate("dmz", Some("net-b"));
    gw.refuses("net-a", frame(LAN, MacAddr::BROADCAST).build(), drop::STANDBY_UPLINK);
    let all = frame(LAN, MacAddr::BROADCAST);
    gw.send("net-b", all.clone().build());
    gw.expect("eth-srv1", all.clone().vlan(7).build());
    gw.expect("eth-hv3", all.vlan(8).build());
}

#[test]
fn no_frame_goes_from_uplink_to_uplink() {
    let mut gw = house();
    gw.refuses("net-a", frame(LAN, MacAddr::new([2, 0xee, 0, 0, 0, 9])).vlan(110).build(), drop::UNKNOWN_UNICAST);
    let all = frame(LAN, MacAddr::BROADCAST);
    gw.activate("dmz", Some("net-b"));
    gw.send("net-b", all.clone().build());
    assert!(gw.received("net-a").is_empty() && gw.received("net-b").is_empty());
    gw.expect("eth-srv1", all.clone().vlan(7).build());
    gw.expect("eth-hv3", all.vlan(8).build());
}

#[test]
fn our_own_frames_come_back_no_further_than_the_uplink() {
    let mut gw = house();
    let ours = frame(mac(0x11), MacAddr::BROADCAST).vlan(110);
    for uplink in ["net-a", "net-b"] {
        gw.refuses(uplink, ours.clone().build(), drop::DEJA_VU);
        gw.refuses(uplink, frame(mac(0x11), mac(0x21)).vlan(110).build(), drop::DEJA_VU);
        // Also one that is down.
        gw.refuses(uplink, frame(mac(0x22), mac(0x21)).vlan(110).build(), drop::DEJA_VU);
    }
    // In another network the address is a stranger's, as good as any.
    let other = frame(mac(0x11), mac(0x12));
    gw.passes("net-a", other.clone().build(), "eth-srv1", other.vlan(7).build());
}

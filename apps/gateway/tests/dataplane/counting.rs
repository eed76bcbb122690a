//! Every frame is counted once where it is, in packets and bytes.

use crate::harness::{Gateway, HOUSE, LAN, SAN, Size, house, mac};
use iogate::packet::MacAddr;
use iogate::pipeline::DropReason;
use iogate::testkit::Frame;
use iogate_gateway::dataplane::Direction::{FromServer, ToServer};
use iogate_gateway::dataplane::drop;

fn udp(src: MacAddr, dst: MacAddr) -> Frame {
    Frame::ethernet(src, dst).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(5000, 5001).payload([7; 58])
}

fn iscsi(src: MacAddr, dst: MacAddr) -> Frame {
    Frame::ethernet(src, dst).ipv4([10, 1, 0, 1], [10, 1, 0, 2]).iscsi()
}

#[test]
fn by_adapter_class_and_direction() {
    let mut gw = house();
    // 100 bytes each, 104 with a tag: as the server's link has them.
    gw.send_all("eth-srv1", [udp(mac(0x11), LAN).build(), udp(mac(0x11), LAN).build()]);
    gw.send("net-a", udp(LAN, mac(0x11)).vlan(110).build());
    gw.send("eth-srv1", iscsi(mac(0x13), SAN).build());
    assert_eq!(gw.traffic("s1.net", "prod", "best-effort", FromServer), (2, 200));
    assert_eq!(gw.traffic("s1.net", "prod", "best-effort", ToServer), (1, 100));
    let len = iscsi(mac(0x13), SAN).build().len() as u64;
    assert_eq!(gw.traffic("s1.san", "stor-a", "block", FromServer), (1, len));
    assert_eq!((gw.all_traffic(FromServer), gw.all_traffic(ToServer)), (3, 1));
    assert_eq!((gw.received("net-a").len(), gw.received("san-a").len(), gw.received("eth-srv1").len()), (2, 1, 1));
}

#[test]
fn between_two_servers_on_both_sides() {
    let mut gw = house();
    gw.send("eth-srv1", udp(mac(0x11), mac(0x21)).build());
    assert_eq!(gw.traffic("s1.net", "prod", "best-effort", FromServer), (1, 100));
    assert_eq!(gw.traffic("s2.net", "prod", "best-effort", ToServer), (1, 104));
    assert_eq!((gw.all_traffic(FromServer), gw.all_traffic(ToServer)), (1, 1));
    assert_eq!(gw.received("eth-srv2").len(), 1);
}

#[test]
fn for_all_once_from_and_once_to_each() {
    let mut gw = house();
    gw.send("eth-hv3", udp(mac(0x31), MacAddr::BROADCAST).vlan(110).build());
    assert_eq!(gw.traffic("h3.trk", "prod", "best-effort", FromServer), (1, 104));
    // h3.vm and h3.safe see the same one: they are on one link with one tag.
    for (name, bytes) in [("s1.net", 100), ("s2.net", 104), ("h3.vm", 100), ("h3.safe", 100)] {
        assert_eq!(gw.traffic(name, "prod", "best-effort", ToServer), (1, bytes), "{name}");
    }
    assert_eq!((gw.all_traffic(FromServer), gw.all_traffic(ToServer)), (1, 4));
    let counts = ["eth-srv1", "eth-srv2", "eth-hv3", "net-a"].map(|port| gw.received(port).len());
    assert_eq!(counts, [1, 1, 1, 1]);
}

#[test]
fn a_trunk_counts_each_network_apart() {
    let mut gw = house();
    gw.send("eth-hv3", udp(mac(0x31), LAN).vlan(110).build());
    gw.send("eth-hv3", udp(mac(0x31), LAN).vlan(8).build());
    gw.send("eth-hv3", udp(mac(0x31), LAN).vlan(8).build());
    assert_eq!(gw.traffic("h3.trk", "prod", "best-effort", FromServer), (1, 104));
    assert_eq!(gw.traffic("h3.trk", "dmz", "best-effort", FromServer), (2, 208));
    assert_eq!(gw.received("net-a").len(), 3);
}

#[test]
fn what_is_dropped_is_not_traffic() {
    let mut gw = house();
    let (misled, vain) = (iscsi(mac(0x11), LAN).build(), udp(mac(0x11), mac(0x22)).build());
    let bytes = (misled.len() + vain.len()) as u64;
    gw.refuses("eth-srv1", misled, drop::STORAGE_ON_NETWORK);
    gw.refuses("eth-srv1", vain, drop::ADAPTER_DOWN);
    gw.refuses("eth-srv1", udp(LAN, mac(0x11)).build(), drop::UNKNOWN_SOURCE);
    gw.refuses("net-a", udp(LAN, SAN).vlan(110).build(), drop::UNKNOWN_UNICAST);
    assert_eq!((gw.all_traffic(FromServer), gw.all_traffic(ToServer)), (0, 0));
    // The first two were known to be s1.net's, the third was nobody's.
    assert_eq!(gw.lost_by("s1.net", "prod"), (2, bytes));
    assert_eq!(gw.dropped_bytes("eth-srv1", drop::ADAPTER_DOWN), 100);
    assert_eq!(gw.dropped_bytes("net-a", drop::UNKNOWN_UNICAST), 104);
}

#[test]
fn a_full_port_is_one_reason_of_its_own() {
    // Rings of 16 take 15, and 32 wait before them.
    let mut gw = Gateway::sized(HOUSE, Size { buffers: 1023, slots: 16 });
    for _ in 0..10 {
        gw.send_all("eth-srv1", (0..10).map(|_| udp(mac(0x11), LAN).build()));
    }
    assert_eq!(gw.not_sent("net-a", DropReason::TX_FULL), 100 - 15 - 32);
    let mut came = 0;
    while came < 15 + 32 {
        came += gw.received("net-a").len();
        gw.idle();
    }
    assert_eq!(gw.received("net-a").len(), 0);
}

#[test]
fn what_waits_at_the_end_is_counted_too() {
    let mut gw = Gateway::sized(HOUSE, Size { buffers: 1023, slots: 16 });
    for _ in 0..2 {
        gw.send_all("eth-srv1", (0..10).map(|_| udp(mac(0x11), LAN).build()));
    }
    // Nobody takes the 15 off the ring that are in it, so the last five stay behind.
    assert_eq!(gw.stop_unsent(), 5);
    assert_eq!(gw.received("net-a").len(), 15);
}

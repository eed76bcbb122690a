//! What guests leave to their cards.

use crate::harness::{LAN, house, mac};
use iogate::packet::{Header, Ipv4, MacAddr, PseudoHeader, Tcp};
use iogate::testkit::Frame;
use iogate_gateway::dataplane::{Direction, drop};

/// TCP with so much payload, its checksum spoiled.
fn tcp(src: MacAddr, dst: MacAddr, len: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..len).map(|at| (at / 5) as u8).collect();
    let mut frame = Frame::ethernet(src, dst).vlan(20).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(1, 2).payload(payload);
    frame = frame.padded_to(60);
    let mut bytes = frame.build();
    bytes[18 + 20 + 16] ^= 0xff;
    bytes
}

#[test]
fn pieces_are_held_to_the_mtu_and_not_the_whole() {
    let mut gw = house();
    // With 18 bytes of Ethernet and tag and 40 of headers, in a network of 1518.
    let whole = tcp(mac(0x21), LAN, 5000);
    gw.send_unfinished("eth-srv2", &whole, Some(1460));
    let out = gw.received("net-a");
    assert_eq!(out.iter().map(Vec::len).collect::<Vec<_>>(), [1518, 1518, 1518, 678]);
    let mut data = Vec::new();
    for frame in &out {
        let (ip, transport) = Ipv4::parse(&frame[18..]).unwrap();
        assert!(ip.checksum_ok() && PseudoHeader::of_ipv4(ip).verify(transport));
        assert_eq!(frame[14..16], [0, 110]);
        data.extend_from_slice(Tcp::parse(transport).unwrap().1);
    }
    assert_eq!(data, whole[58..]);
    assert_eq!(gw.traffic("s2.net", "prod", "best-effort", Direction::FromServer), (1, whole.len() as u64));

    gw.send_unfinished("eth-srv2", tcp(mac(0x21), LAN, 5000), Some(1461));
    gw.dropped("eth-srv2", drop::TOO_BIG);
    gw.send_unfinished("eth-srv2", tcp(mac(0x21), LAN, 1461), None);
    gw.dropped("eth-srv2", drop::TOO_BIG);
    // Whoever it is for.
    gw.send_unfinished("eth-srv2", tcp(mac(0x21), mac(0x11), 3000), Some(1460));
    assert_eq!(gw.received("eth-srv1").iter().map(Vec::len).collect::<Vec<_>>(), [1514, 1514, 134]);
}

#[test]
fn a_checksum_is_finished_for_all_receivers() {
    let mut gw = house();
    let frame = tcp(mac(0x21), MacAddr::BROADCAST, 100);
    gw.send_unfinished("eth-srv2", frame, None);
    let verify = |frame: &[u8], at: usize| {
        let (ip, transport) = Ipv4::parse(&frame[at..]).unwrap();
        assert!(PseudoHeader::of_ipv4(ip).verify(transport), "{frame:02x?}");
    };
    for (port, copies, at) in [("eth-srv1", 1, 14), ("net-a", 1, 18)] {
        let out = gw.received(port);
        assert_eq!(out.len(), copies, "{port}");
        out.iter().for_each(|frame| verify(frame, at));
    }
    let out = gw.received("eth-hv3");
    assert_eq!(out.len(), 2);
    out.iter().for_each(|frame| verify(frame, if frame[12] == 0x81 { 18 } else { 14 }));
}

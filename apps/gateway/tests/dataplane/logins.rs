//! Addresses that FIP gives to vHBAs.

use crate::harness::{SAN, house, mac};
use iogate::packet::MacAddr;
use iogate::packet::fip::{ALL_VN2VN, Operation};
use iogate::testkit::Frame;
use iogate_gateway::dataplane::drop;
use iogate_gateway::dataplane::fip::{Heard, Login};

/// What s2.b, the vHBA that speaks FCoE, calls itself.
const VN: MacAddr = MacAddr::new([0x0e, 0xfd, 0, 0, 0x12, 0x34]);
const GRANTED: MacAddr = MacAddr::new([0x0e, 0xfc, 0, 1, 2, 3]);

fn claim(src: MacAddr) -> Frame {
    let port = [&[11, 5][..], &VN.octets(), &[0, 0, 0x12, 0x34], &[0x20; 8]].concat();
    Frame::ethernet(src, ALL_VN2VN).fip_with(Operation::VN2VN, 3, &port)
}

/// A forwarder's answer to a fabric login.
fn grant(dst: MacAddr) -> Frame {
    let mut login = [0; 32];
    (login[0], login[1], login[28]) = (7, 8, 2);
    login[5..8].copy_from_slice(&[1, 2, 3]);
    let list = [&login[..], &[2, 2], &GRANTED.octets()].concat();
    Frame::ethernet(SAN, dst).fip_with(Operation::LINK_SERVICE, 2, &list)
}

fn fcoe(src: MacAddr, dst: MacAddr) -> Frame {
    Frame::ethernet(src, dst).fcoe(0x1234, 0x5678, &[0; 32])
}

#[test]
fn what_servers_claim_and_forwarders_grant_is_heard() {
    let mut gw = house();
    let attachment = gw.attachment("s2.b", "stor-b");
    gw.passes("eth-srv2", claim(mac(0x21)).vlan(301).build(), "san-b", claim(mac(0x21)).priority(301, 3).build());
    assert_eq!(gw.heard(), [Heard { attachment, login: Login::Alone(VN) }]);
    gw.passes("san-b", grant(mac(0x21)).vlan(301).build(), "eth-srv2", grant(mac(0x21)).priority(301, 3).build());
    assert_eq!(gw.heard(), [Heard { attachment, login: Login::Alone(GRANTED) }]);
    // Not from who is not let in, nor of an adapter that speaks no FCoE, nor a grant among servers.
    gw.refuses("eth-srv2", claim(VN).vlan(301).build(), drop::UNKNOWN_SOURCE);
    gw.refuses("eth-srv2", claim(mac(0x21)).vlan(300).build(), drop::WRONG_PROTOCOL);
    gw.send("eth-srv1", grant(mac(0x13)).build());
    gw.dropped("eth-srv1", drop::UNKNOWN_SOURCE);
    assert_eq!(gw.heard(), []);
    gw.log_in(&[(attachment, VN)]);
    gw.passes("eth-srv2", claim(mac(0x21)).vlan(301).build(), "san-b", claim(mac(0x21)).priority(301, 3).build());
    assert_eq!(gw.heard(), [], "it is known");
}

#[test]
fn an_address_from_fip_is_for_fcoe_alone() {
    let mut gw = house();
    let (there, back) = (fcoe(VN, SAN), fcoe(SAN, VN));
    gw.refuses("eth-srv2", there.clone().vlan(301).build(), drop::UNKNOWN_SOURCE);
    gw.refuses("san-b", back.clone().vlan(301).build(), drop::UNKNOWN_UNICAST);
    gw.log_in(&[(gw.attachment("s2.b", "stor-b"), VN)]);
    gw.passes("eth-srv2", there.clone().vlan(301).build(), "san-b", there.clone().priority(301, 3).build());
    gw.passes("san-b", back.clone().vlan(301).build(), "eth-srv2", back.priority(301, 3).build());
    gw.refuses("san-b", there.clone().vlan(301).build(), drop::DEJA_VU);
    // Nor on another tag or link.
    gw.refuses("eth-srv2", there.clone().vlan(300).build(), drop::UNKNOWN_SOURCE);
    gw.refuses("eth-srv1", there.build(), drop::UNKNOWN_SOURCE);
    let arp = Frame::ethernet(VN, MacAddr::BROADCAST).arp_request([10, 1, 0, 1], [10, 1, 0, 2]).vlan(301);
    gw.refuses("eth-srv2", arp.build(), drop::SPOOFED_ARP);
    let echo = Frame::ethernet(VN, SAN).ipv4([10, 1, 0, 1], [10, 1, 0, 2]).icmp_echo(1, 1).vlan(301);
    gw.refuses("eth-srv2", echo.build(), drop::UNKNOWN_SOURCE);
}

//! The addresses that a frame claims inside.

use crate::harness::{Gateway, LAN, changed, house, mac, tagged};
use iogate::packet::arp::Operation;
use iogate::packet::ndp::{
    NeighborAdvertisement, NeighborSolicitation, Redirect, RouterAdvertisement, RouterSolicitation,
};
use iogate::packet::{EtherType, IpProtocol, MacAddr};
use iogate::testkit::Frame;
use iogate_gateway::dataplane::drop;
use std::net::{Ipv4Addr, Ipv6Addr};

const SAFE: MacAddr = mac(0x33);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 33);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 34);
const OWN6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x33);
const OTHER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x34);
const LOCAL6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x33);
const ANY6: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

/// From h3.safe, which has 10.0.0.33 and fd00::33 and is held to them.
fn safe() -> Frame {
    Frame::ethernet(SAFE, LAN)
}

fn goes(gw: &mut Gateway, frame: Frame, pcp: u8) {
    gw.passes("eth-hv3", frame.clone().build(), "net-a", frame.priority(110, pcp).build());
}

#[test]
fn arp_tells_the_truth_about_its_sender() {
    let mut gw = house();
    let arp = |op, sender: (MacAddr, Ipv4Addr)| safe().arp(op, sender, (mac(0), OTHER));
    for op in [Operation::REQUEST, Operation::REPLY, Operation(8)] {
        goes(&mut gw, arp(op, (SAFE, OWN)), 6);
        // A probe has no address yet.
        goes(&mut gw, arp(op, (SAFE, Ipv4Addr::UNSPECIFIED)), 6);
        gw.refuses("eth-hv3", arp(op, (mac(0x32), OWN)).build(), drop::SPOOFED_ARP);
        gw.refuses("eth-hv3", arp(op, (SAFE, OTHER)).build(), drop::SPOOFED_ARP);
        gw.refuses("eth-hv3", arp(op, (mac(0x32), Ipv4Addr::UNSPECIFIED)).build(), drop::SPOOFED_ARP);
    }
    // Who and what it asks for is its own business.
    goes(&mut gw, safe().arp(Operation::REQUEST, (SAFE, OWN), (mac(0x11), [1, 2, 3, 4])), 6);
}

#[test]
fn arp_of_an_adapter_without_a_list_may_name_any_address() {
    let mut gw = house();
    let arp = |sender: MacAddr| Frame::ethernet(mac(0x32), LAN).arp(Operation::REPLY, (sender, OTHER), (LAN, OWN));
    goes(&mut gw, arp(mac(0x32)), 6);
    gw.refuses("eth-hv3", arp(mac(0x31)).build(), drop::SPOOFED_ARP);
}

#[test]
fn where_nothing_is_checked_all_goes() {
    let mut gw = house();
    let s1 = Frame::ethernet(mac(0x11), LAN);
    for frame in [
        s1.clone().arp(Operation::REPLY, (mac(0x21), OTHER), (LAN, OWN)),
        s1.clone().ipv6(OTHER6, OWN6).protocol(IpProtocol::ICMPV6).ttl(255).header::<NeighborAdvertisement>(|na| {
            na.set_target(OTHER6);
        }),
    ] {
        gw.passes("eth-srv1", frame.clone().build(), "net-a", frame.priority(110, 6).build());
    }
    // Not even what ARP is.
    let odd = s1.ether_type(EtherType::ARP).payload([0xff; 28]);
    gw.passes("eth-srv1", odd.clone().build(), "net-a", odd.priority(110, 6).build());
}

#[test]
fn ip_has_a_source_from_the_list() {
    let mut gw = house();
    let v4 = |src: Ipv4Addr| safe().ipv4(src, OTHER).udp(1, 2);
    goes(&mut gw, v4(OWN), 0);
    // As a DHCP client has.
    goes(&mut gw, v4(Ipv4Addr::UNSPECIFIED), 0);
    for src in [OTHER, Ipv4Addr::BROADCAST, Ipv4Addr::LOCALHOST, Ipv4Addr::new(224, 0, 0, 1)] {
        gw.refuses("eth-hv3", v4(src).build(), drop::SPOOFED_IP);
    }
    let v6 = |src: Ipv6Addr| safe().ipv6(src, OTHER6).udp(1, 2);
    for src in [OWN6, LOCAL6, ANY6] {
        goes(&mut gw, v6(src), 0);
    }
    for src in [OTHER6, Ipv6Addr::LOCALHOST, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)] {
        gw.refuses("eth-hv3", v6(src).build(), drop::SPOOFED_IP);
    }
    // The list of another kind of address does not help.
    gw.refuses("eth-hv3", v6(OWN.to_ipv6_mapped()).build(), drop::SPOOFED_IP);
}

#[test]
fn every_piece_of_a_packet_has_an_honest_source() {
    let mut gw = house();
    // Flags and offset stand at 20: more to come, then from byte 64 on.
    for field in [0x2000_u16, 0x2008, 0x0008] {
        let piece = |src: Ipv4Addr| {
            let mut bytes = safe().ipv4(src, OTHER).udp(1, 2).payload([0; 56]).build();
            bytes[20..22].copy_from_slice(&field.to_be_bytes());
            bytes
        };
        let mut wanted = piece(OWN);
        wanted.splice(12..12, [0x81, 0x00, 0x00, 110]);
        gw.passes("eth-hv3", piece(OWN), "net-a", wanted);
        gw.refuses("eth-hv3", piece(OTHER), drop::SPOOFED_IP);
    }
}

#[test]
fn an_adapter_with_no_check_of_ip_may_have_any_source() {
    let mut gw = house();
    goes(&mut gw, Frame::ethernet(mac(0x32), LAN).ipv4(OTHER, OWN).udp(1, 2), 0);
    goes(&mut gw, Frame::ethernet(mac(0x32), LAN).ipv6(OTHER6, OWN6).udp(1, 2), 0);
}

/// A message of neighbour discovery and the options behind it, from an address.
fn nd(src: Ipv6Addr) -> Frame {
    safe().ipv6(src, OTHER6).protocol(IpProtocol::ICMPV6).ttl(255)
}

/// The option of this kind with a link-layer address.
fn link_layer(kind: u8, mac: MacAddr) -> [u8; 8] {
    let [a, b, c, d, e, f] = mac.octets();
    [kind, 1, a, b, c, d, e, f]
}

#[test]
fn solicitations_tell_the_truth() {
    let mut gw = house();
    let solicit = |src| nd(src).header::<NeighborSolicitation>(|ns| ns.set_target(OTHER6));
    for src in [OWN6, LOCAL6, ANY6] {
        goes(&mut gw, solicit(src), 6);
        goes(&mut gw, solicit(src).payload(link_layer(1, SAFE)), 6);
        gw.refuses("eth-hv3", solicit(src).payload(link_layer(1, mac(0x32))).build(), drop::SPOOFED_ND);
        // An honest one does not hide a lie behind it.
        let both = solicit(src).payload(link_layer(1, SAFE)).payload(link_layer(2, LAN));
        gw.refuses("eth-hv3", both.build(), drop::SPOOFED_ND);
    }
    gw.refuses("eth-hv3", solicit(OTHER6).build(), drop::SPOOFED_IP);
    let routers = nd(LOCAL6).header::<RouterSolicitation>(|_| ());
    goes(&mut gw, routers.clone(), 6);
    goes(&mut gw, routers.clone().payload(link_layer(1, SAFE)), 6);
    gw.refuses("eth-hv3", routers.payload(link_layer(1, LAN)).build(), drop::SPOOFED_ND);
}

#[test]
fn solicitations_are_checked_without_the_check_of_ip() {
    let strict = "antispoof = { ip = true }";
    let mut gw = Gateway::new(&changed(strict, "antispoof = { ip = false }"));
    let solicit = |src| nd(src).header::<NeighborSolicitation>(|ns| ns.set_target(OTHER6));
    goes(&mut gw, solicit(OWN6), 6);
    gw.refuses("eth-hv3", solicit(OTHER6).build(), drop::SPOOFED_ND);
    // A router learns from a solicitation, too, and hosts from an advertisement and a redirect.
    let routers = |src| nd(src).header::<RouterSolicitation>(|_| ()).payload(link_layer(1, SAFE));
    goes(&mut gw, routers(OWN6), 6);
    gw.refuses("eth-hv3", routers(OTHER6).build(), drop::SPOOFED_ND);
    let router = |src| nd(src).header::<RouterAdvertisement>(|_| ()).payload(link_layer(1, SAFE));
    gw.refuses("eth-hv3", router(OTHER6).build(), drop::SPOOFED_ND);
    gw.refuses("eth-hv3", nd(OTHER6).header::<Redirect>(|_| ()).build(), drop::SPOOFED_ND);
}

#[test]
fn a_list_that_names_a_link_local_address_allows_no_other() {
    let mut gw = Gateway::new(&changed("\"fd00::33\"]", "\"fd00::33\", \"fe80::33\"]"));
    let advertise = |target| nd(LOCAL6).header::<NeighborAdvertisement>(move |na| na.set_target(target));
    let other = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    goes(&mut gw, advertise(LOCAL6), 6);
    gw.refuses("eth-hv3", advertise(other).build(), drop::SPOOFED_ND);
    gw.refuses("eth-hv3", nd(other).header::<RouterAdvertisement>(|_| ()).build(), drop::SPOOFED_IP);
}

#[test]
fn advertisements_tell_the_truth() {
    let mut gw = house();
    let advertise = |target| nd(OWN6).header::<NeighborAdvertisement>(move |na| na.set_target(target));
    for target in [OWN6, LOCAL6] {
        goes(&mut gw, advertise(target), 6);
        goes(&mut gw, advertise(target).payload(link_layer(2, SAFE)), 6);
        gw.refuses("eth-hv3", advertise(target).payload(link_layer(2, LAN)).build(), drop::SPOOFED_ND);
    }
    gw.refuses("eth-hv3", advertise(OTHER6).build(), drop::SPOOFED_ND);
    gw.refuses("eth-hv3", advertise(OTHER6).payload(link_layer(2, SAFE)).build(), drop::SPOOFED_ND);
    let router = nd(LOCAL6).header::<RouterAdvertisement>(|_| ());
    goes(&mut gw, router.clone().payload(link_layer(1, SAFE)), 6);
    gw.refuses("eth-hv3", router.payload(link_layer(1, LAN)).build(), drop::SPOOFED_ND);
    // A redirect names another station, as it must.
    goes(&mut gw, nd(LOCAL6).header::<Redirect>(|_| ()).payload(link_layer(2, LAN)), 6);
}

#[test]
fn options_of_discovery_that_do_not_add_up_are_no_way_around() {
    let mut gw = house();
    let solicit = || nd(OWN6).header::<NeighborSolicitation>(|ns| ns.set_target(OTHER6));
    // Of length 0, longer than there is, and of a length that no Ethernet address has.
    for option in
        [&[1, 0, 0, 0, 0, 0, 0, 0][..], &[1, 2, 0, 0, 0, 0, 0, 0], &[1, 2, 2, 0, 0, 0, 0, 0x33, 0, 0, 0, 0, 0, 0, 0, 0]]
    {
        gw.refuses("eth-hv3", solicit().payload(option).build(), drop::SPOOFED_ND);
    }
    // Options of other kinds are none of our business.
    goes(&mut gw, solicit().payload([14, 1, 1, 2, 3, 4, 5, 6]), 6);
    // What stands behind the packet is padding.
    let padded = solicit().padded_to(100);
    gw.passes("eth-hv3", padded.clone().build(), "net-a", tagged(padded, 110, 6));
}

#[test]
fn discovery_is_found_behind_extension_headers() {
    let mut gw = house();
    for extensions in 0..=8 {
        for (target, honest) in [(OWN6, true), (OTHER6, false)] {
            let plain = nd(OWN6).header::<NeighborAdvertisement>(|na| na.set_target(target)).build();
            let frame = with_extensions(&plain, &vec![60; extensions]);
            if honest {
                let mut wanted = frame.clone();
                wanted.splice(12..12, [0x81, 0x00, 6 << 5, 110]);
                gw.passes("eth-hv3", frame, "net-a", wanted);
            } else {
                gw.refuses("eth-hv3", frame, drop::SPOOFED_ND);
            }
        }
    }
    let plain = nd(OWN6).header::<NeighborAdvertisement>(|na| na.set_target(OTHER6)).build();
    // More than anybody follows.
    gw.refuses("eth-hv3", with_extensions(&plain, &[60; 9]), drop::MALFORMED);
    // In one piece that says it is one of several, and behind each kind.
    gw.refuses("eth-hv3", with_extensions(&plain, &[44]), drop::SPOOFED_ND);
    for kind in [0, 43, 60, 44, 135] {
        gw.refuses("eth-hv3", with_extensions(&plain, &[60, kind, 60]), drop::SPOOFED_ND);
    }
}

/// The IPv6 frame with empty extension headers of these kinds before what it carries.
fn with_extensions(plain: &[u8], kinds: &[u8]) -> Vec<u8> {
    let mut frame = plain.to_vec();
    for kind in kinds.iter().rev() {
        // The next header, no further length, and padding of four bytes (which a fragment header takes as its own).
        let next = frame[20];
        frame[20] = *kind;
        let header = if *kind == 44 { [next, 0, 0, 0, 0, 0, 0, 1] } else { [next, 0, 1, 4, 0, 0, 0, 0] };
        frame.splice(54..54, header);
        let len = u16::from_be_bytes([frame[18], frame[19]]) + 8;
        frame[18..20].copy_from_slice(&len.to_be_bytes());
    }
    frame
}

#[test]
fn a_long_ping_goes_in_pieces_and_discovery_does_not() {
    let mut gw = house();
    let ping = nd(OWN6).ttl(64).icmpv6_echo(1, 1).payload([0; 60]).build();
    // The first piece and a later one of the same ping.
    for (offset, more) in [(0_u16, 1_u16), (64, 1), (128, 0)] {
        let mut piece = with_extensions(&ping, &[44]);
        piece[56..58].copy_from_slice(&(offset | more).to_be_bytes());
        let mut wanted = piece.clone();
        wanted.splice(12..12, [0x81, 0x00, 6 << 5, 110]);
        gw.passes("eth-hv3", piece, "net-a", wanted);
    }
    // Even an honest advertisement is not to be in pieces (RFC 6980).
    let honest = nd(OWN6).header::<NeighborAdvertisement>(|na| na.set_target(OWN6)).build();
    gw.refuses("eth-hv3", with_extensions(&honest, &[44]), drop::SPOOFED_ND);
}

#[test]
fn what_cannot_be_read_is_not_let_through() {
    let mut gw = house();
    let arp = safe().arp_request(OWN, OTHER).build();
    gw.refuses("eth-hv3", &arp[..41], drop::MALFORMED);
    for at in [14, 16, 18, 19] {
        let mut other_kind = arp.clone();
        other_kind[at] ^= 0x0f;
        gw.refuses("eth-hv3", other_kind, drop::MALFORMED);
    }
    let solicit = nd(OWN6).header::<NeighborSolicitation>(|ns| ns.set_target(OTHER6)).build();
    for cut in [1, 8, 20, 23] {
        let mut short = solicit[..solicit.len() - cut].to_vec();
        let len = short.len() as u16 - 54;
        short[18..20].copy_from_slice(&len.to_be_bytes());
        gw.refuses("eth-hv3", short, drop::MALFORMED);
    }
    // A code that discovery does not have.
    let mut coded = solicit;
    coded[55] = 1;
    gw.refuses("eth-hv3", coded, drop::MALFORMED);
}

#[test]
fn frames_from_the_uplink_are_not_judged() {
    let mut gw = house();
    let arp = Frame::ethernet(LAN, SAFE).arp(Operation::REPLY, (mac(0x77), OWN), (SAFE, OWN));
    gw.passes("net-a", arp.clone().vlan(110).build(), "eth-hv3", arp.build());
    let na = Frame::ethernet(LAN, SAFE).ipv6(OTHER6, OWN6).neighbor_advertisement(OWN6);
    gw.passes("net-a", na.clone().vlan(110).build(), "eth-hv3", na.build());
}

//! VLAN tags: pushed toward the uplink with the priority of the class, popped toward the server.

use crate::house::{House, bytes, macs};
use crate::topology::End::{Lan, San, Srv1, Srv2};
use iogate::packet::MacAddr;
use iogate::testkit::Frame;

/// What makes a frame of addresses a frame of some kind.
type Fill = fn(Frame) -> Frame;

const HOST: [u8; 4] = [192, 0, 2, 1];
const PEER: [u8; 4] = [192, 0, 2, 99];

fn plain(src: MacAddr, dst: MacAddr) -> Frame {
    Frame::ethernet(src, dst).payload(b"of an ethertype for experiments, and long enough to be sent as it is")
}

#[test]
fn an_access_adapter_is_tagged_on_the_uplink_and_untagged_on_its_link() {
    let Some(house) = House::up() else { return };
    // What crosses the network side, with the priority of its class.
    let up = |fill: Fill| fill(Frame::ethernet(macs::S1_NET, macs::LAN));
    let kinds: [(Fill, u8); 5] = [
        (|frame| frame.payload([0x5a; 60]), 0),
        (|frame| frame.ipv4(HOST, PEER).udp(1000, 2000).payload([1; 100]), 0),
        (|frame| frame.ipv4(HOST, PEER).tcp(1000, 80).payload([2; 1000]), 0),
        (|frame| frame.ipv4(HOST, PEER).icmp_echo(1, 1).payload([3; 56]), 6),
        (|frame| frame.arp_reply(HOST, PEER).padded(), 6),
    ];
    let sent: Vec<_> = kinds.iter().map(|(kind, _)| up(*kind).build()).collect();
    let tagged: Vec<_> = kinds.iter().map(|(kind, pcp)| tag(&up(*kind).build(), 110, *pcp)).collect();
    house.send(Srv1, &sent, &[(Lan, &tagged)]);

    // A tag that carries a priority only is no VLAN, and the priority is the gateway's to set.
    let priority: Vec<_> = sent.iter().map(|frame| tag(frame, 0, 3)).collect();
    house.send(Srv1, &priority, &[(Lan, &tagged)]);

    // And back, whatever the priority outside.
    let down = Frame::ethernet(macs::LAN, macs::S1_NET).ipv4(PEER, HOST).udp(2000, 1000).payload([9; 64]).build();
    house.send(Lan, &[tag(&down, 110, 0), tag(&down, 110, 7)], &[(Srv1, &[down.clone(), down.clone()])]);

    // tshark sees the same.
    let seen = house.capture(Lan).tshark(&["vlan.id", "vlan.priority", "eth.src", "vlan.etype"]);
    let expected = |etype: &str, pcp: u8| format!("110 {pcp} 02:00:00:00:00:11 {etype}");
    let once = [("0x88b5", 0), ("0x0800", 0), ("0x0800", 0), ("0x0800", 6), ("0x0806", 6)];
    let twice: Vec<_> = once.iter().chain(&once).map(|(etype, pcp)| expected(etype, *pcp)).collect();
    assert_eq!(seen, twice);
    assert_eq!(house.capture(Srv1).tshark(&["vlan.id", "udp.dstport", "ip.checksum.status"])[0], "- 1000 2");

    let from = bytes(&sent) + bytes(&priority);
    house.counted("vnics", "s1.net", (10, from), (2, 2 * down.len()));
    house.counted("networks", "prod", (10, from), (2, 2 * down.len()));
    house.dropped(&[]);
    house.stop();
}

#[test]
fn storage_has_the_priority_of_its_class() {
    let Some(house) = House::up() else { return };
    let up = |fill: Fill| fill(Frame::ethernet(macs::S1_SAN, macs::SAN));
    let kinds: [(Fill, u8, &str); 8] = [
        (|frame| frame.ipv4(HOST, PEER).iscsi(), 5, "block"),
        (|frame| frame.ipv4(HOST, PEER).nvme_tcp(), 5, "block"),
        (|frame| frame.aoe(1, 2), 5, "block"),
        (|frame| frame.fcoe(0x010203, 0x040506, &[0; 32]), 3, "fcoe"),
        (|frame| frame.ether_type(iogate::packet::EtherType::FIP).payload([0; 60]), 3, "fcoe"),
        (|frame| frame.roce_v1(7), 4, "rdma"),
        (|frame| frame.ipv4(HOST, PEER).roce_v2(7), 4, "rdma"),
        (|frame| frame.ipv4(HOST, PEER).nfs(), 2, "file"),
    ];
    let sent: Vec<_> = kinds.iter().map(|(kind, ..)| up(*kind).build()).collect();
    let tagged: Vec<_> = kinds.iter().map(|(kind, pcp, _)| tag(&up(*kind).build(), 300, *pcp)).collect();
    house.send(Srv1, &sent, &[(San, &tagged)]);

    for class in ["block", "fcoe", "rdma", "file", "best-effort", "support"] {
        let of_class: Vec<_> =
            kinds.iter().zip(&sent).filter(|((.., name), _)| *name == class).map(|(_, frame)| frame.clone()).collect();
        house.counted("classes", class, (of_class.len() as u64, bytes(&of_class)), (0, 0));
    }
    house.counted("vnics", "s1.san", (8, bytes(&sent)), (0, 0));
    house.dropped(&[]);
    house.stop();
}

#[test]
fn tagged_adapters_and_trunks_have_the_tags_of_their_link() {
    let Some(house) = House::up() else { return };
    // An access adapter with a tag of its own on the link.
    let up = plain(macs::S2_NET, macs::LAN).build();
    house.send(Srv2, &[tag(&up, 20, 5)], &[(Lan, &[tag(&up, 110, 0)])]);
    let down = plain(macs::LAN, macs::S2_NET).build();
    house.send(Lan, &[tag(&down, 110, 1)], &[(Srv2, &[tag(&down, 20, 0)])]);
    // A trunk: the network's own tag, and one that becomes none.
    let up = plain(macs::S2_TRK, macs::LAN).build();
    house.send(Srv2, &[tag(&up, 110, 0), tag(&up, 8, 0)], &[(Lan, &[tag(&up, 110, 0), up.clone()])]);
    let down = plain(macs::LAN, macs::S2_TRK).build();
    let tags = [tag(&down, 110, 0), tag(&down, 8, 0)];
    house.send(Lan, &[tag(&down, 110, 0), down.clone()], &[(Srv2, &tags)]);
    // Tagged on the link, none outside.
    let up = plain(macs::S1_DMZ, macs::LAN).build();
    house.send(Srv1, &[tag(&up, 7, 0)], &[(Lan, &[up])]);

    let len = plain(macs::S2_TRK, macs::LAN).build().len();
    house.counted("vnics", "s2.trk", (2, 2 * (len + 4)), (2, 2 * (len + 4)));
    house.dropped(&[]);
    house.stop();
}

#[test]
fn the_shortest_and_the_longest_frames_cross_unchanged() {
    let Some(house) = House::up() else { return };
    let of = |src, dst, len: usize| Frame::ethernet(src, dst).payload(vec![0xa7; len - 14]).build();
    // The kernel at the other end wants two bytes behind a tag.
    let lengths = [16, 17, 20, 59, 60, 61, 1000, 1513, 1514];
    let sent: Vec<_> = lengths.iter().map(|len| of(macs::S1_NET, macs::LAN, *len)).collect();
    let tagged: Vec<_> = sent.iter().map(|frame| tag(frame, 110, 0)).collect();
    house.send(Srv1, &sent, &[(Lan, &tagged)]);
    let back: Vec<_> = lengths.iter().map(|len| of(macs::LAN, macs::S1_NET, *len)).collect();
    let tagged: Vec<_> = back.iter().map(|frame| tag(frame, 110, 0)).collect();
    house.send(Lan, &tagged, &[(Srv1, &back)]);
    house.dropped(&[]);
    house.stop();
}

/// A frame with a tag behind its addresses, by the bytes of IEEE 802.1Q and not by the code under test.
pub(crate) fn tag(frame: &[u8], vid: u16, pcp: u8) -> Vec<u8> {
    let tci = u16::from(pcp) << 13 | vid;
    [&frame[..12], &[0x81, 0x00], &tci.to_be_bytes(), &frame[12..]].concat()
}

//! Between servers, to all of a network, and to nobody.

use crate::house::{House, macs};
use crate::tags::tag;
use crate::topology::End::{Lan, San, San2, Srv1, Srv2};
use iogate::packet::MacAddr;
use iogate::testkit::Frame;

const HOST: [u8; 4] = [192, 0, 2, 1];
const PEER: [u8; 4] = [192, 0, 2, 99];
const MULTICAST: MacAddr = MacAddr::new([0x01, 0x00, 0x5e, 0, 0, 0x42]);

fn plain(src: MacAddr, dst: MacAddr) -> Frame {
    Frame::ethernet(src, dst).payload([0x42; 64])
}

#[test]
fn servers_reach_each_other_without_the_uplink() {
    let Some(house) = House::up() else { return };
    let there = plain(macs::S1_NET, macs::S2_NET).build();
    house.send(Srv1, std::slice::from_ref(&there), &[(Srv2, &[tag(&there, 20, 0)])]);
    let back = plain(macs::S2_NET, macs::S1_NET).build();
    house.send(Srv2, &[tag(&back, 20, 0)], &[(Srv1, std::slice::from_ref(&back))]);
    // Two adapters of one link.
    let across = plain(macs::S2_NET, macs::S2_TRK).build();
    house.send(Srv2, &[tag(&across, 20, 0)], &[(Srv2, &[tag(&across, 110, 0)])]);
    // On the storage side.
    let iscsi = Frame::ethernet(macs::S1_SAN, macs::S2_A).ipv4(HOST, PEER).iscsi().build();
    house.send(Srv1, std::slice::from_ref(&iscsi), &[(Srv2, std::slice::from_ref(&iscsi))]);
    // In another network the same address is somebody outside.
    let foreign = plain(macs::S1_DMZ, macs::S2_NET).build();
    house.send(Srv1, &[tag(&foreign, 7, 0)], &[(Lan, &[foreign])]);
    // Itself is nobody.
    house.send(Srv1, &[plain(macs::S1_NET, macs::S1_NET).build()], &[]);

    house.dropped(&[("to-itself", "from-server", "eth-srv1", 1, 78)]);
    house.counted("vnics", "s2.net", (2, 164), (1, 82));
    house.lost("s1.net", (1, 78));
    house.stop();
}

#[test]
fn broadcast_and_multicast_reach_each_adapter_of_the_network_once() {
    let Some(house) = House::up() else { return };
    // From a server: the others and the uplink, with the tag of each.
    let ask = Frame::ethernet(macs::S1_NET, MacAddr::BROADCAST).arp_request(HOST, PEER).padded().build();
    let others = [tag(&ask, 20, 6), tag(&ask, 110, 6)];
    house.send(Srv1, std::slice::from_ref(&ask), &[(Srv2, &others), (Lan, &[tag(&ask, 110, 6)])]);
    // From one adapter of a link to another of it, too.
    let ask = plain(macs::S2_TRK, MULTICAST).build();
    let receivers: [(_, &[_]); 3] =
        [(Srv1, std::slice::from_ref(&ask)), (Srv2, &[tag(&ask, 20, 0)]), (Lan, &[tag(&ask, 110, 0)])];
    house.send(Srv2, &[tag(&ask, 110, 0)], &receivers);
    // From the uplink: everybody, and nothing goes back.
    let ask = Frame::ethernet(macs::LAN, MacAddr::BROADCAST).arp_request(PEER, HOST).padded().build();
    let all = [tag(&ask, 20, 6), tag(&ask, 110, 6)];
    house.send(Lan, &[tag(&ask, 110, 0)], &[(Srv1, std::slice::from_ref(&ask)), (Srv2, &all)]);
    // Untagged outside is another network, with other adapters.
    let ask = plain(macs::LAN, MULTICAST).build();
    let receivers: [(_, &[_]); 2] = [(Srv1, &[tag(&ask, 7, 0)]), (Srv2, &[tag(&ask, 8, 0)])];
    house.send(Lan, std::slice::from_ref(&ask), &receivers);
    // On the storage side ARP is for every vHBA of the fabric, whatever it speaks.
    let ask = Frame::ethernet(macs::SAN, MacAddr::BROADCAST).arp_request(PEER, HOST).padded().build();
    let receivers = [(Srv1, std::slice::from_ref(&ask)), (Srv2, std::slice::from_ref(&ask))];
    house.send(San, &[tag(&ask, 300, 0)], &receivers);
    house.send(San2, &[tag(&ask, 301, 0)], &[(Srv2, std::slice::from_ref(&ask))]);

    house.dropped(&[]);
    let summary = house.stop();
    assert_eq!((summary.received, summary.generated, summary.sent), (6, 2 + 2 + 2 + 1 + 1, 14));
}

#[test]
fn unknown_unicast_goes_up_and_never_sideways_or_down() {
    let Some(house) = House::up() else { return };
    let up = plain(macs::S1_NET, macs::NOBODY).build();
    house.send(Srv1, std::slice::from_ref(&up), &[(Lan, &[tag(&up, 110, 0)])]);
    let down = plain(macs::LAN, macs::NOBODY).build();
    house.send(Lan, &[tag(&down, 110, 0), down.clone()], &[]);
    let iscsi = Frame::ethernet(macs::SAN, macs::NOBODY).ipv4(PEER, HOST).iscsi().build();
    house.send(San, &[tag(&iscsi, 300, 0)], &[]);
    // An adapter that exists, in another network.
    let other = plain(macs::LAN, macs::S1_DMZ).build();
    house.send(Lan, &[tag(&other, 110, 0)], &[]);
    house.dropped(&[
        ("unknown-unicast", "from-uplink", "net-a", 3, 82 + 78 + 82),
        ("unknown-unicast", "from-uplink", "san-a", 1, iscsi.len() + 4),
    ]);
    house.stop();
}

#[test]
fn our_own_frames_that_come_back_are_deja_vu() {
    let Some(house) = House::up() else { return };
    let ours =
        [plain(macs::S1_NET, MacAddr::BROADCAST), plain(macs::S1_NET, macs::S2_NET), plain(macs::S1_NET, macs::NOBODY)];
    let ours: Vec<_> = ours.into_iter().map(|frame| tag(&frame.build(), 110, 0)).collect();
    house.send(Lan, &ours, &[]);
    // In another network it is somebody else's.
    let other = plain(macs::S1_NET, macs::S1_DMZ).build();
    house.send(Lan, std::slice::from_ref(&other), &[(Srv1, &[tag(&other, 7, 0)])]);
    house.dropped(&[("deja-vu", "from-uplink", "net-a", 3, 3 * 82)]);
    house.stop();
}

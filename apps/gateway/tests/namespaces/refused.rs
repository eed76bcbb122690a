//! What must not pass: nothing of it is on any wire, and each frame has exactly one reason.

use crate::house::{House, bytes, macs};
use crate::tags::tag;
use crate::topology::End::{self, Lan, San, San2, Srv1, Srv2};
use iogate::packet::arp::Operation;
use iogate::packet::{EtherType, MacAddr, TcpFlags};
use iogate::testkit::Frame;

const HOST: [u8; 4] = [192, 0, 2, 1];
const THIEF: [u8; 4] = [192, 0, 2, 66];
const PEER: [u8; 4] = [192, 0, 2, 99];
const HOST6: [u16; 8] = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1];
const THIEF6: [u16; 8] = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x66];
const PEER6: [u16; 8] = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99];

fn syn(src: MacAddr, dst: MacAddr) -> Vec<u8> {
    Frame::ethernet(src, dst).ipv4(HOST, PEER).tcp(40_000, 3260).tcp_flags(TcpFlags::SYN).build()
}

fn fcoe(src: MacAddr, dst: MacAddr) -> Vec<u8> {
    Frame::ethernet(src, dst).fcoe(0x010203, 0x040506, &[0; 32]).build()
}

fn aoe(src: MacAddr, dst: MacAddr) -> Vec<u8> {
    Frame::ethernet(src, dst).aoe(1, 2).build()
}

/// Sends frames that do not arrive anywhere; returns what their drop row says.
fn vanish(house: &House, from: End, frames: &[Vec<u8>]) -> (u64, usize) {
    house.send(from, frames, &[]);
    (frames.len() as u64, bytes(frames))
}

#[test]
fn addresses_that_are_not_the_adapters() {
    let Some(house) = House::up() else { return };
    let from = |src: MacAddr| Frame::ethernet(src, macs::LAN);
    let net = || from(macs::S1_NET);

    let unknown = vanish(
        &house,
        Srv1,
        &[
            from(macs::NOBODY).payload([0; 60]).build(),
            // That of an adapter on the other link, of one on this link with another tag, and of the LAN.
            from(macs::S2_NET).payload([0; 60]).build(),
            from(macs::S1_DMZ).payload([0; 60]).build(),
            from(macs::LAN).payload([0; 60]).build(),
        ],
    );
    let multicast = vanish(
        &house,
        Srv1,
        &[from(MacAddr::BROADCAST).payload([0; 60]).build(), from(MacAddr::ZERO).payload([0; 60]).build()],
    );
    let arp = vanish(
        &house,
        Srv1,
        &[
            net().arp_request(THIEF, PEER).padded().build(),
            net().arp_reply(THIEF, PEER).padded().build(),
            net().arp(Operation::REQUEST, (macs::NOBODY, HOST), (MacAddr::ZERO, PEER)).padded().build(),
            Frame::ethernet(macs::S1_NET, MacAddr::BROADCAST).arp_request(THIEF, THIEF).padded().build(),
        ],
    );
    let nd = vanish(
        &house,
        Srv1,
        &[
            net().ipv6(HOST6, PEER6).neighbor_advertisement(THIEF6).build(),
            // The address is its own, the link-layer address in the message is not.
            {
                let mut frame = net().ipv6(HOST6, PEER6).neighbor_advertisement(HOST6).build();
                *frame.last_mut().unwrap() ^= 0xff;
                frame
            },
        ],
    );
    let ip = vanish(
        &house,
        Srv1,
        &[
            net().ipv4(THIEF, PEER).udp(1, 2).payload([0; 40]).build(),
            net().ipv6(THIEF6, PEER6).udp(1, 2).payload([0; 40]).build(),
        ],
    );
    house.dropped(&[
        ("unknown-source-mac", "from-server", "eth-srv1", unknown.0, unknown.1),
        ("bad-source-mac", "from-server", "eth-srv1", multicast.0, multicast.1),
        ("spoofed-arp", "from-server", "eth-srv1", arp.0, arp.1),
        ("spoofed-nd", "from-server", "eth-srv1", nd.0, nd.1),
        ("spoofed-ip", "from-server", "eth-srv1", ip.0, ip.1),
    ]);
    house.lost("s1.net", (arp.0 + nd.0 + ip.0, arp.1 + nd.1 + ip.1));
    house.counted("vnics", "s1.net", (0, 0), (0, 0));

    // With its own addresses the same pass.
    let honest = [
        net().arp_request(HOST, PEER).padded().build(),
        net().arp_request([0, 0, 0, 0], HOST).padded().build(),
        net().ipv6(HOST6, PEER6).neighbor_advertisement(HOST6).build(),
        net().ipv6(HOST6, PEER6).neighbor_solicitation(PEER6).build(),
    ];
    let tagged: Vec<_> = honest.iter().map(|frame| tag(frame, 110, 6)).collect();
    house.send(Srv1, &honest, &[(Lan, &tagged)]);
    house.stop();
}

#[test]
fn storage_on_the_network_side_and_the_reverse() {
    let Some(house) = House::up() else { return };
    let udp =
        |src: MacAddr, dst: MacAddr| Frame::ethernet(src, dst).ipv4(HOST, PEER).udp(1, 2).payload([0; 40]).build();
    // From a vNIC to the LAN, to another server's vNIC, to all.
    let (net, lan, all) = (macs::S1_NET, macs::LAN, MacAddr::BROADCAST);
    let up = [syn(net, lan), fcoe(net, lan), aoe(net, lan), aoe(net, all), syn(net, macs::S2_NET)];
    let up = vanish(&house, Srv1, &up);
    // From the LAN to a vNIC.
    let down = [syn(lan, net), fcoe(lan, net), aoe(lan, all)].map(|frame| tag(&frame, 110, 5));
    let down = vanish(&house, Lan, &down);
    // From a vHBA, other than storage.
    let (hba, san) = (macs::S1_SAN, macs::SAN);
    let hba_up = [udp(hba, san), Frame::ethernet(hba, all).payload([0; 60]).build()];
    let hba_up = vanish(&house, Srv1, &hba_up);
    let hba_down = vanish(&house, San, &[tag(&udp(san, hba), 300, 0)]);
    // What a vHBA may not speak, both ways.
    let foreign = vanish(&house, Srv2, &[fcoe(macs::S2_A, san), aoe(macs::S2_A, san)]);
    let foreign_down = vanish(&house, San, &[tag(&fcoe(san, macs::S2_A), 300, 3)]);
    house.dropped(&[
        ("storage-on-network", "from-server", "eth-srv1", up.0, up.1),
        ("storage-on-network", "from-uplink", "net-a", down.0, down.1),
        ("network-on-storage", "from-server", "eth-srv1", hba_up.0, hba_up.1),
        ("network-on-storage", "from-uplink", "san-a", hba_down.0, hba_down.1),
        ("wrong-protocol", "from-server", "eth-srv2", foreign.0, foreign.1),
        ("wrong-protocol", "from-uplink", "san-a", foreign_down.0, foreign_down.1),
    ]);
    for (vnic, dropped) in [("s1.net", up), ("s1.san", hba_up), ("s2.a", foreign), ("s2.net", (0, 0))] {
        house.lost(vnic, dropped);
    }
    // The same frames where they belong.
    let right = [syn(hba, san), fcoe(hba, san), aoe(hba, san)];
    let tagged = [tag(&right[0], 300, 5), tag(&right[1], 300, 3), tag(&right[2], 300, 5)];
    house.send(Srv1, &right, &[(San, &tagged)]);
    house.stop();
}

#[test]
fn tags_sizes_and_headers_that_are_wrong() {
    let Some(house) = House::up() else { return };
    let up = Frame::ethernet(macs::S1_NET, macs::LAN).payload([0; 60]).build();
    let down = Frame::ethernet(macs::LAN, macs::S1_NET).payload([0; 60]).build();
    let vlan = vanish(&house, Srv1, &[tag(&up, 110, 0), tag(&up, 300, 0), tag(&up, 4095, 0)]);
    // The tag is another adapter's.
    let not_its = vanish(&house, Srv1, &[tag(&up, 7, 0)]);
    let vlan_down = vanish(&house, Lan, &[tag(&down, 111, 0), tag(&down, 300, 0), tag(&down, 7, 0)]);
    let untagged_san = vanish(&house, San, &[aoe(macs::SAN, macs::S1_SAN)]);
    let nested = vanish(&house, Lan, &[tag(&tag(&down, 110, 0), 110, 0)]);
    let fabric = vanish(&house, San2, &[tag(&aoe(macs::SAN, macs::S1_SAN), 300, 5)]);
    let cut = {
        let mut frame = Frame::ethernet(macs::S1_NET, macs::LAN).ipv4(HOST, PEER).udp(1, 2).payload([0; 40]).build();
        frame.truncate(40);
        vanish(&house, Srv1, &[frame])
    };
    let pause = Frame::ethernet(macs::S1_NET, [1, 0x80, 0xc2, 0, 0, 1]).ether_type(EtherType::MAC_CONTROL);
    let pause = vanish(&house, Srv1, &[pause.payload([0, 1, 0xff, 0xff]).padded().build()]);
    let lldp = Frame::ethernet(macs::S1_NET, [1, 0x80, 0xc2, 0, 0, 0x0e]).ether_type(EtherType(0x88cc));
    let lldp = vanish(&house, Srv1, &[lldp.payload([0; 50]).build()]);
    let off = vanish(&house, Srv1, &[Frame::ethernet(macs::S1_OFF, macs::LAN).payload([0; 60]).build()]);
    let off_down = Frame::ethernet(macs::LAN, macs::S1_OFF).payload([0; 60]).build();
    let off_down = vanish(&house, Lan, &[tag(&off_down, 110, 0)]);
    // The network takes 1000 bytes, with the tag that an adapter has.
    let of = |len: usize| Frame::ethernet(macs::LAN, macs::S1_DMZ).payload(vec![0; len - 14]).build();
    let big = vanish(&house, Lan, &[of(997), of(1514)]);
    house.send(Lan, &[of(996)], &[(Srv1, &[tag(&of(996), 7, 0)])]);
    let nobody = vanish(&house, Srv2, &[fcoe(macs::S2_B, macs::S2_B)]);
    house.dropped(&[
        ("unknown-vlan", "from-server", "eth-srv1", vlan.0, vlan.1),
        ("unknown-source-mac", "from-server", "eth-srv1", not_its.0, not_its.1),
        ("unknown-vlan", "from-uplink", "net-a", vlan_down.0, vlan_down.1),
        ("unknown-vlan", "from-uplink", "san-a", untagged_san.0, untagged_san.1),
        ("nested-tag", "from-uplink", "net-a", nested.0, nested.1),
        ("wrong-fabric", "from-uplink", "san-b", fabric.0, fabric.1),
        ("malformed", "from-server", "eth-srv1", cut.0, cut.1),
        ("mac-control", "from-server", "eth-srv1", pause.0, pause.1),
        ("link-local", "from-server", "eth-srv1", lldp.0, lldp.1),
        ("adapter-down", "from-server", "eth-srv1", off.0, off.1),
        ("adapter-down", "from-uplink", "net-a", off_down.0, off_down.1),
        ("too-big", "from-uplink", "net-a", big.0, big.1),
        ("to-itself", "from-server", "eth-srv2", nobody.0, nobody.1),
    ]);
    house.stop();
}

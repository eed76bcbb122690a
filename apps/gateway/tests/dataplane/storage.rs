//! Storage on storage, all else on the network, whichever way it goes.

use crate::harness::{Gateway, HOUSE, LAN, SAN, changed, house, mac, tagged};
use iogate::packet::{EtherType, IpProtocol, MacAddr, fip};
use iogate::testkit::Frame;
use iogate_gateway::dataplane::drop;

/// What is built on top of the addresses of a frame.
type Build = fn(Frame) -> Frame;

fn v4(frame: Frame) -> Frame {
    frame.ipv4([10, 1, 0, 1], [10, 1, 0, 2])
}

fn v6(frame: Frame) -> Frame {
    frame.ipv6([0xfd; 16], [0xfe; 16])
}

/// Every storage protocol in every form, the word for it in the file, and the priority of its class.
const STORAGE: [(&str, u8, Build); 33] = [
    ("fcoe", 3, |f| f.fcoe(0x01_02_03, 0x04_05_06, &[0; 32])),
    ("fcoe", 3, |f| f.fip(fip::Operation::DISCOVERY, 1)),
    ("fcoe", 3, |f| f.fip(fip::Operation::VLAN, 1)),
    ("iscsi", 5, |f| v4(f).iscsi()),
    ("iscsi", 5, |f| v6(f).iscsi()),
    ("iscsi", 5, |f| v4(f).tcp(3260, 50_000)),
    ("nvme-tcp", 5, |f| v4(f).nvme_tcp()),
    ("nvme-tcp", 5, |f| v6(f).nvme_tcp()),
    ("nvme-tcp", 5, |f| v4(f).tcp(4420, 50_000)),
    ("nvme-tcp", 5, |f| v4(f).tcp(50_000, 8009)),
    ("nvme-tcp", 5, |f| v4(f).tcp(8009, 50_000)),
    ("roce", 4, |f| f.roce_v1(5)),
    ("roce", 4, |f| v4(f).roce_v2(5)),
    ("roce", 4, |f| v6(f).roce_v2(5)),
    ("aoe", 5, |f| f.aoe(1, 2)),
    ("nfs", 2, |f| v4(f).nfs()),
    ("nfs", 2, |f| v6(f).nfs()),
    ("nfs", 2, |f| v4(f).tcp(2049, 700)),
    ("nfs", 2, |f| v4(f).udp(700, 2049)),
    ("nfs", 2, |f| v4(f).udp(2049, 700)),
    ("smb", 2, |f| v4(f).smb()),
    ("smb", 2, |f| v6(f).smb()),
    ("smb", 2, |f| v4(f).tcp(445, 50_000)),
    ("ceph", 2, |f| v4(f).ceph()),
    ("ceph", 2, |f| v4(f).tcp(50_000, 6789)),
    ("ceph", 2, |f| v4(f).tcp(6789, 50_000)),
    ("ceph", 2, |f| v4(f).tcp(50_000, 6800)),
    ("ceph", 2, |f| v4(f).tcp(50_000, 7000)),
    ("ceph", 2, |f| v4(f).tcp(7568, 50_000)),
    ("ceph", 2, |f| v6(f).ceph()),
    ("iscsi", 5, |f| v4(f).tcp(3260, 3260)),
    ("iscsi", 5, |f| options(v4(f).iscsi())),
    ("iscsi", 5, |f| v4(f).tcp(1, 3260).payload([0; 6]).padded()),
];

/// TCP options change where the payload is, not where the ports are.
fn options(frame: Frame) -> Frame {
    frame.tcp_flags(iogate::packet::TcpFlags::SYN)
}

/// What belongs to the network only.
const OTHERS: [Build; 13] = [
    |f| f,
    |f| f.ether_type(EtherType(46)).payload([0xaa; 46]),
    |f| v4(f).tcp(50_000, 80),
    |f| v6(f).tcp(50_000, 443),
    |f| v4(f).tcp(50_000, 3261),
    |f| v4(f).tcp(50_000, 4419),
    |f| v4(f).tcp(50_000, 6799),
    |f| v4(f).tcp(50_000, 7569),
    |f| v4(f).tcp(50_000, 4791),
    |f| v4(f).udp(50_000, 3260),
    // A RoCE packet may come from any port, this one too.
    |f| v4(f).udp(4791, 50_000),
    |f| v4(f).udp(68, 67),
    |f| v4(f).protocol(IpProtocol(47)).payload([0; 40]),
];

/// What every network needs.
const BOTH: [Build; 4] = [
    |f| f.arp_request([10, 1, 0, 1], [10, 1, 0, 2]),
    |f| v4(f).icmp_echo(1, 1),
    |f| v6(f).icmpv6_echo(1, 1),
    |f| v6(f).neighbor_solicitation([0xfe; 16]),
];

#[test]
fn storage_crosses_storage_networks_both_ways() {
    let mut gw = house();
    for (_, pcp, build) in STORAGE {
        let up = build(Frame::ethernet(mac(0x13), SAN));
        gw.passes("eth-srv1", up.clone().build(), "san-a", tagged(up, 300, pcp));
        let down = build(Frame::ethernet(SAN, mac(0x13)));
        gw.passes("san-a", tagged(down.clone(), 300, 0), "eth-srv1", down.build());
    }
}

#[test]
fn storage_crosses_no_network_of_the_other_side() {
    let mut gw = house();
    for (_, _, build) in STORAGE {
        for dst in [LAN, mac(0x21), MacAddr::BROADCAST] {
            gw.refuses("eth-srv1", build(Frame::ethernet(mac(0x11), dst)).build(), drop::STORAGE_ON_NETWORK);
            gw.refuses("eth-srv1", build(Frame::ethernet(mac(0x12), dst)).vlan(7).build(), drop::STORAGE_ON_NETWORK);
        }
        for dst in [mac(0x11), LAN, MacAddr::BROADCAST] {
            gw.refuses("net-a", build(Frame::ethernet(LAN, dst)).vlan(110).build(), drop::STORAGE_ON_NETWORK);
            gw.refuses("net-a", build(Frame::ethernet(LAN, dst)).build(), drop::STORAGE_ON_NETWORK);
        }
    }
}

#[test]
fn all_else_crosses_no_storage_network() {
    let mut gw = house();
    for build in OTHERS {
        let net = build(Frame::ethernet(mac(0x11), LAN));
        gw.passes("eth-srv1", net.clone().build(), "net-a", tagged(net, 110, 0));
        for dst in [SAN, mac(0x21), MacAddr::BROADCAST] {
            gw.refuses("eth-srv1", build(Frame::ethernet(mac(0x13), dst)).build(), drop::NETWORK_ON_STORAGE);
        }
        for dst in [mac(0x13), SAN, MacAddr::BROADCAST] {
            gw.refuses("san-a", build(Frame::ethernet(SAN, dst)).vlan(300).build(), drop::NETWORK_ON_STORAGE);
        }
    }
}

#[test]
fn what_finds_neighbours_crosses_both() {
    let mut gw = house();
    for build in BOTH {
        let net = build(Frame::ethernet(mac(0x11), LAN));
        gw.passes("eth-srv1", net.clone().build(), "net-a", tagged(net, 110, 6));
        let san = build(Frame::ethernet(mac(0x13), SAN));
        gw.passes("eth-srv1", san.clone().build(), "san-a", tagged(san, 300, 6));
        let back = build(Frame::ethernet(SAN, mac(0x13)));
        gw.passes("san-a", tagged(back.clone(), 300, 0), "eth-srv1", back.build());
    }
}

#[test]
fn a_vhba_speaks_what_it_was_given() {
    const WORDS: [&str; 8] = ["fcoe", "iscsi", "nvme-tcp", "roce", "aoe", "nfs", "smb", "ceph"];
    for spoken in WORDS {
        // s2.a is of this protocol, and s1.san, on the same network, of any.
        let mut gw = Gateway::new(&changed("protocol = \"iscsi\"", &format!("protocol = \"{spoken}\"")));
        for (word, pcp, build) in STORAGE {
            let up = build(Frame::ethernet(mac(0x21), SAN));
            let down = build(Frame::ethernet(SAN, mac(0x21)));
            let across = build(Frame::ethernet(mac(0x13), mac(0x21)));
            if word == spoken {
                gw.passes("eth-srv2", tagged(up.clone(), 300, 0), "san-a", tagged(up, 300, pcp));
                gw.passes("san-a", tagged(down.clone(), 300, 0), "eth-srv2", tagged(down, 300, pcp));
                gw.passes("eth-srv1", across.clone().build(), "eth-srv2", tagged(across, 300, pcp));
            } else {
                gw.refuses("eth-srv2", tagged(up, 300, 0), drop::WRONG_PROTOCOL);
                gw.refuses("san-a", tagged(down, 300, 0), drop::WRONG_PROTOCOL);
                gw.refuses("eth-srv1", across.build(), drop::WRONG_PROTOCOL);
            }
        }
        for build in BOTH {
            let up = build(Frame::ethernet(mac(0x21), SAN));
            gw.passes("eth-srv2", tagged(up.clone(), 300, 0), "san-a", tagged(up, 300, 6));
        }
        gw.nothing_else();
    }
}

#[test]
fn ports_and_ethertypes_can_be_added() {
    let added = "[protocols]\n\
                 iscsi = [{ tcp_port = 3261 }]\n\
                 nvme-tcp = [{ tcp_port_range = [4421, 4423] }]\n\
                 aoe = [{ ethertype = \"0x88b6\" }]\n\
                 roce = [{ udp_dst = 4790 }]\n\
                 nfs = [{ udp_src = 635 }]\n\
                 ceph = [{ ip_protocol = 132 }]\n";
    let cases: [(u8, Build); 8] = [
        (5, |f| v4(f).tcp(50_000, 3261)),
        (5, |f| v6(f).tcp(3261, 50_000)),
        (5, |f| v4(f).tcp(50_000, 4421)),
        (5, |f| v4(f).tcp(4423, 50_000)),
        (5, |f| f.ether_type(EtherType(0x88b6)).payload([0; 46])),
        (4, |f| v4(f).udp(50_000, 4790)),
        (2, |f| v4(f).udp(635, 50_000)),
        (2, |f| v4(f).protocol(IpProtocol(132)).payload([0; 12])),
    ];
    let mut gw = house();
    for (_, build) in cases {
        let net = build(Frame::ethernet(mac(0x11), LAN));
        gw.passes("eth-srv1", net.clone().build(), "net-a", tagged(net, 110, 0));
    }
    std::mem::drop(gw);
    let mut gw = Gateway::new(&format!("{HOUSE}\n{added}"));
    for (pcp, build) in cases {
        let san = build(Frame::ethernet(mac(0x13), SAN));
        gw.passes("eth-srv1", san.clone().build(), "san-a", tagged(san, 300, pcp));
        gw.refuses("eth-srv1", build(Frame::ethernet(mac(0x11), LAN)).build(), drop::STORAGE_ON_NETWORK);
        gw.refuses("net-a", build(Frame::ethernet(LAN, mac(0x11))).vlan(110).build(), drop::STORAGE_ON_NETWORK);
    }
    // Only the ends and the ways that were named.
    gw.refuses("eth-srv1", v4(Frame::ethernet(mac(0x13), SAN)).tcp(1, 4424).build(), drop::NETWORK_ON_STORAGE);
    gw.refuses("eth-srv1", v4(Frame::ethernet(mac(0x13), SAN)).udp(4790, 1).build(), drop::NETWORK_ON_STORAGE);
    gw.refuses("eth-srv1", v4(Frame::ethernet(mac(0x13), SAN)).udp(1, 635).build(), drop::NETWORK_ON_STORAGE);
}

#[test]
fn classes_of_the_file_decide_what_crosses() {
    let classes = "[[class]]\n\
                   name = \"files\"\n\
                   pcp = 1\n\
                   kind = \"both\"\n\
                   match = [{ protocol = \"nfs\" }, { ethertype = \"0x0806\" }]\n\
                   [[class]]\n\
                   name = \"disks\"\n\
                   pcp = 4\n\
                   kind = \"storage\"\n\
                   match = [{ protocol = \"iscsi\" }, { protocol = \"fcoe\" }, { protocol = \"fip\" }]\n\
                   [[class]]\n\
                   name = \"rest\"\n\
                   pcp = 2\n\
                   kind = \"network\"\n\
                   default = true\n";
    let house = changed(
        "network = \"stor-a\"\n# Tagged",
        &format!("network = \"stor-a\"\nprotocol = [\"iscsi\", \"nfs\"]\n{classes}\n# Tagged"),
    );
    let mut gw = Gateway::new(&house);
    let nfs = v4(Frame::ethernet(mac(0x11), LAN)).nfs();
    gw.passes("eth-srv1", nfs.clone().build(), "net-a", tagged(nfs, 110, 1));
    let nfs = v4(Frame::ethernet(mac(0x13), SAN)).nfs();
    gw.passes("eth-srv1", nfs.clone().build(), "san-a", tagged(nfs, 300, 1));
    let disk = v4(Frame::ethernet(mac(0x13), SAN)).iscsi();
    gw.passes("eth-srv1", disk.clone().build(), "san-a", tagged(disk, 300, 4));
    let web = v4(Frame::ethernet(mac(0x11), LAN)).tcp(1, 80);
    gw.passes("eth-srv1", web.clone().build(), "net-a", tagged(web, 110, 2));
    // What no class names is in the default class, and storage stays storage there.
    gw.refuses("eth-srv1", Frame::ethernet(mac(0x11), LAN).aoe(1, 1).build(), drop::STORAGE_ON_NETWORK);
    gw.refuses("eth-srv1", Frame::ethernet(mac(0x13), SAN).aoe(1, 1).build(), drop::WRONG_PROTOCOL);
}

#[test]
fn extension_headers_do_not_hide_storage() {
    let mut gw = house();
    let plain = v6(Frame::ethernet(mac(0x11), LAN)).iscsi().build();
    for kind in [0_u8, 43, 44, 60] {
        let mut frame = plain.clone();
        let next = std::mem::replace(&mut frame[20], kind);
        frame.splice(54..54, [next, 0, if kind == 44 { 0 } else { 1 }, if kind == 44 { 1 } else { 4 }, 0, 0, 0, 0]);
        let len = u16::from_be_bytes([frame[18], frame[19]]) + 8;
        frame[18..20].copy_from_slice(&len.to_be_bytes());
        gw.refuses("eth-srv1", frame, drop::STORAGE_ON_NETWORK);
    }
}

#[test]
fn the_rest_of_a_packet_goes_where_its_first_piece_was_judged() {
    let mut gw = house();
    let nfs = |src, dst| v4(Frame::ethernet(src, dst)).udp(700, 2049).payload([9; 64]);
    let piece = |frame: Frame, field: u16| {
        let mut bytes = frame.build();
        bytes[20..22].copy_from_slice(&field.to_be_bytes());
        bytes
    };
    let with = |mut frame: Vec<u8>, tag: [u8; 4]| {
        frame.splice(12..12, tag);
        frame
    };
    // The first piece has the ports, and so its class.
    let first = piece(nfs(mac(0x13), SAN), 0x2000);
    gw.passes("eth-srv1", &first, "san-a", with(first.clone(), [0x81, 0, 2 << 5 | 1, 0x2c]));
    gw.refuses("eth-srv1", piece(nfs(mac(0x11), LAN), 0x2000), drop::STORAGE_ON_NETWORK);
    // Later ones have not, and go with the default class: nobody makes anything of them without the first.
    for field in [0x2008, 0x0009] {
        let later = piece(nfs(mac(0x13), SAN), field);
        gw.passes("eth-srv1", &later, "san-a", with(later.clone(), [0x81, 0, 1, 0x2c]));
        let later = piece(nfs(SAN, mac(0x13)), field);
        gw.passes("san-a", with(later.clone(), [0x81, 0, 1, 0x2c]), "eth-srv1", &later);
        let later = piece(nfs(mac(0x11), LAN), field);
        gw.passes("eth-srv1", &later, "net-a", with(later.clone(), [0x81, 0, 0, 110]));
    }
}

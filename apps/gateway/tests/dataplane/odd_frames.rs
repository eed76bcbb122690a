//! Frames that no bridge forwards, and frames that lie about themselves.

use crate::harness::{Gateway, LAN, SAN, changed, house, mac};
use iogate::packet::{EtherType, MacAddr, Pause, Pfc, Tci};
use iogate::testkit::Frame;
use iogate_gateway::dataplane::drop;

/// Where every frame has to be refused, each in the network of its port.
fn refused_everywhere(
    gw: &mut Gateway,
    reason: iogate::pipeline::DropReason,
    build: impl Fn(MacAddr, MacAddr) -> Vec<u8>,
) {
    for (port, src, dst) in [("eth-srv1", mac(0x11), LAN), ("net-a", LAN, mac(0x12)), ("san-b", SAN, LAN)] {
        gw.refuses(port, build(src, dst), reason);
    }
}

#[test]
fn what_is_for_the_next_bridge_ends_here() {
    let mut gw = house();
    for last in 0..=15 {
        let dst = MacAddr::new([1, 0x80, 0xc2, 0, 0, last]);
        for kind in [EtherType::LLDP, EtherType::SLOW, EtherType(0x0026), EtherType(0x888e)] {
            refused_everywhere(&mut gw, drop::LINK_LOCAL, |src, _| {
                Frame::ethernet(src, dst).ether_type(kind).payload([0; 46]).build()
            });
        }
    }
    // The address behind them is multicast like any other.
    let dst = MacAddr::new([1, 0x80, 0xc2, 0, 0, 0x10]);
    let frame = Frame::ethernet(mac(0x12), dst);
    gw.send("eth-srv1", frame.clone().vlan(7).build());
    gw.expect("net-a", frame.clone().build());
    gw.expect("eth-hv3", frame.vlan(8).build());
}

#[test]
fn flow_control_ends_here() {
    let mut gw = house();
    let mac_control = |src, dst| Frame::ethernet(src, dst).ether_type(EtherType::MAC_CONTROL);
    for dst in [MacAddr::PAUSE, LAN, MacAddr::BROADCAST] {
        refused_everywhere(&mut gw, drop::MAC_CONTROL, |src, _| {
            mac_control(src, dst).header::<Pause>(|pause| pause.set_time(0xffff)).padded().build()
        });
        refused_everywhere(&mut gw, drop::MAC_CONTROL, |src, _| {
            mac_control(src, dst).header::<Pfc>(|pfc| pfc.set_time(3, Some(0xffff))).padded().build()
        });
        gw.refuses("eth-srv1", mac_control(mac(0x12), dst).vlan(7).build(), drop::MAC_CONTROL);
        gw.refuses("eth-srv1", mac_control(mac(0x11), dst).priority(0, 3).build(), drop::MAC_CONTROL);
    }
}

#[test]
fn tags_are_not_nested() {
    let mut gw = house();
    let frame = |src, dst| Frame::ethernet(src, dst).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(1, 3260);
    for inner in [EtherType::VLAN, EtherType::SERVICE_VLAN] {
        let reason = drop::NESTED_TAG;
        let tag = |frame: Frame| frame.tag(inner, Tci::new(300, 0, false)).build();
        gw.refuses("eth-srv1", tag(frame(mac(0x12), LAN).vlan(7)), reason);
        gw.refuses("eth-srv1", tag(frame(mac(0x11), LAN).priority(0, 0)), reason);
        gw.refuses("net-a", tag(frame(LAN, mac(0x11)).vlan(110)), reason);
        gw.refuses("net-a", tag(frame(LAN, mac(0x12)).priority(0, 0)), reason);
    }
    // A service tag is not the tag that tells where a frame belongs.
    gw.refuses("eth-srv1", frame(mac(0x12), LAN).qinq(7, 7).build(), drop::NESTED_TAG);
    gw.refuses(
        "eth-srv1",
        frame(mac(0x12), LAN).tag(EtherType::SERVICE_VLAN, Tci::new(7, 0, false)).build(),
        drop::NESTED_TAG,
    );
}

#[test]
fn nothing_hides_behind_llc_or_a_vendors_tag() {
    let mut gw = house();
    let iscsi = Frame::ethernet(mac(0x11), LAN).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).iscsi().build();
    let mut snap = iscsi[..12].to_vec();
    snap.extend(((iscsi.len() - 14 + 8) as u16).to_be_bytes());
    snap.extend([0xaa, 0xaa, 3, 0, 0, 0]);
    snap.extend(&iscsi[12..]);
    gw.refuses("eth-srv1", snap.clone(), drop::SNAP);
    // Other LLC is what it says.
    snap[14..17].copy_from_slice(&[0x42, 0x42, 3]);
    gw.send("eth-srv1", snap);
    assert_eq!(gw.received("net-a").len(), 1);
    for kind in [0x9100_u16, 0x9200, 0x9300] {
        let mut tagged = iscsi[..12].to_vec();
        tagged.extend(kind.to_be_bytes());
        tagged.extend([0, 7]);
        tagged.extend(&iscsi[12..]);
        gw.refuses("eth-srv1", tagged, drop::NESTED_TAG);
    }
}

#[test]
fn a_source_is_one_station() {
    let mut gw = house();
    let bad =
        [MacAddr::ZERO, MacAddr::BROADCAST, MacAddr::new([3, 0, 0, 0, 0, 0x11]), MacAddr::new([1, 0, 0x5e, 0, 0, 1])];
    for src in bad {
        refused_everywhere(&mut gw, drop::BAD_SOURCE, |_, dst| Frame::ethernet(src, dst).padded().build());
    }
}

#[test]
fn ethernet_and_tags_that_are_cut_short() {
    let mut gw = house();
    let whole = Frame::ethernet(mac(0x12), LAN).vlan(7).build();
    for len in 1..18 {
        // One that ends in the type of its tag is untagged, and not malformed before the tag begins.
        gw.refuses("eth-srv1", &whole[..len], drop::MALFORMED);
    }
    gw.send("eth-srv1", &whole);
    gw.expect("net-a", Frame::ethernet(mac(0x12), LAN).build());
    let untagged = Frame::ethernet(mac(0x11), LAN).build();
    gw.passes("eth-srv1", &untagged, "net-a", Frame::ethernet(mac(0x11), LAN).vlan(110).build());
    gw.refuses("eth-srv1", &untagged[..13], drop::MALFORMED);
}

#[test]
fn ipv4_headers_that_lie() {
    let mut gw = house();
    let good =
        |src, dst| Frame::ethernet(src, dst).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(1, 2).payload([0; 10]).build();
    let edits: [(usize, u8); 8] = [
        (14, 0x65), // version 6
        (14, 0x05), // version 0
        (14, 0x44), // a header of 16 bytes
        (14, 0x4f), // a header of 60 bytes, which is more than there is
        (16, 0x01), // longer than the frame
        (17, 51),   // one byte longer than the frame
        (17, 19),   // shorter than its own header
        (17, 39),   // no room for TCP in it
    ];
    for (at, value) in edits {
        refused_everywhere(&mut gw, drop::MALFORMED, |src, dst| {
            let mut frame = good(src, dst);
            frame[at] = value;
            frame
        });
    }
    for len in 14..54 {
        refused_everywhere(&mut gw, drop::MALFORMED, |src, dst| good(src, dst)[..len].to_vec());
    }
}

#[test]
fn ipv6_headers_that_lie() {
    let mut gw = house();
    let good = |src, dst| Frame::ethernet(src, dst).ipv6([0xfd; 16], [0xfe; 16]).udp(1, 2).payload([0; 10]).build();
    let edits: [(usize, u8); 8] = [
        (14, 0x40), // version 4
        (18, 0x01), // longer than the frame
        (19, 19),   // one byte longer than the frame
        (19, 7),    // no room for UDP in it
        (19, 0),    // nothing in it
        (20, 0),    // the UDP header as hop-by-hop options, too long for what there is
        (20, 51),   // as an authentication header
        (20, 6),    // as TCP
    ];
    for (at, value) in edits {
        refused_everywhere(&mut gw, drop::MALFORMED, |src, dst| {
            let mut frame = good(src, dst);
            frame[54 + 1] = 9;
            frame[at] = value;
            frame
        });
    }
    for len in 14..62 {
        refused_everywhere(&mut gw, drop::MALFORMED, |src, dst| good(src, dst)[..len].to_vec());
    }
}

#[test]
fn transport_headers_that_lie() {
    let mut gw = house();
    let v4 = |src, dst| Frame::ethernet(src, dst).ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
    for offset in [0x00, 0x40, 0xf0] {
        refused_everywhere(&mut gw, drop::MALFORMED, |src, dst| {
            let mut frame = v4(src, dst).tcp(1, 2).build();
            frame[14 + 20 + 12] = offset;
            frame
        });
    }
    for len in [0, 7] {
        refused_everywhere(&mut gw, drop::MALFORMED, |src, dst| {
            let mut frame = v4(src, dst).udp(1, 2).build();
            frame[14 + 20 + 5] = len;
            frame
        });
    }
    // A first piece too small to tell its ports hides what it is (RFC 1858).
    refused_everywhere(&mut gw, drop::MALFORMED, |src, dst| {
        let mut frame = v4(src, dst).tcp(1, 3260).build();
        frame[16..18].copy_from_slice(&28_u16.to_be_bytes());
        frame[20] = 0x20;
        frame
    });
}

#[test]
fn bytes_behind_a_packet_are_padding() {
    let mut gw = house();
    for len in [60, 61, 200] {
        let frame = Frame::ethernet(mac(0x11), LAN).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2).padded_to(len);
        let mut wanted = frame.clone().build();
        wanted.splice(12..12, [0x81, 0, 0, 110]);
        gw.passes("eth-srv1", frame.build(), "net-a", wanted);
    }
    // And not a place to hide: what counts is in the packet.
    let mut hidden = Frame::ethernet(mac(0x11), LAN).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(1, 80).build();
    hidden[17] = 20;
    gw.refuses("eth-srv1", hidden, drop::MALFORMED);
}

#[test]
fn a_frame_fits_its_network_on_every_port() {
    let mut gw = house();
    // 1518 with a tag, so 1514 without.
    let frame = |src, dst, len: usize| Frame::ethernet(src, dst).payload(vec![0; len - 14]);
    let up = |len| frame(mac(0x11), LAN, len);
    gw.passes("eth-srv1", up(1514).build(), "net-a", up(1514).vlan(110).build());
    gw.refuses("eth-srv1", up(1515).build(), drop::TOO_BIG);
    gw.refuses("eth-srv1", up(1518).build(), drop::TOO_BIG);
    let tagged = |len: usize| frame(mac(0x21), LAN, len - 4);
    gw.passes("eth-srv2", tagged(1518).vlan(20).build(), "net-a", tagged(1518).vlan(110).build());
    gw.refuses("eth-srv2", tagged(1519).vlan(20).build(), drop::TOO_BIG);
    let down = |len: usize| frame(LAN, mac(0x11), len - 4);
    gw.passes("net-a", down(1518).vlan(110).build(), "eth-srv1", down(1518).build());
    gw.refuses("net-a", down(1519).vlan(110).build(), drop::TOO_BIG);
    // dmz is untagged on the uplink and tagged on the links, and smaller.
    let down = |len| frame(LAN, mac(0x12), len);
    gw.passes("net-a", down(996).build(), "eth-srv1", down(996).vlan(7).build());
    gw.refuses("net-a", down(997).build(), drop::TOO_BIG);
    gw.refuses("net-a", frame(LAN, MacAddr::BROADCAST, 1000).build(), drop::TOO_BIG);
}

#[test]
fn without_any_tag_a_frame_may_be_as_long_as_the_network_says() {
    let text = changed("network = \"dmz\"\ntag = 7", "network = \"dmz\"");
    let text = text.replace("networks = [\"prod\", \"dmz\"]\ntags = { dmz = 8 }", "networks = [\"prod\"]");
    let mut gw = Gateway::new(&text);
    let frame = |len: usize| Frame::ethernet(LAN, mac(0x12)).payload(vec![0; len - 14]);
    gw.passes("net-a", frame(1000).build(), "eth-srv1", frame(1000).build());
    gw.refuses("net-a", frame(1001).build(), drop::TOO_BIG);
    // A tag with a priority only counts like any.
    gw.passes("net-a", frame(996).priority(0, 1).build(), "eth-srv1", frame(996).build());
    gw.refuses("net-a", frame(997).priority(0, 1).build(), drop::TOO_BIG);
}

//! Broadcast and multicast: a copy for each, none for the sender, one buffer where one will do.

use std::path::Path;
use std::sync::Arc;

use crate::harness::{Gateway, HOUSE, LAN, SAN, Size, alone, changed, house, mac, tagged};
use iogate::memory::Batch;
use iogate::packet::{MacAddr, fip};
use iogate::pipeline::{Context, DropReason, Outlet, Stage};
use iogate::testkit::{Complete, Frame, eal};
use iogate_gateway::config;
use iogate_gateway::dataplane::frame::Meta;
use iogate_gateway::dataplane::{Active, Ingress, Switch, Tables, drop};

const ALL_HOSTS: MacAddr = MacAddr::new([1, 0, 0x5e, 0, 0, 1]);

fn frame(src: MacAddr, dst: MacAddr) -> Frame {
    Frame::ethernet(src, dst).ipv4([10, 0, 0, 1], [224, 0, 0, 1]).udp(1, 2).payload("to all")
}

#[test]
fn a_server_reaches_all_others_and_the_uplink() {
    let mut gw = house();
    for dst in [MacAddr::BROADCAST, ALL_HOSTS] {
        let sent = frame(mac(0x11), dst);
        gw.send("eth-srv1", sent.clone().build());
        gw.expect("eth-srv2", sent.clone().vlan(20).build());
        gw.expect("eth-hv3", sent.clone().vlan(110).build());
        // For h3.vm and h3.safe, which are on one link with one tag.
        gw.expect("eth-hv3", sent.clone().build());
        gw.expect("net-a", sent.vlan(110).build());
        gw.nothing_else();
    }
}

/// Some cards return to a port what it sends to all.
#[test]
fn what_a_link_returns_goes_no_further() {
    let mut gw = house();
    let outside = frame(LAN, MacAddr::BROADCAST);
    gw.send("net-a", outside.clone().vlan(110).build());
    gw.send("eth-srv1", frame(mac(0x11), MacAddr::BROADCAST).build());
    for port in ["eth-srv1", "eth-srv2", "eth-hv3"] {
        let sent = gw.received(port);
        assert!(!sent.is_empty());
        for frame in sent {
            gw.refuses(port, frame, drop::UNKNOWN_SOURCE);
        }
    }
    gw.expect("net-a", frame(mac(0x11), MacAddr::BROADCAST).vlan(110).build());
}

#[test]
fn a_neighbour_on_the_same_link_is_reached_too() {
    let mut gw = house();
    let sent = frame(mac(0x31), MacAddr::BROADCAST);
    gw.send("eth-hv3", sent.clone().vlan(110).build());
    gw.expect("eth-srv1", sent.clone().build());
    gw.expect("eth-srv2", sent.clone().vlan(20).build());
    gw.expect("eth-hv3", sent.clone().build());
    gw.expect("net-a", sent.clone().vlan(110).build());
    gw.nothing_else();
    gw.send("eth-hv3", sent.clone().vlan(8).build());
    gw.expect("eth-srv1", sent.clone().vlan(7).build());
    gw.expect("net-a", sent.build());
}

#[test]
fn the_uplink_reaches_all_servers_and_not_itself() {
    let mut gw = house();
    for dst in [MacAddr::BROADCAST, ALL_HOSTS] {
        let came = frame(LAN, dst);
        gw.send("net-a", came.clone().vlan(110).build());
        gw.expect("eth-srv1", came.clone().build());
        gw.expect("eth-srv2", came.clone().vlan(20).build());
        gw.expect("eth-hv3", came.clone().vlan(110).build());
        gw.expect("eth-hv3", came.clone().build());
        gw.nothing_else();
        gw.send("net-a", came.clone().build());
        gw.expect("eth-srv1", came.clone().vlan(7).build());
        gw.expect("eth-hv3", came.vlan(8).build());
        gw.nothing_else();
    }
}

#[test]
fn copies_have_the_priority_of_their_class() {
    let mut gw = house();
    let came = Frame::ethernet(LAN, MacAddr::BROADCAST).arp_request([10, 0, 0, 9], [10, 0, 0, 1]);
    gw.send("net-a", came.clone().priority(110, 2).build());
    gw.expect("eth-srv1", came.clone().build());
    gw.expect("eth-srv2", came.clone().priority(20, 6).build());
    gw.expect("eth-hv3", came.clone().priority(110, 6).build());
    gw.expect("eth-hv3", came.build());
}

#[test]
fn storage_reaches_those_who_speak_its_protocol() {
    let mut gw = house();
    let all_fcfs = MacAddr::new([1, 0x10, 0x18, 1, 0, 2]);
    // s2.a speaks iSCSI only.
    let sent = Frame::ethernet(mac(0x13), all_fcfs).fip(fip::Operation::DISCOVERY, 1);
    gw.passes("eth-srv1", sent.clone().build(), "san-a", tagged(sent, 300, 3));
    let came = Frame::ethernet(SAN, all_fcfs).fip(fip::Operation::DISCOVERY, 2);
    gw.passes("san-a", tagged(came.clone(), 300, 0), "eth-srv1", came.build());
    // s2.b is alone in its fabric; ARP is for all.
    let arp = Frame::ethernet(mac(0x13), MacAddr::BROADCAST).arp_request([10, 1, 0, 1], [10, 1, 0, 2]);
    gw.send("eth-srv1", arp.clone().build());
    gw.expect("eth-srv2", tagged(arp.clone(), 300, 6));
    gw.expect("san-a", tagged(arp, 300, 6));
}

#[test]
fn without_an_uplink_neighbours_are_still_reached() {
    let mut gw = house();
    gw.activate("dmz", None);
    let sent = frame(mac(0x12), MacAddr::BROADCAST);
    gw.passes("eth-srv1", sent.clone().vlan(7).build(), "eth-hv3", sent.vlan(8).build());
}

#[test]
fn nobody_to_receive_is_a_reason() {
    let mut gw = house();
    gw.refuses("san-b", frame_for_nobody(SAN).build(), drop::NO_RECEIVER);
    gw.activate("stor-b", None);
    let fip = Frame::ethernet(mac(0x21), MacAddr::BROADCAST).vlan(301).fip(fip::Operation::VLAN, 1);
    gw.refuses("eth-srv2", fip.build(), drop::NO_UPLINK);
}

/// On the untagged network of fabric B, which has no adapter.
fn frame_for_nobody(src: MacAddr) -> Frame {
    Frame::ethernet(src, MacAddr::BROADCAST).arp_request([10, 1, 0, 1], [10, 1, 0, 2])
}

#[test]
fn a_dry_pool_costs_copies_and_nothing_else() {
    let mut gw = Gateway::sized(HOUSE, Size { buffers: 64, slots: 64 });
    let sent = frame(mac(0x11), MacAddr::BROADCAST);
    let hoard: Vec<_> = (0..63).map(|_| gw.pool().alloc().unwrap()).collect();
    gw.send("eth-srv1", sent.clone().build());
    std::mem::drop(hoard);
    // Four were to get one. There was only the buffer itself, and ring ports want copies of their own, so that even
    // those who share it go without.
    let came = gw.received("eth-hv3").len() + gw.received("eth-srv2").len() + gw.received("net-a").len();
    let lost: u64 = ["eth-hv3", "eth-srv2", "net-a"].iter().map(|p| gw.not_sent(p, DropReason::NO_BUFFER)).sum();
    let refused = gw.drops().values().sum::<u64>();
    assert_eq!((came, lost + refused), (0, 4));
    for _ in 0..refused {
        gw.ask("eth-srv1", DropReason::NO_BUFFER);
    }
    // And it recovers.
    let sent = frame(mac(0x12), MacAddr::BROADCAST);
    gw.send("eth-srv1", sent.clone().vlan(7).build());
    gw.expect("eth-hv3", sent.clone().vlan(8).build());
    gw.expect("net-a", sent.build());
}

/// On ports that send from any buffer, those who see the same tag share one.
#[test]
fn one_buffer_for_each_tag() {
    let _alone = alone();
    let text = changed("network = \"prod\"\ntag = 20", "network = \"prod\"\ntag = 110");
    for (text, buffers) in [(HOUSE, 3), (&text, 2)] {
        let config = config::parse(text, Path::new("test.toml")).unwrap();
        let pool = iogate::testkit::pool("shared", 511);
        let complete = Complete::new(&pool);
        let open = |_| eal().port(&"null".parse().unwrap()).pool(&pool).start().unwrap();
        let ports: Vec<_> = config.ports().map(open).collect();
        let outlets = ports.iter().map(|port| Outlet::new(port.tx(0).unwrap())).collect();
        let active = config.networks().map(|(id, _)| config.uplinks_of(id)[0].index() as u16).collect();
        let tables = Arc::new(Tables::new(&config));
        let mut switch = Switch::new(tables, Arc::new(Active(active)), vec![Ingress::Link(0)], outlets);
        let mut cx = Context::new(1);
        let before = pool.in_use();
        let mut batch: Batch<Meta> = Batch::new();
        let packet = pool.alloc_from(&frame(mac(0x11), MacAddr::BROADCAST).build()).unwrap();
        assert!(batch.push(packet, Meta::default()).is_ok());
        switch.run(&mut batch, &mut cx);
        // Not flushed yet: five packets wait in outlets, those with the same tag in the same buffer.
        assert_eq!(pool.in_use() - before, buffers);
        switch.flush(&mut cx);
        assert_eq!(pool.in_use(), before);
        std::mem::drop((batch, cx, switch, ports));
        std::mem::drop(complete);
    }
}

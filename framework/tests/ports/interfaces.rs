//! Ports on interfaces of the kernel.

use super::{exercise, frame, nothing_was_warned_of, pair_works, start};
use iogate::memory::Batch;
use iogate::port::Port;
use iogate::prelude::*;
use iogate::testkit::{Complete, Frame, eal, in_namespace, mac, pool, sh, skip};
use std::path::Path;
use std::time::{Duration, Instant};

fn veth() {
    sh("ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up");
}

#[test]
fn tap_is_an_interface_while_the_port_lives() {
    in_namespace("interfaces::tap_is_an_interface_while_the_port_lives", || {
        let pool = pool("tap", 8192);
        let _complete = Complete::new(&pool);
        for _ in 0..2 {
            let tap = start("tap:gw0", &pool);
            sh("ip link set gw0 up");
            assert!(Path::new("/sys/class/net/gw0").exists());
            let other = start("af_packet:gw0", &pool);
            exercise(&tap, &other, &pool);
            tap.set_mtu(1400).unwrap();
            assert_eq!((tap.mtu().unwrap(), sh("cat /sys/class/net/gw0/mtu").trim()), (1400, "1400"));
            tap.set_promiscuous(false).unwrap();
            assert!(!tap.promiscuous());
            tap.set_promiscuous(true).unwrap();
            assert!(tap.promiscuous());
            drop((tap, other));
            assert!(!Path::new("/sys/class/net/gw0").exists());
        }
        nothing_was_warned_of();
    });
}

#[test]
fn af_packet_joins_an_interface() {
    in_namespace("interfaces::af_packet_joins_an_interface", || {
        veth();
        pair_works("af_packet:v0", "af_packet:v1");
        link_follows_the_cable("af_packet:v0");
    });
}

fn link_follows_the_cable(spec: &str) {
    let pool = pool("link", 8192);
    let port = start(spec, &pool);
    assert!(port.link().unwrap().up);
    sh("ip link set v1 down");
    assert!(!port.link().unwrap().up, "the other end is down");
    sh("ip link set v1 up; ip link set v0 down");
    assert!(!port.link().unwrap().up, "this end is down");
    sh("ip link set v0 up");
    assert!(port.link().unwrap().up);
    sh("ip link del v0");
    assert!(!port.link().unwrap().up, "it is gone");
}

#[test]
fn af_packet_spreads_over_queues() {
    in_namespace("interfaces::af_packet_spreads_over_queues", || {
        veth();
        let pool = pool("spread", 8192);
        let _complete = Complete::new(&pool);
        let port = eal().port(&"af_packet:v0".parse().unwrap()).pool(&pool).queues(2, 2).start().unwrap();
        spreads(&port, &start("af_packet:v1", &pool), &pool);
    });
}

#[test]
fn tap_spreads_over_queues() {
    in_namespace("interfaces::tap_spreads_over_queues", || {
        let pool = pool("spread", 8192);
        let _complete = Complete::new(&pool);
        let port = eal().port(&"tap:gw0".parse().unwrap()).pool(&pool).queues(2, 2).start().unwrap();
        sh("ip link set gw0 up");
        spreads(&port, &start("af_packet:gw0", &pool), &pool);
    });
}

/// Many flows sent to a port of two queues all arrive, some on each.
fn spreads(port: &Port, from: &Port, pool: &MbufPool) {
    let mut queues = [port.rx(0).unwrap(), port.rx(1).unwrap()];
    let mut tx = from.tx(0).unwrap();
    let mut counts = [0, 0];
    let end = Instant::now() + Duration::from_secs(20);
    for flow in 0..256_u16 {
        let frame =
            Frame::ethernet(mac(1), mac(2)).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1000 + flow, 2000).payload([0; 20]);
        let mut batch: Batch = Batch::new();
        drop(batch.push(pool.alloc_from(&frame.build()).unwrap(), ()));
        tx.send(&mut batch);
        while counts[0] + counts[1] <= usize::from(flow) && Instant::now() < end {
            for (queue, count) in queues.iter_mut().zip(&mut counts) {
                let mut batch: Batch = Batch::new();
                queue.receive(&mut batch);
                *count += batch.packets().iter().filter(|packet| packet.data().get(12..14) == Some(&[8, 0])).count();
            }
        }
    }
    assert_eq!(counts[0] + counts[1], 256, "{counts:?}");
    assert!(counts[0] > 0 && counts[1] > 0, "{counts:?}");
}

#[test]
fn af_xdp_joins_an_interface() {
    const NAME: &str = "interfaces::af_xdp_joins_an_interface";
    in_namespace(NAME, || {
        veth();
        if !xdp_sockets() {
            return skip(NAME, "this kernel has no AF_XDP sockets");
        }
        // The driver gives neither the buffers of its fill queue nor the queue back: see port/xdp.rs.
        let buffers = pool("xdp", 8192);
        for round in 0..3 {
            let complete = Complete::new(&buffers);
            {
                let (a, b) = (start("af_xdp:v0", &buffers), start("af_packet:v1", &buffers));
                let again = eal().port(&"af_xdp:v0".parse().unwrap()).pool(&buffers).start();
                assert!(again.is_err_and(|error| error.to_string().contains("another")), "one owner an interface");
                exercise(&a, &b, &buffers);
                chains_are_made_whole(&a, &b, &buffers);
                // What waits to be fetched when the port closes is not lost either.
                sh("arping -c 3 -I v1 -S 10.0.0.1 10.0.0.2 || ping -c 2 -W 1 -I v1 255.255.255.255 -b || true");
            }
            drop(complete);
            assert_eq!(buffers.lost(), 0, "round {round}");
            assert!(!sh("ip link show v0").contains("xdp"), "no program stays on the interface");
        }
        link_follows_the_cable("af_xdp:v0");
    });
}

/// A port whose driver reads the first segment only must never see a chain.
fn chains_are_made_whole(from: &Port, to: &Port, pool: &MbufPool) {
    assert!(!from.sends_chains());
    let chained = || {
        let whole = frame(77);
        let (front, back) = whole.split_at(40);
        let mut packet = pool.alloc_from(front).unwrap();
        packet.chain(pool.alloc_from(back).unwrap()).expect("a chain of two");
        packet
    };
    let mut queue = from.tx(0).unwrap();
    let mut batch: Batch = Batch::new();
    drop(batch.push(chained(), ()));
    assert_eq!((queue.send(&mut batch), batch.len()), (0, 1), "the queue leaves it alone");
    let (mut outlet, mut rx) = (Outlet::new(queue), to.rx(0).unwrap());
    outlet.push_all(&mut batch);
    let shared = chained().share();
    outlet.push_shared(shared.clone());
    outlet.push_shared(shared);
    outlet.flush();
    let (end, mut arrived) = (Instant::now() + Duration::from_secs(10), Vec::new());
    while arrived.len() < 3 && Instant::now() < end {
        rx.receive(&mut batch);
        arrived.extend(
            batch.drain().map(|(packet, ())| packet.data().to_vec()).filter(|data| data.len() == frame(77).len()),
        );
    }
    assert_eq!(arrived, vec![frame(77); 3]);
    outlet.flush();
}

/// Whether the kernel knows the protocol: it shows in /proc/net where it was compiled in.
fn xdp_sockets() -> bool {
    std::fs::read_to_string("/proc/net/protocols").is_ok_and(|text| text.lines().any(|line| line.starts_with("XDP")))
}

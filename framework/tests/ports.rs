//! Ports of every kind that needs no card: made, used, changed, removed.
//!
//! Each test with a kernel interface or a socket runs in a process and a network namespace of its own.

use iogate::memory::Batch;
use iogate::port::{Device, MAX_QUEUES, Port};
use iogate::prelude::*;
use iogate::testkit::{
    Complete, FakePort, Frame, eal, in_namespace, mac, pool, read_pcap, sh, skip, warnings, write_pcap,
};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn start(spec: &str, pool: &MbufPool) -> Port {
    eal().port(&spec.parse().expect(spec)).pool(pool).start().unwrap_or_else(|error| panic!("{error}"))
}

fn frame(number: u16) -> Vec<u8> {
    Frame::ethernet(mac(1), mac(2))
        .payload(number.to_be_bytes())
        .payload(vec![number as u8; 44 + number as usize % 1300])
        .build()
}

/// Sends frames from one port to the other and expects them there, whole and in order.
fn cross(from: &Port, to: &Port, pool: &MbufPool) {
    const FRAMES: u16 = 200;
    let (mut tx, mut rx) = (from.tx(0).unwrap(), to.rx(0).unwrap());
    let (mut sending, mut receiving): (Batch, Batch) = (Batch::new(), Batch::new());
    let (mut sent, mut arrived) = (0, Vec::new());
    let end = Instant::now() + Duration::from_secs(20);
    while arrived.len() < usize::from(FRAMES) {
        assert!(
            Instant::now() < end,
            "{} of {sent} frames arrived from {} at {}",
            arrived.len(),
            from.spec(),
            to.spec()
        );
        // Few at a time: the kernel's queues are shorter than ours.
        if sent < FRAMES && sending.is_empty() && usize::from(sent) < arrived.len() + 16 {
            drop(sending.push(pool.alloc_from(&frame(sent)).expect("a buffer"), ()));
            sent += 1;
        }
        tx.send(&mut sending);
        rx.receive(&mut receiving);
        let ours = |packet: &Mbuf| packet.data().get(12..14) == Some(&[0x88, 0xb5]);
        arrived
            .extend(receiving.drain().filter(|(packet, ())| ours(packet)).map(|(packet, ())| packet.data().to_vec()));
    }
    let expected: Vec<Vec<u8>> = (0..FRAMES).map(frame).collect();
    assert_eq!(arrived, expected, "from {} to {}", from.spec(), to.spec());
    // Drivers free what was sent when they need the room; a burst of nothing is a reminder.
    tx.send(&mut sending);
}

/// Both directions, the counters, and what can be asked of any port.
fn exercise(a: &Port, b: &Port, pool: &MbufPool) {
    cross(a, b, pool);
    cross(b, a, pool);
    for port in [a, b] {
        let stats = port.stats().unwrap();
        assert!(stats.rx_packets >= 200 && stats.tx_packets >= 200, "{}: {stats:?}", port.spec());
        let names: Vec<String> = port.xstats().unwrap().into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().any(|name| name == "rx_good_packets"), "{}: {names:?}", port.spec());
        assert!(port.link().unwrap().up, "{}", port.spec());
        assert!(port.mtu().unwrap() >= 1500, "{}", port.spec());
        port.reset_stats().unwrap();
        assert_eq!(port.stats().unwrap().tx_packets, 0, "{}", port.spec());
    }
}

fn nothing_was_warned_of() {
    assert_eq!(warnings(), [""; 0]);
}

/// A pool, two ports on it, and all of it gone again without a word.
fn pair_works(a: &str, b: &str) {
    let pool = pool("pair", 8192);
    let _complete = Complete::new(&pool);
    for _ in 0..2 {
        let (a, b) = (start(a, &pool), start(b, &pool));
        exercise(&a, &b, &pool);
        // A vhost client that is closed in the moment its server goes away is used after it was
        // freed, by DPDK's own thread that connects again: so the client goes first.
        drop(a);
        drop(b);
    }
    nothing_was_warned_of();
}

fn veth() {
    sh("ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up");
}

#[test]
fn ring_pairs_carry_frames() {
    let pool = pool("rings", 1024);
    let _complete = Complete::new(&pool);
    let (a, b) = eal().port_pair("rings", 256).unwrap();
    let (a, b) = (a.pool(&pool).start().unwrap(), b.pool(&pool).start().unwrap());
    exercise(&a, &b, &pool);
    assert!(a.info().passes_buffers);
}

#[test]
fn what_waits_in_a_ring_comes_home_with_the_ports() {
    let pool = pool("waiting", 256);
    let _complete = Complete::new(&pool);
    let mut fake = FakePort::with_pool("waiting", &pool);
    fake.inject_many((0..100).map(frame));
    let mut batch: Batch = Batch::new();
    assert_eq!(fake.port.rx(0).unwrap().receive_at_most(&mut batch, 5), 5);
    assert_eq!(pool.in_use(), 100);
}

#[test]
fn a_ring_port_is_a_loop() {
    let pool = pool("loop", 1024);
    let _complete = Complete::new(&pool);
    let port = start("ring", &pool);
    cross(&port, &port, &pool);
}

#[test]
fn null_ports_give_and_take() {
    let pool = pool("null", 1024);
    let _complete = Complete::new(&pool);
    let port = start("null:size=100", &pool);
    let mut batch: Batch = Batch::new();
    assert_eq!(port.rx(0).unwrap().receive(&mut batch), 32);
    assert!(batch.packets().iter().all(|packet| packet.len() == 100 && packet.port() == port.id()));
    assert_eq!((port.tx(0).unwrap().send(&mut batch), batch.len()), (32, 0));
    assert_eq!(port.stats().unwrap().tx_packets, 32);
}

#[test]
fn captures_are_read_and_written() {
    let pool = pool("pcap", 1024);
    let _complete = Complete::new(&pool);
    let folder = tempfile::tempdir().unwrap();
    let (source, sink) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
    let frames: Vec<Vec<u8>> = (0..50).map(frame).collect();
    write_pcap(&source, &frames).unwrap();
    {
        let port = start(&format!("pcap:rx_pcap={},tx_pcap={}", source.display(), sink.display()), &pool);
        let (mut rx, mut tx) = (port.rx(0).unwrap(), port.tx(0).unwrap());
        let mut batch: Batch = Batch::new();
        while rx.receive(&mut batch) > 0 {
            tx.send(&mut batch);
            assert!(batch.is_empty());
        }
    }
    assert_eq!(read_pcap(&sink).unwrap(), frames);
}

#[test]
fn a_queue_has_one_owner_at_a_time() {
    let pool = pool("queues", 512);
    let port = start("null", &pool);
    let rx = port.rx(0).unwrap();
    let error = port.rx(0).unwrap_err().to_string();
    assert_eq!(error, "port null: RX queue 0 is taken; one owner polls a queue");
    let error = port.tx(1).unwrap_err().to_string();
    assert_eq!(error, "port null: there is no TX queue 1; it has 1: ask for more with queues()");
    drop(rx);
    assert!(port.rx(0).is_ok() && port.rx(u16::MAX).is_err());
}

#[test]
fn queues_that_are_not_there_are_not_looked_at() {
    let pool = pool("absent", 1024);
    let _complete = Complete::new(&pool);
    let (attached, _other) = eal().port_pair("absent", 64).unwrap();
    let port = attached.pool(&pool).start().unwrap();
    let refused = |device: &Device, queue: u16| {
        let errors = [
            device.rx_waiting(queue).map(drop),
            device.rx_descriptor(queue, 0).map(drop),
            device.tx_descriptor(queue, 0).map(drop),
            device.rx_queue_info(queue).map(drop),
            device.tx_queue_info(queue).map(drop),
        ];
        errors.into_iter().for_each(|asked| drop(asked.expect_err("no such queue")));
    };
    for queue in [1, 63, 64, 1023, 1024, 5000, u16::MAX] {
        refused(&port, queue);
        let error = port.rx_waiting(queue).unwrap_err().to_string();
        assert_eq!(error, format!("port ring: there is no RX queue {queue}; it has 1"));
    }
    let device = port.stop().map_err(|(_, error)| error).unwrap();
    // Not every driver can, but all of them have no queues afterwards as far as we know.
    drop(device.reset());
    refused(&device, 1024);
    assert!(
        device.rx_waiting(0).is_err() && device.rx_descriptor(0, 0).is_err() && device.tx_descriptor(0, 0).is_err()
    );
}

#[test]
fn the_last_handle_closes_the_port() {
    let pool = pool("handles", 512);
    let spec = "net_null_handles,size=64";
    let (port, rx) = {
        let port = start(spec, &pool);
        (port.clone(), port.rx(0).unwrap())
    };
    drop(port);
    let error = eal().port(&spec.parse().unwrap()).pool(&pool).start().unwrap_err().to_string();
    assert_eq!(error, "port net_null_handles,size=64: the device is in use; one port stands for one device");
    drop(rx);
    start(spec, &pool);
}

#[test]
fn what_cannot_be_started_says_why_and_leaves_nothing() {
    let pool = pool("refused", 512);
    let _complete = Complete::new(&pool);
    let refused = |spec: &str| eal().port(&spec.parse().unwrap()).pool(&pool).start().unwrap_err().to_string();
    for (spec, parts) in [
        ("af_packet:nosuchif", ["no interface nosuchif", "must exist"]),
        ("af_xdp:nosuchif", ["no interface nosuchif", "must exist"]),
        ("pcap:rx_pcap=/nonexistent", ["cannot make the device", "file must exist"]),
        ("vhost:/nonexistent/socket", ["port vhost:/nonexistent/socket", "folder must exist"]),
        ("virtio_user:/nonexistent", ["port virtio_user:/nonexistent", "backend must be listening"]),
        ("net_nosuchdriver0", ["cannot make the device", "own message"]),
    ] {
        let message = refused(spec);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    let message = eal().port(&"null".parse().unwrap()).start().unwrap_err().to_string();
    assert_eq!(message, "port null: no pool was given; call pool() before start()");
    for queues in [(0, 1), (1, 0), (MAX_QUEUES + 1, 1)] {
        let port = eal().port(&"null".parse().unwrap()).pool(&pool).queues(queues.0, queues.1);
        assert!(port.start().unwrap_err().to_string().contains("use 1 to 64 of each"));
    }
    let message = eal().port(&"ring".parse().unwrap()).pool(&pool).queues(40, 1).start().unwrap_err().to_string();
    assert!(message.contains("40 RX and 1 TX queues wanted; the device has"), "{message}");
}

#[test]
fn ports_come_and_go_on_many_threads() {
    let pool = pool("many", 4096);
    let _complete = Complete::new(&pool);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let mut fake = FakePort::with_slots("many", &pool, 64);
                    let null = start("null", &pool);
                    let mut batch: Batch = Batch::new();
                    null.rx(0).unwrap().receive(&mut batch);
                    fake.port.tx(0).unwrap().send(&mut batch);
                    assert_eq!(fake.received().len(), 32);
                }
            });
        }
    });
}

#[test]
fn several_queues_each_have_their_own_traffic() {
    let pool = pool("several", 2048);
    let _complete = Complete::new(&pool);
    let port = eal().port(&"null".parse().unwrap()).pool(&pool).queues(4, 4).start().unwrap();
    let mut queues: Vec<_> = (0..4).map(|queue| (port.rx(queue).unwrap(), port.tx(queue).unwrap())).collect();
    std::thread::scope(|scope| {
        for (rx, tx) in &mut queues {
            scope.spawn(move || {
                let mut batch: Batch = Batch::new();
                for _ in 0..100 {
                    rx.receive(&mut batch);
                    tx.send(&mut batch);
                }
            });
        }
    });
    assert_eq!(port.stats().unwrap().tx_packets, 4 * 100 * 32);
}

#[test]
fn tap_is_an_interface_while_the_port_lives() {
    in_namespace("tap_is_an_interface_while_the_port_lives", || {
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
    in_namespace("af_packet_joins_an_interface", || {
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
    in_namespace("af_packet_spreads_over_queues", || {
        veth();
        let pool = pool("spread", 8192);
        let _complete = Complete::new(&pool);
        let port = eal().port(&"af_packet:v0".parse().unwrap()).pool(&pool).queues(2, 2).start().unwrap();
        spreads(&port, &start("af_packet:v1", &pool), &pool);
    });
}

#[test]
fn tap_spreads_over_queues() {
    in_namespace("tap_spreads_over_queues", || {
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
    const NAME: &str = "af_xdp_joins_an_interface";
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

#[test]
fn vhost_serves_virtio() {
    in_namespace("vhost_serves_virtio", || {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("server");
        pair_works(&format!("vhost:{}", socket.display()), &format!("virtio_user:{}", socket.display()));
        assert!(!socket.exists(), "the socket goes with the port");
    });
}

#[test]
fn a_socket_that_nobody_listens_on_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool("stale", 4096);
    let _complete = Complete::new(&pool);
    for kind in ["vhost:", "virtio_user:"] {
        let socket = folder.path().join("socket");
        // As a process leaves it that is killed.
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let options = if kind == "vhost:" { "" } else { ",server=1" };
        let spec = format!("{kind}{}{options}", socket.display());
        // The one waits for its peer in the background, the other while it is made.
        if kind == "vhost:" {
            drop(start(&spec, &pool));
        } else {
            let peer = start(&format!("vhost:{},client=1", socket.display()), &pool);
            drop((peer, start(&spec, &pool)));
        }
        std::fs::write(&socket, "not a socket").unwrap();
        let refused = |why: &str| {
            let error = eal().port(&spec.parse().unwrap()).pool(&pool).start().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        refused("is no socket");
        assert!(socket.is_file(), "what is somebody's stays");
        std::fs::remove_file(&socket).unwrap();
        let _other = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        refused("is in use");
        std::fs::remove_file(&socket).unwrap();
    }
}

/// Rings split and packed, with and without buffers that are merged and descriptors that stand in order.
#[test]
fn vhost_serves_every_form_of_card() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool("forms", 8192);
    let _complete = Complete::new(&pool);
    for (at, form) in
        ["mrg_rxbuf=0", "in_order=0", "mrg_rxbuf=0,in_order=0", "packed_vq=1", "packed_vq=1,mrg_rxbuf=0,in_order=0"]
            .iter()
            .enumerate()
    {
        let socket = folder.path().join(at.to_string());
        let port = start(&format!("vhost:{}", socket.display()), &pool);
        let card = start(&format!("virtio_user:{},{form}", socket.display()), &pool);
        cross(&port, &card, &pool);
        cross(&card, &port, &pool);
        // Several buffers, in descriptors of their own or in an indirect one.
        let mut chain = pool.alloc_from(&[1; 1000]).unwrap();
        (2..5).for_each(|number| chain.chain(pool.alloc_from(&[number; 300]).unwrap()).unwrap());
        let mut batch: Batch = Batch::new();
        batch.push(chain, ()).unwrap();
        assert_eq!(card.tx(0).unwrap().send(&mut batch), 1);
        let whole = [[1; 1000].as_slice(), &[2; 300], &[3; 300], &[4; 300]].concat();
        assert_eq!(receive(&port, 0), whole, "{form}");
        drop((port, card));
    }
}

/// Waits for a packet on a queue.
fn receive(port: &Port, queue: u16) -> Vec<u8> {
    let (mut batch, mut rx): (Batch, _) = (Batch::new(), port.rx(queue).unwrap());
    let end = Instant::now() + Duration::from_secs(10);
    while rx.receive_at_most(&mut batch, 1) == 0 {
        assert!(Instant::now() < end, "no packet comes out of queue {queue} of {}", port.spec());
        std::thread::yield_now();
    }
    batch.packets()[0].segment_data().flatten().copied().collect()
}

#[test]
fn a_guest_may_use_fewer_queues_than_its_port_has() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool("fewer", 8192);
    let _complete = Complete::new(&pool);
    let socket = folder.path().join("socket");
    let port = eal().port(&format!("vhost:{}", socket.display()).parse().unwrap());
    let port = port.pool(&pool).queues(4, 4).start().unwrap();
    let spec = format!("virtio_user:{}", socket.display()).parse().unwrap();
    // One guest after the other.
    for queues in [1, 2, 4] {
        let card = eal().port(&spec).pool(&pool).queues(queues, queues).start().unwrap();
        let mut batch: Batch = Batch::new();
        for queue in 0..4 {
            let number = queue as u8 + 1;
            if queue < queues {
                batch.push(pool.alloc_from(&[number; 60]).unwrap(), ()).unwrap();
                assert_eq!(card.tx(queue).unwrap().send(&mut batch), 1);
                assert_eq!(receive(&port, queue), [number; 60]);
                batch.push(pool.alloc_from(&[number; 70]).unwrap(), ()).unwrap();
                assert_eq!(port.tx(queue).unwrap().send(&mut batch), 1);
                assert_eq!(receive(&card, queue), [number; 70]);
            } else {
                batch.push(pool.alloc_from(&[number; 60]).unwrap(), ()).unwrap();
                let (sent, received) = (port.tx(queue).unwrap().send(&mut batch), port.rx(queue).unwrap());
                let mut received = received;
                assert_eq!((sent, received.receive(&mut Batch::<(), 32>::new())), (0, 0), "nobody uses queue {queue}");
                batch.clear();
            }
        }
        drop(card);
        let end = Instant::now() + Duration::from_secs(10);
        while port.link().unwrap().up {
            assert!(Instant::now() < end, "the guest does not go");
            std::thread::yield_now();
        }
    }
    nothing_was_warned_of();
}

#[test]
fn vhost_calls_virtio() {
    in_namespace("vhost_calls_virtio", || {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("server");
        pair_works(
            &format!("vhost:{},client=1", socket.display()),
            &format!("virtio_user:{},server=1", socket.display()),
        );
    });
}

#[test]
fn memif_joins_two_processes() {
    const NAME: &str = "memif_joins_two_processes";
    if let Ok(socket) = std::env::var("IOGATE_TEST_PEER") {
        return echo(&format!("memif:{socket},role=client"));
    }
    in_namespace(NAME, || {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("memif");
        let pool = pool("memif", 8192);
        let _complete = Complete::new(&pool);
        for _ in 0..2 {
            let port = start(&format!("memif:{},role=server", socket.display()), &pool);
            let mut peer = Command::new(std::env::current_exe().unwrap())
                .args([NAME, "--exact", "--nocapture"])
                .env("IOGATE_TEST_PEER", &socket)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            cross(&port, &port, &pool);
            let mut batch: Batch = Batch::new();
            drop(batch.push(pool.alloc_from(&[0xff; 60]).unwrap(), ()));
            port.tx(0).unwrap().send(&mut batch);
            // The driver unmaps what a port may still read when its peer goes: so it stops first.
            let mut lines = BufReader::new(peer.stdout.take().unwrap()).lines();
            assert!(lines.any(|line| line.unwrap().contains("echo stopped")));
            drop(port);
            drop(peer.stdin.take());
            lines.for_each(drop);
            assert!(peer.wait().unwrap().success());
            assert!(!socket.exists(), "the socket goes with the port");
        }
        nothing_was_warned_of();
    });
}

/// Sends back what arrives until a frame of ones does, and closes when standard input ends.
fn echo(spec: &str) {
    let pool = pool("echo", 8192);
    let _complete = Complete::new(&pool);
    let port = start(spec, &pool);
    let (mut rx, mut tx) = (port.rx(0).unwrap(), port.tx(0).unwrap());
    let mut batch: Batch = Batch::new();
    let end = Instant::now() + Duration::from_secs(30);
    while !batch.packets().iter().any(|packet| packet.data()[0] == 0xff) && Instant::now() < end {
        tx.send(&mut batch);
        rx.receive(&mut batch);
    }
    println!("echo stopped");
    std::io::stdin().lines().for_each(drop);
    let end = Instant::now() + Duration::from_secs(10);
    while port.link().unwrap().up && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(100));
}

//! Ports without anybody at the other end, and what holds for ports of all kinds.

use super::{cross, exercise, frame, start};
use iogate::memory::Batch;
use iogate::port::{Device, MAX_QUEUES};
use iogate::testkit::{Complete, FakePort, eal, pool, read_pcap, write_pcap};

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

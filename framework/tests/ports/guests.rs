//! Ports that are shared with another process: vhost-user and memif.

use super::{cross, nothing_was_warned_of, pair_works, start};
use iogate::memory::Batch;
use iogate::port::Port;
use iogate::testkit::{Complete, eal, in_namespace, pool};
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn vhost_serves_virtio() {
    in_namespace("guests::vhost_serves_virtio", || {
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
        drop(UnixListener::bind(&socket).unwrap());
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
        let _other = UnixListener::bind(&socket).unwrap();
        refused("is in use");
        std::fs::remove_file(&socket).unwrap();
    }
}

/// A device that listens while it is made takes the first connection for good.
#[test]
fn a_port_for_long_packets_connects_once() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let pool = pool("connects once", 4096);
    let _complete = Complete::new(&pool);
    let spec = format!("vhost:{},client=1", socket.display()).parse().unwrap();
    let port = eal().port(&spec).pool(&pool).mtu(9000).start().unwrap();
    let connections: Vec<_> = listener.incoming().map_while(Result::ok).collect();
    assert_eq!(connections.len(), 1);
    drop(port);
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
    in_namespace("guests::vhost_calls_virtio", || {
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
    const NAME: &str = "guests::memif_joins_two_processes";
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

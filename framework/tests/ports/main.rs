//! Ports of every kind that needs no card: made, used, changed, removed.
//!
//! Each test with a kernel interface or a socket runs in a process and a network namespace of its own.

mod guests;
mod interfaces;
mod software;

use iogate::memory::Batch;
use iogate::port::Port;
use iogate::prelude::*;
use iogate::testkit::{Complete, Frame, eal, mac, pool, warnings};
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

//! What is measured, with the test as the device under test: it knows what it lost, doubled and swapped.

use iogate::packet::Stamp;
use iogate::testkit::{Complete, FakePort, eal, pool};
use iogate::worker::{Idle, Runtime};
use iogate_pktgen::frame::Prepared;
use iogate_pktgen::outcome::{Ended, Outcome};
use iogate_pktgen::rate::{Pace, Rate};
use iogate_pktgen::template::Template;
use iogate_pktgen::trial::{Tester, Trial};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn frames(size: &str) -> Prepared {
    let template = Template::line("ethernet/ipv4,dst=10.0.0.1..10.0.0.9/udp", size).expect("a good template");
    Prepared::new(&template).expect("it fits")
}

fn slowly() -> Pace {
    Rate::Packets(20_000.0).pace(None, 672.0).expect("a possible rate")
}

/// Runs a trial with `device` in the middle: it is given what was sent, and returns what comes back, less than a
/// thousand frames in all: so many wait in the port, however long its worker is kept from its core.
fn through(mut trial: Trial, mut device: impl FnMut(Vec<Vec<u8>>) -> Vec<Vec<u8>> + Send + 'static) -> Outcome {
    // It ends when everything is back; only what is lost is waited for that long.
    trial.drain = Duration::from_secs(2);
    let pool = pool("measure", 8192);
    let _complete = Complete::new(&pool);
    let mut fake = FakePort::with_pool("measure", &pool);
    let port = fake.port.clone();
    let mut runtime = Runtime::new(eal());
    let mut tester = Tester::default();
    let worker = runtime.worker(iogate::worker::cores()[0]).unwrap().idle(Idle::SOFTWARE);
    tester.send_from(worker, port.tx(0).unwrap(), &pool);
    tester.receive_on(worker, [port.rx(0).unwrap()]);
    runtime.start().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let asked = over.clone();
    let device = std::thread::spawn(move || {
        while !asked.load(Ordering::Relaxed) {
            for frame in device(fake.received()) {
                fake.inject(&frame);
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    });
    let outcome = tester.run(&trial).unwrap();
    over.store(true, Ordering::Relaxed);
    device.join().unwrap();
    let totals = runtime.stop().unwrap();
    assert!(totals.balanced(), "{totals:?}");
    outcome
}

fn number(frame: &[u8]) -> u32 {
    Stamp::at_end(frame).expect("it is stamped").sequence()
}

#[test]
fn nothing_is_lost_by_a_wire() {
    let outcome = through(Trial { count: Some(960), ..Trial::new(frames("imix"), slowly()) }, |frames| frames);
    assert_eq!((outcome.sent(), outcome.received(), outcome.lost()), (960, 960, 0));
    assert_eq!((outcome.other, outcome.sum(|s| s.duplicates), outcome.sum(|s| s.reordered)), (0, 0, 0));
    assert_eq!((outcome.ended.clone(), outcome.latency().len()), (Ended::Complete, 960));
    assert!(outcome.latency().min() > 0 && !outcome.lateness.is_empty());
    let mean = |bytes: u64, frames: u64| bytes as f64 / frames as f64;
    let stream = &outcome.streams[0];
    assert!((mean(stream.sent_bytes, stream.sent) - (7.0 * 64.0 + 4.0 * 594.0 + 1518.0) / 12.0).abs() < 1.0);
    assert_eq!(stream.sent_bytes, stream.received_bytes);
}

#[test]
fn what_a_device_does_to_frames_is_found_out() {
    let mut kept = Vec::new();
    let outcome = through(Trial { count: Some(900), ..Trial::new(frames("64"), slowly()) }, move |frames| {
        let mut back = Vec::new();
        for frame in frames {
            match number(&frame) {
                // Lost, doubled, held back behind the next three.
                10..20 => {}
                100..105 => back.extend([frame.clone(), frame]),
                500 => kept.push(frame),
                503 => back.extend([frame, kept.remove(0)]),
                _ => back.push(frame),
            }
        }
        back
    });
    let stream = &outcome.streams[0];
    assert_eq!((stream.sent, stream.received, stream.lost()), (900, 890, 10));
    assert_eq!((stream.duplicates, stream.reordered, stream.furthest), (5, 1, 3));
    assert_eq!(outcome.loss(), Some(10.0 / 900.0));
}

#[test]
fn forged_frames_change_nothing() {
    let mut garbage = 0;
    let outcome = through(Trial { count: Some(400), ..Trial::new(frames("64"), slowly()) }, move |frames| {
        let mut back = Vec::new();
        for frame in frames {
            garbage += 1;
            let mut forged = frame.clone();
            let stamp = Stamp::at_end_mut(&mut forged).unwrap();
            match garbage % 7 {
                0 => stamp.set_group(1),
                1 => stamp.set_group(u16::MAX),
                2 => stamp.set_sequence(u32::MAX),
                3 => stamp.set_sequence(stamp.sequence() + 1_000_000),
                4 => stamp.set_time(0),
                5 => stamp.set_time(u64::MAX),
                _ => forged = vec![0xff; 14],
            }
            back.extend([forged, frame]);
        }
        back
    });
    assert_eq!((outcome.sent(), outcome.received(), outcome.lost()), (400, 400, 0));
    assert_eq!((outcome.other, outcome.sum(|s| s.duplicates), outcome.sum(|s| s.reordered)), (400, 0, 0));
    // All but every seventh, which had no stamp.
    assert_eq!(outcome.implausible, 343);
}

#[test]
fn a_duration_gives_the_exact_number_of_frames() {
    let trial = Trial {
        duration: Some(Duration::from_millis(40)),
        // Whatever else the machine does.
        catch_up: Duration::from_secs(60),
        ..Trial::new(frames("64"), slowly())
    };
    let outcome = through(trial, |frames| frames);
    // Less only when even the time to catch up was too short, which is counted.
    assert_eq!(outcome.sent() + outcome.given_up, 800);
    assert_eq!(outcome.lost(), 0);
}

#[test]
fn a_port_that_takes_nothing_is_given_up() {
    let outcome = through(
        Trial { duration: Some(Duration::from_secs(1)), drain: Duration::ZERO, ..Trial::new(frames("64"), Pace::MAX) },
        {
            // Takes the first ring's worth, and then no more.
            let mut taken = false;
            move |frames| {
                taken |= !frames.is_empty();
                if taken {
                    std::thread::sleep(Duration::from_millis(500));
                }
                Vec::new()
            }
        },
    );
    assert!(outcome.port_full > 0 && outcome.sent() > 0);
    assert_eq!(outcome.received(), 0);
    assert_eq!(outcome.lost(), outcome.sent());
}

#[test]
fn streams_are_told_apart() {
    let text = "[[stream]]\nname = \"a\"\nshare = 3\nframe = \"ethernet/ipv4/udp\"\n\
                [[stream]]\nname = \"b\"\nsize = 200\nframe = \"ethernet/ipv6/tcp\"\n\
                [[stream]]\nname = \"c\"\nstamp = false\nframe = \"ethernet/arp\"";
    let template = Template::parse(text, "test").unwrap();
    let prepared = Prepared::new(&template).unwrap();
    let trial = Trial { count: Some(500), ..Trial::new(prepared, slowly()) };
    let lose_b = |frames: Vec<Vec<u8>>| frames.into_iter().filter(|frame| frame[12..14] != [0x86, 0xdd]).collect();
    let outcome = through(trial, lose_b);
    let [a, b, c] = &outcome.streams[..] else { panic!("three streams") };
    assert_eq!([a.sent, b.sent, c.sent], [300, 100, 100]);
    assert_eq!([a.lost(), b.lost(), c.lost()], [0, 100, 0]);
    // Without a stamp they are somebody's.
    assert_eq!(outcome.other, 100);
}

//! What is measured while packets are forwarded: latency, bursts, cycles.

use crate::session::Session;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Ports that receive what they send.
const RINGS: [&str; 2] = ["net_ring0", "net_ring1"];

/// The number behind a word.
fn number(text: &str, word: &str) -> u64 {
    let rest = text.split(word).nth(1).unwrap_or_else(|| panic!("no {word} in {text}"));
    let number = rest.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    number.parse().unwrap_or_else(|_| panic!("no number behind {word} in {text}"))
}

/// Runs a command until its answer is as wanted.
fn wait_for(session: &mut Session, command: &str, wanted: impl Fn(&str) -> bool) -> String {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = session.run(command);
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < end, "{command}: {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Statistics of forwarding: what port 0 received.
fn received(stats: &str) -> u64 {
    number(stats.split("Forward statistics for port 0 ").nth(1).unwrap(), "RX-packets:")
}

#[test]
fn every_stamped_packet_that_comes_in_is_measured() {
    let mut session = Session::ready(&RINGS, &["--forward-mode=flowgen"]);
    assert!(session.run("show port 0 latency").contains("Latency of port 0 is not measured: set latency on\n"));
    assert_eq!(session.run("set txstamp on"), "");
    assert_eq!(session.run("set latency on"), "");
    session.run("start");
    wait_for(&mut session, "show fwd stats all", |stats| received(stats) > 1000);
    let count = received(&session.run("stop"));
    let shown = session.run("show port 0 latency");
    assert_eq!(number(&shown, "Packets measured:"), count, "{shown}");
    assert!(shown.contains("Latency of packets received on port 0 "), "{shown}");
    for line in ["min:", "mean:", "p50:", "p90:", "p99:", "p99.9:", "max:"] {
        assert!(shown.lines().any(|shown| shown.starts_with(line) && shown.ends_with(" us")), "{line} {shown}");
    }
    session.run("set output json");
    let json: Value = serde_json::from_str(session.run("show port 0 latency").trim()).unwrap();
    assert_eq!((&json["schema"], &json["port"]), (&"iogate-testpmd/port-latency/1".into(), &0.into()));
    assert_eq!(json["packets"], count);
    let ages: Vec<u64> = ["min", "p50", "p90", "p99", "p99.9", "max"]
        .iter()
        .map(|name| json["latency_ns"][name].as_u64().unwrap())
        .collect();
    assert!(ages.is_sorted() && ages[5] > 0, "{json}");
    session.run("clear port 0 latency");
    let json: Value = serde_json::from_str(session.run("show port 0 latency").trim()).unwrap();
    assert_eq!(json["packets"], 0);
    let other: Value = serde_json::from_str(session.run("show port 1 latency").trim()).unwrap();
    assert!(other["packets"].as_u64().unwrap() > 0, "{other}");
    session.quit();
}

#[test]
fn what_waited_on_a_ring_is_as_old_as_it_is() {
    let mut session = Session::ready(&["net_ring0"], &["--forward-mode=txonly"]);
    session.run("set txstamp on");
    session.run("start");
    // The ring takes 1023, and nobody takes them out.
    wait_for(&mut session, "show fwd stats all", |stats| number(stats, "TX-packets:") == 1023);
    session.run("stop");
    session.run("set fwd rxonly");
    session.run("start");
    wait_for(&mut session, "show fwd stats all", |stats| received(stats) == 1023);
    assert!(session.run("show port 0 latency").contains("is not measured"), "it was not asked for");
    session.run("stop");

    session.run("set latency on");
    session.run("set fwd txonly");
    session.run("start");
    wait_for(&mut session, "show fwd stats all", |stats| number(stats, "TX-packets:") == 1023);
    session.run("stop");
    std::thread::sleep(Duration::from_millis(50));
    session.run("set fwd rxonly");
    session.run("start");
    wait_for(&mut session, "show fwd stats all", |stats| received(stats) == 1023);
    session.run("set output json");
    let json: Value = serde_json::from_str(session.run("show port 0 latency").trim()).unwrap();
    assert_eq!(json["packets"], 1023, "{json}");
    assert!(json["latency_ns"]["min"].as_u64().unwrap() >= 50_000_000, "they waited: {json}");
    session.quit();
}

#[test]
fn bursts_and_cycles_are_shown_as_the_original_does() {
    let mut session = Session::ready(&RINGS, &["--record-core-cycles", "--burst=7"]);
    session.run("set record-burst-stats on");
    session.run("start tx_first 3");
    wait_for(&mut session, "show fwd stats all", |stats| received(stats) > 1000);
    let stats = session.run("stop");
    let line = |word: &str| stats.lines().find(|line| line.starts_with(word)).unwrap_or_else(|| panic!("{stats}"));
    for way in ["  RX-bursts : ", "  TX-bursts : "] {
        assert!(line(way).contains("[0% of 0 pkts + 100% of 7 pkts]"), "{stats}");
    }
    let bursts = number(line("  RX-bursts :"), ":");
    assert_eq!(bursts * 7, received(&stats), "{stats}");
    let cycles = line("  CPU cycles/packet=");
    let packets = number(stats.split("Accumulated").nth(1).unwrap(), "RX-packets:");
    assert!(cycles.contains(&format!(" / total io packets={packets}) at ")), "{cycles}");
    assert!(cycles.ends_with(" MHz Clock") && number(cycles, "total cycles=") > packets, "{cycles}");
    session.run("set output json");
    let json: Value = serde_json::from_str(session.run("show fwd stats all").trim()).unwrap();
    assert_eq!(json["streams"][0]["rx_bursts"]["7"], bursts, "{json}");
    assert_eq!(json["cycles"]["packets"], packets);
    session.run("set output text");
    session.run("set record-core-cycles off");
    session.run("set record-burst-stats off");
    let plain = session.run("show fwd stats all");
    assert!(!plain.contains("bursts") && !plain.contains("cycles"), "{plain}");
    session.quit();
}

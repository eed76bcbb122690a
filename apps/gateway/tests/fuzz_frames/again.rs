//! Frames that come again, more or less changed, fare as if they had come for the first time.

use crate::frames::{Maker, Random};
use crate::harness::{Gateway, HOUSE, mac};
use crate::setting;
use iogate_gateway::config;
use iogate_gateway::dataplane::fip::Heard;
use std::collections::BTreeMap;
use std::path::Path;

/// Bursts that arrive.
const BURSTS: usize = 2500;
/// Frames of a burst, at most: few enough that no port gets full.
const MOST: usize = 24;
/// Frames of a port that come again.
const KEPT: usize = 30;

/// What a gateway did.
#[derive(Debug, PartialEq)]
struct Done {
    /// For each burst and port what came out, in order.
    sent: Vec<Vec<(String, Vec<Vec<u8>>)>>,
    drops: BTreeMap<(String, &'static str), u64>,
    counts: Vec<(u64, u64)>,
    heard: Vec<Heard>,
}

/// Returns also how many packets were received, and how many of them were looked at closely.
fn run(seed: u64, forgets: bool) -> (Done, [u64; 2]) {
    let mut gateway = Gateway::new(HOUSE);
    let config = config::parse(HOUSE, Path::new("house.toml")).unwrap();
    let ports: Vec<String> = config.ports().map(|(_, name, ..)| name.to_string()).collect();
    let mut random = Random::new(seed);
    let mut maker = Maker::new(&config);
    let mut kept: Vec<Vec<Vec<u8>>> = vec![Vec::new(); ports.len()];
    let (mut sent, mut heard) = (Vec::new(), Vec::new());
    for burst in 0..BURSTS {
        let port = random.below(ports.len());
        let kept = &mut kept[port];
        let is_new = kept.len() < 3 || random.one_in(4);
        let frames: Vec<_> = match is_new {
            true => vec![maker.frame(&mut random, port, burst as u32)],
            false => (0..1 + random.below(MOST))
                .map(|_| changed(kept[random.below(kept.len())].clone(), &mut random))
                .collect(),
        };
        if random.one_in(500) {
            let uplink = [Some("net-a"), Some("net-b"), None][random.below(3)];
            gateway.activate(["prod", "dmz"][random.below(2)], uplink);
        }
        if random.one_in(500) {
            let attachment = gateway.attachment("s1.san", "stor-a");
            gateway.log_in(&[(attachment, mac(200 + random.below(3) as u8))]);
        }
        if forgets {
            gateway.forget();
        }
        gateway.send_all(&ports[port], &frames);
        let came = gateway.everything();
        // Of the new ones, those are kept that went to somebody: they are of a flow.
        if is_new && is_common(&frames[0]) && came.iter().any(|(_, frames)| !frames.is_empty()) {
            kept.truncate(KEPT - 1);
            let at = random.below(kept.len() + 1);
            kept.insert(at, frames[0].clone());
        }
        sent.push(came);
        heard.extend(gateway.heard());
    }
    gateway.ask_all();
    let looked_at = [gateway.packets_of("recall"), gateway.packets_of("classify")];
    (Done { sent, drops: gateway.drops(), counts: gateway.counts(), heard }, looked_at)
}

/// Whether a frame is for one station, and of a kind that decisions are remembered for.
fn is_common(frame: &[u8]) -> bool {
    let tagged = frame.get(12..14) == Some(&[0x81, 0]);
    match frame.get(if tagged { 16 } else { 12 }..).unwrap_or_default() {
        _ if frame[0] & 1 != 0 => false,
        [8, 0, 0x45, _, _, _, _, _, fragment @ .., _, _] if fragment.len() > 2 => {
            fragment[0] & 0x3f == 0 && fragment[1] == 0
        }
        [0x86, 0xdd, _, _, _, _, _, _, next, ..] => matches!(next, 6 | 17),
        [8, 0, ..] => false,
        _ => true,
    }
}

/// A frame that is as before, of another length, or has a few bytes changed, mostly where headers are.
fn changed(mut frame: Vec<u8>, random: &mut Random) -> Vec<u8> {
    match random.below(16) {
        0 => frame.truncate(1 + random.below(frame.len())),
        1 => {
            let len = (frame.len() + random.below(1600)).min(2040);
            frame.resize(len, random.next() as u8);
        }
        2 | 3 => {
            for _ in 0..1 + random.below(2) {
                let at = random.below(frame.len().min(80));
                frame[at] = if random.one_in(2) { random.next() as u8 } else { frame[at] ^ 1 << random.below(8) };
            }
        }
        _ => {}
    }
    frame
}

#[test]
fn a_frame_that_comes_again_fares_as_the_first_time() {
    let seed = setting("IOGATE_FUZZ_SEED", 0x5eed_0f10);
    println!("IOGATE_FUZZ_SEED={seed}");
    let (remembers, [received, unknown]) = run(seed, false);
    let (forgets, all) = run(seed, true);
    assert!(unknown * 3 < received * 2, "{unknown} of {received} were not known");
    assert_eq!(all, [received, received], "nothing may be known by who forgets all the time");
    for (burst, (one, other)) in remembers.sent.iter().zip(&forgets.sent).enumerate() {
        assert_eq!(one, other, "burst {burst}");
    }
    assert_eq!(remembers, forgets);
}

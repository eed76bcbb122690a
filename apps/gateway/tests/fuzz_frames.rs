//! Fuzzed and mutated frames through the whole gateway, with a second opinion on what comes out.
//!
//! ```text
//! IOGATE_FUZZ_FRAMES=10000000 cargo test --release -p iogate-gateway --test fuzz_frames -- --nocapture
//! ```
//!
//! `IOGATE_FUZZ_SEED` repeats a run: the frames depend on nothing else.
#![forbid(unsafe_code)]

#[path = "fuzz_frames/again.rs"]
mod again;
#[path = "fuzz_frames/frames.rs"]
mod frames;
#[allow(dead_code, reason = "the other test uses the rest")]
#[path = "dataplane/harness.rs"]
mod harness;
#[path = "fuzz_frames/judge.rs"]
mod judge;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use frames::{Maker, Random};
use harness::HOUSE;
use iogate::memory::{Mbuf, MbufPool};
use iogate::pipeline::{DropReason, Outlet};
use iogate::testkit::{Complete, FakePort, eal};
use iogate::worker::{Idle, Poller, Runtime, cores};
use iogate_gateway::config::{self, Config};
use iogate_gateway::dataplane::frame::Meta;
use iogate_gateway::dataplane::{Active, Ingress, Switch, Tables, drop, tables};
use judge::Judge;

/// Room for what waits when no port sends.
const BUFFERS: u32 = 2047;
/// Few enough that ports are soon full.
const SLOTS: u32 = 64;
/// Frames a port receives at a time: what the gateway takes at once.
const BURST: usize = 32;

/// What runs between two rounds of the gateway, on its own thread, so that all goes by the seed.
struct Fuzzer {
    config: Config,
    random: Random,
    maker: Maker,
    judge: Judge,
    ports: Vec<FakePort>,
    /// Steps for which a port is not emptied.
    stuck: Vec<u32>,
    pool: MbufPool,
    /// Buffers kept back for a round, so that the pool runs dry in it.
    kept_back: Vec<Mbuf>,
    poller: Poller<Meta, Switch>,
    made: u64,
    came: u64,
    steps: u64,
}

impl Fuzzer {
    /// Looks at what came out, and has every port receive something. Returns the choice of uplinks, when it changes.
    fn step(&mut self) -> Option<Active> {
        if self.poller.totals().received < self.judge.expected() {
            // Called twice before a round: the gateway has yet to take what the last step gave it.
            return None;
        }
        self.steps += 1;
        self.kept_back.clear();
        if self.steps.is_multiple_of(64) {
            let totals = self.poller.totals();
            assert!(totals.balanced(), "{totals:?}");
        }
        for at in 0..self.ports.len() {
            if self.stuck[at] > 0 {
                self.stuck[at] -= 1;
            } else {
                self.collect(at);
                if self.random.one_in(200) {
                    self.stuck[at] = self.random.below(40) as u32;
                }
            }
        }
        for at in 0..self.ports.len() {
            let count = self.random.below(BURST + 1);
            for _ in 0..count {
                let frame = self.maker.frame(&mut self.random, at, self.made as u32);
                self.made += 1;
                // Buffers that are stuck somewhere else must not be missed here. The frame was made all the same.
                if self.pool.available() > 64 {
                    self.judge.expects(at, &frame);
                    self.ports[at].inject(&frame);
                }
            }
        }
        if self.random.one_in(50) {
            let left = self.random.below(8);
            while self.pool.available() as usize > left {
                let Some(packet) = self.pool.alloc() else { break };
                self.kept_back.push(packet);
            }
        }
        self.random.one_in(100).then(|| self.choose_uplinks())
    }

    fn collect(&mut self, at: usize) {
        for frame in self.ports[at].received() {
            self.judge.allows(at, &frame);
            self.came += 1;
        }
    }

    fn choose_uplinks(&mut self) -> Active {
        let choose = |(id, _): (config::model::NetworkId, _)| {
            let uplinks = self.config.uplinks_of(id);
            match self.random.below(uplinks.len() * 4 + 1) {
                0 => tables::NO_UPLINK,
                other => uplinks[other % uplinks.len()].index() as u16,
            }
        };
        Active(self.config.networks().map(choose).collect())
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} = {text:?} is not a number")))
}

#[test]
fn nothing_that_arrives_breaks_the_rules() {
    let frames = setting("IOGATE_FUZZ_FRAMES", 200_000);
    let seed = setting("IOGATE_FUZZ_SEED", 0x1095_a7e0);
    println!("IOGATE_FUZZ_FRAMES={frames} IOGATE_FUZZ_SEED={seed}");
    let config = config::parse(HOUSE, Path::new("house.toml")).unwrap();
    let pool = iogate::testkit::pool("fuzz", BUFFERS);
    let complete = Complete::new(&pool);
    let ports: Vec<_> = config.ports().map(|(_, name, ..)| FakePort::with_slots(name.as_str(), &pool, SLOTS)).collect();
    let ingress = (0..config.links.len()).map(Ingress::Link).chain((0..config.uplinks.len()).map(Ingress::Uplink));
    let outlets = ports.iter().map(|port| Outlet::new(port.port.tx(0).unwrap())).collect();
    let active = config.networks().map(|(id, _)| config.uplinks_of(id)[0].index() as u16).collect();
    let switch = Switch::new(Arc::new(Tables::new(&config)), Arc::new(Active(active)), ingress.collect(), outlets);
    let queues: Vec<_> = ports.iter().map(|port| port.port.rx(0).unwrap()).collect();
    let mut runtime = Runtime::new(eal());
    let worker = runtime.worker(cores()[0]).unwrap();
    let poller = worker.idle(Idle::Pause).poll(queues, switch);
    runtime.start().unwrap();
    let fuzzer = Arc::new(Mutex::new(Fuzzer {
        random: Random::new(seed),
        maker: Maker::new(&config),
        judge: Judge::new(&config),
        stuck: vec![0; ports.len()],
        pool: pool.clone(),
        kept_back: Vec::new(),
        poller: poller.clone(),
        made: 0,
        came: 0,
        steps: 0,
        config,
        ports,
    }));
    let begin = Instant::now();
    let mut made = 0;
    while made < frames {
        let fuzzer = fuzzer.clone();
        let step = poller.call(move |poll| {
            let mut fuzzer = fuzzer.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(active) = fuzzer.step() {
                std::mem::drop(poll.stage_mut().set_active(Arc::new(active)));
            }
            fuzzer.made
        });
        made = step
            .unwrap_or_else(|_| panic!("it broke; repeat with IOGATE_FUZZ_FRAMES={frames} IOGATE_FUZZ_SEED={seed}"));
    }
    let took = begin.elapsed();
    // What waits goes out as the ports are emptied.
    let mut fuzzer = Arc::try_unwrap(fuzzer).ok().expect("nobody else has it").into_inner().unwrap();
    fuzzer.kept_back.clear();
    while poller.totals().pending > 0 || poller.totals().received < fuzzer.judge.expected() {
        poller.call(|_| ()).unwrap();
        (0..fuzzer.ports.len()).for_each(|at| fuzzer.collect(at));
    }
    let totals = runtime.stop().unwrap();
    (0..fuzzer.ports.len()).for_each(|at| fuzzer.collect(at));
    assert!(totals.balanced() && totals.pending == 0, "{totals:?}");
    assert_eq!((totals.received, totals.sent), (fuzzer.judge.expected(), fuzzer.came), "{totals:?}");
    let mut drops = BTreeMap::new();
    let sources: Vec<_> = poller.sources();
    let outlets: Vec<_> = poller.outlets();
    let counters = sources.iter().map(|source| source.drops()).chain(outlets.iter().map(|outlet| outlet.drops()));
    for counters in counters {
        for reason in DropReason::all() {
            *drops.entry(drop::name(reason)).or_insert(0) += counters.packets(reason);
        }
    }
    println!(
        "{made} frames in {:.1} s, {} to a step: {totals:?}\ntraced to their origin: {}\ndrops: {drops:?}",
        took.as_secs_f64(),
        made / fuzzer.steps,
        fuzzer.judge.traced(),
    );
    if frames >= 200_000 {
        // Buffers from a pool always have headroom, rings take chains and leave no work to cards, and the gateway was
        // not stopped before all was sent.
        let never = ["no-headroom", "chained", "unfinished", "stopped", "unrouted", "reserved", "unknown"];
        let unseen: Vec<_> = drops.iter().filter(|(name, count)| **count == 0 && !never.contains(name)).collect();
        assert!(unseen.is_empty(), "these reasons were never met: {unseen:?}");
        assert!(never.iter().all(|name| drops.get(name).is_none_or(|count| *count == 0)), "{drops:?}");
    }
    std::mem::drop((fuzzer, runtime, poller, sources, outlets));
    std::mem::drop(complete);
}

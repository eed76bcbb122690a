//! Stages, chains, ways out, and the law that every packet leaves by exactly one door.

use iogate::pipeline::{Outlet, OutletCounters, Stage, Totals};
use iogate::port::MbufRing;
use iogate::prelude::*;
use iogate::testkit::{Complete, FakePort, eal, pool};
use iogate::worker::{Poller, cores};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

const MARKED: DropReason = DropReason::app(7);

/// Notes its letter and how many packets it saw.
struct Note(char, Sender<(char, usize)>);

impl Stage<u32> for Note {
    fn run(&mut self, batch: &mut Batch<u32>, _cx: &mut Context) {
        batch.iter_mut().for_each(|(_, meta)| *meta += 1);
        self.1.send((self.0, batch.len())).unwrap();
    }

    fn flush(&mut self, _cx: &mut Context) {
        self.1.send((self.0.to_ascii_lowercase(), 0)).unwrap();
    }
}

fn filled<M: Copy + Default>(pool: &MbufPool, firsts: impl IntoIterator<Item = u8>) -> Batch<M> {
    let mut batch = Batch::new();
    for first in firsts {
        drop(batch.push(pool.alloc_from(&[first; 60]).unwrap(), M::default()));
    }
    batch
}

fn firsts(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().map(|frame| frame[0]).collect()
}

#[test]
fn stages_run_in_order_and_forks_take_what_they_pick() {
    let pool = pool("order", 512);
    let _complete = Complete::new(&pool);
    let (mut main, mut side) = (FakePort::with_pool("main", &pool), FakePort::with_pool("side", &pool));
    let (log, seen) = channel();
    let note = |letter| Note(letter, log.clone());
    let mut pipeline = chain(note('A'))
        .then(note('B'))
        .branch(
            |packet, passed: &u32| *passed == 2 && packet.data()[0] >= 100,
            chain(note('C')).send(side.port.tx(0).unwrap()),
        )
        .then(Box::new(note('D')) as Box<dyn Stage<u32>>)
        .send(main.port.tx(0).unwrap());
    let mut cx = Context::new(1);
    pipeline.run(&mut filled(&pool, [1, 100, 2, 101, 3]), &mut cx);
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [('A', 5), ('B', 5), ('C', 2), ('D', 3)]);
    pipeline.run(&mut filled(&pool, [102]), &mut cx);
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [('A', 1), ('B', 1), ('C', 1)], "D has nothing to do");
    pipeline.flush(&mut cx);
    assert_eq!(seen.try_iter().map(|(letter, _)| letter).collect::<String>(), "abcd");
    assert_eq!((firsts(&main.received()), firsts(&side.received())), (vec![1, 2, 3], vec![100, 101, 102]));

    let mut description = iogate::pipeline::Description::default();
    Stage::describe(&pipeline, &mut description);
    let stages: Vec<_> =
        description.stages.iter().map(|stage| (stage.name(), stage.calls(), stage.packets())).collect();
    assert_eq!(
        stages,
        [("Note", 2, 6), ("Note", 2, 6), ("Note", 2, 3), ("Send", 2, 3), ("Note", 1, 3), ("Send", 1, 3)]
    );
    assert_eq!(description.outlets.iter().map(|outlet| outlet.sent()).collect::<Vec<_>>(), [3, 3]);
    assert!(description.stages[0].cycles_per_packet().is_some());
}

#[test]
fn what_a_fork_leaves_is_unrouted() {
    let pool = pool("fork", 128);
    let _complete = Complete::new(&pool);
    let port = FakePort::with_pool("fork", &pool);
    let (log, _seen) = channel();
    let mut pipeline = chain(Note('A', log.clone())).branch(|_, _| true, Note('B', log)).send(port.port.tx(0).unwrap());
    let mut cx = Context::new(1);
    pipeline.run(&mut filled(&pool, 0..10), &mut cx);
    let drops = cx.source_counters(0).drops().clone_counts();
    assert_eq!(drops, [(DropReason::UNROUTED, 10, 600)]);
}

trait Counts {
    fn clone_counts(&self) -> Vec<(DropReason, u64, u64)>;
}

impl Counts for iogate::pipeline::DropCounters {
    fn clone_counts(&self) -> Vec<(DropReason, u64, u64)> {
        let all = DropReason::all().map(|reason| (reason, self.packets(reason), self.bytes(reason)));
        all.filter(|(_, packets, _)| *packets > 0).collect()
    }
}

#[test]
fn drops_are_counted_by_source_and_reason() {
    let pool = pool("reasons", 256);
    let _complete = Complete::new(&pool);
    let mut cx = Context::new(2);
    let mut batch: Batch = filled(&pool, 0..10);
    cx.drop_if(&mut batch, |packet, ()| (packet.data()[0] % 3 == 0).then_some(MARKED));
    assert_eq!(batch.packets().iter().map(|packet| packet.data()[0]).collect::<Vec<_>>(), [1, 2, 4, 5, 7, 8]);
    cx.set_source(1);
    cx.drop_all(&mut batch, DropReason::NO_BUFFER);
    for _ in 0..5 {
        cx.drop_all::<()>(&mut filled(&pool, 0..32), MARKED);
    }
    assert_eq!(cx.source_counters(0).drops().clone_counts(), [(MARKED, 4, 240)]);
    assert_eq!(cx.source_counters(1).drops().clone_counts(), [(DropReason::NO_BUFFER, 6, 360), (MARKED, 160, 9600)]);
    assert_eq!(cx.source_counters(1).drops().total(), 166);
    assert_eq!((MARKED.name(), DropReason::TX_FULL.name()), (Err(7), Ok("tx-full")));
}

#[test]
fn a_full_port_keeps_the_order_and_counts_what_does_not_fit() {
    let pool = pool("full", 512);
    let _complete = Complete::new(&pool);
    let mut port = FakePort::with_slots("full", &pool, 16);
    let mut outlet = Outlet::new(port.port.tx(0).unwrap());
    let counters = outlet.counters().clone();
    // 15 fit the ring, 32 wait.
    outlet.push_all::<()>(&mut filled(&pool, 0..30));
    outlet.push_all::<()>(&mut filled(&pool, 30..60));
    outlet.flush();
    assert_eq!(
        (counters.sent(), counters.pending(), counters.drops().clone_counts()),
        (15, 32, vec![(DropReason::TX_FULL, 13, 780)])
    );
    assert_eq!(firsts(&port.received()), (0..15).collect::<Vec<_>>());
    outlet.push_all::<()>(&mut filled(&pool, 60..62));
    outlet.flush();
    assert_eq!(firsts(&port.received()), (15..30).collect::<Vec<_>>());
    outlet.flush();
    outlet.flush();
    assert_eq!((counters.pending(), firsts(&port.received())), (4, (30..45).collect::<Vec<_>>()));
    outlet.finish();
    assert_eq!((counters.sent(), counters.pending(), firsts(&port.received())), (49, 0, vec![45, 46, 60, 61]));
    assert_eq!(counters.drops().total(), 13);
    assert_eq!(counters.port(), "ring");
}

#[test]
fn what_cannot_be_sent_at_the_end_is_counted() {
    let pool = pool("end", 128);
    let _complete = Complete::new(&pool);
    let port = FakePort::with_slots("end", &pool, 4);
    let mut outlet = Outlet::new(port.port.tx(0).unwrap());
    outlet.push_all::<()>(&mut filled(&pool, 0..10));
    outlet.finish();
    assert_eq!(outlet.counters().drops().clone_counts(), [(DropReason::STOPPED, 7, 420)]);
}

#[test]
fn a_dry_pool_is_a_reason_too() {
    let pool = pool("dry", 4);
    let _complete = Complete::new(&pool);
    let port = FakePort::with_pool("dry", &pool);
    let mut outlet = Outlet::new(port.port.tx(0).unwrap());
    let shared = pool.alloc_from(&[1; 60]).unwrap().share();
    (0..5).for_each(|_| outlet.push_shared(shared.clone()));
    outlet.flush();
    assert_eq!(
        (outlet.counters().sent(), outlet.counters().drops().clone_counts()),
        (3, vec![(DropReason::NO_BUFFER, 2, 120)])
    );
}

#[test]
fn a_worker_sends_for_others() {
    let pool = pool("relay", 4096);
    let _complete = Complete::new(&pool);
    let mut port = FakePort::with_pool("relay", &pool);
    let ring = MbufRing::new(&port.port, 1024).unwrap();
    let mut own = Outlet::shared(port.port.tx(0).unwrap(), ring.clone());
    let mut through = Outlet::through(ring);
    let mut sent = 0;
    for _ in 0..20 {
        through.push_all::<()>(&mut filled(&pool, 0..30));
        through.push_shared(pool.alloc_from(&[77; 60]).unwrap().share());
        sent += 31;
    }
    through.finish();
    own.push(pool.alloc_from(&[99; 60]).unwrap());
    // More waits in the ring than is taken in one round.
    own.flush();
    assert_eq!(own.counters().relayed(), 128);
    own.finish();
    assert_eq!((own.counters().relayed(), own.counters().sent(), through.counters().sent()), (sent, sent + 1, sent));
    let arrived = firsts(&port.received());
    assert_eq!((arrived.len() as u64, arrived[0], arrived[31]), (sent + 1, 99, 77));
}

#[test]
#[should_panic(expected = "the ring of port null leads to port ring")]
fn a_ring_serves_its_own_port_only() {
    let pool = pool("stray", 256);
    let port = FakePort::with_pool("stray", &pool);
    let null = eal().port(&"null".parse().unwrap()).pool(&pool).start().unwrap();
    let ring = MbufRing::new(&null, 64).unwrap();
    Outlet::shared(port.port.tx(0).unwrap(), ring);
}

// The conservation law.

/// What a random stage does to the packets whose first byte is `of` modulo `modulus`.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Drop,
    Consume,
    /// Makes packets of its own, sent on with the batch as far as it has room, else by the outlet.
    Generate(u8),
    /// Copies go to an outlet.
    Copy(usize),
    /// One original and so many references go to an outlet.
    Share(usize, u8),
    Send(usize),
    /// Into a fork that consumes half of it and leaves the rest.
    Fork,
    Nothing,
}

type Step = (u8, u8, Deed);

fn step(outlets: usize) -> impl Strategy<Value = Step> {
    let deed = prop_oneof![
        Just(Deed::Drop),
        Just(Deed::Consume),
        (1..6_u8).prop_map(Deed::Generate),
        (0..outlets).prop_map(Deed::Copy),
        (0..outlets, 0..5_u8).prop_map(|(outlet, more)| Deed::Share(outlet, more)),
        (0..outlets).prop_map(Deed::Send),
        Just(Deed::Fork),
        Just(Deed::Nothing),
    ];
    (1..6_u8, 0..6_u8, deed)
}

struct Random {
    steps: Vec<Step>,
    outlets: Vec<Outlet>,
    pool: MbufPool,
    side: Batch,
    fork: Box<dyn Stage>,
}

/// Consumes every other packet; the rest stays.
struct Half(bool);

impl Stage for Half {
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        let pick = |flip: &mut bool| {
            *flip = !*flip;
            flip.then_some(())
        };
        batch.remove_if(|_, ()| pick(&mut self.0), |packet, (), ()| cx.consume(packet));
    }
}

impl Random {
    fn do_one(&mut self, (modulus, of, deed): Step, batch: &mut Batch, cx: &mut Context) {
        let picked = |packet: &Mbuf| packet.data()[0] % modulus == of % modulus;
        let (outlets, side) = (&mut self.outlets, &mut self.side);
        match deed {
            Deed::Nothing => {}
            Deed::Drop => cx.drop_if(batch, |packet, ()| picked(packet).then_some(MARKED)),
            Deed::Consume => {
                batch.remove_if(|packet, ()| picked(packet).then_some(()), |packet, (), ()| cx.consume(packet))
            }
            Deed::Send(to) => {
                batch.remove_if(|packet, ()| picked(packet).then_some(()), |packet, (), ()| outlets[to].push(packet));
            }
            Deed::Copy(to) => {
                for packet in batch.packets().iter().filter(|packet| picked(packet)) {
                    // As a stage should: what could not be made is nobody's packet.
                    if let Some(copy) = packet.copy() {
                        cx.generated(1);
                        outlets[to].push(copy);
                    }
                }
            }
            Deed::Share(to, more) => {
                let share = |packet: Mbuf, (), ()| {
                    let shared = packet.share();
                    cx.generated(u64::from(more));
                    (0..more).for_each(|_| outlets[to].push_shared(shared.clone()));
                    outlets[to].push_shared(shared);
                };
                batch.remove_if(|packet, ()| picked(packet).then_some(()), share);
            }
            Deed::Generate(count) => {
                for number in 0..count {
                    let Some(packet) = self.pool.alloc_from(&[number; 60]) else { continue };
                    cx.generated(1);
                    if let Err(packet) = batch.push(packet, ()) {
                        outlets[0].push(packet);
                    }
                }
            }
            Deed::Fork => {
                batch
                    .remove_if(|packet, ()| picked(packet).then_some(()), |packet, (), ()| drop(side.push(packet, ())));
                self.fork.run(side, cx);
                cx.drop_all(side, DropReason::UNROUTED);
            }
        }
    }
}

impl Stage for Random {
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        for step in self.steps.clone() {
            self.do_one(step, batch, cx);
        }
    }

    fn flush(&mut self, _cx: &mut Context) {
        self.outlets.iter_mut().for_each(Outlet::flush);
    }

    fn finish(&mut self) {
        self.outlets.iter_mut().for_each(Outlet::finish);
    }

    fn describe(&self, description: &mut iogate::pipeline::Description) {
        description.outlets.extend(self.outlets.iter().map(|outlet| outlet.counters().clone()));
    }
}

#[derive(Clone, Debug)]
struct Topology {
    /// The steps of each worker's stages.
    workers: Vec<Vec<Vec<Step>>>,
    /// Slots of the rings behind each port, and those of the ring between workers.
    slots: Vec<u32>,
    relay: u32,
    /// Who owns the TX queue of each port.
    owners: Vec<usize>,
    /// Frames injected at once, by worker.
    bursts: Vec<(usize, Vec<u8>)>,
    buffers: u32,
    burst: usize,
}

fn topology() -> impl Strategy<Value = Topology> {
    const PORTS: usize = 3;
    let slots = || prop_oneof![Just(4_u32), Just(16), Just(256)];
    let stage = || proptest::collection::vec(step(PORTS), 0..4);
    (1..3_usize).prop_flat_map(move |workers| {
        (
            proptest::collection::vec(proptest::collection::vec(stage(), 1..4), workers),
            proptest::collection::vec(slots(), PORTS),
            slots(),
            proptest::collection::vec(0..workers, PORTS),
            proptest::collection::vec((0..workers, proptest::collection::vec(any::<u8>(), 1..80)), 1..12),
            prop_oneof![Just(200_u32), Just(2000)],
            prop_oneof![Just(1_usize), Just(7), Just(32)],
        )
            .prop_map(|(workers, slots, relay, owners, bursts, buffers, burst)| Topology {
                workers,
                slots,
                relay,
                owners,
                bursts,
                buffers,
                burst,
            })
    })
}

/// Runs it; returns the totals, the worker's counters and what arrived at the far ends.
fn run(topology: &Topology, pool: &MbufPool, feed: &MbufPool) -> (Totals, Vec<Arc<OutletCounters>>, usize) {
    let mut sources: Vec<FakePort> = topology.workers.iter().map(|_| FakePort::with_pool("source", feed)).collect();
    let mut sinks: Vec<FakePort> =
        topology.slots.iter().map(|slots| FakePort::with_slots("sink", pool, *slots)).collect();
    let rings: Vec<MbufRing> = sinks.iter().map(|sink| MbufRing::new(&sink.port, topology.relay).unwrap()).collect();
    let mut runtime = Runtime::new(eal());
    runtime.share_cores(true);
    let mut pollers: Vec<Poller<(), Box<dyn Stage>>> = Vec::new();
    for (number, stages) in topology.workers.iter().enumerate() {
        let mut tail: Option<Box<dyn Stage>> = None;
        // Every stage may send to every port; the queues belong to the last stage, which the others
        // and the other worker reach through the rings.
        for (at, steps) in stages.iter().enumerate().rev() {
            let outlet =
                |(port, sink): (usize, &FakePort)| match at + 1 == stages.len() && topology.owners[port] == number {
                    true => Outlet::shared(sink.port.tx(0).unwrap(), rings[port].clone()),
                    false => Outlet::through(rings[port].clone()),
                };
            let outlets = sinks.iter().enumerate().map(outlet).collect();
            let stage = Random {
                steps: steps.clone(),
                outlets,
                pool: pool.clone(),
                side: Batch::new(),
                fork: Box::new(Half(false)),
            };
            tail = Some(match tail {
                None => Box::new(stage),
                Some(tail) => Box::new(chain(stage).then(tail)),
            });
        }
        let worker = runtime.worker(cores()[number % cores().len()]).unwrap().burst(topology.burst);
        pollers.push(worker.poll([sources[number].port.rx(0).unwrap()], tail.expect("one stage at least")));
    }
    runtime.start().unwrap();
    let mut arrived = 0;
    for (worker, bytes) in &topology.bursts {
        sources[*worker].inject_many(bytes.iter().map(|first| [*first; 60]));
        arrived += sinks.iter_mut().map(|sink| sink.received().len()).sum::<usize>();
    }
    // Until everything was fetched: the counters say so.
    let injected: usize = topology.bursts.iter().map(|(_, bytes)| bytes.len()).sum();
    let fetched = |pollers: &[Poller<(), Box<dyn Stage>>]| -> u64 {
        pollers.iter().flat_map(Poller::sources).map(|source| source.received()).sum()
    };
    while fetched(&pollers) < injected as u64 {
        std::thread::sleep(std::time::Duration::from_micros(100));
    }
    let totals = runtime.stop().unwrap();
    arrived += sinks.iter_mut().map(|sink| sink.received().len()).sum::<usize>();
    let outlets = pollers.iter().flat_map(Poller::outlets).collect();
    (totals, outlets, arrived)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_packet_leaves_by_exactly_one_door(topology in topology()) {
        let feed = pool("feed", 2048);
        let pool = pool("law", topology.buffers);
        let _complete = (Complete::new(&feed), Complete::new(&pool));
        let injected: usize = topology.bursts.iter().map(|(_, bytes)| bytes.len()).sum();
        let (totals, outlets, arrived) = run(&topology, &pool, &feed);
        prop_assert!(totals.balanced(), "{totals:?}");
        prop_assert_eq!(totals.pending, 0);
        prop_assert_eq!(totals.received, injected as u64);
        prop_assert_eq!(totals.relayed, outlets.iter().map(|outlet| outlet.relayed()).sum::<u64>());
        prop_assert_eq!(totals.sent_by_ports(), arrived as u64, "what ports took has arrived");
    }
}

/// Makes up to 20 packets a round, until it has made `left`.
struct Source(MbufPool, usize);

impl Stage for Source {
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        cx.consume_all(batch);
    }

    fn generate(&mut self, batch: &mut Batch, cx: &mut Context) {
        let made = self.0.alloc_bulk(batch, batch.len() + self.1.min(20));
        batch.packets_mut().iter_mut().for_each(|packet| packet.append(60).expect("room").fill(9));
        self.1 -= made;
        cx.generated(made as u64);
    }
}

/// Drops every second packet.
struct EveryOther;

impl Stage for EveryOther {
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        let mut odd = false;
        cx.drop_if(batch, |_, ()| {
            odd = !odd;
            odd.then_some(MARKED)
        });
    }
}

#[test]
fn generated_packets_take_the_way_of_received_ones_and_are_counted() {
    let pool = pool("generated", 1024);
    let _complete = Complete::new(&pool);
    let (mut a, mut b) = (FakePort::with_pool("a", &pool), FakePort::with_pool("b", &pool));
    let mut runtime = Runtime::new(eal());
    runtime.share_cores(true);
    let worker = runtime.worker(cores()[0]).unwrap();
    // Without a queue, in the middle of a chain, and beside what is received.
    let alone = worker.poll([], chain(Source(pool.clone(), 110)).then(EveryOther).send(b.port.tx(0).unwrap()));
    let unsent = worker.poll([], chain(EveryOther).then(Source(pool.clone(), 30)));
    let beside = worker.poll([a.port.rx(0).unwrap()], chain(Source(pool.clone(), 10)).send(a.port.tx(0).unwrap()));
    a.inject_many([[1; 60]; 7]);
    runtime.start().unwrap();
    assert_eq!((b.wait_for(55).len(), a.wait_for(10)), (55, vec![vec![9; 60]; 10]));
    while beside.totals().consumed < 7 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(runtime.stop().unwrap().balanced());
    assert_eq!(alone.totals(), Totals { generated: 110, sent: 55, dropped: 55, ..Totals::default() });
    assert_eq!(unsent.totals(), Totals { generated: 30, dropped: 30, ..Totals::default() });
    assert_eq!(beside.totals(), Totals { received: 7, generated: 10, sent: 10, consumed: 7, ..Totals::default() });
    assert_eq!(
        alone.stages().iter().map(|stage| (stage.calls(), stage.packets())).collect::<Vec<_>>(),
        [(6, 110), (6, 110), (6, 55)]
    );
}

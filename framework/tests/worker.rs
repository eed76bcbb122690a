//! Workers: where they run, what they are told, how they end.

use iogate::Error;
use iogate::pipeline::{Outlet, Stage};
use iogate::port::{MbufRing, Restart, RxQueue};
use iogate::prelude::*;
use iogate::testkit::{Complete, FakePort, Frame, eal, in_namespace, mac, pool, sh};
use iogate::worker::cores;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const WRONG_TABLE: DropReason = DropReason::app(0);

fn runtime() -> Runtime {
    let mut runtime = Runtime::new(eal());
    runtime.share_cores(true);
    runtime
}

fn core() -> usize {
    cores()[0]
}

fn number(number: u32) -> Vec<u8> {
    Frame::ethernet(mac(1), mac(2)).payload(number.to_be_bytes()).padded().build()
}

/// Sends everything on.
fn forward(to: &FakePort) -> impl Stage + 'static {
    iogate::pipeline::Send::new(to.port.tx(0).unwrap())
}

/// Takes everything.
struct Consume;

impl Stage for Consume {
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        batch.drain().for_each(|(packet, ())| cx.consume(packet));
    }
}

struct PanicAt(usize);

impl Stage for PanicAt {
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        for (packet, ()) in batch.drain() {
            assert!(self.0 > 0, "the stage is tired of {}", packet.len());
            self.0 -= 1;
            cx.consume(packet);
        }
    }
}

struct PanicAtTheEnd;

impl Stage for PanicAtTheEnd {
    fn run(&mut self, _batch: &mut Batch, _cx: &mut Context) {}

    fn finish(&mut self) {
        panic!("no end is good");
    }
}

fn wait_until(what: &str, mut true_at_last: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !true_at_last() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn a_core_has_one_worker_unless_asked_otherwise() {
    let mut runtime = Runtime::new(eal());
    runtime.worker(core()).unwrap();
    let again = runtime.worker(core()).err().unwrap();
    assert_eq!(
        again.to_string(),
        format!("core {} has a worker already: place this one elsewhere, or allow sharing explicitly", core())
    );
    let none = runtime.worker(9999).err().unwrap();
    assert!(matches!(none, Error::NoSuchCore { core: 9999, .. }), "{none}");
    assert!(none.to_string().starts_with("core 9999 is not among those this process may run on ("));
    runtime.start().unwrap();
    assert!(matches!(runtime.worker(core()).err().unwrap(), Error::CoreTaken { .. }), "also while it runs");
    runtime.share_cores(true);
    assert!(runtime.worker(core()).is_ok());
    runtime.stop().unwrap();
}

#[test]
fn workers_are_pinned_and_named() {
    let pool = pool("pinned", 512);
    let port = FakePort::with_pool("pinned", &pool);
    let mut runtime = runtime();
    let poller = runtime.worker(core()).unwrap().poll([port.port.rx(0).unwrap()], Consume);
    runtime.start().unwrap();
    let status = poller.call(|_| fs::read_to_string("/proc/thread-self/status").unwrap()).unwrap();
    let line = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
    assert_eq!(line("Cpus_allowed_list:"), core().to_string());
    assert_eq!(line("Name:"), format!("iogate-{}", core()));
    runtime.stop().unwrap();
    let here = fs::read_to_string("/proc/thread-self/status").unwrap();
    let allowed = here.lines().find(|line| line.starts_with("Cpus_allowed_list:")).unwrap();
    assert_eq!(cores().len() == 1, !allowed.contains(['-', ',']), "{allowed}: the application's own thread stays free");
}

#[test]
fn messages_are_answered_under_load() {
    let pool = pool("load", 1024);
    let _complete = Complete::new(&pool);
    let null = eal().port(&"null".parse().unwrap()).pool(&pool).start().unwrap();
    let mut runtime = runtime();
    let worker = runtime.worker(core()).unwrap().idle(Idle::Pause);
    let poller = worker.poll([null.rx(0).unwrap()], Consume);
    let early = poller.clone();
    runtime.start().unwrap();
    let served = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for caller in 0..4_u64 {
            let (poller, served) = (early.clone(), &served);
            scope.spawn(move || {
                for call in 0..100 {
                    assert_eq!(poller.call(move |_| (caller, call)).unwrap(), (caller, call));
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(served.into_inner(), 400);
    let totals = runtime.stop().unwrap();
    assert!(totals.balanced() && totals.received > 0 && totals.consumed == totals.received, "{totals:?}");
    assert!(matches!(poller.call(|_| ()), Err(Error::Stopped)));
}

/// Drops packets unless both halves of its table agree.
struct Lookup {
    table: Arc<[u64; 2]>,
    out: Outlet,
}

impl Stage for Lookup {
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        let (table, out) = (&self.table, &mut self.out);
        cx.drop_if(batch, |_, ()| (table[0] != table[1]).then_some(WRONG_TABLE));
        out.push_all(batch);
    }

    fn flush(&mut self, _cx: &mut Context) {
        self.out.flush();
    }

    fn finish(&mut self) {
        self.out.finish();
    }

    fn describe(&self, description: &mut iogate::pipeline::Description) {
        description.outlets.push(self.out.counters().clone());
    }
}

#[test]
fn swapping_a_table_loses_no_packet() {
    const PACKETS: u32 = 20_000;
    let pool = pool("swap", 4096);
    let _complete = Complete::new(&pool);
    let (mut a, mut b) = (FakePort::with_pool("a", &pool), FakePort::with_pool("b", &pool));
    let mut runtime = runtime();
    let out = Outlet::new(b.port.tx(0).unwrap());
    let stage = Lookup { table: Arc::new([0, 0]), out };
    let poller = runtime.worker(core()).unwrap().poll([a.port.rx(0).unwrap()], stage);
    runtime.start().unwrap();
    let done = AtomicBool::new(false);
    let (arrived, swaps) = std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            let mut version = 0;
            while !done.load(Ordering::Relaxed) {
                version += 1;
                let mut table = Arc::new([version; 2]);
                let old = poller.call(move |poll| {
                    std::mem::swap(&mut poll.stage_mut().table, &mut table);
                    table
                });
                assert_eq!(*old.unwrap(), [version - 1; 2]);
            }
            version
        });
        let mut arrived = Vec::new();
        for sent in 0..PACKETS {
            a.inject(&number(sent));
            if sent % 64 == 63 {
                wait_until("every packet arrives", || {
                    arrived.append(&mut b.received());
                    arrived.len() as u32 + 64 > sent
                });
            }
        }
        let missing = PACKETS as usize - arrived.len();
        arrived.append(&mut b.wait_for(missing));
        done.store(true, Ordering::Relaxed);
        (arrived, swapper.join().unwrap())
    });
    let totals = runtime.stop().unwrap();
    assert_eq!(arrived, (0..PACKETS).map(number).collect::<Vec<_>>(), "all of them, in order");
    assert!(swaps > 10 && totals.balanced() && totals.dropped == 0, "{swaps} swaps, {totals:?}");
}

#[test]
fn a_panic_ends_its_worker_alone_and_is_reported() {
    let pool = pool("panic", 1024);
    let _complete = Complete::new(&pool);
    let (mut a, mut b) = (FakePort::with_pool("a", &pool), FakePort::with_pool("b", &pool));
    let mut runtime = runtime();
    let failing = runtime.worker(core()).unwrap().poll([a.port.rx(0).unwrap()], PanicAt(40));
    let other = runtime.worker(core()).unwrap().poll([b.port.rx(0).unwrap()], Consume);
    runtime.start().unwrap();
    a.inject_many((0..100).map(number));
    wait_until("the worker fails", || runtime.failed());
    assert!(matches!(failing.call(|_| ()), Err(Error::Stopped)));
    b.inject(&number(1));
    wait_until("the other worker goes on", || other.totals().consumed == 1);
    let error = runtime.stop().unwrap_err();
    assert_eq!(error.to_string(), format!("worker on core {} panicked: the stage is tired of 60", core()));
    assert!(a.port.rx(0).is_ok() && b.port.rx(0).is_ok(), "their queues are free again");
}

#[test]
fn a_panic_at_the_end_holds_nobody_up() {
    let pool = pool("end", 512);
    let _complete = Complete::new(&pool);
    let (a, b) = (FakePort::with_pool("a", &pool), FakePort::with_pool("b", &pool));
    let mut runtime = runtime();
    runtime.worker(core()).unwrap().poll([a.port.rx(0).unwrap()], PanicAtTheEnd);
    runtime.worker(core()).unwrap().poll([b.port.rx(0).unwrap()], Consume);
    runtime.start().unwrap();
    assert!(matches!(runtime.stop(), Err(Error::Panicked { .. })));
}

#[test]
fn a_panic_stops_what_waits_for_a_signal() {
    let pool = pool("signal", 512);
    let _complete = Complete::new(&pool);
    let mut a = FakePort::with_pool("a", &pool);
    let mut runtime = runtime();
    runtime.worker(core()).unwrap().poll([a.port.rx(0).unwrap()], PanicAt(0));
    a.inject(&number(0));
    let error = runtime.run_until(&AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, Error::Panicked { .. }));
}

#[test]
fn a_panic_in_a_message_answers_its_caller() {
    let pool = pool("message", 512);
    let a = FakePort::with_pool("a", &pool);
    let mut runtime = runtime();
    let poller = runtime.worker(core()).unwrap().poll([a.port.rx(0).unwrap()], Consume);
    runtime.start().unwrap();
    assert!(matches!(poller.call(|_| panic!("asked for")), Err::<(), _>(Error::Stopped)));
    assert!(matches!(runtime.stop(), Err(Error::Panicked { message, .. }) if message == "asked for"));
}

#[test]
fn stopping_sends_what_waits() {
    let pool = pool("drain", 1024);
    let _complete = Complete::new(&pool);
    let (mut a, b) = (FakePort::with_pool("a", &pool), FakePort::with_slots("b", &pool, 16));
    let mut runtime = runtime();
    let poller = runtime.worker(core()).unwrap().poll([a.port.rx(0).unwrap()], forward(&b));
    a.inject_many((0..40).map(number));
    runtime.start().unwrap();
    wait_until("15 are sent and 25 wait", || poller.totals().sent == 15 && poller.totals().pending == 25);
    let mut b = b;
    let reader = std::thread::spawn(move || b.wait_for(40));
    let totals = runtime.stop().unwrap();
    assert_eq!(reader.join().unwrap(), (0..40).map(number).collect::<Vec<_>>());
    assert_eq!((totals.sent, totals.dropped, totals.pending, totals.balanced()), (40, 0, 0, true));
}

#[test]
fn a_stopped_runtime_can_be_started_again() {
    let pool = pool("again", 512);
    let _complete = Complete::new(&pool);
    let mut a = FakePort::with_pool("a", &pool);
    let mut runtime = runtime();
    for round in 1..=3 {
        let poller = runtime.worker(core()).unwrap().poll([a.port.rx(0).unwrap()], Consume);
        runtime.start().unwrap();
        a.inject(&number(round));
        wait_until("the packet is taken", || poller.totals().consumed == 1);
        assert!(!runtime.failed());
        let totals = runtime.stop().unwrap();
        assert_eq!((totals.consumed, totals.balanced()), (u64::from(round), true));
    }
}

#[test]
fn a_runtime_can_be_started_after_a_panic() {
    let pool = pool("recovered", 512);
    let _complete = Complete::new(&pool);
    let mut a = FakePort::with_pool("a", &pool);
    let mut runtime = runtime();
    runtime.worker(core()).unwrap().poll([a.port.rx(0).unwrap()], PanicAt(0));
    runtime.start().unwrap();
    a.inject(&number(0));
    wait_until("the worker fails", || runtime.failed());
    assert!(matches!(runtime.stop(), Err(Error::Panicked { .. })));
    assert!(!runtime.failed());
    let poller = runtime.worker(core()).unwrap().poll([a.port.rx(0).unwrap()], Consume);
    runtime.start().unwrap();
    a.inject(&number(1));
    wait_until("the packet is taken", || poller.totals().consumed == 1);
    runtime.stop().unwrap();
}

#[test]
fn dropping_a_running_runtime_stops_it() {
    let pool = pool("dropped", 512);
    let _complete = Complete::new(&pool);
    let a = FakePort::with_pool("a", &pool);
    let mut runtime = runtime();
    let poller = runtime.worker(core()).unwrap().poll([a.port.rx(0).unwrap()], Consume);
    runtime.start().unwrap();
    drop(runtime);
    assert!(matches!(poller.call(|_| ()), Err(Error::Stopped)));
}

#[test]
fn ports_are_added_and_removed_while_a_worker_runs() {
    let pool = pool("hot", 4096);
    let _complete = Complete::new(&pool);
    let (mut first, mut sink) = (FakePort::with_pool("first", &pool), FakePort::with_pool("sink", &pool));
    let mut runtime = runtime();
    let poller = runtime.worker(core()).unwrap().poll([first.port.rx(0).unwrap()], forward(&sink));
    runtime.start().unwrap();
    let mut sent = 0;
    for round in 0..10 {
        let mut added = FakePort::with_pool("added", &pool);
        assert_eq!(poller.add_queue(added.port.rx(0).unwrap()).unwrap(), 1);
        added.inject_many((0..50).map(|packet| number(round * 100 + packet)));
        first.inject(&number(7));
        sent += 51;
        assert_eq!(sink.wait_for(51).len(), 51);
        let queue: Option<RxQueue> = poller.remove_queue(1).unwrap();
        assert_eq!(queue.unwrap().port().id(), added.port.id());
        assert!(poller.remove_queue(1).unwrap().is_none());
    }
    let totals = runtime.stop().unwrap();
    assert_eq!((totals.received, totals.sent, totals.balanced()), (sent, sent, true));
    assert_eq!(poller.sources().iter().map(|source| source.received()).sum::<u64>(), sent);
}

#[test]
fn one_worker_sends_for_two() {
    const PACKETS: u32 = 3000;
    let pool = pool("two", 8192);
    let _complete = Complete::new(&pool);
    let mut sources = [FakePort::with_pool("a", &pool), FakePort::with_pool("b", &pool)];
    let mut sink = FakePort::with_slots("sink", &pool, 4096);
    let ring = MbufRing::new(&sink.port, 4096).unwrap();
    let outlets = [Outlet::shared(sink.port.tx(0).unwrap(), ring.clone()), Outlet::through(ring)];
    let mut runtime = runtime();
    for ((source, out), core) in sources.iter().zip(outlets).zip(cores().into_iter().cycle()) {
        let stage = Lookup { table: Arc::new([0, 0]), out };
        runtime.worker(core).unwrap().poll([source.port.rx(0).unwrap()], stage);
    }
    runtime.start().unwrap();
    let mut arrived = Vec::new();
    for packet in 0..PACKETS / 2 {
        for (high, source) in sources.iter_mut().enumerate() {
            source.inject(&number((high as u32) << 24 | packet));
        }
        if packet % 100 == 99 {
            wait_until("every packet arrives", || {
                arrived.append(&mut sink.received());
                arrived.len() as u32 == 2 * (packet + 1)
            });
        }
    }
    let totals = runtime.stop().unwrap();
    assert!(totals.balanced() && totals.dropped == 0, "{totals:?}");
    for high in 0..2 {
        let of_one: Vec<_> = arrived.iter().filter(|frame| frame[14] == high).cloned().collect();
        assert_eq!(of_one, (0..PACKETS / 2).map(|packet| number(u32::from(high) << 24 | packet)).collect::<Vec<_>>());
    }
}

#[test]
fn a_port_without_interrupts_is_refused_for_waiting() {
    let pool = pool("silent", 512);
    let _complete = Complete::new(&pool);
    let null = eal().port(&"null".parse().unwrap()).pool(&pool).start().unwrap();
    let mut runtime = runtime();
    runtime.worker(core()).unwrap().idle(Idle::Interrupt).poll([null.rx(0).unwrap()], Consume);
    let error = runtime.run_until(&AtomicBool::new(false)).unwrap_err().to_string();
    assert!(
        error.starts_with("port null: cannot wait for RX interrupts") && error.ends_with("choose another idle policy"),
        "{error}"
    );
}

#[test]
fn a_queue_that_is_added_to_a_waiting_worker_wakes_it_up() {
    in_namespace("a_queue_that_is_added_to_a_waiting_worker_wakes_it_up", || {
        let pool = pool("added", 8192);
        let _complete = Complete::new(&pool);
        let tap = eal().port(&"tap:gw0".parse().unwrap()).pool(&pool).interrupts(true).start().unwrap();
        sh("ip link set gw0 up");
        let null = eal().port(&"null".parse().unwrap()).pool(&pool).start().unwrap();
        let other = eal().port(&"af_packet:gw0".parse().unwrap()).pool(&pool).start().unwrap();
        let mut tx = other.tx(0).unwrap();
        for round in 0..3 {
            let mut runtime = runtime();
            let worker = runtime.worker(core()).unwrap().idle(Idle::Interrupt);
            let stats = worker.stats().clone();
            let poller = worker.poll([], Consume);
            runtime.start().unwrap();
            // The second time, it was taken out and comes again.
            for _ in 0..2 {
                assert_eq!(poller.add_queue(tap.rx(0).unwrap()).unwrap(), 0);
                // Sleeps end after 20 ms by themselves, and these have just begun. A busy machine may take as
                // long to run the worker, but not each time.
                let woken = (0..100).any(|sent| {
                    let (sleeps, consumed) = (stats.sleeps(), poller.totals().consumed);
                    wait_until("the worker goes to sleep", || stats.sleeps() > sleeps);
                    let mut batch: Batch = Batch::new();
                    drop(batch.push(pool.alloc_from(&number(round * 100 + sent)).unwrap(), ()));
                    let start = Instant::now();
                    tx.send(&mut batch);
                    while poller.totals().consumed == consumed {
                        assert!(start.elapsed() < Duration::from_secs(10), "the packet is taken");
                        std::thread::sleep(Duration::from_micros(100));
                    }
                    start.elapsed() < Duration::from_millis(10)
                });
                assert!(woken, "packets wake the worker");
                assert!(poller.remove_queue(0).unwrap().is_some());
            }
            // A later worker, another thread, may wait for it too.
            poller.add_queue(tap.rx(0).unwrap()).unwrap();
            let error = poller.add_queue(null.rx(0).unwrap()).unwrap_err().to_string();
            assert!(error.starts_with("port null: cannot wait for RX interrupts"), "{error}");
            assert!(poller.remove_queue(1).unwrap().is_none());
            runtime.stop().unwrap();
        }
    });
}

#[test]
fn tap_wakes_a_worker_up() {
    in_namespace("tap_wakes_a_worker_up", || {
        let pool = pool("wake", 8192);
        let _complete = Complete::new(&pool);
        let tap = eal().port(&"tap:gw0".parse().unwrap()).pool(&pool).interrupts(true).start().unwrap();
        sh("ip link set gw0 up");
        let other = eal().port(&"af_packet:gw0".parse().unwrap()).pool(&pool).start().unwrap();
        let mut runtime = runtime();
        let worker = runtime.worker(core()).unwrap().idle(Idle::Interrupt);
        let stats = worker.stats().clone();
        let poller = worker.poll([tap.rx(0).unwrap()], Consume);
        runtime.start().unwrap();
        let mut tx = other.tx(0).unwrap();
        for sent in 1..=20 {
            let sleeps = stats.sleeps();
            wait_until("the worker goes to sleep", || stats.sleeps() > sleeps);
            let mut batch: Batch = Batch::new();
            drop(batch.push(pool.alloc_from(&number(sent)).unwrap(), ()));
            tx.send(&mut batch);
            wait_until("the packet wakes it", || poller.totals().consumed >= u64::from(sent));
        }
        let totals = runtime.stop().unwrap();
        assert!(totals.balanced(), "{totals:?}");
    });
}

/// Forwards, by an outlet that it can let rest.
struct Through(Outlet);

impl Stage for Through {
    fn run(&mut self, batch: &mut Batch, _cx: &mut Context) {
        self.0.push_all(batch);
    }

    fn flush(&mut self, _cx: &mut Context) {
        self.0.flush();
    }

    fn finish(&mut self) {
        self.0.finish();
    }

    fn describe(&self, description: &mut iogate::pipeline::Description) {
        description.outlets.push(self.0.counters().clone());
    }
}

#[test]
fn a_port_is_restarted_while_workers_have_its_queues_and_others_go_on() {
    let pool = pool("restart", 4096);
    let _complete = Complete::new(&pool);
    let mut ports: Vec<_> = ["sick", "there", "hale", "to"].map(|name| FakePort::with_pool(name, &pool)).into();
    let mut runtime = runtime();
    let pollers: Vec<_> = [(0, 1), (2, 3)]
        .map(|(from, to): (usize, usize)| {
            let stage = Through(Outlet::new(ports[to].port.tx(0).unwrap()));
            runtime.worker(core()).unwrap().poll([ports[from].port.rx(0).unwrap()], stage)
        })
        .into();
    runtime.start().unwrap();
    let crosses = |ports: &mut Vec<FakePort>, from: usize, frame: u32| {
        ports[from].inject(&number(frame));
        wait_until("it crosses", || ports[from + 1].received() == [number(frame)]);
    };
    crosses(&mut ports, 0, 1);
    crosses(&mut ports, 2, 2);

    let sick = ports[0].port.clone();
    let refused = sick.restart(Restart::Plain).unwrap_err().to_string();
    assert!(refused.contains("cannot restart it while 1 of its queues are polled"), "{refused}");
    let id = sick.id();
    pollers[0].call(move |poll| poll.rest(id, true)).unwrap().unwrap();
    ports[0].inject(&number(3));
    // Its driver has no reset, so that the second is the same.
    for (round, how) in (0..).zip([Restart::Plain, Restart::Reset, Restart::Plain]) {
        sick.restart(how).unwrap();
        crosses(&mut ports, 2, 10 + round);
    }
    assert!(ports[1].received().is_empty(), "nobody polls it");
    pollers[0].call(move |poll| poll.rest(id, false)).unwrap().unwrap();
    wait_until("what waited comes", || ports[1].received() == [number(3)]);
    crosses(&mut ports, 0, 4);

    // The same for one that is sent to.
    let (to, id) = (ports[1].port.clone(), ports[1].port.id());
    pollers[0].call(|poll| poll.stage_mut().0.rest(true)).unwrap();
    pollers[0].call(move |poll| poll.rest(id, true)).unwrap().unwrap();
    to.restart(Restart::Plain).unwrap();
    ports[0].inject(&number(5));
    wait_until("it waits in the outlet", || pollers[0].totals().pending == 1);
    pollers[0].call(|poll| poll.stage_mut().0.rest(false)).unwrap();
    wait_until("it crosses at last", || ports[1].received() == [number(5)]);
    assert!(runtime.stop().unwrap().balanced());
}

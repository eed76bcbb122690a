//! Ports under running workers: added, removed, shared, waited for, restarted.

use super::{Consume, Lookup, core, forward, number, runtime, wait_until};
use iogate::pipeline::{Description, Outlet, Stage};
use iogate::port::{MbufRing, Restart, RxQueue};
use iogate::prelude::*;
use iogate::testkit::{Complete, FakePort, eal, in_namespace, pool, sh};
use iogate::worker::cores;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

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

/// Sends all to the outlet that came last.
struct ToTheLast(Vec<Outlet>);

impl Stage for ToTheLast {
    fn run(&mut self, batch: &mut Batch, _cx: &mut Context) {
        self.0.last_mut().expect("an outlet").push_all(batch);
    }

    fn flush(&mut self, _cx: &mut Context) {
        self.0.iter_mut().for_each(Outlet::flush);
    }

    fn finish(&mut self) {
        self.0.iter_mut().for_each(Outlet::finish);
    }

    fn describe(&self, description: &mut Description) {
        description.outlets.extend(self.0.iter().map(|outlet| outlet.counters().clone()));
    }
}

#[test]
fn a_way_out_that_is_added_is_counted() {
    let pool = pool("way", 1024);
    let _complete = Complete::new(&pool);
    let (mut source, mut first) = (FakePort::with_pool("source", &pool), FakePort::with_pool("first", &pool));
    let mut second = FakePort::with_pool("second", &pool);
    let mut runtime = runtime();
    let stage = ToTheLast(vec![Outlet::new(first.port.tx(0).unwrap())]);
    let poller = runtime.worker(core()).unwrap().poll([source.port.rx(0).unwrap()], stage);
    runtime.start().unwrap();
    source.inject_many((0..30).map(number));
    assert_eq!(first.wait_for(30).len(), 30);
    let added = Outlet::new(second.port.tx(0).unwrap());
    poller.add_outlet(added.counters().clone());
    poller.call(move |poll| poll.stage_mut().0.push(added)).unwrap();
    source.inject_many((0..12).map(number));
    assert_eq!(second.wait_for(12).len(), 12);
    let totals = runtime.stop().unwrap();
    assert_eq!((totals.received, totals.sent, totals.balanced()), (42, 42, true));
    assert_eq!(poller.outlets().iter().map(|outlet| outlet.sent()).collect::<Vec<_>>(), [30, 12]);
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
    in_namespace("ports::a_queue_that_is_added_to_a_waiting_worker_wakes_it_up", || {
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
    in_namespace("ports::tap_wakes_a_worker_up", || {
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

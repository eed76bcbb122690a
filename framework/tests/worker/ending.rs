//! How workers end: when told to, by a panic, and what comes after.

use super::{Consume, core, forward, number, runtime, wait_until};
use iogate::Error;
use iogate::pipeline::Stage;
use iogate::prelude::*;
use iogate::testkit::{Complete, FakePort, pool};
use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;

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

/// Keeps packets until the end.
#[derive(Default)]
struct Hold(VecDeque<Mbuf>);

impl Stage for Hold {
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        cx.handed_over(batch.len() as u64);
        self.0.extend(batch.drain().map(|(packet, ())| packet));
    }

    fn drain(&mut self, batch: &mut Batch, cx: &mut Context) {
        while !batch.is_full()
            && let Some(packet) = self.0.pop_front()
        {
            batch.push(packet, ()).expect("there is room");
            cx.generated(1);
        }
    }
}

#[test]
fn stopping_sends_what_stages_hold() {
    let pool = pool("hold", 1024);
    let _complete = Complete::new(&pool);
    let (mut a, mut b) = (FakePort::with_pool("a", &pool), FakePort::with_pool("b", &pool));
    let mut runtime = runtime();
    let stages = chain(Hold::default()).send(b.port.tx(0).unwrap());
    let poller = runtime.worker(core()).unwrap().poll([a.port.rx(0).unwrap()], stages);
    a.inject_many((0..100).map(number));
    runtime.start().unwrap();
    wait_until("all are held", || poller.totals().consumed == 100);
    assert!(b.received().is_empty());
    let totals = runtime.stop().unwrap();
    assert_eq!(b.received(), (0..100).map(number).collect::<Vec<_>>());
    assert_eq!((totals.sent, totals.pending, totals.balanced()), (100, 0, true));
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

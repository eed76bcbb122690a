//! Workers: where they run, what they are told, how they end.

mod ending;
mod ports;

use iogate::Error;
use iogate::pipeline::{Outlet, Stage};
use iogate::prelude::*;
use iogate::testkit::{Complete, FakePort, Frame, eal, mac, pool};
use iogate::worker::cores;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
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

/// Writes down where batches came from and how long they were, and makes a packet a round if it is to.
struct Note {
    seen: Arc<Mutex<Vec<(usize, usize)>>>,
    makes: Option<MbufPool>,
}

impl Stage for Note {
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        self.seen.lock().unwrap().push((cx.source(), batch.len()));
        cx.consume_all(batch);
    }

    fn generate(&mut self, _batch: &mut Batch, cx: &mut Context) {
        if let Some(packet) = self.makes.as_ref().and_then(MbufPool::alloc) {
            cx.generated(1);
            cx.consume(packet);
        }
    }
}

#[test]
fn a_queue_has_its_full_bursts_before_the_next_one_has_its_turn() {
    for (in_a_row, makes) in [(1, false), (4, false), (4, true)] {
        let pool = pool("turns", 1024);
        let _complete = Complete::new(&pool);
        let (mut a, mut b) = (FakePort::with_pool("a", &pool), FakePort::with_pool("b", &pool));
        a.inject_many((0..170).map(number));
        b.inject_many((0..40).map(number));
        let seen = Arc::default();
        let stage = Note { seen: Arc::clone(&seen), makes: makes.then(|| pool.clone()) };
        let mut runtime = runtime();
        let worker = runtime.worker(core()).unwrap().bursts_in_a_row(in_a_row);
        let poller = worker.poll([a.port.rx(0).unwrap(), b.port.rx(0).unwrap()], stage);
        runtime.start().unwrap();
        wait_until("all packets are taken", || poller.totals().received == 210);
        assert!(runtime.stop().unwrap().balanced());
        let (full, ends) = ((0, 32), [(1, 32), (1, 8), (0, 10)]);
        let expected = match (in_a_row, makes) {
            (4, false) => vec![full, full, full, full, ends[0], ends[1], full, ends[2]],
            // It has its share of the time: one burst of each queue for a packet that it makes.
            _ => vec![full, ends[0], full, ends[1], full, full, full, ends[2]],
        };
        assert_eq!(*seen.lock().unwrap(), expected, "{in_a_row} in a row, a stage that makes packets: {makes}");
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

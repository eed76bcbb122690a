//! What workers cost each other on cores of their own, modelled where cores are missing.
//!
//! The gateway's workers write nothing in common but the ring before a TX queue that not everyone has one of. What they
//! do to each other besides is by caches and memory. Both are measured with two workers on two cores, and go on as a
//! line from there: each further worker costs what the second did. That is the contention of Gunther's universal law of
//! scalability; caches that overflow, and memory in several nodes, are not in it.

use crate::alone::{self, Job};
use crate::series::{Growth, Line, Listing, Report, Spread, digits};
use crate::{Plan, say};
use anyhow::{Context as _, Result, ensure};
use iogate::eal::Eal;
use iogate::memory::{BURST, Batch, MbufPool};
use iogate::pipeline::Outlet;
use iogate::port::MbufRing;
use iogate::telemetry::cycles;
use iogate::worker::cores;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Cycles for a packet to get onto a ring whose owner is another worker, in bursts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct HandOver {
    /// By the owner itself.
    alone: f64,
    /// By another, on a core of its own, while the owner puts packets on the ring too, and takes all off: as fast as both
    /// can.
    beside_one: f64,
}

/// What is known of one and two workers.
#[derive(Clone, Copy, Debug)]
struct Model {
    /// Cycles per packet with a TX queue for each worker.
    one: f64,
    two: f64,
    hand_over: HandOver,
}

impl Model {
    /// What the second worker adds, of the cost of one; noise that says less than nothing is nothing.
    fn contention(&self) -> f64 {
        (self.two / self.one - 1.0).max(0.0)
    }

    fn each_its_queue(&self, workers: f64) -> f64 {
        self.one * (1.0 + self.contention() * (workers - 1.0))
    }

    /// One worker has the queue and the others hand over to it: so much for each packet of those.
    fn one_queue_for_all(&self, workers: f64) -> f64 {
        let HandOver { alone, beside_one } = self.hand_over;
        self.each_its_queue(workers) + alone + (beside_one - alone).max(0.0) * (workers - 1.0)
    }
}

/// Adds to a report what workers on cores of their own cost, from the costs of one and of two.
pub(crate) fn model(plan: Plan, one: f64, two: f64, counts: &[f64], report: &mut Report) -> Result<()> {
    let there = cores().len() as f64;
    if there < 2.0 {
        report.notes.push("scale: contention of workers: not modelled: it needs two cores to start from".to_owned());
        return Ok(());
    }
    let model = Model { one, two, hand_over: alone::spawn(&Job::HandOver, plan)? };
    let how = |workers: f64| if workers <= 2.0 { "measured" } else { "modelled" };
    let row = |workers: &f64| {
        let (each, all) = (digits(model.each_its_queue(*workers)), digits(model.one_queue_for_all(*workers)));
        vec![workers.to_string(), how(*workers).to_owned(), each, all]
    };
    let name = "gateway, workers on cores of their own";
    report.tables.push(Listing {
        name: format!("{name}, cycles/packet: modelled beyond 2"),
        head: ["workers", "", "a TX queue each", "one TX queue for all (modelled)"].map(String::from).to_vec(),
        rows: counts.iter().map(row).collect(),
    });
    let line = |label: &str, cost: &dyn Fn(f64) -> f64| Line {
        label: format!("{label} (modelled)"),
        points: counts.iter().map(|workers| (*workers, cost(*workers))).collect(),
        modelled: true,
    };
    report.growth.push(Growth {
        name: name.to_owned(),
        of: "workers".to_owned(),
        unit: "cycles/packet".to_owned(),
        lines: vec![
            line("a TX queue each", &|workers| model.each_its_queue(workers)),
            line("one TX queue for all", &|workers| model.one_queue_for_all(workers)),
        ],
    });
    let HandOver { alone, beside_one } = model.hand_over;
    report.notes.push(format!(
        "scale: contention is modelled, not measured, beyond two workers: a TX queue each: C1 x (1 + s x (n - 1)), with C1 = {} cycles, \
         and s = C2 / C1 - 1 = {:.3} of two workers on two cores (nothing where less); one TX queue for all: H1 + (H2 - H1) x (n - 1) \
         more, with H1 = {} and H2 = {} cycles for a packet that a worker puts on its own ring alone, and on another worker's.",
        digits(one),
        model.contention(),
        digits(alone),
        digits(beside_one)
    ));
    Ok(())
}

/// Measures handing over, in a process with EAL.
pub(crate) fn measure(eal: &Eal, plan: Plan) -> Result<HandOver> {
    let other = cores().into_iter().find(|core| *core != plan.core).context("two cores are needed")?;
    let pool = eal.pool("hand over").buffers(8192).create()?;
    let port = eal.port(&"null:no-rx=1".parse()?).pool(&pool).start()?;
    let ring = MbufRing::new(&port, 4096)?;
    let mut outlet = Outlet::shared(port.tx(0)?, ring.clone());
    let until = Duration::from_secs_f64(plan.seconds);
    let mut median = |beside_one: bool| {
        let (over, measured) = (AtomicBool::new(false), AtomicBool::new(!beside_one));
        let costs = std::thread::scope(|scope| {
            let beside = beside_one.then(|| {
                let (mut costs, mut ring) = (Vec::new(), ring.clone());
                let (pool, over, measured) = (&pool, &over, &measured);
                scope.spawn(move || {
                    pin(other);
                    while !over.load(Ordering::Relaxed) {
                        costs.extend(hand_over(pool, &mut ring));
                        measured.store(!costs.is_empty(), Ordering::Relaxed);
                    }
                    costs
                })
            });
            pin(plan.core);
            let (begun, mut costs, mut ring) = (Instant::now(), Vec::new(), ring.clone());
            // Longer where others have a core for all of that time.
            let missing = |costs: &[f64]| costs.is_empty() || !measured.load(Ordering::Relaxed);
            while begun.elapsed() < until || (missing(&costs) && begun.elapsed() < PATIENCE) {
                costs.extend(hand_over(&pool, &mut ring));
                outlet.flush();
            }
            over.store(true, Ordering::Relaxed);
            // Whose ring it is goes on with lines that are in its cache more often.
            beside.map(|thread| thread.join().expect("it does not panic")).unwrap_or(costs)
        });
        ensure!(!costs.is_empty(), "nothing could be handed over");
        Ok(Spread::of(&costs).median)
    };
    let measured = HandOver { alone: median(false)?, beside_one: median(true)? };
    outlet.finish();
    Ok(measured)
}

/// How long a core is waited for that others have.
const PATIENCE: Duration = Duration::from_secs(20);

fn pin(core: usize) {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        say("cannot be pinned, so handing over is noisier");
    }
}

/// Cycles per packet of a burst; nothing when the ring had no room for all of it.
fn hand_over(pool: &MbufPool, ring: &mut MbufRing) -> Option<f64> {
    let mut batch: Batch = Batch::new();
    pool.alloc_bulk(&mut batch, BURST);
    let (count, before) = (batch.len(), cycles());
    ring.send(&mut batch);
    let taken = cycles().wrapping_sub(before);
    (count == BURST && batch.is_empty()).then(|| taken as f64 / BURST as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_worker_costs_what_the_second_did() {
        let hand_over = HandOver { alone: 2.0, beside_one: 5.0 };
        let model = Model { one: 100.0, two: 110.0, hand_over };
        let costs = |cost: &dyn Fn(f64) -> f64| [1.0, 2.0, 4.0].map(|workers| cost(workers).round());
        assert_eq!(costs(&|workers| model.each_its_queue(workers)), [100.0, 110.0, 130.0]);
        assert_eq!(costs(&|workers| model.one_queue_for_all(workers)), [102.0, 115.0, 141.0]);
        // Noise makes nobody faster.
        let lucky = Model { two: 90.0, ..model };
        assert_eq!(costs(&|workers| lucky.each_its_queue(workers)), [100.0; 3]);
    }

    #[test]
    fn handing_over_costs_something() {
        if cores().len() < 2 {
            return;
        }
        let plan = Plan { runs: 1, seconds: 0.05, core: cores()[0], pages: crate::Pages::Plain };
        let HandOver { alone, beside_one } = measure(iogate::testkit::eal(), plan).unwrap();
        assert!(alone > 0.0 && beside_one > 0.0);
    }
}

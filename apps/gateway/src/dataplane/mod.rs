//! The data path: three stages, and the counters and tables they use.
//!
//! `classify` looks at each frame once ([`frame`]); `admit` finds out whose it is and whether it may
//! pass; `forward` finds where it goes, sets the tag it has there and sends it. What they look up is
//! in [`tables`], swapped whole between two batches; what they count is in [`counters`]; why they
//! drop is in [`drop`](mod@drop).

pub mod addresses;
mod admit;
mod antispoof;
mod classifier;
pub mod counters;
pub mod drop;
pub mod fip;
mod forward;
pub mod frame;
mod glance;
mod ports;
pub mod tables;
mod tag;

pub use classifier::{Classifier, Verdict, protocol};
pub use counters::{Counters, Direction};
pub use tables::{Active, Ingress, Tables};

use crossbeam_queue::ArrayQueue;
use fip::Heard;
use frame::Meta;
use iogate::memory::{Batch, Mbuf};
use iogate::pipeline::{Context, Description, Outlet, Stage};
use iogate::telemetry::StageStats;
use std::sync::Arc;
use tables::Way;

/// One worker's data path, as a pipeline stage.
pub struct Switch {
    path: Path,
    stages: [Arc<StageStats>; 3],
}

/// What the three stages work with.
struct Path {
    tables: Arc<Tables>,
    active: Arc<Active>,
    /// By position of the polled queue.
    ingress: Vec<Ingress>,
    /// To each attachment, then out of each network's uplink, and nowhere: see [`Tables::ways`].
    ways: Box<[Way]>,
    /// By port: links first, then uplinks.
    outlets: Vec<Outlet>,
    counters: Arc<Counters>,
    /// Logins that the control side is told of.
    heard: Arc<ArrayQueue<Heard>>,
}

/// Logins that can wait for the control side.
const LOGINS: usize = 256;

impl Switch {
    /// For the queues that a worker polls, in their order, and an outlet to every port.
    pub fn new(tables: Arc<Tables>, active: Arc<Active>, ingress: Vec<Ingress>, outlets: Vec<Outlet>) -> Self {
        let stages = ["classify", "admit", "forward"].map(|name| Arc::new(StageStats::new(name)));
        let ways = tables.ways(&active);
        let counters = Arc::new(Counters::new(tables.attachments.len(), ways.len()));
        let heard = Arc::new(ArrayQueue::new(LOGINS));
        Switch { path: Path { tables, active, ingress, ways, outlets, counters, heard }, stages }
    }

    /// Its counters.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.path.counters
    }

    /// What it heard of logins, for the control side to take out.
    pub fn heard(&self) -> &Arc<ArrayQueue<Heard>> {
        &self.path.heard
    }

    /// Lets the port at a position alone, while it is restarted, or sends to it again.
    pub fn rest(&mut self, port: usize, on: bool) {
        self.path.outlets[port].rest(on);
    }

    /// Uses other uplinks from now on; returns the choice before.
    pub fn set_active(&mut self, active: Arc<Active>) -> Arc<Active> {
        self.path.ways = self.path.tables.ways(&active);
        std::mem::replace(&mut self.path.active, active)
    }

    /// Looks things up in other tables from now on, which have the same attachments; returns those before.
    pub fn set_tables(&mut self, tables: Arc<Tables>) -> Arc<Tables> {
        std::mem::replace(&mut self.path.tables, tables)
    }
}

impl Path {
    // A function of its own, which profilers and `iogate-bench instructions` find by its name.
    #[inline(never)]
    fn classify(&mut self, batch: &mut Batch<Meta>, cx: &mut Context) {
        let classifier = &self.tables.classifier;
        batch.packets().iter().for_each(Mbuf::prefetch);
        let (packets, metas) = batch.split_mut();
        let odd = glance::glance(packets, metas, classifier);
        if !odd.is_empty() {
            let mut places = 0..;
            cx.drop_if(batch, |packet, meta| {
                places.next().filter(|at| odd.contains(*at))?;
                meta.read(packet.data(), packet.len(), classifier).err()
            });
        }
    }
}

/// From an uplink, or of nobody known.
const NO_ATTACHMENT: u32 = addresses::NOWHERE;

impl Stage<Meta> for Switch {
    fn run(&mut self, batch: &mut Batch<Meta>, cx: &mut Context) {
        let (path, [classify, admit, forward]) = (&mut self.path, &self.stages);
        classify.measure(batch.len(), || path.classify(batch, cx));
        if !batch.is_empty() {
            admit.measure(batch.len(), || path.admit(batch, cx));
        }
        if !batch.is_empty() {
            forward.measure(batch.len(), || path.forward(batch, cx));
        }
    }

    fn flush(&mut self, _cx: &mut Context) {
        self.path.outlets.iter_mut().for_each(Outlet::flush);
    }

    fn finish(&mut self) {
        self.path.outlets.iter_mut().for_each(Outlet::finish);
    }

    fn describe(&self, description: &mut Description) {
        description.stages.extend(self.stages.iter().cloned());
        description.outlets.extend(self.path.outlets.iter().map(|outlet| outlet.counters().clone()));
    }
}

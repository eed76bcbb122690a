//! The data path: four stages, and the counters and tables they use.
//!
//! `recall` knows most frames by the decision that was made for another of their flow; the others go through
//! two more stages. `classify` looks at each frame once ([`frame`]); `admit` finds out whose it is and whether it may
//! pass; `forward` finds where it goes, sets the tag it has there and sends it. What they look up is
//! in [`tables`], swapped whole between two batches; what they count is in [`counters`]; why they
//! drop is in [`drop`](mod@drop).

pub mod addresses;
mod admit;
mod antispoof;
mod classifier;
pub mod counters;
pub mod drop;
mod ears;
pub mod fip;
mod flows;
mod forward;
pub mod frame;
mod glance;
mod key;
mod ports;
pub mod primitives;
pub mod tables;
mod tag;

pub use classifier::{Classifier, Verdict, protocol};
pub use counters::{Counters, Direction};
pub use tables::{Active, Ingress, Tables};

use crossbeam_queue::ArrayQueue;
use ears::Ears;
use fip::Heard;
use flows::{Flows, Sight};
use frame::Meta;
use glance::Places;
use iogate::memory::{Batch, Mbuf};
use iogate::pipeline::{Context, Description, Outlet, Stage};
use iogate::telemetry::StageStats;
use std::sync::Arc;
use tables::Way;

/// One worker's data path, as a pipeline stage.
pub struct Switch {
    path: Path,
    stages: [Arc<StageStats>; 4],
}

/// What the stages work with.
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
    flows: Flows,
}

/// Logins that can wait for the control side.
const LOGINS: usize = 256;

impl Switch {
    /// For the queues that a worker polls, in their order, and an outlet to every port.
    pub fn new(tables: Arc<Tables>, active: Arc<Active>, ingress: Vec<Ingress>, outlets: Vec<Outlet>) -> Self {
        let stages = ["recall", "classify", "admit", "forward"].map(|name| Arc::new(StageStats::new(name)));
        let ways = tables.ways(&active);
        let counters = Arc::new(Counters::new(tables.attachments.len(), ways.len()));
        let heard = Arc::new(ArrayQueue::new(LOGINS));
        let flows = Flows::new(tables.attachments.len(), &tables.classifier);
        let path = Path { tables, active, ingress, ways, outlets, counters, heard, flows };
        Switch { path, stages }
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
        self.path.flows.forget();
        self.path.ways = self.path.tables.ways(&active);
        std::mem::replace(&mut self.path.active, active)
    }

    /// Looks things up in other tables from now on, which have the same attachments; returns those before.
    pub fn set_tables(&mut self, tables: Arc<Tables>) -> Arc<Tables> {
        self.path.flows.forget();
        std::mem::replace(&mut self.path.tables, tables)
    }
}

impl Path {
    fn ears(&self) -> Ears<'_> {
        Ears { tables: &self.tables, heard: &self.heard }
    }

    // The stages are functions of their own, which profilers and `iogate-bench instructions` find by their names.
    /// Looks for what is known; false when it did not.
    #[inline(never)]
    fn recall(&mut self, batch: &Batch<Meta>, cx: &Context) -> bool {
        batch.packets().iter().for_each(Mbuf::prefetch);
        self.flows.look(batch.packets(), cx.source())
    }

    /// Says which frames of the rest of a batch are of flows that are not known.
    #[inline(never)]
    fn recall_rest(&mut self, gone: usize, batch: &mut Batch<Meta>) -> Places {
        let unknown = self.flows.rest(gone, batch.len());
        for (place, (_, meta)) in (0..).zip(batch.iter_mut()) {
            meta.sight = if unknown.contains(place.into()) { Sight::New(place) } else { Sight::Known(place) };
        }
        unknown
    }

    #[inline(never)]
    fn classify(&mut self, places: Places, batch: &mut Batch<Meta>, cx: &mut Context) {
        let classifier = &self.tables.classifier;
        let (packets, metas) = batch.split_mut();
        let odd = glance::glance(places, packets, metas, classifier);
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
        let (path, [recall, classify, admit, forward]) = (&mut self.path, &self.stages);
        let mut looked = false;
        recall.measure(batch.len(), || looked = path.recall(batch, cx));
        let mut unknown = Places::all(batch.len());
        if looked {
            let mut gone = 0;
            forward.measure_made(|| {
                gone = path.forward_known(batch, cx);
                gone
            });
            if batch.is_empty() {
                return;
            }
            unknown = path.recall_rest(gone, batch);
        }
        let known = batch.len() - unknown.count();
        classify.measure(unknown.count(), || path.classify(unknown, batch, cx));
        if batch.len() > known {
            admit.measure(batch.len() - known, || path.admit(batch, cx));
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

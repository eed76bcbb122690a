//! Composing stages.

use super::{Context, Description, Outlet, Stage};
use crate::memory::{Batch, Mbuf};
use crate::port::TxQueue;
use crate::telemetry::StageStats;
use std::marker::PhantomData;
use std::sync::Arc;

/// Begins a pipeline with its first stage.
pub fn chain<M: Copy + Default, S: Stage<M>>(stage: S) -> Chain<M, Measured<S>> {
    Chain { stages: Measured::new::<M>(stage), _meta: PhantomData }
}

/// Stages, one after the other. Made by [`chain`].
pub struct Chain<M, S> {
    stages: S,
    _meta: PhantomData<fn(M)>,
}

impl<M: Copy + Default, S: Stage<M>> Chain<M, S> {
    /// Adds a stage.
    pub fn then<T: Stage<M>>(self, stage: T) -> Chain<M, Pair<S, Measured<T>>> {
        self.append(Measured::new::<M>(stage))
    }

    /// Adds a fork: packets that `pick` says true for go to `chosen`, the others go on.
    pub fn branch<T: Stage<M>, F>(self, pick: F, chosen: T) -> Chain<M, Pair<S, Branch<M, F, T>>>
    where
        F: FnMut(&Mbuf, &M) -> bool + std::marker::Send,
    {
        self.append(Branch { pick, chosen, batch: Batch::new() })
    }

    /// Ends it: packets are sent on `queue`.
    pub fn send(self, queue: TxQueue) -> Chain<M, Pair<S, Measured<Send>>> {
        self.append(Measured::new::<M>(Send::new(queue)))
    }

    fn append<T>(self, stage: T) -> Chain<M, Pair<S, T>> {
        Chain { stages: Pair(self.stages, stage), _meta: PhantomData }
    }
}

impl<M: Copy + Default, S: Stage<M>> Stage<M> for Chain<M, S> {
    #[inline]
    fn run(&mut self, batch: &mut Batch<M>, cx: &mut Context) {
        self.stages.run(batch, cx);
    }

    #[inline]
    fn generate(&mut self, batch: &mut Batch<M>, cx: &mut Context) {
        self.stages.generate(batch, cx);
    }

    #[inline]
    fn flush(&mut self, cx: &mut Context) {
        self.stages.flush(cx);
    }

    fn drain(&mut self, batch: &mut Batch<M>, cx: &mut Context) {
        self.stages.drain(batch, cx);
    }

    fn finish(&mut self) {
        self.stages.finish();
    }

    fn describe(&self, description: &mut Description) {
        self.stages.describe(description);
    }
}

/// Two stages, one after the other.
pub struct Pair<A, B>(A, B);

impl<M: Copy + Default, A: Stage<M>, B: Stage<M>> Stage<M> for Pair<A, B> {
    #[inline]
    fn run(&mut self, batch: &mut Batch<M>, cx: &mut Context) {
        self.0.run(batch, cx);
        if !batch.is_empty() {
            self.1.run(batch, cx);
        }
    }

    #[inline]
    fn generate(&mut self, batch: &mut Batch<M>, cx: &mut Context) {
        self.0.generate(batch, cx);
        if !batch.is_empty() {
            self.1.run(batch, cx);
        }
        self.1.generate(batch, cx);
    }

    #[inline]
    fn flush(&mut self, cx: &mut Context) {
        self.0.flush(cx);
        self.1.flush(cx);
    }

    fn drain(&mut self, batch: &mut Batch<M>, cx: &mut Context) {
        self.0.drain(batch, cx);
        if !batch.is_empty() {
            self.1.run(batch, cx);
        }
        self.1.drain(batch, cx);
    }

    fn finish(&mut self) {
        self.0.finish();
        self.1.finish();
    }

    fn describe(&self, description: &mut Description) {
        self.0.describe(description);
        self.1.describe(description);
    }
}

/// A stage with its counters: calls, packets, and the cycles of one call in 64.
pub struct Measured<S> {
    stage: S,
    stats: Arc<StageStats>,
}

impl<S> Measured<S> {
    /// Around a stage.
    pub fn new<M: Copy + Default>(stage: S) -> Self
    where
        S: Stage<M>,
    {
        let stats = Arc::new(StageStats::new(stage.name()));
        Measured { stage, stats }
    }

    /// Measures what adds packets to a batch.
    #[inline]
    fn made<M: Copy + Default>(&mut self, batch: &mut Batch<M>, work: impl FnOnce(&mut S, &mut Batch<M>)) {
        self.stats.measure_made(|| {
            let before = batch.len();
            work(&mut self.stage, batch);
            batch.len() - before
        });
    }
}

impl<M: Copy + Default, S: Stage<M>> Stage<M> for Measured<S> {
    #[inline]
    fn run(&mut self, batch: &mut Batch<M>, cx: &mut Context) {
        self.stats.measure(batch.len(), || self.stage.run(batch, cx));
    }

    #[inline]
    fn generate(&mut self, batch: &mut Batch<M>, cx: &mut Context) {
        self.made(batch, |stage, batch| stage.generate(batch, cx));
    }

    #[inline]
    fn flush(&mut self, cx: &mut Context) {
        self.stage.flush(cx);
    }

    fn drain(&mut self, batch: &mut Batch<M>, cx: &mut Context) {
        self.made(batch, |stage, batch| stage.drain(batch, cx));
    }

    fn finish(&mut self) {
        self.stage.finish();
    }

    fn name(&self) -> &'static str {
        self.stage.name()
    }

    fn describe(&self, description: &mut Description) {
        description.stages.push(self.stats.clone());
        self.stage.describe(description);
    }
}

/// A fork in a pipeline: see [`Chain::branch`].
pub struct Branch<M: Copy + Default, F, T> {
    pick: F,
    chosen: T,
    batch: Batch<M>,
}

impl<M, F, T> Stage<M> for Branch<M, F, T>
where
    M: Copy + Default + std::marker::Send,
    F: FnMut(&Mbuf, &M) -> bool + std::marker::Send,
    T: Stage<M>,
{
    fn run(&mut self, batch: &mut Batch<M>, cx: &mut Context) {
        let (pick, side) = (&mut self.pick, &mut self.batch);
        batch.remove_if(
            |packet, meta| pick(packet, meta).then_some(()),
            // It was emptied after the last call, and one batch fits another.
            |packet, meta, ()| drop(side.push(packet, meta)),
        );
        if !side.is_empty() {
            self.chosen.run(side, cx);
            cx.drop_all(side, super::DropReason::UNROUTED);
        }
    }

    fn generate(&mut self, _batch: &mut Batch<M>, cx: &mut Context) {
        self.chosen.generate(&mut self.batch, cx);
        cx.drop_all(&mut self.batch, super::DropReason::UNROUTED);
    }

    fn flush(&mut self, cx: &mut Context) {
        self.chosen.flush(cx);
    }

    fn drain(&mut self, _batch: &mut Batch<M>, cx: &mut Context) {
        self.chosen.drain(&mut self.batch, cx);
        cx.drop_all(&mut self.batch, super::DropReason::UNROUTED);
    }

    fn finish(&mut self) {
        self.chosen.finish();
    }

    fn describe(&self, description: &mut Description) {
        self.chosen.describe(description);
    }
}

/// Sends every packet to one port.
pub struct Send {
    outlet: Outlet,
}

impl Send {
    /// On this queue.
    pub fn new(queue: TxQueue) -> Self {
        Send { outlet: Outlet::new(queue) }
    }
}

impl<M: Copy + Default> Stage<M> for Send {
    #[inline]
    fn run(&mut self, batch: &mut Batch<M>, _cx: &mut Context) {
        self.outlet.push_all(batch);
    }

    #[inline]
    fn flush(&mut self, _cx: &mut Context) {
        self.outlet.flush();
    }

    fn finish(&mut self) {
        self.outlet.finish();
    }

    fn describe(&self, description: &mut Description) {
        description.outlets.push(self.outlet.counters().clone());
    }
}

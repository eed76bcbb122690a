//! What a stage may do besides working on its batch.

use super::{DropCounters, DropReason};
use crate::memory::{BURST, Batch, Mbuf};
use crate::telemetry::Counter;
use std::sync::Arc;

/// Counters of one polled queue.
#[derive(Debug, Default)]
pub struct SourceCounters {
    pub(crate) received: Counter,
    drops: DropCounters,
}

impl SourceCounters {
    /// Packets received.
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// What became of those that were dropped.
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }
}

/// Packets that stages made or used up.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    pub(crate) generated: Counter,
    pub(crate) consumed: Counter,
}

/// A stage's surroundings: where the batch came from, and the doors that are not ports.
///
/// Dropped packets are counted at once and freed in bulk. They are charged to the queue that
/// [`Context::source`] names, also those that a stage generated: what is lost is in the counters of some
/// queue as long as there is one.
pub struct Context {
    sources: Vec<Arc<SourceCounters>>,
    source: usize,
    /// Where drops are counted while no queue is polled at all.
    without_source: Arc<SourceCounters>,
    flow: Arc<Flow>,
    /// Of the generated, those since this was taken.
    fresh: u64,
    trash: Batch<(), 64>,
}

impl Context {
    /// For `sources` queues. Workers make their own; this is for tests and tools.
    pub fn new(sources: usize) -> Self {
        let sources = (0..sources).map(|_| Arc::default()).collect();
        Context {
            sources,
            source: 0,
            without_source: Arc::default(),
            flow: Arc::default(),
            fresh: 0,
            trash: Batch::new(),
        }
    }

    /// The position, among the polled queues, of the one that the batch came from. While stages generate
    /// or flush, that of the last one that had packets.
    #[inline]
    pub fn source(&self) -> usize {
        self.source
    }

    /// Says that the next batch comes from another queue. Workers do; this is for tests and tools.
    ///
    /// # Panics
    /// When there is no such queue.
    #[inline]
    pub fn set_source(&mut self, source: usize) {
        assert!(source < self.sources.len());
        self.source = source;
    }

    /// Counters of one of the polled queues.
    ///
    /// # Panics
    /// When there is no such queue.
    pub fn source_counters(&self, source: usize) -> &Arc<SourceCounters> {
        &self.sources[source]
    }

    /// Drops a packet.
    #[inline]
    pub fn drop(&mut self, packet: Mbuf, reason: DropReason) {
        self.counters().drops.add(reason, packet.len());
        self.discard(packet);
    }

    /// Counts `packets` packets of `bytes` each that a stage said it generated, or took out of its
    /// batch, and that are gone already.
    pub fn lost(&mut self, packets: u64, bytes: usize, reason: DropReason) {
        self.counters().drops.add_many(reason, packets, bytes);
    }

    /// Drops the packets for which `decide` returns a reason; the others stay, in order.
    #[inline]
    pub fn drop_if<M: Copy + Default>(
        &mut self,
        batch: &mut Batch<M>,
        mut decide: impl FnMut(&mut Mbuf, &mut M) -> Option<DropReason>,
    ) {
        // For all of them first: most batches keep every packet, and then none has to be moved.
        let mut reasons = [DropReason::UNROUTED; BURST];
        let mut dropped = 0_u32;
        for (at, ((packet, meta), reason)) in batch.iter_mut().zip(&mut reasons).enumerate() {
            if let Some(why) = decide(packet, meta) {
                *reason = why;
                dropped |= 1 << at;
            }
        }
        if dropped != 0 {
            let mut reasons = (0..).zip(reasons);
            let mut decided = || reasons.next().and_then(|(at, reason)| (dropped >> at & 1 != 0).then_some(reason));
            batch.remove_if(|_, _| decided(), |packet, _, reason| self.drop(packet, reason));
        }
    }

    /// Drops a whole batch.
    pub fn drop_all<M: Copy + Default>(&mut self, batch: &mut Batch<M>, reason: DropReason) {
        for (packet, _) in batch.drain() {
            self.drop(packet, reason);
        }
    }

    #[inline]
    fn counters(&self) -> &SourceCounters {
        self.sources.get(self.source).unwrap_or(&self.without_source)
    }

    /// Uses a whole batch up.
    #[inline]
    pub fn consume_all<M: Copy + Default>(&mut self, batch: &mut Batch<M>) {
        self.flow.consumed.add(batch.len() as u64);
        batch.clear();
    }

    /// Uses a packet up: it was for this host, or its content was taken.
    #[inline]
    pub fn consume(&mut self, packet: Mbuf) {
        self.flow.consumed.add(1);
        self.discard(packet);
    }

    /// Says that a stage took `packets` packets out of its batch itself, to go on elsewhere: they count as used up
    /// here.
    #[inline]
    pub fn handed_over(&mut self, packets: u64) {
        self.flow.consumed.add(packets);
    }

    /// Says that a stage made `packets` packets, which leave by a door as the others do.
    #[inline]
    pub fn generated(&mut self, packets: u64) {
        self.flow.generated.add(packets);
        self.fresh += packets;
    }

    #[inline]
    fn discard(&mut self, packet: Mbuf) {
        if let Err(packet) = self.trash.push(packet, ()) {
            self.empty_trash();
            drop(self.trash.push(packet, ()));
        }
    }

    pub(crate) fn empty_trash(&mut self) {
        self.trash.clear();
    }

    /// Counters of what was dropped while no queue was polled.
    pub(crate) fn without_source(&self) -> &Arc<SourceCounters> {
        &self.without_source
    }

    pub(crate) fn add_source(&mut self, counters: Arc<SourceCounters>) {
        self.sources.push(counters);
    }

    pub(crate) fn remove_source(&mut self, at: usize) {
        self.source = 0;
        self.sources.remove(at);
    }

    /// Runs `work`; returns how many packets stages said meanwhile that they generated.
    #[inline]
    pub(crate) fn generated_by(&mut self, work: impl FnOnce(&mut Self)) -> usize {
        self.fresh = 0;
        work(self);
        self.fresh as usize
    }

    pub(crate) fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }
}

//! A group of RX queues, polled by one worker through one pipeline.

use super::mailbox::Mailbox;
use crate::error::Result;
use crate::memory::Batch;
use crate::pipeline::{Context, Description, DropReason, Flow, OutletCounters, SourceCounters, Stage, Totals};
use crate::port::RxQueue;
use crate::telemetry::StageStats;
use std::sync::{Arc, Mutex, PoisonError};

/// What a worker holds of a group: the queues and the pipeline. Closures given to
/// [`Poller::call`] get at it.
pub struct Poll<M: Copy + Default, S> {
    queues: Vec<Source>,
    stage: S,
    cx: Context,
    batch: Batch<M>,
    burst: usize,
    /// Full bursts that are taken from a queue before the next one has its turn.
    in_a_row: usize,
    /// Whether the worker waits for interrupts of the queues.
    listening: bool,
}

/// A queue with its counters, which the context has too.
struct Source {
    queue: RxQueue,
    counters: Arc<SourceCounters>,
}

impl<M: Copy + Default, S: Stage<M>> Poll<M, S> {
    /// The pipeline.
    pub fn stage_mut(&mut self) -> &mut S {
        &mut self.stage
    }

    /// Adds a queue; returns its position, which is what [`Context::source`] says of its packets.
    ///
    /// # Errors
    /// When the worker waits for interrupts and the queue has none. It is dropped then.
    pub fn add(&mut self, queue: RxQueue, counters: Arc<SourceCounters>) -> Result<usize> {
        if self.listening {
            queue.listen()?;
        }
        self.queues.push(Source { queue, counters: counters.clone() });
        self.cx.add_source(counters);
        Ok(self.queues.len() - 1)
    }

    /// Takes out the queue at `position`. Those behind it move up by one.
    ///
    /// # Panics
    /// When there is none.
    pub fn remove(&mut self, position: usize) -> (RxQueue, Arc<SourceCounters>) {
        let Source { queue, counters } = self.queues.remove(position);
        if self.listening {
            queue.ignore();
        }
        self.cx.remove_source(position);
        (queue, counters)
    }

    /// Lets the queues of a port rest, by DPDK's number of it, so that it can be
    /// [restarted](crate::port::Port::restart), or polls them again. Outlets to it are the stage's matter.
    ///
    /// # Errors
    /// When the worker waits for interrupts and a queue that is to be polled again has none.
    pub fn rest(&mut self, port: u16, on: bool) -> Result<()> {
        let listening = self.listening;
        let mut outcome = Ok(());
        let queues = self.queues.iter_mut().map(|source| &mut source.queue);
        for queue in queues.filter(|queue| queue.port().id() == port) {
            if listening && on {
                queue.ignore();
            }
            queue.rest(on);
            if listening && !on {
                outcome = outcome.and(queue.listen());
            }
        }
        outcome
    }

    /// Has stages generate and polls every queue; returns how many packets that brought.
    #[inline]
    fn round(&mut self) -> usize {
        let mut received = self.generate();
        // What stages make themselves is to have its share.
        let bursts = if received == 0 { self.in_a_row } else { 1 };
        let (mut at, mut left) = (0, bursts);
        while let Some(Source { queue, counters }) = self.queues.get_mut(at) {
            let count = queue.receive_at_most(&mut self.batch, self.burst);
            if count > 0 {
                received += count;
                counters.received.add(count as u64);
                self.cx.set_source(at);
                self.stage.run(&mut self.batch, &mut self.cx);
                if !self.batch.is_empty() {
                    drop_unrouted(&mut self.batch, &mut self.cx);
                }
            }
            left -= 1;
            if count < self.burst || left == 0 {
                (at, left) = (at + 1, bursts);
            }
        }
        self.stage.flush(&mut self.cx);
        self.cx.empty_trash();
        received
    }

    #[inline]
    fn generate(&mut self) -> usize {
        self.make(S::generate)
    }

    /// Runs what adds packets to the batch; returns how many were made.
    #[inline]
    fn make(&mut self, work: impl FnOnce(&mut S, &mut Batch<M>, &mut Context)) -> usize {
        let (stage, batch) = (&mut self.stage, &mut self.batch);
        self.cx.generated_by(|cx| {
            work(stage, batch, cx);
            if !batch.is_empty() {
                drop_unrouted(batch, cx);
            }
        })
    }
}

/// What came out of the end of a pipeline.
#[cold]
#[inline(never)]
fn drop_unrouted<M: Copy + Default>(batch: &mut Batch<M>, cx: &mut Context) {
    cx.drop_all(batch, DropReason::UNROUTED);
}

/// What a worker runs, whatever its types.
pub(super) trait Task: Send {
    fn round(&mut self) -> usize;
    fn listen(&mut self) -> Result<()>;
    fn ignore(&mut self);
    fn arm(&self, on: bool);
    fn flush(&mut self);
    fn finish(&mut self);
    fn close(&mut self);
}

pub(super) struct Running<M: Copy + Default, S> {
    poll: Poll<M, S>,
    mailbox: Arc<Mailbox<Poll<M, S>>>,
}

impl<M: Copy + Default + Send, S: Stage<M>> Task for Running<M, S> {
    #[inline]
    fn round(&mut self) -> usize {
        self.mailbox.serve(&mut self.poll);
        self.poll.round()
    }

    fn listen(&mut self) -> Result<()> {
        self.poll.listening = true;
        self.poll.queues.iter().try_for_each(|source| source.queue.listen())
    }

    fn ignore(&mut self) {
        if std::mem::take(&mut self.poll.listening) {
            self.poll.queues.iter().for_each(|source| source.queue.ignore());
        }
    }

    fn arm(&self, on: bool) {
        self.poll.queues.iter().for_each(|source| source.queue.arm(on));
    }

    fn flush(&mut self) {
        self.poll.stage.flush(&mut self.poll.cx);
        self.poll.cx.empty_trash();
    }

    fn finish(&mut self) {
        while self.poll.make(S::drain) > 0 {}
        self.poll.stage.finish();
        self.poll.cx.empty_trash();
    }

    fn close(&mut self) {
        self.mailbox.serve(&mut self.poll);
        self.mailbox.close();
    }
}

impl<M: Copy + Default, S> Drop for Running<M, S> {
    fn drop(&mut self) {
        // Also when the worker panicked: who waits for an answer must not wait for ever.
        self.mailbox.close();
    }
}

/// What the control side knows of a group, also of parts of it that are gone.
struct Known {
    flow: Arc<Flow>,
    without_source: Arc<SourceCounters>,
    sources: Mutex<Vec<Arc<SourceCounters>>>,
    description: Mutex<Description>,
}

/// The control side's handle on a group of queues that a worker polls. Cheap to clone.
pub struct Poller<M: Copy + Default, S> {
    mailbox: Arc<Mailbox<Poll<M, S>>>,
    known: Arc<Known>,
}

impl<M: Copy + Default, S> Clone for Poller<M, S> {
    fn clone(&self) -> Self {
        Poller { mailbox: self.mailbox.clone(), known: self.known.clone() }
    }
}

/// Makes both ends of a group.
pub(super) fn group<M: Copy + Default + Send, S: Stage<M>>(
    queues: Vec<RxQueue>,
    stage: S,
    burst: usize,
    in_a_row: usize,
) -> (Running<M, S>, Poller<M, S>) {
    let cx = Context::new(queues.len());
    let mut description = Description::default();
    stage.describe(&mut description);
    let known = Known {
        flow: cx.flow().clone(),
        without_source: cx.without_source().clone(),
        sources: Mutex::new((0..queues.len()).map(|at| cx.source_counters(at).clone()).collect()),
        description: Mutex::new(description),
    };
    let mailbox = Arc::new(Mailbox::new());
    let poller = Poller { mailbox: mailbox.clone(), known: Arc::new(known) };
    let source = |(at, queue)| Source { queue, counters: cx.source_counters(at).clone() };
    let queues = queues.into_iter().enumerate().map(source).collect();
    let poll = Poll { queues, stage, cx, batch: Batch::new(), burst, in_a_row, listening: false };
    (Running { poll, mailbox }, poller)
}

impl<M: Copy + Default + Send + 'static, S: Stage<M> + 'static> Poller<M, S> {
    /// Has the worker run `work` between two batches, waits for it and returns what it returned.
    ///
    /// Swapping a table for another one, for example, loses no packet; the old one is returned, and
    /// freed on this side.
    ///
    /// # Errors
    /// [`Error::Stopped`](crate::Error::Stopped) when the worker does not run any more. Waits for
    /// ever for a runtime that is never started.
    pub fn call<R: Send + 'static>(&self, work: impl FnOnce(&mut Poll<M, S>) -> R + Send + 'static) -> Result<R> {
        self.mailbox.call(work)
    }

    /// Adds a queue to those polled; returns its position.
    ///
    /// # Errors
    /// As [`call`](Poller::call) and [`Poll::add`].
    pub fn add_queue(&self, queue: RxQueue) -> Result<usize> {
        let counters = Arc::new(SourceCounters::default());
        lock(&self.known.sources).push(counters.clone());
        self.call(move |poll| poll.add(queue, counters))?
    }

    /// Takes the queue at `position` out. Those behind it move up by one. Its counters stay known.
    pub fn remove_queue(&self, position: usize) -> Result<Option<RxQueue>> {
        self.call(move |poll| (position < poll.queues.len()).then(|| poll.remove(position).0))
    }

    /// Makes an outlet that was added while running known to [`Poller::totals`].
    pub fn add_outlet(&self, counters: Arc<OutletCounters>) {
        lock(&self.known.description).outlets.push(counters);
    }

    /// Counters of the queues, in order; those of queues that were removed stay.
    pub fn sources(&self) -> Vec<Arc<SourceCounters>> {
        lock(&self.known.sources).clone()
    }

    /// Counters of the stages, in order.
    pub fn stages(&self) -> Vec<Arc<StageStats>> {
        lock(&self.known.description).stages.clone()
    }

    /// Counters of the ways out.
    pub fn outlets(&self) -> Vec<Arc<OutletCounters>> {
        lock(&self.known.description).outlets.clone()
    }

    /// Where the packets went so far. Balanced when the worker has stopped, or as it happens.
    pub fn totals(&self) -> Totals {
        self.known.totals()
    }
}

impl Known {
    fn totals(&self) -> Totals {
        let mut totals =
            Totals { generated: self.flow.generated.get(), consumed: self.flow.consumed.get(), ..Totals::default() };
        totals.dropped += self.without_source.drops().total();
        for source in lock(&self.sources).iter() {
            totals.received += source.received();
            totals.dropped += source.drops().total();
        }
        for outlet in &lock(&self.description).outlets {
            totals.relayed += outlet.relayed();
            totals.generated += outlet.cut();
            totals.sent += outlet.sent();
            totals.dropped += outlet.drops().total();
            totals.pending += outlet.pending();
        }
        totals
    }
}

/// Reads the totals of a group of any type.
pub(super) type ReadTotals = Box<dyn Fn() -> Totals + Send>;

impl<M: Copy + Default, S> Poller<M, S> {
    pub(super) fn totals_reader(&self) -> ReadTotals {
        let known = self.known.clone();
        Box::new(move || known.totals())
    }
}

/// These lists are only pushed to, so one that a panic interrupted is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

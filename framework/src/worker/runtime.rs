//! The workers of an application: made, started, watched and stopped together.

use super::idle::{Quiet, Rest};
use super::placement::isolated_cores;
use super::poll::{ReadTotals, Task, group};
use super::{Idle, Poller};
use crate::eal::Eal;
use crate::error::{Error, Result};
use crate::memory::BURST;
use crate::pipeline::{Stage, Totals};
use crate::port::RxQueue;
use crate::telemetry::{Counter, Histogram, cycles};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The cores that workers of this process may run on, in order: those it may run on itself, and isolated
/// ones, on which it is only if it was put there.
pub fn cores() -> Vec<usize> {
    let mut cores = isolated_cores(Path::new("/"));
    cores.extend(core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id));
    if cores.is_empty() { vec![0] } else { cores.into_iter().collect() }
}

/// Set by the first SIGINT or SIGTERM; the second ends the process at once.
pub fn signals() -> std::io::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, asked.clone())?;
        signal_hook::flag::register(signal, asked.clone())?;
    }
    Ok(asked)
}

/// What a worker has been doing. One worker writes, anybody reads.
#[derive(Debug, Default)]
pub struct WorkerStats {
    rounds: Counter,
    busy_rounds: Counter,
    sleeps: Counter,
    round_cycles: Histogram,
}

impl WorkerStats {
    /// Times that every queue was polled.
    pub fn rounds(&self) -> u64 {
        self.rounds.get()
    }

    /// Rounds that found packets.
    pub fn busy_rounds(&self) -> u64 {
        self.busy_rounds.get()
    }

    /// Times it slept.
    pub fn sleeps(&self) -> u64 {
        self.sleeps.get()
    }

    /// TSC cycles that a round took, of one round in 64 that found packets.
    pub fn round_cycles(&self) -> &Histogram {
        &self.round_cycles
    }
}

/// One worker, before the start.
pub struct Worker {
    core: usize,
    idle: Idle,
    burst: usize,
    in_a_row: usize,
    tasks: Vec<Box<dyn Task>>,
    totals: Vec<ReadTotals>,
    stats: Arc<WorkerStats>,
}

impl Worker {
    /// What it does when nothing arrives. Default: [`Idle::SOFTWARE`].
    pub fn idle(&mut self, policy: Idle) -> &mut Self {
        self.idle = policy;
        self
    }

    /// Packets taken from a queue at a time, 1 to 32, for groups added after this. Default 32.
    pub fn burst(&mut self, packets: usize) -> &mut Self {
        self.burst = packets.clamp(1, BURST);
        self
    }

    /// Full bursts that are taken from a queue before the next one has its turn, at least 1, for groups added after this.
    /// Default 1. With more, what is done once a round is done for all of them, and packets wait longer for it: which is
    /// worth it for pipelines that do nearly nothing.
    pub fn bursts_in_a_row(&mut self, most: usize) -> &mut Self {
        self.in_a_row = most.max(1);
        self
    }

    /// Polls a group of queues and runs what arrives through `stage`.
    pub fn poll<M, S>(&mut self, queues: impl IntoIterator<Item = RxQueue>, stage: S) -> Poller<M, S>
    where
        M: Copy + Default + Send + 'static,
        S: Stage<M> + 'static,
    {
        let (task, poller) = group(queues.into_iter().collect(), stage, self.burst, self.in_a_row);
        self.tasks.push(Box::new(task));
        self.totals.push(poller.totals_reader());
        poller
    }

    /// Its counters.
    pub fn stats(&self) -> &Arc<WorkerStats> {
        &self.stats
    }

    /// The core it is pinned to.
    pub fn core(&self) -> usize {
        self.core
    }
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Workers that still poll.
    polling: AtomicUsize,
    /// Workers that have ended, by a panic or as asked.
    ended: AtomicUsize,
}

/// One of those that still poll, until it is dropped: also by a panic, since others wait for it.
struct Polling(Arc<Shared>);

impl Polling {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.polling.fetch_add(1, Ordering::SeqCst);
        Polling(shared.clone())
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.0.polling.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Started {
    core: usize,
    thread: JoinHandle<Result<Vec<Box<dyn Task>>>>,
}

/// The workers of an application.
///
/// Dropping a running one stops it.
pub struct Runtime {
    eal: Eal,
    waiting: Vec<Worker>,
    running: Vec<Started>,
    totals: Vec<ReadTotals>,
    shared: Arc<Shared>,
    share_cores: bool,
}

impl Runtime {
    /// Without any worker yet.
    pub fn new(eal: &Eal) -> Self {
        Runtime {
            eal: eal.clone(),
            waiting: Vec::new(),
            running: Vec::new(),
            totals: Vec::new(),
            shared: Arc::default(),
            share_cores: false,
        }
    }

    /// Allows several workers on one core, which then take turns at the scheduler's pleasure: for
    /// tests and small machines.
    pub fn share_cores(&mut self, allow: bool) -> &mut Self {
        self.share_cores = allow;
        self
    }

    /// Makes a worker on a core.
    ///
    /// # Errors
    /// [`Error::NoSuchCore`], or [`Error::CoreTaken`] unless cores may be shared.
    pub fn worker(&mut self, core: usize) -> Result<&mut Worker> {
        let there = cores();
        if !there.contains(&core) {
            let allowed = there.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            return Err(Error::NoSuchCore { core, allowed });
        }
        let mut taken = self.waiting.iter().map(Worker::core).chain(self.running.iter().map(|worker| worker.core));
        if !self.share_cores && taken.any(|other| other == core) {
            return Err(Error::CoreTaken { core });
        }
        self.waiting.push(Worker {
            core,
            idle: Idle::default(),
            burst: BURST,
            in_a_row: 1,
            tasks: Vec::new(),
            totals: Vec::new(),
            stats: Arc::default(),
        });
        Ok(self.waiting.last_mut().expect("pushed above"))
    }

    /// Starts the workers' threads. Workers added later need another start.
    ///
    /// # Errors
    /// [`Error::Thread`] when the system makes no thread.
    pub fn start(&mut self) -> Result<()> {
        for mut worker in std::mem::take(&mut self.waiting) {
            let core = worker.core;
            self.totals.append(&mut worker.totals);
            let (shared, eal) = (self.shared.clone(), self.eal.clone());
            let polling = Polling::new(&shared);
            let spawned = std::thread::Builder::new()
                .name(format!("iogate-{core}"))
                .spawn(move || run(worker, polling, &shared, eal))
                .map_err(|cause| Error::Thread { core, cause });
            self.running.push(Started { core, thread: spawned? });
        }
        Ok(())
    }

    /// Starts, waits until `asked` is set or a worker fails, and stops: see [`Runtime::stop`].
    pub fn run_until(&mut self, asked: &AtomicBool) -> Result<Totals> {
        self.start()?;
        while !asked.load(Ordering::Relaxed) && !self.failed() {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.stop()
    }

    /// Whether a worker has ended without having been asked to.
    pub fn failed(&self) -> bool {
        self.shared.ended.load(Ordering::SeqCst) > 0 && !self.shared.stop.load(Ordering::SeqCst)
    }

    /// Where the packets of all workers went so far.
    pub fn totals(&self) -> Totals {
        self.totals.iter().fold(Totals::default(), |sum, read| sum.plus(read()))
    }

    /// Stops polling, sends what waits, joins the threads, and gives back queues and pipelines.
    /// Afterwards workers can be made and started anew; totals go on from where they were.
    ///
    /// # Errors
    /// [`Error::Panicked`] or a worker's own error; the others are stopped all the same.
    pub fn stop(&mut self) -> Result<Totals> {
        self.shared.stop.store(true, Ordering::SeqCst);
        let mut first_error = None;
        for Started { core, thread } in self.running.drain(..) {
            let ended = thread
                .join()
                .unwrap_or_else(|_| Err(Error::Panicked { core, message: "outside of its loop".to_owned() }));
            match ended {
                // Queues and stages are dropped here, so that ports are closed by this thread.
                Ok(tasks) => drop(tasks),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        // For workers that are started later.
        self.shared = Arc::default();
        match first_error {
            Some(error) => Err(error),
            None => Ok(self.totals()),
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if !self.running.is_empty()
            && let Err(error) = self.stop()
        {
            tracing::error!("{error}");
        }
    }
}

/// A worker's thread. EAL is kept until it has unregistered.
fn run(worker: Worker, polling: Polling, shared: &Shared, _eal: Eal) -> Result<Vec<Box<dyn Task>>> {
    let core = worker.core;
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        tracing::warn!("worker on core {core}: cannot be pinned, so it runs where the system puts it");
    }
    fine_sleep();
    // SAFETY: registers this thread with EAL, for the pools' caches; undone below.
    let registered = unsafe { dpdk_sys::rte_thread_register() } == 0;
    if !registered {
        tracing::warn!("worker on core {core}: EAL has no room for another thread, so its pools have no cache");
    }
    // A panic must not unwind into whoever called, and must not go unseen.
    let ended = catch_unwind(AssertUnwindSafe(|| poll_until_stopped(worker, polling, shared)));
    shared.ended.fetch_add(1, Ordering::SeqCst);
    if registered {
        // SAFETY: registered above, by this thread.
        unsafe { dpdk_sys::rte_thread_unregister() };
    }
    ended.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
        let message = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Error::Panicked { core, message })
    })
}

fn poll_until_stopped(mut worker: Worker, polling: Polling, shared: &Shared) -> Result<Vec<Box<dyn Task>>> {
    let mut outcome = Ok(());
    if worker.idle == Idle::Interrupt {
        outcome = worker.tasks.iter_mut().try_for_each(|task| task.listen());
    }
    if outcome.is_ok() {
        poll(&mut worker, shared);
    }
    worker.tasks.iter_mut().for_each(|task| task.close());
    worker.tasks.iter_mut().for_each(|task| task.ignore());
    if outcome.is_err() {
        return outcome.map(|()| Vec::new());
    }
    worker.tasks.iter_mut().for_each(|task| task.finish());
    drop(polling);
    // Others may still hand packets over, until they have finished too.
    while shared.polling.load(Ordering::SeqCst) > 0 {
        worker.tasks.iter_mut().for_each(|task| task.flush());
        std::thread::sleep(Duration::from_micros(200));
    }
    worker.tasks.iter_mut().for_each(|task| task.finish());
    Ok(worker.tasks)
}

// A function of its own, which profilers and `iogate-bench instructions` find by its name.
#[inline(never)]
fn poll(worker: &mut Worker, shared: &Shared) {
    let stats = worker.stats.clone();
    let tasks = &mut worker.tasks;
    let mut quiet = Quiet::new(worker.idle);
    let mut timed = 0_u32;
    while !shared.stop.load(Ordering::Relaxed) {
        timed = timed.wrapping_add(1);
        let before = if timed.is_multiple_of(64) { cycles() } else { 0 };
        let packets = tasks.iter_mut().map(|task| task.round()).sum();
        stats.rounds.add(1);
        if packets > 0 {
            stats.busy_rounds.add(1);
            if before != 0 {
                stats.round_cycles.record(cycles().wrapping_sub(before));
            }
        }
        match quiet.after(packets) {
            Rest::None => {}
            Rest::Pause => std::hint::spin_loop(),
            Rest::Sleep(time) => {
                stats.sleeps.add(1);
                std::thread::sleep(time);
            }
            Rest::Interrupt => {
                tasks.iter().for_each(|task| task.arm(true));
                // What came in before they were armed wakes nobody.
                if tasks.iter_mut().map(|task| task.round()).sum::<usize>() == 0 {
                    stats.sleeps.add(1);
                    RxQueue::wait(LONGEST_WAIT_MS);
                }
                tasks.iter().for_each(|task| task.arm(false));
            }
        }
    }
}

/// Messages and a stop are seen this late at most by a worker that waits for interrupts.
const LONGEST_WAIT_MS: i32 = 20;

/// The kernel rounds a thread's sleeps up by 50 us unless told otherwise, which is as long as a
/// worker's longest.
fn fine_sleep() {
    // SAFETY: changes one number of the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000_u64) };
}

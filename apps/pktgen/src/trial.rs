//! Trials: so many frames, so fast, for so long, and what became of them.
//!
//! A [`Tester`] has senders and receivers on the workers of a [`Runtime`], which may have other things to do besides, a
//! device under test for example. It runs one [`Trial`] after the other:
//!
//! ```
//! use iogate::prelude::*;
//! use iogate_pktgen::frame::Prepared;
//! use iogate_pktgen::rate::Rate;
//! use iogate_pktgen::template::Template;
//! use iogate_pktgen::trial::{Tester, Trial};
//!
//! let eal = Eal::builder().memory_mb(64).start()?;
//! let pool = eal.pool("frames").buffers(4096).create()?;
//! // What is sent comes back.
//! let port = eal.port(&"ring".parse()?).pool(&pool).start()?;
//!
//! let mut runtime = Runtime::new(&eal);
//! let worker = runtime.worker(iogate::worker::cores()[0])?.idle(Idle::Spin);
//! let mut tester = Tester::default();
//! tester.send_from(worker, port.tx(0)?, &pool);
//! tester.receive_on(worker, [port.rx(0)?]);
//! runtime.start()?;
//!
//! let template = Template::line("ethernet/ipv4,dst=198.18.1.0..198.18.1.255/udp", "64").expect("a good template");
//! let trial = Trial {
//!     count: Some(1000),
//!     ..Trial::new(Prepared::new(&template).expect("it fits"), Rate::Packets(10_000.0).pace(None, 672.0).expect("a rate"))
//! };
//! let outcome = tester.run(&trial)?;
//! assert_eq!((outcome.sent(), outcome.lost()), (1000, 0));
//! println!("99 % within {} ns", outcome.latency().value_at_quantile(0.99));
//! # runtime.stop()?;
//! # Ok::<(), anyhow::Error>(())
//! ```

use crate::capture::Tap;
use crate::frame::Prepared;
use crate::outcome::{Ended, Outcome, StreamOutcome, merged};
use crate::pace::Pacer;
use crate::rate::{Pace, Unit};
use crate::receive::{Expected, ReceiveCounters, Receiver, Watch};
use crate::send::{Load, Order, SendCounters, Sender};
use hdrhistogram::Histogram;
use iogate::port::Port;
use iogate::prelude::*;
use iogate::telemetry::{cycles, cycles_per_second};
use iogate::worker::Worker;
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What to send, and for how long.
#[derive(Clone)]
pub struct Trial {
    /// The frames.
    pub frames: Prepared,
    /// How fast, all senders together.
    pub pace: Pace,
    /// For how long; nothing for no end.
    pub duration: Option<Duration>,
    /// How many frames, all senders together; nothing for no end.
    pub count: Option<u64>,
    /// Frames in a burst at most, 1 to 32. Fewer go when fewer are due.
    pub burst: usize,
    /// For how long back frames that are late are still sent. Default 10 ms.
    pub catch_up: Duration,
    /// How long to wait for what has not come back when everything is sent. Default 1 s.
    pub drain: Duration,
    /// Where copies of what comes back go.
    pub tap: Option<Tap>,
}

impl Trial {
    /// Without end.
    pub fn new(frames: Prepared, pace: Pace) -> Self {
        Trial {
            frames,
            pace,
            duration: None,
            count: None,
            burst: BURST,
            catch_up: Duration::from_millis(10),
            drain: Duration::from_secs(1),
            tap: None,
        }
    }
}

/// Runs trials; see the [module](self).
#[derive(Default)]
pub struct Tester {
    senders: Vec<Poller<(), Sender>>,
    receivers: Vec<Poller<(), Receiver>>,
    ports: Vec<Port>,
    /// Those whose link was up in one of the trials.
    seen_up: RefCell<Vec<u16>>,
}

impl Tester {
    /// Adds a sender to a worker. Together all senders send what one would.
    pub fn send_from(&mut self, worker: &mut Worker, queue: TxQueue, pool: &MbufPool) {
        self.add_port(queue.port());
        self.senders.push(worker.poll([], Sender::new(queue, pool)));
    }

    /// Adds a receiver to a worker.
    pub fn receive_on(&mut self, worker: &mut Worker, queues: impl IntoIterator<Item = RxQueue>) {
        let queues: Vec<RxQueue> = queues.into_iter().collect();
        queues.iter().for_each(|queue| self.add_port(queue.port()));
        self.receivers.push(worker.poll(queues, Receiver::default()));
    }

    fn add_port(&mut self, port: &Port) {
        if self.ports.iter().all(|known| known.id() != port.id()) {
            self.ports.push(port.clone());
        }
    }

    /// Runs a trial to its end.
    ///
    /// # Errors
    /// When a worker has stopped.
    pub fn run(&self, trial: &Trial) -> iogate::Result<Outcome> {
        self.run_watched(trial, Duration::from_secs(1), &|| false, |_| ControlFlow::Continue(()))
    }

    /// As [`run`](Tester::run), until `asked` says that somebody wants it to end. `watch` is told what has come so far
    /// every `interval`, and may end it too.
    ///
    /// # Errors
    /// As [`run`](Tester::run).
    pub fn run_watched(
        &self,
        trial: &Trial,
        interval: Duration,
        asked: &dyn Fn() -> bool,
        mut watch: impl FnMut(&Outcome) -> ControlFlow<()>,
    ) -> iogate::Result<Outcome> {
        let mut running = Running::begin(self, trial)?;
        let mut next = Instant::now() + interval;
        let ended = loop {
            std::thread::sleep(LOOK.min(interval));
            if running.is_sent() {
                break running.lost_at_the_end().map_or(Ended::Complete, Ended::Lost);
            }
            if asked() {
                break Ended::Asked;
            }
            if let Some(lost) = running.lost() {
                break Ended::Lost(lost);
            }
            if Instant::now() >= next {
                next += interval;
                if watch(&running.outcome(Ended::Running)).is_break() {
                    break Ended::Asked;
                }
            }
        };
        running.over = Some(cycles());
        // What was counted stands also when a worker does not answer any more.
        let failed = |error: iogate::Error| Ended::Lost(error.to_string());
        let ends = self.senders.iter().map(|sender| sender.call(|poll| poll.stage_mut().end()).map(drop));
        let ended = ends.collect::<iogate::Result<()>>().map_or_else(failed, |()| ended);
        running.drain(trial.drain);
        let ends = self.receivers.iter().map(|receiver| receiver.call(|poll| poll.stage_mut().end()).map(drop));
        let ended = ends.collect::<iogate::Result<()>>().map_or_else(failed, |()| ended);
        Ok(running.outcome(ended))
    }
}

/// How often it is looked whether everything is sent.
const LOOK: Duration = Duration::from_millis(2);
/// How often ports are asked for their links, and how often in a row one must be down to be taken for lost.
const ASK_PORTS: Duration = Duration::from_millis(100);
const DOWN_IN_A_ROW: u32 = 5;
/// For how long a port may take nothing of a load that has a number of frames, but no time in which to send them.
const STUCK: Duration = Duration::from_secs(10);

/// A trial on its way.
struct Running<'a> {
    tester: &'a Tester,
    trial: &'a Trial,
    sent: Vec<Arc<SendCounters>>,
    received: Vec<Arc<ReceiveCounters>>,
    started: u64,
    /// When it ended, before what was on its way was waited for.
    over: Option<u64>,
    asked: Instant,
    /// For each port that was up at the start or before, how often in a row it was down.
    up: Vec<(Port, u32)>,
    progress: Progress,
}

/// When frames went on last, or did not have to.
struct Progress {
    at: Instant,
    /// Of all frames made by then.
    wire_bits: u64,
    /// Rounds in which a port had taken nothing.
    held: u64,
}

impl<'a> Running<'a> {
    fn begin(tester: &'a Tester, trial: &'a Trial) -> iogate::Result<Self> {
        let workers = tester.senders.len() as u16;
        let channels = trial.frames.channels(workers);
        let streams = trial.frames.names().len();
        let sent: Vec<_> = tester.senders.iter().map(|_| Arc::new(SendCounters::new(channels))).collect();
        let received: Vec<_> = tester.receivers.iter().map(|_| Arc::new(ReceiveCounters::new(streams))).collect();
        let begun = cycles();
        for (receiver, counters) in tester.receivers.iter().zip(&received) {
            let watch = Watch::new(Expected {
                senders: sent.clone(),
                channels_per_stream: workers,
                begun,
                tap: trial.tap.clone(),
                counters: counters.clone(),
            });
            drop(receiver.call(|poll| poll.stage_mut().begin(watch))?);
        }
        let (hz, started) = (cycles_per_second(), cycles());
        for (number, (sender, counters)) in (0..).zip(tester.senders.iter().zip(&sent)) {
            let shared = u64::from(workers);
            let start = cycles();
            // A port that takes nothing is given up when it is that late.
            let late = trial.duration.unwrap_or(FOR_EVER).saturating_add(trial.catch_up).saturating_add(GRACE);
            let late = u64::try_from(late.as_nanos() * u128::from(hz) / 1_000_000_000).unwrap_or(u64::MAX);
            let load = Load::new(Order {
                traffic: trial.frames.worker(number, workers),
                pacer: Pacer::new(trial.pace.share(number, workers), hz, trial.catch_up, trial.duration, start),
                frames: trial.count.map(|count| count / shared + u64::from(u64::from(number) < count % shared)),
                burst: trial.burst,
                deadline: start.saturating_add(late),
                counters: counters.clone(),
            });
            drop(sender.call(|poll| poll.stage_mut().begin(load))?);
        }
        let mut seen_up = tester.seen_up.borrow_mut();
        for port in &tester.ports {
            if !seen_up.contains(&port.id()) && is_up(port) {
                seen_up.push(port.id());
            }
        }
        let up =
            tester.ports.iter().filter(|port| seen_up.contains(&port.id())).map(|port| (port.clone(), 0)).collect();
        let asked = Instant::now();
        let progress = Progress { at: asked, wire_bits: 0, held: 0 };
        Ok(Running { tester, trial, sent, received, started, over: None, asked, up, progress })
    }

    fn is_sent(&self) -> bool {
        self.sent.iter().all(|sender| sender.is_done())
    }

    /// What has gone away, if something has.
    fn lost(&mut self) -> Option<String> {
        if self.asked.elapsed() < ASK_PORTS {
            return None;
        }
        self.asked = Instant::now();
        if let Some(error) = self.tester.senders.iter().find_map(|sender| sender.call(|_| ()).err()) {
            return Some(error.to_string());
        }
        let mut lost = None;
        for (port, down) in &mut self.up {
            *down = if is_up(port) { 0 } else { *down + 1 };
            if *down >= DOWN_IN_A_ROW {
                lost = Some(format!("port {}: its link went down", port.spec()));
            }
        }
        lost.or_else(|| self.stuck())
    }

    /// Whether the ports take nothing any more: who has a time in which to send gives up after it.
    fn stuck(&mut self) -> Option<String> {
        let total = |count: fn(&SendCounters) -> u64| self.sent.iter().map(|sender| count(sender)).sum::<u64>();
        let (wire_bits, held) = (total(SendCounters::wire_bits), total(SendCounters::held));
        if wire_bits != self.progress.wire_bits || held == self.progress.held {
            self.progress = Progress { at: Instant::now(), wire_bits, held };
            return None;
        }
        self.progress.held = held;
        let is_stuck = self.trial.duration.is_none() && self.progress.at.elapsed() >= STUCK;
        is_stuck.then(|| format!("the port took nothing for {} s", STUCK.as_secs()))
    }

    /// What has gone away when everything seems to be sent, also within the last moment.
    fn lost_at_the_end(&mut self) -> Option<String> {
        while !self.up.iter().all(|(port, _)| is_up(port)) {
            if let Some(lost) = self.lost() {
                return Some(lost);
            }
            std::thread::sleep(ASK_PORTS);
        }
        None
    }

    /// Waits for what has not come back.
    fn drain(&self, most: Duration) {
        if self.tester.receivers.is_empty() {
            return;
        }
        let end = Instant::now() + most;
        // Frames without a stamp cannot be told from others': the whole time is for them.
        let missing = || {
            let outcome = self.outcome(Ended::Running);
            outcome.streams.iter().any(|stream| !stream.stamped || stream.received < stream.sent)
        };
        while Instant::now() < end && missing() {
            std::thread::sleep(LOOK);
        }
    }

    fn outcome(&self, ended: Ended) -> Outcome {
        let frames = &self.trial.frames;
        let workers = self.tester.senders.len();
        let (sent, received) = (&self.sent, &self.received);
        const FCS: u64 = crate::frame::size::FCS as u64;
        let stream = |(number, name): (usize, &String)| {
            let mut stream = StreamOutcome {
                name: name.clone(),
                stamped: frames.is_stamped(number),
                sent: 0,
                sent_bytes: 0,
                received: 0,
                received_bytes: 0,
                duplicates: 0,
                reordered: 0,
                furthest: 0,
                too_old: 0,
                latency: Histogram::new(3).expect("3 significant digits are allowed"),
            };
            for (worker, sender) in sent.iter().enumerate() {
                let channel = number * workers + worker;
                let counted = sender.channel(channel);
                let unsent = sender.unsent(channel);
                let packets = counted.packets() - unsent.packets();
                stream.sent += packets;
                stream.sent_bytes += counted.bytes() - unsent.bytes() + packets * FCS;
            }
            for receiver in received {
                let counters = receiver.stream(number);
                stream.received += counters.unique().packets();
                stream.received_bytes += counters.unique().bytes() + counters.unique().packets() * FCS;
                stream.duplicates += counters.duplicates();
                stream.reordered += counters.reordered();
                stream.furthest = stream.furthest.max(counters.furthest());
                stream.too_old += counters.too_old();
                stream.latency.add(counters.latency().snapshot()).expect("it grows as far as needed");
            }
            stream
        };
        let streams = frames.names().iter().enumerate().map(stream).collect();
        let last = sent.iter().map(|sender| sender.last()).max().unwrap_or(0);
        let given_up: u64 = sent.iter().map(|sender| sender.forgiven()).sum();
        let lateness: Vec<_> = sent.iter().map(|sender| sender.lateness().snapshot()).collect();
        let until = if ended == Ended::Complete { last } else { self.over.unwrap_or_else(cycles) };
        let ticks = until.saturating_sub(self.started) as f64;
        let elapsed = Duration::from_secs_f64(ticks / cycles_per_second().max(1) as f64);
        // The last frame's turn on the wire is a part of the time.
        let whole = self.trial.duration.filter(|_| ended == Ended::Complete && self.trial.count.is_none());
        Outcome {
            streams,
            elapsed: elapsed.max(whole.unwrap_or_default()),
            asked_fps: self.trial.pace.frames_per_second(frames.mean_wire_bits()),
            sent_wire_bits: sent.iter().map(|sender| sender.wire_bits()).sum(),
            received_wire_bits: received.iter().map(|receiver| receiver.wire_bits()).sum(),
            lateness: merged(lateness.iter()),
            given_up: match self.trial.pace.unit {
                Unit::Packets => given_up,
                Unit::Bits => (given_up as f64 / frames.mean_wire_bits()) as u64,
            },
            port_full: sent.iter().map(|sender| sender.held()).sum(),
            no_buffer: sent.iter().map(|sender| sender.dry()).sum(),
            other: received.iter().map(|receiver| receiver.other().packets()).sum(),
            implausible: received.iter().map(|receiver| receiver.implausible()).sum(),
            receives: !received.is_empty(),
            ended,
        }
    }
}

fn is_up(port: &Port) -> bool {
    port.link().is_ok_and(|link| link.up)
}

/// A trial without end.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// How long a port may take for the last frames.
const GRACE: Duration = Duration::from_millis(100);

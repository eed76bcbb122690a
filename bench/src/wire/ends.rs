//! What is at the other ends of the gateway's ports: a line that brings frames, and lines that take them.

use super::line::Line;
use super::presence::Presence;
use iogate::memory::{Batch, MbufPool};
use iogate::packet::Stamp;
use iogate::pipeline::{Context, Description, DropReason, Outlet, Stage};
use iogate::telemetry::{Counter, Histogram, cycles};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A frame that is sent again and again.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) bytes: Vec<u8>,
    /// Whether its last bytes are padding or payload, where a time may stand.
    pub(crate) stamped: bool,
}

/// What happened on the lines. The wire's worker writes.
#[derive(Debug, Default)]
pub(crate) struct WireCounters {
    /// Set to send.
    pub(crate) on: AtomicBool,
    /// Frames that the line brought.
    pub(crate) brought: Counter,
    /// Frames that lines took.
    pub(crate) taken: Counter,
    /// Frames that found a line with too much to do.
    pub(crate) congested: Counter,
    /// Ticks that the line was idle because this worker did not come.
    pub(crate) idle: Counter,
    /// Of the frames that found the gateway's port full, those that came while its worker was away or behind for it.
    pub(crate) excused: Counter,
    /// Ticks from a frame's last bit in to its first bit out (RFC 1242, section 3.8: store and forward).
    pub(crate) latency: Histogram,
    /// The same of frames that met neither worker away nor behind for it.
    pub(crate) undisturbed: Histogram,
}

/// The stage of the worker that plays the lines. Polls the far ends of the ports.
pub(crate) struct Ends {
    outlet: Outlet,
    pool: MbufPool,
    templates: Vec<Template>,
    next: usize,
    line_in: Line,
    /// By position of the polled queue.
    lines_out: Vec<Line>,
    /// Ticks of frames that wait before a line at most: a port's queue.
    most_waiting: u64,
    most_behind: u64,
    running: bool,
    /// Frames that found the gateway's port full so far.
    full: u64,
    gateway: Arc<Presence>,
    own: Arc<Presence>,
    counters: Arc<WireCounters>,
}

/// One in so many frames with room for it carries a time.
const SAMPLE: usize = 4;

impl Ends {
    /// Brings `templates` in turns, all of one length, to `outlet`; takes on as many lines as are polled.
    pub(crate) fn new(
        outlet: Outlet,
        pool: MbufPool,
        templates: Vec<Template>,
        line_in: Line,
        lines_out: Vec<Line>,
        gateway: Arc<Presence>,
        hz: u64,
    ) -> Ends {
        let microseconds = |count: u64| hz * count / 1_000_000;
        Ends {
            outlet,
            pool,
            templates,
            next: 0,
            line_in,
            lines_out,
            most_waiting: microseconds(300),
            most_behind: microseconds(50),
            running: false,
            full: 0,
            gateway,
            own: Arc::new(Presence::new(hz)),
            counters: Arc::default(),
        }
    }

    pub(crate) fn counters(&self) -> &Arc<WireCounters> {
        &self.counters
    }

    /// What is known of the worker that plays the lines.
    pub(crate) fn presence(&self) -> &Arc<Presence> {
        &self.own
    }
}

impl Stage for Ends {
    /// The frames that have arrived by now.
    fn generate(&mut self, batch: &mut Batch, cx: &mut Context) {
        let now = cycles();
        self.own.round(now);
        if !self.counters.on.load(Ordering::Relaxed) {
            self.running = false;
            return;
        }
        if !self.running || self.line_in.next_end(self.templates[0].bytes.len()) + self.most_behind < now {
            // A real line brings no burst afterwards because somebody was away.
            let idle = self.line_in.skip_to(now);
            if self.running {
                self.counters.idle.add(idle);
            }
            self.running = true;
        }
        let len = self.templates[0].bytes.len();
        let mut due = 0;
        let mut line = self.line_in.clone();
        while due < 32 && line.next_end(len) <= now {
            line.pass(0, len);
            due += 1;
        }
        let made = self.pool.alloc_packets(batch, due, len as u16);
        for packet in batch.packets_mut() {
            let end = self.line_in.pass(0, len).end;
            let template = &self.templates[self.next];
            self.next = if self.next + 1 == self.templates.len() { 0 } else { self.next + 1 };
            let bytes = packet.data_mut();
            bytes.copy_from_slice(&template.bytes);
            if template.stamped
                && self.next.is_multiple_of(SAMPLE)
                && let Ok(stamp) = Stamp::place_at_end(bytes)
            {
                stamp.set_time(end);
            }
        }
        if made == 0 {
            return;
        }
        cx.generated(made as u64);
        self.counters.brought.add(made as u64);
        // What finds no room is dropped there, as a card does whose queue is full.
        self.outlet.push_all(batch);
        let full = self.outlet.counters().drops().packets(DropReason::TX_FULL);
        if full != self.full && self.gateway.is_behind(cycles()) {
            self.counters.excused.add(full - self.full);
        }
        self.full = full;
    }

    /// What the gateway sent to one of its ports.
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        let now = cycles();
        let line = &mut self.lines_out[cx.source()];
        let disturbed = self.gateway.is_behind(now) || self.own.is_behind(now);
        let mut taken = 0;
        for packet in batch.packets() {
            if line.backlog(now) > self.most_waiting {
                self.counters.congested.add(1);
                continue;
            }
            taken += 1;
            let passage = line.pass(now, packet.len());
            if let Ok(stamp) = Stamp::at_end(packet.data()) {
                let latency = passage.begin.saturating_sub(stamp.time());
                self.counters.latency.record(latency);
                if !disturbed {
                    self.counters.undisturbed.record(latency);
                }
            }
        }
        self.counters.taken.add(taken);
        cx.consume_all(batch);
    }

    fn flush(&mut self, _cx: &mut Context) {
        self.outlet.flush();
    }

    fn finish(&mut self) {
        self.outlet.finish();
    }

    fn describe(&self, description: &mut Description) {
        description.outlets.push(self.outlet.counters().clone());
    }

    fn name(&self) -> &'static str {
        "lines"
    }
}

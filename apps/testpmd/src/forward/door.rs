//! The way out of every mode that sends, with the retries of `set fwd MODE retry`.

use super::Retry;
use iogate::packet::Stamp;
use iogate::pipeline::{Description, Outlet};
use iogate::prelude::*;
use iogate::telemetry::{cycles, cycles_per_second};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Sends every packet on one TX queue. What the port does not take waits for the next burst and is
/// dropped only when that does not go either; with retries it is first offered again, at once.
pub(super) struct Door {
    outlet: Outlet,
    watch: Option<Watch>,
    retry: Option<Patience>,
    stamper: Option<Stamper>,
}

/// Writes the time into packets, and numbers them.
struct Stamper {
    group: u16,
    next: u32,
}

impl Stamper {
    /// Packets of several segments, and those too short, go without.
    #[inline(never)]
    fn stamp(&mut self, batch: &mut Batch) {
        let now = cycles();
        for packet in batch.packets_mut().iter_mut().filter(|packet| packet.segments() == 1) {
            if let Ok(stamp) = Stamp::place_at_end(packet.data_mut()) {
                *stamp = Stamp::new(self.group, self.next, now);
                self.next = self.next.wrapping_add(1);
            }
        }
    }
}

/// Looks at packets as they leave by a TX queue: `set verbose`.
pub struct Watch {
    on: Arc<AtomicBool>,
    look: Box<dyn Fn(&Batch) + std::marker::Send>,
}

impl Watch {
    /// Calls `look` with each batch while `on` is true.
    pub fn new(on: Arc<AtomicBool>, look: impl Fn(&Batch) + std::marker::Send + 'static) -> Self {
        Watch { on, look: Box::new(look) }
    }

    #[inline]
    fn look(&self, batch: &Batch) {
        if self.on.load(Ordering::Relaxed) {
            (self.look)(batch);
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

/// How long to insist.
struct Patience {
    times: u32,
    cycles: u64,
}

impl Door {
    pub(super) fn new(outlet: Outlet, retry: Option<Retry>) -> Self {
        let patience = |retry: Retry| {
            let cycles = u128::from(cycles_per_second()) * retry.delay.as_nanos() / 1_000_000_000;
            Patience { times: retry.times, cycles: cycles as u64 }
        };
        Door { outlet, watch: None, retry: retry.map(patience), stamper: None }
    }

    /// Has somebody look at packets as they leave.
    pub(super) fn watched(mut self, watch: Option<Watch>) -> Self {
        self.watch = watch;
        self
    }

    /// Has packets stamped with the time as they leave, as those of a group.
    pub(super) fn stamping(mut self, group: Option<u16>) -> Self {
        self.stamper = group.map(|group| Stamper { group, next: 0 });
        self
    }

    /// Sends a whole batch.
    #[inline]
    pub(super) fn send(&mut self, batch: &mut Batch) {
        if let Some(stamper) = &mut self.stamper {
            stamper.stamp(batch);
        }
        if let Some(watch) = &self.watch {
            watch.look(batch);
        }
        if !self.outlet.push_all(batch) && self.outlet.waiting() > 0 {
            self.insist();
        }
    }

    #[cold]
    fn insist(&mut self) {
        let Some(Patience { times, cycles: delay }) = self.retry else { return };
        for _ in 0..times {
            let start = cycles();
            while cycles().wrapping_sub(start) < delay {
                std::hint::spin_loop();
            }
            self.outlet.flush();
            if self.outlet.waiting() == 0 {
                break;
            }
        }
    }
}

impl Stage for Door {
    #[inline]
    fn run(&mut self, batch: &mut Batch, _cx: &mut Context) {
        self.send(batch);
    }

    #[inline]
    fn flush(&mut self, _cx: &mut Context) {
        self.outlet.flush();
    }

    fn finish(&mut self) {
        self.outlet.finish();
    }

    fn name(&self) -> &'static str {
        "send"
    }

    fn describe(&self, description: &mut Description) {
        description.outlets.push(self.outlet.counters().clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::testing::*;
    use iogate::testkit::{Complete, FakePort};
    use std::time::{Duration, Instant};

    #[test]
    fn retries_take_as_long_as_was_said_and_save_packets() {
        let pool = iogate::testkit::pool("retry", 512);
        let _complete = Complete::new(&pool);
        let mut port = FakePort::with_slots("retry", &pool, 16);
        // Enough for a busy machine, on which the other thread has its turn late.
        let retry = Retry { delay: Duration::from_millis(1), times: 20_000 };
        let mut door = Door::new(Outlet::new(port.port.tx(0).unwrap()), Some(retry));
        let counters = door.outlet.counters().clone();
        let mut batch = Batch::new();
        pool.alloc_bulk(&mut batch, 30);
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(5));
                while counters.sent() < 30 {
                    port.received();
                }
            });
            door.send(&mut batch);
        });
        assert_eq!((counters.sent(), counters.drops().total(), door.outlet.waiting()), (30, 0, 0));
        assert!(start.elapsed() >= Duration::from_millis(4));

        port.received();
        door.retry.as_mut().unwrap().times = 20;
        pool.alloc_bulk(&mut batch, 30);
        let start = Instant::now();
        door.send(&mut batch);
        assert!(start.elapsed() >= Duration::from_millis(20), "nobody took them: every try was made");
        assert_eq!((counters.sent(), door.outlet.waiting()), (45, 15));
        Stage::finish(&mut door);
        assert_eq!(counters.drops().packets(DropReason::STOPPED), 15);
        port.received();
    }

    #[test]
    fn without_retries_nothing_waits_for_the_port() {
        let mut rig = Rig::new(crate::forward::Mode::Io, &config());
        let frames = samples();
        assert_eq!(rig.pass_all(&frames), frames);
    }
}

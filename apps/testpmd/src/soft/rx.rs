//! What is done to the packets of a stream before its mode sees them.

use super::checksum::Checks;
use super::counters::{Lost, QueueCounters};
use super::filter::Addresses;
use super::headers::Headers;
use super::rings::Rings;
use super::rules::{Fate, Rules};
use super::split::Split;
use super::spread::Spread;
use super::vlan::{Strip, Vlans};
use iogate::prelude::*;
use std::sync::Arc;

/// What is to be done to packets that come in on a port: made anew whenever that changes, and not changed itself.
#[derive(Debug, Default)]
pub(crate) struct Program {
    /// What the device noted is another port's: it passes buffers on.
    pub(super) forget: bool,
    /// The longest frame, bytes.
    pub(super) longest: Option<usize>,
    /// Unless it is promiscuous.
    pub(super) addresses: Option<Addresses>,
    pub(super) vlans: Option<Vlans>,
    pub(super) checks: Checks,
    pub(super) rules: Option<Rules>,
    pub(super) spread: Option<Spread>,
    pub(super) strip: Strip,
    pub(super) split: Option<Split>,
    /// RX queues that do not run, a bit each.
    pub(super) stopped: u64,
}

impl Program {
    /// Whether there is nothing to do.
    pub(super) fn idle(&self) -> bool {
        let Program { longest, addresses, stopped, split, .. } = self;
        longest.is_none() && split.is_none() && addresses.is_none() && *stopped == 0 && !self.reads_headers()
    }

    fn reads_headers(&self) -> bool {
        let found = self.vlans.is_some() || self.rules.is_some() || self.spread.is_some();
        found || self.checks.any() || self.strip.any()
    }
}

/// Where a packet goes that does not stay.
enum Away {
    Lost(Lost),
    To(u16),
}

/// Runs a port's program on the packets of one of its RX queues.
#[derive(Debug)]
pub(crate) struct Rx {
    pub(super) program: Arc<Program>,
    pub(super) queue: u16,
    /// Where there are several queues.
    pub(super) rings: Option<Arc<Rings>>,
    pub(super) counters: Arc<QueueCounters>,
}

impl Rx {
    /// Works on packets that came from the device.
    pub(crate) fn receive(&mut self, batch: &mut Batch, cx: &mut Context) {
        let Rx { program, queue, rings, counters } = self;
        let lose = |cx: &mut Context, packet: Mbuf, lost: Lost| {
            counters.lose(lost, packet.len());
            cx.drop(packet, lost.reason());
        };
        batch.remove_if(
            |packet, ()| match (program.decide(packet, *queue), &program.split) {
                (away @ (None | Some(Away::To(_))), Some(split)) => match split.cut(packet) {
                    Ok(left_out) => {
                        counters.left_out.add(left_out as u64);
                        away
                    }
                    Err(lost) => Some(Away::Lost(lost)),
                },
                (away, _) => away,
            },
            |packet, (), away| match away {
                Away::Lost(lost) => lose(cx, packet, lost),
                Away::To(queue) => match rings.as_ref().map(|rings| rings.put(queue, packet)) {
                    Some(Ok(())) => {
                        counters.given.add(1);
                        cx.handed_over(1);
                    }
                    Some(Err(packet)) => lose(cx, packet, Lost::Missed),
                    None => {}
                },
            },
        );
    }

    /// Adds packets that other streams put into the queue, as far as the batch has room. They have been worked on.
    pub(crate) fn take(&mut self, batch: &mut Batch, cx: &mut Context) {
        let Some(rings) = &self.rings else { return };
        let before = batch.len();
        while !batch.is_full()
            && let Some(packet) = rings.take(self.queue)
        {
            drop(batch.push(packet, ()));
        }
        let taken = (batch.len() - before) as u64;
        if taken == 0 {
            return;
        }
        self.counters.taken.add(taken);
        cx.generated(taken);
        if self.program.stopped >> self.queue & 1 == 1 {
            for (packet, ()) in batch.drain() {
                self.counters.lose(Lost::Missed, packet.len());
                cx.drop(packet, Lost::Missed.reason());
            }
        }
    }
}

impl Program {
    /// Nothing for a packet that stays on its queue.
    fn decide(&self, packet: &mut Mbuf, queue: u16) -> Option<Away> {
        if self.forget {
            packet.forget_notes();
        }
        if self.longest.is_some_and(|longest| packet.len() > longest) {
            return Some(Away::Lost(Lost::Oversize));
        }
        if self.addresses.as_ref().is_some_and(|addresses| !addresses.receives(packet.data())) {
            return Some(Away::Lost(Lost::Foreign));
        }
        let mut to = queue;
        if self.reads_headers() {
            match self.read(packet) {
                Ok(Some(queue)) => to = queue,
                Ok(None) => {}
                Err(lost) => return Some(Away::Lost(lost)),
            }
        }
        if self.stopped >> to & 1 == 1 {
            return Some(Away::Lost(Lost::Missed));
        }
        (to != queue).then_some(Away::To(to))
    }

    /// What depends on headers; the queue that it is for, if that is found.
    fn read(&self, packet: &mut Mbuf) -> Result<Option<u16>, Lost> {
        let headers = Headers::of(packet.data());
        if self.vlans.as_ref().is_some_and(|vlans| !vlans.receives(&headers)) {
            return Err(Lost::Vlan);
        }
        if self.checks.any() {
            self.checks.check(packet, &headers);
        }
        let fate = match &self.rules {
            Some(rules) => rules.run(packet),
            None => Fate::Default,
        };
        let spread = |spread: &Spread, packet: &mut Mbuf| {
            let hash = spread.hash(packet.data(), &headers)?;
            packet.note_rss_hash(hash);
            spread.queue(hash)
        };
        let queue = match fate {
            Fate::Drop => return Err(Lost::Rule),
            Fate::Queue(queue) => Some(queue),
            Fate::Spread(by) => spread(by, packet),
            Fate::Default => self.spread.as_ref().and_then(|by| spread(by, packet)),
        };
        if self.strip.any() {
            self.strip.strip(packet, &headers);
        }
        Ok(queue)
    }
}

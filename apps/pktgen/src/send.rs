//! The stage that sends: on each round of its worker as many frames as the pace allows.

use crate::frame::{Chosen, Traffic, wire_bits};
use crate::pace::Pacer;
use iogate::pipeline::{Description, Outlet};
use iogate::prelude::*;
use iogate::telemetry::{Counter, Histogram, Traffic as Counted, cycles, cycles_per_second};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a sender has to do.
pub struct Order {
    /// What to send.
    pub traffic: Traffic,
    /// How fast, and for how long.
    pub pacer: Pacer,
    /// How many frames at most.
    pub frames: Option<u64>,
    /// Frames in a burst, 1 to 32.
    pub burst: usize,
    /// When to give up on a port that takes nothing any more: ticks of the time-stamp counter.
    pub deadline: u64,
    /// What was done.
    pub counters: Arc<SendCounters>,
}

/// What a sender has done of an [`Order`]. One worker writes, anybody reads.
#[derive(Debug)]
pub struct SendCounters {
    /// For each channel, frames and bytes without FCS that were made and handed to the port. For stamped frames this is
    /// how many sequence numbers were given out.
    channels: Box<[Counted]>,
    unsent: Box<[Counted]>,
    wire_bits: Counter,
    held: Counter,
    dry: Counter,
    forgiven: Counter,
    lateness: Histogram,
    last: Counter,
    done: AtomicBool,
}

impl SendCounters {
    /// For so many channels of a receiver, of which a sender uses its own.
    pub fn new(channels: usize) -> Self {
        let (wire_bits, held, dry, forgiven, lateness, last, done) = Default::default();
        let unsent = (0..channels).map(|_| Counted::default()).collect();
        let channels = (0..channels).map(|_| Counted::default()).collect();
        SendCounters { channels, unsent, wire_bits, held, dry, forgiven, lateness, last, done }
    }

    /// What was sent of a channel.
    pub fn channel(&self, channel: usize) -> &Counted {
        &self.channels[channel]
    }

    /// Frames made, those included that the port has not taken.
    pub fn frames(&self) -> u64 {
        self.channels.iter().map(Counted::packets).sum()
    }

    /// Bits on the wire of all frames made, at the end without those that the port did not take.
    pub fn wire_bits(&self) -> u64 {
        self.wire_bits.get()
    }

    /// Rounds in which nothing was sent because the port had not taken what was there.
    pub fn held(&self) -> u64 {
        self.held.get()
    }

    /// Rounds in which nothing was sent because there was no buffer.
    pub fn dry(&self) -> u64 {
        self.dry.get()
    }

    /// Frames of a channel that the port did not take before the end.
    pub fn unsent(&self, channel: usize) -> &Counted {
        &self.unsent[channel]
    }

    /// Frames or bits, as the pace counts, that were due and given up because they were too late.
    pub fn forgiven(&self) -> u64 {
        self.forgiven.get()
    }

    /// How late bursts went, nanoseconds after the moment that the pace had for their first frame.
    pub fn lateness(&self) -> &Histogram {
        &self.lateness
    }

    /// When the last frame went, ticks of the time-stamp counter.
    pub fn last(&self) -> u64 {
        self.last.get()
    }

    /// Whether everything is done.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }
}

/// Sends what it is told to; see [`Sender::begin`].
pub struct Sender {
    outlet: Outlet,
    pool: MbufPool,
    nanoseconds: f64,
    load: Option<Load>,
}

/// An [`Order`] and how far it is carried out. Made and dropped away from the worker, which neither allocates nor frees.
pub struct Load(Box<Running>);

struct Running {
    order: Order,
    /// Frames that are paid for and not yet made.
    chosen: [Option<Chosen>; BURST],
    waiting: usize,
    /// The next frame, when it could not be paid for.
    next: Option<Chosen>,
    constant: Option<u16>,
    /// Channels of the last frames, of which the port may not take some: a burst waits at most.
    recent: [(u16, u16); BURST],
    made: usize,
    /// Drops of the outlet before this load.
    dropped: u64,
}

impl Load {
    /// For an order of which nothing is done yet.
    pub fn new(mut order: Order) -> Self {
        order.burst = order.burst.clamp(1, BURST);
        let constant = order.traffic.constant_len().and_then(|len| u16::try_from(len).ok());
        let (chosen, recent) = ([None; BURST], [(0, 0); BURST]);
        Load(Box::new(Running { order, chosen, waiting: 0, next: None, constant, recent, made: 0, dropped: 0 }))
    }
}

impl Sender {
    /// Sends on a queue, in buffers of a pool.
    pub fn new(queue: TxQueue, pool: &MbufPool) -> Self {
        let nanoseconds = 1e9 / cycles_per_second().max(1) as f64;
        Sender { outlet: Outlet::new(queue), pool: pool.clone(), nanoseconds, load: None }
    }

    /// Begins a load, and gives the one before back.
    #[must_use = "to be dropped away from the worker"]
    pub fn begin(&mut self, mut load: Load) -> Option<Load> {
        load.0.dropped = self.outlet.counters().drops().total();
        self.load.replace(load)
    }

    /// Ends a load, also before it is over, and gives it back.
    #[must_use = "to be dropped away from the worker"]
    pub fn end(&mut self) -> Option<Load> {
        let mut load = self.load.take();
        if let Some(Load(running)) = &mut load
            && !running.order.counters.is_done()
        {
            running.finish(&mut self.outlet);
        }
        load
    }
}

impl Running {
    /// Says that it is over, and how much the port did not take.
    fn finish(&mut self, outlet: &mut Outlet) {
        if outlet.waiting() > 0 {
            outlet.finish();
        }
        let counters = &self.order.counters;
        let unsent = outlet.counters().drops().total() - self.dropped;
        for back in 1..=self.made.min(unsent as usize).min(BURST) {
            let (channel, len) = self.recent[(self.made - back) % BURST];
            counters.unsent[usize::from(channel)].add(len.into());
            counters.wire_bits.add(wire_bits(len.into()).wrapping_neg());
        }
        counters.forgiven.add(self.order.pacer.forgiven());
        counters.done.store(true, Ordering::Release);
    }

    /// Chooses frames as far as they can be paid for, up to a burst.
    #[inline]
    fn choose(&mut self, nanoseconds: f64) {
        let order = &mut self.order;
        while self.waiting < order.burst && order.frames != Some(0) {
            let next = self.next.take().unwrap_or_else(|| order.traffic.choose());
            let bits = wire_bits(next.len());
            let late = if self.waiting == 0 { order.pacer.lateness(bits) } else { 0 };
            if !order.pacer.spend(bits) {
                self.next = Some(next);
                return;
            }
            if self.waiting == 0 {
                order.counters.lateness.record((late as f64 * nanoseconds) as u64);
            }
            if let Some(frames) = &mut order.frames {
                *frames -= 1;
            }
            self.chosen[self.waiting] = Some(next);
            self.waiting += 1;
        }
    }

    /// Makes the frames that were chosen. None when there are not enough buffers.
    #[inline]
    fn make(&mut self, pool: &MbufPool, batch: &mut Batch, now: u64) {
        let made = match self.constant {
            Some(len) => pool.alloc_packets(batch, self.waiting, len),
            None => pool.alloc_bulk(batch, self.waiting),
        };
        let order = &mut self.order;
        if made < self.waiting {
            batch.clear();
            order.counters.dry.add(1);
            return;
        }
        let mut bits = 0;
        for (packet, chosen) in batch.packets_mut().iter_mut().zip(self.chosen.iter_mut().map_while(Option::take)) {
            if self.constant.is_none() {
                packet.append(chosen.len());
            }
            let frame = packet.data_mut();
            let channel = order.traffic.write(chosen, frame, now);
            order.counters.channels[usize::from(channel)].add(frame.len());
            self.recent[self.made % BURST] = (channel, frame.len() as u16);
            self.made += 1;
            bits += wire_bits(frame.len());
        }
        order.counters.wire_bits.add(bits);
        order.counters.last.add(now.wrapping_sub(order.counters.last.get()));
        self.waiting = 0;
    }

    fn is_over(&self) -> bool {
        self.waiting == 0 && (self.order.frames == Some(0) || self.next.is_some() && self.order.pacer.is_over())
    }
}

impl Stage for Sender {
    fn run(&mut self, _batch: &mut Batch, _cx: &mut Context) {}

    #[inline]
    fn generate(&mut self, batch: &mut Batch, cx: &mut Context) {
        let Some(Load(running)) = &mut self.load else { return };
        if running.order.counters.is_done() {
            return;
        }
        let now = cycles();
        // The port first takes what it has not taken yet: nothing is lost here.
        self.outlet.flush();
        let stuck = self.outlet.waiting() > 0;
        if !stuck {
            running.order.pacer.advance(now);
            running.choose(self.nanoseconds);
            if running.waiting > 0 {
                running.make(&self.pool, batch, now);
                cx.generated(batch.len() as u64);
                self.outlet.push_all(batch);
            }
        } else {
            running.order.counters.held.add(1);
        }
        if !stuck && running.is_over() && self.outlet.waiting() == 0 {
            running.finish(&mut self.outlet);
        } else if now >= running.order.deadline {
            running.order.pacer.give_up();
            running.finish(&mut self.outlet);
        }
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
}

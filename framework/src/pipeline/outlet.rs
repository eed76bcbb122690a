//! The way out to a port.

use super::finish::{Does, finish};
use super::{DropCounters, DropReason};
use crate::memory::{Batch, Mbuf, SharedMbuf};
use crate::port::{MbufRing, Port, TxQueue};
use crate::telemetry::Counter;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Counters of one outlet.
#[derive(Debug)]
pub struct OutletCounters {
    port: String,
    sent: Counter,
    relayed: Counter,
    cut: Counter,
    pending: Counter,
    drops: DropCounters,
}

impl OutletCounters {
    /// The port it leads to.
    pub fn port(&self) -> &str {
        &self.port
    }

    /// Packets the port took.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Packets taken over from other workers, to be sent for them.
    pub fn relayed(&self) -> u64 {
        self.relayed.get()
    }

    /// Packets made in cutting others into segments, beyond the first of each.
    pub fn cut(&self) -> u64 {
        self.cut.get()
    }

    /// Packets waiting, as of the last flush.
    pub fn pending(&self) -> u64 {
        self.pending.get()
    }

    /// Packets that could not be sent.
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }
}

#[derive(Debug)]
enum Door {
    /// A TX queue of one's own, and the ring on which others hand packets over, if they do.
    Queue(TxQueue, Option<MbufRing>),
    /// To the worker that owns the TX queue; whether its driver hands buffers over.
    Ring(MbufRing, bool),
    /// A TX queue of one's own while the port's guest uses it, else to the worker that owns the first.
    Either(TxQueue, MbufRing),
}

impl Door {
    /// Sends packets that were made whole before if they have to be.
    #[inline]
    fn send_whole<M: Copy + Default>(&mut self, batch: &mut Batch<M>) -> usize {
        match self {
            Door::Queue(queue, _) => queue.send_whole(batch),
            Door::Ring(ring, _) => ring.send(batch),
            Door::Either(queue, ring) => match queue.port().uses_tx(queue.number()) {
                true => queue.send_whole(batch),
                false => ring.send(batch),
            },
        }
    }
}

/// Collects packets for a port and sends them in bursts. What the port does not take at once waits,
/// up to a burst; beyond that packets are dropped as [`DropReason::TX_FULL`].
pub struct Outlet {
    door: Door,
    pending: Batch,
    whole_only: bool,
    /// Whether unfinished packets may come.
    finishes: bool,
    /// Whether there are packets that cannot be sent as they are.
    choosy: bool,
    /// Whether the port finishes checksums.
    checksums: bool,
    /// Whether a flush has nothing to do as long as no packet waits: nobody hands packets over, and no reader believes
    /// that any wait.
    settled: bool,
    port: Port,
    counters: Arc<OutletCounters>,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").field("door", &self.door).finish_non_exhaustive()
    }
}

impl Outlet {
    /// To a TX queue of one's own.
    pub fn new(queue: TxQueue) -> Self {
        let port = queue.port().clone();
        Self::with(Door::Queue(queue, None), &port)
    }

    /// To a TX queue of one's own, which others reach through `ring`: see [`Outlet::through`].
    ///
    /// # Panics
    /// When the ring is another port's: whether packets in it may have several owners depends on the
    /// port.
    pub fn shared(queue: TxQueue, ring: MbufRing) -> Self {
        let port = queue.port().clone();
        assert_eq!(
            ring.port().id(),
            port.id(),
            "the ring of port {} leads to port {}",
            ring.port().spec(),
            port.spec()
        );
        Self::with(Door::Queue(queue, Some(ring)), &port)
    }

    /// To the ring's port, whose TX queue another worker owns: that one's outlet, [`Outlet::shared`],
    /// drains the ring whenever it flushes.
    pub fn through(ring: MbufRing) -> Self {
        let port = ring.port().clone();
        Self::with(Door::Ring(ring, port.info().passes_buffers), &port)
    }

    /// To a TX queue of one's own while the port's guest uses it ([`Device::uses_tx`](crate::port::Device::uses_tx)),
    /// else as [`Outlet::through`].
    ///
    /// # Panics
    /// As [`Outlet::shared`], and when the driver hands buffers over.
    pub fn either(queue: TxQueue, ring: MbufRing) -> Self {
        let port = queue.port().clone();
        assert!(ring.port().id() == port.id() && !port.info().passes_buffers, "port {} has no guest", port.spec());
        Self::with(Door::Either(queue, ring), &port)
    }

    fn with(door: Door, port: &Port) -> Self {
        let counters = OutletCounters {
            port: port.spec().to_string(),
            sent: Counter::default(),
            relayed: Counter::default(),
            cut: Counter::default(),
            pending: Counter::default(),
            drops: DropCounters::default(),
        };
        Outlet {
            settled: !matches!(door, Door::Queue(_, Some(_))),
            door,
            pending: Batch::new(),
            whole_only: !port.sends_chains(),
            finishes: false,
            choosy: !port.sends_chains(),
            checksums: port.finishes_checksums(),
            port: port.clone(),
            counters: Arc::new(counters),
        }
    }

    /// Whether to finish what senders left to a card: see [`Mbuf::is_unfinished`]. The port is asked to, where it can;
    /// else checksums are computed and packets cut here. Needed where packets come from a port with
    /// [`PortBuilder::offloads`](crate::port::PortBuilder::offloads), else off, and without cost.
    #[must_use]
    pub fn finishing(mut self, on: bool) -> Self {
        (self.finishes, self.choosy) = (on, on || self.whole_only);
        self
    }

    /// The port it leads to.
    pub fn port(&self) -> &Port {
        match &self.door {
            Door::Queue(queue, _) | Door::Either(queue, _) => queue.port(),
            Door::Ring(ring, _) => ring.port(),
        }
    }

    /// Its counters.
    pub fn counters(&self) -> &Arc<OutletCounters> {
        &self.counters
    }

    /// Lets the port alone, so that it can be [restarted](Port::restart), or sends again. What comes
    /// meanwhile is as if the port were full. An outlet through a ring has nothing to let alone.
    pub fn rest(&mut self, on: bool) {
        if let Door::Queue(queue, _) | Door::Either(queue, _) = &mut self.door {
            queue.rest(on);
        }
    }

    /// Packets that wait because the port did not take them.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Sends a packet, with the next burst.
    #[inline]
    pub fn push(&mut self, packet: Mbuf) {
        if self.choosy && !self.is_plain(&packet) {
            return self.push_slowly(packet);
        }
        if let Err(packet) = self.pending.push(packet, ()) {
            self.push_slowly(packet);
        }
    }

    #[inline]
    fn is_plain(&self, packet: &Mbuf) -> bool {
        (!self.finishes || !packet.is_unfinished()) && (!self.whole_only || packet.segments() == 1)
    }

    /// A packet that the port cannot send as it is, or that there is no room for at once.
    #[inline(never)]
    fn push_slowly(&mut self, mut packet: Mbuf) {
        if self.finishes && packet.is_unfinished() {
            return self.push_unfinished(packet);
        }
        if self.whole_only && !packet.linearize() {
            return self.counters.drops.add(DropReason::CHAINED, packet.len());
        }
        if self.pending.is_full() {
            self.send_pending();
        }
        if let Err(packet) = self.pending.push(packet, ()) {
            self.counters.drops.add(DropReason::TX_FULL, packet.len());
        }
    }

    #[cold]
    fn push_unfinished(&mut self, packet: Mbuf) {
        let bytes = packet.len();
        let does = Does { checksums: self.checksums, cutting: self.checksums && self.port.takes_uncut() };
        let (sent, reason) = match finish(packet, does, |packet| self.push(packet)) {
            Ok(sent) => (sent as u64, None),
            Err((reason, sent)) => (sent as u64, Some(reason)),
        };
        // With the rest of a packet that was cut in part only, one more is gone than was sent.
        let gone = sent + u64::from(reason.is_some());
        self.counters.cut.add(gone - 1);
        if let Some(reason) = reason {
            self.counters.drops.add(reason, bytes);
        }
    }

    /// Sends a packet that others send too. What the port cannot share is copied.
    #[inline]
    pub fn push_shared(&mut self, packet: SharedMbuf) {
        let bytes = packet.len();
        let packet = match &self.door {
            // To make it whole, or to finish it, would change it under the others.
            _ if self.finishes && packet.is_unfinished() => packet.copy(),
            _ if self.whole_only && packet.segments() > 1 => packet.copy(),
            Door::Queue(queue, _) | Door::Either(queue, _) => queue.own(packet),
            Door::Ring(_, true) => packet.copy(),
            Door::Ring(_, false) => Some(packet.into_owner()),
        };
        match packet {
            Some(packet) => self.push(packet),
            None => self.counters.drops.add(DropReason::NO_BUFFER, bytes),
        }
    }

    /// Sends a whole batch, in order behind what waits. The batch is empty afterwards. Returns whether the port took all
    /// of it; else some may wait.
    #[inline]
    pub fn push_all<M: Copy + Default>(&mut self, batch: &mut Batch<M>) -> bool {
        if self.pending.is_empty()
            && !self.finishes
            && let Door::Queue(queue, _) = &mut self.door
        {
            let all = batch.len();
            let sent = queue.send(batch);
            self.counters.sent.add(sent as u64);
            if sent == all {
                return true;
            }
        }
        self.push_each(batch);
        false
    }

    /// What the port did not take at once. Apart from the usual way, which has less to save of registers so.
    #[inline(never)]
    fn push_each<M: Copy + Default>(&mut self, batch: &mut Batch<M>) {
        if self.pending.is_empty()
            && !self.finishes
            && let Door::Ring(ring, _) = &mut self.door
        {
            let sent = ring.send(batch);
            self.counters.sent.add(sent as u64);
        }
        for (packet, _) in batch.drain() {
            self.push(packet);
        }
    }

    /// Sends what waits, and what other workers handed over.
    #[inline]
    pub fn flush(&mut self) {
        if !(self.settled && self.pending.is_empty()) {
            self.flush_waiting();
        }
    }

    #[inline(never)]
    fn flush_waiting(&mut self) {
        if !self.pending.is_empty() {
            self.send_pending();
        }
        let waiting = self.pending.len() as u64;
        if waiting != self.counters.pending.get() {
            self.counters.pending.add(waiting.wrapping_sub(self.counters.pending.get()));
        }
        let is_shared = matches!(self.door, Door::Queue(_, Some(_)));
        if is_shared {
            self.serve_others();
        }
        self.settled = waiting == 0 && !is_shared;
    }

    fn send_pending(&mut self) {
        let sent = self.door.send_whole(&mut self.pending);
        self.counters.sent.add(sent as u64);
    }

    /// Sends what others handed over. They counted it as sent, here it is received. Says whether
    /// there may be more.
    fn serve_others(&mut self) -> bool {
        let Door::Queue(queue, Some(ring)) = &mut self.door else { return false };
        let mut burst: Batch = Batch::new();
        for _ in 0..MOST_RELAYED_BURSTS {
            let relayed = ring.receive(&mut burst);
            if relayed == 0 {
                return false;
            }
            self.counters.relayed.add(relayed as u64);
            self.counters.sent.add(queue.send(&mut burst) as u64);
            for (packet, _) in burst.drain() {
                self.counters.drops.add(DropReason::TX_FULL, packet.len());
            }
        }
        true
    }

    /// When a worker stops: sends what it can and drops the rest as [`DropReason::STOPPED`].
    pub fn finish(&mut self) {
        for _ in 0..LAST_TRIES {
            self.flush();
            if self.pending.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        for (packet, _) in self.pending.drain() {
            self.counters.drops.add(DropReason::STOPPED, packet.len());
        }
        self.flush();
        // A ring may hold more than is taken in one round.
        while self.serve_others() {}
    }
}

/// Bursts taken from other workers in one round, so that they cannot keep one from its own queues.
const MOST_RELAYED_BURSTS: usize = 4;

/// Attempts, a millisecond apart, to send what waits when a worker stops.
const LAST_TRIES: usize = 20;

//! The stage that takes what comes back: whose it is, how old, in which order.

use crate::capture::Tap;
use crate::send::SendCounters;
use crate::sequence::{Arrival, Sequence};
use iogate::packet::Stamp;
use iogate::prelude::*;
use iogate::telemetry::{Counter, Histogram, Traffic as Counted, cycles, cycles_per_second};
use std::sync::Arc;

/// What a receiver has to know about what is sent.
pub struct Expected {
    /// The senders, each with counters for all channels.
    pub senders: Vec<Arc<SendCounters>>,
    /// Channels of a stream: one for each sender.
    pub channels_per_stream: u16,
    /// Nothing that is older than this belongs to it: ticks of the time-stamp counter.
    pub begun: u64,
    /// Where copies of frames go.
    pub tap: Option<Tap>,
    /// What came in.
    pub counters: Arc<ReceiveCounters>,
}

/// What a receiver has seen. One worker writes, anybody reads.
#[derive(Debug)]
pub struct ReceiveCounters {
    streams: Box<[StreamCounters]>,
    other: Counted,
    implausible: Counter,
    wire_bits: Counter,
}

/// What was received of a stream.
#[derive(Debug, Default)]
pub struct StreamCounters {
    unique: Counted,
    reordered: Counter,
    furthest: Counter,
    duplicates: Counter,
    too_old: Counter,
    latency: Histogram,
}

impl StreamCounters {
    /// Frames that came for the first time, and their bytes without FCS.
    pub fn unique(&self) -> &Counted {
        &self.unique
    }

    /// Those of them that a later one had overtaken.
    pub fn reordered(&self) -> u64 {
        self.reordered.get()
    }

    /// By how many frames at most one was overtaken.
    pub fn furthest(&self) -> u64 {
        self.furthest.get()
    }

    /// Frames that had come before.
    pub fn duplicates(&self) -> u64 {
        self.duplicates.get()
    }

    /// Frames that came so late that nobody remembers whether they had come before: they count as lost.
    pub fn too_old(&self) -> u64 {
        self.too_old.get()
    }

    /// Nanoseconds from making to receiving.
    pub fn latency(&self) -> &Histogram {
        &self.latency
    }
}

impl ReceiveCounters {
    /// For so many streams.
    pub fn new(streams: usize) -> Self {
        let (other, implausible, wire_bits) = Default::default();
        let streams = (0..streams).map(|_| StreamCounters::default()).collect();
        ReceiveCounters { streams, other, implausible, wire_bits }
    }

    /// What was received of a stream.
    pub fn stream(&self, stream: usize) -> &StreamCounters {
        &self.streams[stream]
    }

    /// Frames without a stamp of ours, and their bytes without FCS.
    pub fn other(&self) -> &Counted {
        &self.other
    }

    /// Those of them that had a stamp, but one that was never sent: of another generator, an earlier trial, or forged.
    pub fn implausible(&self) -> u64 {
        self.implausible.get()
    }

    /// Bits on the wire of everything received.
    pub fn wire_bits(&self) -> u64 {
        self.wire_bits.get()
    }
}

/// Takes what comes in; see [`Receiver::begin`].
pub struct Receiver {
    nanoseconds: f64,
    watch: Option<Watch>,
}

/// What is [`Expected`], and what came of it. Made and dropped away from the worker, which neither allocates nor frees.
pub struct Watch(Box<Running>);

struct Running {
    expected: Expected,
    sequences: Box<[Sequence]>,
}

impl Watch {
    /// Nothing has come yet.
    pub fn new(expected: Expected) -> Self {
        let channels = expected.counters.streams.len() * usize::from(expected.channels_per_stream);
        let sequences = (0..channels).map(|_| Sequence::default()).collect();
        Watch(Box::new(Running { expected, sequences }))
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Receiver { nanoseconds: 1e9 / cycles_per_second().max(1) as f64, watch: None }
    }
}

impl Receiver {
    /// Begins to count, and gives what was counted before back.
    #[must_use = "to be dropped away from the worker"]
    pub fn begin(&mut self, watch: Watch) -> Option<Watch> {
        self.watch.replace(watch)
    }

    /// Ends counting.
    #[must_use = "to be dropped away from the worker"]
    pub fn end(&mut self) -> Option<Watch> {
        self.watch.take()
    }
}

/// The longest trailer that a stamp stands in front of: FCoE's. RoCE's is half of that.
const TRAILERS: [usize; 3] = [0, 4, 8];

/// The stamp of a frame, if it has one.
#[inline]
fn stamp_of(frame: &[u8]) -> Option<&Stamp> {
    TRAILERS.iter().find_map(|trailer| Stamp::at_end(frame.get(..frame.len().checked_sub(*trailer)?)?).ok())
}

impl Running {
    #[inline]
    fn count(&mut self, packet: &Mbuf, now: u64, nanoseconds: f64) {
        let counters = &self.expected.counters;
        let frame = packet.data();
        let Some(stamp) = stamp_of(frame).filter(|_| packet.segments() == 1) else {
            return counters.other.add(packet.len());
        };
        let channel = usize::from(stamp.group());
        let (Some(sequence), sent) = (self.sequences.get_mut(channel), stamp.time()) else {
            counters.implausible.add(1);
            return counters.other.add(packet.len());
        };
        // Of a sender, everything was given out before it was sent.
        let per_stream = usize::from(self.expected.channels_per_stream);
        let issued = self.expected.senders[channel % per_stream].channel(channel).packets();
        // Other cores' counters may be a little ahead of this one's.
        let plausible = sent >= self.expected.begun && sent.saturating_sub(now) < MOST_SKEW;
        let arrival = if plausible { sequence.arrive(stamp.sequence(), issued) } else { Arrival::Impossible };
        let stream = &counters.streams[channel / per_stream];
        match arrival {
            Arrival::InOrder => {}
            Arrival::Reordered(by) => {
                stream.reordered.add(1);
                stream.furthest.add(by.saturating_sub(stream.furthest.get()));
            }
            Arrival::Duplicate => return stream.duplicates.add(1),
            Arrival::TooOld => return stream.too_old.add(1),
            Arrival::Impossible => {
                counters.implausible.add(1);
                return counters.other.add(packet.len());
            }
        }
        stream.unique.add(packet.len());
        stream.latency.record((now.saturating_sub(sent) as f64 * nanoseconds) as u64);
    }
}

/// Ticks by which the counters of two cores may differ.
const MOST_SKEW: u64 = 1_000_000;

impl Stage for Receiver {
    #[inline]
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        let Some(Watch(running)) = &mut self.watch else { return cx.consume_all(batch) };
        let now = cycles();
        let mut bits = 0;
        for packet in batch.packets() {
            bits += crate::frame::wire_bits(packet.len());
            running.count(packet, now, self.nanoseconds);
        }
        running.expected.counters.wire_bits.add(bits);
        match &mut running.expected.tap {
            None => cx.consume_all(batch),
            Some(tap) => tap.take(batch, now, cx),
        }
    }
}

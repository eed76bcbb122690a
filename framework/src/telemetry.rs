//! Counters and histograms that one worker writes and anybody reads, without locks.
//!
//! ```
//! use iogate::telemetry::{Counter, Histogram};
//!
//! let packets = Counter::default();
//! packets.add(32);
//! assert_eq!(packets.get(), 32);
//!
//! let latency = Histogram::default();
//! (1..=1000).for_each(|ns| latency.record(ns));
//! assert!(latency.snapshot().value_at_quantile(0.5).abs_diff(500) < 32);
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter with one writer and any number of readers. Wraps at 2^64.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it. Only the one writer may: two at once lose counts, nothing worse.
    #[inline]
    pub fn add(&self, amount: u64) {
        // A load and a store instead of a locked instruction: there is one writer.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Packets and bytes, counted together.
#[derive(Debug, Default)]
pub struct Traffic {
    packets: Counter,
    bytes: Counter,
}

impl Traffic {
    /// Counts one packet of `bytes`.
    #[inline]
    pub fn add(&self, bytes: usize) {
        self.add_many(1, bytes as u64);
    }

    /// Counts several packets at once.
    #[inline]
    pub fn add_many(&self, packets: u64, bytes: u64) {
        self.packets.add(packets);
        self.bytes.add(bytes);
    }

    /// Packets counted.
    pub fn packets(&self) -> u64 {
        self.packets.get()
    }

    /// Bytes counted, without frame check sequences.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }
}

/// Steps in each power of two: values are kept to within 1/32.
const STEPS: u32 = 32;
const BUCKETS: usize = ((u64::BITS - STEPS.ilog2() + 1) * STEPS) as usize;

/// A histogram of 64-bit values, kept to within 3 %, with one writer and any number of readers.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[Counter]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: (0..BUCKETS).map(|_| Counter::default()).collect() }
    }
}

impl Histogram {
    /// Counts one value. Only the one writer may.
    #[inline]
    pub fn record(&self, value: u64) {
        self.buckets[bucket_of(value)].add(1);
    }

    /// What was counted so far, for quantiles and merging.
    pub fn snapshot(&self) -> hdrhistogram::Histogram<u64> {
        let mut copy = hdrhistogram::Histogram::new(3).expect("3 significant digits are allowed");
        for (bucket, count) in self.buckets.iter().enumerate().filter(|(_, count)| count.get() > 0) {
            copy.record_n(lowest_in(bucket), count.get()).expect("it grows as far as needed");
        }
        copy
    }
}

fn bucket_of(value: u64) -> usize {
    let step_bits = STEPS.ilog2();
    if value < u64::from(STEPS) {
        return value as usize;
    }
    let power = value.ilog2() - step_bits;
    ((power + 1) * STEPS) as usize + ((value >> power) as usize - STEPS as usize)
}

fn lowest_in(bucket: usize) -> u64 {
    let (power, step) = (bucket as u32 / STEPS, bucket as u64 % u64::from(STEPS));
    if power == 0 { step } else { (step + u64::from(STEPS)) << (power - 1) }
}

/// What a stage has done: the line that VPP's `show runtime` has for a node.
#[derive(Debug)]
pub struct StageStats {
    name: String,
    calls: Counter,
    packets: Counter,
    sampled_packets: Counter,
    sampled_cycles: Counter,
}

/// One call in so many is timed.
const SAMPLE_EVERY: u64 = 64;

impl StageStats {
    /// For a stage of this name.
    pub fn new(name: &str) -> Self {
        StageStats {
            name: name.to_owned(),
            calls: Counter::default(),
            packets: Counter::default(),
            sampled_packets: Counter::default(),
            sampled_cycles: Counter::default(),
        }
    }

    /// Runs `work` on `packets` packets, counted and, once in 64 calls, timed.
    #[inline]
    pub fn measure(&self, packets: usize, work: impl FnOnce()) {
        let timed = self.calls.get().is_multiple_of(SAMPLE_EVERY);
        self.calls.add(1);
        self.packets.add(packets as u64);
        match timed {
            true => self.time(packets, work),
            false => work(),
        }
    }

    /// Apart from the usual call, which has no time to take down and so fewer registers to save.
    #[cold]
    #[inline(never)]
    fn time(&self, packets: usize, work: impl FnOnce()) {
        let before = cycles();
        work();
        self.sampled_cycles.add(cycles().wrapping_sub(before));
        self.sampled_packets.add(packets as u64);
    }

    /// Runs `work`, which says how many packets it made; counted when there were any, and timed as in
    /// [`measure`](StageStats::measure).
    #[inline]
    pub fn measure_made(&self, work: impl FnOnce() -> usize) {
        let calls = self.calls.get();
        let timed = calls.is_multiple_of(SAMPLE_EVERY);
        let before = if timed { cycles() } else { 0 };
        let made = work() as u64;
        if made == 0 {
            return;
        }
        self.calls.add(1);
        self.packets.add(made);
        if timed {
            self.sampled_cycles.add(cycles().wrapping_sub(before));
            self.sampled_packets.add(made);
        }
    }

    /// The stage's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Batches it was given.
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// Packets it was given.
    pub fn packets(&self) -> u64 {
        self.packets.get()
    }

    /// TSC cycles per packet over the timed calls, the stages inside it included; nothing before
    /// the first.
    pub fn cycles_per_packet(&self) -> Option<f64> {
        let packets = self.sampled_packets.get();
        (packets > 0).then(|| self.sampled_cycles.get() as f64 / packets as f64)
    }
}

/// The time-stamp counter.
#[inline]
pub fn cycles() -> u64 {
    // SAFETY: reads a register.
    unsafe { dpdk_sys::shim_tsc() }
}

/// Ticks of [`cycles`] in a second. 0 before EAL was started.
pub fn cycles_per_second() -> u64 {
    // SAFETY: reads a number that EAL sets.
    unsafe { dpdk_sys::shim_tsc_hz() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_holds_its_value_to_within_a_step(value: u64) {
            let bucket = bucket_of(value);
            prop_assert!(bucket < BUCKETS);
            let low = lowest_in(bucket);
            prop_assert!(low <= value && value - low <= value / u64::from(STEPS));
        }
    }

    #[test]
    fn a_snapshot_holds_what_was_recorded() {
        for value in [0, 31, 1_000_000, u64::MAX] {
            let histogram = Histogram::default();
            (0..3).for_each(|_| histogram.record(value));
            let copy = histogram.snapshot();
            let low = lowest_in(bucket_of(value));
            assert_eq!(copy.len(), 3);
            assert!(copy.min() <= low && low - copy.min() <= low / 1000, "{value}: {}", copy.min());
        }
    }

    #[test]
    fn buckets_follow_each_other() {
        for bucket in 1..BUCKETS {
            assert!(lowest_in(bucket) > lowest_in(bucket - 1), "{bucket}");
            assert_eq!(bucket_of(lowest_in(bucket)), bucket);
            assert_eq!(bucket_of(lowest_in(bucket) - 1), bucket - 1);
        }
    }
}

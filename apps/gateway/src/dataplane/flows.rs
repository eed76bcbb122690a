//! Decisions that were made before, by flow: most frames are like one that came a moment ago.
//!
//! Entries match exactly, so that a decision that is found is the one that would be made. What frames of a flow may
//! have different are their lengths, which are looked at each time. A frame with anything wrong about it is of no
//! flow that is known; it goes the long way, which alone drops frames.
//!
//! Decisions hold for the tables and uplinks that they were made with: with others, all are [forgotten](Flows::forget).

use super::classifier::Classifier;
use super::glance::Places;
use super::key::{Eye, FRONT, Key};
use super::tag::Tag;
use iogate::memory::{BURST, Mbuf, prefer_huge_pages, prefetch};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Slots there are, at least: 2 MiB. Of more flows than that, entries are in no cache that is near, and to find one
/// takes as long as to decide anew.
const FEWEST: usize = 1 << 15;
/// Slots there are, at most: 8 MiB.
const MOST: usize = 1 << 17;
/// For each attachment. Where those are many, what a decision takes is in no near cache either.
const EACH: usize = 2;
/// A flow's entry is in the slot that its key says, or else in another of the same set.
const SET: usize = 4;
/// Of flows that find their set full, one in so many takes another's slot: of more flows than there are slots, most
/// stay, instead of each pushing out the next.
const REPLACE_EVERY: u32 = 8;
/// Frames after which it is judged whether looking was worth it: half must have been known.
const TRIAL: u32 = 8192;
/// Batches that are not looked at when it was not.
const PAUSE: u32 = 8192;
/// Entries that are wiped with a batch, to forget: ten microseconds' work.
const WIPED_AT_ONCE: usize = 4096;

/// What was decided for the frames of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    /// The slot of [`Counters`](super::Counters) where it counts as from a server; one of nobody's, when it is not.
    pub(super) from: u32,
    /// The slot where it counts as to a server.
    pub(super) to: u32,
    /// The tag that it gets.
    pub(super) tag: Tag,
    /// The longest frame that may pass, bytes; 0 of entries that are free.
    pub(super) longest: u16,
    /// Where all headers end, bytes from the start of the frame.
    pub(super) headers: u8,
    /// Where it goes out, and whether it is [heard](Decision::HEARD).
    pub(super) outlet: u8,
}

impl Decision {
    /// Added to the outlet of messages that are also for us.
    pub(super) const HEARD: u8 = 0x80;
}

/// One cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
struct Entry {
    key: Key,
    decision: Decision,
}

const _: () = assert!(size_of::<Entry>() == 64);

/// What was seen of a frame.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Seen {
    key: Key,
    /// Where what is inside ends by its own account, bytes from the start of the frame.
    end: u32,
    /// Bytes of the frame.
    len: u32,
    /// Where its flow is, or would be at first.
    slot: u32,
}

/// Longer than any, so that it fits no entry.
const NOTHING: Seen = Seen { key: Key::NONE, end: 0, len: i32::MAX as u32, slot: 0 };

impl Entry {
    /// Whether the decision is for this frame.
    #[inline]
    fn fits(&self, seen: &Seen) -> bool {
        let Decision { longest, headers, .. } = self.decision;
        // What is negative has its highest bit set. In one word, because each part is true nearly always.
        let wrong = (seen.end.wrapping_sub(headers.into()))
            | seen.len.wrapping_sub(seen.end)
            | u32::from(longest).wrapping_sub(seen.len);
        self.key.is(&seen.key) & (wrong as i32 >= 0)
    }
}

/// What is known of the flow of a frame, which was at a place in its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sight {
    /// Nobody looked.
    #[default]
    None,
    /// A [decision](Flows::decision).
    Known(u8),
    /// None so far.
    New(u8),
}

/// The flows that a worker knows.
pub(super) struct Flows {
    /// A power of two.
    entries: Box<[Entry]>,
    eye: Eye,
    seeds: [u64; 4],
    /// Of the batch that was looked at last.
    seen: Box<[Seen; BURST]>,
    /// How many of its frames are gone, from the front on: places are those of the rest.
    gone: usize,
    /// What is to be kept, by place. Never grows.
    lessons: Vec<(u8, Decision)>,
    /// Entries that were wiped since all were to be forgotten.
    wiped: usize,
    /// Batches that are not to be looked at.
    pause: u32,
    /// Frames of this trial, and how many of them were not known.
    looked: u32,
    unknown: u32,
    /// Flows that found their set full.
    full: u32,
}

impl Flows {
    /// None so far, and room for those of so many attachments.
    pub(super) fn new(attachments: usize, classifier: &Classifier) -> Self {
        let slots = (attachments * EACH).next_power_of_two().clamp(FEWEST, MOST);
        let entries = vec![Entry::default(); slots].into_boxed_slice();
        prefer_huge_pages(&entries);
        // Nobody outside may know which flows share a set.
        let random = RandomState::new();
        Flows {
            entries,
            eye: Eye::new(classifier),
            seeds: std::array::from_fn(|at| random.hash_one(at)),
            seen: Box::new([NOTHING; BURST]),
            gone: 0,
            lessons: Vec::with_capacity(BURST),
            wiped: slots,
            pause: 0,
            looked: 0,
            unknown: 0,
            full: 0,
        }
    }

    /// Forgets all. Nothing is known while that takes its time, a piece with each batch.
    pub(super) fn forget(&mut self) {
        self.wiped = 0;
    }

    /// Looks at a batch from the polled queue at a position; false when it did not.
    #[inline]
    pub(super) fn look(&mut self, packets: &[Mbuf], source: usize) -> bool {
        let origin = Eye::origin(source).filter(|_| self.wiped == self.entries.len() && self.pause == 0);
        let Some(origin) = origin else {
            self.go_without();
            return false;
        };
        let Flows { entries, eye, seeds, seen, .. } = self;
        let mask = entries.len() - 1;
        for (packet, seen) in packets.iter().zip(&mut **seen) {
            let Some(front) = packet.front::<FRONT>() else {
                *seen = NOTHING;
                continue;
            };
            (seen.key, seen.end) = eye.look(front, origin);
            seen.len = packet.len() as u32;
            let slot = seen.key.hash(seeds) as usize & mask;
            seen.slot = slot as u32;
            if let Some(entry) = entries.get(slot) {
                prefetch(entry);
            }
        }
        self.gone = 0;
        self.looked += packets.len() as u32;
        if self.looked >= TRIAL {
            self.pause = if self.unknown > self.looked / 2 { PAUSE } else { 0 };
            (self.looked, self.unknown) = (0, 0);
        }
        true
    }

    /// The decisions for the frames of the batch that was looked at, in their order; nothing for those of which none is
    /// known.
    #[inline]
    pub(super) fn decisions(&self) -> impl Iterator<Item = Option<&Decision>> {
        self.seen.iter().map(|seen| {
            let entry = &self.entries[seen.slot as usize];
            if entry.fits(seen) { Some(entry) } else { self.find_elsewhere(seen).map(|slot| &self.entries[slot]) }
                .map(|entry| &entry.decision)
        })
    }

    /// The slot of a frame's flow, if it is known but not in the first slot of its set that was looked at.
    #[inline(never)]
    fn find_elsewhere(&self, seen: &Seen) -> Option<usize> {
        place_of(&self.entries, seen).filter(|slot| self.entries[*slot].fits(seen))
    }

    /// After so many frames of the batch are gone, from the front on: says which of those left are not known. From now on
    /// places are counted from the first of them.
    pub(super) fn rest(&mut self, gone: usize, left: usize) -> Places {
        self.gone = gone;
        let mut unknown = Places::default();
        for place in 0..left {
            let seen = &self.seen[(gone + place) % BURST];
            if self.entries[seen.slot as usize].fits(seen) {
                continue;
            }
            match self.find_elsewhere(seen) {
                Some(slot) => self.seen[(gone + place) % BURST].slot = slot as u32,
                None => unknown.add(place),
            }
        }
        self.unknown += unknown.count() as u32;
        unknown
    }

    /// The decision for a known frame of the rest of the batch, by its place.
    #[inline]
    pub(super) fn decision(&self, place: usize) -> &Decision {
        &self.entries[self.seen[(self.gone + place) % BURST].slot as usize].decision
    }

    #[cold]
    fn go_without(&mut self) {
        if self.wiped == self.entries.len() {
            self.pause = self.pause.saturating_sub(1);
            return;
        }
        let end = (self.wiped + WIPED_AT_ONCE).min(self.entries.len());
        self.entries[self.wiped..end].fill(Entry::default());
        self.wiped = end;
    }

    /// Notes what was decided for a frame of the batch, to be [kept](Flows::keep).
    #[inline]
    pub(super) fn learn(&mut self, place: u8, decision: Decision) {
        if self.lessons.len() < BURST {
            self.lessons.push((place, decision));
        }
    }

    /// Keeps what was learned from a batch that is gone: until then, decisions must stay where they are.
    #[inline(never)]
    pub(super) fn keep(&mut self) {
        let Flows { entries, seen, gone, lessons, full, .. } = self;
        for (place, decision) in lessons.drain(..) {
            let seen = &seen[(*gone + usize::from(place)) % BURST];
            if seen.key == Key::NONE {
                continue;
            }
            let slot = place_of(entries, seen).or_else(|| {
                *full = full.wrapping_add(1);
                full.is_multiple_of(REPLACE_EVERY).then_some(seen.slot as usize)
            });
            if let Some(slot) = slot {
                entries[slot] = Entry { key: seen.key, decision };
            }
        }
    }
}

/// Where a flow is, or else where there is room for it. One that is known stands before the first free slot, because
/// single slots never become free.
#[inline]
fn place_of(entries: &[Entry], seen: &Seen) -> Option<usize> {
    let mut set = (0..SET).map(|by| seen.slot as usize ^ by);
    set.find(|slot| entries[*slot].decision.longest == 0 || entries[*slot].key.is(&seen.key))
}

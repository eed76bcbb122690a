//! What the data path counts: one worker writes, the control side adds the workers up.

use super::classifier::CLASSES;
use iogate::memory::{prefer_huge_pages, prefetch};
use iogate::telemetry::Traffic;

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a server.
    FromServer,
    /// To a server.
    ToServer,
}

/// One worker's counters of what went through, by attachment, class and direction.
///
/// A frame between two servers counts twice: from the one, and to the other.
#[derive(Debug)]
pub struct Counters {
    /// By class, direction and then attachment, for as many classes as there can be: of most attachments few are used,
    /// and those that are share cache lines.
    slots: Box<[Traffic]>,
    ways: usize,
    /// By attachment: frames from its server that were dropped after they were known to be its.
    dropped: Box<[Traffic]>,
}

impl Counters {
    /// For so many attachments. There are more `ways` to send to than attachments: what goes out of an
    /// uplink is counted like the rest, so that nobody has to ask first, and not shown.
    pub(super) fn new(attachments: usize, ways: usize) -> Self {
        let slots: Box<[Traffic]> = (0..ways * CLASSES * 2).map(|_| Traffic::default()).collect();
        prefer_huge_pages(&slots);
        Counters { slots, ways, dropped: (0..attachments).map(|_| Traffic::default()).collect() }
    }

    /// The number of the slot of an attachment, a class and a direction.
    #[inline]
    pub(super) fn slot(&self, attachment: u32, class: u8, direction: Direction) -> u32 {
        let row = usize::from(class) % CLASSES * 2 + direction as usize;
        (row * self.ways) as u32 + attachment
    }

    /// The attachment that a slot is of.
    pub(super) fn attachment(&self, slot: u32) -> u32 {
        slot % self.ways as u32
    }

    /// All slots.
    #[inline]
    pub(super) fn slots(&self) -> &[Traffic] {
        &self.slots
    }

    #[inline]
    fn at(&self, attachment: u32, class: u8, direction: Direction) -> &Traffic {
        &self.slots[self.slot(attachment, class, direction) as usize]
    }

    /// Fetches what [`count`](Counters::count) will write to.
    #[inline]
    pub(super) fn prefetch(&self, attachment: u32, class: u8, direction: Direction) {
        prefetch(self.at(attachment, class, direction));
    }

    /// Counts a frame that went through.
    #[inline]
    pub fn count(&self, attachment: u32, class: u8, direction: Direction, bytes: usize) {
        self.at(attachment, class, direction).add(bytes);
    }

    /// Counts a frame of an attachment that was dropped.
    #[inline]
    pub fn count_drop(&self, attachment: u32, bytes: usize) {
        self.dropped[attachment as usize].add(bytes);
    }

    /// Packets and bytes of an attachment in a class.
    pub fn traffic(&self, attachment: u32, class: u8, direction: Direction) -> (u64, u64) {
        let traffic = self.at(attachment, class, direction);
        (traffic.packets(), traffic.bytes())
    }

    /// Packets and bytes of an attachment that were dropped.
    pub fn dropped(&self, attachment: u32) -> (u64, u64) {
        let dropped = &self.dropped[attachment as usize];
        (dropped.packets(), dropped.bytes())
    }
}

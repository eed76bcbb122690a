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

/// Of an attachment and a class, by direction.
pub(super) type Row = [Traffic; 2];

/// One worker's counters of what went through, by attachment, class and direction.
///
/// A frame between two servers counts twice: from the one, and to the other.
#[derive(Debug)]
pub struct Counters {
    /// By attachment, and then by class, for as many as there can be.
    rows: Box<[Row]>,
    /// By attachment: frames from its server that were dropped after they were known to be its.
    dropped: Box<[Traffic]>,
}

impl Counters {
    /// For so many attachments. There are more `ways` to send to than attachments: what goes out of an
    /// uplink is counted like the rest, so that nobody has to ask first, and not shown.
    pub(super) fn new(attachments: usize, ways: usize) -> Self {
        let rows: Box<[Row]> = (0..ways * CLASSES).map(|_| Row::default()).collect();
        prefer_huge_pages(&rows);
        Counters { rows, dropped: (0..attachments).map(|_| Traffic::default()).collect() }
    }

    /// The number of the row of an attachment and a class.
    #[inline]
    pub(super) fn row(attachment: u32, class: u8) -> u32 {
        attachment * CLASSES as u32 + u32::from(class) % CLASSES as u32
    }

    /// The attachment that a row is of.
    pub(super) fn attachment(row: u32) -> u32 {
        row / CLASSES as u32
    }

    /// All rows.
    #[inline]
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    #[inline]
    fn slot(&self, attachment: u32, class: u8, direction: Direction) -> &Traffic {
        &self.rows[Self::row(attachment, class) as usize][direction as usize]
    }

    /// Fetches what [`count`](Counters::count) will write to.
    #[inline]
    pub(super) fn prefetch(&self, attachment: u32, class: u8) {
        prefetch(self.slot(attachment, class, Direction::FromServer));
    }

    /// Counts a frame that went through.
    #[inline]
    pub fn count(&self, attachment: u32, class: u8, direction: Direction, bytes: usize) {
        self.slot(attachment, class, direction).add(bytes);
    }

    /// Counts a frame of an attachment that was dropped.
    #[inline]
    pub fn count_drop(&self, attachment: u32, bytes: usize) {
        self.dropped[attachment as usize].add(bytes);
    }

    /// Packets and bytes of an attachment in a class.
    pub fn traffic(&self, attachment: u32, class: u8, direction: Direction) -> (u64, u64) {
        let traffic = self.slot(attachment, class, direction);
        (traffic.packets(), traffic.bytes())
    }

    /// Packets and bytes of an attachment that were dropped.
    pub fn dropped(&self, attachment: u32) -> (u64, u64) {
        let dropped = &self.dropped[attachment as usize];
        (dropped.packets(), dropped.bytes())
    }
}

//! What the data path counts: one worker writes, the control side adds the workers up.

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
    classes: usize,
    traffic: Box<[Traffic]>,
    /// By attachment: frames from its server that were dropped after they were known to be its.
    dropped: Box<[Traffic]>,
}

impl Counters {
    /// For so many attachments and classes.
    pub fn new(attachments: usize, classes: usize) -> Self {
        Counters {
            classes,
            traffic: (0..attachments * classes * 2).map(|_| Traffic::default()).collect(),
            dropped: (0..attachments).map(|_| Traffic::default()).collect(),
        }
    }

    #[inline]
    fn slot(&self, attachment: u32, class: u8, direction: Direction) -> usize {
        (attachment as usize * self.classes + usize::from(class)) * 2 + direction as usize
    }

    /// Counts a frame that went through.
    #[inline]
    pub fn count(&self, attachment: u32, class: u8, direction: Direction, bytes: usize) {
        self.traffic[self.slot(attachment, class, direction)].add(bytes);
    }

    /// Counts a frame of an attachment that was dropped.
    #[inline]
    pub fn count_drop(&self, attachment: u32, bytes: usize) {
        self.dropped[attachment as usize].add(bytes);
    }

    /// Packets and bytes of an attachment in a class.
    pub fn traffic(&self, attachment: u32, class: u8, direction: Direction) -> (u64, u64) {
        let traffic = &self.traffic[self.slot(attachment, class, direction)];
        (traffic.packets(), traffic.bytes())
    }

    /// Packets and bytes of an attachment that were dropped.
    pub fn dropped(&self, attachment: u32) -> (u64, u64) {
        let dropped = &self.dropped[attachment as usize];
        (dropped.packets(), dropped.bytes())
    }
}

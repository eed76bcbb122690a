//! Why a packet was dropped.

use crate::telemetry::Traffic;

/// Reasons there can be, the framework's included.
const REASONS: usize = 64;
/// How many of them are the framework's own.
const OWN: u8 = 8;

/// Why a packet was dropped: one of the framework's reasons, or one of the application's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DropReason(u8);

impl DropReason {
    /// Came out of the end of a pipeline without having been sent.
    pub const UNROUTED: DropReason = DropReason(0);
    /// The TX queue was full, and so was the buffer before it.
    pub const TX_FULL: DropReason = DropReason(1);
    /// The pool had no buffer for a copy.
    pub const NO_BUFFER: DropReason = DropReason(2);
    /// Was still waiting to be sent when the worker stopped.
    pub const STOPPED: DropReason = DropReason(3);

    /// Is in several buffers, which the port cannot send, and fits no single one.
    pub const CHAINED: DropReason = DropReason(4);

    /// Its sender left work to the card that cannot be done: a checksum of what is neither TCP nor UDP, a
    /// datagram over IPv6 or a fragment to be cut, or into too many pieces.
    pub const UNFINISHED: DropReason = DropReason(5);

    const NAMES: [&'static str; 6] = ["unrouted", "tx-full", "no-buffer", "stopped", "chained", "unfinished"];

    /// The application's reason number `number`, below 56.
    ///
    /// # Panics
    /// For a larger number; at compile time in a constant.
    pub const fn app(number: u8) -> DropReason {
        assert!(number < REASONS as u8 - OWN, "an application has at most 56 drop reasons");
        DropReason(number + OWN)
    }

    /// The name of one of the framework's reasons, or the application's number.
    pub fn name(self) -> Result<&'static str, u8> {
        match self.0.checked_sub(OWN) {
            Some(number) => Err(number),
            None => Ok(Self::NAMES.get(usize::from(self.0)).copied().unwrap_or("reserved")),
        }
    }

    /// Every reason there can be.
    pub fn all() -> impl Iterator<Item = DropReason> {
        (0..REASONS as u8).map(DropReason)
    }
}

/// Dropped packets and bytes, by reason. One worker writes, anybody reads.
#[derive(Debug)]
pub struct DropCounters([Traffic; REASONS]);

impl Default for DropCounters {
    fn default() -> Self {
        DropCounters(std::array::from_fn(|_| Traffic::default()))
    }
}

impl DropCounters {
    #[inline]
    pub(crate) fn add(&self, reason: DropReason, bytes: usize) {
        self.0[usize::from(reason.0) % REASONS].add(bytes);
    }

    pub(crate) fn add_many(&self, reason: DropReason, packets: u64, bytes: usize) {
        self.0[usize::from(reason.0) % REASONS].add_many(packets, packets * bytes as u64);
    }

    /// Packets dropped for this reason.
    pub fn packets(&self, reason: DropReason) -> u64 {
        self.0[usize::from(reason.0) % REASONS].packets()
    }

    /// Bytes dropped for this reason.
    pub fn bytes(&self, reason: DropReason) -> u64 {
        self.0[usize::from(reason.0) % REASONS].bytes()
    }

    /// Packets dropped for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().map(Traffic::packets).sum()
    }
}

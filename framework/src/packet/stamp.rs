//! What a packet generator writes into a frame to know it again: the last 16 bytes, whatever headers stand in front.
//!
//! ```text
//!                    0              2       4          8      16
//!   | frame ...    | magic 0x695f | group | sequence | time |     (end of the frame, without its FCS)
//! ```
//!
//! At the end it stays in place when a VLAN tag or a tunnel header is put on or taken off on the way. A device that pads a
//! frame to 60 bytes hides it, so whatever takes a tag off needs frames of at least 64 bytes to work on.
//!
//! ```
//! use iogate::packet::Stamp;
//!
//! let mut frame = [0u8; 60];
//! let stamp = Stamp::place_at_end(&mut frame)?;
//! stamp.set_group(3);
//! stamp.set_sequence(41);
//! stamp.set_time(iogate::telemetry::cycles());
//! let stamp = Stamp::at_end(&frame)?;
//! assert_eq!((stamp.group(), stamp.sequence()), (3, 41));
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, Malformed, Why};
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The first two bytes of a stamp.
pub const MAGIC: u16 = 0x695f;

/// A stamp. 16 bytes, which begin with [`MAGIC`]; anything else is refused.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Stamp {
    magic: U16,
    group: U16,
    sequence: U32,
    time: U64,
}

impl Stamp {
    /// Length in bytes.
    pub const LEN: usize = size_of::<Self>();

    /// The stamp of a group, a sequence number in it, and a time.
    #[inline]
    #[must_use]
    pub const fn new(group: u16, sequence: u32, time: u64) -> Self {
        Stamp { magic: U16::new(MAGIC), group: U16::new(group), sequence: U32::new(sequence), time: U64::new(time) }
    }

    fields! {
        /// Which flows it belongs to: sequence numbers count within a group.
        group, set_group: u16 = group;
        /// Position in its group, from 0; wraps at 2^32.
        sequence, set_sequence: u32 = sequence;
        /// When it was sent, in ticks of the sender's time-stamp counter.
        time, set_time: u64 = time;
    }

    /// The stamp at the end of `frame`.
    ///
    /// # Errors
    ///
    /// [`Why::Truncated`] when the frame is shorter than a stamp, [`Why::Kind`] when it ends in something else.
    #[inline]
    pub fn at_end(frame: &[u8]) -> Result<&Self, Malformed> {
        let start = frame.len().checked_sub(Self::LEN).ok_or(Self::malformed(Why::Truncated))?;
        Ok(Self::parse(&frame[start..])?.0)
    }

    /// As [`at_end`](Self::at_end), for writing in place.
    ///
    /// # Errors
    ///
    /// As [`at_end`](Self::at_end).
    #[inline]
    pub fn at_end_mut(frame: &mut [u8]) -> Result<&mut Self, Malformed> {
        let start = frame.len().checked_sub(Self::LEN).ok_or(Self::malformed(Why::Truncated))?;
        Ok(Self::parse_mut(&mut frame[start..])?.0)
    }

    /// Writes a blank stamp over the last bytes of `frame`.
    ///
    /// # Errors
    ///
    /// [`Why::Truncated`] when the frame is shorter than a stamp.
    #[inline]
    pub fn place_at_end(frame: &mut [u8]) -> Result<&mut Self, Malformed> {
        let start = frame.len().checked_sub(Self::LEN).ok_or(Self::malformed(Why::Truncated))?;
        Ok(Self::place(&mut frame[start..])?.0)
    }
}

debug_fields!(Stamp: group, sequence, time);

impl Header for Stamp {
    const NAME: &'static str = "stamp";
    const BLANK: &'static [u8] = &[0x69, 0x5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        let extent = Extent::fixed::<Self>(bytes)?;
        if bytes[..2] != MAGIC.to_be_bytes() {
            return Err(Self::malformed(Why::Kind));
        }
        Ok(extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SENT: [u8; 16] = [0x69, 0x5f, 0, 7, 0, 0, 1, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78];

    properties!(stamp, Stamp, SENT);

    #[test]
    fn reads_what_was_sent() {
        let (stamp, rest) = Stamp::parse(&SENT).unwrap();
        assert_eq!((stamp.group(), stamp.sequence(), stamp.time(), rest.len()), (7, 256, 0x1234_5678, 0));
        assert_eq!(Stamp::parse(&[0; 16]).unwrap_err().why, Why::Kind);
        assert_eq!(Stamp::new(7, 256, 0x1234_5678).as_bytes(), SENT);
    }

    #[test]
    fn a_short_frame_has_none() {
        for len in 0..16 {
            let mut frame = SENT[..len].to_vec();
            assert_eq!(Stamp::at_end(&frame).unwrap_err().why, Why::Truncated);
            assert_eq!(Stamp::at_end_mut(&mut frame).unwrap_err().why, Why::Truncated);
            assert_eq!(Stamp::place_at_end(&mut frame).unwrap_err().why, Why::Truncated);
            assert_eq!(frame, SENT[..len]);
        }
    }

    proptest! {
        #[test]
        fn setters_read_back(group: u16, sequence: u32, time: u64) {
            let mut bytes = [0; 16];
            let (stamp, _) = Stamp::place(&mut bytes).unwrap();
            reads_back!(stamp; group, set_group = group; sequence, set_sequence = sequence; time, set_time = time;);
            prop_assert_eq!(&*stamp, &Stamp::new(group, sequence, time));
        }

        #[test]
        fn it_is_found_behind_anything(front in proptest::collection::vec(any::<u8>(), 0..100), group: u16, sequence: u32) {
            let mut frame = front.clone();
            frame.extend([0xff; 16]);
            prop_assert_eq!(Stamp::at_end(&frame).unwrap_err().why, Why::Kind);
            Stamp::place_at_end(&mut frame).unwrap();
            let stamp = Stamp::at_end_mut(&mut frame).unwrap();
            stamp.set_group(group);
            stamp.set_sequence(sequence);
            let found = Stamp::at_end(&frame).unwrap();
            prop_assert_eq!((found.group(), found.sequence(), found.time()), (group, sequence, 0));
            prop_assert_eq!(&frame[..front.len()], &front[..]);
        }
    }
}

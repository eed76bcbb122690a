//! Flow control of a link: PAUSE (IEEE 802.3 annex 31B) and priority flow control, PFC (IEEE 802.1Q-2018, clause 36;
//! frame in IEEE 802.3 annex 31D). Both travel in MAC control frames to [`MacAddr::PAUSE`](super::MacAddr::PAUSE) and are
//! never forwarded.
//!
//! ```text
//!    0               2                     4
//!   | opcode 0x0101 | class-enable vector | time of priority 0 | ... | time of priority 7 |   PFC
//!   | opcode 0x0001 | time                |                                                  PAUSE
//! ```
//!
//! ```
//! use iogate::packet::{Header, Pfc};
//!
//! let mut bytes = [0u8; 46];
//! let (pfc, _) = Pfc::place(&mut bytes)?;
//! pfc.set_time(3, Some(0xffff));
//! assert_eq!(pfc.time(3), Some(0xffff));
//! assert_eq!(bytes[2..4], [0, 0x08]);
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, Malformed, Why};
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The unit of pause times, in bit times of the link: 51.2 ns at 10 Gbit/s.
pub const QUANTUM_BITS: u32 = 512;

/// Refuses MAC control frames with another opcode.
fn control<H: Header>(bytes: &[u8], opcode: u16) -> Result<Extent, Malformed> {
    let extent = Extent::fixed::<H>(bytes)?;
    if bytes[..2] != opcode.to_be_bytes() {
        return Err(H::malformed(Why::Kind));
    }
    Ok(extent)
}

/// A PAUSE frame behind its Ethernet header. 4 bytes; padding follows.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Pause {
    opcode: U16,
    time: U16,
}

impl Pause {
    fields! {
        /// How long to send nothing, in units of [`QUANTUM_BITS`]; 0 to go on.
        time, set_time: u16 = time;
    }
}

debug_fields!(Pause: time);

impl Header for Pause {
    const NAME: &'static str = "pause";
    const BLANK: &'static [u8] = &[0, 1, 0, 0];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        control::<Self>(bytes, 0x0001)
    }
}

/// A PFC frame behind its Ethernet header. 20 bytes; padding follows.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Pfc {
    opcode: U16,
    enabled: U16,
    times: [U16; 8],
}

impl Pfc {
    /// How long to send nothing of `priority` (0 to 7), in units of [`QUANTUM_BITS`]; 0 to go on. `None` when the frame
    /// does not speak of that priority.
    #[inline]
    #[must_use]
    pub fn time(&self, priority: u8) -> Option<u16> {
        let time = self.times.get(usize::from(priority))?;
        (self.enabled.get() & 1 << priority != 0).then(|| time.get())
    }

    /// Writes [`time`](Self::time). A priority above 7 is ignored.
    #[inline]
    pub fn set_time(&mut self, priority: u8, time: Option<u16>) {
        let Some(slot) = self.times.get_mut(usize::from(priority)) else {
            return;
        };
        slot.set(time.unwrap_or(0));
        let rest = self.enabled.get() & !(1 << priority);
        self.enabled.set(rest | u16::from(time.is_some()) << priority);
    }

    /// The priorities that the frame speaks of, bit n for priority n.
    #[inline]
    #[must_use]
    pub fn enabled(&self) -> u8 {
        self.enabled.get() as u8
    }

    /// All times, `None` for priorities that the frame does not speak of.
    #[inline]
    #[must_use]
    pub fn times(&self) -> [Option<u16>; 8] {
        core::array::from_fn(|priority| self.time(priority as u8))
    }
}

debug_fields!(Pfc: enabled, times);

impl Header for Pfc {
    const NAME: &'static str = "pfc";
    const BLANK: &'static [u8] = &[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        control::<Self>(bytes, 0x0101)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PFC: [u8; 22] = [1, 1, 0, 0x18, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0];

    properties!(pfc, Pfc, PFC);
    properties!(pause, Pause, [0, 1, 0xff, 0xff, 0]);

    #[test]
    fn reads_pfc() {
        let (pfc, _) = Pfc::parse(&PFC).unwrap();
        assert_eq!(pfc.times(), [None, None, None, Some(0xffff), Some(0x1234), None, None, None]);
        assert_eq!((pfc.enabled(), pfc.time(8), pfc.time(255)), (0x18, None, None));
    }

    #[test]
    fn the_opcode_tells_them_apart() {
        assert_eq!(Pause::parse(&PFC).unwrap_err().why, Why::Kind);
        assert_eq!(
            Pfc::parse(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap_err().why,
            Why::Kind
        );
    }

    proptest! {
        #[test]
        fn setters_read_back(times: [Option<u16>; 8], time: u16, beyond in 8u8..) {
            let mut bytes = [0; 20];
            let (pfc, _) = Pfc::place(&mut bytes).unwrap();
            for (priority, time) in times.into_iter().enumerate() {
                pfc.set_time(priority as u8, time);
            }
            pfc.set_time(beyond, Some(time));
            prop_assert_eq!(pfc.times(), times);
            let (pause, _) = Pause::place(&mut bytes).unwrap();
            reads_back!(pause; time, set_time = time;);
        }
    }
}

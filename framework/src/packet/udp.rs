//! UDP (RFC 768).
//!
//! ```text
//!    0             2                  4        6
//!   | source port | destination port | length | checksum | payload ...
//! ```
//!
//! ```
//! use iogate::packet::{Header, Udp};
//!
//! let mut bytes = [0u8; 12];
//! let (udp, payload) = Udp::place(&mut bytes)?;
//! udp.set_dst_port(4789);
//! assert_eq!((udp.len(), payload.len()), (12, 4));
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, Malformed, Why};
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A UDP header. 8 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Udp {
    src_port: U16,
    dst_port: U16,
    len: U16,
    checksum: U16,
}

#[allow(clippy::len_without_is_empty, reason = "the length of a datagram is never 0")]
impl Udp {
    fields! {
        /// Source port; 0 when no answer is expected.
        src_port, set_src_port: u16 = src_port;
        /// Destination port.
        dst_port, set_dst_port: u16 = dst_port;
        /// Length of header and payload in bytes, at least 8.
        len, set_len: u16 = len;
        /// Checksum over pseudo header, header and payload; see [`PseudoHeader`](super::PseudoHeader).
        checksum, set_checksum: u16 = checksum;
    }

    /// Whether the sender computed a checksum. Over IPv6 it has to, tunnels apart (RFC 6935).
    #[inline]
    #[must_use]
    pub fn has_checksum(&self) -> bool {
        self.checksum.get() != 0
    }
}

debug_fields!(Udp: src_port, dst_port, len, checksum, has_checksum);

impl Header for Udp {
    const NAME: &'static str = "udp";
    const BLANK: &'static [u8] = &[0, 0, 0, 0, 0, 8, 0, 0];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        let Extent { header, .. } = Extent::fixed::<Self>(bytes)?;
        let total = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
        if total < header {
            return Err(Self::malformed(Why::PayloadLength));
        }
        Ok(Extent { header, total })
    }

    #[inline]
    fn set_payload_len(&mut self, len: usize) -> Result<(), Malformed> {
        let len = u16::try_from(len.saturating_add(size_of::<Self>()));
        self.set_len(len.map_err(|_| Self::malformed(Why::PayloadLength))?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DNS: [u8; 12] = [0x30, 0x39, 0x00, 0x35, 0x00, 0x0b, 0x12, 0x34, 1, 2, 3, 4];

    properties!(udp, Udp, DNS);

    #[test]
    fn reads_a_datagram() {
        let (udp, payload) = Udp::parse(&DNS).unwrap();
        assert_eq!((udp.src_port(), udp.dst_port(), udp.len()), (12345, 53, 11));
        assert_eq!(payload, [1, 2, 3], "what is beyond the length is trimmed");
        assert!(udp.has_checksum());
    }

    #[test]
    fn refuses_lies() {
        for len in [0, 7, 13, 255] {
            let mut bytes = DNS;
            bytes[5] = len;
            assert_eq!(Udp::parse(&bytes).unwrap_err().why, Why::PayloadLength);
        }
    }

    proptest! {
        #[test]
        fn setters_read_back(src: u16, dst: u16, len: u16, checksum: u16) {
            let mut bytes = [0; 8];
            let (udp, _) = Udp::place(&mut bytes).unwrap();
            reads_back!(udp;
                src_port, set_src_port = src;
                dst_port, set_dst_port = dst;
                len, set_len = len;
                checksum, set_checksum = checksum;
            );
        }
    }
}

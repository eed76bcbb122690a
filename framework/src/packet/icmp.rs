//! ICMP (RFC 792).
//!
//! ```text
//!    0      1      2          4                           8
//!   | type | code | checksum | depends on type (4 bytes)  | body ...
//! ```
//!
//! ```
//! use iogate::packet::icmp::{Icmp, IcmpType};
//! use iogate::packet::Header;
//!
//! let mut ping = [0u8; 16];
//! let (icmp, _) = Icmp::place(&mut ping)?;
//! icmp.set_kind(IcmpType::ECHO_REQUEST);
//! icmp.set_sequence(7);
//! Icmp::fill_checksum(&mut ping)?;
//! assert!(Icmp::checksum_ok(&ping));
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, Malformed, checksum};
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

code! {
    /// Type of an ICMP message (RFC 792; IANA "ICMP Parameters").
    IcmpType(u8) {
        /// Answer to an echo request.
        ECHO_REPLY = 0 "echo reply";
        /// The packet quoted did not arrive; the code says why.
        UNREACHABLE = 3 "unreachable";
        /// There is a better gateway.
        REDIRECT = 5 "redirect";
        /// Asks for its payload back.
        ECHO_REQUEST = 8 "echo request";
        /// The TTL, or the time for reassembly, ran out.
        TIME_EXCEEDED = 11 "time exceeded";
        /// The packet quoted has a bad header.
        PARAMETER_PROBLEM = 12 "parameter problem";
    }
}

code_field!(IcmpType in u8);

/// An ICMP header. 8 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Icmp {
    kind: u8,
    code: u8,
    checksum: U16,
    high: U16,
    low: U16,
}

impl Icmp {
    fields! {
        /// Type of the message.
        kind, set_kind: IcmpType = kind;
        /// Subtype.
        code, set_code: u8 = code;
        /// Checksum over the whole message; see [`fill_checksum`](Self::fill_checksum).
        checksum, set_checksum: u16 = checksum;
        /// Of an echo: which sender it belongs to.
        identifier, set_identifier: u16 = high;
        /// Of an echo: its number.
        sequence, set_sequence: u16 = low;
        /// Of "fragmentation needed" (type 3, code 4): MTU of the next hop in bytes (RFC 1191).
        next_hop_mtu, set_next_hop_mtu: u16 = low;
    }

    /// Whether the body quotes the packet that caused the message. Parse it with
    /// [`Ipv4::parse_front`](Header::parse_front).
    #[inline]
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(
            self.kind(),
            IcmpType::UNREACHABLE | IcmpType::REDIRECT | IcmpType::TIME_EXCEEDED | IcmpType::PARAMETER_PROBLEM
        )
    }

    /// Computes and writes the checksum of `message`, header and body.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when `message` is shorter than a header.
    #[inline]
    pub fn fill_checksum(message: &mut [u8]) -> Result<(), Malformed> {
        Self::parse_mut(message)?.0.set_checksum(0);
        let checksum = checksum::of(message);
        Self::parse_mut(message)?.0.set_checksum(checksum);
        Ok(())
    }

    /// Whether the checksum of `message`, header and body, is right.
    #[inline]
    #[must_use]
    pub fn checksum_ok(message: &[u8]) -> bool {
        checksum::of(message) == 0
    }
}

debug_fields!(Icmp: kind, code, checksum, identifier, sequence, next_hop_mtu, is_error);

impl Header for Icmp {
    const NAME: &'static str = "icmp";
    const BLANK: &'static [u8] = &[0; 8];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        Extent::fixed::<Self>(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Ipv4;
    use proptest::prelude::*;

    const PING: [u8; 12] = [8, 0, 0x87, 0x51, 0x04, 0xd2, 0x00, 0x07, 0x61, 0x62, 0x0a, 0x70];

    properties!(icmp, Icmp, PING);

    #[test]
    fn reads_a_ping() {
        let mut bytes = PING;
        Icmp::fill_checksum(&mut bytes).unwrap();
        assert!(Icmp::checksum_ok(&bytes));
        let (icmp, body) = Icmp::parse(&bytes).unwrap();
        assert_eq!((icmp.kind(), icmp.identifier(), icmp.sequence()), (IcmpType::ECHO_REQUEST, 1234, 7));
        assert!(!icmp.is_error());
        assert_eq!(body.len(), 4);
    }

    #[test]
    fn reads_the_quote_of_an_error() {
        let mut bytes = [0; 36];
        let (icmp, quote) = Icmp::place(&mut bytes).unwrap();
        icmp.set_kind(IcmpType::UNREACHABLE);
        icmp.set_code(4);
        icmp.set_next_hop_mtu(1400);
        assert!(icmp.is_error());
        Ipv4::place(quote).unwrap().0.set_total_len(1500);
        let (_, quote) = Icmp::parse(&bytes).unwrap();
        assert_eq!(Ipv4::parse_front(quote).unwrap().1.len(), 8);
    }

    proptest! {
        #[test]
        fn setters_read_back(kind: u8, code: u8, checksum: u16, identifier: u16, sequence: u16) {
            let mut bytes = [0; 8];
            let (icmp, _) = Icmp::place(&mut bytes).unwrap();
            reads_back!(icmp;
                kind, set_kind = IcmpType(kind);
                code, set_code = code;
                checksum, set_checksum = checksum;
                identifier, set_identifier = identifier;
                sequence, set_sequence = sequence;
            );
            prop_assert_eq!(icmp.next_hop_mtu(), sequence);
        }
    }
}

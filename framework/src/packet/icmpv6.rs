//! ICMPv6 (RFC 4443). Neighbour discovery has its own module, [`ndp`](super::ndp).
//!
//! ```text
//!    0      1      2          4
//!   | type | code | checksum | body ...
//! ```
//!
//! ```
//! use iogate::packet::icmpv6::{Icmpv6, Icmpv6Type};
//! use iogate::packet::{Header, IpProtocol, PseudoHeader};
//!
//! let mut ping = [0u8; 12];
//! Icmpv6::place(&mut ping)?.0.set_kind(Icmpv6Type::ECHO_REQUEST);
//! let pseudo = PseudoHeader::v6([0xfe; 16].into(), [0xff; 16].into(), IpProtocol::ICMPV6);
//! pseudo.fill_icmpv6(&mut ping)?;
//! assert!(pseudo.verify(&ping));
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, Malformed};
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

code! {
    /// Type of an ICMPv6 message (RFC 4443; IANA "ICMPv6 Parameters").
    Icmpv6Type(u8) {
        /// The packet quoted did not arrive; the code says why.
        UNREACHABLE = 1 "unreachable";
        /// The packet quoted does not fit; the body starts with the MTU.
        PACKET_TOO_BIG = 2 "packet too big";
        /// The hop limit, or the time for reassembly, ran out.
        TIME_EXCEEDED = 3 "time exceeded";
        /// The packet quoted has a bad header.
        PARAMETER_PROBLEM = 4 "parameter problem";
        /// Asks for its payload back.
        ECHO_REQUEST = 128 "echo request";
        /// Answer to an echo request.
        ECHO_REPLY = 129 "echo reply";
        /// A host looks for routers (RFC 4861, section 4.1).
        ROUTER_SOLICITATION = 133 "router solicitation";
        /// A router shows itself (RFC 4861, section 4.2).
        ROUTER_ADVERTISEMENT = 134 "router advertisement";
        /// Asks for the link-layer address of a target (RFC 4861, section 4.3).
        NEIGHBOR_SOLICITATION = 135 "neighbor solicitation";
        /// Gives the link-layer address of a target (RFC 4861, section 4.4).
        NEIGHBOR_ADVERTISEMENT = 136 "neighbor advertisement";
        /// There is a better first hop (RFC 4861, section 4.5).
        REDIRECT = 137 "redirect";
        /// Multicast listener report, version 2 (RFC 3810).
        LISTENER_REPORT_V2 = 143 "listener report v2";
    }
}

code_field!(Icmpv6Type in u8);

/// The part that all ICMPv6 messages share. 4 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Icmpv6 {
    kind: u8,
    code: u8,
    checksum: U16,
}

impl Icmpv6 {
    fields! {
        /// Type of the message.
        kind, set_kind: Icmpv6Type = kind;
        /// Subtype.
        code, set_code: u8 = code;
        /// Checksum over pseudo header and message; see [`PseudoHeader`](super::PseudoHeader).
        checksum, set_checksum: u16 = checksum;
    }

    /// Whether this reports an error (types below 128): four bytes into the body stands the packet that caused it.
    #[inline]
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.kind < 128
    }
}

debug_fields!(Icmpv6: kind, code, checksum, is_error);

impl Header for Icmpv6 {
    const NAME: &'static str = "icmpv6";
    const BLANK: &'static [u8] = &[0; 4];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        Extent::fixed::<Self>(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PING: [u8; 10] = [128, 0, 0x12, 0x34, 0, 1, 0, 2, 0xaa, 0xbb];

    properties!(icmpv6, Icmpv6, PING);

    #[test]
    fn reads_a_ping() {
        let (icmp, body) = Icmpv6::parse(&PING).unwrap();
        assert_eq!((icmp.kind(), icmp.checksum(), body.len()), (Icmpv6Type::ECHO_REQUEST, 0x1234, 6));
        assert!(!icmp.is_error());
    }

    proptest! {
        #[test]
        fn setters_read_back(kind: u8, code: u8, checksum: u16) {
            let mut bytes = [0; 4];
            let (icmp, _) = Icmpv6::place(&mut bytes).unwrap();
            reads_back!(icmp;
                kind, set_kind = Icmpv6Type(kind);
                code, set_code = code;
                checksum, set_checksum = checksum;
            );
        }
    }
}

//! The Internet checksum (RFC 1071), its incremental update (RFC 1624), and the pseudo headers of TCP, UDP and ICMPv6.
//!
//! ```text
//!   pseudo header (RFC 9293, section 3.1; RFC 8200, section 8.1)
//!   IPv4: | source 4  | destination 4  | 0 | protocol | length 2 |
//!   IPv6: | source 16 | destination 16 | length 4 | 0 0 0 | protocol |
//! ```
//!
//! ```
//! use iogate::packet::{checksum, IpProtocol, PseudoHeader};
//!
//! let pseudo = PseudoHeader::v4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), IpProtocol::UDP);
//! let mut datagram = [0x30, 0x39, 0x00, 0x35, 0x00, 0x0a, 0x00, 0x00, 0xab, 0xcd];
//! pseudo.fill_udp(&mut datagram)?;
//! assert!(pseudo.verify(&datagram));
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Header, Icmpv6, IpProtocol, Ipv4, Malformed, Tcp, Udp};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The ones' complement sum of `bytes` taken as 16-bit big-endian words, an odd byte padded with zero. Not folded, so that
/// partial sums can be added; see [`fold`].
#[inline]
#[must_use]
pub fn sum(bytes: &[u8]) -> u64 {
    // 32-bit words give the same sum modulo 0xffff at half the additions; 2^32 of them fit into the u64.
    let (words, rest) = bytes.as_chunks::<4>();
    let mut sum = match words.len() {
        0..MANY => words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum(),
        // In the machine's own byte order, and turned around once, at the end (RFC 1071, section 2).
        _ => {
            let sum = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
            u64::from(u16::from_be(fold(sum)))
        }
    };
    let (pair, odd) = rest.as_chunks::<2>();
    if let [pair] = pair {
        sum += u64::from(u16::from_be_bytes(*pair));
    }
    if let [odd] = odd {
        sum += u64::from(*odd) << 8;
    }
    sum
}

/// Words that it takes for one turn at the end to cost less than a turn of each.
const MANY: usize = 16;

/// Folds a [`sum`] to 16 bits, not complemented.
#[inline]
#[must_use]
pub const fn fold(mut sum: u64) -> u16 {
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The checksum of `bytes`. Over bytes that contain their correct checksum it is 0.
#[inline]
#[must_use]
pub fn of(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

/// The checksum after one of the 16-bit words it covers changed (RFC 1624, equation 3).
#[inline]
#[must_use]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(!checksum as u64 + !old as u64 + new as u64)
}

/// The checksum after a 32-bit part, such as an IPv4 address, changed. It has to start at an even offset.
#[inline]
#[must_use]
pub const fn update_u32(checksum: u16, old: u32, new: u32) -> u16 {
    !fold(!checksum as u64 + !old as u64 + new as u64)
}

/// The part of an IP header that transport checksums cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PseudoHeader {
    sum: u64,
}

impl PseudoHeader {
    /// The pseudo header of a transport over IPv4.
    #[inline]
    #[must_use]
    pub fn v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: IpProtocol) -> Self {
        Self { sum: u64::from(src.to_bits()) + u64::from(dst.to_bits()) + u64::from(protocol.0) }
    }

    /// The pseudo header of a transport over IPv6. `protocol` is the upper layer's, not an extension header's.
    #[inline]
    #[must_use]
    pub fn v6(src: Ipv6Addr, dst: Ipv6Addr, protocol: IpProtocol) -> Self {
        Self { sum: sum(&src.octets()) + sum(&dst.octets()) + u64::from(protocol.0) }
    }

    /// The pseudo header of what `ip` carries.
    #[inline]
    #[must_use]
    pub fn of_ipv4(ip: &Ipv4) -> Self {
        Self::v4(ip.src(), ip.dst(), ip.protocol())
    }

    /// The checksum of `segment`, transport header and payload, its checksum field as it stands.
    #[inline]
    #[must_use]
    pub fn checksum(&self, segment: &[u8]) -> u16 {
        !fold(self.sum + segment.len() as u64 + sum(segment))
    }

    /// Whether the checksum inside `segment` is right. A UDP datagram may have none: see [`Udp::has_checksum`].
    #[inline]
    #[must_use]
    pub fn verify(&self, segment: &[u8]) -> bool {
        self.checksum(segment) == 0
    }

    /// The folded sum over the pseudo header alone, not complemented: what NICs that finish the checksum want to find in
    /// the checksum field. `len` is the length of the segment; 0 for segmentation offload, where the NIC adds it.
    #[inline]
    #[must_use]
    pub const fn partial(&self, len: u16) -> u16 {
        fold(self.sum + len as u64)
    }

    /// Writes the checksum of the TCP segment `segment`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when there is no TCP header.
    #[inline]
    pub fn fill_tcp(&self, segment: &mut [u8]) -> Result<(), Malformed> {
        Tcp::parse_mut(segment)?.0.set_checksum(0);
        let checksum = self.checksum(segment);
        Tcp::parse_mut(segment)?.0.set_checksum(checksum);
        Ok(())
    }

    /// Writes the checksum of the UDP datagram at the front of `datagram`; a result of 0 is sent as 0xffff (RFC 768).
    ///
    /// # Errors
    ///
    /// [`Malformed`] when there is no whole UDP datagram.
    #[inline]
    pub fn fill_udp(&self, datagram: &mut [u8]) -> Result<(), Malformed> {
        let (udp, payload) = Udp::parse_mut(datagram)?;
        udp.set_checksum(0);
        let len = size_of::<Udp>() + payload.len();
        let checksum = match self.checksum(&datagram[..len]) {
            0 => 0xffff,
            other => other,
        };
        Udp::parse_mut(datagram)?.0.set_checksum(checksum);
        Ok(())
    }

    /// Writes the checksum of the ICMPv6 message `message`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when there is no ICMPv6 header.
    #[inline]
    pub fn fill_icmpv6(&self, message: &mut [u8]) -> Result<(), Malformed> {
        Icmpv6::parse_mut(message)?.0.set_checksum(0);
        let checksum = self.checksum(message);
        Icmpv6::parse_mut(message)?.0.set_checksum(checksum);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 word by word.
    fn plain(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn example_of_rfc_1071() {
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
    }

    #[test]
    fn example_of_rfc_1624() {
        assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    #[test]
    fn udp_never_sends_zero() {
        let pseudo = PseudoHeader::v4([0, 0, 0, 0].into(), [0, 0, 0, 0].into(), IpProtocol::UDP);
        let mut datagram = [0, 0, 0, 0, 0, 10, 0, 0, 0, 0];
        // Makes the sum 0xffff: 17 of the protocol, 10 twice for the lengths.
        let rest: u16 = 0xffff - 17 - 20;
        datagram[8..].copy_from_slice(&rest.to_be_bytes());
        pseudo.fill_udp(&mut datagram).unwrap();
        assert_eq!(datagram[6..8], [0xff, 0xff]);
        assert!(pseudo.verify(&datagram));
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_sum(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(of(&bytes), plain(&bytes));
        }

        #[test]
        fn folding_keeps_the_value(sum: u64) {
            let folded = fold(sum);
            prop_assert_eq!(u64::from(folded) % 0xffff, sum % 0xffff);
            prop_assert_eq!(folded == 0, sum == 0);
        }

        #[test]
        fn updating_agrees_with_computing(mut bytes in proptest::collection::vec(any::<u8>(), 8..64), new: u32) {
            // A sum of zero has two representations; no real header sums to it.
            bytes[0] |= 1;
            let old = of(&bytes);
            let was = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
            bytes[4..8].copy_from_slice(&new.to_be_bytes());
            prop_assert_eq!(update_u32(old, was, new), of(&bytes));
            let halves = update(update(old, (was >> 16) as u16, (new >> 16) as u16), was as u16, new as u16);
            prop_assert_eq!(halves, of(&bytes));
        }

        #[test]
        fn filled_checksums_verify(src: [u8; 16], dst: [u8; 16], mut bytes in proptest::collection::vec(any::<u8>(), 20..200)) {
            let v4 = PseudoHeader::v4([src[0], src[1], src[2], src[3]].into(), [dst[0], dst[1], dst[2], dst[3]].into(), IpProtocol::TCP);
            Tcp::place(&mut bytes).unwrap();
            v4.fill_tcp(&mut bytes).unwrap();
            prop_assert!(v4.verify(&bytes));
            prop_assert_eq!(!fold(u64::from(v4.partial(bytes.len() as u16)) + sum(&bytes)), 0);
            let v6 = PseudoHeader::v6(src.into(), dst.into(), IpProtocol::UDP);
            Udp::place(&mut bytes).unwrap();
            v6.fill_udp(&mut bytes).unwrap();
            prop_assert!(v6.verify(&bytes));
            let v6 = PseudoHeader::v6(src.into(), dst.into(), IpProtocol::ICMPV6);
            v6.fill_icmpv6(&mut bytes).unwrap();
            prop_assert!(v6.verify(&bytes));
        }

        #[test]
        fn filling_is_total(mut bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let pseudo = PseudoHeader::v4([1, 2, 3, 4].into(), [5, 6, 7, 8].into(), IpProtocol::TCP);
            let _ = pseudo.fill_tcp(&mut bytes);
            let _ = pseudo.fill_udp(&mut bytes);
            let _ = pseudo.fill_icmpv6(&mut bytes);
        }
    }
}

//! MAC addresses (IEEE 802-2014, section 8).
//!
//! ```text
//!   octet 0  bit 0: group (multicast)   bit 1: locally administered
//!   | OUI (3 octets)          | chosen by its owner (3 octets) |
//! ```
//!
//! ```
//! use iogate::packet::MacAddr;
//!
//! let mac: MacAddr = "02-00-00-AB-cd-01".parse()?;
//! assert_eq!(mac.to_string(), "02:00:00:ab:cd:01");
//! assert!(mac.is_locally_administered() && !mac.is_multicast());
//! # Ok::<(), iogate::packet::mac::ParseMacError>(())
//! ```

use core::fmt;
use core::str::FromStr;
use thiserror::Error;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A 48-bit MAC address, in the order of transmission.
#[repr(transparent)]
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`, every station.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// `00:00:00:00:00:00`, no address.
    pub const ZERO: Self = Self([0; 6]);
    /// Slow-path control of a link: PAUSE and PFC (IEEE 802.3 annex 31B).
    pub const PAUSE: Self = Self([0x01, 0x80, 0xc2, 0x00, 0x00, 0x01]);
    /// LLDP to the nearest bridge (IEEE 802.1AB, section 7.1).
    pub const LLDP: Self = Self([0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e]);

    /// The address of these octets.
    #[inline]
    #[must_use]
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The octets, in the order of transmission.
    #[inline]
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether this is a group address, the broadcast address among them.
    #[inline]
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 0x01 != 0
    }

    /// Whether this is [`BROADCAST`](Self::BROADCAST).
    #[inline]
    #[must_use]
    pub fn is_broadcast(self) -> bool {
        self == Self::BROADCAST
    }

    /// Whether this names a single station: neither a group nor [`ZERO`](Self::ZERO).
    #[inline]
    #[must_use]
    pub fn is_unicast(self) -> bool {
        !self.is_multicast() && !self.is_zero()
    }

    /// Whether the address was assigned locally rather than by a manufacturer.
    #[inline]
    #[must_use]
    pub const fn is_locally_administered(self) -> bool {
        self.0[0] & 0x02 != 0
    }

    /// Whether this is [`ZERO`](Self::ZERO).
    #[inline]
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Whether bridges keep frames to this address to themselves (01-80-C2-00-00-00 to 0F, IEEE 802.1Q section 8.6.3).
    #[inline]
    #[must_use]
    pub const fn is_link_local(self) -> bool {
        matches!(self.0, [0x01, 0x80, 0xc2, 0x00, 0x00, 0x00..=0x0f])
    }
}

impl From<[u8; 6]> for MacAddr {
    #[inline]
    fn from(octets: [u8; 6]) -> Self {
        Self(octets)
    }
}

impl From<MacAddr> for [u8; 6] {
    #[inline]
    fn from(mac: MacAddr) -> Self {
        mac.0
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not a MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a MAC address is six pairs of hexadecimal digits with ':' or '-' between them")]
pub struct ParseMacError;

impl FromStr for MacAddr {
    type Err = ParseMacError;

    /// Reads `aa:bb:cc:dd:ee:ff` or `aa-bb-cc-dd-ee-ff`, in either case but not mixing separators.
    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        let text = text.as_bytes();
        if text.len() != 17 || !matches!(text[2], b':' | b'-') {
            return Err(ParseMacError);
        }
        let mut octets = [0; 6];
        for (at, group) in text.chunks(3).enumerate() {
            if group.len() == 3 && group[2] != text[2] {
                return Err(ParseMacError);
            }
            octets[at] = digit(group[0])? << 4 | digit(group[1])?;
        }
        Ok(Self(octets))
    }
}

fn digit(byte: u8) -> Result<u8, ParseMacError> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(ParseMacError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kinds() {
        assert!(MacAddr::BROADCAST.is_broadcast() && MacAddr::BROADCAST.is_multicast());
        assert!(MacAddr::ZERO.is_zero() && !MacAddr::ZERO.is_unicast());
        assert!(MacAddr::PAUSE.is_link_local() && MacAddr::LLDP.is_link_local());
        assert!(!MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0x10]).is_link_local());
        assert!(MacAddr::new([0x02, 0, 0, 0, 0, 1]).is_unicast());
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in [
            "",
            "aa:bb:cc:dd:ee",
            "aa:bb:cc:dd:ee:ff:00",
            "aa:bb-cc:dd:ee:ff",
            "aabbccddeeff",
            "gg:bb:cc:dd:ee:ff",
            "+a:bb:cc:dd:ee:ff",
        ] {
            assert_eq!(text.parse::<MacAddr>(), Err(ParseMacError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_reads_back(octets: [u8; 6]) {
            let mac = MacAddr::from(octets);
            let text = mac.to_string();
            prop_assert_eq!(text.parse(), Ok(mac));
            prop_assert_eq!(text.replace(':', "-").to_uppercase().parse(), Ok(mac));
        }

        #[test]
        fn parsing_is_total(text in ".{0,20}", other in "[0-9a-fA-F:-]{17}") {
            let _ = text.parse::<MacAddr>();
            let _ = other.parse::<MacAddr>();
        }
    }
}

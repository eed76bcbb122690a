//! LLDP (IEEE 802.1AB-2016, clause 8): a list of TLVs behind the Ethernet header. [`dcbx`](super::dcbx) reads those of data
//! center bridging.
//!
//! ```text
//!    0 bit 7                  bit 0 of byte 1
//!   | type 7 bits | length 9 bits | value ...  | type | length | value ... | 0 0 (end) |
//! ```
//!
//! ```
//! use iogate::packet::lldp::{tlvs, TlvType};
//!
//! let bytes = [0x02, 0x07, 4, 2, 0, 0, 0, 0, 9, 0x04, 0x02, 7, b'1', 0x06, 0x02, 0, 120, 0, 0];
//! let ttl = tlvs(&bytes).flatten().find(|tlv| tlv.kind == TlvType::TIME_TO_LIVE);
//! assert_eq!(ttl.unwrap().value, [0, 120]);
//! ```

use super::{Malformed, Why};
use core::fmt;

code! {
    /// Type of a TLV (clause 8.4).
    TlvType(u8) {
        /// Ends the list; not handed out.
        END = 0 "end";
        /// Who sends: a subtype, then the identifier.
        CHASSIS_ID = 1 "chassis";
        /// From which port: a subtype, then the identifier.
        PORT_ID = 2 "port";
        /// How long the list is good for, in seconds, 16 bits.
        TIME_TO_LIVE = 3 "time to live";
        /// Description of the port, text.
        PORT_DESCRIPTION = 4 "port description";
        /// Name of the system, text.
        SYSTEM_NAME = 5 "system name";
        /// Description of the system, text.
        SYSTEM_DESCRIPTION = 6 "system description";
        /// What the system can do and what of that is enabled, 16 bits each.
        CAPABILITIES = 7 "capabilities";
        /// Where to manage the system.
        MANAGEMENT_ADDRESS = 8 "management address";
        /// Defined by an organization; see [`Tlv::organization`].
        ORGANIZATION = 127 "organization";
    }
}

/// One element of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Type, 0 to 127.
    pub kind: TlvType,
    /// Value, 0 to 511 bytes.
    pub value: &'a [u8],
}

/// The value of a TLV that an organization defines (clause 8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Organization<'a> {
    /// Who defines it.
    pub oui: [u8; 3],
    /// Which of its TLVs.
    pub subtype: u8,
    /// What follows the subtype, 0 to 507 bytes.
    pub info: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// The parts of [`TlvType::ORGANIZATION`]; `None` for other types and values too short.
    #[inline]
    #[must_use]
    pub fn organization(&self) -> Option<Organization<'a>> {
        match (self.kind, self.value) {
            (TlvType::ORGANIZATION, &[a, b, c, subtype, ref info @ ..]) => {
                Some(Organization { oui: [a, b, c], subtype, info })
            }
            _ => None,
        }
    }

    /// Seconds of [`TlvType::TIME_TO_LIVE`]; 0 when the sender goes away. `None` for other types and values too short.
    #[inline]
    #[must_use]
    pub fn seconds(&self) -> Option<u16> {
        match (self.kind, self.value) {
            (TlvType::TIME_TO_LIVE, &[a, b, ..]) => Some(u16::from_be_bytes([a, b])),
            _ => None,
        }
    }
}

/// The TLVs in `bytes`, the payload of an Ethernet frame, up to the end TLV. One that does not fit gives one error and ends
/// the iteration.
#[inline]
#[must_use]
pub fn tlvs(bytes: &[u8]) -> Tlvs<'_> {
    Tlvs { rest: bytes }
}

/// Iterator of [`tlvs`].
#[derive(Clone)]
pub struct Tlvs<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bad = Malformed { header: "lldp", why: Why::Item };
        match *core::mem::take(&mut self.rest) {
            [] => None,
            [high, low, ref rest @ ..] => {
                let kind = TlvType(high >> 1);
                if kind == TlvType::END {
                    return None;
                }
                let len = usize::from(high & 1) << 8 | usize::from(low);
                let Some((value, rest)) = rest.split_at_checked(len) else {
                    return Some(Err(bad));
                };
                self.rest = rest;
                Some(Ok(Tlv { kind, value }))
            }
            [_] => Some(Err(bad)),
        }
    }
}

impl fmt::Debug for Tlvs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIST: [u8; 30] = [
        0x02, 0x07, 4, 2, 0, 0, 0, 0, 9, 0x04, 0x02, 7, b'1', 0x06, 0x02, 0, 120, 0xfe, 0x06, 0x00, 0x80, 0xc2, 11,
        0x88, 0x08, 0, 0, // end
        0xff, 0xff, 0xff,
    ];

    #[test]
    fn reads_a_list() {
        let found: Result<Vec<_>, _> = tlvs(&LIST).collect();
        let found = found.unwrap();
        assert_eq!(found.len(), 4, "what follows the end is padding");
        assert_eq!((found[0].kind, found[0].value.len()), (TlvType::CHASSIS_ID, 7));
        assert_eq!(found[2].seconds(), Some(120));
        let pfc = Organization { oui: [0x00, 0x80, 0xc2], subtype: 11, info: &[0x88, 0x08] };
        assert_eq!((found[3].organization(), found[3].seconds(), found[2].organization()), (Some(pfc), None, None));
    }

    #[test]
    fn truncations_end_in_an_error_or_early() {
        for len in 0..25 {
            let mut good = 0;
            for tlv in tlvs(&LIST[..len]) {
                match tlv {
                    Ok(_) => good += 1,
                    Err(error) => assert_eq!(error.why, Why::Item),
                }
            }
            assert!(good < 4);
        }
    }

    #[test]
    fn long_values_use_nine_bits() {
        let mut bytes = vec![0x0b, 0xff];
        bytes.resize(2 + 511, b'n');
        assert_eq!(tlvs(&bytes).next().unwrap().unwrap().value.len(), 511);
    }

    proptest! {
        #[test]
        fn total_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let found = tlvs(&bytes);
            let shown = format!("{found:?}");
            prop_assert!(!shown.is_empty());
            for tlv in found.flatten() {
                let _ = (tlv.organization(), tlv.seconds());
            }
        }
    }
}

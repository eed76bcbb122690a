//! Data center bridging exchange (IEEE 802.1Q-2018, annex D): the LLDP TLVs by which two ends agree on classes, bandwidth and
//! flow control.
//!
//! ```text
//!   behind OUI 00-80-C2 and the subtype:
//!    9 ETS configuration:  | W CBS - classes 3 | class of priority 4 x 8 | percent 8 x 8 | algorithm 8 x 8 |
//!   10 ETS recommendation: as 9, first byte reserved
//!   11 PFC:                | W MBC - capability 4 | enabled 8 |
//!   12 applications:       | reserved | priority 3, - 2, selector 3 | protocol 16 | ...
//! ```
//!
//! ```
//! use iogate::packet::dcbx::Dcbx;
//! use iogate::packet::lldp::tlvs;
//!
//! let bytes = [0xfe, 0x06, 0x00, 0x80, 0xc2, 11, 0x88, 0x08, 0, 0];
//! let tlv = tlvs(&bytes).next().unwrap()?;
//! let Some(Dcbx::Pfc(pfc)) = Dcbx::of(&tlv)? else { panic!() };
//! assert!(pfc.willing && pfc.is_enabled(3));
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::lldp::Tlv;
use super::{Malformed, Why};
use core::fmt;

/// The OUI of IEEE 802.1.
pub const OUI: [u8; 3] = [0x00, 0x80, 0xc2];

code! {
    /// How a traffic class is chosen to send (table D-3).
    Algorithm(u8) {
        /// Strict priority.
        STRICT = 0 "strict";
        /// Credit-based shaper.
        CREDIT = 1 "credit-based shaper";
        /// Enhanced transmission selection: by bandwidth.
        ETS = 2 "ETS";
        /// Of a vendor's own.
        VENDOR = 255 "vendor";
    }
}

/// Enhanced transmission selection (sections D.2.8 and D.2.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ets {
    /// Whether the sender takes over what its peer has. False in a recommendation.
    pub willing: bool,
    /// Whether the sender has credit-based shapers. False in a recommendation.
    pub shaper: bool,
    /// Traffic classes that the sender has, 1 to 8. Of no meaning in a recommendation.
    pub classes: u8,
    /// Traffic class of each priority, 0 to 15 as sent.
    pub class_of: [u8; 8],
    /// Bandwidth of each traffic class in percent, as sent.
    pub percent: [u8; 8],
    /// Algorithm of each traffic class.
    pub algorithm: [Algorithm; 8],
}

/// Priority flow control (section D.2.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PfcConfig {
    /// Whether the sender takes over what its peer has.
    pub willing: bool,
    /// Whether MACsec is bypassed.
    pub macsec_bypass: bool,
    /// Count of classes that may have flow control at once, 0 to 15.
    pub capability: u8,
    /// Priorities with flow control, bit n for priority n.
    pub enabled: u8,
}

impl PfcConfig {
    /// Whether `priority` has flow control; false above 7.
    #[inline]
    #[must_use]
    pub const fn is_enabled(&self, priority: u8) -> bool {
        priority < 8 && self.enabled & 1 << priority != 0
    }
}

/// A row of the application table (section D.2.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Application {
    /// Priority that the application should use, 0 to 7.
    pub priority: u8,
    /// What [`protocol`](Self::protocol) is: 1 EtherType, 2 port of TCP or SCTP, 3 of UDP or DCCP, 4 of any, 5 DSCP.
    pub selector: u8,
    /// Which application.
    pub protocol: u16,
}

/// The rows of an application table. Bytes at the end that are no whole row are ignored.
#[derive(Clone, PartialEq, Eq)]
pub struct Applications<'a> {
    rest: &'a [u8],
}

impl Iterator for Applications<'_> {
    type Item = Application;

    #[inline]
    fn next(&mut self) -> Option<Application> {
        let (&[first, high, low], rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(Application { priority: first >> 5, selector: first & 7, protocol: u16::from_be_bytes([high, low]) })
    }
}

impl fmt::Debug for Applications<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// A TLV of data center bridging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dcbx<'a> {
    /// Subtype 9: what the sender uses.
    Ets(Ets),
    /// Subtype 10: what the sender would have its peer use.
    EtsRecommendation(Ets),
    /// Subtype 11: flow control.
    Pfc(PfcConfig),
    /// Subtype 12: priorities of applications.
    Applications(Applications<'a>),
}

impl<'a> Dcbx<'a> {
    /// Reads `tlv`; `None` when it is not one of data center bridging.
    ///
    /// # Errors
    ///
    /// [`Why::Item`] when it is one but shorter than it has to be.
    pub fn of(tlv: &Tlv<'a>) -> Result<Option<Self>, Malformed> {
        let Some(organization) = tlv.organization().filter(|organization| organization.oui == OUI) else {
            return Ok(None);
        };
        let found = match (organization.subtype, organization.info) {
            (9, info) => ets(info, true).map(Self::Ets),
            (10, info) => ets(info, false).map(Self::EtsRecommendation),
            (11, &[first, enabled, ..]) => Some(Self::Pfc(PfcConfig {
                willing: first & 0x80 != 0,
                macsec_bypass: first & 0x40 != 0,
                capability: first & 0x0f,
                enabled,
            })),
            (12, [_, rest @ ..]) => Some(Self::Applications(Applications { rest })),
            (11 | 12, _) => None,
            _ => return Ok(None),
        };
        found.map(Some).ok_or(Malformed { header: "dcbx", why: Why::Item })
    }
}

fn ets(info: &[u8], configuration: bool) -> Option<Ets> {
    let (&[first, map @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _], _) = info.split_first_chunk::<21>()?;
    let map: [u8; 4] = map;
    let (percent, algorithm) = (&info[5..13], &info[13..21]);
    Some(Ets {
        willing: configuration && first & 0x80 != 0,
        shaper: configuration && first & 0x40 != 0,
        // Eight classes do not fit into three bits; they are sent as zero.
        classes: if first & 7 == 0 { 8 } else { first & 7 },
        class_of: core::array::from_fn(|priority| map[priority / 2] >> (4 * (1 - priority % 2)) & 0x0f),
        percent: core::array::from_fn(|class| percent[class]),
        algorithm: core::array::from_fn(|class| Algorithm(algorithm[class])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::lldp::{TlvType, tlvs};
    use proptest::prelude::*;

    const ETS: [u8; 27] = [
        0xfe, 0x19, 0x00, 0x80, 0xc2, 9, 0x83, // willing, three classes
        0x00, 0x01, 0x20, 0x00, // priority 3 in class 1, priority 4 in class 2
        50, 30, 20, 0, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0, 255,
    ];

    fn read(bytes: &[u8]) -> Result<Option<Dcbx<'_>>, Malformed> {
        Dcbx::of(&tlvs(bytes).next().unwrap().unwrap())
    }

    #[test]
    fn reads_ets() {
        let Ok(Some(Dcbx::Ets(ets))) = read(&ETS) else { panic!() };
        assert_eq!((ets.willing, ets.shaper, ets.classes), (true, false, 3));
        assert_eq!(ets.class_of, [0, 0, 0, 1, 2, 0, 0, 0]);
        assert_eq!(ets.percent, [50, 30, 20, 0, 0, 0, 0, 0]);
        assert_eq!(
            (ets.algorithm[0], ets.algorithm[2], ets.algorithm[7]),
            (Algorithm::ETS, Algorithm::STRICT, Algorithm::VENDOR)
        );
        let mut other = ETS;
        (other[5], other[6]) = (10, 0xff);
        let Ok(Some(Dcbx::EtsRecommendation(ets))) = read(&other) else { panic!() };
        assert!(!ets.willing && !ets.shaper);
    }

    #[test]
    fn reads_applications() {
        let bytes = [0xfe, 0x0c, 0x00, 0x80, 0xc2, 12, 0, 0x61, 0x89, 0x06, 0x82, 0x0c, 0xbc, 0xff];
        let Ok(Some(Dcbx::Applications(found))) = read(&bytes) else { panic!() };
        let fcoe = Application { priority: 3, selector: 1, protocol: 0x8906 };
        let iscsi = Application { priority: 4, selector: 2, protocol: 3260 };
        assert_eq!(found.collect::<Vec<_>>(), [fcoe, iscsi]);
    }

    #[test]
    fn short_tlvs_are_malformed_and_others_are_none_of_ours() {
        for subtype in 9..=12 {
            let value = [0x00, 0x80, 0xc2, subtype];
            let tlv = Tlv { kind: TlvType::ORGANIZATION, value: &value };
            assert_eq!(Dcbx::of(&tlv).unwrap_err().why, Why::Item);
        }
        for value in [[0x00, 0x80, 0xc2, 1], [0x00, 0x12, 0x0f, 9]] {
            assert_eq!(Dcbx::of(&Tlv { kind: TlvType::ORGANIZATION, value: &value }), Ok(None));
        }
        let pfc = PfcConfig { willing: false, macsec_bypass: false, capability: 8, enabled: 0x80 };
        assert!(pfc.is_enabled(7) && !pfc.is_enabled(8) && !pfc.is_enabled(0));
    }

    proptest! {
        #[test]
        fn total_on_any_value(subtype in 8u8..14, info in proptest::collection::vec(any::<u8>(), 0..40)) {
            let value = [&OUI[..], &[subtype], &info].concat();
            let found = Dcbx::of(&Tlv { kind: TlvType::ORGANIZATION, value: &value });
            let shown = format!("{found:?}");
            prop_assert!(!shown.is_empty());
        }
    }
}

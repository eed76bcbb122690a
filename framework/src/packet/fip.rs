//! FCoE Initialization Protocol (FC-BB-5, section 7): how servers and FC forwarders find each other and log in.
//!
//! ```text
//!    0                     2           4          5         6                 8
//!   | version 4, reserved | operation | reserved | subcode | list length, 4s | flags | descriptors ...
//!   descriptor: | type | length in 4 bytes | ...
//! ```
//!
//! ```
//! use iogate::packet::fip::{self, Descriptor, Operation};
//! use iogate::packet::{Fip, Header};
//!
//! // A solicitation with the MAC address of who asks.
//! let mut bytes = [0u8; 18];
//! let (fip, list) = Fip::place(&mut bytes)?;
//! fip.set_operation(Operation::DISCOVERY);
//! fip.set_subcode(1);
//! list.copy_from_slice(&[2, 2, 2, 0, 0, 0, 0, 9]);
//!
//! let (_, list) = Fip::parse(&bytes)?;
//! let mac = Descriptor::Mac([2, 0, 0, 0, 0, 9].into());
//! assert_eq!(fip::descriptors(list).next(), Some(Ok(mac)));
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, MacAddr, Malformed, Why};
use core::fmt;
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Multicast address of all FCoE devices.
pub const ALL_FCOE: MacAddr = MacAddr::new([0x01, 0x10, 0x18, 0x01, 0x00, 0x00]);
/// Multicast address of all servers.
pub const ALL_ENODES: MacAddr = MacAddr::new([0x01, 0x10, 0x18, 0x01, 0x00, 0x01]);
/// Multicast address of all FC forwarders.
pub const ALL_FCFS: MacAddr = MacAddr::new([0x01, 0x10, 0x18, 0x01, 0x00, 0x02]);
/// Multicast address of all stations that find each other without a forwarder, VN2VN (FC-BB-6).
pub const ALL_VN2VN: MacAddr = MacAddr::new([0x01, 0x10, 0x18, 0x01, 0x00, 0x04]);
/// Multicast address of all stations in pairs, PT2PT (FC-BB-6).
pub const ALL_P2P: MacAddr = MacAddr::new([0x01, 0x10, 0x18, 0x01, 0x00, 0x05]);

code! {
    /// What a FIP message is about; [`Fip::subcode`] tells request (1) from answer (2).
    Operation(u16) {
        /// 1 solicitation, 2 advertisement.
        DISCOVERY = 1 "discovery";
        /// 1 request, 2 reply: fabric login, discovery, logout.
        LINK_SERVICE = 2 "link service";
        /// 1 keep-alive, 2 clear virtual links.
        CONTROL = 3 "control";
        /// 1 request, 2 notification.
        VLAN = 4 "VLAN";
        /// Among stations without a forwarder (FC-BB-6): 1 probe, 2 answer to it, 3 claim, 4 answer to it, 5 beacon.
        VN2VN = 5 "VN2VN";
    }
}

code_field!(Operation in U16);

/// A FIP header. 10 bytes; versions other than 1 are refused. Its payload is the descriptor list.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Fip {
    version: u8,
    reserved: u8,
    operation: U16,
    reserved_too: u8,
    subcode: u8,
    list_len: U16,
    flags: U16,
}

impl Fip {
    /// Bit of [`flags`](Self::flags): fabric-provided MAC addresses.
    pub const FPMA: u16 = 0x8000;
    /// Bit of [`flags`](Self::flags): server-provided MAC addresses.
    pub const SPMA: u16 = 0x4000;
    /// Bit of [`flags`](Self::flags): the forwarder takes logins.
    pub const AVAILABLE: u16 = 0x0004;
    /// Bit of [`flags`](Self::flags): answers a solicitation.
    pub const SOLICITED: u16 = 0x0002;
    /// Bit of [`flags`](Self::flags): sent by a forwarder.
    pub const FORWARDER: u16 = 0x0001;

    fields! {
        /// What the message is about.
        operation, set_operation: Operation = operation;
        /// Which message of the operation.
        subcode, set_subcode: u8 = subcode;
        /// Length of the descriptor list, in units of four bytes.
        list_len, set_list_len: u16 = list_len;
        /// Flags.
        flags, set_flags: u16 = flags;
    }
}

debug_fields!(Fip: operation, subcode, list_len, flags);

impl Header for Fip {
    const NAME: &'static str = "fip";
    const BLANK: &'static [u8] = &[0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        let Extent { header, .. } = Extent::fixed::<Self>(bytes)?;
        if bytes[0] >> 4 != 1 {
            return Err(Self::malformed(Why::Kind));
        }
        Ok(Extent { header, total: header + 4 * usize::from(u16::from_be_bytes([bytes[6], bytes[7]])) })
    }

    #[inline]
    fn set_payload_len(&mut self, len: usize) -> Result<(), Malformed> {
        match u16::try_from(len / 4) {
            Ok(units) if len.is_multiple_of(4) => self.set_list_len(units),
            _ => return Err(Self::malformed(Why::PayloadLength)),
        }
        Ok(())
    }
}

/// A descriptor of a FIP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descriptor<'a> {
    /// Type 1: priority of the forwarder, 128 unless configured.
    Priority(u8),
    /// Type 2: a MAC address, of who asks or granted to it.
    Mac(MacAddr),
    /// Type 3: FC-MAP, 24 bits.
    FcMap(u32),
    /// Type 4: world-wide name of switch or node.
    Name(u64),
    /// Type 5: the fabric.
    Fabric {
        /// Virtual fabric, 12 bits.
        vf_id: u16,
        /// FC-MAP, 24 bits.
        fc_map: u32,
        /// World-wide name of the fabric.
        name: u64,
    },
    /// Type 6: longest FCoE payload taken, in bytes.
    MaxSize(u16),
    /// Types 7 to 10: the frame of a fabric login, discovery, logout or link parameter exchange, from its FC header on.
    LinkService {
        /// 7 FLOGI, 8 FDISC, 9 LOGO, 10 ELP.
        kind: u8,
        /// The FC frame, without SOF, CRC and EOF; parse it with [`FcFrame`](super::FcFrame).
        frame: &'a [u8],
    },
    /// Type 11: a virtual port.
    VnPort {
        /// Its MAC address.
        mac: MacAddr,
        /// Its FC_ID, 24 bits.
        fc_id: u32,
        /// Its world-wide name.
        name: u64,
    },
    /// Type 12: time between two keep-alives, in milliseconds.
    KeepAlive(u32),
    /// Type 14: a VLAN that carries FCoE, 12 bits.
    Vlan(u16),
    /// Any other type, and those above when their length is wrong.
    Other {
        /// Type number.
        kind: u8,
        /// What follows type and length.
        data: &'a [u8],
    },
}

/// The descriptors in `list`, the payload of [`Fip`]. A descriptor that does not fit, or of length 0, gives one error and
/// ends the iteration.
#[inline]
#[must_use]
pub fn descriptors(list: &[u8]) -> Descriptors<'_> {
    Descriptors { rest: list }
}

/// Iterator of [`descriptors`].
#[derive(Clone)]
pub struct Descriptors<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Descriptors<'a> {
    type Item = Result<Descriptor<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = core::mem::take(&mut self.rest);
        let (kind, units) = match *bytes {
            [] => return None,
            [kind, units, ..] if units > 0 => (kind, usize::from(units)),
            _ => return Some(Err(Fip::malformed(Why::Item))),
        };
        let Some((descriptor, rest)) = bytes.split_at_checked(units * 4) else {
            return Some(Err(Fip::malformed(Why::Item)));
        };
        self.rest = rest;
        let data = &descriptor[2..];
        let word = |bytes: [u8; 3]| u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        Some(Ok(match (kind, data) {
            (1, &[_, priority]) => Descriptor::Priority(priority),
            (2, &[a, b, c, d, e, f]) => Descriptor::Mac([a, b, c, d, e, f].into()),
            (3, &[_, _, _, a, b, c]) => Descriptor::FcMap(word([a, b, c])),
            (4, &[_, _, a, b, c, d, e, f, g, h]) => Descriptor::Name(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
            (5, &[v, w, _, x, y, z, a, b, c, d, e, f, g, h]) => Descriptor::Fabric {
                vf_id: u16::from_be_bytes([v, w]) & 0x0fff,
                fc_map: word([x, y, z]),
                name: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            },
            (6, &[a, b]) => Descriptor::MaxSize(u16::from_be_bytes([a, b])),
            (7..=10, [_, _, frame @ ..]) => Descriptor::LinkService { kind, frame },
            (11, &[m, n, o, p, q, r, _, x, y, z, a, b, c, d, e, f, g, h]) => Descriptor::VnPort {
                mac: [m, n, o, p, q, r].into(),
                fc_id: word([x, y, z]),
                name: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            },
            (12, &[_, _, a, b, c, d]) => Descriptor::KeepAlive(u32::from_be_bytes([a, b, c, d])),
            (14, &[a, b]) => Descriptor::Vlan(u16::from_be_bytes([a, b]) & 0x0fff),
            _ => Descriptor::Other { kind, data },
        }))
    }
}

impl fmt::Debug for Descriptors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An advertisement: priority, MAC, name, fabric, keep-alive; two bytes of padding follow.
    const ADVERTISEMENT: [u8; 60] = [
        0x10, 0, 0, 1, 0, 2, 0, 12, 0x80, 0x05, // header
        1, 1, 0, 128, 2, 2, 0x00, 0x0d, 0xec, 0, 0, 1, // priority, MAC
        4, 3, 0, 0, 0x20, 0, 0, 0x0d, 0xec, 0, 0, 1, // name
        5, 4, 0, 1, 0, 0x0e, 0xfc, 0, 0x20, 1, 0, 0x0d, 0xec, 0, 0, 1, // fabric
        12, 2, 0, 0, 0, 0, 0x1f, 0x40, 0, 0,
    ];

    properties!(fip, Fip, ADVERTISEMENT);

    #[test]
    fn reads_an_advertisement() {
        let (fip, list) = Fip::parse(&ADVERTISEMENT).unwrap();
        assert_eq!((fip.operation(), fip.subcode(), list.len()), (Operation::DISCOVERY, 2, 48));
        assert_eq!(fip.flags(), Fip::FPMA | Fip::AVAILABLE | Fip::FORWARDER);
        let found: Result<Vec<_>, _> = descriptors(list).collect();
        assert_eq!(
            found.unwrap(),
            [
                Descriptor::Priority(128),
                Descriptor::Mac([0x00, 0x0d, 0xec, 0, 0, 1].into()),
                Descriptor::Name(0x2000_000d_ec00_0001),
                Descriptor::Fabric { vf_id: 1, fc_map: 0x0efc00, name: 0x2001_000d_ec00_0001 },
                Descriptor::KeepAlive(8000),
            ]
        );
    }

    #[test]
    fn reads_the_other_descriptors() {
        let port = [11, 5, 2, 0, 0, 0, 0, 9, 0, 1, 2, 3, 0x20, 0, 0, 0, 0, 0, 0, 7];
        let found = descriptors(&port).next().unwrap().unwrap();
        assert_eq!(
            found,
            Descriptor::VnPort { mac: [2, 0, 0, 0, 0, 9].into(), fc_id: 0x010203, name: 0x2000_0000_0000_0007 }
        );
        let rest =
            [7, 2, 0, 0, 0x22, 0, 0, 1, 14, 1, 0x0f, 0xa2, 6, 1, 8, 0, 3, 2, 0, 0, 0, 0x0e, 0xfc, 0, 13, 1, 9, 9];
        let found: Result<Vec<_>, _> = descriptors(&rest).collect();
        assert_eq!(
            found.unwrap(),
            [
                Descriptor::LinkService { kind: 7, frame: &[0x22, 0, 0, 1] },
                Descriptor::Vlan(4002),
                Descriptor::MaxSize(2048),
                Descriptor::FcMap(0x0efc00),
                Descriptor::Other { kind: 13, data: &[9, 9] },
            ]
        );
    }

    #[test]
    fn refuses_lies() {
        let mut bytes = ADVERTISEMENT;
        bytes[7] = 13;
        assert_eq!(Fip::parse(&bytes).unwrap_err().why, Why::PayloadLength);
        for bad in [&[1, 0, 0, 0][..], &[1], &[1, 2, 0, 0]] {
            let mut found = descriptors(bad);
            assert_eq!((found.next(), found.next()), (Some(Err(Fip::malformed(Why::Item))), None));
        }
    }

    proptest! {
        #[test]
        fn setters_read_back(op: u16, subcode: u8, len: u16, flags: u16) {
            let mut bytes = [0; 10];
            let (fip, _) = Fip::place(&mut bytes).unwrap();
            reads_back!(fip;
                operation, set_operation = Operation(op);
                subcode, set_subcode = subcode;
                list_len, set_list_len = len;
                flags, set_flags = flags;
            );
        }

        #[test]
        fn descriptors_are_total(list in proptest::collection::vec(prop_oneof![0u8..15, any::<u8>()], 0..120)) {
            let found = descriptors(&list);
            let shown = format!("{found:?}");
            prop_assert!(!shown.is_empty());
            prop_assert!(found.count() <= list.len() / 4 + 1);
        }
    }
}

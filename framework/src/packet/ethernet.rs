//! Ethernet II framing (IEEE 802.3-2018, section 3).
//!
//! ```text
//!    0            6           12       14
//!   | destination | source    | type   | payload ...
//! ```
//!
//! ```
//! use iogate::packet::{EtherType, Ethernet, Header, MacAddr};
//!
//! let mut frame = [0u8; 60];
//! let (eth, _) = Ethernet::place(&mut frame)?;
//! eth.set_dst(MacAddr::BROADCAST);
//! eth.set_ether_type(EtherType::ARP);
//! assert_eq!(frame[12..14], [0x08, 0x06]);
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, MacAddr, Malformed};
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

code! {
    /// What an Ethernet frame carries (IEEE 802.3-2018, section 3.2.6; numbers from the IEEE registry).
    EtherType(u16) {
        /// IPv4 (RFC 894).
        IPV4 = 0x0800 "IPv4";
        /// ARP (RFC 826).
        ARP = 0x0806 "ARP";
        /// Customer VLAN tag (IEEE 802.1Q).
        VLAN = 0x8100 "802.1Q";
        /// IPv6 (RFC 2464).
        IPV6 = 0x86dd "IPv6";
        /// MAC control: PAUSE and PFC (IEEE 802.3 annex 31A).
        MAC_CONTROL = 0x8808 "MAC control";
        /// Link aggregation and the other slow protocols (IEEE 802.3 annex 57A).
        SLOW = 0x8809 "slow protocols";
        /// ATA over Ethernet.
        AOE = 0x88a2 "AoE";
        /// Service VLAN tag (IEEE 802.1ad).
        SERVICE_VLAN = 0x88a8 "802.1ad";
        /// LLDP (IEEE 802.1AB).
        LLDP = 0x88cc "LLDP";
        /// Fibre Channel over Ethernet (FC-BB-5).
        FCOE = 0x8906 "FCoE";
        /// FCoE Initialization Protocol (FC-BB-5).
        FIP = 0x8914 "FIP";
        /// RoCE version 1 (InfiniBand annex A16).
        ROCE = 0x8915 "RoCE";
    }
}

impl EtherType {
    /// Whether a VLAN tag follows: [`VLAN`](Self::VLAN) or [`SERVICE_VLAN`](Self::SERVICE_VLAN).
    #[inline]
    #[must_use]
    pub const fn is_vlan(self) -> bool {
        matches!(self, Self::VLAN | Self::SERVICE_VLAN)
    }

    /// Whether the field is the length of an IEEE 802.3 frame (at most 1500) and not a type.
    #[inline]
    #[must_use]
    pub const fn is_length(self) -> bool {
        self.0 <= 1500
    }
}

/// The header of an Ethernet frame. 14 bytes; the frame check sequence is not part of what software sees.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Ethernet {
    dst: MacAddr,
    src: MacAddr,
    ether_type: U16,
}

impl Ethernet {
    /// A header with these fields.
    #[inline]
    #[must_use]
    pub const fn new(dst: MacAddr, src: MacAddr, ether_type: EtherType) -> Self {
        Self { dst, src, ether_type: U16::new(ether_type.0) }
    }

    fields! {
        /// Destination address.
        dst, set_dst: MacAddr = dst;
        /// Source address.
        src, set_src: MacAddr = src;
        /// What follows: a protocol, a VLAN tag, or a length ([`EtherType::is_length`]).
        ether_type, set_ether_type: EtherType = ether_type;
    }

    /// Exchanges source and destination, as an answer needs it.
    #[inline]
    pub fn swap_addresses(&mut self) {
        // Three reads and three writes instead of four of each: the first has two bytes more, which the others put right.
        let bytes: &mut [u8; 14] = zerocopy::transmute_mut!(self);
        let [a, b, c, d, e, f, src @ ..] = *bytes;
        bytes[..8].copy_from_slice(&src);
        bytes[6..10].copy_from_slice(&[a, b, c, d]);
        bytes[10..12].copy_from_slice(&[e, f]);
    }
}

debug_fields!(Ethernet: dst, src, ether_type);

impl Header for Ethernet {
    const NAME: &'static str = "ethernet";
    const BLANK: &'static [u8] = &[0; 14];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        Extent::fixed::<Self>(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ARP: [u8; 16] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x06, 0x00, 0x01];

    properties!(ethernet, Ethernet, ARP);

    #[test]
    fn reads_a_frame() {
        let (eth, payload) = Ethernet::parse(&ARP).unwrap();
        assert!(eth.dst().is_broadcast());
        assert_eq!(eth.src().to_string(), "02:00:00:00:00:01");
        assert_eq!(eth.ether_type(), EtherType::ARP);
        assert_eq!(payload, [0x00, 0x01]);
        assert_eq!(format!("{eth:?}"), "Ethernet { dst: ff:ff:ff:ff:ff:ff, src: 02:00:00:00:00:01, ether_type: ARP }");
    }

    #[test]
    fn types_and_lengths() {
        assert!(EtherType(46).is_length() && !EtherType::IPV4.is_length());
        assert_eq!(EtherType(0x1234).to_string(), "0x1234");
    }

    #[test]
    fn swaps() {
        let mut bytes = ARP;
        Ethernet::parse_mut(&mut bytes).unwrap().0.swap_addresses();
        assert_eq!(bytes[..12], [0x02, 0, 0, 0, 0, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    }

    proptest! {
        #[test]
        fn swaps_any_addresses(bytes: [u8; 14]) {
            let mut swapped = bytes;
            Ethernet::parse_mut(&mut swapped).unwrap().0.swap_addresses();
            prop_assert_eq!(&swapped[..], [&bytes[6..12], &bytes[..6], &bytes[12..]].concat());
        }

        #[test]
        fn setters_read_back(dst: [u8; 6], src: [u8; 6], kind: u16) {
            let mut bytes = [0; 14];
            let (eth, _) = Ethernet::place(&mut bytes).unwrap();
            reads_back!(eth;
                dst, set_dst = dst.into();
                src, set_src = src.into();
                ether_type, set_ether_type = EtherType(kind);
            );
            prop_assert_eq!(*eth, Ethernet::new(dst.into(), src.into(), EtherType(kind)));
        }
    }
}

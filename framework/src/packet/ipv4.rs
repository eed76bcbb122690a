//! IPv4 (RFC 791).
//!
//! ```text
//!    0        1      2              4    6                8     9          10         12       16
//!   | 4 | IHL | TOS  | total length | id | flags + offset | TTL | protocol | checksum | source | destination | options
//! ```
//!
//! ```
//! use iogate::packet::{Header, IpProtocol, Ipv4};
//!
//! let mut packet = [0u8; 28];
//! let (ip, _) = Ipv4::place(&mut packet)?;
//! ip.set_dst([192, 0, 2, 7].into());
//! ip.set_protocol(IpProtocol::ICMP);
//! ip.fill_checksum();
//! ip.decrement_ttl();
//! assert!(ip.checksum_ok());
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, IpProtocol, Malformed, Why, checksum};
use std::net::Ipv4Addr;
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of a header without options, in bytes.
pub const MIN_LEN: usize = 20;

/// An IPv4 header with its options. 20 to 60 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Ipv4 {
    version_ihl: u8,
    tos: u8,
    total_len: U16,
    id: U16,
    fragment: U16,
    ttl: u8,
    protocol: u8,
    checksum: U16,
    src: [u8; 4],
    dst: [u8; 4],
    options: [u8],
}

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

impl Ipv4 {
    fields! {
        /// Type of service: DSCP and ECN in one byte (RFC 2474, RFC 3168).
        tos, set_tos: u8 = tos;
        /// Length of header and payload in bytes.
        total_len, set_total_len: u16 = total_len;
        /// Identification, the same in all fragments of a packet.
        id, set_id: u16 = id;
        /// Time to live, in hops.
        ttl, set_ttl: u8 = ttl;
        /// What the packet carries.
        protocol, set_protocol: IpProtocol = protocol;
        /// Header checksum as it stands; see [`fill_checksum`](Self::fill_checksum).
        checksum, set_checksum: u16 = checksum;
        /// Source address.
        src, set_src: Ipv4Addr = src;
        /// Destination address.
        dst, set_dst: Ipv4Addr = dst;
    }

    /// Length of the header with its options, in bytes: 20 to 60.
    #[inline]
    #[must_use]
    pub fn header_len(&self) -> usize {
        self.as_bytes().len()
    }

    /// The options as they stand, 0 to 40 bytes.
    #[inline]
    #[must_use]
    pub fn options(&self) -> &[u8] {
        &self.options
    }

    /// The options, for writing in place. Their length cannot change.
    #[inline]
    pub fn options_mut(&mut self) -> &mut [u8] {
        &mut self.options
    }

    /// Differentiated services code point, 0 to 63.
    #[inline]
    #[must_use]
    pub fn dscp(&self) -> u8 {
        self.tos >> 2
    }

    /// Writes [`dscp`](Self::dscp), of which the low six bits count, and keeps the ECN bits.
    #[inline]
    pub fn set_dscp(&mut self, dscp: u8) {
        self.tos = dscp << 2 | self.ecn();
    }

    /// Explicit congestion notification, 0 to 3 (RFC 3168, section 5).
    #[inline]
    #[must_use]
    pub fn ecn(&self) -> u8 {
        self.tos & 3
    }

    /// Whether routers must not fragment the packet.
    #[inline]
    #[must_use]
    pub fn dont_fragment(&self) -> bool {
        self.fragment.get() & DONT_FRAGMENT != 0
    }

    /// Writes [`dont_fragment`](Self::dont_fragment).
    #[inline]
    pub fn set_dont_fragment(&mut self, on: bool) {
        let rest = self.fragment.get() & !DONT_FRAGMENT;
        self.fragment.set(rest | if on { DONT_FRAGMENT } else { 0 });
    }

    /// Whether further fragments follow this one.
    #[inline]
    #[must_use]
    pub fn more_fragments(&self) -> bool {
        self.fragment.get() & MORE_FRAGMENTS != 0
    }

    /// Where this fragment stands in the payload of the whole packet, in bytes: a multiple of 8 up to 65528.
    #[inline]
    #[must_use]
    pub fn fragment_offset(&self) -> u16 {
        (self.fragment.get() & OFFSET) << 3
    }

    /// Writes [`fragment_offset`](Self::fragment_offset), rounded down to a multiple of 8, and
    /// [`more_fragments`](Self::more_fragments).
    #[inline]
    pub fn set_fragment(&mut self, offset: u16, more: bool) {
        let rest = self.fragment.get() & !(OFFSET | MORE_FRAGMENTS);
        self.fragment.set(rest | offset >> 3 | if more { MORE_FRAGMENTS } else { 0 });
    }

    /// Whether this is a part of a packet and not the whole of it.
    #[inline]
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        self.fragment.get() & (OFFSET | MORE_FRAGMENTS) != 0
    }

    /// Whether the payload starts with the transport header: the packet is whole, or its first fragment.
    #[inline]
    #[must_use]
    pub fn has_transport_header(&self) -> bool {
        self.fragment.get() & OFFSET == 0
    }

    /// Computes and writes the header checksum.
    #[inline]
    pub fn fill_checksum(&mut self) {
        self.set_checksum(0);
        self.set_checksum(checksum::of(self.as_bytes()));
    }

    /// Whether the header checksum is right.
    #[inline]
    #[must_use]
    pub fn checksum_ok(&self) -> bool {
        checksum::of(self.as_bytes()) == 0
    }

    /// Takes one hop off the TTL and adjusts the checksum. False, and nothing changed, when the TTL is 0 or 1: a router
    /// discards such a packet (RFC 1812, section 5.3.1).
    #[inline]
    pub fn decrement_ttl(&mut self) -> bool {
        if self.ttl <= 1 {
            return false;
        }
        let old = u16::from_be_bytes([self.ttl, self.protocol]);
        self.ttl -= 1;
        let new = u16::from_be_bytes([self.ttl, self.protocol]);
        self.set_checksum(checksum::update(self.checksum(), old, new));
        true
    }

    /// Replaces the source address and adjusts the header checksum, not that of the transport.
    #[inline]
    pub fn rewrite_src(&mut self, src: Ipv4Addr) {
        let updated = checksum::update_u32(self.checksum(), self.src().to_bits(), src.to_bits());
        self.set_src(src);
        self.set_checksum(updated);
    }

    /// Replaces the destination address and adjusts the header checksum, not that of the transport.
    #[inline]
    pub fn rewrite_dst(&mut self, dst: Ipv4Addr) {
        let updated = checksum::update_u32(self.checksum(), self.dst().to_bits(), dst.to_bits());
        self.set_dst(dst);
        self.set_checksum(updated);
    }
}

debug_fields!(Ipv4: header_len, dscp, ecn, tos, total_len, id, dont_fragment, more_fragments, fragment_offset, is_fragment,
    has_transport_header, ttl, protocol, checksum, checksum_ok, src, dst, options);

impl Header for Ipv4 {
    const NAME: &'static str = "ipv4";
    const BLANK: &'static [u8] = &[0x45, 0, 0, 20, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        if bytes.len() < MIN_LEN {
            return Err(Self::malformed(Why::Truncated));
        }
        if bytes[0] >> 4 != 4 {
            return Err(Self::malformed(Why::Kind));
        }
        let header = usize::from(bytes[0] & 0x0f) * 4;
        if header < MIN_LEN || header > bytes.len() {
            return Err(Self::malformed(Why::HeaderLength));
        }
        let total = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        if total < header {
            return Err(Self::malformed(Why::PayloadLength));
        }
        Ok(Extent { header, total })
    }

    #[inline]
    fn set_payload_len(&mut self, len: usize) -> Result<(), Malformed> {
        let total = u16::try_from(self.header_len().saturating_add(len));
        self.set_total_len(total.map_err(|_| Self::malformed(Why::PayloadLength))?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PACKET: [u8; 26] = [
        0x46, 0x2e, 0x00, 0x1a, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0x1d, 0x8d, 0xac, 0x10, 0x0a, 0x63, 0xac, 0x10,
        0x0a, 0x0c, 0x94, 0x04, 0x00, 0x00, 0xaa, 0xbb,
    ];

    properties!(ipv4, Ipv4, PACKET);

    #[test]
    fn reads_a_packet() {
        let padded = [&PACKET[..], &[0; 9]].concat();
        let (ip, payload) = Ipv4::parse(&padded).unwrap();
        assert_eq!(payload, [0xaa, 0xbb], "padding is trimmed");
        assert_eq!((ip.header_len(), ip.options()), (24, &[0x94, 0x04, 0, 0][..]));
        assert_eq!((ip.dscp(), ip.ecn()), (11, 2));
        assert!(ip.dont_fragment() && !ip.is_fragment() && ip.has_transport_header());
        assert_eq!(ip.protocol(), IpProtocol::TCP);
        assert_eq!(ip.src(), Ipv4Addr::new(172, 16, 10, 99));
    }

    #[test]
    fn known_checksum() {
        let mut header = [0u8; 20];
        header.copy_from_slice(&[
            0x45, 0x00, 0x00, 0x3c, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0xb1, 0xe6, 0xac, 0x10, 0x0a, 0x63, 0xac, 0x10,
            0x0a, 0x0c,
        ]);
        let (ip, _) = Ipv4::parse_front_mut(&mut header).unwrap();
        assert!(ip.checksum_ok());
        ip.fill_checksum();
        assert_eq!(ip.checksum(), 0xb1e6);
    }

    #[test]
    fn refuses_lies() {
        let bent = |at: usize, value: u8| {
            let mut bytes = PACKET;
            bytes[at] = value;
            Ipv4::parse(&bytes).unwrap_err().why
        };
        assert_eq!(bent(0, 0x66), Why::Kind);
        assert_eq!(bent(0, 0x44), Why::HeaderLength);
        assert_eq!(bent(0, 0x4f), Why::HeaderLength);
        assert_eq!(bent(3, 23), Why::PayloadLength);
        assert_eq!(bent(3, 27), Why::PayloadLength);
    }

    #[test]
    fn a_spent_ttl_stays() {
        let mut bytes = PACKET;
        let (ip, _) = Ipv4::parse_mut(&mut bytes).unwrap();
        ip.set_ttl(1);
        assert!(!ip.decrement_ttl());
        assert_eq!(ip.ttl(), 1);
    }

    #[test]
    fn refuses_to_place_too_much() {
        let mut bytes = vec![0; 65536];
        assert_eq!(Ipv4::place(&mut bytes).unwrap_err().why, Why::PayloadLength);
        assert!(Ipv4::place(&mut bytes[..65535]).is_ok());
    }

    proptest! {
        #[test]
        fn setters_read_back(
            tos: u8, len: u16, id: u16, ttl: u8, protocol: u8, checksum: u16, src: [u8; 4], dst: [u8; 4],
            offset in 0u16..8192, more: bool, whole: bool, dscp in 0u8..64,
        ) {
            let mut bytes = [0; 20];
            let (ip, _) = Ipv4::place(&mut bytes).unwrap();
            ip.set_fragment(offset << 3, more);
            reads_back!(ip;
                tos, set_tos = tos;
                total_len, set_total_len = len;
                id, set_id = id;
                ttl, set_ttl = ttl;
                protocol, set_protocol = IpProtocol(protocol);
                checksum, set_checksum = checksum;
                src, set_src = Ipv4Addr::from(src);
                dst, set_dst = Ipv4Addr::from(dst);
                dont_fragment, set_dont_fragment = whole;
            );
            prop_assert_eq!((ip.fragment_offset(), ip.more_fragments()), (offset << 3, more));
            ip.set_dscp(dscp);
            prop_assert_eq!((ip.dscp(), ip.ecn()), (dscp, tos & 3));
        }

        #[test]
        fn rewriting_keeps_the_checksum_right(ttl in 2u8.., src: [u8; 4], dst: [u8; 4], id: u16) {
            let mut bytes = PACKET;
            let (ip, _) = Ipv4::parse_mut(&mut bytes).unwrap();
            ip.set_ttl(ttl);
            ip.set_id(id);
            ip.fill_checksum();
            ip.rewrite_src(src.into());
            ip.rewrite_dst(dst.into());
            prop_assert!(ip.decrement_ttl());
            prop_assert!(ip.checksum_ok());
            prop_assert_eq!((ip.ttl(), ip.src(), ip.dst()), (ttl - 1, src.into(), dst.into()));
        }
    }
}

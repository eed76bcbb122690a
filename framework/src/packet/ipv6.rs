//! IPv6 (RFC 8200): the fixed header and a bounded walk over extension headers.
//!
//! ```text
//!    0                                     4                6             7           8        24
//!   | 6 | traffic class 8 | flow label 20 | payload length | next header | hop limit | source | destination |
//! ```
//!
//! ```
//! use iogate::packet::{Header, IpProtocol, Ipv6};
//!
//! let mut packet = [0u8; 60];
//! let (ip, payload) = Ipv6::place(&mut packet)?;
//! ip.set_next_header(IpProtocol::TCP);
//! let upper = ip.upper_layer(payload)?;
//! assert_eq!((upper.protocol, upper.offset), (IpProtocol::TCP, 0));
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, IpProtocol, Malformed, Why};
use std::net::Ipv6Addr;
use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Extension headers that a walk follows before it gives up.
pub const MAX_EXTENSIONS: usize = 8;

/// The fixed IPv6 header. 40 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Ipv6 {
    first_word: U32,
    payload_len: U16,
    next_header: u8,
    hop_limit: u8,
    src: [u8; 16],
    dst: [u8; 16],
}

/// What an IPv6 packet carries behind its extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpperLayer {
    /// The protocol; [`IpProtocol::NONE`] when there is nothing.
    pub protocol: IpProtocol,
    /// Where it starts, in bytes of the payload of the fixed header.
    pub offset: usize,
    /// The fragment header passed on the way.
    pub fragment: Option<Fragment>,
}

impl UpperLayer {
    /// Whether its header starts at [`offset`](Self::offset): the packet is whole, or its first fragment.
    #[inline]
    #[must_use]
    pub fn has_transport_header(&self) -> bool {
        self.fragment.is_none_or(|fragment| fragment.offset == 0)
    }
}

/// A fragment header (RFC 8200, section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Where this fragment stands in the whole, in bytes: a multiple of 8.
    pub offset: u16,
    /// Whether further fragments follow.
    pub more: bool,
    /// The same in all fragments of a packet.
    pub id: u32,
}

impl Ipv6 {
    fields! {
        /// Length of what follows the fixed header, in bytes.
        payload_len, set_payload_len: u16 = payload_len;
        /// What follows: an extension header or the upper layer.
        next_header, set_next_header: IpProtocol = next_header;
        /// Hops that are left.
        hop_limit, set_hop_limit: u8 = hop_limit;
        /// Source address.
        src, set_src: Ipv6Addr = src;
        /// Destination address.
        dst, set_dst: Ipv6Addr = dst;
    }

    /// Traffic class: DSCP and ECN in one byte.
    #[inline]
    #[must_use]
    pub fn traffic_class(&self) -> u8 {
        (self.first_word.get() >> 20) as u8
    }

    /// Writes [`traffic_class`](Self::traffic_class).
    #[inline]
    pub fn set_traffic_class(&mut self, class: u8) {
        self.first_word.set(self.first_word.get() & !0x0ff0_0000 | u32::from(class) << 20);
    }

    /// Differentiated services code point, 0 to 63.
    #[inline]
    #[must_use]
    pub fn dscp(&self) -> u8 {
        self.traffic_class() >> 2
    }

    /// Explicit congestion notification, 0 to 3.
    #[inline]
    #[must_use]
    pub fn ecn(&self) -> u8 {
        self.traffic_class() & 3
    }

    /// Flow label, 20 bits (RFC 6437).
    #[inline]
    #[must_use]
    pub fn flow_label(&self) -> u32 {
        self.first_word.get() & 0x000f_ffff
    }

    /// Writes [`flow_label`](Self::flow_label), of which the low 20 bits count.
    #[inline]
    pub fn set_flow_label(&mut self, label: u32) {
        self.first_word.set(self.first_word.get() & !0x000f_ffff | label & 0x000f_ffff);
    }

    /// Takes one hop off the hop limit. False, and nothing changed, when it is 0 or 1.
    #[inline]
    pub fn decrement_hop_limit(&mut self) -> bool {
        if self.hop_limit <= 1 {
            return false;
        }
        self.hop_limit -= 1;
        true
    }

    /// Walks the extension headers at the front of `payload`, which is what [`Header::parse`] gave beside this header.
    ///
    /// The walk ends at the first header that is no extension, and behind the fragment header of a fragment that is not
    /// the first, since what follows there is the middle of something.
    ///
    /// # Errors
    ///
    /// [`Why::Item`] when an extension header does not fit into `payload`, [`Why::Depth`] when there are more than
    /// [`MAX_EXTENSIONS`].
    pub fn upper_layer(&self, payload: &[u8]) -> Result<UpperLayer, Malformed> {
        let mut upper = UpperLayer { protocol: self.next_header(), offset: 0, fragment: None };
        for _ in 0..=MAX_EXTENSIONS {
            if !upper.protocol.is_extension() {
                return Ok(upper);
            }
            let rest = payload.get(upper.offset..).unwrap_or_default();
            let Some(&[next, len, high, low, a, b, c, d]) = rest.first_chunk() else {
                return Err(Self::malformed(Why::Item));
            };
            let len = match upper.protocol {
                IpProtocol::FRAGMENT => 8,
                IpProtocol::AH => (usize::from(len) + 2) * 4,
                _ => (usize::from(len) + 1) * 8,
            };
            if len > rest.len() {
                return Err(Self::malformed(Why::Item));
            }
            if upper.protocol == IpProtocol::FRAGMENT {
                let field = u16::from_be_bytes([high, low]);
                let fragment =
                    Fragment { offset: field & !7, more: field & 1 != 0, id: u32::from_be_bytes([a, b, c, d]) };
                upper.fragment = Some(fragment);
            }
            upper.protocol = IpProtocol(next);
            upper.offset += len;
            if !upper.has_transport_header() {
                return Ok(upper);
            }
        }
        Err(Self::malformed(Why::Depth))
    }
}

debug_fields!(Ipv6: traffic_class, dscp, ecn, flow_label, payload_len, next_header, hop_limit, src, dst);

impl Header for Ipv6 {
    const NAME: &'static str = "ipv6";
    const BLANK: &'static [u8] = &[
        0x60, 0, 0, 0, 0, 0, 59, 64, // version 6, no next header, 64 hops
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        let Extent { header, .. } = Extent::fixed::<Self>(bytes)?;
        if bytes[0] >> 4 != 6 {
            return Err(Self::malformed(Why::Kind));
        }
        Ok(Extent { header, total: header + usize::from(u16::from_be_bytes([bytes[4], bytes[5]])) })
    }

    #[inline]
    fn set_payload_len(&mut self, len: usize) -> Result<(), Malformed> {
        let len = u16::try_from(len).map_err(|_| Self::malformed(Why::PayloadLength))?;
        self.payload_len.set(len);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hop-by-hop with a router alert, a first fragment, and the start of UDP.
    const PACKET: [u8; 64] = [
        0x6e, 0x01, 0x23, 0x45, 0x00, 0x18, 0, 1, // class 0xe0, label 0x12345
        0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // source
        0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16, // destination
        44, 0, 5, 2, 0, 0, 1, 0, // hop-by-hop
        17, 0, 0, 1, 0, 0, 0x12, 0x34, // fragment
        1, 2, 3, 4, 0, 8, 0, 0,
    ];

    properties!(ipv6, Ipv6, PACKET);

    #[test]
    fn reads_a_packet() {
        let (ip, payload) = Ipv6::parse(&PACKET).unwrap();
        assert_eq!((ip.traffic_class(), ip.flow_label(), ip.hop_limit()), (0xe0, 0x12345, 1));
        assert_eq!(ip.dst(), "ff02::16".parse::<Ipv6Addr>().unwrap());
        let upper = ip.upper_layer(payload).unwrap();
        assert_eq!((upper.protocol, upper.offset), (IpProtocol::UDP, 16));
        assert_eq!(upper.fragment, Some(Fragment { offset: 0, more: true, id: 0x1234 }));
        assert!(upper.has_transport_header());
    }

    #[test]
    fn stops_at_a_later_fragment() {
        let mut bytes = PACKET;
        (bytes[48], bytes[51]) = (60, 0x10);
        let (ip, payload) = Ipv6::parse(&bytes).unwrap();
        let upper = ip.upper_layer(payload).unwrap();
        assert_eq!((upper.protocol, upper.offset), (IpProtocol::DESTINATION, 16));
        assert!(!upper.has_transport_header());
    }

    #[test]
    fn the_walk_is_bounded() {
        let mut bytes = [0; 40 + 8 * 16];
        let (ip, payload) = Ipv6::place(&mut bytes).unwrap();
        ip.set_next_header(IpProtocol::DESTINATION);
        let chain = |payload: &mut [u8], count: usize| {
            for at in 0..count {
                payload[at * 8] = if at + 1 == count { 6 } else { 60 };
            }
        };
        chain(payload, MAX_EXTENSIONS);
        assert_eq!(ip.upper_layer(payload).unwrap().offset, 8 * MAX_EXTENSIONS);
        chain(payload, MAX_EXTENSIONS + 1);
        assert_eq!(ip.upper_layer(payload).unwrap_err().why, Why::Depth);
        payload[1] = 16;
        assert_eq!(ip.upper_layer(payload).unwrap_err().why, Why::Item);
    }

    #[test]
    fn refuses_lies() {
        let mut bytes = PACKET;
        bytes[5] = 0x19;
        assert_eq!(Ipv6::parse(&bytes).unwrap_err().why, Why::PayloadLength);
        bytes[0] = 0x45;
        assert_eq!(Ipv6::parse(&bytes).unwrap_err().why, Why::Kind);
    }

    proptest! {
        #[test]
        fn setters_read_back(class: u8, label in 0u32..1 << 20, len: u16, next: u8, hops: u8, src: [u8; 16], dst: [u8; 16]) {
            let mut bytes = [0; 40];
            let (ip, _) = Ipv6::place(&mut bytes).unwrap();
            reads_back!(ip;
                traffic_class, set_traffic_class = class;
                flow_label, set_flow_label = label;
                payload_len, set_payload_len = len;
                next_header, set_next_header = IpProtocol(next);
                hop_limit, set_hop_limit = hops;
                src, set_src = Ipv6Addr::from(src);
                dst, set_dst = Ipv6Addr::from(dst);
            );
            prop_assert_eq!(ip.decrement_hop_limit(), hops > 1);
            prop_assert_eq!(bytes[0] >> 4, 6);
        }

        #[test]
        fn walking_is_total(next: u8, payload in proptest::collection::vec(prop_oneof![Just(0u8), Just(44), Just(60), any::<u8>()], 0..120)) {
            let mut bytes = [&[0; 40][..], &payload].concat();
            let (ip, payload) = Ipv6::place(&mut bytes).unwrap();
            ip.set_next_header(IpProtocol(next));
            if let Ok(upper) = ip.upper_layer(payload) {
                prop_assert!(upper.offset <= payload.len());
            }
        }
    }
}

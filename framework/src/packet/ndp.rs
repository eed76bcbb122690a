//! Neighbour discovery for IPv6 (RFC 4861): five ICMPv6 messages and their options.
//!
//! ```text
//!    0      1      2          4                  8
//!   | type | code | checksum | flags, reserved  | target 16 (NS, NA, redirect) | options ...
//!   option: | type | length in 8 bytes | ...
//! ```
//!
//! ```
//! use iogate::packet::ndp::{self, NdpOption, NeighborSolicitation};
//! use iogate::packet::Header;
//!
//! let mut bytes = [0u8; 32];
//! let (ask, options) = NeighborSolicitation::place(&mut bytes)?;
//! ask.set_target("fe80::7".parse().unwrap());
//! options.copy_from_slice(&[1, 1, 2, 0, 0, 0, 0, 9]);
//!
//! let (_, options) = NeighborSolicitation::parse(&bytes)?;
//! let asker = NdpOption::SourceLinkLayer([2, 0, 0, 0, 0, 9].into());
//! assert_eq!(ndp::options(options).next(), Some(Ok(asker)));
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, Icmpv6, MacAddr, Malformed, Why};
use core::fmt;
use std::net::Ipv6Addr;
use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Implements [`Header`] for a message of the type given; its payload are the options.
macro_rules! message {
    ($name:ident, $text:literal, $kind:literal, $len:literal) => {
        impl Header for $name {
            const NAME: &'static str = $text;
            const BLANK: &'static [u8] = &{
                let mut blank = [0; $len];
                blank[0] = $kind;
                blank
            };

            #[inline]
            fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
                let extent = Extent::fixed::<Self>(bytes)?;
                if bytes[..2] != [$kind, 0] {
                    return Err(Self::malformed(Why::Kind));
                }
                Ok(extent)
            }
        }
    };
}

/// A host looks for routers (section 4.1). 8 bytes.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct RouterSolicitation {
    icmp: Icmpv6,
    reserved: U32,
}

message!(RouterSolicitation, "router solicitation", 133, 8);
debug_fields!(RouterSolicitation: icmp);

/// A router shows itself (section 4.2). 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct RouterAdvertisement {
    icmp: Icmpv6,
    hop_limit: u8,
    flags: u8,
    lifetime: U16,
    reachable_time: U32,
    retrans_timer: U32,
}

message!(RouterAdvertisement, "router advertisement", 134, 16);
debug_fields!(RouterAdvertisement: icmp, hop_limit, flags, lifetime, reachable_time, retrans_timer);

impl RouterAdvertisement {
    fields! {
        /// Hop limit that hosts should use; 0 when the router does not say.
        hop_limit, set_hop_limit: u8 = hop_limit;
        /// Flags: 0x80 managed addresses, 0x40 other configuration.
        flags, set_flags: u8 = flags;
        /// How long the router is good for as a default router, in seconds; 0 when it is none.
        lifetime, set_lifetime: u16 = lifetime;
        /// How long a neighbour is taken to be reachable, in milliseconds; 0 when the router does not say.
        reachable_time, set_reachable_time: u32 = reachable_time;
        /// Time between two solicitations, in milliseconds; 0 when the router does not say.
        retrans_timer, set_retrans_timer: u32 = retrans_timer;
    }
}

/// Asks for the link-layer address of a target (section 4.3). 24 bytes.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct NeighborSolicitation {
    icmp: Icmpv6,
    reserved: U32,
    target: [u8; 16],
}

message!(NeighborSolicitation, "neighbor solicitation", 135, 24);
debug_fields!(NeighborSolicitation: icmp, target);

impl NeighborSolicitation {
    fields! {
        /// Address that is asked for.
        target, set_target: Ipv6Addr = target;
    }
}

/// Gives the link-layer address of a target (section 4.4). 24 bytes.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct NeighborAdvertisement {
    icmp: Icmpv6,
    flags: u8,
    reserved: [u8; 3],
    target: [u8; 16],
}

message!(NeighborAdvertisement, "neighbor advertisement", 136, 24);
debug_fields!(NeighborAdvertisement: icmp, flags, target);

impl NeighborAdvertisement {
    /// Bit of [`flags`](Self::flags): the sender is a router.
    pub const ROUTER: u8 = 0x80;
    /// Bit of [`flags`](Self::flags): answers a solicitation.
    pub const SOLICITED: u8 = 0x40;
    /// Bit of [`flags`](Self::flags): replaces what the receiver has cached.
    pub const OVERRIDE: u8 = 0x20;

    fields! {
        /// Flags: [`ROUTER`](Self::ROUTER), [`SOLICITED`](Self::SOLICITED), [`OVERRIDE`](Self::OVERRIDE).
        flags, set_flags: u8 = flags;
        /// Address that the message is about.
        target, set_target: Ipv6Addr = target;
    }
}

/// There is a better first hop (section 4.5). 40 bytes.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Redirect {
    icmp: Icmpv6,
    reserved: U32,
    target: [u8; 16],
    destination: [u8; 16],
}

message!(Redirect, "redirect", 137, 40);
debug_fields!(Redirect: icmp, target, destination);

impl Redirect {
    fields! {
        /// The better hop; the same as the destination when that is a neighbour.
        target, set_target: Ipv6Addr = target;
        /// Destination that is redirected.
        destination, set_destination: Ipv6Addr = destination;
    }
}

/// The ICMPv6 part of each message.
macro_rules! icmp_part {
    ($($name:ident)+) => {$(
        impl $name {
            /// The part that all ICMPv6 messages share.
            #[inline]
            #[must_use]
            pub fn icmp(&self) -> &Icmpv6 {
                &self.icmp
            }
        }
    )+};
}

icmp_part!(RouterSolicitation RouterAdvertisement NeighborSolicitation NeighborAdvertisement Redirect);

/// An option of a neighbour discovery message (section 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NdpOption<'a> {
    /// Type 1: MAC address of the sender.
    SourceLinkLayer(MacAddr),
    /// Type 2: MAC address of the target.
    TargetLinkLayer(MacAddr),
    /// Type 3: a prefix of the link.
    Prefix {
        /// The prefix; bits beyond its length do not count.
        prefix: Ipv6Addr,
        /// Length of the prefix in bits. Not checked: a sender may claim more than 128.
        len: u8,
        /// 0x80 on-link, 0x40 hosts may form addresses from it.
        flags: u8,
        /// Seconds that the prefix is valid; `u32::MAX` for ever.
        valid: u32,
        /// Seconds that addresses formed from it are preferred; `u32::MAX` for ever.
        preferred: u32,
    },
    /// Type 4: the beginning of the packet that was redirected.
    RedirectedHeader(&'a [u8]),
    /// Type 5: MTU of the link in bytes.
    Mtu(u32),
    /// Any other type, and those above when their length is wrong.
    Other {
        /// Type number.
        kind: u8,
        /// What follows type and length.
        data: &'a [u8],
    },
}

impl NdpOption<'_> {
    /// The link-layer address in a source or target option.
    #[inline]
    #[must_use]
    pub fn link_layer(&self) -> Option<MacAddr> {
        match *self {
            Self::SourceLinkLayer(mac) | Self::TargetLinkLayer(mac) => Some(mac),
            _ => None,
        }
    }
}

/// The options in `bytes`, the payload of one of the messages. An option that does not fit, or of length 0, gives one error
/// and ends the iteration.
#[inline]
#[must_use]
pub fn options(bytes: &[u8]) -> NdpOptions<'_> {
    NdpOptions { rest: bytes }
}

/// Iterator of [`options`].
#[derive(Clone)]
pub struct NdpOptions<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for NdpOptions<'a> {
    type Item = Result<NdpOption<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = core::mem::take(&mut self.rest);
        let bad = Malformed { header: "neighbour discovery option", why: Why::Item };
        let (kind, units) = match *bytes {
            [] => return None,
            [kind, units, ..] if units > 0 => (kind, usize::from(units)),
            _ => return Some(Err(bad)),
        };
        let Some((option, rest)) = bytes.split_at_checked(units * 8) else {
            return Some(Err(bad));
        };
        self.rest = rest;
        let data = &option[2..];
        Some(Ok(match (kind, data) {
            (1, &[a, b, c, d, e, f]) => NdpOption::SourceLinkLayer([a, b, c, d, e, f].into()),
            (2, &[a, b, c, d, e, f]) => NdpOption::TargetLinkLayer([a, b, c, d, e, f].into()),
            (3, &[len, flags, v0, v1, v2, v3, p0, p1, p2, p3, _, _, _, _, ref prefix @ ..]) => {
                let Ok(prefix) = <[u8; 16]>::try_from(prefix) else {
                    return Some(Ok(NdpOption::Other { kind, data }));
                };
                NdpOption::Prefix {
                    prefix: prefix.into(),
                    len,
                    flags,
                    valid: u32::from_be_bytes([v0, v1, v2, v3]),
                    preferred: u32::from_be_bytes([p0, p1, p2, p3]),
                }
            }
            (4, [_, _, _, _, _, _, packet @ ..]) => NdpOption::RedirectedHeader(packet),
            (5, &[_, _, a, b, c, d]) => NdpOption::Mtu(u32::from_be_bytes([a, b, c, d])),
            _ => NdpOption::Other { kind, data },
        }))
    }
}

impl fmt::Debug for NdpOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NS: [u8; 32] = [
        135, 0, 0x12, 0x34, 0, 0, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, // message
        1, 1, 2, 0, 0, 0, 0, 9,
    ];
    const RA: [u8; 64] = [
        134, 0, 0, 0, 64, 0x80, 0x07, 0x08, 0, 0, 0x75, 0x30, 0, 0, 0x03, 0xe8, // message
        1, 1, 2, 0, 0, 0, 0, 1, 5, 1, 0, 0, 0, 0, 0x05, 0xdc, // MAC, MTU
        3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0, // prefix
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];

    properties!(solicitation, NeighborSolicitation, NS);
    properties!(advertisement, NeighborAdvertisement, [&[136][..], &NS[1..]].concat());
    properties!(router_solicitation, RouterSolicitation, [133, 0, 1, 2, 0, 0, 0, 0]);
    properties!(router_advertisement, RouterAdvertisement, RA);
    properties!(redirect, Redirect, [&[137][..], &NS[1..24], &[7; 16]].concat());

    #[test]
    fn reads_a_solicitation() {
        let (ask, rest) = NeighborSolicitation::parse(&NS).unwrap();
        assert_eq!((ask.icmp().checksum(), ask.target()), (0x1234, "fe80::7".parse().unwrap()));
        let option = options(rest).next().unwrap().unwrap();
        assert_eq!(option.link_layer(), Some([2, 0, 0, 0, 0, 9].into()));
        assert_eq!(NeighborAdvertisement::parse(&NS).unwrap_err().why, Why::Kind);
    }

    #[test]
    fn reads_a_router_advertisement() {
        let (router, rest) = RouterAdvertisement::parse(&RA).unwrap();
        assert_eq!((router.hop_limit(), router.lifetime(), router.retrans_timer()), (64, 1800, 1000));
        let found: Result<Vec<_>, _> = options(rest).collect();
        let prefix = NdpOption::Prefix {
            prefix: "2001:db8::".parse().unwrap(),
            len: 64,
            flags: 0xc0,
            valid: 86400,
            preferred: 14400,
        };
        let mac = NdpOption::SourceLinkLayer([2, 0, 0, 0, 0, 1].into());
        assert_eq!(found.unwrap(), [mac, NdpOption::Mtu(1500), prefix]);
    }

    #[test]
    fn a_bad_option_ends_the_list() {
        for bad in [&[1, 0, 0, 0, 0, 0, 0, 0][..], &[1], &[1, 2, 0, 0, 0, 0, 0, 0]] {
            let mut found = options(bad);
            assert_eq!(found.next().unwrap().unwrap_err().why, Why::Item);
            assert_eq!(found.next(), None);
        }
    }

    proptest! {
        #[test]
        fn setters_read_back(hops: u8, flags: u8, life: u16, reach: u32, retrans: u32, a: [u8; 16], b: [u8; 16]) {
            let mut bytes = [0; 40];
            let (router, _) = RouterAdvertisement::place(&mut bytes).unwrap();
            reads_back!(router;
                hop_limit, set_hop_limit = hops;
                flags, set_flags = flags;
                lifetime, set_lifetime = life;
                reachable_time, set_reachable_time = reach;
                retrans_timer, set_retrans_timer = retrans;
            );
            let (ask, _) = NeighborSolicitation::place(&mut bytes).unwrap();
            reads_back!(ask; target, set_target = Ipv6Addr::from(a););
            let (tell, _) = NeighborAdvertisement::place(&mut bytes).unwrap();
            reads_back!(tell; flags, set_flags = flags; target, set_target = Ipv6Addr::from(a););
            let (redirect, _) = Redirect::place(&mut bytes).unwrap();
            reads_back!(redirect; target, set_target = Ipv6Addr::from(a); destination, set_destination = Ipv6Addr::from(b););
        }

        #[test]
        fn options_are_total(bytes in proptest::collection::vec(prop_oneof![0u8..6, any::<u8>()], 0..100)) {
            let found = options(&bytes);
            let shown = format!("{found:?}");
            prop_assert!(!shown.is_empty());
            prop_assert!(found.count() <= bytes.len() / 8 + 1);
        }
    }
}

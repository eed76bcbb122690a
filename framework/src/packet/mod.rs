//! Headers as checked, typed views over the bytes of a packet.
//!
//! ```text
//!   bytes:  | header H | payload                | padding |
//!             ^          ^                        ^
//!             &H         &[u8], trimmed by H      not handed out
//! ```
//!
//! A view is a reference to the bytes themselves: nothing is copied, and a setter writes straight into the packet.
//! [`Header::parse`] checks everything once; afterwards no accessor can fail or panic. Bytes on the wire are hostile, so
//! every parser is total: a short, odd or lying header gives [`Malformed`].
//!
//! ```
//! use iogate::packet::{EtherType, Ethernet, Header, IpProtocol, Ipv4, Udp};
//!
//! # fn main() -> Result<(), iogate::packet::Malformed> {
//! let mut frame = [0u8; 14 + 20 + 8 + 4];
//! let (eth, rest) = Ethernet::place(&mut frame)?;
//! eth.set_ether_type(EtherType::IPV4);
//! let (ip, rest) = Ipv4::place(rest)?;
//! ip.set_protocol(IpProtocol::UDP);
//! ip.fill_checksum();
//! Udp::place(rest)?.0.set_dst_port(4791);
//!
//! let (_, rest) = Ethernet::parse(&frame)?;
//! let (ip, rest) = Ipv4::parse(rest)?;
//! assert!(ip.checksum_ok());
//! let (udp, payload) = Udp::parse(rest)?;
//! assert_eq!((udp.dst_port(), payload.len()), (4791, 4));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

#[macro_use]
mod macros;
#[cfg(test)]
#[macro_use]
mod testing;

pub mod aoe;
pub mod arp;
pub mod checksum;
pub mod dcbx;
pub mod ethernet;
pub mod fcoe;
pub mod fip;
pub mod icmp;
pub mod icmpv6;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod iscsi;
pub mod lldp;
pub mod mac;
pub mod ndp;
pub mod nvme_tcp;
pub mod pfc;
pub mod roce;
pub mod stamp;
pub mod tcp;
pub mod udp;
pub mod vlan;
pub mod vxlan;
mod wire;

pub use aoe::Aoe;
pub use arp::Arp;
pub use checksum::PseudoHeader;
pub use ethernet::{EtherType, Ethernet};
pub use fcoe::{FcFrame, Fcoe};
pub use fip::Fip;
pub use icmp::Icmp;
pub use icmpv6::Icmpv6;
pub use ip::IpProtocol;
pub use ipv4::Ipv4;
pub use ipv6::Ipv6;
pub use iscsi::Iscsi;
pub use mac::MacAddr;
pub use nvme_tcp::NvmeTcp;
pub use pfc::{Pause, Pfc};
pub use roce::Bth;
pub use stamp::Stamp;
pub use tcp::{Tcp, TcpFlags};
pub use udp::Udp;
pub use vlan::{Layer2, Tci, Vlan, VlanTag};
pub use vxlan::Vxlan;

use thiserror::Error;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A header at the front of a byte slice.
///
/// Implementors say what a header looks like ([`extent`](Header::extent), [`BLANK`](Header::BLANK)); parsing and placing
/// follow from that. Applications may implement it for protocols of their own.
pub trait Header: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned {
    /// Name of the protocol, as errors and counters show it.
    const NAME: &'static str;

    /// The shortest valid header, which [`place`](Header::place) starts from.
    const BLANK: &'static [u8];

    /// Checks the header at the front of `bytes` and says how far it and its payload reach.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when `bytes` holds no valid header. A payload that claims more than `bytes` holds is not an error
    /// here: [`parse`](Header::parse) refuses it, [`parse_front`](Header::parse_front) does not.
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed>;

    /// Writes `len`, the bytes of payload that follow this header, to its length field, if it has one.
    ///
    /// # Errors
    ///
    /// [`Why::PayloadLength`] when the field cannot hold the value.
    fn set_payload_len(&mut self, len: usize) -> Result<(), Malformed> {
        let _ = len;
        Ok(())
    }

    /// The header at the front of `bytes` and the payload that follows it, trimmed to the header's own length field.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the header is short, invalid, or claims more than `bytes` holds.
    #[inline]
    fn parse(bytes: &[u8]) -> Result<(&Self, &[u8]), Malformed> {
        let extent = Self::whole(bytes)?;
        Self::split(bytes, extent)
    }

    /// As [`parse`](Header::parse), for writing in place.
    ///
    /// # Errors
    ///
    /// As [`parse`](Header::parse).
    #[inline]
    fn parse_mut(bytes: &mut [u8]) -> Result<(&mut Self, &mut [u8]), Malformed> {
        let extent = Self::whole(bytes)?;
        Self::split_mut(bytes, extent)
    }

    /// As [`parse`](Header::parse), but takes a payload that is cut off: the first segment of a chained packet, the quote
    /// inside an ICMP error, the part of a stream that has arrived.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the header itself is short or invalid.
    #[inline]
    fn parse_front(bytes: &[u8]) -> Result<(&Self, &[u8]), Malformed> {
        let extent = Self::extent(bytes)?;
        Self::split(bytes, extent)
    }

    /// As [`parse_front`](Header::parse_front), for writing in place.
    ///
    /// # Errors
    ///
    /// As [`parse_front`](Header::parse_front).
    #[inline]
    fn parse_front_mut(bytes: &mut [u8]) -> Result<(&mut Self, &mut [u8]), Malformed> {
        let extent = Self::extent(bytes)?;
        Self::split_mut(bytes, extent)
    }

    /// Writes a [`BLANK`](Header::BLANK) header to the front of `bytes`, its payload being all that follows.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when `bytes` is too short for the header, or what follows it is of a length that its length field
    /// cannot express.
    #[inline]
    fn place(bytes: &mut [u8]) -> Result<(&mut Self, &mut [u8]), Malformed> {
        let Some((front, payload)) = bytes.split_at_mut_checked(Self::BLANK.len()) else {
            return Err(Self::malformed(Why::Truncated));
        };
        front.copy_from_slice(Self::BLANK);
        let header = Self::mut_from_bytes(front).map_err(|_| Self::malformed(Why::Truncated))?;
        header.set_payload_len(payload.len())?;
        Ok((header, payload))
    }

    /// The error of this header for the reason `why`.
    #[inline]
    fn malformed(why: Why) -> Malformed {
        Malformed { header: Self::NAME, why }
    }

    #[doc(hidden)]
    #[inline]
    fn whole(bytes: &[u8]) -> Result<Extent, Malformed> {
        let extent = Self::extent(bytes)?;
        if extent.total > bytes.len() {
            return Err(Self::malformed(Why::PayloadLength));
        }
        Ok(extent)
    }

    #[doc(hidden)]
    #[inline]
    fn split(bytes: &[u8], extent: Extent) -> Result<(&Self, &[u8]), Malformed> {
        let end = extent.total.min(bytes.len());
        let (front, payload) = bytes
            .get(..end)
            .and_then(|bytes| bytes.split_at_checked(extent.header))
            .ok_or(Self::malformed(Why::Truncated))?;
        let header = Self::ref_from_bytes(front).map_err(|_| Self::malformed(Why::HeaderLength))?;
        Ok((header, payload))
    }

    #[doc(hidden)]
    #[inline]
    fn split_mut(bytes: &mut [u8], extent: Extent) -> Result<(&mut Self, &mut [u8]), Malformed> {
        let end = extent.total.min(bytes.len());
        let (front, payload) = bytes
            .get_mut(..end)
            .and_then(|bytes| bytes.split_at_mut_checked(extent.header))
            .ok_or(Self::malformed(Why::Truncated))?;
        let header = Self::mut_from_bytes(front).map_err(|_| Self::malformed(Why::HeaderLength))?;
        Ok((header, payload))
    }
}

/// How far a header reaches, in bytes from its first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Length of the header, options included.
    pub header: usize,
    /// Length of header and payload together, as the header claims it.
    pub total: usize,
}

impl Extent {
    /// The extent of a header of fixed size whose payload is all that follows.
    ///
    /// # Errors
    ///
    /// [`Why::Truncated`] when `bytes` is shorter than `H`.
    #[inline]
    pub const fn fixed<H: Header>(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() < size_of::<H>() {
            return Err(Malformed { header: H::NAME, why: Why::Truncated });
        }
        Ok(Self { header: size_of::<H>(), total: bytes.len() })
    }
}

/// Bytes that are not the header they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("malformed {header}: {why}")]
pub struct Malformed {
    /// [`Header::NAME`] of what was looked for.
    pub header: &'static str,
    /// What is wrong with it.
    pub why: Why,
}

/// What is wrong with a [`Malformed`] header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Why {
    /// Fewer bytes than the header needs.
    #[error("fewer bytes than it needs")]
    Truncated,
    /// A version, type or fixed field that is not what this header requires.
    #[error("not of a kind that is understood")]
    Kind,
    /// The header length field is below the minimum or beyond the bytes there are.
    #[error("header length out of range")]
    HeaderLength,
    /// The payload length field is shorter than the header or longer than the bytes there are.
    #[error("payload length out of range")]
    PayloadLength,
    /// An option, descriptor or TLV does not fit into the list it stands in.
    #[error("option does not fit")]
    Item,
    /// More nested headers than a parser follows.
    #[error("nested too deeply")]
    Depth,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_header_and_reason() {
        let error = Ethernet::parse(&[0; 13]).unwrap_err();
        assert_eq!(error.to_string(), "malformed ethernet: fewer bytes than it needs");
    }

    #[test]
    fn a_cut_payload_is_an_error_only_for_the_whole_packet() {
        let mut bytes = [0; 28];
        Ipv4::place(&mut bytes).unwrap();
        let cut = &bytes[..24];
        assert_eq!(Ipv4::parse(cut).unwrap_err().why, Why::PayloadLength);
        assert_eq!(Ipv4::parse_front(cut).unwrap().1.len(), 4);
    }
}

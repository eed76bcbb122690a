//! TCP (RFC 9293).
//!
//! ```text
//!    0             2                  4          8     12            13     14       16         18
//!   | source port | destination port | sequence | ack | offset, res | flags | window | checksum | urgent | options
//! ```
//!
//! ```
//! use iogate::packet::tcp::TcpOption;
//! use iogate::packet::{Header, Tcp, TcpFlags};
//!
//! let syn = [
//!     0x80, 0x00, 0x0c, 0xbc, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 0x02, 0xff, 0xff, 0, 0, 0, 0, // ports 32768 to 3260
//!     2, 4, 0x05, 0xb4,
//! ];
//! let (tcp, payload) = Tcp::parse(&syn)?;
//! assert_eq!(tcp.flags(), TcpFlags::SYN);
//! assert_eq!(tcp.options().next(), Some(Ok(TcpOption::MaxSegmentSize(1460))));
//! assert!(payload.is_empty());
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, Malformed, Why};
use core::fmt;
use core::ops::{BitOr, BitOrAssign};
use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of a header without options, in bytes.
pub const MIN_LEN: usize = 20;

/// The control bits of a segment (RFC 9293, section 3.1).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Starts a connection.
    pub const SYN: Self = Self(0x02);
    /// Ends a connection at once.
    pub const RST: Self = Self(0x04);
    /// The receiver should not wait for more.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);
    /// Congestion was seen (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// The congestion window was reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// Whether all bits of `other` are set here.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for TcpFlags {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for TcpFlags {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"].iter().enumerate();
        let mut first = true;
        names.try_for_each(|(bit, name)| {
            if self.0 & 1 << bit == 0 {
                return Ok(());
            }
            let bar = if core::mem::take(&mut first) { "" } else { "|" };
            write!(f, "{bar}{name}")
        })?;
        if first { f.write_str("-") } else { Ok(()) }
    }
}

code_field!(TcpFlags in u8);

/// A TCP header with its options. 20 to 60 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Tcp {
    src_port: U16,
    dst_port: U16,
    sequence: U32,
    acknowledgment: U32,
    data_offset: u8,
    flags: u8,
    window: U16,
    checksum: U16,
    urgent: U16,
    options: [u8],
}

impl Tcp {
    fields! {
        /// Source port.
        src_port, set_src_port: u16 = src_port;
        /// Destination port.
        dst_port, set_dst_port: u16 = dst_port;
        /// Number of the first byte of payload; of the SYN itself when that flag is set.
        sequence, set_sequence: u32 = sequence;
        /// Number of the next byte expected; counts with [`TcpFlags::ACK`].
        acknowledgment, set_acknowledgment: u32 = acknowledgment;
        /// Control bits.
        flags, set_flags: TcpFlags = flags;
        /// Bytes the sender is ready to take, not scaled (RFC 7323).
        window, set_window: u16 = window;
        /// Checksum over pseudo header, header and payload; see [`PseudoHeader`](super::PseudoHeader).
        checksum, set_checksum: u16 = checksum;
        /// Urgent pointer; counts with [`TcpFlags::URG`].
        urgent, set_urgent: u16 = urgent;
    }

    /// Length of the header with its options, in bytes: 20 to 60.
    #[inline]
    #[must_use]
    pub fn header_len(&self) -> usize {
        self.as_bytes().len()
    }

    /// The options, one after the other. An option that does not fit gives one error and ends the iteration.
    #[inline]
    #[must_use]
    pub fn options(&self) -> TcpOptions<'_> {
        TcpOptions { rest: &self.options }
    }

    /// The options as they stand, for writing in place. Their length cannot change.
    #[inline]
    pub fn options_mut(&mut self) -> &mut [u8] {
        &mut self.options
    }
}

debug_fields!(Tcp: src_port, dst_port, sequence, acknowledgment, header_len, flags, window, checksum, urgent, options);

impl Header for Tcp {
    const NAME: &'static str = "tcp";
    const BLANK: &'static [u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        if bytes.len() < MIN_LEN {
            return Err(Self::malformed(Why::Truncated));
        }
        let header = usize::from(bytes[12] >> 4) * 4;
        if header < MIN_LEN || header > bytes.len() {
            return Err(Self::malformed(Why::HeaderLength));
        }
        Ok(Extent { header, total: bytes.len() })
    }
}

/// An option of a TCP header (RFC 9293, section 3.2; IANA "TCP Option Kind Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpOption<'a> {
    /// Kind 2: the most payload a segment may carry, in bytes.
    MaxSegmentSize(u16),
    /// Kind 3: bits to shift the window by (RFC 7323, section 2.2).
    WindowScale(u8),
    /// Kind 4: selective acknowledgments are welcome (RFC 2018).
    SackPermitted,
    /// Kind 8: the sender's clock and the clock value it echoes (RFC 7323, section 3.2).
    Timestamps {
        /// The sender's clock.
        value: u32,
        /// What is echoed; counts with [`TcpFlags::ACK`].
        echo: u32,
    },
    /// Any other kind, and those above when their length is wrong.
    Other {
        /// Kind number.
        kind: u8,
        /// What follows kind and length.
        data: &'a [u8],
    },
}

/// The options of a TCP header. No-operation options are skipped.
#[derive(Clone)]
pub struct TcpOptions<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for TcpOptions<'a> {
    type Item = Result<TcpOption<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match *core::mem::take(&mut self.rest) {
                [] | [0, ..] => return None,
                [1, ref rest @ ..] => self.rest = rest,
                [kind, len, ref rest @ ..] if len >= 2 && usize::from(len) - 2 <= rest.len() => {
                    let (data, rest) = rest.split_at(usize::from(len) - 2);
                    self.rest = rest;
                    return Some(Ok(match (kind, data) {
                        (2, &[a, b]) => TcpOption::MaxSegmentSize(u16::from_be_bytes([a, b])),
                        (3, &[shift]) => TcpOption::WindowScale(shift),
                        (4, []) => TcpOption::SackPermitted,
                        (8, &[a, b, c, d, e, f, g, h]) => TcpOption::Timestamps {
                            value: u32::from_be_bytes([a, b, c, d]),
                            echo: u32::from_be_bytes([e, f, g, h]),
                        },
                        _ => TcpOption::Other { kind, data },
                    }));
                }
                _ => return Some(Err(Tcp::malformed(Why::Item))),
            }
        }
    }
}

impl fmt::Debug for TcpOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SYN: [u8; 42] = [
        0xc5, 0x1e, 0x0c, 0xbc, 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 0, 0xa0, 0xc2, 0xfa, 0xf0, 0x12, 0x34, 0,
        0, // header
        2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 5, 0, 0, 0, 0, 1, 3, 3, 7, // options
        0xaa, 0xbb,
    ];

    properties!(tcp, Tcp, SYN);

    #[test]
    fn reads_a_syn() {
        let (tcp, payload) = Tcp::parse(&SYN).unwrap();
        assert_eq!((tcp.dst_port(), tcp.sequence(), tcp.header_len()), (3260, 0x11223344, 40));
        assert_eq!(format!("{:?}", tcp.flags()), "SYN|ECE|CWR");
        assert!(tcp.flags().contains(TcpFlags::SYN) && !tcp.flags().contains(TcpFlags::SYN | TcpFlags::ACK));
        let options: Result<Vec<_>, _> = tcp.options().collect();
        assert_eq!(
            options.unwrap(),
            [
                TcpOption::MaxSegmentSize(1460),
                TcpOption::SackPermitted,
                TcpOption::Timestamps { value: 5, echo: 0 },
                TcpOption::WindowScale(7),
            ]
        );
        assert_eq!(payload, [0xaa, 0xbb]);
    }

    #[test]
    fn a_bad_option_ends_the_list() {
        for bad in [[2, 1, 0, 0], [9, 0, 0, 0], [9, 5, 0, 0], [1, 1, 1, 9]] {
            let found: Vec<_> = TcpOptions { rest: &bad }.collect();
            assert_eq!(found, [Err(Tcp::malformed(Why::Item))], "{bad:?}");
        }
        let other: Vec<_> = TcpOptions { rest: &[2, 3, 9, 0] }.collect();
        assert_eq!(other, [Ok(TcpOption::Other { kind: 2, data: &[9] })]);
    }

    #[test]
    fn refuses_lies() {
        for offset in [0x00, 0x40, 0xf0] {
            let mut bytes = SYN;
            bytes[12] = offset;
            assert_eq!(Tcp::parse(&bytes).unwrap_err().why, Why::HeaderLength);
        }
    }

    proptest! {
        #[test]
        fn setters_read_back(src: u16, dst: u16, seq: u32, ack: u32, flags: u8, window: u16, checksum: u16, urgent: u16) {
            let mut bytes = [0; 20];
            let (tcp, _) = Tcp::place(&mut bytes).unwrap();
            reads_back!(tcp;
                src_port, set_src_port = src;
                dst_port, set_dst_port = dst;
                sequence, set_sequence = seq;
                acknowledgment, set_acknowledgment = ack;
                flags, set_flags = TcpFlags(flags);
                window, set_window = window;
                checksum, set_checksum = checksum;
                urgent, set_urgent = urgent;
            );
            prop_assert_eq!(tcp.header_len(), 20);
        }

        #[test]
        fn options_are_total(rest in proptest::collection::vec(prop_oneof![0u8..12, any::<u8>()], 0..40)) {
            let options = TcpOptions { rest: &rest };
            prop_assert!(options.count() <= 20);
        }
    }
}

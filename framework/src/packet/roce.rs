//! RDMA over Converged Ethernet: the base transport header (InfiniBand architecture, volume 1, section 9.2). Version 2 runs
//! on UDP port 4791 (annex A17); version 1 on [`EtherType::ROCE`](super::EtherType::ROCE) behind a 40-byte global routing
//! header laid out like [`Ipv6`](super::Ipv6) (annex A16).
//!
//! ```text
//!    0        1              2       4           5          8             9
//!   | opcode | SE M pad tver | P_Key | FECN BECN | dest QP | A, reserved | PSN | further headers | payload | ICRC 4 |
//! ```
//!
//! ```
//! use iogate::packet::{Bth, Header};
//!
//! let mut bytes = [0u8; 16];
//! let (bth, _) = Bth::place(&mut bytes)?;
//! bth.set_opcode(Bth::CNP);
//! assert!(bth.is_congestion_notification());
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, Malformed, Why};
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// UDP destination port of RoCE version 2.
pub const PORT: u16 = 4791;
/// Length of the invariant checksum at the end of every packet, in bytes.
pub const ICRC_LEN: usize = 4;

const FECN: u8 = 0x80;
const BECN: u8 = 0x40;

/// A base transport header. 12 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Bth {
    opcode: u8,
    flags: u8,
    partition_key: U16,
    congestion: u8,
    dest_qp: [u8; 3],
    acknowledge: u8,
    sequence: [u8; 3],
}

impl Bth {
    /// Opcode of a congestion notification packet (annex A17).
    pub const CNP: u8 = 0x81;

    fields! {
        /// Operation: transport service in the high three bits, its step in the others.
        opcode, set_opcode: u8 = opcode;
        /// Partition that the packet belongs to.
        partition_key, set_partition_key: u16 = partition_key;
        /// Destination queue pair, 24 bits.
        dest_qp, set_dest_qp: u32 = dest_qp;
        /// Packet sequence number, 24 bits.
        sequence, set_sequence: u32 = sequence;
    }

    /// Bytes that pad the payload to a multiple of four, 0 to 3.
    #[inline]
    #[must_use]
    pub fn pad(&self) -> u8 {
        self.flags >> 4 & 3
    }

    /// Whether congestion was met on the way (FECN).
    #[inline]
    #[must_use]
    pub fn forward_congestion(&self) -> bool {
        self.congestion & FECN != 0
    }

    /// Whether congestion was met on the way back (BECN).
    #[inline]
    #[must_use]
    pub fn backward_congestion(&self) -> bool {
        self.congestion & BECN != 0
    }

    /// Whether the receiver has to acknowledge the packet.
    #[inline]
    #[must_use]
    pub fn wants_acknowledge(&self) -> bool {
        self.acknowledge & 0x80 != 0
    }

    /// Whether this tells a sender to slow down. Such packets must not be delayed or dropped.
    #[inline]
    #[must_use]
    pub fn is_congestion_notification(&self) -> bool {
        self.opcode == Self::CNP
    }
}

debug_fields!(Bth: opcode, partition_key, dest_qp, sequence, pad, forward_congestion, backward_congestion,
    wants_acknowledge, is_congestion_notification);

impl Header for Bth {
    const NAME: &'static str = "roce";
    const BLANK: &'static [u8] = &[0; 12];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        Extent::fixed::<Self>(bytes)
    }
}

/// Splits the payload of a whole packet from the invariant checksum at its end.
///
/// # Errors
///
/// [`Why::Truncated`] when there is no room for the checksum.
#[inline]
pub fn split_icrc(payload: &[u8]) -> Result<(&[u8], [u8; ICRC_LEN]), Malformed> {
    let (payload, icrc) = payload.split_last_chunk().ok_or(Bth::malformed(Why::Truncated))?;
    Ok((payload, *icrc))
}

/// The RDMA header of reads and of first or only writes, behind [`Bth`] (section 9.3). 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Reth {
    address: U64,
    key: U32,
    len: U32,
}

impl Reth {
    fields! {
        /// Virtual address at the other side.
        address, set_address: u64 = address;
        /// Key that opens the memory there.
        key, set_key: u32 = key;
        /// Length of the transfer in bytes.
        len, set_len: u32 = len;
    }

    /// Whether nothing is transferred.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len.get() == 0
    }
}

debug_fields!(Reth: address, key, len, is_empty);

impl Header for Reth {
    const NAME: &'static str = "roce reth";
    const BLANK: &'static [u8] = &[0; 16];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        Extent::fixed::<Self>(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RC RDMA READ request.
    const READ: [u8; 32] = [
        0x0c, 0x50, 0xff, 0xff, 0x40, 0x00, 0x12, 0x34, 0x80, 0x00, 0x00, 0x07, // BTH
        0, 0, 0x7f, 0, 0, 0, 0x10, 0, 0, 0, 0x1c, 0x33, 0, 0, 0x10, 0, // RETH
        1, 2, 3, 4,
    ];

    properties!(bth, Bth, READ);
    properties!(reth, Reth, READ[12..]);

    #[test]
    fn reads_a_request() {
        let (bth, rest) = Bth::parse(&READ).unwrap();
        assert_eq!((bth.opcode(), bth.dest_qp(), bth.sequence(), bth.pad()), (0x0c, 0x1234, 7, 1));
        assert!(bth.backward_congestion() && !bth.forward_congestion() && bth.wants_acknowledge());
        let (rest, icrc) = split_icrc(rest).unwrap();
        assert_eq!(icrc, [1, 2, 3, 4]);
        let (reth, rest) = Reth::parse(rest).unwrap();
        assert_eq!((reth.address(), reth.key(), reth.len(), rest.len()), (0x7f00_0000_1000, 0x1c33, 4096, 0));
        assert!(split_icrc(&[1, 2, 3]).is_err());
    }

    proptest! {
        #[test]
        fn setters_read_back(op: u8, pkey: u16, qp in 0u32..1 << 24, psn in 0u32..1 << 24, va: u64, key: u32, len: u32) {
            let mut bytes = [0; 28];
            let (bth, rest) = Bth::place(&mut bytes).unwrap();
            reads_back!(bth;
                opcode, set_opcode = op;
                partition_key, set_partition_key = pkey;
                dest_qp, set_dest_qp = qp;
                sequence, set_sequence = psn;
            );
            prop_assert!(!bth.wants_acknowledge());
            let (reth, _) = Reth::place(rest).unwrap();
            reads_back!(reth; address, set_address = va; key, set_key = key; len, set_len = len;);
        }
    }
}

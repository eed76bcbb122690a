//! ATA over Ethernet (AoE specification, revision 11).
//!
//! ```text
//!    0                  1       2       4      5         6
//!   | version 4 flags 4 | error | shelf | slot | command | tag 4 | arguments ...
//! ```
//!
//! ```
//! use iogate::packet::{Aoe, Header};
//!
//! let mut bytes = [0u8; 46];
//! let (aoe, _) = Aoe::place(&mut bytes)?;
//! aoe.set_shelf(7);
//! aoe.set_slot(1);
//! assert_eq!(bytes[..5], [0x10, 0, 0, 7, 1]);
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, Malformed, Why};
use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const RESPONSE: u8 = 0x08;
const ERROR: u8 = 0x04;

code! {
    /// What an AoE message does (section 2).
    Command(u8) {
        /// An ATA command; [`Ata`] follows.
        ATA = 0 "ATA";
        /// Query or set the configuration string.
        CONFIG = 1 "config";
        /// Manage the list of MAC addresses that are served.
        MAC_MASK = 2 "MAC mask";
        /// Reserve or release the target.
        RESERVE = 3 "reserve";
    }
}

code_field!(Command in u8);

/// An AoE header. 10 bytes; versions other than 1 are refused.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Aoe {
    version_flags: u8,
    error: u8,
    shelf: U16,
    slot: u8,
    command: u8,
    tag: U32,
}

impl Aoe {
    fields! {
        /// Why the command failed; counts with [`is_error`](Self::is_error).
        error, set_error: u8 = error;
        /// Major address of the target; 0xffff for all.
        shelf, set_shelf: u16 = shelf;
        /// Minor address of the target; 0xff for all.
        slot, set_slot: u8 = slot;
        /// What the message does.
        command, set_command: Command = command;
        /// What the initiator chose to find the response by.
        tag, set_tag: u32 = tag;
    }

    /// Whether the target sends this.
    #[inline]
    #[must_use]
    pub fn is_response(&self) -> bool {
        self.version_flags & RESPONSE != 0
    }

    /// Writes [`is_response`](Self::is_response).
    #[inline]
    pub fn set_response(&mut self, on: bool) {
        self.version_flags = self.version_flags & !RESPONSE | if on { RESPONSE } else { 0 };
    }

    /// Whether the command failed.
    #[inline]
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.version_flags & ERROR != 0
    }
}

debug_fields!(Aoe: is_response, is_error, error, shelf, slot, command, tag);

impl Header for Aoe {
    const NAME: &'static str = "aoe";
    const BLANK: &'static [u8] = &[0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        let extent = Extent::fixed::<Self>(bytes)?;
        if bytes[0] >> 4 != 1 {
            return Err(Self::malformed(Why::Kind));
        }
        Ok(extent)
    }
}

/// The arguments of [`Command::ATA`] (section 3.1). 12 bytes; sectors to write, or those read, follow.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Ata {
    flags: u8,
    feature: u8,
    sectors: u8,
    command: u8,
    lba: [u8; 6],
    reserved: [u8; 2],
}

impl Ata {
    fields! {
        /// Flags: 0x40 48-bit address, 0x10 device, 0x02 asynchronous write, 0x01 write.
        flags, set_flags: u8 = flags;
        /// ATA feature register; in a response the error register.
        feature, set_feature: u8 = feature;
        /// Count of sectors of 512 bytes.
        sectors, set_sectors: u8 = sectors;
        /// ATA command register; in a response the status register.
        command, set_command: u8 = command;
    }

    /// Whether the command writes.
    #[inline]
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Address of the first sector, 48 bits.
    #[inline]
    #[must_use]
    pub fn lba(&self) -> u64 {
        let [a, b, c, d, e, f] = self.lba;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }

    /// Writes [`lba`](Self::lba), of which the low 48 bits count.
    #[inline]
    pub fn set_lba(&mut self, lba: u64) {
        let [a, b, c, d, e, f, _, _] = lba.to_le_bytes();
        self.lba = [a, b, c, d, e, f];
    }
}

debug_fields!(Ata: flags, feature, sectors, command, lba, is_write);

impl Header for Ata {
    const NAME: &'static str = "aoe ata";
    const BLANK: &'static [u8] = &[0; 12];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        Extent::fixed::<Self>(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const READ: [u8; 22] =
        [0x18, 0, 0, 7, 1, 0, 0xde, 0xad, 0xbe, 0xef, 0x40, 0, 2, 0x24, 0x00, 0x10, 0, 0, 0, 0, 0, 0];

    properties!(aoe, Aoe, READ);
    properties!(ata, Ata, READ[10..]);

    #[test]
    fn reads_a_read() {
        let (aoe, rest) = Aoe::parse(&READ).unwrap();
        assert_eq!((aoe.shelf(), aoe.slot(), aoe.tag(), aoe.command()), (7, 1, 0xdeadbeef, Command::ATA));
        assert!(aoe.is_response() && !aoe.is_error());
        let (ata, _) = Ata::parse(rest).unwrap();
        assert_eq!((ata.lba(), ata.sectors(), ata.is_write()), (4096, 2, false));
        assert_eq!(Aoe::parse(&[0x20; 10]).unwrap_err().why, Why::Kind);
    }

    proptest! {
        #[test]
        fn setters_read_back(error: u8, shelf: u16, slot: u8, command: u8, tag: u32, on: bool, a: [u8; 4], lba in 0u64..1 << 48) {
            let mut bytes = [0; 22];
            let (aoe, rest) = Aoe::place(&mut bytes).unwrap();
            reads_back!(aoe;
                error, set_error = error;
                shelf, set_shelf = shelf;
                slot, set_slot = slot;
                command, set_command = Command(command);
                tag, set_tag = tag;
                is_response, set_response = on;
            );
            let (ata, _) = Ata::place(rest).unwrap();
            reads_back!(ata;
                flags, set_flags = a[0];
                feature, set_feature = a[1];
                sectors, set_sectors = a[2];
                command, set_command = a[3];
                lba, set_lba = lba;
            );
            prop_assert!(Aoe::parse(&bytes).is_ok());
        }
    }
}

//! NVMe over TCP (NVM Express TCP Transport 1.0, section 3.6): the header that every PDU on ports 4420 and 8009 starts with,
//! and the capsules of commands and responses. Fields are little-endian.
//!
//! ```text
//!    0      1       2      3     4
//!   | type | flags | HLEN | PDO | PLEN 4 | rest of the header, to HLEN | digest | data, from PDO | digest |
//!   capsule command (HLEN 72): submission queue entry of 64 bytes at 8
//!   capsule response (HLEN 24): completion queue entry of 16 bytes at 8
//! ```
//!
//! ```
//! use iogate::packet::nvme_tcp::{Command, PduType};
//! use iogate::packet::{Header, NvmeTcp};
//!
//! let mut bytes = [0u8; 72];
//! let (command, _) = Command::place(&mut bytes)?;
//! command.set_opcode(0x02);
//! command.set_namespace(1);
//! let (pdu, _) = NvmeTcp::parse(&bytes)?;
//! assert_eq!((pdu.kind(), pdu.pdu_len()), (PduType::COMMAND, 72));
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, Malformed, Why};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// TCP port of subsystems.
pub const PORT: u16 = 4420;
/// TCP port of discovery controllers.
pub const DISCOVERY_PORT: u16 = 8009;

code! {
    /// What a PDU does.
    PduType(u8) {
        /// Host: initialize connection.
        INITIALIZE_REQUEST = 0x00 "ICReq";
        /// Controller: initialize connection.
        INITIALIZE_RESPONSE = 0x01 "ICResp";
        /// Host: terminate connection.
        HOST_TERMINATE = 0x02 "H2CTermReq";
        /// Controller: terminate connection.
        CONTROLLER_TERMINATE = 0x03 "C2HTermReq";
        /// Host: command capsule.
        COMMAND = 0x04 "CapsuleCmd";
        /// Controller: response capsule.
        RESPONSE = 0x05 "CapsuleResp";
        /// Host: data.
        HOST_DATA = 0x06 "H2CData";
        /// Controller: data.
        CONTROLLER_DATA = 0x07 "C2HData";
        /// Controller: ready to take data.
        READY_TO_TRANSFER = 0x09 "R2T";
    }
}

code_field!(PduType in u8);

/// The common header of all PDUs. 8 bytes; its payload is the rest of the PDU.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct NvmeTcp {
    kind: u8,
    flags: u8,
    header_len: u8,
    data_offset: u8,
    pdu_len: U32,
}

impl NvmeTcp {
    /// Bit of [`flags`](Self::flags): a digest follows the header.
    pub const HEADER_DIGEST: u8 = 0x01;
    /// Bit of [`flags`](Self::flags): a digest follows the data.
    pub const DATA_DIGEST: u8 = 0x02;
    /// Bit of [`flags`](Self::flags) of data: the last of the command.
    pub const LAST: u8 = 0x04;
    /// Bit of [`flags`](Self::flags) of controller data: the command succeeded, no response follows.
    pub const SUCCESS: u8 = 0x08;

    fields! {
        /// What the PDU does.
        kind, set_kind: PduType = kind;
        /// Flags.
        flags, set_flags: u8 = flags;
        /// Length of the header in bytes, digest not included.
        header_len, set_header_len: u8 = header_len;
        /// Where data starts, in bytes of the PDU; 0 when there is none.
        data_offset, set_data_offset: u8 = data_offset;
        /// Length of the whole PDU in bytes.
        pdu_len, set_pdu_len: u32 = pdu_len;
    }
}

debug_fields!(NvmeTcp: kind, flags, header_len, data_offset, pdu_len);

impl Header for NvmeTcp {
    const NAME: &'static str = "nvme/tcp";
    const BLANK: &'static [u8] = &[0, 0, 8, 0, 8, 0, 0, 0];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        let extent = Extent::fixed::<Self>(bytes)?;
        let (header_len, data_offset) = (usize::from(bytes[2]), usize::from(bytes[3]));
        let total = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
        if header_len < extent.header || data_offset != 0 && data_offset < header_len {
            return Err(Self::malformed(Why::HeaderLength));
        }
        if total < header_len.max(data_offset) {
            return Err(Self::malformed(Why::PayloadLength));
        }
        Ok(Extent { total, ..extent })
    }

    #[inline]
    fn set_payload_len(&mut self, len: usize) -> Result<(), Malformed> {
        let total = len.checked_add(size_of::<Self>()).and_then(|total| u32::try_from(total).ok());
        self.set_pdu_len(total.ok_or(Self::malformed(Why::PayloadLength))?);
        Ok(())
    }
}

/// The extent of a PDU whose type and header length are given.
fn capsule<H: Header>(bytes: &[u8], kind: PduType) -> Result<Extent, Malformed> {
    let Extent { header, .. } = Extent::fixed::<H>(bytes)?;
    if bytes[0] != kind.0 {
        return Err(H::malformed(Why::Kind));
    }
    if usize::from(bytes[2]) != header {
        return Err(H::malformed(Why::HeaderLength));
    }
    Ok(Extent { header, ..NvmeTcp::extent(bytes)? })
}

/// Writes the length of a PDU whose common header is `common`.
fn set_capsule_len<H: Header>(common: &mut NvmeTcp, len: usize) -> Result<(), Malformed> {
    common.set_payload_len((size_of::<H>() - size_of::<NvmeTcp>()).saturating_add(len))
}

/// A command capsule, common header and submission queue entry. 72 bytes; digest and data follow.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Command {
    common: NvmeTcp,
    opcode: u8,
    flags: u8,
    command_id: U16,
    namespace: U32,
    between: [u8; 32],
    dwords: [U32; 6],
}

impl Command {
    /// Opcode of all fabrics commands.
    pub const FABRICS: u8 = 0x7f;

    fields! {
        /// Opcode: 0x01 write, 0x02 read, 0x00 flush, [`FABRICS`](Self::FABRICS).
        opcode, set_opcode: u8 = opcode;
        /// What the host chose to find the response by.
        command_id, set_command_id: u16 = command_id;
        /// Namespace; of a fabrics command its type is in the low byte.
        namespace, set_namespace: u32 = namespace;
    }

    /// The common header.
    #[inline]
    #[must_use]
    pub fn common(&self) -> &NvmeTcp {
        &self.common
    }

    /// Of a read or write: the first logical block.
    #[inline]
    #[must_use]
    pub fn first_block(&self) -> u64 {
        u64::from(self.dwords[1].get()) << 32 | u64::from(self.dwords[0].get())
    }

    /// Of a read or write: the count of logical blocks, 1 to 65536.
    #[inline]
    #[must_use]
    pub fn blocks(&self) -> u32 {
        (self.dwords[2].get() & 0xffff) + 1
    }

    /// The queue that a fabrics Connect is for, 0 for the admin queue; `None` of any other command.
    #[inline]
    #[must_use]
    pub fn connects_queue(&self) -> Option<u16> {
        let connect = self.opcode == Self::FABRICS && self.namespace() & 0xff == 0x01;
        connect.then(|| (self.dwords[0].get() >> 16) as u16)
    }
}

debug_fields!(Command: common, opcode, command_id, namespace, first_block, blocks, connects_queue);

impl Header for Command {
    const NAME: &'static str = "nvme/tcp command";
    const BLANK: &'static [u8] = &{
        let mut blank = [0; 72];
        (blank[0], blank[2], blank[4]) = (0x04, 72, 72);
        blank
    };

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        capsule::<Self>(bytes, PduType::COMMAND)
    }

    #[inline]
    fn set_payload_len(&mut self, len: usize) -> Result<(), Malformed> {
        set_capsule_len::<Self>(&mut self.common, len)
    }
}

/// A response capsule, common header and completion queue entry. 24 bytes; a digest may follow.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Response {
    common: NvmeTcp,
    result: U64,
    queue_head: U16,
    queue_id: U16,
    command_id: U16,
    status: U16,
}

impl Response {
    fields! {
        /// What the command yields.
        result, set_result: u64 = result;
        /// Head of the submission queue.
        queue_head, set_queue_head: u16 = queue_head;
        /// The submission queue.
        queue_id, set_queue_id: u16 = queue_id;
        /// Which command ends.
        command_id, set_command_id: u16 = command_id;
        /// Status field; bit 0 is not part of it. 0 for success.
        status, set_status: u16 = status;
    }

    /// The common header.
    #[inline]
    #[must_use]
    pub fn common(&self) -> &NvmeTcp {
        &self.common
    }
}

debug_fields!(Response: common, result, queue_head, queue_id, command_id, status);

impl Header for Response {
    const NAME: &'static str = "nvme/tcp response";
    const BLANK: &'static [u8] = &[5, 0, 24, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        capsule::<Self>(bytes, PduType::RESPONSE)
    }

    #[inline]
    fn set_payload_len(&mut self, len: usize) -> Result<(), Malformed> {
        set_capsule_len::<Self>(&mut self.common, len)
    }
}

/// The data of a fabrics Connect (NVMe over Fabrics 1.1, section 3.3): who connects to what. 1024 bytes.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct ConnectData {
    host_id: [u8; 16],
    controller_id: U16,
    reserved: [u8; 238],
    subsystem: [u8; 256],
    host: [u8; 256],
    reserved_too: [u8; 256],
}

impl ConnectData {
    fields! {
        /// Controller; 0xffff for any.
        controller_id, set_controller_id: u16 = controller_id;
    }

    /// Identifier of the host.
    #[inline]
    #[must_use]
    pub fn host_id(&self) -> &[u8; 16] {
        &self.host_id
    }

    /// Qualified name of the subsystem, up to its first zero byte.
    #[inline]
    #[must_use]
    pub fn subsystem(&self) -> &[u8] {
        name(&self.subsystem)
    }

    /// Qualified name of the host, up to its first zero byte.
    #[inline]
    #[must_use]
    pub fn host(&self) -> &[u8] {
        name(&self.host)
    }
}

fn name(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

debug_fields!(ConnectData: host_id, controller_id, subsystem, host);

impl Header for ConnectData {
    const NAME: &'static str = "nvme connect";
    const BLANK: &'static [u8] = &[0; 1024];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        Extent::fixed::<Self>(bytes)
    }
}

#[cfg(test)]
#[path = "nvme_tcp_tests.rs"]
mod tests;

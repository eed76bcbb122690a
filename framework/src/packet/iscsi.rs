//! iSCSI (RFC 7143): the basic header segment that every PDU on TCP port 3260 starts with.
//!
//! ```text
//!    0          1       2    3        4           5         8     16    20            24             32
//!   | I opcode | flags | -- | status | AHS length | data len | LUN | ITT | EDTL or TTT | CmdSN/StatSN | CDB ... 48
//!   then: additional header segments | header digest | data, padded to 4 | data digest
//! ```
//!
//! ```
//! use iogate::packet::iscsi::{Opcode, text_keys};
//! use iogate::packet::{Header, Iscsi};
//!
//! let mut bytes = [0u8; 48 + 16];
//! let (login, data) = Iscsi::place(&mut bytes)?;
//! login.set_opcode(Opcode::LOGIN_REQUEST);
//! login.set_data_len(13);
//! data[..13].copy_from_slice(b"AuthMethod=No");
//!
//! let (login, payload) = Iscsi::parse(&bytes)?;
//! let key = text_keys(login.data(payload)).next();
//! assert_eq!(key, Some((&b"AuthMethod"[..], &b"No"[..])));
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, Malformed, Why};
use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// TCP port of iSCSI targets.
pub const PORT: u16 = 3260;

code! {
    /// What a PDU does (section 11.2.1.2). Those of initiators are below 0x20.
    Opcode(u8) {
        /// Initiator: ping.
        NOP_OUT = 0x00 "NOP-Out";
        /// Initiator: SCSI command.
        SCSI_COMMAND = 0x01 "SCSI Command";
        /// Initiator: task management.
        TASK_REQUEST = 0x02 "Task Management Request";
        /// Initiator: login.
        LOGIN_REQUEST = 0x03 "Login Request";
        /// Initiator: text negotiation.
        TEXT_REQUEST = 0x04 "Text Request";
        /// Initiator: data to write.
        DATA_OUT = 0x05 "Data-Out";
        /// Initiator: logout.
        LOGOUT_REQUEST = 0x06 "Logout Request";
        /// Target: ping.
        NOP_IN = 0x20 "NOP-In";
        /// Target: end of a SCSI command.
        SCSI_RESPONSE = 0x21 "SCSI Response";
        /// Target: task management.
        TASK_RESPONSE = 0x22 "Task Management Response";
        /// Target: login.
        LOGIN_RESPONSE = 0x23 "Login Response";
        /// Target: text negotiation.
        TEXT_RESPONSE = 0x24 "Text Response";
        /// Target: data read.
        DATA_IN = 0x25 "Data-In";
        /// Target: logout.
        LOGOUT_RESPONSE = 0x26 "Logout Response";
        /// Target: ready to take data.
        READY_TO_TRANSFER = 0x31 "R2T";
        /// Target: event.
        ASYNC = 0x32 "Async Message";
        /// Target: a PDU was not understood.
        REJECT = 0x3f "Reject";
    }
}

const IMMEDIATE: u8 = 0x40;

/// A basic header segment. 48 bytes.
///
/// The payload are additional header segments and padded data of a connection without digests; where digests were
/// negotiated, use [`Header::parse_front`] and [`pdu_len`](Self::pdu_len). Fields shared by several kinds of PDU have one
/// accessor each; which of them count depends on [`opcode`](Self::opcode).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Iscsi {
    opcode: u8,
    flags: u8,
    response: u8,
    status: u8,
    ahs_len: u8,
    data_len: [u8; 3],
    lun: U64,
    task_tag: U32,
    transfer: U32,
    sequence: U32,
    expected: U32,
    cdb: [u8; 16],
}

impl Iscsi {
    fields! {
        /// Flags: 0x80 final (in a login: transit); the others depend on the opcode.
        flags, set_flags: u8 = flags;
        /// Of a response: whether the target carried the command out.
        response, set_response: u8 = response;
        /// Of a SCSI Response, or Data-In with flag 0x01: SCSI status.
        status, set_status: u8 = status;
        /// Length of the additional header segments, in units of four bytes.
        ahs_len, set_ahs_len: u8 = ahs_len;
        /// Length of the data in bytes, 24 bits, without padding.
        data_len, set_data_len: u32 = data_len;
        /// Logical unit, in the format of SAM-5; in a login ISID and TSIH.
        lun, set_lun: u64 = lun;
        /// Initiator task tag, the same in all PDUs of a command.
        task_tag, set_task_tag: u32 = task_tag;
        /// Expected data transfer length in bytes, or target transfer tag.
        transfer, set_transfer: u32 = transfer;
        /// CmdSN of an initiator, StatSN of a target.
        sequence, set_sequence: u32 = sequence;
        /// ExpStatSN of an initiator, ExpCmdSN of a target.
        expected, set_expected: u32 = expected;
    }

    /// What the PDU does.
    #[inline]
    #[must_use]
    pub fn opcode(&self) -> Opcode {
        Opcode(self.opcode & 0x3f)
    }

    /// Writes [`opcode`](Self::opcode), of which the low six bits count.
    #[inline]
    pub fn set_opcode(&mut self, opcode: Opcode) {
        self.opcode = self.opcode & !0x3f | opcode.0 & 0x3f;
    }

    /// Whether the target should carry the command out without waiting for its turn.
    #[inline]
    #[must_use]
    pub fn is_immediate(&self) -> bool {
        self.opcode & IMMEDIATE != 0
    }

    /// Writes [`is_immediate`](Self::is_immediate).
    #[inline]
    pub fn set_immediate(&mut self, on: bool) {
        self.opcode = self.opcode & !IMMEDIATE | if on { IMMEDIATE } else { 0 };
    }

    /// Whether this is the last PDU of a sequence.
    #[inline]
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.flags & 0x80 != 0
    }

    /// Whether the command of this task tag ends here: a SCSI Response, or Data-In that carries the status.
    #[inline]
    #[must_use]
    pub fn ends_command(&self) -> bool {
        match self.opcode() {
            Opcode::SCSI_RESPONSE => true,
            Opcode::DATA_IN => self.flags & 0x01 != 0,
            _ => false,
        }
    }

    /// Of a SCSI Command: the command descriptor block.
    #[inline]
    #[must_use]
    pub fn cdb(&self) -> &[u8; 16] {
        &self.cdb
    }

    /// Writes [`cdb`](Self::cdb).
    #[inline]
    pub fn set_cdb(&mut self, cdb: [u8; 16]) {
        self.cdb = cdb;
    }

    /// Of a Login Response: status class (0 success, 1 redirection, 2 fault of the initiator, 3 of the target) and detail.
    #[inline]
    #[must_use]
    pub fn login_status(&self) -> (u8, u8) {
        (self.cdb[4], self.cdb[5])
    }

    /// The data in `payload`, without additional headers and padding; cut short where `payload` is. Without digests.
    #[inline]
    #[must_use]
    pub fn data<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        let behind = payload.get(usize::from(self.ahs_len) * 4..).unwrap_or_default();
        let len = behind.len().min(self.data_len() as usize);
        &behind[..len]
    }

    /// Length of the whole PDU in bytes, with the digests negotiated.
    #[inline]
    #[must_use]
    pub fn pdu_len(&self, header_digest: bool, data_digest: bool) -> usize {
        let data = self.data_len() as usize;
        let digests = usize::from(header_digest) + usize::from(data_digest && data > 0);
        48 + usize::from(self.ahs_len) * 4 + data.next_multiple_of(4) + digests * 4
    }
}

debug_fields!(Iscsi: opcode, is_immediate, flags, is_final, ends_command, response, status, ahs_len, data_len, lun,
    task_tag, transfer, sequence, expected, cdb, login_status);

impl Header for Iscsi {
    const NAME: &'static str = "iscsi";
    const BLANK: &'static [u8] = &[0; 48];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        let Extent { header, .. } = Extent::fixed::<Self>(bytes)?;
        let data = u32::from_be_bytes([0, bytes[5], bytes[6], bytes[7]]) as usize;
        Ok(Extent { header, total: header + usize::from(bytes[4]) * 4 + data.next_multiple_of(4) })
    }

    /// Takes all but the additional header segments to be data without padding, so that `len` is a multiple of four.
    #[inline]
    fn set_payload_len(&mut self, len: usize) -> Result<(), Malformed> {
        let data = len.checked_sub(usize::from(self.ahs_len) * 4).filter(|data| *data < 1 << 24 && data % 4 == 0);
        self.set_data_len(data.ok_or(Self::malformed(Why::PayloadLength))? as u32);
        Ok(())
    }
}

/// The keys and values in the data of a login or text PDU (section 6.1): `key=value`, each ended by a zero byte. A part
/// without `=`, such as the rest of a value that began in the PDU before, is a key with an empty value.
#[inline]
pub fn text_keys(data: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    data.split(|byte| *byte == 0).filter(|part| !part.is_empty()).map(|part| {
        let end = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        (&part[..end], part.get(end + 1..).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// READ(10) of LUN 1, block 0x1000, 8 blocks.
    const READ: [u8; 48] = [
        0x01, 0xc1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x2a, 0, 0, 0x10, 0, 0, 0, 0, 5, 0, 0, 0, 9,
        0x28, 0, 0, 0, 0x10, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0,
    ];

    properties!(iscsi, Iscsi, READ);

    #[test]
    fn reads_a_command() {
        let (pdu, rest) = Iscsi::parse(&READ).unwrap();
        assert_eq!((pdu.opcode(), pdu.is_final(), pdu.is_immediate()), (Opcode::SCSI_COMMAND, true, false));
        assert_eq!((pdu.lun(), pdu.task_tag(), pdu.transfer()), (0x0001_0000_0000_0000, 42, 4096));
        assert_eq!((pdu.sequence(), pdu.expected(), pdu.cdb()[0]), (5, 9, 0x28));
        assert!(rest.is_empty() && !pdu.ends_command());
        assert_eq!((pdu.pdu_len(false, false), pdu.pdu_len(true, true)), (48, 52));
    }

    #[test]
    fn reads_login_keys_behind_additional_headers() {
        let text = b"InitiatorName=iqn.x\0SessionType=Normal\0odd";
        let mut bytes = [&READ[..], &[0; 4], text, &[0; 2]].concat();
        bytes[0] = 0x43;
        bytes[4] = 1;
        bytes[7] = text.len() as u8;
        let (pdu, payload) = Iscsi::parse(&bytes).unwrap();
        assert_eq!((pdu.opcode(), pdu.is_immediate(), payload.len()), (Opcode::LOGIN_REQUEST, true, 48));
        let keys: Vec<_> = text_keys(pdu.data(payload)).collect();
        assert_eq!(keys, [(&b"InitiatorName"[..], &b"iqn.x"[..]), (b"SessionType", b"Normal"), (b"odd", b"")]);
        assert_eq!(pdu.data(&payload[..10]), b"Initia");
        assert_eq!(pdu.data(&[]), b"");
    }

    #[test]
    fn a_pdu_that_has_not_all_arrived() {
        let mut bytes = READ;
        bytes[7] = 1;
        assert_eq!(Iscsi::parse(&bytes).unwrap_err().why, Why::PayloadLength);
        assert_eq!(Iscsi::parse_front(&bytes).unwrap().0.pdu_len(false, true), 56);
    }

    #[test]
    fn ends_of_commands() {
        for (opcode, flags, ends) in [(0x21, 0x80, true), (0x25, 0x81, true), (0x25, 0x80, false)] {
            let mut bytes = READ;
            (bytes[0], bytes[1]) = (opcode, flags);
            assert_eq!(Iscsi::parse(&bytes).unwrap().0.ends_command(), ends);
        }
    }

    proptest! {
        #[test]
        fn setters_read_back(op in 0u8..64, on: bool, a: [u8; 4], len in 0u32..1 << 24, lun: u64, w: [u32; 4], cdb: [u8; 16]) {
            let mut bytes = [0; 48];
            let (pdu, _) = Iscsi::place(&mut bytes).unwrap();
            pdu.set_cdb(cdb);
            reads_back!(pdu;
                opcode, set_opcode = Opcode(op);
                is_immediate, set_immediate = on;
                flags, set_flags = a[0];
                response, set_response = a[1];
                status, set_status = a[2];
                ahs_len, set_ahs_len = a[3];
                data_len, set_data_len = len;
                lun, set_lun = lun;
                task_tag, set_task_tag = w[0];
                transfer, set_transfer = w[1];
                sequence, set_sequence = w[2];
                expected, set_expected = w[3];
            );
            prop_assert_eq!(pdu.cdb(), &cdb);
            prop_assert_eq!(pdu.login_status(), (cdb[4], cdb[5]));
        }

        #[test]
        fn keys_are_total(data in proptest::collection::vec(prop_oneof![Just(0u8), Just(b'='), any::<u8>()], 0..80)) {
            let bytes: usize = text_keys(&data).map(|(key, value)| key.len() + value.len()).sum();
            prop_assert!(bytes <= data.len());
        }
    }
}

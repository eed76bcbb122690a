//! Fibre Channel over Ethernet (FC-BB-5, section 7) and the Fibre Channel frame header inside (FC-FS-3, section 9).
//!
//! ```text
//!    0                     13    14                                                                 end - 8
//!   | version 4, reserved | SOF | R_CTL D_ID CS_CTL S_ID TYPE F_CTL ... (24 bytes) | FC payload ... | CRC | EOF | reserved |
//!     Fcoe                        FcFrame                                                             Trailer
//! ```
//!
//! ```
//! use iogate::packet::fcoe::{self, FcType, Trailer};
//! use iogate::packet::{FcFrame, Fcoe, Header};
//!
//! let mut bytes = [0u8; 14 + 24 + 8];
//! let (_, rest) = Fcoe::place(&mut bytes)?;
//! FcFrame::place(rest)?.0.set_kind(FcType::FCP);
//!
//! let (_, rest) = Fcoe::parse(&bytes)?;
//! let (frame, _) = Trailer::split(rest)?;
//! assert_eq!(FcFrame::parse(frame)?.0.kind(), FcType::FCP);
//! assert_eq!(fcoe::fpma(fcoe::DEFAULT_FC_MAP, 0x010203).to_string(), "0e:fc:00:01:02:03");
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, MacAddr, Malformed, Why};
use zerocopy::big_endian::{U16, U32};
use zerocopy::little_endian;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// FC-MAP that fabrics use unless told otherwise.
pub const DEFAULT_FC_MAP: u32 = 0x0e_fc_00;

/// The fabric-provided MAC address of an FC_ID: FC-MAP, then FC_ID, 24 bits each (FC-BB-5, section 7).
#[inline]
#[must_use]
pub const fn fpma(fc_map: u32, fc_id: u32) -> MacAddr {
    let [_, a, b, c] = fc_map.to_be_bytes();
    let [_, d, e, f] = fc_id.to_be_bytes();
    MacAddr::new([a, b, c, d, e, f])
}

code! {
    /// How a frame starts (RFC 3643, section 5.3).
    StartOfFrame(u8) {
        /// Class F.
        F = 0x28 "SOFf";
        /// First of a sequence, class 2.
        INITIATE_2 = 0x2d "SOFi2";
        /// First of a sequence, class 3.
        INITIATE_3 = 0x2e "SOFi3";
        /// A later one, class 2.
        NORMAL_2 = 0x35 "SOFn2";
        /// A later one, class 3.
        NORMAL_3 = 0x36 "SOFn3";
    }
}

code! {
    /// How a frame ends (RFC 3643, section 5.3).
    EndOfFrame(u8) {
        /// Others of the sequence follow.
        NORMAL = 0x41 "EOFn";
        /// Last of the sequence.
        TERMINATE = 0x42 "EOFt";
        /// The frame is to be discarded.
        INVALID = 0x49 "EOFni";
        /// The frame was cut off.
        ABORT = 0x50 "EOFa";
    }
}

code! {
    /// What a Fibre Channel frame carries (FC-FS-3, section 9.6).
    FcType(u8) {
        /// Basic link service.
        BLS = 0x00 "BLS";
        /// Extended link service.
        ELS = 0x01 "ELS";
        /// SCSI (FCP-4).
        FCP = 0x08 "FCP";
        /// Common transport, as to the name server (FC-GS-6).
        CT = 0x20 "CT";
        /// NVMe (FC-NVMe).
        NVME = 0x28 "NVMe";
    }
}

code_field!(StartOfFrame in u8, EndOfFrame in u8, FcType in u8);

/// An FCoE header. 14 bytes; versions other than 0 are refused.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Fcoe {
    version: u8,
    reserved: [u8; 12],
    sof: u8,
}

impl Fcoe {
    fields! {
        /// How the frame starts.
        sof, set_sof: StartOfFrame = sof;
    }
}

debug_fields!(Fcoe: sof);

impl Header for Fcoe {
    const NAME: &'static str = "fcoe";
    const BLANK: &'static [u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x2e];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        let extent = Extent::fixed::<Self>(bytes)?;
        if bytes[0] >> 4 != 0 {
            return Err(Self::malformed(Why::Kind));
        }
        Ok(extent)
    }
}

/// What follows an FC frame in FCoE. 8 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Trailer {
    crc: little_endian::U32,
    eof: u8,
    reserved: [u8; 3],
}

impl Trailer {
    fields! {
        /// CRC-32 over the FC frame, header and payload. Not checked here.
        crc, set_crc: u32 = crc;
        /// How the frame ends.
        eof, set_eof: EndOfFrame = eof;
    }

    /// Splits what follows an [`Fcoe`] header in a whole frame to the FC frame and the trailer. FCoE frames are never
    /// padded: the smallest has 60 bytes.
    ///
    /// # Errors
    ///
    /// [`Why::Truncated`] when there is no room for the trailer.
    #[inline]
    pub fn split(bytes: &[u8]) -> Result<(&[u8], &Self), Malformed> {
        let (frame, trailer) =
            bytes.split_last_chunk::<{ size_of::<Self>() }>().ok_or(Self::malformed(Why::Truncated))?;
        Ok((frame, Self::parse(trailer)?.0))
    }
}

debug_fields!(Trailer: crc, eof);

impl Header for Trailer {
    const NAME: &'static str = "fcoe trailer";
    const BLANK: &'static [u8] = &[0, 0, 0, 0, 0x42, 0, 0, 0];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        Extent::fixed::<Self>(bytes)
    }
}

/// A Fibre Channel frame header. 24 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct FcFrame {
    r_ctl: u8,
    d_id: [u8; 3],
    cs_ctl: u8,
    s_id: [u8; 3],
    kind: u8,
    f_ctl: [u8; 3],
    seq_id: u8,
    df_ctl: u8,
    seq_cnt: U16,
    ox_id: U16,
    rx_id: U16,
    parameter: U32,
}

impl FcFrame {
    fields! {
        /// Routing control: 0x06 FCP command, 0x01 data, 0x05 transfer ready, 0x07 response, 0x22 and 0x23 ELS.
        r_ctl, set_r_ctl: u8 = r_ctl;
        /// FC_ID of the destination, 24 bits.
        d_id, set_d_id: u32 = d_id;
        /// Class-specific control or priority.
        cs_ctl, set_cs_ctl: u8 = cs_ctl;
        /// FC_ID of the source, 24 bits.
        s_id, set_s_id: u32 = s_id;
        /// What the frame carries.
        kind, set_kind: FcType = kind;
        /// Frame control, 24 bits.
        f_ctl, set_f_ctl: u32 = f_ctl;
        /// Sequence the frame belongs to.
        seq_id, set_seq_id: u8 = seq_id;
        /// Optional headers that follow.
        df_ctl, set_df_ctl: u8 = df_ctl;
        /// Number of the frame in its sequence.
        seq_cnt, set_seq_cnt: u16 = seq_cnt;
        /// Exchange, as its originator names it.
        ox_id, set_ox_id: u16 = ox_id;
        /// Exchange, as its responder names it; 0xffff until it has.
        rx_id, set_rx_id: u16 = rx_id;
        /// Of data: its offset in bytes.
        parameter, set_parameter: u32 = parameter;
    }

    /// Whether `mac` is the fabric-provided address of the sender under `fc_map`: a frame for which this is false was not
    /// sent by who it names.
    #[inline]
    #[must_use]
    pub fn is_from(&self, mac: MacAddr, fc_map: u32) -> bool {
        mac == fpma(fc_map, self.s_id())
    }
}

debug_fields!(FcFrame: r_ctl, d_id, cs_ctl, s_id, kind, f_ctl, seq_id, df_ctl, seq_cnt, ox_id, rx_id, parameter);

impl Header for FcFrame {
    const NAME: &'static str = "fc";
    const BLANK: &'static [u8] = &[0; 24];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        Extent::fixed::<Self>(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An FCP command without its payload.
    const COMMAND: [u8; 46] = [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x2e, // FCoE
        0x06, 0x01, 0x00, 0x02, 0, 0x01, 0x02, 0x03, 0x08, 0x29, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0xff, 0xff, 0, 0, 0, 0,
        0x78, 0x56, 0x34, 0x12, 0x42, 0, 0, 0,
    ];

    properties!(fcoe, Fcoe, COMMAND);
    properties!(fc, FcFrame, COMMAND[14..]);
    properties!(trailer, Trailer, COMMAND[38..]);

    #[test]
    fn reads_a_command() {
        let (fcoe, rest) = Fcoe::parse(&COMMAND).unwrap();
        assert_eq!(fcoe.sof(), StartOfFrame::INITIATE_3);
        let (frame, trailer) = Trailer::split(rest).unwrap();
        assert_eq!((trailer.crc(), trailer.eof()), (0x12345678, EndOfFrame::TERMINATE));
        let (fc, payload) = FcFrame::parse(frame).unwrap();
        assert_eq!((fc.d_id(), fc.s_id(), fc.ox_id(), fc.kind()), (0x010002, 0x010203, 0x1234, FcType::FCP));
        assert!(payload.is_empty());
        assert!(fc.is_from([0x0e, 0xfc, 0, 1, 2, 3].into(), DEFAULT_FC_MAP));
        assert!(!fc.is_from([0x0e, 0xfc, 0, 1, 2, 4].into(), DEFAULT_FC_MAP));
    }

    #[test]
    fn refuses_other_versions() {
        let mut bytes = COMMAND;
        bytes[0] = 0x10;
        assert_eq!(Fcoe::parse(&bytes).unwrap_err().why, Why::Kind);
        assert!(Trailer::split(&[0; 7]).is_err());
    }

    proptest! {
        #[test]
        fn setters_read_back(a: [u8; 6], ids: [u16; 3], d in 0u32..1 << 24, s in 0u32..1 << 24, f in 0u32..1 << 24, word: u32) {
            let mut bytes = [0; 46];
            let (fcoe, rest) = Fcoe::place(&mut bytes).unwrap();
            reads_back!(fcoe; sof, set_sof = StartOfFrame(a[0]););
            let (fc, rest) = FcFrame::place(rest).unwrap();
            reads_back!(fc;
                r_ctl, set_r_ctl = a[1];
                d_id, set_d_id = d;
                cs_ctl, set_cs_ctl = a[2];
                s_id, set_s_id = s;
                kind, set_kind = FcType(a[3]);
                f_ctl, set_f_ctl = f;
                seq_id, set_seq_id = a[4];
                df_ctl, set_df_ctl = a[5];
                seq_cnt, set_seq_cnt = ids[0];
                ox_id, set_ox_id = ids[1];
                rx_id, set_rx_id = ids[2];
                parameter, set_parameter = word;
            );
            let (trailer, _) = Trailer::place(rest).unwrap();
            reads_back!(trailer; crc, set_crc = word; eof, set_eof = EndOfFrame(a[0]););
        }
    }
}

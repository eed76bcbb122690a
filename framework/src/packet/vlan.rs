//! VLAN tags: IEEE 802.1Q (customer) and 802.1ad (service, "QinQ").
//!
//! ```text
//!    0        12       14                 16
//!   | MACs   | TPID   | PCP 3 DEI 1 VID 12 | EtherType | payload ...
//!                     ^ Vlan starts here
//! ```
//!
//! ```
//! use iogate::packet::{vlan, EtherType, Layer2, Tci, VlanTag};
//!
//! // An untagged frame with four bytes of room before it.
//! let mut buffer = [0u8; 64];
//! vlan::insert(&mut buffer, VlanTag { tpid: EtherType::VLAN, tci: Tci::new(100, 3, false) })?;
//! let l2 = Layer2::parse(&buffer)?;
//! assert_eq!(l2.outer.unwrap().tci.vid(), 100);
//! assert_eq!(l2.offset, 18);
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{EtherType, Ethernet, Extent, Header, MacAddr, Malformed, Why};
use core::fmt;
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes that a tag adds to a frame.
pub const TAG_LEN: usize = 4;

/// Tag control information (IEEE 802.1Q-2018, section 9.6).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Tci(pub u16);

impl Tci {
    /// The information of these parts; bits of `vid` above 12 and of `pcp` above 3 are ignored.
    #[inline]
    #[must_use]
    pub const fn new(vid: u16, pcp: u8, dei: bool) -> Self {
        Self((vid & 0x0fff) | (dei as u16) << 12 | ((pcp & 7) as u16) << 13)
    }

    /// VLAN identifier, 0 to 4095. 0 means "priority only", 4095 is reserved.
    #[inline]
    #[must_use]
    pub const fn vid(self) -> u16 {
        self.0 & 0x0fff
    }

    /// Priority code point, 0 to 7.
    #[inline]
    #[must_use]
    pub const fn pcp(self) -> u8 {
        (self.0 >> 13) as u8
    }

    /// Drop eligible indicator.
    #[inline]
    #[must_use]
    pub const fn dei(self) -> bool {
        self.0 & 0x1000 != 0
    }

    /// The same with another VLAN identifier.
    #[inline]
    #[must_use]
    pub const fn with_vid(self, vid: u16) -> Self {
        Self::new(vid, self.pcp(), self.dei())
    }

    /// The same with another priority code point.
    #[inline]
    #[must_use]
    pub const fn with_pcp(self, pcp: u8) -> Self {
        Self::new(self.vid(), pcp, self.dei())
    }
}

impl fmt::Debug for Tci {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vid {} pcp {} dei {}", self.vid(), self.pcp(), u8::from(self.dei()))
    }
}

/// What stands behind the TPID of a tag. 4 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Vlan {
    tci: U16,
    ether_type: U16,
}

impl Vlan {
    fields! {
        /// VLAN identifier and priority.
        tci, set_tci: Tci = tci;
        /// What follows the tag: a protocol or a further tag.
        ether_type, set_ether_type: EtherType = ether_type;
    }
}

debug_fields!(Vlan: tci, ether_type);

impl Header for Vlan {
    const NAME: &'static str = "vlan";
    const BLANK: &'static [u8] = &[0; 4];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        Extent::fixed::<Self>(bytes)
    }
}

/// A whole tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// Which kind of tag: [`EtherType::VLAN`] or [`EtherType::SERVICE_VLAN`].
    pub tpid: EtherType,
    /// VLAN identifier and priority.
    pub tci: Tci,
}

/// The Ethernet header of a frame with up to two tags walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer2 {
    /// Destination address.
    pub dst: MacAddr,
    /// Source address.
    pub src: MacAddr,
    /// The tag next to the addresses.
    pub outer: Option<VlanTag>,
    /// The tag behind [`outer`](Self::outer).
    pub inner: Option<VlanTag>,
    /// What follows the tags. Still a VLAN type when there are more than two.
    pub ether_type: EtherType,
    /// Where that starts: 14, 18 or 22 bytes into the frame.
    pub offset: usize,
}

impl Layer2 {
    /// Walks the tags of `frame`, at most two.
    ///
    /// # Errors
    ///
    /// [`Why::Truncated`] when the frame ends within the Ethernet header or a tag.
    #[inline]
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let (eth, mut rest) = Ethernet::parse(frame)?;
        let mut ether_type = eth.ether_type();
        let mut tags = [None; 2];
        for tag in &mut tags {
            if !ether_type.is_vlan() {
                break;
            }
            let (vlan, behind) = Vlan::parse(rest)?;
            *tag = Some(VlanTag { tpid: ether_type, tci: vlan.tci() });
            (ether_type, rest) = (vlan.ether_type(), behind);
        }
        let [outer, inner] = tags;
        Ok(Self { dst: eth.dst(), src: eth.src(), outer, inner, ether_type, offset: frame.len() - rest.len() })
    }
}

/// Makes a tagged frame of an untagged one that starts [`TAG_LEN`] bytes into `buffer`; the frame then starts at 0.
///
/// # Errors
///
/// [`Why::Truncated`] when `buffer` has no room for the addresses and the tag.
#[inline]
pub fn insert(buffer: &mut [u8], tag: VlanTag) -> Result<(), Malformed> {
    if buffer.len() < size_of::<Ethernet>() + TAG_LEN {
        return Err(Vlan::malformed(Why::Truncated));
    }
    buffer.copy_within(TAG_LEN..TAG_LEN + 12, 0);
    buffer[12..14].copy_from_slice(&tag.tpid.0.to_be_bytes());
    buffer[14..16].copy_from_slice(&tag.tci.0.to_be_bytes());
    Ok(())
}

/// Takes the outermost tag off `frame`; the frame then starts [`TAG_LEN`] bytes into it. `None` when it has no tag.
///
/// # Errors
///
/// [`Why::Truncated`] when the frame ends within the Ethernet header or the tag.
#[inline]
pub fn remove(frame: &mut [u8]) -> Result<Option<VlanTag>, Malformed> {
    let (eth, rest) = Ethernet::parse(frame)?;
    let tpid = eth.ether_type();
    if !tpid.is_vlan() {
        return Ok(None);
    }
    let tci = Vlan::parse(rest)?.0.tci();
    frame.copy_within(..12, TAG_LEN);
    Ok(Some(VlanTag { tpid, tci }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QINQ: [u8; 24] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 1, // addresses
        0x88, 0xa8, 0xa0, 0x64, 0x81, 0x00, 0x10, 0xc8, 0x08, 0x00, 0x45, 0x00,
    ];

    properties!(vlan, Vlan, QINQ[14..]);

    #[test]
    fn walks_two_tags() {
        let l2 = Layer2::parse(&QINQ).unwrap();
        assert_eq!(l2.outer, Some(VlanTag { tpid: EtherType::SERVICE_VLAN, tci: Tci::new(100, 5, false) }));
        assert_eq!(l2.inner, Some(VlanTag { tpid: EtherType::VLAN, tci: Tci::new(200, 0, true) }));
        assert_eq!((l2.ether_type, l2.offset), (EtherType::IPV4, 22));
        assert_eq!(format!("{:?}", l2.inner.unwrap().tci), "vid 200 pcp 0 dei 1");
    }

    #[test]
    fn walks_no_third_tag() {
        let mut frame = QINQ;
        frame[20..22].copy_from_slice(&[0x81, 0x00]);
        let l2 = Layer2::parse(&frame).unwrap();
        assert_eq!((l2.ether_type, l2.offset), (EtherType::VLAN, 22));
    }

    #[test]
    fn a_tag_cut_off_is_malformed() {
        for len in 14..22 {
            assert_eq!(Layer2::parse(&QINQ[..len]).unwrap_err(), Vlan::malformed(Why::Truncated));
        }
    }

    proptest! {
        #[test]
        fn setters_read_back(tci: u16, kind: u16, vid in 0u16..4096, pcp in 0u8..8, dei: bool) {
            let mut bytes = [0; 4];
            let (vlan, _) = Vlan::place(&mut bytes).unwrap();
            reads_back!(vlan; tci, set_tci = Tci(tci); ether_type, set_ether_type = EtherType(kind););
            let made = Tci::new(vid, pcp, dei);
            prop_assert_eq!((made.vid(), made.pcp(), made.dei()), (vid, pcp, dei));
            prop_assert_eq!(Tci(tci).with_vid(vid).with_pcp(pcp), Tci::new(vid, pcp, Tci(tci).dei()));
        }

        #[test]
        fn walking_is_total(mut frame in proptest::collection::vec(any::<u8>(), 0..40), vlan: bool) {
            if let (true, Some(kind)) = (vlan, frame.get_mut(12..14)) {
                kind.copy_from_slice(&[0x81, 0x00]);
            }
            if let Ok(l2) = Layer2::parse(&frame) {
                prop_assert!(l2.offset <= frame.len());
            }
            let _ = remove(&mut frame);
        }

        #[test]
        fn what_is_inserted_comes_off(frame in proptest::collection::vec(any::<u8>(), 14..80), tci: u16) {
            let tag = VlanTag { tpid: EtherType::VLAN, tci: Tci(tci) };
            let mut buffer = [&[0; TAG_LEN][..], &frame].concat();
            insert(&mut buffer, tag).unwrap();
            prop_assert_eq!(Layer2::parse(&buffer).ok().and_then(|l2| l2.outer).unwrap_or(tag), tag);
            prop_assert_eq!(remove(&mut buffer), Ok(Some(tag)));
            prop_assert_eq!(&buffer[TAG_LEN..], &frame[..]);
        }
    }
}

//! VXLAN (RFC 7348), carried by UDP port 4789.
//!
//! ```text
//!    0                 1          4     7
//!   | flags (I = 0x08) | reserved | VNI | reserved | Ethernet frame ...
//! ```
//!
//! ```
//! use iogate::packet::{Ethernet, Header, Vxlan};
//!
//! let mut bytes = [0u8; 8 + 14];
//! let (vxlan, _) = Vxlan::place(&mut bytes)?;
//! vxlan.set_vni(5000);
//! let (vxlan, inner) = Vxlan::parse(&bytes)?;
//! assert_eq!(vxlan.vni(), 5000);
//! Ethernet::parse(inner)?;
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, Malformed, Why};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// UDP destination port of VXLAN.
pub const PORT: u16 = 4789;

const HAS_VNI: u8 = 0x08;

/// A VXLAN header. 8 bytes; without the I flag it is refused.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Vxlan {
    flags: u8,
    reserved: [u8; 3],
    vni: [u8; 3],
    reserved_too: u8,
}

impl Vxlan {
    fields! {
        /// Network identifier, 24 bits.
        vni, set_vni: u32 = vni;
    }
}

debug_fields!(Vxlan: vni);

impl Header for Vxlan {
    const NAME: &'static str = "vxlan";
    const BLANK: &'static [u8] = &[HAS_VNI, 0, 0, 0, 0, 0, 0, 0];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        let extent = Extent::fixed::<Self>(bytes)?;
        if bytes[0] & HAS_VNI == 0 {
            return Err(Self::malformed(Why::Kind));
        }
        Ok(extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: [u8; 10] = [0x08, 0, 0, 0, 0x00, 0x13, 0x88, 0, 0xaa, 0xbb];

    properties!(vxlan, Vxlan, FRAME);

    #[test]
    fn reads_a_frame() {
        let (vxlan, inner) = Vxlan::parse(&FRAME).unwrap();
        assert_eq!((vxlan.vni(), inner), (5000, &[0xaa, 0xbb][..]));
        assert_eq!(Vxlan::parse(&[0; 8]).unwrap_err().why, Why::Kind);
    }

    proptest! {
        #[test]
        fn setters_read_back(vni in 0u32..1 << 24) {
            let mut bytes = [0; 8];
            let (vxlan, _) = Vxlan::place(&mut bytes).unwrap();
            reads_back!(vxlan; vni, set_vni = vni;);
            prop_assert_eq!(bytes[7], 0);
        }
    }
}

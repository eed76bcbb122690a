//! Where the layers of a frame are, for the modes that work on them.
//!
//! The framework's views refuse a header that lies about itself. The modes have to do to such a
//! frame what the original does, so this only asks what it asks: the types, and that the bytes are
//! there.

use iogate::packet::{EtherType, IpProtocol};

/// Version of an IP header, by the EtherType before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ip {
    V4,
    V6,
}

/// An IP header whose fixed part is in the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IpLayer {
    pub(super) kind: Ip,
    /// Where it starts.
    pub(super) at: usize,
    /// Where what it carries starts, by its own length field: may be outside of the frame.
    pub(super) payload: usize,
    /// What that is.
    pub(super) protocol: IpProtocol,
}

impl IpLayer {
    /// The IP header in the Ethernet frame that starts at `at`, behind any number of tags.
    #[inline]
    pub(super) fn behind_ethernet(frame: &[u8], at: usize) -> Option<IpLayer> {
        let mut at = at + 12;
        loop {
            match EtherType(word(frame, at)?) {
                EtherType::IPV4 => return Self::at(frame, Ip::V4, at + 2),
                EtherType::IPV6 => return Self::at(frame, Ip::V6, at + 2),
                other if other.is_vlan() => at += 4,
                _ => return None,
            }
        }
    }

    /// The header of this version at `at`.
    #[inline]
    pub(super) fn at(frame: &[u8], kind: Ip, at: usize) -> Option<IpLayer> {
        let bytes = frame.get(at..)?;
        match kind {
            Ip::V4 => {
                let header = bytes.first_chunk::<20>()?;
                let payload = at + usize::from(header[0] & 0x0f) * 4;
                Some(IpLayer { kind, at, payload, protocol: IpProtocol(header[9]) })
            }
            Ip::V6 => {
                let header = bytes.first_chunk::<40>()?;
                Some(IpLayer { kind, at, payload: at + 40, protocol: IpProtocol(header[6]) })
            }
        }
    }

    /// The header at `at` that says its own version.
    #[inline]
    pub(super) fn by_version(frame: &[u8], at: usize) -> Option<IpLayer> {
        match frame.get(at)? >> 4 {
            4 => Self::at(frame, Ip::V4, at),
            6 => Self::at(frame, Ip::V6, at),
            _ => None,
        }
    }
}

/// The 16 bits at `at`, if they are there.
#[inline]
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|pair| u16::from_be_bytes(*pair))
}

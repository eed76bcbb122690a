//! Where the headers of a frame are, read once for everything that looks at them.

use iogate::packet::{EtherType, Header, IpProtocol, Ipv4, Ipv6, Layer2, VlanTag};
use std::ops::Range;

/// What was found in a frame, as far as its headers are whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers {
    pub(super) outer: Option<VlanTag>,
    pub(super) inner: Option<VlanTag>,
    pub(super) ip: Option<Ip>,
}

/// An IP packet in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ip {
    pub(super) v6: bool,
    /// Where its header starts.
    pub(super) at: usize,
    /// What it carries, behind extension headers; cut where the frame ends.
    pub(super) payload: Range<usize>,
    pub(super) protocol: IpProtocol,
    /// Whether it is one of several fragments.
    pub(super) fragment: bool,
    /// Whether the header of what it carries is at the start of the payload.
    pub(super) starts: bool,
    /// Whether all of it is in the bytes that were looked at.
    pub(super) whole: bool,
}

impl Headers {
    /// Of a frame's first segment.
    pub(super) fn of(frame: &[u8]) -> Headers {
        let Ok(layer2) = Layer2::parse(frame) else { return Headers::default() };
        let (at, rest) = (layer2.offset, &frame[layer2.offset..]);
        let ip = match layer2.ether_type {
            EtherType::IPV4 => Ip::v4(rest, at),
            EtherType::IPV6 => Ip::v6(rest, at),
            _ => None,
        };
        Headers { outer: layer2.outer, inner: layer2.inner, ip }
    }
}

impl Ip {
    pub(super) fn v4(bytes: &[u8], at: usize) -> Option<Ip> {
        let (ip, payload) = Ipv4::parse_front(bytes).ok()?;
        let start = at + ip.header_len();
        Some(Ip {
            v6: false,
            at,
            payload: start..start + payload.len(),
            protocol: ip.protocol(),
            fragment: ip.is_fragment(),
            starts: ip.has_transport_header(),
            whole: Ipv4::parse(bytes).is_ok(),
        })
    }

    pub(super) fn v6(bytes: &[u8], at: usize) -> Option<Ip> {
        let (ip, payload) = Ipv6::parse_front(bytes).ok()?;
        let upper = ip.upper_layer(payload).ok()?;
        let start = at + size_of::<Ipv6>();
        Some(Ip {
            v6: true,
            at,
            payload: start + upper.offset..start + payload.len(),
            protocol: upper.protocol,
            fragment: upper.fragment.is_some(),
            starts: upper.has_transport_header(),
            whole: Ipv6::parse(bytes).is_ok(),
        })
    }

    /// Source and destination port, where it has any.
    pub(super) fn ports(&self, frame: &[u8]) -> Option<[u8; 4]> {
        let with_ports = matches!(self.protocol, IpProtocol::TCP | IpProtocol::UDP | IpProtocol::SCTP);
        let payload = frame.get(self.payload.clone())?;
        payload.first_chunk().copied().filter(|_| with_ports && self.starts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iogate::testkit::{Frame, mac};
    use proptest::prelude::*;

    #[test]
    fn headers_are_found_behind_tags() {
        let frame = Frame::ethernet(mac(1), mac(2)).qinq(6, 5).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(7, 9).padded();
        let frame = frame.build();
        let headers = Headers::of(&frame);
        let ip = headers.ip.unwrap();
        assert_eq!((headers.outer.unwrap().tci.vid(), headers.inner.unwrap().tci.vid()), (6, 5));
        assert_eq!((ip.at, ip.payload.clone(), ip.whole, ip.fragment), (22, 42..50, true, false));
        assert_eq!(ip.ports(&frame), Some([0, 7, 0, 9]));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(mut bytes in proptest::collection::vec(any::<u8>(), 0..100), kind in 0..3_usize) {
            if let Some(ether_type) = bytes.get_mut(12..14) {
                ether_type.copy_from_slice(&[[8, 0], [0x86, 0xdd], [0x81, 0]][kind]);
            }
            if let Some(ip) = Headers::of(&bytes).ip {
                prop_assert!(ip.payload.end <= bytes.len() && ip.at < bytes.len());
                ip.ports(&bytes);
            }
        }
    }
}

//! Checking checksums of what is received.

use super::headers::{Headers, Ip};
use iogate::packet::{Header, IpProtocol, Ipv4, Ipv6, PseudoHeader, Udp};
use iogate::port::crc32c;
use iogate::prelude::*;

/// Which checksums are checked: `RTE_ETH_RX_OFFLOAD_*_CKSUM`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checks {
    pub(super) ip: bool,
    pub(super) udp: bool,
    pub(super) tcp: bool,
    pub(super) sctp: bool,
}

impl Checks {
    pub(super) fn any(self) -> bool {
        self != Checks::default()
    }

    /// Checks a packet and notes what was found.
    pub(super) fn check(self, packet: &mut Mbuf, headers: &Headers) {
        let Some(ip) = &headers.ip else { return };
        let header = self.ip.then(|| header_is_right(packet.data(), ip)).flatten();
        let transport = self.transport(packet.data(), ip);
        packet.note_checksums(header, transport);
    }

    /// Nothing when there is no checksum, or it is over more than one can see.
    fn transport(self, frame: &[u8], ip: &Ip) -> Option<bool> {
        if ip.fragment || !ip.whole {
            return None;
        }
        let payload = frame.get(ip.payload.clone())?;
        match ip.protocol {
            IpProtocol::UDP if self.udp => {
                let (udp, _) = Udp::parse(payload).ok()?;
                udp.has_checksum().then(|| pseudo(frame, ip).is_some_and(|pseudo| pseudo.verify(payload)))
            }
            IpProtocol::TCP if self.tcp => Some(pseudo(frame, ip)?.verify(payload)),
            IpProtocol::SCTP if self.sctp => sctp_sum(payload).map(|sum| payload[8..12] == sum),
            _ => None,
        }
    }
}

/// As cards say it: a header of IPv6, which has no checksum, has no wrong one.
fn header_is_right(frame: &[u8], ip: &Ip) -> Option<bool> {
    if ip.v6 {
        return Some(true);
    }
    Ipv4::parse_front(frame.get(ip.at..)?).ok().map(|(ip, _)| ip.checksum_ok())
}

fn pseudo(frame: &[u8], ip: &Ip) -> Option<PseudoHeader> {
    let bytes = frame.get(ip.at..)?;
    if ip.v6 {
        let (header, _) = Ipv6::parse_front(bytes).ok()?;
        return Some(PseudoHeader::v6(header.src(), header.dst(), ip.protocol));
    }
    Ipv4::parse_front(bytes).ok().map(|(ip, _)| PseudoHeader::of_ipv4(ip))
}

/// The checksum that an SCTP packet should have, as it stands in its bytes 8 to 11 (RFC 9260, section 6.8).
pub(super) fn sctp_sum(packet: &[u8]) -> Option<[u8; 4]> {
    let (before, behind) = (packet.get(..8)?, packet.get(12..)?);
    Some(crc32c([before, &[0; 4], behind]).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use iogate::testkit::{Complete, Frame, mac, pool};

    const ALL: Checks = Checks { ip: true, udp: true, tcp: true, sctp: true };
    const GOOD: u64 = 1 << 7 | 1 << 8;
    const IP_BAD: u64 = 1 << 4;
    const L4_BAD: u64 = 1 << 3;

    fn noted(frame: &[u8]) -> u64 {
        let pool = pool("checks", 64);
        let _complete = Complete::new(&pool);
        let mut packet = pool.alloc_from(frame).unwrap();
        let headers = Headers::of(packet.data());
        ALL.check(&mut packet, &headers);
        packet.flags()
    }

    #[test]
    fn right_and_wrong_checksums_are_told_apart() {
        let v4 = Frame::ethernet(mac(1), mac(2)).vlan(3).ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
        let v6 = Frame::ethernet(mac(1), mac(2)).ipv6([0xfd; 16], [0xfe; 16]);
        for frame in [v4.clone().udp(1, 2), v4.clone().tcp(1, 2)] {
            let mut frame = frame.payload([1, 2, 3]).padded().build();
            assert_eq!(noted(&frame), GOOD);
            let payload = 18 + 20 + 8;
            frame[payload] ^= 1;
            assert_eq!(noted(&frame), 1 << 7 | L4_BAD);
            frame[18 + 8] ^= 1;
            assert_eq!(noted(&frame), IP_BAD | L4_BAD);
        }
        assert_eq!(noted(&v6.clone().udp(1, 2).build()), GOOD, "IPv6 has no checksum of its own");
        let mut none = v4.clone().udp(1, 2).build();
        none[18 + 20 + 6..18 + 20 + 8].fill(0);
        assert_eq!(noted(&none), 1 << 7, "a datagram without a checksum");
        assert_eq!(noted(&Frame::ethernet(mac(1), mac(2)).arp_request([1; 4], [2; 4]).build()), 0);
    }

    #[test]
    fn sctp_has_a_crc() {
        let mut chunk = [0, 7, 0, 9, 1, 2, 3, 4, 0, 0, 0, 0, 1, 0, 0, 4];
        let sum = sctp_sum(&chunk).unwrap();
        chunk[8..12].copy_from_slice(&sum);
        let frame = |chunk: [u8; 16]| {
            let frame = Frame::ethernet(mac(1), mac(2)).ipv4([1; 4], [2; 4]).protocol(IpProtocol::SCTP);
            frame.payload(chunk).build()
        };
        assert_eq!(noted(&frame(chunk)), GOOD);
        chunk[15] ^= 1;
        assert_eq!(noted(&frame(chunk)), 1 << 7 | L4_BAD);
        assert_eq!(sctp_sum(&chunk[..11]), None);
    }
}

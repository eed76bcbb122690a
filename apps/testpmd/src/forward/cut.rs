//! Long packets cut into segments on the way out: `tso set SIZE N` and `set port N gso on`.

use iogate::memory::HeaderLengths;
use iogate::prelude::*;

/// Says of each packet that is too long how it is to be cut; the way out has it done
/// ([`Outlet::finishing`](iogate::pipeline::Outlet::finishing)), checksums and all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    /// The most payload of a TCP segment, bytes (`tso set`).
    pub(super) payload: Option<u16>,
    /// The longest packet, headers included, bytes (`set gso segsz`). UDP over IPv4 is cut into fragments.
    pub(super) packet: Option<u16>,
}

impl Cut {
    pub(super) fn is_needed(self) -> bool {
        self.payload.is_some() || self.packet.is_some()
    }

    /// The most payload of each piece, where a packet is to be cut.
    fn size(self, packet: &Mbuf) -> Option<u16> {
        let lengths = HeaderLengths::of(packet.data())?;
        let HeaderLengths { l2, l3, l4, ipv6, udp } = lengths;
        let front = l2 + l3 + if udp { 0 } else { l4 };
        let payload = packet.len().saturating_sub(front);
        match (self.payload, self.packet) {
            (Some(size), _) if !udp && payload > usize::from(size) => Some(size),
            (_, Some(longest)) if packet.len() > usize::from(longest) && !(udp && ipv6) => usize::from(longest)
                .checked_sub(front)
                .and_then(|size| u16::try_from(size).ok())
                .filter(|size| *size >= 8),
            _ => None,
        }
    }
}

impl Stage for Cut {
    fn run(&mut self, batch: &mut Batch, _cx: &mut Context) {
        for packet in batch.packets_mut() {
            if let Some(size) = self.size(packet) {
                packet.leave_unfinished(Some(size));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::forward::{Config, Mode, testing::*};
    use iogate::packet::{Header, Ipv4, PseudoHeader, Tcp};
    use iogate::testkit::Frame;

    fn front() -> Frame {
        Frame::ethernet(OURS, PEER).ipv4([10, 0, 0, 1], [10, 0, 0, 2])
    }

    fn payload(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| at as u8).collect()
    }

    #[test]
    fn tcp_is_cut_into_segments_with_right_checksums() {
        let tso = Config { tso: (0..64).map(|port| (port, 500)).collect(), ..config() };
        let gso = Config { gso: (0..64).collect(), gso_size: 554, ..config() };
        let frame = front().tcp(1, 80).payload(payload(1200)).build();
        for config in [tso, gso] {
            let sent = Rig::new(Mode::Csum, &config).pass_all(std::slice::from_ref(&frame));
            assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [554, 554, 254]);
            let mut all = Vec::new();
            for segment in &sent {
                let (ip, transport) = Ipv4::parse(&segment[14..]).unwrap();
                assert!(ip.checksum_ok() && PseudoHeader::of_ipv4(ip).verify(transport));
                all.extend_from_slice(Tcp::parse(transport).unwrap().1);
            }
            assert_eq!(all, payload(1200));
            // Short ones stay as they are.
            let short = front().tcp(1, 80).payload(payload(500)).build();
            assert_eq!(Rig::new(Mode::Csum, &config).pass(&short), Some(short));
        }
    }

    #[test]
    fn datagrams_are_cut_by_gso_alone_and_into_fragments() {
        let frame = front().udp(1, 2).payload(payload(1000)).build();
        let tso = Config { tso: (0..64).map(|port| (port, 500)).collect(), ..config() };
        assert_eq!(Rig::new(Mode::Csum, &tso).pass(&frame), Some(frame.clone()));
        let gso = Config { gso: (0..64).collect(), gso_size: 554, ..config() };
        let sent = Rig::new(Mode::Csum, &gso).pass_all(&[frame]);
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [14 + 20 + 520, 14 + 20 + 488]);
        assert!(sent.iter().all(|fragment| Ipv4::parse(&fragment[14..]).unwrap().0.is_fragment()));
    }
}

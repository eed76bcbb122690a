//! Long packets cut into segments on the way out: `tso set SIZE N`, `tunnel_tso set SIZE N` and `set port N gso on`.

use super::TunnelPorts;
use super::layers::IpLayer;
use super::tunnel::{self, Tunnel};
use iogate::memory::HeaderLengths;
use iogate::prelude::*;

/// Says of each packet that is too long how it is to be cut; the way out has it done
/// ([`Outlet::finishing`](iogate::pipeline::Outlet::finishing)), checksums and all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    /// The most payload of a TCP segment, bytes (`tso set`).
    pub(super) payload: Option<u16>,
    /// The same inside of tunnels (`tunnel_tso set`).
    pub(super) inner_payload: Option<u16>,
    /// The longest packet, headers included, bytes (`set gso segsz`). UDP over IPv4 is cut into fragments.
    pub(super) packet: Option<u16>,
    /// Where to look into tunnels, if they are looked into.
    pub(super) tunnels: Option<TunnelPorts>,
}

impl Cut {
    pub(super) fn is_needed(self) -> bool {
        self.payload.is_some() || self.inner_payload.is_some() || self.packet.is_some()
    }

    /// Says how a packet is to be cut, if it is.
    fn mark(self, packet: &mut Mbuf) {
        match self.tunnel(packet.data()) {
            Some(Tunnel { inner: Some(inner), any_length: true }) => self.mark_inside(packet, inner),
            Some(_) => {}
            None => {
                if let Some(size) = self.size(packet) {
                    packet.leave_unfinished(Some(size));
                }
            }
        }
    }

    fn tunnel(self, frame: &[u8]) -> Option<Tunnel> {
        tunnel::behind(frame, IpLayer::behind_ethernet(frame, 0)?, self.tunnels?)
    }

    /// The most payload of each piece, where a packet is to be cut.
    fn size(self, packet: &Mbuf) -> Option<u16> {
        let lengths = HeaderLengths::of(packet.data())?;
        let HeaderLengths { l2, l3, l4, ipv6, udp } = lengths;
        let front = l2 + l3 + if udp { 0 } else { l4 };
        let payload = packet.len().saturating_sub(front);
        match (self.payload, self.packet) {
            (Some(size), _) if !udp && payload > usize::from(size) => Some(size),
            (_, Some(longest)) if packet.len() > usize::from(longest) && !(udp && ipv6) => room(longest, front),
            _ => None,
        }
    }

    /// Of TCP in a tunnel.
    fn mark_inside(self, packet: &mut Mbuf, inner: IpLayer) {
        let Some(lengths) = HeaderLengths::inside(packet.data(), inner.at).filter(|lengths| !lengths.udp) else {
            return;
        };
        let front = lengths.l2 + lengths.l3 + lengths.l4;
        let payload = packet.len().saturating_sub(front);
        let size = match (self.inner_payload, self.packet) {
            (Some(size), _) if payload > usize::from(size) => Some(size),
            (_, Some(longest)) if packet.len() > usize::from(longest) => room(longest, front),
            _ => None,
        };
        if let (Some(size), Ok(inside)) = (size, u16::try_from(inner.at)) {
            let _known = packet.leave_tunnel_to_cut(size, inside);
        }
    }
}

/// Payload in a packet of at most `longest` bytes behind headers, if that is worth it.
fn room(longest: u16, headers: usize) -> Option<u16> {
    usize::from(longest).checked_sub(headers).and_then(|size| u16::try_from(size).ok()).filter(|size| *size >= 8)
}

impl Stage for Cut {
    fn run(&mut self, batch: &mut Batch, _cx: &mut Context) {
        for packet in batch.packets_mut() {
            self.mark(packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::forward::csum::tests::with;
    use crate::forward::tunnel::tests::tunnels;
    use crate::forward::{Checksum, Config, Mode, testing::*};
    use iogate::packet::{Header, IpProtocol, Ipv4, Ipv6, PseudoHeader, Tcp, Udp};
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

    /// `frame` in a VXLAN packet whose UDP has a checksum, or none.
    fn in_vxlan(outer: Frame, frame: &[u8], checksum: bool) -> Vec<u8> {
        let mut whole = outer.udp(5555, 4789).payload([8, 0, 0, 0, 0, 0, 1, 0]).payload(frame).build();
        if !checksum {
            let at = whole.len() - frame.len() - 8 - 2;
            whole[at..at + 2].fill(0);
        }
        whole
    }

    #[test]
    fn tcp_in_tunnels_is_cut_with_the_headers_around_it() {
        let csum = Checksum { parse_tunnels: true, ..Checksum::default() };
        let tso = Config { tunnel_tso: (0..64).map(|port| (port, 500)).collect(), ..with(csum) };
        let gso = |longest| Config { gso: (0..64).collect(), gso_size: longest, ..with(csum) };
        let inner = |bytes| front().tcp(1, 80).payload(payload(bytes)).build();
        let v6 = || Frame::ethernet(OURS, PEER).ipv6([0xfd; 16], [0xfe; 16]);
        for (outer, outside, checksum) in
            [(front().vlan(7), 54, false), (front(), 50, true), (v6(), 70, true), (v6(), 70, false)]
        {
            let frame = in_vxlan(outer.clone(), &inner(1200), checksum);
            for config in [tso.clone(), gso(outside as u16 + 554)] {
                let sent = Rig::new(Mode::Csum, &config).pass_all(std::slice::from_ref(&frame));
                assert_eq!(sent.iter().map(|segment| segment.len() - outside).collect::<Vec<_>>(), [554, 554, 254]);
                let mut all = Vec::new();
                for segment in &sent {
                    let at = if segment[12] == 0x81 { 18 } else { 14 };
                    let (pseudo, datagram) = match segment[at] >> 4 {
                        4 => {
                            let (ip, datagram) = Ipv4::parse(&segment[at..]).unwrap();
                            assert!(ip.checksum_ok());
                            (PseudoHeader::of_ipv4(ip), datagram)
                        }
                        _ => {
                            let (ip, datagram) = Ipv6::parse(&segment[at..]).unwrap();
                            (PseudoHeader::v6(ip.src(), ip.dst(), IpProtocol::UDP), datagram)
                        }
                    };
                    let (udp, vxlan) = Udp::parse(datagram).unwrap();
                    assert_eq!(usize::from(udp.len()), 8 + 8 + segment.len() - outside);
                    assert!(if checksum { pseudo.verify(datagram) } else { !udp.has_checksum() });
                    assert_eq!(vxlan[..8], [8, 0, 0, 0, 0, 0, 1, 0]);
                    let (ip, transport) = Ipv4::parse(&vxlan[8 + 14..]).unwrap();
                    assert!(ip.checksum_ok() && PseudoHeader::of_ipv4(ip).verify(transport));
                    let (tcp, data) = Tcp::parse(transport).unwrap();
                    assert_eq!(tcp.sequence() as usize, 1 + all.len());
                    all.extend_from_slice(data);
                }
                assert_eq!(all, payload(1200));
                let short = in_vxlan(outer.clone(), &inner(500), checksum);
                assert_eq!(Rig::new(Mode::Csum, &config).pass(&short).unwrap().len(), short.len());
            }
        }
    }

    #[test]
    fn a_tag_may_be_inserted_before_a_tunnel_is_cut() {
        let csum = Checksum { parse_tunnels: true, ..Checksum::default() };
        let tso = Config { tunnel_tso: (0..64).map(|port| (port, 500)).collect(), ..with(csum) };
        let tagged = Config { vlans: (0..64).map(|port| (port, vec![5])).collect(), ..tso.clone() };
        let frame = in_vxlan(front(), &front().tcp(1, 80).payload(payload(1200)).build(), true);
        let [plain, tagged] = [tso, tagged].map(|config| Rig::new(Mode::Csum, &config).pass_all(&[&frame]));
        assert_eq!((plain.len(), tagged.len()), (3, 3));
        for (plain, tagged) in plain.iter().zip(&tagged) {
            assert_eq!(*tagged, [&plain[..12], &[0x81, 0, 0, 5], &plain[12..]].concat());
        }
    }

    #[test]
    fn tunnels_with_a_length_of_their_own_stay_whole() {
        let csum = Checksum { parse_tunnels: true, ..Checksum::default() };
        let config = Config { tunnel_tso: (0..64).map(|port| (port, 1)).collect(), ..with(csum) };
        let mut rig = Rig::new(Mode::Csum, &config);
        // Six bytes inside of most, three of others.
        let pieces: Vec<_> = tunnels().iter().map(|frame| rig.pass_all(std::slice::from_ref(frame)).len()).collect();
        assert_eq!(pieces, [6, 3, 6, 3, 6, 6, 6, 3, 1, 1, 6, 3, 1, 6, 3]);
        let unlooked = Config { checksums: Default::default(), ..config };
        assert!(tunnels().iter().all(|frame| Rig::new(Mode::Csum, &unlooked).pass(frame).is_some()));
    }
}

//! `csum`: computes the checksums of IP, UDP, TCP and SCTP anew, in tunnels the inner ones first.
//!
//! Right and wrong checksums come out as the original's: a frame of another kind, or one whose
//! headers are not there, keeps its bytes; a UDP checksum of 0 stays; SCTP's becomes 0, since it is
//! for cards to compute; where a packet holds less than it says, its transport checksum becomes
//! 0xffff. Beyond the original, wrong checksums are counted without a card's help: they are those that
//! change.

use super::layers::{Ip, IpLayer, word};
use super::tunnel;
use super::{BadChecksums, Checksum, Stream, TunnelPorts, Where};
use iogate::packet::{Ethernet, IpProtocol, checksum};
use iogate::port::crc32c;
use iogate::prelude::*;
use std::sync::Arc;

/// Computes checksums, and writes both addresses as `mac` does unless told otherwise.
pub(super) struct Csum {
    addresses: Option<(MacAddr, MacAddr)>,
    /// Where to look into tunnels, if they are looked into.
    tunnels: Option<TunnelPorts>,
    /// Whether SCTP's is computed, or 0.
    sctp: bool,
    bad: Arc<BadChecksums>,
}

impl Csum {
    pub(super) fn new(config: Checksum, ports: TunnelPorts, stream: &Stream, bad: Arc<BadChecksums>) -> Self {
        let addresses = config.mac_swap.then_some((stream.mac, stream.peer));
        let tunnels = config.parse_tunnels.then_some(ports);
        Csum { addresses, tunnels, sctp: config.sctp == Where::Hardware, bad }
    }
}

/// Whether checksums were wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wrong {
    ip: bool,
    transport: bool,
}

impl Stage for Csum {
    #[inline]
    fn run(&mut self, batch: &mut Batch, _cx: &mut Context) {
        for packet in batch.packets_mut() {
            if let Some((mac, peer)) = self.addresses
                && let Ok(ethernet) = packet.header_mut::<Ethernet>()
            {
                ethernet.set_src(mac);
                ethernet.set_dst(peer);
            }
            let Some(outer) = IpLayer::behind_ethernet(packet.data(), 0) else { continue };
            if let Some(ports) = self.tunnels
                && let Some(tunnel) = tunnel::behind(packet.data(), outer, ports)
            {
                let inner = tunnel.inner.map(|inner| recompute(packet, inner, self.sctp)).unwrap_or_default();
                let outer = recompute_outer(packet, outer);
                self.bad.count(inner.ip, inner.transport, outer.ip, outer.transport);
            } else {
                let wrong = recompute(packet, outer, self.sctp);
                self.bad.count(wrong.ip, wrong.transport, false, false);
            }
        }
    }
}

/// Computes the checksums of an IP packet and of what it carries.
#[inline]
fn recompute(packet: &mut Mbuf, ip: IpLayer, sctp: bool) -> Wrong {
    if !ip.is_whole(packet.data()) {
        return Wrong::default();
    }
    // In this order, since a header may lie over its payload.
    let header = recompute_ip(packet, ip);
    let transport = match ip.protocol {
        IpProtocol::UDP => recompute_transport(packet, ip, UDP),
        IpProtocol::TCP => recompute_transport(packet, ip, TCP),
        IpProtocol::SCTP => {
            recompute_sctp(packet, ip, sctp);
            false
        }
        _ => false,
    };
    Wrong { ip: header, transport }
}

/// Writes SCTP's checksum (RFC 9260, section 6.8), or 0. It stays 0 where a packet holds less than it says, or more
/// than its first segment.
fn recompute_sctp(packet: &mut Mbuf, ip: IpLayer, compute: bool) {
    let (_, length) = pseudo_header(packet.data(), ip);
    let Some(field) = packet.data_mut().get_mut(ip.payload + 8..ip.payload + 12) else { return };
    field.fill(0);
    if compute && let Some(all) = packet.data_mut().get_mut(ip.payload..ip.payload + usize::from(length)) {
        let sum = crc32c([&*all]);
        if let Some(field) = all.get_mut(8..12) {
            field.copy_from_slice(&sum.to_le_bytes());
        }
    }
}

/// Of the packet around a tunnel: its UDP checksum, should it have one, covers all that is inside.
fn recompute_outer(packet: &mut Mbuf, ip: IpLayer) -> Wrong {
    if !ip.is_whole(packet.data()) {
        return Wrong::default();
    }
    let header = recompute_ip(packet, ip);
    Wrong { ip: header, transport: ip.protocol == IpProtocol::UDP && recompute_transport(packet, ip, UDP) }
}

/// Computes the checksum of an IPv4 header and says whether it was another one.
#[inline]
fn recompute_ip(packet: &mut Mbuf, ip: IpLayer) -> bool {
    if ip.kind == Ip::V6 {
        return false;
    }
    let bytes = packet.data_mut();
    let header = &bytes[ip.at..ip.payload];
    // Around the checksum: to write zeros and to read them at once, in larger words, takes long.
    let sum = match header.first_chunk::<20>() {
        Some(fixed) => checksum::sum(&fixed[..10]) + checksum::sum(&fixed[12..]) + checksum::sum(&header[20..]),
        None => checksum::sum(&header[..header.len().min(10)]) + checksum::sum(header.get(12..).unwrap_or_default()),
    };
    let new = !checksum::fold(sum);
    let old = replace(bytes, ip.at + 10, new);
    !same(old, new)
}

/// A transport protocol with a checksum over its pseudo header.
#[derive(Clone, Copy)]
struct Transport {
    /// Where the checksum is in its header, and how much of the header must be there.
    field: usize,
    least: usize,
    /// Whether 0 says that there is none.
    optional: bool,
}

const UDP: Transport = Transport { field: 6, least: 8, optional: true };
const TCP: Transport = Transport { field: 16, least: 18, optional: false };

/// Computes the checksum of what an IP packet carries and says whether it was another one.
#[inline]
fn recompute_transport(packet: &mut Mbuf, ip: IpLayer, transport: Transport) -> bool {
    let field = ip.payload + transport.field;
    let bytes = packet.data_mut();
    if bytes.len() < ip.payload + transport.least {
        return false;
    }
    let old = word(bytes, field).unwrap_or(0);
    if old == 0 && transport.optional {
        return false;
    }
    if ip.payload < ip.at + 20 {
        // The field lies in the header that the pseudo header is made of.
        replace(bytes, field, 0);
    }
    let (pseudo, claimed) = pseudo_header(bytes, ip);
    let carried = match bytes[ip.payload..].get(..usize::from(claimed)) {
        // Around the checksum, as above.
        Some(all) if all.len() >= transport.least => {
            Some(checksum::sum(&all[..transport.field]) + checksum::sum(&all[transport.field + 2..]))
        }
        _ => {
            replace(bytes, field, 0);
            sum_of(packet, ip.payload, usize::from(claimed))
        }
    };
    let new = match carried {
        Some(carried) => match !checksum::fold(pseudo + carried) {
            0 if transport.optional => NONE,
            checksum => checksum,
        },
        None => NONE,
    };
    replace(packet.data_mut(), field, new);
    !same(old, new)
}

/// Stands for 0 where 0 says that there is none, and where it cannot be computed.
const NONE: u16 = 0xffff;

/// The sum of the pseudo header, and the length of the payload that is in it.
#[inline]
fn pseudo_header(bytes: &[u8], ip: IpLayer) -> (u64, u16) {
    let (addresses, length) = match ip.kind {
        Ip::V4 => {
            let total = word(bytes, ip.at + 2).unwrap_or(0);
            (&bytes[ip.at + 12..ip.at + 20], total.wrapping_sub((ip.payload - ip.at) as u16))
        }
        Ip::V6 => (&bytes[ip.at + 8..ip.at + 40], word(bytes, ip.at + 4).unwrap_or(0)),
    };
    (checksum::sum(addresses) + u64::from(ip.protocol.0) + u64::from(length), length)
}

/// The sum over `len` bytes of the packet from `at` on, which is in its first segment; nothing when it
/// has fewer.
#[cold]
fn sum_of(packet: &Mbuf, at: usize, len: usize) -> Option<u64> {
    match packet.data().get(at..at + len) {
        Some(bytes) => Some(checksum::sum(bytes)),
        None if at + len > packet.len() => None,
        None => Some(sum_of_segments(packet, at, len)),
    }
}

fn sum_of_segments(packet: &Mbuf, mut skip: usize, mut left: usize) -> u64 {
    let (mut total, mut odd) = (0, false);
    for data in packet.segment_data() {
        let data = &data[std::mem::take(&mut skip).min(data.len())..];
        let data = &data[..left.min(data.len())];
        left -= data.len();
        // Behind an odd number of bytes every byte has the other weight.
        let sum = checksum::sum(data);
        total += if odd { u64::from(checksum::fold(sum).swap_bytes()) } else { sum };
        odd ^= data.len() % 2 == 1;
    }
    total
}

impl IpLayer {
    /// Whether the header with its options is in the first segment.
    #[inline]
    fn is_whole(&self, bytes: &[u8]) -> bool {
        self.payload <= bytes.len()
    }
}

/// Writes the 16 bits at `at`, which are there, and returns what they were.
#[inline]
fn replace(bytes: &mut [u8], at: usize, value: u16) -> u16 {
    match bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        Some(field) => u16::from_be_bytes(std::mem::replace(field, value.to_be_bytes())),
        None => 0,
    }
}

/// In ones' complement there are two zeros.
#[inline]
fn same(one: u16, other: u16) -> bool {
    one == other || (one.min(other), one.max(other)) == (0, 0xffff)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::forward::{Config, Mode, testing::*};
    use iogate::packet::Header;
    use iogate::packet::{Ipv4, PseudoHeader};
    use iogate::testkit::Frame;
    use proptest::prelude::*;

    /// Options that are the same for every port.
    pub(in crate::forward) fn with(checksum: Checksum) -> Config {
        Config { checksums: (0..64).map(|port| (port, checksum)).collect(), ..config() }
    }

    /// Frames with right checksums.
    fn right() -> Vec<Vec<u8>> {
        let ethernet = || Frame::ethernet(OURS, PEER);
        let v4 = |frame: Frame| frame.ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
        let v6 = |frame: Frame| frame.ipv6([0xfd; 16], [0xfe; 16]);
        let mut frames = Vec::new();
        for tags in [|frame: Frame| frame, |frame: Frame| frame.vlan(3), |frame: Frame| frame.qinq(4, 5)] {
            for ip in [&v4 as &dyn Fn(Frame) -> Frame, &v6] {
                for odd in [0, 1, 2, 3, 1001] {
                    let base = ip(tags(ethernet()));
                    frames.push(base.clone().udp(1000, 2000).payload(vec![0xa5; odd]).build());
                    frames.push(base.tcp(1000, 2000).payload(vec![0x5a; odd]).build());
                }
            }
        }
        frames.push(v4(ethernet()).udp(1, 2).payload([7]).padded().build());
        frames.push(v6(ethernet()).tcp(1, 2).padded_to(100).build());
        frames
    }

    #[test]
    fn sctp_gets_its_crc_when_the_port_is_to_compute_it() {
        let hardware = with(Checksum { sctp: Where::Hardware, mac_swap: false, ..Checksum::default() });
        let of = |sum: [u8; 4]| {
            let frame = Frame::ethernet(OURS, PEER).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).protocol(IpProtocol::SCTP);
            frame.payload([0, 7, 0, 9, 1, 2, 3, 4]).payload(sum).payload([1, 0, 0, 4]).padded().build()
        };
        let sum = crc32c([&[0, 7, 0, 9, 1, 2, 3, 4, 0, 0, 0, 0, 1, 0, 0, 4][..]]).to_le_bytes();
        assert_eq!(Rig::new(Mode::Csum, &hardware).pass(&of([9; 4])), Some(of(sum)));
        let software = with(Checksum { mac_swap: false, ..Checksum::default() });
        assert_eq!(Rig::new(Mode::Csum, &software).pass(&of(sum)), Some(of([0; 4])));
    }

    #[test]
    fn right_checksums_stay_and_wrong_ones_are_mended_and_counted() {
        let right = right();
        let mut rig = Rig::new(Mode::Csum, &config());
        assert_eq!(rig.pass_all(&right), right);
        assert_eq!(rig.bad_checksums(), [0; 4]);

        let mut wrong = right.clone();
        let mut versions = [0, 0];
        for frame in &mut wrong {
            let ip = IpLayer::behind_ethernet(frame, 0).unwrap();
            versions[usize::from(ip.kind == Ip::V6)] += 1;
            if ip.kind == Ip::V4 {
                frame[ip.at + 10] ^= 0x40;
            }
            let field = if ip.protocol == IpProtocol::UDP { 6 } else { 16 };
            frame[ip.payload + field] ^= 0x11;
        }
        assert_eq!(rig.pass_all(&wrong), right);
        assert_eq!(rig.bad_checksums(), [versions[0], right.len() as u64, 0, 0]);
    }

    #[test]
    fn what_has_no_checksum_gets_none() {
        let base = Frame::ethernet(OURS, PEER).ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
        let mut without = base.clone().udp(1, 2).payload(b"x").build();
        without[40..42].fill(0);
        let mut sctp = base.protocol(IpProtocol::SCTP).payload([9; 16]).build();
        let others = [without.clone(), Frame::ethernet(OURS, PEER).payload([1; 50]).build()];
        let mut rig = Rig::new(Mode::Csum, &config());
        assert_eq!(rig.pass_all(&others), others);
        let sent = rig.pass(&sctp);
        sctp[42..46].fill(0);
        assert_eq!(sent, Some(sctp));
        assert_eq!(rig.bad_checksums(), [0; 4]);
    }

    #[test]
    fn several_segments_are_summed_as_one() {
        let mut rig = Rig::new(Mode::Csum, &config());
        let frame = Frame::ethernet(OURS, PEER).ipv4([1; 4], [2; 4]).udp(5, 6).payload([0xc3; 77]).build();
        let mut wrong = frame.clone();
        wrong[40] ^= 1;
        for cuts in [vec![42], vec![43], vec![50, 51], vec![43, 44, 90]] {
            assert_eq!(rig.pass_in_segments(&wrong, &cuts), Some(frame.clone()), "{cuts:?}");
        }
    }

    #[test]
    fn addresses_stay_when_asked() {
        let checksum = Checksum { mac_swap: false, ..Checksum::default() };
        let mut rig = Rig::new(Mode::Csum, &with(checksum));
        let frame = Frame::ethernet(PEER, [2; 6]).ipv4([1; 4], [2; 4]).tcp(5, 6).build();
        assert_eq!(rig.pass(&frame), Some(frame));
    }

    #[test]
    fn tunnels_are_mended_inside_and_outside() {
        let checksum = Checksum { parse_tunnels: true, ..Checksum::default() };
        let mut rig = Rig::new(Mode::Csum, &with(checksum));
        for right in tunnel::tests::tunnels() {
            assert_eq!(rig.pass(&right), Some(right.clone()));
            let mut wrong = right.clone();
            let outer = IpLayer::behind_ethernet(&wrong, 0).unwrap();
            let inner =
                tunnel::behind(&wrong, outer, TunnelPorts::default()).expect("a tunnel").inner.expect("an IP packet");
            wrong[inner.payload + 17] ^= 3;
            wrong[inner.at + 11] ^= if inner.kind == Ip::V4 { 1 } else { 0 };
            wrong[outer.at + 11] ^= 2;
            assert_eq!(rig.pass(&wrong), Some(right));
        }
        let count = tunnel::tests::tunnels().len() as u64;
        let [_, inner, outer, _] = rig.bad_checksums();
        assert_eq!((inner, outer), (count, count));
    }

    #[test]
    fn any_bytes_pass_and_whole_packets_verify() {
        let tunnels = Checksum { parse_tunnels: true, ..Checksum::default() };
        let mut rigs = [config(), with(tunnels)].map(|config| Rig::new(Mode::Csum, &config));
        for_any_frame(|frame| {
            for rig in &mut rigs {
                let sent = rig.pass(&frame).expect("it leaves");
                prop_assert_eq!(sent.len(), frame.len());
                if let Ok((ip, payload)) = Ipv4::parse(sent.get(14..).unwrap_or_default())
                    && sent[12..14] == [8, 0]
                {
                    prop_assert!(ip.checksum_ok());
                    let all = ip.header_len() + payload.len() == sent.len() - 14;
                    if all && ip.protocol() == IpProtocol::TCP && payload.len() >= 18 {
                        prop_assert!(PseudoHeader::of_ipv4(ip).verify(payload));
                    }
                }
            }
            Ok(())
        });
    }
}

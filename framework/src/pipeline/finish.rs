//! Doing for a packet what its sender left to a card: see [`Mbuf::is_unfinished`].

use super::DropReason;
use crate::memory::{HeaderLengths, Mbuf, outermost};
use crate::packet::{EtherType, Header, IpProtocol, Ipv4, Ipv6, PseudoHeader, Tcp, TcpFlags, Udp, checksum};

/// What a port does for packets by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Does {
    pub(super) checksums: bool,
    pub(super) cutting: bool,
}

/// The most segments that one packet is cut into: 64 KiB in the 536 bytes that every host takes (RFC 9293, section
/// 3.7.1) are 123. A guest that asks for many more wants to make work.
const MOST_SEGMENTS: usize = 256;

/// Bytes of the longest frame that a packet becomes: its own length, unless it is to be cut.
#[inline]
pub fn longest_frame(packet: &Mbuf) -> usize {
    packet.segment_size().map_or(packet.len(), |size| longest_segment(packet, size))
}

#[cold]
fn longest_segment(packet: &Mbuf, size: u16) -> usize {
    let front = packet.unfinished_lengths().map_or(usize::MAX, |lengths| lengths.copied());
    packet.len().min(front.saturating_add(size.into()))
}

/// Makes of an unfinished packet one that the port can send, or several, and hands them to `send`. Returns how many.
///
/// # Errors
/// The reason why that cannot be; some of the segments may have been sent then, which is `Err(reason, sent)`.
pub(super) fn finish(mut packet: Mbuf, does: Does, mut send: impl FnMut(Mbuf)) -> Result<usize, (DropReason, usize)> {
    let Some(lengths) = packet.unfinished_lengths() else { return Err((DropReason::UNFINISHED, 0)) };
    let cut = packet.segment_size();
    let asks = if cut.is_some() { does.cutting && !lengths.udp && !packet.cuts_inside() } else { does.checksums };
    if asks && packet.ask_card(lengths) {
        send(packet);
        return Ok(1);
    }
    if let Some(size) = cut {
        return segments(&packet, lengths, usize::from(size), send);
    }
    if !packet.linearize() {
        return Err((DropReason::CHAINED, 0));
    }
    fill_checksum(packet.data_mut(), lengths).ok_or((DropReason::UNFINISHED, 0))?;
    packet.set_finished();
    send(packet);
    Ok(1)
}

/// Writes the checksum of the transport. The IP header tells where the packet ends: padding may follow.
fn fill_checksum(frame: &mut [u8], lengths: HeaderLengths) -> Option<()> {
    let HeaderLengths { l2, l3, udp, .. } = lengths;
    let pseudo = pseudo(frame.get(l2..)?, lengths)?;
    let end = l2 + ip_len(frame.get(l2..)?, lengths)?;
    let transport = frame.get_mut(l2 + l3..end)?;
    match udp {
        true => pseudo.fill_udp(transport).ok(),
        false => pseudo.fill_tcp(transport).ok(),
    }
}

fn pseudo(ip: &[u8], lengths: HeaderLengths) -> Option<PseudoHeader> {
    match lengths.ipv6 {
        false => Ipv4::parse_front(ip).ok().map(|(ip, _)| PseudoHeader::of_ipv4(ip)),
        true => {
            let protocol = if lengths.udp { IpProtocol::UDP } else { IpProtocol::TCP };
            Ipv6::parse_front(ip).ok().map(|(ip, _)| PseudoHeader::v6(ip.src(), ip.dst(), protocol))
        }
    }
}

/// Length of the IP packet by its header.
fn ip_len(ip: &[u8], lengths: HeaderLengths) -> Option<usize> {
    match lengths.ipv6 {
        false => Ipv4::parse_front(ip).ok().map(|(ip, _)| usize::from(ip.total_len())),
        true => Ipv6::parse_front(ip).ok().map(|(ip, _)| size_of::<Ipv6>() + usize::from(ip.payload_len())),
    }
}

/// Cuts a TCP packet into segments, or a UDP datagram over IPv4 into fragments, each in a buffer of its own.
fn segments(
    packet: &Mbuf,
    lengths: HeaderLengths,
    size: usize,
    mut send: impl FnMut(Mbuf),
) -> Result<usize, (DropReason, usize)> {
    const UNFINISHED: (DropReason, usize) = (DropReason::UNFINISHED, 0);
    let HeaderLengths { l2, udp, .. } = lengths;
    let front = lengths.copied();
    let headers = packet.data().get(..front).ok_or(UNFINISHED)?;
    let ip_len = ip_len(&headers[l2..], lengths).ok_or(UNFINISHED)?;
    let payload = (l2 + ip_len).min(packet.len()).saturating_sub(front);
    // Fragments but for the last are a multiple of eight bytes (RFC 791, section 3.2).
    let size = if udp { size & !7 } else { size };
    if size == 0 || payload == 0 || payload.div_ceil(size) > MOST_SEGMENTS {
        return Err(UNFINISHED);
    }
    // A datagram's checksum stands in its first fragment, and is about all of them.
    let checksum = match udp {
        true => Some(datagram_checksum(packet, lengths, payload).ok_or(UNFINISHED)?),
        false => None,
    };
    let mut source = Source { here: &[], more: packet.segment_data() };
    source.skip(front);
    let mut sent = 0;
    for at in (0..payload).step_by(size) {
        let len = size.min(payload - at);
        let Some(mut segment) = packet.alloc_like() else { return Err((DropReason::NO_BUFFER, sent)) };
        let Some(room) = segment.append(front + len) else { return Err((DropReason::CHAINED, sent)) };
        let (head, data) = room.split_at_mut(front);
        head.copy_from_slice(headers);
        source.fill(data);
        let place = Place { offset: at as u32, number: sent as u16, last: at + len == payload };
        let adjusted = match checksum {
            Some(checksum) => fragment(segment.data_mut(), lengths, place, checksum),
            None => adjust(segment.data_mut(), lengths, place),
        };
        let adjusted = match packet.cuts_inside() {
            true => adjusted.and_then(|()| adjust_outer(segment.data_mut(), sent as u16)),
            false => adjusted,
        };
        if adjusted.is_none() {
            return Err((DropReason::UNFINISHED, sent));
        }
        send(segment);
        sent += 1;
    }
    Ok(sent)
}

/// Where a segment stands among those of its packet.
struct Place {
    /// Payload before it, bytes.
    offset: u32,
    /// Segments before it.
    number: u16,
    last: bool,
}

/// Makes copied headers those of a segment.
fn adjust(frame: &mut [u8], lengths: HeaderLengths, place: Place) -> Option<()> {
    let HeaderLengths { l2, l3, ipv6, .. } = lengths;
    let len = u16::try_from(frame.len() - l2).ok()?;
    let ip = frame.get_mut(l2..)?;
    match ipv6 {
        false => {
            let (ip, _) = Ipv4::parse_front_mut(ip).ok()?;
            ip.set_total_len(len);
            ip.set_id(ip.id().wrapping_add(place.number));
            ip.fill_checksum();
        }
        true => Ipv6::parse_front_mut(ip).ok()?.0.set_payload_len(len.checked_sub(size_of::<Ipv6>() as u16)?),
    }
    let (tcp, _) = Tcp::parse_front_mut(frame.get_mut(l2 + l3..)?).ok()?;
    tcp.set_sequence(tcp.sequence().wrapping_add(place.offset));
    let mut flags = tcp.flags().0;
    if !place.last {
        flags &= !(TcpFlags::FIN | TcpFlags::PSH).0;
    }
    if place.number > 0 {
        // Said once (RFC 3168, section 6.1.2).
        flags &= !TcpFlags::CWR.0;
    }
    tcp.set_flags(TcpFlags(flags));
    fill_checksum(frame, lengths)
}

/// Makes copied headers around a tunnel those of a segment, `number` segments behind the first. A UDP checksum of 0
/// stays (RFC 768: there is none).
fn adjust_outer(frame: &mut [u8], number: u16) -> Option<()> {
    let (kind, l2) = outermost(frame)?;
    let ip = frame.get_mut(l2..)?;
    let len = u16::try_from(ip.len()).ok()?;
    let (protocol, l3, pseudo) = match kind {
        EtherType::IPV4 => {
            let (ip, _) = Ipv4::parse_front_mut(ip).ok()?;
            ip.set_total_len(len);
            ip.set_id(ip.id().wrapping_add(number));
            ip.fill_checksum();
            (ip.protocol(), ip.header_len(), PseudoHeader::of_ipv4(ip))
        }
        EtherType::IPV6 => {
            let (ip, behind) = Ipv6::parse_front_mut(ip).ok()?;
            ip.set_payload_len(len.checked_sub(size_of::<Ipv6>() as u16)?);
            let upper = ip.upper_layer(behind).ok()?;
            (upper.protocol, size_of::<Ipv6>() + upper.offset, PseudoHeader::v6(ip.src(), ip.dst(), IpProtocol::UDP))
        }
        _ => return None,
    };
    if protocol == IpProtocol::UDP {
        let datagram = ip.get_mut(l3..)?;
        let len = u16::try_from(datagram.len()).ok()?;
        let (udp, _) = Udp::parse_front_mut(datagram).ok()?;
        udp.set_len(len);
        if udp.has_checksum() {
            pseudo.fill_udp(datagram).ok()?;
        }
    }
    Some(())
}

/// Makes copied headers those of a fragment.
fn fragment(frame: &mut [u8], lengths: HeaderLengths, place: Place, checksum: u16) -> Option<()> {
    let HeaderLengths { l2, l3, .. } = lengths;
    let len = u16::try_from(frame.len() - l2).ok()?;
    if place.offset == 0 {
        Udp::parse_front_mut(frame.get_mut(l2 + l3..)?).ok()?.0.set_checksum(checksum);
    }
    let (ip, _) = Ipv4::parse_front_mut(frame.get_mut(l2..)?).ok()?;
    ip.set_total_len(len);
    ip.set_fragment(u16::try_from(place.offset).ok()?, !place.last);
    ip.fill_checksum();
    Some(())
}

/// The checksum of a datagram over IPv4 in several buffers.
fn datagram_checksum(packet: &Mbuf, lengths: HeaderLengths, bytes: usize) -> Option<u16> {
    let HeaderLengths { l2, l3, ipv6, .. } = lengths;
    if ipv6 {
        return None;
    }
    let pseudo = pseudo(packet.data().get(l2..)?, lengths)?;
    let mut source = Source { here: &[], more: packet.segment_data() };
    source.skip(l2 + l3);
    let (mut sum, mut at) = (0, 0);
    while at < bytes {
        let piece = source.next(bytes - at);
        if piece.is_empty() {
            return None;
        }
        // A piece that begins at an odd byte has its bytes the other way round (RFC 1071, section 2).
        let its = checksum::fold(checksum::sum(piece));
        sum += u64::from(if at % 2 == 0 { its } else { its.swap_bytes() });
        at += piece.len();
    }
    // The field itself is no part of it: it held what the guest left there.
    let left = Udp::parse_front(packet.data().get(l2 + l3..)?).ok()?.0.checksum();
    let sum = sum + u64::from(!left) + u64::from(pseudo.partial(u16::try_from(bytes).ok()?));
    Some(match !checksum::fold(sum) {
        0 => 0xffff,
        other => other,
    })
}

/// The bytes of a packet, from one buffer after the other.
struct Source<'a, I> {
    here: &'a [u8],
    more: I,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Source<'a, I> {
    /// The next bytes, at most so many; none at the end.
    fn next(&mut self, most: usize) -> &'a [u8] {
        while self.here.is_empty() {
            let Some(more) = self.more.next() else { return &[] };
            self.here = more;
        }
        let (taken, rest) = self.here.split_at(most.min(self.here.len()));
        self.here = rest;
        taken
    }

    fn skip(&mut self, mut bytes: usize) {
        while bytes > 0 {
            match self.next(bytes).len() {
                0 => return,
                taken => bytes -= taken,
            }
        }
    }

    /// Copies the next bytes. There are as many: the packet's length is the sum of its buffers'.
    fn fill(&mut self, mut to: &mut [u8]) {
        while !to.is_empty() {
            let taken = self.next(to.len());
            let (now, later) = to.split_at_mut(taken.len());
            now.copy_from_slice(taken);
            if taken.is_empty() {
                return;
            }
            to = later;
        }
    }
}

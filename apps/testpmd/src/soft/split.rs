//! Buffer split: packets are cut into segments of lengths that were told (`set rxpkts`), each in a buffer of its own
//! pool (`--mbuf-size`), or behind headers (`set rxhdrs`), and segments without a pool are left out.

use super::counters::Lost;
use super::headers::Headers;
use iogate::packet::{IpProtocol, Layer2};
use iogate::prelude::*;

/// In front of the first segment, as everywhere in DPDK.
const HEADROOM: u16 = 128;

/// The last header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastHeader {
    Ethernet,
    Ip { v6: bool },
    Transport { v6: bool, protocol: IpProtocol },
}

impl LastHeader {
    /// By the names that are typed.
    const NAMES: [(&str, LastHeader); 9] = {
        const fn over(v6: bool, protocol: IpProtocol) -> LastHeader {
            LastHeader::Transport { v6, protocol }
        }
        [
            ("eth", LastHeader::Ethernet),
            ("ipv4", LastHeader::Ip { v6: false }),
            ("ipv6", LastHeader::Ip { v6: true }),
            ("ipv4-tcp", over(false, IpProtocol::TCP)),
            ("ipv4-udp", over(false, IpProtocol::UDP)),
            ("ipv4-sctp", over(false, IpProtocol::SCTP)),
            ("ipv6-tcp", over(true, IpProtocol::TCP)),
            ("ipv6-udp", over(true, IpProtocol::UDP)),
            ("ipv6-sctp", over(true, IpProtocol::SCTP)),
        ]
    };

    /// Those of a list.
    pub(crate) fn list(text: &str) -> Result<Vec<LastHeader>, String> {
        let one = |name: &str| Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, header)| *header);
        text.split(',').map(|name| one(name).ok_or_else(|| format!("Unsupported protocol: {name}"))).collect()
    }

    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    /// Where it ends in a frame that has it.
    fn end(self, frame: &[u8]) -> Option<usize> {
        let ip = || Headers::of(frame).ip;
        match self {
            LastHeader::Ethernet => Layer2::parse(frame).ok().map(|layer2| layer2.offset),
            LastHeader::Ip { v6 } => ip().filter(|ip| ip.v6 == v6).map(|ip| ip.payload.start),
            LastHeader::Transport { v6, protocol } => {
                let ip = ip().filter(|ip| ip.v6 == v6 && ip.protocol == protocol && ip.starts)?;
                let payload = frame.get(ip.payload.clone())?;
                let length = match protocol {
                    IpProtocol::TCP => usize::from(payload.get(12)? >> 4).max(5) * 4,
                    IpProtocol::SCTP => 12,
                    _ => 8,
                };
                (length <= payload.len()).then_some(ip.payload.start + length)
            }
        }
    }
}

/// A segment of a packet.
#[derive(Clone, Debug)]
struct Segment {
    /// Where its buffer is from, and how large that is; none: it is left out.
    buffer: Option<(MbufPool, u16)>,
    /// Where the data begins in the buffer, behind the headroom in the first segment.
    offset: u16,
    /// Its most bytes.
    length: usize,
    /// Where it ends before that; packets that have no such header have no such segment.
    last: Option<LastHeader>,
}

/// How packets are cut. What is longer than all segments goes on in buffers like the last.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    segments: Vec<Segment>,
    rest: Segment,
}

impl Split {
    /// Into segments of these lengths (0: up to the end of their header, or what a buffer holds, or all that is left)
    /// that begin at these offsets (0 where there are fewer), in buffers of these sizes and pools; the last of them is for all that follow, too.
    pub(crate) fn new(
        lengths: &[u16],
        headers: &[LastHeader],
        offsets: &[u16],
        sizes: &[u16],
        pools: &[Option<MbufPool>],
    ) -> Result<Split, String> {
        if pools.iter().all(Option::is_none) {
            return Err("All Rx segments would be discarded: a size of --mbuf-size has to be more than 0".to_owned());
        }
        let segment = |at: usize| {
            let of = at.min(pools.len() - 1);
            let (length, offset) = (lengths.get(at).copied().unwrap_or(0), offsets.get(at).copied().unwrap_or(0));
            let last = headers.get(at).copied().filter(|_| length == 0);
            let buffer = pools[of].clone().map(|pool| (pool, sizes[of]));
            let Some((_, size)) = &buffer else {
                let length = if length == 0 { usize::MAX } else { length.into() };
                return Ok(Segment { buffer, offset, length, last });
            };
            let before = u32::from(offset) + if at == 0 { u32::from(HEADROOM) } else { 0 };
            let room = u32::from(*size).saturating_sub(before);
            if room == 0 || u32::from(length) > room {
                return Err(format!("Rx segment {at}: {before} and {length} bytes do not fit a buffer of {size}"));
            }
            let length = if length == 0 { room as usize } else { length.into() };
            Ok(Segment { buffer, offset, length, last })
        };
        let count = lengths.len().max(pools.len());
        let segments = (0..count).map(segment).collect::<Result<Vec<_>, _>>()?;
        // Which ends with no header, or a packet without it would never end.
        Ok(Split { segments, rest: Segment { last: None, ..segment(count)? } })
    }

    /// Cuts a packet; how many bytes of it were left out. On an error it is as it was.
    pub(super) fn cut(&self, packet: &mut Mbuf) -> Result<usize, Lost> {
        if !packet.linearize() {
            return Err(Lost::Oversize);
        }
        let total = packet.len();
        let (mut at, mut left_out) = (0, 0);
        // The first segment that is kept stays where it is; the others are copied.
        let mut first = None;
        let mut others: Option<Mbuf> = None;
        for (number, segment) in self.segments.iter().chain(std::iter::repeat(&self.rest)).enumerate() {
            if at == total {
                break;
            }
            let end = match segment.last.map(|header| header.end(packet.data())) {
                None => total,
                Some(Some(end)) if end > at => end.min(total),
                Some(_) => continue,
            };
            let length = segment.length.min(end - at);
            match &segment.buffer {
                None => left_out += length,
                Some(_) if first.is_none() => first = Some((at, length, if number == 0 { segment.offset } else { 0 })),
                Some((pool, _)) => {
                    let copied = copy(pool, segment.offset, &packet.data()[at..at + length]).ok_or(Lost::NoBuffer)?;
                    match &mut others {
                        None => others = Some(copied),
                        Some(others) => others.chain(copied).map_err(|_| Lost::Oversize)?,
                    }
                }
            }
            at += length;
        }
        let Some((start, length, offset)) = first else { return Err(Lost::Empty) };
        // Room for the offset is made before anything is cut, where it can still be refused.
        if usize::from(offset) + start + length > total && packet.tailroom() < usize::from(offset) {
            return Err(Lost::Oversize);
        }
        let kept = packet.truncate(start + length) && packet.trim_front(start) && shift(packet, offset.into());
        debug_assert!(kept, "it was {total} bytes in one buffer");
        match others.map(|others| packet.chain(others)) {
            None | Some(Ok(())) => Ok(left_out),
            Some(Err(_)) => Err(Lost::Oversize),
        }
    }
}

/// Moves the data of a packet of one segment back.
fn shift(packet: &mut Mbuf, bytes: usize) -> bool {
    let length = packet.len();
    if bytes == 0 {
        return true;
    }
    if packet.append(bytes).is_none() {
        return false;
    }
    packet.data_mut().copy_within(..length, bytes);
    packet.trim_front(bytes)
}

/// Data in a buffer of its own, at an offset from the buffer's start.
fn copy(pool: &MbufPool, offset: u16, data: &[u8]) -> Option<Mbuf> {
    let mut buffer = pool.alloc()?;
    let (headroom, offset) = (buffer.headroom(), usize::from(offset));
    if offset <= headroom {
        buffer.prepend(headroom - offset)?;
        buffer.truncate(0).then_some(())?;
    } else {
        buffer.append(offset - headroom)?;
        buffer.trim_front(offset - headroom).then_some(())?;
    }
    buffer.append(data.len())?.copy_from_slice(data);
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iogate::testkit::{Frame, eal, mac};
    use proptest::prelude::*;

    fn pool(name: &str, size: u16) -> MbufPool {
        eal().pool(name).buffers(64).cache(0).data_room(size).create().unwrap()
    }

    fn cut(split: &Split, from: &MbufPool, frame: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
        let mut packet = from.alloc_from(frame).unwrap();
        let left_out = split.cut(&mut packet).ok()?;
        assert_eq!(packet.len(), frame.len() - left_out);
        Some((packet.segment_data().map(<[u8]>::to_vec).collect(), left_out))
    }

    #[test]
    fn packets_are_cut_and_parts_of_them_left_out() {
        let (whole, small) = (pool("split", 2176), pool("split-small", 256));
        let kept = Some(small.clone());
        let frame: Vec<u8> = (0..=255).chain(0..44).collect();
        let split = |lengths: &[u16], offsets: &[u16], pools: &[Option<MbufPool>]| {
            let sizes: Vec<u16> = pools.iter().map(|pool| if pool.is_some() { 256 } else { 0 }).collect();
            Split::new(lengths, &[], offsets, &sizes, pools).unwrap()
        };
        let lengths = |split: &Split| {
            let (segments, left_out) = cut(split, &whole, &frame).unwrap();
            (segments.iter().map(Vec::len).collect::<Vec<_>>(), left_out)
        };
        let all = std::slice::from_ref(&kept);
        assert_eq!(lengths(&split(&[14, 20], &[], all)), (vec![14, 20, 256, 10], 0));
        assert_eq!(lengths(&split(&[14, 20], &[30, 200], all)), (vec![14, 20, 256, 10], 0));
        assert_eq!(lengths(&split(&[0, 400], &[0, 0], &[kept.clone(), None])), (vec![128], 172));
        assert_eq!(lengths(&split(&[34, 0], &[], &[kept.clone(), None])), (vec![34], 266));
        let (segments, left_out) =
            cut(&split(&[14, 20, 100, 100, 0], &[], &[None, kept.clone(), None, kept.clone(), None]), &whole, &frame)
                .unwrap();
        assert_eq!((segments, left_out), (vec![frame[14..34].to_vec(), frame[134..234].to_vec()], 180));
        // Nothing would be left of it.
        assert_eq!(cut(&split(&[34, 20], &[], &[None, kept.clone()]), &whole, &frame[..34]), None);
        assert_eq!((whole.in_use(), small.in_use()), (0, 0));
    }

    #[test]
    fn headers_are_parted_from_what_they_carry() {
        let whole = pool("split-headers", 2176);
        let split = |headers: &str, pools: &[Option<MbufPool>]| {
            let headers = LastHeader::list(headers).unwrap();
            let sizes = vec![2176; pools.len()];
            Split::new(&vec![0; headers.len() + 1], &headers, &[], &sizes, pools).unwrap()
        };
        let all = [Some(whole.clone())];
        let ip = || Frame::ethernet(mac(1), mac(2)).vlan(5).ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
        let (udp, tcp) = (ip().udp(1, 2).payload([3; 30]).build(), ip().tcp(1, 2).payload([3; 30]).build());
        let v6 = Frame::ethernet(mac(1), mac(2)).ipv6([1; 16], [2; 16]).udp(1, 2).payload([3; 30]).build();
        let lengths = |split: &Split, frame: &[u8]| {
            cut(split, &whole, frame).map(|(segments, _)| segments.iter().map(Vec::len).collect::<Vec<_>>())
        };
        let each = split("eth,ipv4,ipv4-udp", &all);
        assert_eq!(lengths(&each, &udp), Some(vec![18, 20, 8, 30]));
        assert_eq!(lengths(&each, &tcp), Some(vec![18, 20, 50]), "as far as it has them");
        assert_eq!(lengths(&each, &v6), Some(vec![14, 78]));
        assert_eq!(lengths(&split("ipv4-tcp", &all), &tcp), Some(vec![58, 30]));
        assert_eq!(lengths(&split("ipv6-udp", &all), &v6), Some(vec![62, 30]));
        let payload = cut(&split("ipv4-udp", &[None, Some(whole.clone())]), &whole, &udp);
        assert_eq!(payload, Some((vec![vec![3; 30]], 46)));
        let names = "eth,ipv4,ipv6,ipv4-tcp,ipv4-udp,ipv4-sctp,ipv6-tcp,ipv6-udp,ipv6-sctp";
        assert_eq!(
            LastHeader::list(names).unwrap().iter().map(|header| header.name()).collect::<Vec<_>>().join(","),
            names
        );
        assert_eq!(LastHeader::list("eth,foo").unwrap_err(), "Unsupported protocol: foo");
        assert_eq!(whole.in_use(), 0);
    }

    #[test]
    fn data_begins_where_it_was_told_to() {
        let whole = pool("split-offsets", 2176);
        let split = Split::new(&[60, 100, 0], &[], &[10, 300], &[2176], &[Some(whole.clone())]).unwrap();
        let frame = vec![7; 400];
        let mut packet = whole.alloc_from(&frame).unwrap();
        assert_eq!(split.cut(&mut packet), Ok(0));
        assert_eq!((packet.headroom(), packet.segments()), (138, 3));
        assert_eq!(packet.segment_data().map(<[u8]>::len).collect::<Vec<_>>(), [60, 100, 240]);
        assert_eq!(copy(&whole, 300, &[1, 2]).unwrap().headroom(), 300);
        assert_eq!(copy(&whole, 0, &[1, 2]).unwrap().headroom(), 0);
        drop(packet);
        assert_eq!(whole.in_use(), 0);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let small = pool("split-refused", 256);
        let new = |lengths: &[u16], offsets: &[u16], pools: &[Option<MbufPool>]| {
            Split::new(lengths, &[], offsets, &[256], pools).map(drop).unwrap_err()
        };
        let all = [Some(small)];
        assert_eq!(new(&[4096, 0], &[], &all), "Rx segment 0: 128 and 4096 bytes do not fit a buffer of 256");
        assert_eq!(new(&[10, 200], &[0, 100], &all), "Rx segment 1: 100 and 200 bytes do not fit a buffer of 256");
        assert_eq!(new(&[0, 0], &[0, 256], &all), "Rx segment 1: 256 and 0 bytes do not fit a buffer of 256");
        assert!(new(&[0], &[], &[None]).starts_with("All Rx segments would be discarded"));
    }

    #[test]
    fn a_pool_that_has_run_dry_leaves_packets_as_they_are() {
        let (whole, few) = (pool("split-whole", 2176), pool("split-few", 256));
        let split = Split::new(&[20, 20], &[], &[], &[256], &[Some(few.clone())]).unwrap();
        let held: Vec<Mbuf> = std::iter::from_fn(|| few.alloc()).collect();
        let mut packet = whole.alloc_from(&[9; 100]).unwrap();
        assert_eq!(split.cut(&mut packet), Err(Lost::NoBuffer));
        assert_eq!((packet.len(), packet.segments()), (100, 1));
        drop((held, packet));
        assert_eq!((whole.in_use(), few.in_use()), (0, 0));
    }

    #[test]
    fn nothing_is_lost_but_what_is_left_out() {
        let (whole, small) = (pool("split-any", 4096), pool("split-any-small", 300));
        let segment = (0_u16..200, 0_u16..200, any::<bool>());
        let strategy =
            (proptest::collection::vec(segment, 2..8), proptest::collection::vec(any::<u8>(), 1..2000), any::<bool>());
        let mut runner = proptest::test_runner::TestRunner::default();
        let result = runner.run(&strategy, |(segments, mut frame, ip)| {
            if ip && let Some(start) = frame.get_mut(12..24) {
                start.copy_from_slice(&[8, 0, 0x45, 0, 0, 100, 0, 0, 0, 0, 64, 6]);
            }
            let lengths: Vec<u16> = segments.iter().map(|segment| segment.0).collect();
            // Of whatever the bytes look like.
            let headers = LastHeader::list("eth,ipv4,ipv4-tcp,ipv6-udp").unwrap();
            let offsets: Vec<u16> = segments.iter().map(|segment| segment.1).collect();
            let pools: Vec<Option<MbufPool>> =
                segments.iter().map(|segment| segment.2.then(|| small.clone())).collect();
            let Ok(split) = Split::new(&lengths, &headers, &offsets, &vec![300; lengths.len()], &pools) else {
                return Ok(());
            };
            if let Some((kept, left_out)) = cut(&split, &whole, &frame) {
                let kept = kept.concat();
                prop_assert_eq!(kept.len() + left_out, frame.len());
                prop_assert!(left_out > 0 || kept == frame);
                let mut from = frame.iter();
                prop_assert!(kept.iter().all(|byte| from.any(|known| known == byte)), "in order");
            }
            prop_assert_eq!((whole.in_use(), small.in_use()), (0, 0));
            Ok(())
        });
        result.unwrap();
    }
}

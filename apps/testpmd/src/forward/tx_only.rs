//! `txonly`: endless UDP datagrams from one address to another, nothing received.
//!
//! ```text
//!   | Ethernet: peer <- ours | IPv4: source -> destination | UDP: source -> destination, no checksum | payload |
//!     14                       20                            8                                         as configured
//! ```
//!
//! The headers, and the payload up to byte 64 of the frame, are written into every buffer; the rest
//! of the payload is what the buffer held before.

use super::{Config, Refused, Split, Stream};
use iogate::packet::{EtherType, Ethernet, Header, IpProtocol, Ipv4, Udp};
use iogate::prelude::*;

/// Ethernet, IPv4 and UDP.
pub(super) const HEADERS: usize = 14 + 20 + 8;
/// Where the UDP source port stands.
const SOURCE_PORT: usize = 14 + 20;
/// What is written into each frame: a cache line.
const WRITTEN: usize = 64;
/// The high byte of the first source port of many flows: 49152, the first ephemeral one.
const FIRST_FLOW: u8 = 0xc0;

/// Makes bursts of datagrams.
pub(super) struct TxOnly {
    pool: MbufPool,
    burst: usize,
    /// Bursts still to be made; nothing for no end.
    bursts: Option<u64>,
    segments: Vec<u16>,
    /// The front of a frame of one segment, of two, ...
    fronts: Vec<Front>,
    shape: Shape,
    flows: Option<Flows>,
}

/// How frames are cut into segments.
enum Shape {
    Single,
    All,
    Random(Dice),
}

#[derive(Clone)]
struct Front([u8; WRITTEN]);

impl TxOnly {
    pub(super) fn new(config: &Config, stream: &Stream) -> Result<Self, Refused> {
        let total = |segments: &[u16]| segments.iter().map(|length| usize::from(*length)).sum::<usize>();
        let mut segments = config.segments.clone();
        let random = config.split == Split::Random && segments.len() > 1;
        let first = segments.first().copied().unwrap_or(0);
        if (random || config.multi_flow) && usize::from(first) < HEADERS || total(&segments) < HEADERS {
            return Err(Refused::SegmentTooShort { length: first, needed: HEADERS });
        }
        let many = segments.len() > 1 && stream.tx.as_ref().is_some_and(|tx| tx.port().info().multi_segment_tx);
        if segments.len() > 1 && !many {
            // The device takes one buffer a packet: the same bytes in one piece.
            let whole = u16::try_from(total(&segments)).unwrap_or(u16::MAX);
            segments = vec![whole];
        }
        let room = stream.pool.alloc().map_or(0, |buffer| buffer.tailroom());
        if let Some(length) = segments.iter().find(|length| usize::from(**length) > room) {
            return Err(Refused::SegmentTooLong { length: *length, room });
        }
        let front = |segments: usize, all: &[u16]| Front::new(config, stream, total(&all[..segments]));
        Ok(TxOnly {
            pool: stream.pool.clone(),
            burst: config.burst,
            bursts: config.bursts,
            fronts: (1..=segments.len()).map(|count| front(count, &segments)).collect(),
            shape: match (many, random) {
                (true, true) => Shape::Random(Dice::default()),
                (true, false) => Shape::All,
                (false, _) => Shape::Single,
            },
            segments,
            flows: config.multi_flow.then(|| Flows::new(config.txonly_flows, stream.worker)),
        })
    }

    /// Adds a burst of packets of one segment; fewer when the pool has not as many.
    #[inline]
    fn take(&self, batch: &mut Batch) {
        let end = batch.len() + self.burst;
        if self.pool.alloc_packets(batch, end, self.segments[0]) > 0 {
            return;
        }
        while !batch.is_full() && batch.len() < end {
            if self.pool.alloc_packets(batch, batch.len() + 1, self.segments[0]) == 0 {
                return;
            }
        }
    }
}

impl Stage for TxOnly {
    /// Nothing is polled for it.
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        cx.consume_all(batch);
    }

    #[inline]
    fn generate(&mut self, batch: &mut Batch, cx: &mut Context) {
        if let Some(left) = &mut self.bursts {
            if *left == 0 {
                return;
            }
            *left -= 1;
        }
        let before = batch.len();
        self.take(batch);
        let TxOnly { pool, segments, fronts, shape, flows, .. } = self;
        for packet in &mut batch.packets_mut()[before..] {
            match shape {
                Shape::Single => fronts[0].write(packet.data_mut(), flows),
                Shape::All => {
                    fronts[segments.len() - 1].write_all(packet, &segments[1..], pool, flows);
                }
                Shape::Random(dice) => {
                    let count = dice.below(segments.len() as u64) as usize + 1;
                    fronts[count - 1].write_all(packet, &segments[1..count], pool, flows);
                }
            }
        }
        cx.generated((batch.len() - before) as u64);
    }
}

impl Front {
    /// Of frames of `length` bytes.
    fn new(config: &Config, stream: &Stream, length: usize) -> Front {
        let datagram = &config.datagram;
        let mut bytes = [0; WRITTEN];
        let payload = length.saturating_sub(HEADERS).min(usize::from(u16::MAX) - 28);
        let write = |bytes: &mut [u8]| {
            let (ethernet, rest) = Ethernet::place(bytes)?;
            *ethernet = Ethernet::new(stream.peer, stream.mac, EtherType::IPV4);
            let (ip, rest) = Ipv4::place(rest)?;
            ip.set_total_len((28 + payload) as u16);
            ip.set_ttl(64);
            ip.set_protocol(IpProtocol::UDP);
            ip.set_src(datagram.src);
            ip.set_dst(datagram.dst);
            ip.fill_checksum();
            let (udp, _) = Udp::place(rest)?;
            udp.set_src_port(datagram.src_port);
            udp.set_dst_port(datagram.dst_port);
            udp.set_len((8 + payload) as u16);
            Ok::<(), iogate::packet::Malformed>(())
        };
        write(&mut bytes).expect("the front has room for all headers");
        Front(bytes)
    }

    /// Writes it to a frame.
    #[inline]
    fn write(&self, bytes: &mut [u8], flows: &mut Option<Flows>) {
        if let Some(front) = bytes.first_chunk_mut::<WRITTEN>() {
            *front = self.0;
        } else {
            bytes.copy_from_slice(&self.0[..bytes.len()]);
        }
        if let (Some(flows), Some(port)) = (flows, bytes.get_mut(SOURCE_PORT..SOURCE_PORT + 2)) {
            port.copy_from_slice(&flows.next_port());
        }
    }

    /// Adds the other segments of a frame, as far as the pool goes, and writes it to all of them.
    fn write_all(&self, packet: &mut Mbuf, others: &[u16], pool: &MbufPool, flows: &mut Option<Flows>) {
        let mut front = self.clone();
        if let Some(flows) = flows {
            front.0[SOURCE_PORT..SOURCE_PORT + 2].copy_from_slice(&flows.next_port());
        }
        let mut rest = &front.0[..];
        let mut next = |bytes: &mut [u8]| {
            let (here, later) = rest.split_at(rest.len().min(bytes.len()));
            bytes[..here.len()].copy_from_slice(here);
            rest = later;
        };
        next(packet.data_mut());
        for length in others {
            let segment = pool.alloc().and_then(|mut segment| {
                next(segment.append(usize::from(*length))?);
                Some(segment)
            });
            let Some(Ok(())) = segment.map(|segment| packet.chain(segment)) else { break };
        }
    }
}

/// Varies the source port: its high byte tells the flows apart, its low byte the workers.
struct Flows {
    flows: u16,
    now: u16,
    worker: u8,
}

impl Flows {
    fn new(flows: u16, worker: u8) -> Self {
        Flows { flows: flows.max(1), now: 0, worker }
    }

    #[inline]
    fn next_port(&mut self) -> [u8; 2] {
        let high = FIRST_FLOW.wrapping_add(self.now as u8);
        self.now = if self.now + 1 < self.flows { self.now + 1 } else { 0 };
        [high, self.worker]
    }
}

/// Numbers that look random, for lengths and memory accesses (xorshift64*).
pub(super) struct Dice(u64);

impl Default for Dice {
    fn default() -> Self {
        Dice(0x9e37_79b9_7f4a_7c15)
    }
}

impl Dice {
    /// Any number.
    #[inline]
    pub(super) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is not 0.
    #[inline]
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.roll()) * u128::from(end)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use crate::forward::{Config, Mode, Refused, Split, testing::*};
    use iogate::packet::{Ethernet, Header, Ipv4, Udp};
    use iogate::testkit::Frame;
    use std::collections::BTreeSet;

    fn made(config: &Config, count: usize) -> Vec<Vec<u8>> {
        Rig::new(Mode::TxOnly, config).make_frames(count)
    }

    /// The datagram of a frame of `length` bytes, its payload zeros.
    fn datagram(length: usize) -> Vec<u8> {
        let mut frame = Frame::ethernet(OURS, PEER)
            .ipv4([198, 18, 0, 1], [198, 18, 0, 2])
            .udp(9, 9)
            .payload(vec![0; length - 42])
            .build();
        frame[40..42].fill(0);
        frame
    }

    #[test]
    fn frames_are_as_the_options_say() {
        let frames = made(&config(), 100);
        assert!(frames.len() >= 100 && frames.iter().all(|frame| *frame == datagram(64)));
        let frames = made(&Config { segments: vec![50], ..config() }, 40);
        assert!(frames.iter().all(|frame| *frame == datagram(50)));
        let frames = made(&Config { segments: vec![1500], burst: 7, ..config() }, 40);
        assert!(frames.iter().all(|frame| frame.len() == 1500 && frame[..64] == datagram(1500)[..64]));
    }

    #[test]
    fn a_number_of_bursts_and_no_more() {
        let run = Rig::run_until(Mode::TxOnly, &Config { bursts: Some(3), burst: 10, ..config() }, &[], 30);
        assert_eq!((run.frames.len(), run.totals.generated, run.totals.sent), (30, 30, 30));
    }

    #[test]
    fn segments_make_up_a_frame() {
        let frames = made(&Config { segments: vec![20, 30, 14], ..config() }, 40);
        assert!(frames.iter().all(|frame| *frame == datagram(64)));
        let split = Config { segments: vec![42, 100, 200], split: Split::Random, ..config() };
        let frames = made(&split, 100);
        let lengths: BTreeSet<_> = frames.iter().map(Vec::len).collect();
        assert!(lengths.iter().all(|length| [42, 142, 342].contains(length)), "{lengths:?}");
        for frame in frames {
            let (ip, rest) = Ipv4::parse(&frame[14..]).unwrap();
            assert!(ip.checksum_ok() && Udp::parse(rest).unwrap().1.len() == frame.len() - 42);
        }
    }

    #[test]
    fn flows_differ_in_the_source_port() {
        for flows in [64, 5] {
            let config = Config { multi_flow: true, txonly_flows: flows, ..config() };
            let frames = made(&config, 200);
            let ports: Vec<_> = frames.iter().map(|frame| Udp::parse(&frame[34..]).unwrap().0.src_port()).collect();
            let expected = (0..).map(|number| 0xc000 + ((number % flows) << 8) + u16::from(WORKER));
            assert!(ports.iter().copied().eq(expected.take(ports.len())), "{ports:x?}");
            assert!(frames.iter().all(|frame| Ethernet::parse(frame).unwrap().0.src() == OURS));
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        let refused = |config: Config| Rig::try_new(Mode::TxOnly, &config).err();
        let short = |length| Some(Refused::SegmentTooShort { length, needed: 42 });
        assert_eq!(refused(Config { segments: vec![41], ..config() }), short(41));
        assert_eq!(refused(Config { segments: vec![], ..config() }), short(0));
        assert_eq!(refused(Config { segments: vec![20, 60], multi_flow: true, ..config() }), short(20));
        let long = refused(Config { segments: vec![3000], ..config() });
        assert_eq!(long, Some(Refused::SegmentTooLong { length: 3000, room: 2048 }));
    }

    #[test]
    fn a_dry_pool_makes_fewer() {
        let mut rig = Rig::with_buffers(Mode::TxOnly, &config(), 20);
        assert_eq!(rig.round().len(), 20);
        assert_eq!(rig.round().len(), 20);
    }
}

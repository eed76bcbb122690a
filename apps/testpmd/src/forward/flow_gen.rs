//! `flowgen`: endless UDP datagrams of many flows, told apart by their destination address; what is
//! received is counted and freed.
//!
//! ```text
//!   10.254.0.0:1000 -> 10.253.0.0 + flow:1001, from 00:01:02:03:04:00 to 00:01:02:03:04:01
//! ```
//!
//! Frames are four bytes shorter than `txpkts` says: the check sequence is counted in.

use super::tx_only::HEADERS;
use super::{Config, Refused, Stream};
use iogate::packet::{EtherType, Ethernet, Header, IpProtocol, Ipv4, Udp, checksum};
use iogate::prelude::*;

const SRC: MacAddr = MacAddr::new([0, 1, 2, 3, 4, 0]);
const DST: MacAddr = MacAddr::new([0, 1, 2, 3, 4, 1]);
const SRC_IP: [u8; 4] = [10, 254, 0, 0];
const FIRST_DST_IP: u32 = u32::from_be_bytes([10, 253, 0, 0]);
const PORTS: (u16, u16) = (1000, 1001);
const CHECK_SEQUENCE: usize = 4;
/// Where the IP checksum and the destination address stand.
const CHECKSUM: usize = 14 + 10;
const DST_IP: usize = 14 + 16;

/// Makes bursts of datagrams, one of each flow in turn.
pub(super) struct FlowGen {
    pool: MbufPool,
    burst: usize,
    length: u16,
    headers: [u8; HEADERS],
    /// Of the IP header, without its checksum and destination.
    sum: u64,
    flows: u32,
    /// How many packets in a row are the same.
    alike: usize,
    next: u32,
}

impl FlowGen {
    pub(super) fn new(config: &Config, stream: &Stream) -> Result<Self, Refused> {
        let total: usize = config.segments.iter().map(|length| usize::from(*length)).sum();
        let room = stream.pool.alloc().map_or(0, |buffer| buffer.tailroom());
        if total < HEADERS + CHECK_SEQUENCE {
            return Err(Refused::SegmentTooShort { length: total as u16, needed: HEADERS + CHECK_SEQUENCE });
        }
        let length = total - CHECK_SEQUENCE;
        if length > room {
            return Err(Refused::SegmentTooLong { length: u16::try_from(length).unwrap_or(u16::MAX), room });
        }
        let mut headers = [0; HEADERS];
        let sum = write_headers(&mut headers, length).expect("there is room for all of them");
        let (pool, flows) = (stream.pool.clone(), config.flowgen_flows.max(1));
        let alike = usize::from(config.flowgen_clones) + 1;
        // It fits a buffer, whose size is a u16.
        Ok(FlowGen { pool, burst: config.burst, length: length as u16, headers, sum, flows, alike, next: 0 })
    }
}

fn write_headers(bytes: &mut [u8], length: usize) -> Result<u64, iogate::packet::Malformed> {
    let (ethernet, rest) = Ethernet::place(bytes)?;
    *ethernet = Ethernet::new(DST, SRC, EtherType::IPV4);
    let (ip, rest) = Ipv4::place(rest)?;
    ip.set_total_len((length - 14) as u16);
    ip.set_ttl(64);
    ip.set_protocol(IpProtocol::UDP);
    ip.set_src(SRC_IP.into());
    let (udp, _) = Udp::place(rest)?;
    udp.set_src_port(PORTS.0);
    udp.set_dst_port(PORTS.1);
    udp.set_len((length - 34) as u16);
    ip.set_checksum(0);
    Ok(checksum::sum(&bytes[14..34]))
}

impl Stage for FlowGen {
    #[inline]
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        cx.consume_all(batch);
    }

    #[inline]
    fn generate(&mut self, batch: &mut Batch, cx: &mut Context) {
        let before = batch.len();
        self.pool.alloc_packets(batch, before + self.burst, self.length);
        // How many more packets are like the one before. Each takes a flow's turn all the same, as in the original.
        let (mut alike, mut dst) = (0, 0);
        for packet in &mut batch.packets_mut()[before..] {
            let Some(front) = packet.data_mut().first_chunk_mut::<HEADERS>() else { continue };
            if alike == 0 {
                (alike, dst) = (self.alike, FIRST_DST_IP.wrapping_add(self.next));
            }
            alike -= 1;
            self.next = if self.next + 1 < self.flows { self.next + 1 } else { 0 };
            *front = self.headers;
            front[DST_IP..DST_IP + 4].copy_from_slice(&dst.to_be_bytes());
            let checksum = !checksum::fold(self.sum + u64::from(dst));
            front[CHECKSUM..CHECKSUM + 2].copy_from_slice(&checksum.to_be_bytes());
        }
        cx.generated((batch.len() - before) as u64);
    }
}

#[cfg(test)]
mod tests {
    use crate::forward::{Config, Mode, Refused, testing::*};
    use iogate::testkit::Frame;

    fn datagram(flow: u32, length: usize) -> Vec<u8> {
        let dst = (0x0afd_0000_u32 + flow).to_be_bytes();
        let mut frame = Frame::ethernet([0, 1, 2, 3, 4, 0], [0, 1, 2, 3, 4, 1])
            .ipv4([10, 254, 0, 0], dst)
            .udp(1000, 1001)
            .payload(vec![0; length - 42])
            .build();
        frame[40..42].fill(0);
        frame
    }

    #[test]
    fn flows_take_turns() {
        for (flows, segments, length) in [(1024, vec![64], 60), (3, vec![100], 96), (1, vec![46], 42)] {
            let config = Config { flowgen_flows: flows, segments, ..config() };
            let frames = Rig::new(Mode::FlowGen, &config).make_frames(1500);
            for (number, frame) in (0..).zip(&frames) {
                assert_eq!(frame[..42], datagram(number % flows, length)[..42], "{number}");
                assert_eq!(frame.len(), length);
            }
        }
    }

    #[test]
    fn clones_take_the_turns_of_flows() {
        // In bursts of 32 the last three are two.
        let config = Config { flowgen_flows: 10, flowgen_clones: 2, ..config() };
        let frames = Rig::new(Mode::FlowGen, &config).make_frames(64);
        for (number, frame) in frames.iter().enumerate() {
            let first = number / 32 * 32 + number % 32 / 3 * 3;
            assert_eq!(frame[..42], datagram(first as u32 % 10, 60)[..42], "{number}");
        }
    }

    #[test]
    fn what_comes_in_is_used_up() {
        let run = Rig::run_until(Mode::FlowGen, &config(), &samples(), 100);
        assert_eq!((run.totals.consumed, run.totals.balanced()), (samples().len() as u64, true));
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        let refused = |length| Rig::try_new(Mode::FlowGen, &Config { segments: vec![length], ..config() }).err();
        assert_eq!(refused(45), Some(Refused::SegmentTooShort { length: 45, needed: 46 }));
        assert_eq!(refused(4000), Some(Refused::SegmentTooLong { length: 3996, room: 2048 }));
    }
}

//! Segments of TCP put together before `csum` works on them: `set port N gro on`.

use iogate::memory;
use iogate::prelude::*;

/// Holds segments for a few rounds and passes on what became of them. Packets that are none stay where they are, so
/// they overtake those that are held. What is held when the worker stops goes on then.
pub(super) struct Gro {
    gro: memory::Gro,
    /// After so many rounds what is held goes on; with 1 at once.
    rounds: u32,
    gone: u32,
}

/// Connections that are put together at a time, and packets of each.
const CONNECTIONS: u16 = 64;
const PACKETS: u16 = 32;

impl Gro {
    pub(super) fn new(rounds: u32) -> iogate::Result<Gro> {
        Ok(Gro { gro: memory::Gro::new(CONNECTIONS, PACKETS)?, rounds, gone: 0 })
    }
}

impl Stage for Gro {
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        cx.handed_over(self.gro.take(batch) as u64);
        if self.rounds <= 1 {
            cx.generated(self.gro.give(batch) as u64);
        }
    }

    fn generate(&mut self, batch: &mut Batch, cx: &mut Context) {
        self.gone += 1;
        if self.gone >= self.rounds {
            cx.generated(self.gro.give(batch) as u64);
            // What found no room is next.
            self.gone = if self.gro.held() > 0 { self.rounds } else { 0 };
        }
    }

    fn drain(&mut self, batch: &mut Batch, cx: &mut Context) {
        cx.generated(self.gro.give(batch) as u64);
    }
}

#[cfg(test)]
mod tests {
    use crate::forward::{Config, Mode, testing::*};
    use iogate::packet::{Header, Ipv4, PseudoHeader, Tcp, TcpFlags};
    use iogate::testkit::Frame;

    /// With segments from port `0` put together.
    fn gro(rounds: u32) -> Config {
        Config { gro: (0..64).collect(), gro_rounds: rounds, ..config() }
    }

    /// So many segments of 100 bytes that follow one another, from a port.
    fn segments(count: u32, port: u16) -> Vec<Vec<u8>> {
        let segment = |number: u32| {
            let frame = Frame::ethernet(OURS, PEER).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(port, 80);
            let frame = frame.tcp_flags(TcpFlags::ACK).tcp_sequence(1000 + 100 * number);
            let mut frame = frame.payload(vec![number as u8; 100]).build();
            // Not to be fragmented, as TCP's are: their identification says nothing then (RFC 6864).
            frame[20] |= 0x40;
            frame
        };
        (0..count).map(segment).collect()
    }

    fn is_right(frame: &[u8]) -> bool {
        let (ip, payload) = Ipv4::parse(&frame[14..]).unwrap();
        ip.checksum_ok() && PseudoHeader::of_ipv4(ip).verify(payload)
    }

    #[test]
    fn segments_of_a_burst_become_one_packet_with_right_checksums() {
        let mut rig = Rig::new(Mode::Csum, &gro(1));
        let udp = Frame::ethernet(OURS, PEER).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2).payload([3; 9]).build();
        let mut frames = segments(5, 7);
        frames.splice(2..2, [udp.clone()]);
        frames.extend(segments(3, 8));
        let sent = rig.pass_all(&frames);
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [udp.len(), 54 + 500, 54 + 300]);
        assert_eq!(sent[0], udp);
        for (frame, count) in [(&sent[1], 5), (&sent[2], 3)] {
            assert!(is_right(frame));
            let payload = &Tcp::parse(&frame[34..]).unwrap().1;
            let expected: Vec<u8> = (0..count).flat_map(|number| [number; 100]).collect();
            assert_eq!(payload, &expected);
        }
        // What does not follow stays apart, and so does all where it is off.
        let apart = [segments(1, 7), segments(3, 7)[2..].to_vec()].concat();
        assert_eq!(rig.pass_all(&apart).len(), 2);
        assert_eq!(Rig::new(Mode::Csum, &config()).pass_all(&segments(5, 7)).len(), 5);
    }

    #[test]
    fn over_several_rounds_nothing_is_lost_or_held_for_ever() {
        for count in [1, 2, 31] {
            let frames: Vec<_> = (0..count).flat_map(|port| segments(3, 100 + port)).collect();
            let run = Rig::run_until(Mode::Csum, &gro(4), &frames, usize::from(count));
            assert!(run.totals.balanced(), "{:?}", run.totals);
            let payload: usize = run.frames.iter().map(|frame| frame.len() - 54).sum();
            assert_eq!(payload, usize::from(count) * 300);
            assert!(run.frames.iter().all(|frame| is_right(frame)));
        }
    }

    #[test]
    fn what_is_held_at_the_end_is_sent() {
        // More than a batch.
        let frames: Vec<_> = (0..40).flat_map(|port| segments(3, 100 + port)).collect();
        let run = Rig::run_until(Mode::Csum, &gro(u32::MAX), &frames, 0);
        assert!(run.totals.balanced() && run.totals.dropped == 0, "{:?}", run.totals);
        let payload: usize = run.frames.iter().map(|frame| frame.len() - 54).sum();
        assert_eq!((payload, run.totals.sent as usize), (40 * 300, run.frames.len()));
        assert!(run.frames.iter().all(|frame| is_right(frame)));
    }
}

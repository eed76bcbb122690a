//! `noisy`: forwards like a busy network function: touches memory for every packet, and holds packets
//! back in a FIFO.
//!
//! ```text
//!   received -> io, mac, macswap or 5tswap -> FIFO -> sent when the FIFO overflows, or was quiet too long
//!                                             memory touched for every packet that went in
//! ```

use super::door::Door;
use super::tx_only::Dice;
use super::{Config, Refused};
use iogate::pipeline::Description;
use iogate::prelude::*;
use iogate::telemetry::{cycles, cycles_per_second};
use std::collections::VecDeque;

/// The FIFO and the memory, and the door behind them.
pub(super) struct Noisy {
    fifo: VecDeque<Mbuf>,
    capacity: usize,
    flush_after: Option<u64>,
    /// When something was last sent because of the time, or first of all looked at.
    last_flush: Option<u64>,
    memory: Memory,
    door: Door,
    out: Batch,
}

impl Noisy {
    pub(super) fn new(config: &Config, door: Door) -> Result<Self, Refused> {
        let noisy = &config.noisy;
        let accesses = noisy.reads + noisy.writes + noisy.reads_writes;
        if accesses > 0 && noisy.memory_mb == 0 {
            return Err(Refused::NoMemory);
        }
        // DPDK's rings, which the original takes, hold one less than their size, a power of two.
        let capacity = match usize::from(noisy.buffer) {
            0 => 0,
            size if size.is_power_of_two() => size - 1,
            size => return Err(Refused::BufferSize { size }),
        };
        let milliseconds = u64::from(noisy.flush_ms);
        Ok(Noisy {
            fifo: VecDeque::with_capacity(capacity),
            capacity,
            flush_after: (milliseconds > 0).then(|| milliseconds * cycles_per_second() / 1000),
            last_flush: None,
            memory: Memory::new(noisy),
            door,
            out: Batch::new(),
        })
    }

    /// Sends up to `count` of those that wait longest.
    fn release(&mut self, count: usize) {
        for _ in 0..count {
            let Some(packet) = self.fifo.pop_front() else { break };
            if let Err(packet) = self.out.push(packet, ()) {
                self.door.send(&mut self.out);
                // It was just emptied.
                drop(self.out.push(packet, ()));
            }
        }
        if !self.out.is_empty() {
            self.door.send(&mut self.out);
        }
    }
}

impl Stage for Noisy {
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        self.memory.touch(batch.len());
        if self.capacity == 0 {
            self.door.send(batch);
            return;
        }
        let excess = (self.fifo.len() + batch.len()).saturating_sub(self.capacity);
        self.release(excess);
        for (packet, ()) in batch.drain() {
            // A FIFO smaller than a burst holds less than that.
            if self.fifo.len() == self.capacity {
                cx.drop(packet, Noisy::FULL);
            } else {
                self.fifo.push_back(packet);
            }
        }
    }

    fn flush(&mut self, cx: &mut Context) {
        if let Some(after) = self.flush_after {
            let now = cycles();
            let last = *self.last_flush.get_or_insert(now);
            if now.wrapping_sub(last) >= after {
                self.last_flush = Some(now);
                self.release(self.fifo.len());
            }
        }
        self.door.flush(cx);
    }

    fn finish(&mut self) {
        self.release(self.fifo.len());
        Stage::finish(&mut self.door);
    }

    fn describe(&self, description: &mut Description) {
        Stage::describe(&self.door, description);
    }
}

impl Noisy {
    /// The FIFO was full and smaller than a burst.
    pub(super) const FULL: DropReason = DropReason::app(0);
}

/// What a network function looks up for each packet.
struct Memory {
    bytes: Vec<u8>,
    dice: Dice,
    reads: u64,
    writes: u64,
}

const LINE: usize = 64;

impl Memory {
    fn new(noisy: &super::NoisyConfig) -> Self {
        let bytes = vec![0; noisy.memory_mb as usize * 1024 * 1024];
        // Reading and writing one after the other is one of each.
        let (reads, writes) = (noisy.reads + noisy.reads_writes, noisy.writes + noisy.reads_writes);
        Memory { bytes, dice: Dice::default(), reads, writes }
    }

    /// Touches random lines, for so many packets.
    #[inline]
    fn touch(&mut self, packets: usize) {
        if self.bytes.is_empty() || self.reads + self.writes == 0 {
            return;
        }
        let lines = (self.bytes.len() / LINE) as u64;
        for _ in 0..packets {
            for _ in 0..self.writes {
                let at = self.dice.below(lines) as usize * LINE;
                self.bytes[at] = self.dice.roll() as u8;
            }
            for _ in 0..self.reads {
                let at = self.dice.below(lines) as usize * LINE;
                std::hint::black_box(self.bytes[at]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::{Mode, NoisyConfig, NoisyMode, testing::*};

    fn noisy(noisy: NoisyConfig) -> Config {
        Config { noisy, ..config() }
    }

    fn numbered(count: u8) -> Vec<Vec<u8>> {
        (0..count).map(|number| vec![number; 60]).collect()
    }

    #[test]
    fn without_a_fifo_packets_pass_and_memory_is_touched() {
        let config =
            noisy(NoisyConfig { memory_mb: 1, reads: 3, writes: 2, reads_writes: 1, ..NoisyConfig::default() });
        assert_eq!(Rig::new(Mode::Noisy, &config).pass_all(&samples()), samples());
    }

    #[test]
    fn a_fifo_holds_packets_back_in_order_until_it_overflows_or_ends() {
        let config = noisy(NoisyConfig { buffer: 16, ..NoisyConfig::default() });
        let mut rig = Rig::new(Mode::Noisy, &config);
        assert_eq!(rig.pass_all(&numbered(10)), Vec::<Vec<u8>>::new());
        assert_eq!(rig.pass_all(&numbered(10)), numbered(5));
        assert_eq!(rig.finish(), [&numbered(10)[5..], &numbered(10)[..]].concat());
    }

    #[test]
    fn quiet_packets_leave_after_the_flush_time() {
        let config = noisy(NoisyConfig { buffer: 128, flush_ms: 5, ..NoisyConfig::default() });
        let mut rig = Rig::new(Mode::Noisy, &config);
        assert_eq!(rig.pass_all(&numbered(7)), Vec::<Vec<u8>>::new());
        std::thread::sleep(std::time::Duration::from_millis(6));
        assert_eq!(rig.pass_all::<Vec<u8>>(&[]), numbered(7));
    }

    #[test]
    fn a_fifo_smaller_than_a_burst_drops_and_says_so() {
        let config = noisy(NoisyConfig { buffer: 8, ..NoisyConfig::default() });
        let run = Rig::run_until(Mode::Noisy, &config, &numbered(40), 0);
        assert!(run.totals.balanced(), "{:?}", run.totals);
        assert_eq!(run.totals.sent + run.totals.dropped, 40);
    }

    #[test]
    fn it_can_work_on_headers_too() {
        for (mode, like) in [
            (NoisyMode::Io, Mode::Io),
            (NoisyMode::Mac, Mode::Mac),
            (NoisyMode::MacSwap, Mode::MacSwap),
            (NoisyMode::FiveTupleSwap, Mode::FiveTupleSwap),
        ] {
            let config = noisy(NoisyConfig { mode, ..NoisyConfig::default() });
            assert_eq!(Rig::new(Mode::Noisy, &config).pass_all(&samples()), forward(like, &samples()));
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let refused = |noisy_config| Rig::try_new(Mode::Noisy, &noisy(noisy_config)).err();
        let no_memory = NoisyConfig { reads: 1, ..NoisyConfig::default() };
        assert_eq!(refused(no_memory), Some(Refused::NoMemory));
        let odd = NoisyConfig { buffer: 100, ..NoisyConfig::default() };
        assert_eq!(refused(odd), Some(Refused::BufferSize { size: 100 }));
    }
}

//! A port with the test at the other end.

use super::{eal, pool};
use crate::memory::{Batch, Mbuf, MbufPool};
use crate::port::{Port, RxQueue, TxQueue};
use std::time::{Duration, Instant};

/// Slots of each direction's ring; it holds one packet less.
const SLOTS: u32 = 1024;

/// A real port whose wire ends in the test: what is injected is received by the code under test, and
/// what that sends is collected here.
///
/// ```
/// use iogate::memory::Batch;
/// use iogate::testkit::FakePort;
///
/// let mut fake = FakePort::new("example");
/// fake.inject(&[0xaa; 60]);
/// let mut batch: Batch = Batch::new();
/// assert_eq!(fake.port.rx(0).unwrap().receive(&mut batch), 1);
/// fake.port.tx(0).unwrap().send(&mut batch);
/// assert_eq!(fake.received(), [[0xaa; 60]]);
/// ```
#[derive(Debug)]
pub struct FakePort {
    /// The end for the code under test.
    pub port: Port,
    rx: RxQueue,
    tx: TxQueue,
    pool: MbufPool,
}

impl FakePort {
    /// With a pool of its own, of 2048 buffers.
    pub fn new(name: &str) -> Self {
        Self::with_pool(name, &pool(name, 2048))
    }

    /// With buffers from a pool that others use too.
    pub fn with_pool(name: &str, pool: &MbufPool) -> Self {
        Self::with_slots(name, pool, SLOTS)
    }

    /// With rings of `slots`, a power of two, which hold one packet less: a port that is soon full.
    ///
    /// # Panics
    /// When the ports cannot be made.
    pub fn with_slots(name: &str, pool: &MbufPool, slots: u32) -> Self {
        let make = || {
            let (near, far) = eal().port_pair(name, slots)?;
            let (port, far) = (near.pool(pool).start()?, far.pool(pool).start()?);
            let (rx, tx) = (far.rx(0)?, far.tx(0)?);
            Ok::<_, crate::Error>(FakePort { port, rx, tx, pool: pool.clone() })
        };
        make().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Where its frames come from.
    pub fn pool(&self) -> &MbufPool {
        &self.pool
    }

    /// Has the port receive a frame.
    ///
    /// # Panics
    /// When its ring is full, the pool is dry, or the frame is larger than a buffer.
    pub fn inject(&mut self, frame: &[u8]) {
        self.inject_many([frame]);
    }

    /// Has the port receive frames, in order.
    ///
    /// # Panics
    /// As [`inject`](FakePort::inject).
    pub fn inject_many<F: AsRef<[u8]>>(&mut self, frames: impl IntoIterator<Item = F>) {
        for frame in frames {
            let packet = self.packet(frame.as_ref());
            self.inject_packet(packet);
        }
    }

    /// Has the port receive a frame whose VLAN tag, if it has one, the device took off and keeps beside it.
    ///
    /// # Panics
    /// As [`inject`](FakePort::inject).
    pub fn inject_stripped(&mut self, frame: &[u8]) {
        let mut packet = self.packet(frame);
        let _tagged = packet.strip_vlan();
        self.inject_packet(packet);
    }

    /// Has the port receive a frame, in as many buffers as it takes, that a guest left to its card:
    /// [`Mbuf::leave_unfinished`].
    ///
    /// # Panics
    /// As [`inject`](FakePort::inject).
    pub fn inject_unfinished(&mut self, frame: &[u8], segment_size: Option<u16>) {
        let mut pieces = frame.chunks(2048).map(|piece| self.packet(piece));
        let mut packet = pieces.next().expect("a frame has bytes");
        pieces.for_each(|piece| packet.chain(piece).expect("few pieces"));
        packet.leave_unfinished(segment_size);
        self.inject_packet(packet);
    }

    fn packet(&self, frame: &[u8]) -> Mbuf {
        let packet = self.pool.alloc_from(frame);
        packet.unwrap_or_else(|| panic!("no buffer for a frame of {} bytes", frame.len()))
    }

    fn inject_packet(&mut self, packet: Mbuf) {
        let mut batch: Batch = Batch::new();
        drop(batch.push(packet, ()));
        assert_eq!(self.tx.send(&mut batch), 1, "the ring of {} is full", self.pool.name());
    }

    /// What the code under test has sent since the last call, in order.
    pub fn received(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut batch: Batch = Batch::new();
        while self.rx.receive(&mut batch) > 0 {
            for (mut packet, ()) in batch.drain() {
                assert!(packet.linearize(), "a packet of {} bytes fits no buffer", packet.len());
                frames.push(packet.data().to_vec());
            }
        }
        frames
    }

    /// As [`received`](FakePort::received), but waits until there are at least `count`, ten seconds
    /// at most.
    pub fn wait_for(&mut self, count: usize) -> Vec<Vec<u8>> {
        let end = Instant::now() + Duration::from_secs(10);
        let mut frames = self.received();
        while frames.len() < count && Instant::now() < end {
            std::thread::sleep(Duration::from_micros(200));
            frames.append(&mut self.received());
        }
        frames
    }
}

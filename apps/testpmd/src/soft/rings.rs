//! RX queues that packets are put into by software.

use crossbeam_queue::ArrayQueue;
use iogate::prelude::*;

/// Places in a queue when nobody says how many.
const USUAL: usize = 512;

/// A queue for packets of each RX queue of a port. Streams that poll the device put packets in, the one stream of a
/// queue takes its packets out; none of them waits for another.
#[derive(Debug)]
pub(super) struct Rings(Vec<ArrayQueue<Mbuf>>);

impl Rings {
    /// Queues with so many places; 0: as many as are usual.
    pub(super) fn new(places: impl Iterator<Item = u16>) -> Rings {
        let ring = |places: u16| ArrayQueue::new(if places == 0 { USUAL } else { usize::from(places) });
        Rings(places.map(ring).collect())
    }

    /// Puts a packet into a queue; gives it back when that is full, or there is none.
    #[inline]
    pub(super) fn put(&self, queue: u16, packet: Mbuf) -> Result<(), Mbuf> {
        match self.0.get(usize::from(queue)) {
            Some(ring) => ring.push(packet),
            None => Err(packet),
        }
    }

    /// Takes a packet out of a queue.
    #[inline]
    pub(super) fn take(&self, queue: u16) -> Option<Mbuf> {
        self.0.get(usize::from(queue))?.pop()
    }

    /// Packets that wait in a queue.
    pub(super) fn waiting(&self, queue: u16) -> usize {
        self.0.get(usize::from(queue)).map_or(0, ArrayQueue::len)
    }

    /// Throws away what waits in a queue.
    pub(super) fn clear(&self, queue: u16) {
        while self.take(queue).is_some() {}
    }
}

//! A port cannot be closed under a queue: both are handles, and the last one closes it.

use iogate::prelude::*;

fn close(port: Port, mut queue: RxQueue) -> usize {
    port.close();
    queue.receive(&mut Batch::<(), 32>::new())
}

fn main() {}

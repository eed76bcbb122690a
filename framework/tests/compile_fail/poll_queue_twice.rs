//! Two threads cannot both poll a queue.

use iogate::prelude::*;

fn poll(queue: &mut RxQueue) {
    std::thread::scope(|scope| {
        scope.spawn(|| queue.receive(&mut Batch::<(), 32>::new()));
        scope.spawn(|| queue.receive(&mut Batch::<(), 32>::new()));
    });
}

fn main() {}

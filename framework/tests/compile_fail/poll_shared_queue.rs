//! Threads cannot share a queue by reference.

use iogate::prelude::*;

fn poll(queue: &RxQueue) {
    std::thread::scope(|scope| {
        scope.spawn(|| queue.number());
    });
}

fn main() {}

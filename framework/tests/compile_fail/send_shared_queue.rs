//! Threads cannot share a TX queue either.

use iogate::prelude::*;

fn share(queue: TxQueue) {
    let queue = std::sync::Arc::new(queue);
    std::thread::spawn(move || queue.number());
}

fn main() {}

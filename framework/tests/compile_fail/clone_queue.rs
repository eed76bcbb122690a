//! A queue has one owner.

use iogate::prelude::*;

fn twice(queue: RxQueue) -> (RxQueue, RxQueue) {
    (queue.clone(), queue)
}

fn main() {}

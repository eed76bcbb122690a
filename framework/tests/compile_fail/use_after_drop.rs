//! A packet that was dropped is gone.

use iogate::prelude::*;

fn refuse(packet: Mbuf, cx: &mut Context) -> usize {
    cx.drop(packet, DropReason::UNROUTED);
    packet.len()
}

fn main() {}

//! Bytes of a packet do not outlive it.

use iogate::prelude::*;

fn keep(packet: Mbuf) -> &'static [u8] {
    let data = packet.data();
    drop(packet);
    data
}

fn main() {}

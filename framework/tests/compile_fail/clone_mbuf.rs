//! A packet has one owner.

use iogate::prelude::*;

fn twice(packet: Mbuf) -> (Mbuf, Mbuf) {
    (packet.clone(), packet)
}

fn main() {}

//! A packet that was shared cannot be changed under its other owners.

use iogate::prelude::*;

fn share(mut packet: Mbuf) -> SharedMbuf {
    let shared = packet.share();
    packet.data_mut()[0] = 0;
    shared
}

fn main() {}

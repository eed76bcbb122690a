//! A shared packet is for reading.

use iogate::prelude::*;

fn change(mut packet: SharedMbuf) {
    packet.data_mut()[0] = 0;
}

fn main() {}

//! A packet that was sent is gone.

use iogate::prelude::*;

fn send(packet: Mbuf, outlet: &mut Outlet) -> usize {
    outlet.push(packet);
    packet.len()
}

fn main() {}

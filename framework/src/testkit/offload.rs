//! What a guest asks its card for.

use crate::memory::HeaderLengths;
use crate::memory::Mbuf;

/// Asks the card that a TCP or UDP packet is sent to to finish its checksum, which is spoiled, and, if a size is given,
/// to cut it into segments of so much payload.
///
/// # Panics
/// When it is neither TCP nor UDP.
pub fn ask_card(packet: &mut Mbuf, segment_size: Option<u16>) {
    let lengths = HeaderLengths::of(packet.data()).expect("TCP or UDP");
    let at = lengths.l2 + lengths.l3 + if lengths.udp { 6 } else { 16 };
    packet.data_mut()[at..at + 2].fill(0xa5);
    packet.leave_unfinished(segment_size);
    assert!(packet.ask_card(lengths), "headers are too long");
}

//! Setting the VLAN tag that a frame has where it goes.

use super::addresses::UNTAGGED;
use iogate::memory::Mbuf;
use iogate::packet::vlan::TAG_LEN;
use iogate::packet::{EtherType, Ethernet, Tci};
use std::hint::select_unpredictable;

/// What is looked at: both addresses, a tag, and a type.
const OLD: usize = 20;
/// What is written: both addresses, and a tag or what stands in its place.
const NEW: usize = 16;

/// A VLAN's tag, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// As it stands in a frame, with priority 0.
    wire: u32,
    /// Its length.
    len: u16,
}

/// A priority, as it stands in a tag.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Priority(u32);

impl Priority {
    pub(super) fn new(pcp: u8) -> Self {
        Priority(u32::from(Tci::new(0, pcp, false).0).to_be())
    }
}

impl Tag {
    /// Of a VLAN, or none for [`UNTAGGED`].
    pub(super) fn new(vlan: u16) -> Self {
        match vlan {
            UNTAGGED => Tag { wire: 0, len: 0 },
            vlan => Tag { wire: (u32::from(EtherType::VLAN.0) << 16 | u32::from(vlan)).to_be(), len: TAG_LEN as u16 },
        }
    }

    pub(super) fn vlan(self) -> u16 {
        u32::from_be(self.wire) as u16
    }

    /// Gives a frame, whose layer above Ethernet starts at `offset`, this tag instead of the one it has, or
    /// takes its tag off. False, and nothing done, when there is no room for a tag.
    ///
    /// The addresses and the four bytes behind them are written in any case, and without a branch: whether a
    /// frame has a tag, and whether it is to have one, cannot be guessed in mixed traffic.
    #[inline]
    #[must_use]
    pub(super) fn set(self, packet: &mut Mbuf, offset: u8, priority: Priority) -> bool {
        let Some(front) = packet.data().first_chunk() else { return self.set_short(packet, offset, priority) };
        let new = self.changed(front, offset, priority);
        if !packet.move_front(self.len, len_of_old(offset)) {
            return false;
        }
        // There were four bytes more, of which a tag that is taken off has four.
        if let Some(front) = packet.data_mut().first_chunk_mut() {
            *front = new;
        }
        true
    }

    /// Of a frame that is nothing but headers.
    #[cold]
    #[inline(never)]
    fn set_short(self, packet: &mut Mbuf, offset: u8, priority: Priority) -> bool {
        let mut front = [0; OLD];
        let len = packet.data().len();
        front[..len].copy_from_slice(packet.data());
        let new = self.changed(&front, offset, priority);
        if !packet.move_front(self.len, len_of_old(offset)) {
            return false;
        }
        let data = packet.data_mut();
        let len = data.len().min(NEW);
        data[..len].copy_from_slice(&new[..len]);
        true
    }

    /// The bytes in front that a frame gets for those that it has.
    #[inline]
    fn changed(self, old: &[u8; OLD], offset: u8, Priority(priority): Priority) -> [u8; NEW] {
        let word = |at: usize| u32::from_ne_bytes(*old[at..].first_chunk().expect("a place in front"));
        let fourth = select_unpredictable(len_of_old(offset) == 0, word(12), word(16));
        let fourth = select_unpredictable(self.len == 0, fourth, self.wire | priority);
        let mut new = [0; NEW];
        new[..12].copy_from_slice(&old[..12]);
        new[12..].copy_from_slice(&fourth.to_ne_bytes());
        new
    }
}

/// Length of the tag that a frame has.
#[inline]
fn len_of_old(offset: u8) -> u16 {
    u16::from(offset).wrapping_sub(size_of::<Ethernet>() as u16)
}

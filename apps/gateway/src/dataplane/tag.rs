//! Setting the VLAN tag that a frame has where it goes.

use super::addresses::UNTAGGED;
use iogate::memory::Mbuf;
use iogate::packet::vlan::TAG_LEN;
use iogate::packet::{EtherType, Tci};
use std::hint::select_unpredictable;

/// What is looked at: both addresses, a tag, and a type.
const OLD: usize = 20;
/// What is written: both addresses, and a tag or what stands in its place.
const NEW: usize = 16;

/// A VLAN's tag, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tag(
    /// As it stands in a frame; 0 for none.
    u32,
);

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
            UNTAGGED => Tag(0),
            vlan => Tag((u32::from(EtherType::VLAN.0) << 16 | u32::from(vlan)).to_be()),
        }
    }

    pub(super) fn vlan(self) -> u16 {
        u32::from_be(self.0) as u16
    }

    /// With a priority, if it is one at all.
    #[inline]
    pub(super) fn with(self, Priority(priority): Priority) -> Tag {
        Tag(select_unpredictable(self.0 == 0, 0, self.0 | priority))
    }

    /// Its length.
    #[inline]
    fn len(self) -> u16 {
        TAG_LEN as u16 * u16::from(self.0 != 0)
    }

    /// Gives a frame this tag instead of the one it has, or takes its tag off. False, and nothing done, when there is
    /// no room for a tag.
    ///
    /// The addresses and the four bytes behind them are written in any case, and without a branch: whether a
    /// frame has a tag, and whether it is to have one, cannot be guessed in mixed traffic.
    #[inline]
    #[must_use]
    pub(super) fn set(self, packet: &mut Mbuf) -> bool {
        let Some(front) = packet.data().first_chunk() else { return self.set_short(packet) };
        let (new, fourth, len_of_old) = self.changed(front);
        if !packet.move_front(self.len(), len_of_old) {
            return false;
        }
        // There were four bytes more, of which a tag that is taken off has four.
        if let Some(front) = packet.data_mut().first_chunk_mut() {
            *front = new;
            *fourth_of(front) = fourth;
        }
        true
    }

    /// Of a frame that is nothing but headers.
    #[cold]
    #[inline(never)]
    fn set_short(self, packet: &mut Mbuf) -> bool {
        let mut front = [0; OLD];
        let len = packet.data().len();
        front[..len].copy_from_slice(packet.data());
        let (mut new, fourth, len_of_old) = self.changed(&front);
        if !packet.move_front(self.len(), len_of_old) {
            return false;
        }
        *fourth_of(&mut new) = fourth;
        let data = packet.data_mut();
        let len = data.len().min(NEW);
        data[..len].copy_from_slice(&new[..len]);
        true
    }

    /// The bytes in front that a frame gets for those that it has, but for the last four; these; and the length of the
    /// tag that it has. Apart, because all at once they are copied by a single instruction.
    #[inline]
    fn changed(self, old: &[u8; OLD]) -> ([u8; NEW], [u8; TAG_LEN], u16) {
        let word = |at: usize| u32::from_ne_bytes(*old[at..].first_chunk().expect("a place in front"));
        let len_of_old = TAG_LEN * usize::from(old[12..14] == EtherType::VLAN.0.to_be_bytes());
        let fourth = select_unpredictable(self.0 == 0, word(12 + len_of_old), self.0);
        (*old.first_chunk().expect("more than enough"), fourth.to_ne_bytes(), len_of_old as u16)
    }
}

/// The last four bytes of what is written.
#[inline]
fn fourth_of(front: &mut [u8; NEW]) -> &mut [u8; TAG_LEN] {
    front.last_chunk_mut().expect("more than enough")
}

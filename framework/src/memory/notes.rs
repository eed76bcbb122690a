//! What a device notes beside a packet that it received, for software that does a device's work.

use super::Mbuf;

/// `RTE_MBUF_F_RX_*`.
mod flag {
    pub(super) const VLAN: u64 = 1 << 0;
    pub(super) const RSS_HASH: u64 = 1 << 1;
    pub(super) const FDIR: u64 = 1 << 2;
    pub(super) const L4_CKSUM_BAD: u64 = 1 << 3;
    pub(super) const IP_CKSUM_BAD: u64 = 1 << 4;
    pub(super) const VLAN_STRIPPED: u64 = 1 << 6;
    pub(super) const IP_CKSUM_GOOD: u64 = 1 << 7;
    pub(super) const L4_CKSUM_GOOD: u64 = 1 << 8;
    pub(super) const FDIR_ID: u64 = 1 << 13;
    pub(super) const QINQ_STRIPPED: u64 = 1 << 15;
    pub(super) const QINQ: u64 = 1 << 20;
    /// Flags below are of reception; above there are those of sending.
    pub(super) const RECEPTION: u64 = (1 << 23) - 1;
}

impl Mbuf {
    /// Forgets what a device noted when it received the packet.
    pub fn forget_notes(&mut self) {
        self.head_mut().ol_flags &= !flag::RECEPTION;
    }

    /// Notes the hash that the packet was spread by.
    pub fn note_rss_hash(&mut self, hash: u32) {
        let head = self.head_mut();
        head.ol_flags |= flag::RSS_HASH;
        head.hash_rss = hash;
    }

    /// Notes that a flow rule marked the packet, and the number that it was marked with, if any.
    pub fn note_mark(&mut self, number: Option<u32>) {
        let head = self.head_mut();
        head.ol_flags |= flag::FDIR;
        if let Some(number) = number {
            head.ol_flags |= flag::FDIR_ID;
            head.hash_fdir_hi = number;
        }
    }

    /// Whether a flow rule marked it; if so, the number that it was marked with, if any.
    pub fn mark(&self) -> Option<Option<u32>> {
        let head = self.head();
        let number = (head.ol_flags & flag::FDIR_ID != 0).then_some(head.hash_fdir_hi);
        (head.ol_flags & flag::FDIR != 0).then_some(number)
    }

    /// Notes whether the checksum of its IPv4 header, and that of what it carries, is right; nothing for one that
    /// was not checked.
    pub fn note_checksums(&mut self, ip: Option<bool>, transport: Option<bool>) {
        let of = |right: Option<bool>, good, bad| right.map_or(0, |right| if right { good } else { bad });
        let ip = of(ip, flag::IP_CKSUM_GOOD, flag::IP_CKSUM_BAD);
        self.head_mut().ol_flags |= ip | of(transport, flag::L4_CKSUM_GOOD, flag::L4_CKSUM_BAD);
    }

    /// Notes the VLAN tag that was taken off it, and the outer one of two.
    pub fn note_tags(&mut self, tag: u16, outer: Option<u16>) {
        let head = self.head_mut();
        head.ol_flags |= flag::VLAN | flag::VLAN_STRIPPED;
        head.vlan_tci = tag;
        if let Some(outer) = outer {
            head.ol_flags |= flag::QINQ | flag::QINQ_STRIPPED;
            head.vlan_tci_outer = outer;
        }
    }

    /// The outer one of two VLAN tags that were taken off it.
    pub fn stripped_outer_vlan(&self) -> Option<u16> {
        (self.head().ol_flags & flag::QINQ_STRIPPED != 0).then(|| self.head().vlan_tci_outer)
    }
}

#[cfg(all(test, feature = "testkit"))]
mod tests {
    use crate::testkit::{Complete, pool};

    #[test]
    fn what_is_noted_is_read_back_and_forgotten() {
        let pool = pool("notes", 64);
        let _complete = Complete::new(&pool);
        let mut packet = pool.alloc().unwrap();
        assert_eq!((packet.flags(), packet.mark(), packet.rss_hash()), (0, None, None));
        packet.note_rss_hash(7);
        packet.note_mark(Some(9));
        packet.note_tags(5, Some(6));
        packet.note_checksums(Some(true), Some(false));
        assert_eq!((packet.rss_hash(), packet.mark()), (Some(7), Some(Some(9))));
        assert_eq!((packet.stripped_vlan(), packet.stripped_outer_vlan()), (Some(5), Some(6)));
        assert_eq!(packet.flags() & (1 << 7 | 1 << 4 | 1 << 3 | 1 << 8), 1 << 7 | 1 << 3);
        packet.forget_notes();
        assert_eq!((packet.flags(), packet.mark(), packet.stripped_vlan()), (0, None, None));
    }
}

//! The one table of the data path: who has this address here.
//!
//! Built once for a snapshot and then only read: open addressing with linear probing, at most a
//! quarter full, 16 bytes an entry, so that a lookup is one cache line, and mostly one entry.
//! Measured against `rte_hash` in `bench/`.

use iogate::memory::{prefer_huge_pages, prefetch};
use iogate::packet::MacAddr;

/// Where an address is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope(u32);

/// The tag of a frame that has none, or has priority only.
pub const UNTAGGED: u16 = 0;

impl Scope {
    /// Sources on a link; the tag counts.
    pub fn link(link: usize) -> Self {
        Scope(link as u32)
    }

    /// Stations in a network; the tag does not count and must be [`UNTAGGED`].
    pub fn network(network: usize) -> Self {
        Scope(network as u32 | 1 << 31)
    }
}

/// A MAC address and a VLAN, in eight bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address(u64);

impl Address {
    /// With this tag, or [`UNTAGGED`].
    #[inline]
    pub fn new(mac: MacAddr, tag: u16) -> Self {
        let [a, b, c, d, e, f] = mac.octets();
        Self::from_bits(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]), tag)
    }

    /// From the MAC address as it is loaded: its first octet the lowest, the upper 16 bits zero.
    #[inline]
    pub(super) fn from_bits(mac: u64, tag: u16) -> Self {
        Address(mac | u64::from(tag) << 48)
    }

    /// Its tag, or [`UNTAGGED`].
    #[inline]
    pub(super) fn vlan(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// The same without its tag.
    #[inline]
    pub(super) fn untagged(self) -> Self {
        Address(self.0 << 16 >> 16)
    }

    /// Whether it is a group's.
    #[inline]
    pub(super) fn is_multicast(self) -> bool {
        self.0 & 1 != 0
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    address: Address,
    scope: Scope,
    value: u32,
}

/// No value is this one.
pub const NOWHERE: u32 = u32::MAX;

impl Entry {
    #[inline]
    fn is(&self, scope: Scope, address: Address) -> bool {
        (self.address == address) & (self.scope == scope)
    }
}

const FREE: Entry = Entry { address: Address(0), scope: Scope(u32::MAX), value: NOWHERE };

/// So many addresses get a table that is half as full as that of more.
const FEW: usize = 4096;

/// From (scope, tag, MAC address) to a number.
#[derive(Clone, Debug)]
pub struct Addresses {
    entries: Box<[Entry]>,
    shift: u32,
}

impl Addresses {
    /// Makes the table. Of two equal keys the first counts; the configuration has none.
    ///
    /// # Panics
    /// When a value is [`NOWHERE`].
    pub fn new(items: &[(Scope, u16, MacAddr, u32)]) -> Self {
        let sparse = if items.len() <= FEW { 8 } else { 4 };
        let size = (items.len() * sparse).next_power_of_two().max(16);
        let mut table =
            Addresses { entries: vec![FREE; size].into_boxed_slice(), shift: u64::BITS - size.trailing_zeros() };
        for &(scope, tag, mac, value) in items {
            assert!(value != NOWHERE, "a value is out of range");
            if table.find(scope, tag, mac).is_none() {
                let address = Address::new(mac, tag);
                let mut at = table.place(scope, address);
                while table.entries[at].value != NOWHERE {
                    at = (at + 1) & (size - 1);
                }
                table.entries[at] = Entry { address, scope, value };
            }
        }
        prefer_huge_pages(&table.entries);
        table
    }

    /// The number of this address here, if it has one.
    #[inline]
    pub fn find(&self, scope: Scope, tag: u16, mac: MacAddr) -> Option<u32> {
        let value = self.number(scope, Address::new(mac, tag));
        (value != NOWHERE).then_some(value)
    }

    /// The number of this address here, or [`NOWHERE`].
    #[inline]
    pub(super) fn number(&self, scope: Scope, address: Address) -> u32 {
        let at = self.place(scope, address);
        match self.entries.get(at) {
            // One branch for both, the right entry and a free one, since nobody can guess which it is.
            Some(entry) if entry.is(scope, address) | (entry.value == NOWHERE) => entry.value,
            _ => self.further(at + 1, scope, address),
        }
    }

    #[inline(never)]
    fn further(&self, at: usize, scope: Scope, address: Address) -> u32 {
        let (before, behind) = self.entries.split_at(at.min(self.entries.len()));
        let mut entries = behind.iter().chain(before);
        let found = entries.find(|entry| entry.is(scope, address) | (entry.value == NOWHERE));
        found.map_or(NOWHERE, |entry| entry.value)
    }

    /// Fetches the place where [`number`](Addresses::number) will look.
    #[inline]
    pub(super) fn prefetch(&self, scope: Scope, address: Address) {
        if let Some(entry) = self.entries.get(self.place(scope, address)) {
            prefetch(entry);
        }
    }

    /// Bytes.
    pub(super) fn size(&self) -> usize {
        size_of_val(&*self.entries)
    }

    /// Below the number of entries.
    #[inline]
    fn place(&self, scope: Scope, address: Address) -> usize {
        // The upper bits of the product depend on every bit of the key.
        let key = address.0 ^ (u64::from(scope.0) << 17);
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn finds_what_a_map_finds(
            items in proptest::collection::vec((0_usize..4, any::<bool>(), 0_u16..4, 0_u8..8), 0..200),
            probes in proptest::collection::vec((0_usize..5, any::<bool>(), 0_u16..5, 0_u8..9), 50),
        ) {
            let full = |(scope, net, tag, mac): (usize, bool, u16, u8)| {
                let scope = if net { Scope::network(scope) } else { Scope::link(scope) };
                (scope, tag, MacAddr::new([2, 0, 0, 0, mac, mac.wrapping_mul(37)]))
            };
            let mut map = HashMap::new();
            let mut list = Vec::new();
            for (number, item) in items.iter().enumerate() {
                let (scope, tag, mac) = full(*item);
                map.entry((scope.0, tag, mac)).or_insert(number as u32);
                list.push((scope, tag, mac, number as u32));
            }
            let table = Addresses::new(&list);
            for probe in items.into_iter().chain(probes) {
                let (scope, tag, mac) = full(probe);
                prop_assert_eq!(table.find(scope, tag, mac), map.get(&(scope.0, tag, mac)).copied());
            }
        }
    }

    #[test]
    fn probes_stay_short_with_as_many_as_there_can_be() {
        let mac = |n: u32| MacAddr::new([2, 0x49, 0x4f, (n >> 16) as u8, (n >> 8) as u8, n as u8]);
        let items: Vec<_> = (0..65_536).map(|n| (Scope::network(0), UNTAGGED, mac(n), n)).collect();
        let table = Addresses::new(&items);
        let displaced = |&(scope, tag, address, value): &(Scope, u16, MacAddr, u32)| {
            let mut at = table.place(scope, Address::new(address, tag));
            let start = at;
            while table.entries[at].value != value {
                at = (at + 1) % table.entries.len();
            }
            (at + table.entries.len() - start) % table.entries.len()
        };
        let sum: usize = items.iter().map(displaced).sum();
        assert!(sum < items.len(), "on average {} steps", sum as f64 / items.len() as f64);
    }
}

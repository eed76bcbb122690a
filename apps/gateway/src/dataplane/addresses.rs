//! The one table of the data path: who has this address here.
//!
//! Built once for a snapshot and then only read: open addressing with linear probing, at most a
//! quarter full, 16 bytes an entry, so that a lookup is one cache line, and mostly one entry.
//! Measured against `rte_hash` in `bench/`.

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

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u64,
    scope: u32,
    value: u32,
}

/// No value is this one, and no scope.
const FREE: u32 = u32::MAX;

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
    /// When a value is `u32::MAX`.
    pub fn new(items: &[(Scope, u16, MacAddr, u32)]) -> Self {
        let size = (items.len() * 4).next_power_of_two().max(16);
        let free = Entry { key: 0, scope: FREE, value: FREE };
        let mut table =
            Addresses { entries: vec![free; size].into_boxed_slice(), shift: u64::BITS - size.trailing_zeros() };
        for &(scope, tag, mac, value) in items {
            assert!(value != FREE, "a value is out of range");
            if table.find(scope, tag, mac).is_none() {
                let key = key(tag, mac);
                let mut at = table.start(key, scope);
                while table.entries[at].value != FREE {
                    at = (at + 1) & (size - 1);
                }
                table.entries[at] = Entry { key, scope: scope.0, value };
            }
        }
        table
    }

    /// The number of this address here, if it has one.
    #[inline]
    pub fn find(&self, scope: Scope, tag: u16, mac: MacAddr) -> Option<u32> {
        let key = key(tag, mac);
        let mut at = self.start(key, scope);
        loop {
            // In range: the start is below the size, a power of two, and so is the mask.
            let entry = self.entries[at & (self.entries.len() - 1)];
            if (entry.key == key) & (entry.scope == scope.0) {
                return Some(entry.value);
            }
            if entry.scope == FREE {
                return None;
            }
            at += 1;
        }
    }

    #[inline]
    fn start(&self, key: u64, scope: Scope) -> usize {
        // Both halves of the product together depend on every bit of the key.
        let product = u128::from(key ^ (u64::from(scope.0) << 17)) * 0x9e37_79b9_7f4a_7c15;
        ((product as u64 ^ (product >> 64) as u64) >> self.shift) as usize
    }
}

#[inline]
fn key(tag: u16, mac: MacAddr) -> u64 {
    let [a, b, c, d, e, f] = mac.octets();
    let [high, low] = tag.to_be_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, high, low])
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
            let mut at = table.start(key(tag, address), scope);
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

//! The gateway's address table, beside `rte_hash`.

use crate::alone::{self, Job};
use crate::rte_hash::{BURST, KEY, RteHash};
use crate::series::{Comparison, Report, beside_one};
use crate::{Plan, say};
use anyhow::{Result, ensure};
use iogate::eal::Eal;
use iogate::packet::MacAddr;
use iogate::telemetry::cycles;
use iogate_gateway::dataplane::addresses::{Addresses, Scope, UNTAGGED};
use serde::{Deserialize, Serialize};
use std::hint::black_box;

const SIZES: [usize; 3] = [64, 1024, 65_536];
/// Lookups in one measurement.
const LOOKUPS: usize = 1 << 21;
/// Lookups are repeated in the same random order after so many.
const PROBES: usize = 1 << 16;

/// Cycles of a lookup, measured in turns.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Lookups {
    entries: usize,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

/// Lookups that hit, in random order.
pub(crate) fn compare(plan: Plan, report: &mut Report) -> Result<()> {
    say("lookup: the gateway's table, then rte_hash, cycles");
    for Lookups { entries, ours, theirs } in alone::spawn::<Vec<Lookups>>(&Job::Lookup, plan)? {
        let name = format!("lookup among {entries} addresses");
        report.comparisons.push(Comparison::new(name, "cycles", "rte_hash", [&ours, &theirs], None));
    }
    Ok(())
}

/// In a process with EAL.
pub(crate) fn measure(_eal: &Eal, plan: Plan) -> Result<Vec<Lookups>> {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: plan.core }) {
        say("cannot be pinned, so lookups are noisier");
    }
    SIZES.into_iter().map(|entries| measure_one(entries, plan.runs)).collect()
}

fn measure_one(entries: usize, runs: u32) -> Result<Lookups> {
    let mut random = Random(0x1234_5678_9abc_def1);
    let macs: Vec<MacAddr> = (0..entries).map(scattered).collect();
    let items: Vec<_> =
        (0..).zip(&macs).map(|(number, mac)| (Scope::network(number as usize % 8), UNTAGGED, *mac, number)).collect();
    let keys: Vec<[u8; KEY]> = items.iter().map(|(_, _, mac, number)| key(*number % 8, *mac)).collect();
    let (table, hash) = (Addresses::new(&items), RteHash::new(&keys)?);

    let order: Vec<usize> = (0..PROBES).map(|_| random.below(entries)).collect();
    let probes: Vec<(Scope, MacAddr)> = order.iter().map(|at| (items[*at].0, items[*at].2)).collect();
    let keys: Vec<[u8; KEY]> = order.iter().map(|at| keys[*at]).collect();
    let expected: u64 = order.iter().map(|at| *at as u64).sum();

    let find = |(scope, mac): &(Scope, MacAddr)| u64::from(table.find(*scope, UNTAGGED, *mac).unwrap_or(0));
    let ours = || timed("the gateway's table", expected, || black_box(&probes).iter().map(find).sum());
    let theirs = || {
        timed("rte_hash", expected, || black_box(&keys).as_chunks::<BURST>().0.iter().map(|keys| hash.sum(keys)).sum())
    };
    let name = format!("lookup among {entries}");
    let [ours, theirs] = beside_one(runs, &name, ours, theirs)?;
    Ok(Lookups { entries, ours, theirs })
}

/// Cycles of one lookup, of those that `work` does [`PROBES`] of.
fn timed(table: &str, expected: u64, work: impl Fn() -> u64) -> Result<f64> {
    ensure!(work() == expected, "{table} does not find what was put in");
    let before = cycles();
    for _ in 0..LOOKUPS / PROBES {
        black_box(work());
    }
    Ok(cycles().wrapping_sub(before) as f64 / LOOKUPS as f64)
}

fn key(network: u32, mac: MacAddr) -> [u8; KEY] {
    let mut key = [0; KEY];
    key[..4].copy_from_slice(&network.to_le_bytes());
    key[6..].copy_from_slice(&mac.octets());
    key
}

/// A small generator (xorshift), the same on every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Address `number`: no two are equal, and neighbours are far apart.
fn scattered(number: usize) -> MacAddr {
    let [a, b, c, d, e, ..] = (number as u64).wrapping_mul(0x9e_3779_b97f_4a7d).to_le_bytes();
    MacAddr::new([2, a, b, c, d, e])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_find_what_was_put_in() {
        let _eal = iogate::testkit::eal();
        let keys: Vec<_> = (0..BURST).map(|number| key(3, scattered(number))).collect();
        let hash = RteHash::new(&keys).unwrap();
        assert_eq!(hash.sum(&keys.try_into().unwrap()), (0..BURST as u64).sum::<u64>());
    }
}

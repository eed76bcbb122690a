//! The objects as the file has them: every key checked for itself, references still names.

mod adapters;
mod gateway;
mod sriov;
mod uplinks;

use adapters::mac;

use crate::config::model::{Fabric, Name, Side};
use crate::config::read::{At, Table, Value};

pub(in crate::config) use adapters::{RawAdapter, RawAttach, RawPolicy, policy, protocol_set, vhba, vnic};
pub(in crate::config) use gateway::{BURST, IDLE_LATENCY, RawWorker, gateway, worker, worker_on};
pub(in crate::config) use sriov::{RawPf, RawVf, VfPort, VfPorts, pf, vf};
pub(in crate::config) use uplinks::{RawGroup, RawMode, RawNetwork, RawPort, group, link, network, uplink};

const FABRICS: [(&str, Fabric); 2] = [("A", Fabric::A), ("B", Fabric::B)];
const SIDES: [(&str, Side); 2] = [("network", Side::Network), ("storage", Side::Storage)];
const GIVE_NAME: &str = "give it a name";
/// The most RX queues of a port.
const MAX_QUEUES: u16 = 16;

/// A reference to another object by its name.
pub(in crate::config) type Ref<'a> = At<&'a str>;
/// An integer that has a default.
fn int<T>(t: &Table<'_>, key: &'static str, range: std::ops::RangeInclusive<T>, default: T) -> T
where
    T: TryFrom<i128> + PartialOrd + std::fmt::Display,
{
    t.get(key).and_then(|v| v.int(range)).map_or(default, |n| n.value)
}

fn flag(t: &Table<'_>, key: &'static str, default: bool) -> bool {
    t.get(key).and_then(|v| v.flag()).unwrap_or(default)
}

fn name(t: &Table<'_>) -> Option<Name> {
    t.must("name", GIVE_NAME).and_then(|v| v.name()).map(|n| n.value)
}

fn texts<'a>(value: Option<Value<'a>>) -> Vec<Ref<'a>> {
    value.and_then(|v| v.texts()).unwrap_or_default()
}

fn kind(t: &Table<'_>) -> Option<Side> {
    let kind = t.must("kind", "use \"network\" or \"storage\"");
    kind.and_then(|v| v.choice(&SIDES)).map(|k| k.value)
}

fn fabric(t: &Table<'_>) -> Option<At<Fabric>> {
    t.get("fabric").and_then(|v| v.choice(&FABRICS))
}

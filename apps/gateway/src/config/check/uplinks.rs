//! The rules of uplinks, their groups and networks.

use std::collections::HashMap;
use std::time::Duration;

use super::{Names, numbered};
use crate::config::model::{Fabric, Failback, GroupId, GroupMode, Network, Side, UplinkGroup, UplinkId, Vid};
use crate::config::raw::{RawGroup, RawMode, RawNetwork, RawPort};
use crate::config::read::Head;

/// How long a preferred uplink must be up before it takes over again, unless the file says otherwise.
const FAILBACK_DELAY: Duration = Duration::from_secs(10);

/// Objects of the model, `None` for those with problems.
type Checked<T> = Vec<Option<T>>;

/// The group of each uplink, and the groups.
pub(super) fn check_groups(
    groups: &[RawGroup<'_>],
    uplinks: &[RawPort<'_>],
    names: &Names<'_, UplinkId>,
) -> (Checked<GroupId>, Checked<UplinkGroup>) {
    let mut group_of: Checked<GroupId> = vec![None; uplinks.len()];
    let mut checked = Vec::new();
    for (i, group) in numbered(groups) {
        let mut members = Vec::new();
        for name in &group.members {
            let Some(id) = names.find(&group.head, "members", *name) else {
                continue;
            };
            let uplink = &uplinks[id.index()];
            if let (Some(ours), Some(its)) = (group.kind, uplink.kind)
                && ours != its
            {
                group.head.problem_at(
                    name.line,
                    format!(
                        "members: {} is of kind {its}, the group of kind {ours}; use uplinks of one kind",
                        uplink.head.label
                    ),
                );
            }
            match group_of[id.index()] {
                Some(GroupId(other)) => {
                    let other = &groups[usize::from(other)].head;
                    group.head.problem_at(
                        name.line,
                        format!(
                            "members: {} is already in {} (line {}); an uplink is in one group, once",
                            uplink.head.label, other.label, other.line
                        ),
                    );
                }
                None => {
                    group_of[id.index()] = Some(GroupId(i));
                    members.push(id);
                }
            }
        }
        checked.push(check_group(group, members, uplinks));
    }
    for (uplink, group) in uplinks.iter().zip(&group_of) {
        if group.is_none() {
            uplink.head.problem("is in no uplink_group; add it to the members of one");
        }
    }
    (group_of, checked)
}

fn check_group(group: &RawGroup<'_>, members: Vec<UplinkId>, uplinks: &[RawPort<'_>]) -> Option<UplinkGroup> {
    let mode = match group.mode {
        RawMode::ActiveStandby => {
            let fabrics = members.iter().map(|id| uplinks[id.index()].fabric);
            if group.kind == Some(Side::Storage) && fabrics.clone().any(|f| Some(f) != fabrics.clone().next()) {
                group.head.problem("its storage members are not all of one fabric, which active-standby would bridge; use mode = \"dual-fabric\", or members of one fabric");
            }
            if let (Some(false), Some(delay)) = (group.failback.map(|f| f.value), group.failback_delay) {
                group.head.problem_at(delay.line, "failback_delay_ms is for failback = \"auto\" only; remove it");
            }
            let failback = match group.failback {
                Some(failback) if !failback.value => Failback::Manual,
                _ => Failback::Auto(group.failback_delay.map_or(FAILBACK_DELAY, |d| d.value)),
            };
            GroupMode::ActiveStandby { members, failback }
        }
        RawMode::DualFabric => {
            if group.kind == Some(Side::Network) {
                group.head.problem("mode = \"dual-fabric\" is for storage only; use \"active-standby\"");
            }
            let unused = [
                ("failback", group.failback.map(|f| f.line)),
                ("failback_delay_ms", group.failback_delay.map(|d| d.line)),
            ];
            for (key, line) in unused {
                if let Some(line) = line {
                    group.head.problem_at(line, format!("{key} is for mode = \"active-standby\" only; remove it"));
                }
            }
            let (mut a, mut b) = (None, None);
            for id in members {
                let uplink = &uplinks[id.index()];
                let place = match uplink.fabric {
                    Some(Fabric::A) => &mut a,
                    Some(Fabric::B) => &mut b,
                    None if group.kind == Some(Side::Network) => continue,
                    None => {
                        uplink.head.problem(format!(
                            "it needs a fabric, being in dual-fabric {}; add fabric = \"A\" or \"B\"",
                            group.head.label
                        ));
                        continue;
                    }
                };
                if let Some(UplinkId(first)) = place.replace(id) {
                    let first = &uplinks[usize::from(first)].head.label;
                    group.head.problem(format!(
                        "{first} and {} are of the same fabric; a dual-fabric group has one member per fabric",
                        uplink.head.label
                    ));
                }
            }
            GroupMode::DualFabric { a, b }
        }
    };
    Some(UplinkGroup { name: group.name.clone()?, kind: group.kind?, mode })
}

pub(super) fn check_networks(
    networks: &[RawNetwork<'_>],
    groups: &[RawGroup<'_>],
    group_names: &Names<'_, GroupId>,
    uplinks: &[RawPort<'_>],
    uplink_names: &Names<'_, UplinkId>,
    max_mtu: u16,
) -> Checked<Network> {
    let mut taken: HashMap<(GroupId, Option<Fabric>, u16), &Head<'_>> = HashMap::new();
    let mut checked = Vec::new();
    for network in networks {
        let head = &network.head;
        if let Some(mtu) = network.mtu.filter(|m| m.value > max_mtu) {
            head.problem_at(
                mtu.line,
                format!(
                    "mtu = {} is more than that of the gateway, {max_mtu}; lower it, or raise the gateway's",
                    mtu.value
                ),
            );
        }
        let id = network.group.and_then(|name| group_names.find(head, "uplink", name));
        let Some(group_id) = id else {
            checked.push(None);
            continue;
        };
        let group = &groups[group_id.index()];
        let fabrics: Vec<_> = group
            .members
            .iter()
            .filter_map(|m| uplink_names.known.get(m.value))
            .map(|(id, _)| uplinks[id.index()].fabric)
            .collect();
        // A member that does not exist has been reported, and could be of any fabric.
        let unsure = fabrics.len() < group.members.len();
        let said = network.fabric.map(|f| f.value);
        let fabric = match (group.kind, group.mode) {
            (Some(Side::Storage), RawMode::DualFabric) => said,
            (Some(Side::Storage), RawMode::ActiveStandby) => said.or(fabrics.first().copied().flatten()),
            _ => None,
        };
        let label = &group.head.label;
        match (group.kind, group.mode, network.fabric) {
            (Some(Side::Network), _, Some(f)) => {
                head.problem_at(f.line, "fabric is for storage networks only; remove it")
            }
            (Some(Side::Storage), RawMode::DualFabric, None) => {
                head.problem(format!("it needs a fabric, {label} being dual-fabric; add fabric = \"A\" or \"B\""));
            }
            (Some(Side::Storage), _, Some(f)) if !unsure && !fabrics.contains(&Some(f.value)) => {
                head.problem_at(
                    f.line,
                    format!(
                        "fabric = \"{}\": {label} has no member of that fabric; add one, or use another fabric",
                        f.value
                    ),
                );
            }
            _ => {}
        }
        if let Some(vlan) = network.vlan {
            match taken.get(&(group_id, fabric, vlan.value)) {
                Some(other) => head.problem_at(
                    vlan.line,
                    format!(
                        "vlan = {} on {label} is already that of {} (line {}); use another",
                        vlan.value, other.label, other.line
                    ),
                ),
                None => drop(taken.insert((group_id, fabric, vlan.value), head)),
            }
        }
        let whole = || {
            let mtu = network.mtu.map_or(max_mtu, |m| m.value);
            if fabric.is_none() && group.kind == Some(Side::Storage) && group.mode == RawMode::DualFabric {
                return None;
            }
            Some(Network {
                name: network.name.clone()?,
                kind: group.kind?,
                vlan: Vid::new(network.vlan?.value),
                group: group_id,
                fabric,
                mtu,
            })
        };
        checked.push(whole());
    }
    checked
}

//! `iogate vf list`: every PF and VF of the machine, and who uses them.

use super::{Machine, SCHEMA};
use crate::view::{table, unknown};
use anyhow::{Context, Result};
use iogate::sriov::{Interface, Pf, Vf};
use serde::Serialize;

/// What `vf list` prints.
#[derive(Serialize)]
struct Listing {
    schema: u32,
    pfs: Vec<Pf>,
}

/// Every PF and VF of the machine, as text or as JSON.
pub fn list(machine: &Machine, json: bool) -> Result<String> {
    let pfs = machine.host().pfs().context("cannot read what cards there are")?;
    if json {
        return Ok(serde_json::to_string_pretty(&Listing { schema: SCHEMA, pfs })? + "\n");
    }
    if pfs.is_empty() {
        return Ok("no card of this machine has virtual functions\n".into());
    }
    let rows = pfs.iter().flat_map(|pf| std::iter::once(pf_row(pf)).chain(pf.vfs.iter().map(vf_row)));
    Ok(table("address what driver group numa interface vfs used-by", rows))
}

fn pf_row(pf: &Pf) -> Vec<String> {
    vec![
        pf.address.to_string(),
        format!("{} PF", pf.family.map_or("unknown", |family| family.name)),
        unknown(pf.driver.as_ref()),
        unknown(pf.iommu_group),
        unknown(pf.numa_node),
        unknown(pf.interface.as_ref().map(interface)),
        format!("{}/{}", pf.num_vfs, pf.total_vfs),
        String::new(),
    ]
}

fn vf_row(vf: &Vf) -> Vec<String> {
    vec![
        vf.address.to_string(),
        format!("VF {}", vf.index),
        unknown(vf.driver.as_ref()),
        unknown(vf.iommu_group),
        unknown(vf.numa_node),
        unknown(vf.interface.as_ref().map(interface)),
        String::new(),
        vf.holders.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    ]
}

fn interface(interface: &Interface) -> String {
    format!("{} ({})", interface.name, interface.state)
}

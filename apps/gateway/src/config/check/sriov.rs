//! The rules of physical and virtual functions.

use std::collections::HashMap;

use iogate::packet::MacAddr;
use iogate::port::PortSpec;
use iogate::sriov::{FAMILIES, PciAddress, VfVlan};

use super::{Names, numbered};
use crate::config::model::{Config, Pf, PfId, Vf, VfOwner};
use crate::config::raw::{self, RawAdapter, RawNetwork, RawPf, RawVf, VfPort, VfPorts};
use crate::config::read::{Head, Table};

/// The functions of the file.
pub(super) struct Raw<'a> {
    pfs: Vec<RawPf<'a>>,
    vfs: Vec<RawVf<'a>>,
}

impl<'a> Raw<'a> {
    pub(super) fn read(root: &Table<'a>) -> Self {
        let pfs = root.objects("pf").into_iter().map(raw::pf).collect();
        Self { pfs, vfs: root.objects("vf").into_iter().map(raw::vf).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pfs.is_empty()
    }

    /// The VFs that are there to be ports.
    pub(super) fn ports(&self) -> VfPorts<'_> {
        let spec = |vf: &RawVf<'_>| {
            let of = |pf: &&RawPf<'_>| pf.name.as_ref().map(|name| name.as_str()) == vf.pf.map(|pf| pf.value);
            Some(PortSpec::vf(self.pfs.iter().find(of)?.pci?.value, vf.index?.value))
        };
        let mut ports = VfPorts::new();
        for vf in &self.vfs {
            let Some(name) = &vf.name else { continue };
            let port = VfPort { head: &vf.head, spec: spec(vf), queues: vf.queues, server: vf.server.as_ref() };
            ports.entry(name.as_str()).or_insert(port);
        }
        ports
    }
}

/// The functions; `None` only with a problem in the sink.
pub(super) fn check(raw: &Raw<'_>, adapters: &[RawAdapter<'_>]) -> Option<(Vec<Pf>, Vec<Vf>)> {
    let names = Names::collect("pf", numbered(&raw.pfs).map(|(i, pf)| (&pf.head, &pf.name, PfId(i))));
    Names::collect("vf", raw.vfs.iter().map(|vf| (&vf.head, &vf.name, ())));
    let mut places: HashMap<PciAddress, &Head<'_>> = HashMap::new();
    for pf in &raw.pfs {
        if let Some(pci) = pf.pci {
            match places.get(&pci.value) {
                Some(other) => pf.head.problem_at(
                    pci.line,
                    format!(
                        "pci = \"{}\" is already that of {} (line {}); use another",
                        pci.value, other.label, other.line
                    ),
                ),
                None => drop(places.insert(pci.value, &pf.head)),
            }
        }
        check_count(pf);
    }
    macs_tell_apart(&raw.vfs, adapters);
    let mut taken: HashMap<(PfId, u16), &Head<'_>> = HashMap::new();
    let vfs: Vec<_> = raw.vfs.iter().map(|vf| check_vf(vf, &raw.pfs, &names, &mut taken)).collect();
    let pfs = raw.pfs.iter().map(|pf| {
        Some(Pf {
            name: pf.name.clone()?,
            pci: pf.pci?.value,
            driver: pf.driver.map(|d| d.value.to_owned()),
            num_vfs: pf.num_vfs?.value,
            hw_mode: pf.hw_mode,
            lanes: lanes(pf),
            up: pf.up,
            promiscuous: pf.promiscuous,
        })
    });
    Some((pfs.collect::<Option<_>>()?, vfs.into_iter().collect::<Option<_>>()?))
}

fn lanes(pf: &RawPf<'_>) -> u8 {
    pf.lanes.map_or(1, |lanes| lanes.value)
}

/// What cards with a driver can have at most; what the card itself has is the machine's matter.
fn check_count(pf: &RawPf<'_>) {
    let (Some(driver), Some(count)) = (pf.driver, pf.num_vfs) else { return };
    let of_driver = || FAMILIES.iter().filter(|family| family.pf_driver == driver.value);
    if let Some(lanes) = pf.lanes.filter(|lanes| lanes.value > 1)
        && of_driver().next().is_some()
        && !of_driver().any(|family| family.lanes)
    {
        let (driver, value) = (driver.value, lanes.value);
        pf.head.problem_at(
            lanes.line,
            format!("lanes = {value}: {driver} has no traffic classes beside virtual functions; remove it"),
        );
    }
    let Some(most) = of_driver().map(|family| family.vfs_with(lanes(pf))).max() else { return };
    if count.value > most {
        let (driver, count_shown) = (driver.value, count.value);
        let with = pf.lanes.map_or(String::new(), |lanes| format!(" with lanes = {}", lanes.value));
        pf.head.problem_at(
            count.line,
            format!("num_vfs = {count_shown} is more than {driver}{with} can have; use at most {most}"),
        );
    }
}

fn check_vf<'a>(
    vf: &'a RawVf<'a>,
    pfs: &[RawPf<'_>],
    names: &Names<'_, PfId>,
    taken: &mut HashMap<(PfId, u16), &'a Head<'a>>,
) -> Option<Vf> {
    let pf = vf.pf.and_then(|name| names.find(&vf.head, "pf", name));
    if let (Some(id), Some(index)) = (pf, vf.index) {
        let pf = &pfs[id.index()];
        if let Some(count) = pf.num_vfs.filter(|count| index.value >= count.value) {
            let (label, line, count, index_shown) = (&pf.head.label, count.line, count.value, index.value);
            vf.head.problem_at(
                index.line,
                format!("index = {index_shown} is not below num_vfs = {count} of {label} (line {line}); use a lower one, or raise num_vfs"),
            );
        }
        match taken.get(&(id, index.value)) {
            Some(other) => vf.head.problem_at(
                index.line,
                format!(
                    "index = {} of {} is already {} (line {}); use another",
                    index.value, pf.head.label, other.label, other.line
                ),
            ),
            None => drop(taken.insert((id, index.value), &vf.head)),
        }
    }
    let vlan = vf.vlan.map_or(0, |vlan| vlan.value);
    for (key, line) in [("qos", vf.qos.map(|q| q.line)), ("vlan_proto", vf.service.map(|s| s.line))] {
        if let Some(line) = line.filter(|_| vlan == 0) {
            vf.head.problem_at(line, format!("{key} is for a VF with a vlan only; add one, or remove it"));
        }
    }
    let rate = vf.rate();
    if let Some(min) = vf.min_tx.filter(|min| rate.max_mbps > 0 && min.value > rate.max_mbps) {
        let (low, high) = (rate.min_mbps, rate.max_mbps);
        vf.head.problem_at(
            min.line,
            format!("min_tx_mbps = {low} is more than max_tx_mbps = {high}; lower it, or raise max_tx_mbps"),
        );
    }
    let owner = vf.server.clone().map_or(VfOwner::Gateway, VfOwner::Server);
    let ours = owner == VfOwner::Gateway;
    match &owner {
        VfOwner::Gateway if vlan == 0 => trunk(vf),
        VfOwner::Server(_) if vlan == 0 => {
            vf.head.problem("a server's VF is on one VLAN, as nothing but the card polices it; add vlan = 1..4094")
        }
        _ => {}
    }
    let driver = vf.driver.map(|driver| driver.value);
    if let Some(driver) =
        vf.driver.filter(|driver| ours && !["vfio-pci", "uio_pci_generic", "igb_uio"].contains(&driver.value))
    {
        vf.head.problem_at(
            driver.line,
            format!(
                "driver = \"{}\" keeps the VF in the kernel, where the gateway cannot poll it; use \"vfio-pci\"",
                driver.value
            ),
        );
    }
    let vlan = VfVlan { id: vlan, qos: vf.qos.map_or(0, |q| q.value), service: vf.service.is_some_and(|s| s.value) };
    Some(Vf {
        name: vf.name.clone()?,
        pf: pf?,
        index: vf.index?.value,
        owner,
        driver: driver.or(ours.then_some("vfio-pci")).map(str::to_owned),
        queues: vf.queues,
        mac: vf.mac.map(|mac| mac.value),
        vlan,
        trust: vf.trust.map_or(ours, |trust| trust.value),
        spoof_check: vf.spoof_check.map_or(!ours, |check| check.value),
        link_state: vf.link_state,
        rate,
    })
}

/// The gateway sends with the servers' addresses, and receives for them.
fn trunk(vf: &RawVf<'_>) {
    if let Some(trust) = vf.trust.filter(|trust| !trust.value) {
        vf.head.problem_at(trust.line, "trust = false on a trunk of the gateway, which then receives its own address only; use true, or give it a vlan");
    }
    if let Some(check) = vf.spoof_check.filter(|check| check.value) {
        vf.head.problem_at(check.line, "spoofchk = true on a trunk of the gateway, whose frames have the servers' addresses and would be dropped; use false, or give it a vlan");
    }
}

/// No two VFs have one address, nor has a server's that of an adapter of another way.
fn macs_tell_apart(vfs: &[RawVf<'_>], adapters: &[RawAdapter<'_>]) {
    let mut owners: HashMap<MacAddr, &Head<'_>> = HashMap::new();
    for vf in vfs {
        let Some(mac) = vf.mac else { continue };
        let adapter = adapters.iter().find(|a| vf.server.is_some() && a.mac.is_some_and(|m| m.value == mac.value));
        match owners.get(&mac.value).copied().or(adapter.map(|a| &a.head)) {
            Some(other) => vf.head.problem_at(
                mac.line,
                format!(
                    "mac = \"{}\" is already that of {} (line {}); give each its own",
                    mac.value, other.label, other.line
                ),
            ),
            None => drop(owners.insert(mac.value, &vf.head)),
        }
    }
}

/// A VF that the card puts into a VLAN sees no tags, so nothing on the port that it is may need one.
pub(super) fn tags_can_pass(config: &Config, networks: &[RawNetwork<'_>], adapters: &[RawAdapter<'_>]) {
    let vlan_of = |port: &PortSpec| {
        let vf = config.vf_of(port)?;
        (vf.vlan.id != 0).then(|| format!("vf \"{}\", which the card puts into VLAN {}", vf.name, vf.vlan.id))
    };
    for ((id, network), raw) in config.networks().zip(networks) {
        let (Some(vlan), Some(line)) = (network.vlan, raw.vlan.map(|vlan| vlan.line)) else { continue };
        for uplink in config.uplinks_of(id).iter().map(|id| config.uplink(*id)) {
            if let Some(vf) = vlan_of(&uplink.port) {
                let name = &uplink.name;
                raw.head.problem_at(line, format!("vlan = {vlan}: uplink \"{name}\" is {vf}, so that it sees no tags; use vlan = 0, or take vlan from the vf"));
            }
        }
    }
    for (adapter, raw) in config.adapters.iter().zip(adapters) {
        let link = config.link(adapter.link);
        if let (Some(vf), Some(tag)) = (vlan_of(&link.port), adapter.attachments.iter().find_map(|at| at.tag)) {
            let name = &link.name;
            raw.head.problem(format!("tag {tag}: link \"{name}\" is {vf}, so that it sees no tags; make it untagged, or take vlan from the vf"));
        }
    }
}

//! From `[[pf]]` and `[[vf]]` to what the framework makes of a machine.

use crate::config::Config;
use crate::config::model::{Pf, PfId, PortRef, Vf};
use iogate::packet::MacAddr;
use iogate::sriov::{Binding, DesiredPf, DesiredVf, Foreign, PfSetting, VfSetting};
use std::collections::BTreeSet;

/// The PFs and VFs as the file has them.
pub fn desired(config: &Config) -> Vec<DesiredPf> {
    config.pfs().map(|(id, pf)| desired_pf(config, id, pf)).collect()
}

fn desired_pf(config: &Config, id: PfId, pf: &Pf) -> DesiredPf {
    let mut settings: Vec<_> = pf.hw_mode.map(PfSetting::HwMode).into_iter().collect();
    // What is not asked for stays as it is: others may use the interface, too.
    settings.extend(pf.promiscuous.then_some(PfSetting::Promiscuous(true)));
    settings.extend(pf.up.then_some(PfSetting::Up(true)));
    let mut vfs: Vec<_> = config.vfs.iter().filter(|vf| vf.pf == id).map(|vf| desired_vf(config, vf)).collect();
    vfs.sort_by_key(|vf| vf.index);
    DesiredPf {
        name: pf.name.to_string(),
        address: pf.pci,
        driver: pf.driver.clone(),
        num_vfs: pf.num_vfs,
        autoprobe: false,
        lanes: pf.lanes,
        settings,
        vfs,
        exact: false,
    }
}

fn desired_vf(config: &Config, vf: &Vf) -> DesiredVf {
    let mut settings: Vec<_> = vf.mac.map(VfSetting::Mac).into_iter().collect();
    settings.extend([
        VfSetting::Vlan(vf.vlan),
        VfSetting::Trust(vf.trust),
        VfSetting::SpoofCheck(vf.spoof_check),
        VfSetting::Rate(vf.rate),
        VfSetting::LinkState(vf.link_state),
    ]);
    DesiredVf {
        name: vf.name.to_string(),
        index: vf.index,
        queues: vf.queues,
        settings,
        binding: vf.driver.as_deref().map(Binding::to),
        foreign: foreign(config, vf),
    }
}

/// Whose frames it must receive besides its own, as the port that it is.
fn foreign(config: &Config, vf: &Vf) -> Foreign {
    match config.ports().find(|(_, _, spec, _)| config.vf_of(spec) == Some(vf)) {
        // Servers send to everybody.
        Some((PortRef::Link(_), ..)) => Foreign::Any,
        Some((PortRef::Uplink(uplink), ..)) => {
            let behind = |network| config.uplinks_of(network).contains(&uplink);
            let adapters =
                config.adapters.iter().filter(|adapter| adapter.attachments.iter().any(|at| behind(at.network)));
            let macs: BTreeSet<MacAddr> =
                adapters.map(|adapter| adapter.mac).filter(|mac| Some(*mac) != vf.mac).collect();
            if macs.is_empty() { Foreign::None } else { Foreign::Some(macs.len()) }
        }
        None => Foreign::None,
    }
}

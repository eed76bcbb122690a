//! From what is there to what is wanted: an ordered list of steps.

use super::address::PciAddress;
use super::explain;
use super::family::Family;
use super::holder::Holder;
use super::host::{Host, Vf};
use super::settings::{HwMode, PfSetting, VfSetting};
use super::state::{Binding, DesiredPf, DesiredVf, PfState};
use super::step::{Change, Step};
use serde::Serialize;
use std::fmt;

/// The driver that gives functions to processes.
const VFIO: &str = "vfio-pci";

/// Why a plan cannot be carried out, or what it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The PF or VF by its name.
    pub about: String,
    /// What, why, and what to do.
    pub text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.text)
    }
}

/// What is to be done to make PFs and VFs as they are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// Why it cannot be done; nothing is, unless there are none.
    pub refusals: Vec<Remark>,
    /// Whom it would disturb; it is only done when that is allowed.
    pub disturbs: Vec<Remark>,
    /// What else is to be known.
    pub notes: Vec<Remark>,
}

impl Plan {
    /// Plans the way from what is there to what is wanted.
    pub fn new(host: &Host, states: &[PfState], desired: &[DesiredPf]) -> Plan {
        let mut plan = Plan::default();
        for pf in desired {
            match states.iter().find(|state| state.pf.address == pf.address) {
                Some(state) => Planner { host, state, desired, pf, plan: &mut plan }.plan(),
                None => plan.refuse(
                    &pf.name,
                    format!(
                        "there is no card with virtual functions at {}; see `iogate vf list`, and whether SR-IOV is \
                         enabled in the firmware",
                        pf.address
                    ),
                ),
            }
        }
        plan
    }

    /// Why a step of it cannot be taken, though the plan could not know: a VF's IOMMU group shows once it is made.
    pub(super) fn hindrance(host: &Host, desired: &[DesiredPf], step: &Step) -> Option<Remark> {
        let Change::Bind { name, vf, binding, .. } = &step.change else { return None };
        let function = host.vf_address(step.address, *vf).filter(|_| binding.driver.as_deref() == Some(VFIO))?;
        Some(Remark { about: name.clone(), text: unfit_group(host, desired, function)? })
    }

    /// Whether everything is as it is wanted.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.refusals.is_empty()
    }

    fn refuse(&mut self, about: &str, text: impl Into<String>) {
        self.refusals.push(Remark { about: about.to_owned(), text: text.into() });
    }
}

/// Plans one PF.
struct Planner<'a> {
    host: &'a Host,
    state: &'a PfState,
    desired: &'a [DesiredPf],
    pf: &'a DesiredPf,
    plan: &'a mut Plan,
}

impl Planner<'_> {
    fn plan(mut self) {
        let (pf, there) = (self.pf, &self.state.pf);
        if let Some(driver) = &pf.driver
            && there.driver.as_ref() != Some(driver)
        {
            let its = there.driver.as_deref().unwrap_or("none");
            self.refuse(format!("its driver is {its}, not {driver}; bind it to {driver}, or name {its}"));
        }
        self.check_count();
        if pf.autoprobe != there.autoprobe {
            self.step(Change::Autoprobe { on: pf.autoprobe });
        }
        let remade = pf.num_vfs != there.num_vfs;
        if remade {
            self.change_count();
        }
        match &there.interface {
            Some(interface) => {
                for setting in pf.settings.iter().filter(|setting| !self.state.has(**setting)) {
                    if *setting == PfSetting::HwMode(HwMode::Vepa) && there.family.is_some_and(|family| !family.vepa) {
                        self.refuse(format!("an {} cannot send VF-to-VF frames out; leave hwmode out", self.card()));
                    }
                    self.step(Change::Pf { interface: interface.name.clone(), setting: *setting });
                    // Drivers reset all VFs for these.
                    if matches!(setting, PfSetting::HwMode(_) | PfSetting::Up(false)) && !remade {
                        there.vfs.iter().for_each(|vf| self.disturbs(&self.pf.name, vf));
                    }
                }
            }
            None if pf.settings.is_empty() && pf.vfs.iter().all(|vf| vf.settings.is_empty()) => {}
            None => {
                let driver = there.family.map_or("its kernel driver", |family| family.pf_driver);
                self.refuse(format!(
                    "it has no interface in this network namespace, which settings go through; bind it to {driver}, or \
                     run this where its interface is"
                ));
            }
        }
        for vf in pf.vfs.iter().filter(|vf| vf.index < pf.num_vfs) {
            self.plan_vf(vf, remade);
        }
    }

    fn check_count(&mut self) {
        let (pf, there) = (self.pf, &self.state.pf);
        if pf.num_vfs > there.total_vfs {
            let total = there.total_vfs;
            self.refuse(format!(
                "{} VFs are more than the {total} that the card has; ask for at most {total}",
                pf.num_vfs
            ));
        } else if let Some(family) = there.family
            && pf.num_vfs > family.vfs_with(pf.lanes)
        {
            let (most, lanes) = (family.vfs_with(pf.lanes), pf.lanes);
            self.refuse(format!(
                "an {} with {lanes} traffic classes has at most {most} VFs, not {}; ask for fewer VFs or lanes",
                family.name, pf.num_vfs
            ));
        }
    }

    fn change_count(&mut self) {
        let (from, to) = (self.state.pf.num_vfs, self.pf.num_vfs);
        for vf in self.state.pf.vfs.iter().filter(|vf| !vf.holders.is_empty()) {
            let (index, address, holders) = (vf.index, vf.address, used_by(&vf.holders));
            self.refuse(format!(
                "the number of VFs cannot change from {from} to {to} while VF {index} ({address}) is used by {holders}: \
                 all VFs vanish meanwhile; stop that first"
            ));
        }
        if from > 0 {
            self.step(Change::NumVfs { from, to: 0 });
        }
        if to > 0 {
            self.step(Change::NumVfs { from: 0, to });
        }
    }

    fn plan_vf(&mut self, wanted: &DesiredVf, remade: bool) {
        let there = self.state.pf.vfs.iter().find(|vf| vf.index == wanted.index && !remade);
        let known = self.state.settings.vfs.get(usize::from(wanted.index)).filter(|_| there.is_some());
        let is = known.copied().unwrap_or_default();
        let before = self.plan.steps.len();
        if let Some(interface) = &self.state.pf.interface {
            for setting in wanted.settings.iter().filter(|setting| is.of(**setting) != **setting) {
                self.check_setting(wanted, *setting);
                self.step(Change::Vf {
                    name: wanted.name.clone(),
                    vf: wanted.index,
                    interface: interface.name.clone(),
                    setting: *setting,
                    was: known.map(|known| known.of(*setting)),
                });
            }
        }
        if let Some(there) = there
            && self.plan.steps.len() > before
        {
            self.disturbs(&wanted.name, there);
        }
        self.plan_binding(wanted, there);
        self.check_queues(wanted);
        self.check_reception(wanted);
    }

    fn plan_binding(&mut self, wanted: &DesiredVf, there: Option<&Vf>) {
        let Some(binding) = &wanted.binding else { return };
        // A new one is bound by the kernel if at all, and not before it is there.
        let is = match there {
            Some(vf) => Some(Binding::of(vf)),
            None if self.pf.autoprobe => None,
            None => Some(Binding::default()),
        };
        if is.is_some_and(|is| if self.pf.exact { is == *binding } else { is.satisfies(binding) }) {
            return;
        }
        if let Some(driver) = binding.driver.as_deref() {
            self.check_driver(wanted, driver, there);
        }
        if let Some(there) = there.filter(|vf| !vf.holders.is_empty()) {
            let (index, address, holders) = (there.index, there.address, used_by(&there.holders));
            let text = format!(
                "VF {index} ({address}) cannot be bound to {binding} while it is used by {holders}; stop that first"
            );
            self.plan.refuse(&wanted.name, text);
        }
        self.step(Change::Bind {
            name: wanted.name.clone(),
            vf: wanted.index,
            binding: binding.clone(),
            was: there.map(Binding::of),
        });
    }

    fn check_driver(&mut self, wanted: &DesiredVf, driver: &str, there: Option<&Vf>) {
        if !self.host.has_driver(driver) {
            let text = format!("there is no driver {driver}; load it: modprobe {driver}");
            self.plan.refuse(&wanted.name, text);
            return;
        }
        if driver != VFIO {
            return;
        }
        if !self.host.has_iommu() && !self.host.allows_no_iommu() {
            self.plan.refuse(
                &wanted.name,
                "vfio-pci needs an IOMMU, and the kernel has none on; enable VT-d or AMD-Vi in the firmware and boot with \
                 intel_iommu=on iommu=pt",
            );
        }
        // The group of one that is yet to be made shows then.
        let shared = there.and_then(|vf| unfit_group(self.host, self.desired, vf.address));
        if let Some(text) = shared {
            self.plan.refuse(&wanted.name, text);
        }
    }

    /// What a card is known not to do is not even tried.
    fn check_setting(&mut self, wanted: &DesiredVf, setting: VfSetting) {
        let Some(family) = self.state.pf.family else { return };
        let its_vfs = format!("VFs of an {}", family.name);
        let text = match setting {
            VfSetting::LinkState(_) if !family.link_state => {
                format!("the link state of {its_vfs} cannot be set; leave link_state out")
            }
            VfSetting::Rate(rate) if rate.min_mbps > 0 && !family.min_rate => {
                format!("{its_vfs} have no least rate; leave min_tx_mbps out")
            }
            VfSetting::Rate(rate) if rate.max_mbps > 0 && !family.max_rate => {
                format!("{its_vfs} have no highest rate; leave max_tx_mbps out")
            }
            VfSetting::Vlan(vlan) if vlan.service && !family.service_tag => {
                format!("{its_vfs} have no 802.1ad tags; use vlan_proto = \"802.1q\"")
            }
            _ => return,
        };
        self.plan.refuse(&wanted.name, text);
    }

    fn check_queues(&mut self, wanted: &DesiredVf) {
        let Some(family) = self.state.pf.family else { return };
        let most = family.queues_with(self.pf.num_vfs, self.pf.lanes);
        if wanted.queues > most {
            let (vfs, queues) = (self.pf.num_vfs, wanted.queues);
            let text = format!("a VF of an {} with {vfs} VFs has at most {most} RX queues, not {queues}", family.name);
            self.plan.refuse(&wanted.name, text);
        }
    }

    fn check_reception(&mut self, wanted: &DesiredVf) {
        let Some(family) = self.state.pf.family else { return };
        let trust = wanted.settings.contains(&VfSetting::Trust(true));
        let promiscuous = self.pf.settings.contains(&PfSetting::Promiscuous(true))
            || self.state.pf.interface.as_ref().is_some_and(|interface| interface.promiscuous);
        let (refusal, note) = explain::reception(family, wanted.foreign, trust, promiscuous);
        self.plan.refusals.extend(refusal.map(|text| Remark { about: wanted.name.clone(), text }));
        self.plan.notes.extend(note.map(|text| Remark { about: wanted.name.clone(), text }));
    }

    fn card(&self) -> &'static str {
        self.state.pf.family.map_or("card like this", |family: &Family| family.name)
    }

    /// Notes that who uses a VF, if anybody does, would notice.
    fn disturbs(&mut self, about: &str, vf: &Vf) {
        if !vf.holders.is_empty() {
            let text = format!("VF {} ({}) is used by {}", vf.index, vf.address, used_by(&vf.holders));
            self.plan.disturbs.push(Remark { about: about.to_owned(), text });
        }
    }

    fn step(&mut self, change: Change) {
        self.plan.steps.push(Step { pf: self.pf.name.clone(), address: self.pf.address, change });
    }

    fn refuse(&mut self, text: String) {
        self.plan.refuse(&self.pf.name, text);
    }
}

/// Why vfio would not give out a function: its IOMMU group has others that the kernel keeps, and that are not
/// to be given to vfio as well.
fn unfit_group(host: &Host, desired: &[DesiredPf], function: PciAddress) -> Option<String> {
    let group = host.iommu_group(function)?;
    let given = desired.iter().flat_map(|pf| pf.vfs.iter().map(|vf| (pf.address, vf)));
    let given =
        given.filter(|(_, vf)| vf.binding.as_ref().is_some_and(|binding| binding.driver.as_deref() == Some(VFIO)));
    let given: Vec<_> = given.filter_map(|(pf, vf)| host.vf_address(pf, vf.index)).collect();
    let neighbours = host.group_neighbours(group, function).into_iter();
    let mut kept = neighbours.filter_map(|(address, driver)| Some((address, driver?)));
    let (neighbour, its) =
        kept.find(|(address, driver)| driver != VFIO && driver != "pcieport" && !given.contains(address))?;
    Some(format!(
        "it shares IOMMU group {group} with {neighbour}, which is bound to {its}; a group is given out as a whole: \
         unbind that one too, or use a slot with ACS"
    ))
}

fn used_by(holders: &[Holder]) -> String {
    holders.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

//! From what is there to what is wanted: an ordered list of steps.

use super::address::PciAddress;
use super::explain;
use super::family::Family;
use super::holder::Holder;
use super::host::{Host, Pf, Vf};
use super::kernel::Kernel;
use super::settings::{HwMode, PfSetting, PfSettings, VfSetting};
use serde::Serialize;
use std::fmt;
use std::io;

/// A PF as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredPf {
    /// What messages call it.
    pub name: String,
    /// Where it is.
    pub address: PciAddress,
    /// The kernel's driver that it must be bound to; nothing: any.
    pub driver: Option<String>,
    /// How many VFs it has.
    pub num_vfs: u16,
    /// Whether the kernel binds new VFs to a driver by itself.
    pub autoprobe: bool,
    /// Traffic classes in hardware, which take VFs from some cards; 1 without.
    pub lanes: u8,
    /// What is set on its interface, in this order.
    pub settings: Vec<PfSetting>,
    /// VFs that are to be in a certain way, by rising index; the others stay as they come.
    pub vfs: Vec<DesiredVf>,
}

/// A VF as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredVf {
    /// What messages call it.
    pub name: String,
    /// Its number on the PF, counted from 0.
    pub index: u16,
    /// RX queues that it is to be used with.
    pub queues: u16,
    /// What is set on it, in the order of [`VfSettings::all`](super::VfSettings::all); what is not named stays as it is.
    pub settings: Vec<VfSetting>,
    /// What it is bound to; nothing: stays as it is.
    pub binding: Option<Binding>,
    /// Whose frames it must receive besides its own.
    pub foreign: Foreign,
}

/// Addresses other than a VF's own that it must receive unicast frames for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Foreign {
    /// None.
    #[default]
    None,
    /// So many known ones.
    Some(usize),
    /// Any: servers send to whom they like.
    Any,
}

/// The driver of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Binding {
    /// The driver; nothing: unbound.
    pub driver: Option<String>,
    /// The only driver that it may be bound to.
    pub driver_override: Option<String>,
}

impl Binding {
    /// To this driver, and no other.
    pub fn to(driver: &str) -> Self {
        Binding { driver: Some(driver.to_owned()), driver_override: Some(driver.to_owned()) }
    }

    /// That of a VF.
    pub fn of(vf: &Vf) -> Self {
        Binding { driver: vf.driver.clone(), driver_override: vf.driver_override.clone() }
    }

    /// Whether a VF with this one is as it was wanted. Who asks for one driver only need not mind that
    /// the kernel may bind another one.
    fn satisfies(&self, wanted: &Binding) -> bool {
        self == wanted || self.driver == wanted.driver && wanted.driver == wanted.driver_override
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.driver.as_deref().unwrap_or("none"))
    }
}

/// A PF as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PfState {
    /// What sysfs says.
    pub pf: Pf,
    /// What netlink says.
    pub settings: PfSettings,
}

impl PfState {
    /// Reads the PFs at these addresses, as far as there are any.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn read(kernel: &mut dyn Kernel, addresses: impl IntoIterator<Item = PciAddress>) -> io::Result<Vec<PfState>> {
        let mut all = Vec::new();
        for address in addresses {
            let Some(pf) = kernel.host().pf(address)? else { continue };
            let settings = match &pf.interface {
                Some(interface) => kernel.settings(&interface.name)?,
                None => PfSettings::default(),
            };
            all.push(PfState { pf, settings });
        }
        Ok(all)
    }

    /// As something to go back to.
    pub fn as_desired(&self) -> DesiredPf {
        let vf = |vf: &Vf| DesiredVf {
            name: format!("vf {}", vf.index),
            index: vf.index,
            queues: 0,
            settings: self.settings.vfs.get(usize::from(vf.index)).map_or(Vec::new(), |all| all.all().to_vec()),
            binding: Some(Binding::of(vf)),
            foreign: Foreign::None,
        };
        let mut settings: Vec<_> = self.settings.hw_mode.map(PfSetting::HwMode).into_iter().collect();
        if let Some(interface) = &self.pf.interface {
            settings.extend([PfSetting::Promiscuous(interface.promiscuous), PfSetting::Up(interface.up)]);
        }
        DesiredPf {
            name: self.pf.address.to_string(),
            address: self.pf.address,
            driver: None,
            num_vfs: self.pf.num_vfs,
            autoprobe: self.pf.autoprobe,
            lanes: 1,
            settings,
            vfs: self.pf.vfs.iter().map(vf).collect(),
        }
    }

    /// Whether a setting of the interface is as it is to be.
    fn has(&self, setting: PfSetting) -> bool {
        let interface = self.pf.interface.as_ref();
        match setting {
            PfSetting::Up(on) => interface.is_some_and(|interface| interface.up == on),
            PfSetting::Promiscuous(on) => interface.is_some_and(|interface| interface.promiscuous == on),
            PfSetting::HwMode(mode) => self.settings.hw_mode == Some(mode),
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The PF by its name.
    pub pf: String,
    /// The PF's address.
    pub address: PciAddress,
    /// What is changed.
    pub change: Change,
}

/// What a [`Step`] changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Change {
    /// Whether the kernel binds new VFs to a driver by itself.
    Autoprobe {
        /// From now on.
        on: bool,
    },
    /// How many VFs there are. All are removed before there are more or fewer.
    NumVfs {
        /// Before.
        from: u16,
        /// After.
        to: u16,
    },
    /// Something on the PF's interface.
    Pf {
        /// The interface.
        interface: String,
        /// What it is to be.
        setting: PfSetting,
    },
    /// Something on a VF.
    Vf {
        /// The VF by its name.
        name: String,
        /// Its number.
        vf: u16,
        /// The PF's interface.
        interface: String,
        /// What it is to be.
        setting: VfSetting,
        /// What it was; nothing for a VF that is only made.
        was: Option<VfSetting>,
    },
    /// What a VF is bound to.
    Bind {
        /// The VF by its name.
        name: String,
        /// Its number.
        vf: u16,
        /// What it is to be bound to.
        binding: Binding,
        /// What it is bound to; nothing for a VF that is only made.
        was: Option<Binding>,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): ", self.pf, self.address)?;
        let on = |on: bool| if on { "on" } else { "off" };
        match &self.change {
            Change::Autoprobe { on: value } => write!(f, "autoprobe {}", on(*value)),
            Change::NumVfs { from, to } => write!(f, "numvfs {to} (is {from})"),
            Change::Pf { interface, setting } => write!(f, "interface {interface} {setting}"),
            Change::Vf { name, vf, setting, was, .. } => {
                write!(f, "vf {vf} {name}: {} {setting}", setting.name())?;
                was.map_or(Ok(()), |was| write!(f, " (is {was})"))
            }
            Change::Bind { name, vf, binding, was } => {
                write!(f, "vf {vf} {name}: bind {binding}")?;
                was.as_ref().map_or(Ok(()), |was| write!(f, " (is {was})"))
            }
        }
    }
}

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
                Some(state) => Planner { host, state, pf, plan: &mut plan }.plan(),
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
        if is.is_some_and(|is| is.satisfies(binding)) {
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
        if driver != "vfio-pci" {
            return;
        }
        if !self.host.has_iommu() && !self.host.allows_no_iommu() {
            self.plan.refuse(
                &wanted.name,
                "vfio-pci needs an IOMMU, and the kernel has none on; enable VT-d or AMD-Vi in the firmware and boot with \
                 intel_iommu=on iommu=pt",
            );
        }
        let Some((there, group)) = there.and_then(|vf| Some((vf, vf.iommu_group?))) else { return };
        let foreign = self.host.group_neighbours(group, there.address).into_iter();
        let mut foreign = foreign.filter_map(|(address, driver)| Some((address, driver?)));
        if let Some((neighbour, its)) = foreign.find(|(_, driver)| driver != "vfio-pci" && driver != "pcieport") {
            let text = format!(
                "it shares IOMMU group {group} with {neighbour}, which is bound to {its}; a group is given out as a \
                 whole: unbind that one too, or use a slot with ACS"
            );
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

fn used_by(holders: &[Holder]) -> String {
    holders.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

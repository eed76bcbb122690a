//! PFs and VFs as they are to be, and as they are.

use super::address::PciAddress;
use super::host::{Pf, Vf};
use super::kernel::Kernel;
use super::settings::{PfSetting, PfSettings, VfSetting};
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
    /// Whether VFs that are bound to the right driver are also to be allowed that one only, where that is wanted.
    pub exact: bool,
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
    pub(super) fn satisfies(&self, wanted: &Binding) -> bool {
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
            exact: true,
        }
    }

    /// Whether a setting of the interface is as it is to be.
    pub(super) fn has(&self, setting: PfSetting) -> bool {
        let interface = self.pf.interface.as_ref();
        match setting {
            PfSetting::Up(on) => interface.is_some_and(|interface| interface.up == on),
            PfSetting::Promiscuous(on) => interface.is_some_and(|interface| interface.promiscuous == on),
            PfSetting::HwMode(mode) => self.settings.hw_mode == Some(mode),
        }
    }
}

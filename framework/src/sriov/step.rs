//! One change on the way from what is there to what is wanted.

use super::address::PciAddress;
use super::settings::{PfSetting, VfSetting};
use super::state::Binding;
use serde::Serialize;
use std::fmt;

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

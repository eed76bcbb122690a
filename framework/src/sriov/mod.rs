//! SR-IOV: the virtual functions (VFs) of a machine's cards, found, planned, made, given up.
//!
//! [`Host::pfs`] reads what is there from sysfs: physical functions (PFs), their VFs, drivers, IOMMU
//! groups, NUMA nodes, and who uses what. [`Plan::new`] says which steps lead from there to what is
//! wanted, and why it cannot be done; [`apply`] takes the steps through a [`Kernel`], reads back, and
//! takes everything back when one fails. A [`Watchdog`] says when a VF in use is dead. Nothing here needs EAL.

mod address;
mod apply;
mod explain;
mod family;
mod faults;
mod holder;
mod host;
mod kernel;
mod netlink;
mod plan;
mod plugin;
mod settings;
mod state;
mod step;
mod watchdog;

pub use address::{ParseAddressError, PciAddress};
pub use apply::{Applied, ApplyError, apply};
pub use family::{FAMILIES, Family, ForeignUnicast, INTEL};
pub use faults::IommuFaults;
pub use holder::Holder;
pub use host::{Host, Interface, Pf, Vf};
pub use kernel::{Kernel, LocalKernel};
pub use plan::{Plan, Remark};
pub(crate) use plugin::is_uuid;
pub use plugin::{PluginDevice, PluginError, plugin_device};
pub use settings::{HwMode, LinkState, PfSetting, PfSettings, VfRate, VfSetting, VfSettings, VfVlan};
pub use state::{Binding, DesiredPf, DesiredVf, Foreign, PfState};
pub use step::{Change, Step};
pub use watchdog::{Ailment, PfLink, VfSigns, Watchdog};

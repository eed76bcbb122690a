//! SR-IOV: the virtual functions (VFs) of a machine's cards, found, planned, made, given up.
//!
//! [`Host::pfs`] reads what is there from sysfs: physical functions (PFs), their VFs, drivers, IOMMU
//! groups, NUMA nodes, and who uses what. Nothing here needs EAL.

mod address;
mod family;
mod holder;
mod host;

pub use address::{ParseAddressError, PciAddress};
pub use family::{FAMILIES, Family, ForeignUnicast, INTEL};
pub use holder::Holder;
pub use host::{Host, Interface, Pf, Vf};

//! What sysfs says of the machine's PFs and VFs.

use super::address::PciAddress;
use super::family::Family;
use super::holder::{Holder, Openers};
use super::watchdog::PfLink;
use crate::packet::MacAddr;
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A machine by its `/sys`, `/proc` and `/dev`: this one, or a tree of files that looks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    root: PathBuf,
}

/// A physical function: a port of a card that can have virtual functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pf {
    /// Where it is.
    pub address: PciAddress,
    /// PCI vendor number.
    pub vendor: u16,
    /// PCI device number.
    pub device: u16,
    /// What is known about cards like this one.
    #[serde(serialize_with = "family_name")]
    pub family: Option<&'static Family>,
    /// The driver it is bound to.
    pub driver: Option<String>,
    /// The IOMMU group.
    pub iommu_group: Option<u32>,
    /// The NUMA node; nothing where the machine does not say.
    pub numa_node: Option<u32>,
    /// The most VFs it can have.
    pub total_vfs: u16,
    /// The VFs that it has.
    pub num_vfs: u16,
    /// Whether the kernel binds new VFs to a driver by itself.
    pub autoprobe: bool,
    /// How far the first VF is behind it, in functions.
    pub offset: u16,
    /// How far VFs are apart.
    pub stride: u16,
    /// Its interface.
    pub interface: Option<Interface>,
    /// Its VFs, by index.
    pub vfs: Vec<Vf>,
}

/// A virtual function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Vf {
    /// Its number on the PF, counted from 0.
    pub index: u16,
    /// Where it is.
    pub address: PciAddress,
    /// The driver it is bound to.
    pub driver: Option<String>,
    /// The only driver that it may be bound to, when set.
    pub driver_override: Option<String>,
    /// The IOMMU group.
    pub iommu_group: Option<u32>,
    /// The NUMA node; nothing where the machine does not say.
    pub numa_node: Option<u32>,
    /// Its interface, when a kernel driver made one and it is in this network namespace.
    pub interface: Option<Interface>,
    /// Who uses it; empty when nobody does.
    pub holders: Vec<Holder>,
}

/// A network interface of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its address.
    #[serde(serialize_with = "display_option")]
    pub mac: Option<MacAddr>,
    /// Whether it is set up.
    pub up: bool,
    /// Whether it receives frames for any address.
    pub promiscuous: bool,
    /// The kernel's word for its state: `up`, `down`, `lowerlayerdown`, ...
    pub state: String,
    /// The bridge, bond or other interface that it belongs to.
    pub master: Option<String>,
}

impl Host {
    /// This machine.
    pub fn local() -> Self {
        Host { root: "/".into() }
    }

    /// The machine whose `sys`, `proc` and `dev` stand in a folder.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Host { root: root.into() }
    }

    /// A file below the root: `sys/bus/pci`.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// The folder of a PCI function.
    pub fn function(&self, address: PciAddress) -> PathBuf {
        self.path("sys/bus/pci/devices").join(address.to_string())
    }

    /// Whether a PCI function is a virtual one.
    pub fn is_vf(&self, address: PciAddress) -> bool {
        self.function(address).join("physfn").exists()
    }

    /// Every PF of the machine, by address.
    ///
    /// # Errors
    /// When sysfs or proc cannot be read. A function that vanishes meanwhile is no error.
    pub fn pfs(&self) -> io::Result<Vec<Pf>> {
        let mut addresses = self.functions()?;
        addresses.retain(|address| self.function(*address).join("sriov_totalvfs").exists());
        addresses.sort_unstable();
        self.read(&addresses)
    }

    /// One PF; nothing when there is no such function, or it can have no VFs.
    ///
    /// # Errors
    /// When sysfs or proc cannot be read.
    pub fn pf(&self, address: PciAddress) -> io::Result<Option<Pf>> {
        Ok(self.read(&[address])?.pop())
    }

    /// The address of VF `index` of a PF; nothing when there is none.
    pub fn vf_address(&self, pf: PciAddress, index: u16) -> Option<PciAddress> {
        link_name(&self.function(pf).join(format!("virtfn{index}")))?.parse().ok()
    }

    /// The NUMA node of a function, where the machine says.
    pub fn numa_node(&self, address: PciAddress) -> Option<u32> {
        value(&self.function(address).join("numa_node"))
    }

    /// The IOMMU group of a function, if it is in one.
    pub fn iommu_group(&self, address: PciAddress) -> Option<u32> {
        link_name(&self.function(address).join("iommu_group"))?.parse().ok()
    }

    /// The link of a VF's PF; nothing where its interface is not in this network namespace.
    pub fn pf_link(&self, vf: PciAddress) -> Option<PfLink> {
        let folder = self.function(vf).join("physfn");
        let interface = folder.join("net").join(interface(&folder)?.name);
        Some(PfLink {
            // Cannot be read of an interface that is set down.
            up: value::<u8>(&interface.join("carrier")) == Some(1),
            downs: value(&interface.join("carrier_down_count"))?,
        })
    }

    /// Whether the kernel isolates devices from each other, so that one can be given to a process.
    pub fn has_iommu(&self) -> bool {
        fs::read_dir(self.path("sys/kernel/iommu_groups")).is_ok_and(|mut groups| groups.next().is_some())
    }

    /// Whether vfio gives out devices without an IOMMU.
    pub fn allows_no_iommu(&self) -> bool {
        let text = self.text("sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
        text.is_some_and(|text| text == "Y" || text == "1")
    }

    /// Whether a driver of PCI functions is there.
    pub fn has_driver(&self, driver: &str) -> bool {
        !driver.contains('/') && self.path("sys/bus/pci/drivers").join(driver).is_dir()
    }

    /// The other functions of an IOMMU group, by address, with their drivers.
    pub fn group_neighbours(&self, group: u32, than: PciAddress) -> Vec<(PciAddress, Option<String>)> {
        let Ok(entries) = fs::read_dir(self.path(format!("sys/kernel/iommu_groups/{group}/devices"))) else {
            return Vec::new();
        };
        let addresses = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut others: Vec<_> = addresses.filter(|address: &PciAddress| *address != than).collect();
        others.sort_unstable();
        others.into_iter().map(|address| (address, link_name(&self.function(address).join("driver")))).collect()
    }

    fn functions(&self) -> io::Result<Vec<PciAddress>> {
        let folder = self.path("sys/bus/pci/devices");
        let entries = match fs::read_dir(&folder) {
            // A machine without PCI has none.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.path("sys").exists() => return Ok(Vec::new()),
            other => other.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?,
        };
        Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    }

    fn read(&self, addresses: &[PciAddress]) -> io::Result<Vec<Pf>> {
        let mut pfs: Vec<Pf> = addresses.iter().filter_map(|address| self.read_pf(*address)).collect();
        let openers = if pfs.iter().any(|pf| pf.num_vfs > 0) { Openers::scan(self)? } else { Openers::default() };
        for vf in pfs.iter_mut().flat_map(|pf| &mut pf.vfs) {
            vf.holders = openers.of(self, vf);
        }
        Ok(pfs)
    }

    fn read_pf(&self, address: PciAddress) -> Option<Pf> {
        let folder = self.function(address);
        let (vendor, device) = (hex(&folder.join("vendor"))?, hex(&folder.join("device"))?);
        let num_vfs = value(&folder.join("sriov_numvfs"))?;
        Some(Pf {
            address,
            vendor,
            device,
            family: Family::of_pf(vendor, device),
            driver: link_name(&folder.join("driver")),
            iommu_group: self.iommu_group(address),
            numa_node: self.numa_node(address),
            total_vfs: value(&folder.join("sriov_totalvfs"))?,
            num_vfs,
            // Kernels before 4.12 have no such file, and bind.
            autoprobe: value::<u8>(&folder.join("sriov_drivers_autoprobe")) != Some(0),
            offset: value(&folder.join("sriov_offset")).unwrap_or(0),
            stride: value(&folder.join("sriov_stride")).unwrap_or(0),
            interface: interface(&folder),
            vfs: (0..num_vfs).filter_map(|index| self.read_vf(address, index)).collect(),
        })
    }

    fn read_vf(&self, pf: PciAddress, index: u16) -> Option<Vf> {
        let address = self.vf_address(pf, index)?;
        let folder = self.function(address);
        let driver_override = text(&folder.join("driver_override"));
        Some(Vf {
            index,
            address,
            driver: link_name(&folder.join("driver")),
            driver_override: driver_override.filter(|text| !text.is_empty() && text != "(null)"),
            iommu_group: self.iommu_group(address),
            numa_node: self.numa_node(address),
            interface: interface(&folder),
            holders: Vec::new(),
        })
    }

    fn text(&self, below: &str) -> Option<String> {
        text(&self.path(below))
    }
}

/// The interface of a function; the first, where a driver makes several.
fn interface(function: &Path) -> Option<Interface> {
    let mut names: Vec<_> = fs::read_dir(function.join("net")).ok()?.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    let name = names.into_iter().next()?.into_string().ok()?;
    let folder = function.join("net").join(&name);
    let flags = text(&folder.join("flags"))?;
    let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok()?;
    Some(Interface {
        mac: value(&folder.join("address")),
        up: flags & libc::IFF_UP as u32 != 0,
        promiscuous: flags & libc::IFF_PROMISC as u32 != 0,
        state: text(&folder.join("operstate")).unwrap_or_else(|| "unknown".into()),
        master: link_name(&folder.join("master")),
        name,
    })
}

/// The text of a small file, without white space around it.
fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The value in a small file; nothing for one that makes no sense, as -1 for a NUMA node.
fn value<T: FromStr>(path: &Path) -> Option<T> {
    text(path)?.parse().ok()
}

fn hex(path: &Path) -> Option<u16> {
    u16::from_str_radix(text(path)?.trim_start_matches("0x"), 16).ok()
}

/// The last part of where a symbolic link leads.
fn link_name(path: &Path) -> Option<String> {
    Some(fs::read_link(path).ok()?.file_name()?.to_str()?.to_owned())
}

fn family_name<S: serde::Serializer>(family: &Option<&'static Family>, serializer: S) -> Result<S::Ok, S::Error> {
    family.map(|family| family.name).serialize(serializer)
}

fn display_option<S: serde::Serializer>(mac: &Option<MacAddr>, serializer: S) -> Result<S::Ok, S::Error> {
    mac.map(|mac| mac.to_string()).serialize(serializer)
}

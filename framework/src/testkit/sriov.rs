//! Machines with SR-IOV cards, as trees of files.

use crate::sriov::{Family, Host, INTEL, PciAddress};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Cards there are trees of, each with two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Card {
    /// Two 82576 as QEMU emulates them, 7 VFs each.
    #[value(name = "82576")]
    Intel82576,
    /// An 82599, 63 VFs a port.
    #[value(name = "82599")]
    Intel82599,
    /// An X710, 64 VFs a port.
    X710,
    /// An E810, 128 VFs a port.
    E810,
}

/// A file of a PF that no kernel has: the group that its VFs join.
const JOINED_GROUP: &str = "fake_vfs_iommu_group";

struct Port {
    address: &'static str,
    interface: &'static str,
    device: u16,
    total_vfs: u16,
    offset: u16,
    stride: u16,
    numa_node: i32,
}

impl Card {
    /// All of them.
    pub const ALL: [Card; 4] = [Card::Intel82576, Card::Intel82599, Card::X710, Card::E810];

    /// The addresses of its two ports.
    ///
    /// # Panics
    /// Never: they are written in this file.
    pub fn pfs(self) -> [PciAddress; 2] {
        self.ports().map(|port| port.address.parse().expect("an address"))
    }

    #[rustfmt::skip]
    fn ports(self) -> [Port; 2] {
        let [a, b] = match self {
            Card::Intel82576 => [("0000:01:00.0", "eth0", 128), ("0000:02:00.0", "eth1", 128)],
            Card::Intel82599 => [("0000:04:00.0", "enp4s0f0", 128), ("0000:04:00.1", "enp4s0f1", 128)],
            Card::X710 => [("0000:3b:00.0", "ens1f0", 16), ("0000:3b:00.1", "ens1f1", 79)],
            Card::E810 => [("0000:86:00.0", "ens2f0", 8), ("0000:86:00.1", "ens2f1", 135)],
        };
        let (device, total_vfs, stride, numa_node) = match self {
            Card::Intel82576 => (0x10c9, 7, 2, -1),
            Card::Intel82599 => (0x10fb, 63, 2, 0),
            Card::X710 => (0x1572, 64, 1, 0),
            Card::E810 => (0x1592, 128, 1, 1),
        };
        [a, b].map(|(address, interface, offset)| Port { address, interface, device, total_vfs, offset, stride, numa_node })
    }
}

/// A machine that stands in a folder: the `sys`, `proc` and `dev` that [`Host`] reads, changed as a
/// kernel changes them.
#[derive(Clone, Debug)]
pub struct FakeHost {
    host: Host,
}

impl FakeHost {
    /// Makes the tree in a folder.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn create(root: &Path, cards: &[Card]) -> FakeHost {
        let fake = FakeHost { host: Host::at(root) };
        for folder in
            ["sys/bus/pci/devices", "sys/bus/pci/drivers/vfio-pci", "sys/kernel/iommu_groups", "proc", "dev/vfio"]
        {
            create_dir(&fake.path(folder));
        }
        write(&fake.path("sys/bus/pci/drivers_probe"), "");
        for port in cards.iter().flat_map(|card| card.ports()) {
            fake.add_port(&port);
        }
        fake
    }

    /// The machine.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Makes or removes VFs, as writing to `sriov_numvfs` does; new ones are bound to the kernel's driver
    /// when `sriov_drivers_autoprobe` says so.
    ///
    /// # Panics
    /// When there is no such PF, or it cannot have so many.
    pub fn set_num_vfs(&self, pf: PciAddress, count: u16) {
        let folder = self.host.function(pf);
        let old: u16 = read(&folder.join("sriov_numvfs"));
        assert!(count <= read::<u16>(&folder.join("sriov_totalvfs")), "{pf} cannot have {count} VFs");
        for index in 0..old {
            self.remove_vf(pf, index);
        }
        write(&folder.join("sriov_numvfs"), &count.to_string());
        for index in 0..count {
            self.add_vf(pf, index);
        }
    }

    /// The address that VF `index` of a PF has, or would have.
    ///
    /// # Panics
    /// When there is no such PF.
    pub fn vf(&self, pf: PciAddress, index: u16) -> PciAddress {
        let folder = self.host.function(pf);
        let (offset, stride): (u16, u16) = (read(&folder.join("sriov_offset")), read(&folder.join("sriov_stride")));
        pf.behind(offset + index * stride)
    }

    /// Binds a function to a driver, which makes an interface unless it is `vfio-pci`; or unbinds it.
    ///
    /// # Panics
    /// When there is no such function or driver.
    pub fn bind(&self, function: PciAddress, driver: Option<&str>) {
        let folder = self.host.function(function);
        let group: u32 = link_number(&folder.join("iommu_group"));
        for gone in [folder.join("driver"), self.path(format!("dev/vfio/{group}"))] {
            let _ = fs::remove_file(gone);
        }
        let _ = fs::remove_dir_all(folder.join("net"));
        let Some(driver) = driver else { return };
        assert!(self.path("sys/bus/pci/drivers").join(driver).is_dir(), "there is no driver {driver}");
        link(&format!("../../drivers/{driver}"), &folder.join("driver"));
        if driver == "vfio-pci" {
            write(&self.path(format!("dev/vfio/{group}")), "");
        } else {
            let name = function.to_string()[5..].replace([':', '.'], "");
            self.add_interface(function, &format!("v{name}"), "02:00:00:00:00:01", false);
        }
    }

    /// Puts the VFs that a PF gets from now on into the IOMMU group of a function, as in a slot without ACS;
    /// otherwise each has its own.
    ///
    /// # Panics
    /// When there is no such function.
    pub fn new_vfs_join(&self, pf: PciAddress, function: PciAddress) {
        let group: u32 = link_number(&self.host.function(function).join("iommu_group"));
        write(&self.host.function(pf).join(JOINED_GROUP), &group.to_string());
    }

    /// Gives a function an interface.
    ///
    /// # Panics
    /// When there is no such function.
    pub fn add_interface(&self, function: PciAddress, name: &str, mac: &str, up: bool) {
        let folder = self.host.function(function).join("net").join(name);
        create_dir(&folder);
        write(&folder.join("address"), mac);
        write(&folder.join("operstate"), if up { "up" } else { "down" });
        write(&folder.join("flags"), if up { "0x1003" } else { "0x1002" });
    }

    /// Sets or clears a flag of an interface, as of `IFF_*`.
    ///
    /// # Panics
    /// When there is no such interface.
    pub fn set_flag(&self, function: PciAddress, interface: &str, flag: u32, on: bool) {
        let file = self.host.function(function).join("net").join(interface).join("flags");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let flags = u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).expect("flags");
        write(&file, &format!("{:#x}", if on { flags | flag } else { flags & !flag }));
    }

    /// Makes a process that has opened devices.
    ///
    /// # Panics
    /// When the tree cannot be written.
    pub fn add_process(&self, pid: u32, name: &str, devices: &[&str]) {
        let folder = self.path(format!("proc/{pid}"));
        create_dir(&folder.join("fd"));
        write(&folder.join("comm"), name);
        for (fd, device) in devices.iter().enumerate() {
            link(device, &folder.join(format!("fd/{fd}")));
        }
    }

    fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.host.path(below)
    }

    fn add_port(&self, port: &Port) {
        let address: PciAddress = port.address.parse().expect("an address");
        let family = Family::of_pf(INTEL, port.device).expect("a known card");
        for driver in [family.pf_driver, family.vf_driver] {
            create_dir(&self.path("sys/bus/pci/drivers").join(driver));
        }
        let folder = self.add_function(address, port.device, port.numa_node, None);
        for (file, number) in [
            ("sriov_totalvfs", port.total_vfs),
            ("sriov_numvfs", 0),
            ("sriov_drivers_autoprobe", 1),
            ("sriov_offset", port.offset),
            ("sriov_stride", port.stride),
        ] {
            write(&folder.join(file), &number.to_string());
        }
        write(&folder.join("sriov_vf_device"), &format!("{:x}", family.vf_devices[0]));
        link(&format!("../../drivers/{}", family.pf_driver), &folder.join("driver"));
        let mac = format!("52:54:00:00:{:02x}:{:02x}", port.device & 0xff, address.to_string().as_bytes()[11]);
        self.add_interface(address, port.interface, &mac, true);
    }

    fn add_function(&self, address: PciAddress, device: u16, numa_node: i32, group: Option<u32>) -> PathBuf {
        let folder = self.host.function(address);
        create_dir(&folder);
        let groups = self.path("sys/kernel/iommu_groups");
        let own = || (1u32..).find(|group| !groups.join(group.to_string()).exists()).expect("numbers do not end");
        let group = group.unwrap_or_else(own);
        create_dir(&groups.join(format!("{group}/devices")));
        link(&format!("../../../../bus/pci/devices/{address}"), &groups.join(format!("{group}/devices/{address}")));
        write(&folder.join("vendor"), "0x8086");
        write(&folder.join("device"), &format!("{device:#06x}"));
        write(&folder.join("numa_node"), &numa_node.to_string());
        write(&folder.join("driver_override"), "(null)");
        link(&format!("../../../../kernel/iommu_groups/{group}"), &folder.join("iommu_group"));
        folder
    }

    fn add_vf(&self, pf: PciAddress, index: u16) {
        let folder = self.host.function(pf);
        let device = fs::read_to_string(folder.join("sriov_vf_device")).expect("the PF's file");
        let device = u16::from_str_radix(device.trim(), 16).expect("a number");
        let address = self.vf(pf, index);
        let joined = folder.join(JOINED_GROUP);
        let group = joined.exists().then(|| read(&joined));
        let vf = self.add_function(address, device, read(&folder.join("numa_node")), group);
        link(&format!("../{pf}"), &vf.join("physfn"));
        link(&format!("../{address}"), &folder.join(format!("virtfn{index}")));
        if read::<u8>(&folder.join("sriov_drivers_autoprobe")) == 1 {
            let family = self.host.pf(pf).ok().flatten().and_then(|pf| pf.family).expect("a known card");
            self.bind(address, Some(family.vf_driver));
        }
    }

    fn remove_vf(&self, pf: PciAddress, index: u16) {
        let address = self.vf(pf, index);
        let group: u32 = link_number(&self.host.function(address).join("iommu_group"));
        self.bind(address, None);
        fs::remove_dir_all(self.host.function(address)).expect("the VF's folder");
        let members = self.path(format!("sys/kernel/iommu_groups/{group}/devices"));
        fs::remove_file(members.join(address.to_string())).expect("its place in its group");
        if fs::read_dir(&members).expect("its group").next().is_none() {
            fs::remove_dir_all(members.parent().expect("a group")).expect("its group");
        }
        fs::remove_file(self.host.function(pf).join(format!("virtfn{index}"))).expect("the PF's link");
    }
}

fn create_dir(path: &Path) {
    fs::create_dir_all(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn write(path: &Path, text: &str) {
    fs::write(path, format!("{text}\n")).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn link(target: &str, path: &Path) {
    symlink(target, path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn read<T: std::str::FromStr>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim().parse().unwrap_or_else(|_| panic!("{}: {text:?}", path.display()))
}

fn link_number(path: &Path) -> u32 {
    let target = fs::read_link(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    target.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a group's number")
}

//! Who uses a VF.

use super::host::{Host, Vf};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Somebody who would notice if a VF went away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Holder {
    /// A process that has opened it through vfio or vhost-vdpa.
    Process {
        /// The process.
        pid: u32,
        /// Its name.
        name: String,
        /// What it has opened.
        device: String,
    },
    /// An interface of the kernel that is up, or belongs to another one.
    Interface {
        /// Its name.
        name: String,
        /// Its address, as text.
        mac: String,
        /// The kernel's word for its state.
        state: String,
        /// The interface that it belongs to.
        master: Option<String>,
    },
    /// A network driver of the kernel whose interface is not in this network namespace.
    HiddenInterface {
        /// The driver.
        driver: String,
    },
    /// Somebody who has the IOMMU group and cannot be seen from here.
    Unseen {
        /// What is taken.
        device: String,
    },
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Process { pid, name, device } => write!(f, "pid {pid} ({name}) through {device}"),
            Holder::Interface { name, mac, state, master: None } => write!(f, "interface {name} ({mac}, {state})"),
            Holder::Interface { name, mac, state, master: Some(master) } => {
                write!(f, "interface {name} ({mac}, {state}, of {master})")
            }
            Holder::HiddenInterface { driver } => write!(f, "an interface of {driver} in another network namespace"),
            Holder::Unseen { device } => write!(f, "a process that cannot be seen from here through {device}"),
        }
    }
}

/// Kernel drivers of VFs that make interfaces.
const INTERFACE_DRIVERS: [&str; 7] = ["igbvf", "ixgbevf", "iavf", "i40evf", "mlx5_core", "mlx4_core", "bnxt_en"];

/// Which processes have opened which devices that VFs are used through.
#[derive(Debug, Default)]
pub(super) struct Openers {
    by_device: HashMap<PathBuf, Vec<(u32, String)>>,
}

impl Openers {
    /// Looks at the open files of every process that may be looked at.
    pub(super) fn scan(host: &Host) -> io::Result<Openers> {
        let mut by_device: HashMap<PathBuf, Vec<(u32, String)>> = HashMap::new();
        let proc = host.path("proc");
        let entries = fs::read_dir(&proc)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", proc.display())))?;
        for entry in entries.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // It may have ended, or be somebody else's.
            let Ok(files) = fs::read_dir(entry.path().join("fd")) else { continue };
            let mut devices: Vec<PathBuf> =
                files.flatten().filter_map(|file| fs::read_link(file.path()).ok()).collect();
            devices.retain(|device| device.starts_with("/dev/vfio") || is_vdpa(device));
            devices.sort();
            devices.dedup();
            for device in devices {
                let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default().trim().to_owned();
                by_device.entry(device).or_default().push((pid, name));
            }
        }
        Ok(Openers { by_device })
    }

    /// Who uses a VF.
    pub(super) fn of(&self, host: &Host, vf: &Vf) -> Vec<Holder> {
        let folder = host.function(vf.address);
        let mut devices = Vec::new();
        devices.extend(vf.iommu_group.map(|group| format!("/dev/vfio/{group}")));
        devices.extend(vf.iommu_group.map(|group| format!("/dev/vfio/noiommu-{group}")));
        devices.extend(children(&folder.join("vfio-dev")).map(|name| format!("/dev/vfio/devices/{name}")));
        for vdpa in children(&folder).filter(|name| name.starts_with("vdpa")) {
            let nodes = children(&folder.join(vdpa)).filter(|name| name.starts_with("vhost-vdpa-"));
            devices.extend(nodes.map(|name| format!("/dev/{name}")));
        }
        let mut holders = Vec::new();
        for device in devices {
            let openers = self.by_device.get(Path::new(&device)).into_iter().flatten();
            holders.extend(openers.map(|(pid, name)| Holder::Process {
                pid: *pid,
                name: name.clone(),
                device: device.clone(),
            }));
        }
        match (&vf.interface, &vf.driver) {
            (Some(interface), _) if interface.up || interface.master.is_some() => holders.push(Holder::Interface {
                name: interface.name.clone(),
                mac: interface.mac.unwrap_or_default().to_string(),
                state: interface.state.clone(),
                master: interface.master.clone(),
            }),
            (None, Some(driver)) if INTERFACE_DRIVERS.contains(&driver.as_str()) => {
                holders.push(Holder::HiddenInterface { driver: driver.clone() });
            }
            _ => {}
        }
        holders
    }
}

fn is_vdpa(device: &Path) -> bool {
    device.to_str().is_some_and(|path| path.starts_with("/dev/vhost-vdpa-"))
}

/// The names in a folder; none where there is no such folder.
fn children(folder: &Path) -> impl Iterator<Item = String> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok())
}

//! Who uses a VF.

use super::host::{Host, Vf};
use super::plugin::is_uuid;
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
        /// The Kubernetes pod that it is in, by its UID.
        pod: Option<String>,
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
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Process { pid, name, device, pod } => {
                write!(f, "pid {pid} ({name}) through {device}")?;
                pod.as_ref().map_or(Ok(()), |pod| write!(f, " in pod {pod}"))
            }
            Holder::Interface { name, mac, state, master: None } => write!(f, "interface {name} ({mac}, {state})"),
            Holder::Interface { name, mac, state, master: Some(master) } => {
                write!(f, "interface {name} ({mac}, {state}, of {master})")
            }
            Holder::HiddenInterface { driver } => write!(f, "an interface of {driver} in another network namespace"),
        }
    }
}

/// Kernel drivers of VFs that make interfaces.
const INTERFACE_DRIVERS: [&str; 7] = ["igbvf", "ixgbevf", "iavf", "i40evf", "mlx5_core", "mlx4_core", "bnxt_en"];

/// A process that has opened a device.
#[derive(Clone, Debug)]
struct Opener {
    pid: u32,
    name: String,
    pod: Option<String>,
}

/// Which processes have opened which devices that VFs are used through.
#[derive(Debug, Default)]
pub(super) struct Openers {
    by_device: HashMap<PathBuf, Vec<Opener>>,
}

impl Openers {
    /// Looks at the open files of every process that may be looked at.
    pub(super) fn scan(host: &Host) -> io::Result<Openers> {
        let mut by_device: HashMap<PathBuf, Vec<Opener>> = HashMap::new();
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
                let groups = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
                by_device.entry(device).or_default().push(Opener { pid, name, pod: pod(&groups) });
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
            holders.extend(openers.map(|Opener { pid, name, pod }| Holder::Process {
                pid: *pid,
                name: name.clone(),
                device: device.clone(),
                pod: pod.clone(),
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

/// The UID of the pod whose control group a process is in, from its `/proc/PID/cgroup`. Groups of pods
/// are called `pod` and the UID, which systemd wants with other dashes.
fn pod(groups: &str) -> Option<String> {
    let parts = groups.lines().filter(|line| line.contains("kubepods")).flat_map(|line| line.split(['/', '.']));
    let uid = |part: &str| {
        let uid = part.rsplit_once("pod")?.1.replace('_', "-");
        is_uuid(&uid).then_some(uid)
    };
    parts.filter_map(uid).next()
}

fn is_vdpa(device: &Path) -> bool {
    device.to_str().is_some_and(|path| path.starts_with("/dev/vhost-vdpa-"))
}

/// The names in a folder; none where there is no such folder.
fn children(folder: &Path) -> impl Iterator<Item = String> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_known_by_its_control_group() {
        let uid = "2b6c1f3a-5d5e-4b4a-9b86-0c1d2e3f4a5b";
        for group in [
            format!("0::/kubepods/burstable/pod{uid}/4f1c"),
            format!(
                "12:memory:/\n0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice/cri-containerd-4f.scope",
                uid.replace('-', "_")
            ),
        ] {
            assert_eq!(pod(&group).as_deref(), Some(uid), "{group}");
        }
        for group in ["0::/system.slice/podman.service", "0::/kubepods/podx/1", ""] {
            assert_eq!(pod(group), None, "{group}");
        }
    }
}

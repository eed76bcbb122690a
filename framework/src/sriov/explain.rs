//! What the kernel's answers mean, and what to do.

use super::family::{Family, ForeignUnicast};
use super::settings::{PfSetting, VfSetting};
use super::state::Foreign;
use super::step::Change;
use std::io;

/// What an error of a change means and what to do; empty where the error says it all.
pub(super) fn error(change: &Change, error: &io::Error) -> String {
    let Some(code) = error.raw_os_error() else { return String::new() };
    match (code, change) {
        (libc::EPERM | libc::EACCES, Change::Vf { .. } | Change::Pf { .. }) => {
            "setting it needs CAP_NET_ADMIN in the network namespace of the PF's interface; run it as root there".into()
        }
        (libc::EPERM | libc::EACCES | libc::EROFS, _) => {
            "writing to sysfs needs root and a sysfs that is not mounted read-only, as it is in a container that is not \
             privileged; run it as root on the host"
                .into()
        }
        (libc::EOPNOTSUPP, Change::Vf { setting, .. }) => {
            format!("the PF's driver cannot set {} for its VFs; leave that key out", setting.name())
        }
        (libc::EOPNOTSUPP, Change::Pf { setting: PfSetting::HwMode(_), .. }) => {
            "the PF's driver has one way to switch between VFs; leave hwmode out".into()
        }
        (libc::EINVAL, Change::Vf { setting: VfSetting::Rate(_), .. }) => {
            "rates are taken while the PF's link is up, and up to its speed; check the cable and the PF's interface".into()
        }
        (libc::EINVAL, Change::Vf { setting: VfSetting::Mac(_), .. }) => {
            "the driver takes unicast addresses only, and none while the VF has one of its own; see dmesg".into()
        }
        (libc::EBUSY, Change::NumVfs { .. }) => {
            "VFs are there already, or some are given to guests; see `iogate vf list` for who uses them".into()
        }
        (libc::ENOMEM | libc::ENOSPC | libc::EIO, Change::NumVfs { .. }) => {
            "the firmware gave the card too little address space or too few bus numbers; boot with pci=realloc or \
             pci=assign-busses, or enable SR-IOV in the firmware; see dmesg"
                .into()
        }
        (libc::ENOENT, Change::NumVfs { .. }) | (libc::EOPNOTSUPP, Change::NumVfs { .. }) => {
            "the PF's driver cannot make VFs; bind it to the kernel driver of the card".into()
        }
        (libc::EBUSY | libc::EAGAIN, Change::Vf { .. }) => {
            "the VF is still in reset, or in use; it was tried for some seconds, try again later".into()
        }
        (libc::ENODEV, Change::Bind { binding, .. }) => {
            let driver = binding.driver.as_deref().unwrap_or("no driver");
            format!("{driver} did not take it; load it with modprobe, and see dmesg")
        }
        _ => "see dmesg".into(),
    }
}

/// Whether the same may well succeed soon: a VF in reset answers so until it is out of it, and a PF that was
/// set up takes rates once its link is.
pub(super) fn passes(change: &Change, error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(libc::EBUSY | libc::EAGAIN) => true,
        Some(libc::EINVAL) => matches!(change, Change::Vf { setting: VfSetting::Rate(_), .. }),
        _ => false,
    }
}

/// What it means for the gateway that a VF of this family must receive frames for addresses other than
/// its own: why it cannot, or what to know.
pub(super) fn reception(
    family: &Family,
    foreign: Foreign,
    trust: bool,
    promiscuous: bool,
) -> (Option<String>, Option<String>) {
    let name = family.name;
    let what = match foreign {
        Foreign::None => return (None, None),
        Foreign::Some(1) => "1 foreign MAC".to_owned(),
        Foreign::Some(count) => format!("{count} foreign MACs"),
        Foreign::Any => "whatever MACs servers send to".to_owned(),
    };
    let instead = "use the PF's port, or one VF per vNIC with the vNIC's MAC";
    match (family.foreign_unicast, foreign) {
        // A server behind it may well send to the VF's own address only.
        (ForeignUnicast::Never, Foreign::Any) => {
            let text = format!(
                "receives its own MAC only: an {name} cannot do more (EOPNOTSUPP); servers behind it must send to that, else {instead}"
            );
            (None, Some(text))
        }
        (ForeignUnicast::Never, _) => {
            (Some(format!("needs trust=on (receives {what}); an {name} cannot (EOPNOTSUPP) -> {instead}")), None)
        }
        (_, Foreign::Some(count)) if !trust && family.untrusted_macs.is_some_and(|most| count < usize::from(most)) => {
            (None, Some(format!("receives {what} by address, without trust")))
        }
        (_, _) if !trust => (Some(format!("needs trust=on (receives {what}); add trust = true")), None),
        (ForeignUnicast::TrustAndPromiscuousPf, _) if !promiscuous => {
            let text = format!(
                "receives {what}, which an {name} allows a trusted VF under a promiscuous PF only (else EPERM); add promiscuous = true to the pf"
            );
            (Some(text), None)
        }
        _ => (None, Some(format!("receives {what} by promiscuous mode, being trusted"))),
    }
}

//! A kernel whose machine is a tree of files.

use super::FakeHost;
use crate::sriov::{Host, HwMode, Kernel, LinkState, PciAddress, Pf, PfSetting, PfSettings, VfSetting, VfSettings};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Does to a [`FakeHost`] what the kernel's drivers do, and fails when told to.
#[derive(Clone, Debug)]
pub struct FakeKernel {
    host: FakeHost,
    settings: BTreeMap<PciAddress, PfSettings>,
    /// What new VFs have.
    new: VfSettings,
    /// Whether the interfaces of new VFs are set up, as by a network manager.
    new_are_up: bool,
    /// Changes that were asked for so far.
    changes: usize,
    faults: BTreeMap<usize, i32>,
    /// A setting that is taken and not made, by its name.
    ignored: Option<&'static str>,
    waited: Duration,
}

impl FakeKernel {
    /// A kernel that works.
    pub fn new(host: &FakeHost) -> Self {
        FakeKernel {
            host: host.clone(),
            settings: BTreeMap::new(),
            new: VfSettings::default(),
            new_are_up: false,
            changes: 0,
            faults: BTreeMap::new(),
            ignored: None,
            waited: Duration::ZERO,
        }
    }

    /// Makes the change number `change` from now, counted from 0, fail.
    pub fn fail(&mut self, change: usize, errno: i32) {
        self.faults.insert(self.changes + change, errno);
    }

    /// Takes a VF setting from now on, by its name, and does not make it.
    pub fn ignore(&mut self, setting: &'static str) {
        self.ignored = Some(setting);
    }

    /// Makes VFs with other settings than most drivers do from now on.
    pub fn new_vfs_have(&mut self, settings: &[VfSetting]) {
        settings.iter().for_each(|setting| self.new.set(*setting));
    }

    /// Sets up the interfaces of new VFs from now on, as a network manager does.
    pub fn new_interfaces_are_up(&mut self) {
        self.new_are_up = true;
    }

    /// Changes that were asked for so far.
    pub fn changes(&self) -> usize {
        self.changes
    }

    /// How long it would have been waited.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    fn change(&mut self) -> io::Result<()> {
        let fault = self.faults.remove(&self.changes);
        self.changes += 1;
        fault.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
    }

    fn pf(&self, interface: &str) -> io::Result<Pf> {
        let found = |pf: &Pf| pf.interface.as_ref().is_some_and(|its| its.name == interface);
        self.host.host().pfs()?.into_iter().find(found).ok_or_else(|| errno(libc::ENODEV))
    }

    fn set_num_vfs(&mut self, pf: &Pf, count: u16) -> io::Result<()> {
        if pf.num_vfs != 0 && count != 0 {
            return Err(errno(libc::EBUSY));
        }
        if count > pf.total_vfs {
            return Err(errno(libc::ERANGE));
        }
        let held: Vec<_> = pf.vfs.iter().flat_map(|vf| &vf.holders).map(ToString::to_string).collect();
        assert!(held.is_empty(), "VFs are taken away from {held:?}");
        self.host.set_num_vfs(pf.address, count);
        let settings = self.settings.entry(pf.address).or_default();
        settings.vfs = vec![self.new; usize::from(count)];
        let made = self.host().pf(pf.address)?.map_or(Vec::new(), |pf| pf.vfs);
        for (vf, interface) in made.iter().filter_map(|vf| Some((vf, vf.interface.as_ref()?))) {
            self.host.set_flag(vf.address, &interface.name, libc::IFF_UP as u32, self.new_are_up);
        }
        Ok(())
    }

    fn probe(&self, function: PciAddress) {
        let folder = self.host.host().function(function);
        if folder.join("driver").exists() {
            return;
        }
        let only = fs::read_to_string(folder.join("driver_override")).unwrap_or_default();
        match only.trim() {
            "" | "(null)" => {}
            driver => self.host.bind(function, Some(driver)),
        }
    }
}

impl Kernel for FakeKernel {
    fn host(&self) -> &Host {
        self.host.host()
    }

    fn write(&mut self, file: &Path, text: &str) -> io::Result<()> {
        self.change()?;
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let folder = file.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        let address = |text: &str| text.parse::<PciAddress>().map_err(|_| errno(libc::EINVAL));
        match name {
            "sriov_numvfs" => {
                let pf = self.host().pf(address(folder)?)?.ok_or_else(|| errno(libc::ENOENT))?;
                self.set_num_vfs(&pf, text.parse().map_err(|_| errno(libc::EINVAL))?)
            }
            "sriov_drivers_autoprobe" => fs::write(file, text),
            "driver_override" => fs::write(file, if text == "\n" { "(null)" } else { text }),
            "unbind" => {
                self.host.bind(address(text)?, None);
                Ok(())
            }
            "drivers_probe" => {
                self.probe(address(text)?);
                Ok(())
            }
            _ => Err(errno(libc::ENOENT)),
        }
    }

    fn settings(&mut self, interface: &str) -> io::Result<PfSettings> {
        let pf = self.pf(interface)?;
        let vepa = pf.family.is_some_and(|family| family.vepa);
        let settings = self.settings.entry(pf.address).or_default();
        settings.vfs.resize(usize::from(pf.num_vfs), VfSettings::default());
        if vepa {
            settings.hw_mode.get_or_insert(HwMode::Veb);
        }
        Ok(settings.clone())
    }

    fn set_vf(&mut self, interface: &str, vf: u16, setting: VfSetting) -> io::Result<()> {
        self.change()?;
        let pf = self.pf(interface)?;
        let family = pf.family.ok_or_else(|| errno(libc::EOPNOTSUPP))?;
        let can = match setting {
            VfSetting::LinkState(state) => family.link_state || state == LinkState::Auto,
            VfSetting::Rate(rate) => (rate.min_mbps == 0 || family.min_rate) && (rate.max_mbps == 0 || family.max_rate),
            VfSetting::Vlan(vlan) => !vlan.service || family.service_tag,
            _ => true,
        };
        if !can {
            return Err(errno(libc::EOPNOTSUPP));
        }
        self.settings(interface)?;
        let all = self.settings.get_mut(&pf.address).and_then(|settings| settings.vfs.get_mut(usize::from(vf)));
        let settings = all.ok_or_else(|| errno(libc::EINVAL))?;
        if self.ignored != Some(setting.name()) {
            settings.set(setting);
        }
        Ok(())
    }

    fn set_pf(&mut self, interface: &str, setting: PfSetting) -> io::Result<()> {
        self.change()?;
        let pf = self.pf(interface)?;
        match setting {
            PfSetting::HwMode(mode) => self.settings.entry(pf.address).or_default().hw_mode = Some(mode),
            PfSetting::Up(on) => self.host.set_flag(pf.address, interface, libc::IFF_UP as u32, on),
            PfSetting::Promiscuous(on) => self.host.set_flag(pf.address, interface, libc::IFF_PROMISC as u32, on),
        }
        Ok(())
    }

    fn pause(&mut self, time: Duration) {
        self.waited += time;
    }
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

//! `iogate vf`: the machine's virtual functions, as they are and as a configuration wants them.

mod change;
mod desired;
mod list;

use anyhow::{Context, Result};
use iogate::sriov::{Host, Kernel, LocalKernel, PfSetting, PfSettings, VfSetting, VfSettings};
use std::io;
use std::path::{Path, PathBuf};

pub use change::{Outcome, apply, plan, reset};
pub use desired::desired;
pub use list::list;

/// The version of the JSON that `-o json` prints.
const SCHEMA: u32 = 1;

/// Which machine: this one, unless a folder is named.
#[derive(clap::Args)]
pub struct Machine {
    /// A folder with the sys, proc and dev of a machine, instead of this one
    #[arg(long, value_name = "FOLDER", hide = true)]
    sysfs_root: Option<PathBuf>,
}

impl Machine {
    fn host(&self) -> Host {
        self.sysfs_root.as_ref().map_or_else(Host::local, Host::at)
    }

    /// What changes its virtual functions.
    pub fn kernel(&self) -> Result<Box<dyn Kernel>> {
        match &self.sysfs_root {
            None => Ok(Box::new(LocalKernel::open().context("cannot open a netlink socket")?)),
            Some(root) => Ok(Box::new(Folder(Host::at(root)))),
        }
    }
}

/// A folder to plan on: VFs in it are as new ones are, and nothing is changed.
struct Folder(Host);

impl Kernel for Folder {
    fn host(&self) -> &Host {
        &self.0
    }

    fn write(&mut self, _: &Path, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn settings(&mut self, interface: &str) -> io::Result<PfSettings> {
        let is_its = |pf: &iogate::sriov::Pf| pf.interface.as_ref().is_some_and(|its| its.name == interface);
        let vfs = self.0.pfs()?.into_iter().find(is_its).map_or(0, |pf| pf.num_vfs);
        Ok(PfSettings { hw_mode: None, vfs: vec![VfSettings::default(); usize::from(vfs)] })
    }

    fn set_vf(&mut self, _: &str, _: u16, _: VfSetting) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn set_pf(&mut self, _: &str, _: PfSetting) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

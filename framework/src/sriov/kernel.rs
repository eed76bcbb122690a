//! What changes PFs and VFs: sysfs and netlink.

use super::host::Host;
use super::netlink::Netlink;
use super::settings::{PfSetting, PfSettings, VfSetting};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// The kernel of a machine, as far as virtual functions need it. [`LocalKernel`] is this machine's; the
/// testkit has one that changes a tree of files instead.
pub trait Kernel {
    /// What there is to read.
    fn host(&self) -> &Host;

    /// Writes to a file of sysfs.
    ///
    /// # Errors
    /// What the kernel answers.
    fn write(&mut self, file: &Path, text: &str) -> io::Result<()>;

    /// Reads what is set on the PF that has an interface, and on its VFs.
    ///
    /// # Errors
    /// What the kernel answers.
    fn settings(&mut self, interface: &str) -> io::Result<PfSettings>;

    /// Changes a VF of the PF that has an interface.
    ///
    /// # Errors
    /// What the kernel answers.
    fn set_vf(&mut self, interface: &str, vf: u16, setting: VfSetting) -> io::Result<()>;

    /// Changes an interface of a PF.
    ///
    /// # Errors
    /// What the kernel answers.
    fn set_pf(&mut self, interface: &str, setting: PfSetting) -> io::Result<()>;

    /// Waits before something is tried again.
    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// This machine's kernel.
#[derive(Debug)]
pub struct LocalKernel {
    host: Host,
    netlink: Netlink,
}

impl LocalKernel {
    /// Opens a netlink socket.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn open() -> io::Result<Self> {
        Ok(LocalKernel { host: Host::local(), netlink: Netlink::open()? })
    }
}

impl Kernel for LocalKernel {
    fn host(&self) -> &Host {
        &self.host
    }

    fn write(&mut self, file: &Path, text: &str) -> io::Result<()> {
        // In one write: sysfs takes each for a whole value.
        OpenOptions::new().write(true).open(file)?.write_all(text.as_bytes())
    }

    fn settings(&mut self, interface: &str) -> io::Result<PfSettings> {
        self.netlink.settings(interface)
    }

    fn set_vf(&mut self, interface: &str, vf: u16, setting: VfSetting) -> io::Result<()> {
        self.netlink.set_vf(interface, vf, setting)
    }

    fn set_pf(&mut self, interface: &str, setting: PfSetting) -> io::Result<()> {
        self.netlink.set_pf(interface, setting)
    }
}

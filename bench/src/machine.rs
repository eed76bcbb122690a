//! Where and on what was measured.

use iogate::eal::dpdk_release;
use serde::{Deserialize, Serialize};
use std::process::Command;

/// What a reader must know of the machine to make sense of figures that are no ratios.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) dpdk: String,
    pub(crate) rustc: String,
    /// Of the sources, with `+` when they were changed since; empty outside of a checkout.
    pub(crate) commit: String,
    /// UTC.
    pub(crate) date: String,
    /// Processes that wanted a core, on average of the minute before.
    pub(crate) load: f64,
}

impl Machine {
    /// This one, now.
    pub(crate) fn this() -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let commit = said("git", &["-C", root, "describe", "--always", "--dirty=+", "--exclude=*"]);
        let load = read("/proc/loadavg").split_whitespace().next().and_then(|load| load.parse().ok());
        Machine {
            processor: model.map_or_else(|| "unknown".to_owned(), |(_, model)| model.trim().to_owned()),
            cores: iogate::worker::cores().len(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            dpdk: format!("{}.{:02}", dpdk_release().0, dpdk_release().1),
            rustc: env!("IOGATE_RUSTC").to_owned(),
            commit,
            date: said("date", &["-u", "+%Y-%m-%d %H:%M"]),
            load: load.unwrap_or(0.0),
        }
    }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known() {
        let machine = Machine::this();
        assert!(machine.cores > 0 && !machine.kernel.is_empty() && machine.dpdk.contains('.'), "{machine:?}");
    }
}

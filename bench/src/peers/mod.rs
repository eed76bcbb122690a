//! What the gateway is measured against, each as good as it gets: DPDK's testpmd is in
//! [`testpmd`](crate::testpmd), because other measurements use it too.

use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::process::Command;

pub(crate) mod c;
pub(crate) mod ovs;
mod ovs_flows;
#[cfg(test)]
mod same;
mod tables;

/// Installs what is missing of them.
pub(crate) fn install() -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/setup");
    let status = Command::new(&script).arg("--peers").status();
    let status = status.with_context(|| format!("{} is not where it was at build time", script.display()))?;
    ensure!(status.success(), "{} --peers failed: its reasons stand above", script.display());
    crate::say("testpmd, Open vSwitch on DPDK and iperf3 are installed");
    Ok(())
}

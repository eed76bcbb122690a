//! The same job written by hand in C: `bench/peers/gateway.c`.

use super::tables;
use crate::testpmd::MEMORY_MB;
use crate::{Pages, Plan};
use anyhow::{Context as _, Result, bail, ensure};
use iogate_gateway::config::model::Config;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SOURCES: [(&str, &str); 3] = [
    ("gateway.c", include_str!("../../peers/gateway.c")),
    ("frame.h", include_str!("../../peers/frame.h")),
    ("tables.h", include_str!("../../peers/tables.h")),
];

/// The program, built.
#[derive(Debug)]
pub(crate) struct Program(PathBuf);

/// The devices of a port: to receive from, if it is polled, and to send to.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) rx: Option<String>,
    pub(crate) tx: String,
}

/// What it printed.
#[derive(Debug, Deserialize)]
pub(crate) struct Outcome {
    /// Packets received in the time of the measurement.
    pub(crate) packets: u64,
    /// Processor time they took, seconds.
    pub(crate) cpu_s: f64,
    /// Ticks of the time-stamp counter in a second.
    pub(crate) tsc_hz: f64,
    /// Packets dropped since the start, by reason.
    pub(crate) drops: BTreeMap<String, u64>,
    /// Adapter, class, direction (0 is from the server), packets, bytes; only of a run to the end.
    #[cfg_attr(not(test), allow(dead_code, reason = "a test compares it"))]
    pub(crate) traffic: Vec<(u32, u8, u8, u64, u64)>,
}

impl Program {
    /// Compiles it with the flags that DPDK was compiled with, and -O3.
    ///
    /// # Errors
    /// When there is no compiler or no DPDK to compile it with; the text says what to install.
    pub(crate) fn build(folder: &Path) -> Result<Program> {
        for (name, text) in SOURCES {
            std::fs::write(folder.join(name), text)?;
        }
        let flags = Command::new("pkg-config").args(["--cflags", "--libs", "libdpdk"]).output();
        let flags = flags.ok().filter(|output| output.status.success());
        let flags = flags.context("pkg-config finds no libdpdk: run scripts/setup")?;
        let flags = String::from_utf8(flags.stdout).context("flags that are text")?;
        let program = folder.join("gateway");
        let mut command = Command::new("cc");
        command.args(["-O3", "-o"]).arg(&program).arg(folder.join("gateway.c")).args(flags.split_whitespace());
        let output = command.output().context("no C compiler: run scripts/setup")?;
        ensure!(output.status.success(), "cc failed:\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(Program(program))
    }

    /// Forwards for `seconds` after a moment to warm up; with no seconds, until nothing comes any more.
    pub(crate) fn run(&self, config: &Config, ways: &[Way], seconds: f64, plan: Plan) -> Result<Outcome> {
        let tables = self.0.with_extension("tables");
        std::fs::write(&tables, tables::text(config))?;
        let memory = MEMORY_MB.to_string();
        let mut command = Command::new(&self.0);
        command.args(match plan.pages {
            Pages::Plain => ["--no-huge", "--no-shconf", "-m", &memory],
            Pages::Huge => ["--in-memory", "--no-shconf", "--socket-limit", &memory],
        });
        command.args(["--no-pci", "--no-telemetry", "--log-level=4"]);
        command.arg(format!("--file-prefix=iogate-bench-c-{}", std::process::id()));
        command.arg(format!("--lcores=0@{}", plan.core));
        let devices = ways.iter().flat_map(|way| way.rx.iter().chain([&way.tx]));
        let mut devices: Vec<&String> = devices.collect();
        devices.dedup();
        command.args(devices.iter().map(|device| format!("--vdev={device}"))).arg("--");
        command.arg(&tables).arg(seconds.to_string());
        for way in ways {
            command.args([way.rx.as_deref().map_or("-", name), name(&way.tx)]);
        }
        let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).output()?;
        if !output.status.success() {
            bail!("the peer in C failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("the peer in C printed something else")
    }
}

impl Outcome {
    /// Cycles of processor time for a packet.
    pub(crate) fn cycles(&self) -> f64 {
        self.cpu_s * self.tsc_hz / self.packets as f64
    }
}

/// Of a device with its options.
fn name(device: &str) -> &str {
    device.split(',').next().unwrap_or(device)
}

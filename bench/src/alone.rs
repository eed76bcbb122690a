//! One measurement of ours, in a process of its own, as the peer's is.

use crate::clock::cpu_time;
use crate::testpmd::{MEMORY_MB, WARM_UP};
use crate::{Pages, Plan, gateway, io, lookup, wire};
use anyhow::{Context as _, Result, bail, ensure};
use iogate::eal::{Eal, HugePages};
use iogate::pipeline::Totals;
use iogate::telemetry::{StageStats, cycles_per_second};
use iogate::worker::Runtime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// What to measure.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Job {
    /// Two null ports.
    Io,
    /// The gateway behind capture files, one for each port.
    Gateway {
        /// The configuration.
        config: PathBuf,
        /// Name of a port, `=`, file.
        captures: Vec<String>,
    },
    /// Address tables.
    Lookup,
    /// The gateway between lines of 10 Gbit/s.
    Wire {
        /// Part of the line's rate.
        rate: f64,
    },
}

impl Job {
    fn arguments(&self) -> Vec<String> {
        match self {
            Job::Io => vec!["io".to_owned()],
            Job::Gateway { config, captures } => {
                let head = ["gateway".to_owned(), config.display().to_string()];
                head.into_iter().chain(captures.iter().cloned()).collect()
            }
            Job::Lookup => vec!["lookup".to_owned()],
            Job::Wire { rate } => vec!["wire".to_owned(), rate.to_string()],
        }
    }
}

/// What a worker did in the time of a measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Packets received.
    pub(crate) packets: u64,
    /// Processor time they took, seconds.
    pub(crate) cpu_s: f64,
    /// Time of day they took, seconds.
    pub(crate) wall_s: f64,
    /// Ticks of the time-stamp counter in a second.
    pub(crate) tsc_hz: f64,
    /// Packets dropped, by reason, since the start.
    pub(crate) drops: BTreeMap<String, u64>,
    /// Packets sent since the start.
    pub(crate) sent: u64,
    /// Stages: name, packets in a call, cycles per packet.
    pub(crate) stages: Vec<(String, f64, f64)>,
}

impl Sample {
    /// Million packets in a second of processor time.
    pub(crate) fn mpps(&self) -> f64 {
        self.packets as f64 / self.cpu_s / 1e6
    }

    /// Cycles of processor time for a packet.
    pub(crate) fn cycles(&self) -> f64 {
        self.cpu_s * self.tsc_hz / self.packets as f64
    }
}

/// Runs a job and prints what came out.
pub(crate) fn run(job: Job, plan: Plan) -> Result<()> {
    let policy = if plan.pages == Pages::Huge { HugePages::Auto } else { HugePages::Never };
    let eal = Eal::builder().memory_mb(MEMORY_MB).huge_pages(policy).start()?;
    ensure!(
        eal.huge_pages() == (plan.pages == Pages::Huge),
        "{MEMORY_MB} MiB of huge pages are not free: echo {} > /proc/sys/vm/nr_hugepages",
        MEMORY_MB / 2
    );
    let result = match job {
        Job::Io => serde_json::to_string(&io::measure(&eal, plan)?)?,
        Job::Gateway { config, captures } => serde_json::to_string(&gateway::measure(&eal, plan, &config, &captures)?)?,
        Job::Lookup => serde_json::to_string(&lookup::measure(&eal, plan)?)?,
        Job::Wire { rate } => serde_json::to_string(&wire::measure(&eal, plan, rate)?)?,
    };
    println!("{result}");
    Ok(())
}

/// Runs a job in a process of its own.
pub(crate) fn spawn<T: serde::de::DeserializeOwned>(job: &Job, plan: Plan) -> Result<T> {
    let program = std::env::current_exe().context("where is this program?")?;
    let mut command = Command::new(program);
    command.arg("alone").args(job.arguments());
    command.arg(format!("--core={}", plan.core)).arg(format!("--seconds={}", plan.seconds));
    command.arg(format!("--runs={}", plan.runs));
    command.args(["--pages", if plan.pages == Pages::Huge { "huge" } else { "plain" }]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("a measurement failed ({}): its message stands above", output.status);
    }
    serde_json::from_slice(&output.stdout).context("a measurement printed something else")
}

/// Warms up and measures workers that are ready to start.
pub(crate) fn measure(runtime: &mut Runtime, seconds: f64) -> Result<Sample> {
    runtime.start()?;
    std::thread::sleep(WARM_UP);
    let process = std::process::id();
    let (start, time, before) = (std::time::Instant::now(), cpu_time(process)?, runtime.totals());
    std::thread::sleep(Duration::from_secs_f64(seconds));
    let (wall, time, after) = (start.elapsed(), cpu_time(process)? - time, runtime.totals());
    let totals: Totals = runtime.stop()?;
    if !totals.balanced() {
        bail!("packets are unaccounted for: {totals:?}");
    }
    Ok(Sample {
        packets: after.received - before.received,
        cpu_s: time.as_secs_f64(),
        wall_s: wall.as_secs_f64(),
        tsc_hz: cycles_per_second() as f64,
        drops: BTreeMap::new(),
        sent: totals.sent,
        stages: Vec::new(),
    })
}

/// The line of a stage.
pub(crate) fn stage(stats: &Arc<StageStats>) -> Option<(String, f64, f64)> {
    let cycles = stats.cycles_per_packet()?;
    Some((stats.name().to_owned(), stats.packets() as f64 / stats.calls() as f64, cycles))
}

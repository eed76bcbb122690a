//! One measurement of ours, in a process of its own, as the peer's is.

use crate::clock::cpu_time;
use crate::instructions::What;
use crate::testpmd::{MEMORY_MB, WARM_UP};
use crate::{Pages, Plan, contention, gateway, instructions, io, lookup, rfc2544, wire};
use anyhow::{Context as _, Result, bail, ensure};
use iogate::eal::{Eal, HugePages};
use iogate::pipeline::Totals;
use iogate::telemetry::{StageStats, cycles_per_second};
use iogate::worker::Runtime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
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
        /// Workers, each with a port of its own for each capture.
        #[arg(long, default_value_t = 1)]
        workers: u32,
        /// At least so many vNICs, of a crowd's configuration.
        #[arg(long, default_value_t = 0)]
        vnics: usize,
    },
    /// Address tables.
    Lookup,
    /// The gateway between lines of 10 Gbit/s.
    Wire {
        /// Part of the line's rate.
        rate: f64,
    },
    /// Threads that only read the clock.
    Clocks,
    /// RFC 2544, some sizes.
    Rfc2544 {
        #[command(flatten)]
        options: rfc2544::Options,
    },
    /// Packets onto a ring before another worker's queue.
    HandOver,
    /// A pipeline under callgrind.
    Path {
        /// Which.
        what: What,
    },
}

impl Job {
    fn arguments(&self) -> Vec<String> {
        match self {
            Job::Io => vec!["io".to_owned()],
            Job::Gateway { config, captures, workers, vnics } => {
                let head = [
                    "gateway".to_owned(),
                    format!("--workers={workers}"),
                    format!("--vnics={vnics}"),
                    config.display().to_string(),
                ];
                head.into_iter().chain(captures.iter().cloned()).collect()
            }
            Job::Lookup => vec!["lookup".to_owned()],
            Job::Wire { rate } => vec!["wire".to_owned(), rate.to_string()],
            Job::Clocks => vec!["clocks".to_owned()],
            Job::Rfc2544 { options } => ["rfc2544".to_owned()].into_iter().chain(options.arguments()).collect(),
            Job::HandOver => vec!["hand-over".to_owned()],
            Job::Path { what } => vec!["path".to_owned(), what.name().to_owned()],
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
    /// What the configuration, the tables and the counters take, bytes.
    pub(crate) memory: u64,
    /// Stages: name, packets in a call, cycles per packet received.
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
    let memory = match &job {
        Job::Gateway { captures, workers, .. } => {
            MEMORY_MB.max(gateway::Buffers::of(captures, *workers)?.megabytes() + 64)
        }
        _ => MEMORY_MB,
    };
    let ports = match &job {
        Job::Rfc2544 { options } => [&options.tx, &options.rx].into_iter().flatten().collect(),
        _ => Vec::new(),
    };
    let eal = Eal::builder().memory_mb(memory).huge_pages(policy).ports(ports).start()?;
    ensure!(
        eal.huge_pages() == (plan.pages == Pages::Huge),
        "{MEMORY_MB} MiB of huge pages are not free: echo {} > /proc/sys/vm/nr_hugepages",
        MEMORY_MB / 2
    );
    let result = match job {
        Job::Io => serde_json::to_string(&io::measure(&eal, plan)?)?,
        Job::Gateway { config, captures, workers, vnics } => {
            serde_json::to_string(&gateway::measure(&eal, plan, &config, &captures, workers, vnics)?)?
        }
        Job::Lookup => serde_json::to_string(&lookup::measure(&eal, plan)?)?,
        Job::Wire { rate } => serde_json::to_string(&wire::measure(&eal, plan, rate)?)?,
        Job::Clocks => serde_json::to_string(&wire::measure_clocks(plan)?)?,
        Job::Rfc2544 { options } => serde_json::to_string(&rfc2544::measure(&eal, plan, &options)?)?,
        Job::HandOver => serde_json::to_string(&contention::measure(&eal, plan)?)?,
        Job::Path { what } => serde_json::to_string(&instructions::measure(&eal, what)?)?,
    };
    println!("{result}");
    Ok(())
}

/// Runs a job in a process of its own.
pub(crate) fn spawn<T: serde::de::DeserializeOwned>(job: &Job, plan: Plan) -> Result<T> {
    let program = std::env::current_exe().context("where is this program?")?;
    let mut command = Command::new(program);
    command.args(arguments_of(job, plan));
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("a measurement failed ({}): its message stands above", output.status);
    }
    serde_json::from_slice(&output.stdout).context("a measurement printed something else")
}

/// The command line of this program that runs a job.
pub(crate) fn arguments_of(job: &Job, plan: Plan) -> Vec<String> {
    let pages = if plan.pages == Pages::Huge { "huge" } else { "plain" };
    let plan = [
        format!("--core={}", plan.core),
        format!("--seconds={}", plan.seconds),
        format!("--runs={}", plan.runs),
        format!("--pages={pages}"),
    ];
    ["alone".to_owned()].into_iter().chain(job.arguments()).chain(plan).collect()
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
        memory: 0,
        stages: Vec::new(),
    })
}

/// The line of a stage: its name, packets in a call, and cycles for each of all `packets`.
pub(crate) fn stage(stats: &StageStats, packets: u64) -> (String, f64, f64) {
    let share = stats.packets() as f64 / packets.max(1) as f64;
    let cycles = stats.cycles_per_packet().unwrap_or(0.0) * share;
    (stats.name().to_owned(), stats.packets() as f64 / stats.calls().max(1) as f64, cycles)
}

//! A virtual 10GbE wire: does one worker take line rate, without loss and how late?
//!
//! The gateway's ports are rings. At their other ends another worker, on another core, plays the lines: frames arrive in
//! the gateway's port when a line of 10 Gbit/s would have brought their last bit ([`line`]), and leave as such lines
//! would take them ([`ends`]). There is no card and no bus in this: what is measured is the software.

mod ends;
mod line;

use crate::alone::{self, Job};
use crate::gateway::{self, first_uplinks};
use crate::mix;
use crate::series::{Listing, Report, digits};
use crate::{Plan, say};
use anyhow::{Result, ensure};
use ends::{Ends, Template};
use iogate::eal::Eal;
use iogate::pipeline::{DropReason, Outlet};
use iogate::telemetry::{cycles, cycles_per_second};
use iogate::worker::{Idle, Runtime, cores};
use iogate_gateway::config;
use iogate_gateway::dataplane::{Ingress, Switch, Tables};
use line::Line;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const BUFFERS: u32 = 32_768;
/// Descriptors of a port: 275 microseconds of the smallest frames.
const SLOTS: u32 = 4096;
const TEN_GIGABIT: f64 = 1e10;

/// What came of one rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trial {
    /// Of the line's rate, 0 to 1.
    pub(crate) rate: f64,
    pub(crate) seconds: f64,
    /// Frames that the line brought.
    pub(crate) brought: u64,
    /// Frames that came out of the other ends.
    pub(crate) taken: u64,
    /// Frames that found the port's queue full.
    pub(crate) missed: u64,
    /// Frames that the gateway dropped, and those that found a line with too much to do.
    pub(crate) dropped: u64,
    pub(crate) congested: u64,
    /// The part of the time that the line was idle because the core that plays it was away.
    pub(crate) idle: f64,
    /// Added latency in microseconds: median, 99 %, 99.9 %, most.
    pub(crate) latency_us: [f64; 4],
}

impl Trial {
    /// Frames that went in and did not come out.
    pub(crate) fn lost(&self) -> u64 {
        self.brought - self.taken
    }

    fn mpps(&self) -> f64 {
        self.brought as f64 / self.seconds / 1e6
    }
}

/// Line rate for `plan.seconds`; where that loses frames, also the highest rate that does not.
pub(crate) fn compare(plan: Plan, report: &mut Report) -> Result<()> {
    if cores().len() < 2 {
        report
            .notes
            .push("wire: not measured: it needs two cores, one for the gateway and one for the lines".to_owned());
        return Ok(());
    }
    let run = |rate: f64, seconds: f64| -> Result<Trial> {
        let trial: Trial = alone::spawn(&Job::Wire { rate }, Plan { seconds, ..plan })?;
        let line = trial.mpps();
        say(format_args!("wire: {:.1} % of line rate, {line:.3} Mpps: {} lost", rate * 100.0, trial.lost()));
        Ok(trial)
    };
    say(format_args!("wire: 64 B at line rate through the gateway, {} s", plan.seconds));
    let whole = run(1.0, plan.seconds)?;
    let mut trials = vec![whole.clone()];
    if whole.lost() > 0 {
        let (mut good, mut bad) = (0.0, 1.0);
        while bad - good > 0.02 {
            let rate = f64::midpoint(good, bad);
            let trial = run(rate, plan.seconds.min(2.0))?;
            if trial.lost() == 0 {
                good = rate
            } else {
                bad = rate
            }
            trials.push(trial);
        }
    }
    trials.sort_by(|a, b| b.rate.total_cmp(&a.rate));
    let row = |trial: &Trial| {
        let [median, p99, p999, most] = trial.latency_us.map(digits);
        vec![
            format!("{:.1} %", trial.rate * 100.0),
            format!("{:.3}", trial.mpps()),
            format!("{:.0}", trial.seconds),
            trial.lost().to_string(),
            format!("{:.3} %", trial.idle * 100.0),
            median,
            p99,
            p999,
            most,
        ]
    };
    report.tables.push(Listing {
        name: "wire: 64 B through the gateway on a virtual 10GbE line, one worker".to_owned(),
        head: ["of line rate", "Mpps in", "s", "lost", "line idle", "us median", "99 %", "99.9 %", "most"]
            .map(String::from)
            .to_vec(),
        rows: trials.iter().map(row).collect(),
    });
    report.notes.push(
        "wire: no NIC was measured. Ports are rings of 4096 slots; the lines are played by the other core. A line that is idle \
         although frames were due had its core taken away."
            .to_owned(),
    );
    report.wire = trials;
    Ok(())
}

/// One rate, in a process with EAL.
pub(crate) fn measure(eal: &Eal, plan: Plan, rate: f64) -> Result<Trial> {
    ensure!(rate > 0.0 && rate <= 1.0, "a rate above 0 and at most 1 is needed, not {rate}");
    let other = cores().into_iter().find(|core| *core != plan.core);
    let Some(other) = other else { anyhow::bail!("a second core is needed to play the lines") };
    crate::priority::raise();
    let config = config::parse(&mix::config(1), Path::new("wire.toml"))?;
    let pool = eal.pool("wire").buffers(BUFFERS).cache(512).create()?;
    let (mut queues, mut far_queues, mut far_outlet) = (Vec::new(), Vec::new(), None);
    let (mut ingress, mut outlets) = (Vec::new(), Vec::new());
    let links = (0..config.links.len()).map(Ingress::Link);
    for (way, (_, name, _, _)) in links.chain((0..config.uplinks.len()).map(Ingress::Uplink)).zip(config.ports()) {
        let (near, far) = eal.port_pair(name.as_str(), SLOTS)?;
        let (near, far) = (near.pool(&pool).start()?, far.pool(&pool).start()?);
        outlets.push(Outlet::new(near.tx(0)?));
        far_queues.push(far.rx(0)?);
        queues.push(near.rx(0)?);
        ingress.push(way);
        if far_outlet.is_none() {
            far_outlet = Some(Outlet::new(far.tx(0)?));
        }
    }
    let Some(far_outlet) = far_outlet else { anyhow::bail!("a configuration without ports") };
    let hz = cycles_per_second();
    let now = cycles();
    let templates: Vec<Template> =
        mix::smallest_frames().into_iter().map(|(bytes, stamped)| Template { bytes, stamped }).collect();
    let lines_out = far_queues.iter().map(|_| Line::new(TEN_GIGABIT, hz, now)).collect();
    let ends = Ends::new(far_outlet, pool.clone(), templates, Line::new(TEN_GIGABIT * rate, hz, now), lines_out, hz);
    let counters = ends.counters().clone();
    let active = Arc::new(first_uplinks(&config)?);
    let switch = Switch::new(Arc::new(Tables::new(&config)), active, ingress, outlets);

    let mut runtime = Runtime::new(eal);
    let dut = runtime.worker(plan.core)?.idle(Idle::Spin).poll(queues, switch);
    let wire = runtime.worker(other)?.idle(Idle::Spin).poll(far_queues, ends);
    runtime.start()?;
    std::thread::sleep(Duration::from_millis(100));
    let began = cycles();
    counters.on.store(true, Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs_f64(plan.seconds));
    counters.on.store(false, Ordering::Relaxed);
    let ticks = cycles() - began;
    std::thread::sleep(Duration::from_millis(50));
    let totals = runtime.stop()?;
    ensure!(totals.balanced(), "packets are unaccounted for: {totals:?}");
    let missed = wire.outlets().iter().map(|outlet| outlet.drops().packets(DropReason::TX_FULL)).sum();
    let latency = counters.latency.snapshot();
    let microseconds = |quantile: f64| latency.value_at_quantile(quantile) as f64 * 1e6 / hz as f64;
    Ok(Trial {
        rate,
        seconds: ticks as f64 / hz as f64,
        brought: counters.brought.get(),
        taken: counters.taken.get(),
        missed,
        dropped: gateway::drops(&dut).values().sum(),
        congested: counters.congested.get(),
        idle: counters.idle.get() as f64 / ticks as f64,
        latency_us: [0.5, 0.99, 0.999, 1.0].map(microseconds),
    })
}

//! A virtual 10GbE wire: does one worker take line rate, without loss and how late?
//!
//! The gateway's ports are rings. At their other ends another worker, on another core, plays the lines: frames arrive in
//! the gateway's port when a line of 10 Gbit/s would have brought their last bit ([`line`](mod@line)), and leave as such
//! lines would take them ([`ends`]). There is no card and no bus in this: what is measured is the software.

mod ends;
mod line;
mod presence;

use crate::alone::{self, Job};
use crate::gateway::{self, first_uplinks};
use crate::mix;
use crate::series::{Listing, Report, digits};
use crate::{Plan, say};
use anyhow::{Context as _, Result, ensure};
use ends::{Ends, Template};
use iogate::eal::Eal;
use iogate::pipeline::{DropReason, Outlet, chain};
use iogate::telemetry::{Histogram, cycles, cycles_per_second};
use iogate::worker::{Idle, Runtime, cores};
use iogate_gateway::config;
use iogate_gateway::dataplane::{Ingress, Switch, Tables};
use line::Line;
use presence::{Here, Presence};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const BUFFERS: u32 = 32_768;
/// Descriptors of a port: 275 microseconds of the smallest frames.
const SLOTS: u32 = 4096;
const TEN_GIGABIT: f64 = 1e10;
/// For so long at most clocks are read, to see what the machine takes.
const MOST_SECONDS_OF_CLOCKS: f64 = 10.0;

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
    /// Of these, those that came while the gateway's worker was away or behind for it.
    #[serde(default)]
    pub(crate) excused: u64,
    /// The part of the time that the cores were taken away from the gateway and from the lines, and the longest time,
    /// microseconds.
    #[serde(default)]
    pub(crate) away: [(f64, f64); 2],
    /// Frames that the gateway dropped, and those that found a line with too much to do.
    pub(crate) dropped: u64,
    pub(crate) congested: u64,
    /// The part of the time that the line was idle because the core that plays it was away.
    pub(crate) idle: f64,
    /// Added latency in microseconds: median, 99 %, 99.9 %, most.
    pub(crate) latency_us: [f64; 4],
    /// The same of frames that met neither core away, nor behind for it.
    #[serde(default)]
    pub(crate) undisturbed_us: [f64; 4],
}

impl Trial {
    /// Frames that went in and did not come out.
    pub(crate) fn lost(&self) -> u64 {
        self.brought - self.taken
    }

    /// Of these, those that nothing but the gateway can have lost.
    pub(crate) fn lost_by_gateway(&self) -> u64 {
        self.lost() - self.excused.min(self.lost())
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
        let (lost, there) = (trial.lost(), trial.lost_by_gateway());
        say(format_args!(
            "wire: {:.1} % of line rate, {line:.3} Mpps: {lost} lost, {there} with its core there",
            rate * 100.0
        ));
        Ok(trial)
    };
    say(format_args!("wire: 64 B at line rate through the gateway, {} s", plan.seconds));
    let whole = run(1.0, plan.seconds)?;
    let mut trials = vec![whole.clone()];
    if whole.lost_by_gateway() > 0 {
        let (mut good, mut bad) = (0.0, 1.0);
        while bad - good > 0.02 {
            let rate = f64::midpoint(good, bad);
            let trial = run(rate, plan.seconds.min(2.0))?;
            if trial.lost_by_gateway() == 0 {
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
        let [.., there999, there] = trial.undisturbed_us.map(digits);
        let away = |(part, longest): (f64, f64)| format!("{:.3} %, {} us", part * 100.0, digits(longest));
        vec![
            format!("{:.1} %", trial.rate * 100.0),
            format!("{:.3}", trial.mpps()),
            format!("{:.0}", trial.seconds),
            trial.lost().to_string(),
            trial.lost_by_gateway().to_string(),
            away(trial.away[0]),
            away(trial.away[1]),
            median,
            p99,
            p999,
            most,
            there999,
            there,
        ]
    };
    report.tables.push(Listing {
        name: "wire: 64 B through the gateway on a virtual 10GbE line, one worker".to_owned(),
        head: [
            "of line rate",
            "Mpps in",
            "s",
            "lost",
            "with its core there",
            "gateway's core away",
            "lines' core away",
            "us median",
            "99 %",
            "99.9 %",
            "most",
            "99.9 %, cores there",
            "most",
        ]
        .map(String::from)
        .to_vec(),
        rows: trials.iter().map(row).collect(),
    });
    report.notes.push(
        "wire: no NIC was measured. Ports are rings of 4096 slots; the lines are played by the other core. A core is away when a \
         worker's round takes more than 20 microseconds; what is lost then, or in the 2 milliseconds of catching up, is not \
         counted as lost with its core there."
            .to_owned(),
    );
    report.notes.push(what_is_taken(plan));
    report.wire = trials;
    Ok(())
}

/// What the machine takes from threads that do nothing but read the clock, on the same cores with the same precedence.
fn what_is_taken(plan: Plan) -> String {
    let seconds = plan.seconds.min(MOST_SECONDS_OF_CLOCKS);
    match alone::spawn::<Vec<(usize, f64, f64)>>(&Job::Clocks, Plan { seconds, ..plan }) {
        Ok(cores) => {
            let of = |(core, part, longest): &(usize, f64, f64)| {
                format!("core {core} {:.3} %, {} us at most", part * 100.0, digits(*longest))
            };
            let cores: Vec<String> = cores.iter().map(of).collect();
            format!("wire: the machine took from threads that only read the clock, {seconds} s: {}.", cores.join("; "))
        }
        Err(error) => format!("wire: what the machine takes from its cores was not measured: {error:#}"),
    }
}

/// For each of two cores, the gateway's first: its number, the part of the time that it was away, the longest time in
/// microseconds. In a process of its own.
pub(crate) fn measure_clocks(plan: Plan) -> Result<Vec<(usize, f64, f64)>> {
    let hz = cycles_per_second();
    let ticks = (plan.seconds * hz as f64) as u64;
    let cores = [plan.core, other_core(plan)?];
    crate::priority::raise();
    let threads: Vec<_> = cores
        .into_iter()
        .map(|id| {
            std::thread::spawn(move || {
                let pinned = core_affinity::set_for_current(core_affinity::CoreId { id });
                (id, pinned, presence::of_a_clock(hz, ticks))
            })
        })
        .collect();
    let of = |thread: std::thread::JoinHandle<(usize, bool, Presence)>| {
        let (core, pinned, presence) =
            thread.join().map_err(|_| anyhow::anyhow!("a thread that read the clock failed"))?;
        ensure!(pinned, "no thread may run on core {core}");
        let (part, longest) = away(&presence, ticks, hz);
        Ok((core, part, longest))
    };
    threads.into_iter().map(of).collect()
}

/// The part of `ticks` that it was away, and the longest time in microseconds.
fn away(presence: &Presence, ticks: u64, hz: u64) -> (f64, f64) {
    let (all, longest) = presence.away();
    (all as f64 / ticks as f64, longest as f64 * 1e6 / hz as f64)
}

fn other_core(plan: Plan) -> Result<usize> {
    cores().into_iter().find(|core| *core != plan.core).context("a second core is needed to play the lines")
}

/// One rate, in a process with EAL.
pub(crate) fn measure(eal: &Eal, plan: Plan, rate: f64) -> Result<Trial> {
    ensure!(rate > 0.0 && rate <= 1.0, "a rate above 0 and at most 1 is needed, not {rate}");
    let other = other_core(plan)?;
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
    let gateway = Arc::new(Presence::new(hz));
    let line_in = Line::new(TEN_GIGABIT * rate, hz, now);
    let ends = Ends::new(far_outlet, pool.clone(), templates, line_in, lines_out, gateway.clone(), hz);
    let (counters, lines) = (ends.counters().clone(), ends.presence().clone());
    let active = Arc::new(first_uplinks(&config)?);
    let switch = Switch::new(Arc::new(Tables::new(&config)), active, ingress, outlets);
    let switch = chain(Here(gateway.clone())).then(switch);

    let mut runtime = Runtime::new(eal);
    let dut = runtime.worker(plan.core)?.idle(Idle::Spin).poll(queues, switch);
    let wire = runtime.worker(other)?.idle(Idle::Spin).poll(far_queues, ends);
    runtime.start()?;
    std::thread::sleep(Duration::from_millis(100));
    gateway.forget();
    lines.forget();
    let began = cycles();
    counters.on.store(true, Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs_f64(plan.seconds));
    counters.on.store(false, Ordering::Relaxed);
    let ticks = cycles() - began;
    std::thread::sleep(Duration::from_millis(50));
    let totals = runtime.stop()?;
    ensure!(totals.balanced(), "packets are unaccounted for: {totals:?}");
    let missed = wire.outlets().iter().map(|outlet| outlet.drops().packets(DropReason::TX_FULL)).sum();
    let microseconds = |latency: &Histogram| {
        let latency = latency.snapshot();
        [0.5, 0.99, 0.999, 1.0].map(|quantile| latency.value_at_quantile(quantile) as f64 * 1e6 / hz as f64)
    };
    Ok(Trial {
        rate,
        seconds: ticks as f64 / hz as f64,
        brought: counters.brought.get(),
        taken: counters.taken.get(),
        missed,
        excused: counters.excused.get(),
        away: [&gateway, &lines].map(|presence| away(presence, ticks, hz)),
        dropped: gateway::drops(&dut).values().sum(),
        congested: counters.congested.get(),
        idle: counters.idle.get() as f64 / ticks as f64,
        latency_us: microseconds(&counters.latency),
        undisturbed_us: microseconds(&counters.undisturbed),
    })
}

//! The gateway's whole pipeline: what switching costs on top of moving packets.

use crate::alone::{self, Job, Sample};
use crate::mix::{self, From, Sizes};
use crate::peers::c::{self, Way};
use crate::peers::ovs::{self, Ovs};
use crate::series::{Comparison, Listing, Measure, Report, Spread, Target, digits, in_turns};
use crate::testpmd::Testpmd;
use crate::{Plan, crowd, say};
use anyhow::{Context as _, Result, anyhow, ensure};
use iogate::eal::Eal;
use iogate::pipeline::{DropReason, Outlet, Stage};
use iogate::port::RxQueue;
use iogate::telemetry::cycles_per_second;
use iogate::worker::{Idle, Poller, Runtime, cores};
use iogate_gateway::config;
use iogate_gateway::config::model::{Config, Name};
use iogate_gateway::dataplane::frame::Meta;
use iogate_gateway::dataplane::{Active, Ingress, Switch, Tables, drop as reasons};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const BUFFERS: u32 = 16_384;
/// A port that takes everything and gives nothing.
const SINK: &str = "no-rx=1";

/// The row that counts.
pub(crate) const MAIN: &str = "gateway, from servers, 64 B";

/// The rows: name, links, where frames come from, their sizes, and whether it is the one that counts.
type Row = (&'static str, usize, From, Sizes, bool);

const ROWS: [Row; 4] = [
    (MAIN, 1, From::Servers, Sizes::Small, true),
    ("gateway, from servers, IMIX", 1, From::Servers, Sizes::Imix, false),
    ("gateway, from servers on 4 links, 64 B", 4, From::Servers, Sizes::Small, false),
    ("gateway, from uplinks to 4 links, 64 B", 4, From::Uplinks, Sizes::Small, false),
];

/// Servers' frames of 64 bytes from one link are the figure that counts; the others say how it varies.
pub(crate) fn compare(plan: Plan, report: &mut Report) -> Result<()> {
    compare_rows(plan, &ROWS, "", report)
}

/// Only the row that counts, on huge pages.
pub(crate) fn compare_main(plan: Plan, report: &mut Report) -> Result<()> {
    compare_rows(plan, &ROWS[..1], ", huge pages", report)
}

fn compare_rows(plan: Plan, rows: &[Row], suffix: &str, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = c::Program::build(folder.path());
    if let Err(error) = &program {
        report.notes.push(format!("gateway beside C: not measured: {error:#}"));
    }
    for (name, links, from, sizes, counts) in rows.iter().copied() {
        let name = &format!("{name}{suffix}");
        let path = folder.path().join(format!("{links}.toml"));
        std::fs::write(&path, mix::config(links))?;
        let captures = mix::captures(folder.path(), links, from, sizes)?;
        let ways = ways(&config::load(&path)?, &captures);
        // In pairs, as testpmd forwards.
        let devices: Vec<String> = (ways.iter().filter_map(|way| way.rx.clone()))
            .zip((0..).map(|number| format!("net_null{number},{SINK}")))
            .flat_map(|(capture, sink)| [capture, sink])
            .collect();
        let captures = captures.iter().map(|(name, file)| format!("{name}={}", file.display())).collect();
        let job = Job::Gateway { config: path.clone(), captures, workers: 1, vnics: 0 };
        let samples = RefCell::new(Vec::new());
        let mut sides: Vec<Measure<'_>> = vec![Box::new(|| {
            let sample: Sample = alone::spawn(&job, plan)?;
            let cycles = sample.cycles();
            samples.borrow_mut().push(sample);
            Ok(cycles)
        })];
        let mut peers = Vec::new();
        if Testpmd::start(&devices, BUFFERS, plan)?.is_some() {
            peers.push(("testpmd", counts.then_some(Target::AtMost(1.35))));
            sides.push(Box::new(|| {
                let mut testpmd = Testpmd::start(&devices, BUFFERS, plan)?.expect("it started before");
                let forwarded = testpmd.measure(plan.seconds)?;
                let hz = samples.borrow().last().map_or(f64::NAN, |sample: &Sample| sample.tsc_hz);
                Ok(forwarded.time.as_secs_f64() * hz / forwarded.packets as f64)
            }));
        } else {
            report.notes.push(format!("{name} beside testpmd: not measured: install dpdk-dev"));
        }
        if let Ok(program) = &program {
            let (config, ways) = (config::load(&path)?, &ways);
            peers.push(("C by hand", counts.then_some(Target::AtMost(1.0))));
            sides.push(Box::new(move || {
                let outcome = program.run(&config, ways, plan.seconds, plan)?;
                ensure!(outcome.drops.is_empty(), "the peer in C drops packets: {:?}", outcome.drops);
                Ok(outcome.cycles())
            }));
        }
        if ovs::installed() {
            let (config, ways, samples) = (config::load(&path)?, &ways, &samples);
            peers.push(("OVS-DPDK", counts.then_some(Target::AtMost(1.0 / 6.0))));
            sides.push(Box::new(move || {
                let folder = tempfile::tempdir()?;
                let mut ovs = Ovs::start(folder.path(), &config, ways, plan)?;
                let hz = samples.borrow().last().map_or(f64::NAN, |sample: &Sample| sample.tsc_hz);
                let cycles = ovs.measure(plan.seconds, hz)?;
                let dropped = ovs.dropped()?;
                ensure!(dropped == 0, "OVS's flows drop {dropped} packets that the gateway forwards");
                Ok(cycles)
            }));
        } else {
            report.notes.push(format!("{name} beside OVS-DPDK: not measured: iogate-bench install-peers"));
        }
        let names: Vec<&str> = peers.iter().map(|(peer, _)| *peer).collect();
        say(format_args!("{name}: ours, then {}, cycles per packet", names.join(", ")));
        let failures: Vec<RefCell<Option<String>>> = peers.iter().map(|_| RefCell::default()).collect();
        let ours = sides.remove(0);
        let theirs = sides.into_iter().zip(&failures).map(|(measure, failure)| tolerant(measure, failure));
        let mut sides: Vec<Measure<'_>> = [ours].into_iter().chain(theirs).collect();
        let runs = in_turns(plan.runs, name, &mut sides)?;
        drop(sides);
        for (number, ((peer, target), theirs)) in peers.into_iter().zip(&runs[1..]).enumerate() {
            if let Some(why) = &*failures[number].borrow() {
                report.notes.push(format!("{name} beside {peer}: not measured: {why}"));
                continue;
            }
            report.comparisons.push(Comparison::new(name.as_str(), "cycles/packet", peer, [&runs[0], theirs], target));
        }
        stages(name, &samples.into_inner(), report);
    }
    Ok(())
}

/// A peer that fails takes nobody else's figures with it: it is asked no more, and why is kept.
fn tolerant<'a>(mut measure: Measure<'a>, failure: &'a RefCell<Option<String>>) -> Measure<'a> {
    Box::new(move || {
        if failure.borrow().is_some() {
            return Ok(f64::NAN);
        }
        measure().or_else(|error| {
            *failure.borrow_mut() = Some(format!("{error:#}"));
            Ok(f64::NAN)
        })
    })
}

/// The devices of each port: an endless capture, where there is one, and a sink.
pub(crate) fn ways(config: &Config, captures: &[(String, PathBuf)]) -> Vec<Way> {
    let of_port = |(number, (_, name, _, _)): (usize, (_, &Name, _, _))| {
        let file = captures.iter().find(|(port, _)| port == name.as_str()).map(|(_, file)| file);
        let rx = file.map(|file| format!("net_pcap{number},rx_pcap={},infinite_rx=1", file.display()));
        Way { rx, tx: format!("net_null{number},{SINK}") }
    };
    (0..).zip(config.ports()).map(of_port).collect()
}

/// Where the cycles went, and whether packets were lost. The least of all measurements: a stage is
/// timed by the clock, which goes on while others have the core.
fn stages(name: &str, samples: &[Sample], report: &mut Report) {
    let Some(first) = samples.first() else { return };
    let all = least(samples.iter().map(Sample::cycles));
    let mut rest = all;
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (at, (stage, ..)) in first.stages.iter().enumerate() {
        let of_stage = || samples.iter().filter_map(|sample| sample.stages.get(at));
        let cycles = least(of_stage().map(|stage| stage.2));
        rest -= cycles;
        rows.push(vec![stage.clone(), digits(median(of_stage().map(|stage| stage.1))), digits(cycles)]);
    }
    rows.push(vec!["receiving, sending what waits, the loop".to_owned(), String::new(), digits(rest)]);
    rows.push(vec!["all".to_owned(), String::new(), digits(all)]);
    let head = ["stage", "packets/call", "cycles/packet"].map(String::from).to_vec();
    report.tables.push(Listing { name: format!("{name}, by stage, the least of all measurements"), head, rows });
    let sent: u64 = samples.iter().map(|sample| sample.sent).sum();
    let dropped: u64 = samples.iter().flat_map(|sample| sample.drops.values()).sum();
    let share = 100.0 * median(samples.iter().map(|sample| sample.cpu_s / sample.wall_s));
    let mut note = format!(
        "{name}: {dropped} packets dropped, {sent} sent in all measurements; the worker had its core {share:.0} % of the time."
    );
    for (reason, count) in samples.iter().flat_map(|sample| &sample.drops) {
        note.push_str(&format!(" {reason}: {count}."));
    }
    report.notes.push(note);
}

fn least(values: impl Iterator<Item = f64>) -> f64 {
    Spread::of(&values.collect::<Vec<_>>()).lowest
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    Spread::of(&values.collect::<Vec<_>>()).median
}

/// Ours: every link and uplink sends to a null port of its own; those with a capture are polled.
pub(crate) fn measure(
    eal: &Eal,
    plan: Plan,
    path: &Path,
    captures: &[String],
    workers: u32,
    vnics: usize,
) -> Result<Sample> {
    let buffers = Buffers::of(captures, workers)?;
    let pool = eal.pool("bench").buffers(buffers.count).data_room(buffers.data_room).create()?;
    let resident = resident()?;
    let mut config = config::load(path)?;
    crowd::add_vnics(&mut config, vnics);
    let (tables, active) = (Arc::new(Tables::new(&config)), Arc::new(first_uplinks(&config)?));
    let mut memory = self::resident()?.saturating_sub(resident);
    let all = usize::try_from(workers)?;
    let mut parts: Vec<(Vec<RxQueue>, Vec<Ingress>, Vec<Outlet>)> = Vec::new();
    parts.resize_with(all, Default::default);
    // DPDK has room for 32 devices: where there are more ports than half of them, one that brings frames swallows them too.
    let two_each = config.ports().count() + captures.len() * all <= DEVICES;
    let links = (0..config.links.len()).map(Ingress::Link);
    let ways = links.chain((0..config.uplinks.len()).map(Ingress::Uplink));
    for (way, (_, name, _, _)) in ways.zip(config.ports()) {
        let file = captures.iter().find_map(|capture| capture.strip_prefix(&format!("{name}=")));
        let mut sink = None;
        if two_each || file.is_none() {
            let spec = format!("null,{SINK}").parse()?;
            sink = Some(eal.port(&spec).pool(&pool).queues(1, u16::try_from(workers)?).start()?);
        }
        for (number, (queues, ingress, outlets)) in (0..).zip(&mut parts) {
            let mut source = None;
            if let Some(file) = file {
                let spec = format!("pcap,rx_pcap={file},infinite_rx=1").parse()?;
                let port = eal.port(&spec).pool(&pool).start()?;
                queues.push(port.rx(0)?);
                ingress.push(way);
                source = Some(port);
            }
            match (&sink, &source) {
                (Some(sink), _) => outlets.push(Outlet::new(sink.tx(number)?)),
                (None, Some(source)) => outlets.push(Outlet::new(source.tx(0)?)),
                (None, None) => {}
            }
        }
    }
    let polled: usize = parts.iter().map(|(queues, ..)| queues.len()).sum();
    ensure!(polled == captures.len() * all, "a capture is for a port that is not there");
    let mut runtime = Runtime::new(eal);
    runtime.share_cores(true);
    let cores: Vec<usize> = if all <= cores().len() { cores() } else { vec![plan.core] };
    let mut pollers = Vec::new();
    // Ports and their captures are not counted.
    let resident = self::resident()?;
    for (number, (queues, ingress, outlets)) in parts.into_iter().enumerate() {
        let switch = Switch::new(tables.clone(), active.clone(), ingress, outlets);
        // The first worker stands on the core that was chosen.
        let core = if number == 0 { plan.core } else { cores[number % cores.len()] };
        let core = if all == 2 && core == plan.core && number == 1 { cores[0] } else { core };
        pollers.push(runtime.worker(core)?.idle(Idle::Spin).poll(queues, switch));
    }
    memory += self::resident()?.saturating_sub(resident);
    let mut sample = alone::measure(&mut runtime, plan.seconds)?;
    for poller in &pollers {
        for (reason, count) in drops(poller) {
            *sample.drops.entry(reason).or_default() += count;
        }
    }
    sample.memory = memory;
    let received: u64 = pollers[0].sources().iter().map(|source| source.received()).sum();
    sample.stages = pollers[0].stages().iter().map(|stats| alone::stage(stats, received)).collect();
    ensure!(cycles_per_second() > 0, "EAL knows no frequency");
    Ok(sample)
}

/// Devices that DPDK has room for.
const DEVICES: usize = 32;

/// The buffers of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffers {
    count: u32,
    data_room: u16,
}

impl Buffers {
    /// Enough to hold captures in memory, once for each worker, besides what is on its way; smaller ones where those are many and short.
    pub(crate) fn of(captures: &[String], workers: u32) -> Result<Buffers> {
        // A mix has fewer, also when the longer ones are taken for several.
        const FEW: u64 = 12_288;
        let files = captures.iter().filter_map(|capture| capture.split_once('='));
        let bytes: u64 = files.map(|(_, file)| Ok(std::fs::metadata(file)?.len())).sum::<std::io::Result<u64>>()?;
        // Of a frame of 64 bytes and its header in the file.
        let frames = bytes / 80 * u64::from(workers);
        Ok(match frames {
            ..=FEW => Buffers { count: BUFFERS, data_room: 2048 + 128 },
            many => Buffers { count: BUFFERS + u32::try_from(many + many / 16)?, data_room: 128 + 128 },
        })
    }

    /// What they take.
    pub(crate) fn megabytes(self) -> u32 {
        const EACH: u64 = 64 + 128 + 64;
        ((u64::from(self.count) * (u64::from(self.data_room) + EACH)) >> 20) as u32 + 1
    }
}

/// Bytes of this process in memory.
fn resident() -> Result<u64> {
    const PAGE: u64 = 4096;
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    Ok(pages.context("no size in /proc/self/statm")? * PAGE)
}

/// Each network on the uplink that it prefers.
pub(crate) fn first_uplinks(config: &Config) -> Result<Active> {
    let first = |id| config.uplinks_of(id).first().map(|uplink| uplink.index() as u16);
    let active = config.networks().map(|(id, _)| first(id).ok_or_else(|| anyhow!("a network without uplink")));
    Ok(Active(active.collect::<Result<_>>()?))
}

/// What the gateway dropped, by reason.
pub(crate) fn drops(poller: &Poller<Meta, impl Stage<Meta> + 'static>) -> BTreeMap<String, u64> {
    let mut drops = BTreeMap::new();
    for reason in DropReason::all() {
        let sources = poller.sources().iter().map(|source| source.drops().packets(reason)).sum::<u64>();
        let outlets = poller.outlets().iter().map(|outlet| outlet.drops().packets(reason)).sum::<u64>();
        if sources + outlets > 0 {
            drops.insert(reasons::name(reason).to_owned(), sources + outlets);
        }
    }
    drops
}

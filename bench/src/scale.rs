//! What a packet costs as there are more vNICs, flows, ports and workers, and what they take in memory.

use crate::alone::{self, Job, Sample};
use crate::crowd::Crowd;
use crate::series::{Comparison, Growth, Line, Listing, Report, Spread, Target, digits};
use crate::{Plan, contention, say};
use anyhow::Result;

/// Passes over all points; the median counts.
const RUNS: u32 = 3;
const SIXTY_FOUR: Crowd = Crowd { vnics: 64, links: 1, uplinks: 2, flows: None };

/// Something that grows.
struct Sweep {
    name: &'static str,
    points: Vec<(f64, Crowd, u32)>,
}

fn sweeps() -> [Sweep; 4] {
    // The same number of frames at all points: reading many from a file costs more than reading few.
    let vnics = |count: usize| (count as f64, Crowd { vnics: count, flows: Some(65_536), ..SIXTY_FOUR }, 1);
    let flows = |count: usize| (count as f64, Crowd { flows: Some(count), ..SIXTY_FOUR }, 1);
    // Two of them are uplinks, where that leaves a link.
    let ports = |count: usize| {
        let uplinks = if count > 2 { 2 } else { 1 };
        (count as f64, Crowd { links: count - uplinks, uplinks, ..SIXTY_FOUR }, 1)
    };
    let workers = |count: u32| (f64::from(count), SIXTY_FOUR, count);
    [
        Sweep { name: "vNICs", points: [1, 64, 1024, 65_536].map(vnics).to_vec() },
        Sweep { name: "flows", points: [1, 1000, 65_536, 1_000_000].map(flows).to_vec() },
        Sweep { name: "ports", points: [2, 4, 8, 16, 32].map(ports).to_vec() },
        Sweep { name: "workers", points: [1, 2, 4, 8].map(workers).to_vec() },
    ]
}

/// All sweeps; every pass takes all points in turns.
pub(crate) fn compare(plan: Plan, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut jobs = Vec::new();
    for sweep in sweeps() {
        for (count, crowd, workers) in sweep.points {
            let config =
                folder.path().join(format!("{}-{}-{}-{:?}.toml", crowd.vnics, crowd.links, crowd.uplinks, crowd.flows));
            std::fs::write(&config, crowd.config())?;
            let captures = crowd.captures(folder.path())?;
            let captures = captures.iter().map(|(name, file)| format!("{name}={}", file.display())).collect();
            jobs.push((
                sweep.name,
                count,
                Job::Gateway { config, captures, workers, vnics: crowd.vnics },
                Vec::<Sample>::new(),
            ));
        }
    }
    let passes = plan.runs.min(RUNS);
    for pass in 1..=passes {
        for (name, count, job, samples) in &mut jobs {
            // Workers that take turns on a core need longer to do as much.
            let turns = if let Job::Gateway { workers, .. } = job { f64::from(*workers) } else { 1.0 };
            let sample: Sample = alone::spawn(job, Plan { seconds: plan.seconds * turns, ..plan })?;
            say(format_args!("scale: {pass} of {passes}: {count} {name}: {} cycles/packet", digits(sample.cycles())));
            samples.push(sample);
        }
    }
    let cores = iogate::worker::cores().len();
    for sweep in sweeps() {
        let points = || jobs.iter().filter(|(name, ..)| *name == sweep.name);
        let line = |label: &str, cost: &dyn Fn(&Sample) -> f64| Line {
            label: label.to_owned(),
            points: points().map(|(_, count, _, samples)| (*count, median(samples, cost))).collect(),
            modelled: false,
        };
        let mut lines = vec![line("all", &Sample::cycles), line("stages", &stages)];
        if sweep.name == "workers" {
            // Stages are timed by the clock, which goes on while others have the core.
            "all, in turns where cores are missing".clone_into(&mut lines[0].label);
            lines[1].points.retain(|(workers, _)| *workers <= cores as f64);
        }
        let name = format!("gateway, as there are more {}", sweep.name);
        let (of, unit) = (sweep.name.to_owned(), "cycles/packet".to_owned());
        let head = [sweep.name, "all", "stages"].map(String::from).to_vec();
        let row = |(at, all): (usize, &(f64, f64))| {
            let stages = lines[1].points.get(at).map_or("-".to_owned(), |stages| digits(stages.1));
            vec![all.0.to_string(), digits(all.1), stages]
        };
        let rows = lines[0].points.iter().enumerate().map(row).collect();
        report.tables.push(Listing { name: format!("{name}, cycles/packet, median of {passes}"), head, rows });
        report.growth.push(Growth { name, of, unit, lines });
    }
    let of = |name: &str, count: f64| jobs.iter().find(|job| job.0 == name && job.1 == count).map(|job| &job.3);
    if let (Some(few), Some(many)) = (of("vNICs", 64.0), of("vNICs", 65_536.0)) {
        let cycles = |samples: &[Sample]| samples.iter().map(Sample::cycles).collect::<Vec<_>>();
        let (few_cycles, many_cycles) = (cycles(few), cycles(many));
        let row = Comparison::new(
            "gateway, 65,536 vNICs",
            "cycles/packet",
            "64 vNICs",
            [&many_cycles, &few_cycles],
            Some(Target::AtMost(1.5)),
        );
        report.comparisons.push(row);
    }
    let each = |name: &str, few: f64, many: f64| {
        let bytes = |count| of(name, count).map(|samples| median(samples, |sample| sample.memory as f64));
        Some(((bytes(many)? - bytes(few)?) / (many - few)).max(0.0))
    };
    if let (Some(vnic), Some(flow)) = (each("vNICs", 64.0, 65_536.0), each("flows", 1000.0, 1_000_000.0)) {
        report.tables.push(Listing {
            name: "gateway, memory of each, bytes".to_owned(),
            head: ["", "bytes"].map(String::from).to_vec(),
            rows: [
                [
                    "vNIC: 65,536 of them beside 64, configuration and one worker's counters included".to_owned(),
                    digits(vnic),
                ],
                [
                    "flow: 1,000,000 of them beside 1,000; what is kept of them takes 2 to 8 MiB a worker, however many they are".to_owned(),
                    digits(flow),
                ],
            ]
            .map(Vec::from)
            .to_vec(),
        });
    }
    if let (Some(one), Some(two)) = (of("workers", 1.0), of("workers", 2.0)) {
        let [one, two] = [one, two].map(|samples| median(samples, Sample::cycles));
        let counts: Vec<f64> =
            jobs.iter().filter(|(name, ..)| *name == "workers").map(|(_, count, ..)| *count).collect();
        contention::model(plan, one, two, &counts, report)?;
    }
    report.notes.push("scale: a configuration may have 4,096 vNICs; more are put into the checked model.".to_owned());
    report.notes.push(format!(
        "scale: this machine has {cores} cores. More workers than that take turns on one, so what they cost is measured, \
         and what they do to each other is modelled. Frames come from files: to read 65,536 or more of them takes longer than to read \
         a few, which is a part of \"all\"."
    ));
    Ok(())
}

fn stages(sample: &Sample) -> f64 {
    sample.stages.iter().map(|(_, _, cycles)| cycles).sum()
}

fn median(samples: &[Sample], cost: impl Fn(&Sample) -> f64) -> f64 {
    Spread::of(&samples.iter().map(cost).collect::<Vec<_>>()).median
}

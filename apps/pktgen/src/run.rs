//! What the commands do.

use crate::cli::{Bench, Cli, Command, Run, Scenario, WorkArgs};
use crate::output::{Screen, complain, say};
use crate::{BROKEN, FAILED, LOST, WRONG};
use anyhow::{Context as _, Result, bail};
use clap::CommandFactory;
use iogate_pktgen::capture::{Capture, WAITING};
use iogate_pktgen::frame::Prepared;
use iogate_pktgen::frame::catalogue::{Field, FieldKind, HEADERS, HeaderKind, header};
use iogate_pktgen::outcome::Ended;
use iogate_pktgen::rate::Rate;
use iogate_pktgen::rig::{Rig, Wiring};
use iogate_pktgen::scenario::{self, Step};
use iogate_pktgen::template::STORAGE_MIX;
use iogate_pktgen::trial::Trial;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Carries a command out; returns the exit code.
pub(crate) fn execute(command: Command) -> Result<u8> {
    match command {
        Command::Run(Run { work, rate, line, duration, count, limits, bench }) => {
            let Some(frames) = prepare(work) else { return Ok(WRONG) };
            let rate = rate.unwrap_or(Rate::Percent(100.0));
            let pace = match rate.pace(line, frames.mean_wire_bits()) {
                Ok(pace) => pace,
                Err(error) => return wrong(&format!("--rate: {error}")),
            };
            let limits = limits.limits();
            if limits.need_receiving() && bench.rx.is_none() {
                return wrong("a limit on what comes back needs a port that receives: say --rx PORT");
            }
            run(&[Step { name: "run".to_owned(), frames, pace, duration, count, limits }], bench)
        }
        Command::Scenario(Scenario { file, bench }) => match scenario::load(&file) {
            Ok(steps) if bench.rx.is_none() && steps.iter().any(|step| step.limits.need_receiving()) => wrong(
                &format!("{}: limits on what comes back need a port that receives: say --rx PORT", file.display()),
            ),
            Ok(steps) => run(&steps, bench),
            Err(problems) => wrong(&problems.to_string()),
        },
        Command::Check { work } => {
            let Some(frames) = prepare(work) else { return Ok(WRONG) };
            say(&described(&frames))?;
            Ok(0)
        }
        Command::Write { work, count, file } => {
            let Some(frames) = prepare(work) else { return Ok(WRONG) };
            write(&frames, count, &file)?;
            Ok(0)
        }
        Command::Headers { name: None } => {
            for HeaderKind { name, about, .. } in HEADERS {
                say(&format!("{name:<24} {about}\n"))?;
            }
            Ok(0)
        }
        Command::Headers { name: Some(name) } => {
            let Some(header) = header(&name) else {
                return wrong(&format!("there is no header {name:?}; `iogate-pktgen headers` lists those there are"));
            };
            say(&format!("{}: {}\n", header.name, header.about))?;
            for field in header.fields {
                say(&format!("  {:<20} {}\n", field.name, width(field)))?;
            }
            Ok(0)
        }
        Command::Mix => {
            say(STORAGE_MIX)?;
            Ok(0)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "iogate-pktgen", &mut script);
            say(&String::from_utf8(script)?)?;
            Ok(0)
        }
        Command::Man { folder } => {
            std::fs::create_dir_all(&folder)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), &folder))
                .with_context(|| format!("cannot write manual pages into {}", folder.display()))?;
            Ok(0)
        }
    }
}

fn wrong(text: &str) -> Result<u8> {
    complain(text);
    Ok(WRONG)
}

/// The frames that are to be sent, or nothing after saying everything that is wrong with them.
fn prepare(args: WorkArgs) -> Option<Prepared> {
    let seed = args.seed;
    let loaded = args.work().load().map_err(|problems| problems.to_string());
    let prepared = loaded.and_then(|mut template| {
        template.seed = seed.unwrap_or(template.seed);
        Prepared::new(&template)
    });
    prepared.map_err(|problems| complain(&problems)).ok()
}

fn described(frames: &Prepared) -> String {
    let mut text = String::from("good\n");
    for (number, name) in frames.names().iter().enumerate() {
        let stamp = if frames.is_stamped(number) { "measured by stamps" } else { "no stamps: only counted" };
        text += &format!("  {name}: {stamp}\n");
    }
    text
}

fn width(field: &Field) -> String {
    match field.kind {
        FieldKind::Number => format!("{} bits", field.bits),
        FieldKind::Mac => "MAC address".to_owned(),
        FieldKind::Ipv4 => "IPv4 address".to_owned(),
        FieldKind::Ipv6 => "IPv6 address".to_owned(),
    }
}

fn write(frames: &Prepared, count: u64, file: &Path) -> Result<()> {
    let mut writer = iogate_pktgen::capture::Writer::begin(file)?;
    let mut traffic = frames.worker(0, 1);
    let mut frame = Vec::new();
    for number in 0..count {
        let chosen = traffic.choose();
        frame.resize(chosen.len(), 0);
        // A microsecond apart.
        traffic.write(chosen, &mut frame, number);
        writer.write(&frame, Duration::from_micros(number))?;
    }
    writer.finish()
}

fn run(steps: &[Step], bench: Bench) -> Result<u8> {
    tracing_subscriber::fmt()
        .with_target(false)
        .with_max_level(tracing::level_filters::LevelFilter::WARN)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let asked = iogate::worker::signals()?;
    let there = iogate::worker::cores();
    let wiring = Wiring {
        tx: bench.tx.clone(),
        rx: bench.rx.clone(),
        senders: bench.senders,
        receivers: bench.receivers,
        cores: if bench.cores.is_empty() { there } else { bench.cores.clone() },
        wait: bench.wait,
    };
    let longest = steps.iter().map(|step| step.frames.longest()).max().unwrap_or(0);
    let Some(most) = steps.iter().map(|step| step.frames.channels(bench.senders)).max() else { bail!("no steps") };
    if most > 1 << 16 {
        return wrong(&format!("{most} streams times senders are more than stamps tell apart; use fewer senders"));
    }
    let eal = bench.eal.builder().ports([&wiring.tx].into_iter().chain(&wiring.rx)).start()?;
    let captures = if bench.capture.is_some() { WAITING } else { 0 };
    let rig = Rig::start(&eal, &wiring, longest, captures)?;
    let capture = bench.capture.as_ref().map(|file| Capture::begin(file, bench.capture_most)).transpose()?;
    let mut screen = Screen::new(bench.output)?;
    let (mut code, mut failed) = (0, None);
    for step in steps {
        let trial = Trial {
            duration: step.duration,
            count: step.count,
            burst: bench.burst.into(),
            catch_up: bench.catch_up,
            drain: bench.drain,
            tap: capture.as_ref().map(Capture::tap),
            ..Trial::new(step.frames.clone(), step.pace)
        };
        screen.begin();
        let outcome = rig.tester().run_watched(&trial, bench.interval, &|| asked.load(Ordering::Relaxed), |outcome| {
            screen.progress(&step.name, outcome)
        });
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                failed = Some(error.into());
                break;
            }
        };
        let broken = step.limits.broken(&outcome);
        screen.end(&step.name, &outcome, &broken)?;
        match outcome.ended {
            Ended::Lost(_) => code = LOST,
            _ if !broken.is_empty() && code == 0 => code = BROKEN,
            _ => {}
        }
        if outcome.ended != Ended::Complete {
            break;
        }
    }
    // Workers and ports first: what they still hold comes to the capture.
    drop(rig);
    let captured = capture.map(Capture::finish).transpose().unwrap_or_else(|error| {
        failed.get_or_insert(error);
        None
    });
    let file = bench.capture.map(|file| file.display().to_string());
    // What was measured is said in any case.
    screen.finish(file.zip(captured), if failed.is_some() { FAILED } else { code })?;
    failed.map_or(Ok(code), Err)
}

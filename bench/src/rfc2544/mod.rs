//! RFC 2544: throughput, latency, frame loss and back-to-back frames of a device behind two ports.
//!
//! Frames come from `iogate-pktgen`'s library and are counted by it. The device is the gateway or the framework in this
//! process, on a core of its own behind rings, or whatever stands between two ports that are named: another process
//! over memif or virtio-user, cards by PCI address. A trial is as long as asked for; the RFC wants 60 seconds.

mod device;
mod search;

pub(crate) use device::Device;

use crate::alone::{self, Job};
use crate::series::{Listing, Report, digits};
use crate::{Plan, say};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use iogate::eal::Eal;
use iogate::port::PortSpec;
use iogate::worker::{Idle, Runtime, cores};
use iogate_pktgen::frame::Prepared;
use iogate_pktgen::frame::size::Sizes;
use iogate_pktgen::rate::{Line, Rate};
use iogate_pktgen::rig::{Rig, Wiring};
use iogate_pktgen::template::Template;
use iogate_pktgen::trial::{Tester, Trial};
use search::{Rung, highest};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What to measure and how.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The device in this process, between rings
    #[arg(long, value_enum, default_value_t)]
    pub(crate) device: Device,
    /// Send here instead: a port as the framework names them (memif:PATH, virtio_user:PATH, 0000:3b:00.0)
    #[arg(long, requires = "rx")]
    pub(crate) tx: Option<PortSpec>,
    /// Receive here; may be the same as --tx
    #[arg(long, requires = "tx")]
    pub(crate) rx: Option<PortSpec>,
    /// What to send, as iogate-pktgen has it, where the device wants other addresses
    #[arg(long, requires = "tx", default_value = device::FRAME)]
    pub(crate) frame: String,
    /// Frame sizes with FCS, or imix
    #[arg(long, value_delimiter = ',', value_parser = size, default_value = "64,128,256,512,1024,1280,1518,9018,imix")]
    pub(crate) sizes: Vec<String>,
    /// Rate of the line, Gbit/s
    #[arg(long, default_value_t = 10.0, value_parser = gigabits)]
    pub(crate) line: f64,
    /// How exact throughput is found, percent of the line
    #[arg(long, default_value_t = 1.0, value_parser = percent)]
    pub(crate) resolution: f64,
}

fn size(text: &str) -> Result<String, String> {
    Sizes::parse(text).map(|_| text.to_owned())
}

fn gigabits(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "a number is needed".to_owned())?;
    if (0.001..=400.0).contains(&value) { Ok(value) } else { Err("use 0.001 to 400".to_owned()) }
}

fn percent(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "a number is needed".to_owned())?;
    if (0.01..=50.0).contains(&value) { Ok(value) } else { Err("use 0.01 to 50".to_owned()) }
}

impl Options {
    /// The command line of one size.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--device={}", self.device.name()),
            format!("--sizes={}", self.sizes.join(",")),
            format!("--line={}", self.line),
            format!("--resolution={}", self.resolution),
        ];
        if let Some((tx, rx)) = self.ports() {
            arguments.extend([format!("--tx={tx}"), format!("--rx={rx}"), format!("--frame={}", self.frame)]);
        }
        arguments
    }

    /// The ends of a device that is not in this process.
    fn ports(&self) -> Option<(&PortSpec, &PortSpec)> {
        self.tx.as_ref().zip(self.rx.as_ref())
    }
}

/// What came of one size. Rates are parts of the line's, 0 to 1.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    size: String,
    /// Frames a second that the line carries.
    line_fps: f64,
    /// The highest rate without loss, and with at most 0.1 %.
    ndr: Option<f64>,
    pdr: Option<f64>,
    /// By part of the rate without loss: microseconds, median and 99.9 %.
    latency: Vec<(f64, f64, f64)>,
    /// By rate: the part that was lost.
    loss: Vec<(f64, f64)>,
    /// Frames at line rate without loss, and for how long there was nothing to lose.
    back_to_back: Option<u64>,
    /// The most that the generator sent, of the line's rate; below 1 it may be what limits.
    most_sent: f64,
}

/// What came of some sizes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    outcomes: Vec<Outcome>,
    /// The size that could not be measured to its end, and why.
    failed: Option<(String, String)>,
}

/// The gateway with three sizes.
pub(crate) fn in_short(plan: Plan, report: &mut Report) -> Result<()> {
    let sizes = ["64", "512", "1518"].map(String::from).to_vec();
    let frame = device::FRAME.to_owned();
    let options = Options { device: Device::Gateway, tx: None, rx: None, frame, sizes, line: 10.0, resolution: 1.0 };
    compare(plan, &options, report)
}

/// All sizes.
pub(crate) fn compare(plan: Plan, options: &Options, report: &mut Report) -> Result<()> {
    let elsewhere = options.ports();
    if elsewhere.is_none() && cores().len() < 2 {
        report
            .notes
            .push("rfc2544: not measured: it needs two cores, one for the device and one for frames".to_owned());
        return Ok(());
    }
    let device = match elsewhere {
        Some((tx, rx)) => format!("{tx} to {rx}"),
        None => format!("{} in this process, over rings", options.device.name()),
    };
    // Ports to something else stay open, since not every other end lets them come back.
    let together = if elsewhere.is_some() { options.sizes.len() } else { 1 };
    let mut outcomes = Vec::new();
    for sizes in options.sizes.chunks(together.max(1)) {
        say(format_args!("rfc2544: {device}: {}", sizes.join(", ")));
        let job = Job::Rfc2544 { options: Options { sizes: sizes.to_vec(), ..options.clone() } };
        let measured: Measured = alone::spawn(&job, plan)?;
        outcomes.extend(measured.outcomes);
        if let Some((size, failed)) = measured.failed {
            let note = format!("rfc2544: size {size} is not measured to its end, and none behind it: {failed}");
            say(&note);
            report.notes.push(note);
            break;
        }
    }
    let text = |head: &[&str]| head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let of_line = |rate: Option<f64>| rate.map_or_else(|| "none".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
    let throughput = |outcome: &Outcome| {
        let mpps =
            |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{:.3}", rate * outcome.line_fps / 1e6));
        vec![
            outcome.size.clone(),
            format!("{:.3}", outcome.line_fps / 1e6),
            mpps(outcome.ndr),
            of_line(outcome.ndr),
            mpps(outcome.pdr),
            of_line(outcome.pdr),
            outcome.back_to_back.map_or("-".to_owned(), |frames| frames.to_string()),
            format!("{:.1} %", outcome.most_sent * 100.0),
        ]
    };
    let trial = format!("{device}, {} Gbit/s, trials of {} s", options.line, plan.seconds);
    report.tables.push(Listing {
        name: format!("rfc2544 throughput and back-to-back: {trial}"),
        head: text(&["size", "line Mpps", "NDR Mpps", "of line", "0.1 % Mpps", "of line", "back-to-back", "most sent"]),
        rows: outcomes.iter().map(throughput).collect(),
    });
    let latency = |outcome: &Outcome| {
        let size = outcome.size.clone();
        let row = move |(part, median, most): &(f64, f64, f64)| {
            vec![size.clone(), format!("{:.0} %", part * 100.0), digits(*median), digits(*most)]
        };
        outcome.latency.iter().map(row).collect::<Vec<_>>()
    };
    report.tables.push(Listing {
        name: format!("rfc2544 latency, microseconds: {trial}"),
        head: text(&["size", "of NDR", "median", "99.9 %"]),
        rows: outcomes.iter().flat_map(latency).collect(),
    });
    let loss = |outcome: &Outcome| {
        let size = outcome.size.clone();
        let row = move |(rate, loss): &(f64, f64)| {
            vec![size.clone(), format!("{:.0} %", rate * 100.0), format!("{:.4} %", loss * 100.0)]
        };
        outcome.loss.iter().map(row).collect::<Vec<_>>()
    };
    report.tables.push(Listing {
        name: format!("rfc2544 frame loss: {trial}"),
        head: text(&["size", "of line", "lost"]),
        rows: outcomes.iter().flat_map(loss).collect(),
    });
    report.notes.push(
        "rfc2544: a rate that the generator itself did not reach counts as failed; \"most sent\" below 100 % says that it did \
         not reach the line's. RFC 2544 wants trials of 60 s: --seconds 60."
            .to_owned(),
    );
    Ok(())
}

/// How long links, and the first frame through the device, are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a rate is tried that the generator did not reach, though the port took everything: that it was kept from
/// its core says nothing of the device.
const ATTEMPTS: u32 = 3;

/// A device with a generator around it.
struct Bench<'a> {
    tester: &'a Tester,
    frames: Prepared,
    line: Line,
    duration: Duration,
    most_sent: f64,
}

/// All sizes of the options, in a process with EAL.
pub(crate) fn measure(eal: &Eal, plan: Plan, options: &Options) -> Result<Measured> {
    const LONGEST: usize = 9014;
    crate::priority::raise();
    let frames = |size: &String| {
        let template = Template::line(&options.frame, size).map_err(|problems| anyhow!("{problems}"))?;
        let frames = Prepared::new(&template).map_err(|error| anyhow!("{error}"))?;
        ensure!(frames.is_stamped(0), "a frame of {size} bytes has no room for the stamp that it is measured by");
        Ok(frames)
    };
    let frames = options.sizes.iter().map(frames).collect::<Result<Vec<_>>>()?;
    let longest = frames.iter().map(Prepared::longest).max().context("at least one size is needed")?;
    ensure!(longest <= LONGEST, "a frame of {longest} bytes without FCS is too long; use sizes of at most 9018");
    if let Some((tx, rx)) = options.ports() {
        let (tx, rx) = (tx.clone(), Some(rx.clone()));
        let wiring = Wiring { tx, rx, senders: 1, receivers: 1, cores: vec![plan.core], wait: PATIENCE };
        let rig = Rig::start(eal, &wiring, longest, 0)?;
        return all_sizes(rig.tester(), plan, options, frames);
    }
    let other = cores().into_iter().find(|core| *core != plan.core).context("two cores are needed")?;
    let room = u16::try_from(longest.max(2048).next_multiple_of(64) + 128)?;
    let pool = eal.pool("rfc2544").buffers(12_288).data_room(room).create()?;
    let mut runtime = Runtime::new(eal);
    let [tx, rx] = options.device.start(eal, &pool, runtime.worker(plan.core)?)?;
    let mut tester = Tester::default();
    let worker = runtime.worker(other)?.idle(Idle::Spin);
    tester.send_from(worker, tx.tx(0)?, &pool);
    tester.receive_on(worker, [rx.rx(0)?]);
    runtime.start()?;
    let measured = all_sizes(&tester, plan, options, frames)?;
    runtime.stop()?;
    Ok(measured)
}

/// One size after the other, until one fails.
fn all_sizes(tester: &Tester, plan: Plan, options: &Options, frames: Vec<Prepared>) -> Result<Measured> {
    let (line, duration) = (Line(options.line * 1e9), Duration::from_secs_f64(plan.seconds));
    let mut outcomes = Vec::new();
    for (size, frames) in options.sizes.iter().zip(frames) {
        let mut bench = Bench { tester, frames, line, duration, most_sent: 0.0 };
        let mut outcome = Outcome { size: size.clone(), ..Outcome::default() };
        let done = bench.all(options.resolution / 100.0, &mut outcome);
        outcomes.push(Outcome { most_sent: bench.most_sent, ..outcome });
        if let Err(error) = done {
            return Ok(Measured { outcomes, failed: Some((size.clone(), format!("{error:#}"))) });
        }
    }
    Ok(Measured { outcomes, failed: None })
}

impl Bench<'_> {
    /// Measures one size; what is known when something fails is in the outcome.
    fn all(&mut self, resolution: f64, outcome: &mut Outcome) -> Result<()> {
        outcome.line_fps = self.line.0 / self.frames.mean_wire_bits();
        self.wait_for_device()?;
        // To warm up.
        self.trial(0.5, None)?;
        let mut rungs: Vec<Rung> = Vec::new();
        outcome.ndr = highest(0.0, resolution, &mut rungs, &mut |rate| self.loss(rate, None))?;
        outcome.pdr = highest(0.001, resolution, &mut rungs, &mut |rate| self.loss(rate, None))?;
        for tenth in 1..=10 {
            let Some(ndr) = outcome.ndr else { break };
            let part = f64::from(tenth) / 10.0;
            let histogram = self.trial(ndr * part, None)?.latency();
            let microseconds = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
            outcome.latency.push((part, microseconds(0.5), microseconds(0.999)));
        }
        // Section 26.3: from the line's rate down by tenths, until two in a row lose nothing.
        for tenth in (1..=10).rev() {
            let rate = f64::from(tenth) / 10.0;
            outcome.loss.push((rate, self.trial(rate, None)?.loss().unwrap_or(0.0)));
            if outcome.loss.iter().rev().take_while(|(_, lost)| *lost == 0.0).count() >= 2 {
                break;
            }
        }
        let most = (outcome.line_fps * self.duration.as_secs_f64()) as u64;
        outcome.back_to_back = Some(self.back_to_back(most)?);
        Ok(())
    }

    /// Sends a few frames now and then until one comes back: a link may be up long before the device forwards.
    fn wait_for_device(&mut self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.trial(0.01, Some(8))?.received() == 0 {
            ensure!(
                Instant::now() < end,
                "of {size} bytes nothing comes back within {} s: does the device run, and forward --frame, from --tx to --rx?",
                PATIENCE.as_secs(),
                size = self.frames.longest() + 4
            );
        }
        Ok(())
    }

    /// The part that is lost at a rate, of so many frames if that is said; all, where the generator does not reach it.
    fn loss(&mut self, rate: f64, count: Option<u64>) -> Result<f64> {
        for _ in 0..ATTEMPTS {
            let outcome = self.trial(rate, count)?;
            if outcome.sent_fps() >= outcome.asked_fps.unwrap_or(0.0) * 0.995 {
                return Ok(outcome.loss().unwrap_or(1.0));
            }
            if outcome.port_full > 0 {
                break;
            }
        }
        Ok(1.0)
    }

    /// The longest burst at line rate that loses nothing, of at most so many frames (section 26.4).
    fn back_to_back(&mut self, most: u64) -> Result<u64> {
        let (mut good, mut bad) = (0, most.max(1) + 1);
        let mut count = most.max(1);
        while bad - good > (bad / 32).max(1) {
            if self.loss(1.0, Some(count))? == 0.0 {
                good = count
            } else {
                bad = count
            }
            count = good + (bad - good) / 2;
        }
        Ok(good)
    }

    fn trial(&mut self, rate: f64, count: Option<u64>) -> Result<iogate_pktgen::outcome::Outcome> {
        let pace = Rate::Percent(rate * 100.0).pace(Some(self.line), self.frames.mean_wire_bits());
        let pace = pace.map_err(|error| anyhow!("{error}"))?;
        let trial = Trial {
            duration: count.is_none().then_some(self.duration),
            count,
            drain: Duration::from_millis(100),
            ..Trial::new(self.frames.clone(), pace)
        };
        let outcome = self.tester.run(&trial)?;
        if let iogate_pktgen::outcome::Ended::Lost(what) = &outcome.ended {
            bail!("{what}");
        }
        if count.is_none() {
            self.most_sent = self.most_sent.max(outcome.sent_bps() / self.line.0);
        }
        Ok(outcome)
    }
}

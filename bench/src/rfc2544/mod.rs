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
use iogate_pktgen::rate::{Line, Rate};
use iogate_pktgen::template::Template;
use iogate_pktgen::trial::{Tester, Trial};
use search::{Rung, highest};
use serde::{Deserialize, Serialize};
use std::time::Duration;

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
    /// Frame sizes with FCS, or imix
    #[arg(long, value_delimiter = ',', default_value = "64,128,256,512,1024,1280,1518,9018,imix")]
    pub(crate) sizes: Vec<String>,
    /// Rate of the line, Gbit/s
    #[arg(long, default_value_t = 10.0, value_parser = gigabits)]
    pub(crate) line: f64,
    /// How exact throughput is found, percent of the line
    #[arg(long, default_value_t = 1.0, value_parser = percent)]
    pub(crate) resolution: f64,
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
        let port = |name: &str, spec: &Option<PortSpec>| spec.as_ref().map(|spec| format!("--{name}={spec}"));
        arguments.extend(port("tx", &self.tx).into_iter().chain(port("rx", &self.rx)));
        arguments
    }
}

/// What came of one size. Rates are parts of the line's, 0 to 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    back_to_back: u64,
    /// The most that the generator sent, of the line's rate; below 1 it may be what limits.
    most_sent: f64,
}

/// The gateway with three sizes.
pub(crate) fn in_short(plan: Plan, report: &mut Report) -> Result<()> {
    let sizes = ["64", "512", "1518"].map(String::from).to_vec();
    let options = Options { device: Device::Gateway, tx: None, rx: None, sizes, line: 10.0, resolution: 1.0 };
    compare(plan, &options, report)
}

/// All sizes.
pub(crate) fn compare(plan: Plan, options: &Options, report: &mut Report) -> Result<()> {
    if options.tx.is_none() && cores().len() < 2 {
        report
            .notes
            .push("rfc2544: not measured: it needs two cores, one for the device and one for frames".to_owned());
        return Ok(());
    }
    let device = match (&options.tx, &options.rx) {
        (Some(tx), Some(rx)) => format!("{tx} to {rx}"),
        _ => format!("{} in this process, over rings", options.device.name()),
    };
    let mut outcomes = Vec::new();
    for size in &options.sizes {
        say(format_args!("rfc2544: {device}: {size}"));
        let job = Job::Rfc2544 { options: Options { sizes: vec![size.clone()], ..options.clone() } };
        outcomes.push(alone::spawn::<Outcome>(&job, plan)?);
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
            outcome.back_to_back.to_string(),
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

/// A device with a generator around it.
struct Bench {
    tester: Tester,
    frames: Prepared,
    line: Line,
    duration: Duration,
    most_sent: f64,
}

/// One size, in a process with EAL.
pub(crate) fn measure(eal: &Eal, plan: Plan, options: &Options) -> Result<Outcome> {
    let [size] = options.sizes.as_slice() else { bail!("one size at a time") };
    crate::priority::raise();
    let template = Template::line(device::FRAME, size).map_err(|problems| anyhow!("{problems}"))?;
    let frames = Prepared::new(&template).map_err(|error| anyhow!("{error}"))?;
    const LONGEST: usize = 9014;
    let longest = if size == "imix" { 1514 } else { size.parse::<usize>().context("a size")?.saturating_sub(4) };
    ensure!(longest <= LONGEST, "a frame of {size} bytes is too long; use at most 9018");
    let room = u16::try_from(longest.max(2048).next_multiple_of(64) + 128)?;
    let pool = eal.pool("rfc2544").buffers(12_288).data_room(room).create()?;
    let mut runtime = Runtime::new(eal);
    let (tx, rx, core) = match (&options.tx, &options.rx) {
        (Some(tx), Some(rx)) => {
            let first = device::open(eal, &pool, tx, longest)?;
            let second = if tx == rx { first.clone() } else { device::open(eal, &pool, rx, longest)? };
            (first, second, plan.core)
        }
        _ => {
            let other = cores().into_iter().find(|core| *core != plan.core).context("two cores are needed")?;
            let [a, b] = options.device.start(eal, &pool, runtime.worker(plan.core)?)?;
            (a, b, other)
        }
    };
    let mut tester = Tester::default();
    let worker = runtime.worker(core)?.idle(Idle::Spin);
    tester.send_from(worker, tx.tx(0)?, &pool);
    tester.receive_on(worker, [rx.rx(0)?]);
    runtime.start()?;
    let (line, duration) = (Line(options.line * 1e9), Duration::from_secs_f64(plan.seconds));
    let mut bench = Bench { tester, frames, line, duration, most_sent: 0.0 };
    let outcome = bench.all(size, options.resolution / 100.0)?;
    runtime.stop()?;
    Ok(outcome)
}

impl Bench {
    fn all(&mut self, size: &str, resolution: f64) -> Result<Outcome> {
        let line_fps = self.line.0 / self.frames.mean_wire_bits();
        // To warm up.
        self.trial(0.5, None)?;
        let mut rungs: Vec<Rung> = Vec::new();
        let ndr = highest(0.0, resolution, &mut rungs, &mut |rate| self.loss(rate))?;
        let pdr = highest(0.001, resolution, &mut rungs, &mut |rate| self.loss(rate))?;
        let mut latency = Vec::new();
        for tenth in 1..=10 {
            let Some(ndr) = ndr else { break };
            let part = f64::from(tenth) / 10.0;
            let histogram = self.trial(ndr * part, None)?.latency();
            let microseconds = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
            latency.push((part, microseconds(0.5), microseconds(0.999)));
        }
        // Section 26.3: from the line's rate down by tenths, until two in a row lose nothing.
        let mut loss: Vec<(f64, f64)> = Vec::new();
        for tenth in (1..=10).rev() {
            let rate = f64::from(tenth) / 10.0;
            loss.push((rate, self.trial(rate, None)?.loss().unwrap_or(0.0)));
            if loss.iter().rev().take_while(|(_, lost)| *lost == 0.0).count() >= 2 {
                break;
            }
        }
        let most = (line_fps * self.duration.as_secs_f64()) as u64;
        let back_to_back = self.back_to_back(most)?;
        Ok(Outcome {
            size: size.to_owned(),
            line_fps,
            ndr,
            pdr,
            latency,
            loss,
            back_to_back,
            most_sent: self.most_sent,
        })
    }

    /// The part that is lost at a rate; all, where the generator does not reach it.
    fn loss(&mut self, rate: f64) -> Result<f64> {
        let outcome = self.trial(rate, None)?;
        let asked = outcome.asked_fps.unwrap_or(0.0);
        let reached = outcome.sent_fps() >= asked * 0.995;
        Ok(if reached { outcome.loss().unwrap_or(1.0) } else { 1.0 })
    }

    /// The longest burst at line rate that loses nothing, of at most so many frames (section 26.4).
    fn back_to_back(&mut self, most: u64) -> Result<u64> {
        let (mut good, mut bad) = (0, most.max(1) + 1);
        let mut count = most.max(1);
        while bad - good > (bad / 32).max(1) {
            if self.trial(1.0, Some(count))?.lost() == 0 {
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
            bail!("{what}; nothing more can be measured");
        }
        if count.is_none() {
            self.most_sent = self.most_sent.max(outcome.sent_bps() / self.line.0);
        }
        Ok(outcome)
    }
}

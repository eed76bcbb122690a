//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use iogate::eal::EalArgs;
use iogate::port::PortSpec;
use iogate_pktgen::limits::{Latency, Limits, Loss};
use iogate_pktgen::rate::{Line, Rate};
use iogate_pktgen::scenario::Work;
use std::path::PathBuf;
use std::time::Duration;

/// Packet generator: sends frames at an exact rate, and measures loss, latency and order of what comes back.
///
/// Exit codes: 0 done, 1 failed, 2 the command line, a template, a scenario or a capture is wrong, 3 a limit was broken,
/// 4 a port went away during the run (the result so far is printed).
#[derive(Parser)]
#[command(name = "iogate-pktgen", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one")]
pub(crate) enum Command {
    /// Send frames, and measure those that come back
    #[command(after_long_help = RUN_HELP)]
    Run(Run),
    /// Run the steps of a scenario, one after the other
    #[command(after_long_help = SCENARIO_HELP)]
    Scenario(Scenario),
    /// Check a template, and say everything that is wrong with it
    Check {
        #[command(flatten)]
        work: WorkArgs,
    },
    /// Write the frames of a template to a pcapng file instead of sending them
    Write {
        #[command(flatten)]
        work: WorkArgs,
        /// How many frames
        #[arg(long, value_name = "FRAMES", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
        count: u64,
        /// The file
        file: PathBuf,
    },
    /// List the headers that a template can name, or the fields of one
    Headers {
        /// The header
        name: Option<String>,
    },
    /// Print the storage mix that is built in, as a template to start from
    Mix,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    Man {
        /// The folder; it must exist
        folder: PathBuf,
    },
}

const RUN_HELP: &str = "\
Examples:
  What is sent comes back, for 5 seconds at a million frames a second:
    iogate-pktgen run --tx ring --rx ring --rate 1Mpps --duration 5s
  Line rate of 10 Gigabit Ethernet at 64 bytes, 65,536 flows, one card to another:
    iogate-pktgen run --tx 0000:3b:00.0 --rx 0000:3b:00.1 --line 10G --duration 1m \\
        --frame 'ethernet/ipv4,dst=198.18.0.0..198.18.255.255/udp'
  A script that fails when anything is lost or late:
    iogate-pktgen run --tx af_xdp:a0 --rx af_xdp:b0 --size imix --line 10G --rate 10% --duration 10s \\
        --max-loss 0 --max-latency p99=100us -o json

A frame is HEADER[,FIELD=VALUES].../HEADER...; `iogate-pktgen headers` lists them. VALUES are one value (10.0.0.1), a \
range (1..9, 0..100+10 in steps, 1..9@5 each for 5 frames), a list (53|80), random, or random:1..9. Lengths, checksums \
and what announces the next header are filled in unless they are set.";

const SCENARIO_HELP: &str = "\
A scenario in TOML:
  line = \"10G\"
  max_loss = 0
  [[step]]
  name = \"half\"
  frame = \"ethernet/ipv4/udp\"       # or template = \"FILE\", mix = \"storage\", replay = \"FILE\"
  size = \"imix\"
  rate = \"50%\"
  duration = \"10s\"                  # or count = 1000000
  max_latency = [\"p99=50us\", \"max=1ms\"]
Limits may stand in a step or, for all steps, above them. The run goes on after a broken limit; the exit code is 3.";

#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// How fast, all senders together: frames a second (1.5Mpps), bits a second on the wire (5G), a part of --line (50%),
    /// or max [default: all of --line]
    #[arg(long, value_name = "RATE", required_unless_present = "line")]
    pub(crate) rate: Option<Rate>,
    /// Speed of the line, for rates in percent and to refuse impossible ones; preamble, gap and FCS count
    #[arg(long, value_name = "BITS")]
    pub(crate) line: Option<Line>,
    /// For how long [default: until Ctrl-C]
    #[arg(long, value_name = "TIME", value_parser = iogate_pktgen::time::duration)]
    pub(crate) duration: Option<Duration>,
    /// How many frames [default: no limit]
    #[arg(long, value_name = "FRAMES")]
    pub(crate) count: Option<u64>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) bench: Bench,
}

#[derive(Args)]
pub(crate) struct Scenario {
    /// The scenario, TOML
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) bench: Bench,
}

/// What to send.
#[derive(Args)]
#[group(multiple = true)]
pub(crate) struct WorkArgs {
    /// A template, TOML
    #[arg(long, value_name = "FILE", group = "what")]
    template: Option<PathBuf>,
    /// A frame on one line [default: ethernet/ipv4/udp]
    #[arg(long, value_name = "FRAME", group = "what")]
    frame: Option<String>,
    /// A mix that is built in
    #[arg(long, value_name = "NAME", group = "what")]
    mix: Option<Mix>,
    /// Frames from a capture, pcap or pcapng, as they are
    #[arg(long, value_name = "FILE", group = "what")]
    replay: Option<PathBuf>,
    /// Sizes of --frame in bytes with FCS: 64, 64..1518, 64|1518, imix [default: 64]
    #[arg(long, value_name = "SIZES", conflicts_with_all = ["template", "mix", "replay"])]
    size: Option<String>,
    /// Decides what is random, instead of the template's
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mix {
    /// iSCSI, NVMe/TCP, FCoE and RoCE beside web, name service and voice
    Storage,
}

impl WorkArgs {
    pub(crate) fn work(self) -> Work {
        match (self.template, self.mix, self.replay) {
            (Some(file), ..) => Work::Template(file),
            (_, Some(Mix::Storage), _) => Work::StorageMix,
            (.., Some(file)) => Work::Replay(file),
            _ => Work::Frame {
                frame: self.frame.unwrap_or_else(|| "ethernet/ipv4/udp".to_owned()),
                size: self.size.unwrap_or_else(|| "64".to_owned()),
            },
        }
    }
}

/// What must hold, else the exit code is 3
#[derive(Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Frames that may be lost, as a number (0) or a part (0.1%)
    #[arg(long, value_name = "LOSS")]
    max_loss: Option<Loss>,
    /// Latency that may not be exceeded: p99=20us, max=1ms; may be given several times
    #[arg(long, value_name = "LIMIT")]
    max_latency: Vec<Latency>,
    /// Frames that may come out of order
    #[arg(long, value_name = "FRAMES")]
    max_reordered: Option<u64>,
    /// Frames that may come twice
    #[arg(long, value_name = "FRAMES")]
    max_duplicates: Option<u64>,
    /// The part of the asked rate that must be reached: 99.9%
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    min_rate: Option<f64>,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(Loss::Part(part)) => Ok(part),
        _ => Err("write a part of the rate, such as 99.9%".to_owned()),
    }
}

impl LimitArgs {
    pub(crate) fn limits(self) -> Limits {
        Limits {
            loss: self.max_loss,
            latency: self.max_latency,
            reordered: self.max_reordered,
            duplicates: self.max_duplicates,
            rate: self.min_rate,
        }
    }
}

/// Ports, workers, and what is shown.
#[derive(Args)]
pub(crate) struct Bench {
    /// The port that sends: af_xdp:eth0, ring, 0000:3b:00.0, ... (see the README)
    #[arg(long, value_name = "PORT", help_heading = "Ports and workers")]
    pub(crate) tx: PortSpec,
    /// The port that receives, possibly the same [default: only sends]
    #[arg(long, value_name = "PORT", help_heading = "Ports and workers")]
    pub(crate) rx: Option<PortSpec>,
    /// Senders, each with a TX queue
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "Ports and workers")]
    pub(crate) senders: u16,
    /// Receivers, each with an RX queue
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "Ports and workers")]
    pub(crate) receivers: u16,
    /// Cores, a worker each, that senders and then receivers are dealt out to [default: all there are]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Ports and workers")]
    pub(crate) cores: Vec<usize>,
    /// Frames in a burst at most; fewer go when fewer are due
    #[arg(long, value_name = "FRAMES", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=32), help_heading = "Ports and workers")]
    pub(crate) burst: u16,
    /// For how long back frames that are late are still sent
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = iogate_pktgen::time::duration, help_heading = "Ports and workers")]
    pub(crate) catch_up: Duration,
    /// How long to wait for links at the start
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = iogate_pktgen::time::duration, help_heading = "Ports and workers")]
    pub(crate) wait: Duration,
    /// How long to wait for what has not come back at the end
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = iogate_pktgen::time::duration, help_heading = "Ports and workers")]
    pub(crate) drain: Duration,
    /// Write what comes back to a pcapng file
    #[arg(long, value_name = "FILE", requires = "rx", help_heading = "Output")]
    pub(crate) capture: Option<PathBuf>,
    /// Frames in the capture at most
    #[arg(long, value_name = "FRAMES", default_value_t = 100_000, help_heading = "Output")]
    pub(crate) capture_most: u64,
    /// How [default: live on a terminal, else text]
    #[arg(short, long, value_name = "FORMAT", help_heading = "Output")]
    pub(crate) output: Option<Output>,
    /// Time between two reports while it runs
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval, help_heading = "Output")]
    pub(crate) interval: Duration,
    #[command(flatten)]
    pub(crate) eal: EalArgs,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = iogate_pktgen::time::duration(text)?;
    if interval < Duration::from_millis(10) { Err("use 10ms or more".to_owned()) } else { Ok(interval) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Lines
    Text,
    /// JSON at the end, versioned by its `schema`
    Json,
    /// The whole terminal, and text at the end
    Live,
}

//! What the framework and the gateway cost, beside their peers.
//!
//! Every figure is a ratio against a peer that ran in turns with ours, so that what disturbs the
//! machine disturbs both: see [`series`]. Each measurement of ours is a process of its own
//! ([`alone`]), as each of the peer's is ([`testpmd`]).
#![deny(unsafe_code)]

mod alone;
#[allow(unsafe_code)]
mod clock;
mod contention;
mod crowd;
mod full;
mod gateway;
mod instructions;
mod io;
mod iperf;
mod lookup;
mod machine;
mod mix;
mod modes;
mod pages;
mod peers;
mod priority;
mod report;
mod rfc2544;
#[allow(unsafe_code)]
mod rte_hash;
mod scale;
mod series;
mod testpmd;
mod wire;

use alone::Job;
use anyhow::{Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use report::compare;
use series::Report;
use std::path::{Path, PathBuf};

/// Compares the framework and the gateway with their peers, in turns, on this machine
#[derive(Debug, Parser)]
#[command(name = "iogate-bench", version)]
struct Cli {
    #[command(subcommand)]
    what: What,
    /// Measurements of each side; the median counts
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=101))]
    runs: u32,
    /// Length of one measurement
    #[arg(long, global = true, default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// The core that forwards; the last one by default
    #[arg(long, global = true)]
    core: Option<usize>,
    /// Memory of both sides
    #[arg(long, global = true, value_enum, default_value_t)]
    pages: Pages,
    /// How to print the result
    #[arg(short, long, global = true, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

/// What memory both sides take their buffers from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Pages {
    /// Plain pages, which there always are
    #[default]
    Plain,
    /// Huge pages, of which 256 MiB must be free
    Huge,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Forwarding as it comes between two null ports, beside testpmd
    Io,
    /// The gateway's whole pipeline from pcap to null ports, beside testpmd and C by hand on the same ports
    Gateway,
    /// The gateway's address table, beside rte_hash
    Lookup,
    /// The forwarding modes of iogate-testpmd, beside testpmd's
    Modes,
    /// iperf3 through the gateway on AF_XDP, beside testpmd
    Iperf,
    /// 64 B at 10GbE line rate through the gateway, on a virtual wire: loss and added latency
    Wire,
    /// RFC 2544: throughput, latency, frame loss and back-to-back frames of a device behind two ports
    Rfc2544(rfc2544::Options),
    /// What a packet costs as there are more vNICs, flows, ports and workers
    Scale,
    /// Instructions per packet, counted by callgrind, held to those in bench/instructions.json
    Instructions {
        /// Write what was counted to that file instead
        #[arg(long)]
        renew: bool,
    },
    /// All of them
    All,
    /// Everything, in about ten minutes, into a folder: report.json, report.html, figure.svg
    Full {
        /// The folder; bench/results by default
        #[arg(long)]
        folder: Option<PathBuf>,
    },
    /// What became worse from one report to another, beyond the noise; exit code 1 when something did
    Compare {
        /// Written by `full`, or by `-o json`
        old: PathBuf,
        /// As well
        new: PathBuf,
    },
    /// Draw the page and the figure of a report again
    Draw {
        /// report.json; the others are written beside it
        report: PathBuf,
    },
    /// Install the peers that are missing, with apt: Open vSwitch on DPDK, testpmd, iperf3
    InstallPeers,
    /// One measurement of ours, printed as JSON: what the others start
    #[command(hide = true)]
    Alone {
        #[command(subcommand)]
        job: Job,
    },
}

/// What every measurement needs to know.
#[derive(Clone, Copy, Debug)]
struct Plan {
    runs: u32,
    seconds: f64,
    core: usize,
    pages: Pages,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let cores = iogate::worker::cores();
    let core = cli.core.unwrap_or_else(|| cores.last().copied().unwrap_or(0));
    ensure!(cores.contains(&core), "there is no core {core} to run on; there are {cores:?}");
    let plan = Plan { runs: cli.runs, seconds: cli.seconds, core, pages: cli.pages };
    let mut report = Report { machine: Some(machine::Machine::this()), ..Report::default() };
    match cli.what {
        What::Io => io::compare(plan, &mut report)?,
        What::Gateway => gateway::compare(plan, &mut report)?,
        What::Lookup => lookup::compare(plan, &mut report)?,
        What::Iperf => iperf::compare(plan, &mut report)?,
        What::Modes => modes::compare(plan, &mut report)?,
        What::Wire => wire::compare(plan, &mut report)?,
        What::Rfc2544(options) => rfc2544::compare(plan, &options, &mut report)?,
        What::Scale => scale::compare(plan, &mut report)?,
        What::Full { folder } => full::run(plan, folder, &mut report)?,
        What::Compare { old, new } => return compare(&old, &new),
        What::Draw { report } => return full::draw(&report),
        What::Instructions { renew } => instructions::compare(plan, renew, &mut report)?,
        What::All => {
            io::compare(plan, &mut report)?;
            gateway::compare(plan, &mut report)?;
            lookup::compare(plan, &mut report)?;
            iperf::compare(plan, &mut report)?;
            modes::compare(plan, &mut report)?;
        }
        What::InstallPeers => return peers::install(),
        What::Alone { job } => return alone::run(job, plan),
    }
    match cli.output {
        Output::Table => print!("{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(())
}

/// Prints both side by side.
fn compare(old: &Path, new: &Path) -> Result<()> {
    let (listing, worse) = compare::compare(&compare::read(old)?, &compare::read(new)?);
    print!("{}", Report { tables: vec![listing], ..Report::default() });
    ensure!(worse.is_empty(), "worse beyond the noise: {}", worse.join("; "));
    Ok(())
}

fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "a number is needed".to_owned())?;
    if (0.05..=600.0).contains(&value) { Ok(value) } else { Err("use 0.05 to 600".to_owned()) }
}

/// Says what is going on, beside the result.
fn say(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["iogate-bench", "io", "--seconds", "0"]).is_err());
        assert!(Cli::try_parse_from(["iogate-bench", "all", "--runs", "3", "-o", "json"]).is_ok());
    }
}

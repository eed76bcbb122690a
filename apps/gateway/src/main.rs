//! `iogate`: runs the I/O gateway, and talks to a running one.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use iogate::sriov::{Host, Kernel, LocalKernel};
use iogate::worker::Topology;
use iogate_gateway::config::{self, Config};
use iogate_gateway::control::{Server, Topic, client};
use iogate_gateway::plan::{Gateway, show_placement};
use iogate_gateway::{vf, view};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing::level_filters::LevelFilter;

/// The I/O gateway: switches between servers, network uplinks and storage uplinks.
///
/// Exit codes: 0 done, 1 failed, 2 the command line or the configuration is wrong, 3 `vf` would have to do what cannot
/// be done, or would disturb VFs in use, and left everything as it was.
#[derive(Parser)]
#[command(name = "iogate", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a gateway in the foreground until SIGINT, SIGTERM or `iogate stop`
    Run {
        /// The configuration, TOML
        file: PathBuf,
        /// Make the virtual functions of the file first, as `iogate vf apply` does
        #[arg(long)]
        apply_vfs: bool,
        /// What to log
        #[arg(long, value_name = "LEVEL", default_value = "info", env = "IOGATE_LOG")]
        log: Level,
    },
    /// Check a configuration and say everything that is wrong with it
    Check {
        /// The configuration, TOML
        file: PathBuf,
    },
    /// Show what a running gateway does
    Show {
        /// What to show
        topic: Topic,
        /// How
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Output,
        #[command(flatten)]
        target: Target,
    },
    /// Stop a running gateway and wait until it has closed everything
    Stop {
        #[command(flatten)]
        target: Target,
    },
    /// The virtual functions of the machine's cards
    Vf {
        #[command(subcommand)]
        command: VfCommand,
    },
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

#[derive(Subcommand)]
enum VfCommand {
    /// Show every physical function, its virtual functions, and who uses them
    List {
        /// How
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Output,
        #[command(flatten)]
        machine: vf::Machine,
    },
    /// Show the steps that make the machine's virtual functions as a configuration wants them
    Plan(VfChange),
    /// Take these steps, read everything back, and undo them all when one fails
    Apply {
        #[command(flatten)]
        change: VfChange,
        /// Change settings also of virtual functions that are in use
        #[arg(long)]
        disturb: bool,
    },
    /// Remove the virtual functions of the configuration's cards
    Reset(VfChange),
}

#[derive(clap::Args)]
struct VfChange {
    /// The configuration, TOML, of which `[[pf]]` and `[[vf]]` matter
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// How
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
    #[command(flatten)]
    machine: vf::Machine,
}

#[derive(clap::Args)]
struct Target {
    /// The gateway's socket [default: the only one in /run/iogate]
    #[arg(long, value_name = "PATH", env = "IOGATE_SOCKET")]
    socket: Option<PathBuf>,
}

impl Target {
    fn socket(self) -> Result<PathBuf> {
        self.socket.map_or_else(client::find_socket, Ok)
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    /// What went wrong
    Error,
    /// Also what may be wrong
    Warn,
    /// Also what has changed
    Info,
    /// Also what helps to find a fault
    Debug,
    /// Everything
    Trace,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Output {
    /// A table
    Text,
    /// JSON, versioned by its `schema`
    Json,
}

/// The configuration is wrong; what is wrong was said.
const WRONG: u8 = 2;
/// It cannot be done, or would disturb others; why was said, and everything is as it was.
const REFUSED: u8 = 3;

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("iogate: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run { file, apply_vfs, log } => {
            let Some(config) = load(&file) else { return Ok(ExitCode::from(WRONG)) };
            if config.ports().next().is_none() {
                complain(&format!(
                    "{}: no [[link]] and no [[uplink]]: there is nothing to run; add some",
                    file.display()
                ));
                return Ok(ExitCode::from(WRONG));
            }
            start_log(log);
            if apply_vfs {
                let mut kernel = LocalKernel::open().context("cannot open a netlink socket")?;
                let outcome = vf::apply(&mut kernel, &config, false, false)?;
                if outcome.refused {
                    return refuse(outcome);
                }
                outcome.text.lines().for_each(|line| tracing::info!("{line}"));
                // Now that they are there.
                if !is_for_this_machine(&config, &file) {
                    return Ok(ExitCode::from(WRONG));
                }
            }
            say(&placement(&config))?;
            return run(config);
        }
        Command::Check { file } => {
            let Some(config) = load(&file) else { return Ok(ExitCode::from(WRONG)) };
            let (links, uplinks) = (config.links.len(), config.uplinks.len());
            let (networks, adapters) = (config.networks.len(), config.adapters.len());
            let vfs = match config.vfs.len() {
                0 => String::new(),
                count => format!(", {count} VFs"),
            };
            say(&format!(
                "{}: good: {links} links, {uplinks} uplinks, {networks} networks, {adapters} adapters{vfs}\n",
                file.display()
            ))?;
            if links + uplinks > 0 {
                say(&placement(&config))?;
            }
        }
        Command::Show { topic, output, target } => {
            let (report, json) = client::show(&target.socket()?, topic)?;
            match output {
                Output::Text => say(&view::text(&report))?,
                Output::Json => say(&(json + "\n"))?,
            }
        }
        Command::Stop { target } => client::stop(&target.socket()?)?,
        Command::Vf { command: VfCommand::List { output, machine } } => {
            say(&vf::list(&machine, output == Output::Json)?)?;
        }
        Command::Vf { command: VfCommand::Plan(change) } => {
            return change_vfs(&change, |kernel, config, json| vf::plan(kernel, config, json));
        }
        Command::Vf { command: VfCommand::Apply { change, disturb } } => {
            return change_vfs(&change, |kernel, config, json| vf::apply(kernel, config, disturb, json));
        }
        Command::Vf { command: VfCommand::Reset(change) } => {
            return change_vfs(&change, |kernel, config, json| vf::reset(kernel, config, json));
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "iogate", &mut script);
            say(&String::from_utf8(script)?)?;
        }
        Command::Man { folder } => {
            clap_mangen::generate_to(Cli::command(), &folder)
                .with_context(|| format!("cannot write manual pages into {}", folder.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Which core is to poll what.
fn placement(config: &Config) -> String {
    show_placement(config, &Host::local(), &Topology::local())
}

/// Has a command plan or change what a file says of virtual functions.
fn change_vfs(
    change: &VfChange,
    command: impl FnOnce(&mut dyn Kernel, &Config, bool) -> Result<vf::Outcome>,
) -> Result<ExitCode> {
    let config = match config::load(&change.config) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems.to_string());
            return Ok(ExitCode::from(WRONG));
        }
    };
    if config.pfs.is_empty() {
        complain(&format!("{}: no [[pf]]: it says nothing of virtual functions; add some", change.config.display()));
        return Ok(ExitCode::from(WRONG));
    }
    start_log(Level::Info);
    let mut kernel = change.machine.kernel()?;
    let outcome = command(kernel.as_mut(), &config, change.output == Output::Json)?;
    if outcome.refused {
        return refuse(outcome);
    }
    say(&outcome.text)?;
    Ok(ExitCode::SUCCESS)
}

fn refuse(outcome: vf::Outcome) -> Result<ExitCode> {
    say(&outcome.text)?;
    Ok(ExitCode::from(REFUSED))
}

/// The checked configuration, fit for this machine, or nothing after everything wrong with it was said.
fn load(file: &Path) -> Option<Config> {
    let checked = config::load(file).map_err(|problems| complain(&problems.to_string()));
    checked.ok().filter(|config| is_for_this_machine(config, file))
}

fn is_for_this_machine(config: &Config, file: &Path) -> bool {
    let fits = config::check_machine(config, file, &iogate::worker::cores(), &Host::local());
    fits.map_err(|problems| complain(&problems.to_string())).is_ok()
}

/// Writes a line to standard error, where nobody may listen.
fn complain(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// Writes to standard output; a reader that has gone away is no error.
fn say(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn start_log(level: Level) {
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from(level))
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
}

fn run(config: Config) -> Result<ExitCode> {
    let asked = iogate::worker::signals()?;
    let name = config.gateway.name.clone();
    // First, so that a second gateway of this name touches no port.
    let server = Server::bind(&config.gateway.socket)?;
    let socket = config.gateway.socket.clone();
    let mut gateway = Gateway::start(config)?;
    let serving = server.serve(gateway.state())?;
    let state = gateway.state();
    say(&format!(
        "{name}: ready: {} ports, {} adapters, {} workers; control socket {}\n",
        state.ports.len(),
        state.config.adapters.len(),
        state.workers.len(),
        socket.display()
    ))?;
    let watched = gateway.run_until(&asked);
    drop(serving);
    let buffers = gateway.state().pool.size();
    let (totals, missing) = gateway.stop()?;
    watched?;
    say(&format!(
        "{name}: stopped: received {} + generated {} = sent {} + dropped {}; {} of {buffers} buffers are home\n",
        totals.received,
        totals.generated,
        totals.sent_by_ports(),
        totals.dropped,
        buffers - missing
    ))?;
    let complete = missing == 0 && totals.balanced();
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

//! `iogate-pktgen`: sends frames at an exact rate, and measures what comes back.
#![forbid(unsafe_code)]

mod cli;
mod live;
mod output;
mod run;

use clap::Parser;
use std::process::ExitCode;

/// Something failed: a port, a file, memory.
pub(crate) const FAILED: u8 = 1;
/// The command line, a template, a scenario or a capture is wrong.
pub(crate) const WRONG: u8 = 2;
/// A limit was broken.
pub(crate) const BROKEN: u8 = 3;
/// A port went away: the result is of what was done until then.
pub(crate) const LOST: u8 = 4;

fn main() -> ExitCode {
    let command = cli::Cli::parse().command;
    match run::execute(command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::complain(&format!("iogate-pktgen: {error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

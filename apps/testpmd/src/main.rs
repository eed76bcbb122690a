//! `iogate-testpmd`: forwards packets between ports, driven from a prompt or by scripts.
#![forbid(unsafe_code)]

mod app;
mod commands;
mod engine;
mod flow;
#[allow(dead_code, unreachable_pub, reason = "modes are whole, whatever the commands use of them")]
mod forward;
mod grammar;
mod options;
mod ports;
mod screen;
mod settings;
mod setup;
mod show;
mod soft;
mod terminal;
mod top;
mod unattended;
mod verbose;

use options::Wrong;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().map(|text| text.to_string_lossy().into_owned()).collect();
    let (eal, own) = options::split(arguments);
    let program = "iogate-testpmd";
    let options = match options::parse(&own) {
        Ok(options) => options,
        Err(Wrong::Help) => {
            print!("{}", options::usage(program));
            return ExitCode::SUCCESS;
        }
        Err(Wrong::Usage(text)) => {
            eprintln!("{program}: {text}");
            print!("{}", options::usage(program));
            return ExitCode::FAILURE;
        }
        Err(Wrong::Value(text)) => return refuse(&text),
    };
    let mut app = match setup::setup(eal, options) {
        Ok(app) => app,
        Err(error) => return refuse(&format!("{error:#}")),
    };
    unattended::run(&mut app);
    app.close();
    let failed = app.failed && !app.options.keep_going;
    drop(app);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Ends as the original does when it cannot begin.
fn refuse(why: &str) -> ExitCode {
    screen::flush();
    eprintln!("EAL: Error - exiting with code: 1\n  Cause: {why}");
    ExitCode::FAILURE
}

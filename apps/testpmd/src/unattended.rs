//! What is done with the ports: a prompt, scripts, or forwarding and nothing else.

use crate::app::App;
use crate::screen::{self, complain, say};
use crate::show;
use crate::terminal::{Key, RawMode};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

/// Scripts that scripts may call, one in the other.
const DEEPEST: usize = 8;

/// Runs until it is to end.
pub(crate) fn run(app: &mut App) {
    let _raw = RawMode::enter();
    for script in app.options.scripts.clone() {
        let well = run_file(app, &script.file, script.echo);
        app.failed |= !well;
    }
    if let Some(commands) = app.options.exec.clone() {
        run_commands(app, &commands);
        if !app.options.interactive {
            return;
        }
    }
    if app.quit || app.signals.asked() {
        return;
    }
    if app.options.interactive {
        if app.options.auto_start {
            say!("Start automatic packet forwarding");
            app.start_forwarding(None);
        }
        if let Some(duration) = app.options.duration {
            app.pause(duration);
            return;
        }
        return app.interact();
    }
    forward(app);
}

/// Forwards until a key, the end of input, a signal or the end of its time.
fn forward(app: &mut App) {
    say!("No commandline core given, start packet forwarding");
    let first = app.options.tx_first.then_some(1);
    app.start_forwarding(first);
    if app.running.is_none() {
        app.failed = true;
        return;
    }
    let until = app.options.duration.map(|duration| Instant::now() + duration);
    let over = |app: &App| app.signals.asked() || until.is_some_and(|until| Instant::now() >= until);
    let Some(period) = app.options.stats_period else {
        if until.is_none() {
            say!("Press enter to exit");
        }
        screen::flush();
        while !over(app) && !worker_failed(app) {
            app.verbose.show();
            app.ports.sample();
            screen::flush();
            let step = Instant::now() + Duration::from_millis(50);
            if until.is_some() {
                std::thread::sleep(Duration::from_millis(20));
            } else if app.input.next(&app.signals, Some(step)) != Key::Nothing {
                return;
            }
        }
        return;
    };
    let clear = io::stdout().is_terminal();
    let mut next = Instant::now();
    while !over(app) && !worker_failed(app) {
        app.ports.sample();
        if Instant::now() >= next {
            next += Duration::from_secs(u64::from(period));
            period_statistics(app, clear);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn worker_failed(app: &mut App) -> bool {
    let failed = app.running.as_ref().is_some_and(|running| running.failed());
    app.failed |= failed;
    failed
}

fn period_statistics(app: &mut App, clear: bool) {
    if clear {
        screen::write(format_args!("\x1b[2J\x1b[1;1H"));
    }
    app.verbose.show();
    say!("\nPort statistics ====================================");
    let display = app.options.display_xstats.clone();
    for port in app.ports.iter() {
        show::port_stats::stats(port, &display);
    }
    screen::flush();
}

/// Commands between semicolons, until one fails.
fn run_commands(app: &mut App, commands: &str) {
    for command in commands.split(';').map(str::trim).filter(|command| !command.is_empty()) {
        screen::take_failed();
        app.execute(command);
        app.failed |= screen::take_failed();
        let stop = app.failed && !app.options.keep_going;
        if app.quit || stop || app.signals.asked() {
            return;
        }
    }
}

/// The commands of a file. It goes on after those that fail; whether none did is returned.
pub(crate) fn run_file(app: &mut App, file: &Path, echo: bool) -> bool {
    let Ok(text) = std::fs::read(file) else {
        complain!("Failed to create file based cmdline context: {}", file.display());
        return false;
    };
    if app.depth >= DEEPEST {
        complain!("{}: scripts call each other more than {DEEPEST} deep", file.display());
        return false;
    }
    app.depth += 1;
    let mut well = true;
    for line in String::from_utf8_lossy(&text).lines() {
        if echo && !line.trim().is_empty() {
            say!("[{}] {line}", file.display());
        }
        screen::take_failed();
        app.execute(line);
        well &= !screen::take_failed();
        if app.quit || app.signals.asked() {
            break;
        }
    }
    app.depth -= 1;
    say!("Finished reading CLI commands from {}", file.display());
    well
}

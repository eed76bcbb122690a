//! What is measured while packets are forwarded: bursts, cycles, latency.

use super::{Command, Family};
use crate::app::App;
use crate::engine::Wanted;
use crate::grammar::Values;
use crate::screen::{complain, say};
use crate::show::{json, latency};

pub(super) const FAMILY: Family = Family {
    name: "measure",
    about: "Measuring while packets are forwarded.",
    commands: &[
        Command {
            pattern: "top",
            help: "Show rates, losses, latency and cycles of ports, streams and stages as they change; q leaves.",
            run: |app, _| crate::top::run(app),
        },
        Command {
            pattern: "set record-core-cycles on|off",
            help: "Show the cycles that each packet takes, or not.",
            run: |app, v| app.measure(Wanted { cycles: v.is(2, "on"), ..app.settings.wanted }),
        },
        Command {
            pattern: "set record-burst-stats on|off",
            help: "Show sizes of bursts, or not.",
            run: |app, v| app.measure(Wanted { bursts: v.is(2, "on"), ..app.settings.wanted }),
        },
        Command {
            pattern: "set latency on|off",
            help: "Measure how old stamped packets are when they come in, or not.",
            run: |app, v| app.measure(Wanted { latency: v.is(2, "on"), ..app.settings.wanted }),
        },
        Command {
            pattern: "set txstamp on|off",
            help: "Stamp packets that txonly and flowgen make with the time, or not; from the next start on.",
            run: |app, v| app.settings.modes.stamp = v.is(2, "on"),
        },
        Command {
            pattern: "show port port:u16 latency",
            help: "Display how old stamped packets were that came in on a port.",
            run: show,
        },
        Command {
            pattern: "clear port port:u16 latency",
            help: "Measure the latency of a port from now on.",
            run: clear,
        },
    ],
};

fn show(app: &mut App, values: &Values) {
    let id = values.u16(2);
    if app.port(id).is_none() {
        return;
    }
    let measured = app.latency(id);
    if app.json {
        json::latency(id, &measured);
    } else if measured.is_empty() && !app.settings.wanted.latency {
        complain!("Latency of port {id} is not measured: set latency on");
    } else {
        latency::show(id, &measured);
    }
}

fn clear(app: &mut App, values: &Values) {
    let id = values.u16(2);
    if app.port(id).is_none() {
        return;
    }
    let wanted = app.settings.wanted;
    if let Some(running) = &mut app.running {
        running.clear_latency(id, wanted);
    }
    if let Some(finished) = &mut app.finished {
        finished.clear_latency(id);
    }
    say!("\n  Latency of port {id} cleared");
}

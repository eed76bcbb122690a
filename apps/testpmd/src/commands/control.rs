//! Starting, stopping, leaving.

use super::{Command, Family};
use crate::app::App;
use crate::engine;

pub(super) const FAMILY: Family = Family {
    name: "control",
    about: "Start and stop forwarding.",
    commands: &[
        Command { pattern: "start", help: "Start packet forwarding.", run: |app, _| app.start_forwarding(None) },
        Command {
            pattern: "start tx_first",
            help: "Start packet forwarding after sending one burst of packets.",
            run: |app, _| app.start_forwarding(Some(1)),
        },
        Command {
            pattern: "start tx_first bursts:u32",
            help: "Start packet forwarding after sending so many bursts of packets.",
            run: |app, values| app.start_forwarding(Some(values.number(2))),
        },
        Command { pattern: "stop", help: "Stop packet forwarding, and display statistics.", run: |app, _| stop(app) },
        Command { pattern: "quit", help: "Quit to prompt.", run: |app, _| app.quit = true },
    ],
};

fn stop(app: &mut App) {
    engine::stop(app);
}

//! `port`: starting, stopping, adding and removing ports.

use super::{Command, Family};
use crate::app::App;
use crate::grammar::Values;
use crate::ports;

pub(super) const FAMILY: Family = Family {
    name: "ports",
    about: "Starting, stopping, adding and removing ports.",
    commands: &[
        Command { pattern: "port start who:ports", help: "Start a port, or all.", run: start },
        Command {
            pattern: "port stop who:ports",
            help: "Stop a port, or all.",
            run: |app, v| ports::stop(app, v.which(2)),
        },
        Command {
            pattern: "port close who:ports",
            help: "Close a port, or all.",
            run: |app, v| ports::close(app, v.which(2)),
        },
        Command {
            pattern: "port reset who:ports",
            help: "Reset a port, or all.",
            run: |app, v| ports::reset(app, v.which(2)),
        },
        Command {
            pattern: "port attach device:text",
            help: "Attach a device by its PCI address, or by a virtual device's name and arguments.",
            run: |app, v| ports::attach(app, v.word(2)),
        },
        Command {
            pattern: "port detach port:u16",
            help: "Detach the device of a port.",
            run: |app, v| ports::detach(app, v.u16(2)),
        },
        Command {
            pattern: "device detach device:text",
            help: "Detach a device by its name.",
            run: |app, v| ports::detach_device(app, v.word(2)),
        },
    ],
};

fn start(app: &mut App, values: &Values) {
    // What keeps a port from it was said.
    let _ = ports::start(app, values.which(2));
}

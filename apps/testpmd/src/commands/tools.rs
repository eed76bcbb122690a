//! Scripts, waiting, logs, and DPDK's own tables.

use super::{Command, Family};
use crate::app::App;
use crate::grammar::Values;
use crate::screen::{self, complain, say};
use crate::unattended::run_file;
use iogate::eal::Dump;
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) const FAMILY: Family = Family {
    name: "tools",
    about: "Scripts, waiting, logs and DPDK's own tables.",
    commands: &[
        Command { pattern: "load file:text", help: "Run the commands of a file.", run: |app, v| load(app, v, false) },
        Command {
            pattern: "load_echo file:text",
            help: "Run the commands of a file, and show them.",
            run: |app, v| load(app, v, true),
        },
        Command { pattern: "sleep seconds:text", help: "Wait. ^C ends it.", run: sleep },
        Command {
            pattern: "wait link up",
            help: "Wait until all links are up, 9 seconds at most.",
            run: |app, _| wait_link(app, 9),
        },
        Command {
            pattern: "wait link up seconds:u16",
            help: "Wait until all links are up, so many seconds at most.",
            run: |app, v| wait_link(app, v.number(3)),
        },
        Command {
            pattern: "set log type:text level:u32",
            help: "Set the level of DPDK's log, global or of some types.",
            run: log,
        },
        Command {
            pattern: "dump_mempool",
            help: "Dump all memory pools.",
            run: |app, _| dump(app, Dump::Mempools(None)),
        },
        Command {
            pattern: "dump_mempool name:text",
            help: "Dump a memory pool.",
            run: |app, v| dump(app, Dump::Mempools(Some(v.word(1).to_owned()))),
        },
        Command { pattern: "dump_ring", help: "Dump all rings.", run: |app, _| dump(app, Dump::Rings(None)) },
        Command {
            pattern: "dump_ring name:text",
            help: "Dump a ring.",
            run: |app, v| dump(app, Dump::Rings(Some(v.word(1).to_owned()))),
        },
        Command { pattern: "dump_memzone", help: "Dump memory zones.", run: |app, _| dump(app, Dump::Memzones) },
        Command {
            pattern: "dump_physmem",
            help: "Dump the layout of memory.",
            run: |app, _| dump(app, Dump::PhysicalMemory),
        },
        Command { pattern: "dump_socket_mem", help: "Dump where memory went.", run: |app, _| dump(app, Dump::Heap) },
        Command {
            pattern: "dump_devargs",
            help: "Dump what devices were made with.",
            run: |app, _| dump(app, Dump::DeviceArguments),
        },
        Command {
            pattern: "dump_log_types",
            help: "Dump log types and levels.",
            run: |app, _| dump(app, Dump::LogTypes),
        },
    ],
};

fn load(app: &mut App, values: &Values, echo: bool) {
    if !run_file(app, Path::new(values.word(1)), echo) {
        screen::fail();
    }
}

fn sleep(app: &mut App, values: &Values) {
    let seconds: Option<f64> = values.word(1).parse().ok().filter(|seconds| (0.0..1e9).contains(seconds));
    let Some(seconds) = seconds else { return complain!("Bad arguments") };
    screen::flush();
    if !app.pause(Duration::from_secs_f64(seconds)) {
        say!("interrupted");
    }
}

fn wait_link(app: &mut App, seconds: u64) {
    let until = Instant::now() + Duration::from_secs(seconds);
    loop {
        let down = app.ports.iter().find(|port| port.started() && !port.link().is_some_and(|link| link.up));
        let Some(down) = down else { return };
        let id = down.device.id();
        if Instant::now() >= until || !app.pause(Duration::from_millis(50)) {
            return complain!("Port {id} Link down");
        }
    }
}

fn log(app: &mut App, values: &Values) {
    let (kind, level) = (values.word(2), values.number(3));
    let Some(level) = u8::try_from(level).ok().filter(|level| *level <= 8) else {
        return complain!("Bad arguments");
    };
    let pattern = (kind != "global").then_some(kind);
    if app.eal.set_log_level(pattern, level).is_err() {
        complain!("Failed to set log level");
    }
}

fn dump(app: &mut App, what: Dump) {
    screen::write(format_args!("{}", app.eal.dump(what)));
}

//! The program: everything that commands work on.

use crate::commands;
use crate::engine::{self, Counts, Plan, Running, Wanted};
use crate::grammar::Which;
use crate::options::Options;
use crate::ports::{self, PortState, Ports};
use crate::screen::{self, complain, say};
use crate::settings::Settings;
use crate::show;
use crate::terminal::{Editor, Event, Input, Key, PROMPT, Signals, prompt};
use crate::verbose::Verbose;
use hdrhistogram::Histogram;
use iogate::eal::{Eal, Lcore};
use iogate::memory::MbufPool;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// The program.
pub(crate) struct App {
    pub(crate) ports: Ports,
    pub(crate) running: Option<Running>,
    /// What was forwarded before a pause.
    pub(crate) paused: Option<Counts>,
    /// What was forwarded last.
    pub(crate) finished: Option<Counts>,
    pub(crate) settings: Settings,
    pub(crate) options: Options,
    pub(crate) verbose: Verbose,
    pub(crate) lcores: Vec<Lcore>,
    /// Whether `show` answers in JSON.
    pub(crate) json: bool,
    /// Whether the program is to end.
    pub(crate) quit: bool,
    /// Whether a command of a script failed.
    pub(crate) failed: bool,
    /// How deep scripts call scripts.
    pub(crate) depth: usize,
    pub(crate) input: Input,
    pub(crate) signals: Signals,
    pub(crate) pool: MbufPool,
    /// One for each size of `--mbuf-size`, none for 0.
    pub(crate) segment_pools: Vec<Option<MbufPool>>,
    pub(crate) eal: Eal,
}

impl App {
    /// The ports that a command is about, or nothing after saying that there is none.
    pub(crate) fn which(&self, which: Which) -> Option<Vec<u16>> {
        match which {
            Which::All => Some(self.ports.ids()),
            Which::One(id) if self.ports.get(id).is_some() => Some(vec![id]),
            Which::One(id) => {
                complain!("Invalid port {id}");
                None
            }
        }
    }

    /// As [`which`](App::which), and lists the ports there are when there is none.
    pub(crate) fn which_listed(&self, which: Which) -> Option<Vec<u16>> {
        let ids = self.which(which);
        if ids.is_none() {
            say!("The valid ports array is {}", self.ports.listed());
        }
        ids
    }

    /// A port, or nothing after saying that there is none.
    pub(crate) fn port(&mut self, id: u16) -> Option<&mut PortState> {
        if self.ports.get(id).is_none() {
            complain!("Invalid port {id}");
        }
        self.ports.get_mut(id)
    }

    /// A stopped port, or nothing after saying why not.
    pub(crate) fn stopped_port(&mut self, id: u16) -> Option<&mut PortState> {
        if self.port(id)?.started() {
            complain!("Please stop port {id} first");
            return None;
        }
        self.ports.get_mut(id)
    }

    /// Whether a port forwards just now.
    pub(crate) fn forwards(&self, id: u16) -> bool {
        self.running.as_ref().is_some_and(|running| running.ports.contains(&id))
    }

    /// A new port forwards too, from the next start on.
    pub(crate) fn add_port(&mut self, id: u16) {
        let all = self.settings.nb_ports == self.settings.ports.len();
        self.settings.ports.push(id);
        if all {
            self.settings.nb_ports = self.settings.ports.len();
        }
    }

    /// A port is gone.
    pub(crate) fn forget_port(&mut self, id: u16) {
        self.settings.ports.retain(|port| *port != id);
        self.settings.nb_ports = self.settings.nb_ports.min(self.settings.ports.len());
    }

    /// What forwarding would be like now.
    pub(crate) fn plan(&self) -> Plan {
        let queues = self.options.port.rx_queues.min(self.options.port.tx_queues);
        engine::plan(&self.settings, &self.lcores, queues)
    }

    /// `start`, with so many bursts first.
    pub(crate) fn start_forwarding(&mut self, first: Option<u64>) {
        let started = |id: &u16| self.ports.get(*id).is_some_and(PortState::started);
        if !self.settings.forwarding().iter().all(started) || !self.ports.ids().iter().all(started) {
            return complain!("Not all ports were started");
        }
        if self.running.is_some() {
            return complain!("Packet forwarding already started");
        }
        let plan = self.plan();
        show::config::forward(self, &plan);
        show::config::rxtx(self);
        screen::flush();
        match engine::start(self, &plan, first) {
            Ok(running) => self.running = Some(running),
            Err(error) => complain!("{error:#}"),
        }
    }

    /// Takes forwarding down for a moment: what it counted goes on in [`App::resume_forwarding`].
    pub(crate) fn pause_forwarding(&mut self) {
        if let Some(running) = self.running.take() {
            self.paused = Some(running.pause(self));
        }
    }

    /// Takes forwarding up again.
    pub(crate) fn resume_forwarding(&mut self) {
        let plan = self.plan();
        let started = self.paused.is_some().then(|| engine::start(self, &plan, None));
        match (started, self.paused.take()) {
            (Some(Ok(mut running)), Some(counted)) => {
                running.go_on_from(&counted);
                self.running = Some(running);
            }
            (Some(Err(error)), _) => complain!("{error:#}"),
            _ => {}
        }
    }

    /// Measures what is wanted on the streams that run, and on those that start.
    pub(crate) fn measure(&mut self, wanted: Wanted) {
        self.settings.wanted = wanted;
        if let Some(running) = &self.running {
            running.observe(wanted);
        }
    }

    /// How old the packets were that came in on a port, of the run that is or was last.
    pub(crate) fn latency(&self, port: u16) -> Histogram<u64> {
        let counts = match &self.running {
            Some(running) => Some(running.observed()),
            None => self.finished.as_ref().map(|finished| finished.observed.clone()),
        };
        engine::latency(&counts.unwrap_or_default(), port)
    }

    /// Runs one line.
    pub(crate) fn execute(&mut self, line: &str) {
        self.verbose.show();
        commands::execute(self, line);
        for port in self.ports.iter().filter(|port| port.device.take_changed()) {
            if let Some(running) = &self.running {
                running.soften(self, port.device.id());
            }
        }
        screen::flush();
    }

    /// Waits as long as said. False when it was interrupted.
    pub(crate) fn pause(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.ports.sample();
            let step = until.saturating_duration_since(Instant::now()).min(Duration::from_millis(100));
            if self.input.interrupted(&self.signals, step) || self.signals.asked() {
                return false;
            }
        }
        true
    }

    /// The prompt, until `quit`, the end of input or a signal.
    pub(crate) fn interact(&mut self) {
        let mut editor = Editor::default();
        prompt(PROMPT);
        while !self.quit {
            self.ports.sample();
            let event = match self.input.next(&self.signals, Some(Instant::now() + ports::INTERVAL)) {
                Key::Byte(byte) => editor.key(byte),
                Key::End => editor.end(),
                Key::Nothing if self.signals.asked() => Event::End,
                Key::Nothing => Event::None,
            };
            let echo = editor.take_echo();
            if !echo.is_empty() {
                drop(io::stdout().write_all(&echo));
            }
            match event {
                Event::None => screen::flush(),
                Event::Line(line) => {
                    match String::from_utf8(line) {
                        Ok(line) => self.execute(&line),
                        Err(_) => complain!("Bad arguments"),
                    }
                    if !self.quit {
                        prompt(PROMPT);
                    }
                }
                Event::Cancel => prompt(PROMPT),
                Event::Complete => {
                    commands::complete(&mut editor);
                    drop(io::stdout().write_all(&editor.take_echo()));
                    screen::flush();
                }
                Event::Redraw => {
                    screen::write(format_args!("\x1b[2J\x1b[1;1H"));
                    prompt(PROMPT);
                    editor.show_again();
                    drop(io::stdout().write_all(&editor.take_echo()));
                    screen::flush();
                }
                Event::End => self.quit = true,
            }
        }
    }

    /// Stops and closes everything, and says so.
    pub(crate) fn close(&mut self) {
        if self.running.is_some() {
            engine::stop(self);
        }
        // Nothing to wait for any more.
        self.settings.link_check = false;
        for id in self.ports.ids() {
            say!("\nStopping port {id}...");
            ports::stop(self, Which::One(id));
        }
        for id in self.ports.ids() {
            say!("\nShutting down port {id}...");
            ports::close(self, Which::One(id));
        }
        say!("\nBye...");
        screen::flush();
    }
}

//! The prompt: keys in, lines out, and nothing that a script would stumble over.
//!
//! * The program echoes by itself; the kernel's echo, line mode and signals are off, its output
//!   processing stays on, and what was typed before is kept.
//! * A line is executed before the next is looked at.
//! * Standard input may be a pipe: the same, and its end is the end.

mod editor;
mod raw;

pub(crate) use editor::{Editor, Event};
pub(crate) use raw::RawMode;

use crate::screen;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What scripts wait for.
pub(crate) const PROMPT: &str = "testpmd> ";

/// SIGINT and SIGTERM: the first asks, the second ends the process.
pub(crate) struct Signals {
    asked: Arc<AtomicBool>,
    wake: UnixStream,
}

impl Signals {
    /// From now on.
    pub(crate) fn new() -> io::Result<Self> {
        let asked = iogate::worker::signals()?;
        let (wake, write) = UnixStream::pair()?;
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
        }
        Ok(Signals { asked, wake })
    }

    /// Whether one came.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

/// Where keys come from.
pub(crate) struct Input {
    typed: VecDeque<u8>,
    ended: bool,
}

/// What [`Input::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Byte(u8),
    End,
    /// The time is over, or a signal came.
    Nothing,
}

impl Input {
    /// Standard input.
    pub(crate) fn new() -> Self {
        Input { typed: VecDeque::new(), ended: false }
    }

    /// The next byte. Waits for it, for a signal, or until a deadline.
    pub(crate) fn next(&mut self, signals: &Signals, until: Option<Instant>) -> Key {
        loop {
            if signals.asked() {
                return Key::Nothing;
            }
            if let Some(byte) = self.typed.pop_front() {
                return Key::Byte(byte);
            }
            if self.ended {
                return Key::End;
            }
            if !self.wait(signals, until) {
                return Key::Nothing;
            }
            let mut buffer = [0; 4096];
            match io::stdin().lock().read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(count) => self.typed.extend(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.ended = true,
            }
        }
    }

    /// Whether ^C was typed while a command took its time. It is taken out of what was typed.
    pub(crate) fn interrupted(&mut self, signals: &Signals, wait: Duration) -> bool {
        if !self.ended && self.wait(signals, Some(Instant::now() + wait)) {
            let mut buffer = [0; 4096];
            match io::stdin().lock().read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(count) => self.typed.extend(&buffer[..count]),
                Err(_) => {}
            }
        } else if self.ended {
            std::thread::sleep(wait);
        }
        let at = self.typed.iter().position(|byte| *byte == editor::CTRL_C);
        at.is_some_and(|at| self.typed.drain(..=at).next().is_some())
    }

    /// Waits until there is something to read. False when time or a signal came first.
    fn wait(&self, signals: &Signals, until: Option<Instant>) -> bool {
        let stdin = io::stdin();
        let mut watched = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&signals.wake, PollFlags::IN)];
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut watched, left.as_ref()) {
            Ok(0) => false,
            Ok(_) => !watched[0].revents().is_empty(),
            Err(_) => !signals.asked() && until.is_none(),
        }
    }
}

/// Shows the prompt.
pub(crate) fn prompt(text: &str) {
    screen::write(format_args!("{text}"));
    screen::flush();
}

//! The terminal's modes.

use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::io;

/// Standard input without line mode, echo and signals; as it was, when this is dropped.
pub(crate) struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Nothing where standard input is no terminal.
    ///
    /// Only what is received changes: lines still end in CR LF on output. What was typed before stays
    /// (no flush): scripts type ahead while the program starts.
    pub(crate) fn enter() -> Option<Self> {
        let stdin = io::stdin();
        if !isatty(&stdin) {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(&stdin, OptionalActions::Now, &raw).ok()?;
        Some(RawMode { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

//! The one writer to the terminal: in order, a line at a time, whatever stands behind it.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a command complained since [`take_failed`] was called last.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Writes to standard output.
pub(crate) fn write(text: fmt::Arguments) {
    // A reader that has gone away is no error; the end of input will be.
    drop(io::stdout().write_fmt(text));
}

/// Writes to standard error, behind what standard output was given before.
pub(crate) fn write_error(text: fmt::Arguments) {
    FAILED.store(true, Ordering::Relaxed);
    drop(io::stdout().flush());
    drop(io::stderr().write_fmt(text));
}

/// Writes to standard error what is a warning and no failure.
pub(crate) fn warn(text: &str) {
    drop(io::stdout().flush());
    drop(io::stderr().write_all(format!("{text}\n").as_bytes()));
}

/// Makes everything visible.
pub(crate) fn flush() {
    drop(io::stdout().flush());
}

/// The command counts as failed, whatever was said.
pub(crate) fn fail() {
    FAILED.store(true, Ordering::Relaxed);
}

/// Whether somebody complained since the last call.
pub(crate) fn take_failed() -> bool {
    FAILED.swap(false, Ordering::Relaxed)
}

/// A line on standard output.
macro_rules! say {
    () => { $crate::screen::write(format_args!("\n")) };
    ($($text:tt)*) => { $crate::screen::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// A line on standard error; the command counts as failed.
macro_rules! complain {
    ($($text:tt)*) => { $crate::screen::write_error(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {complain, say};

//! What a person reads while the lab runs.

use std::time::Instant;

/// Prints a line for each thing that held, with the time since the start.
pub(crate) struct Report {
    started: Instant,
    held: u32,
}

impl Report {
    pub(crate) fn start(title: &str) -> Report {
        println!("\n== {title}");
        Report { started: Instant::now(), held: 0 }
    }

    /// Something that was done.
    pub(crate) fn step(&self, what: &str) {
        self.line("    ", what);
    }

    /// Something that was asserted, and the figures.
    pub(crate) fn held(&mut self, what: &str, figures: &str) {
        self.held += 1;
        self.line("held", &format!("{what}: {figures}"));
    }

    fn line(&self, mark: &str, text: &str) {
        println!("{:7.1} s  {mark}  {text}", self.started.elapsed().as_secs_f64());
    }

    /// The end, with everything green.
    pub(crate) fn end(self) {
        self.line("    ", &format!("{} assertions held", self.held));
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.line("FAIL", "the next assertion does not hold; why stands around here");
        }
    }
}

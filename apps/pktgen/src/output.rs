//! What is shown, while it runs and at the end.

use crate::cli::Output;
use crate::live::Live;
use anyhow::Result;
use iogate_pktgen::capture::Captured;
use iogate_pktgen::outcome::Outcome;
use iogate_pktgen::report::{self, CaptureReport, Report, SCHEMA, StepReport};
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;

/// Writes a line to standard error, where nobody may listen.
pub(crate) fn complain(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// Writes to standard output; a reader that has gone away is no error.
pub(crate) fn say(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Shows a run in one of the ways there are.
pub(crate) struct Screen {
    how: Output,
    live: Option<Live>,
    steps: Vec<StepReport>,
    /// What is said when the terminal is back.
    later: String,
    before: Option<Outcome>,
}

impl Screen {
    /// As asked for, or as the terminal allows.
    pub(crate) fn new(how: Option<Output>) -> Result<Self> {
        let terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
        let how = how.unwrap_or(if terminal { Output::Live } else { Output::Text });
        anyhow::ensure!(how != Output::Live || terminal, "-o live wants a terminal; use -o text or -o json");
        let live = if how == Output::Live { Some(Live::enter()?) } else { None };
        Ok(Screen { how, live, steps: Vec::new(), later: String::new(), before: None })
    }

    /// A trial begins.
    pub(crate) fn begin(&mut self) {
        self.before = None;
    }

    /// A trial goes on. Says whether somebody wants it to end.
    pub(crate) fn progress(&mut self, name: &str, outcome: &Outcome) -> ControlFlow<()> {
        let flow = match (&mut self.live, self.how) {
            (Some(live), _) => live.draw(name, outcome, self.before.as_ref()),
            (None, Output::Json) => ControlFlow::Continue(()),
            // The report at the end is what counts: a reader that has gone away does not end the run.
            (None, _) => {
                drop(say(&format!("{}\n", report::progress(outcome, self.before.as_ref()))));
                ControlFlow::Continue(())
            }
        };
        self.before = Some(outcome.clone());
        flow
    }

    /// A trial is over.
    pub(crate) fn end(&mut self, name: &str, outcome: &Outcome, broken: &[String]) -> Result<()> {
        match self.how {
            Output::Json => self.steps.push(StepReport::new(name, outcome, broken)),
            Output::Text => say(&report::text(name, outcome, broken))?,
            Output::Live => self.later += &report::text(name, outcome, broken),
        }
        Ok(())
    }

    /// Everything is over.
    pub(crate) fn finish(mut self, capture: Option<(String, Captured)>, exit_code: u8) -> Result<()> {
        // Gives the terminal back.
        self.live = None;
        say(&self.later)?;
        if self.how == Output::Json {
            let capture = capture.map(|(file, captured)| CaptureReport::new(file, captured));
            let report = Report { schema: SCHEMA, steps: self.steps, capture, exit_code };
            return say(&(serde_json::to_string_pretty(&report)? + "\n"));
        }
        match capture {
            Some((file, Captured { frames, missed })) => {
                say(&format!("capture   {file}: {frames} frames; {missed} more came back\n"))
            }
            None => Ok(()),
        }
    }
}

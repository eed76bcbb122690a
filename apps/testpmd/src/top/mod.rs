//! `top`: what happens, second by second, on the whole terminal.

mod draw;
mod view;

use crate::app::App;
use crate::engine::Wanted;
use crate::screen::{self, complain};
use crate::terminal::Key;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};
use view::{Snapshot, View};

/// How often it is drawn.
const PERIOD: Duration = Duration::from_secs(1);

/// The other screen of the terminal; the one from before is back when this is dropped.
struct Screen(Terminal<CrosstermBackend<io::Stdout>>);

impl Screen {
    fn enter() -> io::Result<Self> {
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(Screen(terminal))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        drop(execute!(io::stdout(), Show, LeaveAlternateScreen));
    }
}

/// Shows it until `q`, `^C`, the end of input or a signal.
pub(crate) fn run(app: &mut App) {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return complain!("top wants a terminal; for programs there is: set output json, show port stats all");
    }
    screen::flush();
    // Cycles are measured while somebody looks.
    let wanted = app.settings.wanted;
    app.measure(Wanted { cycles: true, ..wanted });
    let result = show(app);
    app.measure(wanted);
    if let Err(error) = result {
        complain!("top: {error}");
    }
}

fn show(app: &mut App) -> io::Result<()> {
    let mut screen = Screen::enter()?;
    let mut before = Snapshot::take(app);
    loop {
        let now = Snapshot::take(app);
        let view = View::new(app, &before, &now);
        screen.0.draw(|frame| draw::draw(frame, &view))?;
        before = now;
        let until = Instant::now() + PERIOD;
        loop {
            match app.input.next(&app.signals, Some(until)) {
                Key::Byte(b'q' | b'Q' | 3) | Key::End => return Ok(()),
                Key::Nothing if app.signals.asked() => return Ok(()),
                Key::Nothing => break,
                Key::Byte(_) => {}
            }
        }
        app.ports.sample();
    }
}

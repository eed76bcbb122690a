//! The live view: rates, loss and latency on the whole terminal.

use anyhow::Result;
use hdrhistogram::Histogram;
use iogate_pktgen::outcome::{Outcome, StreamOutcome, per_second};
use iogate_pktgen::rate::{Bits, Scaled};
use iogate_pktgen::time::nanoseconds;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Bar, BarChart, BarGroup, Block, Cell, Paragraph, Row, Sparkline, Table};
use ratatui::{DefaultTerminal, Frame};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

/// The terminal, until it is dropped: then it is as it was before. A panic gives it back too.
pub(crate) struct Live {
    terminal: DefaultTerminal,
    /// Frames a second that were sent in the last intervals, the newest last.
    history: VecDeque<u64>,
}

/// Intervals that are remembered: more than a terminal is wide.
const REMEMBERED: usize = 512;

impl Live {
    pub(crate) fn enter() -> Result<Self> {
        Ok(Live { terminal: ratatui::try_init()?, history: VecDeque::new() })
    }

    /// Draws what has come so far; says whether a key asks for the end.
    pub(crate) fn draw(&mut self, name: &str, now: &Outcome, before: Option<&Outcome>) -> ControlFlow<()> {
        let view = View::new(name, now, before);
        self.history.push_back(view.sent_fps as u64);
        if self.history.len() > REMEMBERED {
            self.history.pop_front();
        }
        let history = self.history.make_contiguous();
        // A terminal that has gone away does not end the run; its hang-up does.
        drop(self.terminal.draw(|frame| draw(frame, &view, history)));
        while event::poll(Duration::ZERO).unwrap_or(false) {
            match event::read() {
                Ok(Event::Key(key))
                    if matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
                        || key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) =>
                {
                    return ControlFlow::Break(());
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        ControlFlow::Continue(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What is drawn.
struct View<'a> {
    name: &'a str,
    now: &'a Outcome,
    sent_fps: f64,
    sent_bps: f64,
    received_fps: f64,
    received_bps: f64,
    latency: Histogram<u64>,
}

impl<'a> View<'a> {
    fn new(name: &'a str, now: &'a Outcome, before: Option<&Outcome>) -> Self {
        let elapsed = now.elapsed.saturating_sub(before.map_or(Duration::ZERO, |before| before.elapsed));
        let rate = |count: fn(&Outcome) -> u64| per_second(count(now).saturating_sub(before.map_or(0, count)), elapsed);
        View {
            name,
            now,
            sent_fps: rate(Outcome::sent),
            sent_bps: rate(|outcome| outcome.sent_wire_bits),
            received_fps: rate(Outcome::received),
            received_bps: rate(|outcome| outcome.received_wire_bits),
            latency: now.latency(),
        }
    }
}

fn draw(frame: &mut Frame, view: &View, history: &[u64]) {
    let outcome = view.now;
    // A heading, a border and a line for each stream, as far as there is room.
    let streams = (outcome.streams.len() as u16 + 1).min(frame.area().height / 2);
    let rows = [
        Constraint::Length(1),
        Constraint::Length(5),
        Constraint::Length(4),
        Constraint::Length(streams + 1),
        Constraint::Min(0),
    ];
    let [title, numbers, rates, table, latency] = Layout::vertical(rows).areas(frame.area());
    let elapsed = format!("   {:.0} s   ", outcome.elapsed.as_secs_f64());
    frame.render_widget(Line::from(vec![view.name.bold(), elapsed.into(), "q ends it".dim()]), title);
    frame.render_widget(Paragraph::new(summary(view)), numbers);
    let room = usize::from(rates.width);
    let recent = &history[history.len().saturating_sub(room)..];
    let spark = Sparkline::default().data(recent).style(Style::new().fg(Color::Green));
    frame.render_widget(spark.block(Block::new().title("frames a second".dim())), rates);
    frame.render_widget(streams_table(outcome, table.width), table);
    draw_latency(frame, latency, &view.latency);
}

fn summary<'a>(view: &View) -> Text<'a> {
    let outcome = view.now;
    let mut lines = Vec::new();
    let of = match outcome.asked_fps {
        Some(asked) => format!("of {}pps", Scaled(asked)),
        None => "as many as the port takes".to_owned(),
    };
    lines.push(Line::from(format!(
        "sent      {:>16}pps  {:>18}  {} frames  {of}",
        Scaled(view.sent_fps).to_string(),
        Bits(view.sent_bps).to_string(),
        outcome.sent()
    )));
    if outcome.receives {
        lines.push(Line::from(format!(
            "received  {:>16}pps  {:>18}  {} frames  {} not ours",
            Scaled(view.received_fps).to_string(),
            Bits(view.received_bps).to_string(),
            outcome.received(),
            outcome.other
        )));
        let (lost, twice) = (outcome.lost(), outcome.sum(|stream| stream.duplicates));
        let reordered = outcome.sum(|stream| stream.reordered);
        lines.push(Line::from(format!(
            "missing   {lost} (on their way included)  duplicates {twice}  reordered {reordered}"
        )));
        lines.push(Line::from(format!("latency   {}", quantiles(&view.latency))));
    }
    let mut pace = format!("jitter    {}", quantiles(&outcome.lateness));
    if outcome.port_full > 0 {
        pace += &format!("  port full {} rounds", outcome.port_full);
    }
    lines.push(Line::from(pace));
    Text::from(lines)
}

fn quantiles(histogram: &Histogram<u64>) -> String {
    if histogram.is_empty() {
        return "-".to_owned();
    }
    let at = |quantile| nanoseconds(histogram.value_at_quantile(quantile));
    let most = nanoseconds(histogram.max());
    format!("{} (50 %)  {} (99 %)  {} (99.9 %)  {most} at most", at(0.5), at(0.99), at(0.999))
}

/// A terminal of 80 columns has no room for duplicates and reordering, whose sums stand above.
fn streams_table(outcome: &Outcome, width: u16) -> Table<'_> {
    const WIDE: u16 = 100;
    let columns =
        [("STREAM", 0), ("SENT", 12), ("RECEIVED", 12), ("MISSING", 10), ("50 %", 9), ("99 %", 9), ("MAX", 9)];
    let more = [("TWICE", 8), ("REORDERED", 9)].into_iter().filter(|_| width >= WIDE);
    let stream = |stream: &StreamOutcome| {
        let back = |count: u64| if outcome.receives && stream.stamped { count.to_string() } else { "-".to_owned() };
        let latency = |value: u64| if stream.latency.is_empty() { "-".to_owned() } else { nanoseconds(value) };
        let missing = if outcome.receives { stream.lost() } else { 0 };
        let cells = [
            stream.name.clone(),
            stream.sent.to_string(),
            back(stream.received),
            back(missing),
            latency(stream.latency.value_at_quantile(0.5)),
            latency(stream.latency.value_at_quantile(0.99)),
            latency(stream.latency.max()),
            back(stream.duplicates),
            back(stream.reordered),
        ];
        Row::new(cells.into_iter().enumerate().map(|(at, cell)| aligned(at, cell)))
    };
    let columns: Vec<(&str, u16)> = columns.into_iter().chain(more).collect();
    let head = columns.iter().enumerate().map(|(at, (head, _))| aligned(at, (*head).to_owned()));
    let widths = columns.iter().map(|(_, width)| match width {
        0 => Constraint::Fill(1),
        width => Constraint::Length(*width),
    });
    Table::new(outcome.streams.iter().map(stream), widths).header(Row::new(head).dim())
}

/// The first column stands left, numbers right.
fn aligned<'a>(column: usize, text: String) -> Cell<'a> {
    let text = Text::from(text);
    Cell::from(if column == 0 { text } else { text.right_aligned() })
}

/// How many frames took how long: a bar for each doubling.
fn draw_latency(frame: &mut Frame, area: ratatui::layout::Rect, latency: &Histogram<u64>) {
    if latency.is_empty() || area.height < 4 {
        return;
    }
    let bars: Vec<Bar> = doublings(latency)
        .into_iter()
        .map(|(from, count)| Bar::default().value(count).label(Line::from(nanoseconds(from))).text_value(String::new()))
        .collect();
    let chart = BarChart::default()
        .data(BarGroup::default().bars(&bars))
        .bar_width(8)
        .bar_style(Style::new().fg(Color::Cyan))
        .block(Block::new().title("frames by latency, from".dim()));
    frame.render_widget(chart, area);
}

/// Counts of values from each power of two on, the empty ones before the first and after the last left out.
fn doublings(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    let power = |value: u64| value.max(1).ilog2();
    let (first, last) = (power(histogram.min()), power(histogram.max()));
    let count = |power: u32| histogram.count_between(1 << power, (2_u64 << power).wrapping_sub(1).max(1));
    (first..=last).map(|power| (1 << power, count(power))).collect()
}

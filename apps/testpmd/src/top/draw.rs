//! The picture.

use super::view::{PortLine, StageLine, StreamLine, View};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Cell, Row, Table};

/// Draws a view: ports, streams, stages, each with as many lines as it has and there is room for.
pub(super) fn draw(frame: &mut Frame, view: &View) {
    // A title and a heading for each table.
    let height = |lines: usize| Constraint::Length(lines as u16 + 2);
    let rows = [Constraint::Length(1), height(view.ports.len()), height(view.streams.len()), height(view.stages.len())];
    let [title, ports, streams, stages] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(Line::from(vec![view.title.as_str().bold(), "   q leaves".dim()]), title);
    let heads = ["PORT", "LINK", "RX pps", "RX b/s", "TX pps", "TX b/s", "RX lost", "TX lost", "p50/p99/max us"];
    let widths = [4, 7, 7, 7, 7, 7, 7, 15].map(Constraint::Length);
    frame.render_widget(table("Ports, a second", heads, &widths, view.ports.iter().map(port)), ports);
    let heads = ["STREAM", "RX pps", "TX pps", "DROPS", "CYCLES/packet"];
    let widths = [7, 7, 7, 13].map(Constraint::Length);
    frame.render_widget(table("Streams, a second", heads, &widths, view.streams.iter().map(stream)), streams);
    let heads = ["STAGE", "pps", "PACKETS/call", "CYCLES/packet"];
    let widths = [7, 12, 13].map(Constraint::Length);
    frame.render_widget(table("Stages", heads, &widths, view.stages.iter().map(stage)), stages);
}

/// The widest that a name gets. It gives way where the terminal is narrow.
const NAME: Constraint = Constraint::Max(24);

fn table<'a, const N: usize>(
    title: &'a str,
    heads: [&'static str; N],
    numbers: &[Constraint],
    rows: impl Iterator<Item = Row<'a>>,
) -> Table<'a> {
    Table::new(rows, [NAME].iter().chain(numbers))
        .header(Row::new(heads.iter().enumerate().map(|(at, head)| aligned(at, (*head).to_owned()))).dim())
        .block(Block::new().title(title.bold()))
}

/// The first column stands left, numbers right.
fn aligned<'a>(column: usize, text: String) -> Cell<'a> {
    let text = Text::from(text);
    Cell::from(if column == 0 { text } else { text.right_aligned() })
}

fn port(line: &PortLine) -> Row<'_> {
    let latency = line.latency.map_or_else(String::new, |[p50, p99, most]| {
        let us = |nanoseconds: u64| nanoseconds as f64 / 1e3;
        format!("{:.1}/{:.1}/{:.0}", us(p50), us(p99), us(most))
    });
    let rate = line.rate;
    let cells = [
        format!("{} {}", line.id, line.name),
        if line.up { "up" } else { "down" }.to_owned(),
        short(rate.rx_pps),
        short(rate.rx_bps),
        short(rate.tx_pps),
        short(rate.tx_bps),
        short(line.lost[0]),
        short(line.lost[1]),
        latency,
    ];
    row(cells, line.lost != [0, 0])
}

fn stream(line: &StreamLine) -> Row<'_> {
    let [rx_port, rx_queue, tx_port, tx_queue] = line.way;
    let cells = [
        format!("P={rx_port}/Q={rx_queue} -> P={tx_port}/Q={tx_queue}"),
        short(line.rx_pps),
        short(line.tx_pps),
        short(line.dropped),
        cycles(line.cycles),
    ];
    row(cells, line.dropped > 0)
}

fn stage(line: &StageLine) -> Row<'_> {
    row([line.name.clone(), short(line.packets), format!("{:.1}", line.batch), cycles(line.cycles)], false)
}

/// What loses packets stands out.
fn row<'a, const N: usize>(cells: [String; N], alarm: bool) -> Row<'a> {
    let style = if alarm { Style::new().fg(Color::Red) } else { Style::new() };
    Row::new(cells.into_iter().enumerate().map(|(at, cell)| aligned(at, cell))).style(style)
}

fn cycles(number: Option<f64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.1}"))
}

/// Four digits and a unit: `999`, `12.3k`, `4.56M`.
fn short(number: u64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    match units.iter().find(|(size, _)| number as f64 >= *size) {
        None => number.to_string(),
        Some((size, unit)) => {
            let value = number as f64 / size;
            let digits = if value >= 100.0 { 1 } else { 2 };
            format!("{value:.digits$}{unit}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Rate;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn drawn(view: &View, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(line).collect()
    }

    fn view() -> View {
        let port = PortLine {
            id: 3,
            name: "net_null3".to_owned(),
            up: true,
            rate: Rate { rx_pps: 14_880_952, tx_pps: 1234, rx_bps: 7_619_047_424, tx_bps: 0 },
            lost: [5, 0],
            latency: Some([1500, 20_000, 3_000_000]),
        };
        let stream = StreamLine { way: [3, 0, 4, 1], rx_pps: 14_880_952, tx_pps: 999, dropped: 7, cycles: Some(42.21) };
        let stage = StageLine { name: "MacSwap".to_owned(), packets: 5, batch: 31.5, cycles: None };
        View { title: "io packet forwarding".to_owned(), ports: vec![port], streams: vec![stream], stages: vec![stage] }
    }

    #[test]
    fn everything_has_its_place() {
        let lines = drawn(&view(), 80, 11);
        assert_eq!(lines[0], "io packet forwarding   q leaves");
        assert_eq!(lines[1], "Ports, a second");
        let port = ["3", "net_null3", "up", "14.88M", "7.62G", "1.23k", "0", "5", "0", "1.5/20.0/3000"];
        assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>(), port);
        let stream = ["P=3/Q=0", "->", "P=4/Q=1", "14.88M", "999", "7", "42.2"];
        assert_eq!(lines[6].split_whitespace().collect::<Vec<_>>(), stream);
        assert_eq!(lines[9].split_whitespace().collect::<Vec<_>>(), ["MacSwap", "5", "31.5", "-"]);
    }

    #[test]
    fn a_small_terminal_shows_what_it_can() {
        for (width, height) in [(80, 24), (20, 3), (1, 1)] {
            assert_eq!(drawn(&view(), width, height).len(), usize::from(height));
        }
    }

    #[test]
    fn numbers_are_short() {
        let all = [(0, "0"), (999, "999"), (1000, "1.00k"), (999_999, "1000.0k"), (123_456_789, "123.5M")];
        for (number, text) in all {
            assert_eq!(short(number), text);
        }
    }
}

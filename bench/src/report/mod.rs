//! What is made of a report besides the table in the terminal: a page, a figure, a comparison with another report.

pub(crate) mod compare;
mod html;
mod svg;

pub(crate) use html::page;

use crate::series::{Comparison, Report};
use svg::{Bar, Curve};

/// The main figure: the row of the gateway that counts, beside its peers. Nothing where it was not measured.
pub(crate) fn main_figure(report: &Report) -> Option<String> {
    let first = report.comparisons.iter().find(|row| row.name == crate::gateway::MAIN)?;
    Some(bars_of(report, first))
}

/// Ours and all peers of the row's name.
fn bars_of(report: &Report, first: &Comparison) -> String {
    let rows = report.comparisons.iter().filter(|row| row.name == first.name);
    let ours = Bar { label: "iogate".to_owned(), value: first.ours, ours: true };
    let peers =
        rows.map(|row| Bar { label: format!("{} ({:.2} times)", row.peer, row.ratio), value: row.theirs, ours: false });
    let better = if first.less_is_better() { "less is better" } else { "more is better" };
    let bars: Vec<Bar> = [ours].into_iter().chain(peers).collect();
    svg::bars(&first.name, &format!("{}, {better}", first.unit), &bars)
}

/// How the cost grows.
fn growth_of(report: &Report) -> Vec<String> {
    let figure = |growth: &crate::series::Growth| {
        let curve = |line: &crate::series::Line| Curve {
            label: line.label.clone(),
            points: line.points.clone(),
            dashed: line.modelled,
        };
        let curves: Vec<Curve> = growth.lines.iter().map(curve).collect();
        svg::curves(&growth.name, &growth.of, &growth.unit, &curves)
    };
    report.growth.iter().map(figure).collect()
}

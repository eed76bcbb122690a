//! Measurements in turns, and what is made of them.

use crate::instructions::Counts;
use crate::machine::Machine;
use anyhow::Result;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What was measured, in the order in which it was.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Of the file's form: 1.
    pub(crate) schema: Schema,
    /// Where; nothing in a report of which nothing was printed yet.
    pub(crate) machine: Option<Machine>,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) tables: Vec<Listing>,
    pub(crate) notes: Vec<String>,
    /// Trials on the virtual wire, the fastest first.
    pub(crate) wire: Vec<crate::wire::Trial>,
    /// How the cost grows with the number of something.
    pub(crate) growth: Vec<Growth>,
    /// Instructions per packet.
    pub(crate) instructions: Counts,
    /// Of those, each stage's.
    #[serde(default)]
    pub(crate) instructions_of_stages: BTreeMap<String, Counts>,
}

/// The form of the file. Another one is refused when it is read.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub(crate) struct Schema;

impl From<Schema> for u32 {
    fn from(_: Schema) -> u32 {
        1
    }
}

impl TryFrom<u32> for Schema {
    type Error = String;

    fn try_from(number: u32) -> Result<Schema, String> {
        if number == 1 { Ok(Schema) } else { Err(format!("schema {number} instead of 1")) }
    }
}

/// A cost as something grows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Growth {
    pub(crate) name: String,
    /// What grows.
    pub(crate) of: String,
    pub(crate) unit: String,
    pub(crate) lines: Vec<Line>,
}

/// A line of a figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) label: String,
    /// How many there are, and the cost.
    pub(crate) points: Vec<(f64, f64)>,
    /// Whether it is calculated rather than measured.
    #[serde(default)]
    pub(crate) modelled: bool,
}

/// Ours and a peer's, measured in turns. Where ours has several peers, each has a comparison of its own with the
/// same measurements of ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Comparison {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) peer: String,
    pub(crate) ours: Spread,
    pub(crate) theirs: Spread,
    /// The medians', ours by theirs.
    pub(crate) ratio: f64,
    /// Of the ratios of neighbouring measurements.
    pub(crate) ratios: Spread,
    pub(crate) target: Option<Target>,
}

/// What a ratio is to be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// The median of some measurements, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) lowest: f64,
    pub(crate) median: f64,
    pub(crate) highest: f64,
}

/// A table of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listing {
    pub(crate) name: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Spread {
    /// Of at least one measurement.
    pub(crate) fn of(values: &[f64]) -> Spread {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(lowest), Some(highest)) = (sorted.first(), sorted.last()) else {
            return Spread { lowest: f64::NAN, median: f64::NAN, highest: f64::NAN };
        };
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 };
        Spread { lowest: *lowest, median, highest: *highest }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{} .. {}]", digits(self.median), digits(self.lowest), digits(self.highest))
    }
}

/// Three or four digits that count.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        medium if medium >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

impl Target {
    fn met(self, ratio: f64) -> bool {
        match self {
            Target::AtLeast(least) => ratio >= least,
            Target::AtMost(most) => ratio <= most,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::AtLeast(least) => write!(f, ">= {least:.2}"),
            Target::AtMost(most) => write!(f, "<= {most:.2}"),
        }
    }
}

/// One measurement of one side.
pub(crate) type Measure<'a> = Box<dyn FnMut() -> Result<f64> + 'a>;

/// Measures all sides in turns, `runs` times each; ours is the first. By side, in the order of time.
pub(crate) fn in_turns(runs: u32, name: &str, sides: &mut [Measure<'_>]) -> Result<Vec<Vec<f64>>> {
    let mut all = vec![Vec::new(); sides.len()];
    for run in 1..=runs {
        for (measure, values) in sides.iter_mut().zip(&mut all) {
            values.push(measure()?);
        }
        let latest: Vec<String> = all.iter().filter_map(|values| values.last().copied()).map(digits).collect();
        crate::say(format_args!("{name}: {run} of {runs}: {}", latest.join(" to ")));
    }
    Ok(all)
}

/// As [`in_turns`], with one peer.
pub(crate) fn beside_one(
    runs: u32,
    name: &str,
    ours: impl FnMut() -> Result<f64>,
    theirs: impl FnMut() -> Result<f64>,
) -> Result<[Vec<f64>; 2]> {
    let all = in_turns(runs, name, &mut [Box::new(ours), Box::new(theirs)])?;
    Ok(all.try_into().expect("two sides"))
}

impl Comparison {
    /// Whether the unit is a cost.
    pub(crate) fn less_is_better(&self) -> bool {
        self.unit.starts_with("cycles")
    }

    /// `met`, `missed`, or nothing without a target.
    pub(crate) fn verdict(&self) -> &'static str {
        self.target.map_or("", |target| if target.met(self.ratio) { "met" } else { "missed" })
    }

    /// From measurements in turns, as many of the one as of the other.
    pub(crate) fn new(
        name: impl Into<String>,
        unit: &str,
        peer: &str,
        [ours, theirs]: [&[f64]; 2],
        target: Option<Target>,
    ) -> Self {
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(our, their)| our / their).collect();
        let (ours, theirs) = (Spread::of(ours), Spread::of(theirs));
        let ratio = ours.median / theirs.median;
        let (unit, peer) = (unit.to_owned(), peer.to_owned());
        Comparison { name: name.into(), unit, peer, ours, theirs, ratio, ratios: Spread::of(&ratios), target }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.comparisons.is_empty() {
            let mut table = blank(&["", "unit", "ours", "peer's", "peer", "ratio [spread]", "target", ""], 2..6);
            for row in &self.comparisons {
                table.add_row([
                    row.name.clone(),
                    row.unit.clone(),
                    row.ours.to_string(),
                    row.theirs.to_string(),
                    row.peer.clone(),
                    format!("{:.3} [{:.3} .. {:.3}]", row.ratio, row.ratios.lowest, row.ratios.highest),
                    row.target.map_or_else(String::new, |target| target.to_string()),
                    row.verdict().to_owned(),
                ]);
            }
            writeln!(f, "{table}")?;
        }
        for listing in &self.tables {
            let mut table = blank(&listing.head, 1..listing.head.len());
            table.add_rows(&listing.rows);
            writeln!(f, "\n{}\n{table}", listing.name)?;
        }
        for note in &self.notes {
            writeln!(f, "\n{note}")?;
        }
        Ok(())
    }
}

fn blank<T: AsRef<str>>(head: &[T], numbers: std::ops::Range<usize>) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(head.iter().map(AsRef::as_ref));
    for column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { lowest: 1.0, median: 2.0, highest: 3.0 });
        assert_eq!(Spread::of(&[4.0, 1.0]).median, 2.5);
        assert!(Spread::of(&[]).median.is_nan());
    }

    #[test]
    fn a_ratio_is_of_medians_and_meets_its_target_or_not() {
        let runs: [&[f64]; 2] = [&[10.0, 30.0, 20.0], &[10.0, 10.0, 10.0]];
        let row = Comparison::new("x", "Mpps", "testpmd", runs, Some(Target::AtLeast(2.0)));
        assert_eq!((row.ratio, row.ratios.highest), (2.0, 3.0));
        assert!(Target::AtLeast(2.0).met(row.ratio) && Target::AtMost(2.0).met(row.ratio));
        assert!(!Target::AtMost(1.9).met(row.ratio));
        let text = Report { comparisons: vec![row], ..Report::default() }.to_string();
        assert!(text.contains("2.000 [1.000 .. 3.000]") && text.contains("met"), "{text}");
    }
}

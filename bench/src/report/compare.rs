//! Two reports side by side: what became worse by more than the noise.

use crate::series::{Comparison, Listing, Report, Spread};
use anyhow::{Context as _, Result};
use std::path::Path;

/// Of instructions, which have no noise, so much more is a regression.
const MORE_INSTRUCTIONS: f64 = 0.03;
/// Medians that lie closer than this are the same, however small the spread was.
const SAME: f64 = 0.02;

/// What became of one figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    Better,
    Worse,
}

/// Reads a report that `-o json` or a full run wrote.
pub(crate) fn read(path: &Path) -> Result<Report> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is no report of this version of iogate-bench", path.display()))
}

/// A table of all figures, and the names of those that became worse.
pub(crate) fn compare(old: &Report, new: &Report) -> (Listing, Vec<String>) {
    let (mut rows, mut worse) = (Vec::new(), Vec::new());
    let mut add = |name: String, before: String, after: String, change: f64, verdict: Verdict| {
        let word = match verdict {
            Verdict::Same => "",
            Verdict::Better => "better",
            Verdict::Worse => "WORSE",
        };
        rows.push([name.clone(), before, after, format!("{:+.1} %", change * 100.0), word.to_owned()]);
        if verdict == Verdict::Worse {
            worse.push(name);
        }
    };
    let mut unpaired = Vec::new();
    let mut alone = |name: String, [before, after]: [&str; 2], word: &str| {
        unpaired.push([name, before.to_owned(), after.to_owned(), "-".to_owned(), word.to_owned()]);
    };

    for after in &new.comparisons {
        match within(old, after) {
            Some(before) => {
                let verdict = judge(before.ratio, before.ratios, after.ratio, after.ratios, after.less_is_better());
                add(name(after), ratio(before), ratio(after), after.ratio / before.ratio - 1.0, verdict);
            }
            None => alone(name(after), ["-", &ratio(after)], "new"),
        }
    }
    for before in old.comparisons.iter().filter(|row| within(new, row).is_none()) {
        alone(name(before), [&ratio(before), "-"], "gone");
    }
    let path = |name: &str| format!("instructions, {name}");
    for (name, after) in &new.instructions {
        let Some(before) = old.instructions.get(name) else {
            alone(path(name), ["-", &format!("{after:.1}")], "new");
            continue;
        };
        let change = after / before - 1.0;
        let verdict = match change {
            more if more > MORE_INSTRUCTIONS => Verdict::Worse,
            less if less < -MORE_INSTRUCTIONS => Verdict::Better,
            _ => Verdict::Same,
        };
        add(path(name), format!("{before:.1}"), format!("{after:.1}"), change, verdict);
    }
    for (name, before) in old.instructions.iter().filter(|(name, _)| !new.instructions.contains_key(*name)) {
        alone(path(name), [&format!("{before:.1}"), "-"], "gone");
    }
    let head = ["ours / peer", "old ratio", "new ratio", "change", ""].map(String::from).to_vec();
    let rows = rows.into_iter().chain(unpaired).map(Vec::from).collect();
    (Listing { name: "beyond the noise: the spreads of both runs do not touch".to_owned(), head, rows }, worse)
}

/// The row of a report that is about the same.
fn within<'a>(report: &'a Report, row: &Comparison) -> Option<&'a Comparison> {
    report.comparisons.iter().find(|other| (&other.name, &other.peer) == (&row.name, &row.peer))
}

fn name(row: &Comparison) -> String {
    format!("{} / {}", row.name, row.peer)
}

fn ratio(row: &Comparison) -> String {
    format!("{:.3} [{:.3} .. {:.3}]", row.ratio, row.ratios.lowest, row.ratios.highest)
}

/// Worse or better only when no measurement of the one run lies within the spread of the other.
fn judge(old: f64, olds: Spread, new: f64, news: Spread, less_is_better: bool) -> Verdict {
    if (new / old - 1.0).abs() <= SAME {
        return Verdict::Same;
    }
    let (more, less) = (news.lowest > olds.highest, news.highest < olds.lowest);
    match (more, less, less_is_better) {
        (true, _, true) | (_, true, false) => Verdict::Worse,
        (true, _, false) | (_, true, true) => Verdict::Better,
        _ => Verdict::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(unit: &str, ours: [f64; 3], instructions: f64) -> Report {
        let row = Comparison::new("a row", unit, "testpmd", [&ours, &[10.0, 10.0, 10.0]], None);
        let instructions = [("io".to_owned(), instructions)].into();
        Report { comparisons: vec![row], instructions, ..Report::default() }
    }

    #[test]
    fn only_what_lies_beyond_the_noise_is_worse() {
        let old = report("cycles/packet", [10.0, 11.0, 12.0], 100.0);
        let names = |new: &Report| compare(&old, new).1;
        assert!(names(&old).is_empty());
        assert!(names(&report("cycles/packet", [11.5, 12.5, 13.5], 102.0)).is_empty(), "the spreads touch");
        assert_eq!(names(&report("cycles/packet", [13.0, 13.5, 14.0], 100.0)), ["a row / testpmd"]);
        assert!(names(&report("cycles/packet", [5.0, 6.0, 7.0], 100.0)).is_empty(), "fewer cycles are better");
        assert_eq!(names(&report("cycles/packet", [10.0, 11.0, 12.0], 104.0)), ["instructions, io"]);
    }

    #[test]
    fn what_only_one_report_has_is_said() {
        let (none, some) = (Report::default(), report("Mpps", [1.0, 2.0, 3.0], 100.0));
        let words = |old: &Report, new: &Report| {
            let (listing, worse) = compare(old, new);
            assert!(worse.is_empty());
            listing.rows.iter().map(|row| row[4].clone()).collect::<Vec<_>>()
        };
        assert_eq!(words(&none, &some), ["new", "new"]);
        assert_eq!(words(&some, &none), ["gone", "gone"]);
    }

    #[test]
    fn of_rates_less_is_worse() {
        let old = report("Mpps", [10.0, 11.0, 12.0], 100.0);
        assert_eq!(compare(&old, &report("Mpps", [5.0, 6.0, 7.0], 100.0)).1, ["a row / testpmd"]);
        assert!(compare(&old, &report("Mpps", [15.0, 16.0, 17.0], 100.0)).1.is_empty());
    }

    #[test]
    fn a_report_is_read_back_as_it_was_written_and_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let report = report("Mpps", [1.0, 2.0, 3.0], 5.0);
        std::fs::write(&path, serde_json::to_string(&report).unwrap()).unwrap();
        assert_eq!(serde_json::to_value(read(&path).unwrap()).unwrap(), serde_json::to_value(&report).unwrap());
        std::fs::write(&path, "{\"schema\": 2}").unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("no report"));
        assert!(format!("{:#}", read(Path::new("/nowhere.json")).unwrap_err()).contains("cannot read"));
    }
}

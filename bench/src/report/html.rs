//! The page: everything in one file, readable on a phone.

use super::svg::{self, escape};
use super::{bars_of, growth_of};
use crate::series::{Comparison, Listing, Report, Spread};
use std::fmt::Write as _;

/// Tables that are wider than a phone scroll by themselves; what leads a row may take several lines.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1f2933;--soft:#3e4c59;--rule:#e4e7eb;--paper:#fff;--good:#1e6b34;--bad:#a8321a}\
body{margin:0 auto;max-width:60rem;padding:0 .8rem 3rem;font:16px/1.45 system-ui,sans-serif;color:var(--ink);\
background:var(--paper)}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid var(--rule)}\
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:.8rem;align-items:start}\
.figures svg{width:100%;height:auto;border:1px solid var(--rule);border-radius:6px}\
.wide{overflow-x:auto}table{border-collapse:collapse;margin-top:.8rem;font-size:.875rem}\
th,td{padding:.3rem .5rem;text-align:right;border-bottom:1px solid var(--rule);vertical-align:top;white-space:nowrap}\
th:first-child,td:first-child{text-align:left;padding-left:0}th{vertical-align:bottom;white-space:normal}\
td:first-child{white-space:normal;min-width:6.5rem}\
.spread{color:var(--soft)}@media(max-width:40rem){.spread{display:block}}\
.met{color:var(--good)}.missed{color:var(--bad);font-weight:600}.note{font-size:.9rem;color:var(--soft)}";

/// What is dark where the reader's screen is: figures have no colours of their own for that.
fn dark() -> String {
    let mut style = String::from(
        "@media(prefers-color-scheme:dark){:root{--ink:#e4e7eb;--soft:#b8c2cc;--rule:#3b4754;--paper:#12171d;--good:#6cc98a;\
         --bad:#ff9580}",
    );
    for (light, dark) in svg::DARK {
        write!(
            style,
            "svg [fill=\"{light}\"],svg[fill=\"{light}\"]{{fill:{dark}}}svg [stroke=\"{light}\"]{{stroke:{dark}}}"
        )
        .expect("a string grows");
    }
    style + "}"
}

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>iogate: what it costs</title>",
    );
    let mut add = |text: std::fmt::Arguments<'_>| page.write_fmt(text).expect("a string grows");
    add(format_args!("<style>{STYLE}{}</style></head><body><h1>iogate: what it costs</h1>", dark()));
    if let Some(machine) = &report.machine {
        add(format_args!(
            "<p class=\"note\">{} UTC, {} cores of {}, Linux {}, DPDK {}, rustc {}, commit {}; load before {:.1}. \
             <strong>No NIC was measured</strong>: ports are software. What is compared ran in turns on the same core; \
             a figure is the median, with the lowest and highest measurement.</p>",
            escape(&machine.date),
            machine.cores,
            escape(&machine.processor),
            escape(&machine.kernel),
            escape(&machine.dpdk),
            escape(&machine.rustc),
            escape(&machine.commit),
            machine.load
        ));
    }
    // What is missed leads.
    let with_verdict = |verdict| report.comparisons.iter().filter(move |row| row.verdict() == verdict);
    let targets: String = with_verdict("missed").chain(with_verdict("met")).filter_map(target).collect();
    if !targets.is_empty() {
        add(format_args!(
            "<h2>Targets</h2><div class=\"wide\"><table><tr><th></th><th>ratio</th><th>target</th><th></th></tr>\
             {targets}</table></div>"
        ));
    }
    add(format_args!("<h2>Beside peers</h2><div class=\"figures\">"));
    let mut shown: Vec<&str> = Vec::new();
    for row in &report.comparisons {
        if !shown.contains(&row.name.as_str()) {
            shown.push(&row.name);
            add(format_args!("{}", bars_of(report, row)));
        }
    }
    add(format_args!("</div>"));
    let row = |row: &Comparison| {
        format!(
            "<tr><td>{}</td><td>{:.3} <span class=\"spread\">[{:.3} .. {:.3}]</span></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            beside(row),
            row.ratio,
            row.ratios.lowest,
            row.ratios.highest,
            measured(&row.ours),
            measured(&row.theirs),
            escape(&row.unit),
        )
    };
    let rows: String = report.comparisons.iter().map(row).collect();
    add(format_args!(
        "<div class=\"wide\"><table><tr><th></th><th>ours / peer's</th><th>ours</th><th>peer's</th>\
         <th>unit</th></tr>{rows}</table></div>"
    ));
    if !report.growth.is_empty() {
        let figures = growth_of(report).concat();
        add(format_args!("<h2>As it grows</h2><div class=\"figures\">{figures}</div>"));
    }
    for listing in &report.tables {
        add(format_args!("{}", table(listing)));
    }
    if !report.notes.is_empty() {
        add(format_args!("<h2>Notes</h2>"));
        for note in &report.notes {
            add(format_args!("<p class=\"note\">{}</p>", escape(note)));
        }
    }
    page + "</body></html>\n"
}

/// A median, and its spread on a line of its own where the screen is narrow.
fn measured(spread: &Spread) -> String {
    spread.to_string().replacen(" [", " <span class=\"spread\">[", 1) + "</span>"
}

/// What is compared with whom.
fn beside(row: &Comparison) -> String {
    format!("{} <span class=\"note\">beside {}</span>", escape(&row.name), escape(&row.peer))
}

/// The row of a comparison that has a target.
fn target(row: &Comparison) -> Option<String> {
    let (target, verdict) = (row.target?, row.verdict());
    Some(format!(
        "<tr><td>{}</td><td>{:.2}</td><td>{}</td><td class=\"{verdict}\">{verdict}</td></tr>",
        beside(row),
        row.ratio,
        escape(&target.to_string())
    ))
}

fn table(listing: &Listing) -> String {
    let cells = |tag: &str, row: &[String]| {
        row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect::<String>()
    };
    let rows: String = listing.rows.iter().map(|row| format!("<tr>{}</tr>", cells("td", row))).collect();
    let head = cells("th", &listing.head);
    format!("<h2>{}</h2><div class=\"wide\"><table><tr>{head}</tr>{rows}</table></div>", escape(&listing.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Target;

    #[test]
    fn the_page_needs_nothing_from_outside() {
        let row = Comparison::new("a <row>", "Mpps", "testpmd", [&[1.0], &[2.0]], Some(Target::AtLeast(1.0)));
        let listing = Listing { name: "t".to_owned(), head: vec!["a".to_owned()], rows: vec![vec!["<1>".to_owned()]] };
        let machine = Some(crate::machine::Machine::this());
        let notes = vec!["not measured: x".to_owned()];
        let report = Report { comparisons: vec![row], tables: vec![listing], notes, machine, ..Report::default() };
        let page = page(&report);
        assert!(page.contains("a &lt;row&gt;") && page.contains("class=\"missed\"") && page.contains("&lt;1&gt;"));
        assert!(page.contains("No NIC was measured") && page.contains("not measured: x"));
        for outside in ["src=", "href=", "@import", "url(", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
        for tag in ["table", "div", "svg", "tr", "p"] {
            let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}

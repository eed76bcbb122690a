//! The page: everything in one file, readable on a phone.

use super::svg::escape;
use super::{bars_of, growth_of};
use crate::series::{Listing, Report};
use std::fmt::Write as _;

const STYLE: &str = "body{margin:0 auto;max-width:60rem;padding:0 .8rem 3rem;font:16px/1.45 system-ui,sans-serif;color:#1f2933;\
background:#fff}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #e4e7eb}\
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:.8rem}\
.figures svg{width:100%;height:auto;border:1px solid #e4e7eb;border-radius:6px}\
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;white-space:nowrap}\
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #e4e7eb}th:first-child,td:first-child{text-align:left}\
.met{color:#1e6b34}.missed{color:#a8321a;font-weight:600}.note{font-size:.9rem;color:#3e4c59}";

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>iogate: what it costs</title>",
    );
    let mut add = |text: std::fmt::Arguments<'_>| page.write_fmt(text).expect("a string grows");
    add(format_args!("<style>{STYLE}</style></head><body><h1>iogate: what it costs</h1>"));
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
    add(format_args!("<h2>Beside peers</h2><div class=\"figures\">"));
    let mut shown: Vec<&str> = Vec::new();
    for row in &report.comparisons {
        if !shown.contains(&row.name.as_str()) {
            shown.push(&row.name);
            add(format_args!("{}", bars_of(report, row)));
        }
    }
    add(format_args!("</div>"));
    let row = |row: &crate::series::Comparison| {
        let target = row.target.map_or_else(String::new, |target| target.to_string());
        let verdict = row.verdict();
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.3} [{:.3} .. {:.3}]</td><td>{target}</td>\
             <td class=\"{verdict}\">{verdict}</td></tr>",
            escape(&row.name),
            escape(&row.unit),
            row.ours,
            escape(&row.peer),
            row.theirs,
            row.ratio,
            row.ratios.lowest,
            row.ratios.highest
        )
    };
    let rows: String = report.comparisons.iter().map(row).collect();
    add(format_args!(
        "<div class=\"wide\"><table><tr><th></th><th>unit</th><th>ours</th><th>peer</th><th>peer's</th>\
         <th>ours / peer's</th><th>target</th><th></th></tr>{rows}</table></div>"
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
    use crate::series::{Comparison, Target};

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

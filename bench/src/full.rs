//! The full run: everything, in one go, into one folder.

use crate::report::compare::read;
use crate::report::{main_figure, page};
use crate::series::Report;
use crate::{Pages, Plan, gateway, instructions, io, iperf, lookup, modes, rfc2544, say, scale, wire};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// One part of it.
type Part = fn(Plan, &mut Report) -> Result<()>;

/// The parts, and for how long each measurement of them is, seconds.
const PARTS: [(&str, f64, Part); 10] = [
    ("wire", 60.0, wire::compare),
    ("rfc2544", 0.2, rfc2544::in_short),
    ("io", 0.5, io::compare),
    ("gateway", 0.5, gateway::compare),
    ("gateway on huge pages", 0.5, on_huge_pages),
    ("lookup", 0.5, lookup::compare),
    ("modes", 0.3, modes::on_null_ports),
    ("scale", 0.3, scale::compare),
    ("iperf", 1.0, iperf::compare),
    ("instructions", 1.0, |plan, report| instructions::compare(plan, false, report)),
];

/// Measures everything and writes `report.json`, `report.html` and `figure.svg` to `folder`. A part that fails is a
/// note, and the others are measured all the same.
pub(crate) fn run(plan: Plan, folder: Option<PathBuf>, report: &mut Report) -> Result<()> {
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("results"));
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let begun = Instant::now();
    for (name, seconds, part) in PARTS {
        say(format_args!("full: {name}, after {} s", begun.elapsed().as_secs()));
        if let Err(error) = part(Plan { seconds, ..plan }, report) {
            say(format_args!("full: {name} failed: {error:#}"));
            report.notes.push(format!("{name}: not measured: {error:#}"));
        }
    }
    write(&folder, "report.json", serde_json::to_string_pretty(report)? + "\n")?;
    draw_in(&folder, report)?;
    say(format_args!("full: {} s; the report is in {}", begun.elapsed().as_secs(), folder.display()));
    Ok(())
}

/// Draws a report that was written before.
pub(crate) fn draw(path: &Path) -> Result<()> {
    draw_in(path.parent().unwrap_or(Path::new(".")), &read(path)?)
}

fn draw_in(folder: &Path, report: &Report) -> Result<()> {
    write(folder, "report.html", page(report))?;
    if let Some(figure) = main_figure(report) {
        write(folder, "figure.svg", figure + "\n")?;
    }
    Ok(())
}

fn write(folder: &Path, name: &str, text: String) -> Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The row that counts once more, where DPDK's own pools are laid out as the framework's.
fn on_huge_pages(plan: Plan, report: &mut Report) -> Result<()> {
    let _pages = crate::pages::Reserved::take(crate::testpmd::MEMORY_MB)?;
    gateway::compare_main(Plan { pages: Pages::Huge, ..plan }, report)
}

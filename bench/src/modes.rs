//! The forwarding modes of `iogate-testpmd`, beside those of DPDK's own.
//!
//! The same session is typed to both programs, on the same devices: two ports that always have
//! frames, each forwarding to the other, on one core.

use crate::series::{Comparison, Report, Target, beside_one};
use crate::testpmd::{PROGRAM, Testpmd};
use crate::{Pages, Plan, say};
use anyhow::{Context as _, Result};
use iogate::testkit::{Frame, mac, write_pcap};
use std::path::{Path, PathBuf};

/// On both sides.
const BUFFERS: u32 = 16_384;
/// Ours, beside this program.
const OURS: &str = "iogate-testpmd";
/// Each mode, and whether it makes its packets: then what was sent counts, else what was received.
const MODES: [(&str, bool); 8] = [
    ("io", false),
    ("mac", false),
    ("macswap", false),
    ("5tswap", false),
    ("csum", false),
    ("rxonly", false),
    ("txonly", true),
    ("flowgen", true),
];

/// Every mode on null ports and on endless captures.
pub(crate) fn compare(plan: Plan, report: &mut Report) -> Result<()> {
    compare_on(&["net_null", "net_pcap"], plan, report)
}

/// Every mode on null ports alone.
pub(crate) fn on_null_ports(plan: Plan, report: &mut Report) -> Result<()> {
    compare_on(&["net_null"], plan, report)
}

fn compare_on(drivers: &[&str], plan: Plan, report: &mut Report) -> Result<()> {
    let ours = std::env::current_exe()?.with_file_name(OURS);
    if !ours.is_file() || !crate::testpmd::installed(PROGRAM) {
        report.notes.push(format!("modes: not measured: build {OURS} for release and install dpdk-dev"));
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let capture = capture(folder.path())?;
    let capture = format!("rx_pcap={},infinite_rx=1", capture.display());
    for (driver, options) in [("net_null", "size=64,copy=0"), ("net_pcap", &capture)] {
        if !drivers.contains(&driver) {
            continue;
        }
        let devices = [0, 1].map(|number| format!("{driver}{number},{options}"));
        say(format_args!("modes on {driver}: {OURS}, then {PROGRAM}, Mpps"));
        for (mode, makes) in MODES {
            let run = |program: &str| {
                let mut testpmd = Testpmd::start_program(program, &[], &devices, BUFFERS, plan)?;
                testpmd.set_mode(mode)?;
                let forwarded = testpmd.measure(plan.seconds)?;
                let packets = if makes { forwarded.sent } else { forwarded.packets };
                Ok(packets as f64 / forwarded.time.as_secs_f64() / 1e6)
            };
            let ours = ours.to_str().context("a path that is text")?;
            let runs = beside_one(plan.runs, mode, || run(ours), || run(PROGRAM))?;
            let name = format!("{mode} on {driver}");
            report.comparisons.push(Comparison::new(
                name,
                "Mpps",
                "testpmd",
                [&runs[0], &runs[1]],
                Some(Target::AtLeast(1.0)),
            ));
        }
    }
    if plan.pages == Pages::Plain {
        report.notes.push(PLAIN.to_owned());
    }
    Ok(())
}

/// What most of the difference comes from on plain pages.
const PLAIN: &str = "modes: on plain pages DPDK puts each buffer on a page of its own, where their headers share few \
                     sets of the cache; iogate's pools put them one behind the other. --pages huge compares the code alone.";

/// Frames of 64 bytes, half of them UDP and half TCP, all of them right.
fn capture(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("frames.pcap");
    let frames = (0..32).map(|number: u8| {
        let ip = Frame::ethernet(mac(1), mac(2)).ipv4([10, 0, 0, number], [10, 0, 1, 1]);
        let ip = if number.is_multiple_of(2) { ip.udp(1000, 2000).payload([number; 22]) } else { ip.tcp(1000, 80) };
        ip.padded_to(64).build()
    });
    write_pcap(&path, frames)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iogate::testkit::read_pcap;

    #[test]
    fn frames_are_as_small_as_they_get() {
        let folder = tempfile::tempdir().unwrap();
        let frames = read_pcap(capture(folder.path()).unwrap()).unwrap();
        assert!(frames.len() == 32 && frames.iter().all(|frame| frame.len() == 64));
    }
}

//! Reports as text for a terminal.

use crate::control::report::{Amount, Report, Rows};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use std::fmt::Write;

/// A report as a table, a line a row.
pub fn text(report: &Report) -> String {
    match &report.rows {
        Rows::Ports(rows) => table(
            "name role port link mtu rx-packets rx-bytes tx-packets tx-bytes missed errors receives",
            rows.iter().map(|row| {
                let errors = row.rx_errors + row.tx_errors + row.rx_no_buffer;
                vec![
                    row.name.clone(),
                    row.role.clone(),
                    row.port.clone(),
                    up(row.up),
                    unknown(row.mtu),
                    row.rx.packets.to_string(),
                    bytes(row.rx.bytes),
                    row.tx.packets.to_string(),
                    bytes(row.tx.bytes),
                    row.rx_missed.to_string(),
                    errors.to_string(),
                    match row.unserved[..] {
                        [] => row.receives.clone(),
                        _ => format!("{}; not served: {}", row.receives, row.unserved.join(",")),
                    },
                ]
            }),
        ),
        Rows::Vnics(rows) => table(
            "name kind link mac networks state from-packets from-bytes to-packets to-bytes dropped-packets dropped-bytes",
            rows.iter().map(|row| {
                let mut cells = vec![
                    row.name.clone(),
                    row.kind.clone(),
                    row.link.clone(),
                    [std::slice::from_ref(&row.mac), &row.logins].concat().join(","),
                    row.networks.join(","),
                    up(row.up),
                ];
                cells.extend(both_ways(&row.from_server, &row.to_server));
                cells.extend([row.dropped.packets.to_string(), bytes(row.dropped.bytes)]);
                cells
            }),
        ),
        Rows::Networks(rows) => table(
            "name kind vlan group active members from-packets from-bytes to-packets to-bytes",
            rows.iter().map(|row| {
                let mut cells = vec![
                    row.name.clone(),
                    row.kind.clone(),
                    unknown(row.vlan),
                    row.group.clone(),
                    row.active.clone().unwrap_or("none".into()),
                    row.members.to_string(),
                ];
                cells.extend(both_ways(&row.from_server, &row.to_server));
                cells
            }),
        ),
        Rows::Classes(rows) => table(
            "name pcp kind from-packets from-bytes to-packets to-bytes",
            rows.iter().map(|row| {
                let mut cells = vec![row.name.clone(), row.pcp.to_string(), row.kind.clone()];
                cells.extend(both_ways(&row.from_server, &row.to_server));
                cells
            }),
        ),
        Rows::Drops(rows) if rows.is_empty() => "nothing was dropped\n".into(),
        Rows::Drops(rows) => table(
            "reason direction port packets bytes meaning",
            rows.iter().map(|row| {
                vec![
                    row.reason.clone(),
                    row.direction.clone(),
                    row.port.clone(),
                    row.packets.to_string(),
                    unknown(row.bytes.map(bytes)),
                    row.meaning.clone(),
                ]
            }),
        ),
        Rows::Workers(rows) => table(
            "core idle packets rounds busy sleeps round-p50 round-p99 queues",
            rows.iter().map(|row| {
                let busy = 100.0 * row.busy_rounds as f64 / row.rounds.max(1) as f64;
                vec![
                    row.core.to_string(),
                    row.idle.clone(),
                    row.packets.to_string(),
                    row.rounds.to_string(),
                    format!("{busy:.1} %"),
                    row.sleeps.to_string(),
                    unknown(row.round_ns_p50.map(ns)),
                    unknown(row.round_ns_p99.map(ns)),
                    row.queues.join(" "),
                ]
            }),
        ),
        Rows::Runtime { stages, totals } => {
            let mut text = table(
                "core stage calls packets packets/call cycles/packet",
                stages.iter().map(|row| {
                    vec![
                        row.core.to_string(),
                        row.stage.clone(),
                        row.calls.to_string(),
                        row.packets.to_string(),
                        format!("{:.1}", row.packets_per_call),
                        unknown(row.cycles_per_packet.map(|cycles| format!("{cycles:.0}"))),
                    ]
                }),
            );
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "received {} + generated {} = sent {} + dropped {} + pending {}",
                totals.received, totals.generated, totals.sent, totals.dropped, totals.pending
            );
            text
        }
    }
}

/// A value that may not be known.
pub(crate) fn unknown(value: Option<impl ToString>) -> String {
    value.map_or("-".into(), |value| value.to_string())
}

fn up(state: bool) -> String {
    if state { "up" } else { "down" }.into()
}

fn ns(time: u64) -> String {
    format!("{time} ns")
}

fn both_ways(from: &Amount, to: &Amount) -> [String; 4] {
    [from.packets.to_string(), bytes(from.bytes), to.packets.to_string(), bytes(to.bytes)]
}

/// Bytes with a unit, to three digits.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// Columns of numbers stand to the right.
pub(crate) fn table(head: &str, rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows.collect();
    let numeric = |text: &String| text.starts_with(|first: char| first.is_ascii_digit()) || text == "-";
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.split(' ').map(str::to_uppercase));
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if rows.iter().filter_map(|row| row.get(at)).all(numeric) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.add_rows(rows);
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits_and_a_unit() {
        let of = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
        ];
        for (count, text) in of {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(bytes(u64::MAX), "18447 PB");
    }
}

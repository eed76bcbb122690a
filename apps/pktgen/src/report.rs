//! Outcomes for people and for programs.

use crate::capture::Captured;
use crate::outcome::{Ended, Outcome, StreamOutcome, per_second};
use crate::rate::{Bits, Scaled};
use crate::time::nanoseconds;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use hdrhistogram::Histogram;
use serde::Serialize;

/// What a run has to say, as JSON.
#[derive(Serialize)]
pub struct Report {
    /// Name and version of this layout: fields may be added within a version, none is removed or changed.
    pub schema: &'static str,
    /// Each trial.
    pub steps: Vec<StepReport>,
    /// The capture, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<CaptureReport>,
    /// The exit code that goes with it.
    pub exit_code: u8,
}

/// The layout of [`Report`].
pub const SCHEMA: &str = "iogate-pktgen/1";

/// What is in the capture file.
#[derive(Serialize)]
pub struct CaptureReport {
    /// Its name.
    pub file: String,
    /// Frames in it.
    pub frames: u64,
    /// Frames that came back and are not in it.
    pub missed: u64,
}

impl CaptureReport {
    /// Of a file.
    pub fn new(file: String, captured: Captured) -> Self {
        CaptureReport { file, frames: captured.frames, missed: captured.missed }
    }
}

/// What came of a trial.
#[derive(Serialize)]
pub struct StepReport {
    name: String,
    /// "complete", "asked" (by a signal or key) or "lost" (a port went away).
    ended: &'static str,
    /// Why, when a port was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    seconds: f64,
    asked_pps: Option<f64>,
    sent: Sent,
    received: Option<Received>,
    pacing: Pacing,
    streams: Vec<StreamReport>,
    /// The limits that were broken, in words.
    broken_limits: Vec<String>,
}

#[derive(Serialize)]
struct Sent {
    frames: u64,
    pps: f64,
    wire_bps: f64,
}

#[derive(Serialize)]
struct Received {
    frames: u64,
    pps: f64,
    lost: u64,
    loss: Option<f64>,
    duplicates: u64,
    reordered: u64,
    too_late: u64,
    other: u64,
    implausible: u64,
    latency_ns: Option<Latency>,
}

#[derive(Serialize)]
struct Pacing {
    late_ns: Option<Latency>,
    given_up: u64,
    port_full_rounds: u64,
    no_buffer_rounds: u64,
}

#[derive(Serialize)]
struct StreamReport {
    name: String,
    stamped: bool,
    sent: u64,
    sent_bytes: u64,
    received: u64,
    received_bytes: u64,
    lost: u64,
    duplicates: u64,
    reordered: u64,
    furthest: u64,
    too_late: u64,
    latency_ns: Option<Latency>,
}

/// A histogram in a few numbers, nanoseconds.
#[derive(Serialize)]
struct Latency {
    min: u64,
    mean: f64,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| histogram.value_at_quantile(quantile);
        (!histogram.is_empty()).then(|| Latency {
            min: histogram.min(),
            mean: histogram.mean(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
        })
    }
}

impl StepReport {
    /// Of an outcome that broke these limits.
    pub fn new(name: &str, outcome: &Outcome, broken: &[String]) -> Self {
        let (ended, reason) = match &outcome.ended {
            Ended::Running => ("running", None),
            Ended::Complete => ("complete", None),
            Ended::Asked => ("asked", None),
            Ended::Lost(reason) => ("lost", Some(reason.clone())),
        };
        let stream = |stream: &StreamOutcome| StreamReport {
            name: stream.name.clone(),
            stamped: stream.stamped,
            sent: stream.sent,
            sent_bytes: stream.sent_bytes,
            received: stream.received,
            received_bytes: stream.received_bytes,
            lost: if outcome.receives { stream.lost() } else { 0 },
            duplicates: stream.duplicates,
            reordered: stream.reordered,
            furthest: stream.furthest,
            too_late: stream.too_old,
            latency_ns: Latency::of(&stream.latency),
        };
        let received = || Received {
            frames: outcome.received(),
            pps: per_second(outcome.received(), outcome.elapsed),
            lost: outcome.lost(),
            loss: outcome.loss(),
            duplicates: outcome.sum(|stream| stream.duplicates),
            reordered: outcome.sum(|stream| stream.reordered),
            too_late: outcome.sum(|stream| stream.too_old),
            other: outcome.other,
            implausible: outcome.implausible,
            latency_ns: Latency::of(&outcome.latency()),
        };
        StepReport {
            name: name.to_owned(),
            ended,
            reason,
            seconds: outcome.elapsed.as_secs_f64(),
            asked_pps: outcome.asked_fps,
            sent: Sent { frames: outcome.sent(), pps: outcome.sent_fps(), wire_bps: outcome.sent_bps() },
            received: outcome.receives.then(received),
            pacing: Pacing {
                late_ns: Latency::of(&outcome.lateness),
                given_up: outcome.given_up,
                port_full_rounds: outcome.port_full,
                no_buffer_rounds: outcome.no_buffer,
            },
            streams: outcome.streams.iter().map(stream).collect(),
            broken_limits: broken.to_vec(),
        }
    }
}

/// What came of a trial, as text of several lines.
pub fn text(name: &str, outcome: &Outcome, broken: &[String]) -> String {
    let mut text = String::new();
    let mut line = |head: &str, rest: String| text += &format!("{head:<9} {rest}\n");
    let ended = match &outcome.ended {
        Ended::Running => "runs",
        Ended::Complete => "complete",
        Ended::Asked => "ended on demand: this is what was done",
        Ended::Lost(reason) => &format!("ended early: {reason}; this is what was done"),
    };
    line(name, format!("{ended}, {:.3} s", outcome.elapsed.as_secs_f64()));
    let fps = outcome.sent_fps();
    let asked = match outcome.asked_fps {
        Some(asked) => format!(" ({:.3} % of the {}pps asked)", 100.0 * fps / asked, Scaled(asked)),
        None => String::new(),
    };
    line(
        "sent",
        format!("{} frames, {}pps{asked}, {} on the wire", outcome.sent(), Scaled(fps), Bits(outcome.sent_bps())),
    );
    if !outcome.lateness.is_empty() {
        let at = |quantile| nanoseconds(outcome.lateness.value_at_quantile(quantile));
        let most = nanoseconds(outcome.lateness.max());
        let mut late = format!("bursts {} (50 %), {} (99 %), at most {most} behind the pace", at(0.5), at(0.99));
        for (count, what) in [
            (outcome.given_up, "given up as too late"),
            (outcome.port_full, "rounds with the port full"),
            (outcome.no_buffer, "rounds without a buffer"),
        ] {
            if count > 0 {
                late += &format!("; {count} {what}");
            }
        }
        line("jitter", late);
    }
    if outcome.receives {
        let mut received = format!("{} frames", outcome.received());
        match outcome.loss() {
            Some(loss) => received += &format!("; lost {} ({:.4} %)", outcome.lost(), loss * 100.0),
            None if outcome.sent() == 0 => {}
            None => received.push_str("; no stamps, so loss and latency are unknown"),
        }
        for (count, what) in [
            (outcome.sum(|stream| stream.duplicates), "duplicates"),
            (outcome.sum(|stream| stream.reordered), "reordered"),
            (outcome.sum(|stream| stream.too_old), "too late to tell"),
            (outcome.other, "not ours"),
            (outcome.implausible, "with stamps never sent"),
        ] {
            if count > 0 {
                received += &format!("; {count} {what}");
            }
        }
        line("received", received);
        if let Some(latency) = Latency::of(&outcome.latency()) {
            let Latency { min, p50, p90, p99, p999, max, .. } = latency;
            let [min, p50, p90, p99, p999, max] = [min, p50, p90, p99, p999, max].map(nanoseconds);
            line(
                "latency",
                format!("{min} at least, {p50} (50 %), {p90} (90 %), {p99} (99 %), {p999} (99.9 %), {max} at most"),
            );
        }
    }
    if outcome.streams.len() > 1 {
        text += &format!("\n{}", streams(outcome));
    }
    for broken in broken {
        text += &format!("broken    {broken}\n");
    }
    text
}

/// A table, a stream a line.
fn streams(outcome: &Outcome) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    let heads = ["stream", "sent", "received", "lost", "duplicates", "reordered", "50 %", "99 %", "max"];
    table.set_header(heads);
    for stream in &outcome.streams {
        let latency = Latency::of(&stream.latency);
        let time =
            |of: fn(&Latency) -> u64| latency.as_ref().map_or("-".to_owned(), |latency| nanoseconds(of(latency)));
        let back = |count: u64| if outcome.receives && stream.stamped { count.to_string() } else { "-".to_owned() };
        table.add_row(vec![
            stream.name.clone(),
            stream.sent.to_string(),
            back(stream.received),
            back(stream.lost()),
            back(stream.duplicates),
            back(stream.reordered),
            time(|latency| latency.p50),
            time(|latency| latency.p99),
            time(|latency| latency.max),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().trim_start_matches(' ').to_owned()).collect();
    lines.join("\n") + "\n"
}

/// How far a trial is, on one line; `before` is what it was the last time.
pub fn progress(outcome: &Outcome, before: Option<&Outcome>) -> String {
    let grown = |count: fn(&Outcome) -> u64| count(outcome) - before.map_or(0, count).min(count(outcome));
    let time = outcome.elapsed - before.map_or_else(Default::default, |before| before.elapsed.min(outcome.elapsed));
    let fps = |count| Scaled(per_second(grown(count), time));
    let mut text = format!("{:8.1} s  sent {}pps", outcome.elapsed.as_secs_f64(), fps(Outcome::sent));
    text += &format!(", {}", Bits(per_second(grown(|outcome| outcome.sent_wire_bits), time)));
    if outcome.receives {
        text += &format!("  back {}pps  missing {}", fps(Outcome::received), outcome.lost());
        let latency = outcome.latency();
        if !latency.is_empty() {
            text += &format!("  latency {} (50 %)", nanoseconds(latency.value_at_quantile(0.5)));
            text += &format!(", {} (99 %)", nanoseconds(latency.value_at_quantile(0.99)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;
    use serde_json::Value;

    #[test]
    fn text_says_everything_that_matters() {
        let mut two = outcome(1_000_000, 999_990);
        two.other = 3;
        two.streams.push(StreamOutcome { name: "more".to_owned(), stamped: false, ..two.streams[0].clone() });
        let text = text("half", &two, &["loss: 10 frames, 0 allowed".to_owned()]);
        for part in [
            "half      complete, 1.000 s\n",
            "sent      2000000 frames, 2 Mpps (100.000 % of the 2 Mpps asked), 672 Mbit/s on the wire\n",
            "lost 10 (0.0010 %); 3 not ours\n",
            "latency   1.00 us at least",
            "broken    loss: 10 frames, 0 allowed\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(
            rows.contains(&vec!["all", "1000000", "999990", "10", "0", "0", "1.00", "us", "1.00", "us", "1.00", "us"]),
            "{text}"
        );
        let nothing = super::text("none", &outcome(0, 0), &[]);
        assert!(nothing.contains("\nreceived  0 frames\n"), "{nothing}");
        two.ended = Ended::Lost("port x: its link went down".to_owned());
        assert!(super::text("half", &two, &[]).starts_with("half      ended early: port x: its link went down; this"));
    }

    #[test]
    fn json_has_the_same() {
        let step = StepReport::new("half", &outcome(1000, 990), &[]);
        let report = Report { schema: SCHEMA, steps: vec![step], capture: None, exit_code: 3 };
        let json: Value = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["schema"], &json["exit_code"]), (&Value::from("iogate-pktgen/1"), &Value::from(3)));
        let step = &json["steps"][0];
        assert_eq!((&step["sent"]["frames"], &step["received"]["lost"]), (&Value::from(1000), &Value::from(10)));
        assert_eq!(step["received"]["latency_ns"]["p99"], Value::from(1000));
        assert_eq!(step["streams"][0]["received"], Value::from(990));
        assert_eq!(step["pacing"]["late_ns"], Value::Null);
    }

    #[test]
    fn progress_is_of_the_last_interval() {
        let (before, mut now) = (outcome(1000, 1000), outcome(3000, 2500));
        now.elapsed *= 2;
        let text = progress(&now, Some(&before));
        assert!(text.contains("2.0 s  sent 2000 pps"), "{text}");
        assert!(text.contains("back 1500 pps  missing 500  latency 1.00 us (50 %)"), "{text}");
    }
}

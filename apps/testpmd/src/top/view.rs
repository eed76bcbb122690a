//! The numbers: what grew between two moments.

use crate::app::App;
use crate::engine::{Counts, StageCounts, StreamCounts};
use crate::ports::{Rate, Sample};
use iogate::port::PortStats;
use std::collections::BTreeMap;
use std::time::Instant;

/// Everything at a moment.
pub(super) struct Snapshot {
    at: Instant,
    ports: BTreeMap<u16, Sample>,
    forward: Counts,
    /// TSC cycles of rounds with packets, stream by stream.
    cycles: Vec<u64>,
    stages: Vec<StageCounts>,
}

/// A port's line.
#[derive(Debug, Default, PartialEq)]
pub(super) struct PortLine {
    pub(super) id: u16,
    pub(super) name: String,
    pub(super) up: bool,
    pub(super) rate: Rate,
    /// Lost in the last second: on reception, and on sending.
    pub(super) lost: [u64; 2],
    /// p50, p99 and the greatest age of packets since measuring began, nanoseconds.
    pub(super) latency: Option<[u64; 3]>,
}

/// A stream's line.
#[derive(Debug, PartialEq)]
pub(super) struct StreamLine {
    /// RX port and queue, TX port and queue.
    pub(super) way: [u16; 4],
    pub(super) rx_pps: u64,
    pub(super) tx_pps: u64,
    pub(super) dropped: u64,
    /// TSC cycles for each packet, where there were any.
    pub(super) cycles: Option<f64>,
}

/// A stage's line: all streams together.
#[derive(Debug, PartialEq)]
pub(super) struct StageLine {
    pub(super) name: String,
    /// Packets a second.
    pub(super) packets: u64,
    /// Packets in a call.
    pub(super) batch: f64,
    /// TSC cycles for each packet since it started.
    pub(super) cycles: Option<f64>,
}

/// What is drawn.
#[derive(Debug, Default, PartialEq)]
pub(super) struct View {
    pub(super) title: String,
    pub(super) ports: Vec<PortLine>,
    pub(super) streams: Vec<StreamLine>,
    pub(super) stages: Vec<StageLine>,
}

impl Snapshot {
    pub(super) fn take(app: &App) -> Snapshot {
        let port = |port: &crate::ports::PortState| Some((port.device.id(), Sample::take(&port.device).ok()?));
        let (forward, stages) = match &app.running {
            Some(running) => (running.counts(app), running.stages()),
            None => Default::default(),
        };
        let cycles = forward.observed.iter().map(|seen| seen.cycles.get()).collect();
        Snapshot { at: Instant::now(), ports: app.ports.iter().filter_map(port).collect(), forward, cycles, stages }
    }

    /// What grew by so much since an earlier one, a second.
    fn rate(&self, before: &Snapshot, grown: u64) -> u64 {
        let nanoseconds = self.at.duration_since(before.at).as_nanos().max(1);
        (u128::from(grown) * 1_000_000_000 / nanoseconds) as u64
    }
}

impl View {
    pub(super) fn new(app: &App, before: &Snapshot, now: &Snapshot) -> View {
        let settings = &app.settings;
        let title = match &app.running {
            Some(_) => format!("{} packet forwarding on {} cores", settings.mode_name, settings.nb_cores),
            None => "packet forwarding not started".to_owned(),
        };
        let port = |(id, sample): (&u16, &Sample)| {
            let then = before.ports.get(id).unwrap_or(sample);
            let device = app.ports.get(*id)?;
            let dropped = |counts: &Counts| counts.ports.get(id).map_or(0, |port| port.tx_dropped);
            let rx = lost(&sample.stats).saturating_sub(lost(&then.stats));
            let tx = (dropped(&now.forward) + sample.stats.tx_errors)
                .saturating_sub(dropped(&before.forward) + then.stats.tx_errors);
            Some(PortLine {
                id: *id,
                name: device.name().to_owned(),
                up: device.link().is_some_and(|link| link.up),
                rate: sample.since(then),
                lost: [now.rate(before, rx), now.rate(before, tx)],
                latency: latency(app, *id),
            })
        };
        let ports = now.ports.iter().filter_map(port).collect();
        View { title, ports, streams: streams(before, now), stages: stages(before, now) }
    }
}

fn lost(stats: &PortStats) -> u64 {
    stats.rx_missed + stats.rx_errors + stats.rx_no_buffer
}

fn latency(app: &App, port: u16) -> Option<[u64; 3]> {
    let measured = app.latency(port);
    let at = |quantile| measured.value_at_quantile(quantile);
    (!measured.is_empty()).then(|| [at(0.5), at(0.99), measured.max()])
}

fn streams(before: &Snapshot, now: &Snapshot) -> Vec<StreamLine> {
    let line = |(at, stream): (usize, &StreamCounts)| {
        let then = before.forward.streams.iter().position(|then| then.link == stream.link);
        let old = then.map(|then| before.forward.streams[then]).unwrap_or_default();
        let grown = stream.since(&old);
        let cycles = |snapshot: &Snapshot, at: usize| snapshot.cycles.get(at).copied().unwrap_or(0);
        let cycles = cycles(now, at).saturating_sub(then.map_or(0, |then| cycles(before, then)));
        let packets = grown.received.max(grown.sent);
        StreamLine {
            way: [stream.link.rx_port, stream.link.rx_queue, stream.link.tx_port, stream.link.tx_queue],
            rx_pps: now.rate(before, grown.received),
            tx_pps: now.rate(before, grown.sent),
            dropped: now.rate(before, grown.dropped),
            cycles: (packets > 0 && cycles > 0).then(|| cycles as f64 / packets as f64),
        }
    };
    now.forward.streams.iter().enumerate().map(line).collect()
}

fn stages(before: &Snapshot, now: &Snapshot) -> Vec<StageLine> {
    let line = |stage: &StageCounts| {
        let old = before.stages.iter().find(|old| old.name == stage.name).cloned().unwrap_or_default();
        let (calls, packets) = (stage.calls.saturating_sub(old.calls), stage.packets.saturating_sub(old.packets));
        StageLine {
            name: stage.name.clone(),
            packets: now.rate(before, packets),
            batch: packets as f64 / calls.max(1) as f64,
            cycles: stage.cycles,
        }
    };
    now.stages.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::StreamCounts;
    use std::time::Duration;

    fn snapshot(at: Instant, received: u64, cycles: u64, calls: u64) -> Snapshot {
        let stream = StreamCounts { received, sent: received / 2, dropped: received / 4, ..StreamCounts::default() };
        let stage = StageCounts { name: "io".to_owned(), calls, packets: received, cycles: Some(7.0) };
        let forward = Counts { streams: vec![stream], ..Counts::default() };
        Snapshot { at, ports: BTreeMap::new(), forward, cycles: vec![cycles], stages: vec![stage] }
    }

    #[test]
    fn lines_say_what_grew_in_a_second() {
        let begin = Instant::now();
        let before = snapshot(begin, 1000, 50_000, 100);
        let now = snapshot(begin + Duration::from_millis(500), 3000, 250_000, 200);
        let stream = StreamLine { way: [0; 4], rx_pps: 4000, tx_pps: 2000, dropped: 1000, cycles: Some(100.0) };
        assert_eq!(streams(&before, &now), [stream]);
        let stage = StageLine { name: "io".to_owned(), packets: 4000, batch: 20.0, cycles: Some(7.0) };
        assert_eq!(stages(&before, &now), [stage]);
        assert_eq!(streams(&now, &now)[0].cycles, None, "no packets, no cycles for each");
    }
}

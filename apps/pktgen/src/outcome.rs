//! What came of a trial.

use hdrhistogram::Histogram;
use std::time::Duration;

/// What came of a [`Trial`](crate::trial::Trial), or has come of it so far.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was sent and received, stream by stream.
    pub streams: Vec<StreamOutcome>,
    /// For how long was sent: the whole duration of a trial that has one and is complete.
    pub elapsed: Duration,
    /// Frames a second that were asked for; nothing for as many as the port takes.
    pub asked_fps: Option<f64>,
    /// Bits on the wire of all frames that were sent.
    pub sent_wire_bits: u64,
    /// Bits on the wire of all frames that were received, others' too.
    pub received_wire_bits: u64,
    /// How late bursts were sent, nanoseconds.
    pub lateness: Histogram<u64>,
    /// Frames that were due and given up because they were too late; where the rate counts bits, as many as these make on
    /// average.
    pub given_up: u64,
    /// Rounds in which the port did not take frames at once.
    pub port_full: u64,
    /// Rounds in which no buffer was free.
    pub no_buffer: u64,
    /// Frames received that are not ours: without a stamp, or with one that was never sent.
    pub other: u64,
    /// Those of them that had a stamp.
    pub implausible: u64,
    /// Whether anything was to be received.
    pub receives: bool,
    /// How it ended.
    pub ended: Ended,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It runs.
    Running,
    /// Everything was sent.
    Complete,
    /// Somebody ended it.
    Asked,
    /// A port went away, or a worker failed: which, and what happened.
    Lost(String),
}

/// What came of a stream.
#[derive(Clone, Debug)]
pub struct StreamOutcome {
    /// Its name.
    pub name: String,
    /// Whether its frames carry stamps: without, nothing is known of those that come back.
    pub stamped: bool,
    /// Frames that ports took.
    pub sent: u64,
    /// Bytes of them, with FCS.
    pub sent_bytes: u64,
    /// Frames that came back, each counted once.
    pub received: u64,
    /// Bytes of them, with FCS.
    pub received_bytes: u64,
    /// Frames that came back once more.
    pub duplicates: u64,
    /// Frames that a later one had overtaken.
    pub reordered: u64,
    /// By how many frames at most one was overtaken.
    pub furthest: u64,
    /// Frames that came too late to tell them from duplicates: they count as lost.
    pub too_old: u64,
    /// Nanoseconds from sending to receiving.
    pub latency: Histogram<u64>,
}

impl StreamOutcome {
    /// Frames that were sent and have not come back.
    pub fn lost(&self) -> u64 {
        if self.stamped { self.sent.saturating_sub(self.received) } else { 0 }
    }
}

impl Outcome {
    /// Sums over all streams of what `count` tells.
    pub fn sum(&self, count: impl Fn(&StreamOutcome) -> u64) -> u64 {
        self.streams.iter().map(count).sum()
    }

    /// Frames that ports took.
    pub fn sent(&self) -> u64 {
        self.sum(|stream| stream.sent)
    }

    /// Frames that came back.
    pub fn received(&self) -> u64 {
        self.sum(|stream| stream.received)
    }

    /// Frames that were stamped, sent, and did not come back.
    pub fn lost(&self) -> u64 {
        if self.receives { self.sum(StreamOutcome::lost) } else { 0 }
    }

    /// The part of stamped frames that was lost, 0 to 1; nothing when none were sent or none are expected.
    pub fn loss(&self) -> Option<f64> {
        let sent = self.sum(|stream| if stream.stamped { stream.sent } else { 0 });
        (self.receives && sent > 0).then(|| self.lost() as f64 / sent as f64)
    }

    /// Frames a second that were sent.
    pub fn sent_fps(&self) -> f64 {
        per_second(self.sent(), self.elapsed)
    }

    /// Bits on the wire a second that were sent.
    pub fn sent_bps(&self) -> f64 {
        per_second(self.sent_wire_bits, self.elapsed)
    }

    /// The latency of all streams together, nanoseconds.
    pub fn latency(&self) -> Histogram<u64> {
        merged(self.streams.iter().map(|stream| &stream.latency))
    }
}

/// How often something happened in a second; 0 in no time.
pub fn per_second(count: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// Histograms added up.
pub(crate) fn merged<'a>(histograms: impl Iterator<Item = &'a Histogram<u64>>) -> Histogram<u64> {
    let mut all = Histogram::new(3).expect("3 significant digits are allowed");
    for histogram in histograms {
        all.add(histogram).expect("it grows as far as needed");
    }
    all
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One stream, sent for a second at half the asked rate; what came back took a microsecond.
    pub(crate) fn outcome(sent: u64, received: u64) -> Outcome {
        let mut latency = Histogram::new(3).unwrap();
        latency.record_n(1000, received).unwrap();
        let stream = StreamOutcome {
            name: "all".to_owned(),
            stamped: true,
            sent,
            sent_bytes: sent * 64,
            received,
            received_bytes: received * 64,
            duplicates: 0,
            reordered: 0,
            furthest: 0,
            too_old: 0,
            latency,
        };
        Outcome {
            streams: vec![stream],
            elapsed: Duration::from_secs(1),
            asked_fps: Some(sent as f64 * 2.0),
            sent_wire_bits: sent * 672,
            received_wire_bits: received * 672,
            lateness: merged(std::iter::empty()),
            given_up: 0,
            port_full: 0,
            no_buffer: 0,
            other: 0,
            implausible: 0,
            receives: true,
            ended: Ended::Complete,
        }
    }

    #[test]
    fn loss_is_of_what_was_stamped() {
        let mut both = outcome(1000, 990);
        assert_eq!((both.lost(), both.loss()), (10, Some(0.01)));
        let plain = StreamOutcome { stamped: false, received: 0, ..both.streams[0].clone() };
        both.streams.push(plain);
        assert_eq!((both.sent(), both.lost(), both.loss()), (2000, 10, Some(0.01)));
        both.receives = false;
        assert_eq!((both.lost(), both.loss()), (0, None));
    }
}

//! `shared_rxq`: packets of an RX queue that several ports share are counted for the port each came
//! from, and freed.

use super::PortCounters;
use iogate::prelude::*;
use std::sync::Arc;

/// Counts and uses up.
pub(super) struct SharedRxq {
    pub(super) by_port: Arc<PortCounters>,
}

impl Stage for SharedRxq {
    #[inline]
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        // Packets of a port mostly follow each other.
        for run in batch.packets().chunk_by(|one, next| one.port() == next.port()) {
            self.by_port.add(run[0].port(), run.len() as u64);
        }
        cx.consume_all(batch);
    }
}

#[cfg(test)]
mod tests {
    use crate::forward::{Mode, testing::*};
    use iogate::pipeline::Totals;

    #[test]
    fn packets_are_counted_for_their_port() {
        let run = Rig::run_until(Mode::SharedRxq, &config(), &samples(), 0);
        let count = samples().len() as u64;
        assert_eq!(run.totals, Totals { received: count, consumed: count, ..Totals::default() });
        // Nobody writes the port of a packet from a ring, so it is what the sender's driver left there.
        let by_port = run.by_port.expect("this mode counts by port");
        assert_eq!((0..u16::MAX).map(|port| by_port.get(port)).sum::<u64>(), count);
    }
}

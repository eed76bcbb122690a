//! What is done for every batch, a thing at a time: for the micro-benchmarks, `cargo bench -p iogate-bench`.

use super::flows::{Decision, Flows};
use super::frame::Meta;
use super::glance::{self, Places};
use super::key::{Eye, FRONT};
use super::tables::Tables;
use crate::config::Config;
use iogate::memory::Mbuf;

/// What a worker has to look at frames with, as if they came from its first queue.
pub struct Primitives {
    tables: Tables,
    eye: Eye,
    flows: Flows,
}

impl Primitives {
    /// For a configuration. No flow is known.
    pub fn new(config: &Config) -> Self {
        let tables = Tables::new(config);
        let flows = Flows::new(tables.attachments.len(), &tables.classifier);
        Primitives { eye: Eye::new(&tables.classifier), flows, tables }
    }

    /// The quick look at a batch; returns how many frames take a closer one.
    pub fn glance(&self, packets: &[Mbuf], metas: &mut [Meta]) -> usize {
        glance::glance(Places::all(packets.len()), packets, metas, &self.tables.classifier).count()
    }

    /// The keys of frames and their hashes; returns the hashes' sum.
    pub fn hash(&self, packets: &[Mbuf]) -> u64 {
        const SEEDS: [u64; 4] = [3, 5, 7, 9];
        let Some(origin) = Eye::origin(0) else { return 0 };
        let fronts = packets.iter().filter_map(Mbuf::front::<FRONT>);
        fronts.map(|front| self.eye.look(front, origin).0.hash(&SEEDS)).fold(0, u64::wrapping_add)
    }

    /// Looks for the flows of a batch; returns how many are known.
    pub fn find(&mut self, packets: &[Mbuf]) -> usize {
        if !self.flows.look(packets, 0) {
            return 0;
        }
        self.flows.decisions().take(packets.len()).flatten().count()
    }

    /// Has the flows of a batch be known.
    pub fn learn(&mut self, packets: &[Mbuf]) {
        self.flows.look(packets, 0);
        for place in self.flows.rest(0, packets.len()) {
            self.flows.learn(place as u8, Decision { longest: u16::MAX, ..Decision::default() });
        }
        self.flows.keep();
    }
}

//! The rules of a port as they were given, and what they count.

use iogate::port::{FlowAction, FlowCount, FlowRule};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a rule counts. Each stream of a port may add to it.
#[derive(Debug, Default)]
pub(super) struct Hits {
    pub(super) packets: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// The rules of a port, as they were given.
#[derive(Default)]
pub(in crate::soft) struct Table {
    next: u32,
    pub(super) list: Vec<(u32, FlowRule, Arc<Hits>)>,
    /// Only what rules ask for is received.
    pub(in crate::soft) isolated: bool,
}

impl Table {
    /// Adds a rule that was validated; returns its number.
    pub(in crate::soft) fn add(&mut self, rule: &FlowRule) -> u32 {
        let number = self.next;
        self.next += 1;
        self.list.push((number, rule.clone(), Arc::default()));
        number
    }

    /// False when there is none of this number.
    pub(in crate::soft) fn remove(&mut self, number: u32) -> bool {
        let before = self.list.len();
        self.list.retain(|(known, ..)| *known != number);
        self.list.len() < before
    }

    pub(in crate::soft) fn clear(&mut self) {
        *self = Table { isolated: self.isolated, ..Table::default() };
    }

    /// What a rule counted; nothing when there is none of this number.
    pub(in crate::soft) fn count(&self, number: u32) -> Option<FlowCount> {
        let (_, rule, hits) = self.list.iter().find(|(known, ..)| *known == number)?;
        let counts = rule.actions.contains(&FlowAction::Count);
        let read = |count: &AtomicU64| counts.then(|| count.load(Ordering::Relaxed));
        Some(FlowCount { hits: read(&hits.packets), bytes: read(&hits.bytes) })
    }
}

//! Forwarding: streams on cores, started and stopped.

mod observe;
mod report;
mod run;
mod stream;
mod topology;

pub(crate) use observe::{Wanted, latency};
pub(crate) use report::{Counts, PortCounts, StageCounts, StreamCounts, show};
pub(crate) use run::{Running, start, stop};
pub(crate) use topology::{Link, Plan, plan};

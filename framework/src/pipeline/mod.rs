//! What happens to a batch between the queue it came from and the doors it leaves by.
//!
//! A [`Stage`] sees a whole batch at once. Stages are composed statically with [`chain`]; a boxed
//! stage is a stage too. Metadata of a type of the application's choice travels beside each packet.
//!
//! A packet leaves by exactly one door: a port ([`Outlet`]), a consumer ([`Context::consume`]), or a
//! drop with exactly one [`DropReason`] ([`Context::drop`]). So received + generated + relayed =
//! sent + consumed + dropped + pending, which [`Totals::balanced`] tells.
//!
//! ```
//! # fn main() -> anyhow::Result<()> {
//! use iogate::packet::Ethernet;
//! use iogate::prelude::*;
//!
//! const NOT_FOR_US: DropReason = DropReason::app(0);
//!
//! struct OnlyFor(MacAddr);
//!
//! impl Stage for OnlyFor {
//!     fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
//!         cx.drop_if(batch, |packet, _| match packet.header::<Ethernet>() {
//!             Ok(ethernet) if ethernet.dst() == self.0 => None,
//!             _ => Some(NOT_FOR_US),
//!         });
//!     }
//! }
//!
//! let eal = Eal::builder().memory_mb(64).start()?;
//! let pool = eal.pool("example").buffers(1024).create()?;
//! let port = eal.port(&"null".parse()?).pool(&pool).start()?;
//! let mut pipeline = chain(OnlyFor("02:00:00:00:00:01".parse()?)).send(port.tx(0)?);
//! let mut cx = Context::new(1);
//! let mut batch = Batch::new();
//! port.rx(0)?.receive(&mut batch);
//! pipeline.run(&mut batch, &mut cx);
//! assert_eq!(cx.source_counters(0).drops().packets(NOT_FOR_US), 32);
//! # Ok(())
//! # }
//! ```

mod chain;
mod context;
mod drops;
mod finish;
mod outlet;

pub use chain::{Branch, Chain, Measured, Pair, Send, chain};
pub(crate) use context::Flow;
pub use context::{Context, SourceCounters};
pub use drops::{DropCounters, DropReason};
pub use finish::longest_frame;
pub use outlet::{Outlet, OutletCounters};

use crate::memory::Batch;
use crate::telemetry::StageStats;
use std::sync::Arc;

/// One step of a pipeline.
///
/// `M` is the metadata that travels with each packet.
pub trait Stage<M: Copy + Default = ()>: std::marker::Send {
    /// Works on a batch. Packets still in it afterwards go on to the next stage; after the last one
    /// they are dropped as [`DropReason::UNROUTED`].
    fn run(&mut self, batch: &mut Batch<M>, cx: &mut Context);

    /// Called once a round, before the queues are polled: adds packets that the stage makes itself to
    /// the batch, as far as that has room, and counts them with [`Context::generated`]. The following
    /// stages run on them as on received ones.
    fn generate(&mut self, _batch: &mut Batch<M>, _cx: &mut Context) {}

    /// Called once a round, after every queue was polled: sends what is still held back.
    fn flush(&mut self, _cx: &mut Context) {}

    /// Called when the worker stops, before [`finish`](Stage::finish), until nothing comes of it any more: adds packets
    /// that the stage holds for a later round, as [`generate`](Stage::generate) does.
    fn drain(&mut self, _batch: &mut Batch<M>, _cx: &mut Context) {}

    /// Called when the worker stops, and again when all others have, which may still have handed
    /// packets over: gives up what cannot be sent any more.
    fn finish(&mut self) {}

    /// The name in `show runtime`. Default: the type's.
    fn name(&self) -> &'static str {
        let name = std::any::type_name::<Self>();
        let name = name.split_once('<').map_or(name, |(name, _)| name);
        name.rsplit("::").next().unwrap_or(name)
    }

    /// Adds what can be read of it while it runs.
    fn describe(&self, _description: &mut Description) {}
}

impl<M: Copy + Default, S: Stage<M> + ?Sized> Stage<M> for Box<S> {
    fn run(&mut self, batch: &mut Batch<M>, cx: &mut Context) {
        (**self).run(batch, cx);
    }

    fn generate(&mut self, batch: &mut Batch<M>, cx: &mut Context) {
        (**self).generate(batch, cx);
    }

    fn flush(&mut self, cx: &mut Context) {
        (**self).flush(cx);
    }

    fn drain(&mut self, batch: &mut Batch<M>, cx: &mut Context) {
        (**self).drain(batch, cx);
    }

    fn finish(&mut self) {
        (**self).finish();
    }

    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn describe(&self, description: &mut Description) {
        (**self).describe(description);
    }
}

/// What can be read of a pipeline while it runs.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// Its stages, in order.
    pub stages: Vec<Arc<StageStats>>,
    /// Its ways out.
    pub outlets: Vec<Arc<OutletCounters>>,
}

/// Where the packets of a pipeline went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Received from ports.
    pub received: u64,
    /// Made by stages: copies, replies, traffic.
    pub generated: u64,
    /// Taken over from other workers, which counted them as sent.
    pub relayed: u64,
    /// Taken by ports, or by the worker that sends to a port.
    pub sent: u64,
    /// Kept or used up by stages.
    pub consumed: u64,
    /// Dropped, each with a reason.
    pub dropped: u64,
    /// Waiting in outlets.
    pub pending: u64,
}

impl Totals {
    /// Whether every packet is accounted for.
    pub fn balanced(&self) -> bool {
        self.received + self.generated + self.relayed == self.sent + self.consumed + self.dropped + self.pending
    }

    /// Packets that ports took: those that one worker handed to another count once.
    pub fn sent_by_ports(&self) -> u64 {
        self.sent.saturating_sub(self.relayed)
    }

    /// Sums of both.
    pub fn plus(self, other: Totals) -> Totals {
        Totals {
            received: self.received + other.received,
            generated: self.generated + other.generated,
            relayed: self.relayed + other.relayed,
            sent: self.sent + other.sent,
            consumed: self.consumed + other.consumed,
            dropped: self.dropped + other.dropped,
            pending: self.pending + other.pending,
        }
    }
}

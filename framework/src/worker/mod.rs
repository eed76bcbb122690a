//! Workers: pinned threads that poll queues and run what arrives through a pipeline.
//!
//! A [`Topology`] chooses cores for queues, a [`Runtime`] holds the workers. Each gets a core, an [`Idle`] policy, and one or more groups of
//! RX queues with the pipeline for them. A [`Poller`] is the control side's handle on such a group:
//! it reads counters at any time, and runs closures on the worker between two batches, which is how
//! tables are swapped and queues added and removed without losing a packet.
//!
//! ```
//! # fn main() -> anyhow::Result<()> {
//! use iogate::prelude::*;
//!
//! let eal = Eal::builder().memory_mb(64).start()?;
//! let pool = eal.pool("example").buffers(2048).create()?;
//! let [a, b] = ["null", "null"].map(|spec| eal.port(&spec.parse().expect("a spec")).pool(&pool).start());
//! let (a, b) = (a?, b?);
//!
//! struct Count(u64);
//! impl Stage for Count {
//!     fn run(&mut self, batch: &mut Batch, _cx: &mut Context) {
//!         self.0 += batch.len() as u64;
//!     }
//! }
//!
//! let mut runtime = Runtime::new(&eal);
//! let core = iogate::worker::cores()[0];
//! let worker = runtime.worker(core)?;
//! let poller = worker.poll([a.rx(0)?], Count(0));
//! runtime.start()?;
//! let seen = poller.call(|poll| std::mem::take(&mut poll.stage_mut().0))?;
//! let totals = runtime.stop()?;
//! assert!(totals.balanced() && totals.received >= seen);
//! # Ok(())
//! # }
//! ```

mod idle;
mod mailbox;
mod placement;
mod poll;
mod runtime;

pub use idle::Idle;
pub use placement::{Cpu, Topology};
pub use poll::{Poll, Poller};
pub use runtime::{Runtime, Worker, WorkerStats, cores, signals};

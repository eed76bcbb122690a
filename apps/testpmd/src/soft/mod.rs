//! What a port of a virtual device does in software because no card does it for it: `--soft-offloads`.
//!
//! ```text
//!   RX queue of the device -> Rx:  too long? for us? our VLAN? checksums, rules, spreading, tags off
//!                                  -> stays on the stream
//!                                  -> ring of another RX queue -> Rx::take on the stream that has it
//!   mode -> Tx: checksums that no card computes, tags on -> TX queue of the device
//! ```
//!
//! [`Device`] stands around the framework's device: what commands ask and change, with what the device cannot done
//! and remembered here. A change makes a new program, which workers swap in between two batches; an [`Rx`] is made
//! only for streams that have something to do. An RX queue of the device is polled by one stream, and a ring of a
//! queue is emptied by one: whoever polls puts packets of other queues into their rings.
//!
//! One feature a file: `filter` (addresses), `vlan`, `checksum`, `spread` (RSS), `rules` (flow rules), `rings` (queues
//! that the device has not).

mod checksum;
mod counters;
mod device;
mod features;
mod filter;
mod headers;
mod rings;
mod rules;
mod rx;
mod split;
mod spread;
mod state;
mod vlan;

pub(crate) use counters::{Moved, QueueCounters};
pub(crate) use device::Device;
pub(crate) use features::BUFFER_SPLIT;
pub(crate) use rx::Rx;
pub(crate) use split::{LastHeader, Split};

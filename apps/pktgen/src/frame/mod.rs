//! Frames: what is in them, and how they differ from one to the next.
//!
//! A [`Stream`] says what its frames look like: [layers](Layer) of headers whose fields are fixed or
//! [vary](values::Values), [sizes](size::Sizes), payload. [`Traffic`] is what a worker sends of one or several streams:
//! for each frame an image is copied and the few bytes that differ are patched in, checksums included.

mod build;
pub mod catalogue;
mod layers;
mod plan;
pub mod size;
mod traffic;
pub mod values;

pub use layers::{Layer, MOST_LAYERS, check_order};
pub use traffic::{Chosen, Prepared, Traffic, wire_bits};

#[cfg(test)]
mod tests;

use size::Sizes;

/// Frames that belong together: they are counted, and their latency is measured, as one.
#[derive(Clone, Debug)]
pub struct Stream {
    /// What reports call it.
    pub name: String,
    /// How many of its frames are sent for those of the other streams.
    pub share: u32,
    /// What its frames are made from.
    pub source: Source,
    /// Whether frames end in a [`Stamp`](iogate::packet::Stamp), by which loss, order and latency are known. Nothing:
    /// when there is room for it in every size.
    pub stamp: Option<bool>,
}

impl Stream {
    /// Memory that its frames take, one of each size.
    fn image_bytes(&self) -> usize {
        match &self.source {
            Source::Layers { size, .. } => size.shares().iter().map(|(size, _)| usize::from(*size)).sum(),
            Source::Frames(frames) => frames.iter().map(Vec::len).sum(),
        }
    }
}

/// What frames are made from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Layers, the first one Ethernet.
    Layers {
        /// The headers, from the outside in.
        layers: Vec<Layer>,
        /// What stands behind them; cut off, or filled up with zeros, at the frame's size.
        payload: Vec<u8>,
        /// How long frames are.
        size: Sizes,
    },
    /// Frames as they are, without FCS, in turn.
    Frames(Vec<Vec<u8>>),
}

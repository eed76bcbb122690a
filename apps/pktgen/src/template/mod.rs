//! Templates: what is sent, written down.
//!
//! On one line ([`Template::line`]), as the command line has it, or in TOML ([`Template::parse`]):
//!
//! ```toml
//! seed = 7                          # decides what `random` gives; default 1
//!
//! [[stream]]
//! name = "dns"
//! share = 3                         # of every 4 frames; default 1
//! size = "64..128"                  # bytes with FCS; default 64
//! frame = "ethernet/ipv4,dst=10.0.0.1..10.0.3.255/udp,dst_port=53"
//!
//! [[stream]]
//! name = "web"
//! size = "imix"
//! stamp = false                     # default: true when there is room for it
//! payload = "GET / HTTP/1.1\r\n"    # or "hex:0a0b"
//! frame = [
//!   { header = "ethernet", src = "02:00:00:00:00:01" },
//!   { header = "ipv4", dst = "random:10.1.0.0..10.1.255.255", ttl = 9 },
//!   { header = "tcp", dst_port = [80, 443, 8080] },
//! ]
//! ```
//!
//! [`catalogue`](crate::frame::catalogue) has the headers and their fields, [`values`](crate::frame::values) the grammar
//! of values, [`size`](crate::frame::size) that of sizes. What a template does not set is right by itself: lengths,
//! checksums, and the type, protocol or port that announces the next header.

mod line;
pub(crate) mod problem;
pub(crate) mod read;

#[cfg(test)]
mod tests;

pub use problem::{Problem, Problems};

use crate::frame::Stream;
use crate::frame::size::Sizes;
use crate::frame::{Prepared, Source};
use problem::Sink;
use std::path::Path;

/// What is sent: streams of frames.
#[derive(Clone, Debug)]
pub struct Template {
    /// Decides what is random: the same seed gives the same frames.
    pub seed: u64,
    /// The streams, at least one.
    pub streams: Vec<Stream>,
}

/// The seed unless a template has one.
pub const DEFAULT_SEED: u64 = 1;
/// A template has no more streams.
pub const MOST_STREAMS: usize = 256;

impl Template {
    /// One stream of frames on one line, of these sizes.
    ///
    /// # Errors
    /// Everything that is wrong, with its column.
    pub fn line(frame: &str, size: &str) -> Result<Self, Problems> {
        let mut sink = Sink::new("--frame", frame);
        let layers = line::layers(frame, 0, &mut sink);
        let size = Sizes::parse(size).map_err(|error| {
            let mut sink = Sink::new("--size", size);
            sink.add(0, error);
            sink.finish(()).expect_err("a problem was added")
        });
        let layers = sink.finish(layers)?;
        let source = Source::Layers { layers, payload: Vec::new(), size: size? };
        let stream = Stream { name: "frames".to_owned(), share: 1, source, stamp: None };
        let template = Template { seed: DEFAULT_SEED, streams: vec![stream] };
        template.fits("--frame", frame)
    }

    /// Reads TOML; `origin` is what messages call the text.
    ///
    /// # Errors
    /// Everything that is wrong, with line and column.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Problems> {
        read::template(text, origin)
    }

    /// Reads a file of TOML.
    ///
    /// # Errors
    /// When it cannot be read, and as [`parse`](Template::parse).
    pub fn load(file: &Path) -> Result<Self, Problems> {
        let origin = file.display().to_string();
        match std::fs::read_to_string(file) {
            Ok(text) => Self::parse(&text, &origin),
            Err(error) => Err(Problems::of_file(file, format!("cannot be read: {error}"))),
        }
    }

    /// The storage mix that is built in: iSCSI, NVMe/TCP, FCoE and RoCE beside web and name service traffic.
    pub fn storage_mix() -> Self {
        Self::parse(STORAGE_MIX, "storage-mix.toml").unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The template, when its frames can be built.
    fn fits(self, origin: &str, text: &str) -> Result<Self, Problems> {
        let mut sink = Sink::new(origin, text);
        if let Err(error) = Prepared::new(&self) {
            sink.add(0, error);
        }
        sink.finish(self)
    }
}

/// The text of [`Template::storage_mix`].
pub const STORAGE_MIX: &str = include_str!("storage-mix.toml");

//! The gateway's unix socket: a line of JSON asks, a line of JSON answers.
//!
//! `{"schema":1,"show":"ports"}` is answered with a [`report`], `{"schema":1,"stop":true}` with
//! `{"stopping":true}` and the end of the connection once everything is closed; what cannot be
//! answered, with `{"error":"..."}`.

pub mod client;
mod collect;
pub mod report;
mod server;

pub use server::Server;

use serde::{Deserialize, Serialize};

/// Version of requests and reports.
pub const SCHEMA: u32 = 1;

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// Ports of links and uplinks: state and counters
    Ports,
    /// vNICs and vHBAs: state, packets and bytes both ways
    Vnics,
    /// Networks: active uplink, packets and bytes both ways
    Networks,
    /// Traffic classes: packets and bytes both ways
    Classes,
    /// Dropped frames by reason and port
    Drops,
    /// Workers: core, queues, how busy they are
    Workers,
    /// Stages of the pipeline: calls, packets, cycles
    Runtime,
}

/// A request. Exactly one of the two is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Asks for a report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show: Option<Topic>,
    /// Asks the gateway to stop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop: bool,
}

/// An answer that is no report.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// The gateway stops; the connection ends when it has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopping: bool,
    /// What is wrong with the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

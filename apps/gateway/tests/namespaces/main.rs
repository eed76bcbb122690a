//! The gateway between real interfaces, with tcpdump and tshark as the judges of what is on the wire.
//!
//! Every test makes network namespaces of its own (`scripts/topology`), sends frames or runs real clients, and ends with
//! the gateway's exit code 0 and its pool complete. They need root and what `scripts/setup --tests` installs; with
//! `IOGATE_SKIP_NAMESPACE_TESTS` set, they only say that they were skipped.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod drivers;
mod fabrics;
mod house;
mod refused;
mod restart;
mod switching;
mod tags;
mod topology;
mod uplinks;
mod vhost;
mod wire;

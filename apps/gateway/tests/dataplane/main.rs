//! What the gateway makes of frames, byte for byte, by the rules of "end-host mode".
#![forbid(unsafe_code)]

mod antispoof;
mod counting;
mod fabrics;
mod guests;
#[allow(dead_code, reason = "the other test uses the rest")]
mod harness;
mod logins;
mod odd_frames;
mod reasons;
mod replication;
mod storage;
mod switching;
mod tags;
mod uplinks;

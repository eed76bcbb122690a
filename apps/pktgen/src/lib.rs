//! Sends frames at an exact rate, and measures loss, latency and order of what comes back.
//!
//! ```text
//!   template --> frame::Prepared --> send::Sender ==> port ... device under test ... port ==> receive::Receiver
//!                 rate --> pace::Pacer ^                                                       v
//!                                        trial::Tester: begins, watches, ends  <---- outcome::Outcome
//! ```
//!
//! [`template`] says what is sent, [`frame`] makes it, [`rate`] and [`pace`] say when, [`trial`] runs it. A frame carries
//! a [`Stamp`](iogate::packet::Stamp) at the end of its payload; [`receive`] knows by it which frames came back, when,
//! and in which [order](sequence).
#![forbid(unsafe_code)]

pub mod capture;
pub mod frame;
pub mod limits;
pub mod outcome;
pub mod pace;
pub mod rate;
pub mod receive;
pub mod replay;
pub mod report;
pub mod rig;
pub mod scenario;
pub mod send;
pub mod sequence;
pub mod template;
pub mod time;
pub mod trial;

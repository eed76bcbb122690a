//! Polled-mode packet processing on the DPDK that the distribution ships.
//!
//! An application [starts EAL](eal::Eal), makes an [mbuf pool](memory::MbufPool), starts
//! [ports](port::Port), and gives each [worker](worker::Runtime) RX queues to poll and a
//! [pipeline] to run each batch through. A worker is one pinned thread that runs every
//! batch to completion; in its loop there is no lock, allocation, system call or log.
//!
//! Modules depend downwards only: [`worker`] on [`pipeline`], [`pipeline`] on [`port`], [`port`]
//! on [`memory`], [`memory`] on [`eal`], which names the others only to begin their builders.
//! [`packet`] stands on nothing, [`sriov`] on [`packet`] alone, and [`telemetry`] on the time-stamp counter.

// Unsafe code stands in the modules that call DPDK, and in no other.
#[allow(unsafe_code)]
pub mod eal;
#[allow(unsafe_code)]
mod error;
#[allow(unsafe_code)]
pub mod memory;
pub mod packet;
pub mod pipeline;
#[allow(unsafe_code)]
pub mod port;
pub mod prelude;
pub mod sriov;
#[allow(unsafe_code)]
pub mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
#[allow(unsafe_code)]
pub mod worker;

pub use error::{Errno, Error, Result};

//! What the tests of this crate and of applications stand on (feature `testkit`): one EAL for a
//! whole test process, ports with the test at the other end, frames by their layers, a check that
//! no buffer leaked, capture files, network namespaces, and machines with SR-IOV cards as trees of files.
//!
//! ```
//! use iogate::pipeline::{Context, Stage, chain};
//! use iogate::prelude::*;
//! use iogate::testkit::{Complete, FakePort, Frame, eal, mac};
//!
//! let pool = eal().pool("example").buffers(1024).create().unwrap();
//! let _complete = Complete::new(&pool);
//! let (mut a, mut b) = (FakePort::with_pool("a", &pool), FakePort::with_pool("b", &pool));
//!
//! let ping = Frame::ethernet(mac(1), mac(2)).vlan(10).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).icmp_echo(7, 1).build();
//! a.inject(&ping);
//!
//! let mut batch: Batch = Batch::new();
//! a.port.rx(0).unwrap().receive(&mut batch);
//! b.port.tx(0).unwrap().send(&mut batch);
//! assert_eq!(b.received(), [ping]);
//! ```
#![forbid(unsafe_code)]

mod capture;
mod fake_port;
mod frame;
mod kernel;
mod log;
mod namespace;
mod offload;
mod sriov;
mod storage;

pub use capture::{read_pcap, write_pcap};
pub use fake_port::FakePort;
pub use frame::{Frame, mac};
pub use kernel::FakeKernel;
pub use log::warnings;
pub use namespace::{in_namespace, sh, skip};
pub use offload::ask_card;
pub use sriov::{Card, FakeHost};

use crate::eal::{Eal, HugePages};
use crate::memory::MbufPool;
use std::sync::OnceLock;

/// The EAL of this test process: 256 MiB of plain pages, started by whoever asks first.
///
/// # Panics
/// When it does not start.
pub fn eal() -> &'static Eal {
    static EAL: OnceLock<Eal> = OnceLock::new();
    EAL.get_or_init(|| {
        log::collect();
        let builder = Eal::builder().memory_mb(256).huge_pages(HugePages::Never);
        builder.start().unwrap_or_else(|error| panic!("{error}"))
    })
}

/// A pool of the test's EAL.
///
/// # Panics
/// When there is no memory for it.
pub fn pool(name: &str, buffers: u32) -> MbufPool {
    eal().pool(name).buffers(buffers).create().unwrap_or_else(|error| panic!("{error}"))
}

/// Panics when it is dropped while buffers of its pool are out, and says how many.
///
/// Make it right after the pool, so that everything that holds buffers is dropped before it.
#[derive(Debug)]
pub struct Complete(MbufPool);

impl Complete {
    /// Watches over a pool.
    pub fn new(pool: &MbufPool) -> Self {
        Complete(pool.clone())
    }
}

impl Drop for Complete {
    fn drop(&mut self) {
        let missing = self.0.in_use();
        if missing > 0 && !std::thread::panicking() {
            panic!("pool \"{}\": {missing} of {} buffers are missing", self.0.name(), self.0.size());
        }
    }
}

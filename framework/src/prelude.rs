//! What most applications use: `use iogate::prelude::*;`.

pub use crate::eal::{Eal, EalArgs, HugePages};
pub use crate::memory::{BURST, Batch, Mbuf, MbufPool, SharedMbuf};
pub use crate::packet::{Header, MacAddr};
pub use crate::pipeline::{Context, DropReason, Outlet, Stage, chain};
pub use crate::port::{Device, Port, PortConfig, PortSpec, RxQueue, TxQueue};
pub use crate::worker::{Idle, Poller, Runtime, signals};

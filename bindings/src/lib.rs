//! Raw bindings to the DPDK that the distribution ships (22.11 to 24.11), found through pkg-config.
//!
//! Four parts: functions and structures that bindgen takes from DPDK's headers, an allowlist of
//! them; a C shim for `static inline` functions (`shim_*`); the two of those that every burst goes
//! through, [`rte_eth_rx_burst`] and [`rte_eth_tx_burst`], in Rust; and [`rte_mbuf`], whose fields are
//! read directly and whose layout `shim.c` asserts.
//!
//! Everything here is as unsafe as DPDK itself. The safe library is the crate `iogate`.

#![allow(unsafe_code, reason = "the bindings themselves")]

mod burst;
mod mbuf;
pub use burst::{rte_eth_rx_burst, rte_eth_tx_burst};
pub use mbuf::rte_mbuf;

#[allow(missing_docs, non_camel_case_types, non_snake_case, non_upper_case_globals, unreachable_pub)]
#[allow(unsafe_op_in_unsafe_fn, clippy::all, clippy::undocumented_unsafe_blocks)]
mod ffi {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}
pub use ffi::*;

/// The DPDK release these bindings were built against, as (year, month, stable release).
pub const BUILT_AGAINST: (u32, u32, u32) = (RTE_VER_YEAR, RTE_VER_MONTH, RTE_VER_MINOR);

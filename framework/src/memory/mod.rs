//! Packet buffers: the pool they come from, the buffer itself, and the batch that stages work on.
//!
//! An [`Mbuf`] owns its buffer: it is not `Clone`, may go to another thread, and goes back to its
//! pool when it is dropped. A [`Batch`] owns up to 32 of them, with typed metadata beside each, and
//! gives them back in one call. A [`SharedMbuf`] is one buffer with several owners that can be read
//! and sent but not changed: how one frame goes to many ports.
//!
//! ```
//! # fn main() -> iogate::Result<()> {
//! use iogate::prelude::*;
//!
//! let eal = Eal::builder().memory_mb(64).start()?;
//! let pool = eal.pool("example").buffers(1024).create()?;
//! let mut frame = pool.alloc().expect("a new pool has buffers");
//! frame.append(60).expect("room").fill(0xff);
//! assert_eq!((frame.len(), pool.in_use()), (60, 1));
//! drop(frame);
//! assert_eq!(pool.in_use(), 0);
//! # Ok(())
//! # }
//! ```

mod batch;
mod gro;
mod huge;
mod mbuf;
mod notes;
mod offload;
mod pool;

pub use batch::{BURST, Batch};
pub use gro::Gro;
pub use huge::prefer_huge_pages;
pub use mbuf::{Mbuf, SharedMbuf};
pub use offload::HeaderLengths;
pub(crate) use offload::outermost;
pub use pool::{MbufPool, PoolBuilder};

/// Brings the start of something closer that will be looked at soon: for what all packets of a batch
/// need, before the first is worked on.
#[inline]
pub fn prefetch<T: ?Sized>(place: &T) {
    prefetch_at(std::ptr::from_ref(place).cast());
}

#[inline]
fn prefetch_at(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing for the program, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(place.cast());
    }
}

//! The guest of a vhost port.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is known of the guest; all 0 while there is none. Written by vhost's threads, laid out as `shim_guest`.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Guest {
    /// `VIRTIO_NET_F_*` as agreed.
    features: AtomicU64,
    /// Bit n: it takes packets from TX queue n.
    tx_queues: AtomicU64,
}

const _: () = assert!(size_of::<Guest>() == size_of::<dpdk_sys::shim_guest>());

/// `VIRTIO_NET_F_GUEST_CSUM`, `_GUEST_TSO4`, `_GUEST_TSO6`: it takes unfinished checksums, and uncut TCP of IPv4 and IPv6.
const UNCUT: u64 = 1 << 1 | 1 << 7 | 1 << 8;

impl Guest {
    fn raw(&self) -> *mut dpdk_sys::shim_guest {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// Follows the guests of a port from now on.
    pub(super) fn watch(&self, port: u16) {
        // SAFETY: atomic numbers, which live until `ignore`, which their owner calls before it goes.
        let result = unsafe { dpdk_sys::shim_vhost_watch(port, self.raw()) };
        if result != 0 {
            tracing::warn!(
                "port {port}: cannot follow its guests ({result}); they are sent nothing uncut, on one queue"
            );
        }
    }

    /// Ends what `watch` began.
    pub(super) fn ignore(&self, port: u16) {
        // SAFETY: as given to `watch`; what was not watched is ignored.
        unsafe { dpdk_sys::shim_vhost_ignore(port, self.raw()) };
    }

    /// Asks now.
    pub(super) fn read(&self, port: u16) {
        // SAFETY: the port is open; the numbers are written atomically.
        unsafe { dpdk_sys::shim_vhost_read(port, self.raw()) };
    }

    /// Whether it takes TCP packets uncut.
    #[inline]
    pub(super) fn takes_uncut(&self) -> bool {
        self.features.load(Ordering::Relaxed) & UNCUT == UNCUT
    }

    /// Whether it takes packets from a TX queue.
    #[inline]
    pub(super) fn uses(&self, queue: u16) -> bool {
        self.tx_queues.load(Ordering::Relaxed) >> (queue & 63) & 1 != 0
    }
}

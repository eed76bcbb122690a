//! The guest of a vhost port.

use std::sync::atomic::{AtomicU64, Ordering};

/// `VIRTIO_NET_F_*` as agreed with the guest; 0 while there is none. Written by vhost's thread.
#[derive(Debug, Default)]
pub(super) struct GuestFeatures(AtomicU64);

/// `VIRTIO_NET_F_GUEST_CSUM`, `_GUEST_TSO4`, `_GUEST_TSO6`: it takes unfinished checksums, and uncut TCP of IPv4 and IPv6.
const UNCUT: u64 = 1 << 1 | 1 << 7 | 1 << 8;

impl GuestFeatures {
    /// Follows the guests of a port from now on.
    pub(super) fn watch(&self, port: u16) {
        // SAFETY: the number lives until `ignore`, which its owner calls before it goes.
        let result = unsafe { dpdk_sys::shim_vhost_watch(port, self.0.as_ptr()) };
        if result != 0 {
            tracing::warn!("port {port}: cannot follow its guests ({result}); they are sent nothing uncut");
        }
    }

    /// Ends what `watch` began.
    pub(super) fn ignore(&self, port: u16) {
        // SAFETY: as given to `watch`; what was not watched is ignored.
        unsafe { dpdk_sys::shim_vhost_ignore(port, self.0.as_ptr()) };
    }

    /// Asks now.
    pub(super) fn read(&self, port: u16) {
        // SAFETY: the port is open.
        self.0.store(unsafe { dpdk_sys::shim_vhost_features(port) }, Ordering::Relaxed);
    }

    /// Whether it takes TCP packets uncut.
    #[inline]
    pub(super) fn takes_uncut(&self) -> bool {
        self.0.load(Ordering::Relaxed) & UNCUT == UNCUT
    }
}

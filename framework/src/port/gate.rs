//! Keeps those who read a device away from it while it is restarted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Readers come in one at a time, as drivers ask their cards through one mailbox; none does, nor waits, while the
/// gate is closed.
#[derive(Debug, Default)]
pub(super) struct Gate {
    closed: AtomicBool,
    inside: Mutex<()>,
}

impl Gate {
    /// Lets a reader in; nothing while the gate is closed.
    pub(super) fn enter(&self) -> Option<MutexGuard<'_, ()>> {
        let open = || !self.closed.load(Ordering::SeqCst);
        // The second look is for one that was closed while this one waited.
        if open() { Some(self.wait()).filter(|_| open()) } else { None }
    }

    /// Does something alone. For one at a time.
    pub(super) fn closed<T>(&self, work: impl FnOnce() -> T) -> T {
        self.closed.store(true, Ordering::SeqCst);
        drop(self.wait());
        let result = work();
        self.closed.store(false, Ordering::SeqCst);
        result
    }

    fn wait(&self) -> MutexGuard<'_, ()> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_inside_is_waited_for_and_nobody_comes_in_meanwhile() {
        let (gate, working) = (Gate::default(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let inside = gate.enter().expect("it is open");
            let worker = scope.spawn(|| {
                gate.closed(|| {
                    working.store(true, Ordering::SeqCst);
                    assert!(gate.enter().is_none(), "it is closed");
                });
            });
            while !gate.closed.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            assert!(!working.load(Ordering::SeqCst), "somebody is inside");
            drop(inside);
            worker.join().unwrap();
        });
        assert!(working.into_inner() && gate.enter().is_some(), "it is open again");
    }
}

//! Restarts ports on virtual functions that have died, while all others go on.

use super::{State, ports, receive};
use crate::config::model::PortRef;
use anyhow::Result;
use iogate::pipeline::DropReason;
use iogate::port::Restart;
use iogate::sriov::{Ailment, Host, IommuFaults, PciAddress, VfSigns, Watchdog};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The thread that watches.
pub(super) struct Watch {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch; does not where no port is on a virtual function, or nobody wants it.
    ///
    /// # Errors
    /// When the system makes no thread.
    pub(super) fn start(state: &Arc<State>) -> Result<Option<Watch>> {
        let roles = state.config.ports().map(|(role, ..)| role).enumerate();
        let watched: Vec<_> = roles.filter(|(at, _)| ports::is_vf(state.ports[*at].spec())).collect();
        let Some(model) = state.config.gateway.watchdog.filter(|_| !watched.is_empty()) else { return Ok(None) };
        let mut patients: Vec<_> = watched
            .into_iter()
            .map(|(at, role)| Patient { at, role, dog: Watchdog::new(model.patience), failed: false, gone: false })
            .collect();
        // Not in most containers; a device that the IOMMU has stopped shows otherwise there.
        let mut faults = IommuFaults::follow(Path::new("/dev/kmsg")).ok();
        let state = state.clone();
        let look = move || {
            let faulty = faults.as_mut().map(IommuFaults::take).unwrap_or_default();
            patients.iter_mut().for_each(|patient| patient.look(&state, &faulty));
        };
        Ok(Some(Watch::every(model.interval, look)?))
    }

    /// Looks every so often, until it is dropped, which does not wait for the next time.
    fn every(interval: Duration, mut look: impl FnMut() + Send + 'static) -> io::Result<Watch> {
        let end = Arc::new(AtomicBool::new(false));
        let ended = end.clone();
        let watch = move || {
            while !ended.load(Ordering::Relaxed) {
                look();
                // To look may have taken the wake-up call for its own.
                if !ended.load(Ordering::Relaxed) {
                    std::thread::park_timeout(interval);
                }
            }
        };
        let thread = std::thread::Builder::new().name("iogate-watchdog".into()).spawn(watch)?;
        Ok(Watch { end, thread: Some(thread) })
    }
}

impl Drop for Watch {
    /// Ends it; to be done before the workers end, which it talks to.
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.end.store(true, Ordering::Relaxed);
        thread.thread().unpark();
        if thread.join().is_err() {
            tracing::error!("the watchdog panicked");
        }
    }
}

/// A port that is watched.
struct Patient {
    /// Position among all ports.
    at: usize,
    role: PortRef,
    dog: Watchdog,
    /// The last restart did not go well.
    failed: bool,
    gone: bool,
}

impl Patient {
    fn look(&mut self, state: &State, faulty: &BTreeSet<PciAddress>) {
        if self.gone {
            return;
        }
        let port = &state.ports[self.at];
        let (reset_asked, gone) = port.take_events();
        let name = state.config.describe(self.role);
        if gone {
            tracing::error!("{name}: its device is gone; make it again, and restart the gateway");
            self.gone = true;
            return;
        }
        let host = Host::local();
        let outlets = || state.workers.iter().filter_map(|worker| worker.poller.outlets().get(self.at).cloned());
        let address = port.spec().pci(&host);
        let signs = VfSigns {
            link: port.link().is_ok_and(|link| link.up),
            pf: address.and_then(|vf| host.pf_link(vf)),
            sent: outlets().map(|outlet| outlet.sent()).sum(),
            refused: outlets().map(|outlet| outlet.drops().packets(DropReason::TX_FULL)).sum(),
            reset_asked,
            faulted: address.is_some_and(|vf| faulty.contains(&vf)),
        };
        let Some(ailment) = self.dog.look(Instant::now(), signs) else { return };
        let how = if matches!(ailment, Ailment::ResetAsked | Ailment::Faulted) || self.failed {
            Restart::Reset
        } else {
            Restart::Plain
        };
        let begun = Instant::now();
        let outcome = restart(state, self.at, self.role, how);
        self.failed = outcome.is_err();
        self.dog.restarted(Instant::now(), ailment, outcome.is_ok());
        match outcome {
            Ok(()) => {
                state.restarts[self.at].fetch_add(1, Ordering::Relaxed);
                tracing::warn!("{name}: restarted in {} ms, since {ailment}", begun.elapsed().as_millis());
            }
            Err(error) => tracing::error!("{name}: {ailment}, and it cannot be restarted: {error:#}"),
        }
    }
}

/// Restarts a port: no worker touches it meanwhile, and none of them waits for it. When that fails, they go
/// on without it.
fn restart(state: &State, at: usize, role: PortRef, how: Restart) -> Result<()> {
    let port = &state.ports[at];
    // What is shown meanwhile.
    state.stats(at);
    rest(state, at, true)?;
    port.restart(how)?;
    state.receptions[at].tell(&**port, &state.config.describe(role));
    receive::repeat_logins(state, at);
    rest(state, at, false)
}

/// Has every worker let a port alone, or use it again.
fn rest(state: &State, at: usize, on: bool) -> Result<()> {
    let id = state.ports[at].id();
    for worker in &state.workers {
        worker.poller.call(move |poll| {
            poll.stage_mut().rest(at, on);
            poll.rest(id, on)
        })??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn it_ends_before_it_would_look_again() {
        let (looked, looks) = mpsc::channel();
        // The test would not end else.
        let watch = Watch::every(Duration::from_secs(100 * 24 * 3600), move || looked.send(()).unwrap()).unwrap();
        looks.recv().unwrap();
        drop(watch);
        assert!(looks.recv().is_err(), "and looks no more");
    }
}

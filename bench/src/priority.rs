//! Keeping the cores for a measurement that cannot do without them for a moment.

use rustix::process::{Pid, Signal, set_parent_process_death_signal, setpriority_process, setsid};

/// Gives this process, which another one waits for, precedence over all that does not ask for it, as far as it may.
///
/// Where processes are scheduled by session, the precedence is the session's, so this one gets its own; it ends with its
/// parent all the same.
pub(crate) fn raise() {
    const HIGHEST: i32 = -20;
    let done = set_parent_process_death_signal(Some(Signal::TERM)).and_then(|()| setsid()).is_ok();
    let grouped = !done || std::fs::write("/proc/self/autogroup", HIGHEST.to_string()).is_ok();
    if setpriority_process(None::<Pid>, HIGHEST).is_err() || !grouped {
        crate::say("without root this cannot take precedence over others on its cores, so what they do shows");
    }
}

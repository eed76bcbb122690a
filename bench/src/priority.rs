//! Keeping the cores for a measurement that cannot do without them for a moment.

use rustix::process::{Pid, Signal, set_parent_process_death_signal, setpriority_process, setsid};
use std::io;

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

/// Of threads that spin, in real time.
pub(crate) const SPINNING: u8 = 1;
/// Of the one that ends them: threads of real time do not give way to their like.
pub(crate) const ABOVE: u8 = 2;

/// Has the calling thread run in real time from now on, but none that it starts: nothing that does not takes its core away, as
/// nothing does from a core that is kept for packets. A thread that spins leaves its core next to nothing else to do.
pub(crate) fn in_real_time(priority: u8) -> io::Result<()> {
    let param = libc::sched_param { sched_priority: priority.into() };
    // SAFETY: reads one number, and changes how the calling thread is scheduled.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &param) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

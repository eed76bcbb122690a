//! Processor time of a process: unlike the time of day it stands still while others have the core.

use std::io;
use std::time::Duration;

/// The processor time that all threads of a process have had.
pub(crate) fn cpu_time(process: u32) -> io::Result<Duration> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one clock number.
    let result = unsafe { libc::clock_getcpuclockid(process.cast_signed(), &mut clock) };
    if result != 0 {
        return Err(io::Error::from_raw_os_error(result));
    }
    // SAFETY: writes one time.
    if unsafe { libc::clock_gettime(clock, &mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_there_has_a_time_and_another_has_none() {
        assert!(cpu_time(std::process::id()).is_ok());
        // Linux numbers processes up to 2^22.
        assert!(cpu_time((1 << 22) + 1).is_err());
    }
}

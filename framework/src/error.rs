//! What can go wrong outside the data path, each with what to do about it.

use crate::port::PortSpec;
use std::ffi::CStr;
use std::fmt;

/// The result of a framework call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed framework call: what, where, why and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The libdpdk that was loaded is of another release than the one built against.
    #[error(
        "built against DPDK {built}, but the libdpdk loaded at start is {running}: rebuild iogate, or install the \
         libdpdk it was built with"
    )]
    Version {
        /// Release at build time, `year.month`.
        built: String,
        /// What `rte_version()` says.
        running: String,
    },
    /// EAL starts once in the life of a process, also when it was stopped in between.
    #[error("EAL was started in this process already: keep one `Eal` and clone the handle")]
    AlreadyStarted,
    /// More memory was asked for than there is, which EAL would take long to find out.
    #[error("{wanted_mb} MiB of memory asked for, and the machine has {most_mb}: ask for less")]
    Memory {
        /// Memory asked for, MiB.
        wanted_mb: u32,
        /// Memory of the machine, MiB.
        most_mb: u32,
    },
    /// EAL opens every virtual function with the same token.
    #[error("EAL takes one VF token, a UUID, and these are given: {tokens}; give all functions' PFs the same one")]
    VfToken {
        /// The tokens.
        tokens: String,
    },
    /// `rte_eal_init` failed.
    #[error("EAL did not start ({cause}) with the arguments `{arguments}`: its own message stands above")]
    Eal {
        /// What was passed to it.
        arguments: String,
        /// Its error.
        cause: Errno,
    },
    /// A pool could not be made.
    #[error(
        "pool \"{pool}\": {wanted_kib} KiB wanted for {buffers} buffers of {data_room} bytes, the largest free piece \
         is {free_kib} KiB ({cause}): {hint}"
    )]
    Pool {
        /// The pool's name.
        pool: String,
        /// Buffers asked for.
        buffers: u32,
        /// Data room of a buffer, headroom included, bytes.
        data_room: u16,
        /// Memory that takes, KiB.
        wanted_kib: u64,
        /// The largest free block of EAL's heap, KiB.
        free_kib: u64,
        /// DPDK's error.
        cause: Errno,
        /// How to get the memory.
        hint: String,
    },
    /// Something about a port.
    #[error("port {port}: {what}{}", Why(.cause, .hint))]
    Port {
        /// The port as the user named it.
        port: String,
        /// What was tried.
        what: String,
        /// DPDK's error, when it gave one.
        cause: Option<Errno>,
        /// What to do, possibly empty.
        hint: String,
    },
    /// A ring between two workers could not be made.
    #[error("ring \"{ring}\" of {slots} slots: {cause}; ask for more memory or fewer slots")]
    Ring {
        /// The ring's name.
        ring: String,
        /// Its size, mbufs.
        slots: u32,
        /// DPDK's error.
        cause: Errno,
    },
    /// There is no memory for packets that are to be put together.
    #[error(
        "no memory to put {packets} packets of each of {connections} connections together: ask for more, or for less"
    )]
    Gro {
        /// Connections at a time.
        connections: u16,
        /// Packets of each.
        packets: u16,
    },
    /// Two workers were placed on one core.
    #[error("core {core} has a worker already: place this one elsewhere, or allow sharing explicitly")]
    CoreTaken {
        /// The core's number.
        core: usize,
    },
    /// The core does not exist, or the process may not run there.
    #[error("core {core} is not among those this process may run on ({allowed})")]
    NoSuchCore {
        /// The core's number.
        core: usize,
        /// The cores there are.
        allowed: String,
    },
    /// A worker's thread ended by a panic; its ports are stopped.
    #[error("worker on core {core} panicked: {message}")]
    Panicked {
        /// Where it ran.
        core: usize,
        /// The panic's message.
        message: String,
    },
    /// A worker does not run (any more), so it can take no message.
    #[error("the worker has stopped")]
    Stopped,
    /// A thread could not be made.
    #[error("worker thread on core {core}: {cause}")]
    Thread {
        /// Where it was to run.
        core: usize,
        /// The system's error.
        cause: std::io::Error,
    },
}

impl Error {
    /// The number that DPDK or the system gave, if any.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Error::Eal { cause, .. } | Error::Pool { cause, .. } | Error::Ring { cause, .. } => Some(*cause),
            Error::Port { cause, .. } => *cause,
            _ => None,
        }
    }

    pub(crate) fn port(spec: &PortSpec, what: impl Into<String>, code: i32, hint: impl Into<String>) -> Self {
        Error::Port {
            port: spec.to_string(),
            what: what.into(),
            // Some functions fail without saying why.
            cause: Some(Errno::from_code(code)).filter(|cause| cause.0 != 0),
            hint: hint.into(),
        }
    }

    /// For a function that fails with a negative error number and nothing else.
    pub(crate) fn port_failed(spec: &PortSpec, what: impl Into<String>, code: i32) -> Self {
        let cause = Some(Errno(code.saturating_abs()));
        Error::Port { port: spec.to_string(), what: what.into(), cause, hint: String::new() }
    }

    pub(crate) fn port_refused(spec: &PortSpec, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Port { port: spec.to_string(), what: what.into(), cause: None, hint: hint.into() }
    }
}

struct Why<'a>(&'a Option<Errno>, &'a str);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cause) = self.0 {
            write!(f, ": {cause}")?;
        }
        if !self.1.is_empty() {
            write!(f, "; {}", self.1)?;
        }
        Ok(())
    }
}

/// An error number of the system or of DPDK, positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// The error in words.
    pub fn text(self) -> String {
        // SAFETY: returns a NUL-terminated text that stays as it is until this thread's next call.
        unsafe { CStr::from_ptr(dpdk_sys::rte_strerror(self.0)) }.to_string_lossy().into_owned()
    }

    /// From what a DPDK function returned: a negative error, or -1 and `rte_errno`.
    pub(crate) fn from_code(code: i32) -> Self {
        if code < -1 { Errno(-code) } else { Errno::last() }
    }

    pub(crate) fn last() -> Self {
        // SAFETY: reads a thread-local number.
        Errno(unsafe { dpdk_sys::shim_errno() })
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (errno {})", self.text(), self.0)
    }
}

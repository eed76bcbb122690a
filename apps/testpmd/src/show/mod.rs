//! What `show` shows, in the original's words.

pub(crate) mod config;
pub(crate) mod json;
pub(crate) mod latency;
pub(crate) mod port_info;
pub(crate) mod port_stats;
pub(crate) mod rss;

pub(crate) use port_info::upper;

/// What went wrong, in the system's words.
pub(crate) fn cause(error: &iogate::Error) -> String {
    error.errno().map_or_else(|| error.to_string(), |errno| errno.text())
}

/// What went wrong, as the negative number that DPDK's functions return.
pub(crate) fn code(error: &iogate::Error) -> i32 {
    error.errno().map_or(-22, |errno| -errno.0)
}

//! Sockets of vhost-user and virtio-user.

use super::{PortKind, PortSpec};
use crate::error::{Error, Result};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;

/// Makes way for the socket that a port is to listen on: removes one that a process which was killed has
/// left behind. Refuses where anything else is there, which DPDK would remove in failing.
pub(super) fn make_way(spec: &PortSpec) -> Result<()> {
    let listens = match spec.kind() {
        PortKind::Vhost => !spec.has_option("client", "1"),
        PortKind::VirtioUser => spec.has_option("server", "1"),
        _ => false,
    };
    let path = spec.target();
    let Some(about) = fs::symlink_metadata(path).ok().filter(|_| listens) else { return Ok(()) };
    let refuse = |what: String, hint: &str| Err(Error::port_refused(spec, what, hint));
    if !about.file_type().is_socket() {
        return refuse(format!("{path} is there, and is no socket"), "choose another path");
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => match fs::remove_file(path) {
            Ok(()) => Ok(()),
            Err(error) => refuse(format!("cannot remove {path}, which nobody listens on: {error}"), "remove it"),
        },
        _ => refuse(format!("{path} is in use"), "one process listens on a socket"),
    }
}

//! The kernel's interfaces, of the network namespace that this process is in.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// The MTU of an interface, bytes.
///
/// # Errors
/// When there is no such interface.
///
/// ```
/// assert!(iogate::port::interface_mtu("lo").is_ok_and(|mtu| mtu > 1000));
/// assert!(iogate::port::interface_mtu("nosuchinterface").is_err());
/// ```
pub fn interface_mtu(name: &str) -> io::Result<u32> {
    let request = control(name, libc::SIOCGIFMTU, 0)?;
    // SAFETY: the call filled in the MTU.
    Ok(unsafe { request.ifr_ifru.ifru_mtu }.max(0) as u32)
}

/// Changes the MTU of an interface, bytes.
///
/// # Errors
/// When there is no such interface, it does not take that MTU, or this process may not (CAP_NET_ADMIN).
pub fn set_interface_mtu(name: &str, bytes: u32) -> io::Result<()> {
    let bytes = i32::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    control(name, libc::SIOCSIFMTU, bytes).map(drop)
}

fn control(name: &str, request: libc::Ioctl, mtu: i32) -> io::Result<libc::ifreq> {
    // SAFETY: all zeros is a valid request.
    let mut about: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays NUL.
    if name.is_empty() || name.len() >= about.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in about.ifr_name.iter_mut().zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
    about.ifr_ifru.ifru_mtu = mtu;
    // Any socket will do.
    let socket = UdpSocket::bind(("127.0.0.1", 0)).or_else(|_| UdpSocket::bind(("::", 0)))?;
    // SAFETY: both requests read and write one such structure.
    match unsafe { libc::ioctl(socket.as_raw_fd(), request, &raw mut about) } {
        0 => Ok(about),
        _ => Err(io::Error::last_os_error()),
    }
}

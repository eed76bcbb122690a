//! What the kernel lost of a port's packets and its driver does not count.
//!
//! A kernel interface hands packets over through a ring of its socket. What finds the ring full is
//! counted by the socket, and the drivers of DPDK do not ask it: that of AF_XDP for a part of it
//! only, that of AF_PACKET (22.11) for nothing.

use libc::{c_int, c_void, socklen_t};
use std::ffi::CString;
use std::os::fd::RawFd;
use std::sync::{Mutex, PoisonError};

/// Packets that were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// Received, and not fetched in time.
    pub(super) missed: u64,
    /// To be sent, in a buffer that the kernel refused.
    pub(super) refused: u64,
}

impl Losses {
    pub(super) fn plus(self, other: Losses) -> Losses {
        Losses { missed: self.missed + other.missed, refused: self.refused + other.refused }
    }

    pub(super) fn minus(self, other: Losses) -> Losses {
        Losses { missed: self.missed.saturating_sub(other.missed), refused: self.refused.saturating_sub(other.refused) }
    }
}

/// What an AF_XDP socket lost, besides what the driver counts.
pub(super) fn of_xdp(fd: RawFd) -> Losses {
    // `struct xdp_statistics` of linux/if_xdp.h; kernels before 5.9 fill the first half.
    const RX_RING_FULL: usize = 3;
    const TX_INVALID: usize = 2;
    let counters: [u64; 6] = read(fd, libc::SOL_XDP, libc::XDP_STATISTICS).unwrap_or_default();
    Losses { missed: counters[RX_RING_FULL], refused: counters[TX_INVALID] }
}

/// The packet sockets of an AF_PACKET port. The kernel's count starts anew when it is read.
#[derive(Debug, Default)]
pub(super) struct PacketSockets {
    descriptors: Vec<RawFd>,
    so_far: Mutex<u64>,
}

impl PacketSockets {
    /// Those of this process that are bound to an interface.
    pub(super) fn on(interface: &str) -> PacketSockets {
        let Ok(name) = CString::new(interface) else { return PacketSockets::default() };
        // SAFETY: a C string that the call reads; 0 is the number of no interface.
        let wanted = unsafe { libc::if_nametoindex(name.as_ptr()) } as c_int;
        let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        let descriptors = open.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
        let descriptors = descriptors.filter(|fd| wanted != 0 && bound_to(*fd) == Some(wanted)).collect();
        PacketSockets { descriptors, so_far: Mutex::default() }
    }

    pub(super) fn losses(&self) -> Losses {
        let mut so_far = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        for fd in &self.descriptors {
            // `struct tpacket_stats` of linux/if_packet.h: packets, of which lost.
            let [_, lost]: [u32; 2] = read(*fd, libc::SOL_PACKET, libc::PACKET_STATISTICS).unwrap_or_default();
            *so_far += u64::from(lost);
        }
        Losses { missed: *so_far, refused: 0 }
    }
}

/// The interface that a packet socket is bound to; nothing for other descriptors.
fn bound_to(fd: RawFd) -> Option<c_int> {
    let domain: [c_int; 1] = read(fd, libc::SOL_SOCKET, libc::SO_DOMAIN)?;
    if domain != [libc::AF_PACKET] {
        return None;
    }
    // SAFETY: all zeros is a valid address.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    let mut size = size_of_val(&address) as socklen_t;
    // SAFETY: writes an address of at most the size given.
    let result = unsafe { libc::getsockname(fd, (&raw mut address).cast(), &mut size) };
    (result == 0).then_some(address.sll_ifindex)
}

/// Types of which every bit pattern is a value.
trait Integer: Copy + Default {}
impl Integer for c_int {}
impl Integer for u32 {}
impl Integer for u64 {}

/// A socket's option that is a row of integers. Nothing when the descriptor has none.
fn read<T: Integer, const N: usize>(fd: RawFd, level: c_int, option: c_int) -> Option<[T; N]> {
    let mut value = [T::default(); N];
    let mut size = size_of_val(&value) as socklen_t;
    // SAFETY: writes at most the size given, into integers.
    let result = unsafe { libc::getsockopt(fd, level, option, (&raw mut value).cast::<c_void>(), &mut size) };
    (result == 0).then_some(value)
}

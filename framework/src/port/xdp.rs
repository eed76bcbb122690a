//! What DPDK's AF_XDP driver leaves behind when a port closes, taken back.
//!
//! The driver never frees the buffers that the kernel holds for a queue. DPDK 22.11 moreover closes the
//! socket only half: the descriptor that holds the queue's memory (the umem) stays open, so the queue
//! stays taken. This finds the sockets that opening a port made, keeps them while it is closed, reads
//! out of their rings which buffers the kernel has, frees those and ends the sockets. The rings are
//! described in the kernel's Documentation/networking/af_xdp.rst.

use super::PortSpec;
use super::losses::{self, Losses};
use crate::error::{Error, Result};
use crate::memory::MbufPool;
use libc::{c_int, c_void, off_t};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The driver of AF_XDP ports.
pub(super) const DRIVER: &str = "net_af_xdp";

/// Keeps other processes of ours off an interface: the kernel refuses a second socket on a queue, but
/// in giving up the driver would take the XDP program away from under the first.
///
/// It is a listening socket by name, which ends with the process and is one of the network namespace,
/// as the interface is.
#[derive(Debug)]
pub(super) struct Claim {
    interface: String,
    _listener: UnixListener,
}

/// When this process last let go of an interface, by its name.
static LEFT: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());

/// The kernel frees a queue some time after its last socket is closed, in the background. A driver that
/// comes too early is refused, and loses the buffers that it had taken for it.
const SETTLES_IN: Duration = Duration::from_secs(1);

impl Claim {
    pub(super) fn new(spec: &PortSpec) -> Result<Claim> {
        let interface = spec.target().to_owned();
        let address = SocketAddr::from_abstract_name(format!("iogate/af_xdp/{interface}"));
        let listener = match address.and_then(|address| UnixListener::bind_addr(&address)) {
            Ok(listener) => listener,
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                let what = format!("another port or process has {interface} on AF_XDP");
                return Err(Error::port_refused(spec, what, "close that one first"));
            }
            Err(error) => return Err(Error::port_refused(spec, format!("cannot claim the interface: {error}"), "")),
        };
        let left = LEFT.lock().unwrap_or_else(PoisonError::into_inner).remove(&interface);
        if let Some(rest) = left.and_then(|left| SETTLES_IN.checked_sub(left.elapsed())) {
            std::thread::sleep(rest);
        }
        Ok(Claim { interface, _listener: listener })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
        left.insert(std::mem::take(&mut self.interface), Instant::now());
    }
}

/// AF_XDP sockets of this process, by descriptor and inode: a number may come to mean another one.
#[derive(Debug, Default)]
pub(super) struct Sockets(HashSet<(RawFd, u64)>);

impl Sockets {
    /// Runs `work` and returns what it returned with those that it opened.
    pub(super) fn opened_by<T>(work: impl FnOnce() -> T) -> (T, Sockets) {
        // One at a time, or another port's sockets would be taken for this one's.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let before = Sockets::open();
        let result = work();
        (result, Sockets(Sockets::open().0.difference(&before.0).copied().collect()))
    }

    /// Those that are open now.
    fn open() -> Self {
        let descriptors = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<RawFd>().ok();
        Sockets(descriptors.filter_map(number).filter_map(|fd| Some((fd, xdp_inode(fd)?))).collect())
    }

    /// What the kernel lost on them.
    pub(super) fn losses(&self) -> Losses {
        self.0.iter().map(|(fd, _)| losses::of_xdp(*fd)).fold(Losses::default(), Losses::plus)
    }

    /// Takes a descriptor of our own of each, and a view of its rings, so that they can be read after the
    /// driver has let go.
    pub(super) fn keep(self) -> Kept {
        let keep = |(fd, inode): (RawFd, u64)| {
            (xdp_inode(fd) == Some(inode)).then_some(())?;
            // SAFETY: makes another descriptor of an open socket, which is then owned.
            let own = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
            // SAFETY: made above, and nobody else's.
            let own = (own >= 0).then(|| unsafe { OwnedFd::from_raw_fd(own) })?;
            Some(KeptSocket { rings: Rings::map(own.as_raw_fd()), drivers: fd, inode, _own: own })
        };
        Kept(self.0.into_iter().filter_map(keep).collect())
    }
}

/// Sockets whose port is being closed.
pub(super) struct Kept(Vec<KeptSocket>);

struct KeptSocket {
    rings: Option<Rings>,
    /// The driver's descriptor: DPDK 22.11 forgets to close it, 24.11 does close it.
    drivers: RawFd,
    inode: u64,
    _own: OwnedFd,
}

impl Kept {
    /// Once the port is closed: gives the buffers that the kernel holds for the sockets back to `pool`,
    /// and ends the sockets. Buffers that cannot be found are noted as lost.
    pub(super) fn reclaim(self, pool: &MbufPool) {
        for KeptSocket { rings, drivers, inode, _own } in self.0 {
            let Held { waiting, completed, unsent } = rings.map(|rings| rings.held()).unwrap_or_default();
            if xdp_inode(drivers) == Some(inode) {
                unmap(inode);
                // SAFETY: the driver made it and has forgotten it; nobody else closes it.
                unsafe { libc::close(drivers) };
            }
            let mut back = 0;
            // More than there can be would mean that the rings were misread: better lose them all.
            if waiting.len() <= FILL as usize {
                back = pool.take_back(waiting);
                pool.take_back(completed);
            }
            pool.lose(FILL - back + unsent);
        }
    }
}

/// Buffers that the driver gives to the kernel for each queue. Every packet received is replaced by
/// another buffer, so it is always as many, in the fill ring and the RX ring together.
const FILL: u32 = 2048;

/// Unmaps a socket's rings, which would keep it after its descriptor is closed.
fn unmap(inode: u64) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for line in maps.lines() {
        // As in `7f3c5c000000-7f3c5c009000 rw-s 100000000 00:08 39412  socket:[39412]`.
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [range, _, _, _, number, path] = fields[..] else { continue };
        if number.parse() != Ok(inode) || !path.starts_with("socket:") {
            continue;
        }
        let address = |text: &str| usize::from_str_radix(text, 16).ok();
        if let Some((Some(start), Some(end))) = range.split_once('-').map(|(start, end)| (address(start), address(end)))
        {
            // SAFETY: the driver's view of the socket's rings, which it has forgotten.
            unsafe { libc::munmap(start as *mut c_void, end - start) };
        }
    }
}

/// The inode of an AF_XDP socket; nothing for other descriptors.
fn xdp_inode(fd: RawFd) -> Option<u64> {
    let (mut domain, mut size): (c_int, _) = (0, size_of::<c_int>() as libc::socklen_t);
    // SAFETY: writes one integer of the size given; a descriptor that is none gives an error.
    let result =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_DOMAIN, (&raw mut domain).cast(), &mut size) };
    if result != 0 || domain != libc::AF_XDP {
        return None;
    }
    // SAFETY: all zeros is a valid `stat`, and the call fills it.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    (unsafe { libc::fstat(fd, &mut stat) } == 0).then_some(stat.st_ino)
}

/// The low bits of an address in a ring say where in the umem a buffer starts, the others where in
/// the buffer its data does.
const START: u64 = (1 << 48) - 1;

/// The buffers that the kernel has of a socket, by where they start in the umem.
#[derive(Default)]
struct Held {
    /// For packets to come, or with packets that nobody fetched.
    waiting: HashSet<u64>,
    /// Sent, and not yet taken back by the driver.
    completed: HashSet<u64>,
    /// How many were not sent, as when the interface is down. The kernel says only now and then how
    /// far it has come there, so some may have been sent and be in use again: they are not named.
    unsent: u32,
}

/// A socket's four rings.
struct Rings {
    fill: Ring,
    received: Ring,
    sending: Ring,
    completed: Ring,
}

impl Rings {
    fn map(fd: RawFd) -> Option<Rings> {
        let mut offsets = libc::xdp_mmap_offsets { rx: NO_OFFSETS, tx: NO_OFFSETS, fr: NO_OFFSETS, cr: NO_OFFSETS };
        let mut size = size_of_val(&offsets) as libc::socklen_t;
        // SAFETY: fills the structure of the size given.
        let result = unsafe {
            libc::getsockopt(fd, libc::SOL_XDP, libc::XDP_MMAP_OFFSETS, (&raw mut offsets).cast(), &mut size)
        };
        if result != 0 {
            return None;
        }
        // RX and TX rings hold an address, a length and flags in each entry, the others an address alone.
        Some(Rings {
            fill: Ring::map(fd, libc::XDP_UMEM_PGOFF_FILL_RING as off_t, &offsets.fr, 8)?,
            received: Ring::map(fd, libc::XDP_PGOFF_RX_RING, &offsets.rx, 16)?,
            sending: Ring::map(fd, libc::XDP_PGOFF_TX_RING, &offsets.tx, 16)?,
            completed: Ring::map(fd, libc::XDP_UMEM_PGOFF_COMPLETION_RING as off_t, &offsets.cr, 8)?,
        })
    }

    fn held(&self) -> Held {
        let starts = |ring: &Ring| ring.entries().into_iter().map(|address| address & START).collect::<HashSet<_>>();
        let (waiting, completed) = (&starts(&self.fill) | &starts(&self.received), starts(&self.completed));
        let unsent = starts(&self.sending).difference(&completed).count() as u32;
        Held { waiting, completed, unsent }
    }
}

const NO_OFFSETS: libc::xdp_ring_offset = libc::xdp_ring_offset { producer: 0, consumer: 0, desc: 0, flags: 0 };

struct Ring {
    memory: *mut c_void,
    bytes: usize,
    slots: u32,
    producer: usize,
    consumer: usize,
    first: usize,
    entry: usize,
}

impl Ring {
    /// Maps a ring. The kernel does not tell its size, but refuses to map more than there is.
    fn map(fd: RawFd, page: off_t, offsets: &libc::xdp_ring_offset, entry: usize) -> Option<Ring> {
        let first = offsets.desc as usize;
        (6..=16).rev().find_map(|bits| {
            let slots = 1_u32 << bits;
            let bytes = first + slots as usize * entry;
            // SAFETY: a new mapping of the socket's own memory; it is only read.
            let memory =
                unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, libc::MAP_SHARED, fd, page) };
            let (producer, consumer) = (offsets.producer as usize, offsets.consumer as usize);
            (memory != libc::MAP_FAILED).then_some(Ring { memory, bytes, slots, producer, consumer, first, entry })
        })
    }

    /// The addresses that were put in and not yet taken out.
    fn entries(&self) -> Vec<u64> {
        let (from, to) = (self.index(self.consumer), self.index(self.producer));
        let count = to.wrapping_sub(from).min(self.slots);
        let at = |n: u32| self.first + (from.wrapping_add(n) & (self.slots - 1)) as usize * self.entry;
        // SAFETY: the masked index is below `slots`, so the address lies within the mapping, and
        // nobody writes it now: both sides have stopped.
        (0..count).map(|n| unsafe { self.memory.byte_add(at(n)).cast::<u64>().read() }).collect()
    }

    fn index(&self, at: usize) -> u32 {
        // SAFETY: the kernel says that an aligned 32-bit index stands there, in front of `first`.
        unsafe { (*self.memory.byte_add(at).cast::<AtomicU32>()).load(Ordering::Acquire) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, of this size, and not used any more.
        unsafe { libc::munmap(self.memory, self.bytes) };
    }
}

//! Starting and stopping DPDK's environment abstraction layer.
//!
//! EAL starts once in a process. It uses huge pages when enough of them are free and plain memory
//! otherwise, and says in one log line which. A libdpdk of another release than the one built
//! against is refused before anything of it is used.
//!
//! ```
//! # fn main() -> iogate::Result<()> {
//! use iogate::eal::{Eal, HugePages};
//!
//! let eal = Eal::builder().memory_mb(64).huge_pages(HugePages::Never).start()?;
//! assert_eq!(eal.huge_pages(), false);
//! assert!(Eal::builder().start().is_err(), "once in a process");
//! # Ok(())
//! # }
//! ```

use crate::error::{Errno, Error, Result};
use crate::memory::PoolBuilder;
use crate::port::{Device, PortBuilder, PortSpec};
use crate::sriov::is_uuid;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char, c_void};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether to use huge pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum HugePages {
    /// When as many are free as the memory asked for, else plain pages.
    #[default]
    Auto,
    /// Plain pages, whatever there is.
    Never,
}

/// The command-line options about EAL that every application has.
#[derive(Clone, Debug, clap::Args)]
pub struct EalArgs {
    /// Memory for packets and rings, MiB; never more than this is taken
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    pub memory: u32,
    /// Use huge pages when enough are free, or never
    #[arg(long, value_enum, default_value_t)]
    pub huge_pages: HugePages,
    /// Level of DPDK's own log messages, 1 (emergency) to 8 (debug)
    #[arg(long, value_name = "LEVEL", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub dpdk_log_level: u8,
}

impl EalArgs {
    /// EAL's options as the command line has them.
    pub fn builder(&self) -> EalBuilder {
        Eal::builder().memory_mb(self.memory).huge_pages(self.huge_pages).log_level(self.dpdk_log_level)
    }
}

/// A running EAL. Cheap to clone; EAL is cleaned up when the last handle, pool and port is gone.
#[derive(Clone, Debug)]
pub struct Eal {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    huge_pages: bool,
    memory_mb: u32,
}

static STARTED: AtomicBool = AtomicBool::new(false);

impl Eal {
    /// Options before the start, all with defaults.
    pub fn builder() -> EalBuilder {
        EalBuilder {
            memory_mb: 256,
            huge_pages: HugePages::Auto,
            pci: false,
            tokens: BTreeSet::new(),
            log_level: 4,
            extra: Vec::new(),
            verbatim: false,
        }
    }

    /// Starts EAL with the options of a command line.
    pub fn start(args: &EalArgs) -> Result<Eal> {
        args.builder().start()
    }

    /// Whether memory comes from huge pages.
    pub fn huge_pages(&self) -> bool {
        self.inner.huge_pages
    }

    /// The cap on EAL's memory, MiB.
    pub fn memory_mb(&self) -> u32 {
        self.inner.memory_mb
    }

    /// Begins a pool of mbufs; `name` shows in messages.
    pub fn pool(&self, name: &str) -> PoolBuilder {
        PoolBuilder::new(self, name)
    }

    /// Begins the configuration of the device that `spec` names; nothing is made before
    /// [`PortBuilder::start`].
    pub fn port(&self, spec: &PortSpec) -> PortBuilder {
        PortBuilder::new(self, spec)
    }

    /// The devices that EAL found or was told to make, as far as nobody has a handle on them yet.
    pub fn devices(&self) -> Result<Vec<Device>> {
        Device::found(self)
    }

    /// EAL's cores, in order.
    pub fn lcores(&self) -> Vec<Lcore> {
        // SAFETY: reads numbers that EAL has set, and checks theirs.
        let lcore = |id: u32| unsafe {
            (dpdk_sys::rte_lcore_is_enabled(id) == 1).then(|| Lcore {
                id,
                core: dpdk_sys::shim_lcore_cpu(id) as usize,
                numa_node: dpdk_sys::rte_lcore_to_socket_id(id),
                main: dpdk_sys::rte_get_main_lcore() == id,
            })
        };
        (0..dpdk_sys::RTE_MAX_LCORE).filter_map(lcore).collect()
    }

    /// What DPDK prints about its own tables.
    pub fn dump(&self, what: Dump) -> String {
        let named = |name: &Option<String>| name.as_deref().and_then(|name| CString::new(name).ok());
        let (what, name) = match what {
            Dump::Mempools(name) => (dpdk_sys::SHIM_DUMP_MEMPOOLS, named(&name)),
            Dump::Rings(name) => (dpdk_sys::SHIM_DUMP_RINGS, named(&name)),
            Dump::Memzones => (dpdk_sys::SHIM_DUMP_MEMZONES, None),
            Dump::PhysicalMemory => (dpdk_sys::SHIM_DUMP_PHYSMEM, None),
            Dump::Heap => (dpdk_sys::SHIM_DUMP_HEAP, None),
            Dump::DeviceArguments => (dpdk_sys::SHIM_DUMP_DEVARGS, None),
            Dump::LogTypes => (dpdk_sys::SHIM_DUMP_LOG_TYPES, None),
            Dump::Tables => (dpdk_sys::SHIM_DUMP_TAILQS, None),
        };
        // SAFETY: a C string or NULL; what is returned is a C string of the heap, freed here, or NULL.
        unsafe {
            let text = dpdk_sys::shim_dump(what as i32, name.as_ref().map_or(std::ptr::null(), |name| name.as_ptr()));
            if text.is_null() {
                return String::new();
            }
            let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
            libc::free(text.cast());
            copy
        }
    }

    /// Changes how much DPDK logs, 1 (emergency) to 8 (debug): of all log types at once, or of those
    /// that a pattern as in a shell matches.
    pub fn set_log_level(&self, pattern: Option<&str>, level: u8) -> Result<(), Errno> {
        let level = u32::from(level);
        let Some(pattern) = pattern else {
            // SAFETY: sets a number.
            unsafe { dpdk_sys::rte_log_set_global_level(level) };
            return Ok(());
        };
        let pattern = CString::new(pattern).map_err(|_| Errno(libc::EINVAL))?;
        // SAFETY: a C string that the call copies.
        match unsafe { dpdk_sys::rte_log_set_level_pattern(pattern.as_ptr(), level) } {
            0 => Ok(()),
            _ => Err(Errno(libc::EINVAL)),
        }
    }

    /// Makes two ports wired to each other: what is sent on one is received on the other.
    ///
    /// `slots` is the size of each direction's ring: a power of two, at least 2.
    pub fn port_pair(&self, name: &str, slots: u32) -> Result<(PortBuilder, PortBuilder)> {
        PortBuilder::pair(self, name, slots)
    }
}

/// One of EAL's cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lcore {
    /// EAL's number.
    pub id: u32,
    /// The system's number, which [`Runtime::worker`](crate::worker::Runtime::worker) takes; the lowest, where EAL was
    /// given several for it.
    pub core: usize,
    /// The NUMA node it is on.
    pub numa_node: u32,
    /// Whether it is the main one.
    pub main: bool,
}

/// What [`Eal::dump`] prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dump {
    /// A pool by DPDK's name, or all.
    Mempools(Option<String>),
    /// A ring by DPDK's name, or all.
    Rings(Option<String>),
    /// Named pieces of memory.
    Memzones,
    /// Pages.
    PhysicalMemory,
    /// Where memory went.
    Heap,
    /// What devices were made with.
    DeviceArguments,
    /// Log types and levels.
    LogTypes,
    /// DPDK's lists.
    Tables,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: the last handle is gone, and pools and ports hold one, so none of them is left.
        unsafe { dpdk_sys::rte_eal_cleanup() };
    }
}

/// Options of [`Eal`]; see [`Eal::builder`].
#[derive(Clone, Debug)]
pub struct EalBuilder {
    memory_mb: u32,
    huge_pages: HugePages,
    pci: bool,
    /// Of which EAL takes one.
    tokens: BTreeSet<String>,
    log_level: u8,
    extra: Vec<String>,
    verbatim: bool,
}

impl EalBuilder {
    /// The most memory that EAL may take, MiB. Default 256.
    pub fn memory_mb(mut self, mebibytes: u32) -> Self {
        self.memory_mb = mebibytes;
        self
    }

    /// Whether to use huge pages. Default: when there are enough.
    pub fn huge_pages(mut self, policy: HugePages) -> Self {
        self.huge_pages = policy;
        self
    }

    /// Scans the PCI bus, which ports by PCI address need. Nothing is probed by itself. Default: no.
    pub fn pci(mut self, scan: bool) -> Self {
        self.pci = scan;
        self
    }

    /// Says which ports there will be: the PCI bus is scanned when one of them is on it, and VF tokens are
    /// taken from the environment that lists them.
    pub fn ports<'a>(mut self, specs: impl IntoIterator<Item = &'a PortSpec>) -> Self {
        for spec in specs {
            self.pci |= !spec.is_software();
            // What is wrong with the environment is said when the port is made.
            self.tokens.extend(spec.vf_token().ok().flatten());
        }
        self
    }

    /// The token, a UUID, that VFs are opened with whose PF is bound to vfio-pci. Default: none.
    pub fn vf_token(mut self, token: impl Into<String>) -> Self {
        self.tokens.insert(token.into());
        self
    }

    /// DPDK's log level, 1 (emergency) to 8 (debug). Default 4 (error).
    pub fn log_level(mut self, level: u8) -> Self {
        self.log_level = level;
        self
    }

    /// One more argument, passed to `rte_eal_init` as it is.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.extra.push(argument.into());
        self
    }

    /// Exactly these arguments, the program's name first, instead of any that follow from the options:
    /// for tools whose users know EAL's own command line.
    pub fn verbatim(mut self, arguments: impl IntoIterator<Item = String>) -> Self {
        (self.extra, self.verbatim) = (arguments.into_iter().collect(), true);
        self
    }

    /// Starts EAL.
    ///
    /// # Errors
    /// [`Error::Version`] for another libdpdk than the one built against, [`Error::Memory`] for more
    /// memory than the machine has, [`Error::AlreadyStarted`], or [`Error::Eal`] when `rte_eal_init`
    /// fails.
    pub fn start(self) -> Result<Eal> {
        check_version()?;
        if self.tokens.len() > 1 || !self.tokens.iter().all(|token| is_uuid(token)) {
            return Err(Error::VfToken { tokens: self.tokens.into_iter().collect::<Vec<_>>().join(", ") });
        }
        let most_mb = physical_mib();
        if self.memory_mb > most_mb {
            return Err(Error::Memory { wanted_mb: self.memory_mb, most_mb });
        }
        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(Error::AlreadyStarted);
        }
        let (huge_pages, arguments) = if self.verbatim {
            (!self.extra.iter().any(|argument| argument == "--no-huge"), self.extra.clone())
        } else {
            let huge_pages = self.choose_pages();
            (huge_pages, self.arguments(huge_pages))
        };
        // EAL pins the thread that starts it, and every thread made by that one inherits the pin;
        // so a thread of its own starts it, and the application's stay where they may run.
        let outcome = std::thread::scope(|scope| scope.spawn(|| init(&arguments)).join());
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => return Err(Error::Eal { arguments: arguments.join(" "), cause }),
            Err(_) => return Err(Error::Eal { arguments: arguments.join(" "), cause: Errno(0) }),
        }
        Ok(Eal { inner: Arc::new(Inner { huge_pages, memory_mb: self.memory_mb }) })
    }

    fn choose_pages(&self) -> bool {
        let free = free_huge_mib();
        let wanted = u64::from(self.memory_mb);
        let huge = self.huge_pages == HugePages::Auto && free >= wanted;
        match (huge, self.huge_pages) {
            (true, _) => tracing::info!("EAL: up to {wanted} MiB of huge pages ({free} MiB free)"),
            (false, HugePages::Never) => tracing::info!("EAL: {wanted} MiB of plain pages, as asked"),
            (false, HugePages::Auto) => {
                tracing::info!("EAL: {wanted} MiB of plain pages: {free} MiB of huge pages are free, {wanted} needed")
            }
        }
        huge
    }

    fn arguments(&self, huge: bool) -> Vec<String> {
        let mut arguments: Vec<String> = ["iogate", "--no-telemetry"].map(String::from).into();
        let mut add = |argument: &[&str]| arguments.extend(argument.iter().map(|text| text.to_string()));
        // One lcore for EAL itself; workers are threads of ours that register with it.
        let core = core_affinity::get_core_ids().and_then(|cores| cores.first().map(|core| core.id)).unwrap_or(0);
        add(&["--lcores", &format!("0@{core}"), &format!("--log-level={}", self.log_level)]);
        // Nothing of a run may stay behind in files: a killed process needs no cleaning by hand.
        if huge {
            // In few files, all of which can be handed to who shares the memory: virtio-user takes no more than eight.
            add(&["--in-memory", "--single-file-segments", "--socket-limit", &self.memory_mb.to_string()]);
        } else {
            // EAL takes --no-huge for legacy memory, which excludes --in-memory.
            add(&["--no-huge", "--no-shconf", "-m", &self.memory_mb.to_string()]);
        }
        if self.pci {
            // An allow list without a real device: the bus is scanned and nothing is taken.
            add(&["-a", "0000:00:00.0"]);
            self.tokens.iter().for_each(|token| add(&["--vfio-vf-token", token]));
        } else {
            add(&["--no-pci"]);
        }
        arguments.extend(self.extra.iter().cloned());
        arguments
    }
}

fn init(arguments: &[String]) -> Result<(), Errno> {
    let owned: Vec<CString> = arguments.iter().filter_map(|text| CString::new(text.as_str()).ok()).collect();
    let mut argv: Vec<*mut c_char> = owned.iter().map(|text| text.as_ptr().cast_mut()).collect();
    let count = argv.len() as i32;
    argv.push(std::ptr::null_mut());
    // SAFETY: argv is a NULL-terminated array of `count` C strings that outlives the call; EAL
    // reorders the pointers and copies what it keeps.
    let result = unsafe { dpdk_sys::rte_eal_init(count, argv.as_mut_ptr()) };
    if result < 0 {
        return Err(Errno::last());
    }
    silence_xdp();
    Ok(())
}

/// libbpf and libxdp, which the AF_XDP driver brings along, print pages of notes about attempts that
/// need no attention; what fails in earnest the driver reports itself.
fn silence_xdp() {
    type SetPrint = unsafe extern "C" fn(print: *const c_void) -> *const c_void;
    for (library, function) in [(c"libbpf.so.1", c"libbpf_set_print"), (c"libxdp.so.1", c"libxdp_set_print")] {
        // SAFETY: RTLD_NOLOAD finds a library only when it is loaded already; both functions take
        // the printing function and return the one before, and take NULL for none.
        unsafe {
            let handle = libc::dlopen(library.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD);
            if handle.is_null() {
                continue;
            }
            let symbol = libc::dlsym(handle, function.as_ptr());
            if !symbol.is_null() {
                std::mem::transmute::<*mut c_void, SetPrint>(symbol)(std::ptr::null());
            }
            libc::dlclose(handle);
        }
    }
}

/// The machine's memory, MiB; no limit where it cannot be read.
fn physical_mib() -> u32 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let kib = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(u64::MAX);
    u32::try_from(kib / 1024).unwrap_or(u32::MAX)
}

/// Free huge pages of all sizes, MiB.
fn free_huge_mib() -> u64 {
    let Ok(entries) = fs::read_dir("/sys/kernel/mm/hugepages") else { return 0 };
    let pool_mib = |entry: fs::DirEntry| {
        let kib: u64 = entry.file_name().to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let free: u64 = fs::read_to_string(entry.path().join("free_hugepages")).ok()?.trim().parse().ok()?;
        Some(kib * free / 1024)
    };
    entries.flatten().filter_map(pool_mib).sum()
}

/// The DPDK release that is in use, as (year, month): features differ.
pub const fn dpdk_release() -> (u32, u32) {
    (dpdk_sys::BUILT_AGAINST.0, dpdk_sys::BUILT_AGAINST.1)
}

/// Refuses a libdpdk of another release than the one that was built against.
///
/// Stable releases (22.11.1, 22.11.2, ...) keep their interface and are let through: a security
/// update of the distribution must not stop a gateway.
fn check_version() -> Result<()> {
    // SAFETY: a static, NUL-terminated text; callable before rte_eal_init.
    let running = unsafe { CStr::from_ptr(dpdk_sys::rte_version()) }.to_string_lossy().into_owned();
    let (year, month, _) = dpdk_sys::BUILT_AGAINST;
    let built = format!("{year:02}.{month:02}");
    if same_release(&built, &running) { Ok(()) } else { Err(Error::Version { built, running }) }
}

/// `built` is `year.month`; `running` is `rte_version()`'s text, such as `DPDK 22.11.11`.
fn same_release(built: &str, running: &str) -> bool {
    let Some(rest) = running.trim_start_matches("DPDK ").strip_prefix(built) else { return false };
    !rest.starts_with(|next: char| next.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_releases_pass_and_others_are_refused() {
        assert!(same_release("22.11", "DPDK 22.11.11"));
        assert!(same_release("24.11", "DPDK 24.11.0"));
        assert!(same_release("22.11", "DPDK 22.11.0-rc1"));
        assert!(!same_release("22.11", "DPDK 24.11.3"));
        assert!(!same_release("22.1", "DPDK 22.11.11"));
        assert!(!same_release("22.11", ""));
    }

    #[test]
    fn arguments_leave_no_files_behind() {
        let builder = Eal::builder().memory_mb(64).arg("--vdev=net_null0");
        let plain = builder.arguments(false).join(" ");
        assert!(plain.contains("--no-huge --no-shconf -m 64 --no-pci --vdev=net_null0"), "{plain}");
        let huge = builder.arguments(true).join(" ");
        assert!(huge.contains("--in-memory --single-file-segments --socket-limit 64"), "{huge}");
    }

    #[test]
    fn the_pci_bus_is_scanned_when_a_port_needs_it() {
        let arguments = |specs: [&str; 2]| {
            let specs = specs.map(|spec| spec.parse().expect("a spec"));
            Eal::builder().ports(&specs).arguments(false).join(" ")
        };
        assert!(arguments(["null", "tap:gw0"]).contains("--no-pci"));
        assert!(!arguments(["null", "0000:3b:00.0"]).contains("--no-pci"));
    }

    #[test]
    fn one_token_opens_all_functions() {
        let token = "3e49019f-412f-4f02-824e-4cd195944205";
        let twice = Eal::builder().pci(true).vf_token(token).vf_token(token);
        assert!(twice.arguments(false).join(" ").contains(&format!("--vfio-vf-token {token}")));
        for odd in ["x", "3e49019f-412f-4f02-824e-4cd195944206"] {
            let error = twice.clone().vf_token(odd).start().unwrap_err().to_string();
            assert!(error.contains(odd) && error.contains("one VF token"), "{error}");
        }
    }
}

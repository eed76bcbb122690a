//! `[gateway]` and `[[worker]]`.

use std::path::PathBuf;
use std::time::Duration;

use super::{GIVE_NAME, Ref, flag, int, texts};
use crate::config::SOCKETS;
use crate::config::model::{Gateway, HugePages, Idle, MbufConfig, Watchdog, WorkerCount};
use crate::config::read::{At, Head, Table, Value};

/// Headroom that DPDK keeps free at the front of every buffer.
const HEADROOM: u16 = 128;
/// Room for two VLAN tags that the gateway may have to push.
const TAGS: u16 = 8;
/// The most packets taken from a queue at once, and the default.
pub(in crate::config) const BURST: u8 = 32;
/// How long a packet may wait for an idle worker, unless the file says otherwise.
pub(in crate::config) const IDLE_LATENCY: Duration = Duration::from_micros(50);

pub(in crate::config) struct RawWorker<'a> {
    pub(in crate::config) head: Head<'a>,
    pub(in crate::config) core: Option<At<u16>>,
    pub(in crate::config) queues: Vec<Ref<'a>>,
    pub(in crate::config) burst: u8,
    pub(in crate::config) idle: Idle,
}

/// `[gateway]`
pub(in crate::config) fn gateway(root: &Table<'_>) -> Option<Gateway> {
    let Some(t) = root.section("gateway") else {
        if !root.has("gateway") {
            root.head.problem("there is no [gateway]; add one with a name");
        }
        return None;
    };
    let name = t.must("name", GIVE_NAME).and_then(|v| v.name());
    let socket = t.get("socket").and_then(|v| socket(&v));
    let mtu = t.get("mtu").and_then(|v| v.int(64..=9018));
    let mtu = mtu.unwrap_or(At { value: 1518, line: t.head.line });
    let mut mbuf = MbufConfig { size: 2304, count: 16384, per_core_cache: 256 };
    let mut size_line = mtu.line;
    if let Some(m) = t.get("mbuf").and_then(|v| v.table()) {
        if let Some(size) = m.get("size").and_then(|v| v.int(256..=32768)) {
            (mbuf.size, size_line) = (size.value, size.line);
        }
        mbuf.count = int(&m, "count", 512..=16_777_216, mbuf.count);
        let cache = m.get("per_core_cache").and_then(|v| v.int(0..=512));
        mbuf.per_core_cache = cache.map_or(mbuf.per_core_cache, |c| c.value);
        if mbuf.per_core_cache > mbuf.count * 2 / 3 {
            let line = cache.map_or(m.head.line, |c| c.line);
            let (cache, count) = (mbuf.per_core_cache, mbuf.count);
            t.head.problem_at(
                line,
                format!(
                    "mbuf.per_core_cache = {cache} is more than two thirds of mbuf.count = {count}; use at most {}",
                    count * 2 / 3
                ),
            );
        }
        m.finish();
    }
    let needed = mtu.value + HEADROOM + TAGS;
    if needed > mbuf.size {
        let (size, mtu) = (mbuf.size, mtu.value);
        t.head.problem_at(size_line, format!(
            "a frame of mtu = {mtu} does not fit a buffer of mbuf.size = {size} with {HEADROOM} bytes of headroom and {TAGS} for VLAN tags; use mbuf.size = {needed} or more"
        ));
    }
    let memory_mb = t.get("memory_mb").and_then(|v| v.int(64..=1_048_576)).map(|m| m.value);
    let huge_pages =
        t.get("huge_pages").and_then(|v| v.choice(&[("auto", HugePages::Auto), ("never", HugePages::Never)]));
    let huge_pages = huge_pages.map_or(HugePages::Auto, |h| h.value);
    let watchdog = watchdog(&t);
    let workers = t.get("workers").and_then(|v| worker_count(&v));
    if let (Some(v), true) = (t.get("workers"), root.has("worker")) {
        v.problem("is for a file without [[worker]]; remove it, or them");
    }
    let share_cores = flag(&t, "share_cores", false);
    t.finish();
    let name = name?.value;
    let socket = socket.unwrap_or_else(|| format!("{SOCKETS}/{name}.sock").into());
    Some(Gateway { name, socket, mtu: mtu.value, mbuf, memory_mb, huge_pages, watchdog, workers, share_cores })
}

/// The most bytes that the address of a socket holds.
pub(super) const LONGEST_SOCKET_PATH: usize = 107;

pub(super) fn is_socket_path(text: &str) -> bool {
    text.starts_with('/') && text.len() <= LONGEST_SOCKET_PATH && !text.contains('\0')
}

fn worker_count(v: &Value<'_>) -> Option<WorkerCount> {
    if v.is_text() {
        return v.choice(&[("auto", WorkerCount::Auto)]).map(|count| count.value);
    }
    v.int(1..=1024).map(|count| WorkerCount::Number(count.value))
}

/// `[gateway.watchdog]`
fn watchdog(gateway: &Table<'_>) -> Option<Watchdog> {
    let (mut on, mut interval, mut patience) = (true, 100, 1000);
    if let Some(t) = gateway.get("watchdog").and_then(|v| v.table()) {
        on = flag(&t, "enabled", on);
        interval = int(&t, "interval_ms", 10..=10_000, interval);
        patience = int(&t, "patience_ms", 100..=60_000, patience);
        t.finish();
    }
    on.then(|| Watchdog { interval: Duration::from_millis(interval), patience: Duration::from_millis(patience) })
}

fn socket(v: &Value<'_>) -> Option<PathBuf> {
    let text = v.text()?.value;
    let good = is_socket_path(text);
    if !good {
        v.refuse(format!("is not the path of a socket; use an absolute path of at most {LONGEST_SOCKET_PATH} bytes"));
    }
    good.then(|| text.into())
}

/// What a worker is called in messages.
pub(in crate::config) fn worker_on(core: u16) -> String {
    format!("worker on core {core}")
}

/// `[[worker]]`
pub(in crate::config) fn worker<'a>(mut t: Table<'a>) -> RawWorker<'a> {
    let core = t.must("core", "say which core it runs on").and_then(|v| v.int(0..=1023));
    if let Some(core) = core {
        t.head.label = worker_on(core.value);
    }
    let queues = t.must("queues", "list the queues it polls, as in [\"eth-srv1:0\"]");
    let queues_given = queues.is_some();
    let queues = texts(queues);
    if queues_given && queues.is_empty() {
        t.head.problem("it polls no queue; give it some, or remove it");
    }
    let burst = int(&t, "burst", 1..=BURST, BURST);
    #[derive(Clone, Copy, PartialEq)]
    enum Word {
        Adaptive,
        Spin,
        Pause,
        Interrupt,
    }
    let words =
        [("adaptive", Word::Adaptive), ("spin", Word::Spin), ("pause", Word::Pause), ("interrupt", Word::Interrupt)];
    let word = t.get("idle").and_then(|v| v.choice(&words)).map_or(Word::Adaptive, |w| w.value);
    let latency = t.get("idle_latency_us").and_then(|v| v.int(1..=100_000));
    if let (Some(latency), true) = (latency, word != Word::Adaptive) {
        t.head.problem_at(latency.line, "idle_latency_us is for idle = \"adaptive\" only; remove it");
    }
    let idle = match word {
        Word::Adaptive => Idle::Adaptive(latency.map_or(IDLE_LATENCY, |l| Duration::from_micros(l.value))),
        Word::Spin => Idle::Spin,
        Word::Pause => Idle::Pause,
        Word::Interrupt => Idle::Interrupt,
    };
    let head = t.head.clone();
    t.finish();
    RawWorker { head, core, queues, burst, idle }
}

//! Namespaces and the links between them, gone when the test is.

use crate::support::{must, run};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/topology");
/// Where the script keeps note of what is up.
const UP: &str = "/run/iogate/topology";
/// What the tests run.
const TOOLS: [&str; 13] = [
    "ip", "ethtool", "tcpdump", "tshark", "python3", "ping", "iperf3", "tgtd", "tgtadm", "iscsi-ls", "qemu-io",
    "timeout", "kill",
];

/// Whether namespace tests are to run; fails, naming it, when something is missing for them.
fn wanted() -> bool {
    if std::env::var_os("IOGATE_SKIP_NAMESPACE_TESTS").is_some() {
        eprintln!("SKIP: IOGATE_SKIP_NAMESPACE_TESTS is set");
        return false;
    }
    const OTHERWISE: &str = "or set IOGATE_SKIP_NAMESPACE_TESTS";
    assert_eq!(must("id", &["-u"]).trim(), "0", "network namespaces need root: run the tests as root, {OTHERWISE}");
    let there =
        |tool: &&str| Command::new("sh").args(["-c", "command -v \"$0\"", tool]).output().unwrap().status.success();
    let missing: Vec<_> = TOOLS.into_iter().filter(|tool| !there(tool)).collect();
    assert!(missing.is_empty(), "missing: {}: run scripts/setup --tests, {OTHERWISE}", missing.join(", "));
    true
}

/// Where frames are sent from and seen, outside the gateway: an interface in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// The only link of server 1, of server 2.
    Srv1,
    Srv2,
    /// The LAN, and a second way to it.
    Lan,
    Lan2,
    /// The storage network of fabric A, of fabric B.
    San,
    San2,
}

impl End {
    pub(crate) const ALL: [End; 6] = [End::Srv1, End::Srv2, End::Lan, End::Lan2, End::San, End::San2];

    /// The namespace, behind the prefix.
    pub(crate) fn role(self) -> &'static str {
        match self {
            End::Srv1 => "srv1",
            End::Srv2 => "srv2",
            End::Lan | End::Lan2 => "lan",
            End::San | End::San2 => "san",
        }
    }

    pub(crate) fn interface(self) -> &'static str {
        match self {
            End::Srv1 | End::Srv2 => "link0",
            End::Lan | End::San => "eth0",
            End::Lan2 | End::San2 => "eth1",
        }
    }

    /// The other side of it, in the gateway's namespace.
    pub(crate) fn gateway_side(self) -> &'static str {
        match self {
            End::Srv1 => "gw-srv1",
            End::Srv2 => "gw-srv2",
            End::Lan => "gw-lan",
            End::Lan2 => "gw-lan2",
            End::San => "gw-san",
            End::San2 => "gw-san2",
        }
    }
}

/// What `scripts/topology` makes; taken down when dropped.
pub(crate) struct Topology {
    prefix: String,
}

static SERIAL: AtomicU32 = AtomicU32::new(0);

impl Topology {
    /// Makes one, or nothing when the tests are to be skipped.
    pub(crate) fn up(options: &[&str]) -> Option<Topology> {
        if !wanted() {
            return None;
        }
        clear_abandoned();
        let prefix = format!("itest-{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
        let topology = Topology { prefix };
        must(SCRIPT, &[&["up", &topology.prefix], options].concat());
        Some(topology)
    }

    /// Adds a link to the LAN or to storage that nothing else is connected to.
    pub(crate) fn add_link(&self, end: End) {
        let (gateway, other) = (self.namespace("gw"), self.namespace(end.role()));
        let (inside, outside) = (end.gateway_side(), end.interface());
        must("ip", &["-n", &gateway, "link", "add", inside, "type", "veth", "peer", "name", outside, "netns", &other]);
        for (namespace, interface) in [(&gateway, inside), (&other, outside)] {
            must(
                "ip",
                &["netns", "exec", namespace, "ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off"],
            );
            must("ip", &["-n", namespace, "link", "set", interface, "up"]);
        }
    }

    /// The namespace of `gw`, `srv1`, `srv2`, `lan` or `san`.
    pub(crate) fn namespace(&self, role: &str) -> String {
        format!("{}-{role}", self.prefix)
    }

    /// Runs a command in a namespace; it has to succeed.
    pub(crate) fn must(&self, role: &str, command: &[&str]) -> String {
        must("ip", &[&["netns", "exec", &self.namespace(role)], command].concat())
    }

    /// A command to run in a namespace, for at most `seconds`.
    pub(crate) fn command(&self, role: &str, seconds: u32, command: &[&str]) -> Command {
        let mut all = Command::new("timeout");
        all.args(["--kill-after=2", &seconds.to_string(), "ip", "netns", "exec", &self.namespace(role)]);
        all.args(command);
        all
    }

    /// Sets the far side of a link up or down.
    pub(crate) fn set_link(&self, end: End, state: &str) {
        must("ip", &["-n", &self.namespace(end.role()), "link", "set", end.interface(), state]);
    }

    /// Frames that an end's interface received and sent, as its kernel counts them.
    pub(crate) fn kernel_counts(&self, end: End) -> (u64, u64) {
        let read = |name: &str| {
            let file = format!("/sys/class/net/{}/statistics/{name}", end.interface());
            self.must(end.role(), &["cat", &file]).trim().parse().expect("a number")
        };
        (read("rx_packets"), read("tx_packets"))
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        let output = run(SCRIPT, &["down", &self.prefix]);
        if !output.status.success() {
            eprintln!("{}", crate::support::text(&output));
        }
    }
}

/// Takes down what test processes that were killed left behind.
fn clear_abandoned() {
    let names =
        std::fs::read_dir(UP).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let by_pid: BTreeMap<String, String> = names
        .filter_map(|name| Some((name.clone(), name.strip_prefix("itest-")?.split('-').next()?.to_owned())))
        .collect();
    for (name, pid) in by_pid {
        if !Path::new("/proc").join(pid).exists() {
            drop(run(SCRIPT, &["down", &name]));
        }
    }
}

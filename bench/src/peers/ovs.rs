//! Open vSwitch on DPDK, as the distribution ships it, with flows that do the gateway's job
//! ([`ovs_flows`](super::ovs_flows)).
//!
//! A database and a switch of its own, in a folder of its own: what else of OVS runs on the machine is left alone.

use super::c::Way;
use super::ovs_flows::{flows, rx_port, tx_port};
use crate::clock::cpu_time;
use crate::testpmd::WARM_UP;
use crate::{Pages, Plan};
use anyhow::{Context as _, Result, bail, ensure};
use iogate_gateway::config::model::Config;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The switch that Debian's openvswitch-switch-dpdk installs.
const SWITCH: &str = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk";
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// OVS takes at least 16,384 buffers of its own size, which on plain pages have a page each.
const MEMORY_MB: u32 = 1024;
const PATIENCE: Duration = Duration::from_secs(20);

/// A running switch. Ends when it is dropped.
pub(crate) struct Ovs {
    folder: PathBuf,
    database: Child,
    switch: Option<Child>,
}

/// Whether it is installed.
pub(crate) fn installed() -> bool {
    Path::new(SWITCH).is_file() && Path::new(SCHEMA).is_file()
}

impl Ovs {
    /// Starts it in an empty folder, with a port for each device and the flows of `config`.
    pub(crate) fn start(folder: &Path, config: &Config, ways: &[Way], plan: Plan) -> Result<Ovs> {
        ensure!(installed(), "install openvswitch-switch-dpdk: iogate-bench install-peers");
        let run = |command: &mut Command| finish(command.env("OVS_RUNDIR", folder));
        run(Command::new("ovsdb-tool").arg("create").arg(folder.join("conf.db")).arg(SCHEMA))?;
        let database = Command::new("ovsdb-server")
            .arg(folder.join("conf.db"))
            .arg(format!("--remote=punix:{}", folder.join("db.sock").display()))
            .arg("--unixctl=database.ctl")
            .env("OVS_RUNDIR", folder)
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start ovsdb-server")?;
        let mut ovs = Ovs { folder: folder.to_owned(), database, switch: None };
        ovs.wait_for("db.sock")?;
        let pages = if plan.pages == Pages::Plain {
            "--legacy-mem --no-huge --no-shconf -m"
        } else {
            "--in-memory --socket-limit"
        };
        let other = iogate::worker::cores().into_iter().find(|other| *other != plan.core).unwrap_or(plan.core);
        let set = |key: &str, value: &str| format!("other_config:{key}={value}");
        ovs.control(&["--no-wait", "init"])?;
        ovs.control(&[
            "--no-wait",
            "set",
            "Open_vSwitch",
            ".",
            &set("dpdk-init", "true"),
            &set("dpdk-lcore-mask", &format!("0x{:x}", 1_u64 << other)),
            &set("pmd-cpu-mask", &format!("0x{:x}", 1_u64 << plan.core)),
            &set("dpdk-extra", &format!("\"--no-pci --no-telemetry {pages} {MEMORY_MB}\"")),
        ])?;
        let log = std::fs::File::create(folder.join("switch.log"))?;
        let switch = Command::new(SWITCH)
            .arg(format!("unix:{}", folder.join("db.sock").display()))
            .arg("--unixctl=switch.ctl")
            .args(["-vconsole:warn", "-vsyslog:off"])
            .env("OVS_RUNDIR", folder)
            .stderr(log)
            .spawn();
        ovs.switch = Some(switch.context("cannot start the switch")?);
        ovs.wait_for("switch.ctl")?;
        ovs.add_ports(config, ways)?;
        Ok(ovs)
    }

    fn add_ports(&self, config: &Config, ways: &[Way]) -> Result<()> {
        self.control(&[
            "add-br",
            "gateway",
            "--",
            "set",
            "Bridge",
            "gateway",
            "datapath_type=netdev",
            "fail-mode=secure",
        ])?;
        let rules = self.folder.join("flows");
        std::fs::write(&rules, flows(config)?.join("\n"))?;
        let manage = format!("unix:{}", self.folder.join("gateway.mgmt").display());
        finish(Command::new("ovs-ofctl").args(["add-flows", &manage]).arg(rules))?;
        let sinks = ways.iter().enumerate().map(|(at, way)| (tx_port(at), way.tx.clone()));
        let sources = ways.iter().enumerate().filter_map(|(at, way)| Some((rx_port(at), way.rx.clone()?)));
        // Sources last: they bring packets from their first moment on.
        for (number, device) in sinks.chain(sources) {
            let name = format!("p{number}");
            let device = format!("options:dpdk-devargs=\"{device}\"");
            let request = format!("ofport_request={number}");
            let line = ["add-port", "gateway", &name, "--", "set", "Interface", &name, "type=dpdk", &device, &request];
            self.control(&line)?;
            let error = self.control(&["get", "Interface", &name, "error"])?;
            ensure!(error.trim() == "[]", "OVS cannot use {device}: {}", error.trim());
        }
        Ok(())
    }

    /// Cycles of processor time for a packet, over `seconds` after a moment to warm up.
    pub(crate) fn measure(&mut self, seconds: f64, tsc_hz: f64) -> Result<f64> {
        let process = self.switch.as_ref().context("the switch has ended")?.id();
        // The first packets make the flows that the others find.
        std::thread::sleep(WARM_UP * 5);
        self.ask("dpif-netdev/pmd-stats-clear")?;
        let before = cpu_time(process)?;
        std::thread::sleep(Duration::from_secs_f64(seconds));
        let text = self.ask("dpif-netdev/pmd-stats-show")?;
        let time = cpu_time(process)? - before;
        let packets = received(&text).with_context(|| format!("no packets in what OVS says:\n{text}"))?;
        ensure!(packets > 0, "OVS forwards nothing:\n{}", self.log());
        Ok(time.as_secs_f64() * tsc_hz / packets as f64)
    }

    /// Packets that flows dropped.
    pub(crate) fn dropped(&self) -> Result<u64> {
        let manage = format!("unix:{}", self.folder.join("gateway.mgmt").display());
        let text = finish(Command::new("ovs-ofctl").args(["dump-flows", &manage]))?;
        Ok(text.lines().filter(|line| line.ends_with("actions=drop")).filter_map(packets_of_flow).sum())
    }

    /// Packets that left by each of the first `ways` ports.
    #[cfg(test)]
    pub(crate) fn sent(&self, ways: usize) -> Result<Vec<u64>> {
        let manage = format!("unix:{}", self.folder.join("gateway.mgmt").display());
        let text = finish(Command::new("ovs-ofctl").args(["dump-ports", &manage]))?;
        let port = |way| sent(&text, tx_port(way)).with_context(|| format!("no port {way} in what OVS says:\n{text}"));
        (0..ways).map(port).collect()
    }

    fn control(&self, arguments: &[&str]) -> Result<String> {
        let database = format!("--db=unix:{}", self.folder.join("db.sock").display());
        finish(Command::new("ovs-vsctl").args([&database, "--timeout=60"]).args(arguments))
            .with_context(|| format!("the switch says:\n{}", self.log()))
    }

    fn ask(&self, question: &str) -> Result<String> {
        finish(Command::new("ovs-appctl").arg("-t").arg(self.folder.join("switch.ctl")).arg(question))
    }

    fn wait_for(&mut self, file: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !self.folder.join(file).exists() {
            let ended = self.switch.as_mut().map(Child::try_wait);
            if Instant::now() > end || matches!(ended, Some(Ok(Some(_)))) {
                bail!("OVS has no {file}:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("switch.log")).unwrap_or_default()
    }
}

impl Drop for Ovs {
    fn drop(&mut self) {
        for child in self.switch.iter_mut().chain([&mut self.database]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a command to its end; what it printed.
fn finish(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {name}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", errors.trim());
    String::from_utf8(output.stdout).context("text that is none")
}

/// The packets that threads which poll have received.
fn received(text: &str) -> Option<u64> {
    let counts = text.lines().filter_map(|line| line.trim().strip_prefix("packets received:"));
    counts.map(|count| count.trim().parse::<u64>().ok()).sum()
}

fn packets_of_flow(line: &str) -> Option<u64> {
    line.split_once("n_packets=")?.1.split(',').next()?.parse().ok()
}

/// The packets that a port sent.
#[cfg(test)]
fn sent(text: &str, port: usize) -> Option<u64> {
    // The number stands in columns.
    let (_, of_port) = text.split_once(&format!("port {port:2}:"))?;
    of_port.split_once("tx pkts=")?.1.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix;

    #[test]
    fn what_ovs_says_is_read() {
        let text = "pmd thread numa_id 0 core_id 1:\n  packets received: 1048\n  packet recirculations: 0\n\
                    main thread:\n  packets received: 2\n";
        assert_eq!(received(text), Some(1050));
        let text = "OFPST_PORT reply (xid=0x4): 1 ports\n  port  1: rx pkts=0, bytes=0, drop=0, errs=0\n\
                    \x20          tx pkts=2304, bytes=9, drop=0, errs=0, coll=?\n";
        assert_eq!((sent(text, 1), sent(text, 2)), (Some(2304), None));
        assert_eq!(packets_of_flow(" cookie=0x0, table=0, n_packets=12, n_bytes=768, actions=drop"), Some(12));
    }

    #[test]
    fn every_adapter_has_its_flows() {
        let config = iogate_gateway::config::parse(&mix::config(4), Path::new("bench.toml"));
        let flows = flows(&config.unwrap_or_else(|e| panic!("{e}"))).unwrap();
        let local = |flow: &&String| flow.starts_with("table=2") && flow.contains("dl_dst") && flow.contains("output:");
        assert_eq!(flows.iter().filter(local).count(), 64);
        assert!(
            flows.iter().any(|flow| flow.contains("in_port=100,dl_vlan=1001") && flow.contains("nw_src=10.1.1.2,"))
        );
    }
}

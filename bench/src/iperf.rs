//! iperf3 between two network namespaces, through the gateway and through testpmd, both on AF_XDP
//! between the same two interfaces.

use crate::series::{Comparison, Report, Target, in_turns};
use crate::testpmd::{PROGRAM, Testpmd, installed};
use crate::{Plan, say};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What `scripts/topology` makes its names from.
const PREFIX: &str = "iogate-bench";
const BUFFERS: u32 = 16_384;
/// A measurement is no longer than this.
const LONGEST: f64 = 5.0;
/// The server's adapter and the host behind the uplink, as `scripts/topology` gives them.
const SERVER: (&str, &str) = ("10.10.0.1", "02:49:4f:47:00:10");
const HOST: &str = "10.10.0.100";

/// One TCP stream, from a server to a host on the LAN.
pub(crate) fn compare(plan: Plan, report: &mut Report) -> Result<()> {
    let gateway = gateway();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/topology");
    for (there, mend) in [
        (installed(PROGRAM), "install dpdk-dev"),
        (installed("iperf3"), "install iperf3"),
        (gateway.is_file(), "build the gateway beside this program: cargo build --release -p iogate-gateway"),
        (script.is_file(), "scripts/topology is not where it was when this program was built"),
        (Command::new("id").arg("-u").output()?.stdout == b"0\n", "run as root"),
    ] {
        if !there {
            report.notes.push(format!("iperf: not measured: {mend}"));
            return Ok(());
        }
    }
    let network = Topology::up(script)?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("gateway.toml");
    std::fs::write(&config, configuration(folder.path(), plan.core))?;
    let seconds = plan.seconds.clamp(1.0, LONGEST).round();
    let ours = || {
        let mut command = network.within("gw", &gateway);
        command.arg("run").arg(&config).args(["--log", "warn"]);
        let _gateway = Running(command.stdout(Stdio::null()).spawn().context("cannot start the gateway")?);
        network.throughput(seconds)
    };
    let theirs = || {
        let devices = ["net_af_xdp0,iface=gw-srv1", "net_af_xdp1,iface=gw-lan"].map(String::from);
        let before = ["ip", "netns", "exec", &network.namespace("gw")].map(String::from);
        let before = before.each_ref().map(String::as_str);
        let mut testpmd = Testpmd::start_with(&before, &devices, BUFFERS, plan)?.expect("it is installed");
        testpmd.forward_on()?;
        network.throughput(seconds)
    };
    let bridged = || {
        let _bridge = Bridge::up(&network)?;
        network.throughput(seconds)
    };
    say("iperf: through the gateway, then through testpmd, then through the kernel's bridge, Gbit/s");
    let runs = in_turns(plan.runs, "iperf", &mut [Box::new(ours), Box::new(theirs), Box::new(bridged)])?;
    let name = "iperf3 through AF_XDP on veth, one worker";
    report.comparisons.push(Comparison::new(name, "Gbit/s", "Linux bridge", [&runs[0], &runs[2]], None));
    report.comparisons.push(Comparison::new(
        name,
        "Gbit/s",
        "testpmd",
        [&runs[0], &runs[1]],
        Some(Target::AtLeast(0.9)),
    ));
    Ok(())
}

/// The gateway's program: what `IOGATE_BIN` says, or the one beside this one.
fn gateway() -> PathBuf {
    let beside = || std::env::current_exe().unwrap_or_default().with_file_name("iogate");
    std::env::var_os("IOGATE_BIN").map_or_else(beside, PathBuf::from)
}

fn configuration(folder: &Path, core: usize) -> String {
    let (ip, mac) = SERVER;
    format!(
        r#"
schema = 1
[gateway]
name = "bench"
socket = "{}/gateway.sock"
memory_mb = 256
[[worker]]
core = {core}
queues = ["srv1:0", "lan:0"]
[[link]]
name = "srv1"
port = "af_xdp:gw-srv1"
[[uplink]]
name = "lan"
port = "af_xdp:gw-lan"
kind = "network"
[[uplink_group]]
name = "lan"
kind = "network"
members = ["lan"]
[[network]]
name = "lan"
vlan = 0
uplink = "lan"
[[policy]]
name = "strict"
antispoof = {{ arp = true, nd = true, ip = true }}
[[vnic]]
name = "srv1.lan"
link = "srv1"
mac = "{mac}"
network = "lan"
ips = ["{ip}"]
policy = "strict"
"#,
        folder.display()
    )
}

/// The namespaces, taken down again when it is dropped.
struct Topology {
    script: PathBuf,
}

impl Topology {
    fn up(script: PathBuf) -> Result<Self> {
        let topology = Topology { script };
        ensure!(topology.run("up")?, "scripts/topology could not make the network");
        Ok(topology)
    }

    fn run(&self, verb: &str) -> Result<bool> {
        let status = Command::new(&self.script).args([verb, PREFIX]).stdout(Stdio::null()).status();
        Ok(status.with_context(|| format!("cannot run {}", self.script.display()))?.success())
    }

    fn namespace(&self, role: &str) -> String {
        format!("{PREFIX}-{role}")
    }

    /// A command that runs in a namespace.
    fn within(&self, role: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(role)]).arg(program).stdin(Stdio::null());
        command
    }

    /// Gbit/s of one TCP stream, once the path carries anything.
    fn throughput(&self, seconds: f64) -> Result<f64> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let mut ping = self.within("srv1", "ping");
            ping.args(["-c", "1", "-W", "1", HOST]).stdout(Stdio::null());
            if ping.status()?.success() {
                break;
            }
            ensure!(Instant::now() < end, "nothing gets through");
        }
        let mut server = self.within("lan", "iperf3");
        let _server = Running(server.args(["-s", "-B", HOST]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        let mut why = String::new();
        for _ in 0..20 {
            let mut client = self.within("srv1", "iperf3");
            client.args(["-J", "-c", HOST, "-B", SERVER.0, "--connect-timeout", "3000"]);
            let output = client.args(["-t", &seconds.to_string()]).output()?;
            match received(&output.stdout) {
                Ok(rate) => return Ok(rate / 1e9),
                // The server may not listen yet.
                Err(error) => why = error.to_string(),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("iperf3 does not get through: {why}")
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        if !matches!(self.run("down"), Ok(true)) {
            say("the network could not be taken down");
        }
    }
}

/// A bridge of the kernel between the interfaces that the gateway had.
struct Bridge<'a>(&'a Topology);

impl<'a> Bridge<'a> {
    fn up(network: &'a Topology) -> Result<Self> {
        let bridge = Bridge(network);
        bridge.ip(&["link", "add", "bridge0", "type", "bridge"])?;
        for interface in ["gw-srv1", "gw-lan"] {
            bridge.ip(&["link", "set", interface, "master", "bridge0"])?;
        }
        bridge.ip(&["link", "set", "bridge0", "up"])?;
        Ok(bridge)
    }

    fn ip(&self, arguments: &[&str]) -> Result<()> {
        let status = self.0.within("gw", "ip").args(arguments).status()?;
        ensure!(status.success(), "ip {} failed", arguments.join(" "));
        Ok(())
    }
}

impl Drop for Bridge<'_> {
    fn drop(&mut self) {
        // Interfaces leave it when it goes.
        if let Err(error) = self.ip(&["link", "del", "bridge0"]) {
            say(error);
        }
    }
}

/// A process that is asked to end when it is dropped, and waited for.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bits per second that the receiver saw, from what `iperf3 -J` printed.
fn received(json: &[u8]) -> Result<f64> {
    let report: Value = serde_json::from_slice(json).context("iperf3 printed no JSON")?;
    if let Some(error) = report["error"].as_str() {
        bail!("{error}");
    }
    let rate = report["end"]["sum_received"]["bits_per_second"].as_f64();
    rate.filter(|rate| *rate > 0.0).context("iperf3 received nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_one() {
        let text = configuration(Path::new("/run/iogate"), 0);
        iogate_gateway::config::parse(&text, Path::new("bench.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    }

    #[test]
    fn what_iperf3_says_is_read() {
        let rate = received(br#"{"end": {"sum_received": {"bits_per_second": 2.5e9}}}"#);
        assert_eq!(rate.unwrap(), 2.5e9);
        assert!(received(br#"{"error": "unable to connect"}"#).unwrap_err().to_string().contains("unable"));
        assert!(received(br#"{"end": {}}"#).is_err());
        assert!(received(b"iperf3: error").is_err());
    }
}

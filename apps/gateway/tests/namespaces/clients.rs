//! Real clients and servers: ping, iperf3, and iSCSI against a target.

use crate::house::Driver;
use crate::support::{Gateway, Summary, wait};
use crate::topology::{End, Topology};
use serde_json::Value;
use std::process::{Child, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const LAN_IP: &str = "10.10.0.100";
const SAN_IP: &str = "10.20.0.100";
const TARGET: &str = "iqn.2025-01.net.iogate:itest";
/// MiB of a LUN.
const DISK: u32 = 16;

/// Both servers of `scripts/topology` with a vNIC and a vHBA each, untagged on their links.
pub(crate) const CONFIG: &str = include_str!("clients.toml");

/// A gateway between hosts that speak to each other.
pub(crate) struct Clients {
    gateway: Option<Gateway>,
    servers: Vec<Child>,
    folder: TempDir,
    pub(crate) topology: Topology,
}

impl Clients {
    pub(crate) fn up(driver: Driver, config: &str, options: &[&str]) -> Option<Clients> {
        let topology = Topology::up(options)?;
        let gateway = Gateway::start(Some(&topology.namespace("gw")), &driver.fill(config));
        let folder = tempfile::tempdir().expect("a folder");
        Some(Clients { gateway: Some(gateway), servers: Vec::new(), folder, topology })
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("it runs")
    }

    /// Takes the gateway out, to stop or kill it.
    pub(crate) fn take_gateway(&mut self) -> Gateway {
        self.gateway.take().expect("it runs")
    }

    pub(crate) fn put_gateway(&mut self, gateway: Gateway) {
        self.gateway = Some(gateway);
    }

    /// Starts a program for at most `seconds`.
    pub(crate) fn start(&self, role: &str, seconds: u32, command: &[&str]) -> Child {
        let mut command = self.topology.command(role, seconds, command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    }

    /// Starts a program that runs until the end of the test.
    fn serve(&mut self, role: &str, command: &[&str]) {
        let mut command = self.topology.command(role, 120, command);
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.servers.push(quiet.spawn().expect("it starts"));
    }

    /// Whether it is answered before long: under load a ping may be lost.
    #[track_caller]
    pub(crate) fn reach(&self, role: &str, ip: &str) {
        let one = || self.topology.command(role, 5, &["ping", "-n", "-q", "-c", "1", "-W", "1", ip]).output().unwrap();
        let answered = wait(Duration::from_secs(5), || one().status.success().then_some(()));
        assert!(answered.is_some(), "{role} does not reach {ip}");
    }

    /// Five pings of the largest size, all answered, once it is reached.
    #[track_caller]
    pub(crate) fn ping(&self, role: &str, ip: &str) {
        self.reach(role, ip);
        let command = ["ping", "-n", "-q", "-c", "5", "-i", "0.05", "-W", "2", "-M", "do", "-s", "1472", ip];
        let said = self.topology.must(role, &command);
        assert!(said.contains("5 received"), "{said}");
    }

    /// An iperf3 server in the LAN for each server.
    pub(crate) fn serve_tcp(&mut self) {
        for port in ["5201", "5202"] {
            self.serve("lan", &["iperf3", "-s", "-p", port]);
        }
        let listening = || self.topology.must("lan", &["ss", "-Hltn"]).lines().count() >= 2;
        assert!(wait(Duration::from_secs(5), || listening().then_some(())).is_some(), "iperf3 does not listen");
    }

    /// Begins to send TCP from a server to the LAN for a while.
    pub(crate) fn tcp(&self, server: u32, seconds: u32, more: &[&str]) -> Child {
        let (port, time) = (format!("520{server}"), seconds.to_string());
        let command = ["iperf3", "-J", "-c", LAN_IP, "-p", &port, "-t", &time, "--connect-timeout", "3000"];
        self.start(&format!("srv{server}"), seconds + 15, &[&command, more].concat())
    }

    /// A target with a LUN for each server.
    pub(crate) fn serve_iscsi(&mut self) {
        let socket = format!("TGT_IPC_SOCKET={}/tgtd", self.folder.path().display());
        let portal = format!("portal={SAN_IP}:3260");
        self.serve("san", &["env", &socket, "tgtd", "-f", "-C", "5", "--iscsi", &portal]);
        let admin = |args: &[&str]| {
            let command = [&["env", &socket, "tgtadm", "-C", "5", "--lld", "iscsi"], args].concat();
            self.topology.command("san", 20, &command).output().expect("it runs").status.success()
        };
        let show = ["--op", "show", "--mode", "target"];
        assert!(wait(Duration::from_secs(10), || admin(&show).then_some(())).is_some(), "tgtd does not answer");
        assert!(admin(&["--op", "new", "--mode", "target", "--tid", "1", "--targetname", TARGET]));
        for lun in ["1", "2"] {
            let file = self.folder.path().join(lun);
            let disk = std::fs::File::create(&file).expect("a file");
            disk.set_len(u64::from(DISK) << 20).expect("room on the disk");
            let file = file.to_str().expect("a path in UTF-8");
            let new = ["--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", lun, "--backing-store", file];
            assert!(admin(&new));
        }
        assert!(admin(&["--op", "bind", "--mode", "target", "--tid", "1", "--initiator-address", "ALL"]));
    }

    /// Begins to write a server's LUN full of its own pattern and to read it back.
    pub(crate) fn disk(&self, server: u32, pattern: u8) -> Child {
        let url = format!("iscsi://{SAN_IP}/{TARGET}/{server}");
        let (write, read) = (format!("write -P {pattern} 0 {DISK}M"), format!("read -P {pattern} 0 {DISK}M"));
        // Without a cache between, so that what is read comes over the wire.
        let command = ["qemu-io", "-t", "none", "-f", "raw", "-c", &write, "-c", &read, &url];
        self.start(&format!("srv{server}"), 60, &command)
    }

    /// The LUN at the target holds the pattern, and the client said that it read it.
    #[track_caller]
    pub(crate) fn check_disk(&self, server: u32, pattern: u8, client: Child) {
        let said = output(client);
        assert!(said.contains("wrote 16777216/16777216") && said.contains("read 16777216/16777216"), "{said}");
        assert!(!said.contains("Pattern verification failed"), "{said}");
        let disk = std::fs::read(self.folder.path().join(server.to_string())).expect("the LUN's file");
        assert_eq!((disk.len(), disk.iter().all(|byte| *byte == pattern)), (16 << 20, true), "LUN {server}");
    }

    #[track_caller]
    pub(crate) fn wait_active(&self, network: &str, uplink: &str) {
        let active = || {
            let rows = self.gateway().show("networks");
            let row = rows.as_array().expect("rows").iter().find(|row| row["name"] == network).cloned();
            row.map(|row| row["active"].clone())
        };
        let same = wait(Duration::from_secs(5), || (active() == Some(Value::from(uplink))).then_some(()));
        assert!(same.is_some(), "{network} uses {:?}, not {uplink}", active());
    }

    /// Ends everything but the gateway, and then every frame is accounted for: what it sent is what the kernels at the
    /// other ends received, and what those sent is what it received or says that it missed.
    #[track_caller]
    pub(crate) fn settle(&mut self) {
        self.end_servers();
        let ends = [(End::Srv1, "eth-srv1"), (End::Srv2, "eth-srv2"), (End::Lan, "net-a"), (End::San, "san-a")];
        let look = || {
            let ports = self.gateway().show("ports");
            let row = |name: &str| ports.as_array().expect("rows").iter().find(|row| row["name"] == name).cloned();
            ends.map(|(end, name)| {
                let port = row(name).expect(name);
                let count = |key: &str| port[key]["packets"].as_u64().expect("a number");
                let missed = port["rx_missed"].as_u64().expect("a number");
                // What the kernel there received, we sent.
                let (received, sent) = self.topology.kernel_counts(end);
                (name, received, count("tx"), sent, count("rx") + missed)
            })
        };
        let same = wait(Duration::from_secs(5), || {
            look().iter().all(|(_, received, tx, sent, rx)| received == tx && sent == rx).then_some(())
        });
        assert!(same.is_some(), "port, received there, sent here, sent there, received or missed here: {:?}", look());
        let drops = self.gateway().show("drops");
        let dropped = drops.as_array().expect("rows").iter().filter(|row| row["reason"] == "port-rx-missed");
        let ports = self.gateway().show("ports");
        let missed = ports.as_array().expect("rows").iter().filter_map(|port| port["rx_missed"].as_u64());
        assert_eq!(dropped.filter_map(|row| row["packets"].as_u64()).sum::<u64>(), missed.sum::<u64>());
    }

    fn end_servers(&mut self) {
        for mut server in self.servers.drain(..) {
            end(&mut server);
        }
    }

    pub(crate) fn stop(mut self) -> Summary {
        self.end_servers();
        self.take_gateway().stop()
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        if let (true, Some(gateway)) = (std::thread::panicking(), &self.gateway) {
            gateway.explain();
        }
        // First, so that no process is left in the namespaces.
        self.end_servers();
    }
}

/// Ends a program under `timeout`, which passes SIGTERM on and, to one that does not heed it as tgtd, SIGKILL later.
fn end(server: &mut Child) {
    crate::support::run("kill", &["-TERM", &server.id().to_string()]);
    drop(server.wait());
}

/// What a program says that has to succeed.
#[track_caller]
pub(crate) fn output(child: Child) -> String {
    let output = child.wait_with_output().expect("it ends");
    let said = crate::support::text(&output);
    assert!(output.status.success(), "{}: {said}", output.status);
    said
}

/// Bytes that a run of iperf3 carried.
#[track_caller]
pub(crate) fn carried(client: Child) -> u64 {
    let said = output(client);
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    report["end"]["sum_received"]["bytes"].as_u64().unwrap_or_else(|| panic!("{said}"))
}

/// Bytes that an adapter carried, from its server and to it.
fn volume(clients: &Clients, name: &str) -> (u64, u64) {
    let rows = clients.gateway().show("vnics");
    let row = rows.as_array().expect("rows").iter().find(|row| row["name"] == name).expect("its row").clone();
    let bytes = |key: &str| row[key]["bytes"].as_u64().expect("a number");
    (bytes("from_server"), bytes("to_server"))
}

#[test]
fn servers_ping_the_lan_and_each_other() {
    let Some(mut clients) = Clients::up(Driver::AfXdp, CONFIG, &[]) else { return };
    clients.ping("srv1", LAN_IP);
    clients.ping("srv2", LAN_IP);
    clients.ping("lan", "10.10.0.1");
    clients.ping("srv1", "10.10.0.2");
    clients.ping("srv1", SAN_IP);
    clients.settle();
    assert_eq!(clients.gateway().show("drops").as_array().map(Vec::len), Some(0));
    clients.stop();
}

#[test]
fn tcp_flows_both_ways() {
    let Some(mut clients) = Clients::up(Driver::AfXdp, CONFIG, &[]) else { return };
    clients.serve_tcp();
    let up = carried(clients.tcp(1, 1, &[]));
    let down = carried(clients.tcp(1, 1, &["-R"]));
    assert!(up > 10_000_000 && down > 10_000_000, "{up} bytes up, {down} bytes down");
    let (from, to) = volume(&clients, "srv1.net");
    assert!(from > up && to > down, "{from} from the server of {up}, {to} to it of {down}");
    clients.settle();
    clients.stop();
}

#[test]
fn tcp_and_iscsi_at_once() {
    let Some(mut clients) = Clients::up(Driver::AfXdp, CONFIG, &[]) else { return };
    clients.serve_tcp();
    clients.serve_iscsi();
    let list = clients.topology.must("srv1", &["timeout", "15", "iscsi-ls", "-s", &format!("iscsi://{SAN_IP}")]);
    assert!(list.contains(&format!("Target:{TARGET}")) && list.contains("Lun:1"), "{list}");
    let flows = [clients.tcp(1, 2, &[]), clients.tcp(2, 2, &["-R"])];
    let disks = [clients.disk(1, 0xa5), clients.disk(2, 0x3c)];
    let [first, second] = disks;
    clients.check_disk(1, 0xa5, first);
    clients.check_disk(2, 0x3c, second);
    for flow in flows {
        let bytes = carried(flow);
        assert!(bytes > 1_000_000, "{bytes} bytes");
    }
    for name in ["srv1.san", "srv2.san"] {
        let (from, to) = volume(&clients, name);
        let disk = u64::from(DISK) << 20;
        assert!(from > disk && to > disk && from < 3 * disk, "{name}: {from} from the server, {to} to it");
    }
    clients.stop();
}

//! Two hosts ping each other through `l2fwd`.

use iogate::testkit::{in_namespace, sh};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A network namespace with one interface, whose other end is here.
struct Host(Child);

impl Host {
    /// Interface `near` is ours; the host has the last number of its addresses.
    fn new(near: &str, number: u8) -> Self {
        let host = Host(Command::new("unshare").args(["--net", "sleep", "100"]).spawn().expect("unshare is there"));
        let pid = host.0.id();
        // Until it has left our namespace, the interface would stay in it.
        sh(&format!(
            "until [ \"$(readlink /proc/{pid}/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.01; done"
        ));
        sh(&format!("ip link add {near} type veth peer name far netns {pid}; ip link set {near} up"));
        host.run(&format!(
            "ip link set far address 02:00:00:00:00:{number:02}; ip link set far up; ip addr add 10.77.0.{number}/24 dev far"
        ));
        host
    }

    fn run(&self, commands: &str) -> String {
        sh(&format!("nsenter --target {} --net sh -ec '{commands}'", self.0.id()))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs `l2fwd` while `work` does; returns what it said at the end.
fn forwarding(arguments: &[&str], work: impl FnOnce()) -> Vec<String> {
    let mut app = Command::new(env!("CARGO_BIN_EXE_l2fwd")).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(app.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().expect("it starts").starts_with("forwarding between "));
    work();
    sh(&format!("kill -INT {}", app.id()));
    let said = lines.collect();
    assert!(app.wait().unwrap().success());
    said
}

#[test]
fn a_ping_crosses() {
    in_namespace("a_ping_crosses", || {
        let (a, _b) = (Host::new("a0", 1), Host::new("b0", 2));
        let said = forwarding(&["af_packet:a0", "af_packet:b0"], || {
            assert!(a.run("ping -c 5 -i 0.1 -W 5 10.77.0.2").contains(" 0% packet loss"));
        });
        assert!(said[0].starts_with("af_packet:a0 -> af_packet:b0: ") && said[0].ends_with(" 0 dropped"), "{said:?}");
        assert!(said[1].starts_with("af_packet:b0 -> af_packet:a0: ") && said[1].ends_with(" 0 dropped"), "{said:?}");
    });
}

#[test]
fn addresses_are_rewritten() {
    in_namespace("addresses_are_rewritten", || {
        let (a, b) = (Host::new("a0", 1), Host::new("b0", 2));
        // Nobody has the address that either knows of the other.
        a.run("ip neigh add 10.77.0.2 lladdr 02:00:00:00:00:99 dev far");
        b.run("ip neigh add 10.77.0.1 lladdr 02:00:00:00:00:99 dev far");
        let hosts = ["--host-a", "02:00:00:00:00:01", "--host-b", "02:00:00:00:00:02"];
        forwarding(&[&["af_packet:a0", "af_packet:b0"][..], &hosts].concat(), || {
            assert!(a.run("ping -c 3 -i 0.1 -W 5 10.77.0.2").contains(" 0% packet loss"));
        });
    });
}

#[test]
fn what_is_wrong_with_a_port_is_said() {
    let output = Command::new(env!("CARGO_BIN_EXE_l2fwd")).args(["af_packet:nosuchif", "null"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("port af_packet:nosuchif: "), "{text}");
    let output = Command::new(env!("CARGO_BIN_EXE_l2fwd")).args(["eth0", "null"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && text.contains("write KIND:TARGET"), "{text}");
}

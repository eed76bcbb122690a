//! The end of a gateway while traffic flows, and the start of the next one.

use crate::clients::{CONFIG, Clients, LAN_IP};
use crate::house::Driver;
use crate::support::Gateway;
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

/// TCP both ways on both servers, begun a moment ago.
fn under_load(clients: &mut Clients) -> [Child; 2] {
    clients.serve_tcp();
    let flows = [clients.tcp(1, 20, &[]), clients.tcp(2, 20, &["-R"])];
    sleep(Duration::from_millis(800));
    flows
}

fn end(flows: [Child; 2]) {
    for mut flow in flows {
        // A gateway that is gone leaves them hanging.
        crate::support::run("kill", &["-TERM", &flow.id().to_string()]);
        drop(flow.wait());
    }
}

fn stops_under_load(driver: Driver) {
    let Some(mut clients) = Clients::up(driver, CONFIG, &[]) else { return };
    clients.ping("srv1", LAN_IP);
    let flows = under_load(&mut clients);
    let config = std::fs::read_to_string(clients.gateway().config()).expect("its file");
    let summary = clients.take_gateway().stop();
    assert!(summary.sent > 1000, "{summary:?}");
    // While the clients go on trying: the next one takes over.
    let namespace = clients.topology.namespace("gw");
    clients.put_gateway(Gateway::start(Some(&namespace), &rename(&config)));
    clients.reach("srv1", LAN_IP);
    clients.reach("srv2", LAN_IP);
    end(flows);
    clients.stop();
}

/// The file of a gateway before, for another folder.
pub(crate) fn rename(config: &str) -> String {
    let line = |line: &str| if line.starts_with("socket = ") { "socket = \"SOCKET\"".into() } else { line.to_owned() };
    config.lines().map(|text| line(text) + "\n").collect()
}

fn is_killed_under_load(driver: Driver) {
    let Some(mut clients) = Clients::up(driver, CONFIG, &[]) else { return };
    let flows = under_load(&mut clients);
    let folder = clients.take_gateway().kill();
    assert!(folder.path().join("gw.sock").exists(), "a killed gateway leaves its socket");
    let namespace = clients.topology.namespace("gw");
    clients.put_gateway(Gateway::restart(Some(&namespace), folder));
    clients.reach("srv1", LAN_IP);
    clients.reach("srv2", LAN_IP);
    end(flows);
    clients.stop();
}

#[test]
fn sigterm_while_traffic_flows_on_af_xdp() {
    stops_under_load(Driver::AfXdp);
}

#[test]
fn sigterm_while_traffic_flows_on_af_packet() {
    stops_under_load(Driver::AfPacket);
}

#[test]
fn kill_9_while_traffic_flows_on_af_xdp() {
    is_killed_under_load(Driver::AfXdp);
}

#[test]
fn kill_9_while_traffic_flows_on_af_packet() {
    is_killed_under_load(Driver::AfPacket);
}

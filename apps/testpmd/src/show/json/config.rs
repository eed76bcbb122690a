//! `show config`.

use super::print;
use crate::app::App;
use crate::engine::{Link, Plan};
use crate::forward::Split;
use crate::ports::PortState;
use crate::settings::Settings;
use iogate::port::QueueConfig;
use serde_json::{Value, json};

/// `show config fwd`.
pub(crate) fn forward(app: &App, plan: &Plan) {
    let settings = &app.settings;
    let link = |link: &Link| {
        json!({
            "rx_port": link.rx_port,
            "rx_queue": link.rx_queue,
            "tx_port": link.tx_port,
            "tx_queue": link.tx_queue,
            "peer": settings.modes.peer(link.tx_port).to_string().to_uppercase(),
        })
    };
    let core = |(lcore, links): &(iogate::eal::Lcore, Vec<Link>)| {
        let streams: Vec<Value> = links.iter().map(link).collect();
        json!({ "lcore": lcore.id, "socket": lcore.numa_node, "streams": streams })
    };
    let retry = settings.retry.then_some(settings.retries);
    let body = json!({
        "mode": settings.mode_name,
        "ports": settings.forwarding(),
        "retry": retry.map(|retry| json!({ "times": retry.times, "delay_us": retry.delay.as_micros() as u64 })),
        "cores": plan.cores.iter().map(core).collect::<Vec<Value>>(),
    });
    print("config-fwd", body);
}

/// `show config rxtx`.
pub(crate) fn rxtx(app: &App) {
    let settings = &app.settings;
    let queue = |queue: &QueueConfig| {
        let at = queue.thresholds;
        json!({
            "descriptors": queue.descriptors,
            "offloads": queue.offloads,
            "free_threshold": at.free,
            "rs_threshold": at.rs,
            "prefetch": at.prefetch,
            "host": at.host,
            "writeback": at.writeback,
            "deferred_start": queue.deferred_start,
        })
    };
    let port = |port: &PortState| {
        let config = &port.config;
        json!({
            "port": port.device.id(),
            "rx_offloads": config.rx_offloads,
            "tx_offloads": config.tx_offloads,
            "rx_queues": (0..config.rx_queues).map(|at| queue(config.rx_queue(at))).collect::<Vec<Value>>(),
            "tx_queues": (0..config.tx_queues).map(|at| queue(config.tx_queue(at))).collect::<Vec<Value>>(),
        })
    };
    let ports = settings.forwarding().iter().filter_map(|id| app.ports.get(*id));
    let body = json!({
        "mode": settings.mode_name,
        "burst": settings.burst,
        "cores": settings.nb_cores,
        "ports": ports.map(port).collect::<Vec<Value>>(),
    });
    print("config-rxtx", body);
}

/// `show config cores`.
pub(crate) fn cores(app: &App) {
    let used: Vec<u32> = app.settings.lcores.iter().take(app.settings.nb_cores).copied().collect();
    print("config-cores", json!({ "lcores": used }));
}

/// `show config txpkts`.
pub(crate) fn txpkts(app: &App) {
    let split = match app.settings.modes.split {
        Split::Off => "off",
        Split::On => "on",
        Split::Random => "rand",
    };
    print("config-txpkts", json!({ "segments": app.settings.modes.segments, "split": split }));
}

/// `show config rxpkts` and `show config rxoffs`.
pub(crate) fn list(what: &str, numbers: &[u16]) {
    print(&format!("config-{what}"), json!({ what: numbers }));
}

/// `show config rxhdrs`.
pub(crate) fn segment_headers(settings: &Settings) {
    let names: Vec<&str> = settings.rxhdrs.iter().map(|header| header.name()).collect();
    print("config-rxhdrs", json!({ "rxhdrs": names }));
}

/// `csum show`: who computes each checksum.
pub(crate) fn checksums(id: u16, parse_tunnels: bool, places: impl Iterator<Item = (&'static str, bool)>) {
    let mut body = json!({ "port": id, "parse_tunnel": parse_tunnels });
    places.for_each(|(kind, hardware)| body[kind] = json!(if hardware { "hw" } else { "sw" }));
    print("csum", body);
}

/// `tso show`.
pub(crate) fn tso(id: u16, size: Option<u16>) {
    print("tso", json!({ "port": id, "segment_size": size }));
}

/// `tunnel_tso show`.
pub(crate) fn tunnel_tso(id: u16, size: Option<u16>) {
    print("tunnel-tso", json!({ "port": id, "segment_size": size }));
}

/// `show port N gro`.
pub(crate) fn gro(id: u16, on: bool, rounds: u32) {
    print("port-gro", json!({ "port": id, "on": on, "flush_cycles": rounds }));
}

/// `show port N gso`.
pub(crate) fn gso(id: u16, on: bool, size: u16) {
    print("port-gso", json!({ "port": id, "on": on, "packet_size": size }));
}

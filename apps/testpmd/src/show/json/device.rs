//! What devices and their queues say of themselves.

use super::{print, summary};
use crate::ports::PortState;
use crate::show::rss;
use iogate::packet::MacAddr;
use iogate::port::{DescriptorState, FlowControl, QueueInfo, QueueState, rx_offload_names, tx_offload_names};
use serde_json::{Map, Value, json};

/// `show device info`: devices by name, each with its ports.
pub(crate) fn devices(list: &[(&str, Vec<&PortState>)]) {
    let device = |(name, ports): &(&str, Vec<&PortState>)| {
        let info = ports.first().map(|first| first.device.info());
        json!({
            "name": name,
            "bus": info.map(|info| &info.bus.name),
            "bus_info": info.map(|info| &info.bus.info),
            "driver": info.map(|info| &info.driver),
            "devargs": info.map(|info| &info.arguments),
            "socket": info.and_then(|info| info.bus.numa_node),
            "ports": ports.iter().map(|port| summary(port)).collect::<Vec<Value>>(),
        })
    };
    print("device-info", json!({ "devices": list.iter().map(device).collect::<Vec<Value>>() }));
}

/// `show port N macs` and `mcast_macs`.
pub(crate) fn macs(topic: &str, id: u16, macs: &[MacAddr]) {
    let macs: Vec<String> = macs.iter().map(|mac| mac.to_string().to_uppercase()).collect();
    print(topic, json!({ "port": id, "macs": macs }));
}

/// `show port N flow_ctrl`.
pub(crate) fn flow_control(id: u16, flow: &FlowControl) {
    let body = json!({
        "port": id,
        "rx_pause": flow.rx,
        "tx_pause": flow.tx,
        "autoneg": flow.autoneg,
        "pause_time": flow.pause_time,
        "high_water": flow.high_water,
        "low_water": flow.low_water,
        "send_xon": flow.send_xon,
        "forward_control": flow.forward_control,
    });
    print("port-flow-ctrl", body);
}

/// `show port N ptypes`.
pub(crate) fn ptypes(id: u16, types: &[u32]) {
    let types = types.iter().map(|kind| json!({ "type": kind, "name": iogate::port::ptype_name(*kind) }));
    print("port-ptypes", json!({ "port": id, "ptypes": types.collect::<Vec<Value>>() }));
}

/// `show port N rss-hash`. The key, where it was asked for.
pub(crate) fn rss_hash(id: u16, fields: u64, key: Option<&[u8]>) {
    let key = key.map(|key| key.iter().map(|byte| format!("{byte:02X}")).collect::<String>());
    print("port-rss-hash", json!({ "port": id, "fields": rss::names(fields), "key": key }));
}

/// `show port N rss-hash algorithm`.
pub(crate) fn hash_algorithm(id: u16, name: &str) {
    print("port-rss-algorithm", json!({ "port": id, "algorithm": name }));
}

/// `show port N rss reta`: the queues of entries.
pub(crate) fn reta(id: u16, entries: &[(usize, u16)]) {
    let entries: Map<String, Value> = entries.iter().map(|(at, queue)| (at.to_string(), json!(queue))).collect();
    print("port-rss-reta", json!({ "port": id, "queues": entries }));
}

/// `show rxq info` and `show txq info`.
pub(crate) fn queue(id: u16, queue: u16, rx: bool, info: &QueueInfo) {
    let state = match info.state {
        QueueState::Stopped => "stopped",
        QueueState::Started => "started",
        QueueState::Hairpin => "hairpin",
        QueueState::Unknown => "unknown",
    };
    let mut body = json!({
        "port": id,
        "queue": queue,
        "descriptors": info.descriptors,
        "prefetch": info.prefetch,
        "host": info.host,
        "writeback": info.writeback,
        "free_threshold": info.free_threshold,
        "deferred_start": info.deferred_start,
        "offloads": names(rx, info.offloads),
        "state": state,
        "burst_mode": info.burst_mode,
    });
    if rx {
        body["pool"] = json!(info.pool);
        body["drop"] = json!(info.drop);
        body["scattered"] = json!(info.scattered);
    } else {
        body["rs_threshold"] = json!(info.rs_threshold);
    }
    print(if rx { "rxq-info" } else { "txq-info" }, body);
}

fn names(rx: bool, bits: u64) -> Vec<String> {
    if rx { rx_offload_names(bits) } else { tx_offload_names(bits) }
}

/// `show port N rx_offload|tx_offload capabilities`.
pub(crate) fn offload_capabilities(id: u16, rx: bool, of_port: u64, of_queue: u64) {
    let body = json!({ "port": id, "per_queue": names(rx, of_queue), "per_port": names(rx, of_port) });
    print(if rx { "rx-offload-capabilities" } else { "tx-offload-capabilities" }, body);
}

/// `show port N rx_offload|tx_offload configuration`: of the port and of each queue.
pub(crate) fn offload_configuration(id: u16, rx: bool, of_port: u64, of_queues: &[u64]) {
    let queues: Vec<Vec<String>> = of_queues.iter().map(|bits| names(rx, *bits)).collect();
    let body = json!({ "port": id, "offloads": names(rx, of_port), "queues": queues });
    print(if rx { "rx-offload-configuration" } else { "tx-offload-configuration" }, body);
}

/// `show port N rxq Q desc used count`.
pub(crate) fn used(id: u16, queue: u16, count: u32) {
    print("rxq-desc-used", json!({ "port": id, "queue": queue, "used": count }));
}

/// `show port N rxq|txq Q desc D status`.
pub(crate) fn descriptor(id: u16, queue: u16, number: u16, rx: bool, state: DescriptorState) {
    let state = match (state, rx) {
        (DescriptorState::Busy, true) => "available",
        (DescriptorState::Busy, false) => "full",
        (DescriptorState::Done, _) => "done",
        (DescriptorState::Unavailable, _) => "unavailable",
    };
    let body = json!({ "port": id, "queue": queue, "descriptor": number, "status": state });
    print(if rx { "rxq-desc-status" } else { "txq-desc-status" }, body);
}

//! The same for programs: one JSON object a command, its `schema` says what is in it.
//!
//! Names and meanings stay within a schema; more may be added. JSON.md says what each has.

pub(crate) mod config;
pub(crate) mod device;

use super::port_info::upper;
use crate::app::App;
use crate::engine::{Counts, PortCounts, Wanted};
use crate::ports::{PortState, Sample};
use crate::screen::say;
use hdrhistogram::Histogram;
use iogate::telemetry::cycles_per_second;
use serde_json::{Map, Value, json};

/// The version of all schemas.
const VERSION: u32 = 1;

fn print(topic: &str, mut body: Value) {
    body["schema"] = json!(format!("iogate-testpmd/{topic}/{VERSION}"));
    say!("{body}");
}

/// One object for each port.
pub(crate) fn ports(app: &App, ids: &[u16], topic: &str, describe: fn(&PortState) -> Value) {
    let list: Vec<Value> = ids.iter().filter_map(|id| app.ports.get(*id)).map(describe).collect();
    print(topic, json!({ "ports": list }));
}

/// `show port info`.
pub(crate) fn info(port: &PortState) -> Value {
    let device = &port.device;
    let info = device.read_info().unwrap_or_else(|_| device.info().clone());
    let vlan = device.vlan();
    let mut value = summary(port);
    let more = json!({
        "firmware": info.firmware,
        "devargs": info.arguments,
        "socket": info.numa_node,
        "mtu": device.mtu().ok(),
        "promiscuous": device.promiscuous(),
        "allmulticast": device.allmulticast(),
        "max_macs": info.max_macs,
        "max_hash_macs": info.max_hash_macs,
        "vlan": {
            "strip": vlan.strip,
            "filter": vlan.filter,
            "extend": vlan.extend,
            "qinq_strip": vlan.qinq_strip,
        },
        "hash_key_size": info.hash_key_size,
        "reta_size": info.reta_size,
        "rss": super::rss::names(info.rss_supported),
        "min_rx_buffer": info.min_rx_buffer,
        "max_rx_packet": info.max_rx_packet,
        "max_lro_packet": info.max_lro_packet,
        "rx": {
            "queues": info.rx_queues,
            "max_queues": info.max_rx_queues,
            "max_descriptors": info.rx_descriptors.most,
            "min_descriptors": info.rx_descriptors.least,
        },
        "tx": {
            "queues": info.tx_queues,
            "max_queues": info.max_tx_queues,
            "max_descriptors": info.tx_descriptors.most,
            "min_descriptors": info.tx_descriptors.least,
            "max_segments": info.tx_descriptors.segments,
        },
        "capabilities": info.capabilities,
    });
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    value
}

/// `show port summary`.
pub(crate) fn summary(port: &PortState) -> Value {
    let link = port.link();
    json!({
        "port": port.device.id(),
        "mac": upper(&port.device),
        "name": port.name(),
        "driver": port.device.info().driver,
        "started": port.started(),
        "link": link.map(|link| json!({
            "up": link.up,
            "speed_mbps": link.speed_mbps,
            "full_duplex": link.full_duplex,
            "autoneg": link.autoneg,
        })),
    })
}

/// `show port xstats`.
pub(crate) fn xstats(port: &PortState) -> Value {
    let all: Map<String, Value> =
        port.device.xstats().unwrap_or_default().into_iter().map(|(k, v)| (k, json!(v))).collect();
    json!({ "port": port.device.id(), "xstats": all })
}

/// `show port stats`. Rates are over the last interval, whose length is said too.
pub(crate) fn stats(app: &App, ids: &[u16]) {
    let mut list = Vec::new();
    for id in ids {
        let Some(port) = app.ports.get(*id) else { continue };
        let Ok(now) = Sample::take(&port.device) else { continue };
        let (rate, interval) = port.recent.rate(&now).unzip();
        let (rate, interval) = (rate.unwrap_or_default(), interval.map(|time| time.as_secs_f64()));
        let mut value = counters(&PortCounts { stats: now.stats, ..PortCounts::default() });
        value["port"] = json!(id);
        value["interval_s"] = json!(interval);
        value["rates"] = json!({
            "rx_pps": rate.rx_pps,
            "tx_pps": rate.tx_pps,
            "rx_bps": rate.rx_bps,
            "tx_bps": rate.tx_bps,
        });
        list.push(value);
    }
    print("port-stats", json!({ "ports": list }));
}

fn counters(port: &PortCounts) -> Value {
    let stats = &port.stats;
    json!({
        "rx_packets": stats.rx_packets,
        "rx_bytes": stats.rx_bytes,
        "rx_missed": stats.rx_missed,
        "rx_errors": stats.rx_errors,
        "rx_no_buffer": stats.rx_no_buffer,
        "tx_packets": stats.tx_packets,
        "tx_bytes": stats.tx_bytes,
        "tx_errors": stats.tx_errors,
    })
}

/// `show fwd stats all`, with what is measured.
pub(crate) fn forward(counts: &Counts, wanted: Wanted) {
    let stream = |stream: &crate::engine::StreamCounts| {
        let link = stream.link;
        let mut value = json!({
            "rx_port": link.rx_port,
            "rx_queue": link.rx_queue,
            "tx_port": link.tx_port,
            "tx_queue": link.tx_queue,
            "received": stream.received,
            "sent": stream.sent,
            "dropped": stream.dropped,
        });
        let seen = counts.observed.iter().find(|seen| wanted.bursts && seen.link == link);
        if let Some(seen) = seen {
            value["rx_bursts"] = bursts(&seen.rx_bursts.read());
            value["tx_bursts"] = bursts(&seen.tx_bursts.read());
        }
        value
    };
    let port = |(id, port): (&u16, &PortCounts)| {
        let mut value = counters(port);
        value["port"] = json!(id);
        value["tx_dropped"] = json!(port.tx_dropped);
        value
    };
    let streams: Vec<Value> = counts.streams.iter().map(stream).collect();
    let ports: Vec<Value> = counts.ports.iter().map(port).collect();
    let mut body = json!({ "mode": counts.mode, "streams": streams, "ports": ports });
    if wanted.cycles {
        let (cycles, packets) = counts.cycles();
        body["cycles"] = json!({ "total": cycles, "packets": packets, "hz": cycles_per_second() });
    }
    print("fwd-stats", body);
}

/// How many bursts there were, by their size.
fn bursts(counts: &[u64]) -> Value {
    let sizes = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    sizes.map(|(size, count)| (size.to_string(), json!(count))).collect::<Map<String, Value>>().into()
}

/// `show port N latency`, in nanoseconds.
pub(crate) fn latency(id: u16, measured: &Histogram<u64>) {
    let mut body = json!({ "port": id, "packets": measured.len() });
    if !measured.is_empty() {
        let lines = super::latency::lines(measured).into_iter().map(|(name, value)| (name.to_owned(), json!(value)));
        body["latency_ns"] = lines.collect::<Map<String, Value>>().into();
    }
    print("port-latency", body);
}

//! `show config`, which `start` shows too.

use crate::app::App;
use crate::engine::Plan;
use crate::forward::Split;
use crate::ports::PortState;
use crate::screen::say;
use crate::settings::Settings;
use iogate::port::{QueueInfo, Thresholds};

/// Streams by core.
pub(crate) fn forward(app: &App, plan: &Plan) {
    let settings = &app.settings;
    let retry = if settings.retry { " with retry" } else { "" };
    say!(
        "{} packet forwarding{retry} - ports={} - cores={} - streams={} - NUMA support enabled, MP allocation mode: native",
        settings.mode_name,
        settings.forwarding().len(),
        plan.cores.len(),
        plan.streams()
    );
    if settings.retry {
        let (times, delay) = (settings.retries.times, settings.retries.delay.as_micros());
        say!("TX retry num: {times}, delay between TX retries: {delay}us");
    }
    let socket = |port: u16| app.ports.get(port).map_or(0, PortState::socket);
    for (lcore, links) in &plan.cores {
        say!("Logical Core {} (socket {}) forwards packets on {} streams:", lcore.id, lcore.numa_node, links.len());
        for link in links {
            say!(
                "  RX P={}/Q={} (socket {}) -> TX P={}/Q={} (socket {}) peer={}",
                link.rx_port,
                link.rx_queue,
                socket(link.rx_port),
                link.tx_port,
                link.tx_queue,
                socket(link.tx_port),
                settings.modes.peer(link.tx_port).to_string().to_uppercase()
            );
        }
    }
    say!();
}

/// Ports and queues.
pub(crate) fn rxtx(app: &App) {
    let settings = &app.settings;
    let retry = if settings.retry { " with retry" } else { "" };
    say!("  {} packet forwarding{retry} packets/burst={}", settings.mode_name, settings.burst);
    if matches!(settings.mode, crate::forward::Mode::TxOnly | crate::forward::Mode::FlowGen) {
        let total: u32 = settings.modes.segments.iter().map(|length| u32::from(*length)).sum();
        say!("  packet len={total} - nb packet segments={}", settings.modes.segments.len());
    }
    say!("  nb forwarding cores={} - nb forwarding ports={}", settings.nb_cores, settings.forwarding().len());
    for id in settings.forwarding() {
        if let Some(port) = app.ports.get(*id) {
            queues(port);
        }
    }
}

fn queues(port: &PortState) {
    let (config, info) = (&port.config, port.device.info());
    say!("  port {}: RX queue number: {} Tx queue number: {}", port.device.id(), config.rx_queues, config.tx_queues);
    say!("    Rx offloads=0x{:x} Tx offloads=0x{:x}", config.rx_offloads, config.tx_offloads);
    for queue in 0..config.rx_queues.min(1) {
        let wanted = config.rx_queue(queue);
        let known = port.device.rx_queue_info(queue).ok();
        let at = numbers(known.as_ref(), wanted.thresholds, info.rx_thresholds, wanted.descriptors);
        let offloads = known.as_ref().map_or(wanted.offloads, |known| known.offloads);
        say!("    RX queue: {queue}");
        say!("      RX desc={} - RX free threshold={}", at.descriptors, at.free);
        say!("      RX threshold registers: pthresh={} hthresh={}  wthresh={}", at.prefetch, at.host, at.writeback);
        say!("      RX Offloads=0x{offloads:x}");
    }
    for queue in 0..config.tx_queues.min(1) {
        let wanted = config.tx_queue(queue);
        let known = port.device.tx_queue_info(queue).ok();
        let at = numbers(known.as_ref(), wanted.thresholds, info.tx_thresholds, wanted.descriptors);
        let offloads = known.as_ref().map_or(wanted.offloads, |known| known.offloads);
        say!("    TX queue: {queue}");
        say!("      TX desc={} - TX free threshold={}", at.descriptors, at.free);
        say!("      TX threshold registers: pthresh={} hthresh={}  wthresh={}", at.prefetch, at.host, at.writeback);
        say!("      TX offloads=0x{offloads:x} - TX RS bit threshold={}", at.rs);
    }
}

struct Numbers {
    descriptors: u16,
    free: u16,
    rs: u16,
    prefetch: u8,
    host: u8,
    writeback: u8,
}

/// As the driver says, or as wanted, or as the driver recommends.
fn numbers(known: Option<&QueueInfo>, wanted: Thresholds, usual: Thresholds, descriptors: u16) -> Numbers {
    if let Some(known) = known {
        return Numbers {
            descriptors: known.descriptors,
            free: known.free_threshold,
            rs: known.rs_threshold,
            prefetch: known.prefetch,
            host: known.host,
            writeback: known.writeback,
        };
    }
    Numbers {
        descriptors,
        free: wanted.free.or(usual.free).unwrap_or(0),
        rs: wanted.rs.or(usual.rs).unwrap_or(0),
        prefetch: wanted.prefetch.or(usual.prefetch).unwrap_or(0),
        host: wanted.host.or(usual.host).unwrap_or(0),
        writeback: wanted.writeback.or(usual.writeback).unwrap_or(0),
    }
}

/// Forwarding lcores.
pub(crate) fn cores(app: &App) {
    let used = app.settings.lcores.iter().take(app.settings.nb_cores);
    let list: String = used.map(|id| format!(" {id}")).collect();
    say!("List of forwarding lcores: {list}");
}

/// Segments of packets that are made.
pub(crate) fn txpkts(app: &App) {
    let lengths: Vec<String> = app.settings.modes.segments.iter().map(u16::to_string).collect();
    say!("Number of segments: {}", lengths.len());
    say!("Segment sizes: {}", lengths.join(","));
    let split = match app.settings.modes.split {
        Split::Off => "off",
        Split::On => "on",
        Split::Random => "rand",
    };
    say!("Split packet: {split}");
}

/// The headers that segments of packets that are received end with.
pub(crate) fn segment_headers(settings: &Settings) {
    let count = settings.rxpkts.len();
    say!("Number of segments: {count}");
    if count > 0 {
        let name = |at: usize| settings.rxhdrs.get(at).map_or("unsupported", |header| header.name());
        let names: String = (0..count - 1).map(|at| format!("{}, ", name(at))).collect();
        say!("Packet segs: {names}payload");
    }
}

/// Segments of packets that are received.
pub(crate) fn list(what: &str, plural: &str, list: &[u16]) {
    say!("Number of {plural}: {}", list.len());
    if !list.is_empty() {
        let list: Vec<String> = list.iter().map(u16::to_string).collect();
        say!("{what}: {}", list.join(","));
    }
}

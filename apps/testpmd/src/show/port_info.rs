//! `show port info`, `show port summary`, `show device info`.

use super::rss;
use crate::ports::PortState;
use crate::screen::say;
use crate::settings::MOST_SEGMENTS;
use crate::soft::Device;
use iogate::port::{PortInfo, capability_names};

const STARS: &str = "*********************";

/// Everything about a port.
pub(crate) fn info(port: &PortState) {
    let device = &port.device;
    let info = match device.read_info() {
        Ok(info) => info,
        Err(error) => {
            return crate::screen::complain!(
                "Error during getting device (port {}) info: {}",
                device.id(),
                super::cause(&error)
            );
        }
    };
    let socket = info.numa_node.unwrap_or(0);
    say!("\n{STARS} Infos for port {:<2} {STARS}", device.id());
    say!("MAC address: {}", upper(device));
    say!("Device name: {}", port.name());
    say!("Driver name: {}", info.driver);
    say!("Firmware-version: {}", info.firmware.as_deref().unwrap_or("not available"));
    say!("Devargs: {}", info.arguments);
    say!("Connect to socket: {socket}");
    say!("memory allocation on the socket: {socket}");
    if let Some(link) = port.link() {
        say!("Link status: {}", if link.up { "up" } else { "down" });
        say!("Link speed: {}", link.speed);
        say!("Link duplex: {}", if link.full_duplex { "full-duplex" } else { "half-duplex" });
        say!("Autoneg status: {}", if link.autoneg { "On" } else { "Off" });
    }
    if let Ok(mtu) = device.mtu() {
        say!("MTU: {mtu}");
    }
    say!("Promiscuous mode: {}", able(device.promiscuous()));
    say!("Allmulticast mode: {}", able(device.allmulticast()));
    say!("Maximum number of MAC addresses: {}", info.max_macs);
    say!("Maximum number of MAC addresses of hash filtering: {}", info.max_hash_macs);
    let vlan = device.vlan();
    say!("VLAN offload: ");
    say!(
        "  strip {}, filter {}, extend {}, qinq strip {}",
        on(vlan.strip),
        on(vlan.filter),
        on(vlan.extend),
        on(vlan.qinq_strip)
    );
    if info.hash_key_size > 0 {
        say!("Hash key size in bytes: {}", info.hash_key_size);
    }
    if info.reta_size > 0 {
        say!("Redirection table size: {}", info.reta_size);
    }
    if info.rss_supported == 0 {
        say!("No RSS offload flow type is supported.");
    } else {
        say!("Supported RSS offload flow types:");
        rss::lines(info.rss_supported).iter().for_each(|line| say!("{line}"));
    }
    limits(&info, device.is_soft());
}

fn limits(info: &PortInfo, splits: bool) {
    say!("Minimum size of RX buffer: {}", info.min_rx_buffer);
    say!("Maximum configurable length of RX packet: {}", info.max_rx_packet);
    say!("Maximum configurable size of LRO aggregated packet: {}", info.max_lro_packet);
    if splits {
        say!("Rx split:\n\tMax segments: {MOST_SEGMENTS}\n\tMulti-pool: supported\n\tBuffer offset: supported");
        say!("\tOffset alignment: 1\n\tSelective Rx: supported");
    }
    if info.max_vfs > 0 {
        say!("Maximum number of VFs: {}", info.max_vfs);
    }
    if info.max_vmdq_pools > 0 {
        say!("Maximum number of VMDq pools: {}", info.max_vmdq_pools);
    }
    say!("Current number of RX queues: {}", info.rx_queues);
    say!("Max possible RX queues: {}", info.max_rx_queues);
    say!("Max possible number of RXDs per queue: {}", info.rx_descriptors.most);
    say!("Min possible number of RXDs per queue: {}", info.rx_descriptors.least);
    say!("RXDs number alignment: {}", info.rx_descriptors.align);
    say!("Current number of TX queues: {}", info.tx_queues);
    say!("Max possible TX queues: {}", info.max_tx_queues);
    say!("Max possible number of TXDs per queue: {}", info.tx_descriptors.most);
    say!("Min possible number of TXDs per queue: {}", info.tx_descriptors.least);
    say!("TXDs number alignment: {}", info.tx_descriptors.align);
    say!("Max segment number per packet: {}", info.tx_descriptors.segments);
    say!("Max segment number per MTU/TSO: {}", info.tx_descriptors.mtu_segments);
    let names: String = capability_names(info.capabilities).iter().map(|name| format!(" {name}")).collect();
    say!("Device capabilities: 0x{:x}({names} )", info.capabilities);
    let handling = match info.error_handling {
        1 => "passive",
        2 => "proactive",
        _ => "none",
    };
    say!("Device error handling mode: {handling}");
}

/// The table of ports.
pub(crate) fn summary<'a>(ports: impl Iterator<Item = &'a PortState>, count: usize) {
    say!("Number of available ports: {count}");
    say!("{:<4} {:<17} {:<12} {:<14} {:<8} {}", "Port", "MAC Address", "Name", "Driver", "Status", "Link");
    for port in ports {
        let device = &port.device;
        let (up, speed) = port.link().map_or((false, "Unknown"), |link| (link.up, link.speed));
        say!(
            "{:<4} {:<17} {:<12} {:<14} {:<8} {}",
            device.id(),
            upper(device),
            port.name(),
            device.info().driver,
            if up { "up" } else { "down" },
            speed
        );
    }
}

/// A device and its ports.
pub(crate) fn device(name: &str, ports: &[&PortState]) {
    let Some(first) = ports.first() else { return };
    let info = first.device.info();
    say!("\n{STARS} Infos for device {name} {STARS}");
    say!("Bus name: {}", info.bus.name);
    say!("Bus information: {}", info.bus.info);
    say!("Driver name: {}", info.driver);
    say!("Devargs: {}", info.arguments);
    say!("Connect to socket: {}", info.bus.numa_node.map_or(-1, i32::from));
    for port in ports {
        say!();
        say!("\tPort id: {} ", port.device.id());
        say!("\tMAC address: {}", upper(&port.device));
        say!("\tDevice name: {}", port.name());
        say!("\tDevice speed capability: {}", speeds(info.speeds));
    }
}

/// `RTE_ETH_LINK_SPEED_*`, lowest bit first.
const SPEEDS: [&str; 17] = [
    "Disable autonegotiate (fixed speed)",
    "10 Mbps half-duplex",
    "10 Mbps full-duplex",
    "100 Mbps half-duplex",
    "100 Mbps full-duplex",
    "1 Gbps",
    "2.5 Gbps",
    "5 Gbps",
    "10 Gbps",
    "20 Gbps",
    "25 Gbps",
    "40 Gbps",
    "50 Gbps",
    "56 Gbps",
    "100 Gbps",
    "200 Gbps",
    "400 Gbps",
];

fn speeds(bits: u32) -> String {
    if bits == 0 {
        return "Autonegotiate (all speeds)".to_owned();
    }
    let named = SPEEDS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
    named.map(|(_, name)| format!(" {name} ")).collect()
}

/// A port's own address, as the original writes it.
pub(crate) fn upper(device: &Device) -> String {
    device.mac().to_string().to_uppercase()
}

fn on(yes: bool) -> &'static str {
    if yes { "on" } else { "off" }
}

fn able(yes: bool) -> &'static str {
    if yes { "enabled" } else { "disabled" }
}

//! What some modes count beside packets.

use iogate::telemetry::Counter;

/// Wrong checksums that `csum` came upon. One worker writes, anybody reads.
#[derive(Debug, Default)]
pub struct BadChecksums {
    ip: Counter,
    transport: Counter,
    outer_ip: Counter,
    outer_transport: Counter,
}

impl BadChecksums {
    #[inline]
    pub(super) fn count(&self, ip: bool, transport: bool, outer_ip: bool, outer_transport: bool) {
        if ip | transport | outer_ip | outer_transport {
            self.ip.add(u64::from(ip));
            self.transport.add(u64::from(transport));
            self.outer_ip.add(u64::from(outer_ip));
            self.outer_transport.add(u64::from(outer_transport));
        }
    }

    /// Of IPv4 headers; in a tunnel, of the inner one.
    pub fn ip(&self) -> u64 {
        self.ip.get()
    }

    /// Of TCP and UDP; in a tunnel, of the inner one.
    pub fn transport(&self) -> u64 {
        self.transport.get()
    }

    /// Of IPv4 headers outside of a tunnel.
    pub fn outer_ip(&self) -> u64 {
        self.outer_ip.get()
    }

    /// Of UDP outside of a tunnel.
    pub fn outer_transport(&self) -> u64 {
        self.outer_transport.get()
    }
}

/// Ports that DPDK numbers, at most.
const PORTS: usize = 64;

/// Packets by the port they came from. One worker writes, anybody reads.
#[derive(Debug)]
pub struct PortCounters([Counter; PORTS]);

impl Default for PortCounters {
    fn default() -> Self {
        PortCounters(std::array::from_fn(|_| Counter::default()))
    }
}

impl PortCounters {
    #[inline]
    pub(super) fn add(&self, port: u16, packets: u64) {
        // No port has the last number; it stands for packets of no port.
        self.0[usize::from(port).min(PORTS - 1)].add(packets);
    }

    /// Packets that came from a port.
    pub fn get(&self, port: u16) -> u64 {
        self.0.get(usize::from(port)).map_or(0, Counter::get)
    }
}

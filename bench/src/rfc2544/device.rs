//! The device under test: in this process between rings, or whatever is between two ports.

use anyhow::Result;
use iogate::eal::Eal;
use iogate::memory::MbufPool;
use iogate::pipeline::{Outlet, Send, chain};
use iogate::port::Port;
use iogate::worker::{Idle, Worker};
use iogate_gateway::config;
use iogate_gateway::dataplane::{Ingress, Switch, Tables};
use std::path::Path;
use std::sync::Arc;

/// Slots of the rings.
const SLOTS: u32 = 4096;

/// What is measured in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Device {
    /// The gateway, from a vNIC to its uplink, all checks on
    #[default]
    Gateway,
    /// The framework alone: packets go on as they came
    Io,
}

impl Device {
    pub(super) fn name(self) -> &'static str {
        match self {
            Device::Gateway => "gateway",
            Device::Io => "io",
        }
    }

    /// Puts it on a worker; returns the far ends of its two ports.
    pub(super) fn start(self, eal: &Eal, pool: &MbufPool, worker: &mut Worker) -> Result<[Port; 2]> {
        let pair = |name: &str| -> Result<(Port, Port)> {
            let (near, far) = eal.port_pair(name, SLOTS)?;
            Ok((near.pool(pool).start()?, far.pool(pool).start()?))
        };
        let ((a, far_a), (b, far_b)) = (pair("in")?, pair("out")?);
        worker.idle(Idle::Spin);
        match self {
            Device::Io => {
                worker.poll([a.rx(0)?], chain::<(), _>(Send::new(b.tx(0)?)));
                worker.poll([b.rx(0)?], chain::<(), _>(Send::new(a.tx(0)?)));
            }
            Device::Gateway => {
                let config = config::parse(CONFIGURATION, Path::new("rfc2544.toml"))?;
                let active = Arc::new(crate::gateway::first_uplinks(&config)?);
                let outlets = vec![Outlet::new(a.tx(0)?), Outlet::new(b.tx(0)?)];
                let ingress = vec![Ingress::Link(0), Ingress::Uplink(0)];
                let switch = Switch::new(Arc::new(Tables::new(&config)), active, ingress, outlets);
                worker.poll([a.rx(0)?, b.rx(0)?], switch);
            }
        }
        Ok([far_a, far_b])
    }
}

/// What the generator sends: frames of the vNIC to a host outside, in 16,384 flows; other ports may be of storage, which the network refuses.
pub(super) const FRAME: &str = "ethernet,src=02:49:4f:00:00:01,dst=02:53:00:00:00:01/ipv4,src=198.18.0.1,dst=198.19.0.1/udp,src_port=49152..65535,dst_port=9";

/// Also for a gateway that is a process of its own.
const CONFIGURATION: &str = include_str!("gateway.toml");

#[cfg(test)]
mod tests {
    #[test]
    fn the_configuration_is_one() {
        let config = iogate_gateway::config::parse(super::CONFIGURATION, std::path::Path::new("rfc2544.toml"));
        config.unwrap_or_else(|problems| panic!("{problems}"));
    }
}

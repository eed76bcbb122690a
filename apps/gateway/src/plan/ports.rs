//! Opening the ports, and the ways out to them from every worker.

use super::lock;
use super::receive::Reception;
use crate::config::Config;
use crate::config::model::{Idle, PortRef};
use anyhow::{Context, Result, bail};
use iogate::eal::Eal;
use iogate::memory::MbufPool;
use iogate::pipeline::Outlet;
use iogate::port::{MbufRing, Port, PortKind, PortSpec, PortStats, RxQueue};
use iogate::sriov::{Host, Kernel, LocalKernel, Pf, VfSettings};
use std::sync::Mutex;

/// Position among all ports: links first, then uplinks.
pub(super) fn index(config: &Config, port: PortRef) -> usize {
    match port {
        PortRef::Link(id) => id.index(),
        PortRef::Uplink(id) => config.links.len() + id.index(),
    }
}

pub(super) fn name(config: &Config, port: PortRef) -> &str {
    match port {
        PortRef::Link(id) => config.link(id).name.as_str(),
        PortRef::Uplink(id) => config.uplink(id).name.as_str(),
    }
}

/// The last counters that were read of a port, for a time when it cannot be asked: while it is restarted.
#[derive(Debug, Default)]
pub(super) struct LastStats(Mutex<PortStats>);

impl LastStats {
    /// What was read now, or else the last time.
    pub(super) fn or_last(&self, read: iogate::Result<PortStats>) -> PortStats {
        let mut last = lock(&self.0);
        *last = read.unwrap_or(*last);
        *last
    }
}

/// Ethernet's header and one VLAN tag: what a frame is longer than the MTU of a port.
const ETHERNET_AND_TAG: u16 = 18;

/// Opens all ports, and tells each what to receive.
pub(super) fn open(config: &Config, eal: &Eal, pool: &MbufPool) -> Result<Vec<(Port, Reception)>> {
    let mut ports = Vec::new();
    for (role, _, spec, queues) in config.ports() {
        let name = config.describe(role);
        let polled_by = |worker: &&crate::config::model::Worker| worker.queues.iter().any(|queue| queue.port == role);
        let interrupts = config.workers.iter().filter(polled_by).any(|worker| worker.idle == Idle::Interrupt);
        let mtu = config.gateway.mtu.saturating_sub(ETHERNET_AND_TAG);
        let mut builder = eal
            .port(spec)
            .pool(pool)
            .queues(queues, queues)
            .tx_queues_up_to(config.workers.len() as u16)
            .interrupts(interrupts)
            .promiscuous(!is_vf(spec))
            .vlan_filter(is_vf(spec))
            .offloads(offloads(config, role));
        if !spec.is_software() {
            builder = builder.mtu(mtu);
        }
        let port = builder.start().with_context(|| name.clone())?;
        if let Some(interface) = spec.interface() {
            let raised = raise_mtu(&port, interface, mtu);
            let raised = raised.with_context(|| format!("{name}: mtu of [gateway] is larger than its"))?;
            if let Some(before) = raised {
                tracing::info!("{name}: the MTU of interface {interface} was {before}, is {mtu} now and remains so");
            }
        }
        let reception = Reception::new(config, role);
        if is_vf(spec) {
            reception.tell(&*port, &name);
        }
        ports.push((port, reception));
    }
    Ok(ports)
}

/// Whether a guest may leave work to the card that the port is.
fn offloads(config: &Config, port: PortRef) -> bool {
    matches!(port, PortRef::Link(link) if config.link(link).offloads)
}

/// Whether a port is a virtual function of a card.
pub(super) fn is_vf(spec: &PortSpec) -> bool {
    let host = Host::local();
    spec.pci(&host).is_some_and(|address| host.is_vf(address))
}

/// A queue from which frames come as they were on the wire, but for the tag of a VLAN that the card has put the
/// port into by itself, and of which the port knows nothing.
pub(super) fn rx(config: &Config, port: &Port, queue: u16) -> iogate::Result<RxQueue> {
    let restores = port.info().may_strip() && !is_in_vlan(config, port.spec());
    Ok(port.rx(queue)?.restore_vlans(restores))
}

/// Whether a port is a virtual function that its card has put into a VLAN: as the file wants it, or as whoever made
/// it did.
fn is_in_vlan(config: &Config, spec: &PortSpec) -> bool {
    let wanted = || config.vf_of(spec).is_some_and(|vf| vf.vlan.id != 0);
    let made = || vf_settings(spec).is_some_and(|settings| settings.vlan.id != 0);
    is_vf(spec) && (wanted() || made())
}

/// What is set on the virtual function that a port is; nothing where its physical function has no interface here.
pub(super) fn vf_settings(spec: &PortSpec) -> Option<VfSettings> {
    let host = Host::local();
    let address = spec.pci(&host)?;
    let pfs = host.pfs().ok()?;
    let find = |pf: &Pf| Some((pf.interface.clone()?, pf.vfs.iter().find(|vf| vf.address == address)?.index));
    let (interface, index) = pfs.iter().find_map(find)?;
    let settings = LocalKernel::open().ok()?.settings(&interface.name).ok()?;
    settings.vfs.get(usize::from(index)).copied()
}

/// Gives a kernel's interface an MTU of at least so much; returns the one that was too small. What DPDK
/// takes it for in the beginning is not what it is.
fn raise_mtu(port: &Port, interface: &str, mtu: u16) -> iogate::Result<Option<u32>> {
    let known = port.mtu()?;
    let own = std::fs::read_to_string(format!("/sys/class/net/{interface}/mtu")).ok();
    let own: u32 = own.and_then(|text| text.trim().parse().ok()).unwrap_or(known.into());
    if known >= mtu && own >= mtu.into() {
        return Ok(None);
    }
    // A larger one stays as it is, as far as the driver can do that.
    let largest = own.min(port.info().max_mtu.into()) as u16;
    port.set_mtu(largest.max(mtu))?;
    Ok((own < mtu.into()).then_some(own))
}

/// Refuses a pool that the queues of cards can take whole. With no buffer left a card receives nothing, so nothing is
/// sent, and buffers that were sent come back only with the next ones: that would be for good.
pub(super) fn enough_buffers(ports: &[Port], buffers: u32) -> Result<()> {
    let mut held = 0;
    for port in ports.iter().filter(|port| !port.spec().is_software()) {
        for queue in 0..port.rx_queues() {
            held += u32::from(port.rx_queue_info(queue)?.descriptors);
        }
        for queue in 0..port.tx_queues() {
            held += u32::from(port.tx_queue_info(queue)?.descriptors);
        }
    }
    if held >= buffers {
        let most = held.saturating_mul(2).next_power_of_two();
        bail!(
            "mbuf.count = {buffers} of [gateway]: the queues of the cards alone hold up to {held} buffers; use {most}"
        );
    }
    Ok(())
}

/// Packets that can be on their way from other workers to one that owns a TX queue.
const HANDOVER_SLOTS: u32 = 1024;

/// For every worker, an outlet to every port: on a TX queue of its own, or, where the port has too
/// few, through a ring to a worker that has one.
pub(super) fn outlets(config: &Config, ports: &[Port]) -> Result<Vec<Vec<Outlet>>> {
    let workers = config.workers.len();
    let unfinished = config.links.iter().any(|link| link.offloads);
    let mut all: Vec<Vec<Outlet>> = (0..workers).map(|_| Vec::new()).collect();
    for port in ports {
        // A guest need not use all queues that its card has, but it uses the first: there all can meet.
        let is_guest = port.spec().kind() == PortKind::Vhost;
        let queues = usize::from(port.tx_queues()).min(workers);
        let owners = if is_guest { 1 } else { queues };
        let mut rings = Vec::new();
        for (worker, outlets) in all.iter_mut().enumerate() {
            let outlet = if worker >= owners {
                let ring: &MbufRing = &rings[worker % owners];
                match worker < queues {
                    true => Outlet::either(port.tx(worker as u16)?, ring.clone()),
                    false => Outlet::through(ring.clone()),
                }
            } else if owners == workers {
                Outlet::new(port.tx(worker as u16)?)
            } else {
                let ring = MbufRing::new(port, HANDOVER_SLOTS)?;
                rings.push(ring.clone());
                Outlet::shared(port.tx(worker as u16)?, ring)
            };
            outlets.push(outlet.finishing(unfinished));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_cannot_be_read_are_as_they_were() {
        let last = LastStats::default();
        let counted = |rx_packets| PortStats { rx_packets, ..PortStats::default() };
        let refused = || Err(iogate::Error::AlreadyStarted);
        for (read, shown) in [(refused(), 0), (Ok(counted(7)), 7), (refused(), 7), (Ok(counted(9)), 9), (refused(), 9)]
        {
            assert_eq!(last.or_last(read), counted(shown));
        }
    }
}

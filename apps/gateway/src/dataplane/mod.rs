//! The data path: three stages, and the counters and tables they use.
//!
//! `classify` looks at each frame once ([`frame`]); `admit` finds out whose it is and whether it may
//! pass; `forward` finds where it goes, sets the tag it has there and sends it. What they look up is
//! in [`tables`], swapped whole between two batches; what they count is in [`counters`]; why they
//! drop is in [`drop`].

pub mod addresses;
mod antispoof;
mod classifier;
pub mod counters;
pub mod drop;
pub mod fip;
mod forward;
pub mod frame;
pub mod tables;
mod tag;

pub use classifier::{Classifier, Verdict, protocol};
pub use counters::{Counters, Direction};
pub use tables::{Active, Ingress, Tables};

use crate::config::model::{Protocol, Side};
use addresses::{Scope, UNTAGGED};
use classifier::NO_PROTOCOL;
use crossbeam_queue::ArrayQueue;
use fip::{Heard, Login};
use frame::Meta;
use iogate::memory::{Batch, Mbuf};
use iogate::packet::{Ethernet, Header, MacAddr};
use iogate::pipeline::{Context, Description, DropReason, Outlet, Stage, longest_frame};
use iogate::telemetry::StageStats;
use std::sync::Arc;

/// One worker's data path, as a pipeline stage.
pub struct Switch {
    path: Path,
    stages: [Arc<StageStats>; 3],
}

/// What the three stages work with.
struct Path {
    tables: Arc<Tables>,
    active: Arc<Active>,
    /// By position of the polled queue.
    ingress: Vec<Ingress>,
    /// By port: links first, then uplinks.
    outlets: Vec<Outlet>,
    counters: Arc<Counters>,
    /// Logins that the control side is told of.
    heard: Arc<ArrayQueue<Heard>>,
}

/// Logins that can wait for the control side.
const LOGINS: usize = 256;

impl Switch {
    /// For the queues that a worker polls, in their order, and an outlet to every port.
    pub fn new(tables: Arc<Tables>, active: Arc<Active>, ingress: Vec<Ingress>, outlets: Vec<Outlet>) -> Self {
        let counters = Arc::new(Counters::new(tables.attachments.len(), tables.classifier.classes()));
        let stages = ["classify", "admit", "forward"].map(|name| Arc::new(StageStats::new(name)));
        Switch {
            path: Path { tables, active, ingress, outlets, counters, heard: Arc::new(ArrayQueue::new(LOGINS)) },
            stages,
        }
    }

    /// Its counters.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.path.counters
    }

    /// What it heard of logins, for the control side to take out.
    pub fn heard(&self) -> &Arc<ArrayQueue<Heard>> {
        &self.path.heard
    }

    /// Lets the port at a position alone, while it is restarted, or sends to it again.
    pub fn rest(&mut self, port: usize, on: bool) {
        self.path.outlets[port].rest(on);
    }

    /// Uses other uplinks from now on; returns the choice before.
    pub fn set_active(&mut self, active: Arc<Active>) -> Arc<Active> {
        std::mem::replace(&mut self.path.active, active)
    }

    /// Looks things up in other tables from now on, which have the same attachments; returns those before.
    pub fn set_tables(&mut self, tables: Arc<Tables>) -> Arc<Tables> {
        std::mem::replace(&mut self.path.tables, tables)
    }
}

impl Path {
    fn classify(&mut self, batch: &mut Batch<Meta>, cx: &mut Context) {
        let classifier = &self.tables.classifier;
        batch.packets().iter().for_each(Mbuf::prefetch);
        cx.drop_if(batch, |packet, meta| meta.read(packet.data(), packet.len(), classifier).err());
    }

    fn admit(&mut self, batch: &mut Batch<Meta>, cx: &mut Context) {
        match self.ingress[cx.source()] {
            Ingress::Link(link) => cx.drop_if(batch, |packet, meta| {
                let (_, src) = macs(packet);
                let reason = self.admit_from_link(link, src, packet.data(), longest_frame(packet), meta);
                if reason.is_some() && meta.attachment != NO_ATTACHMENT {
                    self.counters.count_drop(meta.attachment, packet.len());
                }
                reason
            }),
            Ingress::Uplink(uplink) => cx.drop_if(batch, |packet, meta| self.admit_from_uplink(uplink, packet, meta)),
        }
    }

    #[inline]
    fn admit_from_link(
        &self,
        link: usize,
        src: MacAddr,
        frame: &[u8],
        len: usize,
        meta: &mut Meta,
    ) -> Option<DropReason> {
        meta.attachment = NO_ATTACHMENT;
        let Some(number) = self.tables.addresses.find(Scope::link(link), meta.vlan, src) else {
            let known = self.tables.link_has_vlan(link, meta.vlan);
            return Some(if known { drop::UNKNOWN_SOURCE } else { drop::UNKNOWN_VLAN });
        };
        let owner = self.tables.attachment(number);
        (meta.attachment, meta.network) = (number, owner.network);
        if !owner.up {
            return Some(drop::ADAPTER_DOWN);
        }
        if owner.checked
            && !antispoof::plainly_honest(meta, owner)
            && let Some(reason) = antispoof::check(frame, meta, owner)
        {
            return Some(reason);
        }
        let reason = self.wrong_side(meta, owner.network, len).or_else(|| wrong_protocol(meta, owner));
        if reason.is_none() && owner.logs_in {
            return self.admit_fcoe(number, src, frame, meta);
        }
        reason
    }

    /// An adapter's other addresses are for FCoE and FIP only.
    #[cold]
    fn admit_fcoe(&self, number: u32, src: MacAddr, frame: &[u8], meta: &Meta) -> Option<DropReason> {
        if meta.protocol == Protocol::Fip as u8 {
            if let Some(login) = fip::from_server(behind_tags(frame, meta)) {
                self.report(number, login);
            }
        } else if meta.protocol != Protocol::Fcoe as u8 && src != self.tables.attachment(number).mac {
            return Some(drop::UNKNOWN_SOURCE);
        }
        None
    }

    /// A message of a forwarder to a server.
    #[cold]
    fn hear_forwarder(&self, dst: MacAddr, frame: &[u8], meta: &Meta) {
        let scope = Scope::network(usize::from(meta.network));
        let Some(number) = self.tables.addresses.find(scope, UNTAGGED, dst) else { return };
        if self.tables.attachment(number).logs_in {
            fip::from_forwarder(behind_tags(frame, meta), |login| self.report(number, login));
        }
    }

    /// Tells the control side, unless it knows. What finds no room is said again: claims are, and logins too.
    fn report(&self, attachment: u32, login: Login) {
        let network = self.tables.attachment(attachment).network;
        let knows = |mac| self.tables.addresses.find(Scope::network(network.into()), UNTAGGED, mac) == Some(attachment);
        if !matches!(login, Login::Alone(mac) | Login::Also(mac) if knows(mac)) {
            let _full = self.heard.push(Heard { attachment, login });
        }
    }

    #[inline]
    fn admit_from_uplink(&self, uplink: usize, packet: &Mbuf, meta: &mut Meta) -> Option<DropReason> {
        let number = self.tables.uplink_network(uplink, meta.vlan);
        if number == tables::NO_NETWORK {
            let other = self.tables.is_other_fabric(uplink, meta.vlan);
            return Some(if other { drop::WRONG_FABRIC } else { drop::UNKNOWN_VLAN });
        }
        (meta.network, meta.attachment) = (number, NO_ATTACHMENT);
        let (dst, src) = macs(packet);
        let scope = Scope::network(usize::from(number));
        if self.tables.addresses.find(scope, UNTAGGED, src).is_some() {
            return Some(drop::DEJA_VU);
        }
        if dst.is_multicast() && usize::from(self.active.0[usize::from(number)]) != uplink {
            return Some(drop::STANDBY_UPLINK);
        }
        let reason = self.wrong_side(meta, number, packet.len());
        if reason.is_none() && meta.protocol == Protocol::Fip as u8 {
            self.hear_forwarder(dst, packet.data(), meta);
        }
        reason
    }

    /// What a network carries decides what may be on it, whichever way it goes.
    #[inline]
    fn wrong_side(&self, meta: &Meta, network: u16, len: usize) -> Option<DropReason> {
        let network = &self.tables.networks[usize::from(network)];
        if len > usize::from(network.mtu) || len > usize::from(network.payload) + usize::from(meta.offset) {
            return Some(drop::TOO_BIG);
        }
        let classifier = &self.tables.classifier;
        // Storage is storage, also when no class asks for it and the default one is the network's.
        let orphan = meta.unclaimed & (meta.protocol != NO_PROTOCOL) && !classifier.allows(meta.class, Side::Storage);
        let allowed = if orphan { network.side == Side::Storage } else { classifier.allows(meta.class, network.side) };
        // The rest of a packet was held to the rule with its first piece, and is useless without it.
        if allowed || meta.later_fragment {
            return None;
        }
        Some(match network.side {
            Side::Network => drop::STORAGE_ON_NETWORK,
            Side::Storage => drop::NETWORK_ON_STORAGE,
        })
    }
}

/// From an uplink, or of nobody known.
const NO_ATTACHMENT: u32 = u32::MAX;

#[inline]
fn wrong_protocol(meta: &Meta, adapter: &tables::Attachment) -> Option<DropReason> {
    // NO_PROTOCOL, taken modulo 32, has a bit that is never set.
    (adapter.forbidden >> (meta.protocol % 32) & 1 != 0).then_some(drop::WRONG_PROTOCOL)
}

fn behind_tags<'a>(frame: &'a [u8], meta: &Meta) -> &'a [u8] {
    frame.get(usize::from(meta.offset)..).unwrap_or_default()
}

/// Destination and source of a frame that was looked at already.
#[inline]
fn macs(packet: &Mbuf) -> (MacAddr, MacAddr) {
    Ethernet::parse(packet.data())
        .map_or((MacAddr::ZERO, MacAddr::ZERO), |(ethernet, _)| (ethernet.dst(), ethernet.src()))
}

impl Stage<Meta> for Switch {
    fn run(&mut self, batch: &mut Batch<Meta>, cx: &mut Context) {
        let (path, [classify, admit, forward]) = (&mut self.path, &self.stages);
        classify.measure(batch.len(), || path.classify(batch, cx));
        if !batch.is_empty() {
            admit.measure(batch.len(), || path.admit(batch, cx));
        }
        if !batch.is_empty() {
            forward.measure(batch.len(), || path.forward(batch, cx));
        }
    }

    fn flush(&mut self, _cx: &mut Context) {
        self.path.outlets.iter_mut().for_each(Outlet::flush);
    }

    fn finish(&mut self) {
        self.path.outlets.iter_mut().for_each(Outlet::finish);
    }

    fn describe(&self, description: &mut Description) {
        description.stages.extend(self.stages.iter().cloned());
        description.outlets.extend(self.path.outlets.iter().map(|outlet| outlet.counters().clone()));
    }
}

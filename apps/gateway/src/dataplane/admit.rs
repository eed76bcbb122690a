//! Whose frame it is, and whether it may pass.

use super::addresses::{Address, NOWHERE, Scope, UNTAGGED};
use super::frame::{Meta, Piece};
use super::glance::Places;
use super::tables::{Attachment, Limits, NO_NETWORK, Tables};
use super::{Ingress, NO_ATTACHMENT, Path, antispoof, drop};
use crate::config::model::{Protocol, Side};
use iogate::memory::{Batch, Mbuf, prefetch};
use iogate::pipeline::{Context, DropReason, longest_frame};

impl Path {
    #[inline(never)]
    pub(super) fn admit(&mut self, batch: &mut Batch<Meta>, cx: &mut Context) {
        match self.ingress[cx.source()] {
            Ingress::Link(link) => self.admit_from_link(link, batch, cx),
            Ingress::Uplink(uplink) => self.admit_from_uplink(uplink, batch, cx),
        }
    }

    fn admit_from_link(&mut self, link: usize, batch: &mut Batch<Meta>, cx: &mut Context) {
        let (tables, scope) = (&*self.tables, Scope::link(link));
        if tables.large() {
            fetch_owners(tables, scope, batch);
        }
        let (mut fip, mut places, before) = (Places::default(), 0.., batch.len());
        cx.drop_if(batch, |packet, meta| {
            let at = places.next().unwrap_or_default();
            if meta.is_known() {
                return None;
            }
            meta.attachment = tables.addresses.number(scope, meta.src);
            let Some(owner) = tables.attachments.get(meta.attachment as usize) else {
                return Some(unknown(tables, link, meta));
            };
            meta.network = owner.network;
            fip.add_if(at, owner.logs_in & is(Protocol::Fip, meta));
            let fine = owner.up
                & antispoof::plainly_honest(packet.data(), meta, owner)
                & may_pass(meta, tables.limits(owner.network))
                & speaks(meta, owner.forbidden)
                & (!owner.logs_in | may_come_from(meta, owner));
            if fine {
                return None;
            }
            let reason = self.refused(packet, meta, owner)?;
            self.counters.count_drop(meta.attachment, packet.len());
            Some(reason)
        });
        if !fip.is_empty() {
            self.hear_servers(batch, if batch.len() == before { fip } else { Places::all(batch.len()) });
        }
    }

    fn admit_from_uplink(&mut self, uplink: usize, batch: &mut Batch<Meta>, cx: &mut Context) {
        let (tables, active) = (&*self.tables, &*self.active);
        cx.drop_if(batch, |packet, meta| {
            if meta.is_known() {
                return None;
            }
            meta.attachment = NO_ATTACHMENT;
            meta.network = tables.uplink_network(uplink, meta.src.vlan());
            if meta.network == NO_NETWORK {
                let other = tables.is_other_fabric(uplink, meta.src.vlan());
                return Some(if other { drop::WRONG_FABRIC } else { drop::UNKNOWN_VLAN });
            }
            let scope = Scope::network(usize::from(meta.network));
            if tables.addresses.number(scope, meta.src.untagged()) != NOWHERE {
                return Some(drop::DEJA_VU);
            }
            if meta.dst.is_multicast() && usize::from(active.0[usize::from(meta.network)]) != uplink {
                return Some(drop::STANDBY_UPLINK);
            }
            let limits = tables.limits(meta.network);
            if !may_pass(meta, limits)
                && let Some(reason) = wrong_side(meta, limits)
            {
                return Some(reason);
            }
            if is(Protocol::Fip, meta) {
                let number = tables.addresses.number(scope, meta.dst);
                self.ears().hear_forwarder(packet.data(), number);
            }
            None
        });
    }

    /// The reason not to take a frame from `owner`, if there is one: what a first look found suspicious may be
    /// uncommon only.
    #[cold]
    #[inline(never)]
    fn refused(&self, packet: &Mbuf, meta: &Meta, owner: &Attachment) -> Option<DropReason> {
        if !owner.up {
            return Some(drop::ADAPTER_DOWN);
        }
        let spoofed = if owner.checked { antispoof::check(packet.data(), meta, owner) } else { None };
        let longest = Meta { len: longest_frame(packet) as u32, ..*meta };
        let reason = spoofed.or_else(|| wrong_side(&longest, self.tables.limits(owner.network)));
        let reason = reason.or_else(|| (!speaks(meta, owner.forbidden)).then_some(drop::WRONG_PROTOCOL));
        reason.or_else(|| (owner.logs_in && !may_come_from(meta, owner)).then_some(drop::UNKNOWN_SOURCE))
    }

    /// What servers say of logins, in FIP among the frames at these places.
    #[inline(never)]
    fn hear_servers(&self, batch: &Batch<Meta>, places: Places) {
        let frames = places.filter_map(|at| batch.packets().get(at).zip(batch.meta().get(at)));
        for (packet, meta) in frames.filter(|(_, meta)| !meta.is_known() && is(Protocol::Fip, meta)) {
            self.ears().hear_server(packet.data(), meta.attachment);
        }
    }
}

/// Whether a frame is of a storage protocol.
#[inline]
pub(super) fn is(protocol: Protocol, meta: &Meta) -> bool {
    meta.protocol == protocol as u8
}

/// Whether a frame has the adapter's own address; its other addresses are for FCoE and FIP only.
#[inline]
fn may_come_from(meta: &Meta, owner: &Attachment) -> bool {
    let own = meta.src.untagged() == Address::new(owner.mac, UNTAGGED);
    own | is(Protocol::Fcoe, meta) | is(Protocol::Fip, meta)
}

/// In two rounds, each of which fetches what the next needs.
#[inline(never)]
fn fetch_owners(tables: &Tables, scope: Scope, batch: &Batch<Meta>) {
    let unknown = || batch.meta().iter().filter(|meta| !meta.is_known());
    unknown().for_each(|meta| tables.addresses.prefetch(scope, meta.src));
    for meta in unknown() {
        if let Some(owner) = tables.attachments.get(tables.addresses.number(scope, meta.src) as usize) {
            prefetch(owner);
        }
    }
}

/// Why a source is none of a link's.
#[cold]
fn unknown(tables: &Tables, link: usize, meta: &Meta) -> DropReason {
    match tables.link_has_vlan(link, meta.src.vlan()) {
        true => drop::UNKNOWN_SOURCE,
        false => drop::UNKNOWN_VLAN,
    }
}

/// Whether a frame is nothing but what a network carries, whichever way it goes.
#[inline]
fn may_pass(meta: &Meta, limits: Limits) -> bool {
    (meta.len <= u32::from(limits.mtu))
        & (meta.len <= u32::from(limits.payload) + u32::from(meta.offset))
        & (meta.sides >> limits.side as u8 & 1 != 0)
}

/// Why a frame may not pass, if it may not: with a later fragment it is the first that counts.
#[cold]
fn wrong_side(meta: &Meta, limits: Limits) -> Option<DropReason> {
    let whole = Meta { sides: u8::MAX, ..*meta };
    if !may_pass(&whole, limits) {
        return Some(drop::TOO_BIG);
    }
    // The rest of a packet was held to the rule with its first piece, and is useless without it.
    if may_pass(meta, limits) || meta.piece == Piece::Later {
        return None;
    }
    Some(match limits.side {
        Side::Network => drop::STORAGE_ON_NETWORK,
        Side::Storage => drop::NETWORK_ON_STORAGE,
    })
}

/// Whether a frame is of none of the protocols that are forbidden.
#[inline]
pub(super) fn speaks(meta: &Meta, forbidden: u16) -> bool {
    // NO_PROTOCOL has a bit that is never set.
    forbidden >> (meta.protocol % 16) & 1 == 0
}

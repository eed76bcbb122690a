//! Where a frame goes: to one place, or to every station of its network.

use super::addresses::{NOWHERE, Scope};
use super::admit::{is, speaks};
use super::counters::{Counters, Direction};
use super::ears::Ears;
use super::flows::{Decision, Sight};
use super::frame::Meta;
use super::tables::NO_UPLINK;
use super::tag::Tag;
use super::{Ingress, NO_ATTACHMENT, Path, drop};
use crate::config::model::Protocol;
use iogate::memory::{Batch, Mbuf, prefetch};
use iogate::pipeline::{Context, DropReason, Outlet};
use iogate::telemetry::Traffic;
use std::hint::select_unpredictable;

impl Path {
    /// Sends frames from the front on, until one is of a flow that is not known. Returns how many are gone.
    #[inline(never)]
    pub(super) fn forward_known(&mut self, batch: &mut Batch<Meta>, cx: &mut Context) -> usize {
        let Path { tables, outlets, counters, heard, flows, .. } = self;
        if tables.large() {
            flows.decisions().take(batch.len()).flatten().for_each(|decision| fetch_slots(counters, decision));
        }
        let (slots, ears, mut decisions) = (counters.slots(), Ears { tables, heard }, flows.decisions());
        batch.offer_each(|_, packet, _| {
            let Some(decision) = decisions.next().flatten() else { return Err(packet) };
            if let Err(packet) = send_known(packet, decision, outlets, slots) {
                send_uncommon(packet, decision, outlets, counters, ears, cx);
            }
            Ok(())
        })
    }

    #[inline(never)]
    pub(super) fn forward(&mut self, batch: &mut Batch<Meta>, cx: &mut Context) {
        if self.tables.large() {
            self.fetch_ways(batch);
        }
        let from_server = matches!(self.ingress[cx.source()], Ingress::Link(_));
        batch.offer_each(|_, packet, meta| {
            match (meta.sight, from_server) {
                (Sight::Known(place), _) => self.send_as_known(packet, place, cx),
                (_, true) => self.send::<true>(packet, meta, cx),
                (_, false) => self.send::<false>(packet, meta, cx),
            }
            Ok(())
        });
        self.flows.keep();
    }

    /// In two rounds, each of which fetches what the next needs.
    #[inline(never)]
    fn fetch_ways(&self, batch: &Batch<Meta>) {
        let unknown = || batch.meta().iter().filter(|meta| !meta.is_known());
        for meta in unknown() {
            self.tables.addresses.prefetch(Scope::network(usize::from(meta.network)), meta.dst);
        }
        for meta in unknown() {
            let way = self.way_of(meta, meta.attachment != NO_ATTACHMENT);
            prefetch(&self.ways[way as usize]);
            self.counters.prefetch(way, meta.class, Direction::ToServer);
            if meta.attachment != NO_ATTACHMENT {
                self.counters.prefetch(meta.attachment, meta.class, Direction::FromServer);
            }
        }
        for meta in batch.meta() {
            if let Sight::Known(place) = meta.sight {
                fetch_slots(&self.counters, self.flows.decision(place.into()));
            }
        }
    }

    /// The number of a frame's way out, when it is for one receiver.
    #[inline]
    fn way_of(&self, meta: &Meta, from_server: bool) -> u32 {
        let found = self.tables.addresses.number(Scope::network(usize::from(meta.network)), meta.dst);
        // Unknown unicast goes up, never sideways and never down. Which of them is known cannot be guessed.
        let otherwise = if from_server { self.tables.way_out(meta.network) } else { self.tables.no_way() };
        select_unpredictable(found == NOWHERE, otherwise, found)
    }

    #[inline(never)]
    fn send<const FROM_SERVER: bool>(&mut self, mut packet: Mbuf, meta: &Meta, cx: &mut Context) {
        let number = self.way_of(meta, FROM_SERVER);
        let way = self.ways[number as usize];
        let open = way.open & !meta.dst.is_multicast() & (number != meta.attachment) & speaks(meta, way.forbidden);
        let outlet = self.outlets.get_mut(usize::from(way.outlet)).filter(|_| open);
        let Some(outlet) = outlet else { return self.send_otherwise(packet, meta, number, cx) };
        let tag = way.tag.with(self.tables.classifier.priority(meta.class));
        if !tag.set(&mut packet) {
            return self.refuse(packet, meta, drop::NO_ROOM, cx);
        }
        let from = if FROM_SERVER { meta.attachment } else { self.tables.no_way() };
        let from = self.counters.slot(from, meta.class, Direction::FromServer);
        let to = self.counters.slot(number, meta.class, Direction::ToServer);
        // Of nobody's slot, what is in it does not matter.
        self.counters.slots()[from as usize].add(meta.len as usize);
        self.counters.slots()[to as usize].add(packet.len());
        outlet.push(packet);
        if let Sight::New(place) = meta.sight
            && meta.plain
        {
            self.learn(place, meta, Decision { from, to, tag, ..Decision::default() }, way.outlet);
        }
    }

    /// One of a known flow, in a batch with others.
    #[inline]
    fn send_as_known(&mut self, packet: Mbuf, place: u8, cx: &mut Context) {
        let Path { tables, outlets, counters, heard, flows, .. } = self;
        let decision = flows.decision(place.into());
        if let Err(packet) = send_known(packet, decision, outlets, counters.slots()) {
            send_uncommon(packet, decision, outlets, counters, Ears { tables, heard }, cx);
        }
    }

    /// Has what became of a frame done with all of its flow, unless there is no room to say so.
    #[inline(never)]
    fn learn(&mut self, place: u8, meta: &Meta, decision: Decision, outlet: u16) {
        let limits = self.tables.limits(meta.network);
        // Numbers from HEARD on must be no outlet's.
        let outlet = u8::try_from(outlet).ok().filter(|_| self.outlets.len() <= usize::from(Decision::HEARD));
        let Some(outlet) = outlet else { return };
        let heard = if is(Protocol::Fip, meta) { Decision::HEARD } else { 0 };
        let decision = Decision {
            longest: limits.mtu.min(limits.payload.saturating_add(meta.offset.into())),
            headers: meta.offset + meta.headers,
            outlet: outlet | heard,
            ..decision
        };
        self.flows.learn(place, decision);
    }

    /// A frame for many, or for nobody.
    #[cold]
    #[inline(never)]
    fn send_otherwise(&mut self, packet: Mbuf, meta: &Meta, number: u32, cx: &mut Context) {
        if meta.dst.is_multicast() {
            return self.replicate(packet, meta, cx);
        }
        let way = self.ways[number as usize];
        let reason = if number == self.tables.no_way() {
            drop::UNKNOWN_UNICAST
        } else if number == meta.attachment {
            drop::TO_ITSELF
        } else if number == self.tables.way_out(meta.network) {
            drop::NO_UPLINK
        } else if !way.open {
            drop::ADAPTER_DOWN
        } else {
            drop::WRONG_PROTOCOL
        };
        self.refuse(packet, meta, reason, cx);
    }

    /// To every station of the network but the sender, and from a server also to the uplink: one frame
    /// for each link and tag, however many adapters are there. Frames with the same tag share one
    /// buffer; each further tag takes a copy.
    #[cold]
    fn replicate(&mut self, packet: Mbuf, meta: &Meta, cx: &mut Context) {
        let from_server = meta.attachment != NO_ATTACHMENT;
        let active = self.active.0[usize::from(meta.network)];
        let mut to_uplink = (from_server && active != NO_UPLINK).then(|| self.outlet_of_uplink(active));
        let Path { tables, ways, outlets, counters, .. } = self;
        let network = &tables.networks[usize::from(meta.network)];
        let own = Tag::new(network.vlan);
        let priority = tables.classifier.priority(meta.class);
        let mut receivers = network
            .members
            .iter()
            .map(|number| (*number, &ways[*number as usize]))
            .filter(|(number, to)| *number != meta.attachment && to.open && speaks(meta, to.forbidden))
            .peekable();
        let mut unserved =
            runs(receivers.clone().map(|(_, to)| (to.tag, to.outlet))) + usize::from(to_uplink.is_some());
        if unserved == 0 {
            return self.refuse(packet, meta, if from_server { drop::NO_UPLINK } else { drop::NO_RECEIVER }, cx);
        }
        let len = packet.len();
        if from_server {
            counters.count(meta.attachment, meta.class, Direction::FromServer, len);
        }
        cx.generated(unserved as u64 - 1);
        let mut packet = Some(packet);
        while unserved > 0 {
            // Members with the same tag stand next to each other, among them those on the same link; the
            // uplink joins those with its own tag.
            let tag = receivers.peek().map_or(own, |(_, to)| to.tag);
            let uplink = to_uplink.take_if(|_| tag == own);
            let alike = receivers.clone().take_while(|(_, to)| to.tag == tag);
            let served = runs(alike.clone().map(|(_, to)| to.outlet)) + usize::from(uplink.is_some());
            let alike = alike.count();
            unserved -= served;
            let form = if unserved == 0 { packet.take() } else { packet.as_ref().and_then(Mbuf::copy) };
            let form = form.ok_or(DropReason::NO_BUFFER);
            let form = form.and_then(|mut form| match tag.with(priority).set(&mut form) {
                true => Ok(form.share()),
                false => Err(drop::NO_ROOM),
            });
            let mut served_link = None;
            for (number, to) in receivers.by_ref().take(alike) {
                let Ok(form) = &form else { continue };
                counters.count(number, meta.class, Direction::ToServer, form.len());
                if served_link.replace(to.outlet) != Some(to.outlet) {
                    outlets[usize::from(to.outlet)].push_shared(form.clone());
                }
            }
            match (form, uplink) {
                (Ok(form), Some(outlet)) => outlets[outlet].push_shared(form),
                (Ok(_), None) => {}
                (Err(reason), _) => cx.lost(served as u64, len, reason),
            }
        }
    }

    #[cold]
    fn refuse(&self, packet: Mbuf, meta: &Meta, reason: DropReason, cx: &mut Context) {
        if meta.attachment != NO_ATTACHMENT {
            self.counters.count_drop(meta.attachment, packet.len());
        }
        cx.drop(packet, reason);
    }

    /// Uplinks' outlets stand behind the links'.
    #[inline]
    fn outlet_of_uplink(&self, uplink: u16) -> usize {
        self.tables.links + usize::from(uplink)
    }
}

/// Does what was decided; gives back a frame that takes more than that.
#[inline(always)]
fn send_known(mut packet: Mbuf, decision: &Decision, outlets: &mut [Outlet], slots: &[Traffic]) -> Result<(), Mbuf> {
    let Some(outlet) = outlets.get_mut(usize::from(decision.outlet)) else { return Err(packet) };
    let len = packet.len();
    if !decision.tag.set(&mut packet) {
        return Err(packet);
    }
    slots[decision.from as usize].add(len);
    slots[decision.to as usize].add(packet.len());
    outlet.push(packet);
    Ok(())
}

/// A frame of a known flow that is heard, or has no room for its tag.
#[cold]
#[inline(never)]
fn send_uncommon(
    packet: Mbuf,
    decision: &Decision,
    outlets: &mut [Outlet],
    counters: &Counters,
    ears: Ears<'_>,
    cx: &mut Context,
) {
    let [from, to] = [decision.from, decision.to].map(|slot| counters.attachment(slot));
    let from_server = (from as usize) < ears.tables.attachments.len();
    let mut decision = *decision;
    if decision.outlet & Decision::HEARD != 0 {
        match from_server {
            true => ears.hear_server(packet.data(), from),
            false => ears.hear_forwarder(packet.data(), to),
        }
        decision.outlet &= !Decision::HEARD;
    }
    if let Err(packet) = send_known(packet, &decision, outlets, counters.slots()) {
        if from_server {
            counters.count_drop(from, packet.len());
        }
        cx.drop(packet, drop::NO_ROOM);
    }
}

/// Fetches what is counted with a decision.
#[inline]
fn fetch_slots(counters: &Counters, decision: &Decision) {
    for slot in [decision.from, decision.to] {
        if let Some(slot) = counters.slots().get(slot as usize) {
            prefetch(slot);
        }
    }
}

/// How many runs of equal items there are.
fn runs<T: PartialEq + Copy>(items: impl Iterator<Item = T>) -> usize {
    let mut last = None;
    items.filter(|item| last.replace(*item) != Some(*item)).count()
}

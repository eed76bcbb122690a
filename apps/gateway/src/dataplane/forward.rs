//! Where a frame goes: to one place, or to every station of its network.

use super::addresses::{NOWHERE, Scope};
use super::admit::speaks;
use super::counters::Direction;
use super::frame::Meta;
use super::tables::NO_UPLINK;
use super::tag::Tag;
use super::{Ingress, NO_ATTACHMENT, Path, drop};
use iogate::memory::{Batch, Mbuf, prefetch};
use iogate::pipeline::{Context, DropReason};
use std::hint::select_unpredictable;

impl Path {
    #[inline(never)]
    pub(super) fn forward(&mut self, batch: &mut Batch<Meta>, cx: &mut Context) {
        if self.tables.large() {
            self.fetch_ways(batch);
        }
        match self.ingress[cx.source()] {
            Ingress::Link(_) => batch.take_each(|packet, meta| self.send::<true>(packet, meta, cx)),
            Ingress::Uplink(_) => batch.take_each(|packet, meta| self.send::<false>(packet, meta, cx)),
        }
    }

    /// In two rounds, each of which fetches what the next needs.
    #[inline(never)]
    fn fetch_ways(&self, batch: &Batch<Meta>) {
        for meta in batch.meta() {
            self.tables.addresses.prefetch(Scope::network(usize::from(meta.network)), meta.dst);
        }
        for meta in batch.meta() {
            let way = self.way_of(meta, meta.attachment != NO_ATTACHMENT);
            prefetch(&self.ways[way as usize]);
            self.counters.prefetch(way, meta.class);
            if meta.attachment != NO_ATTACHMENT {
                self.counters.prefetch(meta.attachment, meta.class);
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

    #[inline]
    fn send<const FROM_SERVER: bool>(&mut self, mut packet: Mbuf, meta: &Meta, cx: &mut Context) {
        let number = self.way_of(meta, FROM_SERVER);
        let way = self.ways[number as usize];
        let open = way.open & !meta.dst.is_multicast() & (number != meta.attachment) & speaks(meta, way.forbidden);
        let outlet = self.outlets.get_mut(usize::from(way.outlet)).filter(|_| open);
        let Some(outlet) = outlet else { return self.send_otherwise(packet, meta, number, cx) };
        if !way.tag.set(&mut packet, meta.offset, self.tables.classifier.priority(meta.class)) {
            return self.refuse(packet, meta, drop::NO_ROOM, cx);
        }
        if FROM_SERVER {
            self.counters.count(meta.attachment, meta.class, Direction::FromServer, meta.len as usize);
        }
        self.counters.count(number, meta.class, Direction::ToServer, packet.len());
        outlet.push(packet);
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
            let form = form.and_then(|mut form| match tag.set(&mut form, meta.offset, priority) {
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

/// How many runs of equal items there are.
fn runs<T: PartialEq + Copy>(items: impl Iterator<Item = T>) -> usize {
    let mut last = None;
    items.filter(|item| last.replace(*item) != Some(*item)).count()
}

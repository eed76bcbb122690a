//! Where a frame goes: to one place, or to every station of its network.

use super::addresses::{Scope, UNTAGGED};
use super::counters::Direction;
use super::frame::Meta;
use super::tables::NO_UPLINK;
use super::{NO_ATTACHMENT, Path, drop, macs, tag, wrong_protocol};
use iogate::memory::{Batch, Mbuf};
use iogate::pipeline::{Context, DropReason};

impl Path {
    pub(super) fn forward(&mut self, batch: &mut Batch<Meta>, cx: &mut Context) {
        for (packet, meta) in batch.drain() {
            let (dst, _) = macs(&packet);
            if dst.is_multicast() {
                self.replicate(packet, &meta, cx);
            } else {
                let scope = Scope::network(usize::from(meta.network));
                match self.tables.addresses.find(scope, UNTAGGED, dst) {
                    Some(number) => self.deliver(packet, &meta, number, cx),
                    None => self.send_up(packet, &meta, cx),
                }
            }
        }
    }

    #[inline]
    fn deliver(&mut self, packet: Mbuf, meta: &Meta, number: u32, cx: &mut Context) {
        let to = self.tables.attachment(number);
        let reason = if number == meta.attachment {
            Some(drop::TO_ITSELF)
        } else if !to.up {
            Some(drop::ADAPTER_DOWN)
        } else {
            wrong_protocol(meta, to)
        };
        if let Some(reason) = reason {
            return self.refuse(packet, meta, reason, cx);
        }
        let (outlet, len) = (usize::from(to.outlet), packet.len());
        let Some(packet) = tag::set(packet, to.vlan, self.tables.classifier.pcp(meta.class)) else {
            return self.lose(meta, len, cx);
        };
        self.count_sent(meta, len);
        self.counters.count(number, meta.class, Direction::ToServer, packet.len());
        self.outlets[outlet].push(packet);
    }

    #[inline]
    fn send_up(&mut self, packet: Mbuf, meta: &Meta, cx: &mut Context) {
        if meta.attachment == NO_ATTACHMENT {
            return self.refuse(packet, meta, drop::UNKNOWN_UNICAST, cx);
        }
        let uplink = self.active.0[usize::from(meta.network)];
        if uplink == NO_UPLINK {
            return self.refuse(packet, meta, drop::NO_UPLINK, cx);
        }
        let (vlan, len) = (self.tables.networks[usize::from(meta.network)].vlan, packet.len());
        let Some(packet) = tag::set(packet, vlan, self.tables.classifier.pcp(meta.class)) else {
            return self.lose(meta, len, cx);
        };
        self.count_sent(meta, len);
        let outlet = self.outlet_of_uplink(uplink);
        self.outlets[outlet].push(packet);
    }

    /// To every station of the network but the sender, and from a server also to the uplink: one frame
    /// for each link and tag, however many adapters are there. Frames with the same tag share one
    /// buffer; each further tag takes a copy.
    #[cold]
    fn replicate(&mut self, packet: Mbuf, meta: &Meta, cx: &mut Context) {
        let from_server = meta.attachment != NO_ATTACHMENT;
        let active = self.active.0[usize::from(meta.network)];
        let mut to_uplink = (from_server && active != NO_UPLINK).then(|| self.outlet_of_uplink(active));
        let Path { tables, outlets, counters, .. } = self;
        let network = &tables.networks[usize::from(meta.network)];
        let pcp = tables.classifier.pcp(meta.class);
        let mut receivers = network
            .members
            .iter()
            .map(|number| (*number, tables.attachment(*number)))
            .filter(|(number, to)| *number != meta.attachment && to.up && wrong_protocol(meta, to).is_none())
            .peekable();
        let mut unserved =
            runs(receivers.clone().map(|(_, to)| (to.vlan, to.outlet))) + usize::from(to_uplink.is_some());
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
            let vlan = receivers.peek().map_or(network.vlan, |(_, to)| to.vlan);
            let uplink = to_uplink.take_if(|_| vlan == network.vlan);
            let alike = receivers.clone().take_while(|(_, to)| to.vlan == vlan);
            let served = runs(alike.clone().map(|(_, to)| to.outlet)) + usize::from(uplink.is_some());
            let alike = alike.count();
            unserved -= served;
            let form = if unserved == 0 { packet.take() } else { packet.as_ref().and_then(Mbuf::copy) };
            let form = form.ok_or(DropReason::NO_BUFFER);
            let form = form.and_then(|form| tag::set(form, vlan, pcp).ok_or(drop::NO_ROOM)).map(Mbuf::share);
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

    /// Counts a frame that a server sent and that goes somewhere.
    #[inline]
    fn count_sent(&self, meta: &Meta, len: usize) {
        if meta.attachment != NO_ATTACHMENT {
            self.counters.count(meta.attachment, meta.class, Direction::FromServer, len);
        }
    }

    /// A frame that had no room for a tag.
    #[cold]
    fn lose(&self, meta: &Meta, len: usize, cx: &mut Context) {
        if meta.attachment != NO_ATTACHMENT {
            self.counters.count_drop(meta.attachment, len);
        }
        cx.lost(1, len, drop::NO_ROOM);
    }

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

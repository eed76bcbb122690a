//! What a stream does besides its mode: packets are looked at, get the tags of the port they leave by, and are
//! measured.

use super::observe::Observer;
use crate::soft::Rx;
use crate::verbose::Verbose;
use iogate::packet::vlan::{self, TAG_LEN};
use iogate::packet::{EtherType, Tci, VlanTag};
use iogate::pipeline::Description;
use iogate::prelude::*;

/// A mode with its surroundings.
pub(crate) struct Surrounded {
    mode: Box<dyn Stage>,
    verbose: Verbose,
    /// RX port and queue.
    place: (u16, u16),
    /// Tags to insert, innermost first.
    tags: Vec<VlanTag>,
    observer: Option<Box<Observer>>,
    /// What software does to packets first, if anything.
    soft: Option<Box<Rx>>,
}

impl Surrounded {
    /// `vlans`: none, one, or the inner and the outer one.
    pub(crate) fn new(mode: Box<dyn Stage>, verbose: Verbose, place: (u16, u16), vlans: &[u16]) -> Self {
        let tpids = [EtherType::VLAN, EtherType::SERVICE_VLAN];
        let tag = |(vlan, tpid): (&u16, EtherType)| VlanTag { tpid, tci: Tci::new(*vlan, 0, false) };
        Surrounded {
            mode,
            verbose,
            place,
            tags: vlans.iter().zip(tpids).map(tag).collect(),
            observer: None,
            soft: None,
        }
    }

    /// Measures from now on, or no more. What measured before is given back.
    pub(super) fn observe(&mut self, observer: Option<Box<Observer>>) -> Option<Box<Observer>> {
        std::mem::replace(&mut self.observer, observer)
    }

    /// Has software do something else to packets from now on, or nothing. What it did before is given back.
    pub(super) fn soften(&mut self, soft: Option<Box<Rx>>) -> Option<Box<Rx>> {
        std::mem::replace(&mut self.soft, soft)
    }

    /// Works on packets that are the stream's.
    #[inline]
    fn work(&mut self, batch: &mut Batch, cx: &mut Context) {
        self.verbose.received(self.place, batch);
        if let Some(observer) = &mut self.observer {
            observer.received(batch);
        }
        if !self.tags.is_empty() {
            self.tag(batch, cx);
        }
        self.mode.run(batch, cx);
        if let Some(observer) = &mut self.observer {
            observer.done();
        }
    }

    /// As [`run`](Stage::run), when software has something to do to packets.
    #[cold]
    fn run_soft(&mut self, batch: &mut Batch, cx: &mut Context) {
        if let Some(soft) = &mut self.soft {
            soft.receive(batch, cx);
        }
        if !batch.is_empty() {
            self.work(batch, cx);
        }
    }

    /// Works on packets that other streams gave this one.
    #[cold]
    fn take(&mut self, batch: &mut Batch, cx: &mut Context) {
        if let Some(soft) = &mut self.soft {
            soft.take(batch, cx);
        }
        if !batch.is_empty() {
            self.work(batch, cx);
        }
    }

    #[cold]
    fn tag(&self, batch: &mut Batch, cx: &mut Context) {
        cx.drop_if(batch, |packet, _| {
            let tagged = self.tags.iter().all(|tag| insert(packet, *tag));
            (!tagged).then_some(NO_ROOM)
        });
    }
}

/// A tag does not fit.
const NO_ROOM: DropReason = DropReason::app(0);

fn insert(packet: &mut Mbuf, tag: VlanTag) -> bool {
    packet.prepend(TAG_LEN).is_some() && vlan::insert(packet.data_mut(), tag).is_ok()
}

impl Stage for Surrounded {
    #[inline]
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        if self.soft.is_some() {
            return self.run_soft(batch, cx);
        }
        self.work(batch, cx);
    }

    #[inline]
    fn generate(&mut self, batch: &mut Batch, cx: &mut Context) {
        if let Some(observer) = &mut self.observer {
            observer.begin();
        }
        if self.soft.is_some() {
            self.take(batch, cx);
        }
        self.mode.generate(batch, cx);
        if let Some(observer) = &mut self.observer {
            observer.done();
        }
    }

    #[inline]
    fn flush(&mut self, cx: &mut Context) {
        self.mode.flush(cx);
        if let Some(observer) = &mut self.observer {
            observer.end();
        }
    }

    fn finish(&mut self) {
        self.mode.finish();
    }

    fn name(&self) -> &'static str {
        self.mode.name()
    }

    fn describe(&self, description: &mut Description) {
        self.mode.describe(description);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::{Config, Mode, Stream};
    use iogate::testkit::{FakePort, Frame, mac, pool};

    #[test]
    fn tags_are_inserted_before_the_packet_leaves() {
        let pool = pool("tags", 256);
        let mut port = FakePort::with_pool("tags", &pool);
        let plain = Frame::ethernet(mac(1), mac(2)).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2).build();
        let rx = port.port.rx(0).ok();
        let stream = Stream {
            rx,
            fed: false,
            tx: Some(port.port.tx(0).unwrap()),
            mac: mac(3),
            peer: mac(4),
            pool: pool.clone(),
            worker: 0,
            watch: None,
        };
        let built = Mode::MacSwap.build(&Config::default(), stream).unwrap();
        let mut stage = Surrounded::new(built.stage, Verbose::new(), (0, 0), &[5, 6]);
        let (mut batch, mut cx) = (Batch::new(), Context::new(1));
        drop(batch.push(pool.alloc_from(&plain).unwrap(), ()));
        stage.run(&mut batch, &mut cx);
        stage.flush(&mut cx);
        let sent = port.received();
        let expected = [&plain[6..12], &plain[..6], &[0x88, 0xa8, 0, 6, 0x81, 0, 0, 5], &plain[12..]].concat();
        assert_eq!(sent, [expected]);
    }
}

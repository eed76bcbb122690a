//! A gateway without devices: a pair of rings for each link and uplink, and a real worker between them.
//!
//! Frames go in by the name of a port and come out by the name of a port. When a [`Gateway`] goes, everything that
//! happened must have been asked for by the test, every packet must be accounted for, and the pool must be complete.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_queue::ArrayQueue;
use iogate::memory::MbufPool;
use iogate::packet::MacAddr;
use iogate::pipeline::{DropReason, Outlet, SourceCounters};
use iogate::testkit::{Complete, FakePort, Frame, eal};
use iogate::worker::{Poller, Runtime, cores};
use iogate_gateway::config::{self, Config};
use iogate_gateway::dataplane::fip::Heard;
use iogate_gateway::dataplane::frame::Meta;
use iogate_gateway::dataplane::{Active, Counters, Direction, Ingress, Switch, Tables, drop, tables};

/// The gateway of `house.toml`.
pub(crate) const HOUSE: &str = include_str!("house.toml");

/// DPDK has room for 32 devices, and a gateway takes two for each port: one gateway at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A built frame with a tag put in: unlike one built with a tag, it is as much longer as it was padded.
pub(crate) fn tagged(frame: Frame, vid: u16, pcp: u8) -> Vec<u8> {
    let mut bytes = frame.build();
    let [high, low] = vid.to_be_bytes();
    bytes.splice(12..12, [0x81, 0x00, pcp << 5 | high, low]);
    bytes
}

/// For a test that makes ports without a [`Gateway`].
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How the pool and the rings of a gateway are made.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) buffers: u32,
    pub(crate) slots: u32,
}

impl Default for Size {
    fn default() -> Self {
        Size { buffers: 1023, slots: 256 }
    }
}

pub(crate) struct Gateway {
    config: Config,
    names: Vec<String>,
    fakes: Vec<FakePort>,
    poller: Poller<Meta, Switch>,
    runtime: Runtime,
    counters: Arc<Counters>,
    heard: Arc<ArrayQueue<Heard>>,
    active: Vec<u16>,
    injected: u64,
    /// What came out and was not asked for yet, by port.
    out: HashMap<String, Vec<Vec<u8>>>,
    /// Drops that were asked for, by port.
    asked: BTreeMap<(String, &'static str), u64>,
    pool: MbufPool,
    // Behind all that holds buffers.
    _complete: Complete,
    _alone: MutexGuard<'static, ()>,
}

/// The gateway of `house.toml`.
pub(crate) fn house() -> Gateway {
    Gateway::new(HOUSE)
}

/// The text of `house.toml` with one thing changed; the change must hit.
pub(crate) fn changed(from: &str, to: &str) -> String {
    assert!(HOUSE.contains(from), "the house has no {from:?}");
    HOUSE.replacen(from, to, 1)
}

/// The address of an adapter of the house, `02:00:00:00:00:NN`.
pub(crate) const fn mac(number: u8) -> MacAddr {
    iogate::testkit::mac(number)
}

/// Addresses of hosts outside.
pub(crate) const LAN: MacAddr = MacAddr::new([2, 0xee, 0, 0, 0, 1]);
pub(crate) const SAN: MacAddr = MacAddr::new([2, 0xee, 0, 0, 0, 2]);

impl Gateway {
    pub(crate) fn new(text: &str) -> Self {
        Self::sized(text, Size::default())
    }

    pub(crate) fn sized(text: &str, size: Size) -> Self {
        let alone = alone();
        let config = config::parse(text, Path::new("test.toml")).unwrap_or_else(|problems| panic!("{problems}"));
        let pool = iogate::testkit::pool("gateway", size.buffers);
        let complete = Complete::new(&pool);
        let names: Vec<String> = config.ports().map(|(_, name, ..)| name.to_string()).collect();
        let fakes: Vec<_> = names.iter().map(|name| FakePort::with_slots(name, &pool, size.slots)).collect();
        let links = (0..config.links.len()).map(Ingress::Link);
        let ingress = links.chain((0..config.uplinks.len()).map(Ingress::Uplink)).collect();
        let outlets = fakes.iter().map(|fake| Outlet::new(fake.port.tx(0).unwrap()).finishing(true)).collect();
        let active: Vec<_> = config.networks().map(|(id, _)| config.uplinks_of(id)[0].index() as u16).collect();
        let switch = Switch::new(Arc::new(Tables::new(&config)), Arc::new(Active(active.clone())), ingress, outlets);
        let (counters, heard) = (switch.counters().clone(), switch.heard().clone());
        let mut runtime = Runtime::new(eal());
        runtime.share_cores(true);
        let queues: Vec<_> = fakes.iter().map(|fake| fake.port.rx(0).unwrap().restore_vlans(true)).collect();
        let poller = runtime.worker(cores()[0]).unwrap().poll(queues, switch);
        runtime.start().unwrap();
        Gateway {
            config,
            names,
            fakes,
            poller,
            runtime,
            counters,
            heard,
            active,
            injected: 0,
            out: HashMap::new(),
            asked: BTreeMap::new(),
            pool,
            _complete: complete,
            _alone: alone,
        }
    }

    pub(crate) fn pool(&self) -> &MbufPool {
        &self.pool
    }

    fn port(&self, name: &str) -> usize {
        self.names.iter().position(|other| other == name).unwrap_or_else(|| panic!("there is no port {name:?}"))
    }

    fn source(&self, name: &str) -> Arc<SourceCounters> {
        self.poller.sources()[self.port(name)].clone()
    }

    /// Has a port receive a frame, and lets the gateway do what it does with it.
    pub(crate) fn send(&mut self, port: &str, frame: impl AsRef<[u8]>) {
        self.send_all(port, [frame]);
    }

    /// Has a port receive frames, which may come in one batch or several.
    pub(crate) fn send_all<F: AsRef<[u8]>>(&mut self, port: &str, frames: impl IntoIterator<Item = F>) {
        let at = self.port(port);
        for frame in frames {
            self.fakes[at].inject(frame.as_ref());
            self.injected += 1;
        }
        self.settle();
    }

    /// Has a port receive a frame whose tag the card took off.
    pub(crate) fn send_stripped(&mut self, port: &str, frame: impl AsRef<[u8]>) {
        let at = self.port(port);
        self.fakes[at].inject_stripped(frame.as_ref());
        self.injected += 1;
        self.settle();
    }

    /// Has a port receive a frame that a guest left to its card.
    pub(crate) fn send_unfinished(&mut self, port: &str, frame: impl AsRef<[u8]>, segment_size: Option<u16>) {
        let at = self.port(port);
        self.fakes[at].inject_unfinished(frame.as_ref(), segment_size);
        self.injected += 1;
        self.settle();
    }

    /// What came out of every port since the last look, by its name.
    pub(crate) fn everything(&mut self) -> Vec<(String, Vec<Vec<u8>>)> {
        let names = self.names.clone();
        names.into_iter().map(|name| (name.clone(), self.received(&name))).collect()
    }

    /// Waits until all that was injected has gone its way.
    fn settle(&self) {
        while self.poller.totals().received < self.injected {
            assert!(!self.runtime.failed(), "the worker has panicked");
            std::thread::yield_now();
        }
        // It runs this between two rounds: that in which the last packet came is over.
        self.poller.call(|_| ()).unwrap();
        assert!(self.poller.totals().balanced(), "{:?}", self.poller.totals());
    }

    /// Lets it run a round, as when a port has become ready to send again.
    pub(crate) fn idle(&self) {
        (0..2).for_each(|_| self.poller.call(|_| ()).unwrap());
    }

    /// Stops the worker while frames wait for ports that take no more, and returns how many it gave up.
    pub(crate) fn stop_unsent(&mut self) -> u64 {
        assert!(self.poller.totals().pending > 0);
        let totals = self.runtime.stop().unwrap();
        assert!(totals.balanced() && totals.pending == 0, "{totals:?}");
        self.names.iter().map(|name| self.not_sent(name, DropReason::STOPPED)).sum()
    }

    /// What came out of a port since the last look, in order.
    pub(crate) fn received(&mut self, port: &str) -> Vec<Vec<u8>> {
        for (name, fake) in self.names.iter().zip(&mut self.fakes) {
            self.out.entry(name.clone()).or_default().append(&mut fake.received());
        }
        self.out.insert(port.to_owned(), Vec::new()).unwrap_or_default()
    }

    /// The next frame out of a port is this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, port: &str, frame: impl AsRef<[u8]>) {
        let mut frames = self.received(port);
        let wanted = frame.as_ref();
        let place = frames.iter().position(|other| other == wanted);
        let Some(place) = place else {
            panic!("{port}: no {wanted:02x?}\nbut {frames:02x?}\ndrops: {:?}", self.drops());
        };
        frames.remove(place);
        self.out.insert(port.to_owned(), frames);
    }

    /// One more frame of a port was dropped for this reason.
    #[track_caller]
    pub(crate) fn dropped(&mut self, port: &str, reason: DropReason) {
        self.ask(port, reason);
        let asked = self.asked[&(port.to_owned(), drop::name(reason))];
        let found = self.source(port).drops().packets(reason);
        assert_eq!(found, asked, "{port}, {}; drops: {:?}", drop::name(reason), self.drops());
    }

    /// One more frame of a port is to be found dropped for this reason in the end.
    pub(crate) fn ask(&mut self, port: &str, reason: DropReason) {
        *self.asked.entry((port.to_owned(), drop::name(reason))).or_default() += 1;
    }

    /// Asks for every drop since the last look, and says which there were: port, reason, frames.
    pub(crate) fn ask_all(&mut self) -> Vec<(String, &'static str, u64)> {
        let mut new = Vec::new();
        for ((port, name), count) in self.drops() {
            let asked = self.asked.entry((port.clone(), name)).or_default();
            if *asked != count {
                new.push((port, name, count - *asked));
                *asked = count;
            }
        }
        new
    }

    /// Sends a frame that must be dropped.
    #[track_caller]
    pub(crate) fn refuses(&mut self, port: &str, frame: impl AsRef<[u8]>, reason: DropReason) {
        self.send(port, frame);
        self.dropped(port, reason);
    }

    /// Sends a frame that must come out of one place only.
    #[track_caller]
    pub(crate) fn passes(&mut self, from: &str, frame: impl AsRef<[u8]>, to: &str, as_this: impl AsRef<[u8]>) {
        self.send(from, frame);
        self.expect(to, as_this);
        self.nothing_else();
    }

    /// Nothing came out, and nothing was dropped, that was not asked for.
    #[track_caller]
    pub(crate) fn nothing_else(&mut self) {
        let first = self.names[0].clone();
        let frames = self.received(&first);
        self.out.insert(first, frames);
        let left: Vec<_> = self.out.iter().filter(|(_, frames)| !frames.is_empty()).collect();
        assert!(left.is_empty(), "came out too: {left:02x?}");
        assert_eq!(self.drops(), self.asked);
    }

    /// Frames dropped so far, by port and reason.
    pub(crate) fn drops(&self) -> BTreeMap<(String, &'static str), u64> {
        let mut drops = BTreeMap::new();
        for (name, source) in self.names.iter().zip(self.poller.sources()) {
            for reason in DropReason::all() {
                let packets = source.drops().packets(reason);
                if packets > 0 {
                    drops.insert((name.clone(), drop::name(reason)), packets);
                }
            }
        }
        drops
    }

    /// Bytes of a port's frames that were dropped for a reason.
    pub(crate) fn dropped_bytes(&self, port: &str, reason: DropReason) -> u64 {
        self.source(port).drops().bytes(reason)
    }

    /// Frames that a port did not take.
    pub(crate) fn not_sent(&self, port: &str, reason: DropReason) -> u64 {
        self.poller.outlets()[self.port(port)].drops().packets(reason)
    }

    /// Has a network use another uplink, or none.
    pub(crate) fn activate(&mut self, network: &str, uplink: Option<&str>) {
        let number = self.config.networks().find(|(_, n)| n.name.as_str() == network).unwrap().0.index();
        let uplink = uplink.map(|name| self.port(name) - self.config.links.len());
        self.active[number] = uplink.map_or(tables::NO_UPLINK, |uplink| uplink as u16);
        let active = Arc::new(Active(self.active.clone()));
        self.poller.call(move |poll| poll.stage_mut().set_active(active)).unwrap();
    }

    /// Has it forget what it decided before: nothing is known of the next frames.
    pub(crate) fn forget(&self) {
        let active = Arc::new(Active(self.active.clone()));
        self.poller.call(move |poll| poll.stage_mut().set_active(active)).unwrap();
    }

    /// Packets that a stage worked on.
    pub(crate) fn packets_of(&self, stage: &str) -> u64 {
        self.poller.stages().iter().filter(|stats| stats.name() == stage).map(|stats| stats.packets()).sum()
    }

    /// All counters of attachments: packets and bytes.
    pub(crate) fn counts(&self) -> Vec<(u64, u64)> {
        let attachments: usize = self.config.adapters().map(|(_, a)| a.attachments.len()).sum();
        let classes = self.config.classes.len() as u8;
        let mut counts = Vec::new();
        for attachment in 0..attachments as u32 {
            counts.push(self.counters.dropped(attachment));
            for class in 0..classes {
                let of = |direction| self.counters.traffic(attachment, class, direction);
                counts.extend([Direction::FromServer, Direction::ToServer].map(of));
            }
        }
        counts
    }

    /// What the data path heard of logins since the last look.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        std::iter::from_fn(|| self.heard.pop()).collect()
    }

    /// Gives attachments further addresses.
    pub(crate) fn log_in(&self, logins: &[(u32, MacAddr)]) {
        let tables = Arc::new(Tables::new(&self.config).with_logins(logins));
        self.poller.call(move |poll| poll.stage_mut().set_tables(tables)).unwrap();
    }

    /// The number of an adapter's attachment to a network.
    pub(crate) fn attachment(&self, adapter: &str, network: &str) -> u32 {
        let all = self.config.adapters().flat_map(|(_, a)| a.attachments.iter().map(move |at| (a, at)));
        let wanted = |(a, at): &(&config::model::Adapter, &config::model::Attachment)| {
            a.name.as_str() == adapter && self.config.network(at.network).name.as_str() == network
        };
        let found = all.enumerate().find(|(_, pair)| wanted(pair));
        found.unwrap_or_else(|| panic!("{adapter} is not in {network}")).0 as u32
    }

    fn class(&self, class: &str) -> u8 {
        self.config.classes().find(|(_, c)| c.name.as_str() == class).unwrap().0.index() as u8
    }

    /// Packets and bytes that an adapter sent in a network, or was sent, in a class.
    pub(crate) fn traffic(&self, adapter: &str, network: &str, class: &str, direction: Direction) -> (u64, u64) {
        self.counters.traffic(self.attachment(adapter, network), self.class(class), direction)
    }

    /// Packets and bytes of an adapter that were dropped.
    pub(crate) fn lost_by(&self, adapter: &str, network: &str) -> (u64, u64) {
        self.counters.dropped(self.attachment(adapter, network))
    }

    /// Packets in all classes and of all attachments, one way.
    pub(crate) fn all_traffic(&self, direction: Direction) -> u64 {
        let attachments: usize = self.config.adapters().map(|(_, a)| a.attachments.len()).sum();
        let classes = 0..self.config.classes.len() as u8;
        let of = |at: u32| classes.clone().map(move |class| (at, class));
        (0..attachments as u32).flat_map(of).map(|(at, class)| self.counters.traffic(at, class, direction).0).sum()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.nothing_else();
        let totals = self.runtime.stop().unwrap();
        assert!(totals.balanced() && totals.pending == 0, "{totals:?}");
        assert_eq!(self.pool.in_use(), 0);
    }
}

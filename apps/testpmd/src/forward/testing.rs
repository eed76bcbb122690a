//! What the tests of the modes share: a mode between two fake ports, and frames to send through it.

use super::{BadChecksums, Built, Config, Mode, PortCounters, Refused, Stream};
use iogate::pipeline::Outlet;
use iogate::pipeline::Totals;
use iogate::port::TxQueue;
use iogate::prelude::*;
use iogate::testkit::{Complete, FakePort, Frame, eal, mac, pool};
use iogate::worker::cores;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The address of the TX port.
pub(super) const OURS: MacAddr = mac(0xaa);
/// The address of who is at its other end.
pub(super) const PEER: MacAddr = mac(0xbb);
/// Number of the worker.
pub(super) const WORKER: u8 = 1;

/// The default.
pub(super) fn config() -> Config {
    Config::default()
}

/// A mode whose packets are given and taken by the test.
pub(super) struct Rig {
    stage: Box<dyn Stage>,
    cx: Context,
    out: FakePort,
    pool: MbufPool,
    bad_checksums: Option<Arc<BadChecksums>>,
    _complete: Complete,
}

/// What a run on a worker gave.
pub(super) struct Run {
    /// What was sent.
    pub(super) frames: Vec<Vec<u8>>,
    pub(super) totals: Totals,
    pub(super) by_port: Option<Arc<PortCounters>>,
}

fn build(mode: Mode, config: &Config, mac: MacAddr, from: &FakePort, tx: TxQueue) -> Result<Built, Refused> {
    let rx = Some(from.port.rx(0).expect("it is free"));
    let peer = config.peers.values().next().copied().unwrap_or(PEER);
    let stream = Stream {
        from: from.port.id(),
        rx,
        fed: false,
        tx: Some(Outlet::new(tx)),
        mac,
        peer,
        pool: from.pool().clone(),
        worker: WORKER,
        watch: None,
    };
    mode.build(config, stream)
}

impl Rig {
    pub(super) fn new(mode: Mode, config: &Config) -> Rig {
        Self::try_new(mode, config).unwrap_or_else(|refused| panic!("{mode}: {refused}"))
    }

    pub(super) fn try_new(mode: Mode, config: &Config) -> Result<Rig, Refused> {
        Self::make(mode, config, OURS, 1024)
    }

    /// With a pool that is soon dry.
    pub(super) fn with_buffers(mode: Mode, config: &Config, buffers: u32) -> Rig {
        Self::make(mode, config, OURS, buffers).unwrap_or_else(|refused| panic!("{mode}: {refused}"))
    }

    /// Behind a port with another address.
    pub(super) fn with_address(mode: Mode, config: &Config, mac: MacAddr) -> Rig {
        Self::make(mode, config, mac, 1024).unwrap_or_else(|refused| panic!("{mode}: {refused}"))
    }

    fn make(mode: Mode, config: &Config, mac: MacAddr, buffers: u32) -> Result<Rig, Refused> {
        let pool = pool(mode.name(), buffers);
        let complete = Complete::new(&pool);
        let out = FakePort::with_pool(mode.name(), &pool);
        let Built { stage, bad_checksums, .. } = build(mode, config, mac, &out, out.port.tx(0).expect("it is free"))?;
        Ok(Rig { stage, cx: Context::new(1), out, pool, bad_checksums, _complete: complete })
    }

    /// Sends one frame through.
    pub(super) fn pass(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let mut sent = self.pass_all(&[frame]);
        assert!(sent.len() <= 1);
        sent.pop()
    }

    /// Sends frames through, in batches.
    pub(super) fn pass_all<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        let mut batch = Batch::new();
        for burst in frames.chunks(BURST) {
            for frame in burst {
                let packet = self.pool.alloc_from(frame.as_ref()).expect("a buffer");
                batch.push(packet, ()).expect("it was empty");
            }
            self.run(&mut batch, &mut sent);
        }
        if frames.is_empty() {
            self.run(&mut batch, &mut sent);
        }
        sent
    }

    /// Sends a frame through in several segments.
    pub(super) fn pass_in_segments(&mut self, frame: &[u8], cuts: &[usize]) -> Option<Vec<u8>> {
        let ends = cuts.iter().copied().chain([frame.len()]);
        let mut start = 0;
        let mut pieces = ends.map(|end| {
            let piece = &frame[std::mem::replace(&mut start, end)..end];
            self.pool.alloc_from(piece).expect("a buffer")
        });
        let mut packet = pieces.next().expect("there is one piece at least");
        pieces.for_each(|piece| packet.chain(piece).expect("few enough"));
        let (mut sent, mut batch) = (Vec::new(), Batch::new());
        batch.push(packet, ()).expect("it is empty");
        self.run(&mut batch, &mut sent);
        sent.pop()
    }

    fn run(&mut self, batch: &mut Batch, sent: &mut Vec<Vec<u8>>) {
        if !batch.is_empty() {
            self.stage.run(batch, &mut self.cx);
            assert!(batch.is_empty(), "packets came out of the end");
        }
        self.stage.flush(&mut self.cx);
        sent.append(&mut self.out.received());
    }

    /// What one round makes.
    pub(super) fn round(&mut self) -> Vec<Vec<u8>> {
        let mut batch = Batch::new();
        self.stage.generate(&mut batch, &mut self.cx);
        assert!(batch.is_empty(), "packets came out of the end");
        self.out.received()
    }

    /// What rounds make until there are so many.
    pub(super) fn make_frames(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while frames.len() < count {
            let before = frames.len();
            frames.append(&mut self.round());
            assert!(frames.len() > before, "nothing was made");
        }
        frames
    }

    /// What is still sent when a worker ends.
    pub(super) fn finish(&mut self) -> Vec<Vec<u8>> {
        self.stage.finish();
        self.out.received()
    }

    /// Wrong checksums so far: IP, transport, outer IP, outer transport.
    pub(super) fn bad_checksums(&self) -> [u64; 4] {
        let bad = self.bad_checksums.as_ref().expect("this mode counts them");
        [bad.ip(), bad.transport(), bad.outer_ip(), bad.outer_transport()]
    }

    /// Runs a mode on a worker until it has received `frames` and made or sent `at_least` so many.
    pub(super) fn run_until(mode: Mode, config: &Config, frames: &[Vec<u8>], at_least: usize) -> Run {
        let pool = pool(mode.name(), 4096);
        let _complete = Complete::new(&pool);
        let (mut from, mut to) = (FakePort::with_pool("from", &pool), FakePort::with_pool("to", &pool));
        let built = build(mode, config, OURS, &from, to.port.tx(0).expect("it is free"));
        let Built { queues, stage, by_port, .. } = built.unwrap_or_else(|refused| panic!("{mode}: {refused}"));
        from.inject_many(frames);
        let mut runtime = Runtime::new(eal());
        let worker = runtime.worker(cores()[0]).expect("there is a core");
        worker.poll(queues, stage);
        runtime.start().expect("it starts");
        let end = Instant::now() + Duration::from_secs(10);
        let wanted = if mode.receives() { frames.len() as u64 } else { 0 };
        let mut sent = Vec::new();
        while (runtime.totals().received < wanted || sent.len() < at_least) && Instant::now() < end {
            sent.append(&mut to.received());
            std::thread::sleep(Duration::from_micros(200));
        }
        let totals = runtime.stop().expect("it stops");
        sent.append(&mut to.received());
        Run { frames: sent, totals, by_port }
    }
}

/// What a mode makes of frames.
pub(super) fn forward(mode: Mode, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let run = Rig::run_until(mode, &config(), frames, frames.len());
    assert!(run.totals.balanced(), "{:?}", run.totals);
    run.frames
}

/// Frames of many kinds, also short ones and ones that lie.
pub(super) fn samples() -> Vec<Vec<u8>> {
    let ethernet = || Frame::ethernet(mac(1), mac(2));
    let v4 = || ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
    let v6 = || ethernet().ipv6([0xfd; 16], [0xfe; 16]);
    let mut frames = vec![
        ethernet().payload([1; 46]).build(),
        ethernet().arp_request([10, 0, 0, 1], [10, 0, 0, 2]).padded().build(),
        ethernet().vlan(5).arp_request([10, 0, 0, 1], [10, 0, 0, 2]).padded().build(),
        v4().icmp_echo(1, 2).payload([3; 56]).build(),
        v4().udp(1000, 2000).payload(b"payload").build(),
        v4().tcp(1000, 2000).payload(vec![9; 1400]).build(),
        v6().udp(1000, 2000).payload(b"payload").build(),
        v6().tcp(1000, 2000).build(),
        ethernet().vlan(7).ipv4([1; 4], [2; 4]).udp(1, 2).payload([0; 18]).build(),
        ethernet().qinq(7, 8).ipv6([1; 16], [2; 16]).tcp(1, 2).payload([0; 3]).build(),
    ];
    frames.extend(super::tunnel::tests::tunnels());
    let whole = frames[4].clone();
    frames.extend([0, 1, 13, 14, 20, 33, 34, 37, 41].map(|len| whole[..len].to_vec()));
    let mut lying = whole.clone();
    lying[16..18].copy_from_slice(&[0xff, 0xff]);
    frames.push(lying.clone());
    lying[14] = 0x4f;
    frames.push(lying);
    frames
}

/// Any bytes; half of them are a frame that was bent and cut.
pub(super) fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    let bends = prop::collection::vec((0..80_usize, any::<u8>()), 0..5);
    let bent = (prop::sample::select(samples()), bends, 0..120_usize).prop_map(|(mut frame, bends, cut)| {
        for (at, value) in bends {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        frame.truncate(frame.len() - cut.saturating_sub(80).min(frame.len()));
        frame
    });
    prop_oneof![bytes, bent]
}

/// Tries a property on many frames.
pub(super) fn for_any_frame(check: impl FnMut(Vec<u8>) -> Result<(), TestCaseError>) {
    let check = RefCell::new(check);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) };
    let outcome = TestRunner::new(config).run(&any_frame(), |frame| check.borrow_mut()(frame));
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

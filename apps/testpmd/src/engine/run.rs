//! Starting and stopping.

use super::observe::{Observed, Observer, Wanted};
use super::report::{self, Counts, PortCounts, StageCounts, StreamCounts};
use super::stream::Surrounded;
use super::topology::{Link, Plan};
use crate::app::App;
use crate::forward::{BadChecksums, Built, Config, Mode, Stream, Watch};
use crate::screen::{complain, say};
use crate::soft::{Moved, QueueCounters, Rx};
use anyhow::{Context as _, Result, anyhow};
use iogate::pipeline::{Description, Outlet};
use iogate::port::{MbufRing, RxQueue};
use iogate::prelude::*;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// One stream while it runs.
struct Flow {
    link: Link,
    poller: Poller<(), Surrounded>,
    bad: Option<Arc<BadChecksums>>,
    /// Sent before it started: `start tx_first`.
    first: u64,
    /// What software moved on its RX queue, and had when it started.
    soft: Option<(Arc<QueueCounters>, Moved)>,
    observed: Observed,
}

/// Forwarding.
pub(crate) struct Running {
    runtime: Runtime,
    flows: Vec<Flow>,
    /// The ports that forward.
    pub(crate) ports: Vec<u16>,
    pub(crate) mode: Mode,
    base: Counts,
    /// Counted before a pause.
    before: Counts,
}

/// Starts forwarding as planned, with `first` bursts sent before.
pub(crate) fn start(app: &App, plan: &Plan, first: Option<u64>) -> Result<Running> {
    let vlans = app.ports.iter().map(|port| (port.device.id(), port.tx_vlans.clone())).collect();
    let config = Config { vlans, ..app.settings.mode_config() };
    let mut relays = Relays::default();
    let before = port_counts(app, app.settings.forwarding());
    let mut runtime = Runtime::new(&app.eal);
    runtime.share_cores(true);
    let mut flows = Vec::new();
    for (number, (lcore, links)) in plan.cores.iter().enumerate() {
        let worker = runtime.worker(lcore.core)?;
        worker.idle(if app.options.sleep { Idle::SOFTWARE } else { Idle::Spin });
        worker.burst(usize::from(app.settings.burst.max(1))).bursts_in_a_row(BURSTS_IN_A_ROW);
        for link in links {
            let (built, sent) = prepare(app, &config, link, number as u8, first, &mut relays)?;
            let place = (link.rx_port, link.rx_queue);
            let observed = app.paused.iter().flat_map(|paused| &paused.observed).find(|seen| seen.link == *link);
            let observed = observed.cloned().unwrap_or_else(|| Observed::new(*link));
            let mut stage =
                Surrounded::new(built.stage, app.settings.mode.makes() || built.holds, app.verbose.clone(), place);
            let mut description = Description::default();
            stage.describe(&mut description);
            stage.observe(Observer::new(
                app.settings.wanted,
                &observed,
                description.outlets,
                app.settings.mode.receives(),
            ));
            if app.settings.mode.receives() {
                stage.soften(soft_rx(app, link));
            }
            let counters = app.ports.get(link.rx_port).and_then(|port| port.device.queue_counters(link.rx_queue));
            let soft = counters.map(|counters| (counters.clone(), counters.moved()));
            let poller = worker.poll(built.queues, stage);
            flows.push(Flow { link: *link, poller, bad: built.bad_checksums, first: sent, soft, observed });
        }
    }
    runtime.start()?;
    let base = Counts { ports: before, ..Counts::default() };
    Ok(Running {
        runtime,
        flows,
        ports: app.settings.forwarding().to_vec(),
        mode: app.settings.mode,
        base,
        before: Counts::default(),
    })
}

/// What software does to packets of a stream before its mode; see [`crate::soft`].
fn soft_rx(app: &App, link: &Link) -> Option<Box<Rx>> {
    let halted = app.ports.get(link.tx_port).is_some_and(|port| port.stopped_tx.contains(&link.tx_queue));
    app.ports.get(link.rx_port)?.device.rx(link.rx_queue, halted && app.settings.mode.sends())
}

/// Rings of ports that have fewer TX queues than there are streams to them: one for each queue of the device.
#[derive(Default)]
struct Relays(BTreeMap<(u16, u16), MbufRing>);

/// Full bursts of a queue before the next one has its turn: most modes do next to nothing with a packet, so that what is
/// done once a round counts.
const BURSTS_IN_A_ROW: usize = 4;

/// Packets that may wait in one for the stream that sends them.
const RELAYED: u32 = 1024;

impl Relays {
    /// The way out by a TX queue: the device's own, or through a ring to the stream that has one.
    fn outlet(&mut self, port: &Port, queue: u16, wanted: u16) -> Result<Outlet> {
        let there = port.tx_queues();
        if wanted <= there {
            return Ok(Outlet::new(port.tx(queue)?));
        }
        let own = queue % there;
        let ring = match self.0.entry((port.id(), own)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(MbufRing::new(port, RELAYED)?),
        };
        let ring = ring.clone();
        Ok(if queue == own { Outlet::shared(port.tx(queue)?, ring) } else { Outlet::through(ring) })
    }
}

fn prepare(
    app: &App,
    config: &Config,
    link: &Link,
    worker: u8,
    first: Option<u64>,
    relays: &mut Relays,
) -> Result<(Built, u64)> {
    let port = |id: u16| {
        let port = app.ports.get(id).and_then(|state| Some((&state.device, state.port.as_ref()?)));
        port.with_context(|| format!("port {id} is not started"))
    };
    let mode = app.settings.mode;
    let mut stream = |config: &Config, rx: bool, tx: bool| -> Result<Stream> {
        let ((from_device, from), (to_device, to)) = (port(link.rx_port)?, port(link.tx_port)?);
        let fed = !from_device.polls(link.rx_queue);
        let rx = if rx && !fed { Some(from.rx(link.rx_queue)?) } else { None };
        let wanted = app.ports.get(link.tx_port).map_or(1, |port| port.config.tx_queues);
        let tx = if tx { Some(relays.outlet(to, link.tx_queue, wanted)?) } else { None };
        let (pool, verbose, place) = (app.pool.clone(), app.verbose.clone(), (link.tx_port, link.tx_queue));
        let watch = Watch::new(verbose.tells_sent(), move |batch| verbose.sent(place, batch));
        let (mac, peer) = (to_device.mac(), config.peer(link.tx_port));
        Ok(Stream { from: link.rx_port, rx, fed, tx, mac, peer, pool, worker, watch: Some(watch) })
    };
    let mut sent = 0;
    if let Some(bursts) = first.filter(|_| mode.sends()) {
        let config = Config { bursts: Some(bursts), retry: None, ..config.clone() };
        let built =
            Mode::TxOnly.build(&config, stream(&config, false, true)?).map_err(|refused| anyhow!("{refused}"))?;
        sent = send_first(built, bursts);
    }
    let mut stream = stream(config, mode.receives(), mode.sends())?;
    let from = app.ports.get(link.rx_port);
    if app.settings.flush_rx {
        stream.rx.iter_mut().for_each(throw_away);
        from.iter().for_each(|port| port.device.flush(link.rx_queue));
    }
    let mut built =
        mode.build(config, stream).map_err(|refused| anyhow!("{mode} packet forwarding mode: {refused}"))?;
    // Software throws away what comes for a queue that does not run; a device does so itself.
    let stopped = from.is_some_and(|port| !port.device.is_soft() && port.stopped_rx.contains(&link.rx_queue));
    if stopped {
        built.queues.clear();
    }
    Ok((built, sent))
}

/// Packets that wait for nobody, as many as a queue may hold. Endless sources have no end.
fn throw_away(queue: &mut RxQueue) {
    for _ in 0..256 {
        let mut batch: Batch = Batch::new();
        if queue.receive(&mut batch) == 0 {
            return;
        }
    }
}

/// Makes bursts; returns how many packets went out.
fn send_first(mut built: Built, bursts: u64) -> u64 {
    let mut description = Description::default();
    built.stage.describe(&mut description);
    let mut cx = Context::new(1);
    let mut batch = Batch::new();
    for _ in 0..bursts {
        built.stage.generate(&mut batch, &mut cx);
        built.stage.flush(&mut cx);
    }
    built.stage.finish();
    description.outlets.iter().map(|outlet| outlet.sent()).sum()
}

/// Stops forwarding and shows what happened.
pub(crate) fn stop(app: &mut App) {
    let Some(mut running) = app.running.take() else {
        return complain!("Packet forwarding not started");
    };
    say!("Telling cores to stop...");
    if let Err(error) = running.runtime.stop() {
        complain!("{error}");
    }
    say!("Waiting for lcores to finish...");
    let counts = running.counts(app);
    app.verbose.show();
    report::show(&counts, app.settings.wanted);
    say!("\nDone.");
    app.finished = Some(counts);
}

impl Running {
    /// What has been forwarded since it was started or cleared.
    pub(crate) fn counts(&self, app: &App) -> Counts {
        let base = |link: &Link| self.base.streams.iter().find(|base| base.link == *link).copied().unwrap_or_default();
        let mut counts = Counts {
            csum: self.mode == Mode::Csum,
            mode: self.mode.name(),
            makes: self.mode.makes(),
            observed: self.observed(),
            ..Counts::default()
        };
        for flow in &self.flows {
            let before = self.before.streams.iter().find(|before| before.link == flow.link).copied();
            counts.streams.push(flow.counts().since(&base(&flow.link)).plus(&before.unwrap_or_default()));
        }
        let mut all = port_counts(app, &self.ports);
        for (id, port) in &mut all {
            *port = port.since(&self.base.ports.get(id).copied().unwrap_or_default());
            port.add(self.before.ports.get(id));
            for stream in counts.streams.iter().filter(|stream| stream.link.tx_port == *id) {
                port.tx_dropped += stream.dropped;
            }
            for stream in counts.streams.iter().filter(|stream| stream.link.rx_port == *id) {
                port.bad = port.bad.plus(stream.bad);
            }
        }
        counts.ports = all;
        counts
    }

    /// Takes the workers down; returns what they counted.
    pub(crate) fn pause(mut self, app: &App) -> Counts {
        if let Err(error) = self.runtime.stop() {
            complain!("{error}");
        }
        self.counts(app)
    }

    /// Counts on from what was counted before.
    pub(crate) fn go_on_from(&mut self, before: &Counts) {
        self.before = before.clone();
    }

    /// Counts from now on.
    pub(crate) fn clear(&mut self, app: &App) {
        self.base.ports = port_counts(app, &self.ports);
        self.base.streams = self.flows.iter().map(Flow::counts).collect();
        self.before = Counts::default();
        for flow in &mut self.flows {
            let latency = flow.observed.latency.clone();
            flow.observed = Observed { latency, ..Observed::new(flow.link) };
        }
        self.observe(app.settings.wanted);
    }

    /// What its stages have done, in the order that packets pass them.
    pub(crate) fn stages(&self) -> Vec<StageCounts> {
        let mut all: Vec<StageCounts> = Vec::new();
        for stage in self.flows.iter().flat_map(|flow| flow.poller.stages()) {
            let at = all.iter().position(|known| known.name == stage.name()).unwrap_or_else(|| {
                all.push(StageCounts { name: stage.name().to_owned(), ..StageCounts::default() });
                all.len() - 1
            });
            let sum = &mut all[at];
            // Each stream weighs as many packets as it had.
            let weighed = |packets: u64, cycles: Option<f64>| cycles.map_or(0.0, |cycles| cycles * packets as f64);
            let cycles = weighed(sum.packets, sum.cycles) + weighed(stage.packets(), stage.cycles_per_packet());
            sum.calls += stage.calls();
            sum.packets += stage.packets();
            sum.cycles = (sum.packets > 0).then(|| cycles / sum.packets as f64);
        }
        all
    }

    /// What is measured on its streams.
    pub(crate) fn observed(&self) -> Vec<Observed> {
        self.flows.iter().map(|flow| flow.observed.clone()).collect()
    }

    /// Measures these from now on, and nothing else.
    pub(crate) fn observe(&self, wanted: Wanted) {
        for flow in &self.flows {
            let observer = Observer::new(wanted, &flow.observed, flow.poller.outlets(), self.mode.receives());
            // A worker that has ended has nothing to measure.
            drop(flow.poller.call(move |poll| poll.stage_mut().observe(observer)));
        }
    }

    /// Measures the latency of what comes in on a port from now on.
    pub(crate) fn clear_latency(&mut self, port: u16, wanted: Wanted) {
        for flow in self.flows.iter_mut().filter(|flow| flow.link.rx_port == port) {
            flow.observed.latency = Arc::default();
        }
        self.observe(wanted);
    }

    /// Tells workers what software is to do to packets of a port from now on.
    pub(crate) fn soften(&self, app: &App, port: u16) {
        for flow in self.flows.iter().filter(|flow| flow.link.rx_port == port && self.mode.receives()) {
            let soft = soft_rx(app, &flow.link);
            // A worker that has ended does nothing any more.
            drop(flow.poller.call(move |poll| poll.stage_mut().soften(soft)));
        }
    }

    /// Whether a worker has ended by itself.
    pub(crate) fn failed(&self) -> bool {
        self.runtime.failed()
    }
}

impl Flow {
    fn counts(&self) -> StreamCounts {
        let totals = self.poller.totals();
        let bad = self.bad.as_ref().map(|bad| report::Bad {
            ip: bad.ip(),
            transport: bad.transport(),
            outer_ip: bad.outer_ip(),
            outer_transport: bad.outer_transport(),
        });
        let soft = self.soft.as_ref().map(|(counters, before)| counters.moved().since(*before)).unwrap_or_default();
        StreamCounts {
            link: self.link,
            received: (totals.received + soft.taken).saturating_sub(soft.lost + soft.given),
            sent: totals.sent.saturating_sub(totals.relayed) + self.first,
            dropped: totals.dropped.saturating_sub(soft.lost),
            bad: bad.unwrap_or_default(),
        }
    }
}

/// The counters of ports.
fn port_counts(app: &App, ports: &[u16]) -> BTreeMap<u16, PortCounts> {
    let of = |id: &u16| {
        let stats = app.ports.get(*id)?.device.stats().ok()?;
        Some((*id, PortCounts { stats, ..PortCounts::default() }))
    };
    ports.iter().filter_map(of).collect()
}

//! From the checked model to a running gateway: EAL, ports, outlets, workers.

mod logins;
mod placement;
mod ports;
mod receive;
mod uplinks;
mod watchdog;

use logins::Logins;
pub use placement::show as show_placement;
use ports::LastStats;
pub use receive::{Receives, Reception};
pub use uplinks::UplinkChoice;

use crate::config::Config;
use crate::config::model::{Core, Idle as IdleConfig, PortRef, Worker};
use crate::dataplane::fip::Heard;
use crate::dataplane::frame::Meta;
use crate::dataplane::tables::NO_UPLINK;
use crate::dataplane::{Active, Counters, Ingress, Switch, Tables};
use anyhow::{Context as _, Result, bail};
use crossbeam_queue::ArrayQueue;
use iogate::eal::{Eal, HugePages};
use iogate::memory::MbufPool;
use iogate::packet::MacAddr;
use iogate::pipeline::Totals;
use iogate::port::{Port, PortStats};
use iogate::sriov::Host;
use iogate::worker::{Idle, Poller, Runtime, Topology, WorkerStats, cores};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use watchdog::Watch;

/// A worker, as the control side sees it.
pub struct RunningWorker {
    /// Where it runs.
    pub core: usize,
    /// What it does when nothing arrives.
    pub idle: Idle,
    /// The queues it polls, as `port:queue`.
    pub queues: Vec<String>,
    /// The port of each, in the order of [`Poller::sources`].
    pub ingress: Vec<Ingress>,
    /// Its loop's counters.
    pub stats: Arc<WorkerStats>,
    /// Its pipeline.
    pub poller: Poller<Meta, Switch>,
    /// What its data path counts.
    pub counters: Arc<Counters>,
    heard: Arc<ArrayQueue<Heard>>,
}

/// What the control side reads of a running gateway.
pub struct State {
    /// What it was told to be.
    pub config: Config,
    /// When it started.
    pub started: Instant,
    /// Links, then uplinks.
    pub ports: Vec<Port>,
    /// What each was told to receive.
    pub receptions: Vec<Reception>,
    /// How often each was restarted.
    pub restarts: Vec<AtomicU64>,
    /// What the data path looks things up in.
    pub tables: Arc<Tables>,
    /// Its workers.
    pub workers: Vec<RunningWorker>,
    /// The packet buffers.
    pub pool: MbufPool,
    /// Set when somebody asked it to stop.
    pub stop: AtomicBool,
    active: Mutex<Arc<Active>>,
    logins: Mutex<Vec<(u32, MacAddr)>>,
    last_stats: Vec<LastStats>,
}

impl State {
    /// By network, the uplink in use.
    pub fn active(&self) -> Arc<Active> {
        lock(&self.active).clone()
    }

    /// Addresses that attachments have by FIP, besides their own.
    pub fn logins(&self) -> Vec<(u32, MacAddr)> {
        lock(&self.logins).clone()
    }

    /// The counters of a port, by position; while it is restarted, those before.
    pub fn stats(&self, at: usize) -> PortStats {
        self.last_stats[at].or_last(self.ports[at].stats())
    }

    /// Where the packets of all workers went so far.
    pub fn totals(&self) -> Totals {
        self.workers.iter().fold(Totals::default(), |sum, worker| sum.plus(worker.poller.totals()))
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running gateway.
pub struct Gateway {
    state: Arc<State>,
    runtime: Runtime,
    choice: UplinkChoice,
    logins: Logins,
    watch: Option<Watch>,
    pool: MbufPool,
}

/// How often the uplinks' links are looked at, and so how long one that fails goes unnoticed.
const LINK_INTERVAL: Duration = Duration::from_millis(10);

impl Gateway {
    /// Opens the ports and starts the workers.
    pub fn start(mut config: Config) -> Result<Gateway> {
        config.workers = placement::place(&config, &Host::local(), &Topology::local());
        let placed = place(&config.workers)?;
        let eal = start_eal(&config)?;
        let mbuf = config.gateway.mbuf;
        let pool = eal
            .pool("gateway")
            .buffers(mbuf.count)
            .data_room(mbuf.size)
            .cache(mbuf.per_core_cache)
            .create()
            .context("mbuf of [gateway]")?;
        let (ports, receptions): (Vec<_>, Vec<_>) = ports::open(&config, &eal, &pool)?.into_iter().unzip();
        ports::enough_buffers(&ports, mbuf.count)?;
        let tables = Arc::new(Tables::new(&config));
        let mut choice = UplinkChoice::new(&config);
        choice.update(Instant::now(), &uplinks_up(&config, &ports));
        let active = Arc::new(choice.active(&config));
        for (id, network) in config.networks().filter(|(id, _)| active.0[id.index()] == NO_UPLINK) {
            let members: Vec<_> = config.uplinks_of(id).iter().map(|id| config.uplink(*id).name.as_str()).collect();
            tracing::warn!("network \"{}\": no uplink is up: {}", network.name, members.join(", "));
        }

        let mut runtime = Runtime::new(&eal);
        runtime.share_cores(config.gateway.share_cores);
        let mut outlets = ports::outlets(&config, &ports)?.into_iter();
        let mut workers = Vec::new();
        for (model, core) in config.workers.iter().zip(placed) {
            let ingress: Vec<Ingress> = model.queues.iter().map(|queue| ingress(queue.port)).collect();
            let outlets = outlets.next().unwrap_or_default();
            let switch = Switch::new(tables.clone(), active.clone(), ingress.clone(), outlets);
            let (counters, heard) = (switch.counters().clone(), switch.heard().clone());
            let queues = model
                .queues
                .iter()
                .map(|queue| ports::rx(&config, &ports[ports::index(&config, queue.port)], queue.queue));
            let queues = queues.collect::<iogate::Result<Vec<_>>>()?;
            let idle = idle(model.idle);
            let worker = runtime.worker(core)?.idle(idle).burst(usize::from(model.burst));
            let poller = worker.poll(queues, switch);
            let name = |queue: &crate::config::model::QueueRef| {
                format!("{}:{}", ports::name(&config, queue.port), queue.queue)
            };
            workers.push(RunningWorker {
                core,
                idle,
                queues: model.queues.iter().map(name).collect(),
                ingress,
                stats: worker.stats().clone(),
                poller,
                counters,
                heard,
            });
        }
        runtime.start()?;
        let state = State {
            started: Instant::now(),
            restarts: ports.iter().map(|_| AtomicU64::new(0)).collect(),
            last_stats: ports.iter().map(|_| LastStats::default()).collect(),
            ports,
            receptions,
            tables,
            workers,
            pool: pool.clone(),
            stop: AtomicBool::new(false),
            active: Mutex::new(active),
            logins: Mutex::default(),
            config,
        };
        let state = Arc::new(state);
        let watch = Watch::start(&state)?;
        Ok(Gateway { state, runtime, choice, logins: Logins::default(), watch, pool })
    }

    /// What the control side reads.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Watches the uplinks and logins until `asked` is set, somebody asks for a stop, or a worker fails.
    pub fn run_until(&mut self, asked: &AtomicBool) -> Result<()> {
        while !asked.load(Ordering::Relaxed) && !self.state.stop.load(Ordering::Relaxed) {
            if self.runtime.failed() {
                // Says why.
                self.runtime.stop()?;
                bail!("a worker ended by itself");
            }
            self.watch_uplinks()?;
            self.watch_logins()?;
            std::thread::sleep(LINK_INTERVAL);
        }
        Ok(())
    }

    fn watch_uplinks(&mut self) -> Result<()> {
        let config = &self.state.config;
        if !self.choice.update(Instant::now(), &uplinks_up(config, &self.state.ports)) {
            return Ok(());
        }
        let active = Arc::new(self.choice.active(config));
        let before = self.state.active();
        if *active == *before {
            return Ok(());
        }
        for worker in &self.state.workers {
            let active = active.clone();
            // The old one comes back here to be freed.
            drop(worker.poller.call(move |poll| poll.stage_mut().set_active(active))?);
        }
        for (id, network) in config.networks() {
            let (old, new) = (before.0[id.index()], active.0[id.index()]);
            if old != new {
                let name = |uplink: u16| config.uplinks.get(usize::from(uplink)).map_or("none", |up| up.name.as_str());
                tracing::warn!("network \"{}\": uplink {} instead of {}", network.name, name(new), name(old));
            }
        }
        *lock(&self.state.active) = active;
        Ok(())
    }

    fn watch_logins(&mut self) -> Result<()> {
        let state = &self.state;
        for heard in state.workers.iter().flat_map(|worker| std::iter::from_fn(|| worker.heard.pop())) {
            self.logins.hear(heard);
        }
        if !self.logins.settle(Instant::now(), &state.tables) {
            return Ok(());
        }
        let logins = self.logins.all();
        let tables = Arc::new(state.tables.with_logins(&logins));
        for worker in &state.workers {
            let tables = tables.clone();
            // The old ones come back here to be freed.
            drop(worker.poller.call(move |poll| poll.stage_mut().set_tables(tables))?);
        }
        let before = std::mem::replace(&mut *lock(&state.logins), logins.clone());
        receive::follow_logins(state, &before, &logins);
        Ok(())
    }

    /// Stops polling, drains and closes. Returns where the packets went and how many buffers are
    /// missing, which is none unless something is wrong.
    pub fn stop(mut self) -> Result<(Totals, u32)> {
        drop(self.watch.take());
        let totals = self.runtime.stop()?;
        let mut state = self.state;
        // A client may be reading at this moment.
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match Arc::try_unwrap(state) {
                Ok(state) => break drop(state),
                Err(shared) if Instant::now() > deadline => {
                    drop(shared);
                    bail!("a client of the control socket still reads, so the ports cannot be closed");
                }
                Err(shared) => state = shared,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok((totals, self.pool.in_use()))
    }
}

fn ingress(port: PortRef) -> Ingress {
    match port {
        PortRef::Link(id) => Ingress::Link(id.index()),
        PortRef::Uplink(id) => Ingress::Uplink(id.index()),
    }
}

fn idle(model: IdleConfig) -> Idle {
    match model {
        IdleConfig::Spin => Idle::Spin,
        IdleConfig::Pause => Idle::Pause,
        IdleConfig::Adaptive(latency) => Idle::Sleep(latency),
        IdleConfig::Interrupt => Idle::Interrupt,
    }
}

/// The core of each worker, before anything is opened.
fn place(workers: &[Worker]) -> Result<Vec<usize>> {
    let there = cores();
    let core = |worker: &Worker| match worker.core {
        Core::First => Ok(there[0]),
        Core::Number(number) if there.contains(&usize::from(number)) => Ok(usize::from(number)),
        Core::Number(number) => {
            let list = there.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            bail!("[[worker]]: core {number} is not there; this process may run on {list}")
        }
    };
    workers.iter().map(core).collect()
}

fn start_eal(config: &Config) -> Result<Eal> {
    let gateway = &config.gateway;
    // Each buffer with its mbuf and the pool's header; rings and device tables besides.
    let buffers_mb = (u64::from(gateway.mbuf.count) * (u64::from(gateway.mbuf.size) + 256)) >> 20;
    let enough = u32::try_from(buffers_mb + 64).unwrap_or(u32::MAX);
    let huge = match gateway.huge_pages {
        crate::config::model::HugePages::Auto => HugePages::Auto,
        crate::config::model::HugePages::Never => HugePages::Never,
    };
    let specs = config.ports().map(|(_, _, spec, _)| spec);
    Ok(Eal::builder().memory_mb(gateway.memory_mb.unwrap_or(enough)).huge_pages(huge).ports(specs).start()?)
}

fn uplinks_up(config: &Config, ports: &[Port]) -> Vec<bool> {
    let up = |port: &Port| port.link().is_ok_and(|link| link.up);
    ports[config.links.len()..].iter().map(up).collect()
}

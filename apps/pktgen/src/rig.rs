//! Ports, buffers and workers for a tester, from what a user says.

use crate::frame::size::FCS;
use crate::trial::Tester;
use anyhow::{Context as _, Result, bail};
use iogate::port::Port;
use iogate::prelude::*;
use std::time::{Duration, Instant};

/// Where frames are sent from and come back to.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// The port that sends.
    pub tx: PortSpec,
    /// The port that receives; nothing when only sending. It may be the same.
    pub rx: Option<PortSpec>,
    /// Senders, each with a TX queue.
    pub senders: u16,
    /// Receivers, each with an RX queue.
    pub receivers: u16,
    /// Cores, one worker each. Senders and then receivers are dealt out to them.
    pub cores: Vec<usize>,
    /// How long to wait until ports have a link.
    pub wait: Duration,
}

/// A tester on its ports and workers, which run until it is dropped.
pub struct Rig {
    // Stopped first, so that ports are closed by this thread.
    _runtime: Runtime,
    tester: Tester,
}

/// Data of a usual buffer, bytes.
const USUAL: usize = 2048;
/// Headroom of a buffer, bytes.
const HEADROOM: usize = 128;
/// What drivers want to have room for beside a frame, bytes: a tag, a virtio header.
const BESIDE: usize = 16;
/// Ethernet header, which MTUs leave out.
const ETHERNET: usize = 14;
/// The MTU that ports come with.
const USUAL_MTU: usize = 1500;

impl Rig {
    /// Opens ports, for frames up to `longest` bytes without FCS, and starts workers. `captures` is how many frames may
    /// wait to be captured.
    ///
    /// # Errors
    /// What could not be opened, and what to do.
    pub fn start(eal: &Eal, wiring: &Wiring, longest: usize, captures: usize) -> Result<Self> {
        let room = (longest + BESIDE).max(USUAL).next_multiple_of(64) + HEADROOM;
        let queues = usize::from(wiring.senders.max(wiring.receivers));
        // Rings in both directions, what workers keep, and what waits to be written.
        let buffers = (queues * 4096 + wiring.cores.len() * 1024 + captures).max(8192);
        let pool = eal.pool("frames").buffers(buffers as u32).data_room(room as u16).create()?;
        let open = |spec: &PortSpec, rx: u16, tx: u16| -> Result<Port> {
            let port = eal.port(spec).pool(&pool).queues(rx, tx);
            if longest <= USUAL_MTU + ETHERNET {
                return Ok(port.start()?);
            }
            port.mtu((longest - ETHERNET) as u16).start().with_context(|| {
                format!("port {spec}: cannot open it for frames of {} bytes; are shorter ones enough?", longest + FCS)
            })
        };
        let mut ports = Vec::new();
        match &wiring.rx {
            Some(rx) if *rx == wiring.tx => ports.push(open(rx, wiring.receivers, wiring.senders)?),
            Some(rx) => {
                ports.push(open(&wiring.tx, 1, wiring.senders)?);
                ports.push(open(rx, wiring.receivers, 1)?);
            }
            None => ports.push(open(&wiring.tx, 1, wiring.senders)?),
        }
        for port in &ports {
            wait_for_link(port, wiring.wait)?;
        }
        let (first, last) = (&ports[0], &ports[ports.len() - 1]);
        let receivers = if wiring.rx.is_some() { wiring.receivers } else { 0 };
        let mut runtime = Runtime::new(eal);
        let mut tester = Tester::default();
        let workers = usize::from(wiring.senders + receivers).min(wiring.cores.len());
        for (number, core) in wiring.cores[..workers].iter().enumerate() {
            let worker = runtime.worker(*core)?.idle(Idle::Pause);
            for job in (number..usize::from(wiring.senders + receivers)).step_by(workers) {
                let job = job as u16;
                match job.checked_sub(wiring.senders) {
                    None => tester.send_from(worker, first.tx(job)?, &pool),
                    Some(queue) => tester.receive_on(worker, [last.rx(queue)?]),
                }
            }
        }
        runtime.start().context("cannot start the workers")?;
        Ok(Rig { _runtime: runtime, tester })
    }

    /// The tester.
    pub fn tester(&self) -> &Tester {
        &self.tester
    }
}

fn wait_for_link(port: &Port, most: Duration) -> Result<()> {
    let end = Instant::now() + most;
    while !port.link()?.up {
        if Instant::now() >= end {
            bail!(
                "port {}: no link after {} s; connect or bring up its other end, or wait longer",
                port.spec(),
                most.as_secs_f64()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

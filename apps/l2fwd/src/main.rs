//! Forwards frames between two ports.
//!
//! ```text
//!            +------------ worker ------------+
//!   port A --| rx --> rewrite addresses --> tx |--> port B
//!   port A <-| tx <-- rewrite addresses <-- rx |--- port B
//!            +--------------------------------+
//! ```
//!
//! One worker polls both ports. What arrives at one goes, a batch at a time, through a stage that
//! may give it new addresses, and out at the other.
#![forbid(unsafe_code)]

use clap::Parser;
use iogate::packet::Ethernet;
use iogate::prelude::*;
use std::io::{self, IsTerminal};

/// Forwards Ethernet frames between two ports
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// A port, such as af_packet:eth0, tap:gw0 or 0000:3b:00.0
    a: PortSpec,
    /// The other port
    b: PortSpec,
    /// Address of the host behind A: frames go to it from A's own address
    #[arg(long, value_name = "MAC")]
    host_a: Option<MacAddr>,
    /// Address of the host behind B: frames go to it from B's own address
    #[arg(long, value_name = "MAC")]
    host_b: Option<MacAddr>,
    /// Core that the worker is pinned to [default: the first there is]
    #[arg(long)]
    core: Option<usize>,
    #[command(flatten)]
    eal: EalArgs,
}

/// Rewrites both addresses of a frame, as a router does. Without a host it leaves them alone.
struct NextHop {
    host: Option<MacAddr>,
    port: MacAddr,
}

impl Stage for NextHop {
    fn run(&mut self, batch: &mut Batch, _cx: &mut Context) {
        let Some(host) = self.host else { return };
        for ethernet in batch.headers_mut::<Ethernet>() {
            ethernet.set_dst(host);
            ethernet.set_src(self.port);
        }
    }
}

/// Sends frames out of `port`, to the host behind it.
fn toward(port: &Port, host: Option<MacAddr>) -> iogate::Result<impl Stage + use<>> {
    let next_hop = NextHop { host, port: port.info().mac };
    Ok(chain(next_hop).send(port.tx(0)?))
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_target(false).with_ansi(colours).with_writer(io::stderr).init();
    let asked_to_stop = signals()?;

    let eal = cli.eal.builder().ports([&cli.a, &cli.b]).start()?;
    let pool = eal.pool("packets").buffers(16_384).create()?;
    let a = eal.port(&cli.a).pool(&pool).start()?;
    let b = eal.port(&cli.b).pool(&pool).start()?;

    let core = cli.core.unwrap_or_else(|| iogate::worker::cores()[0]);
    let mut runtime = Runtime::new(&eal);
    let worker = runtime.worker(core)?;
    let there = worker.poll([a.rx(0)?], toward(&b, cli.host_b)?);
    let back = worker.poll([b.rx(0)?], toward(&a, cli.host_a)?);

    println!("forwarding between {} and {} on core {core} until Ctrl-C", cli.a, cli.b);
    runtime.run_until(&asked_to_stop)?;

    for (from, to, crossed) in [(&cli.a, &cli.b, there.totals()), (&cli.b, &cli.a, back.totals())] {
        println!("{from} -> {to}: {} received, {} sent, {} dropped", crossed.received, crossed.sent, crossed.dropped);
    }
    Ok(())
}

//! Forwarding as it comes: what the framework costs on top of DPDK.

use crate::alone::{self, Job, Sample};
use crate::series::{Comparison, Report, Target, beside_one};
use crate::testpmd::Testpmd;
use crate::{Plan, say};
use anyhow::Result;
use iogate::eal::Eal;
use iogate::pipeline::{Send, chain};
use iogate::port::PortSpec;
use iogate::worker::{Idle, Runtime};

/// On both sides.
const BUFFERS: u32 = 16_384;
const OPTIONS: &str = "size=64,copy=0";

/// Both directions between two null ports, on one core.
pub(crate) fn compare(plan: Plan, report: &mut Report) -> Result<()> {
    let devices = ["net_null0", "net_null1"].map(|device| format!("{device},{OPTIONS}"));
    let Some(first) = Testpmd::start(&devices, BUFFERS, plan)? else {
        report.notes.push("io: not measured: install dpdk-dev".to_owned());
        return Ok(());
    };
    drop(first);
    let ours = || {
        let sample: Sample = alone::spawn(&Job::Io, plan)?;
        Ok(sample.mpps())
    };
    let theirs = || {
        let mut testpmd = Testpmd::start(&devices, BUFFERS, plan)?.expect("it started before");
        let forwarded = testpmd.measure(plan.seconds)?;
        Ok(forwarded.packets as f64 / forwarded.time.as_secs_f64() / 1e6)
    };
    say("io: the framework, then testpmd, Mpps");
    let runs = beside_one(plan.runs, "io", ours, theirs)?;
    let name = "io between two null ports, 64 B";
    report.comparisons.push(Comparison::new(name, "Mpps", "testpmd", [&runs[0], &runs[1]], Some(Target::AtLeast(1.0))));
    Ok(())
}

/// Ours.
pub(crate) fn measure(eal: &Eal, plan: Plan) -> Result<Sample> {
    let pool = eal.pool("bench").buffers(BUFFERS).create()?;
    let spec: PortSpec = format!("null,{OPTIONS}").parse()?;
    let (a, b) = (eal.port(&spec).pool(&pool).start()?, eal.port(&spec).pool(&pool).start()?);
    let mut runtime = Runtime::new(eal);
    let worker = runtime.worker(plan.core)?;
    worker.idle(Idle::Spin);
    for (from, to) in [(&a, &b), (&b, &a)] {
        worker.poll([from.rx(0)?], chain::<(), _>(Send::new(to.tx(0)?)));
    }
    alone::measure(&mut runtime, plan.seconds)
}

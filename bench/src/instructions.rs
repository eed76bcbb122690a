//! How many instructions a packet costs, counted by callgrind: the same on every machine, so that CI can hold to it.
//!
//! Callgrind counts only within [`counted`], which runs a fixed number of batches of the fixed mix through the pipeline;
//! starting, making frames and taking them away again are outside. What could differ between machines is kept out: the
//! program is built for the same x86-64 everywhere, valgrind has no AVX-512, glibc is told to use neither AVX nor ERMS
//! ([`TUNABLES`]), memory is on plain pages, and there is one thread. DPDK's version and the compiler's do matter, so
//! the committed counts are kept by both, and a pair that has none is not judged.

use crate::alone::{Job, arguments_of};
use crate::gateway::first_uplinks;
use crate::mix::{self, From, Sizes};
use crate::series::{Listing, Report};
use crate::testpmd::installed;
use crate::{Plan, say};
use anyhow::{Context as _, Result, bail, ensure};
use iogate::eal::{Eal, dpdk_release};
use iogate::memory::{BURST, Batch, MbufPool};
use iogate::pipeline::{Context, Outlet, Send, Stage, chain};
use iogate::port::RxQueue;
use iogate::worker::{Idle, Runtime, cores};
use iogate_gateway::config;
use iogate_gateway::dataplane::{Ingress, Switch, Tables};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Times that the whole mix is sent through. The first makes all flows known and is not counted, or it alone is.
const ROUNDS: usize = 4;
/// What a count may differ by, of the committed one.
const TOLERANCE: f64 = 0.03;
/// Keeps glibc from choosing its string functions by the machine.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load,-Prefer_No_VZEROUPPER";

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum What {
    /// The gateway, frames from servers.
    GatewayFromServers,
    /// The gateway, frames from the uplinks.
    GatewayFromUplinks,
    /// The gateway, frames from servers, of flows that it does not know yet.
    GatewayFirstSight,
    /// The framework alone: a batch goes on as it came.
    Io,
    /// A worker that forwards between null ports: all of its loop that is ours, without their drivers.
    Worker,
}

impl What {
    const ALL: [(What, &'static str); 5] = [
        (What::GatewayFromServers, "gateway-from-servers"),
        (What::GatewayFromUplinks, "gateway-from-uplinks"),
        (What::GatewayFirstSight, "gateway-first-sight"),
        (What::Io, "io"),
        (What::Worker, "worker"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(what, _)| *what == self).map_or("", |(_, name)| *name)
    }

    /// The function in which is counted, as callgrind names it.
    fn mark(self) -> &'static str {
        if self == What::Worker { "iogate::worker::runtime::poll" } else { "*instructions*counted*" }
    }
}

/// Instructions per packet, by name.
pub(crate) type Counts = BTreeMap<String, f64>;

/// The gateway's stages, functions of these names, and what is left: outlets, ports' drivers, the stages' statistics.
const STAGES: [&str; 4] = ["recall", "classify", "admit", "forward"];
/// What the names of some of these functions end in: a stage may be in two.
const OF_KNOWN: &str = "_known";
const OF_REST: &str = "_rest";
const REST: &str = "outlets and ports";

/// The committed file: counts by "DPDK 22.11, rustc 1.95.0".
type Baseline = BTreeMap<String, Counts>;

/// Counts all, and holds them to the committed counts.
///
/// # Errors
/// When something costs more than it did by more than the tolerance.
pub(crate) fn compare(plan: Plan, renew: bool, report: &mut Report) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    let Some((counts, stages)) = count_all(plan)? else {
        report.notes.push("instructions: not counted: install valgrind (scripts/setup --tests)".to_owned());
        return Ok(());
    };
    report.instructions = counts.clone();
    report.instructions_of_stages = stages.clone();
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut baseline: Baseline =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    let key = format!("DPDK {}.{:02}, rustc {}", dpdk_release().0, dpdk_release().1, rustc());
    let known = baseline.get(&key).cloned();
    let row = |(name, count): (&String, &f64)| {
        let before = known.as_ref().and_then(|known| known.get(name));
        let change = before.map_or("-".to_owned(), |before| format!("{:+.2} %", 100.0 * (count / before - 1.0)));
        vec![
            name.clone(),
            format!("{count:.1}"),
            before.map_or("-".to_owned(), |before| format!("{before:.1}")),
            change,
        ]
    };
    report.tables.push(Listing {
        name: format!("instructions per packet, {key}"),
        head: ["path", "now", "committed", "change"].map(String::from).to_vec(),
        rows: counts.iter().map(row).collect(),
    });
    let parts = || STAGES.into_iter().chain([REST]);
    let row = |(name, stages): (&String, &Counts)| {
        let of = |part| stages.get(part).map_or("-".to_owned(), |count| format!("{count:.1}"));
        [name.clone()].into_iter().chain(parts().map(of)).collect()
    };
    report.tables.push(Listing {
        name: format!("instructions per packet by stage, {key}"),
        head: ["path"].into_iter().chain(parts()).map(String::from).collect(),
        rows: stages.iter().map(row).collect(),
    });
    if renew {
        baseline.insert(key, counts);
        std::fs::write(&path, serde_json::to_string_pretty(&baseline)? + "\n")?;
        say(format_args!("instructions: wrote {}", path.display()));
        return Ok(());
    }
    let Some(known) = known else {
        say(format_args!(
            "instructions: not judged: {} has none for {key}; add --renew to put them there",
            path.display()
        ));
        return Ok(());
    };
    match judge(&known, &counts) {
        Judgement::Same => Ok(()),
        Judgement::Less(names) => {
            say(format_args!(
                "instructions: fewer than committed in {names}: keep it with `iogate-bench instructions --renew`"
            ));
            Ok(())
        }
        Judgement::More(names) => {
            eprint!("{report}");
            bail!(
                "more than {:.0} % more instructions per packet than committed in {names}. Where that is meant: \
                 iogate-bench instructions --renew",
                TOLERANCE * 100.0
            )
        }
    }
}

#[derive(Debug, PartialEq)]
enum Judgement {
    Same,
    Less(String),
    More(String),
}

fn judge(known: &Counts, counts: &Counts) -> Judgement {
    let beyond = |worse: bool| {
        let differs = |(name, count): (&String, &f64)| {
            let change = count / known.get(name)? - 1.0;
            let beyond = if worse { change > TOLERANCE } else { change < -TOLERANCE };
            beyond.then(|| name.clone())
        };
        counts.iter().filter_map(differs).collect::<Vec<_>>().join(", ")
    };
    match (beyond(true), beyond(false)) {
        (more, _) if !more.is_empty() => Judgement::More(more),
        (_, less) if !less.is_empty() => Judgement::Less(less),
        _ => Judgement::Same,
    }
}

/// In all, and of paths with stages of each; nothing without valgrind.
fn count_all(plan: Plan) -> Result<Option<(Counts, BTreeMap<String, Counts>)>> {
    if !installed("valgrind") {
        return Ok(None);
    }
    ensure!(
        !cfg!(debug_assertions),
        "instructions are counted of a release build: cargo run --release -p iogate-bench"
    );
    let folder = tempfile::tempdir()?;
    let (mut counts, mut stages) = (Counts::new(), BTreeMap::new());
    for (what, name) in What::ALL {
        say(format_args!("instructions: {name}"));
        let file = folder.path().join(name);
        let job = Job::Path { what };
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--collect-atstart=no", "--quiet"]);
        command.arg(format!("--toggle-collect={}", what.mark()));
        command.arg(format!("--callgrind-out-file={}", file.display()));
        let program = std::env::current_exe()?;
        command.arg(&program).args(arguments_of(&job, plan));
        let output = command.env("GLIBC_TUNABLES", TUNABLES).stdin(Stdio::null()).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "valgrind failed ({}):\n{errors}", output.status);
        let packets: u64 = serde_json::from_slice(&output.stdout).context("a count printed something else")?;
        let text = std::fs::read_to_string(&file).with_context(|| format!("callgrind wrote nothing:\n{errors}"))?;
        let total = total(&text).filter(|total| *total > 0).context("callgrind counted nothing")?;
        let each = |count: u64| (count as f64 * 100.0 / packets as f64).round() / 100.0;
        let ours = if what == What::Worker { own(&text, &program) } else { total };
        ensure!(ours > 0, "callgrind saw nothing of {}", program.display());
        counts.insert(name.to_owned(), each(ours));
        if !matches!(what, What::Io | What::Worker) {
            let of = STAGES.map(|stage| (stage, inclusive(&text, stage)));
            // Only what is not known goes through those between.
            let is_seen = |at: usize| of[at].1 > 0 || (what != What::GatewayFirstSight && [1, 2].contains(&at));
            ensure!((0..of.len()).all(is_seen), "callgrind saw not every stage: {of:?}");
            let rest = total - of.iter().map(|(_, count)| count).sum::<u64>();
            let parts = of.into_iter().chain([(REST, rest)]);
            stages.insert(name.to_owned(), parts.map(|(part, count)| (part.to_owned(), each(count))).collect());
        }
    }
    Ok(Some((counts, stages)))
}

/// What calls of the gateway's data path's function of a name took, with all that it calls itself.
///
/// Callgrind writes `cfn=(NUMBER) NAME`, the name only the first time, then `calls=...` and a line that ends in the cost.
fn inclusive(text: &str, function: &str) -> u64 {
    let (mut numbers, mut is_called, mut sum) = (BTreeSet::new(), false, 0);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some((kind @ ("fn" | "cfn"), called)) = line.split_once('=') {
            let (number, name) = called.split_once(' ').unwrap_or((called, ""));
            let base = name.strip_suffix(OF_KNOWN).or_else(|| name.strip_suffix(OF_REST)).unwrap_or(name);
            if name.contains("iogate_gateway::dataplane") && base.ends_with(&format!("::{function}")) {
                numbers.insert(number);
            }
            is_called = kind == "cfn" && numbers.contains(number);
        } else if line.starts_with("calls=") {
            let cost = lines.next().and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
            sum += cost.filter(|_| is_called).unwrap_or(0);
        }
    }
    sum
}

/// What was counted in functions of the program itself, not in libraries.
///
/// `ob=(NUMBER) FILE` says what the functions after it are in, the name only the first time; a line that ends in a cost
/// and stands after `calls=...` tells of what was called.
fn own(text: &str, program: &Path) -> u64 {
    let (mut number, mut is_own, mut is_called, mut sum) = (None, false, false, 0);
    for line in text.lines() {
        if let Some(object) = line.strip_prefix("ob=").or_else(|| line.strip_prefix("cob=")) {
            let (this, name) = object.split_once(' ').unwrap_or((object, ""));
            if Path::new(name) == program {
                number = Some(this);
            }
            if line.starts_with("ob=") {
                is_own = number == Some(this);
            }
        } else if line.starts_with("calls=") {
            is_called = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.rsplit(' ').next().and_then(|cost| cost.parse::<u64>().ok());
            sum += cost.filter(|_| is_own && !std::mem::take(&mut is_called)).unwrap_or(0);
            is_called = false;
        }
    }
    sum
}

/// What callgrind counted, from its file.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The compiler that built this.
fn rustc() -> &'static str {
    env!("IOGATE_RUSTC")
}

/// Runs the whole mix through a pipeline, batch by batch, or a worker; returns the number of packets.
pub(crate) fn measure(eal: &Eal, what: What) -> Result<u64> {
    if what == What::Worker {
        return worker(eal);
    }
    let from = if what == What::GatewayFromUplinks { From::Uplinks } else { From::Servers };
    let config = config::parse(&mix::config(1), Path::new("path.toml"))?;
    let folder = tempfile::tempdir()?;
    let captures: Vec<(String, PathBuf)> = mix::captures(folder.path(), 1, from, Sizes::Small)?;
    let pool = eal.pool("path").buffers(2047).create()?;
    let (mut far, mut doors) = (Vec::new(), Vec::new());
    for (_, name, _, _) in config.ports() {
        let (near, end) = eal.port_pair(name.as_str(), 256)?;
        let (near, end) = (near.pool(&pool).start()?, end.pool(&pool).start()?);
        doors.push(near.tx(0)?);
        far.push(end.rx(0)?);
    }
    let (ingress, file) = match from {
        From::Servers => (Ingress::Link(0), &captures[0].1),
        From::Uplinks => (Ingress::Uplink(0), &captures[0].1),
    };
    let frames = iogate::testkit::read_pcap(file)?;
    if what == What::Io {
        return through(&pool, &frames, chain::<(), _>(Send::new(doors.remove(0))), &mut far, 1..ROUNDS);
    }
    let outlets = doors.into_iter().map(Outlet::new).collect();
    let active = Arc::new(first_uplinks(&config)?);
    let switch = Switch::new(Arc::new(Tables::new(&config)), active, vec![ingress], outlets);
    let counted = if what == What::GatewayFirstSight { 0..1 } else { 1..ROUNDS };
    through(&pool, &frames, switch, &mut far, counted)
}

/// A worker that forwards between null ports until it had many bursts: the count is a mean, so it is no matter how many.
fn worker(eal: &Eal) -> Result<u64> {
    const ENOUGH: u64 = 10_000 * BURST as u64;
    let pool = eal.pool("worker").buffers(2047).create()?;
    let spec = "null,size=64".parse()?;
    let [a, b] = [(); 2].map(|()| eal.port(&spec).pool(&pool).start());
    let (a, b) = (a?, b?);
    let core = cores().into_iter().next().context("there is a core")?;
    let mut runtime = Runtime::new(eal);
    runtime.worker(core)?.idle(Idle::Spin).poll([a.rx(0)?], chain::<(), _>(Send::new(b.tx(0)?)));
    runtime.start()?;
    while runtime.totals().received < ENOUGH && !runtime.failed() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let totals = runtime.stop()?;
    ensure!(totals.sent == totals.received, "{} of {} packets were sent", totals.sent, totals.received);
    Ok(totals.received)
}

/// All frames, as often as the last of the counted rounds says; returns how many packets are counted.
fn through<M: Copy + Default, S: Stage<M>>(
    pool: &MbufPool,
    frames: &[Vec<u8>],
    mut stage: S,
    far: &mut [RxQueue],
    counted_rounds: Range<usize>,
) -> Result<u64> {
    let mut cx = Context::new(1);
    let mut packets = 0;
    for round in 0..counted_rounds.end {
        for burst in frames.chunks_exact(32) {
            if counted_rounds.contains(&round) {
                once(pool, burst, &mut stage, &mut cx, far, counted)?;
                packets += burst.len() as u64;
            } else {
                once(pool, burst, &mut stage, &mut cx, far, run)?;
            }
        }
    }
    Ok(packets)
}

/// One batch: made, run, taken away.
fn once<M: Copy + Default, S: Stage<M>>(
    pool: &MbufPool,
    burst: &[Vec<u8>],
    stage: &mut S,
    cx: &mut Context,
    far: &mut [RxQueue],
    run: fn(&mut S, &mut Batch<M>, &mut Context),
) -> Result<()> {
    let mut batch: Batch<M> = Batch::new();
    for frame in burst {
        let packet = pool.alloc_from(frame).context("no buffer")?;
        ensure!(batch.push(packet, M::default()).is_ok(), "a burst is longer than a batch");
    }
    run(stage, &mut batch, cx);
    let mut arrived = 0;
    for queue in far {
        let mut taken: Batch<(), 64> = Batch::new();
        arrived += queue.receive(&mut taken);
    }
    ensure!(arrived == burst.len(), "{arrived} of {} packets came through", burst.len());
    Ok(())
}

/// All that is counted. Its name is callgrind's mark, and calling it from two places must not make it two.
#[inline(never)]
fn counted<M: Copy + Default, S: Stage<M>>(stage: &mut S, batch: &mut Batch<M>, cx: &mut Context) {
    run(stage, batch, cx);
}

/// What is counted.
fn run<M: Copy + Default, S: Stage<M>>(stage: &mut S, batch: &mut Batch<M>, cx: &mut Context) {
    stage.run(batch, cx);
    stage.flush(cx);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(values: [f64; 2]) -> Counts {
        ["a", "b"].map(String::from).into_iter().zip(values).collect()
    }

    #[test]
    fn three_percent_decide() {
        let known = counts([100.0, 200.0]);
        assert_eq!(judge(&known, &counts([102.9, 194.1])), Judgement::Same);
        assert_eq!(judge(&known, &counts([103.1, 150.0])), Judgement::More("a".to_owned()));
        assert_eq!(judge(&known, &counts([96.9, 200.0])), Judgement::Less("a".to_owned()));
        assert_eq!(judge(&known, &[("new".to_owned(), 9.0)].into()), Judgement::Same);
    }

    #[test]
    fn callgrinds_sum_is_read() {
        assert_eq!(total("version: 1\nevents: Ir\nsummary: 1234\n\nfn=(1)\ntotals: 1234\n"), Some(1234));
        assert_eq!(total("version: 1\n"), None);
    }

    #[test]
    fn callgrinds_costs_of_the_program_are_summed() {
        let text = "ob=(1) /bin/program\nfn=(1) a\n10 5\n+1 7\ncob=(2) /lib/driver.so\ncfn=(2) b\ncalls=1 9\n* 100\n\n\
                    ob=(2)\nfn=(2)\n9 100\ncob=(1)\ncfn=(3) c\ncalls=4 2\n* 40\n\nob=(1)\nfn=(3)\n-2 30\n";
        assert_eq!((own(text, Path::new("/bin/program")), own(text, Path::new("/bin/other"))), (42, 0));
    }

    #[test]
    fn callgrinds_calls_of_a_stage_are_summed() {
        let admit = "iogate_gateway::dataplane::admit::<impl iogate_gateway::dataplane::Path>::admit";
        let text = format!(
            "fn=(1) run\n10 5\ncfn=(2) {admit}\ncalls=1 14\n+1 300\ncfn=(3) other::admit\ncalls=1 9\n* 7\n\n\
             fn=(2)\n14 20\ncfn=(3)\ncalls=2 9\n15 280\n\nfn=(4) again\ncfn=(2)\ncalls=3 14\n-3 40\n"
        );
        assert_eq!((inclusive(&text, "admit"), inclusive(&text, "forward")), (340, 0));
    }

    #[test]
    fn the_committed_counts_are_whole() {
        let baseline: Baseline = serde_json::from_str(include_str!("../instructions.json")).unwrap();
        let is_counted = |counts: &Counts, name: &str| counts.get(name).is_some_and(|count| *count > 0.0);
        for (_, name) in What::ALL {
            // A new one is there for the first release before it is for the others.
            assert!(baseline.values().any(|counts| is_counted(counts, name)), "{name}");
        }
        for name in baseline.values().flat_map(Counts::keys) {
            assert!(What::ALL.iter().any(|(_, known)| known == name), "{name} is not counted any more");
        }
    }

    #[test]
    fn every_path_lets_every_packet_through() {
        for (what, _) in What::ALL {
            assert_eq!(measure(iogate::testkit::eal(), what).unwrap() % 32, 0);
        }
    }
}

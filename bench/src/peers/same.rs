//! That the peers do what the gateway does: the one in C sends the same frames to the same places and counts the same; OVS
//! drops none, and sends as many to each place.

use super::c::{Program, Way};
use super::ovs::{self, Ovs};
use crate::gateway::{first_uplinks, ways};
use crate::lookup::Random;
use crate::mix::{self, From, Sizes};
use crate::{Pages, Plan};
use iogate::memory::MbufPool;
use iogate::packet::{EtherType, Ethernet, Header, Vlan};
use iogate::pipeline::{DropReason, Outlet};
use iogate::testkit::{Complete, eal, read_pcap, skip, write_pcap};
use iogate::worker::{Runtime, cores};
use iogate_gateway::config::{self, model::Config};
use iogate_gateway::dataplane::{Direction, Ingress, Switch, Tables, drop as reasons};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a gateway did with the frames of some captures.
#[derive(Debug, PartialEq)]
struct Done {
    /// By port, what was sent there, in order.
    sent: Vec<Vec<Vec<u8>>>,
    drops: BTreeMap<String, u64>,
    traffic: Vec<(u32, u8, u8, u64, u64)>,
}

struct Files {
    /// By port: where its frames come from, and where what is sent to it goes.
    ports: Vec<(Option<PathBuf>, PathBuf)>,
    frames: u64,
}

impl Files {
    fn sent(&self) -> Vec<Vec<Vec<u8>>> {
        self.ports.iter().map(|(_, out)| read_pcap(out).unwrap()).collect()
    }
}

fn files(folder: &Path, config: &Config, captures: &[(String, PathBuf)], who: &str) -> Files {
    let port = |(_, name, _, _): (_, &config::model::Name, _, _)| {
        let rx = captures.iter().find(|(port, _)| port == name.as_str()).map(|(_, file)| file.clone());
        (rx, folder.join(format!("{who}-{}.pcap", name.as_str())))
    };
    let frames = captures.iter().map(|(_, file)| read_pcap(file).unwrap().len() as u64).sum();
    Files { ports: config.ports().map(port).collect(), frames }
}

fn device(rx: Option<&PathBuf>, tx: &Path) -> String {
    let rx = rx.map_or_else(String::new, |file| format!("rx_pcap={},", file.display()));
    format!("{rx}tx_pcap={}", tx.display())
}

fn by_c(program: &Program, config: &Config, files: &Files) -> Done {
    let way = |(number, (rx, tx)): (usize, &(Option<PathBuf>, PathBuf))| {
        let device = format!("net_pcap{number},{}", device(rx.as_ref(), tx));
        Way { rx: rx.is_some().then(|| device.clone()), tx: device }
    };
    let ways: Vec<Way> = files.ports.iter().enumerate().map(way).collect();
    let plan = Plan { runs: 1, seconds: 0.0, core: cores()[0], pages: Pages::Plain };
    let outcome = program.run(config, &ways, 0.0, plan).unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(outcome.packets, files.frames);
    Done { sent: files.sent(), drops: outcome.drops, traffic: outcome.traffic }
}

fn by_gateway(pool: &MbufPool, config: &Config, files: &Files) -> Done {
    let (mut queues, mut ingress, mut outlets) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (rx, tx)) in files.ports.iter().enumerate() {
        let spec = format!("pcap,{}", device(rx.as_ref(), tx)).parse().unwrap();
        let port = eal().port(&spec).pool(pool).start().unwrap();
        outlets.push(Outlet::new(port.tx(0).unwrap()));
        if rx.is_some() {
            queues.push(port.rx(0).unwrap());
            let uplink = number.checked_sub(config.links.len());
            ingress.push(uplink.map_or(Ingress::Link(number), Ingress::Uplink));
        }
    }
    let active = Arc::new(first_uplinks(config).unwrap());
    let tables = Arc::new(Tables::new(config));
    let switch = Switch::new(tables.clone(), active, ingress, outlets);
    let counters = switch.counters().clone();
    let mut runtime = Runtime::new(eal());
    let poller = runtime.worker(cores()[0]).unwrap().poll(queues, switch);
    runtime.start().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while runtime.totals().received < files.frames && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    let totals = runtime.stop().unwrap();
    assert!(totals.received == files.frames && totals.balanced(), "{totals:?}");
    let mut drops = BTreeMap::new();
    for reason in DropReason::all() {
        let count: u64 = poller.sources().iter().map(|source| source.drops().packets(reason)).sum();
        if count > 0 {
            drops.insert(reasons::name(reason).to_owned(), count);
        }
    }
    let mut traffic = Vec::new();
    for attachment in 0..tables.attachments.len() as u32 {
        for class in 0..tables.classifier.classes() as u8 {
            for (number, direction) in [(0, Direction::FromServer), (1, Direction::ToServer)] {
                let (packets, bytes) = counters.traffic(attachment, class, direction);
                if packets > 0 {
                    traffic.push((attachment, class, number, packets, bytes));
                }
            }
        }
    }
    drop((poller, runtime));
    Done { sent: files.sent(), drops, traffic }
}

/// Both, on the same captures.
fn assert_same(program: &Program, folder: &Path, links: usize, captures: &[(String, PathBuf)]) -> Done {
    let config = config::parse(&mix::config(links), Path::new("bench.toml")).unwrap_or_else(|e| panic!("{e}"));
    let pool = iogate::testkit::pool("same", 4095);
    let _complete = Complete::new(&pool);
    let ours = by_gateway(&pool, &config, &files(folder, &config, captures, "ours"));
    let mut theirs = by_c(program, &config, &files(folder, &config, captures, "theirs"));
    let mut sorted = Done { sent: ours.sent.clone(), drops: ours.drops.clone(), traffic: ours.traffic.clone() };
    if captures.len() > 1 {
        // Which port is polled first is nobody's promise.
        sorted.sent.iter_mut().chain(&mut theirs.sent).for_each(|frames| frames.sort());
    }
    for (port, (ours, theirs)) in sorted.sent.iter().zip(&theirs.sent).enumerate() {
        let differ = ours.iter().zip(theirs).position(|(a, b)| a != b);
        let only = theirs.get(differ.unwrap_or(ours.len()));
        assert!((ours.len(), differ) == (theirs.len(), None), "port {port}: {only:02x?}");
    }
    assert_eq!((&sorted.drops, &sorted.traffic), (&theirs.drops, &theirs.traffic));
    ours
}

#[test]
fn the_peer_in_c_forwards_and_counts_as_the_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::build(folder.path()).unwrap_or_else(|error| panic!("{error:#}"));
    for (links, from) in [(1, From::Servers), (4, From::Servers), (4, From::Uplinks)] {
        for sizes in [Sizes::Small, Sizes::Imix] {
            let captures = mix::captures(folder.path(), links, from, sizes).unwrap();
            let done = assert_same(&program, folder.path(), links, &captures);
            assert!(done.drops.is_empty() && done.sent.iter().all(|frames| from as u8 == 1 || !frames.is_empty()));
        }
    }
    // Frames with a byte changed: most are dropped then, each for the same reason.
    let captures = mix::captures(folder.path(), 1, From::Servers, Sizes::Imix).unwrap();
    let mut random = Random(7);
    let mut frames = read_pcap(&captures[0].1).unwrap();
    frames.iter_mut().for_each(|frame| damage(frame, &mut random));
    write_pcap(&captures[0].1, &frames).unwrap();
    let done = assert_same(&program, folder.path(), 1, &captures);
    assert!(done.drops.len() >= 8, "{:?}", done.drops);
}

#[test]
fn ovs_sends_as_much_of_the_mix_out_of_each_port_as_the_gateway() {
    const TEST: &str = "ovs_sends_as_much_of_the_mix_out_of_each_port_as_the_gateway";
    if !ovs::installed() {
        return skip(TEST, "Open vSwitch on DPDK is not installed");
    }
    for (links, from) in [(1, From::Servers), (4, From::Uplinks)] {
        let folder = tempfile::tempdir().unwrap();
        let config = config::parse(&mix::config(links), Path::new("bench.toml")).unwrap_or_else(|e| panic!("{e}"));
        let captures = mix::captures(folder.path(), links, from, Sizes::Small).unwrap();
        let pool = iogate::testkit::pool("ovs", 4095);
        let ours = by_gateway(&pool, &config, &files(folder.path(), &config, &captures, "ours")).sent;
        // As the benchmark has it: again and again, because OVS loses what comes while its ports are made.
        let ways = ways(&config, &captures);
        let plan = Plan { runs: 1, seconds: 0.0, core: cores()[0], pages: Pages::Plain };
        let place = folder.path().join("ovs");
        std::fs::create_dir(&place).unwrap();
        let ovs = Ovs::start(&place, &config, &ways, plan).unwrap_or_else(|error| panic!("{error:#}"));
        let sent = || ovs.sent(ways.len()).unwrap_or_else(|error| panic!("{error:#}"));
        let mix = ours.iter().map(|frames| frames.len() as u64).sum::<u64>();
        let total = |counts: &[u64]| counts.iter().sum::<u64>();
        let end = Instant::now() + Duration::from_secs(30);
        let after = |least: u64| loop {
            let counts = sent();
            if total(&counts) >= least {
                break counts;
            }
            assert!(Instant::now() < end, "OVS sends next to nothing: {counts:?}");
            std::thread::sleep(Duration::from_millis(50));
        };
        let before = after(100 * mix);
        let all = after(total(&before) + 300 * mix);
        let grown: Vec<u64> = all.iter().zip(&before).map(|(all, before)| all - before).collect();
        let share = |count: u64, of: u64| count as f64 / of as f64;
        for (port, (ours, theirs)) in ours.iter().zip(&grown).enumerate() {
            let (ours, theirs) = (share(ours.len() as u64, mix), share(*theirs, total(&grown)));
            assert!((ours - theirs).abs() < 0.02, "port {port}: {theirs} of all that OVS sends, {ours} of what we do");
        }
        assert_eq!(ovs.dropped().unwrap(), 0);
    }
}

/// Changes one byte behind the destination, but for what would make it an IPv6 packet with extension headers,
/// which the peer does not look into.
fn damage(frame: &mut [u8], random: &mut Random) {
    let at = 6 + random.below(frame.len().min(70) - 6);
    let (ethernet, behind) = Ethernet::parse(frame).unwrap();
    let mut above = (size_of::<Ethernet>(), ethernet.ether_type());
    if let Ok((tag, _)) = Vlan::parse(behind)
        && above.1 == EtherType::VLAN
    {
        above = (above.0 + size_of::<Vlan>(), tag.ether_type());
    }
    if above.1 != EtherType::IPV6 || at != above.0 + 6 {
        frame[at] ^= 1 + random.below(255) as u8;
    }
}

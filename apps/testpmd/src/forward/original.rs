//! The modes beside DPDK's own testpmd: the same frames in, the same bytes out. Where `dpdk-testpmd`
//! is not installed these tests say so and pass.

use super::csum::tests::with;
use super::layers::{Ip, IpLayer, word};
use super::testing::*;
use super::{Checksum, Config, Mode};
use iogate::eal::dpdk_release;
use iogate::packet::{Arp, EtherType, Header, IpProtocol, Ipv4, MacAddr};
use iogate::testkit::{Frame, mac, read_pcap, write_pcap};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What testpmd did.
struct Original {
    /// The address of its port.
    mac: MacAddr,
    frames: Vec<Vec<u8>>,
}

/// When nothing has been written for so long, it is done.
const SETTLED: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_millis(5);

/// The address that it writes for the peer of its one port.
const PEER_OF_0: MacAddr = mac(0);

/// Ends a process that is not over in time.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs it on capture files, with options and with commands before `start`, until it has sent `count`
/// frames; nothing when it is not installed.
fn original(mode: Mode, options: &[&str], commands: &[&str], frames: &[Vec<u8>], count: usize) -> Option<Original> {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, output) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
    write_pcap(&input, frames).expect("a capture file");
    let mut command = Command::new("dpdk-testpmd");
    command.args(["--no-huge", "--no-shconf", "-m", "128", "--no-pci", "--no-telemetry", "--log-level=4"]);
    let core = iogate::worker::cores()[0];
    command.arg(format!("--lcores=0@{core},1@{core}"));
    command.arg(format!("--file-prefix=iogate-modes-{}-{mode}", std::process::id()));
    command.arg(format!("--vdev=net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display()));
    command.args(["--", "-i", "--no-flush-rx", "--port-topology=loop", "--total-num-mbufs=4096", "--mbcache=64"]);
    command.arg(format!("--forward-mode={mode}")).args(options);
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = match spawned {
        Ok(child) => Guard(child),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: dpdk-testpmd is not installed");
            return None;
        }
        Err(error) => panic!("dpdk-testpmd does not start: {error}"),
    };
    let mut prompt = child.0.stdin.take().expect("a pipe");
    let mut say = |line: &str| prompt.write_all(format!("{line}\n").as_bytes()).expect("it listens");
    say("show port info 0");
    commands.iter().for_each(|command| say(command));
    say("start");
    // Packets leave for the file in blocks, the last of them when the port closes.
    let settled = |wanted: u64| {
        let end = Instant::now() + Duration::from_secs(20);
        let size = || output.metadata().map_or(0, |file| file.len());
        let mut last = 0;
        while Instant::now() < end {
            std::thread::sleep(if wanted == u64::MAX { SETTLED } else { SOON });
            let now = size();
            if now >= wanted || (wanted == u64::MAX && now > 0 && now == last) {
                break;
            }
            last = now;
        }
    };
    // A mode that makes packets never settles.
    let endless = matches!(mode, Mode::FlowGen | Mode::TxOnly);
    settled(if endless { count as u64 * 100 } else { u64::MAX });
    say("stop");
    say("quit");
    let mut text = Vec::new();
    child.0.stdout.take().expect("a pipe").read_to_end(&mut text).expect("text");
    let text = String::from_utf8_lossy(&text);
    let (_, address) = text.split_once("MAC address: ").unwrap_or_else(|| panic!("no address in:\n{text}"));
    let mac = address.split_whitespace().next().and_then(|mac| mac.parse().ok()).expect("an address");
    let frames = read_pcap(&output).expect("a capture file");
    assert!(frames.len() >= count, "{} of {count} frames; it said:\n{text}", frames.len());
    Some(Original { mac, frames })
}

/// Our options, with the original's peer.
fn like_original(config: Config) -> Config {
    Config { peers: [(0, PEER_OF_0)].into(), ..config }
}

/// Compares frame by frame, and says which differ.
fn assert_same(mode: Mode, given: &[Vec<u8>], ours: &[Vec<u8>], theirs: &[Vec<u8>]) {
    assert_eq!(ours.len(), theirs.len(), "{mode}: so many frames came out");
    let differ = ours.iter().zip(theirs).position(|(our, their)| our != their);
    if let Some(at) = differ {
        let given = if given.len() == ours.len() { &given[at][..] } else { &[] };
        panic!("{mode}: frame {at}\n given {given:02x?}\n  ours {:02x?}\ntheirs {:02x?}", ours[at], theirs[at]);
    }
}

fn compare(mode: Mode, config: Config, commands: &[&str], frames: &[Vec<u8>]) {
    let config = like_original(config);
    // What it makes of them does not depend on its address, of which ours is told later.
    let count = Rig::new(mode, &config).pass_all(frames).len();
    let Some(original) = original(mode, &[], commands, frames, count) else { return };
    let ours = Rig::with_address(mode, &config, original.mac).pass_all(frames);
    assert_same(mode, frames, &ours, &original.frames);
}

/// The frames whose treatment by the original does not depend on what stands behind them in the
/// buffer, which it looks at without asking how long they are.
fn decided(frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    frames.into_iter().filter(|frame| is_decided(frame)).collect()
}

fn is_decided(frame: &[u8]) -> bool {
    let mut at = 12;
    let kind = loop {
        match word(frame, at).map(EtherType) {
            None => return false,
            Some(kind) if kind.is_vlan() => at += 4,
            Some(EtherType::IPV4) => break Ip::V4,
            Some(EtherType::IPV6) => break Ip::V6,
            Some(EtherType::ARP) => return frame.len() >= at + 2 + size_of::<Arp>(),
            Some(_) => return frame.len() >= 14,
        }
    };
    let Some(ip) = IpLayer::at(frame, kind, at + 2) else { return false };
    let needed = match ip.protocol {
        IpProtocol::TCP => 20,
        IpProtocol::SCTP => 12,
        IpProtocol::UDP | IpProtocol::ICMP => 8,
        _ => 0,
    };
    ip.payload + needed <= frame.len()
}

/// Frames, right, bent and cut, the same ones every time.
fn many(count: usize) -> Vec<Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    let mut frames = decided(samples());
    while frames.len() < count {
        let frame = any_frame().new_tree(&mut runner).expect("a frame").current();
        frames.extend(is_decided(&frame).then_some(frame));
    }
    frames
}

#[test]
fn io_and_the_modes_that_swap() {
    for mode in [Mode::Io, Mode::Mac, Mode::MacSwap, Mode::FiveTupleSwap] {
        compare(mode, config(), &[], &many(2000));
    }
}

#[test]
fn checksums() {
    compare(Mode::Csum, config(), &[], &many(4000));
    let stay = Checksum { mac_swap: false, ..Checksum::default() };
    compare(Mode::Csum, with(stay), &["csum mac-swap off 0"], &many(100));
}

#[test]
fn checksums_in_tunnels() {
    let tunnels = super::tunnel::tests::tunnels();
    // Wrong in turn at every byte of their headers that says nothing about what follows.
    let mut frames = tunnels.clone();
    for tunnel in &tunnels {
        let outer = IpLayer::behind_ethernet(tunnel, 0).expect("it is one");
        let inner = super::tunnel::behind(tunnel, outer, super::TunnelPorts::default())
            .and_then(|tunnel| tunnel.inner)
            .expect("it is one");
        let mut wrong = |at: usize| {
            let mut frame = tunnel.clone();
            frame[at] ^= 0x5a;
            frames.push(frame);
        };
        (12..20).for_each(|at| wrong(outer.at + at));
        (8..12).for_each(|at| wrong(outer.at + at - at % 2 + 2));
        (0..12).for_each(|at| wrong(inner.payload + at));
        (16..18).for_each(|at| wrong(inner.payload + at));
        wrong(outer.at + 10);
    }
    let tunnels = Checksum { parse_tunnels: true, ..Checksum::default() };
    compare(Mode::Csum, with(tunnels), &["csum parse-tunnel on 0"], &frames);
}

#[test]
fn answers_to_pings_and_arp() {
    let plain = |frame: &Vec<u8>| {
        let at = if word(frame, 12) == Some(0x8100) { 18 } else { 14 };
        match EtherType(word(frame, at - 2).unwrap_or(0)) {
            // Options and lengths that lie are not looked at by the original.
            EtherType::IPV4 => Ipv4::parse(&frame[at..]).is_ok_and(|(ip, _)| ip.header_len() == 20),
            _ => true,
        }
    };
    let mut frames: Vec<_> = many(3000).into_iter().filter(plain).collect();
    for last in 0..8 {
        let ping = Frame::ethernet(mac(1), mac(2)).ipv4([10, 0, 0, last], [224, 0, 0, 5]).icmp_echo(1, 2);
        frames.push(ping.payload([last; 9]).build());
    }
    compare(Mode::IcmpEcho, config(), &[], &frames);
}

/// Compares packets that are made: the first `count`, up to `length` bytes. Behind the headers the
/// original sends what the buffers held before.
fn compare_made(mode: Mode, config: Config, options: &[&str], count: usize, length: usize) {
    let config = like_original(config);
    let Some(original) = original(mode, options, &[], &[], count) else { return };
    let ours = Rig::with_address(mode, &config, original.mac).make_frames(count);
    let same_length = ours.iter().zip(&original.frames).all(|(our, their)| our.len() == their.len());
    assert!(same_length, "{mode}: frames are as long");
    let fronts = |frames: &[Vec<u8>]| frames[..count].iter().map(|frame| frame[..length].to_vec()).collect::<Vec<_>>();
    assert_same(mode, &[], &fronts(&ours), &fronts(&original.frames));
}

#[test]
fn generated_packets() {
    compare_made(Mode::TxOnly, config(), &[], 300, 64);
    let segments = Config { segments: vec![42, 10, 12], ..config() };
    compare_made(Mode::TxOnly, segments, &["--txpkts=42,10,12"], 300, 42);
    compare_made(Mode::FlowGen, config(), &[], 2100, 42);
    let flows = Config { flowgen_flows: 10, segments: vec![60], ..config() };
    compare_made(Mode::FlowGen, flows, &["--flowgen-flows=10", "--txpkts=60"], 300, 42);
    // Earlier releases vary the source address instead.
    if dpdk_release() >= (24, 11) {
        compare_made(Mode::TxOnly, Config { multi_flow: true, ..config() }, &["--txonly-multi-flow"], 300, 42);
    }
}

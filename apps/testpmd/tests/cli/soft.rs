//! `--soft-offloads`: what ports do in software, on frames out of files and into files.

use crate::session::Session;
use iogate::packet::{IpProtocol, MacAddr};
use iogate::testkit::{Frame, in_namespace, mac, read_pcap, sh, write_pcap};
use std::net::UdpSocket;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A session with a port that receives frames out of a file, once, and sends into another.
struct Rig {
    session: Session,
    folder: TempDir,
    frames: usize,
}

/// What a run said and sent.
struct Run {
    said: String,
    stats: String,
    sent: Vec<Vec<u8>>,
}

impl Rig {
    fn new(frames: &[Vec<u8>], own: &[&str]) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
        write_pcap(&from, frames).unwrap();
        let device = format!("net_pcap0,rx_pcap={},tx_pcap={}", from.display(), to.display());
        Rig { session: Session::ready(&[&device], own), folder, frames: frames.len() }
    }

    /// Runs a command that says nothing.
    fn quietly(&mut self, command: &str) -> &mut Self {
        assert_eq!(self.session.run(command), "", "{command}");
        self
    }

    /// Forwards until every frame is accounted for, and ends.
    fn forward(mut self) -> Run {
        self.session.run("start");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            // Lost ones are among the extended statistics, the others came in.
            let xstats = self.session.run("show port xstats 0");
            let names =
                ["rx_good_packets", "rx_soft_mac", "rx_soft_vlan", "rx_soft_over", "rx_soft_rule", "rx_soft_miss"];
            let counted = xstats.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
            let sum: usize = counted.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum();
            if sum == self.frames {
                break;
            }
            assert!(Instant::now() < deadline, "{xstats}");
            std::thread::sleep(Duration::from_millis(20));
        }
        // What was said of packets is shown before the next command's answer.
        let mut said = self.session.run("stop");
        let stats = self.session.run("show port stats 0") + &self.session.run("show port xstats 0");
        said += &self.session.quit();
        Run { said, stats, sent: read_pcap(self.folder.path().join("out.pcap")).unwrap() }
    }

    /// What is said until packets came, and then to the end.
    fn listen(mut self) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut said = String::new();
        while said.matches("ol_flags").count() < self.frames {
            assert!(Instant::now() < deadline, "{said}");
            said += &self.session.run("show port stats 0");
        }
        said += &self.session.run("stop");
        self.session.quit();
        said
    }
}

impl Run {
    fn counted(&self, what: &str) {
        assert!(self.stats.contains(what), "{what}: {}", self.stats);
    }
}

fn frame(dst: MacAddr) -> Frame {
    Frame::ethernet(mac(7), dst)
}

fn udp(frame: Frame) -> Vec<u8> {
    frame.ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1000, 2000).payload([5; 20]).build()
}

#[test]
fn a_port_that_is_not_promiscuous_receives_what_is_for_it() {
    let group = |last| MacAddr::new([1, 0, 0x5e, 0, 0, last]);
    let own: MacAddr = "02:70:63:61:70:00".parse().unwrap();
    let frames = [own, mac(1), mac(2), MacAddr::BROADCAST, group(1), group(2)].map(|dst| udp(frame(dst)));
    let mut rig = Rig::new(&frames, &[]);
    rig.quietly("set promisc 0 off").quietly("mac_addr add 0 02:00:00:00:00:01");
    rig.quietly("mcast_addr add 0 01:00:5e:00:00:02");
    let macs = rig.session.run("show port 0 macs");
    assert_eq!(macs, "Number of MAC address added: 2\n  02:70:63:61:70:00\n  02:00:00:00:00:01\n");
    let info = rig.session.run("show port info 0");
    assert!(info.contains("Promiscuous mode: disabled\n") && info.contains("Maximum number of MAC addresses: 64\n"));
    let run = rig.forward();
    let expected = [0, 1, 3, 5].map(|at: usize| frames[at].clone());
    assert_eq!(run.sent, expected);
    run.counted("RX-packets: 4 ");
    run.counted("rx_soft_mac_filtered_packets: 2\n");
    assert!(run.said.contains("RX-packets: 4              RX-dropped: 0             RX-total: 4\n"), "{}", run.said);
    assert!(run.said.contains("TX-packets: 4              TX-dropped: 0 "), "{}", run.said);
}

#[test]
fn the_table_of_addresses_has_an_end() {
    let mut rig = Rig::new(&[], &[]);
    for last in 1..64 {
        rig.quietly(&format!("mac_addr add 0 02:00:00:00:00:{last:02x}"));
    }
    assert_eq!(rig.session.run("mac_addr add 0 02:00:00:00:01:00"), "mac_addr_cmd error: (No space left on device)\n");
    rig.quietly("mac_addr add 0 02:00:00:00:00:05").quietly("mac_addr remove 0 02:00:00:00:00:05");
    rig.quietly("mac_addr add 0 02:00:00:00:01:00").quietly("mac_addr set 0 02:00:00:00:00:aa");
    assert!(rig.session.run("show port info 0").contains("MAC address: 02:00:00:00:00:AA\n"));
    assert_eq!(
        rig.session.run("mac_addr remove 0 02:00:00:00:00:aa"),
        "mac_addr_cmd error: (Address already in use)\n"
    );
    assert_eq!(rig.session.run("mac_addr add 0 00:00:00:00:00:00"), "mac_addr_cmd error: (Invalid argument)\n");
    rig.session.quit();
}

#[test]
fn vlans_are_filtered_and_tags_taken_off() {
    let to = || frame(MacAddr::BROADCAST);
    let frames = [udp(to()), udp(to().vlan(5)), udp(to().vlan(6)), udp(to().qinq(6, 5)), udp(to().qinq(5, 7))];
    let mut rig = Rig::new(&frames, &[]);
    assert_eq!(
        rig.session.run("rx_vlan add 5 0"),
        "Port 0: VLAN-filtering disabled\nrte_eth_dev_vlan_filter(port_pi=0, vlan_id=5, on=1) failed diag=-38\n"
    );
    rig.quietly("set promisc 0 off").quietly("vlan set filter on 0").quietly("vlan set strip on 0");
    rig.quietly("vlan set qinq_strip on 0")
        .quietly("rx_vlan add 5 0")
        .quietly("rx_vlan add 9 0")
        .quietly("rx_vlan rm 9 0");
    let info = rig.session.run("show port info 0");
    assert!(info.contains("VLAN offload: \n  strip on, filter on, extend off, qinq strip on\n"), "{info}");
    let capabilities = rig.session.run("show port 0 rx_offload capabilities");
    assert!(
        ["VLAN_STRIP", "QINQ_STRIP", "VLAN_FILTER"].iter().all(|name| capabilities.contains(name)),
        "{capabilities}"
    );
    rig.session.run("set verbose 1");
    let run = rig.forward();
    assert_eq!(run.sent, [0, 0, 0].map(|at: usize| frames[at].clone()));
    run.counted("rx_soft_vlan_filtered_packets: 2\n");
}

#[test]
fn what_a_port_was_told_outlives_its_stop() {
    let frames = [udp(frame(MacAddr::BROADCAST).vlan(5)), udp(frame(MacAddr::BROADCAST).vlan(6)), udp(frame(mac(1)))];
    let mut rig = Rig::new(&frames, &[]);
    rig.session.run("set promisc 0 off");
    rig.quietly("vlan set filter on 0").quietly("rx_vlan add 5 0").quietly("mac_addr set 0 02:00:00:00:00:33");
    rig.quietly("set flow_ctrl rx on tx off 300 50 10 1 mac_ctrl_frame_fwd off autoneg on 0");
    rig.quietly("port config mtu 0 1300");
    let ask = |rig: &mut Rig| rig.session.run("show port info 0") + &rig.session.run("show port 0 flow_ctrl");
    let before = ask(&mut rig);
    assert!(before.contains("MTU: 1300\n") && before.contains("Rx pause: on\n"), "{before}");
    rig.session.run("port stop 0");
    rig.session.run("port start 0");
    assert_eq!(ask(&mut rig), before);
    assert_eq!(rig.forward().sent, frames[..1]);
}

#[test]
fn frames_above_the_mtu_are_errors() {
    let of = |length: usize| frame(mac(1)).payload(vec![1; length - 14]).build();
    let frames = [of(1322), of(1323), of(60), of(1500)];
    let mut rig = Rig::new(&frames, &[]);
    rig.quietly("port config mtu 0 1300");
    let run = rig.forward();
    assert_eq!(run.sent, [0, 2].map(|at: usize| frames[at].clone()));
    run.counted("RX-errors: 2\n");
    run.counted("rx_soft_oversize_errors: 2\n");
}

#[test]
fn checksums_are_checked_and_said() {
    let v4 = || frame(mac(1)).ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
    let mut wrong = udp(frame(mac(1)));
    wrong[24] ^= 1;
    let sctp = v4().protocol(IpProtocol::SCTP).payload([0; 16]).build();
    let frames = [v4().tcp(1, 2).build(), wrong, sctp];
    let mut rig = Rig::new(&frames, &["--enable-rx-cksum", "--rx-offloads=0x2000e"]);
    let shown = rig.session.run("show port 0 rx_offload configuration");
    assert!(shown.contains("Port : IPV4_CKSUM UDP_CKSUM TCP_CKSUM SCTP_CKSUM\n"), "{shown}");
    rig.session.run("set verbose 1");
    let said = rig.session.run("start") + &rig.listen();
    let flags: Vec<&str> = said.lines().filter(|line| line.contains("ol_flags")).collect();
    let expected =
        [("L4_CKSUM_GOOD", "IP_CKSUM_GOOD"), ("L4_CKSUM_GOOD", "IP_CKSUM_BAD"), ("L4_CKSUM_BAD", "IP_CKSUM_GOOD")];
    for (line, (l4, ip)) in flags.iter().zip(expected) {
        assert!(line.contains(&format!("RX_{l4} ")) && line.contains(&format!("RX_{ip} ")), "{said}");
    }
    assert_eq!(flags.len(), 3, "{said}");
}

#[test]
fn rules_drop_mark_rewrite_and_count() {
    let to = |port| frame(mac(1)).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1000, port).payload([5; 20]).build();
    let frames = [to(53), to(80), to(443), to(53)];
    let mut rig = Rig::new(&frames, &[]);
    let mut says = |command: &str| rig.session.run(command);
    let drop = "ingress pattern eth / ipv4 / udp dst is 53 / end actions count / drop / end";
    assert_eq!(says(&format!("flow validate 0 {drop}")), "Flow rule validated\n");
    assert_eq!(says(&format!("flow create 0 {drop}")), "Flow rule #0 created\n");
    let rewrite = "priority 1 ingress pattern udp / end actions set_ipv4_dst ipv4_addr 10.0.0.9 / queue index 0 / end";
    assert_eq!(says(&format!("flow create 0 {rewrite}")), "Flow rule #1 created\n");
    assert_eq!(says("flow create 0 ingress pattern tcp / end actions drop / end"), "Flow rule #2 created\n");
    assert_eq!(
        says("flow list 0"),
        "ID\tGroup\tPrio\tAttr\tRule\n0\t0\t0\ti--\tETH IPV4 UDP => COUNT DROP\n1\t0\t1\ti--\tUDP => SET_IPV4_DST QUEUE\n\
         2\t0\t0\ti--\tTCP => DROP\n"
    );
    assert_eq!(says("flow destroy 0 rule 2"), "Flow rule #2 destroyed\n");
    assert_eq!(
        says("flow validate 0 ingress pattern eth / end actions queue index 1 / end"),
        "port_flow_complain(): Caught PMD error type 15 (action configuration): action 1 (queue): there is no RX queue \
         1: Invalid argument\n"
    );
    assert_eq!(
        says("flow create 0 ingress pattern eth / tcp / end actions drop / end"),
        "port_flow_complain(): Caught PMD error type 13 (specific pattern item): item 2 (tcp) cannot stand behind eth: \
         Invalid argument\n"
    );
    says("start");
    let deadline = Instant::now() + Duration::from_secs(30);
    while says("flow query 0 0 count") != "COUNT:\n hits_set: 1\n bytes_set: 1\n hits: 2\n bytes: 124\n" {
        assert!(Instant::now() < deadline, "{}", says("flow query 0 0 count"));
    }
    assert_eq!(says("flow query 0 7 count"), "Flow rule #7 not found\n");
    assert!(says("flow query 0 1 count").contains("does not count"));
    assert_eq!(says("flow flush 0") + &says("flow list 0"), "");
    let run = rig.forward();
    let rewritten = |port| frame(mac(1)).ipv4([10, 0, 0, 1], [10, 0, 0, 9]).udp(1000, port).payload([5; 20]).build();
    assert_eq!(run.sent, [rewritten(80), rewritten(443)]);
    run.counted("rx_soft_rule_dropped_packets: 2\n");
}

/// Datagrams of many flows.
fn flows() -> Vec<Vec<u8>> {
    let of = |n: u16| frame(mac(1)).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1000 + n, 2000).payload([5; 20]).build();
    (0..64).map(of).collect()
}

const QUEUES: [&str; 2] = ["--rxq=4", "--txq=4"];

/// The hash and the queue of each packet that was said.
fn hashed(said: &str) -> Vec<(u32, u32)> {
    let after = |line: &str, word: &str| {
        let digits = line.split(word).nth(1).unwrap_or_else(|| panic!("no {word} in {line}"));
        u32::from_str_radix(digits.split_whitespace().next().unwrap(), 16).unwrap()
    };
    let lines = said.lines().filter(|line| line.starts_with("  src="));
    lines.map(|line| (after(line, "RSS hash=0x"), after(line, "RSS queue=0x"))).collect()
}

#[test]
fn packets_are_spread_over_queues_that_the_device_has_not() {
    let mut rig = Rig::new(&flows(), &QUEUES);
    assert!(rig.session.run("port config all rss udp").contains("rss_hf 0x20820\n"));
    assert_eq!(rig.session.run("show port 0 rss-hash"), "RSS functions:\n  ipv4-udp  ipv6-udp\n");
    let key = rig.session.run("show port 0 rss-hash key");
    assert!(key.contains("RSS key:\n6D5A56DA255B0EC2"), "{key}");
    rig.session.run("set verbose 1");
    let started = rig.session.run("start");
    assert!(started.contains("streams=4") && started.contains("RX P=0/Q=3"), "{started}");
    let said = started + &rig.listen();
    let hashed = hashed(&said);
    assert_eq!(hashed.len(), 64, "{said}");
    assert!(hashed.iter().all(|(hash, queue)| hash % 512 % 4 == *queue), "{hashed:?}");
    for queue in 0..4 {
        assert!(hashed.iter().any(|(_, used)| *used == queue), "{hashed:?}");
        let stream = format!("RX Port= 0/Queue= {queue} -> TX Port= 0/Queue= {queue}");
        let count = hashed.iter().filter(|(_, used)| *used == queue).count();
        let block = said.split(&stream).nth(1).unwrap_or_else(|| panic!("{said}"));
        let expected = format!("RX-packets: {count:<14} TX-packets: {count:<14} TX-dropped: 0");
        assert!(block.contains(&expected), "{expected}: {said}");
    }
    assert!(said.contains("RX-packets: 64             RX-dropped: 0             RX-total: 64\n"), "{said}");
}

#[test]
fn both_directions_of_a_flow_may_have_one_hash() {
    let of = |there: bool, port| {
        let (src, dst) = if there { ([10, 0, 0, 1], [10, 0, 0, 2]) } else { ([10, 0, 0, 2], [10, 0, 0, 1]) };
        let (from, to) = if there { (port, 2000) } else { (2000, port) };
        frame(mac(1)).ipv4(src, dst).udp(from, to).build()
    };
    let frames: Vec<Vec<u8>> = (1000..1016).flat_map(|port| [of(true, port), of(false, port)]).collect();
    let mut rig = Rig::new(&frames, &QUEUES);
    rig.session.run("port config all rss udp");
    assert_eq!(rig.session.run("show port 0 rss-hash algorithm"), "RSS algorithm:\n  default\n");
    rig.quietly("port config 0 rss-hash-algo symmetric_toeplitz").quietly("set output json");
    let shown = rig.session.run("show port 0 rss-hash algorithm");
    assert!(
        shown.contains("\"algorithm\":\"symmetric_toeplitz\"") && shown.contains("port-rss-algorithm/1"),
        "{shown}"
    );
    rig.quietly("set output text");
    rig.session.run("set verbose 1");
    let said = rig.session.run("start") + &rig.listen();
    let mut hashes: Vec<u32> = hashed(&said).into_iter().map(|(hash, _)| hash).collect();
    hashes.sort_unstable();
    assert_eq!(hashes.len(), 32);
    assert!(hashes.chunks(2).all(|pair| pair[0] == pair[1]) && hashes[0] != hashes[31], "{hashes:x?}");
}

#[test]
fn the_table_and_rules_choose_the_queue() {
    let mut rig = Rig::new(&flows(), &QUEUES);
    for part in 0..4 {
        let entries: Vec<String> = (part * 128..(part + 1) * 128).map(|entry| format!("({entry},2)")).collect();
        let said = rig.session.run(&format!("port config 0 rss reta {}", entries.join(",")));
        assert_eq!(said, "The reta size of port 0 is 512\n");
    }
    assert_eq!(
        rig.session.run("show port 0 rss reta 512 (0x5,0,0,0,0,0,0,0)"),
        "RSS RETA configuration: hash index=0, queue=2\nRSS RETA configuration: hash index=2, queue=2\n"
    );
    let rule = "flow create 0 ingress pattern udp src spec 1000 src last 1007 / end actions ";
    assert_eq!(rig.session.run(&format!("{rule}queue index 1 / end")), "Flow rule #0 created\n");
    let symmetric = "rss types ipv4-udp end queues 3 end func symmetric_toeplitz / end";
    let rule = format!("flow create 0 ingress pattern udp src is 1008 / end actions mark id 7 / {symmetric}");
    assert_eq!(rig.session.run(&rule), "Flow rule #1 created\n");
    rig.session.run("set verbose 1");
    let said = rig.session.run("start") + &rig.listen();
    let on = |queue: u32| said.matches(&format!(" - Receive queue=0x{queue:x}\n")).count();
    assert_eq!([on(0), on(1), on(2), on(3)], [0, 8, 55, 1], "{said}");
    assert!(said.contains(" - RSS queue=0x3 - FDIR matched ID=0x7 - hw ptype"), "{said}");
}

#[test]
fn a_queue_is_stopped_set_up_anew_and_started() {
    let mut rig = Rig::new(&flows(), &QUEUES);
    rig.session.run("port config all rss udp");
    let capabilities = rig.session.run("show port info 0");
    assert!(capabilities.contains("0x3( RUNTIME_RX_QUEUE_SETUP RUNTIME_TX_QUEUE_SETUP )"), "{capabilities}");
    assert_eq!(rig.session.run("port 0 rxq 1 setup"), "Failed to setup RX queue\n", "it runs");
    rig.quietly("port 0 rxq 1 stop").quietly("port 0 rxq 2 stop");
    rig.quietly("port config 0 rxq 1 ring_size 256").quietly("port 0 rxq 1 setup").quietly("port 0 rxq 1 start");
    let info = rig.session.run("show rxq info 0 1");
    assert!(info.contains("Rx queue state: started\n") && info.contains("Number of RXDs: 256\n"), "{info}");
    assert!(rig.session.run("show rxq info 0 2").contains("Rx queue state: stopped\n"));
    assert!(rig.session.run("show rxq info 0 4").contains("Failed to retrieve information for port: 0, RX queue: 4"));
    let run = rig.forward();
    run.counted("rx_soft_missed_errors: ");
    assert!(!run.stats.contains("rx_soft_missed_errors: 0\n") && run.sent.len() < 64, "{}", run.stats);
    let missed = 64 - run.sent.len();
    run.counted(&format!("RX-missed: {missed} "));
    let expected = format!("RX-packets: {:<14} RX-dropped: {missed:<13} RX-total: 64\n", 64 - missed);
    assert!(run.said.contains(&expected), "{expected}: {}", run.said);
}

#[test]
fn a_queue_may_wait_for_its_own_start() {
    let mut rig = Rig::new(&flows()[..8], &[]);
    rig.session.run("port stop all");
    rig.quietly("port 0 rxq 0 deferred_start on");
    rig.session.run("port start all");
    let info = rig.session.run("show rxq info 0 0");
    assert!(info.contains("RX deferred start: on\n") && info.contains("Rx queue state: stopped\n"), "{info}");
    let run = rig.forward();
    assert_eq!(run.sent.len(), 0);
    run.counted("RX-missed: 8 ");
}

/// Runs commands until a counter is as wanted.
fn wait_for(session: &mut Session, counter: &str, wanted: u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let expected = format!("\n{counter}: {wanted}\n");
    loop {
        let xstats = session.run("show port xstats 0");
        if xstats.contains(&expected) {
            return;
        }
        assert!(Instant::now() < deadline, "{expected} {xstats}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_change_takes_effect_while_it_forwards() {
    in_namespace("soft::a_change_takes_effect_while_it_forwards", || {
        sh("ip link add sut0 type veth peer name tg0; ip link set sut0 up; ip link set tg0 up
            ip address add 10.1.0.1/24 dev tg0; ip neighbour add 10.1.0.2 lladdr 02:00:00:00:00:07 dev tg0");
        let socket = UdpSocket::bind("10.1.0.1:0").unwrap();
        let send = || (0..5).for_each(|_| assert_eq!(socket.send_to(b"hello", "10.1.0.2:9").unwrap(), 5));
        let mut session = Session::ready(&["net_af_packet0,iface=sut0"], &["--forward-mode=rxonly"]);
        session.run("start");
        send();
        wait_for(&mut session, "rx_good_packets", 5);
        assert_eq!(session.run("set promisc 0 off"), "");
        send();
        wait_for(&mut session, "rx_soft_mac_filtered_packets", 5);
        assert_eq!(session.run("mac_addr add 0 02:00:00:00:00:07"), "");
        send();
        wait_for(&mut session, "rx_good_packets", 10);
        let rule = "flow create 0 ingress pattern eth / ipv4 / udp dst is 9 / end actions drop / end";
        assert_eq!(session.run(rule), "Flow rule #0 created\n");
        send();
        wait_for(&mut session, "rx_soft_rule_dropped_packets", 5);
        assert_eq!(session.run("flow flush 0"), "");
        send();
        wait_for(&mut session, "rx_good_packets", 15);
        let stopped = session.run("stop");
        assert!(stopped.contains("RX-packets: 15             RX-dropped: 0             RX-total: 15\n"), "{stopped}");
        session.quit();
    });
}

#[test]
fn without_software_a_port_can_what_its_device_can() {
    let frames = [udp(frame(mac(1)).vlan(5))];
    let mut rig = Rig::new(&frames, &["--soft-offloads=off"]);
    let info = rig.session.run("show port info 0");
    assert!(info.contains("Maximum number of MAC addresses: 1\n"), "{info}");
    assert!(rig.session.run("vlan set strip on 0").contains("failed diag=-"));
    rig.session.quit();
}

#[test]
fn packets_are_split_and_parts_of_them_left_out() {
    let frames = [udp(frame(mac(1))), udp(frame(mac(2)))];
    let length = frames[0].len();
    let split = ["--rx-offloads=0x100000", "--rxpkts=14,20,8,0", "--mbuf-size=0,256,256,0"];
    let mut rig = Rig::new(&frames, &split);
    let info = rig.session.run("show port info 0");
    assert!(info.contains("Rx split:\n\tMax segments: 8\n") && info.contains("\tSelective Rx: supported\n"), "{info}");
    let capable = rig.session.run("show port 0 rx_offload capabilities");
    assert!(capable.contains("BUFFER_SPLIT"), "{capable}");
    let run = rig.forward();
    assert_eq!(run.sent, frames.map(|frame| frame[14..42].to_vec()));
    run.counted("RX-packets: 2          RX-missed: 0          RX-bytes:  56\n");
    assert!(length > 42);

    let frames = [udp(frame(mac(1))), udp(frame(mac(2)))];
    let mut rig = Rig::new(&frames, &["--rxoffs=8,200"]);
    rig.session.run("port stop 0");
    rig.quietly("port config 0 rx_offload buffer_split on").quietly("set rxpkts 14,20");
    rig.session.run("port start 0");
    // In rxonly mode it is said of how many segments they are.
    rig.session.run("set fwd rxonly");
    rig.session.run("set verbose 1");
    rig.session.run("start");
    let said = rig.listen();
    assert_eq!(said.matches(" - nb_segs=3").count(), 2, "{said}");
}

#[test]
fn segments_that_cannot_be_keep_a_port_from_starting() {
    for (options, why) in [
        (&["--rx-offloads=0x100000", "--rxpkts=4096,0", "--mbuf-size=128,0"][..], "do not fit a buffer of 128\n"),
        (&["--rx-offloads=0x100000", "--rxpkts=0", "--mbuf-size=0"], "All Rx segments would be discarded"),
        (&["--rxpkts=34,0", "--mbuf-size=256,0"], "No Rx segmentation offload configured"),
    ] {
        let options = [options, &["--disable-device-start"]].concat();
        let mut rig = Rig::new(&[], &options);
        let said = rig.session.run("port start all");
        assert!(said.contains(why) && said.ends_with("Fail to configure port 0 rx queues\n"), "{said}");
        rig.session.quit();
    }
}

#[test]
fn what_is_split_is_spread_and_stripped_before() {
    let tagged =
        |last: u8| frame(mac(1)).vlan(5).ipv4([10, 0, 0, last], [10, 0, 0, 2]).udp(1000, 2000).padded().build();
    let frames: Vec<Vec<u8>> = (0..20).map(tagged).collect();
    let own = ["--rxq=4", "--txq=4", "--rx-offloads=0x100001", "--rxpkts=14,20,0", "--mbuf-size=2176,256,0"];
    let run = Rig::new(&frames, &own).forward();
    // A tag was received, whether it stays or not.
    run.counted("RX-packets: 20         RX-missed: 0          RX-bytes:  760\n");
    // Tags are off before lengths count.
    let untagged = |frame: &Vec<u8>| [&frame[..12], &frame[16..38]].concat();
    let (mut sent, mut expected) = (run.sent, frames.iter().map(untagged).collect::<Vec<_>>());
    sent.sort();
    expected.sort();
    assert_eq!(sent, expected);
}

#[test]
fn payload_alone_is_received_when_headers_are_left_out() {
    let frames = [udp(frame(mac(1)).vlan(5)), udp(frame(mac(2)))];
    let own = ["--rx-offloads=0x100000", "--rxhdrs=ipv4-udp", "--mbuf-size=0,2176"];
    let mut rig = Rig::new(&frames, &own);
    assert_eq!(rig.session.run("show config rxhdrs"), "Number of segments: 2\nPacket segs: ipv4-udp, payload\n");
    let run = rig.forward();
    assert_eq!(run.sent, [[5; 20]; 2]);
    run.counted("RX-packets: 2          RX-missed: 0          RX-bytes:  40\n");
}

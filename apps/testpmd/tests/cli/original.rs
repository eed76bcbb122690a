//! Side by side with DPDK's own, where it is installed: the same commands, the same answers.
//!
//! The texts are those of 22.11. Where a later original words an answer otherwise, [`plain`] leaves that
//! line out or [`later`] names the command; everything else is compared on every release.

use crate::session::{NULL, ORIGINAL, PROGRAM, Session, arguments, original_is_there};
use std::time::{Duration, Instant};

/// Commands whose answers are the same, in this order.
const SAME: &str = "\
show port info all
show port stats all
show port xstats 0
show port summary all
show device info all
show config rxtx
show config fwd
show config cores
show config txpkts
show config rxhdrs
set rxhdrs eth,ipv4-udp
show config rxhdrs
show config rxpkts
set rxpkts 64,128,0
show config rxhdrs
set rxpkts 64
show fwd stats all
show rxq info 0 0
show txq info 0 0
show rxq info 9 0
show port 0 rx_offload capabilities
show port 0 tx_offload capabilities
show port 0 rx_offload configuration
show port 0 flow_ctrl
show port 0 macs
show port 0 mcast_macs
show port 0 rss-hash
show port 0 ptypes
show port 0 rxq 0 desc used count
show port 0 rxq 0 desc 1 status
show port info 5
show port info x
nosuch
set
set fwd nosuch
set fwd mac retry
set fwd rxonly retry
set fwd txonly
show config rxtx
set fwd io
set verbose 1
set verbose 0
set promisc 0 off
set promisc 9 on
set allmulti all on
set burst 513
set burst 32
set nbcore 5
set nbport 1
set nbport 2
set corelist 0
set corelist 7
set portlist 0,5
set portlist 0,0
set portlist all
set portlist 0
set portlist 1,0
show config fwd
set portlist 0,1
set txpkts 10
set txsplit foo
set eth-peer 9 02:00:00:00:00:99
set eth-peer 0 zz
vlan set strip on 0
vlan set filter on 9
rx_vlan add 2 0
rx_vlan add 5000 0
csum set ip hw 0
csum parse-tunnel on 0
show port 0 gro
set port 0 gro on
set port 0 gro on
show port 0 gro
set gro flush 3
show port 0 gro
set gro flush 9
set gro flush 256
set port 0 gro off
set port 0 gro off
set port 9 gro on
set port 0 gro maybe
show port 9 gro
show port 0 gso
set gso segsz 54
set gso segsz 99999
set port 9 gso off
show port 9 gso
tso set 500 0
tunnel_tso set 500 0
tunnel_tso show 0
mac_addr add 0 02:00:00:00:00:01
mac_addr set 9 02:00:00:00:00:01
mcast_addr add 0 01:00:5e:00:00:01
mcast_addr add 0 02:00:5e:00:00:01
mcast_addr remove 0 01:00:5e:00:00:07
rx_vxlan_port add 4789 0
port config 0 rss-hash-key ipv4-udp AABB
port config 0 rss reta (0,1)
port config 0 rss reta (500,0)
flow validate 0 ingress pattern eth / ipv4 / udp / end actions drop / end
flow create 0 ingress pattern eth / ipv4 src is 10.0.0.1 / end actions queue index 0 / end
flow list 0
flow flush 0
flow validate 0
flow list 9
set stat_qmap rx 0 0 0
set stat_qmap tx 9 0 0
set stat_qmap rx 0 9 0
set stat_qmap rx 0 0 99
set stat_qmap x 0 0 0
read rxd 0 9 0
read rxd 9 0 0
read rxd 0 0 0
read txd 0 0 999
set flow_ctrl rx on 9
set flow_ctrl rx
port config all txfreet 32
port config all txpt 300
port config all speed 1000 duplex full
port config 0 speed 1000 duplex full
port config mtu 9 1400
port config mtu 0 99999
port config all rxq 2
port start 0
port close 0
port stop 0
port stop 0
tso show 0
tso set 500 0
tso set 0 0
tso show 0
tso set 500 9
tunnel_tso show 0
tunnel_tso set 0 0
tunnel_tso set 500 9
start
port config all max-lro-pkt-size 9000
port start 0
port stop all
port config all rxq 4
port config all txq 4
port config all burst 600
port config all max-lro-pkt-size 9000
port config all max-lro-pkt-size x
port config all speed 10000 duplex full
port config 0 speed 10000 duplex half
port config 0 speed 100 duplex half
port config 1 speed 1000 duplex auto
port config 9 speed 1000 duplex full
port config 0 speed 7 duplex full
port config 0 speed 10 duplex
port config all speed auto duplex auto
port config all drop-en on
port config all rxpt 8
port start all
show config fwd
port config all rss udp
port config all rss nosuch
start
start
set port 0 gro on
set port 0 gso on
set port 0 gso off
set gro flush 2
set gso segsz 500
port stop 0
port close all
set portlist 0
stop
stop
clear port stats all
clear port xstats all
clear fwd stats all
port reset 0
port attach net_null9
port stop 2
port close 2
show port summary all
port stop 9
port detach 9";

/// Whether a release after 22.11 answers something else, so that only 22.11 is compared with.
fn later(command: &str, theirs: &str) -> bool {
    // Since 24.03 the reason for a failure is its code: "Rx queue count get failed rc=-95 queue_id=0".
    command == "show port 0 rxq 0 desc used count" && theirs.contains("Rx queue count get failed rc=")
}

/// Without what differs between any two runs (numbers of packets, random addresses, the log) or between
/// releases.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    // Since 23.03 `show port info` ends with what the driver tells of itself, nothing on these ports.
    let text = text.replace('\r', "").replace("Device private info:\n  none\n", "");
    for line in text.lines().filter(|line| !line.starts_with("EAL: ") && !line.starts_with("TELEMETRY: ")) {
        // Since 24.03 what the library says is marked as such.
        let line = line.strip_prefix("ETHDEV: ").unwrap_or(line);
        let words = line.split_whitespace().map(|word| {
            let random = word.len() == 17 && word.matches(':').count() == 5 && !word.starts_with("02:00:00");
            if random { "MAC" } else { word }
        });
        let counts = ["RX-packets:", "TX-packets:", "Rx-pps:", "Tx-pps:"];
        let counted = counts.iter().any(|word| line.trim_start().starts_with(word)) || line.contains("_packets: ");
        let words: Vec<&str> = words.filter(|word| !counted || word.parse::<u64>().is_err()).collect();
        plain.push_str(&words.join(" "));
        plain.push('\n');
    }
    plain
}

fn compare(devices: &[&str]) {
    if !original_is_there() {
        return eprintln!("{ORIGINAL} is not installed: nothing to compare with");
    }
    // What software adds, the original has not.
    let [mut original, mut ours] =
        [(ORIGINAL, &["-i"][..]), (PROGRAM, &["-i", "--soft-offloads=off"])].map(|(program, own)| {
            let mut session = Session::start(program, &arguments(devices, own), b"");
            session.until("testpmd> ");
            session
        });
    let mut differ = Vec::new();
    let mut may_be_idle = devices == NULL;
    for command in SAME.lines() {
        if command == "stop" && std::mem::take(&mut may_be_idle) {
            // Streams without packets are left out: on a busy machine forwarding may not have had its turn yet.
            for session in [&mut original, &mut ours] {
                let end = Instant::now() + Duration::from_secs(20);
                while !session.run("show fwd stats all").contains("RX Port= 1/Queue= 3") && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        }
        let (theirs, ours) = (original.run(command), ours.run(command));
        if plain(&theirs) != plain(&ours) && !later(command, &theirs) {
            differ.push(format!("> {command}\n--- the original\n{theirs}--- ours\n{ours}"));
        }
    }
    original.quit();
    ours.quit();
    assert!(differ.is_empty(), "{} answers differ on {devices:?}:\n{}", differ.len(), differ.join("\n"));
}

#[test]
fn answers_are_the_originals_on_null_ports() {
    compare(&NULL);
}

#[test]
fn answers_are_the_originals_on_ring_ports() {
    compare(&["net_ring0", "net_ring1"]);
}

//! Commands in the wrong state, and what they do to ports and queues while packets are forwarded.

use crate::session::{NULL, Session};
use iogate::testkit::{in_namespace, sh};

/// Ports that are quiet, so that forwarding takes no core from other tests.
const RING: [&str; 2] = ["net_ring0", "net_ring1"];

#[test]
fn the_wrong_state_is_said() {
    let mut session = Session::ready(&NULL, &[]);
    assert_eq!(session.run("stop"), "Packet forwarding not started\n");
    assert_eq!(session.run("port config all rxq 2"), "Please stop all ports first\n");
    assert_eq!(session.run("port close 0"), "Closing ports...\nCannot close started device (port 0)\nDone\n");
    assert_eq!(session.run("port start 0"), "Port 0 is now not stopped\nPlease stop the ports first\nDone\n");
    assert_eq!(session.run("csum set ip hw 0"), "Please stop port 0 first\n");
    session.run("start");
    assert_eq!(session.run("start"), "Packet forwarding already started\n");
    let forwarding = "Please remove port 0 from forwarding configuration.\n";
    assert_eq!(session.run("port stop 0"), format!("Stopping ports...\n{forwarding}Done\n"));
    assert_eq!(session.run("port close 0"), format!("Closing ports...\n{forwarding}Done\n"));
    assert_eq!(session.run("set portlist 0"), "Please stop forwarding first\n");
    session.run("stop");
    session.run("port stop 0");
    assert_eq!(session.run("start"), "Not all ports were started\n");
    session.quit();
}

#[test]
fn the_link_of_a_stopped_port_is_down() {
    in_namespace("commands::the_link_of_a_stopped_port_is_down", || {
        sh("ip link add sut0 type veth peer name tg0; ip link set sut0 up; ip link set tg0 up");
        let mut session = Session::ready(&["net_af_packet0,iface=sut0"], &[]);
        let mut is = |command: &str, state: &str| {
            session.run(command);
            let (info, summary) = (session.run("show port info 0"), session.run("show port summary 0"));
            assert!(info.contains(&format!("Link status: {state}\n")), "{info}");
            assert!(summary.contains(&format!(" {state} ")), "{summary}");
        };
        is("", "up");
        is("port stop 0", "down");
        is("port start 0", "up");
        session.quit();
    });
}

#[test]
fn tunnels_are_cut_once_they_are_looked_into() {
    let mut session = Session::ready(&NULL, &[]);
    session.run("port stop 0");
    let why = "Error: csum parse_tunnel must be set so that tunneled packets are recognized\n";
    assert_eq!(session.run("tunnel_tso set 500 0"), why);
    let [off, on] = ["TSO for tunneled packets is disabled\n", "TSO segment size for tunneled packets is 500\n"];
    assert_eq!(session.run("tunnel_tso show 0"), off);
    session.run("csum parse-tunnel on 0");
    assert_eq!(session.run("tunnel_tso set 500 0"), on);
    assert_eq!(session.run("tunnel_tso show 0"), on);
    assert_eq!(session.run("tunnel_tso set 0 0"), off);
    session.quit();
}

#[test]
fn ports_come_and_go() {
    let mut session = Session::ready(&NULL, &[]);
    let attached = session.run("port attach net_null7,size=128");
    assert!(attached.ends_with("Port 2 is attached. Now total ports is 3\nDone\n"), "{attached}");
    assert!(session.run("port start 2").ends_with("Done\n"));
    assert!(session.run("start").contains("ports=3 - cores=1 - streams=3"));
    session.run("stop");
    session.run("port stop all");
    session.run("port config all rxq 4");
    session.run("port config all txq 4");
    assert!(session.run("port start all").contains("Configuring Port 2 (socket 0)\n"));
    assert!(session.run("start").contains("streams=12"));
    // Every stream has had its turn.
    session.run("sleep 0.5");
    assert!(session.run("stop").contains("RX Port= 0/Queue= 3 -> TX Port= 1/Queue= 3"));
    session.run("port stop 2");
    assert!(session.run("port close 2").contains("Port 2 is closed\n"));
    assert!(session.run("show port summary all").starts_with("Number of available ports: 2\n"));
    assert!(session.run("port attach net_null7").contains("Port 2 is attached"), "the name is free again");
    session.run("port stop all");
    assert!(session.run("port close all").contains("Port 1 is closed\n"));
    assert_eq!(session.run("show port info all"), "");
    session.quit();
}

/// The number behind a word, in the part of a text that begins with another.
fn number(text: &str, part: &str, word: &str) -> u64 {
    let text = &text[text.find(part).unwrap_or_else(|| panic!("no {part:?} in {text}"))..];
    let rest = text[text.find(word).unwrap() + word.len()..].trim_start();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn bursts_go_first_and_are_counted() {
    let mut session = Session::ready(&RING, &["--idle=sleep", "--forward-mode=icmpecho"]);
    session.run("start tx_first 2");
    let stopped = session.run("stop");
    for port in ["for port 0", "for port 1"] {
        assert_eq!(number(&stopped, port, "TX-packets:"), 64, "{stopped}");
    }
    let streams = session.run("set fwd txonly") + &session.run("start");
    assert!(streams.contains("packet len=64 - nb packet segments=1\n"), "{streams}");
    std::thread::sleep(std::time::Duration::from_millis(100));
    let stopped = session.run("stop");
    assert!(number(&stopped, "Accumulated", "TX-packets:") > 64, "{stopped}");
    session.quit();
}

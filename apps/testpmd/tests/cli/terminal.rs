//! What a script that types on a terminal relies on.

use crate::session::{NULL, PROGRAM, Session, arguments};
use iogate::testkit::{Frame, mac};
use rustix::process::Signal;
use std::time::Duration;

#[test]
fn the_prompt_is_bare_and_lines_end_in_cr_lf() {
    let mut session = Session::ready(&NULL, &[]);
    assert_eq!(session.within(Duration::from_millis(300)), "", "nothing follows the prompt");
    session.keys("show port info all\n");
    let answer = session.until("testpmd> ");
    assert!(answer.starts_with("show port info all\r\r\n\r\n****"), "{answer:?}");
    let lines: Vec<&str> = answer.split_terminator('\n').collect();
    let (prompt, lines) = lines.split_last().unwrap();
    assert!(lines.iter().all(|line| line.ends_with('\r')), "{answer:?}");
    assert_eq!(*prompt, "testpmd> ");
    assert!(!answer.contains('\x1b'), "no escape codes");
    // Blocks are what stands between empty lines.
    assert_eq!(answer.matches("\r\n\r\n****").count(), 2);
    session.quit();
}

#[test]
fn what_was_typed_ahead_is_kept_and_run_line_by_line() {
    let mut session = Session::start(PROGRAM, &arguments(&NULL, &["-i"]), b"\n");
    session.until("Done\r\n");
    assert_eq!(session.until("testpmd> \r\r\ntestpmd> "), "testpmd> \r\r\ntestpmd> ", "echo comes with the prompt");
    session.keys("set burst 7\n\nset burst 8\n");
    let expected = "set burst 7\r\r\nNumber of packets per burst set to 7\r\ntestpmd> \r\r\ntestpmd> \
                    set burst 8\r\r\nNumber of packets per burst set to 8\r\ntestpmd> ";
    assert_eq!(session.until("to 8\r\ntestpmd> "), expected);
    session.quit();
}

#[test]
fn empty_lines_and_comments_are_nothing() {
    let mut session = Session::ready(&NULL, &[]);
    for line in ["", "   ", "# a comment", "  # start"] {
        assert_eq!(session.run(line), "", "{line:?}");
    }
    assert_eq!(session.run("set verbose 0 # as before"), "Change verbose level from 0 to 0\n");
    session.quit();
}

#[test]
fn success_is_silent_where_the_original_is_and_errors_are_in_order() {
    let mut session = Session::ready(&["net_ring0", "net_ring1"], &[]);
    let silent = ["set promisc 0 off", "set promisc all on", "set allmulti 0 on", "set eth-peer 0 02:00:00:00:00:09"];
    for line in silent.into_iter().chain(["set txpkts 64,128", "set flush_rx off", "mac_addr add 0 00:00:00:00:00:01"])
    {
        assert_eq!(session.run(line), "", "{line}");
    }
    assert_eq!(session.run("nosuch"), "Command not found\n");
    assert_eq!(session.run("show port"), "Bad arguments\n");
    assert_eq!(session.run("show port info 7"), "Invalid port 7\nThe valid ports array is [ 0 1 ]\n");
    session.quit();
}

#[test]
fn long_lines_are_echoed_as_they_are() {
    let mut session = Session::ready(&NULL, &[]);
    let long = format!("set portlist {}0", "0,".repeat(700));
    assert_eq!(session.run(&long), "duplicated port 0 at index 0 and 1\n");
    // The line is full; what is typed beyond is not there.
    session.keys("x".repeat(3000) + "\n");
    let echo = session.until("Command not found");
    assert_eq!(echo.matches('x').count(), 2047);
    session.until("testpmd> ");
    session.quit();
}

#[test]
fn quit_says_what_it_does_and_ends_with_bye() {
    let text = Session::ready(&NULL, &[]).quit().replace("\r\n", "\n");
    let expected = "\nStopping port 0...\nStopping ports...\nDone\n\nStopping port 1...\nStopping ports...\nDone\n\
                    \nShutting down port 0...\nClosing ports...\nPort 0 is closed\nDone\n\
                    \nShutting down port 1...\nClosing ports...\nPort 1 is closed\nDone\n\nBye...\n";
    assert_eq!(text.replace('\r', ""), format!("quit\n{expected}"));
}

#[test]
fn what_packets_say_never_stands_behind_the_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.pcap");
    let frames: Vec<Vec<u8>> = (1..=3)
        .map(|n| Frame::ethernet(mac(n), mac(9)).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2000).build())
        .collect();
    iogate::testkit::write_pcap(&file, &frames).unwrap();
    let device = format!("net_pcap0,rx_pcap={},tx_pcap={}", file.display(), folder.path().join("out.pcap").display());
    let mut session = Session::ready(&[&device], &[]);
    assert_eq!(session.run("set verbose 1"), "Change verbose level from 0 to 1\n");
    let started = session.run("start");
    assert_eq!(session.within(Duration::from_millis(500)), "", "nothing behind the prompt");
    let answer = started + &session.run("show port stats all");
    assert!(answer.contains("port 0/queue 0: received 3 packets\n"), "{answer}");
    let line = "  src=02:00:00:00:00:01 - dst=02:00:00:00:00:09 - pool=mb_pool_0 - type=0x0800 - length=42 - nb_segs=1 \
                - hw ptype: ";
    assert!(answer.contains("src=") && answer.contains("pool=mb_pool_0 - type=0x0800 - length="), "{answer}\n{line}");
    assert!(
        answer.contains(
            "sw ptype: L2_ETHER L3_IPV4 L4_UDP  - l2_len=14 - l3_len=20 - l4_len=8 - Destination UDP port=2000"
        )
    );
    assert!(answer.contains("\n  ol_flags: RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN "), "{answer}");
    session.run("stop");
    session.run("set verbose 2");
    let mut answer = session.run("start tx_first 1");
    answer += &session.run("stop");
    assert!(answer.contains("port 0/queue 0: sent 32 packets\n  src="), "{answer}");
    session.quit();
}

#[test]
fn control_c_gives_a_new_prompt_and_control_d_ends() {
    let mut session = Session::ready(&NULL, &[]);
    session.keys("set burst\x03");
    assert_eq!(session.until("testpmd> "), "set burst\r\r\ntestpmd> ");
    assert_eq!(session.run("set burst 5"), "Number of packets per burst set to 5\n");
    session.keys([4]);
    let (text, status) = session.end();
    assert_eq!(status.code(), Some(0));
    assert!(text.trim_end().ends_with("Bye..."), "{text}");
}

#[test]
fn a_signal_stops_forwarding_and_ends_well() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut session = Session::ready(&NULL, &[]);
        session.run("start");
        session.signal(signal);
        let (text, status) = session.end();
        assert_eq!(status.code(), Some(0), "{text}");
        let order =
            ["Telling cores to stop...", "Accumulated forward statistics", "\nDone.", "Port 1 is closed", "Bye..."];
        let places: Vec<_> =
            order.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"))).collect();
        assert!(places.is_sorted(), "{text}");
    }
}

#[test]
fn keys_edit_recall_and_complete() {
    let mut session = Session::ready(&NULL, &[]);
    session.run("set burst 5");
    session.keys("\x1b[A\x7f6\n");
    assert!(session.until("testpmd> ").contains("Number of packets per burst set to 6\r\n"));
    session.keys("sta\t\n");
    assert!(session.until("testpmd> ").contains("start \r\r\n"));
    session.keys("set flush_rx ?");
    let listed = session.until("testpmd> set flush_rx ");
    assert!(listed.contains(" off: ") && listed.contains(" on: "), "{listed}");
    session.keys("\x15");
    session.until("\x08");
    session.keys("stop\n");
    session.until("Done.\r\ntestpmd> ");
    session.quit();
}

#[test]
fn top_takes_the_terminal_and_gives_it_back() {
    let mut session = Session::ready(&NULL, &[]);
    session.run("start");
    session.keys("top\n");
    // The other screen and back, the cursor hidden and shown.
    session.until("\x1b[?1049h");
    session.until("q leaves");
    session.keys("xq");
    session.until("\x1b[?1049l");
    session.until("testpmd> ");
    assert_eq!(session.run("set burst 5"), "Number of packets per burst set to 5\n", "and forwarding goes on");
    session.keys("top\n");
    session.until("q leaves");
    session.signal(Signal::TERM);
    let (text, status) = session.end();
    assert!(text.contains("\x1b[?1049l") && text.contains("Bye..."), "{text}");
    assert_eq!(status.code(), Some(0));
}

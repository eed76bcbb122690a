//! Options of the command line: what they change, beside the original where it is installed.

use crate::session::{NULL, ORIGINAL, PROGRAM, Session, arguments, original_is_there};

/// What is said before the prompt, and the answers of some commands.
fn answers(program: &str, options: &[&str], commands: &[&str]) -> (String, Vec<String>) {
    let own = [&["-i"], options].concat();
    let mut session = Session::start(program, &arguments(&NULL, &own), b"");
    let before = session.until("testpmd> ");
    // The original shows its first prompt before it takes over the terminal.
    session.keys("\n");
    session.until("testpmd> ");
    let answers = commands.iter().map(|command| session.run(command)).collect();
    session.quit();
    (before, answers)
}

/// Ours, and the original's if there is one.
fn programs() -> impl Iterator<Item = &'static str> {
    [PROGRAM].into_iter().chain(original_is_there().then_some(ORIGINAL))
}

/// The same of a program without software's help, which the original has not.
fn alike(program: &str, options: &[&str], commands: &[&str]) -> (String, Vec<String>) {
    let own: &[&str] = if program == PROGRAM { &["--soft-offloads=off"] } else { &[] };
    answers(program, &[own, options].concat(), commands)
}

#[test]
fn what_a_device_cannot_keeps_ports_from_starting() {
    for program in programs() {
        let run = |options: &[&str], commands: &[&str]| alike(program, options, commands);
        let failed = "Invalid number of mempools 1\nFail to configure port 0 rx queues\n";
        let (before, said) = run(&["--multi-rx-mempool"], &["port start all"]);
        assert!(before.replace('\r', "").contains(&format!("{failed}Start ports failed\n")), "{program}: {before}");
        assert!(said[0].ends_with(failed) && !said[0].contains("Done"), "{program}: {said:?}");
        let failed = "Port 0 doesn't support requested multi-rx-mempool configuration.\n";
        let (before, _) = run(&["--multi-rx-mempool", "--mbuf-size=2176,1024"], &[]);
        assert!(before.replace('\r', "").contains(failed), "{program}: {before}");
        let (before, _) = run(&["--flow-isolate-all"], &[]);
        let failed = "Failed to apply isolated mode on port 0\nStart ports failed\n";
        assert!(before.replace('\r', "").contains(failed), "{program}: {before}");
    }
}

#[test]
fn what_devices_need_not_care_for_changes_nothing() {
    const IGNORED: [&str; 9] = [
        "--rxq-share",
        "--eth-link-speed=10000",
        "--hot-plug",
        "--max-lro-pkt-size=9000",
        "--hairpinq=0",
        "--hairpin-mode=0x10",
        "--vxlan-gpe-port=4791",
        "--geneve-parsed-port=6082",
        "--flowgen-clones=3",
    ];
    const ASKED: [&str; 3] = ["show config rxtx", "show port 0 rx_offload configuration", "show port summary 0"];
    let mac = |answer: &String| answer.split_whitespace().filter(|word| word.len() != 17).collect::<Vec<_>>().join(" ");
    let said: Vec<Vec<String>> =
        programs().map(|program| alike(program, &IGNORED, &ASKED).1.iter().map(mac).collect()).collect();
    assert!(said.iter().all(|answers| *answers == said[0]), "{said:?}");
    assert!(said[0][2].contains("net_null0 net_null up 10 Gbps"), "{said:?}");
}

#[test]
fn rules_outlive_a_stop_when_they_are_to() {
    const RULE: &str = "flow create 0 ingress pattern eth / end actions drop / end";
    let listed = |options: &[&str]| {
        let steps = [RULE, "port stop 0", "flow list 0", "port start 0", "flow query 0 0 count", "flow list 0"];
        answers(PROGRAM, options, &steps).1
    };
    let kept = listed(&["--disable-flow-flush"]);
    assert!(kept[2].contains("0\t0\t0\ti--\tETH => DROP") && kept[2] == kept[5], "{kept:?}");
    assert_eq!(listed(&[])[5], "");
}

#[test]
fn ports_can_start_isolated() {
    // All that null ports receive is refused, as no rule asks for it.
    let mut session = Session::ready(&NULL, &["--flow-isolate-all", "--forward-mode=rxonly"]);
    session.run("start");
    for _ in 0..2 {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while session.run("show port xstats 0").contains("rx_soft_rule_dropped_packets: 0\n") {
            assert!(std::time::Instant::now() < deadline);
        }
        let stats = session.run("stop") + &session.run("show port stats 0");
        assert!(stats.contains("RX-packets: 0 "), "{stats}");
        // It is so after another start.
        session.run("port stop all");
        session.run("clear port xstats all");
        session.run("port start all");
        session.run("start");
    }
    session.run("stop");
    session.quit();
}

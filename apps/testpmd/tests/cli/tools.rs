//! The tools that people drive a testpmd with: pexpect, a shell's pipes and here-documents, DPDK's telemetry client.

use crate::session::{NULL, PROGRAM, arguments};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a program runs; a test without its tool has nothing to show.
fn there(program: &str, arguments: &[&str]) -> bool {
    let quiet = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let there = quiet.is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("{program} {arguments:?} does not run: see scripts/setup --tests");
    }
    there
}

/// The distribution's, which has its packages.
const PYTHON: &str = "/usr/bin/python3";

#[test]
fn pexpect_types_a_session() {
    if !there(PYTHON, &["-c", "import pexpect"]) {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/session.py");
    let output = Command::new(PYTHON).arg(script).arg(PROGRAM).args(arguments(&NULL, &["-i"])).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// Runs a line of shell in which `$TESTPMD` is the program with its arguments.
fn shell(line: &str) -> Output {
    let testpmd = [&[PROGRAM.to_owned()], &arguments(&NULL, &["-i"])[..]].concat().join(" ");
    Command::new("sh").args(["-c", line]).env("TESTPMD", testpmd).output().unwrap()
}

#[test]
fn a_shell_pipes_commands_with_pauses_and_as_a_here_document() {
    let lines = [
        "(sleep 0.5; echo start; sleep 0.5; echo 'show port stats all'; echo stop; echo quit) | $TESTPMD",
        "$TESTPMD <<end\nstart\nshow port stats all\nstop\nquit\nend",
    ];
    for line in lines {
        let output = shell(line);
        let stdout = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{line}: {stdout}");
        // In order, each behind the prompt that it was typed at.
        let order = [
            "testpmd> start\r\n",
            "testpmd> show port stats all\r\n",
            "NIC statistics for port 1",
            "testpmd> stop\r\n",
            "Accumulated forward statistics",
            "\nDone.\n",
            "testpmd> quit\r\n",
            "Bye...\n",
        ];
        let mut rest = stdout.as_str();
        for part in order {
            let at = rest.find(part).unwrap_or_else(|| panic!("{line}: no {part:?} in its place: {stdout}"));
            rest = &rest[at + part.len()..];
        }
        assert_eq!(rest, "", "{line}");
    }
}

#[test]
fn it_starts_with_256_megabytes_and_nothing_said_of_buffers() {
    let arguments = "-l 0-1 --no-huge -m 256 --no-shconf --no-pci --vdev=net_null0 --vdev=net_null1 --vdev=net_null2 \
                     --vdev=net_null3 -- -i";
    let output = shell(&format!("echo start | {PROGRAM} {arguments}"));
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", text(&output.stderr));
    assert!(stdout.contains("io packet forwarding - ports=4") && stdout.contains("Accumulated"), "{stdout}");
}

/// Asks DPDK's client; its answers, one for each path.
fn telemetry(prefix: &str, paths: &[&str]) -> Vec<Value> {
    let mut command = Command::new("dpdk-telemetry.py");
    command.args(["-f", prefix]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = command.spawn().unwrap();
    client.stdin.take().unwrap().write_all((paths.join("\n") + "\nquit\n").as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    let stdout = text(&output.stdout);
    // On a terminal it says where it is connected first, as JSON too, and prompts stand before answers.
    let json = |line: &str| serde_json::from_str::<Value>(&line[line.find('{')?..]).ok();
    let answers: Vec<Value> = stdout.lines().filter_map(json).collect();
    assert!(answers.len() >= paths.len(), "{stdout}{}", text(&output.stderr));
    answers[answers.len() - paths.len()..].to_vec()
}

#[test]
fn dpdks_telemetry_client_gets_its_answers() {
    if !there("dpdk-telemetry.py", &["--help"]) {
        return;
    }
    let prefix = format!("tp-telemetry-{}", std::process::id());
    let mut command = Command::new(PROGRAM);
    command.args(["-l", "0-1", "--no-huge", "-m", "128", "--no-pci", "--file-prefix", &prefix]);
    command.args(["--vdev=net_null0", "--vdev=net_null1", "--", "-i", "--total-num-mbufs=8192"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut keys, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    keys.write_all(b"start\nset burst 9\n").unwrap();
    let mut line = String::new();
    while !line.contains("burst set to 9") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "it has ended");
    }
    let paths = ["/ethdev/list", "/ethdev/stats,0", "/ethdev/info,1", "/ethdev/link_status,0", "/ethdev/xstats,0"];
    let answers = telemetry(&prefix, &paths);
    assert_eq!(answers[0]["/ethdev/list"], serde_json::json!([0, 1]));
    assert!(answers[1]["/ethdev/stats"]["ipackets"].is_u64(), "{}", answers[1]);
    assert_eq!(answers[2]["/ethdev/info"]["name"], "net_null1");
    assert!(answers[3]["/ethdev/link_status"]["status"].is_string(), "{}", answers[3]);
    assert!(answers[4]["/ethdev/xstats"]["rx_good_packets"].is_u64(), "{}", answers[4]);
    keys.write_all(b"quit\n").unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("Bye...\n") && child.wait().unwrap().success(), "{rest}");
}

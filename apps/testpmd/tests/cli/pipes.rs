//! Scripts: pipes, files, `--exec`.

use crate::session::{NULL, PROGRAM, arguments};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Runs it with `lines` on a pipe, each after a while.
fn piped(own: &[&str], lines: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments(&NULL, own)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for line in lines {
        // It may have quit before the last ones.
        drop(stdin.write_all(line.as_bytes()));
        sleep(Duration::from_millis(20));
    }
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_pipe_is_echoed_and_its_end_is_the_end() {
    let output = piped(&["-i"], &["start\n", "nosuch\n", "show port summary 0\n", "set burst 9"]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "commands that fail do not matter: {stdout}");
    for part in ["testpmd> start\r\n", "testpmd> nosuch\r\n", "Number of available ports: 2\n", "burst set to 9\n"] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    assert!(text(&output.stderr).contains("Command not found\n"));
    assert!(stdout.ends_with("\nBye...\n"), "{stdout}");
}

#[test]
fn a_here_document_runs_and_quit_leaves_the_rest() {
    let output = piped(&["-i"], &["start\nstop\nquit\nset burst 3\n"]);
    let stdout = text(&output.stdout);
    assert!(stdout.contains("testpmd> stop\r\nTelling cores to stop...\n"), "{stdout}");
    assert!(!stdout.contains("burst set to"), "{stdout}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn files_of_commands_run_before_the_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let (shown, hidden) = (folder.path().join("shown"), folder.path().join("hidden"));
    std::fs::write(&shown, "# first\nset burst 11\n\nset verbose 0\n").unwrap();
    std::fs::write(&hidden, "set burst 12\n").unwrap();
    let (file, quiet) =
        (format!("--cmdline-file={}", shown.display()), format!("--cmdline-file-noecho={}", hidden.display()));
    let output = piped(&["-i", &file, &quiet], &["quit\n"]);
    let stdout = text(&output.stdout);
    let echo = format!("[{}] set burst 11\nNumber of packets per burst set to 11\n", shown.display());
    assert!(stdout.contains(&echo), "{stdout}");
    assert!(stdout.contains(&format!("Finished reading CLI commands from {}\n", shown.display())));
    assert!(stdout.contains("burst set to 12\n") && !stdout.contains("] set burst 12"), "{stdout}");
    assert_eq!(output.status.code(), Some(0));

    std::fs::write(&hidden, "set burst 513\nset burst 12\n").unwrap();
    let output = piped(&["-i", &quiet], &["quit\n"]);
    assert!(text(&output.stdout).contains("burst set to 12\n"), "it goes on");
    assert_eq!(output.status.code(), Some(1), "and tells at the end");
    let output = piped(&["-i", &quiet, "--keep-going"], &["quit\n"]);
    assert_eq!(output.status.code(), Some(0));
    let output = piped(&["-i", "--cmdline-file=/nosuch"], &["quit\n"]);
    assert!(text(&output.stderr).contains("Failed to create file based cmdline context: /nosuch"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn exec_runs_commands_and_fails_with_them() {
    let output = piped(&["--exec", "start; sleep 0.2; stop"], &[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(stdout.contains("Done.\n") && stdout.ends_with("Bye...\n"), "{stdout}");
    let output = piped(&["--exec", "start; nosuch; set burst 9"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!text(&output.stdout).contains("burst set to 9"), "it stops at the first that fails");
    let output = piped(&["--exec", "nosuch; set burst 9", "--keep-going"], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("burst set to 9"));
}

#[test]
fn json_is_json() {
    let commands = "wait link up; show port info all; show port stats all; show port xstats 0; show port summary all; \
                    show fwd stats all";
    let output = piped(&["-o", "json", "--exec", commands], &[]);
    assert_eq!(output.status.code(), Some(0));
    let stdout = text(&output.stdout);
    let lines: Vec<serde_json::Value> =
        stdout.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    let topics = ["port-info", "port-stats", "port-xstats", "port-summary", "fwd-stats"];
    let schemas: Vec<String> = topics.iter().map(|topic| format!("iogate-testpmd/{topic}/1")).collect();
    assert_eq!(lines.iter().map(|line| line["schema"].as_str().unwrap()).collect::<Vec<_>>(), schemas);
    assert_eq!(lines[0]["ports"][1]["name"], "net_null1");
    assert_eq!(lines[0]["ports"][0]["link"]["speed_mbps"], 10_000);
}

#[test]
fn without_a_prompt_it_forwards_until_it_is_told() {
    let output = piped(&[], &["\n"]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    for part in
        ["No commandline core given, start packet forwarding\n", "Press enter to exit\n", "\nDone.\n", "Bye...\n"]
    {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let before = Instant::now();
    let output = piped(&["--duration=0.5", "--stats-period=1"], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(before.elapsed() < Duration::from_secs(25));
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("Port statistics ====") && !stdout.contains('\x1b'),
        "plain where it is no terminal: {stdout}"
    );
}

#[test]
fn wrong_options_are_said_and_end_with_1() {
    for (option, why) in [
        ("--forward-mode=nosuch", "Invalid nosuch packet forwarding mode"),
        ("--nb-cores=9", "nb-cores should be > 0 and <= 1"),
        ("--nb-ports=9", "nb-ports should be > 0 and <= 2"),
        ("--portmask=0", "Invalid NULL mask of ports"),
        ("--portlist=0,7", "Invalid port 7"),
        ("--port-topology=foo", "port-topology foo invalid - must be: paired, chained or loop"),
        ("--rxq=0", "rxq 0 invalid"),
        ("--txpkts=10", "total packet length=10 < 42 - give up"),
        ("--nosuch", "unrecognized option '--nosuch'"),
    ] {
        let output = piped(&["-i", option], &[]);
        assert_eq!(output.status.code(), Some(1), "{option}");
        assert!(text(&output.stderr).contains(why), "{option}: {}", text(&output.stderr));
    }
}

#[test]
fn top_wants_a_terminal_and_says_so() {
    let output = piped(&["--exec", "start; top; stop"], &[]);
    assert!(text(&output.stderr).contains("top wants a terminal; for programs there is: "), "{output:?}");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

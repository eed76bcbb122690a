//! The command line, as a user meets it. Ports need no interface: rings and capture files.
#![forbid(unsafe_code)]

mod support;

use iogate::testkit::{Frame, mac, read_pcap, write_pcap};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use support::{Gateway, IOGATE, Summary, config, ended, iogate, must, path, rings, run, stderr, stdout, text};

const TOPICS: [&str; 7] = ["ports", "vnics", "networks", "classes", "drops", "workers", "runtime"];

// ------------------------------------------------------------------ check

#[test]
fn check_says_that_a_file_is_good() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/two-servers.toml");
    let output = iogate(&["check", example]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let printed = stdout(&output);
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], format!("{example}: good: 2 links, 2 uplinks, 2 networks, 4 adapters"));
    assert!(lines[1].starts_with("CORE"), "{printed}");
    assert!(lines.len() == 3 && lines[2].contains("eth-srv1:0, eth-srv2:0, net-a:0, san-a:0"), "{printed}");
    assert_eq!(stderr(&output), "");
    let trunks = iogate(&["check", concat!(env!("CARGO_MANIFEST_DIR"), "/examples/trunks.toml")]);
    let enough = iogate::worker::cores().starts_with(&[0, 1]);
    assert_eq!(trunks.status.code(), Some(if enough { 0 } else { 2 }), "{}", text(&trunks));
}

const BAD: &str = r#"schema = 1
[gateway]
name = "gw-t"
socket = "SOCKET"
mtu = 63
[[link]]
name = "eth-srv1"
port = "ring"
colour = "red"
[[vnic]]
name = "srv1.net"
link = "eth-srv2"
mac = "02:00:00:00:00:01"
network = "prod"
"#;

/// What is wrong with [`BAD`], with the file's name before it.
fn all_of_bad(file: &str) -> [String; 4] {
    [
        format!("{file}:5: gateway: mtu = 63 is out of range; use 64..9018"),
        format!("{file}:9: link \"eth-srv1\": unknown key \"colour\"; remove it, or use one of "),
        format!("{file}:12: vnic \"srv1.net\": "),
        format!("{file}:14: vnic \"srv1.net\": "),
    ]
}

#[test]
fn check_and_run_say_everything_that_is_wrong_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket) = (folder.path().join("bad.toml"), folder.path().join("gw.sock"));
    fs::write(&file, BAD.replace("SOCKET", path(&socket))).unwrap();
    for verb in ["check", "run"] {
        let output = iogate(&[verb, path(&file)]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert_eq!(stdout(&output), "");
        let said = stderr(&output);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 4, "{said}");
        for (line, start) in lines.iter().zip(all_of_bad(path(&file))) {
            assert!(line.starts_with(&start), "{line}\nis not\n{start}");
        }
        // Nothing was begun: no EAL, no socket.
        assert!(!said.contains("EAL"), "{said}");
        assert!(!socket.exists());
    }
}

#[test]
fn a_device_that_is_two_ports_is_found_by_its_address() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let ports = "link = [{ name = \"l\", port = \"3b:02.0\" }, { name = \"m\", port = \"env:PCIDEVICE_OF_TEST/0\" }]";
    fs::write(file.path(), format!("schema = 1\ngateway = {{ name = \"gw-t\" }}\n{ports}\n")).unwrap();
    for command in ["check", "run"] {
        let check = |listed: &str| {
            Command::new(IOGATE).args([command, path(file.path())]).env("PCIDEVICE_OF_TEST", listed).output().unwrap()
        };
        let output = check("0000:3b:02.0");
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        let why = "link \"m\": port = \"env:PCIDEVICE_OF_TEST/0\" is 0000:3b:02.0, which is already that of link \"l\"; use another\n";
        assert!(stderr(&output).ends_with(why), "{}", text(&output));
    }
}

#[test]
fn what_is_no_configuration_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        path(&file).to_owned()
    };
    let of = [
        (path(&folder.path().join("none.toml")).to_owned(), "No such file"),
        (path(folder.path()).to_owned(), "is a directory"),
        (file("latin1.toml", b"schema = 1\n# \xe9\n"), "latin1.toml:2: is not UTF-8"),
        (file("syntax.toml", b"schema = 1\n[gateway\n"), "syntax.toml:2: TOML syntax"),
        (file("large.toml", &vec![b'#'; (1 << 20) + 1]), "is larger"),
        (file("empty.toml", b""), "schema is missing"),
    ];
    for (file, why) in of {
        for verb in ["check", "run"] {
            let output = iogate(&[verb, &file]);
            assert_eq!(output.status.code(), Some(2), "{}", text(&output));
            assert!(stderr(&output).contains(&file) && stderr(&output).contains(why), "{why}: {}", text(&output));
        }
    }
}

// ------------------------------------------------------------------ run that cannot

/// The exit code is 1, all of `words` are said behind `iogate: `, and nothing is left behind.
fn fails_to_start(config: &str, words: &[&str]) {
    let mut folder = Some(tempfile::tempdir().unwrap());
    let (file, socket) = {
        let at = folder.as_ref().unwrap().path();
        (at.join("gw.toml"), at.join("gw.sock"))
    };
    fs::write(&file, config.replace("SOCKET", path(&socket))).unwrap();
    let output = iogate(&["run", path(&file)]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let said = stderr(&output);
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("iogate: "), "{said}");
    for word in words {
        assert!(last.contains(word), "{word} is not in: {said}");
    }
    assert!(!stdout(&output).contains("ready"), "{}", text(&output));
    let left: Vec<_> = fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["gw.toml"], "only the configuration is left");
    drop(folder.take());
}

#[test]
fn a_port_that_cannot_be_opened_says_what_where_why_and_the_mend() {
    for port in ["af_xdp:no-such-if", "af_packet:no-such-if"] {
        fails_to_start(&config(port, "ring", ""), &["link \"eth-srv1\"", port, "no interface no-such-if", "ip link"]);
        fails_to_start(&config("ring", port, ""), &["uplink \"net-a\"", port, "no interface no-such-if", "ip link"]);
    }
    let words = ["link \"eth-srv1\"", "/nowhere.pcap", "No such file", "must exist"];
    fails_to_start(&config("pcap:rx_pcap=/nowhere.pcap", "ring", ""), &words);
    let words = ["link \"eth-srv1\"", "vhost:/nowhere/x.sock", "the folder must exist and be writable"];
    fails_to_start(&config("vhost:/nowhere/x.sock", "ring", ""), &words);
}

#[test]
fn too_little_memory_says_how_much_it_wants_and_how_to_get_it() {
    let small = config("ring", "ring", "memory_mb = 64\nmbuf.size = 32768\nhuge_pages = \"never\"");
    fails_to_start(&small, &["mbuf of [gateway]", "KiB wanted for 2048 buffers of 32768 bytes", "give EAL"]);
}

#[test]
fn a_core_that_is_not_there_is_wrong_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket) = (folder.path().join("gw.toml"), folder.path().join("gw.sock"));
    let text = rings() + "[[worker]]\nqueues = [\"eth-srv1:0\", \"net-a:0\"]\ncore = 1000\n";
    fs::write(&file, text.replace("SOCKET", path(&socket))).unwrap();
    let wrong = format!("{}:{}: worker on core 1000: core = 1000 is not there", path(&file), text.lines().count());
    for verb in ["check", "run"] {
        let output = iogate(&[verb, path(&file)]);
        assert_eq!(output.status.code(), Some(2), "{}", support::text(&output));
        let said = stderr(&output);
        assert!(said.starts_with(&wrong) && said.contains("use one of ") && said.lines().count() == 1, "{said}");
        assert!(!socket.exists());
    }
}

#[test]
fn a_socket_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    fs::write(&blocked, "mine").unwrap();
    fails_to_start(&rings().replace("SOCKET", path(&blocked.join("gw.sock"))), &["cannot make the folder", "file"]);
    // What is there and is no socket is not touched.
    fails_to_start(
        &rings().replace("SOCKET", path(&blocked)),
        &[path(&blocked), "is no socket", "remove it or choose"],
    );
    assert_eq!(fs::read_to_string(&blocked).unwrap(), "mine");
}

#[test]
fn without_permission_it_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (file, program) = (folder.path().join("gw.toml"), folder.path().join("iogate"));
    // Where anybody may read it, wherever the build folder is.
    fs::copy(IOGATE, &program).unwrap();
    let socket = folder.path().join("gw.sock");
    fs::write(&file, config("af_packet:lo", "ring", "").replace("SOCKET", path(&socket))).unwrap();
    let mut command = Command::new("timeout");
    command.args(["20", path(&program), "run", path(&file)]).stdin(Stdio::null());
    if must("id", &["-u"]).trim() == "0" {
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let said = stderr(&output);
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("iogate: link \"eth-srv1\": port af_packet:lo: "), "{said}");
    assert!(last.contains("CAP_NET_RAW"), "{said}");
    assert!(!socket.exists());
}

// ------------------------------------------------------------------ run and show

#[test]
fn every_topic_is_shown_as_text_and_as_json() {
    let gateway = Gateway::start(None, &rings());
    for topic in TOPICS {
        let text = gateway.show_text(topic, &[]);
        assert!(text.ends_with('\n') && !text.contains('\u{1b}'), "{text}");
        let json = gateway.show_text(topic, &["-o", "json"]);
        assert_eq!(json.lines().count(), 1, "{json}");
        let report: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&report["schema"], &report["gateway"]), (&Value::from(1), &Value::from("gw-t")), "{json}");
        assert!(report["uptime_s"].as_u64().is_some_and(|seconds| seconds < 60), "{json}");
        assert!(report.get(topic).is_some(), "{json}");
    }
    let head = |topic| gateway.show_text(topic, &[]).lines().next().unwrap_or_default().to_owned();
    assert!(head("ports").starts_with("NAME"));
    assert_eq!(gateway.show_text("drops", &[]), "nothing was dropped\n");
    let ports = gateway.show("ports");
    let names: Vec<_> = ports.as_array().unwrap().iter().map(|row| (&row["name"], &row["role"], &row["up"])).collect();
    assert_eq!(
        names.iter().map(|(name, role, up)| format!("{name} {role} {up}")).collect::<Vec<_>>(),
        ["\"eth-srv1\" \"link\" true", "\"net-a\" \"uplink\" true"]
    );
    assert_eq!(gateway.show("networks")[0]["active"], "net-a");
    assert_eq!(gateway.show("vnics")[0]["networks"][0], "prod");
    assert_eq!(gateway.show("classes").as_array().map(Vec::len), Some(7));
    let worker = &gateway.show("workers")[0];
    assert_eq!(worker["queues"], serde_json::json!(["eth-srv1:0", "net-a:0"]));
    assert_eq!(worker["idle"], "adaptive");
    assert!(worker["round_ns_p50"].is_null(), "no round had packets: {worker}");
    assert_eq!(gateway.show("runtime")["totals"]["received"], 0);
    gateway.stop();
}

/// Frames in a capture file go through the gateway into another, with the tag of the uplink; no privilege is needed.
#[test]
fn files_of_frames_go_through_and_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
    let frame = |number: u8| Frame::ethernet(mac(1), mac(0x99)).payload([number; 86]);
    let frames: Vec<_> = (0..10).map(|number| frame(number).build()).collect();
    let foreign = Frame::ethernet(mac(2), mac(0x99)).payload([7; 50]).build();
    let circular = Frame::ethernet(mac(1), mac(1)).payload([7; 60]).build();
    write_pcap(&input, frames.iter().chain([&foreign, &circular])).unwrap();
    let link = format!("pcap:rx_pcap={}", path(&input));
    let uplink = format!("pcap:tx_pcap={}", path(&output));
    let gateway = Gateway::start(None, &config(&link, &uplink, ""));
    let read = support::wait(Duration::from_secs(10), || {
        (gateway.show("runtime")["totals"]["received"] == 12 && gateway.show("ports")[1]["tx"]["packets"] == 10)
            .then_some(())
    });
    assert!(read.is_some(), "{}", gateway.show("runtime"));
    let vnic = &gateway.show("vnics")[0];
    assert_eq!(vnic["from_server"], serde_json::json!({"packets": 10, "bytes": 1000}));
    assert_eq!(vnic["dropped"], serde_json::json!({"packets": 1, "bytes": 74}));
    let table = gateway.show_text("vnics", &[]);
    assert!(table.lines().nth(1).is_some_and(|row| row.trim_end().ends_with(" 74 B")), "{table}");
    let drops = gateway.show("drops");
    let mut rows: Vec<_> =
        drops.as_array().unwrap().iter().map(|row| (row["reason"].as_str(), &row["bytes"])).collect();
    rows.sort_by_key(|(reason, _)| *reason);
    assert_eq!(rows, [(Some("to-itself"), &74.into()), (Some("unknown-source-mac"), &64.into())]);
    assert_eq!(gateway.stop(), Summary { received: 12, generated: 0, sent: 10, dropped: 2 });
    let sent: Vec<_> = (0..10).map(|number| frame(number).priority(110, 0).build()).collect();
    assert_eq!(read_pcap(&output).unwrap(), sent);
}

/// Runs shell commands in a network namespace of their own: `$0` is the program, `$1` the file of a gateway between two
/// interfaces, `one` of the server and `two` of the uplink, and `$2` its socket.
fn between_two_interfaces(test: &str, commands: &str) -> Option<Output> {
    if !run("unshare", &["--net", "--mount", "true"]).status.success() {
        iogate::testkit::skip(test, "namespaces need root");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let (file, socket) = (folder.path().join("gw.toml"), folder.path().join("gw.sock"));
    fs::write(&file, config("af_packet:one", "af_packet:two", "").replace("SOCKET", path(&socket))).unwrap();
    let commands = format!("set -e; mount -t sysfs sysfs /sys; {commands}");
    let output = run("unshare", &["--net", "--mount", "sh", "-c", &commands, IOGATE, path(&file), path(&socket)]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    Some(output)
}

#[test]
fn an_mtu_that_is_raised_is_said() {
    let commands = "ip link add one mtu 1000 type veth peer name two
        ip link set one up; ip link set two mtu 2000 up; \"$0\" run \"$1\" &
        for i in $(seq 100); do \"$0\" show ports --socket \"$2\" && break; sleep 0.1; done; kill $!; wait $!
        cat /sys/class/net/one/mtu /sys/class/net/two/mtu";
    let Some(output) = between_two_interfaces("an_mtu_that_is_raised_is_said", commands) else { return };
    let raised = "link \"eth-srv1\": the MTU of interface one was 1000, is 1500 now and remains so";
    assert_eq!(stderr(&output).matches("the MTU of interface").count(), 1, "{}", text(&output));
    assert!(stderr(&output).contains(raised) && stdout(&output).ends_with("\n1500\n2000\n"), "{}", text(&output));
}

#[test]
fn a_network_without_an_uplink_is_said() {
    let commands = "ip link add one type veth peer name two; \"$0\" run \"$1\" &
        for i in $(seq 100); do \"$0\" show ports --socket \"$2\" && break; sleep 0.1; done
        ip link set one up; ip link set two up
        for i in $(seq 100); do \"$0\" show networks --socket \"$2\" | grep -w net-a && break; sleep 0.1; done
        kill $!; wait $!";
    let Some(output) = between_two_interfaces("a_network_without_an_uplink_is_said", commands) else { return };
    let said = stderr(&output);
    let at_first = said.find("network \"prod\": no uplink is up: net-a\n");
    let later = said.find("network \"prod\": uplink net-a instead of none\n");
    assert!(at_first.is_some() && at_first < later, "{said}");
}

// ------------------------------------------------------------------ the end

#[test]
fn signals_end_it_well() {
    for name in ["TERM", "INT"] {
        let gateway = Gateway::start(None, &rings());
        let nothing = Summary { received: 0, generated: 0, sent: 0, dropped: 0 };
        assert_eq!(gateway.stop_by(name), nothing, "SIG{name}");
    }
}

#[test]
fn stop_waits_until_everything_is_closed() {
    let mut gateway = Gateway::start(None, &rings());
    let output = iogate(&["stop", "--socket", path(&gateway.socket())]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(text(&output), "");
    assert!(!gateway.socket().exists());
    assert!(gateway.log().contains("2048 of 2048 buffers are home"), "{}", gateway.log());
    gateway.end();
}

#[test]
fn a_signal_during_the_start_is_heeded() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::launch(None, &rings(), folder);
    let begun = support::wait(Duration::from_secs(10), || gateway.socket().exists().then_some(()));
    assert!(begun.is_some());
    support::signal(gateway.pid(), "TERM");
    gateway.end();
}

#[test]
fn a_gateway_without_a_terminal_or_a_reader_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket) = (folder.path().join("gw.toml"), folder.path().join("gw.sock"));
    fs::write(&file, rings().replace("SOCKET", path(&socket))).unwrap();
    let mut child = Command::new(IOGATE)
        .args(["run", path(&file)])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let shown = support::wait(Duration::from_secs(10), || {
        iogate(&["show", "ports", "--socket", path(&socket)]).status.success().then_some(())
    });
    support::signal(child.id(), "TERM");
    let status = ended(&mut child, Duration::from_secs(10));
    if status.is_none() {
        drop(child.kill());
    }
    assert!(shown.is_some());
    assert_eq!(status.and_then(|status| status.code()), Some(0));
}

// ------------------------------------------------------------------ the rest of the command line

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for (args, why) in [
        (&["show", "moon"][..], "ports, vnics, networks, classes, drops, workers, runtime"),
        (&["show", "ports", "-o", "xml"], "text, json"),
        (&["show"], "<TOPIC>"),
        (&["run"], "<FILE>"),
        (&["fly"], "unrecognized subcommand"),
        (&["run", "a.toml", "b.toml"], "unexpected argument"),
        (&[], "Usage: iogate"),
    ] {
        let output = iogate(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output));
        assert!(stderr(&output).contains(why), "{args:?}: {}", text(&output));
    }
}

#[test]
fn help_and_version_are_there() {
    assert_eq!(must(IOGATE, &["--version"]), format!("iogate {}\n", env!("CARGO_PKG_VERSION")));
    let help = must(IOGATE, &["--help"]);
    for word in ["run", "check", "show", "stop", "completions", "man", "Exit codes"] {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
}

#[test]
fn a_log_level_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket) = (folder.path().join("gw.toml"), folder.path().join("gw.sock"));
    fs::write(&file, rings().replace("SOCKET", path(&socket))).unwrap();
    let by_env = Command::new(IOGATE).args(["run", path(&file)]).env("IOGATE_LOG", "nonsense").output().unwrap();
    for output in [iogate(&["run", path(&file), "--log", "nonsense"]), by_env] {
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        for part in ["nonsense", "--log <LEVEL>", "error, warn, info, debug, trace"] {
            assert!(stderr(&output).contains(part), "{part} is not in {}", text(&output));
        }
        assert!(!socket.exists());
    }
}

#[test]
fn shells_get_their_completions() {
    for (shell, word) in [("bash", "complete -F _iogate"), ("zsh", "#compdef iogate"), ("fish", "complete -c iogate")] {
        let script = must(IOGATE, &["completions", shell]);
        for part in [word, "completions", "show", "socket"] {
            assert!(script.contains(part), "{part} is not in the script for {shell}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("iogate.bash");
    fs::write(&file, must(IOGATE, &["completions", "bash"])).unwrap();
    must("bash", &["-n", path(&file)]);
    // What it offers after `iogate show`.
    let offer = format!(
        "source {}; COMP_WORDS=(iogate show n); COMP_CWORD=2; _iogate iogate n show; echo \"${{COMPREPLY[*]}}\"",
        path(&file)
    );
    assert_eq!(must("bash", &["-c", &offer]).trim(), "networks");
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    for command in ["completions bash", "completions zsh", "check /nowhere", "--help"] {
        let shell = format!("set -o pipefail; \"$0\" {command} 2>&1 | true; echo ${{PIPESTATUS[0]}}");
        let code = must("bash", &["-c", &shell, IOGATE]);
        assert!(["0\n", "2\n"].contains(&code.as_str()), "{command}: {code}");
    }
}

#[test]
fn manual_pages_are_written() {
    let folder = tempfile::tempdir().unwrap();
    must(IOGATE, &["man", path(folder.path())]);
    let mut pages: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    pages.sort();
    for page in ["iogate.1", "iogate-run.1", "iogate-check.1", "iogate-show.1", "iogate-stop.1"] {
        assert!(pages.iter().any(|other| other == page), "{page} is not among {pages:?}");
    }
    let main = fs::read_to_string(folder.path().join("iogate.1")).unwrap();
    assert!(main.contains(".TH iogate 1") && main.contains("Exit codes"), "{main}");
    let output = iogate(&["man", "/nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot write manual pages into /nowhere"), "{}", text(&output));
}

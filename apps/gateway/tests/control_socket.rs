//! The gateway's socket: who has it, what it answers, and who finds it.
#![forbid(unsafe_code)]

mod support;

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Gateway, IOGATE, Summary, iogate, must, path, rings, run, stderr, stdout, text};

#[test]
fn without_a_gateway_show_and_stop_fail() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = folder.path().join("gw.sock");
    for args in [&["show", "ports"][..], &["show", "drops", "-o", "json"], &["stop"]] {
        let args = [args, &["--socket", path(&nothing)]].concat();
        let output = iogate(&args);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert_eq!(stdout(&output), "");
        assert!(stderr(&output).contains("no gateway answers on") && stderr(&output).contains(path(&nothing)));
    }
}

/// In a mount namespace of its own, so that no other gateway is in sight.
#[test]
fn the_only_socket_there_is_is_found() {
    if !run("unshare", &["--mount", "true"]).status.success() {
        return iogate::testkit::skip("the_only_socket_there_is_is_found", "mount namespaces need root");
    }
    let inside = |commands: &str| {
        let commands = format!("mount -t tmpfs tmpfs /run; mkdir /run/iogate; {commands}");
        run("unshare", &["--mount", "sh", "-c", &commands, IOGATE])
    };
    let none = inside("\"$0\" show ports");
    assert_eq!(none.status.code(), Some(1), "{}", text(&none));
    assert!(stderr(&none).contains("no gateway answers in /run/iogate; start one"), "{}", text(&none));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), rings().replace("socket = \"SOCKET\"\n", "")).unwrap();
    let second = tempfile::NamedTempFile::new().unwrap();
    fs::write(second.path(), fs::read_to_string(file.path()).unwrap().replace("gw-t", "gw-u")).unwrap();
    // Runs a gateway and waits until it answers on the socket that it has by its name.
    let start = |name: &str, file: &Path| {
        let show = format!("\"$0\" show networks --socket /run/iogate/{name}.sock");
        let answers = format!("for i in $(seq 100); do {show} >/dev/null 2>&1 && break; sleep 0.1; done");
        format!("\"$0\" run {} & {answers}", path(file))
    };
    let first = start("gw-t", file.path());
    let one = inside(&format!("{first}; \"$0\" show networks && \"$0\" stop; wait $!"));
    assert_eq!(one.status.code(), Some(0), "{}", text(&one));
    assert!(stdout(&one).contains("prod") && stdout(&one).contains("control socket /run/iogate/gw-t.sock"));
    // What a killed gateway left is none.
    let stale = inside(&format!("{first}; kill -9 $!; wait $!; ls /run/iogate; \"$0\" show ports"));
    assert_eq!(stale.status.code(), Some(1), "{}", text(&stale));
    assert!(stdout(&stale).contains("gw-t.sock"), "it left its socket");
    assert!(stderr(&stale).contains("no gateway answers in /run/iogate; start one"), "{}", text(&stale));
    let beside = start("gw-u", second.path());
    let beside =
        inside(&format!("{first}; kill -9 $!; wait $!; {beside}; \"$0\" show networks && \"$0\" stop; wait $!"));
    assert_eq!(beside.status.code(), Some(0), "{}", text(&beside));
    let several = start("gw-u", second.path());
    let several = inside(&format!("{first}; a=$!; {several}; \"$0\" stop; code=$?; kill $a $!; wait; exit $code"));
    assert_eq!(several.status.code(), Some(1), "{}", text(&several));
    assert!(stderr(&several).contains("name one with --socket: /run/iogate/gw-t.sock, /run/iogate/gw-u.sock"));
}

#[test]
fn the_socket_can_come_from_the_environment() {
    let gateway = Gateway::start(None, &rings());
    let show = |socket: &Path| {
        Command::new(IOGATE).args(["show", "vnics"]).env("IOGATE_SOCKET", socket).output().unwrap().status.code()
    };
    assert_eq!(show(&gateway.socket()), Some(0));
    assert_eq!(show(Path::new("/nowhere/gw.sock")), Some(1));
    gateway.stop();
}

#[test]
fn a_second_gateway_on_one_socket_is_refused() {
    let gateway = Gateway::start(None, &rings());
    let second = iogate(&["run", path(&gateway.config())]);
    assert_eq!(second.status.code(), Some(1), "{}", text(&second));
    let said = stderr(&second);
    assert!(said.contains(path(&gateway.socket())) && said.contains("a gateway runs here already"), "{said}");
    // Before it touched anything.
    assert!(!said.contains("EAL"), "{said}");
    assert_eq!(gateway.show("networks")[0]["name"], "prod", "the first one still answers");
    gateway.stop();
}

#[test]
fn after_kill_9_nothing_needs_to_be_cleaned() {
    let gateway = Gateway::start(None, &rings());
    let folder = gateway.kill();
    assert!(folder.path().join("gw.sock").exists(), "a killed gateway leaves its socket");
    let output = iogate(&["show", "ports", "--socket", path(&folder.path().join("gw.sock"))]);
    assert_eq!(output.status.code(), Some(1));
    let again = Gateway::restart(None, folder);
    assert_eq!(again.show("vnics")[0]["name"], "srv1.net");
    again.stop();
}

#[test]
fn only_its_owner_and_group_may_use_the_socket() {
    let gateway = Gateway::start(None, &rings());
    assert_eq!(fs::metadata(gateway.socket()).unwrap().permissions().mode() & 0o777, 0o660);
    gateway.stop();
}

/// What a client that is no `iogate` is answered.
fn ask(gateway: &Gateway, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(gateway.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    answer
}

#[test]
fn what_is_not_understood_is_refused_and_does_no_harm() {
    let gateway = Gateway::start(None, &rings());
    let garbage: Vec<u8> = (0..300_u32).map(|n| (n * 7) as u8 | 0x80).chain(*b"\n").collect();
    let of: [(&[u8], &str); 9] = [
        (b"\n", "not understood"),
        (b"show ports\n", "not understood"),
        (b"{}\n", "not understood"),
        (b"{\"schema\":2,\"show\":\"ports\"}\n", "schema 2 is not known"),
        (b"{\"schema\":1}\n", "ask for one thing"),
        (b"{\"schema\":1,\"show\":\"ports\",\"stop\":true}\n", "ask for one thing"),
        (b"{\"schema\":1,\"show\":\"moon\"}\n", "not understood"),
        (b"{\"schema\":1,\"show\":\"ports\",\"more\":1}\n", "not understood"),
        (&garbage, "not understood"),
    ];
    for (request, why) in of {
        let answer: Value = serde_json::from_str(&ask(&gateway, request)).unwrap();
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(why)), "{answer}");
    }
    // What is too long is refused once, and its end is no request of its own. The gateway may hang up before it has
    // read everything.
    let smuggled = [vec![b' '; 4096], b"{\"schema\":1,\"stop\":true}\n".to_vec()].concat();
    for oversized in [[vec![b'['; 100_000], b"\n".to_vec()].concat(), smuggled] {
        let mut stream = UnixStream::connect(gateway.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(8))).unwrap();
        drop(stream.write_all(&oversized));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("at most 4096 bytes") && answer.lines().count() == 1, "{answer}");
    }
    // Two requests on one connection are answered in turn.
    let mut stream = UnixStream::connect(gateway.socket()).unwrap();
    stream.write_all(b"{\"schema\":1,\"show\":\"vnics\"}\n{\"schema\":1,\"show\":\"drops\"}\n").unwrap();
    let mut lines = BufReader::new(&stream).lines();
    assert!(lines.next().unwrap().unwrap().contains("\"vnics\":["));
    assert!(lines.next().unwrap().unwrap().contains("\"drops\":["));
    assert_eq!(gateway.show("runtime")["totals"]["dropped"], 0);
    gateway.stop();
}

#[test]
fn slow_and_vanishing_clients_hinder_nobody() {
    let gateway = Gateway::start(None, &rings());
    let connect = || UnixStream::connect(gateway.socket()).unwrap();
    let silent: Vec<UnixStream> = (0..50).map(|_| connect()).collect();
    let mut halfway = connect();
    halfway.write_all(b"{\"schema\":1,").unwrap();
    for _ in 0..50 {
        // Goes away before it is answered.
        connect().write_all(b"{\"schema\":1,\"show\":\"ports\"}\n").unwrap();
    }
    // Asks and asks, and never reads.
    let mut deaf = connect();
    deaf.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let requests = b"{\"schema\":1,\"show\":\"classes\"}\n".repeat(20_000);
    drop(deaf.write_all(&requests));

    let start = Instant::now();
    assert_eq!(gateway.show("networks")[0]["name"], "prod");
    assert!(start.elapsed() < Duration::from_secs(3), "answered after {:?}", start.elapsed());
    let start = Instant::now();
    gateway.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "stopped after {:?}", start.elapsed());
    drop((silent, halfway, deaf));
}

const NOTHING: Summary = Summary { received: 0, generated: 0, sent: 0, dropped: 0 };

#[test]
fn it_ends_also_when_its_socket_was_removed() {
    let gateway = Gateway::start(None, &rings());
    fs::remove_file(gateway.socket()).unwrap();
    assert_eq!(gateway.stop(), NOTHING);
}

#[test]
fn the_socket_of_somebody_else_is_left_alone() {
    let mut gateway = Gateway::start(None, &rings());
    fs::remove_file(gateway.socket()).unwrap();
    let other = UnixListener::bind(gateway.socket()).unwrap();
    other.set_nonblocking(true).unwrap();
    support::signal(gateway.pid(), "TERM");
    assert_eq!(gateway.end_but_for_the_socket(), NOTHING);
    assert!(gateway.socket().exists());
    assert!(other.accept().is_err(), "nobody connected to it");
}

#[test]
fn a_socket_that_says_not_whether_it_is_in_use_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket) = (folder.path().join("gw.toml"), folder.path().join("gw.sock"));
    let _other = UnixDatagram::bind(&socket).unwrap();
    fs::write(&file, rings().replace("SOCKET", path(&socket))).unwrap();
    let output = iogate(&["run", path(&file)]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let said = stderr(&output);
    for part in [path(&socket), "a socket is there", "Protocol wrong type", "remove it or choose"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(socket.exists());
}

/// Processor time of the thread that accepts clients, in ticks of 10 ms.
fn ticks(gateway: &Gateway) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", gateway.pid())).unwrap();
    // A thread that ends meanwhile has no file any more.
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let own = stats.filter(|stat| stat.contains("(control)"));
    own.map(|stat| {
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    })
    .sum()
}

#[test]
fn without_a_descriptor_for_a_client_it_waits_and_goes_on() {
    let gateway = Gateway::start(None, &rings());
    let pid = gateway.pid().to_string();
    let limit = |soft: usize| must("prlimit", &["--pid", &pid, &format!("--nofile={soft}:")]);
    limit(3);
    // This one has its descriptor, since the gateway waits for it already.
    drop(UnixStream::connect(gateway.socket()).unwrap());
    let mut stream = UnixStream::connect(gateway.socket()).unwrap();
    stream.write_all(b"{\"schema\":1,\"show\":\"drops\"}\n").unwrap();
    let before = ticks(&gateway);
    std::thread::sleep(Duration::from_secs(1));
    let spent = ticks(&gateway) - before;
    assert!(spent < 20, "{spent} ticks in a second");
    limit(1024);
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert!(answer.contains("\"drops\":[]"), "{answer}");
    gateway.stop();
}

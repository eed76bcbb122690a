//! Runs the gateway's own program, and whatever else a test needs, each bounded in time.
#![allow(dead_code, reason = "each test crate uses its part")]

use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The program under test.
pub(crate) const IOGATE: &str = env!("CARGO_BIN_EXE_iogate");
/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `done` gives something; nothing when it takes too long.
pub(crate) fn wait<T>(longest: Duration, mut done: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + longest;
    loop {
        if let Some(value) = done() {
            return Some(value);
        }
        if Instant::now() > deadline {
            return None;
        }
        sleep(Duration::from_millis(10));
    }
}

/// Runs a command to its end, for at most 60 s.
pub(crate) fn run(program: &str, args: &[&str]) -> Output {
    let mut all = vec!["--kill-after=5", "60", program];
    all.extend(args);
    Command::new("timeout").args(all).stdin(Stdio::null()).output().expect("there is a timeout program")
}

/// Runs `iogate`.
pub(crate) fn iogate(args: &[&str]) -> Output {
    run(IOGATE, args)
}

/// What a command that has to succeed prints.
pub(crate) fn must(program: &str, args: &[&str]) -> String {
    let output = run(program, args);
    assert!(output.status.success(), "{program} {}: {}\n{}", args.join(" "), output.status, text(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// Both outputs of a command.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", stdout(output), stderr(output))
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A configuration of one link with one vNIC, and one uplink.
pub(crate) fn config(link: &str, uplink: &str, gateway: &str) -> String {
    format!(
        r#"schema = 1
[gateway]
name = "gw-t"
socket = "SOCKET"
mbuf.count = 2048
{gateway}
[[link]]
name = "eth-srv1"
port = "{link}"
[[uplink]]
name = "net-a"
port = "{uplink}"
kind = "network"
[[uplink_group]]
name = "lan"
kind = "network"
members = ["net-a"]
[[network]]
name = "prod"
vlan = 110
uplink = "lan"
[[vnic]]
name = "srv1.net"
link = "eth-srv1"
mac = "02:00:00:00:00:01"
network = "prod"
"#
    )
}

/// The same between two rings, which need no interface.
pub(crate) fn rings() -> String {
    config("ring", "ring", "")
}

/// For a command line.
pub(crate) fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, name: &str) {
    must("kill", &[&format!("-{name}"), &pid.to_string()]);
}

/// Waits for a process to end.
pub(crate) fn ended(child: &mut Child, longest: Duration) -> Option<ExitStatus> {
    wait(longest, || child.try_wait().expect("a child of this process"))
}

/// What a gateway said at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) received: u64,
    pub(crate) generated: u64,
    pub(crate) sent: u64,
    pub(crate) dropped: u64,
}

impl Summary {
    /// From the line that `run` ends with. Every packet is accounted for and every buffer is home.
    pub(crate) fn of(log: &str) -> Summary {
        let line =
            log.lines().find(|line| line.contains(": stopped: ")).unwrap_or_else(|| panic!("no summary:\n{log}"));
        let words: Vec<&str> = line.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let after = |word: &str| -> u64 {
            let at = words.iter().position(|other| *other == word).expect(word);
            words[at + 1].parse().unwrap_or_else(|_| panic!("a number after {word}: {line}"))
        };
        let buffers = line.split("; ").nth(1).and_then(|end| end.strip_suffix(" buffers are home")).expect(line);
        let (home, all) = buffers.split_once(" of ").expect(line);
        assert_eq!(home, all, "every buffer is home");
        let summary = Summary {
            received: after("received"),
            generated: after("generated"),
            sent: after("sent"),
            dropped: after("dropped"),
        };
        assert_eq!(summary.received + summary.generated, summary.sent + summary.dropped, "{line}");
        summary
    }
}

/// A gateway that runs. One that is dropped without [`Gateway::stop`] is killed.
pub(crate) struct Gateway {
    child: Child,
    folder: TempDir,
}

impl Gateway {
    /// Starts one, in a network namespace if one is named, and waits until it is ready. `SOCKET` in the configuration
    /// stands for a path of its own.
    pub(crate) fn start(namespace: Option<&str>, config: &str) -> Gateway {
        let gateway = Gateway::launch(namespace, config, tempfile::tempdir().expect("a folder"));
        gateway.ready()
    }

    /// The same, without waiting.
    pub(crate) fn launch(namespace: Option<&str>, config: &str, folder: TempDir) -> Gateway {
        let command = match namespace {
            None => Command::new(IOGATE),
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name, IOGATE]);
                command
            }
        };
        Gateway::launch_by(command, config, folder)
    }

    /// The same, by a command that becomes the gateway.
    pub(crate) fn launch_by(mut command: Command, config: &str, folder: TempDir) -> Gateway {
        let file = folder.path().join("gateway.toml");
        let socket = folder.path().join("gw.sock");
        fs::write(&file, config.replace("SOCKET", socket.to_str().expect("a path in UTF-8"))).expect("a file");
        let log = File::create(folder.path().join("log")).expect("a file");
        let both = log.try_clone().expect("a second handle");
        let child = command.arg("run").arg(&file).stdin(Stdio::null()).stdout(log).stderr(both).spawn();
        Gateway { child: child.expect("the gateway starts"), folder }
    }

    /// Waits until it is ready.
    pub(crate) fn ready(mut self) -> Gateway {
        let ready = wait(PATIENCE, || {
            let status = self.child.try_wait().expect("a child of this process");
            assert!(status.is_none(), "the gateway ended: {status:?}\n{}", self.log());
            self.log().contains(": ready: ").then_some(())
        });
        assert!(ready.is_some(), "the gateway does not get ready\n{}", self.log());
        self
    }

    /// Everything it printed so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("gw.sock")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("gateway.toml")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `iogate show TOPIC`, with further arguments.
    pub(crate) fn show_text(&self, topic: &str, more: &[&str]) -> String {
        let socket = self.socket();
        let mut args = vec!["show", topic, "--socket", socket.to_str().expect("a path in UTF-8")];
        args.extend(more);
        must(IOGATE, &args)
    }

    /// The rows of `iogate show TOPIC -o json`.
    pub(crate) fn show(&self, topic: &str) -> Value {
        let text = self.show_text(topic, &["-o", "json"]);
        let mut report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(report["schema"], 1, "{text}");
        assert!(report[topic].is_array() || report[topic].is_object(), "{text}");
        report[topic].take()
    }

    /// Prints what it counted, for a test that fails.
    pub(crate) fn explain(&self) {
        let socket = self.socket();
        for topic in ["ports", "drops", "runtime"] {
            let shown = iogate(&["show", topic, "--socket", socket.to_str().unwrap_or_default()]);
            eprint!("---- show {topic}\n{}", text(&shown));
        }
    }

    /// Asks it to end with a signal: exit code 0, no socket left, every packet accounted for, every buffer home.
    pub(crate) fn stop_by(mut self, name: &str) -> Summary {
        signal(self.child.id(), name);
        self.end()
    }

    pub(crate) fn stop(self) -> Summary {
        self.stop_by("TERM")
    }

    /// Waits for its end, which somebody asked for.
    pub(crate) fn end(&mut self) -> Summary {
        let summary = self.end_but_for_the_socket();
        assert!(!self.socket().exists(), "the socket is still there");
        summary
    }

    /// The same, wherever its socket is.
    pub(crate) fn end_but_for_the_socket(&mut self) -> Summary {
        let status = ended(&mut self.child, PATIENCE).unwrap_or_else(|| panic!("it does not stop\n{}", self.log()));
        assert_eq!(status.code(), Some(0), "{}", self.log());
        Summary::of(&self.log())
    }

    /// `kill -9`; the folder with the configuration and the socket stays.
    pub(crate) fn kill(mut self) -> TempDir {
        self.child.kill().expect("it runs");
        self.child.wait().expect("a child of this process");
        std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"))
    }

    /// Starts anew with what is in `folder`.
    pub(crate) fn restart(namespace: Option<&str>, folder: TempDir) -> Gateway {
        let config = fs::read_to_string(folder.path().join("gateway.toml")).expect("the file of before");
        Gateway::launch(namespace, &config, folder).ready()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        if std::thread::panicking() {
            eprintln!("---- the gateway's log\n{}", self.log());
        }
    }
}

//! A running program on a pseudo-terminal.

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_iogate-testpmd");
pub(crate) const ORIGINAL: &str = "dpdk-testpmd";

/// The arguments of a run that needs nothing of the machine: EAL's, devices, then ours.
pub(crate) fn arguments(devices: &[&str], own: &[&str]) -> Vec<String> {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("tp-{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
    let mut all: Vec<String> =
        ["-l", "0-1", "--no-huge", "-m", "128", "--no-shconf", "--no-pci"].map(String::from).into();
    all.push(format!("--file-prefix={prefix}"));
    all.extend(devices.iter().map(|device| format!("--vdev={device}")));
    all.extend(["--", "--total-num-mbufs=8192", "--no-flush-rx"].map(String::from));
    all.extend(own.iter().map(|argument| argument.to_string()));
    all
}

/// Two ports that are always there.
pub(crate) const NULL: [&str; 2] = ["net_null0", "net_null1"];

pub(crate) struct Session {
    child: Child,
    keys: File,
    bytes: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Session {
    /// Starts a program on a new terminal, with something typed ahead.
    pub(crate) fn start(program: &str, arguments: &[String], typed: &[u8]) -> Session {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&keys, size).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap().into_string().unwrap();
        let terminal = || Stdio::from(OpenOptions::new().read(true).write(true).open(&name).unwrap());
        let mut keys = File::from(keys);
        keys.write_all(typed).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).stdin(terminal()).stdout(terminal()).stderr(terminal());
        let child = command.spawn().unwrap();
        drop(command);
        let (say, bytes) = channel();
        let mut output = keys.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The last one to close the terminal ends it with an error.
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if say.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Session { child, keys, bytes, seen: Vec::new() }
    }

    /// Ours, with the prompt shown.
    pub(crate) fn ready(devices: &[&str], own: &[&str]) -> Session {
        let own = [&["-i"], own].concat();
        let mut session = Session::start(PROGRAM, &arguments(devices, &own), b"");
        session.until("testpmd> ");
        session
    }

    pub(crate) fn keys(&mut self, keys: impl AsRef<[u8]>) {
        self.keys.write_all(keys.as_ref()).unwrap();
    }

    /// Everything up to and with a text.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = find(&self.seen, text.as_bytes()) {
                let rest = self.seen.split_off(at + text.len());
                return String::from_utf8_lossy(&std::mem::replace(&mut self.seen, rest)).into_owned();
            }
            match self.bytes.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(why) => {
                    let ended = matches!(why, RecvTimeoutError::Disconnected);
                    panic!("no {text:?} (ended: {ended}) in {}", String::from_utf8_lossy(&self.seen));
                }
            }
        }
    }

    /// Runs a command; what it said, without the line it was typed on and the prompt.
    pub(crate) fn run(&mut self, command: &str) -> String {
        self.keys(format!("{command}\n"));
        let echo = format!("{command}\r\r\n");
        let before = self.until(&echo);
        assert_eq!(before, echo, "the echo is the line");
        let answer = self.until("testpmd> ");
        answer.strip_suffix("testpmd> ").unwrap().replace("\r\n", "\n")
    }

    /// What comes within a while, when nothing is waited for.
    pub(crate) fn within(&mut self, time: Duration) -> String {
        let deadline = Instant::now() + time;
        while let Ok(bytes) = self.bytes.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.seen.extend(bytes);
        }
        String::from_utf8_lossy(&std::mem::take(&mut self.seen)).into_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Everything until it ends, and how.
    pub(crate) fn end(mut self) -> (String, ExitStatus) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            if let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(20)) {
                self.seen.extend(bytes);
            }
        };
        (self.within(Duration::from_millis(200)), status)
    }

    /// `quit`, and everything was well.
    pub(crate) fn quit(mut self) -> String {
        self.keys("quit\n");
        let (text, status) = self.end();
        assert_eq!(status.code(), Some(0), "{text}");
        text
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn find(all: &[u8], text: &[u8]) -> Option<usize> {
    all.windows(text.len()).position(|window| window == text)
}

/// Whether the original is installed.
pub(crate) fn original_is_there() -> bool {
    Command::new(ORIGINAL).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

//! What is on the wire: tcpdump captures it, tshark explains it.

use crate::support::{must, wait};
use crate::topology::{End, Topology};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Sends the frames given on standard input in hexadecimal.
const SENDER: &str = "
import socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((sys.argv[1], 0))
for line in sys.stdin:
    wire.send(bytes.fromhex(line))
";

/// Puts frames on an end's interface, in order.
pub(crate) fn send(topology: &Topology, end: End, frames: &[Vec<u8>]) {
    let mut command = topology.command(end.role(), 20, &["python3", "-c", SENDER, end.interface()]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let lines: String = frames.iter().map(|frame| hex(frame) + "\n").collect();
    child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("the sender reads");
    let output = child.wait_with_output().expect("the sender ends");
    assert!(output.status.success(), "sending on {end:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Frames as they are compared and printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Frames(pub(crate) Vec<Vec<u8>>);

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|frame| write!(f, "\n  {} bytes {}", frame.len(), hex(frame)))
    }
}

/// A tcpdump that sees what arrives at an end.
pub(crate) struct Capture {
    pub(crate) end: End,
    child: Child,
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
    reader: Option<JoinHandle<()>>,
    file: PathBuf,
}

impl Capture {
    /// Starts it, and waits until it listens. The capture is also in a file of `folder`.
    pub(crate) fn start(topology: &Topology, end: End, folder: &Path) -> Capture {
        let interface = ["-i", end.interface()];
        let options = ["-Q", "in", "-s", "0", "-U", "--immediate-mode", "-B", "16384", "-w", "-"];
        let namespace = topology.namespace(end.role());
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &namespace, "tcpdump", "-Z", "root"]).args(interface).args(options);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tcpdump starts");
        let mut words = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert!(words.read_line(&mut line).is_ok_and(|read| read > 0), "tcpdump on {end:?} does not listen");
        }
        let file = folder.join(format!("{end:?}.pcap"));
        let frames = Arc::new(Mutex::new(Vec::new()));
        let (from, to, copy) =
            (child.stdout.take().expect("a pipe"), frames.clone(), File::create(&file).expect("a file"));
        let reader = std::thread::spawn(move || read(from, copy, &to));
        // What it still has to say must not block it.
        std::thread::spawn(move || std::io::copy(&mut words, &mut std::io::sink()));
        Capture { end, child, frames, reader: Some(reader), file }
    }

    /// How many frames are there.
    pub(crate) fn count(&self) -> usize {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until there are as many, or for a while.
    pub(crate) fn wait_for(&self, count: usize) {
        wait(Duration::from_secs(3), || (self.count() >= count).then_some(()));
    }

    /// Takes what came since the last time.
    pub(crate) fn take(&self) -> Frames {
        Frames(std::mem::take(&mut *self.frames.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// What tshark makes of everything captured so far: a line a frame, the fields separated by spaces, those that the
    /// frame has not as `-`.
    pub(crate) fn tshark(&self, fields: &[&str]) -> Vec<String> {
        let mut args = vec!["-n", "-r", self.file.to_str().expect("a path in UTF-8"), "-T", "fields"];
        args.extend(fields.iter().flat_map(|field| ["-e", field]));
        let line = |line: &str| {
            let cells = line.split('\t').map(|cell| if cell.is_empty() { "-" } else { cell });
            cells.collect::<Vec<_>>().join(" ")
        };
        must("tshark", &args).lines().map(line).collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

/// Reads a capture as it is written, until its end; keeps a copy of it.
fn read(mut from: impl Read, mut copy: File, frames: &Mutex<Vec<Vec<u8>>>) {
    const FILE_HEADER: usize = 24;
    const RECORD_HEADER: usize = 16;
    let mut next = |bytes: usize| {
        let mut buffer = vec![0; bytes];
        from.read_exact(&mut buffer).ok()?;
        Some(buffer)
    };
    let Some(header) = next(FILE_HEADER) else { return };
    copy.write_all(&header).expect("room on the disk");
    while let Some(header) = next(RECORD_HEADER) {
        // tcpdump writes in the byte order of this machine.
        let length = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        assert_eq!(length(8), length(12), "a frame is captured whole");
        let Some(frame) = next(length(8) as usize) else { return };
        copy.write_all(&[header, frame.clone()].concat()).expect("room on the disk");
        frames.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
    }
}

//! `dpdk-testpmd`, driven over its prompt.

use crate::clock::cpu_time;
use crate::{Pages, Plan};
use anyhow::{Context as _, Result, anyhow, bail};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The program.
pub(crate) const PROGRAM: &str = "dpdk-testpmd";
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running testpmd, on two cores: one for its prompt and one that forwards as packets come, in
/// pairs of ports (0 and 1, 2 and 3, ...).
pub(crate) struct Testpmd {
    child: Child,
    prompt: ChildStdin,
    output: Receiver<Vec<u8>>,
    seen: String,
}

/// What one of its measurements gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forwarded {
    /// Packets received on all ports.
    pub(crate) packets: u64,
    /// Packets sent on all ports.
    pub(crate) sent: u64,
    /// Processor time that they took.
    pub(crate) time: Duration,
}

impl Testpmd {
    /// Starts it with these devices and as many buffers; nothing when it is not installed.
    pub(crate) fn start(devices: &[String], buffers: u32, plan: Plan) -> Result<Option<Testpmd>> {
        Self::start_with(&[], devices, buffers, plan)
    }

    /// As [`start`](Self::start), by way of a command that runs another, such as `ip netns exec NAME`.
    pub(crate) fn start_with(before: &[&str], devices: &[String], buffers: u32, plan: Plan) -> Result<Option<Testpmd>> {
        if !installed(PROGRAM) {
            return Ok(None);
        }
        Self::start_program(PROGRAM, before, devices, buffers, plan).map(Some)
    }

    /// As [`start_with`](Self::start_with), another program with the same prompt.
    pub(crate) fn start_program(
        program: &str,
        before: &[&str],
        devices: &[String],
        buffers: u32,
        plan: Plan,
    ) -> Result<Testpmd> {
        let core = plan.core;
        let cores = iogate::worker::cores();
        let Some(other) = cores.iter().find(|other| **other != core) else {
            bail!("testpmd needs a core for its prompt besides the one that forwards");
        };
        // Into a pipe it would hold back what it says until it ends.
        let line: Vec<&str> = [before, &["stdbuf", "-oL", program]].concat();
        let mut command = Command::new(line[0]);
        let memory = MEMORY_MB.to_string();
        command.args(&line[1..]).args(match plan.pages {
            Pages::Plain => ["--no-huge", "--no-shconf", "-m", &memory],
            Pages::Huge => ["--in-memory", "--no-shconf", "--socket-limit", &memory],
        });
        command.args(["--no-pci", "--no-telemetry"]);
        command.arg(format!("--file-prefix=iogate-bench-{}", std::process::id()));
        command.arg(format!("--lcores=0@{other},1@{core}")).arg("--log-level=4");
        command.args(devices.iter().map(|device| format!("--vdev={device}")));
        command.args(["--", "-i", "--forward-mode=io", "--nb-cores=1", "--port-topology=paired", "--burst=32"]);
        command.args(["--mbcache=256", "--no-flush-rx", &format!("--total-num-mbufs={buffers}")]);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = started.with_context(|| format!("cannot start {}", line.join(" ")))?;
        let (Some(prompt), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("testpmd's prompt is out of reach");
        };
        let (say, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                if say.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let mut testpmd = Testpmd { child, prompt, output, seen: String::new() };
        testpmd.wait_for("testpmd> ")?;
        Ok(testpmd)
    }

    /// Has it do something else to packets than to forward them as they come.
    pub(crate) fn set_mode(&mut self, mode: &str) -> Result<()> {
        self.say(&format!("set fwd {mode}"))
    }

    /// Forwards for a moment to warm up, then for `seconds`.
    pub(crate) fn measure(&mut self, seconds: f64) -> Result<Forwarded> {
        self.forward(WARM_UP)?;
        let before = cpu_time(self.child.id())?;
        let text = self.forward(Duration::from_secs_f64(seconds))?;
        let time = cpu_time(self.child.id())? - before;
        let count = |which| total(&text, which).ok_or_else(|| anyhow!("no statistics in what testpmd said:\n{text}"));
        Ok(Forwarded { packets: count("RX-packets:")?, sent: count("TX-packets:")?, time })
    }

    /// Forwards until it is dropped.
    pub(crate) fn forward_on(&mut self) -> Result<()> {
        self.say("start")
    }

    fn forward(&mut self, time: Duration) -> Result<String> {
        self.say("start")?;
        std::thread::sleep(time);
        self.say("stop")?;
        self.wait_for("Done.")?;
        Ok(std::mem::take(&mut self.seen))
    }

    fn say(&mut self, line: &str) -> Result<()> {
        self.prompt.write_all(format!("{line}\n").as_bytes()).context("testpmd does not listen any more")
    }

    fn wait_for(&mut self, text: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => bail!("testpmd has not answered for {} s", PATIENCE.as_secs()),
                Err(RecvTimeoutError::Disconnected) => bail!("testpmd has ended, and said:\n{}", self.seen),
            }
        }
        Ok(())
    }
}

/// Whether a program is in one of the folders where programs are.
pub(crate) fn installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// What both sides get, MiB.
pub(crate) const MEMORY_MB: u32 = 256;
/// Before a measurement, on both sides.
pub(crate) const WARM_UP: Duration = Duration::from_millis(200);

impl Drop for Testpmd {
    fn drop(&mut self) {
        // By its prompt, so that it closes its ports; otherwise the hard way.
        let asked = self.say("stop").and_then(|()| self.say("quit"));
        let end = Instant::now() + Duration::from_secs(5);
        while asked.is_ok() && Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What all ports received or sent, from the statistics that `stop` prints.
fn total(text: &str, which: &str) -> Option<u64> {
    let (_, sums) = text.rsplit_once("Accumulated forward statistics")?;
    let (_, count) = sums.split_once(which)?;
    count.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_all_ports_is_read() {
        let text = "
  ---------------------- Forward statistics for port 0  ----------------------
  RX-packets: 11             RX-dropped: 0             RX-total: 11
  TX-packets: 11             TX-dropped: 0             TX-total: 11
  +++++++++++++++ Accumulated forward statistics for all ports+++++++++++++++
  RX-packets: 68757120       RX-dropped: 0             RX-total: testpmd> quit
68757120
";
        assert_eq!(total(text, "RX-packets:"), Some(68_757_120));
        assert_eq!(total("Accumulated forward statistics RX-packets: many", "RX-packets:"), None);
        assert_eq!(total("testpmd> ", "RX-packets:"), None);
    }
}

//! The virtual machine: QEMU, and commands that run in the guest.

use crate::support::wait;
use crate::wire::Wire;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longer than a boot takes without KVM on a machine that compiles something else beside it.
const BOOT: Duration = Duration::from_secs(240);
/// Longer than any command in the guest takes.
const COMMAND: Duration = Duration::from_secs(120);

/// What scripts/lab made: the folder of QEMU and the kernel, and that of this run.
pub(crate) struct Made {
    machine: PathBuf,
    run: PathBuf,
}

impl Made {
    /// The folder of this run.
    pub(crate) fn run(&self) -> &Path {
        &self.run
    }

    /// Nothing, and a word about it, when scripts/lab does not run the test.
    pub(crate) fn find(test: &str) -> Option<Made> {
        let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let made = folder("IOGATE_LAB").zip(folder("IOGATE_LAB_RUN"));
        if made.is_none() {
            iogate::testkit::skip(test, "scripts/lab runs it");
        }
        made.map(|(machine, run)| Made { machine, run })
    }
}

/// A running virtual machine. It ends when it is dropped, or this process.
pub(crate) struct Machine {
    qemu: Child,
    /// The folder that the guest has as `/lab`, and all else of this machine.
    folder: PathBuf,
    next: AtomicU32,
}

/// What a machine has besides two CPUs, and how to boot it.
pub(crate) struct Hardware {
    /// MiB.
    pub(crate) memory: u32,
    /// Cards and what goes with them, as QEMU's options.
    pub(crate) options: Vec<String>,
    /// Further words for the kernel.
    pub(crate) kernel: &'static str,
}

impl Machine {
    /// Boots one and waits until it takes commands.
    pub(crate) fn boot(made: &Made, name: &str, hardware: &Hardware) -> Machine {
        let folder = made.run.join(name);
        for sub in ["cmd", "out"] {
            fs::create_dir_all(folder.join("lab").join(sub)).expect("a folder");
        }
        let lab = folder.join("lab");
        fs::write(lab.join("agent"), include_str!("guest/agent")).expect("a file");
        let modules = fs::read_dir(made.machine.join("lib/modules")).expect("the kernel's modules").next();
        let modules = modules.expect("one kernel").expect("readable").path();
        let share = |tag: &str, path: &Path, options: &str| {
            [
                "-fsdev".to_owned(),
                format!("local,id={tag},path={},security_model=none{options}", path.display()),
                "-device".to_owned(),
                format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"),
            ]
        };
        let log = File::create(folder.join("qemu.log")).expect("a file");
        let memory = hardware.memory.to_string();
        // On a busy machine the emulated timer is too late for the kernel's check of it.
        let words = format!("console=ttyS0 panic=-1 quiet mitigations=off nokaslr no_timer_check {}", hardware.kernel);
        let qemu = Command::new(made.machine.join("qemu"))
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
            .args(["-accel", "tcg,thread=single", "-cpu", "max", "-smp", "2", "-m", &memory])
            .arg("-kernel")
            .arg(made.machine.join("vmlinuz"))
            .arg("-initrd")
            .arg(made.run.join("initrd"))
            .args(["-append", &words])
            .args(["-serial", &format!("file:{}", folder.join("serial.log").display())])
            .args(["-qmp", &format!("unix:{},server=on,wait=off", folder.join("qmp").display())])
            .args(share("host", Path::new("/"), ",readonly=on,multidevs=remap"))
            .args(share("modules", &modules, ",readonly=on"))
            .args(share("lab", &lab, ""))
            .args(&hardware.options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("QEMU starts");
        let mut machine = Machine { qemu, folder, next: AtomicU32::new(0) };
        let booted = wait(BOOT, || {
            let ended = machine.qemu.try_wait().expect("a child of this process");
            assert!(ended.is_none(), "QEMU ended: {ended:?}\n{}", machine.file("qemu.log"));
            lab.join("booted").exists().then_some(())
        });
        assert!(booted.is_some(), "the guest does not boot\n{}", machine.file("serial.log"));
        machine
    }

    /// A file of the machine's folder: `serial.log`, or `lab/NAME` for what the guest has as `/lab/NAME`.
    pub(crate) fn file(&self, name: &str) -> String {
        fs::read(self.folder.join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Puts a file at `/lab/NAME` in the guest.
    pub(crate) fn put(&self, name: &str, text: &str) {
        fs::write(self.folder.join("lab").join(name), text).expect("a file");
    }

    /// Runs shell commands in the guest. Returns their exit status and everything they print.
    pub(crate) fn run(&self, commands: &str) -> (i32, String) {
        let name = format!("{:04}", self.next.fetch_add(1, Ordering::Relaxed));
        let lab = self.folder.join("lab");
        fs::write(lab.join("cmd").join(&name), format!("{commands}\n")).expect("a file");
        fs::rename(lab.join("cmd").join(&name), lab.join("cmd").join(format!("{name}.sh"))).expect("the same folder");
        let status = lab.join("out").join(format!("{name}.rc"));
        let done = wait(COMMAND, || fs::read_to_string(&status).ok());
        let output = self.file(&format!("lab/out/{name}"));
        let done = done.unwrap_or_else(|| panic!("the guest does not finish: {commands}\n{output}"));
        (done.trim().parse().expect("a number"), output)
    }

    /// Runs shell commands that have to succeed, each of them, in the guest; returns what they print.
    #[track_caller]
    pub(crate) fn sh(&self, commands: &str) -> String {
        let (status, output) = self.run(&format!("set -e\n{commands}"));
        assert_eq!(status, 0, "in the guest: {commands}\n{output}");
        output
    }

    /// Waits until a command in the guest succeeds, and returns what it prints then.
    #[track_caller]
    pub(crate) fn until(&self, command: &str) -> String {
        let mut last = String::new();
        let done = wait(COMMAND, || {
            let (status, output) = self.run(command);
            last.clone_from(&output);
            (status == 0).then_some(output)
        });
        done.unwrap_or_else(|| panic!("in the guest, however often: {command}\n{last}"))
    }

    /// Has QEMU do something: its monitor protocol.
    pub(crate) fn monitor(&self, command: &str, arguments: &Value) {
        let stream = UnixStream::connect(self.folder.join("qmp")).expect("QEMU's monitor");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
        let mut answer = || -> Value {
            loop {
                let line = lines.next().expect("an answer").expect("an answer in time");
                let value: Value = serde_json::from_str(&line).expect("JSON");
                if value.get("event").is_none() {
                    return value;
                }
            }
        };
        answer();
        for request in [json!({"execute": "qmp_capabilities"}), json!({"execute": command, "arguments": arguments})] {
            (&stream).write_all(format!("{request}\n").as_bytes()).expect("QEMU reads");
            let answer = answer();
            assert!(answer.get("return").is_some(), "{request}: {answer}");
        }
    }

    /// Plugs a card's cable in or out.
    pub(crate) fn set_link(&self, wire: &Wire, up: bool) {
        self.monitor("set_link", &json!({"name": wire.name(), "up": up}));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.qemu.kill());
        drop(self.qemu.wait());
        if std::thread::panicking() {
            let serial = self.file("serial.log");
            let last: Vec<&str> = serial.lines().rev().take(20).collect();
            eprintln!("---- the guest's last words");
            last.iter().rev().for_each(|line| eprintln!("{line}"));
            eprintln!("---- QEMU's log\n{}", self.file("qemu.log"));
        }
    }
}

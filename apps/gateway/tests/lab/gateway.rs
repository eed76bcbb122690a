//! A gateway that runs in the guest.

use crate::machine::Machine;
use crate::support::{IOGATE, Summary, wait};
use serde_json::Value;
use std::rc::Rc;
use std::time::Duration;

/// Longer than starting and stopping takes with every library read through 9p for the first time.
const PATIENCE: Duration = Duration::from_secs(180);

/// `iogate run` in the guest.
pub(crate) struct GuestGateway {
    machine: Rc<Machine>,
    log: String,
}

impl GuestGateway {
    /// Starts one with this configuration, in which `SOCKET` stands for a path, and waits until it is ready.
    pub(crate) fn start(machine: &Rc<Machine>, name: &str, config: &str) -> Self {
        machine.put(&format!("{name}.toml"), &config.replace("SOCKET", "/run/gateway.sock"));
        machine.sh(&format!(
            "{{ set +e; {IOGATE} run /lab/{name}.toml >/lab/{name}.log 2>&1; echo $? >/lab/{name}.status; }} </dev/null >/dev/null 2>&1 &"
        ));
        let gateway = GuestGateway { machine: machine.clone(), log: name.to_owned() };
        let ready = wait(PATIENCE, || {
            let status = gateway.status();
            assert!(status.is_empty(), "the gateway ended with exit code {status}\n{}", gateway.log());
            gateway.log().contains(": ready: ").then_some(())
        });
        assert!(ready.is_some(), "the gateway does not get ready\n{}", gateway.log());
        gateway
    }

    fn status(&self) -> String {
        self.machine.file(&format!("lab/{}.status", self.log)).trim().to_owned()
    }

    /// Everything it printed so far.
    pub(crate) fn log(&self) -> String {
        self.machine.file(&format!("lab/{}.log", self.log))
    }

    /// The rows of `iogate show TOPIC -o json`.
    #[track_caller]
    pub(crate) fn show(&self, topic: &str) -> Value {
        let text = self.machine.sh(&format!("{IOGATE} show {topic} -o json --socket /run/gateway.sock"));
        let mut report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        report[topic].take()
    }

    /// Waits until the row of a port is so, and returns it.
    #[track_caller]
    pub(crate) fn wait_port(&self, port: &str, mut so: impl FnMut(&Value) -> bool) -> Value {
        let mut row = Value::Null;
        let done = wait(PATIENCE, || {
            let mut ports = self.show("ports");
            let mut rows = ports.as_array_mut().expect("rows").iter_mut();
            row = rows.find(|row| row["name"] == port).expect("a port").take();
            so(&row).then_some(())
        });
        assert!(done.is_some(), "still {row}");
        row
    }

    /// Waits until a port's link is up or down.
    #[track_caller]
    pub(crate) fn wait_link(&self, port: &str, up: bool) {
        self.wait_port(port, |row| row["up"] == up);
    }

    /// Frames of a class so far, both ways.
    pub(crate) fn of_class(&self, name: &str) -> u64 {
        of_class(&self.show("classes"), name)
    }

    /// Frames that a port has received, as its driver counts.
    pub(crate) fn received(&self, port: &str) -> u64 {
        self.wait_port(port, |_| true)["rx"]["packets"].as_u64().expect("a count")
    }

    /// How many frames were dropped for a reason.
    pub(crate) fn dropped(&self, reason: &str) -> u64 {
        let rows = self.show("drops");
        let rows = rows.as_array().expect("rows").iter().filter(|row| row["reason"] == reason);
        rows.filter_map(|row| row["packets"].as_u64()).sum()
    }

    /// Ends it with SIGTERM: exit code 0, every packet accounted for, every buffer home.
    #[track_caller]
    pub(crate) fn stop(self) -> Summary {
        self.machine.sh("kill -TERM $(pidof iogate)");
        let ended = wait(PATIENCE, || (!self.status().is_empty()).then(|| self.status()));
        assert_eq!(ended.as_deref(), Some("0"), "how the gateway ends\n{}", self.log());
        Summary::of(&self.log())
    }
}

/// Frames of a class, both ways, from what `iogate show classes` says.
pub(crate) fn of_class(classes: &Value, name: &str) -> u64 {
    let row = classes.as_array().expect("rows").iter().find(|row| row["name"] == name).expect("a class");
    ["from_server", "to_server"].iter().filter_map(|way| row[*way]["packets"].as_u64()).sum()
}

impl Drop for GuestGateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            eprintln!("---- the gateway's log\n{log}");
            if self.status().is_empty() {
                let show = |topic: &str| format!("{IOGATE} show {topic} --socket /run/gateway.sock");
                let commands = ["ports", "drops", "runtime"].map(show).join("; ") + "; ip -s link; dmesg | tail -n 20";
                eprintln!("{}", self.machine.run(&commands).1);
            }
        }
    }
}

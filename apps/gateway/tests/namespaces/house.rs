//! A gateway among namespaces, watched on all its sides.

use crate::support::{Gateway, Summary, wait};
use crate::topology::{End, Topology};
use crate::wire::{self, Capture, Frames};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;

/// How the gateway reaches the interfaces.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Driver {
    AfXdp,
    AfPacket,
}

impl Driver {
    /// A configuration with its ports: `DRIVER:` stands for them there.
    pub(crate) fn fill(self, config: &str) -> String {
        config.replace(
            "DRIVER:",
            match self {
                Driver::AfXdp => "af_xdp:",
                Driver::AfPacket => "af_packet:",
            },
        )
    }
}

/// The addresses in `house.toml`: no kernel has one of them, so that nobody answers a frame.
pub(crate) mod macs {
    use iogate::packet::MacAddr;
    use iogate::testkit::mac;

    pub(crate) const S1_NET: MacAddr = mac(0x11);
    pub(crate) const S1_DMZ: MacAddr = mac(0x12);
    pub(crate) const S1_SAN: MacAddr = mac(0x13);
    pub(crate) const S1_OFF: MacAddr = mac(0x14);
    pub(crate) const S2_NET: MacAddr = mac(0x21);
    pub(crate) const S2_TRK: MacAddr = mac(0x22);
    pub(crate) const S2_A: MacAddr = mac(0x23);
    pub(crate) const S2_B: MacAddr = mac(0x24);
    /// Somewhere in the LAN, and in the storage networks.
    pub(crate) const LAN: MacAddr = mac(0xe1);
    pub(crate) const SAN: MacAddr = mac(0xe2);
    /// Of nobody.
    pub(crate) const NOBODY: MacAddr = mac(0xee);
}

/// A running gateway, with a capture at each of its ends.
pub(crate) struct House {
    gateway: Option<Gateway>,
    captures: Vec<Capture>,
    _folder: TempDir,
    pub(crate) topology: Topology,
}

impl House {
    /// The house that most tests use, on AF_XDP: see `house.toml`. Nothing when the tests are to be skipped.
    pub(crate) fn up() -> Option<House> {
        House::with(Driver::AfXdp, include_str!("house.toml"))
    }

    /// With another driver or configuration. All ends are there, whether the configuration uses them or not.
    pub(crate) fn with(driver: Driver, config: &str) -> Option<House> {
        let topology = Topology::up(&[])?;
        topology.add_link(End::Lan2);
        topology.add_link(End::San2);
        let gateway = Gateway::start(Some(&topology.namespace("gw")), &driver.fill(config));
        let folder = tempfile::tempdir().expect("a folder");
        let captures = End::ALL.map(|end| Capture::start(&topology, end, folder.path())).into();
        Some(House { gateway: Some(gateway), captures, _folder: folder, topology })
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("it runs")
    }

    /// Takes the gateway out, to be ended one way or another.
    pub(crate) fn take_gateway(&mut self) -> Gateway {
        self.gateway.take().expect("it runs")
    }

    /// Puts the next one in.
    pub(crate) fn put_gateway(&mut self, gateway: Gateway) {
        self.gateway = Some(gateway);
    }

    pub(crate) fn capture(&self, end: End) -> &Capture {
        self.captures.iter().find(|capture| capture.end == end).expect("one for each end")
    }

    /// Puts frames on an end. Exactly those in `expected` arrive at the ends named there, byte for byte and in that
    /// order, and none anywhere else.
    #[track_caller]
    pub(crate) fn send(&self, from: End, frames: &[Vec<u8>], expected: &[(End, &[Vec<u8>])]) {
        let received = || self.received();
        let before = received();
        wire::send(&self.topology, from, frames);
        let all = before + frames.len() as u64;
        let came = wait(Duration::from_secs(10), || (received() >= all && self.totals()["pending"] == 0).then_some(()));
        assert!(came.is_some(), "the gateway received {} of {} frames", received() - before, frames.len());
        let mut wanted: BTreeMap<End, Frames> = End::ALL.map(|end| (end, Frames::default())).into();
        for (end, frames) in expected {
            wanted.insert(*end, Frames(frames.to_vec()));
        }
        for capture in &self.captures {
            capture.wait_for(wanted[&capture.end].0.len());
        }
        // Time for what should not be there to appear.
        std::thread::sleep(Duration::from_millis(60));
        for capture in &self.captures {
            assert_eq!(capture.take(), wanted[&capture.end], "sent on {from:?}, seen at {:?}", capture.end);
        }
        assert_eq!(received(), all, "nothing else came to the gateway");
    }

    /// Frames that came in at all ports. The workers' totals would count what one hands over to another twice.
    fn received(&self) -> u64 {
        let ports = self.gateway().show("ports");
        ports.as_array().expect("rows").iter().filter_map(|port| port["rx"]["packets"].as_u64()).sum()
    }

    fn totals(&self) -> Value {
        self.gateway().show("runtime")["totals"].take()
    }

    /// Everything dropped so far, as `(reason, direction, port, packets, bytes)`, is this, in any order.
    #[track_caller]
    pub(crate) fn dropped(&self, expected: &[(&str, &str, &str, u64, usize)]) {
        let rows = self.gateway().show("drops");
        let row = |row: &Value| {
            let text = |key: &str| row[key].as_str().unwrap_or("?").to_owned();
            format!(
                "{} {} {}: {} packets, {} bytes",
                text("reason"),
                text("direction"),
                text("port"),
                row["packets"],
                row["bytes"]
            )
        };
        let mut shown: Vec<String> = rows.as_array().expect("rows").iter().map(row).collect();
        let line = |(reason, direction, port, packets, bytes): &(&str, &str, &str, u64, usize)| {
            format!("{reason} {direction} {port}: {packets} packets, {bytes} bytes")
        };
        let mut expected: Vec<String> = expected.iter().map(line).collect();
        shown.sort();
        expected.sort();
        assert_eq!(shown, expected);
        let sum: u64 = rows.as_array().expect("rows").iter().filter_map(|row| row["packets"].as_u64()).sum();
        assert_eq!(self.totals()["dropped"], sum);
    }

    /// The row of a topic with this name.
    pub(crate) fn row(&self, topic: &str, name: &str) -> Value {
        let mut rows = self.gateway().show(topic);
        let row = rows.as_array_mut().expect("rows").iter_mut().find(|row| row["name"] == name);
        row.unwrap_or_else(|| panic!("{name} is not in {topic}")).take()
    }

    /// A row's packets and bytes, from the server and to it.
    #[track_caller]
    pub(crate) fn counted(&self, topic: &str, name: &str, from: (u64, usize), to: (u64, usize)) {
        let row = self.row(topic, name);
        let amount = |(packets, bytes): (u64, usize)| json!({"packets": packets, "bytes": bytes});
        assert_eq!((&row["from_server"], &row["to_server"]), (&amount(from), &amount(to)), "{topic} {name}");
    }

    /// Packets and bytes of a vNIC's or vHBA's server that were dropped.
    #[track_caller]
    pub(crate) fn lost(&self, name: &str, (packets, bytes): (u64, usize)) {
        assert_eq!(self.row("vnics", name)["dropped"], json!({"packets": packets, "bytes": bytes}), "{name}");
    }

    /// The uplink that a network uses now.
    pub(crate) fn active(&self, network: &str) -> Option<String> {
        self.row("networks", network)["active"].as_str().map(str::to_owned)
    }

    /// Waits until a network uses this uplink.
    #[track_caller]
    pub(crate) fn wait_active(&self, network: &str, uplink: Option<&str>) {
        let same = wait(Duration::from_secs(5), || (self.active(network).as_deref() == uplink).then_some(()));
        assert!(same.is_some(), "{network} uses {:?}, not {uplink:?}", self.active(network));
    }

    /// Ends the gateway with SIGTERM. What it counted at its ports is what its summary says.
    pub(crate) fn stop(mut self) -> Summary {
        let totals = self.totals();
        let summary = self.gateway.take().expect("it runs").stop();
        for (key, value) in [
            ("received", summary.received),
            ("generated", summary.generated),
            ("sent", summary.sent),
            ("dropped", summary.dropped),
        ] {
            assert_eq!(totals[key], value, "{key}");
        }
        summary
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let (true, Some(gateway)) = (std::thread::panicking(), &self.gateway) {
            gateway.explain();
        }
    }
}

/// Bytes in frames.
pub(crate) fn bytes(frames: &[Vec<u8>]) -> usize {
    frames.iter().map(Vec::len).sum()
}

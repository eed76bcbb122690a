//! Links without any kernel in them: another process has the guest's side of vhost-user, a DPDK virtio card.

use crate::house::{Driver, House, macs};
use crate::support::{Gateway, wait};
use crate::tags::tag;
use crate::topology::End::{Lan, Srv1, Srv2};
use iogate::testkit::Frame;
use std::path::Path;
use std::time::Duration;

/// The house with srv2 behind vhost-user, and a place for the socket.
struct Host {
    house: House,
    guests: String,
    _folder: tempfile::TempDir,
}

impl Host {
    /// The gateway listens, or calls the guest.
    fn up(mode: &str) -> Option<Host> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("vhost.sock");
        let link = format!("attach = \"vhost-user\"\npath = \"{}\"\nmode = \"{mode}\"", socket.display());
        let config = include_str!("house.toml").replace("port = \"DRIVER:gw-srv2\"", &link);
        let house = House::with(Driver::AfXdp, &config)?;
        Some(Host { house, guests: guests_card(&socket, mode), _folder: folder })
    }

    /// Starts the guest.
    fn guest(&self) -> Gateway {
        Gateway::start(Some(&self.house.topology.namespace("gw")), &guest(&self.guests))
    }

    /// Waits until the link of the guest is so; its port has it from the one moment to the next.
    #[track_caller]
    fn link_is(&self, up: bool) {
        let same = || (self.house.row("ports", "eth-srv2")["up"] == up).then_some(());
        assert!(wait(Duration::from_secs(10), same).is_some(), "{}", self.house.row("ports", "eth-srv2"));
    }

    /// Frames go from the guest, to it, and past it.
    #[track_caller]
    fn works(&self, guest: &Gateway) {
        self.link_is(true);
        let active = wait(Duration::from_secs(10), || (guest.show("networks")[0]["active"] == "virtio0").then_some(()));
        assert!(active.is_some(), "{}", guest.show("ports"));
        let house = &self.house;
        let there = Frame::ethernet(macs::S2_NET, macs::LAN).payload([1; 100]).build();
        house.send(Srv2, std::slice::from_ref(&there), &[(Lan, &[tag(&there, 110, 0)])]);
        let back = Frame::ethernet(macs::LAN, macs::S2_NET).payload([2; 1400]).build();
        house.send(Lan, &[tag(&back, 110, 0)], &[(Srv2, std::slice::from_ref(&back))]);
        let inside = Frame::ethernet(macs::S1_NET, macs::S2_NET).payload([3; 60]).build();
        house.send(Srv1, std::slice::from_ref(&inside), &[(Srv2, std::slice::from_ref(&inside))]);
        self.others_work();
    }

    /// Frames between other ports pass, whatever the guest does.
    #[track_caller]
    fn others_work(&self) {
        let up = Frame::ethernet(macs::S1_NET, macs::LAN).payload([4; 60]).build();
        self.house.send(Srv1, std::slice::from_ref(&up), &[(Lan, &[tag(&up, 110, 0)])]);
    }
}

/// The guest's end of the socket.
fn guests_card(socket: &Path, mode: &str) -> String {
    let listen = if mode == "client" { ",server=1" } else { "" };
    format!("virtio_user:{}{listen}", socket.display())
}

/// The guest: a second gateway, which ends by being killed where it listens: DPDK's card does not survive
/// the end of a process whose peer has gone. Its uplink is its virtio card, its link what is srv2's elsewhere.
fn guest(card: &str) -> String {
    format!(
        r#"schema = 1
[gateway]
name = "guest"
socket = "SOCKET"
mbuf.count = 4096
[[link]]
name = "inside"
port = "af_packet:gw-srv2"
[[uplink]]
name = "virtio0"
port = "{card}"
kind = "network"
[[uplink_group]]
name = "lan"
kind = "network"
members = ["virtio0"]
[[network]]
name = "plain"
vlan = 20
uplink = "lan"
[[vnic]]
name = "vm"
link = "inside"
mac = "02:00:00:00:00:21"
network = "plain"
"#
    )
}

#[test]
fn a_gateway_that_listens_has_one_guest_after_the_other() {
    let Some(host) = Host::up("server") else { return };
    host.link_is(false);
    host.others_work();
    let guest = host.guest();
    host.works(&guest);
    let summary = guest.stop();
    assert_eq!((summary.received, summary.sent, summary.dropped), (3, 3, 0));
    host.link_is(false);
    host.others_work();
    let guest = host.guest();
    host.works(&guest);
    drop(guest.kill());
    host.link_is(false);
    host.others_work();
    let guest = host.guest();
    host.works(&guest);
    guest.stop();
    host.house.dropped(&[]);
    host.house.stop();
}

#[test]
fn a_gateway_that_calls_finds_the_guest_that_comes_later_and_again() {
    let Some(host) = Host::up("client") else { return };
    host.link_is(false);
    host.others_work();
    let guest = host.guest();
    host.works(&guest);
    drop(guest.kill());
    host.link_is(false);
    host.others_work();
    let guest = host.guest();
    host.works(&guest);
    host.house.dropped(&[]);
    host.house.stop();
    drop(guest);
}

#[test]
fn a_guest_outlives_its_gateway() {
    let Some(mut host) = Host::up("client") else { return };
    let guest = host.guest();
    host.works(&guest);
    let namespace = host.house.topology.namespace("gw");
    // Stopped as one should, then not.
    let gateway = host.house.take_gateway();
    let config = std::fs::read_to_string(gateway.config()).expect("its file");
    gateway.stop();
    let down = wait(Duration::from_secs(10), || (guest.show("ports")[1]["up"] == false).then_some(()));
    assert!(down.is_some(), "{}", guest.show("ports"));
    host.house.put_gateway(Gateway::start(Some(&namespace), &crate::restart::rename(&config)));
    host.works(&guest);
    let folder = host.house.take_gateway().kill();
    host.house.put_gateway(Gateway::restart(Some(&namespace), folder));
    host.works(&guest);
    host.house.dropped(&[]);
    assert_eq!(guest.show("drops").as_array().map(Vec::len), Some(0));
    host.house.stop();
    drop(guest);
}

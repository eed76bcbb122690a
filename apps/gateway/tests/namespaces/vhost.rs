//! Links without any kernel in them: another process has the guest's side of vhost-user, a DPDK virtio card.

use crate::drivers::with_workers;
use crate::house::{Driver, House, macs};
use crate::support::{Gateway, wait};
use crate::tags::tag;
use crate::topology::End::{Lan, Srv1, Srv2};
use iogate::memory::Batch;
use iogate::packet::{Header, Ipv4, PseudoHeader, Tcp};
use iogate::port::PortConfig;
use iogate::testkit::{Frame, ask_card, eal, pool};
use std::path::Path;
use std::process::{Command, Stdio};
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
        Host::with(mode, 1, |config| Some(config.to_owned()))
    }

    /// With as many queues, and what else is changed in the configuration.
    fn with(mode: &str, queues: u16, change: impl FnOnce(&str) -> Option<String>) -> Option<Host> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("vhost.sock");
        let link =
            format!("attach = \"vhost-user\"\npath = \"{}\"\nmode = \"{mode}\"\nqueues = {queues}", socket.display());
        let config = include_str!("house.toml").replace("port = \"DRIVER:gw-srv2\"", &link);
        let house = House::with(Driver::AfXdp, &change(&config)?)?;
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

/// Each worker polls a queue of the guest's and sends to it, be the guest's second one in use or not.
#[test]
fn two_workers_serve_a_guest_with_one_queue() {
    let queues = [r#""eth-srv1:0", "eth-srv2:1", "san-a:0""#, r#""eth-srv2:0", "net-a:0", "net-b:0", "san-b:0""#];
    let Some(host) = Host::with("server", 2, |config| with_workers(config, queues)) else { return };
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

/// Set, to the socket, in the process that is the guest of the test below.
const GUEST: &str = "IOGATE_TEST_GUEST";

/// A datagram whose checksum is left to the card, and a segment that is too long for the wire besides.
fn left_to_the_card() -> [(Frame, Option<u16>); 2] {
    let frame = || Frame::ethernet(macs::S2_NET, macs::LAN).vlan(20).ipv4([192, 0, 2, 1], [192, 0, 2, 99]);
    let bytes = |len: usize| (0..len).map(|at| (at / 7) as u8).collect::<Vec<_>>();
    [(frame().udp(1, 2).payload(bytes(600)), None), (frame().tcp(3, 4).payload(bytes(20_000)), Some(1400))]
}

/// Sends both through a virtio card that is asked for what a kernel asks it for.
fn guest_with_offloads(socket: &str) {
    /// `RTE_ETH_TX_OFFLOAD_TCP_CKSUM`, `_UDP_CKSUM`, `_TCP_TSO`, `_MULTI_SEGS`.
    const LEAVES: u64 = 1 << 2 | 1 << 3 | 1 << 5 | 1 << 15;
    let pool = pool("guest", 4096);
    let spec = format!("virtio_user:{socket},server=1").parse().expect("a port");
    let config = PortConfig { tx_offloads: LEAVES, ..PortConfig::default() };
    let card = eal().port(&spec).pool(&pool).config(&config).start().expect("a card");
    assert!(wait(Duration::from_secs(10), || card.link().unwrap().up.then_some(())).is_some());
    let mut batch: Batch = Batch::new();
    for (frame, segment_size) in left_to_the_card() {
        let frame = frame.build();
        let mut pieces = frame.chunks(2000).map(|piece| pool.alloc_from(piece).expect("a buffer"));
        let mut packet = pieces.next().expect("a piece");
        pieces.for_each(|piece| packet.chain(piece).expect("few pieces"));
        ask_card(&mut packet, segment_size);
        batch.push(packet, ()).expect("room");
    }
    let mut queue = card.tx(0).expect("a queue");
    assert_eq!(queue.send(&mut batch), 2);
    // Until it is killed.
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_guest_leaves_work_to_its_card() {
    if let Ok(socket) = std::env::var(GUEST) {
        return guest_with_offloads(&socket);
    }
    let Some(host) = Host::up("client") else { return };
    let socket = host.guests.trim_start_matches("virtio_user:").trim_end_matches(",server=1");
    let mut guest = Command::new(std::env::current_exe().expect("this program"))
        .args(["vhost::a_guest_leaves_work_to_its_card", "--exact", "--nocapture"])
        .env(GUEST, socket)
        .stdout(Stdio::null())
        .spawn()
        .expect("the guest starts");
    let [(datagram, _), (segments, size)] = left_to_the_card();
    let (datagram, whole, size) = (datagram.build(), segments.build(), usize::from(size.expect("it is cut")));
    let payload = &whole[18 + 20 + 20..];
    let count = 1 + payload.len().div_ceil(size);
    let capture = host.house.capture(Lan);
    let came = wait(Duration::from_secs(30), || (capture.count() >= count).then_some(()));
    drop(guest.kill());
    drop(guest.wait());
    let out = capture.take().0;
    assert!(came.is_some() && out.len() == count, "{} of {count} frames", out.len());
    // As it would have been without a card that helps, on the VLAN of the network.
    assert_eq!((&out[0][..14], out[0][14..16] == [0, 110], &out[0][16..]), (&datagram[..14], true, &datagram[16..]));
    for (frame, data) in out[1..].iter().zip(payload.chunks(size)) {
        let (ip, transport) = Ipv4::parse(&frame[18..]).expect("IPv4");
        let (tcp, its_data) = Tcp::parse(transport).expect("TCP");
        assert!(ip.checksum_ok() && PseudoHeader::of_ipv4(ip).verify(transport), "{frame:02x?}");
        assert_eq!((its_data, tcp.dst_port()), (data, 4));
    }
    host.link_is(false);
    host.others_work();
    host.house.dropped(&[]);
    host.house.stop();
}

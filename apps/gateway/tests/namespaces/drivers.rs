//! The other ways to reach a server or an uplink: AF_PACKET, several queues and workers.

use crate::clients::{self, CONFIG, Clients, LAN_IP, carried};
use crate::house::{Driver, House, macs};
use crate::tags::tag;
use crate::topology::End::{Lan, San, Srv1, Srv2};
use iogate::packet::MacAddr;
use iogate::testkit::Frame;

const HOST: [u8; 4] = [192, 0, 2, 1];
const PEER: [u8; 4] = [192, 0, 2, 99];

/// Tags on and off, between servers, to all, to storage.
fn basics(house: &House) {
    let up = Frame::ethernet(macs::S1_NET, macs::LAN).ipv4(HOST, PEER).icmp_echo(1, 2).payload([7; 56]).build();
    house.send(Srv1, std::slice::from_ref(&up), &[(Lan, &[tag(&up, 110, 6)])]);
    let down = Frame::ethernet(macs::LAN, macs::S1_NET).ipv4(PEER, HOST).udp(1, 2).payload([8; 1400]).build();
    house.send(Lan, &[tag(&down, 110, 3)], &[(Srv1, std::slice::from_ref(&down))]);
    let trunk = Frame::ethernet(macs::S2_TRK, macs::LAN).payload([9; 60]).build();
    house.send(Srv2, &[tag(&trunk, 8, 0), tag(&trunk, 110, 0)], &[(Lan, &[trunk.clone(), tag(&trunk, 110, 0)])]);
    let inside = Frame::ethernet(macs::S2_NET, macs::S1_NET).payload([10; 60]).build();
    house.send(Srv2, &[tag(&inside, 20, 0)], &[(Srv1, std::slice::from_ref(&inside))]);
    let ask = Frame::ethernet(macs::S1_NET, MacAddr::BROADCAST).arp_request(HOST, PEER).padded().build();
    let others = [tag(&ask, 20, 6), tag(&ask, 110, 6)];
    house.send(Srv1, std::slice::from_ref(&ask), &[(Srv2, &others), (Lan, &[tag(&ask, 110, 6)])]);
    let iscsi = Frame::ethernet(macs::S1_SAN, macs::SAN).ipv4(HOST, PEER).iscsi().build();
    house.send(Srv1, std::slice::from_ref(&iscsi), &[(San, &[tag(&iscsi, 300, 5)])]);
    let foreign = Frame::ethernet(macs::NOBODY, macs::LAN).payload([0; 60]).build();
    house.send(Srv1, std::slice::from_ref(&foreign), &[]);
    // Bursts keep their order.
    let burst: Vec<_> =
        (0..200_u8).map(|number| Frame::ethernet(macs::S1_NET, macs::LAN).payload([number; 60]).build()).collect();
    let tagged: Vec<_> = burst.iter().map(|frame| tag(frame, 110, 0)).collect();
    house.send(Srv1, &burst, &[(Lan, &tagged)]);
    house.dropped(&[("unknown-source-mac", "from-server", "eth-srv1", 1, foreign.len())]);
}

#[test]
fn af_packet_does_the_same() {
    let Some(house) = House::with(Driver::AfPacket, include_str!("house.toml")) else { return };
    basics(&house);
    house.stop();
}

#[test]
fn af_xdp_keeps_the_order_of_bursts() {
    let Some(house) = House::up() else { return };
    basics(&house);
    house.stop();
}

/// Adds a worker for each of these lists of queues, on the first two cores that there are.
pub(crate) fn with_workers(config: &str, queues: [&str; 2]) -> Option<String> {
    let cores = iogate::worker::cores();
    if cores.len() < 2 {
        eprintln!("SKIP: two workers need two cores");
        return None;
    }
    let worker = |core: usize, queues: &str| format!("[[worker]]\ncore = {core}\nqueues = [{queues}]\n");
    Some(config.to_owned() + &worker(cores[0], queues[0]) + &worker(cores[1], queues[1]))
}

/// Each port has one queue, so that each worker sends to the other's ports through a ring.
#[test]
fn two_workers_hand_frames_to_each_other() {
    let queues = [r#""eth-srv1:0", "net-a:0", "san-b:0""#, r#""eth-srv2:0", "net-b:0", "san-a:0""#];
    for driver in [Driver::AfPacket, Driver::AfXdp] {
        let Some(config) = with_workers(include_str!("house.toml"), queues) else { return };
        let Some(house) = House::with(driver, &config) else { return };
        basics(&house);
        let workers = house.gateway().show("workers");
        let packets = |at: usize| workers[at]["packets"].as_u64().unwrap_or(0);
        assert!(packets(0) > 0 && packets(1) > 0, "{workers}");
        house.stop();
    }
}

#[test]
fn two_workers_share_the_queues_of_the_uplink() {
    let queues = [r#""eth-srv1:0", "net-a:0", "san-a:0""#, r#""eth-srv2:0", "net-a:1""#];
    let Some(config) = with_workers(CONFIG, queues) else { return };
    let config = config.replace("port = \"DRIVER:gw-lan\"", "port = \"DRIVER:gw-lan\"\nqueues = 2");
    let Some(mut clients) = Clients::up(Driver::AfPacket, &config, &[]) else { return };
    clients.ping("srv1", LAN_IP);
    clients.ping("srv2", LAN_IP);
    clients.ping("srv1", "10.10.0.2");
    clients.serve_tcp();
    clients.serve_iscsi();
    let flows = [clients.tcp(1, 2, &["-R", "-P", "4"]), clients.tcp(2, 2, &["-P", "4"])];
    let disk = clients.disk(2, 0x77);
    clients.check_disk(2, 0x77, disk);
    for flow in flows {
        let bytes = carried(flow);
        assert!(bytes > 1_000_000, "{bytes} bytes");
    }
    let workers = clients.gateway().show("workers");
    for at in [0, 1] {
        assert!(workers[at]["packets"].as_u64().is_some_and(|packets| packets > 100), "{workers}");
    }
    let summary = clients.stop();
    assert!(summary.sent > 1000, "{summary:?}");
}

#[test]
fn real_clients_over_af_packet() {
    let Some(mut clients) = Clients::up(Driver::AfPacket, CONFIG, &[]) else { return };
    clients.serve_tcp();
    clients.serve_iscsi();
    clients.ping("srv1", LAN_IP);
    let (flow, disk) = (clients.tcp(1, 1, &[]), clients.disk(2, 0x5a));
    clients.check_disk(2, 0x5a, disk);
    assert!(clients::carried(flow) > 1_000_000);
    clients.settle();
    clients.stop();
}

//! Uplinks that stand in for each other.

use crate::clients::{self, Clients};
use crate::house::{Driver, House, macs};
use crate::tags::tag;
use crate::topology::End::{Lan, Lan2, Srv1, Srv2};
use iogate::packet::MacAddr;
use iogate::testkit::Frame;
use std::thread::sleep;
use std::time::{Duration, Instant};

fn plain(src: MacAddr, dst: MacAddr) -> Vec<u8> {
    Frame::ethernet(src, dst).payload([0x17; 60]).build()
}

#[test]
fn the_standby_gives_unicast_and_no_broadcast() {
    let Some(house) = House::up() else { return };
    let all = plain(macs::LAN, MacAddr::BROADCAST);
    let group = plain(macs::LAN, MacAddr::new([0x33, 0x33, 0, 0, 0, 1]));
    house.send(Lan2, &[tag(&all, 110, 0), all.clone(), tag(&group, 110, 0)], &[]);
    let one = plain(macs::LAN, macs::S1_NET);
    house.send(Lan2, &[tag(&one, 110, 0)], &[(Srv1, std::slice::from_ref(&one))]);
    house.dropped(&[("standby-uplink", "from-uplink", "net-b", 3, 78 + 74 + 78)]);
    house.stop();
}

#[test]
fn the_standby_takes_over_and_gives_back() {
    let Some(house) = House::up() else { return };
    let up = plain(macs::S1_NET, macs::LAN);
    let (untagged, tagged) = (std::slice::from_ref(&up), [tag(&up, 110, 0)]);
    let ask = plain(macs::LAN, MacAddr::BROADCAST);
    let local = [tag(&ask, 20, 0), tag(&ask, 110, 0)];
    assert_eq!(house.active("prod").as_deref(), Some("net-a"));
    house.send(Srv1, untagged, &[(Lan, &tagged)]);

    let begin = Instant::now();
    house.topology.set_link(Lan, "down");
    house.wait_active("prod", Some("net-b"));
    assert!(begin.elapsed() < Duration::from_secs(1), "took {:?}", begin.elapsed());
    assert_eq!(house.row("ports", "net-a")["up"], false);
    house.send(Srv1, untagged, &[(Lan2, &tagged)]);
    // Broadcast comes from the active one only, which it is now.
    house.send(Lan2, &[tag(&ask, 110, 0)], &[(Srv1, std::slice::from_ref(&ask)), (Srv2, &local)]);

    house.topology.set_link(Lan2, "down");
    house.wait_active("prod", None);
    house.send(Srv1, untagged, &[]);
    // Inside, the network goes on.
    let inside = plain(macs::S1_NET, macs::S2_NET);
    house.send(Srv1, std::slice::from_ref(&inside), &[(Srv2, &[tag(&inside, 20, 0)])]);

    house.topology.set_link(Lan2, "up");
    house.wait_active("prod", Some("net-b"));
    // The preferred one takes over again once it has been up for a second.
    let begin = Instant::now();
    house.topology.set_link(Lan, "up");
    assert_eq!(house.active("prod").as_deref(), Some("net-b"));
    house.wait_active("prod", Some("net-a"));
    let after = begin.elapsed();
    assert!(after >= Duration::from_millis(900) && after < Duration::from_secs(3), "took {after:?}");
    house.send(Srv1, untagged, &[(Lan, &tagged)]);
    house.dropped(&[("no-uplink", "from-server", "eth-srv1", 1, up.len())]);
    assert!(house.gateway().log().contains("network \"prod\": uplink net-b instead of net-a"));
    house.stop();
}

/// A real client goes on while its uplink fails and comes back.
#[test]
fn pings_go_on_while_uplinks_change() {
    let config = clients::CONFIG
        .replace("members = [\"net-a\"]", "members = [\"net-a\", \"net-b\"]\nfailback_delay_ms = 500")
        + "[[uplink]]\nname = \"net-b\"\nport = \"DRIVER:gw-lan2\"\nkind = \"network\"\n";
    let Some(clients) = Clients::up(Driver::AfXdp, &config, &["--spare"]) else { return };
    clients.ping("srv1", clients::LAN_IP);
    let ping = clients.start("srv1", 20, &["ping", "-n", "-q", "-i", "0.02", "-c", "150", "-W", "1", clients::LAN_IP]);
    sleep(Duration::from_millis(500));
    clients.topology.set_link(Lan, "down");
    clients.wait_active("prod", "net-b");
    sleep(Duration::from_millis(500));
    clients.topology.set_link(Lan, "up");
    clients.wait_active("prod", "net-a");
    let said = clients::output(ping);
    // 50 a second: a gap of a quarter of a second at most.
    let received: u32 = said
        .split_once(" packets transmitted, ")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("{said}"));
    assert!(received >= 138, "{said}");
    // The bridge outside floods: what comes back by the standby is dropped, and nothing else is.
    for row in clients.gateway().show("drops").as_array().unwrap() {
        let reason = row["reason"].as_str().unwrap();
        assert!(["deja-vu", "standby-uplink", "unknown-unicast"].contains(&reason), "{row}");
    }
    clients.stop();
}

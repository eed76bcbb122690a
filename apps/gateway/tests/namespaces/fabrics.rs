//! Storage fabrics A and B are side by side and never bridged.

use crate::house::{House, macs};
use crate::tags::tag;
use crate::topology::End::{San, San2, Srv1, Srv2};
use iogate::packet::MacAddr;
use iogate::testkit::Frame;

fn aoe(src: MacAddr, dst: MacAddr) -> Vec<u8> {
    Frame::ethernet(src, dst).aoe(1, 2).build()
}

#[test]
fn each_fabric_has_its_own_uplink_and_no_other() {
    let Some(house) = House::up() else { return };
    assert_eq!(house.active("stor-a").as_deref(), Some("san-a"));
    assert_eq!(house.active("stor-b").as_deref(), Some("san-b"));
    let (a, b) = (aoe(macs::S1_SAN, macs::SAN), aoe(macs::S2_B, macs::SAN));
    house.send(Srv1, std::slice::from_ref(&a), &[(San, &[tag(&a, 300, 5)])]);
    house.send(Srv2, std::slice::from_ref(&b), &[(San2, &[tag(&b, 301, 5)])]);
    // To an adapter of the other fabric: it is nobody here, so that the frame stays in its fabric.
    let (to_b, to_a) = (aoe(macs::S1_SAN, macs::S2_B), aoe(macs::S2_B, macs::S1_SAN));
    house.send(Srv1, std::slice::from_ref(&to_b), &[(San, &[tag(&to_b, 300, 5)])]);
    house.send(Srv2, std::slice::from_ref(&to_a), &[(San2, &[tag(&to_a, 301, 5)])]);
    // To all: those of the fabric that speak it, which is nobody but the uplink.
    let all = aoe(macs::S1_SAN, MacAddr::BROADCAST);
    house.send(Srv1, std::slice::from_ref(&all), &[(San, &[tag(&all, 300, 5)])]);
    // From outside with the other's VLAN.
    house.send(San, &[tag(&aoe(macs::SAN, macs::S2_B), 301, 5)], &[]);
    house.send(San2, &[tag(&aoe(macs::SAN, macs::S1_SAN), 300, 5)], &[]);
    let len = a.len() + 4;
    house
        .dropped(&[("wrong-fabric", "from-uplink", "san-a", 1, len), ("wrong-fabric", "from-uplink", "san-b", 1, len)]);
    house.stop();
}

#[test]
fn a_fabric_that_fails_is_not_replaced_by_the_other() {
    let Some(house) = House::up() else { return };
    let (a, b) = (aoe(macs::S1_SAN, macs::SAN), aoe(macs::S2_B, macs::SAN));
    house.topology.set_link(San, "down");
    house.wait_active("stor-a", None);
    assert_eq!(house.active("stor-b").as_deref(), Some("san-b"));
    house.send(Srv1, std::slice::from_ref(&a), &[]);
    house.send(Srv2, std::slice::from_ref(&b), &[(San2, &[tag(&b, 301, 5)])]);
    house.topology.set_link(San, "up");
    house.wait_active("stor-a", Some("san-a"));
    house.send(Srv1, std::slice::from_ref(&a), &[(San, &[tag(&a, 300, 5)])]);
    house.dropped(&[("no-uplink", "from-server", "eth-srv1", 1, a.len())]);
    house.lost("s1.san", (1, a.len()));
    house.stop();
}

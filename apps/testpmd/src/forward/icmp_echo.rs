//! `icmpecho`: answers ARP requests and pings on the port they came from; everything else is used up.
//!
//! Every address is ours: ARP is told the TX port's MAC, a ping is turned around, one to a multicast
//! address comes back from a neighbour of its sender. The ICMP checksum is adjusted and not looked at.

use super::layers::word;
use iogate::packet::arp::Operation;
use iogate::packet::icmp::IcmpType;
use iogate::packet::{Arp, EtherType, Ethernet, Header, Icmp, IpProtocol, Ipv4, checksum};
use iogate::prelude::*;
use std::net::Ipv4Addr;

/// Answers as `mac`.
pub(super) struct IcmpEcho {
    pub(super) mac: MacAddr,
}

impl Stage for IcmpEcho {
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        batch.remove_if(
            |packet, ()| answer(packet.data_mut(), self.mac).is_none().then_some(()),
            |packet, (), ()| cx.consume(packet),
        );
    }
}

/// Makes the answer of a question; nothing, and nothing changed, for anything else.
#[inline]
fn answer(frame: &mut [u8], mac: MacAddr) -> Option<()> {
    let (ether_type, offset) = match EtherType(word(frame, 12)?) {
        EtherType::VLAN => (EtherType(word(frame, 16)?), 18),
        other => (other, 14),
    };
    match ether_type {
        EtherType::ARP => {
            let (arp, _) = Arp::parse_mut(frame.get_mut(offset..)?).ok()?;
            if arp.operation() != Operation::REQUEST {
                return None;
            }
            arp.answer(mac);
            let (ethernet, _) = Ethernet::parse_mut(frame).ok()?;
            ethernet.set_dst(ethernet.src());
            ethernet.set_src(mac);
        }
        EtherType::IPV4 => {
            let (ip, payload) = Ipv4::parse_front_mut(frame.get_mut(offset..)?).ok()?;
            let icmp = if ip.protocol() == IpProtocol::ICMP { Icmp::parse_mut(payload).ok()?.0 } else { return None };
            if (icmp.kind(), icmp.code()) != (IcmpType::ECHO_REQUEST, 0) {
                return None;
            }
            icmp.set_kind(IcmpType::ECHO_REPLY);
            icmp.set_checksum(checksum::update(icmp.checksum(), ECHO_REQUEST, ECHO_REPLY));
            let (from, to) = (ip.src(), ip.dst());
            ip.set_dst(from);
            if to.octets()[0] == MULTICAST {
                ip.set_src(neighbour(from));
                ip.fill_checksum();
            } else {
                ip.set_src(to);
            }
            Ethernet::parse_mut(frame).ok()?.0.swap_addresses();
        }
        _ => return None,
    }
    Some(())
}

/// Type and code as the checksum sees them.
const ECHO_REQUEST: u16 = 0x0800;
const ECHO_REPLY: u16 = 0;
/// What the original takes for multicast: 224.0.0.0/8.
const MULTICAST: u8 = 224;

/// Another host in the same /30.
fn neighbour(address: Ipv4Addr) -> Ipv4Addr {
    let bits = address.to_bits();
    Ipv4Addr::from_bits(bits & !3 | if bits & 3 == 1 { 2 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::{Mode, testing::*};
    use iogate::testkit::{Frame, mac};
    use proptest::prelude::*;

    const A: [u8; 4] = [10, 0, 0, 1];
    const B: [u8; 4] = [10, 0, 0, 2];

    fn echo(src: (MacAddr, [u8; 4]), dst: (MacAddr, [u8; 4]), vlan: bool, reply: bool) -> Vec<u8> {
        let base = Frame::ethernet(src.0, dst.0);
        let base = if vlan { base.vlan(9) } else { base };
        let mut frame = base.ipv4(src.1, dst.1).icmp_echo(3, 4).payload([7; 33]).build();
        if reply {
            let at = if vlan { 38 } else { 34 };
            frame[at] = 0;
            Icmp::fill_checksum(&mut frame[at..]).unwrap();
        }
        frame
    }

    #[test]
    fn pings_come_back() {
        let mut rig = Rig::new(Mode::IcmpEcho, &config());
        let (a, b) = ((mac(1), A), (mac(2), B));
        for vlan in [false, true] {
            assert_eq!(rig.pass(&echo(a, b, vlan, false)), Some(echo(b, a, vlan, true)));
        }
        let group = (mac(3), [224, 0, 0, 251]);
        let from = |last| (mac(3), [10, 0, 0, last]);
        for (asks, answers) in [(1, 2), (2, 1), (0, 1), (3, 1), (5, 6)] {
            let sent = rig.pass(&echo((mac(1), [10, 0, 0, asks]), group, false, false));
            assert_eq!(sent, Some(echo(from(answers), (mac(1), [10, 0, 0, asks]), false, true)));
        }
    }

    #[test]
    fn arp_is_told_our_address() {
        let mut rig = Rig::new(Mode::IcmpEcho, &config());
        for vlan in [false, true] {
            let tag = |frame: Frame| if vlan { frame.vlan(9) } else { frame };
            let asked = tag(Frame::ethernet(mac(1), MacAddr::BROADCAST)).arp_request(A, B).padded().build();
            let told = tag(Frame::ethernet(OURS, mac(1))).arp_reply(B, A).padded().build();
            assert_eq!(rig.pass(&asked), Some(told.clone()));
            assert_eq!(rig.pass(&told), None, "a reply is no question");
        }
    }

    #[test]
    fn everything_else_is_used_up() {
        let run = Rig::run_until(Mode::IcmpEcho, &config(), &samples(), 1);
        let questions = samples().iter().filter(|frame| answer(&mut frame.to_vec(), OURS).is_some()).count() as u64;
        assert!(questions > 0 && run.totals.balanced());
        assert_eq!((run.totals.sent, run.totals.consumed), (questions, samples().len() as u64 - questions));
    }

    #[test]
    fn any_bytes_are_answered_or_not() {
        let mut rig = Rig::new(Mode::IcmpEcho, &config());
        for_any_frame(|frame| {
            if let Some(sent) = rig.pass(&frame) {
                prop_assert_eq!(sent.len(), frame.len());
            }
            Ok(())
        });
    }
}

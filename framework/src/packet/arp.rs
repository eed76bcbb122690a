//! ARP for IPv4 over Ethernet (RFC 826).
//!
//! ```text
//!    0       2       4    5    6    8            14          18           24
//!   | htype | ptype | 6  | 4  | op | sender MAC | sender IP | target MAC | target IP |
//! ```
//!
//! ```
//! use iogate::packet::arp::{Arp, Operation};
//! use iogate::packet::Header;
//!
//! let mut bytes = [0u8; 28];
//! let (arp, _) = Arp::place(&mut bytes)?;
//! arp.set_operation(Operation::REPLY);
//! arp.set_sender_ip([192, 0, 2, 1].into());
//! assert_eq!(bytes[..8], [0, 1, 8, 0, 6, 4, 0, 2]);
//! # Ok::<(), iogate::packet::Malformed>(())
//! ```

use super::{Extent, Header, MacAddr, Malformed, Why};
use std::net::Ipv4Addr;
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

code! {
    /// What an ARP message does (RFC 826, RFC 903).
    Operation(u16) {
        /// Asks for the MAC address of the target IP address.
        REQUEST = 1 "request";
        /// Answers a request.
        REPLY = 2 "reply";
    }
}

code_field!(Operation in U16);

/// An ARP message for IPv4 over Ethernet. 28 bytes; other hardware and protocol types are refused.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Arp {
    kinds: [u8; 6],
    operation: U16,
    sender_mac: MacAddr,
    sender_ip: [u8; 4],
    target_mac: MacAddr,
    target_ip: [u8; 4],
}

/// Hardware type 1, protocol type IPv4, and the lengths of their addresses.
const KINDS: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];

impl Arp {
    fields! {
        /// What the message does.
        operation, set_operation: Operation = operation;
        /// MAC address of who sends.
        sender_mac, set_sender_mac: MacAddr = sender_mac;
        /// IP address of who sends; 0.0.0.0 in a probe (RFC 5227).
        sender_ip, set_sender_ip: Ipv4Addr = sender_ip;
        /// MAC address of who is asked or answered; meaningless in a request.
        target_mac, set_target_mac: MacAddr = target_mac;
        /// IP address of who is asked or answered.
        target_ip, set_target_ip: Ipv4Addr = target_ip;
    }

    /// Whether the sender announces itself: it asks for, or answers with, its own address (RFC 5227, section 3).
    #[inline]
    #[must_use]
    pub fn is_gratuitous(&self) -> bool {
        self.sender_ip == self.target_ip
    }

    /// Turns a request for an address of ours into the reply that says it is at `mac`.
    #[inline]
    pub fn answer(&mut self, mac: MacAddr) {
        let asked = self.target_ip;
        self.target_mac = self.sender_mac;
        self.target_ip = self.sender_ip;
        self.sender_mac = mac;
        self.sender_ip = asked;
        self.set_operation(Operation::REPLY);
    }
}

debug_fields!(Arp: operation, sender_mac, sender_ip, target_mac, target_ip, is_gratuitous);

impl Header for Arp {
    const NAME: &'static str = "arp";
    const BLANK: &'static [u8] = &[0, 1, 8, 0, 6, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[inline]
    fn extent(bytes: &[u8]) -> Result<Extent, Malformed> {
        let extent = Extent::fixed::<Self>(bytes)?;
        if bytes[..6] != KINDS {
            return Err(Self::malformed(Why::Kind));
        }
        Ok(extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REQUEST: [u8; 28] =
        [0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 192, 168, 1, 10, 0, 0, 0, 0, 0, 0, 192, 168, 1, 1];

    properties!(arp, Arp, REQUEST);

    #[test]
    fn reads_and_answers_a_request() {
        let mut bytes = REQUEST;
        let (arp, _) = Arp::parse_mut(&mut bytes).unwrap();
        assert_eq!(arp.operation(), Operation::REQUEST);
        assert_eq!(arp.target_ip(), Ipv4Addr::new(192, 168, 1, 1));
        assert!(!arp.is_gratuitous());
        arp.answer([2, 0, 0, 0, 0, 9].into());
        assert_eq!(
            format!("{arp:?}"),
            "Arp { operation: reply, sender_mac: 02:00:00:00:00:09, sender_ip: 192.168.1.1, \
             target_mac: 52:54:00:12:34:56, target_ip: 192.168.1.10, is_gratuitous: false }"
        );
    }

    #[test]
    fn refuses_other_hardware() {
        for at in 0..6 {
            let mut bytes = REQUEST;
            bytes[at] ^= 0x10;
            assert_eq!(Arp::parse(&bytes).unwrap_err().why, Why::Kind);
        }
    }

    proptest! {
        #[test]
        fn setters_read_back(op: u16, smac: [u8; 6], sip: [u8; 4], tmac: [u8; 6], tip: [u8; 4]) {
            let mut bytes = [0; 28];
            let (arp, _) = Arp::place(&mut bytes).unwrap();
            reads_back!(arp;
                operation, set_operation = Operation(op);
                sender_mac, set_sender_mac = smac.into();
                sender_ip, set_sender_ip = Ipv4Addr::from(sip);
                target_mac, set_target_mac = tmac.into();
                target_ip, set_target_ip = Ipv4Addr::from(tip);
            );
            prop_assert!(Arp::parse(&bytes).is_ok());
        }
    }
}

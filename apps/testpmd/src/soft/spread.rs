//! RSS: which RX queue a packet is for, by a hash over its fields.

use super::headers::{Headers, Ip};
use iogate::packet::IpProtocol;
use iogate::port::{FlowHash, toeplitz};

/// The key that ports have at first: Microsoft's, made longer by its own beginning.
pub(super) const KEY: [u8; KEY_SIZE] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b,
    0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac,
    0x01, 0xfa, 0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d,
];
/// Bytes of a key.
pub(super) const KEY_SIZE: usize = 52;
/// Entries of the table that hashes choose a queue from.
pub(super) const TABLE_SIZE: u16 = 512;

/// The fields that are known, `RTE_ETH_RSS_*`: IPv4 and IPv6, whole packets, fragments, TCP, UDP, SCTP and others;
/// only sources, or only destinations.
pub(super) const FIELDS: u64 = 0x3ffc | LIMITS;
const LIMITS: u64 = 0xf << 60;
const L4_DST_ONLY: u64 = 1 << 60;
const L4_SRC_ONLY: u64 = 1 << 61;
const L3_DST_ONLY: u64 = 1 << 62;
const L3_SRC_ONLY: u64 = 1 << 63;

/// How packets are spread.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    pub(super) key: Vec<u8>,
    pub(super) fields: u64,
    pub(super) function: FlowHash,
    /// Queues; a hash chooses one, modulo their number.
    pub(super) table: Vec<u16>,
}

impl Spread {
    /// The hash of a packet; nothing for one without the fields.
    pub(super) fn hash(&self, frame: &[u8], headers: &Headers) -> Option<u32> {
        let ip = headers.ip.as_ref()?;
        let ports = self.hashed(ip)?.then(|| ip.ports(frame)).flatten();
        let length = if ip.v6 { 16 } else { 4 };
        let from = ip.at + if ip.v6 { 8 } else { 12 };
        let addresses = frame.get(from..from + 2 * length)?;
        let (src, dst) = addresses.split_at(length);
        let mut words = [0; 9];
        let count = 2 * length / 4;
        self.fill(&mut words[..count], src, dst, L3_SRC_ONLY, L3_DST_ONLY);
        let mut used = count;
        if let Some([a, b, c, d]) = ports {
            let mut bytes = [a, b, c, d];
            self.limit(&mut bytes, L4_SRC_ONLY, L4_DST_ONLY);
            self.mirror(&mut bytes);
            words[used] = u32::from_be_bytes(bytes);
            used += 1;
        }
        let words = &words[..used];
        Some(match self.function {
            FlowHash::SimpleXor => words.iter().fold(0, |sum, word| sum ^ word),
            FlowHash::Default | FlowHash::Toeplitz | FlowHash::SymmetricToeplitz => toeplitz(&self.key, words),
        })
    }

    /// The queue of a hash.
    pub(super) fn queue(&self, hash: u32) -> Option<u16> {
        let at = (hash as usize).checked_rem(self.table.len())?;
        Some(self.table[at])
    }

    /// Whether an IP packet is hashed with its ports (true) or without (false); nothing when it is not hashed.
    fn hashed(&self, ip: &Ip) -> Option<bool> {
        // Bits of IPv6 stand 6 above those of IPv4: any, fragment, TCP, UDP, SCTP, other.
        let has = |bit: u32| self.fields >> (bit + if ip.v6 { 6 } else { 0 }) & 1 == 1;
        let any = has(2);
        let (own, with_ports) = match ip.protocol {
            _ if ip.fragment => (has(3), false),
            IpProtocol::TCP => (has(4), true),
            IpProtocol::UDP => (has(5), true),
            IpProtocol::SCTP => (has(6), true),
            _ => (has(7), false),
        };
        match (own, any) {
            (true, _) => Some(with_ports),
            (false, true) => Some(false),
            (false, false) => None,
        }
    }

    fn fill(&self, words: &mut [u32], src: &[u8], dst: &[u8], src_only: u64, dst_only: u64) {
        let mut bytes = [0; 32];
        let length = src.len();
        bytes[..length].copy_from_slice(src);
        bytes[length..2 * length].copy_from_slice(dst);
        self.limit(&mut bytes[..2 * length], src_only, dst_only);
        self.mirror(&mut bytes[..2 * length]);
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
    }

    /// Leaves out the half of a pair that does not count.
    fn limit(&self, pair: &mut [u8], src_only: u64, dst_only: u64) {
        let (src, dst) = pair.split_at_mut(pair.len() / 2);
        if self.fields & src_only != 0 && self.fields & dst_only == 0 {
            dst.fill(0);
        }
        if self.fields & dst_only != 0 && self.fields & src_only == 0 {
            src.fill(0);
        }
    }

    /// Makes both halves of a pair what they differ in, so that both directions of a flow look the same.
    fn mirror(&self, pair: &mut [u8]) {
        if self.function == FlowHash::SymmetricToeplitz {
            let (src, dst) = pair.split_at_mut(pair.len() / 2);
            for (src, dst) in src.iter_mut().zip(dst) {
                *src ^= *dst;
                *dst = *src;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iogate::testkit::{Frame, mac};
    use proptest::prelude::*;
    use std::net::Ipv6Addr;

    const IP: u64 = 1 << 2 | 1 << 8;
    const TCP: u64 = 1 << 4 | 1 << 10;

    fn spread(fields: u64, function: FlowHash) -> Spread {
        Spread { key: KEY.to_vec(), fields, function, table: vec![0, 1, 2, 3] }
    }

    fn hash(spread: &Spread, frame: &[u8]) -> Option<u32> {
        spread.hash(frame, &Headers::of(frame))
    }

    fn v4(src: [u8; 4], dst: [u8; 4], ports: (u16, u16)) -> Vec<u8> {
        Frame::ethernet(mac(1), mac(2)).ipv4(src, dst).tcp(ports.0, ports.1).build()
    }

    /// The vectors that Microsoft publishes ("Verifying the RSS Hash Calculation").
    #[test]
    fn hashes_are_those_of_microsofts_vectors() {
        let vectors = [
            ([66, 9, 149, 187], 2794, [161, 142, 100, 80], 1766, 0x323e8fc2, 0x51ccc178),
            ([199, 92, 111, 2], 14230, [65, 69, 140, 83], 4739, 0xd718262a, 0xc626b0ea),
            ([24, 19, 198, 95], 12898, [12, 22, 207, 184], 38024, 0xd2d0a5de, 0x5c2b394a),
            ([38, 27, 205, 30], 48228, [209, 142, 163, 6], 2217, 0x82989176, 0xafc7327f),
            ([153, 39, 163, 191], 44251, [202, 188, 127, 2], 1303, 0x5d1809c5, 0x10e828a2),
        ];
        for (src, src_port, dst, dst_port, ip, tcp) in vectors {
            let frame = v4(src, dst, (src_port, dst_port));
            assert_eq!(hash(&spread(IP, FlowHash::Default), &frame), Some(ip), "{src:?}");
            assert_eq!(hash(&spread(IP | TCP, FlowHash::Toeplitz), &frame), Some(tcp), "{src:?}");
        }
        let vectors = [
            ("3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x2cc18cd5, 0x40207d3d),
            ("3ffe:501:8::260:97ff:fe40:efab", 14230, "ff02::1", 4739, 0x0f0c461c, 0xdde51bbf),
            ("3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, "fe80::200:f8ff:fe21:67cf", 38024, 0x4b61e985, 0x02d1feef),
        ];
        for (src, src_port, dst, dst_port, ip, tcp) in vectors {
            let (src, dst): (Ipv6Addr, Ipv6Addr) = (src.parse().unwrap(), dst.parse().unwrap());
            let frame = Frame::ethernet(mac(1), mac(2)).ipv6(src, dst).tcp(src_port, dst_port).build();
            assert_eq!(hash(&spread(IP, FlowHash::Default), &frame), Some(ip), "{src}");
            assert_eq!(hash(&spread(IP | TCP, FlowHash::Default), &frame), Some(tcp), "{src}");
        }
    }

    #[test]
    fn packets_without_the_fields_are_not_hashed() {
        let tcp = v4([1; 4], [2; 4], (1, 2));
        assert_eq!(hash(&spread(1 << 5, FlowHash::Default), &tcp), None, "asked for UDP");
        let arp = Frame::ethernet(mac(1), mac(2)).arp_request([1; 4], [2; 4]).build();
        assert_eq!(hash(&spread(FIELDS, FlowHash::Default), &arp), None);
        let (port_only, other_port) = (v4([1; 4], [2; 4], (1, 9)), v4([1; 4], [2; 4], (2, 9)));
        let of_dst = spread(IP | TCP | L4_DST_ONLY, FlowHash::Default);
        assert_eq!(hash(&of_dst, &port_only), hash(&of_dst, &other_port));
        assert_eq!(spread(IP, FlowHash::Default).queue(6), Some(2));
        assert_eq!(Spread { table: Vec::new(), ..of_dst }.queue(6), None);
    }

    proptest! {
        #[test]
        fn a_symmetric_hash_is_that_of_the_way_back(src: [u8; 4], dst: [u8; 4], ports: (u16, u16)) {
            let symmetric = spread(IP | TCP, FlowHash::SymmetricToeplitz);
            let (there, back) = (v4(src, dst, ports), v4(dst, src, (ports.1, ports.0)));
            prop_assert_eq!(hash(&symmetric, &there), hash(&symmetric, &back));
            prop_assert!(hash(&symmetric, &there).is_some());
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..90), fields: u64) {
            let mut bytes = bytes;
            if let Some(front) = bytes.get_mut(12..15) {
                front.copy_from_slice(&[8, 0, 0x45]);
            }
            hash(&spread(fields, FlowHash::Default), &bytes);
        }
    }
}

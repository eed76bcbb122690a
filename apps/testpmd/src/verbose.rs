//! `set verbose`: what comes in and goes out, packet by packet.
//!
//! Workers write the text, and the prompt shows it when it disturbs nobody: before a command's output.

use crate::screen;
use crossbeam_queue::ArrayQueue;
use iogate::packet::{EtherType, Ethernet, Header, IpProtocol, Ipv4, Ipv6, Udp, Vlan};
use iogate::port::ptype_name;
use iogate::prelude::*;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

/// Bursts whose text is kept until it can be shown.
const KEPT: usize = 4096;

/// What workers have to say. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Verbose {
    shared: Arc<Shared>,
}

struct Shared {
    level: AtomicU16,
    /// Whether the level is one that tells of received packets.
    received: AtomicBool,
    /// Whether it is one that tells of sent packets.
    sent: Arc<AtomicBool>,
    texts: ArrayQueue<String>,
    lost: AtomicU64,
}

impl Verbose {
    pub(crate) fn new() -> Self {
        let shared = Shared {
            level: AtomicU16::new(0),
            received: AtomicBool::new(false),
            sent: Arc::default(),
            texts: ArrayQueue::new(KEPT),
            lost: AtomicU64::new(0),
        };
        Verbose { shared: Arc::new(shared) }
    }

    /// Sets the level, and returns the one before.
    pub(crate) fn set(&self, level: u16) -> u16 {
        self.shared.received.store(level == 1 || level > 2, Ordering::Relaxed);
        self.shared.sent.store(level >= 2, Ordering::Relaxed);
        self.shared.level.swap(level, Ordering::Relaxed)
    }

    /// Shows what workers said since the last time.
    pub(crate) fn show(&self) {
        while let Some(text) = self.shared.texts.pop() {
            screen::write(format_args!("{text}"));
        }
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            screen::write(format_args!("{lost} more bursts are not shown\n"));
        }
    }

    /// Whether packets that are sent are told of, just now.
    pub(crate) fn tells_sent(&self) -> Arc<AtomicBool> {
        self.shared.sent.clone()
    }

    /// Says what came in on a queue, when that is wanted.
    #[inline]
    pub(crate) fn received(&self, place: &(u16, u16), batch: &Batch) {
        if self.shared.received.load(Ordering::Relaxed) {
            self.tell(place, "received", batch);
        }
    }

    /// Says what goes out on a queue.
    pub(crate) fn sent(&self, place: (u16, u16), batch: &Batch) {
        if !batch.is_empty() {
            self.tell(&place, "sent", batch);
        }
    }

    #[cold]
    fn tell(&self, &(port, queue): &(u16, u16), what: &str, batch: &Batch) {
        let mut text = format!("port {port}/queue {queue}: {what} {} packets\n", batch.len());
        for packet in batch.packets() {
            text.push_str(&describe(packet, (what == "received").then_some(queue)));
        }
        if self.shared.texts.push(text).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One packet in the original's words.
fn describe(packet: &Mbuf, queue: Option<u16>) -> String {
    let mut text = String::new();
    let layers = Layers::of(packet.data());
    let Ok(ethernet) = packet.header::<Ethernet>() else {
        return format!("  length={} - nb_segs={}\n", packet.len(), packet.segments());
    };
    let upper = |mac: MacAddr| mac.to_string().to_uppercase();
    let _ = write!(
        text,
        "  src={} - dst={} - pool=mb_pool_0 - type=0x{:04x} - length={} - nb_segs={}",
        upper(ethernet.src()),
        upper(ethernet.dst()),
        ethernet.ether_type().0,
        packet.len(),
        packet.segments()
    );
    if let (Some(hash), Some(queue)) = (packet.rss_hash(), queue) {
        let _ = write!(text, " - RSS hash=0x{hash:x} - RSS queue=0x{queue:x}");
    }
    match packet.mark() {
        Some(Some(number)) => drop(write!(text, " - FDIR matched ID=0x{number:x}")),
        Some(None) => text.push_str(" - FDIR matched"),
        None => {}
    }
    match (packet.stripped_vlan(), packet.stripped_outer_vlan()) {
        // The original has a comma between the two, which its test suite does not understand.
        (Some(tag), Some(outer)) => drop(write!(text, " - QinQ VLAN tci=0x{tag:x} - VLAN tci outer=0x{outer:x}")),
        (Some(tag), None) => drop(write!(text, " - VLAN tci=0x{tag:x}")),
        (None, _) => {}
    }
    // Scripts look for the layers, also where the device tells none apart.
    let kind = packet.packet_type();
    let hardware = if kind == 0 { "L2_UNKNOWN L3_UNKNOWN L4_UNKNOWN".to_owned() } else { ptype_name(kind) };
    let _ = write!(text, " - hw ptype: {hardware} ");
    let _ = write!(text, " - sw ptype: {} ", layers.names());
    let _ = write!(text, " - l2_len={}", layers.l2_len);
    if layers.l3_len > 0 {
        let _ = write!(text, " - l3_len={}", layers.l3_len);
    }
    if layers.l4_len > 0 {
        let _ = write!(text, " - l4_len={}", layers.l4_len);
    }
    if let (Some(port), "L4_TCP" | "L4_UDP") = (layers.port, layers.l4) {
        let _ = write!(text, " - Destination {} port={port}", &layers.l4[3..]);
    }
    match queue {
        Some(queue) => drop(writeln!(text, " - Receive queue=0x{queue:x}")),
        None => text.push('\n'),
    }
    let _ = writeln!(text, "  ol_flags: {} ", flags(packet.flags()).join(" "));
    text
}

/// What software finds in a frame.
#[derive(Debug, Default, PartialEq, Eq)]
struct Layers {
    l2: &'static str,
    l3: &'static str,
    l4: &'static str,
    l2_len: usize,
    l3_len: usize,
    l4_len: usize,
    port: Option<u16>,
}

impl Layers {
    fn of(frame: &[u8]) -> Layers {
        let mut layers = Layers { l2: "L2_ETHER", l2_len: 14, ..Layers::default() };
        let Ok((ethernet, mut rest)) = Ethernet::parse(frame) else { return layers };
        let mut kind = ethernet.ether_type();
        for name in ["L2_ETHER_VLAN", "L2_ETHER_QINQ"] {
            if !kind.is_vlan() {
                break;
            }
            let Ok((tag, behind)) = Vlan::parse(rest) else { return layers };
            (kind, rest) = (tag.ether_type(), behind);
            (layers.l2, layers.l2_len) = (name, layers.l2_len + 4);
        }
        let protocol = match kind {
            EtherType::ARP => {
                layers.l2 = "L2_ETHER_ARP";
                return layers;
            }
            EtherType::IPV4 => {
                let Ok((ip, behind)) = Ipv4::parse(rest) else { return layers };
                layers.l3_len = usize::from(rest[0] & 15) * 4;
                layers.l3 = if layers.l3_len > 20 { "L3_IPV4_EXT" } else { "L3_IPV4" };
                rest = behind;
                ip.protocol()
            }
            EtherType::IPV6 => {
                let Ok((ip, behind)) = Ipv6::parse(rest) else { return layers };
                (layers.l3, layers.l3_len, rest) = ("L3_IPV6", 40, behind);
                ip.next_header()
            }
            _ => return layers,
        };
        let port = |rest: &[u8]| Some(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
        (layers.l4, layers.l4_len) = match protocol {
            IpProtocol::UDP => ("L4_UDP", size_of::<Udp>()),
            IpProtocol::TCP => ("L4_TCP", rest.get(12).map_or(0, |offset| usize::from(offset >> 4) * 4)),
            IpProtocol(132) => ("L4_SCTP", 12),
            _ => return layers,
        };
        layers.port = port(rest);
        layers
    }

    fn names(&self) -> String {
        let all = [self.l2, self.l3, self.l4];
        all.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// Names of what a device says of a received packet.
fn flags(flags: u64) -> Vec<&'static str> {
    const SINGLE: [(u64, &str); 12] = [
        (1 << 0, "RTE_MBUF_F_RX_VLAN"),
        (1 << 1, "RTE_MBUF_F_RX_RSS_HASH"),
        (1 << 2, "RTE_MBUF_F_RX_FDIR"),
        (1 << 5, "RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD"),
        (1 << 6, "RTE_MBUF_F_RX_VLAN_STRIPPED"),
        (1 << 9, "RTE_MBUF_F_RX_IEEE1588_PTP"),
        (1 << 10, "RTE_MBUF_F_RX_IEEE1588_TMST"),
        (1 << 13, "RTE_MBUF_F_RX_FDIR_ID"),
        (1 << 14, "RTE_MBUF_F_RX_FDIR_FLX"),
        (1 << 15, "RTE_MBUF_F_RX_QINQ_STRIPPED"),
        (1 << 16, "RTE_MBUF_F_RX_LRO"),
        (1 << 20, "RTE_MBUF_F_RX_QINQ"),
    ];
    let two = |bad: u64, good: u64, names: [&'static str; 4]| match (flags & bad != 0, flags & good != 0) {
        (false, false) => names[0],
        (true, false) => names[1],
        (false, true) => names[2],
        (true, true) => names[3],
    };
    let of = |range: std::ops::Range<u64>| {
        SINGLE.iter().filter(move |(bit, _)| range.contains(bit) && flags & bit != 0).map(|(_, name)| *name)
    };
    let mut names: Vec<&str> = of(0..1 << 3).collect();
    names.push(two(
        1 << 3,
        1 << 8,
        [
            "RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN",
            "RTE_MBUF_F_RX_L4_CKSUM_BAD",
            "RTE_MBUF_F_RX_L4_CKSUM_GOOD",
            "RTE_MBUF_F_RX_L4_CKSUM_NONE",
        ],
    ));
    names.push(two(
        1 << 4,
        1 << 7,
        [
            "RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN",
            "RTE_MBUF_F_RX_IP_CKSUM_BAD",
            "RTE_MBUF_F_RX_IP_CKSUM_GOOD",
            "RTE_MBUF_F_RX_IP_CKSUM_NONE",
        ],
    ));
    names.extend(of(1 << 5..u64::MAX));
    names.push(two(
        1 << 21,
        1 << 22,
        [
            "RTE_MBUF_F_RX_OUTER_L4_CKSUM_UNKNOWN",
            "RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD",
            "RTE_MBUF_F_RX_OUTER_L4_CKSUM_GOOD",
            "RTE_MBUF_F_RX_OUTER_L4_CKSUM_INVALID",
        ],
    ));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use iogate::testkit::{Frame, mac};

    #[test]
    fn layers_are_named() {
        let udp = Frame::ethernet(mac(1), mac(2)).vlan(5).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2005).build();
        let layers = Layers::of(&udp);
        assert_eq!(layers.names(), "L2_ETHER_VLAN L3_IPV4 L4_UDP");
        assert_eq!((layers.l2_len, layers.l3_len, layers.l4_len, layers.port), (18, 20, 8, Some(2005)));
        assert_eq!(Layers::of(&udp[..20]).l2_len, 18);
        assert_eq!(Layers::of(&[]).names(), "L2_ETHER");
    }

    #[test]
    fn nothing_known_is_said_three_times() {
        assert_eq!(
            flags(0),
            [
                "RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN",
                "RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN",
                "RTE_MBUF_F_RX_OUTER_L4_CKSUM_UNKNOWN"
            ]
        );
        assert_eq!(flags(1 << 7)[1], "RTE_MBUF_F_RX_IP_CKSUM_GOOD");
    }
}

//! The headers and fields that a template can name: those of the framework's
//! [`packet`](iogate::packet) module, with where each field stands.
//!
//! Names are those of the framework's accessors. A test writes every field through this table and reads it back
//! through the framework.

use iogate::packet::aoe::Ata;
use iogate::packet::fcoe::{FcFrame, FcType, Fcoe};
use iogate::packet::icmp::IcmpType;
use iogate::packet::icmpv6::Icmpv6Type;
use iogate::packet::ndp::{NeighborAdvertisement, NeighborSolicitation};
use iogate::packet::nvme_tcp::{Command, Response};
use iogate::packet::roce::Reth;
use iogate::packet::{
    Aoe, Arp, Bth, EtherType, Ethernet, Fip, Header, IpProtocol, Ipv4, Ipv6, Iscsi, NvmeTcp, Pause, Pfc, Tcp, TcpFlags,
    Udp, Vlan, Vxlan, fip, iscsi, nvme_tcp, roce, vxlan,
};

/// A header that a template can name.
#[derive(Debug)]
pub struct HeaderKind {
    /// Its name in templates.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Its bytes when no field is set.
    pub blank: &'static [u8],
    /// What it may stand behind, and what says so there.
    pub behind: &'static [Behind],
    /// Its fields.
    pub fields: &'static [Field],
    /// Values that fields have unless a template says otherwise, besides what stands in `blank`.
    pub defaults: &'static [(&'static str, u128)],
}

/// What a header may stand behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Nothing: it is the first.
    Nothing,
    /// Ethernet or a tag, with this type.
    EtherType(u16),
    /// IPv4 or IPv6, with this protocol.
    IpProtocol(u8),
    /// UDP, with this destination port.
    UdpPort(u16),
    /// TCP, with this destination port.
    TcpPort(u16),
    /// The header of this name.
    Header(&'static str),
    /// Anything.
    Any,
}

/// A field of a header.
#[derive(Debug)]
pub struct Field {
    /// Its name in templates.
    pub name: &'static str,
    /// Where it starts, in bits from the start of the header, the first bit being the highest of the first byte.
    pub at: u16,
    /// How wide it is, in bits.
    pub bits: u16,
    /// How its values are written.
    pub kind: FieldKind,
    /// Whether its bytes stand in little-endian order.
    pub little_endian: bool,
}

/// How the values of a field are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// 10, 0x0a, true.
    Number,
    /// 02:00:00:00:00:01.
    Mac,
    /// 198.18.0.1.
    Ipv4,
    /// 2001:2::1.
    Ipv6,
}

/// Finds a header by its name.
pub fn header(name: &str) -> Option<&'static HeaderKind> {
    HEADERS.iter().find(|header| header.name == name)
}

impl HeaderKind {
    /// Finds a field by its name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

const fn bits(name: &'static str, at: u16, bits: u16) -> Field {
    Field { name, at, bits, kind: FieldKind::Number, little_endian: false }
}

/// A number of so many bytes at a byte.
const fn bytes(name: &'static str, byte: u16, count: u16) -> Field {
    bits(name, byte * 8, count * 8)
}

const fn little(name: &'static str, byte: u16, count: u16) -> Field {
    Field { little_endian: true, ..bytes(name, byte, count) }
}

const fn mac(name: &'static str, byte: u16) -> Field {
    Field { kind: FieldKind::Mac, ..bytes(name, byte, 6) }
}

const fn ipv4(name: &'static str, byte: u16) -> Field {
    Field { kind: FieldKind::Ipv4, ..bytes(name, byte, 4) }
}

const fn ipv6(name: &'static str, byte: u16) -> Field {
    Field { kind: FieldKind::Ipv6, ..bytes(name, byte, 16) }
}

const TAG: &[Field] = &[bits("pcp", 0, 3), bits("dei", 3, 1), bits("vid", 4, 12), bytes("ether_type", 2, 2)];

const IPV6: &[Field] = &[
    bits("traffic_class", 4, 8),
    bits("dscp", 4, 6),
    bits("ecn", 10, 2),
    bits("flow_label", 12, 20),
    bytes("payload_len", 4, 2),
    bytes("next_header", 6, 1),
    bytes("hop_limit", 7, 1),
    ipv6("src", 8),
    ipv6("dst", 24),
];

/// 198.18.0.1 and .2: the network for benchmarks (RFC 2544, appendix C).
const IPV4_SRC: u128 = 0xc612_0001;
/// 2001:2::1 and 2: the network for benchmarks (RFC 5180).
const IPV6_SRC: u128 = 0x2001_0002 << 96 | 1;

const NVME_TCP: [Field; 5] = [
    bytes("kind", 0, 1),
    bytes("flags", 1, 1),
    bytes("header_len", 2, 1),
    bytes("data_offset", 3, 1),
    little("pdu_len", 4, 4),
];

/// An LLDP message with the four TLVs that each must have: chassis by MAC address, port by MAC address, time to live, end.
const LLDP: &[u8] = &[0x02, 7, 4, 2, 0, 0, 0, 0, 1, 0x04, 7, 3, 2, 0, 0, 0, 0, 1, 0x06, 2, 0, 120, 0, 0];

/// What TCP segments with data mostly have.
const PUSHES: u8 = TcpFlags::PSH.0 | TcpFlags::ACK.0;

/// An ICMP or ICMPv6 echo request.
const ECHO: &[Field] = &[
    bytes("kind", 0, 1),
    bytes("code", 1, 1),
    bytes("checksum", 2, 2),
    bytes("identifier", 4, 2),
    bytes("sequence", 6, 2),
];

/// An ICMPv6 echo request: the header with identifier and sequence number, which the framework counts as its body.
const ICMPV6: &[u8] = &[Icmpv6Type::ECHO_REQUEST.0, 0, 0, 0, 0, 0, 0, 0];

/// A FIP descriptor of a MAC address: type 2, length 2 words.
const FIP_MAC: &[u8] = &[2, 2, 0, 0, 0, 0, 0, 0];

/// Every header, in the order in which they are listed.
pub static HEADERS: &[HeaderKind] = &[
    HeaderKind {
        name: "ethernet",
        about: "Ethernet II",
        blank: Ethernet::BLANK,
        behind: &[Behind::Nothing, Behind::Header("vxlan")],
        fields: &[mac("dst", 0), mac("src", 6), bytes("ether_type", 12, 2)],
        defaults: &[("src", 0x0200_0000_0001), ("dst", 0x0200_0000_0002)],
    },
    HeaderKind {
        name: "vlan",
        about: "customer VLAN tag (802.1Q)",
        blank: Vlan::BLANK,
        behind: &[Behind::EtherType(EtherType::VLAN.0)],
        fields: TAG,
        defaults: &[("vid", 1)],
    },
    HeaderKind {
        name: "service_vlan",
        about: "service VLAN tag (802.1ad)",
        blank: Vlan::BLANK,
        behind: &[Behind::EtherType(EtherType::SERVICE_VLAN.0)],
        fields: TAG,
        defaults: &[("vid", 1)],
    },
    HeaderKind {
        name: "arp",
        about: "ARP",
        blank: Arp::BLANK,
        behind: &[Behind::EtherType(EtherType::ARP.0)],
        fields: &[
            bytes("operation", 6, 2),
            mac("sender_mac", 8),
            ipv4("sender_ip", 14),
            mac("target_mac", 18),
            ipv4("target_ip", 24),
        ],
        defaults: &[("sender_mac", 0x0200_0000_0001), ("sender_ip", IPV4_SRC), ("target_ip", IPV4_SRC + 1)],
    },
    HeaderKind {
        name: "ipv4",
        about: "IPv4",
        blank: Ipv4::BLANK,
        behind: &[Behind::EtherType(EtherType::IPV4.0), Behind::IpProtocol(IpProtocol::IPV4.0)],
        fields: &[
            bytes("tos", 1, 1),
            bits("dscp", 8, 6),
            bits("ecn", 14, 2),
            bytes("total_len", 2, 2),
            bytes("id", 4, 2),
            bits("dont_fragment", 49, 1),
            bits("more_fragments", 50, 1),
            // In units of 8 bytes, as it stands on the wire.
            bits("fragment_offset", 51, 13),
            bytes("ttl", 8, 1),
            bytes("protocol", 9, 1),
            bytes("checksum", 10, 2),
            ipv4("src", 12),
            ipv4("dst", 16),
        ],
        defaults: &[("src", IPV4_SRC), ("dst", IPV4_SRC + 1)],
    },
    HeaderKind {
        name: "ipv6",
        about: "IPv6",
        blank: Ipv6::BLANK,
        behind: &[Behind::EtherType(EtherType::IPV6.0), Behind::IpProtocol(IpProtocol::IPV6.0)],
        fields: IPV6,
        defaults: &[("src", IPV6_SRC), ("dst", IPV6_SRC + 1), ("hop_limit", 64)],
    },
    HeaderKind {
        name: "icmp",
        about: "ICMP, an echo request unless kind is set",
        blank: &[IcmpType::ECHO_REQUEST.0, 0, 0, 0, 0, 0, 0, 0],
        behind: &[Behind::IpProtocol(IpProtocol::ICMP.0)],
        fields: ECHO,
        defaults: &[],
    },
    HeaderKind {
        name: "icmpv6",
        about: "ICMPv6, an echo request unless kind is set",
        blank: ICMPV6,
        behind: &[Behind::IpProtocol(IpProtocol::ICMPV6.0)],
        fields: ECHO,
        defaults: &[],
    },
    HeaderKind {
        name: "neighbor_solicitation",
        about: "ICMPv6 neighbour solicitation",
        blank: NeighborSolicitation::BLANK,
        behind: &[Behind::IpProtocol(IpProtocol::ICMPV6.0)],
        fields: &[bytes("checksum", 2, 2), ipv6("target", 8)],
        defaults: &[("target", IPV6_SRC + 1)],
    },
    HeaderKind {
        name: "neighbor_advertisement",
        about: "ICMPv6 neighbour advertisement",
        blank: NeighborAdvertisement::BLANK,
        behind: &[Behind::IpProtocol(IpProtocol::ICMPV6.0)],
        fields: &[bytes("checksum", 2, 2), bytes("flags", 4, 1), ipv6("target", 8)],
        defaults: &[("target", IPV6_SRC)],
    },
    HeaderKind {
        name: "tcp",
        about: "TCP without options",
        blank: Tcp::BLANK,
        behind: &[Behind::IpProtocol(IpProtocol::TCP.0)],
        fields: &[
            bytes("src_port", 0, 2),
            bytes("dst_port", 2, 2),
            bytes("sequence", 4, 4),
            bytes("acknowledgment", 8, 4),
            bytes("flags", 13, 1),
            bytes("window", 14, 2),
            bytes("checksum", 16, 2),
            bytes("urgent", 18, 2),
        ],
        defaults: &[("src_port", 49_152), ("dst_port", 9), ("flags", PUSHES as u128), ("window", 0xffff)],
    },
    HeaderKind {
        name: "udp",
        about: "UDP",
        blank: Udp::BLANK,
        behind: &[Behind::IpProtocol(IpProtocol::UDP.0)],
        fields: &[bytes("src_port", 0, 2), bytes("dst_port", 2, 2), bytes("len", 4, 2), bytes("checksum", 6, 2)],
        defaults: &[("src_port", 49_152), ("dst_port", 9)],
    },
    HeaderKind {
        name: "vxlan",
        about: "VXLAN",
        blank: Vxlan::BLANK,
        behind: &[Behind::UdpPort(vxlan::PORT)],
        fields: &[bytes("vni", 4, 3)],
        defaults: &[("vni", 1)],
    },
    HeaderKind {
        name: "fcoe",
        about: "Fibre Channel over Ethernet; the trailer with CRC and end of frame follows by itself",
        blank: Fcoe::BLANK,
        behind: &[Behind::EtherType(EtherType::FCOE.0)],
        fields: &[bytes("sof", 13, 1)],
        defaults: &[],
    },
    HeaderKind {
        name: "fc",
        about: "Fibre Channel frame header, a SCSI command unless r_ctl and kind are set",
        blank: FcFrame::BLANK,
        behind: &[Behind::Header("fcoe")],
        fields: &[
            bytes("r_ctl", 0, 1),
            bytes("d_id", 1, 3),
            bytes("cs_ctl", 4, 1),
            bytes("s_id", 5, 3),
            bytes("kind", 8, 1),
            bytes("f_ctl", 9, 3),
            bytes("seq_id", 12, 1),
            bytes("df_ctl", 13, 1),
            bytes("seq_cnt", 14, 2),
            bytes("ox_id", 16, 2),
            bytes("rx_id", 18, 2),
            bytes("parameter", 20, 4),
        ],
        defaults: &[
            ("r_ctl", 6),
            ("kind", FcType::FCP.0 as u128),
            ("d_id", 0x01_0002),
            ("s_id", 0x01_0001),
            ("rx_id", 0xffff),
        ],
    },
    HeaderKind {
        name: "fip",
        about: "FCoE Initialization Protocol; list_len counts the fip_mac behind it",
        blank: Fip::BLANK,
        behind: &[Behind::EtherType(EtherType::FIP.0)],
        fields: &[bytes("operation", 2, 2), bytes("subcode", 5, 1), bytes("list_len", 6, 2), bytes("flags", 8, 2)],
        defaults: &[("operation", fip::Operation::DISCOVERY.0 as u128), ("subcode", 1), ("flags", 0x8000)],
    },
    HeaderKind {
        name: "fip_mac",
        about: "FIP descriptor of a MAC address",
        blank: FIP_MAC,
        behind: &[Behind::Header("fip"), Behind::Header("fip_mac")],
        fields: &[mac("mac", 2)],
        defaults: &[("mac", 0x0200_0000_0001)],
    },
    HeaderKind {
        name: "iscsi",
        about: "iSCSI basic header segment, a SCSI command unless opcode is set",
        blank: Iscsi::BLANK,
        behind: &[Behind::TcpPort(iscsi::PORT)],
        fields: &[
            bits("immediate", 1, 1),
            bits("opcode", 2, 6),
            bytes("flags", 1, 1),
            bytes("response", 2, 1),
            bytes("status", 3, 1),
            bytes("ahs_len", 4, 1),
            bytes("data_len", 5, 3),
            bytes("lun", 8, 8),
            bytes("task_tag", 16, 4),
            bytes("transfer", 20, 4),
            bytes("sequence", 24, 4),
            bytes("expected", 28, 4),
            bytes("cdb", 32, 16),
        ],
        // Final, a simple task.
        defaults: &[("opcode", iscsi::Opcode::SCSI_COMMAND.0 as u128), ("flags", 0x81), ("task_tag", 1)],
    },
    HeaderKind {
        name: "nvme_tcp",
        about: "NVMe/TCP common header",
        blank: NvmeTcp::BLANK,
        behind: &[Behind::TcpPort(nvme_tcp::PORT)],
        fields: &NVME_TCP,
        defaults: &[],
    },
    HeaderKind {
        name: "nvme_command",
        about: "NVMe/TCP command capsule, a read unless opcode is set; data behind it is in the capsule",
        blank: Command::BLANK,
        behind: &[Behind::TcpPort(nvme_tcp::PORT)],
        fields: &[
            bytes("flags", 1, 1),
            bytes("data_offset", 3, 1),
            little("pdu_len", 4, 4),
            bytes("opcode", 8, 1),
            little("command_id", 10, 2),
            little("namespace", 12, 4),
            little("first_block", 48, 8),
            little("blocks", 56, 2),
        ],
        defaults: &[("opcode", 2), ("namespace", 1)],
    },
    HeaderKind {
        name: "nvme_response",
        about: "NVMe/TCP response capsule",
        blank: Response::BLANK,
        behind: &[Behind::TcpPort(nvme_tcp::PORT)],
        fields: &[
            bytes("flags", 1, 1),
            little("pdu_len", 4, 4),
            little("result", 8, 8),
            little("queue_head", 16, 2),
            little("queue_id", 18, 2),
            little("command_id", 20, 2),
            little("status", 22, 2),
        ],
        defaults: &[],
    },
    HeaderKind {
        name: "grh",
        about: "global routing header of RoCE version 1, laid out like ipv6",
        blank: Ipv6::BLANK,
        behind: &[Behind::EtherType(EtherType::ROCE.0)],
        fields: IPV6,
        defaults: &[("src", IPV6_SRC), ("dst", IPV6_SRC + 1), ("hop_limit", 64), ("next_header", 0x1b)],
    },
    HeaderKind {
        name: "roce",
        about: "RoCE base transport header, behind udp (version 2) or grh (version 1); the ICRC follows by itself",
        blank: Bth::BLANK,
        behind: &[Behind::UdpPort(roce::PORT), Behind::Header("grh")],
        fields: &[
            bytes("opcode", 0, 1),
            bytes("flags", 1, 1),
            bits("pad", 10, 2),
            bytes("partition_key", 2, 2),
            bytes("dest_qp", 5, 3),
            bits("wants_acknowledge", 64, 1),
            bytes("sequence", 9, 3),
        ],
        // Reliable connection, send only.
        defaults: &[("opcode", 4), ("partition_key", 0xffff), ("dest_qp", 2)],
    },
    HeaderKind {
        name: "reth",
        about: "RDMA extended transport header",
        blank: Reth::BLANK,
        behind: &[Behind::Header("roce")],
        fields: &[bytes("address", 0, 8), bytes("key", 8, 4), bytes("len", 12, 4)],
        defaults: &[],
    },
    HeaderKind {
        name: "aoe",
        about: "ATA over Ethernet",
        blank: Aoe::BLANK,
        behind: &[Behind::EtherType(EtherType::AOE.0)],
        fields: &[
            bits("response", 4, 1),
            bytes("error", 1, 1),
            bytes("shelf", 2, 2),
            bytes("slot", 4, 1),
            bytes("command", 5, 1),
            bytes("tag", 6, 4),
        ],
        defaults: &[("tag", 1)],
    },
    HeaderKind {
        name: "ata",
        about: "arguments of an ATA command over AoE, a read of a sector unless command is set",
        blank: Ata::BLANK,
        behind: &[Behind::Header("aoe")],
        fields: &[
            bytes("flags", 0, 1),
            bytes("feature", 1, 1),
            bytes("sectors", 2, 1),
            bytes("command", 3, 1),
            little("lba", 4, 6),
        ],
        defaults: &[("flags", 0x40), ("sectors", 1), ("command", 0x24)],
    },
    HeaderKind {
        name: "pause",
        about: "PAUSE (802.3 annex 31B)",
        blank: Pause::BLANK,
        behind: &[Behind::EtherType(EtherType::MAC_CONTROL.0)],
        fields: &[bytes("time", 2, 2)],
        defaults: &[],
    },
    HeaderKind {
        name: "pfc",
        about: "priority flow control (802.1Q)",
        blank: Pfc::BLANK,
        behind: &[Behind::EtherType(EtherType::MAC_CONTROL.0)],
        fields: &[
            bytes("enabled", 3, 1),
            bytes("time0", 4, 2),
            bytes("time1", 6, 2),
            bytes("time2", 8, 2),
            bytes("time3", 10, 2),
            bytes("time4", 12, 2),
            bytes("time5", 14, 2),
            bytes("time6", 16, 2),
            bytes("time7", 18, 2),
        ],
        defaults: &[],
    },
    HeaderKind {
        name: "lldp",
        about: "LLDP with chassis and port by MAC address",
        blank: LLDP,
        behind: &[Behind::EtherType(EtherType::LLDP.0)],
        fields: &[mac("chassis", 3), mac("port", 12), bytes("ttl", 20, 2)],
        defaults: &[],
    },
    HeaderKind {
        name: "raw",
        about: "bytes of one's own: raw,hex=0a0b0c",
        blank: &[],
        behind: &[Behind::Any],
        fields: &[],
        defaults: &[],
    },
];

#[cfg(test)]
mod tests;

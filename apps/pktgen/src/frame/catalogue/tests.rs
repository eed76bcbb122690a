//! Every field is written through the table and read back through the framework.

use super::super::layers::Place;
use super::*;
use iogate::packet::{Ethernet, MacAddr};
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What a framework's accessor returns, as a number.
trait Bits {
    fn bits(self) -> u128;
}

macro_rules! bits {
    ($($ty:ty: |$value:ident| $number:expr;)+) => {$(
        impl Bits for $ty {
            fn bits(self) -> u128 {
                let $value = self;
                ($number) as u128
            }
        }
    )+};
}

bits! {
    u8: |value| value;
    u16: |value| value;
    u32: |value| value;
    u64: |value| value;
    bool: |value| u8::from(value);
    MacAddr: |value| value.octets().iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    Ipv4Addr: |value| value.to_bits();
    EtherType: |value| value.0;
    IpProtocol: |value| value.0;
    iogate::packet::arp::Operation: |value| value.0;
    iogate::packet::icmp::IcmpType: |value| value.0;
    iogate::packet::icmpv6::Icmpv6Type: |value| value.0;
    iogate::packet::TcpFlags: |value| value.0;
    iogate::packet::fcoe::StartOfFrame: |value| value.0;
    iogate::packet::fcoe::FcType: |value| value.0;
    iogate::packet::fip::Operation: |value| value.0;
    iogate::packet::iscsi::Opcode: |value| value.0;
    iogate::packet::nvme_tcp::PduType: |value| value.0;
    iogate::packet::aoe::Command: |value| value.0;
}

impl Bits for Ipv6Addr {
    fn bits(self) -> u128 {
        self.to_bits()
    }
}

impl Bits for u128 {
    fn bits(self) -> u128 {
        self
    }
}

/// Writes a field into a blank header, both ways there are, and reads it back.
fn check<H: Header + ?Sized>(header: &str, field: &str, value: u128, read: impl Fn(&H) -> u128) {
    let kind = super::header(header).expect("it is in the catalogue");
    let field = kind.field(field).unwrap_or_else(|| panic!("{header} has no {field}"));
    let value = value & (u128::MAX >> (128 - field.bits));
    let parse = |bytes: &[u8]| read(H::parse_front(bytes).unwrap_or_else(|error| panic!("{header}: {error}")).0);
    let mut bytes = kind.blank.to_vec();
    bytes.resize(bytes.len() + 2048, 0);
    Place::of(field, 0, field.bits).put(&mut bytes, field.bits, value);
    assert_eq!(parse(&bytes), value, "{header}.{}", field.name);
    if field.bits <= 64 {
        let place = Place::of(field, 0, field.bits);
        let mut patched = kind.blank.to_vec();
        patched.resize(bytes.len(), 0);
        place.put(&mut patched, field.bits, 0);
        place.patch(&mut patched, value as u64);
        assert_eq!(patched, bytes, "{header}.{} patched", field.name);
    }
}

/// `header: Type { field, other = |header| expression }`
macro_rules! reads_back {
    ($value:expr; $($header:literal: $ty:ty { $($field:ident $(= |$h:ident| $read:expr)?),+ })+) => {
        $($(check::<$ty>($header, stringify!($field), $value, |header| reads_back!(header, $field $(= |$h| $read)?));)+)+
    };
    ($header:ident, $field:ident) => { $header.$field().bits() };
    ($header:ident, $field:ident = |$h:ident| $read:expr) => {{ let $h = $header; ($read).bits() }};
}

proptest! {
    #[test]
    fn fields_stand_where_the_framework_reads_them(value: u128) {
        reads_back!(value;
            "ethernet": Ethernet { dst, src, ether_type }
            "vlan": Vlan { pcp = |h| h.tci().pcp(), dei = |h| h.tci().dei(), vid = |h| h.tci().vid(), ether_type }
            "service_vlan": Vlan { vid = |h| h.tci().vid() }
            "arp": Arp { operation, sender_mac, sender_ip, target_mac, target_ip }
            "ipv4": Ipv4 { tos, dscp, ecn, id, dont_fragment, more_fragments, fragment_offset = |h| h.fragment_offset() >> 3,
                ttl, protocol, checksum, src, dst }
            "ipv6": Ipv6 { traffic_class, dscp, ecn, flow_label, payload_len, next_header, hop_limit, src, dst }
            "icmp": iogate::packet::Icmp { kind, code, checksum, identifier, sequence }
            "icmpv6": iogate::packet::Icmpv6 { kind, code, checksum }
            "neighbor_solicitation": NeighborSolicitation { target }
            "neighbor_advertisement": NeighborAdvertisement { flags, target }
            "tcp": Tcp { src_port, dst_port, sequence, acknowledgment, flags, window, checksum, urgent }
            "udp": Udp { src_port, dst_port, checksum }
            "vxlan": Vxlan { vni }
            "fcoe": Fcoe { sof }
            "fc": FcFrame { r_ctl, d_id, cs_ctl, s_id, kind, f_ctl, seq_id, df_ctl, seq_cnt, ox_id, rx_id, parameter }
            "fip": Fip { operation, subcode, flags }
            "iscsi": Iscsi { immediate = |h| h.is_immediate(), opcode, flags, response, status, data_len, lun, task_tag,
                transfer, sequence, expected, cdb = |h| u128::from_be_bytes(*h.cdb()) }
            "nvme_tcp": NvmeTcp { kind, flags }
            "nvme_command": Command { opcode, command_id, namespace, first_block }
            "nvme_response": Response { result, queue_head, queue_id, command_id, status }
            "grh": Ipv6 { flow_label, payload_len, next_header, hop_limit, src, dst }
            "roce": Bth { opcode, pad, partition_key, dest_qp, sequence, wants_acknowledge }
            "reth": Reth { address, key, len }
            "aoe": Aoe { response = |h| h.is_response(), error, shelf, slot, command, tag }
            "ata": Ata { flags, feature, sectors, command, lba }
            "pause": Pause { time }
            "pfc": Pfc { enabled = |h| h.enabled() }
        );
    }

    #[test]
    fn lengths_stand_where_the_framework_reads_them(value in 100u16..2000) {
        let value = u128::from(value);
        check::<Ipv4>("ipv4", "total_len", value, |h| h.total_len().bits());
        check::<Udp>("udp", "len", value, |h| h.len().bits());
        check::<Fip>("fip", "list_len", value / 4, |h| h.list_len().bits());
        check::<NvmeTcp>("nvme_tcp", "pdu_len", value, |h| h.pdu_len().bits());
        check::<Command>("nvme_command", "pdu_len", value, |h| h.common().pdu_len().bits());
        check::<Response>("nvme_response", "pdu_len", value, |h| h.common().pdu_len().bits());
        check::<Command>("nvme_command", "blocks", value, |h| u128::from(h.blocks()) - 1);
    }
}

#[test]
fn every_field_lies_within_its_header() {
    for header in HEADERS {
        for field in header.fields {
            assert!(usize::from(field.at + field.bits) <= header.blank.len() * 8, "{}.{}", header.name, field.name);
            assert!((1..=128).contains(&field.bits) && (!field.little_endian || field.bits % 8 == 0));
        }
        for (name, value) in header.defaults {
            let field = header.field(name).unwrap_or_else(|| panic!("{}.{name}", header.name));
            assert!(super::super::values::fits(*value, field).is_ok(), "{}.{name}", header.name);
        }
    }
}

#[test]
fn times_of_pfc_and_names_of_lldp() {
    let mut bytes = [0; 64];
    bytes[..20].copy_from_slice(Pfc::BLANK);
    let pfc = super::header("pfc").unwrap();
    for (name, value) in [("enabled", 0x08), ("time3", 77)] {
        let field = pfc.field(name).unwrap();
        Place::of(field, 0, field.bits).put(&mut bytes, field.bits, value);
    }
    assert_eq!(Pfc::parse(&bytes).unwrap().0.time(3), Some(77));
    let tlvs: Vec<_> = iogate::packet::lldp::tlvs(LLDP).flatten().collect();
    assert_eq!(tlvs.iter().find_map(|tlv| tlv.seconds()), Some(120));
}

//! What the fuzz targets do: one function per protocol that parses bytes in every way there is, calls every accessor of what
//! comes out, and checks what has to hold. A panic is a finding.

use core::fmt::Debug;
use core::hint::black_box;
use iogate::packet::dcbx::Dcbx;
use iogate::packet::fcoe::Trailer;
use iogate::packet::ndp::{
    NeighborAdvertisement, NeighborSolicitation, Redirect, RouterAdvertisement, RouterSolicitation,
};
use iogate::packet::nvme_tcp::{Command, ConnectData, Response};
use iogate::packet::{
    Aoe, Arp, Bth, Ethernet, FcFrame, Fcoe, Fip, Header, Icmp, Icmpv6, IpProtocol, Ipv4, Ipv6, Iscsi, Layer2, MacAddr,
    NvmeTcp, Pause, Pfc, PseudoHeader, Stamp, Tcp, Udp, Vlan, Vxlan, aoe as ata, checksum as sums, fip as fips,
    iscsi as scsi, lldp as tlv, ndp as nd, roce as rdma, vlan as vlans,
};
use iogate_pktgen::frame::Prepared;
use iogate_pktgen::replay::frames as captured;
use iogate_pktgen::template::Template;

/// Shows a value, which calls all of its accessors and runs through all of its iterators.
fn show(value: &impl Debug) {
    black_box(format!("{value:?}"));
}

/// The properties of every header.
fn header<H: Header + Debug + ?Sized>(bytes: &[u8]) {
    let whole = H::parse(bytes);
    let front = H::parse_front(bytes);
    for (header, payload) in [whole, front].into_iter().flatten() {
        show(&header);
        assert!(header.as_bytes().len() + payload.len() <= bytes.len());
    }
    assert!(whole.is_err() || front.is_ok());
    let mut copy = bytes.to_vec();
    assert_eq!(H::parse_mut(&mut copy).is_ok(), whole.is_ok());
    assert_eq!(H::parse_front_mut(&mut copy).is_ok(), front.is_ok());
    assert_eq!(copy, bytes, "parsing writes nothing");
    if H::place(&mut copy).is_ok() {
        assert!(H::parse(&copy).is_ok());
    }
}

/// Ethernet headers.
pub fn ethernet(bytes: &[u8]) {
    header::<Ethernet>(bytes);
}

/// VLAN tags: walking, inserting and removing them.
pub fn vlan(bytes: &[u8]) {
    header::<Vlan>(bytes);
    let l2 = Layer2::parse(bytes);
    show(&l2);
    assert!(l2.is_ok_and(|l2| l2.offset <= bytes.len()) || l2.is_err());
    let mut frame = bytes.to_vec();
    if let Ok(Some(tag)) = vlans::remove(&mut frame) {
        vlans::insert(&mut frame, tag).expect("there is room where a tag was");
        assert_eq!(frame, bytes);
    }
}

/// ARP messages.
pub fn arp(bytes: &[u8]) {
    header::<Arp>(bytes);
}

/// IPv4 headers and the rewriting of their fields.
pub fn ipv4(bytes: &[u8]) {
    header::<Ipv4>(bytes);
    let mut copy = bytes.to_vec();
    if let Ok((ip, _)) = Ipv4::parse_mut(&mut copy) {
        ip.fill_checksum();
        assert!(ip.checksum_ok());
        ip.decrement_ttl();
        ip.rewrite_src([192, 0, 2, 1].into());
        ip.rewrite_dst([192, 0, 2, 2].into());
        assert!(ip.checksum_ok());
    }
}

/// IPv6 headers and the walk over extension headers.
pub fn ipv6(bytes: &[u8]) {
    header::<Ipv6>(bytes);
    if let Ok((ip, payload)) = Ipv6::parse_front(bytes) {
        let upper = ip.upper_layer(payload);
        show(&upper);
        assert!(upper.is_ok_and(|upper| upper.offset <= payload.len()) || upper.is_err());
    }
}

/// TCP headers and options.
pub fn tcp(bytes: &[u8]) {
    header::<Tcp>(bytes);
}

/// UDP headers.
pub fn udp(bytes: &[u8]) {
    header::<Udp>(bytes);
}

/// ICMP headers and the packet that an error quotes.
pub fn icmp(bytes: &[u8]) {
    header::<Icmp>(bytes);
    if let Ok((_, quote)) = Icmp::parse(bytes) {
        header::<Ipv4>(quote);
    }
}

/// ICMPv6 headers.
pub fn icmpv6(bytes: &[u8]) {
    header::<Icmpv6>(bytes);
}

/// Neighbour discovery messages and options.
pub fn ndp(bytes: &[u8]) {
    header::<RouterSolicitation>(bytes);
    header::<RouterAdvertisement>(bytes);
    header::<NeighborSolicitation>(bytes);
    header::<NeighborAdvertisement>(bytes);
    header::<Redirect>(bytes);
    for start in [8, 16, 24, 40] {
        show(&nd::options(bytes.get(start..).unwrap_or_default()));
    }
}

/// VXLAN headers and the frame inside.
pub fn vxlan(bytes: &[u8]) {
    header::<Vxlan>(bytes);
    if let Ok((_, inner)) = Vxlan::parse(bytes) {
        show(&Layer2::parse(inner));
    }
}

/// FCoE headers, the FC frame inside and the trailer behind.
pub fn fcoe(bytes: &[u8]) {
    header::<Fcoe>(bytes);
    if let Ok((frame, trailer)) = Fcoe::parse(bytes).and_then(|(_, rest)| Trailer::split(rest)) {
        show(trailer);
        header::<FcFrame>(frame);
    }
}

/// FIP headers and descriptors.
pub fn fip(bytes: &[u8]) {
    header::<Fip>(bytes);
    if let Ok((_, list)) = Fip::parse_front(bytes) {
        show(&fips::descriptors(list));
    }
}

/// iSCSI PDUs and login keys.
pub fn iscsi(bytes: &[u8]) {
    header::<Iscsi>(bytes);
    if let Ok((pdu, payload)) = Iscsi::parse_front(bytes) {
        show(&scsi::text_keys(pdu.data(payload)).collect::<Vec<_>>());
        assert!(pdu.pdu_len(true, true) >= pdu.pdu_len(false, false));
    }
}

/// NVMe/TCP PDUs, capsules and Connect data.
pub fn nvme_tcp(bytes: &[u8]) {
    header::<NvmeTcp>(bytes);
    header::<Command>(bytes);
    header::<Response>(bytes);
    if let Ok((_, data)) = Command::parse_front(bytes) {
        header::<ConnectData>(data);
    }
}

/// RoCE transport headers.
pub fn roce(bytes: &[u8]) {
    header::<Bth>(bytes);
    if let Ok((rest, _)) = Bth::parse(bytes).and_then(|(_, rest)| rdma::split_icrc(rest)) {
        header::<rdma::Reth>(rest);
    }
}

/// Stamps at the end of a frame.
pub fn stamp(bytes: &[u8]) {
    header::<Stamp>(bytes);
    if let Ok(stamp) = Stamp::at_end(bytes) {
        show(stamp);
    }
}

/// AoE headers and ATA arguments.
pub fn aoe(bytes: &[u8]) {
    header::<Aoe>(bytes);
    if let Ok((_, rest)) = Aoe::parse(bytes) {
        header::<ata::Ata>(rest);
    }
}

/// PAUSE and PFC.
pub fn pfc(bytes: &[u8]) {
    header::<Pause>(bytes);
    header::<Pfc>(bytes);
}

/// LLDP and data center bridging.
pub fn lldp(bytes: &[u8]) {
    for found in tlv::tlvs(bytes).flatten() {
        show(&(found, found.organization(), found.seconds(), Dcbx::of(&found)));
    }
}

/// Checksums of transports over both IPs.
pub fn checksum(bytes: &[u8]) {
    let pseudo = PseudoHeader::v4([192, 0, 2, 1].into(), [192, 0, 2, 2].into(), IpProtocol::TCP);
    let mut copy = bytes.to_vec();
    if pseudo.fill_tcp(&mut copy).is_ok() {
        assert!(pseudo.verify(&copy));
    }
    let mut copy = bytes.to_vec();
    if pseudo.fill_udp(&mut copy).is_ok() {
        let (udp, payload) = Udp::parse(&copy).expect("it was one before");
        assert!(udp.has_checksum() && pseudo.verify(&copy[..8 + payload.len()]));
    }
    assert_eq!(u64::from(sums::fold(sums::sum(bytes))) % 0xffff, sums::sum(bytes) % 0xffff);
}

/// MAC addresses as text.
pub fn mac(bytes: &[u8]) {
    if let Some(mac) = str::from_utf8(bytes).ok().and_then(|text| text.parse::<MacAddr>().ok()) {
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }
}

/// Templates of the packet generator, in TOML and on one line. The frames of those that are accepted are made.
pub fn template(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for template in [Template::parse(text, "fuzz"), Template::line(text, "64..80")].into_iter().flatten() {
        let mut traffic = Prepared::new(&template).expect("what was read fits").worker(1, 3);
        let mut frame = Vec::new();
        for _ in 0..20 {
            let chosen = traffic.choose();
            frame.resize(chosen.len(), 0);
            traffic.write(chosen, &mut frame, u64::MAX);
        }
    }
}

/// Capture files that the packet generator replays.
pub fn replay(bytes: &[u8]) {
    if let Ok(frames) = captured(bytes) {
        assert!(frames.iter().all(|frame| (14..=9014).contains(&frame.len())));
    }
}

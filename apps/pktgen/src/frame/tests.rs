//! Frames, judged by computing everything again from their bytes.

use super::*;
use crate::template::Template;
use iogate::packet::{EtherType, Header, Icmp, IpProtocol, Ipv4, Ipv6, Layer2, PseudoHeader, Stamp, Tcp, Udp};
use proptest::prelude::*;

/// The first frames of a template.
fn frames(template: &Template, count: usize) -> Vec<Vec<u8>> {
    let mut traffic = Prepared::new(template).unwrap_or_else(|error| panic!("{error}")).worker(0, 1);
    let mut next = |number: usize| {
        let chosen = traffic.choose();
        let mut frame = vec![0xee; chosen.len()];
        traffic.write(chosen, &mut frame, 0x0123_4567_89ab_cdef ^ (number as u64) << 40);
        frame
    };
    (0..count).map(&mut next).collect()
}

fn line(frame: &str, size: &str) -> Template {
    Template::line(frame, size).unwrap_or_else(|problems| panic!("{problems}"))
}

/// RFC 1071, word by word.
fn plain_sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for pair in parts.concat().chunks(2) {
        sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// CRC-32, bit by bit.
fn plain_crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// Checks lengths and checksums of IP and what it carries, as far as they are known.
fn check_ip(packet: &[u8]) {
    if packet[0] >> 4 == 4 {
        assert_eq!(plain_sum(&[&packet[..20]]), 0xffff, "IPv4 checksum of {packet:02x?}");
        let (ip, rest) = Ipv4::parse(packet).unwrap();
        assert_eq!(usize::from(ip.total_len()), packet.len());
        let pseudo = [&packet[12..20], &[0, ip.protocol().0], &(rest.len() as u16).to_be_bytes()].concat();
        check_transport(ip.protocol(), &pseudo, rest);
    } else {
        let (ip, rest) = Ipv6::parse(packet).unwrap();
        assert_eq!(usize::from(ip.payload_len()) + 40, packet.len());
        let pseudo = [&packet[8..40], &(rest.len() as u32).to_be_bytes(), &[0, 0, 0, ip.next_header().0]].concat();
        check_transport(ip.next_header(), &pseudo, rest);
    }
}

fn check_transport(protocol: IpProtocol, pseudo: &[u8], segment: &[u8]) {
    match protocol {
        IpProtocol::UDP => {
            let (udp, _) = Udp::parse(segment).unwrap();
            assert_eq!(usize::from(udp.len()), segment.len());
            match udp.dst_port() {
                // An IP packet in a frame in VXLAN.
                4789 => check_ip(&segment[8 + 8 + 14..]),
                4791 => {}
                _ => assert!(udp.has_checksum() && plain_sum(&[pseudo, segment]) == 0xffff, "{segment:02x?}"),
            }
        }
        IpProtocol::TCP | IpProtocol::ICMPV6 => {
            assert_eq!(plain_sum(&[pseudo, segment]), 0xffff, "{protocol} {segment:02x?}");
        }
        IpProtocol::ICMP => assert!(Icmp::checksum_ok(segment)),
        IpProtocol(4 | 41) => check_ip(segment),
        _ => {}
    }
}

fn check(frame: &[u8]) {
    let front = Layer2::parse(frame).unwrap();
    match front.ether_type {
        EtherType::IPV4 | EtherType::IPV6 => check_ip(&frame[front.offset..]),
        EtherType::FCOE => {
            let (fc, trailer) = frame[front.offset + 14..].split_at(frame.len() - front.offset - 14 - 8);
            assert_eq!(trailer[..4], plain_crc(fc).to_le_bytes());
            assert_eq!(trailer[4], 0x42);
        }
        _ => {}
    }
}

#[test]
fn checksums_are_right_whatever_varies() {
    for text in [
        "ethernet/ipv4/udp",
        "ethernet,src=random/vlan,vid=1..4094,pcp=random/ipv4,src=10.0.0.0..10.255.255.255,dst=random/udp,src_port=random",
        "ethernet/ipv4,tos=random,ttl=1..255,id=random,dont_fragment=0|1/tcp,sequence=random,flags=random,urgent=random",
        "ethernet/ipv6,src=2001:2::1..2001:2::ffff:ffff+65537,flow_label=random/udp,dst_port=random:1..4000",
        "ethernet/ipv6,dst=2001:2::1|2001:2::2,hop_limit=random,dscp=random/tcp,window=random",
        "ethernet/ipv4/icmp,identifier=random,sequence=0..65535",
        "ethernet/ipv6/icmpv6,identifier=random,code=random",
        "ethernet/ipv6/neighbor_solicitation,target=2001:2::1..2001:2::9",
        "ethernet/ipv4,src=random/udp/vxlan,vni=random/ethernet,dst=random/ipv4,src=random/udp,src_port=random:1..60000",
        "ethernet/ipv4,src=random/ipv4,dst=random/tcp,src_port=random",
        "ethernet/ipv4,src=random/ipv6,src=2001:2::1..2001:2::99/udp,dst_port=7",
        "ethernet/ipv4/udp,src_port=random/raw,hex=0a0b0c",
        "ethernet/ipv4,dst=random/tcp/iscsi,lun=random,task_tag=random,opcode=random,immediate=0|1",
        "ethernet/ipv4,dst=random/tcp/nvme_command,command_id=random,first_block=random",
        "ethernet/vlan/fcoe/fc,ox_id=random,s_id=1..9",
    ] {
        for size in ["160", "161", "159..170", "imix", "9018|1518"] {
            let size = if size == "imix" { "200*7|594*4|1518" } else { size };
            frames(&line(text, size), 100).iter().for_each(|frame| check(frame));
        }
    }
}

#[test]
fn frames_differ_as_the_template_says() {
    let frames = frames(&line("ethernet/ipv4,src=10.0.0.1..10.0.0.3/udp,dst_port=53|80", "64"), 6);
    let flow = |frame: &Vec<u8>| {
        let (ip, rest) = Ipv4::parse(&frame[14..]).unwrap();
        (ip.src().octets()[3], Udp::parse(rest).unwrap().0.dst_port())
    };
    let flows: Vec<_> = frames.iter().map(flow).collect();
    assert_eq!(flows, [(1, 53), (2, 80), (3, 53), (1, 80), (2, 53), (3, 80)]);
    for (number, frame) in (0..).zip(&frames) {
        let stamp = Stamp::at_end(frame).unwrap();
        assert_eq!((stamp.group(), stamp.sequence()), (0, number));
        assert_eq!(frame.len(), 60);
    }
}

#[test]
fn a_million_flows_are_a_million_flows() {
    let template = line("ethernet/ipv4,src=10.0.0.0..10.0.3.231,dst=10.1.0.0..10.1.3.231@1000/udp", "64");
    let mut traffic = Prepared::new(&template).unwrap().worker(0, 1);
    let mut seen = std::collections::HashSet::new();
    let mut frame = [0; 60];
    for _ in 0..1_000_000 {
        let chosen = traffic.choose();
        traffic.write(chosen, &mut frame, 1);
        seen.insert(frame[26..34].to_vec());
    }
    assert_eq!(seen.len(), 1_000_000);
}

#[test]
fn the_stamp_is_left_out_where_there_is_no_room() {
    let tcp = line("ethernet/ipv4/tcp", "64");
    assert!(!Prepared::new(&tcp).unwrap().is_stamped(0));
    frames(&tcp, 2).iter().for_each(|frame| check(frame));
    assert!(!Prepared::new(&line("ethernet/ipv4/tcp", "64|1518")).unwrap().is_stamped(0), "in all sizes or in none");
    assert!(Prepared::new(&line("ethernet/ipv4/tcp", "74")).unwrap().is_stamped(0));
    let mut wanted = tcp;
    wanted.streams[0].stamp = Some(true);
    let error = Prepared::new(&wanted).unwrap_err();
    assert!(error.contains("use a size of 74 or more"), "{error}");
}

#[test]
fn the_stamp_stands_before_a_trailer() {
    let fcoe = &frames(&line("ethernet/fcoe/fc", "96"), 1)[0];
    assert!(Stamp::at_end(&fcoe[..fcoe.len() - 8]).is_ok());
    let roce = &frames(&line("ethernet/ipv4/udp/roce", "90"), 1)[0];
    assert!(Stamp::at_end(&roce[..roce.len() - 4]).is_ok());
}

#[test]
fn an_invariant_crc_as_annex_a17_has_it() {
    // Computed again, bit by bit, over a copy with everything masked by hand.
    for (text, udp) in
        [("ethernet/ipv4,ttl=random,tos=random/udp/roce,dest_qp=random", true), ("ethernet/grh/roce", false)]
    {
        for frame in frames(&line(text, "118"), 5) {
            let (packet, crc) = frame[14..].split_at(frame.len() - 14 - 4);
            let mut masked = [&[0xff; 8], packet].concat();
            if udp {
                for at in [1, 8, 10, 11, 26, 27, 32] {
                    masked[8 + at] = 0xff;
                }
            } else {
                masked[8] |= 0x0f;
                for at in [1, 2, 3, 7, 44] {
                    masked[8 + at] = 0xff;
                }
            }
            assert_eq!(crc, plain_crc(&masked).to_le_bytes(), "{text}");
        }
    }
}

#[test]
fn what_a_template_sets_is_left_alone() {
    let frame = &frames(
        &line(
            "ethernet,ether_type=0x1234/ipv4,checksum=0xbeef,total_len=99,protocol=200/udp,len=3,checksum=7,dst_port=1/vxlan",
            "100",
        ),
        1,
    )[0];
    assert_eq!(frame[12..14], [0x12, 0x34]);
    assert_eq!(frame[14 + 10..14 + 12], [0xbe, 0xef]);
    assert_eq!((frame[17], frame[14 + 9]), (99, 200));
    assert_eq!(frame[36..42], [0, 1, 0, 3, 0, 7]);
}

#[test]
fn group_addresses_and_payload() {
    assert_eq!(frames(&line("ethernet/pause", "64"), 1)[0][..6], [1, 0x80, 0xc2, 0, 0, 1]);
    assert_eq!(frames(&line("ethernet/lldp", "64"), 1)[0][..6], [1, 0x80, 0xc2, 0, 0, 0x0e]);
    assert_eq!(frames(&line("ethernet/arp", "64"), 1)[0][..6], [0xff; 6]);
    assert_eq!(frames(&line("ethernet,dst=02:00:00:00:00:07/arp", "64"), 1)[0][5], 7);
    let mut template = line("ethernet/ipv4/udp", "64|100");
    template.streams[0].stamp = Some(false);
    if let Source::Layers { payload, .. } = &mut template.streams[0].source {
        *payload = b"a payload that is cut off".to_vec();
    }
    let frames = frames(&template, 2);
    assert_eq!(frames[0][42..], *b"a payload that is ");
    assert_eq!((&frames[1][42..67], &frames[1][67..]), (&b"a payload that is cut off"[..], &[0; 29][..]));
}

#[test]
fn workers_share_streams_and_sizes() {
    let prepared = Prepared::new(&line("ethernet/ipv4,src=10.0.0.0..10.0.0.9/udp", "imix")).unwrap();
    let take = |worker, workers, count: usize| -> Vec<(usize, Vec<u8>)> {
        let mut traffic = prepared.worker(worker, workers);
        let mut next = |_| {
            let chosen = traffic.choose();
            let mut frame = vec![0; chosen.len()];
            traffic.write(chosen, &mut frame, 0);
            (frame.len(), frame[26..30].to_vec())
        };
        (0..count).map(&mut next).collect()
    };
    let alone = take(0, 1, 60);
    let (a, b, c) = (take(0, 3, 20), take(1, 3, 20), take(2, 3, 20));
    let together: Vec<_> = (0..20).flat_map(|at| [a[at].clone(), b[at].clone(), c[at].clone()]).collect();
    assert_eq!(alone, together);
}

#[test]
fn the_storage_mix_is_what_it_says() {
    let template = Template::storage_mix();
    let prepared = Prepared::new(&template).unwrap();
    assert!((0..template.streams.len()).all(|stream| prepared.is_stamped(stream)));
    let frames = frames(&template, 2800);
    frames.iter().for_each(|frame| check(frame));
    let storage = |frame: &&Vec<u8>| {
        let front = Layer2::parse(frame).unwrap();
        let port = || u16::from_be_bytes([frame[front.offset + 22], frame[front.offset + 23]]);
        front.ether_type == EtherType::FCOE
            || front.ether_type == EtherType::IPV4 && [3260, 4420, 4791].contains(&port())
    };
    assert_eq!(frames.iter().filter(storage).count(), 1400);
}

proptest! {
    /// Any layers with any values: whatever is accepted has the right checksums, and nothing panics.
    #[test]
    fn any_accepted_template_is_right(
        ip in prop::sample::select(vec!["ipv4", "ipv6", "ipv4,src=random", "ipv4,id=random,dscp=random", "ipv6,flow_label=random"]),
        outer in prop::sample::select(vec!["", "vlan,vid=random/", "service_vlan/vlan,dei=random/"]),
        transport in prop::sample::select(vec!["tcp", "udp,src_port=random", "tcp,flags=random,sequence=random", "udp,src_port=1..9@3"]),
        raw in "[0-9a-f]{0,12}",
        size in 64u16..400,
        seed: u64,
    ) {
        let raw = if raw.is_empty() { String::new() } else { format!("/raw,hex={raw}") };
        let text = format!("ethernet,src=random/{outer}{ip}/{transport}{raw}");
        if let Ok(mut template) = Template::line(&text, &size.to_string()) {
            template.seed = seed;
            for frame in frames(&template, 8) {
                prop_assert_eq!(frame.len(), usize::from(size) - 4);
                let front = Layer2::parse(&frame).unwrap();
                check_ip(&frame[front.offset..]);
            }
        }
    }
}

#[test]
fn pseudo_headers_agree_with_the_frameworks() {
    let frame = &frames(&line("ethernet/ipv4/tcp", "100"), 1)[0];
    let (ip, rest) = Ipv4::parse(&frame[14..]).unwrap();
    assert!(ip.checksum_ok() && PseudoHeader::of_ipv4(ip).verify(rest) && Tcp::parse(rest).is_ok());
}

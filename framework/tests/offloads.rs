//! What a guest leaves to its card is done by the time its packets are on a wire, or handed on to the next guest.

use iogate::memory::{Batch, Mbuf, MbufPool};
use iogate::packet::{Ethernet, Header, IpProtocol, Ipv4, Ipv6, PseudoHeader, Tcp, TcpFlags};
use iogate::pipeline::{DropReason, Outlet, longest_frame};
use iogate::port::{MbufRing, Port, PortConfig};
use iogate::testkit::{Complete, FakePort, Frame, ask_card, eal, mac, pool};
use proptest::prelude::*;
use std::path::Path;
use std::time::{Duration, Instant};

fn v4() -> Frame {
    Frame::ethernet(mac(1), mac(2)).ipv4([10, 0, 0, 1], [10, 0, 0, 2])
}

fn v6() -> Frame {
    Frame::ethernet(mac(1), mac(2)).ipv6([0xfd; 16], [0xfe; 16])
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 256) as u8).collect()
}

/// A packet of as many buffers as it takes.
fn chain(pool: &MbufPool, frame: &[u8]) -> Mbuf {
    let mut pieces = frame.chunks(2000).map(|piece| pool.alloc_from(piece).unwrap());
    let mut packet = pieces.next().unwrap();
    pieces.for_each(|piece| packet.chain(piece).unwrap());
    packet
}

/// The same with its checksum spoiled, as a guest gives it to its card.
fn unfinished(pool: &MbufPool, frame: &[u8], segment_size: Option<u16>) -> Mbuf {
    let mut packet = chain(pool, frame);
    let (front, tail) = (packet.data().len().min(54), 16);
    let at = match packet.data().get(12..14) {
        Some([0x08, 0]) => 14 + 20 + tail,
        Some([0x86, 0xdd]) => 14 + 40 + tail,
        _ => front - 2,
    };
    if let Some(checksum) = packet.data_mut().get_mut(at..at + 2) {
        checksum.fill(0x5a);
    }
    packet.leave_unfinished(segment_size);
    packet
}

/// Sends packets through an outlet of a port that does nothing for them.
fn through(fake: &mut FakePort, packets: impl IntoIterator<Item = Mbuf>) -> (Vec<Vec<u8>>, [u64; 2]) {
    let mut outlet = Outlet::new(fake.port.tx(0).unwrap()).finishing(true);
    packets.into_iter().for_each(|packet| outlet.push(packet));
    outlet.flush();
    let counters = outlet.counters();
    assert_eq!(counters.pending(), 0);
    (fake.received(), [counters.cut(), counters.drops().packets(DropReason::UNFINISHED)])
}

#[test]
fn checksums_are_finished_where_the_port_does_not() {
    let mut fake = FakePort::new("checksums");
    let text = "a checksum left to the card";
    let frames = [
        v4().tcp(1, 2).payload(text),
        v6().tcp(1, 2).payload(text),
        v4().vlan(7).tcp(1, 2).payload(text),
        // Padding is no part of it.
        v4().tcp(1, 2).padded_to(100),
        v4().tcp(1, 2).payload(bytes(1401)),
    ];
    let frames: Vec<_> = frames.into_iter().map(Frame::build).collect();
    let spoil = |frame: &Vec<u8>| {
        let mut packet = fake.pool().alloc_from(frame).unwrap();
        let tcp = if frame[12..14] == [0x86, 0xdd] { 54 } else { 34 + 4 * usize::from(frame[12] == 0x81) };
        packet.data_mut()[tcp + 16] ^= 0xff;
        packet.leave_unfinished(None);
        packet
    };
    let packets: Vec<_> = frames.iter().map(spoil).collect();
    assert_eq!(through(&mut fake, packets), (frames, [0, 0]));

    let udp = v6().udp(7, 8).payload(text).build();
    let mut packet = fake.pool().alloc_from(&udp).unwrap();
    packet.data_mut()[60] ^= 0xff;
    packet.leave_unfinished(None);
    assert!(packet.is_unfinished() && packet.segment_size().is_none() && longest_frame(&packet) == udp.len());
    // Others keep the packet as it is.
    let shared = packet.share();
    let mut outlet = Outlet::new(fake.port.tx(0).unwrap()).finishing(true);
    outlet.push_shared(shared.clone());
    outlet.push_shared(shared);
    outlet.flush();
    assert_eq!(fake.received(), [udp.clone(), udp]);
}

/// Checks segments against the frame that they were cut from.
fn check(whole: &[u8], segments: &[Vec<u8>], size: usize, ip: usize) {
    let ipv6 = whole[ip] >> 4 == 6;
    let parse = |frame: &[u8]| {
        let (pseudo, id, transport) = if ipv6 {
            let (header, behind) = Ipv6::parse(&frame[ip..]).unwrap();
            assert_eq!(behind.len(), frame.len() - ip - 40);
            (PseudoHeader::v6(header.src(), header.dst(), IpProtocol::TCP), 0, behind.to_vec())
        } else {
            let (header, behind) = Ipv4::parse(&frame[ip..]).unwrap();
            assert!(header.checksum_ok() && usize::from(header.total_len()) == frame.len() - ip);
            (PseudoHeader::of_ipv4(header), header.id(), behind.to_vec())
        };
        let (tcp, payload) = Tcp::parse(&transport).unwrap();
        (pseudo.verify(&transport), id, tcp.sequence(), tcp.flags(), payload.to_vec(), tcp.options().count())
    };
    let (_, first_id, first, flags, all, options) = parse(whole);
    assert_eq!(segments.len(), all.len().div_ceil(size));
    let mut data = Vec::new();
    for (number, segment) in segments.iter().enumerate() {
        assert_eq!(segment[..ip], whole[..ip]);
        let (right, id, sequence, its_flags, payload, its_options) = parse(segment);
        assert!(right, "segment {number}");
        assert_eq!((sequence, its_options), (first.wrapping_add(data.len() as u32), options));
        assert!(ipv6 || id == first_id.wrapping_add(number as u16));
        let (last, not_first) = (number + 1 == segments.len(), number > 0);
        let mut wanted = flags.0;
        wanted &= if last { !0 } else { !(TcpFlags::FIN | TcpFlags::PSH).0 };
        wanted &= if not_first { !TcpFlags::CWR.0 } else { !0 };
        assert_eq!(its_flags.0, wanted, "segment {number}");
        assert!(payload.len() == size || last);
        data.extend(payload);
    }
    assert_eq!(data, all);
}

fn with_flags(frame: Frame, flags: TcpFlags) -> Vec<u8> {
    let mut bytes = frame.build();
    let tcp = match bytes[12..14] {
        [0x81, 0] => 38,
        [0x86, 0xdd] => 54,
        _ => 34,
    };
    Tcp::parse_mut(&mut bytes[tcp..]).unwrap().0.set_flags(flags);
    bytes
}

#[test]
fn packets_are_cut_where_the_port_does_not() {
    let mut fake = FakePort::new("cut");
    let flags = TcpFlags::ACK | TcpFlags::PSH | TcpFlags::FIN | TcpFlags::CWR;
    for (frame, ip) in [(v4(), 14), (v6(), 14), (v4().vlan(9), 18)] {
        for (len, size) in [(20_000, 1448), (1448, 1448), (1449, 1448), (5, 1448), (60_000, 536), (3000, 1)] {
            let whole = with_flags(frame.clone().tcp(1, 2).payload(bytes(len)), flags);
            let packet = unfinished(fake.pool(), &whole, Some(size));
            let headers = whole.len() - len;
            assert_eq!(longest_frame(&packet), whole.len().min(headers + usize::from(size)));
            let (segments, [cut, refused]) = through(&mut fake, [packet]);
            if len.div_ceil(size.into()) > 256 {
                assert_eq!((segments.len(), cut, refused), (0, 0, 1), "too much work");
            } else {
                assert_eq!((segments.len() as u64, refused), (cut + 1, 0));
                check(&whole, &segments, size.into(), ip);
            }
        }
    }
}

#[test]
fn datagrams_are_cut_into_fragments() {
    let mut fake = FakePort::new("fragments");
    for (len, size, pieces) in [(3000, 1480, 3), (1472, 1480, 1), (1473, 1483, 2), (60_001, 1480, 41)] {
        let whole = v4().vlan(3).udp(1, 2).payload(bytes(len)).build();
        // In buffers of odd lengths.
        let mut parts = whole.chunks(1999).map(|part| fake.pool().alloc_from(part).unwrap());
        let mut packet = parts.next().unwrap();
        parts.for_each(|part| packet.chain(part).unwrap());
        packet.data_mut()[18 + 20 + 6..18 + 20 + 8].copy_from_slice(&[0x12, 0x34]);
        packet.leave_unfinished(Some(size));
        let longest = longest_frame(&packet);
        let (out, counts) = through(&mut fake, [packet]);
        assert_eq!((out.len(), counts), (pieces, [pieces as u64 - 1, 0]));
        let mut datagram = Vec::new();
        for (number, frame) in out.iter().enumerate() {
            let (ip, piece) = Ipv4::parse(&frame[18..]).unwrap();
            assert!(ip.checksum_ok() && frame[..18] == whole[..18] && frame.len() <= longest);
            let last = number + 1 == pieces;
            assert_eq!((usize::from(ip.fragment_offset()), ip.more_fragments()), (datagram.len(), !last));
            assert_eq!(piece.len(), if last { piece.len() } else { usize::from(size & !7) });
            datagram.extend_from_slice(piece);
        }
        assert_eq!(datagram, whole[38..], "with its checksum");
    }
}

#[test]
fn what_cannot_be_done_is_refused() {
    let mut fake = FakePort::new("refused");
    let fragment = {
        let mut frame = v4().tcp(1, 2).payload(bytes(100)).build();
        let (ip, _) = Ipv4::parse_mut(&mut frame[14..]).unwrap();
        ip.set_fragment(0, true);
        ip.fill_checksum();
        frame
    };
    let cases = [
        (v4().icmp_echo(1, 2).build(), None),
        (Frame::ethernet(mac(1), mac(2)).arp_request([1; 4], [2; 4]).build(), None),
        (fragment.clone(), None),
        (fragment, Some(50)),
        (v6().udp(1, 2).payload(bytes(3000)).build(), Some(1400)),
        (v4().udp(1, 2).payload(bytes(3000)).build(), Some(7)),
        (v4().tcp(1, 2).payload(bytes(3000)).build(), Some(0)),
        (v4().tcp(1, 2).build(), Some(1400)),
        (v4().tcp(1, 2).qinq(1, 2).payload(bytes(10)).build(), None),
        (vec![1; 13], Some(1)),
    ];
    for (frame, size) in cases {
        let packet = unfinished(fake.pool(), &frame, size);
        assert_eq!(through(&mut fake, [packet]), (vec![], [0, 1]), "{frame:02x?}, {size:?}");
    }
}

#[test]
fn a_dry_pool_loses_the_rest_and_counts_it() {
    let small = eal().pool("dry").buffers(40).cache(0).create().unwrap();
    let _complete = Complete::new(&small);
    let mut fake = FakePort::new("dry outlet");
    let packet = unfinished(&small, &v4().tcp(1, 2).payload(bytes(30_000)).build(), Some(1000));
    let held = small.in_use() as u64;
    let mut outlet = Outlet::new(fake.port.tx(0).unwrap()).finishing(true);
    outlet.push(packet);
    outlet.flush();
    let counters = outlet.counters();
    let sent = counters.sent();
    assert_eq!((sent, counters.drops().packets(DropReason::NO_BUFFER)), (40 - held, 1));
    assert_eq!(counters.cut() + 1, sent + 1, "received and made is sent and dropped");
    assert_eq!(fake.received().len() as u64, sent);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Frames that are changed at random, with wishes at random.
    #[test]
    fn no_packet_panics_or_is_lost(
        kind in 0..5,
        len in 0_usize..4000,
        size in proptest::option::of(any::<u16>()),
        inside in prop_oneof![Just(64_u16), any::<u16>()],
        changes in proptest::collection::vec((0_usize..80, any::<u8>()), 0..4),
        end in 0_usize..5000,
    ) {
        thread_local!(static FAKE: std::cell::RefCell<FakePort> = FakePort::new("odd").into());
        FAKE.with_borrow_mut(|fake| {
            let frame = match kind {
                0 => v4().tcp(1, 2),
                1 => v6().tcp(1, 2),
                2 => v4().vlan(5).udp(1, 2),
                3 => v4().udp(1, 2),
                _ => v4().udp(1, 4789).payload([8, 0, 0, 0, 0, 0, 1, 0]).payload(v4().tcp(1, 2).build()),
            };
            let mut frame = frame.payload(bytes(len)).build();
            for (at, byte) in changes {
                if let Some(place) = frame.get_mut(at) {
                    *place = byte;
                }
            }
            frame.truncate(end.max(1));
            let mut packet = chain(fake.pool(), &frame);
            if kind < 4 || !packet.leave_tunnel_to_cut(size.unwrap_or(100), inside) {
                packet.leave_unfinished(size);
            }
            prop_assert!(longest_frame(&packet) <= frame.len());
            let mut outlet = Outlet::new(fake.port.tx(0).unwrap()).finishing(true);
            outlet.push(packet);
            outlet.flush();
            let (counters, out) = (outlet.counters(), fake.received());
            prop_assert_eq!(1 + counters.cut(), counters.sent() + counters.drops().total());
            prop_assert_eq!(out.len() as u64, counters.sent());
            prop_assert_eq!(fake.pool().in_use(), 0);
            Ok(())
        })?;
    }
}

/// `RTE_ETH_RX_OFFLOAD_TCP_CKSUM`, `_UDP_CKSUM`, `_TCP_LRO`.
const GUEST_TAKES: u64 = 1 << 2 | 1 << 3 | 1 << 4;
/// `RTE_ETH_TX_OFFLOAD_TCP_CKSUM`, `_UDP_CKSUM`, `_TCP_TSO`, `_MULTI_SEGS`.
const GUEST_LEAVES: u64 = 1 << 2 | 1 << 3 | 1 << 5 | 1 << 15;

/// A vhost port and its guest, in one process.
struct Guest {
    // The client goes first: see the tests of the ports.
    port: Port,
    card: Port,
}

impl Guest {
    fn new(folder: &Path, name: &str, pool: &MbufPool, takes: bool, options: &str) -> Guest {
        let socket = folder.join(name);
        let port = eal().port(&format!("vhost:{}{options}", socket.display()).parse().unwrap());
        let port = port.pool(pool).offloads(true).start().unwrap();
        let card = eal().port(&format!("virtio_user:{},mrg_rxbuf=1", socket.display()).parse().unwrap());
        let config = PortConfig {
            rx_offloads: if takes { GUEST_TAKES } else { 0 },
            tx_offloads: GUEST_LEAVES,
            ..PortConfig::default()
        };
        let card = card.pool(pool).config(&config).start().unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while !port.link().unwrap().up {
            assert!(Instant::now() < end, "the guest does not come");
            std::thread::yield_now();
        }
        Guest { port, card }
    }
}

/// The next packets of a port.
fn receive(port: &Port, count: usize) -> Vec<Mbuf> {
    receive_on(port, 0, count)
}

fn receive_on(port: &Port, queue: u16, count: usize) -> Vec<Mbuf> {
    let mut batch: Batch = Batch::new();
    let mut packets = Vec::new();
    let mut queue = port.rx(queue).unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while packets.len() < count {
        assert!(Instant::now() < end, "{} of {count} came", packets.len());
        queue.receive(&mut batch);
        packets.extend(batch.drain().map(|(packet, ())| packet));
    }
    packets
}

fn data(packet: &Mbuf) -> Vec<u8> {
    packet.segment_data().flatten().copied().collect()
}

#[test]
fn a_worker_sends_on_its_own_queue_where_the_guest_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool("either", 8192);
    let _complete = Complete::new(&pool);
    let socket = folder.path().join("socket");
    let port = eal().port(&format!("vhost:{}", socket.display()).parse().unwrap());
    let port = port.pool(&pool).queues(2, 2).start().unwrap();
    let ring = MbufRing::new(&port, 64).unwrap();
    let mut first = Outlet::shared(port.tx(0).unwrap(), ring.clone());
    let mut second = Outlet::either(port.tx(1).unwrap(), ring);
    let spec = format!("virtio_user:{}", socket.display()).parse().unwrap();
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(10);
        while !done() {
            assert!(Instant::now() < end, "{what}");
            std::thread::yield_now();
        }
    };
    for (queues, number) in [(1, 1), (2, 2), (1, 3)] {
        assert!(!port.uses_tx(0) && !port.uses_tx(1), "nobody is there");
        let card = eal().port(&spec).pool(&pool).queues(queues, queues).start().unwrap();
        wait("the guest comes", &|| port.uses_tx(0) && port.uses_tx(1) == (queues == 2) && port.link().unwrap().up);
        second.push(pool.alloc_from(&[number; 60]).unwrap());
        second.flush();
        let relayed = first.counters().relayed();
        first.flush();
        assert_eq!(first.counters().relayed() - relayed, u64::from(queues == 1));
        let packets = receive_on(&card, queues - 1, 1);
        assert_eq!(data(&packets[0]), [number; 60]);
        drop((packets, card));
        wait("the guest goes", &|| !port.link().unwrap().up);
        wait("its queues go", &|| !port.uses_tx(0));
    }
    assert_eq!((first.counters().sent(), second.counters().sent()), (2, 3));
    drop((first, second));
}

#[test]
fn wishes_go_from_guest_to_guest_as_far_as_they_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool("guests", 16_384);
    let _complete = Complete::new(&pool);
    let from = Guest::new(folder.path(), "from", &pool, true, ",tso=1");
    let knowing = Guest::new(folder.path(), "knowing", &pool, true, ",tso=1");
    let plain = Guest::new(folder.path(), "plain", &pool, false, ",tso=1");
    let mut fake = FakePort::with_pool("wire", &pool);
    assert!(from.port.finishes_checksums() && knowing.port.takes_uncut() && !plain.port.takes_uncut());

    let small = v4().vlan(5).tcp(1, 2).payload(bytes(1000)).build();
    let large = v6().tcp(1, 2).payload(bytes(30_000)).build();
    for (whole, size, ip) in [(&small, None, 18), (&large, Some(1400), 14)] {
        let mut forms = Vec::new();
        for to in [&knowing.port, &plain.port, &fake.port] {
            let mut batch: Batch = Batch::new();
            let mut packet = chain(&pool, whole);
            ask_card(&mut packet, size);
            batch.push(packet, ()).unwrap();
            assert_eq!(from.card.tx(0).unwrap().send(&mut batch), 1);
            let packet = receive(&from.port, 1).remove(0);
            assert!(packet.is_unfinished() && packet.segment_size() == size && packet.len() == whole.len());
            let mut outlet = Outlet::new(to.tx(0).unwrap()).finishing(true);
            outlet.push(packet);
            outlet.flush();
            assert_eq!(outlet.counters().drops().total(), 0);
            forms.push(outlet.counters().sent() as usize);
        }
        // As it was, but for what is left to do.
        let passed = receive(&knowing.card, 1).remove(0);
        assert!(passed.is_unfinished() && passed.segment_size() == size && passed.len() == whole.len());
        let checksum = ip + if ip == 18 { 20 } else { 40 } + 16;
        let (mut left, mut right) = (data(&passed), whole.clone());
        left[checksum..checksum + 2].fill(0);
        right[checksum..checksum + 2].fill(0);
        assert_eq!(left, right);
        drop(passed);
        let pieces = size.map_or(1, |size| 30_000_usize.div_ceil(size.into()));
        assert_eq!(forms, [1, pieces, pieces]);
        let there: Vec<_> = receive(&plain.card, pieces).iter().map(data).collect();
        let wire = fake.received();
        assert_eq!(there, wire);
        match size {
            None => assert_eq!(wire, std::slice::from_ref(whole)),
            Some(size) => check(whole, &wire, size.into(), ip),
        }
        let (ethernet, _) = Ethernet::parse(&wire[0]).unwrap();
        assert_eq!(ethernet.dst(), mac(2));
    }
    for guest in [from, knowing, plain] {
        let Guest { port, card } = guest;
        drop((card, port));
    }
}

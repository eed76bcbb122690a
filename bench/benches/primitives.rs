//! What each thing that is done for every packet, or every burst, costs by itself: `cargo bench -p iogate-bench`.
//!
//! All of it is warm in the cache and in a fixed order, so the figures are lowest costs, to be compared with themselves
//! from one version to the next. What packets cost together is measured by `iogate-bench`.
#![allow(missing_docs)]

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use iogate::memory::{BURST, Batch, MbufPool};
use iogate::packet::vlan::{self, VlanTag};
use iogate::packet::{
    EtherType, Ethernet, Header, IpProtocol, Ipv4, Ipv6, MacAddr, PseudoHeader, Stamp, Tci, Tcp, Udp, Vlan, checksum,
};
use iogate::pipeline::Outlet;
use iogate::port::{MbufRing, Port, RxQueue, TxQueue, crc32c, toeplitz};
use iogate::telemetry::{Histogram, StageStats, Traffic};
use iogate::testkit::{Frame, eal, mac, pool};
use iogate_gateway::config::{self, Config};
use iogate_gateway::dataplane::Classifier;
use iogate_gateway::dataplane::addresses::{Addresses, Scope, UNTAGGED};
use iogate_gateway::dataplane::frame::Meta;
use iogate_gateway::dataplane::primitives::Primitives;
use iogate_pktgen::frame::Prepared;
use iogate_pktgen::template::Template;
use std::path::Path;

/// Iterations of a sample of what is slow the first time: divan, which chooses by that, would time one alone, and the
/// timer's steps would show.
const SAMPLE: u32 = 64;

fn main() {
    divan::main();
}

fn udp() -> Frame {
    Frame::ethernet(mac(1), mac(2)).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1000, 2000).payload([7; 18])
}

/// A batch of equal frames.
fn batch(pool: &MbufPool) -> Batch {
    let (frame, mut batch) = (udp().build(), Batch::new());
    while !batch.is_full() {
        let packet = pool.alloc_from(&frame).expect("the pool has enough");
        assert!(batch.push(packet, ()).is_ok());
    }
    batch
}

mod headers {
    use super::*;

    #[divan::bench]
    fn ethernet_ipv4_udp(bencher: Bencher) {
        let frame = udp().build();
        bencher.counter(ItemsCount::new(1_u32)).bench(|| {
            let (_, rest) = Ethernet::parse(black_box(&frame)).ok()?;
            let (ip, rest) = Ipv4::parse(rest).ok()?;
            let (udp, _) = Udp::parse(rest).ok()?;
            Some((ip.dst(), udp.dst_port()))
        });
    }

    #[divan::bench]
    fn ethernet_vlan_ipv6_tcp(bencher: Bencher) {
        let frame = Frame::ethernet(mac(1), mac(2)).vlan(100);
        let frame = frame.ipv6([0xfd00, 0, 0, 0, 0, 0, 0, 1], [0xfd00, 0, 0, 0, 0, 0, 0, 2]).tcp(1000, 2000).build();
        bencher.counter(ItemsCount::new(1_u32)).bench(|| {
            let (_, rest) = Ethernet::parse(black_box(&frame)).ok()?;
            let (tag, rest) = Vlan::parse(rest).ok()?;
            let (_, rest) = Ipv6::parse(rest).ok()?;
            let (tcp, _) = Tcp::parse(rest).ok()?;
            Some((tag.tci().vid(), tcp.dst_port()))
        });
    }

    #[divan::bench]
    fn tag_in_and_out(bencher: Bencher) {
        let mut buffer = [&[0; 4][..], &udp().build()].concat();
        let tag = VlanTag { tpid: EtherType::VLAN, tci: Tci::new(100, 3, false) };
        bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
            let inserted = vlan::insert(black_box(&mut buffer), tag);
            (inserted, vlan::remove(black_box(&mut buffer)))
        });
    }

    #[divan::bench]
    fn read_a_stamp(bencher: Bencher) {
        let mut frame = udp().build();
        Stamp::place_at_end(&mut frame).expect("there is room");
        bencher.counter(ItemsCount::new(1_u32)).bench(|| Stamp::at_end(black_box(&frame)).map(Stamp::sequence));
    }

    #[divan::bench]
    fn write_a_stamp(bencher: Bencher) {
        let mut frame = udp().build();
        let mut sequence = 0_u32;
        bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
            sequence = sequence.wrapping_add(1);
            Stamp::place_at_end(black_box(&mut frame)).map(|stamp| *stamp = Stamp::new(1, sequence, 2)).is_ok()
        });
    }
}

mod sums {
    use super::*;

    #[divan::bench(args = [64, 1500, 9000])]
    fn internet_checksum(bencher: Bencher, len: usize) {
        let bytes = vec![0xa5; len];
        bencher.counter(BytesCount::new(len)).bench(|| checksum::of(black_box(&bytes)));
    }

    #[divan::bench]
    fn udp_with_pseudo_header(bencher: Bencher) {
        let datagram = udp().build().split_off(34);
        let pseudo = PseudoHeader::v4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), IpProtocol::UDP);
        bencher.counter(BytesCount::new(datagram.len())).bench(|| pseudo.checksum(black_box(&datagram)));
    }

    /// For an address that changed.
    #[divan::bench]
    fn incremental_checksum(bencher: Bencher) {
        bencher
            .counter(ItemsCount::new(1_u32))
            .bench(|| checksum::update_u32(black_box(0x1234), black_box(0x0a00_0001), black_box(0x0a00_0002)));
    }

    #[divan::bench(args = [64, 1500])]
    fn crc_32c(bencher: Bencher, len: usize) {
        let bytes = vec![0xa5; len];
        bencher.counter(BytesCount::new(len)).bench(|| crc32c([&black_box(&bytes)[..]]));
    }

    /// IPv4 addresses and ports.
    #[divan::bench]
    fn toeplitz_of_three_words(bencher: Bencher) {
        let key: Vec<u8> = (0..52).map(|at| at * 5 + 1).collect();
        bencher
            .counter(ItemsCount::new(1_u32))
            .bench(|| toeplitz(&key, black_box(&[0x0a00_0001, 0x0a00_0002, 0x03e8_07d0])));
    }
}

mod buffers {
    use super::*;

    #[divan::bench]
    fn alloc_and_free_one(bencher: Bencher) {
        let pool = pool("one", 1024);
        bencher.counter(ItemsCount::new(1_u32)).bench_local(|| drop(black_box(pool.alloc())));
    }

    #[divan::bench(sample_size = SAMPLE)]
    fn alloc_and_free_a_burst(bencher: Bencher) {
        let pool = pool("burst", 1024);
        bencher.counter(ItemsCount::new(BURST)).bench_local(|| {
            let mut batch: Batch = Batch::new();
            black_box(pool.alloc_bulk(&mut batch, BURST));
        });
    }

    #[divan::bench]
    fn share_with_eight(bencher: Bencher) {
        let pool = pool("shared", 1024);
        let packet = pool.alloc_from(&udp().build()).expect("a new pool has buffers").share();
        bencher.counter(ItemsCount::new(8_u32)).bench_local(|| black_box([(); 8].map(|()| packet.clone())));
    }

    #[divan::bench]
    fn drain_a_batch_into_another(bencher: Bencher) {
        let pool = pool("drain", 1024);
        let (mut from, mut to) = (batch(&pool), Batch::<()>::new());
        bencher.counter(ItemsCount::new(BURST)).bench_local(|| {
            for (packet, ()) in from.drain() {
                let _room = to.push(packet, ());
            }
            std::mem::swap(&mut from, &mut to);
        });
    }

    #[divan::bench]
    fn offer_each_of_a_batch(bencher: Bencher) {
        let pool = pool("offer each", 1024);
        let (mut from, mut to) = (batch(&pool), Batch::<()>::new());
        bencher.counter(ItemsCount::new(BURST)).bench_local(|| {
            from.offer_each(|_, packet, ()| to.push(packet, ()));
            std::mem::swap(&mut from, &mut to);
        });
    }

    /// Out of the frame into the buffer's notes, and back.
    #[divan::bench]
    fn strip_and_restore_a_tag(bencher: Bencher) {
        let pool = pool("tag", 1024);
        let frame =
            Frame::ethernet(mac(1), mac(2)).vlan(100).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1000, 2000).build();
        let mut packet = pool.alloc_from(&frame).expect("a new pool has buffers");
        assert!(packet.strip_vlan() && packet.restore_vlan(), "the frame has a tag");
        bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
            let packet = black_box(&mut packet);
            (packet.strip_vlan(), packet.restore_vlan())
        });
    }

    #[divan::bench]
    fn set_addresses_of_a_batch(bencher: Bencher) {
        let pool = pool("addresses", 1024);
        let mut batch = batch(&pool);
        let (src, dst) = (MacAddr::new([2, 0, 0, 0, 0, 1]), MacAddr::new([2, 0, 0, 0, 0, 2]));
        bencher.counter(ItemsCount::new(BURST)).bench_local(|| {
            for ethernet in black_box(&mut batch).headers_mut::<Ethernet>() {
                ethernet.set_src(src);
                ethernet.set_dst(dst);
            }
        });
    }
}

mod queues {
    use super::*;

    fn fresh(pool: &MbufPool) -> Batch {
        let mut batch = Batch::new();
        pool.alloc_bulk(&mut batch, BURST);
        batch
    }

    fn null_port(spec: &str, pool: &MbufPool) -> Port {
        eal().port(&spec.parse().expect("a port")).pool(pool).start().expect("starts")
    }

    fn round(tx: &mut TxQueue, rx: &mut RxQueue, batch: &mut Batch) {
        tx.send(batch);
        rx.receive(batch);
        assert!(batch.is_full());
    }

    /// Through a ring port: what is sent is received.
    #[divan::bench]
    fn send_and_receive_a_burst(bencher: Bencher) {
        let pool = pool("ring port", 1024);
        let (near, far) = eal().port_pair("bench", 256).expect("a pair of ports");
        let (near, far) = (near.pool(&pool).start().expect("starts"), far.pool(&pool).start().expect("starts"));
        let (mut tx, mut rx) = (near.tx(0).expect("a queue"), far.rx(0).expect("a queue"));
        let mut batch = batch(&pool);
        bencher.counter(ItemsCount::new(BURST)).bench_local(|| round(&mut tx, &mut rx, &mut batch));
    }

    /// In a null port, which takes new buffers for what it receives and frees what it sends.
    #[divan::bench(sample_size = SAMPLE)]
    fn receive_and_send_a_burst(bencher: Bencher) {
        let pool = pool("null port", 1024);
        let null = null_port("null:size=3", &pool);
        let (mut rx, mut tx) = (null.rx(0).expect("a queue"), null.tx(0).expect("a queue"));
        let mut batch: Batch = Batch::new();
        bencher.counter(ItemsCount::new(BURST)).bench_local(|| {
            rx.receive(&mut batch);
            assert!(batch.is_full());
            tx.send(&mut batch);
        });
    }

    /// Into a worker's outlet one by one, and out of it at once.
    #[divan::bench(sample_size = SAMPLE)]
    fn alloc_a_burst_and_send_it_by_an_outlet(bencher: Bencher) {
        let pool = pool("outlet", 1024);
        let null = null_port("null:size=1", &pool);
        let mut outlet = Outlet::new(null.tx(0).expect("a queue"));
        bencher.counter(ItemsCount::new(BURST)).bench_local(|| {
            for (packet, ()) in fresh(&pool).drain() {
                outlet.push(packet);
            }
            outlet.flush();
        });
    }

    /// Through the ring before a queue that another worker owns.
    #[divan::bench(sample_size = SAMPLE)]
    fn alloc_a_burst_and_hand_it_over(bencher: Bencher) {
        let pool = pool("hand over", 1024);
        let null = null_port("null:size=2", &pool);
        let mut ring = MbufRing::new(&null, 1024).expect("a ring");
        let mut outlet = Outlet::shared(null.tx(0).expect("a queue"), ring.clone());
        bencher.counter(ItemsCount::new(BURST)).bench_local(|| {
            ring.send(&mut fresh(&pool));
            outlet.flush();
        });
    }
}

mod gateway {
    use super::*;

    #[divan::bench(args = [64, 65_536])]
    fn lookup_that_hits(bencher: Bencher, entries: u32) {
        look_up(bencher, entries, 0);
    }

    #[divan::bench(args = [64, 65_536])]
    fn lookup_that_misses(bencher: Bencher, entries: u32) {
        look_up(bencher, entries, 1 << 24);
    }

    /// What classify does for a frame that its quick look is not enough for: all headers, checks and the class.
    #[divan::bench(args = [
        "tcp", "udp", "udp with a tag", "udp over ipv6", "icmp", "neighbor advertisement", "arp", "fcoe", "fip", "iscsi",
        "nvme/tcp", "roce v2", "aoe",
    ])]
    fn read_a_frame(bencher: Bencher, kind: &str) {
        let frame = frame(kind).build();
        let classifier = Classifier::new(&configuration());
        let mut meta = Meta::default();
        assert!(meta.read(&frame, frame.len(), &classifier).is_ok(), "{kind} is dropped");
        bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
            let frame = black_box(&frame[..]);
            meta.read(frame, frame.len(), &classifier).is_ok()
        });
    }

    /// What is done for every batch: the key of each frame and its hash.
    #[divan::bench]
    fn hash_the_keys_of_a_burst(bencher: Bencher) {
        let (pool, primitives) = (pool("keys", 63), Primitives::new(&configuration()));
        let batch = mixed(&pool, 6);
        let hash = || primitives.hash(black_box(batch.packets()));
        bencher.counter(ItemsCount::new(BURST)).bench_local(hash);
    }

    /// Keys and hashes, and the decisions that were made for other frames of the flows.
    #[divan::bench]
    fn find_known_flows_of_a_burst(bencher: Bencher) {
        let (pool, mut primitives) = (pool("known flows", 63), Primitives::new(&configuration()));
        let batch = mixed(&pool, 6);
        primitives.learn(batch.packets());
        assert_eq!(primitives.find(batch.packets()), BURST);
        bencher.counter(ItemsCount::new(BURST)).bench_local(|| primitives.find(black_box(batch.packets())));
    }

    /// The same of flows that nothing was decided for.
    #[divan::bench]
    fn find_no_flows_of_a_burst(bencher: Bencher) {
        let (pool, mut primitives) = (pool("new flows", 63), Primitives::new(&configuration()));
        let batch = mixed(&pool, 6);
        assert_eq!(primitives.find(batch.packets()), 0);
        bencher.counter(ItemsCount::new(BURST)).bench_local(|| primitives.find(black_box(batch.packets())));
    }

    /// The quick look at frames of unknown flows, of one kind and of several in turn.
    #[divan::bench(args = [1, 6])]
    fn glance_at_a_burst(bencher: Bencher, different: usize) {
        let (pool, primitives) = (pool("glance", 63), Primitives::new(&configuration()));
        let batch = mixed(&pool, different);
        let mut metas = [Meta::default(); BURST];
        assert_eq!(primitives.glance(batch.packets(), &mut metas), 0, "each is common");
        bencher
            .counter(ItemsCount::new(BURST))
            .bench_local(|| primitives.glance(black_box(batch.packets()), black_box(&mut metas)));
    }

    /// Frames of the first kinds of a few, in turn.
    fn mixed(pool: &MbufPool, different: usize) -> Batch {
        let kinds = ["tcp", "udp with a tag", "udp over ipv6", "fcoe", "arp", "icmp"];
        let mut batch = Batch::new();
        for kind in kinds.iter().take(different).cycle().take(BURST) {
            let packet = pool.alloc_from(&frame(kind).build()).expect("the pool has enough");
            assert!(batch.push(packet, ()).is_ok());
        }
        batch
    }

    fn configuration() -> Config {
        let text = include_str!("../src/rfc2544/gateway.toml");
        config::parse(text, Path::new("gateway.toml")).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn frame(kind: &str) -> Frame {
        let ethernet = Frame::ethernet(mac(1), mac(2));
        let v4 = || ethernet.clone().ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
        let (one, two) = ([0xfd00, 0, 0, 0, 0, 0, 0, 1], [0xfd00, 0, 0, 0, 0, 0, 0, 2]);
        let v6 = || ethernet.clone().ipv6(one, two);
        match kind {
            "tcp" => v4().tcp(49_152, 80),
            "udp" => v4().udp(49_152, 53),
            "udp with a tag" => ethernet.vlan(100).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(49_152, 53),
            "udp over ipv6" => v6().udp(49_152, 53),
            "icmp" => v4().icmp_echo(1, 1),
            "neighbor advertisement" => v6().neighbor_advertisement(one),
            "arp" => ethernet.arp_reply([10, 0, 0, 1], [10, 0, 0, 2]),
            "fcoe" => ethernet.ether_type(EtherType::FCOE).payload([0; 46]),
            "fip" => ethernet.ether_type(EtherType::FIP).payload([0; 46]),
            "iscsi" => v4().tcp(49_152, 3260),
            "nvme/tcp" => v4().tcp(49_152, 4420),
            "roce v2" => v4().roce_v2(7),
            "aoe" => ethernet.aoe(1, 2),
            other => panic!("no such frame: {other}"),
        }
    }

    fn look_up(bencher: Bencher, entries: u32, offset: u32) {
        let address = |number: u32| {
            let [a, b, c, d] = number.wrapping_mul(0x9e37_79b1).to_be_bytes();
            MacAddr::new([2, 0, a, b, c, d])
        };
        let items: Vec<_> = (0..entries).map(|at| (Scope::network(0), UNTAGGED, address(at), at)).collect();
        let table = Addresses::new(&items);
        let mut at = 0;
        bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
            at = (at + 7919) % entries;
            table.find(Scope::network(0), UNTAGGED, address(black_box(at + offset)))
        });
    }
}

mod telemetry {
    use super::*;

    #[divan::bench]
    fn count_a_packet(bencher: Bencher) {
        let traffic = Traffic::default();
        bencher.counter(ItemsCount::new(1_u32)).bench_local(|| black_box(&traffic).add(64));
    }

    #[divan::bench]
    fn measure_a_stage(bencher: Bencher) {
        let stage = StageStats::new("nothing");
        bencher.counter(ItemsCount::new(BURST)).bench_local(|| stage.measure(BURST, || black_box(())));
    }

    #[divan::bench]
    fn record_in_a_histogram(bencher: Bencher) {
        let histogram = Histogram::default();
        let mut value = 1_u64;
        bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            histogram.record(value >> 44);
        });
    }
}

mod generator {
    use super::*;

    /// Of the storage mix: what counts or is random, a stamp, and all checksums.
    #[divan::bench(sample_size = SAMPLE)]
    fn write_a_frame(bencher: Bencher) {
        let template = Template::storage_mix();
        let prepared = Prepared::new(&template).expect("the built-in mix is right");
        let mut traffic = prepared.worker(0, 1);
        let mut frame = vec![0; prepared.longest()];
        let mut time = 0;
        bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
            let chosen = traffic.choose();
            time += 1;
            traffic.write(chosen, black_box(&mut frame[..chosen.len()]), time)
        });
    }
}

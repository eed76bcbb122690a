//! Buffers, batches and pools.

use iogate::packet::Ethernet;
use iogate::pipeline::Outlet;
use iogate::prelude::*;
use iogate::testkit::{Complete, FakePort, Frame, eal, mac, pool};
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn data_grows_and_shrinks_at_both_ends() {
    let pool = pool("ends", 64);
    let _complete = Complete::new(&pool);
    let mut packet = pool.alloc().unwrap();
    assert_eq!((packet.len(), packet.segments(), packet.headroom(), packet.tailroom()), (0, 1, 128, 2048));

    packet.append(4).unwrap().copy_from_slice(b"cdef");
    packet.prepend(2).unwrap().copy_from_slice(b"ab");
    assert_eq!((packet.data(), packet.headroom(), packet.tailroom()), (&b"abcdef"[..], 126, 2044));
    assert!(packet.trim_front(1) && packet.truncate(4));
    assert_eq!((packet.data(), packet.len()), (&b"bcde"[..], 4));

    assert!(packet.append(2046).is_none() && packet.append(usize::MAX).is_none(), "no more room behind");
    assert!(packet.prepend(128).is_none() && packet.prepend(usize::MAX).is_none(), "no more room in front");
    assert!(!packet.trim_front(5) && !packet.truncate(5), "shorter than that");
    assert_eq!(packet.data(), b"bcde", "what fails changes nothing");
    assert!(packet.linearize());
}

#[test]
fn the_front_moves_both_ways_at_once() {
    let pool = pool("front", 64);
    let _complete = Complete::new(&pool);
    let mut packet = pool.alloc_from(b"abcdef").unwrap();
    assert!(packet.move_front(0, 2) && packet.move_front(0, 0));
    assert_eq!((packet.data(), packet.len(), packet.headroom()), (&b"cdef"[..], 4, 130));
    assert!(packet.move_front(2, 0) && packet.move_front(1, 3));
    assert_eq!((packet.data(), packet.len(), packet.headroom()), (&b"cdef"[..], 4, 130));
    assert!(!packet.move_front(131, 0) && !packet.move_front(0, 5) && !packet.move_front(u16::MAX, 0));
    assert!(packet.move_front(u16::MAX, u16::MAX));
    assert_eq!((packet.data(), packet.len(), packet.headroom()), (&b"cdef"[..], 4, 130), "what fails changes nothing");
    assert!(packet.move_front(130, 0) && packet.headroom() == 0);
}

#[test]
fn the_front_of_a_buffer_is_there_however_short_the_data_is() {
    let pool = pool("front", 64);
    let _complete = Complete::new(&pool);
    let mut packet = pool.alloc_from(b"abc").unwrap();
    assert_eq!(packet.front::<64>().map(|front| &front[..3]), Some(&b"abc"[..]));
    assert!(packet.front::<2048>().is_some() && packet.front::<2049>().is_none());
    assert!(packet.chain(pool.alloc_from(b"d").unwrap()).is_ok());
    assert!(packet.front::<1>().is_none(), "several segments");
}

#[test]
fn a_copy_is_independent_and_may_be_of_several_segments() {
    let small = eal().pool("small").buffers(64).data_room(128 + 64).create().unwrap();
    let _complete = Complete::new(&small);
    assert!(small.alloc_from(&[0; 65]).is_none(), "does not fit one buffer");
    assert_eq!(small.in_use(), 0);

    let mut packet = small.alloc_from(&[7; 64]).unwrap();
    // Freeing the headroom makes the packet longer than the copy's room behind its headroom.
    packet.prepend(100).unwrap().fill(8);
    let mut copy = packet.copy().unwrap();
    assert_eq!((copy.len(), copy.segments(), copy.data().len()), (164, 3, 64));
    packet.data_mut()[0] = 9;
    assert_eq!(copy.data()[0], 8, "bytes of its own");
    assert!(copy.append(1).is_none() && !copy.truncate(10) && !copy.trim_front(65), "only for one segment");
    assert!(copy.trim_front(10));
    assert_eq!((copy.len(), copy.segments()), (154, 3));
    assert!(!copy.linearize(), "no room for it in the first buffer");
    assert_eq!((copy.len(), copy.segments(), small.in_use()), (154, 3, 4));
}

#[test]
fn a_dry_pool_gives_nothing_and_recovers() {
    let pool = pool("dry", 40);
    let _complete = Complete::new(&pool);
    let mut batch: Batch<u8> = Batch::new();
    assert_eq!(pool.alloc_bulk(&mut batch, 100), 32, "as many as fit");
    let mut second: Batch<u8> = Batch::new();
    assert_eq!((pool.alloc_bulk(&mut second, 9), pool.alloc_bulk(&mut second, 8)), (0, 8), "all of them or none");
    assert!(pool.alloc().is_none() && batch.packets()[0].copy().is_none());
    assert_eq!(pool.alloc_bulk(&mut batch, 32), 0, "the batch is full");
    drop(second);
    assert_eq!((pool.available(), pool.in_use(), pool.size()), (8, 32, 40));
    assert!(pool.alloc().is_some());
}

#[test]
fn a_pool_too_large_says_what_it_takes() {
    let message = eal().pool("huge").buffers(10_000_000).create().unwrap_err().to_string();
    for part in [
        "\"huge\"",
        "23750000 KiB wanted",
        "10000000 buffers of 2176 bytes",
        "largest free piece",
        "give EAL",
        "instead of 256",
    ] {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    for buffers in [0, u32::MAX] {
        assert!(eal().pool("odd").buffers(buffers).create().is_err());
    }
}

#[test]
fn packets_outlive_every_handle_on_their_pool() {
    let packet = pool("gone", 32).alloc_from(&[5; 60]).unwrap();
    let copy = packet.copy().unwrap();
    assert_eq!((packet.data(), copy.data()), (&[5; 60][..], &[5; 60][..]));
}

#[test]
fn packets_may_be_freed_by_another_thread() {
    let pool = pool("threads", 256);
    let _complete = Complete::new(&pool);
    let mut batch: Batch = Batch::new();
    pool.alloc_bulk(&mut batch, 32);
    let shared = pool.alloc_from(&[1; 60]).unwrap().share();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(batch));
        for _ in 0..4 {
            let mine = shared.clone();
            scope.spawn(move || (0..10_000).for_each(|_| assert_eq!(mine.clone().data()[59], 1)));
        }
    });
}

#[test]
fn a_shared_packet_arrives_as_packets_with_one_owner() {
    let pool = pool("shared", 512);
    let _complete = Complete::new(&pool);
    let (mut a, mut b) = (FakePort::with_pool("a", &pool), FakePort::with_pool("b", &pool));
    let frame = Frame::ethernet(mac(1), mac(2)).payload([3; 50]).build();
    let shared = pool.alloc_from(&frame).unwrap().share();
    assert_eq!((shared.len(), shared.data()), (64, &frame[..]));
    let mut outlets = [Outlet::new(a.port.tx(0).unwrap()), Outlet::new(b.port.tx(0).unwrap())];
    for outlet in &mut outlets {
        outlet.push_shared(shared.clone());
        outlet.push_shared(shared.clone());
        outlet.flush();
    }
    assert_eq!(pool.in_use(), 5, "the original and a copy for each ring");
    assert_eq!((a.received(), b.received()), (vec![frame.clone(); 2], vec![frame; 2]));
    assert_eq!(pool.in_use(), 1);
}

#[test]
fn sharing_counts_owners_and_null_ports_take_them_without_a_copy() {
    let pool = pool("owners", 64);
    let _complete = Complete::new(&pool);
    let null = eal().port(&"null".parse().unwrap()).pool(&pool).start().unwrap();
    let mut outlet = Outlet::new(null.tx(0).unwrap());
    let shared = pool.alloc_from(&[1; 60]).unwrap().share();
    (0..40).for_each(|_| outlet.push_shared(shared.clone()));
    outlet.flush();
    assert_eq!((outlet.counters().sent(), pool.in_use()), (40, 1), "one buffer all the time");
    assert!(shared.copy().unwrap().data_mut().iter().all(|byte| *byte == 1));
}

#[test]
fn a_tag_that_a_device_took_off_is_put_back() {
    let pool = pool("tags", 64);
    let _complete = Complete::new(&pool);
    let frame = Frame::ethernet(mac(1), mac(2)).priority(100, 5).payload(vec![7; 46]).build();
    let mut packet = pool.alloc_from(&frame).unwrap();
    assert!(packet.restore_vlan() && packet.data() == frame, "there is nothing to put back");
    assert!(packet.strip_vlan());
    assert_eq!((packet.stripped_vlan(), packet.len()), (Some(5 << 13 | 100), frame.len() - 4));
    assert_eq!(packet.data()[12..], frame[16..]);
    assert!(!packet.strip_vlan(), "no second one");
    assert!(packet.restore_vlan());
    assert_eq!((packet.data(), packet.stripped_vlan(), packet.flags()), (&frame[..], None, 0));

    assert!(packet.strip_vlan());
    packet.prepend(packet.headroom()).unwrap();
    assert!(!packet.restore_vlan() && packet.stripped_vlan().is_some(), "no room: it stays beside");
}

#[test]
fn a_queue_gives_packets_as_they_were_on_the_wire() {
    let mut fake = FakePort::new("as on the wire");
    let tagged = Frame::ethernet(mac(1), mac(2)).priority(100, 5).payload(vec![7; 46]).build();
    let untagged = Frame::ethernet(mac(1), mac(2)).payload(vec![8; 46]).build();
    fake.inject_stripped(&tagged);
    fake.inject_stripped(&untagged);
    let mut batch: Batch = Batch::new();
    let mut queue = fake.port.rx(0).unwrap().restore_vlans(true);
    queue.receive_at_most(&mut batch, 1);
    assert_eq!((queue.receive(&mut batch), batch.len()), (1, 2), "behind what is there");
    assert_eq!((batch.packets()[0].data(), batch.packets()[1].data()), (&tagged[..], &untagged[..]));
    drop((batch, queue));

    fake.inject_stripped(&tagged);
    let mut batch: Batch = Batch::new();
    fake.port.rx(0).unwrap().receive(&mut batch);
    assert_eq!(batch.packets()[0].stripped_vlan(), Some(5 << 13 | 100), "not unless it is asked for");
}

#[test]
fn headers_are_found_only_where_they_fit() {
    let pool = pool("headers", 64);
    let _complete = Complete::new(&pool);
    let mut batch: Batch = Batch::new();
    for size in [13, 14, 60] {
        drop(batch.push(pool.alloc_from(&vec![0; size]).unwrap(), ()));
    }
    batch.headers_mut::<Ethernet>().for_each(|ethernet| ethernet.set_dst(mac(9)));
    let firsts: Vec<u8> = batch.packets().iter().map(|packet| packet.data()[0]).collect();
    assert_eq!(firsts, [0, 2, 2]);
    assert!(batch.packets()[0].header::<Ethernet>().is_err());
}

#[test]
fn panics_in_closures_lose_no_packet() {
    let pool = pool("panics", 64);
    let _complete = Complete::new(&pool);
    for panic_at in 0..8 {
        for in_decision in [true, false] {
            let mut batch = numbered(&pool, 8);
            let mut gone = Vec::new();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                batch.remove_if(
                    |_, number| {
                        assert!(!(in_decision && *number == panic_at), "asked for");
                        (*number % 2 == 1 || *number == panic_at).then_some(())
                    },
                    |packet, number, ()| {
                        gone.push((packet, number));
                        assert!(in_decision || number != panic_at, "asked for");
                    },
                );
            }));
            assert!(outcome.is_err());
            let removed = |number: &u32| *number < panic_at && *number % 2 == 1 || !in_decision && *number == panic_at;
            let stayed: Vec<u32> = (0..8).filter(|number| !removed(number)).collect();
            assert_eq!(batch.meta(), stayed, "panic at {panic_at}, deciding: {in_decision}");
            assert!(batch.iter().all(|(packet, number)| u32::from(packet.data()[0]) == *number));
            assert_eq!(gone.len() + batch.len(), 8);
        }
    }
}

#[test]
fn a_drain_that_is_dropped_midway_frees_the_rest() {
    let pool = pool("drain", 64);
    let _complete = Complete::new(&pool);
    let mut batch = numbered(&pool, 8);
    let taken: Vec<(Mbuf, u32)> = batch.drain().take(3).collect();
    assert_eq!((taken.len(), batch.len(), pool.in_use()), (3, 0, 3));
    drop(numbered(&pool, 8).drain());
    let outcome = catch_unwind(|| numbered(&pool, 8).drain().for_each(|(_, number)| assert!(number < 4, "asked for")));
    assert!(outcome.is_err());
    assert_eq!(pool.in_use(), 3);
}

fn numbered(pool: &MbufPool, count: u32) -> Batch<u32> {
    let mut batch = Batch::new();
    for number in 0..count {
        let full = batch.push(pool.alloc_from(&[number as u8; 60]).unwrap(), number);
        assert!(full.is_ok());
    }
    batch
}

#[derive(Clone, Debug)]
enum Step {
    Push(u8),
    Fill(usize),
    Remove(u8, u8),
    Drain(usize),
    Send,
    Edit(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u8>().prop_map(Step::Push),
        1 => (0..12_usize).prop_map(Step::Fill),
        2 => (1..5_u8, 0..5_u8).prop_map(|(modulus, rest)| Step::Remove(modulus, rest)),
        1 => (0..12_usize).prop_map(Step::Drain),
        1 => Just(Step::Send),
        1 => any::<u8>().prop_map(Step::Edit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A batch of 8 does what a vector with at most 8 entries does. Sending is to a ring with room
    /// for 3, which is emptied each time.
    #[test]
    fn a_batch_is_a_short_vector(steps in proptest::collection::vec(step(), 1..60)) {
        let pool = pool("model", 128);
        let _complete = Complete::new(&pool);
        let mut far = FakePort::with_slots("model", &pool, 4);
        let mut tx = far.port.tx(0).unwrap();
        let mut batch: Batch<u8, 8> = Batch::new();
        let mut model: Vec<(u8, u8)> = Vec::new();
        for step in steps {
            match step {
                Step::Push(value) => {
                    let pushed = batch.push(pool.alloc_from(&[value; 20]).unwrap(), value);
                    prop_assert_eq!(pushed.is_ok(), model.len() < 8);
                    if pushed.is_ok() {
                        model.push((value, value));
                    }
                }
                Step::Fill(count) => {
                    let added = count.saturating_sub(model.len()).min(8 - model.len());
                    prop_assert_eq!(pool.alloc_bulk(&mut batch, count), added);
                    let from = model.len();
                    for packet in &mut batch.packets_mut()[from..] {
                        packet.append(20).unwrap().fill(0);
                    }
                    model.resize(from + added, (0, 0));
                }
                Step::Remove(modulus, rest) => {
                    let mut gone = Vec::new();
                    batch.remove_if(
                        |_, meta| (*meta % modulus == rest).then_some(*meta),
                        |packet, meta, reason| { assert_eq!(meta, reason); gone.push((packet.data()[0], meta)); },
                    );
                    let expected: Vec<_> = model.extract_if(.., |(_, meta)| *meta % modulus == rest).collect();
                    prop_assert_eq!(gone, expected);
                }
                Step::Drain(count) => {
                    let taken: Vec<_> = batch.drain().take(count).map(|(packet, meta)| (packet.data()[0], meta)).collect();
                    prop_assert_eq!(&taken[..], &model[..count.min(model.len())]);
                    model.clear();
                }
                Step::Send => {
                    let sent = tx.send(&mut batch);
                    prop_assert_eq!(sent, model.len().min(3));
                    let arrived: Vec<u8> = far.received().iter().map(|frame| frame[0]).collect();
                    prop_assert_eq!(arrived, model.drain(..sent).map(|(data, _)| data).collect::<Vec<_>>());
                }
                Step::Edit(value) => {
                    for ((packet, meta), entry) in batch.iter_mut().zip(&mut model) {
                        (packet.data_mut()[0], *meta) = (value, meta.wrapping_add(1));
                        *entry = (value, entry.1.wrapping_add(1));
                    }
                }
            }
            let now: Vec<_> = batch.iter().map(|(packet, meta)| (packet.data()[0], *meta)).collect();
            prop_assert_eq!(&now, &model);
            prop_assert_eq!((batch.len(), batch.is_empty(), batch.is_full()), (model.len(), model.is_empty(), model.len() == 8));
            prop_assert_eq!(pool.in_use() as usize, model.len());
        }
    }
}

#[test]
fn packets_are_offered_until_one_is_given_back_also_when_somebody_panics() {
    let pool = pool("each", 64);
    let _complete = Complete::new(&pool);
    let mut batch = numbered(&pool, 8);
    let mut taken = Vec::new();
    for (most, gone, left) in [(0, 0, 0..8), (3, 3, 3..8), (8, 5, 8..8)] {
        let count = batch.offer_each(|at, packet, number| {
            if at == most {
                return Err(packet);
            }
            taken.push((packet, *number));
            Ok(())
        });
        assert_eq!(count, gone);
        assert!(batch.meta().iter().copied().eq(left));
        assert!(batch.iter().all(|(packet, number)| u32::from(packet.data()[0]) == *number));
    }
    assert!(taken.iter().map(|(_, number)| *number).eq(0..8));
    drop(taken);
    let mut batch = numbered(&pool, 8);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        batch.offer_each(|_, _, number| {
            assert!(*number != 3, "as it must");
            Ok(())
        })
    }));
    assert!(panicked.is_err() && batch.meta().iter().copied().eq(4..8), "the rest stays");
}

#[test]
fn packets_in_a_chain_are_one_and_its_segments_are_seen() {
    let pool = pool("chained", 64);
    let _complete = Complete::new(&pool);
    let mut packet = pool.alloc_from(&[1; 60]).unwrap();
    packet.chain(pool.alloc_from(&[2; 10]).unwrap()).unwrap();
    packet.chain(pool.alloc_from(&[3; 5]).unwrap()).unwrap();
    assert_eq!((packet.len(), packet.segments(), packet.data().len()), (75, 3, 60));
    assert_eq!(packet.segment_data().collect::<Vec<_>>(), [&[1; 60][..], &[2; 10], &[3; 5]]);
    assert!(packet.linearize() && packet.segment_data().count() == 1);
    assert_eq!(packet.data()[60..], [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3]);
}

#[test]
fn a_cleared_batch_has_given_everything_back() {
    let pool = pool("cleared", 64);
    let mut batch: Batch = Batch::new();
    assert_eq!((pool.alloc_bulk(&mut batch, 20), pool.alloc_bulk(&mut batch, 32), batch.len()), (20, 12, 32));
    batch.clear();
    assert_eq!((batch.len(), pool.in_use()), (0, 0));
    assert_eq!(pool.alloc_bulk(&mut batch, 1), 1);
}

#[test]
fn packets_of_a_length_are_whole_packets() {
    let pool = pool("lengths", 64);
    let _complete = Complete::new(&pool);
    let mut batch: Batch = Batch::new();
    // What the buffers were before leaves no trace.
    let mut used = pool.alloc_from(&[1; 60]).unwrap();
    used.chain(pool.alloc_from(&[2; 60]).unwrap()).unwrap();
    assert!(used.trim_front(30));
    drop(used);
    assert_eq!((pool.alloc_packets(&mut batch, 20, 2048), pool.alloc_packets(&mut batch, 40, 0)), (20, 12));
    for (number, packet) in batch.packets_mut().iter_mut().enumerate() {
        let length = if number < 20 { 2048 } else { 0 };
        assert_eq!((packet.len(), packet.data_mut().len(), packet.segments()), (length, length, 1));
        assert_eq!((packet.headroom(), packet.tailroom(), packet.port()), (128, 2048 - length, u16::MAX));
    }
    batch.clear();
    assert_eq!((pool.alloc_packets(&mut batch, 1, 2049), batch.len()), (0, 0));
    let mut dry: Batch<(), 128> = Batch::new();
    assert_eq!((pool.alloc_packets(&mut dry, 65, 60), pool.alloc_packets(&mut dry, 64, 60)), (0, 64));
}

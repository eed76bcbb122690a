//! Segments of TCP that follow one another, put together by DPDK's `rte_gro`.

use super::{Batch, HeaderLengths, Mbuf};
use crate::error::{Error, Result};
use crate::packet::ipv4::MIN_LEN;
use crate::packet::{Ethernet, Header, Ipv4};
use std::ffi::c_void;
use std::fmt;
use std::ptr::NonNull;

/// `RTE_PTYPE_L2_ETHER`, `L3_IPV4` and `L4_TCP`: how the library is told what a packet is.
const TCP_OVER_IPV4: u32 = 0x1 | 0x10 | 0x100;

/// `RTE_GRO_TCP_IPV4`.
const TYPES: u64 = 1 << dpdk_sys::RTE_GRO_TCP_IPV4_INDEX;

/// Puts segments of TCP over IPv4 together: of one connection, each beginning where the one before ends, with data and
/// nothing but ACK said in the header. What comes of them is a packet in several buffers, whose IP header has the new
/// length; checksums are as they were in the first segment, so wrong.
///
/// Packets with tags, with options in the IP header, and all others are left alone.
///
/// ```
/// # fn main() -> iogate::Result<()> {
/// use iogate::memory::Gro;
/// use iogate::prelude::*;
///
/// let eal = Eal::builder().memory_mb(64).start()?;
/// let mut gro = Gro::new(4, 32)?;
/// let mut batch: Batch = Batch::new();
/// // ... received packets ...
/// gro.take(&mut batch);
/// gro.give(&mut batch);
/// # assert!(batch.is_empty() && gro.held() == 0);
/// # Ok(())
/// # }
/// ```
pub struct Gro(NonNull<c_void>);

// SAFETY: memory of its own, which no thread but the one that has it looks at.
unsafe impl Send for Gro {}

impl Gro {
    /// With room for so many connections, and for so many packets of each on average.
    ///
    /// # Errors
    /// [`Error::Gro`] when there is no memory for that.
    pub fn new(connections: u16, packets: u16) -> Result<Gro> {
        let param = dpdk_sys::rte_gro_param {
            gro_types: TYPES,
            max_flow_num: connections,
            max_item_per_flow: packets,
            socket_id: 0,
        };
        // SAFETY: reads the parameters.
        let context = unsafe { dpdk_sys::rte_gro_ctx_create(&param) };
        NonNull::new(context).map(Gro).ok_or(Error::Gro { connections, packets })
    }

    /// Packets that are held.
    pub fn held(&self) -> usize {
        // SAFETY: the context is alive.
        unsafe { dpdk_sys::rte_gro_get_pkt_count(self.0.as_ptr()) as usize }
    }

    /// Takes out of a batch what can be put together, now or with what comes later; returns how many packets it took. The
    /// others stay, in order.
    pub fn take(&mut self, batch: &mut Batch) -> usize {
        let mut fitting: Batch = Batch::new();
        batch.remove_if(|packet, _| prepare(packet).then_some(()), |packet, _, ()| drop(fitting.push(packet, ())));
        let all = fitting.len();
        let mut left = 0;
        fitting.take_raw(usize::MAX, |packets, count| {
            // SAFETY: the packets are owned, each in one buffer. The library takes over what it does not put to the front.
            left =
                usize::from(unsafe { dpdk_sys::rte_gro_reassemble(packets, count as u16, self.0.as_ptr()) }).min(count);
            for at in 0..left {
                // SAFETY: the first `left` are owned by nobody else.
                let packet = unsafe { Mbuf::from_raw(*packets.add(at)) };
                drop(batch.push(packet, ()));
            }
            count
        });
        all - left
    }

    /// Adds what is held to a batch, as far as that has room; returns how many packets these are.
    pub fn give(&mut self, batch: &mut Batch) -> usize {
        let before = batch.len();
        let given = batch.fill_raw(usize::MAX, |packets, room| {
            // SAFETY: there is room for as many as it is told.
            let given = unsafe { dpdk_sys::rte_gro_timeout_flush(self.0.as_ptr(), 0, TYPES, packets, room as u16) };
            usize::from(given)
        });
        batch.packets_mut()[before..].iter_mut().for_each(Mbuf::set_finished);
        given
    }
}

/// Tells the library what a packet is; false when it is none that is to be put together.
fn prepare(packet: &mut Mbuf) -> bool {
    let Some(lengths) = HeaderLengths::of(packet.data()) else { return false };
    let HeaderLengths { l2, l3, l4, ipv6, udp } = lengths;
    // The library looks at neither tags nor options, and believes the length in the header.
    let plain = !ipv6 && !udp && l2 == size_of::<Ethernet>() && l3 == MIN_LEN && packet.segments() == 1;
    let total = Ipv4::parse_front(&packet.data()[l2..]).map_or(0, |(ip, _)| usize::from(ip.total_len()));
    plain
        && total > l3 + l4
        && l2 + total <= packet.len()
        && !packet.is_unfinished()
        && packet.say_lengths(lengths, TCP_OVER_IPV4)
}

impl Drop for Gro {
    fn drop(&mut self) {
        let mut batch = Batch::new();
        while self.give(&mut batch) > 0 {
            batch.clear();
        }
        // SAFETY: nothing is in it, and nobody has it.
        unsafe { dpdk_sys::rte_gro_ctx_destroy(self.0.as_ptr()) };
    }
}

impl fmt::Debug for Gro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gro").field("held", &self.held()).finish()
    }
}

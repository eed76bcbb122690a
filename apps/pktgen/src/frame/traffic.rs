//! What a worker sends: frames of several streams, mixed by their shares.

use super::Stream;
use super::plan::{Patch, Plan, plan};
use super::size::{FCS, GAP, mixed};
use super::values::{Cursor, mix};
use iogate::packet::Stamp;
use std::fmt;
use std::sync::Arc;
use zerocopy::IntoBytes;

/// Streams made ready to be sent: their frames are built, all but what varies. Cheap to clone.
///
/// ```
/// use iogate::packet::{Ethernet, Header, Ipv4, PseudoHeader, Udp};
/// use iogate_pktgen::frame::Prepared;
/// use iogate_pktgen::template::Template;
///
/// let template = Template::line("ethernet/ipv4,dst=198.18.1.0..198.18.1.255/udp", "64").expect("a good template");
/// let mut traffic = Prepared::new(&template)?.worker(0, 1);
/// for last in [0, 1, 2] {
///     let next = traffic.choose();
///     let mut frame = vec![0; next.len()];
///     traffic.write(next, &mut frame, 0);
///     let (ip, rest) = Ipv4::parse(&frame[14..]).expect("IPv4");
///     assert_eq!(ip.dst().octets(), [198, 18, 1, last]);
///     assert!(ip.checksum_ok() && PseudoHeader::of_ipv4(ip).verify(rest));
/// }
/// # Ok::<(), String>(())
/// ```
#[derive(Clone)]
pub struct Prepared {
    shared: Arc<Shared>,
}

impl fmt::Debug for Prepared {
    /// The streams' names: their frames may be megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prepared").field(&self.shared.names).finish()
    }
}

struct Shared {
    names: Vec<String>,
    plans: Vec<Plan>,
    /// One round of streams, mixed by their shares.
    order: Vec<u32>,
    seed: u64,
}

impl Prepared {
    /// Builds the frames of a template.
    ///
    /// # Errors
    /// Which stream does not fit, and what to do. A template that was read from text always fits.
    pub fn new(template: &crate::template::Template) -> Result<Self, String> {
        let ready = |stream: &Stream| plan(stream).map_err(|error| format!("stream {:?} {error}", stream.name));
        let streams = &template.streams;
        let bytes: usize = streams.iter().map(Stream::image_bytes).sum();
        if bytes > MOST_BYTES {
            let (mebibytes, most) = (bytes >> 20, MOST_BYTES >> 20);
            return Err(format!(
                "the frames of all sizes take {mebibytes} MiB, and {most} are the most; use fewer sizes"
            ));
        }
        let shared = Shared {
            names: streams.iter().map(|stream| stream.name.clone()).collect(),
            plans: streams.iter().map(ready).collect::<Result<_, _>>()?,
            order: mixed(&streams.iter().map(|stream| stream.share).collect::<Vec<_>>()),
            seed: template.seed,
        };
        Ok(Prepared { shared: Arc::new(shared) })
    }

    /// Names of the streams, in order.
    pub fn names(&self) -> &[String] {
        &self.shared.names
    }

    /// Whether frames of a stream are stamped.
    pub fn is_stamped(&self, stream: usize) -> bool {
        self.shared.plans[stream].images.iter().all(|image| image.stamp_at.is_some())
    }

    /// The longest frame, bytes without FCS.
    pub fn longest(&self) -> usize {
        self.lengths().map(|(length, _)| length).max().unwrap_or(0)
    }

    /// Bits that a frame takes on the wire, on average: its bytes, FCS, preamble and gap.
    pub fn mean_wire_bits(&self) -> f64 {
        let (bits, weight) = self.lengths().fold((0.0, 0.0), |(bits, weight), (length, share)| {
            (bits + wire_bits(length) as f64 * share, weight + share)
        });
        if weight > 0.0 { bits / weight } else { 0.0 }
    }

    /// Each length with its share.
    fn lengths(&self) -> impl Iterator<Item = (usize, f64)> {
        let shared = &self.shared;
        let mut shares = vec![0.0; shared.plans.len()];
        shared.order.iter().for_each(|stream| shares[*stream as usize] += 1.0);
        shared.plans.iter().zip(shares).flat_map(|(plan, share)| {
            let each = share / plan.order.len() as f64;
            plan.order.iter().map(move |image| (plan.images[*image as usize].bytes.len(), each))
        })
    }

    /// What worker `worker` of `workers` sends: together they send what one alone would.
    ///
    /// # Panics
    /// When there are no workers, or more streams times workers than a stamp can tell apart (65,536).
    pub fn worker(&self, worker: u16, workers: u16) -> Traffic {
        assert!(worker < workers && self.channels(workers) <= 1 << 16);
        let streams = self.shared.plans.iter().enumerate().map(|(number, plan)| {
            let seed = mix(self.shared.seed ^ mix(number as u64));
            let cursor = |(field, patch): (usize, &Patch)| {
                Cursor::new(&patch.vary, worker.into(), workers.into(), mix(seed ^ field as u64))
            };
            Running {
                cursors: plan.patches.iter().enumerate().map(cursor).collect(),
                channel: number as u16 * workers + worker,
                sequence: 0,
                at: usize::from(worker) % plan.order.len(),
                stride: usize::from(workers) % plan.order.len(),
            }
        });
        Traffic { streams: streams.collect(), at: 0, shared: self.shared.clone() }
    }

    /// How many different groups so many workers put into stamps: that of stream s and worker w is s x workers + w.
    pub fn channels(&self, workers: u16) -> usize {
        self.shared.plans.len() * usize::from(workers)
    }
}

/// Memory for frames that are built beforehand. A capture may be that large too.
const MOST_BYTES: usize = 1 << 30;

/// Bits that a frame takes on the wire: its bytes without FCS, FCS, preamble and gap.
pub const fn wire_bits(length: usize) -> u64 {
    (length as u64 + FCS as u64 + GAP) * 8
}

/// Writes frame after frame; see [`Prepared::worker`].
#[derive(Clone)]
pub struct Traffic {
    shared: Arc<Shared>,
    streams: Box<[Running]>,
    /// Where it is in the round of streams.
    at: usize,
}

/// A frame that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Chosen {
    stream: u32,
    image: u32,
    len: u32,
}

impl Chosen {
    /// Its length, bytes without FCS.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "no frame is empty")]
    pub const fn len(self) -> usize {
        self.len as usize
    }
}

/// Where a stream is.
#[derive(Clone, Debug)]
struct Running {
    cursors: Box<[Cursor]>,
    channel: u16,
    sequence: u32,
    /// Where it is in the round of images, and how far the next one is: other workers send those between.
    at: usize,
    stride: usize,
}

impl Traffic {
    /// The length that every frame has, bytes without FCS; nothing when they differ.
    pub fn constant_len(&self) -> Option<usize> {
        let mut lengths = self.shared.plans.iter().flat_map(|plan| &plan.images).map(|image| image.bytes.len());
        let first = lengths.next()?;
        lengths.all(|length| length == first).then_some(first)
    }

    /// Chooses the next frame. Each choice is to be written once, in the order of choosing.
    #[inline]
    pub fn choose(&mut self) -> Chosen {
        let number = self.shared.order[self.at];
        self.at = if self.at + 1 < self.shared.order.len() { self.at + 1 } else { 0 };
        let (plan, stream) = (&self.shared.plans[number as usize], &mut self.streams[number as usize]);
        let image = plan.order[stream.at];
        stream.at += stream.stride;
        if stream.at >= plan.order.len() {
            stream.at -= plan.order.len();
        }
        Chosen { stream: number, image, len: plan.images[image as usize].bytes.len() as u32 }
    }

    /// Writes a frame, stamped with `time`, and returns its channel: the group in its stamp.
    ///
    /// # Panics
    /// When `frame` is not as long as the choice says, or that is of other traffic.
    #[inline]
    pub fn write(&mut self, chosen: Chosen, frame: &mut [u8], time: u64) -> u16 {
        let number = chosen.stream as usize;
        let (plan, stream) = (&self.shared.plans[number], &mut self.streams[number]);
        let image = &plan.images[chosen.image as usize];
        frame.copy_from_slice(&image.bytes);
        let mut sums = image.sums;
        for (patch, cursor) in plan.patches.iter().zip(&mut stream.cursors) {
            let word = patch.place.patch(frame, cursor.next());
            for feed in patch.feeds {
                feed.add(&mut sums, word);
            }
        }
        if let Some(at) = image.stamp_at {
            let stamp = Stamp::new(stream.channel, stream.sequence, time);
            frame[at..at + Stamp::LEN].copy_from_slice(stamp.as_bytes());
            // Its magic is in the sums already.
            image.stamp_feed.add(&mut sums, u64::from(stream.channel));
            image.stamp_feed.add(&mut sums, u64::from(stream.sequence));
            image.stamp_feed.add(&mut sums, time);
            stream.sequence = stream.sequence.wrapping_add(1);
        }
        for (sum, value) in plan.sums.iter().zip(sums) {
            sum.write(frame, value);
        }
        plan.trailer.write(frame);
        stream.channel
    }
}

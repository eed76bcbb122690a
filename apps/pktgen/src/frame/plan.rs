//! From a stream's layers to images of its frames, one for each size, and the patches that tell one frame from the next.
//!
//! ```text
//!   image:   | headers, varying fields 0 | payload | stamp | trailer |
//!   patches:    ^ field   ^ field                    ^       ^ CRC of FCoE or RoCE
//!   sums:    ones' complement sums over what does not vary; a patch adds what it writes
//! ```
//!
//! So a checksum costs a few additions however long the frame is.

use super::build::{Built, Covered};
use super::layers::Place;
use super::size::{FCS, mixed};
use super::values::Vary;
use super::{Source, Stream};
use iogate::packet::{Stamp, checksum, roce};

/// Checksums that a frame can have which vary.
const MOST_SUMS: usize = 4;
/// What patches add to that no checksum covers.
const NO_SUM: u8 = MOST_SUMS as u8;

/// Sums before they are folded.
pub(super) type Sums = [u64; MOST_SUMS + 1];

/// Everything about a stream's frames that is known beforehand. Shared by workers.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) images: Vec<Image>,
    /// One round of images, mixed by their shares.
    pub(super) order: Vec<u32>,
    pub(super) patches: Vec<Patch>,
    pub(super) sums: Vec<Sum>,
    pub(super) trailer: Trailer,
}

/// A frame of one size.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) bytes: Box<[u8]>,
    /// Where the stamp starts, when there is one.
    pub(super) stamp_at: Option<usize>,
    pub(super) stamp_feed: Feed,
    pub(super) sums: Sums,
}

/// A field that varies.
#[derive(Debug)]
pub(super) struct Patch {
    pub(super) vary: Vary,
    pub(super) place: Place,
    pub(super) feeds: [Feed; 2],
}

/// Which sum something counts in, and by how many bits it is moved there: 8 where it ends at an odd byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Feed {
    pub(super) sum: u8,
    pub(super) shift: u8,
}

impl Feed {
    pub(super) const NONE: Feed = Feed { sum: NO_SUM, shift: 0 };

    /// Adds bytes, read as a big-endian number.
    #[inline]
    pub(super) fn add(self, sums: &mut Sums, word: u64) {
        // 2^32 is 1 modulo 0xffff, so halves may be added; a few of 41 bits fit.
        sums[usize::from(self.sum)] += ((word & 0xffff_ffff) + (word >> 32)) << self.shift;
    }
}

/// A checksum that is written into each frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    pub(super) at: usize,
    /// UDP's: 0 is written as 0xffff.
    pub(super) never_zero: bool,
}

impl Sum {
    #[inline]
    pub(super) fn write(&self, frame: &mut [u8], sum: u64) {
        let checksum = match !checksum::fold(sum) {
            0 if self.never_zero => 0xffff,
            other => other,
        };
        frame[self.at..self.at + 2].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// What is computed over a frame and stands at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trailer {
    None,
    /// The CRC of an FC frame that starts at this byte.
    Fcoe(usize),
    /// The invariant CRC of RoCE. Where the network header starts, and where the transport header does.
    Roce {
        network: usize,
        transport: usize,
    },
}

impl Trailer {
    /// Its length in bytes.
    pub(super) const fn len(self) -> usize {
        match self {
            Trailer::None => 0,
            Trailer::Fcoe(_) => 8,
            Trailer::Roce { .. } => roce::ICRC_LEN,
        }
    }

    /// Computes it.
    #[inline]
    pub(super) fn write(self, frame: &mut [u8]) {
        let end = frame.len() - self.len();
        match self {
            Trailer::None => {}
            Trailer::Fcoe(start) => {
                let crc = crc32fast::hash(&frame[start..end]);
                frame[end..end + 4].copy_from_slice(&crc.to_le_bytes());
            }
            Trailer::Roce { network, transport } => {
                let crc = invariant_crc(&frame[network..end], transport - network);
                frame[end..].copy_from_slice(&crc.to_le_bytes());
            }
        }
    }
}

/// The CRC over a RoCE packet with ones for what routers change (InfiniBand architecture, volume 1, annex A16.5.1 and
/// A17.3.3): `packet` starts with the network header, the transport header stands at `transport`.
fn invariant_crc(packet: &[u8], transport: usize) -> u32 {
    /// The longest headers that have something to mask: IPv6, UDP, and the first five bytes of the transport header.
    const LONGEST: usize = 40 + 8 + 5;
    let mut front = [0; LONGEST];
    let masked = transport + 5;
    let front = &mut front[..masked];
    front.copy_from_slice(&packet[..masked]);
    match front[0] >> 4 {
        4 => {
            front[1] = 0xff; // type of service
            front[8] = 0xff; // time to live
            front[10..12].fill(0xff); // checksum
        }
        _ => {
            front[0] |= 0x0f; // traffic class and flow label
            front[1..4].fill(0xff);
            front[7] = 0xff; // hop limit
        }
    }
    // Version 1 has no UDP.
    if transport == 28 || transport == 48 {
        front[transport - 2..transport].fill(0xff); // UDP checksum
    }
    front[masked - 1] = 0xff; // congestion bits
    let mut hasher = crc32fast::Hasher::new();
    // In place of a local routing header.
    hasher.update(&[0xff; 8]);
    hasher.update(front);
    hasher.update(&packet[masked..]);
    hasher.finalize()
}

/// Makes the images of a stream's frames.
///
/// # Errors
/// What does not fit, and what to do.
pub(super) fn plan(stream: &Stream) -> Result<Plan, String> {
    let (layers, payload, sizes) = match &stream.source {
        Source::Layers { layers, payload, size } => (layers, payload, size),
        Source::Frames(frames) => return Ok(replayed(frames)),
    };
    let built = Built::new(layers, payload);
    let smallest = usize::from(sizes.smallest());
    let needed = built.shortest() + FCS;
    if needed > smallest {
        return Err(format!(
            "does not fit {smallest} bytes: its headers take {needed} with the FCS; use a size of {needed} or more"
        ));
    }
    let with_stamp = needed + Stamp::LEN;
    if stream.stamp == Some(true) && with_stamp > smallest {
        return Err(format!(
            "has no room for the stamp of {} bytes in {smallest}; use a size of {with_stamp} or more, or stamp = false",
            Stamp::LEN
        ));
    }
    // In all sizes or in none: else part of the frames would be missing at the other end.
    let stamped = stream.stamp.unwrap_or(with_stamp <= smallest);
    // A checksum that nothing changes is written once.
    let (sums, fixed): (Vec<_>, Vec<_>) = built.sums().into_iter().partition(|sum| sum.varies(layers, stamped));
    if sums.len() > MOST_SUMS {
        return Err(format!(
            "has {} checksums that vary, and {MOST_SUMS} are the most; set some of them to a value",
            sums.len()
        ));
    }
    let image = |size: u16| {
        let mut frame = vec![0; usize::from(size) - FCS];
        let end = frame.len() - built.trailer.len();
        built.fill(&mut frame);
        let stamp_at = stamped.then(|| end - Stamp::LEN);
        if stamped {
            Stamp::place_at_end(&mut frame[..end]).expect("there is room for it");
        }
        for sum in &fixed {
            let base = sum.base(&frame);
            sum.sum().write(&mut frame, base);
        }
        let mut bases = Sums::default();
        for (base, sum) in bases.iter_mut().zip(&sums) {
            *base = sum.base(&frame);
        }
        let to_end = sums.iter().position(Covered::to_end);
        let stamp_feed = match (stamp_at, to_end) {
            (Some(at), Some(number)) => sums[number].feed(number, at + Stamp::LEN),
            _ => Feed::NONE,
        };
        Image { bytes: frame.into(), stamp_at, stamp_feed, sums: bases }
    };
    let images = sizes.shares().iter().map(|(size, _)| image(*size)).collect();
    let order = mixed(&sizes.shares().iter().map(|(_, share)| *share).collect::<Vec<_>>());
    let patches = built.patches(&sums);
    let sums = sums.iter().map(Covered::sum).collect();
    Ok(Plan { images, order, patches, sums, trailer: built.trailer })
}

/// Frames of a capture, as they are.
fn replayed(frames: &[Vec<u8>]) -> Plan {
    let image = |frame: &Vec<u8>| Image {
        bytes: frame.clone().into(),
        stamp_at: None,
        stamp_feed: Feed::NONE,
        sums: Sums::default(),
    };
    Plan {
        images: frames.iter().map(image).collect(),
        order: (0..frames.len() as u32).collect(),
        patches: Vec::new(),
        sums: Vec::new(),
        trailer: Trailer::None,
    }
}

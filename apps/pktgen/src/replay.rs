//! Frames from capture files, pcap and pcapng.

use crate::frame::size::{FCS, LARGEST};
use crate::frame::{Source, Stream};
use crate::template::{DEFAULT_SEED, Template};
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

/// Why a file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It begins like no capture.
    #[error("is no capture: it begins like neither pcap nor pcapng")]
    NoCapture,
    /// Its packets are not Ethernet frames.
    #[error("holds packets of link type {kind:?}, not Ethernet frames; capture on an Ethernet interface")]
    LinkType {
        /// What they are.
        kind: DataLink,
    },
    /// The file ends within a packet.
    #[error(
        "is cut off within packet {number}: {good} whole ones stand before it; repair it, for example with pcapfix"
    )]
    CutOff {
        /// Which, from 1.
        number: usize,
        /// How many stand before it.
        good: usize,
    },
    /// The file is damaged.
    #[error("is damaged at packet {number}: {what}")]
    Damaged {
        /// Which, from 1.
        number: usize,
        /// What the reader says.
        what: String,
    },
    /// A packet was not captured as a whole.
    #[error(
        "packet {number} has {captured} of its {length} bytes; capture whole frames (tcpdump -s 0), or filter it out"
    )]
    Snapped {
        /// Which, from 1.
        number: usize,
        /// Bytes there are.
        captured: usize,
        /// Bytes there were.
        length: u32,
    },
    /// A packet is no frame that can be sent.
    #[error("packet {number} has {length} bytes; a frame has 14 to {most} without its FCS")]
    Length {
        /// Which, from 1.
        number: usize,
        /// Its length.
        length: usize,
        /// The most.
        most: usize,
    },
    /// There is nothing in it.
    #[error("holds no packets")]
    Empty,
    /// There is too much in it.
    #[error("is larger than {0} MiB, and is held in memory; cut it, for example with editcap")]
    TooLarge(u64),
}

/// Largest file, bytes.
const MOST_BYTES: u64 = 1 << 30;

/// Reads a capture as a stream that is sent as it is: no stamps, no changes, in turn and from the start again.
///
/// # Errors
/// [`ReplayError`], which names the packet.
pub fn load(file: &Path) -> Result<Template, ReplayError> {
    let open = File::open(file)?;
    if open.metadata()?.len() > MOST_BYTES {
        return Err(ReplayError::TooLarge(MOST_BYTES >> 20));
    }
    let mut bytes = Vec::new();
    // Whatever its size was said to be: pipes have none.
    open.take(MOST_BYTES).read_to_end(&mut bytes)?;
    let frames = frames(&bytes)?;
    let name = file.file_name().map_or_else(|| "replay".into(), |name| name.to_string_lossy());
    let stream = Stream { name: name.into_owned(), share: 1, source: Source::Frames(frames), stamp: Some(false) };
    Ok(Template { seed: DEFAULT_SEED, streams: vec![stream] })
}

/// The frames of a capture.
///
/// # Errors
/// [`ReplayError`], which names the packet.
pub fn frames(capture: &[u8]) -> Result<Vec<Vec<u8>>, ReplayError> {
    const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
    /// In microseconds or nanoseconds, in either byte order.
    const PCAP: [u32; 4] = [0xa1b2_c3d4, 0xd4c3_b2a1, 0xa1b2_3c4d, 0x4d3c_b2a1];
    let frames = match capture.first_chunk::<4>() {
        Some(&PCAPNG) => pcapng(capture)?,
        Some(&magic) if PCAP.contains(&u32::from_be_bytes(magic)) => pcap(capture)?,
        _ => return Err(ReplayError::NoCapture),
    };
    if frames.is_empty() { Err(ReplayError::Empty) } else { Ok(frames) }
}

fn pcap(capture: &[u8]) -> Result<Vec<Vec<u8>>, ReplayError> {
    let mut frames = Vec::new();
    let mut reader = PcapReader::new(Cursor::new(capture)).map_err(|error| damaged(error, 0))?;
    ethernet(reader.header().datalink)?;
    while let Some(packet) = reader.next_packet() {
        let packet = packet.map_err(|error| damaged(error, frames.len()))?;
        add(&mut frames, &packet.data, packet.orig_len)?;
    }
    Ok(frames)
}

fn pcapng(capture: &[u8]) -> Result<Vec<Vec<u8>>, ReplayError> {
    let mut frames = Vec::new();
    let mut reader = PcapNgReader::new(Cursor::new(capture)).map_err(|error| damaged(error, 0))?;
    while let Some(block) = reader.next_block() {
        match block.map_err(|error| damaged(error, frames.len()))? {
            // Packets of others among them cannot be sent, whichever they are.
            Block::InterfaceDescription(interface) => ethernet(interface.linktype)?,
            Block::EnhancedPacket(packet) => add(&mut frames, &packet.data, packet.original_len)?,
            Block::SimplePacket(packet) => add(&mut frames, &packet.data, packet.original_len)?,
            Block::Packet(packet) => add(&mut frames, &packet.data, packet.original_len)?,
            _ => {}
        }
    }
    Ok(frames)
}

fn ethernet(kind: DataLink) -> Result<(), ReplayError> {
    if kind == DataLink::ETHERNET { Ok(()) } else { Err(ReplayError::LinkType { kind }) }
}

fn add(frames: &mut Vec<Vec<u8>>, data: &[u8], length: u32) -> Result<(), ReplayError> {
    let number = frames.len() + 1;
    let most = usize::from(LARGEST) - FCS;
    if (data.len() as u64) < u64::from(length) {
        return Err(ReplayError::Snapped { number, captured: data.len(), length });
    }
    if !(14..=most).contains(&data.len()) {
        return Err(ReplayError::Length { number, length: data.len(), most });
    }
    frames.push(data.to_vec());
    Ok(())
}

fn damaged(error: PcapError, good: usize) -> ReplayError {
    match error {
        PcapError::IncompleteBuffer => ReplayError::CutOff { number: good + 1, good },
        PcapError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            ReplayError::CutOff { number: good + 1, good }
        }
        PcapError::IoError(error) => ReplayError::Io(error),
        other => ReplayError::Damaged { number: good + 1, what: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
    use pcap_file::pcapng::PcapNgWriter;
    use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
    use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionBlock;
    use proptest::prelude::*;
    use std::time::Duration;

    fn sample() -> Vec<Vec<u8>> {
        (60..70).map(|length| vec![length; length.into()]).collect()
    }

    fn pcap_of(datalink: DataLink, frames: &[Vec<u8>], longer_by: u32) -> Vec<u8> {
        let header = PcapHeader { datalink, ..PcapHeader::default() };
        let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
        for frame in frames {
            let packet = PcapPacket::new(Duration::ZERO, frame.len() as u32 + longer_by, frame);
            writer.write_packet(&packet).unwrap();
        }
        writer.into_writer()
    }

    fn pcapng_of(linktype: DataLink, frames: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = PcapNgWriter::new(Vec::new()).unwrap();
        writer.write_pcapng_block(InterfaceDescriptionBlock::new(linktype, 0)).unwrap();
        for frame in frames {
            let packet = EnhancedPacketBlock {
                interface_id: 0,
                timestamp: Duration::ZERO,
                original_len: frame.len() as u32,
                data: frame.into(),
                options: Vec::new(),
            };
            writer.write_pcapng_block(packet).unwrap();
        }
        writer.into_inner()
    }

    #[test]
    fn both_formats_are_read() {
        assert_eq!(frames(&pcap_of(DataLink::ETHERNET, &sample(), 0)).unwrap(), sample());
        assert_eq!(frames(&pcapng_of(DataLink::ETHERNET, &sample())).unwrap(), sample());
    }

    #[test]
    fn what_cannot_be_replayed_is_said() {
        let said = |capture: &[u8]| frames(capture).unwrap_err().to_string();
        assert!(said(b"GIF89a...").starts_with("is no capture"));
        assert!(said(b"").starts_with("is no capture"));
        assert!(said(&pcap_of(DataLink::RAW, &sample(), 0)).contains("link type RAW, not Ethernet"));
        assert!(said(&pcapng_of(DataLink::IEEE802_11, &sample())).contains("not Ethernet"));
        assert!(said(&pcap_of(DataLink::ETHERNET, &sample(), 9)).contains("packet 1 has 60 of its 69 bytes"));
        assert_eq!(said(&pcap_of(DataLink::ETHERNET, &[], 0)), "holds no packets");
        assert!(said(&pcap_of(DataLink::ETHERNET, &[vec![0; 60], vec![0; 13]], 0)).contains("packet 2 has 13 bytes"));
        assert!(said(&pcap_of(DataLink::ETHERNET, &[vec![0; 9015]], 0)).contains("14 to 9014"));
        for whole in [pcap_of(DataLink::ETHERNET, &sample(), 0), pcapng_of(DataLink::ETHERNET, &sample())] {
            let cut = said(&whole[..whole.len() - 10]);
            assert!(cut.contains("cut off within packet 10: 9 whole ones"), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn reading_is_total(ng: bool, at in 0usize..500, byte: u8, cut in 0usize..900) {
            let mut capture = match ng {
                true => pcapng_of(DataLink::ETHERNET, &sample()),
                false => pcap_of(DataLink::ETHERNET, &sample(), 0),
            };
            capture.truncate(cut.max(4));
            if let Some(there) = capture.get_mut(at) {
                *there = byte;
            }
            if let Ok(frames) = frames(&capture) {
                prop_assert!(frames.iter().all(|frame| (14..=9014).contains(&frame.len())));
            }
        }
    }
}

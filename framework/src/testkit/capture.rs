//! Capture files of Ethernet frames.

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use pcap_file::{DataLink, PcapError};
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::time::Duration;

/// Writes frames to a pcap file, a microsecond apart.
///
/// # Errors
/// When the file cannot be written.
pub fn write_pcap<F: AsRef<[u8]>>(path: impl AsRef<Path>, frames: impl IntoIterator<Item = F>) -> io::Result<()> {
    let header = PcapHeader { datalink: DataLink::ETHERNET, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(BufWriter::new(File::create(path)?), header).map_err(plain)?;
    for (number, frame) in (0..).zip(frames) {
        let frame = frame.as_ref();
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        let packet = PcapPacket::new(Duration::from_micros(number), length, frame);
        writer.write_packet(&packet).map_err(plain)?;
    }
    writer.into_writer().into_inner()?.sync_data()
}

/// Reads the frames of a pcap file.
///
/// # Errors
/// When it cannot be read or holds something other than Ethernet frames.
pub fn read_pcap(path: impl AsRef<Path>) -> io::Result<Vec<Vec<u8>>> {
    let mut reader = PcapReader::new(BufReader::new(File::open(path)?)).map_err(plain)?;
    let kind = reader.header().datalink;
    if kind != DataLink::ETHERNET {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a capture of {kind:?}, not of Ethernet")));
    }
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        frames.push(packet.map_err(plain)?.data.into_owned());
    }
    Ok(frames)
}

fn plain(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Frame, mac};

    #[test]
    fn frames_survive_a_file() {
        let path = std::env::temp_dir().join(format!("iogate-capture-{}.pcap", std::process::id()));
        let frames: Vec<Vec<u8>> =
            (0..40).map(|size| Frame::ethernet(mac(1), mac(2)).payload(vec![7; size]).build()).collect();
        write_pcap(&path, &frames).unwrap();
        let read = read_pcap(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read, frames);
    }

    #[test]
    fn other_files_are_refused() {
        let error = read_pcap("/proc/self/cmdline").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

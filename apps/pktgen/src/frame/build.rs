//! Writes layers into a frame: headers, values, lengths, what announces the next header; and finds what checksums cover.

use super::catalogue::Field;
use super::layers::{Layer, Place, announced, group_address};
use super::plan::{Feed, Patch, Sum, Trailer};
use super::values::Values;
use iogate::packet::checksum;

/// A stream's layers and where they stand in its frames.
pub(super) struct Built<'a> {
    layers: &'a [Layer],
    payload: &'a [u8],
    /// Where each layer starts, and where the last one ends.
    starts: Vec<usize>,
    pub(super) trailer: Trailer,
}

impl<'a> Built<'a> {
    pub(super) fn new(layers: &'a [Layer], payload: &'a [u8]) -> Self {
        let lengths = layers.iter().scan(0, |end, layer| {
            *end += layer.len();
            Some(*end)
        });
        let starts: Vec<usize> = std::iter::once(0).chain(lengths).collect();
        let at = |name: &str| layers.iter().position(|layer| layer.kind().name == name);
        let trailer = match (at("fcoe"), at("roce")) {
            (Some(fcoe), _) => Trailer::Fcoe(starts[fcoe + 1]),
            (None, Some(roce)) => {
                let network = if layers[roce - 1].kind().name == "grh" { roce - 1 } else { roce - 2 };
                Trailer::Roce { network: starts[network], transport: starts[roce] }
            }
            (None, None) => Trailer::None,
        };
        Built { layers, payload, starts, trailer }
    }

    /// The shortest frame, without the FCS.
    pub(super) fn shortest(&self) -> usize {
        self.starts[self.layers.len()] + self.trailer.len()
    }

    /// Writes everything but checksums into a frame of zeros.
    pub(super) fn fill(&self, frame: &mut [u8]) {
        for (at, layer) in self.layers.iter().enumerate() {
            let start = self.starts[at];
            frame[start..start + layer.len()].copy_from_slice(layer.bytes());
            let mut write = |name: &str, value: u128| {
                if let Some(field) = layer.kind().field(name)
                    && !layer.sets(name)
                {
                    Place::of(field, start, field.bits).put(frame, field.bits, value);
                }
            };
            for (name, value) in layer.kind().defaults {
                write(name, *value);
            }
            if let Some(next) = self.layers.get(at + 1) {
                if let Some((name, value)) = announced(layer.kind(), next.kind()) {
                    write(name, value);
                }
                if let Some(group) = group_address(next.kind()).filter(|_| layer.kind().name == "ethernet") {
                    write("dst", group);
                }
            }
        }
        let front = self.starts[self.layers.len()];
        let room = frame.len() - self.trailer.len() - front;
        let payload = &self.payload[..self.payload.len().min(room)];
        frame[front..front + payload.len()].copy_from_slice(payload);
        if let Trailer::Fcoe(_) = self.trailer {
            let end = frame.len() - self.trailer.len();
            // End of frame, the last of its sequence.
            frame[end + 4] = 0x42;
        }
        self.write_lengths(frame);
        for (layer, start) in self.layers.iter().zip(&self.starts) {
            for (field, Values { common, .. }) in layer.fields() {
                Place::of(field, *start, field.bits).put(frame, field.bits, *common);
            }
        }
    }

    fn write_lengths(&self, frame: &mut [u8]) {
        for (at, layer) in self.layers.iter().enumerate() {
            let (start, end) = (self.starts[at], self.starts[at + 1]);
            // Lengths count to the end of the frame: what carries one has no padding behind it.
            let (whole, behind) = (frame.len() - start, frame.len() - end);
            let lengths: &[(&str, usize)] = match layer.kind().name {
                "ipv4" => &[("total_len", whole)],
                "ipv6" | "grh" => &[("payload_len", behind)],
                "udp" => &[("len", whole)],
                // Data is padded to four bytes; what does not fill them belongs to the next PDU.
                "iscsi" => &[("data_len", behind & !3)],
                "nvme_tcp" => &[("pdu_len", whole)],
                "nvme_command" if behind > 0 => &[("pdu_len", whole), ("data_offset", end - start)],
                "fip" => {
                    let behind = self.layers[at + 1..].iter().take_while(|layer| layer.kind().name == "fip_mac");
                    &[("list_len", behind.map(Layer::len).sum::<usize>() / 4)]
                }
                _ => &[],
            };
            for (name, value) in lengths {
                let field = layer.kind().field(name).expect("it is named above for its kind");
                Place::of(field, start, field.bits).put(frame, field.bits, *value as u128);
            }
        }
    }

    /// The checksums that frames have and that no layer sets.
    pub(super) fn sums(&self) -> Vec<Covered> {
        let covered = |(at, layer): (usize, &Layer)| {
            let field = layer.kind().field("checksum")?;
            if layer.sets("checksum") {
                return None;
            }
            let next = self.layers.get(at + 1).map(|layer| layer.kind().name);
            let carrier = at.checked_sub(1)?;
            let what = match (layer.kind().name, next) {
                ("ipv4", _) => Covers::Header { end: self.starts[at + 1] },
                // RFC 7348 wants none, and the invariant CRC makes it needless.
                ("udp", Some("vxlan" | "roce")) => return None,
                ("icmp", _) => Covers::Message,
                (name, _) => Covers::Segment {
                    carrier,
                    carrier_start: self.starts[carrier],
                    protocol: match name {
                        "tcp" => 6,
                        "udp" => 17,
                        _ => 58,
                    },
                    version_6: self.layers[carrier].kind().name == "ipv6",
                },
            };
            let start = self.starts[at];
            let place = Place::of(field, start, field.bits);
            Some(Covered { layer: at, start, what, at: place.offset, never_zero: layer.kind().name == "udp" })
        };
        self.layers.iter().enumerate().filter_map(covered).collect()
    }

    /// The fields that vary, and which of the checksums cover them.
    pub(super) fn patches(&self, sums: &[Covered]) -> Vec<Patch> {
        let mut patches = Vec::new();
        for (at, layer) in self.layers.iter().enumerate() {
            for (field, values) in layer.fields() {
                let Some(vary) = &values.vary else { continue };
                let place = Place::of(field, self.starts[at], 64);
                let mut feeds = [Feed::NONE; 2];
                let covering = sums.iter().enumerate().filter(|(_, sum)| sum.covers(at, field));
                for (feed, (number, sum)) in feeds.iter_mut().zip(covering) {
                    *feed = match sum.layer <= at {
                        true => sum.feed(number, place.offset + place.len),
                        // An address in the pseudo header, where it stands at an even byte.
                        false => Feed { sum: number as u8, shift: 0 },
                    };
                }
                patches.push(Patch { vary: vary.clone(), place, feeds });
            }
        }
        patches
    }
}

/// A checksum and what it covers.
pub(super) struct Covered {
    layer: usize,
    start: usize,
    /// Where it is written.
    at: usize,
    what: Covers,
    never_zero: bool,
}

enum Covers {
    /// The header alone: IPv4's.
    Header { end: usize },
    /// To the end of the frame: ICMP's.
    Message,
    /// To the end of the frame, and the pseudo header of what carries it.
    Segment { carrier: usize, carrier_start: usize, protocol: u8, version_6: bool },
}

impl Covered {
    /// Whether it reaches to the end of the frame.
    pub(super) fn to_end(&self) -> bool {
        !matches!(self.what, Covers::Header { .. })
    }

    fn covers(&self, layer: usize, field: &Field) -> bool {
        match self.what {
            Covers::Header { .. } => layer == self.layer,
            Covers::Message => layer >= self.layer,
            Covers::Segment { carrier, .. } => {
                layer >= self.layer || layer == carrier && matches!(field.name, "src" | "dst")
            }
        }
    }

    /// Whether it differs from frame to frame.
    pub(super) fn varies(&self, layers: &[Layer], stamped: bool) -> bool {
        let fields = layers.iter().enumerate().flat_map(|(at, layer)| layer.fields().iter().map(move |set| (at, set)));
        let mut varying = fields.filter(|(_, (_, values))| values.vary.is_some());
        stamped && self.to_end() || varying.any(|(at, (field, _))| self.covers(at, field))
    }

    /// How bytes that end at `end` count in it, it being the sum of this number.
    pub(super) fn feed(&self, number: usize, end: usize) -> Feed {
        let odd = (end - self.start) % 2 == 1;
        Feed { sum: number as u8, shift: if odd { 8 } else { 0 } }
    }

    pub(super) fn sum(&self) -> Sum {
        Sum { at: self.at, never_zero: self.never_zero }
    }

    /// The sum over a frame in which everything that varies, and the checksum itself, is 0.
    pub(super) fn base(&self, frame: &[u8]) -> u64 {
        let folded = |bytes| u64::from(checksum::fold(checksum::sum(bytes)));
        match self.what {
            Covers::Header { end } => folded(&frame[self.start..end]),
            Covers::Message => folded(&frame[self.start..]),
            Covers::Segment { carrier_start, protocol, version_6, .. } => {
                let addresses = if version_6 { 8..40 } else { 12..20 };
                let addresses = &frame[carrier_start + addresses.start..carrier_start + addresses.end];
                let length = (frame.len() - self.start) as u64;
                folded(addresses) + folded(&frame[self.start..]) + u64::from(protocol) + length
            }
        }
    }
}

//! Layers of a frame: which headers, with which values, and whether they may stand in that order.

use super::catalogue::{Behind, Field, HeaderKind};
use super::values::Values;

/// A header of a frame with the fields that a template sets.
#[derive(Clone, Debug)]
pub struct Layer {
    kind: &'static HeaderKind,
    set: Vec<(&'static Field, Values)>,
    raw: Vec<u8>,
}

/// No frame has more layers.
pub const MOST_LAYERS: usize = 16;

impl Layer {
    /// A header with its defaults.
    pub fn new(kind: &'static HeaderKind) -> Self {
        Layer { kind, set: Vec::new(), raw: Vec::new() }
    }

    /// Bytes that are no header.
    pub fn raw(bytes: Vec<u8>) -> Self {
        let kind = super::catalogue::header("raw").expect("the catalogue has it");
        Layer { raw: bytes, ..Layer::new(kind) }
    }

    /// What header it is.
    pub fn kind(&self) -> &'static HeaderKind {
        self.kind
    }

    /// Sets a field of its kind.
    ///
    /// # Errors
    /// When a field that was set before stands in the same bits.
    pub fn set(&mut self, field: &'static Field, values: Values) -> Result<(), String> {
        let overlaps = |other: &Field| field.at < other.at + other.bits && other.at < field.at + field.bits;
        if let Some((other, _)) = self.set.iter().find(|(other, _)| overlaps(other)) {
            return Err(match other.name == field.name {
                true => "is set twice; remove one".to_owned(),
                false => format!("is a part of {}, or the other way round, which is set too; remove one", other.name),
            });
        }
        self.set.push((field, values));
        Ok(())
    }

    /// The fields that were set, with their values.
    pub fn fields(&self) -> &[(&'static Field, Values)] {
        &self.set
    }

    /// Whether a field of this name was set.
    pub(super) fn sets(&self, name: &str) -> bool {
        self.set.iter().any(|(field, _)| field.name == name)
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Its bytes before any field is written.
    pub(super) fn bytes(&self) -> &[u8] {
        if self.raw.is_empty() { self.kind.blank } else { &self.raw }
    }
}

/// Checks that headers stand in an order that exists.
///
/// # Errors
/// The position of the layer that cannot stand where it does, and why.
pub fn check_order(layers: &[Layer]) -> Result<(), (usize, String)> {
    if layers.len() > MOST_LAYERS {
        return Err((MOST_LAYERS, format!("there are more than {MOST_LAYERS} headers; remove some")));
    }
    let mut before: Option<&HeaderKind> = None;
    for (at, layer) in layers.iter().enumerate() {
        if !layer.kind.behind.iter().any(|behind| allowed(*behind, before)) {
            let places: Vec<_> = layer.kind.behind.iter().flat_map(|behind| places(*behind)).copied().collect();
            let place = match before {
                Some(before) => format!("cannot stand behind {}", before.name),
                None => "cannot be the first header".to_owned(),
            };
            return Err((at, format!("{place}; put it behind {}", places.join(" or "))));
        }
        before = Some(layer.kind);
    }
    if layers.is_empty() {
        return Err((0, "there is no header; begin with ethernet".to_owned()));
    }
    Ok(())
}

const ETHERNET: &[&str] = &["ethernet", "vlan", "service_vlan"];
const IP: &[&str] = &["ipv4", "ipv6"];

fn places(behind: Behind) -> &'static [&'static str] {
    match behind {
        Behind::Nothing => &["nothing"],
        Behind::EtherType(_) => ETHERNET,
        Behind::IpProtocol(_) => IP,
        Behind::UdpPort(_) => &["udp"],
        Behind::TcpPort(_) => &["tcp"],
        Behind::Header("vxlan") => &["vxlan"],
        Behind::Header("fcoe") => &["fcoe"],
        Behind::Header("fip") => &["fip"],
        Behind::Header("fip_mac") => &["fip_mac"],
        Behind::Header("grh") => &["grh"],
        Behind::Header("roce") => &["roce"],
        Behind::Header("aoe") => &["aoe"],
        Behind::Header(_) | Behind::Any => &["any header"],
    }
}

fn allowed(behind: Behind, before: Option<&HeaderKind>) -> bool {
    match (behind, before) {
        (Behind::Nothing, before) => before.is_none(),
        (Behind::Any, before) => before.is_some(),
        (_, None) => false,
        (behind, Some(before)) => places(behind).contains(&before.name),
    }
}

/// The field of the header in front that says what follows it, and its value.
pub(super) fn announced(before: &HeaderKind, next: &HeaderKind) -> Option<(&'static str, u128)> {
    next.behind.iter().filter(|behind| allowed(**behind, Some(before))).find_map(|behind| match *behind {
        Behind::EtherType(kind) => Some(("ether_type", kind.into())),
        Behind::IpProtocol(protocol) if before.name == "ipv4" => Some(("protocol", protocol.into())),
        Behind::IpProtocol(protocol) => Some(("next_header", protocol.into())),
        Behind::UdpPort(port) | Behind::TcpPort(port) => Some(("dst_port", port.into())),
        Behind::Nothing | Behind::Header(_) | Behind::Any => None,
    })
}

/// Where a link-local protocol's frames go to unless a template says otherwise.
pub(super) fn group_address(next: &HeaderKind) -> Option<u128> {
    match next.name {
        "arp" => Some(0xffff_ffff_ffff),
        "pause" | "pfc" => Some(0x0180_c200_0001),
        "lldp" => Some(0x0180_c200_000e),
        "fip" => Some(0x0110_1801_0002),
        _ => None,
    }
}

/// Where a field stands in a frame: the whole bytes around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// First byte, from the start of the frame.
    pub(super) offset: usize,
    /// Bytes.
    pub(super) len: usize,
    /// How far its lowest bit is from that of the last byte.
    pub(super) shift: u16,
    /// Whether it fills its bytes.
    pub(super) whole: bool,
    pub(super) little_endian: bool,
}

impl Place {
    /// The place of the low `most` bits of a field, in a header that starts at `start`.
    pub(super) fn of(field: &Field, start: usize, most: u16) -> Self {
        let bits = field.bits.min(most);
        let (first, end) = (field.at + field.bits - bits, field.at + field.bits);
        let (first_byte, end_byte) = (first / 8, end.div_ceil(8));
        Place {
            offset: start + usize::from(first_byte),
            len: usize::from(end_byte - first_byte),
            shift: end_byte * 8 - end,
            whole: bits.is_multiple_of(8) && end.is_multiple_of(8),
            little_endian: field.little_endian,
        }
    }

    /// Writes a value to a frame, over what stands there, with as many bits as the field has.
    pub(super) fn put(&self, frame: &mut [u8], bits: u16, value: u128) {
        let bytes = &mut frame[self.offset..self.offset + self.len];
        if self.little_endian {
            bytes.copy_from_slice(&value.to_le_bytes()[..self.len]);
            return;
        }
        let mask = (u128::MAX >> (128 - bits)) << self.shift;
        let old = bytes.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte));
        let new = old & !mask | value << self.shift & mask;
        bytes.copy_from_slice(&new.to_be_bytes()[16 - self.len..]);
    }

    /// Writes a value to where nothing but zeros stand, and returns the bytes as a number, to be added to checksums.
    #[inline]
    pub(super) fn patch(&self, frame: &mut [u8], value: u64) -> u64 {
        let word = match self.little_endian {
            true => value.swap_bytes() >> (64 - 8 * self.len),
            false => value << self.shift,
        };
        let bytes = &mut frame[self.offset..self.offset + self.len];
        if self.whole {
            // Copies of a length that the compiler knows.
            match self.len {
                1 => bytes[0] = word as u8,
                2 => bytes.copy_from_slice(&(word as u16).to_be_bytes()),
                4 => bytes.copy_from_slice(&(word as u32).to_be_bytes()),
                len => bytes.copy_from_slice(&word.to_be_bytes()[8 - len..]),
            }
        } else {
            for (byte, new) in bytes.iter_mut().zip(&word.to_be_bytes()[8 - self.len..]) {
                *byte |= new;
            }
        }
        word
    }
}

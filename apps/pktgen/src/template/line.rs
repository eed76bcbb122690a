//! A frame on one line, for the command line and for TOML:
//!
//! ```text
//!   ethernet,dst=02:00:00:00:00:09/vlan,vid=100/ipv4,dst=10.0.0.1..10.0.3.255/udp,dst_port=53
//!   HEADER[,FIELD=VALUES]...[/HEADER...]
//! ```
//!
//! Values are as [`values`](crate::frame::values) says; `raw,hex=0a0b0c` is bytes of one's own.

use super::problem::{Sink, instead, quoted};
use crate::frame::catalogue::{HEADERS, HeaderKind, header};
use crate::frame::values::Values;
use crate::frame::{Layer, check_order};

/// Reads the layers of a frame; `at` is where the text starts in the source, `inside` how far into it places are known.
pub(super) fn layers(text: &str, at: usize, sink: &mut Sink<'_>) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut places = Vec::new();
    let mut offset = at;
    for part in text.split('/') {
        let mut items = part.split(',');
        let name = items.next().unwrap_or_default();
        let mut place = offset + name.len() + 1;
        if let Some(kind) = kind(name.trim(), offset, sink) {
            let mut layer = Layer::new(kind);
            for item in items {
                match item.split_once('=') {
                    Some((field, values)) => set(&mut layer, field.trim(), Text::One(values), place, sink),
                    None => sink.add(place, format!("{} must be FIELD=VALUE; write it so, or remove it", quoted(item))),
                }
                place += item.len() + 1;
            }
            layers.push(layer);
            places.push(offset);
        }
        offset += part.len() + 1;
    }
    order(&layers, &places, at, sink);
    layers
}

/// The header of a name, or nothing after saying that it is unknown.
pub(super) fn kind(name: &str, at: usize, sink: &mut Sink<'_>) -> Option<&'static HeaderKind> {
    let kind = header(name);
    if kind.is_none() {
        let names = HEADERS.iter().map(|header| header.name);
        sink.add(at, format!("unknown header {}{}", quoted(name), instead(name, names)));
    }
    kind
}

/// How the values of a field were written.
pub(super) enum Text<'a> {
    One(&'a str),
    /// A list of TOML.
    Many(Vec<String>),
}

/// Sets a field of a layer, or says why not.
pub(super) fn set(layer: &mut Layer, name: &str, text: Text<'_>, at: usize, sink: &mut Sink<'_>) {
    let kind = layer.kind();
    if kind.name == "raw" {
        match (name, &text) {
            ("hex", Text::One(text)) => match hex(text) {
                Some(bytes) if !bytes.is_empty() => *layer = Layer::raw(bytes),
                _ => sink.add(at, format!("raw: hex = {} must be pairs of hexadecimal digits", quoted(text))),
            },
            _ => sink.add(at, format!("raw: unknown field {}; use hex=0a0b0c", quoted(name))),
        }
        return;
    }
    let Some(field) = kind.field(name) else {
        let mut message = format!("{}: unknown field {}", kind.name, quoted(name));
        message += &match kind.fields.is_empty() {
            true => "; it has none".to_owned(),
            false => instead(name, kind.fields.iter().map(|field| field.name)),
        };
        return sink.add(at, message);
    };
    let values = match text {
        Text::One(text) => Values::parse(text, field),
        Text::Many(items) => Values::list(items.iter().map(|item| crate::frame::values::value_of(item, field))),
    };
    if let Err(error) = values.and_then(|values| layer.set(field, values)) {
        sink.add(at, format!("{}: {name} {error}", kind.name));
    }
}

/// Says when headers cannot stand in their order; `places` is where each is in the source.
pub(super) fn order(layers: &[Layer], places: &[usize], whole: usize, sink: &mut Sink<'_>) {
    if let Err((number, error)) = check_order(layers) {
        let name = layers.get(number).map_or(String::new(), |layer| format!("{} ", layer.kind().name));
        sink.add(places.get(number).copied().unwrap_or(whole), name + &error);
    }
}

/// Bytes from pairs of hexadecimal digits, which spaces and colons may stand between.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().filter(|c| !matches!(c, ' ' | ':')).map(|c| c.to_digit(16).map(|digit| digit as u8));
    let digits: Vec<u8> = digits.collect::<Option<_>>()?;
    let (pairs, odd) = digits.as_chunks::<2>();
    odd.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

//! Reads templates from TOML, without stopping at the first problem.

use super::line::{self, Text};
use super::problem::{Problems, Sink, instead, quoted};
use super::{DEFAULT_SEED, MOST_STREAMS, Template};
use crate::frame::size::Sizes;
use crate::frame::{Layer, Prepared, Source, Stream};
use std::collections::BTreeSet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
pub(crate) type Item<'a> = Spanned<DeValue<'a>>;

/// A table of which it is known what may stand in it.
pub(crate) struct Keys<'t, 'a> {
    table: &'t DeTable<'a>,
    what: &'t str,
}

impl<'t, 'a> Keys<'t, 'a> {
    /// Says which keys are unknown.
    pub(crate) fn new(table: &'t DeTable<'a>, what: &'t str, known: &[&str], sink: &mut Sink<'_>) -> Self {
        for (key, _) in table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            let message = format!("{what}unknown key {}{}", quoted(name), instead(name, known.iter().copied()));
            sink.add(key.span().start, message);
        }
        Keys { table, what }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'t Item<'a>> {
        self.table.get(key)
    }

    /// A whole number within a range, or nothing when there is none or it is wrong.
    pub(crate) fn number(&self, key: &str, most: u64, sink: &mut Sink<'_>) -> Option<u64> {
        let item = self.get(key)?;
        let number = integer(item.get_ref()).and_then(|number| u64::try_from(number).ok());
        let number = number.filter(|number| *number <= most);
        if number.is_none() {
            sink.add(item.span().start, format!("{}{key} must be a whole number up to {most}", self.what));
        }
        number
    }

    /// A text, or nothing when there is none or it is something else.
    pub(crate) fn text(&self, key: &str, sink: &mut Sink<'_>) -> Option<&'t str> {
        let item = self.get(key)?;
        let text = item.get_ref().as_str();
        if text.is_none() {
            sink.add(item.span().start, format!("{}{key} must be a text in quotes", self.what));
        }
        text
    }

    pub(crate) fn flag(&self, key: &str, sink: &mut Sink<'_>) -> Option<bool> {
        let item = self.get(key)?;
        let flag = item.get_ref().as_bool();
        if flag.is_none() {
            sink.add(item.span().start, format!("{}{key} must be true or false", self.what));
        }
        flag
    }
}

fn integer(value: &DeValue<'_>) -> Option<i128> {
    value.as_integer().and_then(|integer| i128::from_str_radix(integer.as_str(), integer.radix()).ok())
}

/// A number or text of TOML as text; a list as several.
fn text_of(item: &Item<'_>) -> Option<String> {
    match item.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        value => integer(value).map(|number| number.to_string()),
    }
}

/// The root table of a text, or nothing after saying that it is no TOML.
pub(crate) fn root<'a>(text: &'a str, sink: &mut Sink<'_>) -> Option<Spanned<DeTable<'a>>> {
    DeTable::parse(text)
        .inspect_err(|error| sink.add(error.span().map_or(0, |span| span.start), error.message().trim()))
        .ok()
}

/// The tables `[[key]]`, at least one and at most so many.
pub(crate) fn tables<'t, 'a>(
    keys: &Keys<'t, 'a>,
    key: &str,
    most: usize,
    sink: &mut Sink<'_>,
) -> Vec<(usize, &'t DeTable<'a>)> {
    let Some(item) = keys.get(key) else {
        sink.add(0, format!("there is no [[{key}]]; add one"));
        return Vec::new();
    };
    let items = match item.get_ref() {
        DeValue::Array(items) if (1..=most).contains(&items.len()) => items,
        DeValue::Array(items) => {
            sink.add(item.span().start, format!("there are {} {key}s; use 1 to {most}", items.len()));
            return Vec::new();
        }
        _ => {
            sink.add(item.span().start, format!("{key} must be a list of tables; write [[{key}]]"));
            return Vec::new();
        }
    };
    let mut tables = Vec::with_capacity(items.len());
    for item in items.iter() {
        match item.get_ref() {
            DeValue::Table(table) => tables.push((item.span().start, table)),
            _ => sink.add(item.span().start, format!("{key} must be a list of tables; write [[{key}]]")),
        }
    }
    tables
}

pub(super) fn template(text: &str, origin: &str) -> Result<Template, Problems> {
    let mut sink = Sink::new(origin, text);
    let mut template = Template { seed: DEFAULT_SEED, streams: Vec::new() };
    let Some(root) = root(text, &mut sink) else { return sink.finish(template) };
    let keys = Keys::new(root.get_ref(), "", &["seed", "stream"], &mut sink);
    if let Some(seed) = keys.number("seed", i64::MAX as u64, &mut sink) {
        template.seed = seed;
    }
    let mut names = BTreeSet::new();
    for (number, (at, table)) in tables(&keys, "stream", MOST_STREAMS, &mut sink).into_iter().enumerate() {
        let Some(stream) = stream(table, number, at, &mut sink) else { continue };
        if !names.insert(stream.name.clone()) {
            sink.add(at, format!("there are two streams {}; rename one", quoted(&stream.name)));
        }
        // One at a time, for the place.
        let alone = Template { seed: 0, streams: vec![stream.clone()] };
        if let Err(error) = Prepared::new(&alone) {
            sink.add(at, error);
        }
        template.streams.push(stream);
    }
    sink.finish(template)
}

const STREAM: [&str; 6] = ["name", "share", "size", "frame", "payload", "stamp"];

fn stream(table: &DeTable<'_>, number: usize, at: usize, sink: &mut Sink<'_>) -> Option<Stream> {
    /// No share is larger, so that one round of all streams stays short.
    const MOST_SHARE: u64 = 1000;
    let name = table.get("name").and_then(|name| name.get_ref().as_str());
    let name = name.map_or_else(|| format!("stream {}", number + 1), str::to_owned);
    let what = format!("stream {}: ", quoted(&name));
    let keys = Keys::new(table, &what, &STREAM, sink);
    keys.text("name", sink);
    let share = keys.number("share", MOST_SHARE, sink).unwrap_or(1);
    if share == 0 {
        sink.add(at, format!("{what}share must be 1 to {MOST_SHARE}"));
    }
    let size = match keys.get("size") {
        None => Sizes::fixed(64).ok(),
        Some(item) => {
            let text = match item.get_ref() {
                DeValue::Array(items) => {
                    items.iter().map(text_of).collect::<Option<Vec<_>>>().map(|list| list.join("|"))
                }
                _ => text_of(item),
            };
            let sizes =
                text.ok_or("must be a number, a text or a list".to_owned()).and_then(|text| Sizes::parse(&text));
            sizes.map_err(|error| sink.add(item.span().start, format!("{what}size {error}"))).ok()
        }
    };
    let payload = keys.text("payload", sink).unwrap_or_default();
    let payload = match payload.strip_prefix("hex:") {
        None => payload.as_bytes().to_vec(),
        Some(digits) => line::hex(digits).unwrap_or_else(|| {
            let place = keys.get("payload").map_or(at, |item| item.span().start);
            sink.add(place, format!("{what}payload: hex: must be followed by pairs of hexadecimal digits"));
            Vec::new()
        }),
    };
    let stamp = keys.flag("stamp", sink);
    let layers = frame(&keys, &what, at, sink)?;
    let source = Source::Layers { layers, payload, size: size? };
    Some(Stream { name, share: share.max(1) as u32, source, stamp })
}

/// The layers of `frame`, or nothing when they are wrong.
fn frame(keys: &Keys<'_, '_>, what: &str, at: usize, sink: &mut Sink<'_>) -> Option<Vec<Layer>> {
    let Some(item) = keys.get("frame") else {
        sink.add(at, format!("{what}there is no frame; write frame = \"ethernet/ipv4/udp\""));
        return None;
    };
    let before = sink.count();
    let layers = match item.get_ref() {
        // Behind the quote.
        DeValue::String(text) => line::layers(text, item.span().start + 1, sink),
        DeValue::Array(items) => {
            let mut layers = Vec::new();
            let mut places = Vec::new();
            for item in items.iter() {
                if let Some(layer) = layer(item, sink) {
                    layers.push(layer);
                    places.push(item.span().start);
                }
            }
            if sink.count() == before {
                line::order(&layers, &places, item.span().start, sink);
            }
            layers
        }
        _ => {
            sink.add(item.span().start, format!("{what}frame must be a text or a list of headers"));
            return None;
        }
    };
    (sink.count() == before).then_some(layers)
}

/// `"udp"` or `{ header = "udp", dst_port = 53 }`.
fn layer(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Layer> {
    let at = item.span().start;
    let table = match item.get_ref() {
        DeValue::String(name) => return line::kind(name, at, sink).map(Layer::new),
        DeValue::Table(table) => table,
        _ => {
            sink.add(at, "a header must be a table; write { header = \"udp\", dst_port = 53 }");
            return None;
        }
    };
    let Some(name) = table.get("header").and_then(|name| name.get_ref().as_str()) else {
        sink.add(at, "a header must be named; write { header = \"udp\", dst_port = 53 }");
        return None;
    };
    let mut layer = Layer::new(line::kind(name, at, sink)?);
    for (key, item) in table.iter().filter(|(key, _)| key.get_ref() != "header") {
        let field = key.get_ref().as_ref();
        let place = key.span().start;
        match item.get_ref() {
            DeValue::Array(items) => match items.iter().map(text_of).collect() {
                Some(items) => line::set(&mut layer, field, Text::Many(items), place, sink),
                None => sink.add(place, format!("{name}: {field} must be a list of numbers or texts")),
            },
            _ => match text_of(item) {
                Some(text) => line::set(&mut layer, field, Text::One(&text), place, sink),
                None => sink.add(place, format!("{name}: {field} must be a number, a text or a list")),
            },
        }
    }
    Some(layer)
}

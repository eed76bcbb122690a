//! What an item of a pattern asks of a header.

use super::layers::Layer;
use crate::flow;
use iogate::port::{FlowHeader, FlowItem};

/// What a header is to look like.
#[derive(Debug)]
pub(super) struct Match {
    pub(super) kind: FlowHeader,
    /// How many of the bytes count, and what they are to be.
    bytes: Option<(usize, [u8; 40], [u8; 40])>,
    ranges: Vec<Range>,
}

/// A field of a header that is to be within a range, both ends included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) name: &'static str,
    at: usize,
    length: usize,
    mask: u128,
    pub(super) first: u128,
    pub(super) last: u128,
}

impl Match {
    pub(super) fn new(item: &FlowItem) -> Match {
        let ranges = ranges(item);
        let bytes = item.bytes.map(|(spec, mut mask)| {
            for range in &ranges {
                mask[range.at..range.at + range.length].fill(0);
            }
            let used = mask.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            (used, spec, mask)
        });
        Match { kind: item.kind, bytes, ranges }
    }

    pub(super) fn matches(&self, frame: &[u8], (kind, at): Layer) -> bool {
        if kind != self.kind {
            return false;
        }
        let header = &frame[at..];
        let same = self.bytes.as_ref().is_none_or(|(used, spec, mask)| {
            let bytes = header.get(..*used);
            bytes.is_some_and(|bytes| {
                bytes.iter().zip(spec).zip(mask).all(|((byte, spec), mask)| (byte ^ spec) & mask == 0)
            })
        });
        same && self.ranges.iter().all(|range| range.holds(header))
    }
}

impl Range {
    fn holds(&self, header: &[u8]) -> bool {
        let Some(bytes) = header.get(self.at..self.at + self.length) else { return false };
        (self.first..=self.last).contains(&(number(bytes) & self.mask))
    }
}

/// The fields of an item that are to be within a range.
pub(super) fn ranges(item: &FlowItem) -> Vec<Range> {
    let (Some((spec, mask)), Some(last)) = (&item.bytes, &item.last) else { return Vec::new() };
    let of = |(name, at, length): (&'static str, usize, usize)| {
        let read = |bytes: &[u8; 40]| number(&bytes[at..at + length]);
        let mask = read(mask);
        let range = Range { name, at, length, mask, first: read(spec) & mask, last: read(last) & mask };
        (read(last) != 0).then_some(range)
    };
    let mut found: Vec<Range> = flow::fields(item.kind).filter_map(of).collect();
    // Fields of the same bytes, as of a VLAN tag, are one number.
    found.dedup_by_key(|range| range.at);
    found
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

//! What TCP and UDP ports say of a packet.

use super::classifier::{NOTHING, Verdict};
use crate::config::model::PortRange;

/// What has ports, and so a table of them for each end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Transport {
    /// Neither of the others: no ports, and nothing that matches one.
    #[default]
    Portless,
    Tcp,
    Udp,
}

/// The two ports of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Src,
    Dst,
}

/// Ports in a page: those with the same upper byte.
const PAGE: usize = 256;

/// For every transport, end and port number: what matches it.
///
/// In pages, because few ports match anything and random ones (every client's) all fall on the same
/// empty page, which stays in the first-level cache. Looked up without a branch, which would be guessed
/// wrong in mixed traffic.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    /// By transport and end, and the port's upper byte: where its page starts.
    starts: Box<[[u32; PAGE]; 6]>,
    /// By a page's start and the port's lower byte. The first page is the empty one.
    pages: Vec<Verdict>,
}

impl Ports {
    pub(super) fn new() -> Self {
        Ports { starts: Box::new([[0; PAGE]; 6]), pages: vec![NOTHING; PAGE] }
    }

    pub(super) fn add(&mut self, transport: Transport, end: End, range: PortRange, verdict: Verdict) {
        for port in range.first()..=range.last() {
            let [high, low] = port.to_be_bytes();
            let start = &mut self.starts[table(transport, end)][usize::from(high)];
            if *start == 0 {
                *start = self.pages.len() as u32;
                self.pages.resize(self.pages.len() + PAGE, NOTHING);
            }
            let known = &mut self.pages[*start as usize + usize::from(low)];
            *known = known.and(verdict);
        }
    }

    /// What a packet with these ports is.
    #[inline]
    pub(super) fn find(&self, transport: Transport, src: u16, dst: u16) -> Verdict {
        self.one(table(transport, End::Src), src).and(self.one(table(transport, End::Dst), dst))
    }

    #[inline]
    fn one(&self, table: usize, port: u16) -> Verdict {
        let [high, low] = port.to_be_bytes();
        self.pages[self.starts[table][usize::from(high)] as usize + usize::from(low)]
    }
}

#[inline]
fn table(transport: Transport, end: End) -> usize {
    transport as usize * 2 + end as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Protocol;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_port_has_what_every_range_says_that_it_is_in(
            ranges in proptest::collection::vec((any::<u16>(), 0_u16..700, any::<bool>(), any::<bool>(), 0_usize..9), 0..12),
            probes in proptest::collection::vec((any::<u16>(), any::<u16>()), 50),
        ) {
            let mut ports = Ports::new();
            let mut list = Vec::new();
            for (first, more, tcp, src, protocol) in ranges {
                let range = PortRange::new(first, first.saturating_add(more)).unwrap();
                let transport = if tcp { Transport::Tcp } else { Transport::Udp };
                let end = if src { End::Src } else { End::Dst };
                let verdict = Verdict::of_protocol(Protocol::ALL[protocol]);
                ports.add(transport, end, range, verdict);
                list.push((transport, end, range, verdict));
            }
            let edges: Vec<_> = list.iter().map(|(_, _, range, _)| (range.first(), range.last())).collect();
            for (src, dst) in probes.into_iter().chain(edges) {
                for transport in [Transport::Portless, Transport::Tcp, Transport::Udp] {
                    let expected = list.iter().filter(|(of, end, range, _)| {
                        let port = if *end == End::Src { src } else { dst };
                        *of == transport && (range.first()..=range.last()).contains(&port)
                    });
                    let expected = expected.fold(NOTHING, |sum, (.., verdict)| sum.and(*verdict));
                    prop_assert_eq!(ports.find(transport, src, dst), expected);
                }
            }
        }
    }
}

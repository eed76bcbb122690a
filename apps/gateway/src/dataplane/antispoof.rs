//! Whether the addresses that a frame claims inside are the adapter's.

use super::drop;
use super::frame::{Meta, Payload, Piece};
use super::tables::Attachment;
use iogate::packet::icmpv6::Icmpv6Type;
use iogate::packet::ndp::{NdpOption, NeighborAdvertisement, NeighborSolicitation, Redirect, options};
use iogate::packet::ndp::{RouterAdvertisement, RouterSolicitation};
use iogate::packet::{Arp, Header, Icmpv6, Ipv4, Ipv6, MacAddr};
use iogate::pipeline::DropReason;
use std::net::{IpAddr, Ipv6Addr};

/// Whether a frame claims no address, or one that nearly every honest frame claims: what [`check`] would
/// find too, with more work.
#[inline]
pub(super) fn plainly_honest(frame: &[u8], meta: &Meta, owner: &Attachment) -> bool {
    if meta.payload == Payload::Ipv6 {
        return !owner.checked | (meta.plain && own_ipv6(frame, meta, owner));
    }
    let known = (meta.sender == 0) | (meta.sender == owner.first_ipv4) | owner.ips.is_empty();
    !owner.checked | (meta.plain & known)
}

/// Whether the source of an IPv6 packet is none, or the first that the adapter has.
fn own_ipv6(frame: &[u8], meta: &Meta, owner: &Attachment) -> bool {
    let source = frame.get(usize::from(meta.offset) + 8..).and_then(<[u8]>::first_chunk);
    source.is_some_and(|source| [0, owner.first_ipv6].contains(&u128::from_le_bytes(*source)))
}

/// Checks a frame that came from `owner`.
pub(super) fn check(frame: &[u8], meta: &Meta, owner: &Attachment) -> Option<DropReason> {
    let above = frame.get(usize::from(meta.offset)..).unwrap_or_default();
    let spoof = &owner.antispoof;
    match meta.payload {
        Payload::Other => None,
        Payload::Arp if spoof.arp => arp(above, owner),
        Payload::Arp => None,
        Payload::Ipv4 if spoof.ip => ipv4(above, owner),
        Payload::Ipv4 => None,
        Payload::Ipv6 | Payload::Icmpv6 => ipv6(above, meta, owner),
    }
}

impl Attachment {
    /// Whether the adapter may use an address: one of its own, any when it has no list.
    #[inline]
    fn may_use(&self, address: impl Into<IpAddr>) -> bool {
        self.ips.is_empty() || self.ips.contains(&address.into())
    }

    /// As [`may_use`](Self::may_use); besides, every interface has a link-local address, which may be
    /// any unless the list names one.
    #[inline]
    fn may_claim(&self, address: Ipv6Addr) -> bool {
        let named = || self.ips.iter().any(|ip| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()));
        self.may_use(address) || (address.is_unicast_link_local() && !named())
    }
}

fn arp(bytes: &[u8], owner: &Attachment) -> Option<DropReason> {
    let Ok((arp, _)) = Arp::parse(bytes) else { return Some(drop::MALFORMED) };
    // A probe asks before it has an address (RFC 5227, section 2.1.1).
    let ip = arp.sender_ip();
    let honest = arp.sender_mac() == owner.mac && (ip.is_unspecified() || owner.may_use(ip));
    (!honest).then_some(drop::SPOOFED_ARP)
}

fn ipv4(bytes: &[u8], owner: &Attachment) -> Option<DropReason> {
    let Ok((ip, _)) = Ipv4::parse_front(bytes) else { return Some(drop::MALFORMED) };
    // A DHCP client asks before it has an address (RFC 2131, section 4.1).
    let honest = ip.src().is_unspecified() || owner.may_use(ip.src());
    (!honest).then_some(drop::SPOOFED_IP)
}

fn ipv6(bytes: &[u8], meta: &Meta, owner: &Attachment) -> Option<DropReason> {
    let Ok((ip, payload)) = Ipv6::parse_front(bytes) else { return Some(drop::MALFORMED) };
    // A station asks whether an address is free before it has it (RFC 4862, section 5.4).
    let honest = ip.src().is_unspecified() || owner.may_claim(ip.src());
    if owner.antispoof.ip && !honest {
        return Some(drop::SPOOFED_IP);
    }
    // The rest of a message is nothing without its beginning, which was looked at.
    if !owner.antispoof.nd || meta.payload != Payload::Icmpv6 || meta.piece == Piece::Later {
        return None;
    }
    neighbour(payload.get(usize::from(meta.upper)..).unwrap_or_default(), honest, meta, owner)
}

/// Neighbour discovery (RFC 4861): every link-layer address in it must be the adapter's, and so must
/// its source, or the address that an advertisement is about. Discovery is never in fragments (RFC
/// 6980).
fn neighbour(bytes: &[u8], honest_source: bool, meta: &Meta, owner: &Attachment) -> Option<DropReason> {
    let Ok((icmp, _)) = Icmpv6::parse_front(bytes) else { return Some(drop::MALFORMED) };
    let own = |mac: MacAddr| mac == owner.mac;
    let honest = match icmp.kind() {
        Icmpv6Type::ROUTER_SOLICITATION => {
            RouterSolicitation::parse_front(bytes).ok().map(|(_, rest)| honest_source && addresses(rest, own))
        }
        Icmpv6Type::ROUTER_ADVERTISEMENT => {
            RouterAdvertisement::parse_front(bytes).ok().map(|(_, rest)| honest_source && addresses(rest, own))
        }
        Icmpv6Type::NEIGHBOR_SOLICITATION => {
            NeighborSolicitation::parse_front(bytes).ok().map(|(_, rest)| honest_source && addresses(rest, own))
        }
        Icmpv6Type::NEIGHBOR_ADVERTISEMENT => NeighborAdvertisement::parse_front(bytes)
            .ok()
            .map(|(advertisement, rest)| owner.may_claim(advertisement.target()) && addresses(rest, own)),
        // A redirect names another station's address, as it must.
        Icmpv6Type::REDIRECT => Redirect::parse_front(bytes).ok().map(|_| honest_source),
        _ => return None,
    };
    match honest {
        Some(true) if meta.piece == Piece::Whole => None,
        Some(_) => Some(drop::SPOOFED_ND),
        None => Some(drop::MALFORMED),
    }
}

/// Whether every link-layer address among the options is one's own.
fn addresses(bytes: &[u8], own: impl Fn(MacAddr) -> bool) -> bool {
    options(bytes).all(|option| match option {
        Ok(NdpOption::SourceLinkLayer(mac) | NdpOption::TargetLinkLayer(mac)) => own(mac),
        // One of a length that Ethernet does not have.
        Ok(NdpOption::Other { kind: 1 | 2, .. }) | Err(_) => false,
        Ok(_) => true,
    })
}

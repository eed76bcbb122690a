//! Addresses that servers get by FIP, besides the one of the file: a station's own choice where there is no
//! forwarder (VN2VN, FC-BB-6), or what a forwarder grants at a login (FPMA, FC-BB-5).
//!
//! A worker reads the messages that pass and reports what they say of an adapter. The control side decides, and
//! swaps in tables that have the address: see `plan::logins`.

use iogate::packet::fcoe::FcFrame;
use iogate::packet::fip::{Descriptor, Operation, descriptors};
use iogate::packet::{Fip, Header, MacAddr};

/// What a message says of the addresses of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// It has this one and no other.
    Alone(MacAddr),
    /// It has this one too.
    Also(MacAddr),
    /// It has this one no more.
    Ended(MacAddr),
    /// It has none any more.
    AllEnded,
}

/// A login of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The attachment's number.
    pub attachment: u32,
    /// What was heard of it.
    pub login: Login,
}

const FLOGI: u8 = 7;
const FDISC: u8 = 8;
const LOGO: u8 = 9;

/// In a message from a server: the address that it claims where there is no forwarder.
pub(super) fn from_server(bytes: &[u8]) -> Option<Login> {
    const CLAIM: u8 = 3;
    const CLAIM_RESPONSE: u8 = 4;
    const BEACON: u8 = 5;
    let (fip, list) = Fip::parse(bytes).ok()?;
    if fip.operation() != Operation::VN2VN || !matches!(fip.subcode(), CLAIM | CLAIM_RESPONSE | BEACON) {
        return None;
    }
    descriptors(list)
        .flatten()
        .find_map(|descriptor| match descriptor {
            Descriptor::VnPort { mac, fc_id, .. } => is_mapped(mac, fc_id, |map| map == [0x0e, 0xfd, 0]),
            _ => None,
        })
        .map(Login::Alone)
}

/// In a message to a server: the addresses that a forwarder grants or takes back.
pub(super) fn from_forwarder(bytes: &[u8], mut hear: impl FnMut(Login)) {
    const REPLY: u8 = 2;
    const CLEAR_LINKS: u8 = 2;
    let Ok((fip, list)) = Fip::parse(bytes) else { return };
    match (fip.operation(), fip.subcode()) {
        (Operation::CONTROL, CLEAR_LINKS) => {
            let mut some = false;
            for descriptor in descriptors(list).flatten() {
                if let Descriptor::VnPort { mac, .. } = descriptor {
                    hear(Login::Ended(mac));
                    some = true;
                }
            }
            if !some {
                hear(Login::AllEnded);
            }
        }
        (Operation::LINK_SERVICE, REPLY) => {
            if let Some(login) = reply(list) {
                hear(login);
            }
        }
        _ => {}
    }
}

fn reply(list: &[u8]) -> Option<Login> {
    let (mut accepted, mut granted) = (None, None);
    for descriptor in descriptors(list).flatten() {
        match descriptor {
            Descriptor::LinkService { kind, frame } => accepted = accept(frame).map(|fc_id| (kind, fc_id)),
            Descriptor::Mac(mac) => granted = Some(mac),
            _ => {}
        }
    }
    let ((kind, fc_id), mac) = (accepted?, granted?);
    // FC-MAPs of fabrics are 0e:fc:00 to 0e:fc:ff.
    let mac = is_mapped(mac, fc_id, |map| map[..2] == [0x0e, 0xfc])?;
    match kind {
        FLOGI => Some(Login::Alone(mac)),
        FDISC => Some(Login::Also(mac)),
        LOGO => Some(Login::Ended(mac)),
        _ => None,
    }
}

/// The FC_ID that a request is accepted for.
fn accept(frame: &[u8]) -> Option<u32> {
    const LS_ACC: u8 = 2;
    let (header, payload) = FcFrame::parse_front(frame).ok()?;
    (payload.first() == Some(&LS_ACC)).then(|| header.d_id())
}

/// An address that is made of an FC-MAP of the right kind and the FC_ID, as it must be.
fn is_mapped(mac: MacAddr, fc_id: u32, map: impl Fn([u8; 3]) -> bool) -> Option<MacAddr> {
    let [a, b, c, d, e, f] = mac.octets();
    (map([a, b, c]) && u32::from_be_bytes([0, d, e, f]) == fc_id && fc_id != 0).then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VN: MacAddr = MacAddr::new([0x0e, 0xfd, 0, 0, 0x12, 0x34]);
    const FP: MacAddr = MacAddr::new([0x0e, 0xfc, 0, 1, 2, 3]);

    fn message(operation: Operation, subcode: u8, list: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; size_of::<Fip>() + list.len()];
        let (fip, payload) = Fip::place(&mut bytes).unwrap();
        fip.set_operation(operation);
        fip.set_subcode(subcode);
        payload.copy_from_slice(list);
        bytes
    }

    fn port(mac: MacAddr, fc_id: u32) -> Vec<u8> {
        [&[11, 5][..], &mac.octets(), &fc_id.to_be_bytes(), &[0x20; 8]].concat()
    }

    /// The answer to a request of a kind, with the address granted.
    fn answer(kind: u8, els: u8, fc_id: u32, mac: MacAddr) -> Vec<u8> {
        let mut service = [0; 4 + 24 + 4];
        (service[0], service[1]) = (kind, 8);
        service[5..8].copy_from_slice(&fc_id.to_be_bytes()[1..]);
        service[28] = els;
        [&service[..], &[2, 2], &mac.octets()].concat()
    }

    fn heard(bytes: &[u8]) -> Vec<Login> {
        let mut logins = Vec::new();
        from_forwarder(bytes, |login| logins.push(login));
        logins
    }

    #[test]
    fn claims_and_beacons_name_the_address() {
        let list = [&[2, 2, 2, 0, 0, 0, 0, 9][..], &[4, 3, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8], &port(VN, 0x1234)].concat();
        for (subcode, found) in [(1, None), (2, None), (3, Some(VN)), (4, Some(VN)), (5, Some(VN)), (6, None)] {
            let message = message(Operation::VN2VN, subcode, &list);
            assert_eq!(from_server(&message), found.map(Login::Alone), "{subcode}");
            assert_eq!(heard(&message), [], "not from outside");
        }
        assert_eq!(from_server(&message(Operation::CONTROL, 3, &list)), None);
        for (mac, fc_id) in [(VN, 0x1235), (FP, 0x010203), (MacAddr::new([0x0e, 0xfd, 0, 0, 0, 0]), 0)] {
            assert_eq!(from_server(&message(Operation::VN2VN, 3, &port(mac, fc_id))), None, "{mac}");
        }
    }

    #[test]
    fn a_forwarder_grants_and_takes_back() {
        let reply = |kind, els, fc_id, mac| heard(&message(Operation::LINK_SERVICE, 2, &answer(kind, els, fc_id, mac)));
        assert_eq!(reply(FLOGI, 2, 0x010203, FP), [Login::Alone(FP)]);
        assert_eq!(reply(FDISC, 2, 0x010203, FP), [Login::Also(FP)]);
        assert_eq!(reply(LOGO, 2, 0x010203, FP), [Login::Ended(FP)]);
        assert_eq!(reply(FLOGI, 1, 0x010203, FP), [], "refused");
        assert_eq!(reply(FLOGI, 2, 0x010204, FP), [], "of another FC_ID");
        assert_eq!(reply(FLOGI, 2, 0x1234, VN), [], "a station's own");
        assert_eq!(reply(10, 2, 0x010203, FP), []);
        let request = message(Operation::LINK_SERVICE, 1, &answer(FLOGI, 2, 0x010203, FP));
        assert_eq!((heard(&request), from_server(&request)), (vec![], None));

        let clear = |list: &[u8]| heard(&message(Operation::CONTROL, 2, list));
        assert_eq!(clear(&[2, 2, 0, 0, 0, 0, 0, 1]), [Login::AllEnded]);
        assert_eq!(clear(&[port(FP, 0x010203), port(VN, 1)].concat()), [Login::Ended(FP), Login::Ended(VN)]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(operation in 0_u16..7, subcode: u8, list in proptest::collection::vec(any::<u8>(), 0..40)) {
            let list = &list[..list.len() / 4 * 4];
            let message = message(Operation(operation), subcode, list);
            for end in 0..=message.len() {
                from_server(&message[..end]);
                heard(&message[..end]);
            }
        }
    }
}

//! Whose frames a port receives: promiscuous or not, its addresses, its groups.

use iogate::packet::MacAddr;

/// The addresses of a port that is not promiscuous.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) own: Vec<MacAddr>,
    pub(super) groups: Vec<MacAddr>,
    pub(super) all_groups: bool,
}

impl Addresses {
    /// Whether a frame is for it. Bytes that are no frame are for nobody.
    pub(super) fn receives(&self, frame: &[u8]) -> bool {
        let Some(dst) = frame.first_chunk().map(|octets| MacAddr::new(*octets)) else { return false };
        if dst.is_multicast() {
            dst.is_broadcast() || self.all_groups || self.groups.contains(&dst)
        } else {
            self.own.contains(&dst)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iogate::testkit::mac;

    #[test]
    fn own_frames_broadcast_and_known_groups_are_received() {
        let group = MacAddr::new([1, 0, 0x5e, 0, 0, 1]);
        let mut addresses = Addresses { own: vec![mac(1), mac(2)], groups: vec![group], all_groups: false };
        for dst in [mac(1), mac(2), group, MacAddr::BROADCAST] {
            assert!(addresses.receives(&dst.octets()), "{dst}");
        }
        let other = MacAddr::new([1, 0, 0x5e, 0, 0, 2]);
        assert!(!addresses.receives(&mac(3).octets()) && !addresses.receives(&other.octets()));
        assert!(!addresses.receives(&[2, 0, 0]) && !addresses.receives(&[]));
        addresses.all_groups = true;
        assert!(addresses.receives(&other.octets()) && !addresses.receives(&mac(3).octets()));
    }
}

//! What a port is told to receive.
//!
//! Software ports and physical functions take everything. A virtual function takes what its physical
//! function lets it: it is told the VLANs, and every address if that is allowed, or else the addresses by
//! themselves. What it refuses is said, with the adapters that frames do not reach.

use super::{State, lock, ports};
use crate::config::Config;
use crate::config::model::{Adapter, AdapterKind, PortRef, Protocol};
use iogate::packet::MacAddr;
use iogate::packet::fip;
use iogate::port::Device;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Mutex;

/// What a port receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receives {
    /// Every frame.
    Everything,
    /// Frames for some addresses.
    Addresses {
        /// Those addresses, the port's own first, and groups.
        macs: Vec<MacAddr>,
        /// Groups besides broadcast.
        groups: usize,
        /// Adapters that frames from this port do not reach, or, on a link, whose own do not get in unless
        /// they are for one of the addresses.
        unserved: Vec<String>,
    },
}

/// What a port was told to receive, and what came of it.
#[derive(Debug)]
pub struct Reception {
    wanted: Wanted,
    receives: Mutex<Receives>,
}

impl Reception {
    /// Of a port that was told nothing so far.
    pub(super) fn new(config: &Config, port: PortRef) -> Self {
        Reception { wanted: Wanted::of(config, port), receives: Mutex::new(Receives::Everything) }
    }

    /// Tells a virtual function, also one that was reset. `name` is the port's in messages.
    pub(super) fn tell(&self, card: &impl Filters, name: &str) {
        let receives = self.wanted.tell(card, name);
        *lock(&self.receives) = receives;
    }

    /// What it receives.
    pub fn receives(&self) -> Receives {
        lock(&self.receives).clone()
    }
}

/// What must come in through a port for the gateway to do its work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// Addresses of stations, and the adapters that have them.
    macs: Vec<(MacAddr, String)>,
    /// Adapters that send to anybody, which no list of addresses can say.
    to_anybody: Vec<String>,
    groups: BTreeSet<MacAddr>,
    vlans: BTreeSet<u16>,
}

impl Wanted {
    /// From servers come frames for anybody, from the world outside those for the adapters.
    fn of(config: &Config, port: PortRef) -> Self {
        let mut wanted = Wanted::default();
        for (_, adapter) in config.adapters() {
            for attachment in &adapter.attachments {
                let network = config.network(attachment.network);
                let here = match port {
                    PortRef::Link(link) => adapter.link == link,
                    PortRef::Uplink(uplink) => config.uplinks_of(attachment.network).contains(&uplink),
                };
                if !here {
                    continue;
                }
                let name = adapter.name.to_string();
                match port {
                    PortRef::Link(_) => wanted.to_anybody.push(name),
                    PortRef::Uplink(_) => wanted.macs.push((adapter.mac, name)),
                }
                wanted.groups.extend(groups(adapter));
                wanted.vlans.extend(match port {
                    PortRef::Link(_) => attachment.tag.map(|tag| tag.get()),
                    PortRef::Uplink(_) => network.vlan.map(|vlan| vlan.get()),
                });
            }
        }
        wanted.groups.extend(match port {
            PortRef::Link(id) => config.link(id).groups.iter(),
            PortRef::Uplink(id) => config.uplink(id).groups.iter(),
        });
        wanted.macs.sort();
        wanted.macs.dedup();
        wanted.to_anybody.dedup();
        wanted
    }

    fn tell(&self, card: &impl Filters, name: &str) -> Receives {
        for vlan in &self.vlans {
            if !card.vlan(*vlan) {
                tracing::warn!("{name}: the card refuses VLAN {vlan}, and frames that are tagged with it");
            }
        }
        if card.everything() {
            return Receives::Everything;
        }
        let mut macs = vec![card.mac()];
        let mut unserved = self.to_anybody.clone();
        for (mac, adapter) in &self.macs {
            if macs.contains(mac) {
                continue;
            }
            match card.add(*mac) {
                true => macs.push(*mac),
                false => unserved.push(adapter.clone()),
            }
        }
        let groups: Vec<_> = self.groups.iter().copied().collect();
        let taken = card.groups(&groups);
        if !taken {
            tracing::warn!("{name}: the card refuses the groups that are to be received, besides broadcast");
        }
        if !unserved.is_empty() {
            let list = |macs: &[MacAddr]| macs.iter().map(MacAddr::to_string).collect::<Vec<_>>().join(", ");
            tracing::warn!(
                "{name}: this virtual function receives frames for {} only, and foreign addresses not; that concerns {}; \
                 give it such an address, or trust, where its card has that, or use the physical function",
                list(&macs),
                unserved.join(", ")
            );
        }
        Receives::Addresses { macs, groups: if taken { groups.len() } else { 0 }, unserved }
    }
}

/// What a card can be told; false where it refuses.
pub(super) trait Filters {
    fn mac(&self) -> MacAddr;
    fn everything(&self) -> bool;
    fn add(&self, mac: MacAddr) -> bool;
    fn groups(&self, groups: &[MacAddr]) -> bool;
    fn vlan(&self, vlan: u16) -> bool;
}

impl Filters for Device {
    fn mac(&self) -> MacAddr {
        Device::mac(self)
    }

    fn everything(&self) -> bool {
        let trusted = || Some(ports::vf_settings(self.spec())?.trust);
        means_yes(&self.info().driver, trusted) && self.set_promiscuous(true).is_ok() && self.promiscuous()
    }

    fn add(&self, mac: MacAddr) -> bool {
        self.add_mac(mac).is_ok()
    }

    fn groups(&self, groups: &[MacAddr]) -> bool {
        self.set_groups(groups).is_ok()
    }

    fn vlan(&self, vlan: u16) -> bool {
        !self.filters_vlans() || self.filter_vlan(vlan, true).is_ok()
    }
}

/// Whether a driver that says yes when it is to receive everything means it. `trusted` says whether the physical
/// function trusts it, where that can be seen.
fn means_yes(driver: &str, trusted: impl FnOnce() -> Option<bool>) -> bool {
    match driver {
        // The physical function of an 82576 gives all groups, for which it forgets the list of groups, and no
        // foreign address.
        "net_e1000_igb_vf" => false,
        // Those of an X710 and an E810 say yes to a function that they do not trust, and do nothing.
        "net_iavf" => trusted().unwrap_or(true),
        _ => true,
    }
}

/// Has uplinks that receive by address receive those of logins, and those of logins that ended no more.
pub(super) fn follow_logins(state: &State, before: &[(u32, MacAddr)], after: &[(u32, MacAddr)]) {
    for (number, mac) in before.iter().filter(|login| !after.contains(login)) {
        // The card may have had no room for it.
        told_of(state, *number).for_each(|at| drop(state.ports[at].remove_mac(*mac)));
    }
    for (number, mac) in after.iter().filter(|login| !before.contains(login)) {
        told_of(state, *number).for_each(|at| receive_login(&state.ports[at], *mac));
    }
}

/// Has a port that was reset receive those of logins again.
pub(super) fn repeat_logins(state: &State, at: usize) {
    for (number, mac) in state.logins() {
        if told_of(state, number).any(|port| port == at) {
            receive_login(&state.ports[at], mac);
        }
    }
}

/// The ports, by position, that are told the addresses of an attachment's logins.
fn told_of(state: &State, number: u32) -> impl Iterator<Item = usize> {
    let network = usize::from(state.tables.attachment(number).network);
    let uplinks = state.tables.networks[network].uplinks.iter();
    let ports = uplinks.map(|uplink| state.config.links.len() + uplink.index());
    ports.filter(|at| matches!(state.receptions[*at].receives(), Receives::Addresses { .. }))
}

fn receive_login(port: &Device, mac: MacAddr) {
    if let Err(error) = port.add_mac(mac) {
        tracing::warn!("frames for {mac}, an address by FIP, do not come in: {error}");
    }
}

/// The groups that an adapter is in, as far as its addresses tell: all stations, the solicited-node groups
/// of its IPv6 addresses (RFC 4291, section 2.7.1), and those of FIP.
fn groups(adapter: &Adapter) -> Vec<MacAddr> {
    let mut groups = vec![MacAddr::new([0x01, 0, 0x5e, 0, 0, 1]), MacAddr::new([0x33, 0x33, 0, 0, 0, 1])];
    let solicited = |a, b, c| MacAddr::new([0x33, 0x33, 0xff, a, b, c]);
    let [.., a, b, c] = adapter.mac.octets();
    groups.push(solicited(a, b, c));
    for ip in &adapter.ips {
        if let IpAddr::V6(ip) = ip {
            let [.., a, b, c] = ip.octets();
            groups.push(solicited(a, b, c));
        }
    }
    if let AdapterKind::Vhba { protocols } = adapter.kind
        && protocols.contains(Protocol::Fcoe)
    {
        groups.extend([fip::ALL_ENODES, fip::ALL_FCFS, fip::ALL_VN2VN, fip::ALL_P2P]);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use iogate::testkit::mac;
    use std::cell::RefCell;
    use std::path::Path;

    /// A card that lets itself be told so much.
    #[derive(Default)]
    struct Card {
        own: MacAddr,
        trusted: bool,
        room: usize,
        told: RefCell<(Vec<MacAddr>, Vec<MacAddr>, Vec<u16>)>,
    }

    impl Filters for Card {
        fn mac(&self) -> MacAddr {
            self.own
        }

        fn everything(&self) -> bool {
            self.trusted
        }

        fn add(&self, mac: MacAddr) -> bool {
            let macs = &mut self.told.borrow_mut().0;
            let fits = macs.len() < self.room;
            if fits {
                macs.push(mac);
            }
            fits
        }

        fn groups(&self, groups: &[MacAddr]) -> bool {
            self.told.borrow_mut().1 = groups.to_vec();
            true
        }

        fn vlan(&self, vlan: u16) -> bool {
            self.told.borrow_mut().2.push(vlan);
            true
        }
    }

    /// The house of the data path's tests, one uplink with a group of its own.
    fn house() -> Config {
        let text = include_str!("../../tests/dataplane/house.toml")
            .replace("name = \"net-a\"", "name = \"net-a\"\ngroups = [\"01:00:5e:00:00:fb\"]");
        crate::config::parse(&text, Path::new("house.toml")).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn port(config: &Config, name: &str) -> PortRef {
        config.ports().find(|(_, other, ..)| other.as_str() == name).unwrap().0
    }

    #[test]
    fn an_uplink_takes_frames_for_the_adapters_behind_it() {
        let config = house();
        let wanted = Wanted::of(&config, port(&config, "net-a"));
        let macs: Vec<_> = wanted.macs.iter().map(|(mac, _)| *mac).collect();
        assert_eq!(macs, [0x11, 0x12, 0x21, 0x22, 0x31, 0x32, 0x33].map(mac), "of no storage adapter");
        assert_eq!(wanted.vlans, BTreeSet::from([110]), "and what is untagged");
        for group in ["33:33:ff:00:00:33", "33:33:00:00:00:01", "01:00:5e:00:00:01", "01:00:5e:00:00:fb"] {
            assert!(wanted.groups.contains(&group.parse().unwrap()), "{group}");
        }
        assert!(!wanted.groups.contains(&fip::ALL_ENODES));
        let storage = Wanted::of(&config, port(&config, "san-b"));
        assert_eq!((storage.macs.len(), storage.vlans), (1, BTreeSet::from([301])));
        assert!(storage.groups.contains(&fip::ALL_ENODES) && storage.groups.contains(&fip::ALL_VN2VN));
    }

    #[test]
    fn a_trusted_function_takes_everything_and_is_told_the_vlans() {
        let config = house();
        let card = Card { trusted: true, ..Card::default() };
        assert_eq!(Wanted::of(&config, port(&config, "net-a")).tell(&card, "u"), Receives::Everything);
        assert_eq!(card.told.into_inner(), (vec![], vec![], vec![110]));
    }

    #[test]
    fn what_it_receives_is_what_it_was_told_last() {
        let config = house();
        let reception = Reception::new(&config, port(&config, "net-a"));
        assert_eq!(reception.receives(), Receives::Everything);
        reception.tell(&Card::default(), "u");
        assert!(matches!(reception.receives(), Receives::Addresses { unserved, .. } if unserved.len() == 7));
        // It was reset, and is trusted now.
        reception.tell(&Card { trusted: true, ..Card::default() }, "u");
        assert_eq!(reception.receives(), Receives::Everything);
    }

    #[test]
    fn not_every_yes_means_yes() {
        assert!(!means_yes("net_e1000_igb_vf", || panic!("whatever it is")));
        for (trusted, means) in [(Some(true), true), (Some(false), false), (None, true)] {
            assert_eq!(means_yes("net_iavf", || trusted), means);
        }
        assert!(means_yes("net_ixgbe_vf", || None));
    }

    #[test]
    fn others_are_told_addresses_and_who_is_left_out_is_named() {
        let config = house();
        let card = Card { own: mac(0x12), room: 5, ..Card::default() };
        let wanted = Wanted::of(&config, port(&config, "net-a"));
        let Receives::Addresses { macs, groups, unserved } = wanted.tell(&card, "u") else { panic!() };
        assert_eq!(macs, [0x12, 0x11, 0x21, 0x22, 0x31, 0x32].map(mac));
        assert_eq!((groups, unserved), (wanted.groups.len(), vec!["h3.safe".to_owned()]));

        // A card with one address, the server's own: whatever is for others never comes in.
        let card = Card { own: mac(0x21), ..Card::default() };
        let wanted = Wanted::of(&config, port(&config, "eth-srv2"));
        let Receives::Addresses { macs, unserved, .. } = wanted.tell(&card, "l") else { panic!() };
        assert_eq!((macs, unserved.join(" ")), (vec![mac(0x21)], "s2.net s2.off s2.a s2.b".into()));
        assert_eq!(card.told.into_inner().2, [20, 300, 301]);
    }
}

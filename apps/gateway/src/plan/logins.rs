//! Which adapter has which address by FIP.

use crate::dataplane::Tables;
use crate::dataplane::fip::{Heard, Login};
use iogate::packet::MacAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Follows the logins of adapters, and decides which addresses they are given.
#[derive(Clone, Debug, Default)]
pub(super) struct Logins {
    servers: BTreeMap<u32, Server>,
}

#[derive(Clone, Debug, Default)]
struct Server {
    heard: BTreeSet<MacAddr>,
    given: BTreeSet<MacAddr>,
    changed: Option<Instant>,
}

/// Addresses of an adapter besides its own: what is heard beyond is forgotten.
const MOST: usize = 64;

/// An adapter's addresses change no more often, whatever it says: each change makes new tables.
const PAUSE: Duration = Duration::from_secs(1);

impl Logins {
    /// Notes what a worker heard.
    pub(super) fn hear(&mut self, heard: Heard) {
        let macs = &mut self.servers.entry(heard.attachment).or_default().heard;
        match heard.login {
            Login::Alone(mac) => *macs = BTreeSet::from([mac]),
            Login::Also(mac) if macs.len() < MOST => drop(macs.insert(mac)),
            Login::Also(_) => {}
            Login::Ended(mac) => drop(macs.remove(&mac)),
            Login::AllEnded => macs.clear(),
        }
    }

    /// Gives the addresses that are due; false when nothing changed. An address that another adapter has, on the
    /// link or in the network, is not given.
    pub(super) fn settle(&mut self, now: Instant, tables: &Tables) -> bool {
        let due = |server: &Server| {
            server.heard != server.given && server.changed.is_none_or(|last| now.duration_since(last) >= PAUSE)
        };
        let numbers: Vec<u32> = self.servers.iter().filter(|(_, server)| due(server)).map(|(at, _)| *at).collect();
        let mut changed = false;
        for number in numbers {
            let taken = self.taken(number, tables);
            let Some(server) = self.servers.get_mut(&number) else { continue };
            server.heard.retain(|mac| !taken.contains(mac));
            server.changed = Some(now);
            changed |= server.given != server.heard;
            server.given = server.heard.clone();
        }
        changed
    }

    /// Addresses that others have where this attachment would have one.
    fn taken(&self, number: u32, tables: &Tables) -> BTreeSet<MacAddr> {
        let at = tables.attachment(number);
        let meets = |(other, with): &(u32, &crate::dataplane::tables::Attachment)| {
            *other != number && (with.network == at.network || (with.outlet, with.vlan) == (at.outlet, at.vlan))
        };
        let others = (0..).zip(&tables.attachments).filter(meets);
        let given = |other: u32| self.servers.get(&other).into_iter().flat_map(|server| server.given.iter().copied());
        others.flat_map(|(other, with)| given(other).chain([with.mac])).collect()
    }

    /// All that are given.
    pub(super) fn all(&self) -> Vec<(u32, MacAddr)> {
        let of = |(number, server): (&u32, &Server)| server.given.iter().map(|mac| (*number, *mac)).collect::<Vec<_>>();
        self.servers.iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const A: MacAddr = MacAddr::new([0x0e, 0xfd, 0, 0, 0, 1]);
    const B: MacAddr = MacAddr::new([0x0e, 0xfd, 0, 0, 0, 2]);

    /// Two servers with a vHBA in one storage network, and one in another.
    fn tables() -> Tables {
        let text = include_str!("../../tests/dataplane/house.toml").replace("protocol = \"iscsi\"\n", "");
        let config =
            crate::config::parse(&text, Path::new("house.toml")).unwrap_or_else(|problems| panic!("{problems}"));
        Tables::new(&config)
    }

    fn attachment(tables: &Tables, mac: u8, vlan: u16) -> u32 {
        let is = |at: &crate::dataplane::tables::Attachment| at.mac == iogate::testkit::mac(mac) && at.vlan == vlan;
        tables.attachments.iter().position(is).unwrap() as u32
    }

    fn hear(logins: &mut Logins, attachment: u32, login: Login) {
        logins.hear(Heard { attachment, login });
    }

    #[test]
    fn logins_come_and_go() {
        let (tables, now) = (tables(), Instant::now());
        let server = attachment(&tables, 0x13, 0);
        let mut logins = Logins::default();
        assert!(!logins.settle(now, &tables));
        hear(&mut logins, server, Login::Alone(A));
        assert!(logins.settle(now, &tables) && !logins.settle(now, &tables));
        hear(&mut logins, server, Login::Also(B));
        assert!(!logins.settle(now, &tables), "not so soon");
        let mut later = now + PAUSE;
        assert!(logins.settle(later, &tables));
        assert_eq!(logins.all(), [(server, A), (server, B)]);
        for (login, left) in [(Login::Ended(A), vec![B]), (Login::Alone(A), vec![A]), (Login::AllEnded, vec![])] {
            hear(&mut logins, server, login);
            later += PAUSE;
            assert!(logins.settle(later, &tables));
            assert_eq!(logins.all().into_iter().map(|(_, mac)| mac).collect::<Vec<_>>(), left);
        }
        (0..=u8::MAX).for_each(|n| hear(&mut logins, server, Login::Also(MacAddr::new([0x0e, 0xfc, 0, 0, 1, n]))));
        assert!(logins.settle(later + PAUSE, &tables));
        assert_eq!(logins.all().len(), MOST);
    }

    #[test]
    fn an_address_is_of_one_adapter_where_they_could_meet() {
        let (tables, now) = (tables(), Instant::now());
        let [one, two, apart] = [(0x13, 0), (0x21, 300), (0x21, 301)].map(|(mac, vlan)| attachment(&tables, mac, vlan));
        let mut logins = Logins::default();
        hear(&mut logins, one, Login::Alone(A));
        hear(&mut logins, two, Login::Alone(iogate::testkit::mac(0x13)));
        assert!(logins.settle(now, &tables));
        hear(&mut logins, two, Login::Alone(A));
        hear(&mut logins, apart, Login::Alone(A));
        assert!(logins.settle(now + PAUSE, &tables));
        assert_eq!(logins.all(), [(one, A), (apart, A)], "in another network it is another one");
    }
}

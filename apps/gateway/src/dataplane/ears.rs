//! What messages that pass say of logins: see [`fip`](super::fip).

use super::addresses::{Scope, UNTAGGED};
use super::fip::{self, Heard, Login};
use super::tables::Tables;
use crossbeam_queue::ArrayQueue;
use iogate::packet::{EtherType, Ethernet, Header, Vlan};

/// What it takes to listen.
#[derive(Clone, Copy)]
pub(super) struct Ears<'a> {
    pub(super) tables: &'a Tables,
    pub(super) heard: &'a ArrayQueue<Heard>,
}

impl Ears<'_> {
    /// A message from the server of an attachment.
    #[inline(never)]
    pub(super) fn hear_server(self, frame: &[u8], attachment: u32) {
        if self.logs_in(attachment)
            && let Some(login) = fip::from_server(behind_tag(frame))
        {
            self.report(attachment, login);
        }
    }

    /// A message of a forwarder to the server of an attachment, if it is one.
    #[cold]
    pub(super) fn hear_forwarder(self, frame: &[u8], attachment: u32) {
        if self.logs_in(attachment) {
            fip::from_forwarder(behind_tag(frame), |login| self.report(attachment, login));
        }
    }

    fn logs_in(self, attachment: u32) -> bool {
        self.tables.attachments.get(attachment as usize).is_some_and(|attachment| attachment.logs_in)
    }

    /// Tells the control side, unless it knows. What finds no room is said again: claims are, and logins too.
    fn report(self, attachment: u32, login: Login) {
        let network = self.tables.attachment(attachment).network;
        let knows = |mac| self.tables.addresses.find(Scope::network(network.into()), UNTAGGED, mac) == Some(attachment);
        if !matches!(login, Login::Alone(mac) | Login::Also(mac) if knows(mac)) {
            let _full = self.heard.push(Heard { attachment, login });
        }
    }
}

/// What stands behind the Ethernet header and a tag.
fn behind_tag(frame: &[u8]) -> &[u8] {
    let Ok((ethernet, behind)) = Ethernet::parse(frame) else { return &[] };
    match ethernet.ether_type() {
        EtherType::VLAN => Vlan::parse(behind).map_or(&[], |(_, behind)| behind),
        _ => behind,
    }
}

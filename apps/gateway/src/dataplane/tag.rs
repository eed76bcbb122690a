//! Setting the VLAN tag that a frame has where it goes.

use super::addresses::UNTAGGED;
use iogate::memory::Mbuf;
use iogate::packet::vlan::{self, TAG_LEN};
use iogate::packet::{EtherType, Ethernet, Header, Tci, Vlan, VlanTag};

/// Gives the frame a tag with this VLAN and priority, instead of the one it has, or takes its tag
/// off. Nothing when there is no room for a tag; the frame is freed then.
#[inline]
pub(super) fn set(mut packet: Mbuf, vlan: u16, pcp: u8) -> Option<Mbuf> {
    let tagged = packet.header::<Ethernet>().is_ok_and(|ethernet| ethernet.ether_type() == EtherType::VLAN);
    let tci = Tci::new(vlan, pcp, false);
    match (tagged, vlan == UNTAGGED) {
        (false, true) => {}
        (false, false) => {
            packet.prepend(TAG_LEN)?;
            vlan::insert(packet.data_mut(), VlanTag { tpid: EtherType::VLAN, tci }).ok()?;
        }
        (true, true) => {
            vlan::remove(packet.data_mut()).ok()?;
            packet.trim_front(TAG_LEN).then_some(())?;
        }
        (true, false) => {
            let behind = packet.data_mut().get_mut(size_of::<Ethernet>()..)?;
            Vlan::parse_mut(behind).ok()?.0.set_tci(tci);
        }
    }
    Some(packet)
}

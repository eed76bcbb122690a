//! VF settings over rtnetlink: `IFLA_VFINFO_LIST` of a PF's link.

use super::settings::{HwMode, LinkState, PfSetting, PfSettings, VfRate, VfSetting, VfSettings, VfVlan};
use crate::packet::MacAddr;
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::link::{
    AfSpecBridge, BridgeMode, LinkAttribute, LinkExtentMask, LinkFlags, LinkMessage, LinkVfInfo, VfInfo,
    VfInfoLinkState, VfInfoMac, VfInfoRate, VfInfoSpoofCheck, VfInfoTrust, VfInfoVlan, VfLinkState,
    VfVlan as VlanEntry, VfVlanInfo, VlanProtocol,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use std::io;

/// An rtnetlink socket, one question at a time.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    pub(super) fn settings(&mut self, interface: &str) -> io::Result<PfSettings> {
        let link = self.link(interface)?;
        let vfs = vf_settings(&link);
        // Drivers without the switch answer nothing, or that they cannot.
        let hw_mode = self.hw_mode(link.header.index).unwrap_or(None);
        Ok(PfSettings { hw_mode, vfs })
    }

    pub(super) fn set_vf(&mut self, interface: &str, vf: u16, setting: VfSetting) -> io::Result<()> {
        let mut message = named(interface);
        message.attributes.push(LinkAttribute::VfInfoList(vec![LinkVfInfo(vec![vf_info(u32::from(vf), setting)])]));
        self.change(message)
    }

    pub(super) fn set_pf(&mut self, interface: &str, setting: PfSetting) -> io::Result<()> {
        let mut message = named(interface);
        let mut flag = |flag: LinkFlags, on: bool| {
            message.header.change_mask = flag;
            message.header.flags = if on { flag } else { LinkFlags::empty() };
        };
        match setting {
            PfSetting::Up(on) => flag(LinkFlags::Up, on),
            PfSetting::Promiscuous(on) => flag(LinkFlags::Promisc, on),
            PfSetting::HwMode(mode) => {
                let mode = match mode {
                    HwMode::Veb => BridgeMode::Veb,
                    HwMode::Vepa => BridgeMode::Vepa,
                };
                // This one takes no name.
                message = LinkMessage::default();
                message.header.index = self.link(interface)?.header.index;
                message.header.interface_family = AddressFamily::Bridge;
                message.attributes.push(LinkAttribute::AfSpecBridge(vec![AfSpecBridge::Mode(mode)]));
            }
        }
        self.change(message)
    }

    fn link(&mut self, interface: &str) -> io::Result<LinkMessage> {
        let mut message = named(interface);
        message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::Vf]));
        let mut answers = self.ask(RouteNetlinkMessage::GetLink(message), 0)?;
        answers.pop().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the kernel does not describe it"))
    }

    fn hw_mode(&mut self, index: u32) -> io::Result<Option<HwMode>> {
        let mut message = LinkMessage::default();
        message.header.interface_family = AddressFamily::Bridge;
        let answers = self.ask(RouteNetlinkMessage::GetLink(message), NLM_F_DUMP)?;
        let attributes = answers.into_iter().filter(|link| link.header.index == index).flat_map(|link| link.attributes);
        let specs = attributes.filter_map(|attribute| match attribute {
            LinkAttribute::AfSpecBridge(specs) => Some(specs),
            _ => None,
        });
        Ok(specs.flatten().find_map(|spec| match spec {
            AfSpecBridge::Mode(BridgeMode::Veb) => Some(HwMode::Veb),
            AfSpecBridge::Mode(BridgeMode::Vepa) => Some(HwMode::Vepa),
            _ => None,
        }))
    }

    fn change(&mut self, message: LinkMessage) -> io::Result<()> {
        self.ask(RouteNetlinkMessage::SetLink(message), NLM_F_ACK).map(drop)
    }

    /// Asks, and collects links until the answer is complete.
    fn ask(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<LinkMessage>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut links = Vec::new();
        loop {
            let (received, _) = self.socket.recv_from_full()?;
            let mut rest = received.as_slice();
            while !rest.is_empty() {
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
                let length = (answer.header.length as usize).next_multiple_of(4);
                rest = rest.get(length.max(16)..).unwrap_or_default();
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::Error(error) => {
                        return match error.code {
                            None => Ok(links),
                            Some(code) => Err(io::Error::from_raw_os_error(-code.get())),
                        };
                    }
                    NetlinkPayload::Done(_) => return Ok(links),
                    NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => links.push(link),
                    _ => {}
                }
            }
            if flags & (NLM_F_DUMP | NLM_F_ACK) == 0 && !links.is_empty() {
                return Ok(links);
            }
        }
    }
}

fn named(interface: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(interface.to_owned()));
    message
}

fn vf_info(vf: u32, setting: VfSetting) -> VfInfo {
    match setting {
        VfSetting::Mac(mac) => VfInfo::Mac(VfInfoMac::new(vf, &mac.octets())),
        VfSetting::Vlan(VfVlan { id, qos, service: false }) => {
            VfInfo::Vlan(VfInfoVlan::new(vf, u32::from(id), u32::from(qos)))
        }
        VfSetting::Vlan(VfVlan { id, qos, service: true }) => {
            let entry = VfVlanInfo::new(vf, u32::from(id), u32::from(qos), VlanProtocol::Ieee8021Ad);
            VfInfo::VlanList(vec![VlanEntry::Info(entry)])
        }
        VfSetting::Trust(on) => VfInfo::Trust(VfInfoTrust::new(vf, on)),
        VfSetting::SpoofCheck(on) => VfInfo::SpoofCheck(VfInfoSpoofCheck::new(vf, on)),
        VfSetting::Rate(VfRate { min_mbps, max_mbps }) => VfInfo::Rate(VfInfoRate::new(vf, min_mbps, max_mbps)),
        VfSetting::LinkState(state) => {
            let state = match state {
                LinkState::Auto => VfLinkState::Auto,
                LinkState::Enable => VfLinkState::Enable,
                LinkState::Disable => VfLinkState::Disable,
            };
            VfInfo::LinkState(VfInfoLinkState::new(vf, state))
        }
    }
}

/// The settings of each VF of a link, by index.
fn vf_settings(link: &LinkMessage) -> Vec<VfSettings> {
    let lists = link.attributes.iter().filter_map(|attribute| match attribute {
        LinkAttribute::VfInfoList(list) => Some(list),
        _ => None,
    });
    lists.flatten().map(|LinkVfInfo(infos)| infos.iter().fold(VfSettings::default(), read)).collect()
}

fn read(mut settings: VfSettings, info: &VfInfo) -> VfSettings {
    let vlan = |id: u32, qos: u32, service| VfVlan { id: id as u16, qos: qos as u8, service };
    match info {
        VfInfo::Mac(info) => {
            let [a, b, c, d, e, f, ..] = info.mac;
            settings.mac = MacAddr::from([a, b, c, d, e, f]);
        }
        VfInfo::Vlan(info) => settings.vlan = vlan(info.vlan_id, info.qos, settings.vlan.service),
        VfInfo::VlanList(list) => {
            if let Some(VlanEntry::Info(info)) = list.first() {
                settings.vlan = vlan(info.vlan_id, info.qos, info.protocol == VlanProtocol::Ieee8021Ad);
            }
        }
        VfInfo::Trust(info) => settings.trust = info.enabled,
        VfInfo::SpoofCheck(info) => settings.spoof_check = info.enabled,
        VfInfo::Rate(info) => settings.rate = VfRate { min_mbps: info.min_tx_rate, max_mbps: info.max_tx_rate },
        VfInfo::LinkState(info) => {
            settings.link_state = match info.state {
                VfLinkState::Enable => LinkState::Enable,
                VfLinkState::Disable => LinkState::Disable,
                _ => LinkState::Auto,
            }
        }
        _ => {}
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_back_from_the_same_attributes() {
        let wanted = VfSettings {
            mac: "02:00:00:00:a0:00".parse().unwrap(),
            vlan: VfVlan { id: 100, qos: 3, service: true },
            trust: true,
            spoof_check: false,
            rate: VfRate { min_mbps: 100, max_mbps: 4000 },
            link_state: LinkState::Enable,
        };
        let infos: Vec<_> = wanted.all().into_iter().map(|setting| vf_info(1, setting)).collect();
        let first = vf_info(0, VfSetting::Trust(false));
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::VfInfoList(vec![LinkVfInfo(vec![first]), LinkVfInfo(infos)]));
        // Through the bytes, as the kernel sees them.
        let mut packet =
            NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(RouteNetlinkMessage::NewLink(message)));
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        let back = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes).unwrap();
        let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) = back.payload else {
            panic!("not a link: {back:?}")
        };
        assert_eq!(vf_settings(&link), [VfSettings::default(), wanted]);
    }

    #[test]
    fn the_kernel_describes_loopback_and_refuses_what_is_not_there() {
        let mut netlink = Netlink::open().unwrap();
        assert_eq!(netlink.settings("lo").unwrap(), PfSettings::default());
        let error = netlink.settings("no-such-one").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        let error = netlink.set_vf("no-such-one", 0, VfSetting::Trust(true)).unwrap_err();
        assert!(matches!(error.raw_os_error(), Some(libc::ENODEV | libc::EPERM)), "{error}");
    }
}

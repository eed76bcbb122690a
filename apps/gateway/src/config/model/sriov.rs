//! Physical and virtual functions.

use iogate::packet::MacAddr;
use iogate::port::PortSpec;
use iogate::sriov::{HwMode, LinkState, PciAddress, VfRate, VfVlan};

use super::names::{Name, PfId};

/// A port of a card that has virtual functions: `[[pf]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pf {
    /// Its name.
    pub name: Name,
    /// Where it is.
    pub pci: PciAddress,
    /// The kernel's driver that it must be bound to.
    pub driver: Option<String>,
    /// How many virtual functions it has.
    pub num_vfs: u16,
    /// Where frames between them are switched; `None`: stays as it is.
    pub hw_mode: Option<HwMode>,
    /// Traffic classes in hardware, 1 to 8.
    pub lanes: u8,
    /// Whether its interface is set up.
    pub up: bool,
    /// Whether its interface receives frames for any address, which some cards want before a VF may.
    pub promiscuous: bool,
}

/// A virtual function: `[[vf]]`. No two have the same PF and index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vf {
    /// Its name.
    pub name: Name,
    /// What it is part of.
    pub pf: PfId,
    /// Its number, below `num_vfs` of the PF.
    pub index: u16,
    /// Who uses it.
    pub owner: VfOwner,
    /// What it is bound to; `None`: stays as it is.
    pub driver: Option<String>,
    /// RX queues that it is used with, 1 to 16.
    pub queues: u16,
    /// Its address; `None`: stays as it is.
    pub mac: Option<MacAddr>,
    /// The VLAN that the card puts it into; always one for a server's.
    pub vlan: VfVlan,
    /// Whether it may ask for more than its own address and VLAN; always for a trunk of the gateway's.
    pub trust: bool,
    /// Whether frames with other source addresses are dropped; never for a trunk of the gateway's.
    pub spoof_check: bool,
    /// What it sees as its link.
    pub link_state: LinkState,
    /// What it may send.
    pub rate: VfRate,
}

/// Who uses a virtual function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VfOwner {
    /// The gateway polls it, when a link or an uplink names it as its port.
    Gateway,
    /// A server has it to itself: its frames never meet the gateway, and the card polices them.
    Server(Name),
}

impl super::Config {
    /// The PF with this id.
    pub fn pf(&self, id: PfId) -> &Pf {
        &self.pfs[id.index()]
    }

    /// The VF that a port names, whatever its driver is told besides.
    pub fn vf_of(&self, port: &PortSpec) -> Option<&Vf> {
        let is_its = |own: PortSpec| (own.kind(), own.target()) == (port.kind(), port.target());
        self.vfs.iter().find(|vf| is_its(self.vf_port(vf)))
    }

    /// The port that a VF is.
    pub fn vf_port(&self, vf: &Vf) -> PortSpec {
        PortSpec::vf(self.pf(vf.pf).pci, vf.index)
    }
}

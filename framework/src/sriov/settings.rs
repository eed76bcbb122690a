//! What the kernel lets be set on a PF and its VFs.

use crate::packet::MacAddr;
use serde::{Serialize, Serializer};
use std::fmt;

/// The VLAN that a card puts a VF into: it tags what the VF sends, and takes the tag off what it receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VfVlan {
    /// 1 to 4094; 0: the VF sees tags itself.
    pub id: u16,
    /// Priority code point, 0 to 7.
    pub qos: u8,
    /// Whether the tag is an 802.1ad service tag, instead of 802.1Q.
    pub service: bool,
}

impl fmt::Display for VfVlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} qos {}{}", self.id, self.qos, if self.service { " proto 802.1ad" } else { "" })
    }
}

/// Limits on what a VF sends, Mbit/s; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VfRate {
    /// What it is promised.
    pub min_mbps: u32,
    /// What it may use.
    pub max_mbps: u32,
}

/// What a VF sees as its link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// That of the PF.
    #[default]
    Auto,
    /// Up, so that VFs of a port reach each other while its cable is out.
    Enable,
    /// Down.
    Disable,
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinkState::Auto => "auto",
            LinkState::Enable => "enable",
            LinkState::Disable => "disable",
        })
    }
}

/// Where a card switches frames from one of its VFs to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HwMode {
    /// Inside the card, where no policy of the gateway sees them.
    Veb,
    /// In the switch behind the cable.
    Vepa,
}

impl fmt::Display for HwMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HwMode::Veb => "veb",
            HwMode::Vepa => "vepa",
        })
    }
}

/// What is set on a VF. The default is what drivers give a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct VfSettings {
    /// Its address as the PF knows it; all zeros: the VF's driver makes one up.
    #[serde(serialize_with = "display")]
    pub mac: MacAddr,
    /// Its VLAN.
    pub vlan: VfVlan,
    /// Whether it may ask for more than its own address and VLAN.
    pub trust: bool,
    /// Whether frames from it with other addresses are dropped.
    pub spoof_check: bool,
    /// What it may send.
    pub rate: VfRate,
    /// Its link.
    pub link_state: LinkState,
}

impl Default for VfSettings {
    fn default() -> Self {
        VfSettings {
            mac: MacAddr::default(),
            vlan: VfVlan::default(),
            trust: false,
            spoof_check: true,
            rate: VfRate::default(),
            link_state: LinkState::Auto,
        }
    }
}

/// One thing that can be set on a VF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VfSetting {
    /// [`VfSettings::mac`]
    Mac(#[serde(serialize_with = "display")] MacAddr),
    /// [`VfSettings::vlan`]
    Vlan(VfVlan),
    /// [`VfSettings::trust`]
    Trust(bool),
    /// [`VfSettings::spoof_check`]
    SpoofCheck(bool),
    /// [`VfSettings::rate`]
    Rate(VfRate),
    /// [`VfSettings::link_state`]
    LinkState(LinkState),
}

impl VfSettings {
    /// All of them, in the order in which they are to be made: the address before what a driver ties to it.
    pub fn all(&self) -> [VfSetting; 6] {
        [
            VfSetting::Mac(self.mac),
            VfSetting::Vlan(self.vlan),
            VfSetting::Trust(self.trust),
            VfSetting::SpoofCheck(self.spoof_check),
            VfSetting::Rate(self.rate),
            VfSetting::LinkState(self.link_state),
        ]
    }

    /// The one of the same kind as `like`.
    pub fn of(&self, like: VfSetting) -> VfSetting {
        let same = |one: &VfSetting| std::mem::discriminant(one) == std::mem::discriminant(&like);
        self.all().into_iter().find(same).unwrap_or(like)
    }

    /// Changes one.
    pub fn set(&mut self, setting: VfSetting) {
        match setting {
            VfSetting::Mac(mac) => self.mac = mac,
            VfSetting::Vlan(vlan) => self.vlan = vlan,
            VfSetting::Trust(trust) => self.trust = trust,
            VfSetting::SpoofCheck(check) => self.spoof_check = check,
            VfSetting::Rate(rate) => self.rate = rate,
            VfSetting::LinkState(state) => self.link_state = state,
        }
    }
}

impl VfSetting {
    /// What it is called: `mac`, `vlan`, `trust`, `spoofchk`, `rate`, `state`.
    pub fn name(&self) -> &'static str {
        match self {
            VfSetting::Mac(_) => "mac",
            VfSetting::Vlan(_) => "vlan",
            VfSetting::Trust(_) => "trust",
            VfSetting::SpoofCheck(_) => "spoofchk",
            VfSetting::Rate(_) => "rate",
            VfSetting::LinkState(_) => "state",
        }
    }
}

impl fmt::Display for VfSetting {
    /// The value, without its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |on: &bool| if *on { "on" } else { "off" };
        match self {
            VfSetting::Mac(mac) => mac.fmt(f),
            VfSetting::Vlan(vlan) => vlan.fmt(f),
            VfSetting::Trust(value) | VfSetting::SpoofCheck(value) => f.write_str(on(value)),
            VfSetting::Rate(rate) => write!(f, "{}..{} Mbit/s", rate.min_mbps, rate.max_mbps),
            VfSetting::LinkState(state) => state.fmt(f),
        }
    }
}

/// One thing that can be set on a PF's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PfSetting {
    /// Whether it is up: VFs of most cards have no link before.
    Up(bool),
    /// Whether it receives frames for any address, which some cards want before a VF may.
    Promiscuous(bool),
    /// Where frames between its VFs are switched.
    HwMode(HwMode),
}

impl fmt::Display for PfSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PfSetting::Up(up) => write!(f, "{}", if *up { "up" } else { "down" }),
            PfSetting::Promiscuous(on) => write!(f, "promisc {}", if *on { "on" } else { "off" }),
            PfSetting::HwMode(mode) => write!(f, "hwmode {mode}"),
        }
    }
}

/// What the kernel says is set on a PF and its VFs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PfSettings {
    /// Where frames between its VFs are switched, where the driver says.
    pub hw_mode: Option<HwMode>,
    /// Those of its VFs, by index.
    pub vfs: Vec<VfSettings>,
}

fn display<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

//! What the families of cards can do with their VFs.

/// Whether a VF can receive unicast frames for addresses other than its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignUnicast {
    /// The PF's driver refuses, trusted or not.
    Never,
    /// Once the VF is trusted and the PF's interface is promiscuous itself.
    TrustAndPromiscuousPf,
    /// Once the VF is trusted.
    Trust,
}

/// Cards of one design. Limits are those of one port with the kernel's PF driver.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// As in messages.
    pub name: &'static str,
    /// The kernel's driver of the PF.
    pub pf_driver: &'static str,
    /// The kernel's driver of a VF.
    pub vf_driver: &'static str,
    /// PCI device numbers of PFs.
    pub pf_devices: &'static [u16],
    /// PCI device numbers of VFs.
    pub vf_devices: &'static [u16],
    /// The most VFs of a port; the card's own `sriov_totalvfs` may be less.
    pub max_vfs: u16,
    /// The most RX queues of a VF.
    pub max_queues: u16,
    /// Addresses other than its own.
    pub foreign_unicast: ForeignUnicast,
    /// MAC addresses of a VF that is not trusted, its own among them.
    pub untrusted_macs: Option<u16>,
    /// Whether the link state of a VF can be set, by a kernel that is new enough.
    pub link_state: bool,
    /// Whether a VF can have a least rate.
    pub min_rate: bool,
    /// Whether a VF can have a highest rate.
    pub max_rate: bool,
    /// Whether a VF's VLAN can be an 802.1ad service tag.
    pub service_tag: bool,
    /// Whether the card can be told to send VF-to-VF traffic out (VEPA).
    pub vepa: bool,
    /// Whether the number of VFs depends on the traffic classes of the port, as [`Family::vfs_with`] says.
    pub lanes: bool,
    /// Where the limits come from.
    pub source: &'static str,
}

/// Intel's PCI vendor number.
pub const INTEL: u16 = 0x8086;

/// The families there are limits for.
pub static FAMILIES: &[Family] = &[
    Family {
        name: "82576",
        pf_driver: "igb",
        vf_driver: "igbvf",
        pf_devices: &[0x10c9, 0x10e6, 0x10e7, 0x10e8, 0x150a, 0x150d, 0x1518, 0x1526],
        vf_devices: &[0x10ca, 0x152d],
        max_vfs: 7,
        max_queues: 2,
        foreign_unicast: ForeignUnicast::Never,
        untrusted_macs: Some(1),
        link_state: false,
        min_rate: false,
        max_rate: true,
        service_tag: false,
        vepa: false,
        lanes: false,
        source: "82576 datasheet: 8 pools of 2 queues, one the PF's; igb: no unicast promiscuous mode for VFs, no ndo_set_vf_link_state",
    },
    Family {
        name: "I350",
        pf_driver: "igb",
        vf_driver: "igbvf",
        pf_devices: &[0x1521, 0x1522, 0x1523, 0x1524, 0x1546],
        vf_devices: &[0x1520, 0x152f],
        max_vfs: 7,
        max_queues: 1,
        foreign_unicast: ForeignUnicast::Never,
        untrusted_macs: Some(1),
        link_state: false,
        min_rate: false,
        max_rate: false,
        service_tag: false,
        vepa: false,
        lanes: false,
        source: "I350 datasheet: 8 pools of 1 queue, one the PF's; igb: rates of VFs on the 82576 only",
    },
    Family {
        name: "82599",
        pf_driver: "ixgbe",
        vf_driver: "ixgbevf",
        pf_devices: &[
            0x10f7, 0x10f8, 0x10f9, 0x10fb, 0x10fc, 0x1507, 0x1514, 0x1517, 0x151c, 0x1529, 0x152a, 0x154a, 0x154d,
            0x154f, 0x1557, 0x1558,
        ],
        vf_devices: &[0x10ed, 0x152e],
        max_vfs: 63,
        max_queues: 4,
        foreign_unicast: ForeignUnicast::Never,
        untrusted_macs: None,
        link_state: true,
        min_rate: false,
        max_rate: true,
        service_tag: false,
        vepa: true,
        lanes: true,
        source: "82599 datasheet: 64 pools, one the PF's; ixgbe answers EOPNOTSUPP to a VF of an 82599 that asks for promiscuous mode",
    },
    Family {
        name: "X540",
        pf_driver: "ixgbe",
        vf_driver: "ixgbevf",
        pf_devices: &[0x1528, 0x1560],
        vf_devices: &[0x1515, 0x1530],
        max_vfs: 63,
        max_queues: 4,
        foreign_unicast: ForeignUnicast::TrustAndPromiscuousPf,
        untrusted_macs: None,
        link_state: true,
        min_rate: false,
        max_rate: true,
        service_tag: false,
        vepa: true,
        lanes: true,
        source: "X540 datasheet: 64 pools, one the PF's; ixgbe: promiscuous VF only under a promiscuous PF, else EPERM",
    },
    Family {
        name: "X550",
        pf_driver: "ixgbe",
        vf_driver: "ixgbevf",
        pf_devices: &[
            0x1563, 0x15aa, 0x15ab, 0x15ac, 0x15ad, 0x15ae, 0x15b0, 0x15c2, 0x15c3, 0x15c4, 0x15c6, 0x15c7, 0x15c8,
            0x15ce, 0x15d1, 0x15e4, 0x15e5,
        ],
        vf_devices: &[0x1564, 0x1565, 0x15a8, 0x15a9, 0x15b4, 0x15c5],
        max_vfs: 63,
        max_queues: 4,
        foreign_unicast: ForeignUnicast::TrustAndPromiscuousPf,
        untrusted_macs: None,
        link_state: true,
        min_rate: false,
        max_rate: true,
        service_tag: false,
        vepa: true,
        lanes: true,
        source: "X550 datasheet: 64 pools, one the PF's; ixgbe: promiscuous VF only under a promiscuous PF, else EPERM",
    },
    Family {
        name: "X710",
        pf_driver: "i40e",
        vf_driver: "iavf",
        pf_devices: &[
            0x0cf8, 0x0d58, 0x0dd2, 0x0dda, 0x104e, 0x104f, 0x1572, 0x1580, 0x1581, 0x1583, 0x1584, 0x1585, 0x1586,
            0x1587, 0x1588, 0x1589, 0x158a, 0x158b, 0x15ff, 0x37ce, 0x37cf, 0x37d0, 0x37d1, 0x37d2, 0x37d3,
        ],
        vf_devices: &[0x154c, 0x1571, 0x37cd],
        max_vfs: 128,
        max_queues: 16,
        foreign_unicast: ForeignUnicast::Trust,
        untrusted_macs: Some(18),
        link_state: true,
        min_rate: false,
        max_rate: true,
        service_tag: false,
        vepa: true,
        lanes: false,
        source: "X710 datasheet: 128 VFs a device, 32 a port of four, 64 of two; i40e: 18 MAC addresses and 16 VLANs for an untrusted VF",
    },
    Family {
        name: "E810",
        pf_driver: "ice",
        vf_driver: "iavf",
        pf_devices: &[0x1591, 0x1592, 0x1593, 0x1599, 0x159a, 0x159b],
        vf_devices: &[0x1889],
        max_vfs: 256,
        max_queues: 16,
        foreign_unicast: ForeignUnicast::Trust,
        untrusted_macs: Some(18),
        link_state: true,
        min_rate: true,
        max_rate: true,
        service_tag: true,
        vepa: true,
        lanes: false,
        source: "E810 datasheet: 256 VFs a device; ice: 18 MAC addresses and 8 VLANs for an untrusted VF",
    },
];

impl Family {
    /// The family of a PF by its PCI numbers.
    pub fn of_pf(vendor: u16, device: u16) -> Option<&'static Family> {
        FAMILIES.iter().find(|family| vendor == INTEL && family.pf_devices.contains(&device))
    }

    /// The most VFs of a port with so many traffic classes in hardware: the 64 pools of an ixgbe card
    /// become 32 with up to 4 classes and 16 with 8, and one is the PF's.
    pub fn vfs_with(&self, lanes: u8) -> u16 {
        match lanes {
            _ if !self.lanes => self.max_vfs,
            0..=1 => 63,
            2..=4 => 31,
            _ => 15,
        }
    }

    /// The most RX queues of a VF where there are so many VFs: an ixgbe card has 4 in up to 32 pools, 2
    /// in 64, and 1 where it has traffic classes.
    pub fn queues_with(&self, vfs: u16, lanes: u8) -> u16 {
        match (self.lanes, lanes) {
            (false, _) => self.max_queues,
            (true, 2..) => 1,
            (true, _) if vfs < 32 => 4,
            (true, _) => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_of_one_family() {
        let mut all: Vec<u16> = FAMILIES.iter().flat_map(|f| [f.pf_devices, f.vf_devices]).flatten().copied().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert_eq!(Family::of_pf(INTEL, 0x10fb).map(|family| family.name), Some("82599"));
        assert_eq!(Family::of_pf(0x15b3, 0x10fb), None);
    }

    #[test]
    fn lanes_take_virtual_functions() {
        let family = Family::of_pf(INTEL, 0x10fb).unwrap();
        assert_eq!([1, 4, 8].map(|lanes| family.vfs_with(lanes)), [63, 31, 15]);
        assert_eq!([(31, 1), (32, 1), (8, 4)].map(|(vfs, lanes)| family.queues_with(vfs, lanes)), [4, 2, 1]);
        let x710 = Family::of_pf(INTEL, 0x1572).unwrap();
        assert_eq!((x710.vfs_with(8), x710.queues_with(128, 8)), (128, 16));
    }
}

//! What is told apart in traffic: storage protocols and classes.

use std::fmt;

use iogate::packet::EtherType;

use super::{Name, Side};

/// A storage protocol that the gateway recognises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Protocol {
    /// Fibre Channel over Ethernet.
    Fcoe,
    /// The FCoE initialization protocol.
    Fip,
    /// iSCSI.
    Iscsi,
    /// NVMe over TCP.
    NvmeTcp,
    /// RDMA over Converged Ethernet, versions 1 and 2.
    Roce,
    /// ATA over Ethernet.
    Aoe,
    /// NFS.
    Nfs,
    /// SMB.
    Smb,
    /// Ceph.
    Ceph,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 9] =
        [Self::Fcoe, Self::Fip, Self::Iscsi, Self::NvmeTcp, Self::Roce, Self::Aoe, Self::Nfs, Self::Smb, Self::Ceph];

    /// The word used in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fcoe => "fcoe",
            Self::Fip => "fip",
            Self::Iscsi => "iscsi",
            Self::NvmeTcp => "nvme-tcp",
            Self::Roce => "roce",
            Self::Aoe => "aoe",
            Self::Nfs => "nfs",
            Self::Smb => "smb",
            Self::Ceph => "ceph",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A set of storage protocols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProtocolSet(u16);

impl ProtocolSet {
    /// None of them.
    pub const EMPTY: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self((1 << Protocol::ALL.len()) - 1);

    /// This set and one more.
    #[must_use]
    pub const fn with(self, protocol: Protocol) -> Self {
        Self(self.0 | 1 << protocol as u8)
    }

    /// Whether the protocol is in the set.
    pub const fn contains(self, protocol: Protocol) -> bool {
        self.0 & 1 << protocol as u8 != 0
    }

    /// The protocols in the set.
    pub fn iter(self) -> impl Iterator<Item = Protocol> {
        Protocol::ALL.into_iter().filter(move |p| self.contains(*p))
    }
}

/// A traffic class: `[[class]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: Name,
    /// Its priority code point, 0 to 7, its own.
    pub pcp: u8,
    /// Where its frames may go.
    pub scope: Scope,
    /// A frame that one of these matches is in the class, unless an earlier class has it.
    pub rules: Vec<Selector>,
}

/// Where the frames of a class may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Only one side.
    Only(Side),
    /// Both sides.
    Both,
}

impl Scope {
    /// Whether frames of the class may cross a network of this kind.
    pub fn allows(self, side: Side) -> bool {
        match self {
            Self::Only(only) => only == side,
            Self::Both => true,
        }
    }
}

/// What is looked for in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// The ethertype after any VLAN tags.
    EtherType(EtherType),
    /// The IPv4 protocol or the last IPv6 next header.
    IpProtocol(u8),
    /// The source or the destination port of TCP.
    TcpPort(PortRange),
    /// The source or the destination port of UDP.
    UdpPort(PortRange),
    /// The source port of UDP.
    UdpSrc(PortRange),
    /// The destination port of UDP.
    UdpDst(PortRange),
}

/// A range of TCP or UDP ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// The range, if it is not empty.
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first <= last { Some(Self { first, last }) } else { None }
    }

    /// One port.
    pub const fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// The first port.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The last port, itself included.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Whether the port is in the range.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// Whether the two have a port in common.
    pub const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Whether all of the other range is in this one.
    pub const fn covers(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

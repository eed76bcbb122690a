//! The checked model: what a configuration file means once every rule has been checked.
//!
//! Names are resolved to ids, which index the vectors of [`Config`]; an id made by this module is always in range for the
//! configuration it came from. Objects keep the order of the file.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use iogate::packet::{EtherType, MacAddr};
use iogate::port::PortSpec;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(super) u16);

        impl $name {
            /// Position in the vector of [`Config`] that it belongs to.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    )+};
}

ids! {
    /// Index into [`Config::links`].
    LinkId,
    /// Index into [`Config::uplinks`].
    UplinkId,
    /// Index into [`Config::groups`].
    GroupId,
    /// Index into [`Config::networks`].
    NetworkId,
    /// Index into [`Config::classes`]; a lower id is tried first.
    ClassId,
    /// Index into [`Config::adapters`].
    AdapterId,
}

/// The name of an object: `[a-z0-9][a-z0-9-.]{0,31}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub(super) String);

impl Name {
    /// The longest name, in bytes.
    pub const MAX: usize = 32;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A VLAN id, 1 to 4094.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vid(pub(super) u16);

impl Vid {
    /// The largest id.
    pub const MAX: u16 = 4094;

    /// The id, if it is in range.
    pub const fn new(id: u16) -> Option<Self> {
        if id >= 1 && id <= Self::MAX {
            Some(Self(id))
        } else {
            None
        }
    }

    /// The id as a number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Vid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an uplink, a group or a network carries. The two never mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The network.
    Network,
    /// Storage.
    Storage,
}

impl Side {
    /// The word used in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Storage => "storage",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One of the two storage fabrics, which are never bridged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fabric {
    /// Fabric A.
    A,
    /// Fabric B.
    B,
}

impl fmt::Display for Fabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// A whole gateway, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The gateway itself.
    pub gateway: Gateway,
    /// Who polls what; never empty, and every queue of every port is polled by exactly one.
    pub workers: Vec<Worker>,
    /// Attachments of servers.
    pub links: Vec<Link>,
    /// Ports toward the network and toward storage.
    pub uplinks: Vec<Uplink>,
    /// Groups of uplinks; every uplink is in exactly one.
    pub groups: Vec<UplinkGroup>,
    /// Broadcast domains.
    pub networks: Vec<Network>,
    /// Traffic classes, 1 to 8 of them; the first that matches a frame has it.
    pub classes: Vec<Class>,
    /// The class of a frame that no other class matches.
    pub default_class: ClassId,
    /// How storage protocols are recognised: the well-known ports and ethertypes, and those the file adds.
    pub protocols: Vec<(Protocol, Selector)>,
    /// vNICs, then vHBAs.
    pub adapters: Vec<Adapter>,
}

impl Config {
    /// The link with this id.
    pub fn link(&self, id: LinkId) -> &Link {
        &self.links[id.index()]
    }

    /// The uplink with this id.
    pub fn uplink(&self, id: UplinkId) -> &Uplink {
        &self.uplinks[id.index()]
    }

    /// The group with this id.
    pub fn group(&self, id: GroupId) -> &UplinkGroup {
        &self.groups[id.index()]
    }

    /// The network with this id.
    pub fn network(&self, id: NetworkId) -> &Network {
        &self.networks[id.index()]
    }

    /// The class with this id.
    pub fn class(&self, id: ClassId) -> &Class {
        &self.classes[id.index()]
    }

    /// The adapter with this id.
    pub fn adapter(&self, id: AdapterId) -> &Adapter {
        &self.adapters[id.index()]
    }

    /// All adapters with their ids.
    pub fn adapters(&self) -> impl Iterator<Item = (AdapterId, &Adapter)> {
        (0u16..).map(AdapterId).zip(&self.adapters)
    }

    /// The uplinks a network may use, the preferred one first: those of its group, or in a dual-fabric group the one of its fabric.
    pub fn uplinks_of(&self, network: NetworkId) -> &[UplinkId] {
        let network = self.network(network);
        match &self.group(network.group).mode {
            GroupMode::ActiveStandby { members, .. } => members,
            GroupMode::DualFabric { a, b } => match network.fabric {
                Some(Fabric::A) => a.as_slice(),
                Some(Fabric::B) => b.as_slice(),
                None => &[],
            },
        }
    }

    /// Every port, links first, with its name, what opens it and its number of RX queues.
    pub fn ports(&self) -> impl Iterator<Item = (PortRef, &Name, &PortSpec, u16)> {
        let links = (0u16..).map(|i| PortRef::Link(LinkId(i))).zip(&self.links);
        let uplinks = (0u16..)
            .map(|i| PortRef::Uplink(UplinkId(i)))
            .zip(&self.uplinks);
        links
            .map(|(id, l)| (id, &l.name, &l.port, l.queues))
            .chain(uplinks.map(|(id, u)| (id, &u.name, &u.port, u.queues)))
    }
}

/// The gateway itself: `[gateway]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its name.
    pub name: Name,
    /// The unix socket of its control API.
    pub socket: PathBuf,
    /// The largest frame in bytes, VLAN tags included, without the FCS.
    pub mtu: u16,
    /// Packet buffers.
    pub mbuf: MbufConfig,
    /// Cap on EAL memory in MiB where there are no huge pages.
    pub memory_mb: Option<u32>,
    /// Whether huge pages are used.
    pub huge_pages: HugePages,
}

/// Packet buffers: `mbuf` of `[gateway]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MbufConfig {
    /// Data room of one buffer in bytes, headroom included.
    pub size: u16,
    /// Number of buffers.
    pub count: u32,
    /// Buffers that each core may keep to itself.
    pub per_core_cache: u32,
}

/// Whether huge pages are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugePages {
    /// When the machine has some.
    Auto,
    /// Not even then.
    Never,
}

/// A polling thread: `[[worker]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Where it runs.
    pub core: Core,
    /// The RX queues it polls, at least one.
    pub queues: Vec<QueueRef>,
    /// The most packets taken from a queue at once, 1 to 32.
    pub burst: u8,
    /// What it does when there is nothing to do.
    pub idle: Idle,
}

/// The core of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Core {
    /// The first core that the process may run on: the file names no worker.
    First,
    /// This one, by the number the operating system gives it.
    Number(u16),
}

/// What a worker does when its queues are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Polls on at full speed.
    Spin,
    /// Polls on, with the CPU's pause instruction between rounds.
    Pause,
    /// Sleeps longer the longer it is idle, so that a packet waits no longer than this.
    Adaptive(Duration),
    /// Waits for an RX interrupt where the port has them.
    Interrupt,
}

/// A port of the gateway, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortRef {
    /// The port of a link.
    Link(LinkId),
    /// The port of an uplink.
    Uplink(UplinkId),
}

/// One RX queue of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueRef {
    /// The port.
    pub port: PortRef,
    /// The queue, counted from 0.
    pub queue: u16,
}

/// A server's attachment: `[[link]]`.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its name.
    pub name: Name,
    /// The server at the other end; a label.
    pub server: Option<Name>,
    /// What opens its port.
    pub port: PortSpec,
    /// RX queues, 1 to 16.
    pub queues: u16,
    /// The only fabric that vHBAs on it may use, when set.
    pub fabric: Option<Fabric>,
}

/// A port toward the network or storage: `[[uplink]]`.
#[derive(Clone, Debug)]
pub struct Uplink {
    /// Its name.
    pub name: Name,
    /// What opens its port.
    pub port: PortSpec,
    /// What it carries.
    pub kind: Side,
    /// The fabric it leads to.
    pub fabric: Option<Fabric>,
    /// The group it is in.
    pub group: GroupId,
    /// RX queues, 1 to 16.
    pub queues: u16,
}

/// Uplinks that stand in for each other, or two fabrics side by side: `[[uplink_group]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UplinkGroup {
    /// Its name.
    pub name: Name,
    /// What its members carry.
    pub kind: Side,
    /// How members are used.
    pub mode: GroupMode,
}

impl UplinkGroup {
    /// The members: by preference, or A before B.
    pub fn members(&self) -> impl Iterator<Item = UplinkId> {
        let (list, a, b) = match &self.mode {
            GroupMode::ActiveStandby { members, .. } => (members.as_slice(), None, None),
            GroupMode::DualFabric { a, b } => (&[][..], *a, *b),
        };
        list.iter().copied().chain(a).chain(b)
    }
}

/// How the members of a group are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupMode {
    /// The first member that is up carries everything.
    ActiveStandby {
        /// By preference; at least one.
        members: Vec<UplinkId>,
        /// What happens when a preferred member comes back.
        failback: Failback,
    },
    /// Each network uses the one member of its fabric; the server's multipath fails over. Storage only. At least one of the two is there.
    DualFabric {
        /// The member of fabric A.
        a: Option<UplinkId>,
        /// The member of fabric B.
        b: Option<UplinkId>,
    },
}

/// What happens when a preferred uplink comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failback {
    /// It takes over again once it has been up this long.
    Auto(Duration),
    /// Nothing, until somebody says so or the active member fails.
    Manual,
}

/// A broadcast domain: `[[network]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: Name,
    /// What it carries: the kind of its group.
    pub kind: Side,
    /// Its VLAN on the uplinks; `None` is untagged.
    pub vlan: Option<Vid>,
    /// The uplinks it leaves by.
    pub group: GroupId,
    /// Its fabric; always set in a dual-fabric group, never on the network side.
    pub fabric: Option<Fabric>,
    /// The largest frame in bytes, VLAN tags included, without the FCS; never above that of the gateway.
    pub mtu: u16,
}

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
    pub const ALL: [Self; 9] = [
        Self::Fcoe,
        Self::Fip,
        Self::Iscsi,
        Self::NvmeTcp,
        Self::Roce,
        Self::Aoe,
        Self::Nfs,
        Self::Smb,
        Self::Ceph,
    ];

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
        if first <= last {
            Some(Self { first, last })
        } else {
            None
        }
    }

    /// One port.
    pub const fn one(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
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

    /// Whether all of the other range is in this one.
    pub const fn covers(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

/// A virtual adapter of a server: `[[vnic]]` or `[[vhba]]`. A frame from its link is its own when tag and source MAC are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// Its name.
    pub name: Name,
    /// vNIC or vHBA.
    pub kind: AdapterKind,
    /// The link it is on.
    pub link: LinkId,
    /// Its address, unique in the gateway.
    pub mac: MacAddr,
    /// Its networks and their tags on the link: one, or for a trunk at least one, all tagged and all different.
    pub attachments: Vec<Attachment>,
    /// Addresses it may use; empty is any.
    pub ips: Vec<IpAddr>,
    /// Which sender addresses are checked.
    pub antispoof: AntiSpoof,
    /// Whether it starts up.
    pub up: bool,
}

impl Adapter {
    /// What it carries.
    pub const fn side(&self) -> Side {
        match self.kind {
            AdapterKind::Vnic => Side::Network,
            AdapterKind::Vhba { .. } => Side::Storage,
        }
    }
}

/// vNIC or vHBA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterKind {
    /// On a network of the network side.
    Vnic,
    /// On a network of the storage side.
    Vhba {
        /// What it may speak: all when the file says nothing; FIP whenever FCoE.
        protocols: ProtocolSet,
    },
}

/// One network of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The VLAN tag on the link; `None` is untagged.
    pub tag: Option<Vid>,
    /// The network.
    pub network: NetworkId,
}

/// Which sender addresses inside a frame are checked: `antispoof` of `[[policy]]`. MAC and VLAN always are, since they say whose frame it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AntiSpoof {
    /// ARP: the sender's hardware address must be the adapter's, the sender's IP one of `ips` if there are any.
    pub arp: bool,
    /// IPv6 neighbour discovery: the same.
    pub nd: bool,
    /// IPv4 and IPv6: the source must be one of `ips`.
    pub ip: bool,
}

impl Default for AntiSpoof {
    fn default() -> Self {
        Self {
            arp: true,
            nd: true,
            ip: false,
        }
    }
}

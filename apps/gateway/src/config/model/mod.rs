//! The checked model: what a configuration file means once every rule has been checked.
//!
//! Names are resolved to ids, which index the vectors of [`Config`]; an id made by this module is always in range for
//! the configuration it came from. Objects keep the order of the file.

mod names;
mod sriov;
mod traffic;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use iogate::packet::MacAddr;
use iogate::port::PortSpec;

pub use names::{AdapterId, ClassId, Fabric, GroupId, LinkId, Name, NetworkId, PfId, Side, UplinkId, Vid};
pub use sriov::{Pf, Vf, VfOwner};
pub use traffic::{Class, PortRange, Protocol, ProtocolSet, Scope, Selector};

/// A whole gateway, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The gateway itself.
    pub gateway: Gateway,
    /// Who polls what; empty only without any port, and every queue of every port is polled by exactly one.
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
    /// Ports of cards with virtual functions.
    pub pfs: Vec<Pf>,
    /// Their virtual functions, as far as the file has them.
    pub vfs: Vec<Vf>,
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

    /// All links with their ids.
    pub fn links(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        (0u16..).map(LinkId).zip(&self.links)
    }

    /// All uplinks with their ids.
    pub fn uplinks(&self) -> impl Iterator<Item = (UplinkId, &Uplink)> {
        (0u16..).map(UplinkId).zip(&self.uplinks)
    }

    /// All groups with their ids.
    pub fn groups(&self) -> impl Iterator<Item = (GroupId, &UplinkGroup)> {
        (0u16..).map(GroupId).zip(&self.groups)
    }

    /// All networks with their ids.
    pub fn networks(&self) -> impl Iterator<Item = (NetworkId, &Network)> {
        (0u16..).map(NetworkId).zip(&self.networks)
    }

    /// All classes with their ids.
    pub fn classes(&self) -> impl Iterator<Item = (ClassId, &Class)> {
        (0u16..).map(ClassId).zip(&self.classes)
    }

    /// All adapters with their ids.
    pub fn adapters(&self) -> impl Iterator<Item = (AdapterId, &Adapter)> {
        // Of 65,536 the last has the last number there is.
        (0..=u16::MAX).map(AdapterId).zip(&self.adapters)
    }

    /// All PFs with their ids.
    pub fn pfs(&self) -> impl Iterator<Item = (PfId, &Pf)> {
        (0u16..).map(PfId).zip(&self.pfs)
    }

    /// The uplinks a network may use, the preferred one first: those of its group, or in a dual-fabric group the one
    /// of its fabric.
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
        let links = self.links().map(|(id, l)| (PortRef::Link(id), &l.name, &l.port, l.queues));
        links.chain(self.uplinks().map(|(id, u)| (PortRef::Uplink(id), &u.name, &u.port, u.queues)))
    }

    /// A port in messages: `uplink "net-a"`.
    pub fn describe(&self, port: PortRef) -> String {
        match port {
            PortRef::Link(id) => format!("link \"{}\"", self.link(id).name),
            PortRef::Uplink(id) => format!("uplink \"{}\"", self.uplink(id).name),
        }
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
    /// Whether ports on virtual functions that have died are restarted.
    pub watchdog: Option<Watchdog>,
    /// How many workers to make of the one that polls everything, where the file names none.
    pub workers: Option<WorkerCount>,
    /// Whether several workers may run on one core.
    pub share_cores: bool,
}

/// How many workers there are, where the file does not name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerCount {
    /// One for each queue, while there are cores.
    Auto,
    /// At most so many.
    Number(u16),
}

/// How ports on virtual functions are watched: `[gateway.watchdog]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// How often they are looked at.
    pub interval: Duration,
    /// How long a bad sign must last to be taken for more, and the shortest time between two restarts.
    pub patience: Duration,
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
    /// The line of the file that says so; `None` when the file names no worker.
    pub line: Option<usize>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: Name,
    /// The server at the other end; a label.
    pub server: Option<Name>,
    /// What opens its port.
    pub port: PortSpec,
    /// RX queues, 1 to 16.
    pub queues: u16,
    /// Whether its guest may leave checksums and cutting to its card.
    pub offloads: bool,
    /// The only fabric that vHBAs on it may use, when set.
    pub fabric: Option<Fabric>,
    /// Groups that a card which cannot receive everything is to receive besides those of the adapters.
    pub groups: Vec<MacAddr>,
}

/// A port toward the network or storage: `[[uplink]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// As for a link.
    pub groups: Vec<MacAddr>,
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
    /// Each network uses the one member of its fabric; the server's multipath fails over. Storage only. At least one
    /// of the two is there.
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

/// A virtual adapter of a server: `[[vnic]]` or `[[vhba]]`. A frame from its link is its own when tag and source MAC
/// are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// Its name.
    pub name: Name,
    /// vNIC or vHBA.
    pub kind: AdapterKind,
    /// The link it is on.
    pub link: LinkId,
    /// Its address. Two adapters share one only on one link, with different tags, in different networks.
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

/// Which sender addresses inside a frame are checked: `antispoof` of `[[policy]]`. MAC and VLAN always are, since they
/// say whose frame it is.
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
        Self { arp: true, nd: true, ip: false }
    }
}

//! How a port is named.

use crate::sriov::{Host, PciAddress, PluginDevice, PluginError, plugin_device};
use std::fmt;
use std::str::FromStr;

/// Names a device: `KIND:TARGET,key=value,...`.
///
/// | text | device |
/// |---|---|
/// | `pci:0000:3b:00.0` or `0000:3b:00.0` | a physical or virtual function, bound to vfio-pci |
/// | `env:PCIDEVICE_X/0` | the first device that an environment variable lists, as Kubernetes' SR-IOV device plugin sets it |
/// | `vf:0000:3b:00.0/3` | virtual function 3 of a physical one, bound to vfio-pci, wherever it is |
/// | `af_xdp:IFACE` | a kernel interface, through AF_XDP sockets |
/// | `af_packet:IFACE` | a kernel interface, through packet sockets |
/// | `tap:IFACE` | a new kernel interface |
/// | `vhost:PATH` | the host's side of vhost-user; `,client=1` connects instead of listening |
/// | `virtio_user:PATH` | the guest's side of vhost-user; `,server=1` listens |
/// | `memif:PATH` | shared memory with another process; `,role=server` or `client` (default) |
/// | `pcap:rx_pcap=FILE,tx_pcap=FILE` | files; `,infinite_rx=1` repeats |
/// | `ring` | a loop: what is sent is received |
/// | `null` | endless frames in, nothing out; `,size=64,copy=1` |
/// | `net_xyz0,...` | any other DPDK virtual device, verbatim |
///
/// What follows the target is passed on to the driver.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortSpec {
    kind: PortKind,
    target: String,
    options: String,
}

/// The kinds of device that a [`PortSpec`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "listed at PortSpec")]
pub enum PortKind {
    Pci,
    Vf,
    Env,
    AfXdp,
    AfPacket,
    Tap,
    Vhost,
    VirtioUser,
    Memif,
    Pcap,
    Ring,
    Null,
    /// A virtual device by DPDK's own argument string.
    Other,
}

const KINDS: [(&str, PortKind); 12] = [
    ("pci", PortKind::Pci),
    ("vf", PortKind::Vf),
    ("env", PortKind::Env),
    ("af_xdp", PortKind::AfXdp),
    ("af_packet", PortKind::AfPacket),
    ("tap", PortKind::Tap),
    ("vhost", PortKind::Vhost),
    ("virtio_user", PortKind::VirtioUser),
    ("memif", PortKind::Memif),
    ("pcap", PortKind::Pcap),
    ("ring", PortKind::Ring),
    ("null", PortKind::Null),
];

/// Why a text is no [`PortSpec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no port: {why}; write KIND:TARGET, for example af_xdp:eth0, tap:gw0 or 0000:3b:00.0")]
pub struct SpecError {
    text: String,
    why: String,
}

impl PortSpec {
    /// The kind of device.
    pub fn kind(&self) -> PortKind {
        self.kind
    }

    /// The interface, path or address; empty where the kind has none.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Whether the kernel or a process, and not a card, is at the other end: such ports gain
    /// nothing from a core that spins.
    pub fn is_software(&self) -> bool {
        !matches!(self.kind, PortKind::Pci | PortKind::Vf | PortKind::Env)
    }

    /// Virtual function `index` of a physical one.
    pub fn vf(pf: PciAddress, index: u16) -> Self {
        PortSpec { kind: PortKind::Vf, target: format!("{pf}/{index}"), options: String::new() }
    }

    /// Where the PCI function is that it stands for now; nothing for other kinds, and when there is none.
    pub fn pci(&self, host: &Host) -> Option<PciAddress> {
        match self.kind {
            PortKind::Pci => self.target.parse().ok(),
            PortKind::Vf => {
                let (pf, index) = vf_of(&self.target)?;
                host.vf_address(pf, index)
            }
            PortKind::Env => Some(self.listed()?.ok()?.address),
            _ => None,
        }
    }

    /// The token that opens its device, where the environment has one.
    ///
    /// # Errors
    /// When the environment does not have the device.
    pub(crate) fn vf_token(&self) -> Result<Option<String>, PluginError> {
        self.listed().map_or(Ok(None), |device| Ok(device?.token))
    }

    /// The device in the environment; nothing for other kinds.
    fn listed(&self) -> Option<Result<PluginDevice, PluginError>> {
        let (name, index) = listed_in(&self.target).filter(|_| self.kind == PortKind::Env)?;
        Some(plugin_device(name, index, |name| std::env::var(name).ok()))
    }

    /// The device that it stands for now: a virtual function by its address, everything else as it is.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    pub(crate) fn resolve(&self, host: &Host) -> Result<PortSpec, String> {
        if !matches!(self.kind, PortKind::Vf | PortKind::Env) {
            return Ok(self.clone());
        }
        let address = self.pci(host).ok_or_else(|| match self.listed() {
            Some(Err(error)) => error.to_string(),
            _ => {
                "there is no such virtual function; make it first: iogate vf apply; iogate vf list shows all".to_owned()
            }
        })?;
        Ok(PortSpec { kind: PortKind::Pci, target: address.to_string(), options: self.options.clone() })
    }

    /// The kernel's interface behind it, if there is one.
    pub fn interface(&self) -> Option<&str> {
        matches!(self.kind, PortKind::AfXdp | PortKind::AfPacket).then_some(self.target.as_str())
    }

    /// Whether the driver is given this value for this key.
    pub(super) fn has_option(&self, key: &str, value: &str) -> bool {
        self.options.split(',').any(|option| option.split_once('=') == Some((key, value)))
    }

    /// For a device that exists, by DPDK's name of it.
    pub(crate) fn of_device(name: &str) -> Self {
        let (kind, target) = match pci_address(name) {
            Some(address) => (PortKind::Pci, address),
            None => (PortKind::Other, name.to_owned()),
        };
        PortSpec { kind, target, options: String::new() }
    }

    /// A device by DPDK's own argument string, whatever its name begins with: `eth_vhost0,iface=...`.
    /// Nothing where there is white space in it.
    pub fn verbatim(text: &str) -> Option<Self> {
        if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let (name, options) = text.split_once(',').unwrap_or((text, ""));
        Some(PortSpec { options: options.to_owned(), ..PortSpec::of_device(name) })
    }

    /// DPDK's device name and the arguments to make it with: `serial` makes the name unique, and
    /// `queues` is how many pairs will be used.
    pub(crate) fn device(&self, serial: u32, queues: u16) -> (String, String) {
        let target = &self.target;
        let queues_as = |key: &str| if queues > 1 { format!(",{key}={queues}") } else { String::new() };
        let (name, mut arguments) = match self.kind {
            PortKind::Pci | PortKind::Vf | PortKind::Env => (target.clone(), String::new()),
            PortKind::AfXdp => (format!("net_af_xdp{serial}"), format!(",iface={target}{}", queues_as("queue_count"))),
            PortKind::AfPacket => (format!("net_af_packet{serial}"), format!(",iface={target}{}", queues_as("qpairs"))),
            PortKind::Tap => (format!("net_tap{serial}"), format!(",iface={target}")),
            PortKind::Vhost => (format!("net_vhost{serial}"), format!(",iface={target}{}", queues_as("queues"))),
            PortKind::VirtioUser => {
                (format!("net_virtio_user{serial}"), format!(",path={target}{}", queues_as("queues")))
            }
            PortKind::Memif => (format!("net_memif{serial}"), format!(",socket={target},socket-abstract=no")),
            PortKind::Pcap => (format!("net_pcap{serial}"), String::new()),
            PortKind::Ring => (format!("net_ring{serial}"), String::new()),
            PortKind::Null => (format!("net_null{serial}"), String::new()),
            PortKind::Other => (target.clone(), String::new()),
        };
        if !self.options.is_empty() {
            arguments.push(',');
            arguments.push_str(&self.options);
        }
        (name.clone(), name + &arguments)
    }
}

impl FromStr for PortSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let refuse = |why: &str| SpecError { text: text.to_owned(), why: why.to_owned() };
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(refuse("there is white space in it"));
        }
        let (device, options) = text.split_once(',').unwrap_or((text, ""));
        if let Some(address) = pci_address(device) {
            return Ok(PortSpec { kind: PortKind::Pci, target: address, options: options.to_owned() });
        }
        if device.starts_with("net_") && !device.contains(':') {
            return Ok(PortSpec { kind: PortKind::Other, target: device.to_owned(), options: options.to_owned() });
        }
        let (word, target) = device.split_once(':').unwrap_or((device, ""));
        let Some(&(_, kind)) = KINDS.iter().find(|(name, _)| *name == word) else {
            return Err(refuse("the kind is unknown"));
        };
        let (mut target, mut options) = (target.to_owned(), options.to_owned());
        match kind {
            PortKind::Pci => target = pci_address(&target).ok_or_else(|| refuse("that is no PCI address"))?,
            PortKind::Vf => {
                let (pf, index) = vf_of(&target).ok_or_else(|| refuse("a VF is written as 0000:3b:00.0/3"))?;
                target = format!("{pf}/{index}");
            }
            PortKind::Env if listed_in(&target).is_none() => {
                return Err(refuse("a device of the environment is written as PCIDEVICE_INTEL_COM_SRIOV/0"));
            }
            PortKind::Pcap | PortKind::Ring | PortKind::Null => {
                // No target: what follows the colon is the first option.
                if !target.is_empty() {
                    options = if options.is_empty() { target } else { format!("{target},{options}") };
                    target = String::new();
                }
                if kind == PortKind::Pcap && !options.contains("pcap=") && !options.contains("iface=") {
                    return Err(refuse("a pcap port needs rx_pcap=FILE, tx_pcap=FILE, or both"));
                }
            }
            PortKind::AfXdp | PortKind::AfPacket | PortKind::Tap if !interface_name(&target) => {
                return Err(refuse("an interface's name of 1 to 15 characters must follow the colon"));
            }
            _ if target.is_empty() => return Err(refuse("a path must follow the colon")),
            _ => {}
        }
        Ok(PortSpec { kind, target, options })
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = KINDS.iter().find(|(_, kind)| *kind == self.kind).map(|(word, _)| *word);
        match (word, self.target.is_empty()) {
            (Some(word), false) => write!(f, "{word}:{}", self.target)?,
            (Some(word), true) => f.write_str(word)?,
            (None, _) => f.write_str(&self.target)?,
        }
        if self.options.is_empty() { Ok(()) } else { write!(f, ",{}", self.options) }
    }
}

fn interface_name(text: &str) -> bool {
    (1..=15).contains(&text.len()) && !text.contains(['/', ':'])
}

/// PF and index, from `0000:3b:00.0/3`.
fn vf_of(text: &str) -> Option<(PciAddress, u16)> {
    let (pf, index) = text.split_once('/')?;
    Some((pf.parse().ok()?, index.parse().ok()?))
}

/// Variable and index, from `PCIDEVICE_INTEL_COM_SRIOV/0`.
fn listed_in(text: &str) -> Option<(&str, usize)> {
    let (name, index) = text.split_once('/')?;
    let good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    Some((name, index.parse().ok().filter(|_| good)?))
}

/// A PCI address with its domain, from `3b:00.0` or `0000:3b:00.0`.
fn pci_address(text: &str) -> Option<String> {
    let (rest, function) = text.rsplit_once('.')?;
    let parts: Vec<&str> = rest.split(':').collect();
    let (domain, bus, slot) = match parts[..] {
        [bus, slot] => ("0000", bus, slot),
        [domain, bus, slot] => (domain, bus, slot),
        _ => return None,
    };
    let hex = |text: &str, digits: usize| text.len() == digits && text.bytes().all(|c| c.is_ascii_hexdigit());
    let valid = hex(domain, 4) && hex(bus, 2) && hex(slot, 2) && hex(function, 1);
    valid.then(|| format!("{domain}:{bus}:{slot}.{function}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_becomes_the_drivers_arguments() {
        for (text, queues, device) in [
            ("0000:3B:00.0", 1, "0000:3b:00.0"),
            ("pci:3b:10.2,key=1", 2, "0000:3b:10.2,key=1"),
            ("vf:3b:00.0/3,key=1", 1, "0000:3b:00.0/3,key=1"),
            ("env:PCIDEVICE_INTEL_COM_SRIOV/0", 1, "PCIDEVICE_INTEL_COM_SRIOV/0"),
            ("af_xdp:eth0", 1, "net_af_xdp7,iface=eth0"),
            ("af_xdp:eth0", 2, "net_af_xdp7,iface=eth0,queue_count=2"),
            ("af_packet:eth0,framesz=4096", 4, "net_af_packet7,iface=eth0,qpairs=4,framesz=4096"),
            ("tap:gw0", 1, "net_tap7,iface=gw0"),
            ("vhost:/run/a.sock,client=1", 1, "net_vhost7,iface=/run/a.sock,client=1"),
            ("virtio_user:/run/a.sock", 2, "net_virtio_user7,path=/run/a.sock,queues=2"),
            ("memif:/run/m.sock,role=server", 1, "net_memif7,socket=/run/m.sock,socket-abstract=no,role=server"),
            ("pcap:rx_pcap=a.pcap,infinite_rx=1", 1, "net_pcap7,rx_pcap=a.pcap,infinite_rx=1"),
            ("ring", 1, "net_ring7"),
            ("null:size=64,copy=1", 1, "net_null7,size=64,copy=1"),
            ("null,size=64", 1, "net_null7,size=64"),
            ("net_bonding0,mode=1", 1, "net_bonding0,mode=1"),
        ] {
            let spec: PortSpec = text.parse().expect(text);
            assert_eq!(spec.device(7, queues).1, device, "{text}");
            assert_eq!(spec.to_string().parse::<PortSpec>().expect("canonical"), spec);
        }
    }

    #[test]
    fn a_virtual_function_is_where_sysfs_has_it_now() {
        let folder = tempfile::tempdir().unwrap();
        let fake = crate::testkit::FakeHost::create(folder.path(), &[crate::testkit::Card::X710]);
        let spec =
            |text: &str| text.parse::<PortSpec>().expect("a spec").resolve(fake.host()).map(|spec| spec.to_string());
        let why = spec("vf:0000:3b:00.0/1").unwrap_err();
        assert!(why.starts_with("there is no such virtual function; make it first: iogate vf apply"), "{why}");
        fake.set_num_vfs("0000:3b:00.0".parse().unwrap(), 2);
        assert_eq!(spec("vf:0000:3b:00.0/1,key=1").unwrap(), "pci:0000:3b:02.1,key=1");
        assert_eq!(spec("tap:gw0").unwrap(), "tap:gw0");
        let why = spec("env:PCIDEVICE_OF_NOBODY/0").unwrap_err();
        assert!(why.starts_with("the environment has no PCIDEVICE_OF_NOBODY; is its resource"), "{why}");
    }

    #[test]
    fn what_is_no_port_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "unknown"),
            ("eth0", "unknown"),
            ("af_xdp:", "1 to 15"),
            ("af_xdp:averyveryverylongname", "1 to 15"),
            ("pci:zz:00.0", "PCI address"),
            ("vf:3b:00.0", "0000:3b:00.0/3"),
            ("env:PCIDEVICE_X", "PCIDEVICE_INTEL_COM_SRIOV/0"),
            ("env:A=B/0", "PCIDEVICE_INTEL_COM_SRIOV/0"),
            ("vhost:", "path"),
            ("pcap", "rx_pcap"),
            ("tap:a b", "white space"),
        ] {
            let error = text.parse::<PortSpec>().expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}

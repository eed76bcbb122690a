//! Ids, names and the few words that every object uses.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(in crate::config) u16);

        impl $name {
            /// Position in the vector of [`Config`](super::Config) that it belongs to.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    )+};
}

ids! {
    /// Index into [`Config::links`](super::Config::links).
    LinkId,
    /// Index into [`Config::uplinks`](super::Config::uplinks).
    UplinkId,
    /// Index into [`Config::groups`](super::Config::groups).
    GroupId,
    /// Index into [`Config::networks`](super::Config::networks).
    NetworkId,
    /// Index into [`Config::classes`](super::Config::classes); a lower id is tried first.
    ClassId,
    /// Index into [`Config::adapters`](super::Config::adapters).
    AdapterId,
    /// Index into [`Config::pfs`](super::Config::pfs).
    PfId,
}

/// The name of an object: `[a-z0-9][a-z0-9-.]{0,31}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub(in crate::config) String);

impl Name {
    /// The longest name, in bytes.
    pub const MAX: usize = 32;

    /// A name from text; nothing where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let good = text.len() <= Self::MAX
            && text.bytes().next().is_some_and(inside)
            && text.bytes().all(|b| inside(b) || b == b'-' || b == b'.');
        good.then(|| Self(text.to_owned()))
    }

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
pub struct Vid(pub(in crate::config) u16);

impl Vid {
    /// The largest id.
    pub const MAX: u16 = 4094;

    /// The id, if it is in range.
    pub const fn new(id: u16) -> Option<Self> {
        if id >= 1 && id <= Self::MAX { Some(Self(id)) } else { None }
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

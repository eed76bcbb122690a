//! PCI addresses.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Where a function is on the PCI bus: `0000:3b:10.2`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

/// Why a text is no [`PciAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no PCI address; write it as 0000:3b:00.0")]
pub struct ParseAddressError(String);

impl PciAddress {
    /// The function that is `offset` behind this one, counting functions, then devices, then buses, as
    /// the VFs of a PF are; the last one of the domain where that is past the end.
    #[must_use]
    pub fn behind(self, offset: u16) -> Self {
        let id = u16::from(self.bus) << 8 | u16::from(self.device) << 3 | u16::from(self.function);
        let [bus, rest] = id.saturating_add(offset).to_be_bytes();
        Self { bus, device: rest >> 3, function: rest & 7, ..self }
    }
}

impl FromStr for PciAddress {
    type Err = ParseAddressError;

    /// With or without the domain, as `lspci` prints it.
    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let parse = || {
            let (rest, function) = text.rsplit_once('.')?;
            let (rest, device) = rest.rsplit_once(':')?;
            let (domain, bus) = rest.rsplit_once(':').unwrap_or(("0000", rest));
            let hex = |text: &str, digits: std::ops::RangeInclusive<usize>| {
                let good = digits.contains(&text.len()) && text.bytes().all(|c| c.is_ascii_hexdigit());
                u32::from_str_radix(text, 16).ok().filter(|_| good)
            };
            Some(Self {
                domain: hex(domain, 4..=8)?,
                bus: hex(bus, 2..=2)? as u8,
                device: hex(device, 2..=2).filter(|device| *device < 32)? as u8,
                function: hex(function, 1..=1).filter(|function| *function < 8)? as u8,
            })
        };
        parse().ok_or_else(|| ParseAddressError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, bus, device, function } = self;
        f.pad(&format!("{domain:04x}:{bus:02x}:{device:02x}.{function}"))
    }
}

impl fmt::Debug for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PciAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, canonical) in [
            ("3b:00.0", Some("0000:3b:00.0")),
            ("0000:3B:1f.7", Some("0000:3b:1f.7")),
            ("10000:01:00.0", Some("10000:01:00.0")),
            ("0000:3b:20.0", None),
            ("0000:3b:00.8", None),
            ("3b:0.0", None),
            ("0000:+b:00.0", None),
            ("eth0", None),
            ("", None),
        ] {
            let read = text.parse::<PciAddress>().ok().map(|address| address.to_string());
            assert_eq!(read.as_deref(), canonical, "{text}");
        }
    }

    #[test]
    fn a_virtual_function_stands_behind_its_physical_one() {
        let pf: PciAddress = "0000:01:00.0".parse().unwrap();
        assert_eq!(pf.behind(128).to_string(), "0000:01:10.0");
        assert_eq!(pf.behind(130).to_string(), "0000:01:10.2");
        assert_eq!(pf.behind(256).to_string(), "0000:02:00.0");
        assert_eq!(pf.behind(u16::MAX).to_string(), "0000:ff:1f.7");
    }
}

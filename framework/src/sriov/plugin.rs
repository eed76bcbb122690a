//! Devices that the SR-IOV device plugin of Kubernetes gives to a container, in its environment.
//!
//! `PCIDEVICE_INTEL_COM_NET_A=0000:03:02.1,0000:03:04.3` lists those of resource `intel.com/net_a`, and
//! `PCIDEVICE_INTEL_COM_NET_A_INFO` tells more about each as JSON, of which the VF token is of use here: a
//! VF whose PF is bound to vfio-pci is opened with it only.

use super::PciAddress;
use serde::Deserialize;
use std::collections::HashMap;

/// Why a device that the environment should have cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// The variable is not there.
    #[error("the environment has no {0}; is its resource among the container's requests and limits?")]
    Missing(String),
    /// The list is too short.
    #[error("{name} has {count} devices, and number {index}, counted from 0, is wanted; request more")]
    TooFew {
        /// The variable.
        name: String,
        /// How many it lists.
        count: usize,
        /// Which one was wanted.
        index: usize,
    },
    /// It holds something else.
    #[error("{name}: {text}")]
    Odd {
        /// The variable.
        name: String,
        /// What is odd about it.
        text: String,
    },
}

/// A device as the plugin describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginDevice {
    /// Where it is.
    pub address: PciAddress,
    /// The token to open it with, a UUID.
    pub token: Option<String>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default, rename = "extraInfo")]
    extra: Option<Extra>,
}

#[derive(Deserialize)]
struct Extra {
    token: Option<String>,
}

/// Device number `index`, counted from 0, of an environment variable.
///
/// ```
/// use iogate::sriov::plugin_device;
///
/// let environment = |name: &str| match name {
///     "PCIDEVICE_INTEL_COM_NET_A" => Some("0000:03:02.1,0000:03:04.3".to_owned()),
///     _ => None,
/// };
/// let device = plugin_device("PCIDEVICE_INTEL_COM_NET_A", 1, environment).expect("it is listed");
/// assert_eq!(device.address.to_string(), "0000:03:04.3");
/// assert_eq!(device.token, None);
/// ```
///
/// # Errors
/// [`PluginError`], with what to do.
pub fn plugin_device(
    name: &str,
    index: usize,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<PluginDevice, PluginError> {
    let odd = |name: &str, text: String| PluginError::Odd { name: name.to_owned(), text };
    let list = environment(name).ok_or_else(|| PluginError::Missing(name.to_owned()))?;
    let all: Vec<_> = list.split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
    let Some(text) = all.get(index) else {
        return Err(PluginError::TooFew { name: name.to_owned(), count: all.len(), index });
    };
    let address: PciAddress = text.parse().map_err(|error| odd(name, format!("{error}")))?;
    let info_name = format!("{name}_INFO");
    let Some(info) = environment(&info_name) else { return Ok(PluginDevice { address, token: None }) };
    let info: HashMap<String, Info> = serde_json::from_str(&info)
        .map_err(|error| odd(&info_name, format!("is not what the plugin writes: {error}")))?;
    let its = info.into_iter().find(|(key, _)| key.parse() == Ok(address));
    let token = its.and_then(|(_, info)| info.extra?.token);
    if token.as_ref().is_some_and(|token| !is_uuid(token)) {
        return Err(odd(&info_name, format!("the token of {address} is no UUID")));
    }
    Ok(PluginDevice { address, token })
}

/// Whether a text is a UUID, as in `3e49019f-412f-4f02-824e-4cd195944205`.
pub(crate) fn is_uuid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "3e49019f-412f-4f02-824e-4cd195944205";

    fn device(list: &str, info: Option<&str>, index: usize) -> Result<PluginDevice, String> {
        let environment = |name: &str| match name {
            "PCIDEVICE_A" => Some(list.to_owned()),
            "PCIDEVICE_A_INFO" => info.map(str::to_owned),
            _ => None,
        };
        plugin_device("PCIDEVICE_A", index, environment).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_and_tokens_are_read() {
        let info = format!(
            r#"{{"0000:3b:02.6":{{"vfio":{{"vfio-dev-mount":"/dev/vfio/169","vfio-mount":"/dev/vfio/vfio"}},
                "vhost":{{"net-mount":"/dev/vhost-net"}},"extraInfo":{{"token":"{TOKEN}"}}}},"0000:3b:02.7":{{}}}}"#
        );
        let first = device("0000:3b:02.6, 0000:3b:02.7", Some(&info), 0).unwrap();
        assert_eq!((first.address.to_string().as_str(), first.token.as_deref()), ("0000:3b:02.6", Some(TOKEN)));
        let second = device("0000:3b:02.6,0000:3b:02.7", Some(&info), 1).unwrap();
        assert_eq!((second.address.to_string().as_str(), second.token), ("0000:3b:02.7", None));
        // Older plugins give no more than addresses.
        assert_eq!(device("0000:3b:02.6", None, 0).unwrap().token, None);
    }

    #[test]
    fn what_is_odd_is_said() {
        let missing = plugin_device("PCIDEVICE_B", 0, |_| None).unwrap_err().to_string();
        assert_eq!(
            missing,
            "the environment has no PCIDEVICE_B; is its resource among the container's requests and limits?"
        );
        let few = "PCIDEVICE_A has 1 devices, and number 1, counted from 0, is wanted; request more";
        assert_eq!(device("0000:3b:02.6", None, 1).unwrap_err(), few);
        assert!(device("eth0", None, 0).unwrap_err().starts_with("PCIDEVICE_A: \"eth0\" is no PCI address"));
        assert!(device("0000:3b:02.6", Some("["), 0).unwrap_err().starts_with("PCIDEVICE_A_INFO: is not what"));
        let info = r#"{"0000:3b:02.6":{"extraInfo":{"token":"x --no-huge"}}}"#;
        assert_eq!(
            device("0000:3b:02.6", Some(info), 0).unwrap_err(),
            "PCIDEVICE_A_INFO: the token of 0000:3b:02.6 is no UUID"
        );
    }

    proptest! {
        #[test]
        fn nothing_in_the_environment_panics(list in any::<String>(), info in any::<String>(), index in 0..3usize) {
            let _ = device(&list, Some(&info), index);
        }
    }
}

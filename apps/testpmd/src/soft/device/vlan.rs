//! VLANs.

use super::super::features::{self, rx};
use super::{Device, ENOSYS};
use iogate::Result;
use iogate::port::VlanOffloads;

impl Device {
    /// What it does with VLAN tags.
    pub(crate) fn vlan(&self) -> VlanOffloads {
        self.soft.as_ref().map_or_else(|| self.device.vlan(), |soft| features::vlan_of(soft.state.borrow().vlan))
    }

    /// Changes what it does with VLAN tags.
    pub(crate) fn set_vlan(&self, vlan: VlanOffloads) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.set_vlan(vlan) };
        let bits = features::vlan_bits(vlan);
        // Those that nobody knows are asked of the device, to be refused in its words.
        let native = bits & (features::native_rx(self.device.info()) | !soft.info.rx_offloads);
        if native != features::vlan_bits(self.device.vlan()) {
            self.device.set_vlan(features::vlan_of(native))?;
        }
        soft.change().vlan = bits;
        Ok(())
    }

    /// Receives a VLAN, or no more, while the filter is on.
    pub(crate) fn filter_vlan(&self, vlan: u16, receive: bool) -> Result<()> {
        match &self.soft {
            Some(soft) if features::native_rx(self.device.info()) & rx::VLAN_FILTER == 0 => {
                if soft.state.borrow().vlan & rx::VLAN_FILTER == 0 {
                    crate::screen::warn(&format!("Port {}: VLAN-filtering disabled", self.id()));
                    return Err(self.error("VLAN-filtering disabled", ENOSYS));
                }
                soft.change().vlans.set(vlan, receive);
                Ok(())
            }
            _ => self.device.filter_vlan(vlan, receive),
        }
    }
}

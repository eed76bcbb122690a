//! The addresses that it receives.

use super::{Device, EADDRINUSE, EINVAL, ENOSPC, ENOTSUP, allowed};
use iogate::packet::MacAddr;
use iogate::{Errno, Result};

impl Device {
    /// Its own address.
    pub(crate) fn mac(&self) -> MacAddr {
        let own = self.soft.as_ref().and_then(|soft| soft.state.borrow().mac);
        own.unwrap_or_else(|| self.device.mac())
    }

    /// All addresses that it receives, its own first.
    pub(crate) fn macs(&self) -> Result<Vec<MacAddr>> {
        let Some(soft) = &self.soft else { return self.device.macs() };
        let own = [self.mac()].into_iter().filter(|mac| !mac.is_zero());
        Ok(own.chain(soft.state.borrow().macs.iter().copied()).collect())
    }

    /// Makes another address its own.
    pub(crate) fn set_mac(&self, mac: MacAddr) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.set_mac(mac) };
        match self.device.set_mac(mac) {
            Err(error) if error.errno() != Some(Errno(ENOTSUP)) => return Err(error),
            result => soft.state.borrow_mut().mac = result.is_err().then_some(mac),
        }
        soft.change().macs.retain(|known| *known != mac);
        Ok(())
    }

    /// Receives another address too.
    pub(crate) fn add_mac(&self, mac: MacAddr) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.add_mac(mac) };
        if mac.is_zero() {
            return Err(self.error("no address", EINVAL));
        }
        let known = self.macs()?;
        if known.contains(&mac) {
            return Ok(());
        }
        if known.len() >= soft.info.max_macs as usize {
            return Err(self.error("its table of addresses is full", ENOSPC));
        }
        soft.change().macs.push(mac);
        Ok(())
    }

    /// Receives an address that was added no more.
    pub(crate) fn remove_mac(&self, mac: MacAddr) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.remove_mac(mac) };
        if mac == self.mac() {
            return Err(self.error("it is its own address", EADDRINUSE));
        }
        soft.change().macs.retain(|known| *known != mac);
        Ok(())
    }

    /// The groups that it receives.
    pub(crate) fn set_groups(&self, groups: &[MacAddr]) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.set_groups(groups) };
        allowed(self.device.set_groups(groups))?;
        soft.change().groups = groups.to_vec();
        Ok(())
    }

    /// Whether frames for any address are received.
    pub(crate) fn promiscuous(&self) -> bool {
        self.soft.as_ref().map_or_else(|| self.device.promiscuous(), |soft| soft.state.borrow().promiscuous)
    }

    /// Receives frames for any address, or only for its own.
    pub(crate) fn set_promiscuous(&self, on: bool) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.set_promiscuous(on) };
        allowed(self.device.set_promiscuous(on))?;
        soft.change().promiscuous = on;
        Ok(())
    }

    /// Whether frames for any group are received.
    pub(crate) fn allmulticast(&self) -> bool {
        self.soft.as_ref().map_or_else(|| self.device.allmulticast(), |soft| soft.state.borrow().all_groups)
    }

    /// Receives frames for any group, or only for those it was told.
    pub(crate) fn set_allmulticast(&self, on: bool) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.set_allmulticast(on) };
        allowed(self.device.set_allmulticast(on))?;
        soft.change().all_groups = on;
        Ok(())
    }
}

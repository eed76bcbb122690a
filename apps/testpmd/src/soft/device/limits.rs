//! Lengths, pauses, tunnels.

use super::super::features;
use super::{Device, EINVAL, ENOTSUP, allowed};
use iogate::port::{FlowControl, Tunnel, interface_mtu, set_interface_mtu};
use iogate::{Errno, Result};

impl Device {
    /// Largest packet, bytes without the Ethernet header.
    pub(crate) fn mtu(&self) -> Result<u16> {
        let own = self.soft.as_ref().and_then(|soft| soft.state.borrow().mtu);
        own.map_or_else(|| self.device.mtu(), Ok)
    }

    /// Changes the MTU.
    pub(crate) fn set_mtu(&self, bytes: u16) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.set_mtu(bytes) };
        if !(self.info().min_mtu..=self.info().max_mtu).contains(&bytes) {
            return Err(self.error("the MTU", EINVAL));
        }
        self.widen(bytes)?;
        soft.change().mtu = Some(bytes);
        Ok(())
    }

    /// Has the device, and the interface behind it, let packets of a size pass. An interface is not made narrower than
    /// it was: packets that are too long are dropped here, and other programs may want it as it is.
    pub(super) fn widen(&self, bytes: u16) -> Result<()> {
        let interface = features::interface(self.device.info());
        let read = |name| interface_mtu(name).unwrap_or(0);
        let before = interface.map_or(0, read);
        match self.device.set_mtu(bytes) {
            Err(error) if error.errno() == Some(Errno(ENOTSUP)) => {}
            result => result?,
        }
        let (Some(name), wanted) = (interface, before.max(bytes.into())) else { return Ok(()) };
        if read(name) < wanted && set_interface_mtu(name, wanted).is_err() {
            return Err(self.error("the MTU of the interface", EINVAL));
        }
        Ok(())
    }

    /// Its flow control. Where the device has none it is remembered, and no frame is ever held back for it.
    pub(crate) fn flow_control(&self) -> Result<FlowControl> {
        match (&self.soft, self.device.flow_control()) {
            (Some(soft), Err(error)) if error.errno() == Some(Errno(ENOTSUP)) => {
                Ok(soft.state.borrow().flow_control.unwrap_or_default())
            }
            (_, result) => result,
        }
    }

    /// Changes its flow control.
    pub(crate) fn set_flow_control(&self, flow: &FlowControl) -> Result<()> {
        match (&self.soft, self.device.set_flow_control(flow)) {
            (Some(soft), Err(error)) if error.errno() == Some(Errno(ENOTSUP)) => {
                soft.state.borrow_mut().flow_control = Some(*flow);
                Ok(())
            }
            (_, result) => result,
        }
    }

    /// Tells it the UDP port of a tunnel, or to forget it.
    pub(crate) fn tunnel_port(&self, tunnel: Tunnel, udp_port: u16, known: bool) -> Result<()> {
        let Some(soft) = &self.soft else { return self.device.tunnel_port(tunnel, udp_port, known) };
        let native = self.device.tunnel_port(tunnel, udp_port, known);
        if tunnel != Tunnel::Vxlan {
            return native;
        }
        allowed(native)?;
        let tunnels = &mut soft.change().tunnels;
        tunnels.retain(|port| *port != udp_port);
        if known {
            tunnels.push(udp_port);
        }
        Ok(())
    }
}

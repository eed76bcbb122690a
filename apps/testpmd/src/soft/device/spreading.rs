//! How packets are spread over queues.

use super::super::spread;
use super::super::state::Soft;
use super::{Device, EINVAL, ENOTSUP};
use iogate::Result;
use iogate::port::FlowHash;

impl Device {
    /// The key that packets are hashed with, and the fields.
    pub(crate) fn rss(&self) -> Result<(Vec<u8>, u64)> {
        let Some(soft) = self.spreading() else { return self.device.rss() };
        let state = soft.state.borrow();
        Ok((state.key.clone(), state.fields))
    }

    /// Changes the fields that packets are hashed by, and the key unless it is empty.
    pub(crate) fn set_rss(&self, key: &[u8], fields: u64) -> Result<()> {
        let Some(soft) = self.spreading() else { return self.device.set_rss(key, fields) };
        if !key.is_empty() && key.len() != spread::KEY_SIZE {
            return Err(self.error("the length of the key", EINVAL));
        }
        let mut state = soft.change();
        state.fields = fields;
        if !key.is_empty() {
            state.key = key.to_vec();
        }
        Ok(())
    }

    /// How hashes are made, where it is known.
    pub(crate) fn hash_function(&self) -> Option<FlowHash> {
        self.spreading().map(|soft| soft.state.borrow().function)
    }

    /// Changes how hashes are made.
    pub(crate) fn set_hash_function(&self, function: FlowHash) -> Result<()> {
        let Some(soft) = self.spreading() else { return Err(self.error("another way to hash", ENOTSUP)) };
        soft.change().function = function;
        Ok(())
    }

    /// The RX queue of each entry of the table that spreads packets.
    pub(crate) fn reta(&self) -> Result<Vec<u16>> {
        let Some(soft) = self.spreading() else { return self.device.reta() };
        let reta = soft.state.borrow().reta.clone();
        if reta.is_empty() { Err(self.error("it is not configured", EINVAL)) } else { Ok(reta) }
    }

    /// Changes entries of the table that spreads packets: (entry, RX queue).
    pub(crate) fn set_reta(&self, entries: &[(u16, u16)]) -> Result<()> {
        let Some(soft) = self.spreading() else { return self.device.set_reta(entries) };
        let mut state = soft.change();
        let queues = state.config.rx_queues;
        if state.reta.is_empty() || entries.iter().any(|(_, queue)| *queue >= queues) {
            return Err(self.error("there is no such queue", EINVAL));
        }
        for (entry, queue) in entries {
            if let Some(place) = state.reta.get_mut(usize::from(*entry)) {
                *place = *queue;
            }
        }
        Ok(())
    }

    fn spreading(&self) -> Option<&Soft> {
        self.soft.as_deref().filter(|soft| soft.spreads)
    }
}

//! Flow rules.

use super::super::rules;
use super::Device;
use iogate::port::{FlowCount, FlowError, FlowRule};

impl Device {
    /// Asks whether it would take a rule.
    pub(crate) fn validate_flow(&self, rule: &FlowRule) -> Result<(), FlowError> {
        let Some(soft) = &self.soft else { return self.device.validate_flow(rule) };
        let state = soft.state.borrow();
        rules::validate(rule, state.config.rx_queues)
    }

    /// Gives it a rule; returns its number.
    pub(crate) fn create_flow(&self, rule: &FlowRule) -> Result<u32, FlowError> {
        let Some(soft) = &self.soft else { return self.device.create_flow(rule) };
        self.validate_flow(rule)?;
        Ok(soft.change().table.add(rule))
    }

    /// Takes a rule back. False when there is none of this number.
    pub(crate) fn destroy_flow(&self, number: u32) -> Result<bool, FlowError> {
        let Some(soft) = &self.soft else { return self.device.destroy_flow(number) };
        Ok(soft.change().table.remove(number))
    }

    /// Takes all rules back.
    pub(crate) fn flush_flows(&self) -> Result<(), FlowError> {
        let Some(soft) = &self.soft else { return self.device.flush_flows() };
        soft.change().table.clear();
        Ok(())
    }

    /// Receives only what rules ask for, or everything else too.
    pub(crate) fn isolate_flows(&self, on: bool) -> Result<(), FlowError> {
        let Some(soft) = &self.soft else { return self.device.isolate_flows(on) };
        soft.change().table.isolated = on;
        Ok(())
    }

    /// What a rule counted; nothing when there is none of this number.
    pub(crate) fn query_flow(&self, number: u32) -> Result<Option<FlowCount>, FlowError> {
        let Some(soft) = &self.soft else { return self.device.query_flow(number) };
        Ok(soft.state.borrow().table.count(number))
    }
}

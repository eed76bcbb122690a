//! Whether software can do what a rule asks for.

use super::super::spread;
use super::item::ranges;
use super::layers::MOST_LAYERS;
use crate::flow;
use iogate::Errno;
use iogate::port::{FlowAction, FlowError, FlowHeader, FlowRule};

/// `RTE_FLOW_ERROR_TYPE_*`: the part of a rule that an error is about.
mod part {
    pub(super) const INGRESS: u32 = 5;
    pub(super) const EGRESS: u32 = 6;
    pub(super) const TRANSFER: u32 = 7;
    pub(super) const LAST: u32 = 11;
    pub(super) const ITEM: u32 = 13;
    pub(super) const ACTION_NUM: u32 = 14;
    pub(super) const ACTION_CONF: u32 = 15;
    pub(super) const ACTION: u32 = 16;
}

/// Whether software can do what a rule asks for on a port of so many RX queues.
///
/// # Errors
/// The part that is wrong, and where in the rule it stands.
pub(in crate::soft) fn validate(rule: &FlowRule, queues: u16) -> Result<(), FlowError> {
    const ENOTSUP: i32 = 95;
    const EINVAL: i32 = 22;
    let refuse = |part, errno, message: String| Err(FlowError { part, message, errno: Errno(errno) });
    if rule.egress {
        return refuse(part::EGRESS, ENOTSUP, "rules are for packets that come in".to_owned());
    }
    if rule.transfer {
        return refuse(part::TRANSFER, ENOTSUP, "there is no card whose ports it could be between".to_owned());
    }
    if !rule.ingress {
        return refuse(part::INGRESS, EINVAL, "a direction is missing: ingress".to_owned());
    }
    if rule.pattern.len() > MOST_LAYERS {
        return refuse(part::ITEM, ENOTSUP, format!("more than {MOST_LAYERS} items"));
    }
    for (at, pair) in rule.pattern.windows(2).enumerate() {
        if !follows(pair[0].kind, pair[1].kind) {
            let [before, name] = [pair[0].kind, pair[1].kind].map(flow::name);
            let message = format!("item {} ({name}) cannot stand behind {before}", at + 2);
            return refuse(part::ITEM, EINVAL, message);
        }
    }
    for (at, item) in rule.pattern.iter().enumerate() {
        let ranges = ranges(item);
        if let Some(range) = ranges.iter().find(|range| range.last < range.first) {
            let name = flow::name(item.kind);
            let message = format!("item {} ({name}): {} ends before it begins", at + 1, range.name);
            return refuse(part::LAST, EINVAL, message);
        }
    }
    if rule.actions.is_empty() {
        return refuse(part::ACTION_NUM, EINVAL, "there is no action".to_owned());
    }
    let mut decided = None;
    for (at, action) in rule.actions.iter().enumerate() {
        let name = flow::action_name(action);
        let place = format!("action {} ({name})", at + 1);
        if let Some(first) = decided {
            return refuse(part::ACTION, EINVAL, format!("{place} comes behind {first}, which is the last"));
        }
        match action {
            FlowAction::Queue(queue) if *queue >= queues => {
                return refuse(part::ACTION_CONF, EINVAL, format!("{place}: there is no RX queue {queue}"));
            }
            FlowAction::Jump(group) if *group <= rule.group => {
                let message = format!("{place}: group {group} is not behind group {}, and could lead back", rule.group);
                return refuse(part::ACTION_CONF, EINVAL, message);
            }
            FlowAction::Spread { fields, queues: list, .. } => {
                if let Some(queue) = list.iter().find(|queue| **queue >= queues) {
                    return refuse(part::ACTION_CONF, EINVAL, format!("{place}: there is no RX queue {queue}"));
                }
                if fields & !spread::FIELDS != 0 || *fields == 0 {
                    let message = format!("{place}: types other than those of IPv4 and IPv6 cannot be hashed");
                    return refuse(part::ACTION_CONF, ENOTSUP, message);
                }
            }
            _ => {}
        }
        let ends =
            matches!(action, FlowAction::Drop | FlowAction::Queue(_) | FlowAction::Jump(_) | FlowAction::Spread { .. });
        decided = ends.then_some(name);
    }
    Ok(())
}

/// Whether one header can stand behind another.
fn follows(before: FlowHeader, header: FlowHeader) -> bool {
    use FlowHeader::{Arp, Ethernet, Icmp, Ipv4, Ipv6, Sctp, Tcp, Udp, Vlan, Vxlan};
    match before {
        Ethernet | Vlan => matches!(header, Vlan | Arp | Ipv4 | Ipv6),
        Ipv4 => matches!(header, Tcp | Udp | Sctp | Icmp),
        Ipv6 => matches!(header, Tcp | Udp | Sctp),
        Udp => header == Vxlan,
        Vxlan => header == Ethernet,
        Tcp | Sctp | Icmp | Arp => false,
    }
}

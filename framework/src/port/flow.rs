//! Flow rules: what a device does with packets that it recognises.
//!
//! A device keeps its rules; they go when it is stopped, so that none outlives its queues.

use super::Device;
use super::device::control;
use super::lookup::text;
use crate::error::Errno;
use crate::packet::MacAddr;
use std::net::Ipv4Addr;

/// Items a pattern has at most, and actions a rule.
pub const MOST_FLOW_PARTS: usize = dpdk_sys::SHIM_FLOW_MOST as usize;

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowRule {
    /// Rules of a group are looked at together.
    pub group: u32,
    /// Rules of a lower number go first.
    pub priority: u32,
    /// For packets that come in.
    pub ingress: bool,
    /// For packets that go out.
    pub egress: bool,
    /// For packets between a card's ports.
    pub transfer: bool,
    /// Headers, outermost first.
    pub pattern: Vec<FlowItem>,
    /// What is done.
    pub actions: Vec<FlowAction>,
}

/// A header, and what is to stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowItem {
    /// Which header.
    pub kind: FlowHeader,
    /// Bytes of the header as on the wire, each with the bits of it that count; nothing for any.
    pub bytes: Option<([u8; 40], [u8; 40])>,
    /// Where a field is to be within a range: its last value, in the place that its first one has in `bytes`. All of
    /// a field is 0 here when it is to be just that one.
    pub last: Option<[u8; 40]>,
}

/// Headers that rules know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words say it")]
pub enum FlowHeader {
    Ethernet,
    Vlan,
    Ipv4,
    Ipv6,
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Vxlan,
    Arp,
}

/// What is done with packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowAction {
    /// They are dropped.
    Drop,
    /// Later rules decide.
    Passthru,
    /// They go to an RX queue.
    Queue(u16),
    /// Another group of rules decides.
    Jump(u32),
    /// They are marked with a number.
    Mark(u32),
    /// They are marked.
    Flag,
    /// They are counted.
    Count,
    /// They are spread over queues by fields (`RTE_ETH_RSS_*`).
    Spread {
        /// Fields.
        fields: u64,
        /// Queues; none: all that the port spreads packets over.
        queues: Vec<u16>,
        /// How a hash is made of the fields.
        function: FlowHash,
    },
    /// They get another source MAC address.
    SetMacSrc(MacAddr),
    /// They get another destination MAC address.
    SetMacDst(MacAddr),
    /// They get another source IPv4 address.
    SetIpv4Src(Ipv4Addr),
    /// They get another destination IPv4 address.
    SetIpv4Dst(Ipv4Addr),
}

/// How a hash is made of the fields of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowHash {
    /// As the device does.
    #[default]
    Default,
    /// Toeplitz.
    Toeplitz,
    /// The words of the fields, exclusive or.
    SimpleXor,
    /// Toeplitz, of what source and destination differ in: the same for both directions of a flow.
    SymmetricToeplitz,
}

/// What a rule counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCount {
    /// Packets, where they are counted.
    pub hits: Option<u64>,
    /// Bytes, where they are counted.
    pub bytes: Option<u64>,
}

/// Why a device does not take a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {}", errno.text())]
pub struct FlowError {
    /// `RTE_FLOW_ERROR_TYPE_*`: which part of the rule it is about.
    pub part: u32,
    /// The driver's words, possibly empty.
    pub message: String,
    /// The error.
    pub errno: Errno,
}

/// The rules that a device has, by our numbers.
#[derive(Debug, Default)]
pub(super) struct Rules {
    next: u32,
    list: Vec<(u32, *mut dpdk_sys::rte_flow)>,
}

impl Device {
    /// Asks whether the device would take a rule.
    pub fn validate_flow(&self, rule: &FlowRule) -> Result<(), FlowError> {
        self.make_flow(rule, false).map(|_| ())
    }

    /// Gives the device a rule; returns its number. It is gone when the device is stopped.
    pub fn create_flow(&self, rule: &FlowRule) -> Result<u32, FlowError> {
        let mut rules = self.rules();
        let raw = self.make_flow(rule, true)?;
        let number = rules.next;
        rules.next += 1;
        rules.list.push((number, raw));
        Ok(number)
    }

    /// Takes a rule back. False when there is none of this number.
    pub fn destroy_flow(&self, number: u32) -> Result<bool, FlowError> {
        let mut rules = self.rules();
        let Some(at) = rules.list.iter().position(|(known, _)| *known == number) else { return Ok(false) };
        let mut error = dpdk_sys::shim_flow_error::default();
        let _one_at_a_time = control();
        // SAFETY: made by this device, and forgotten when it has been destroyed.
        let result = unsafe { dpdk_sys::shim_flow_destroy(self.id(), rules.list[at].1, &mut error) };
        outcome(result, &error)?;
        rules.list.remove(at);
        Ok(true)
    }

    /// What a rule counted; nothing when there is none of this number.
    pub fn query_flow(&self, number: u32) -> Result<Option<FlowCount>, FlowError> {
        let rules = self.rules();
        let Some((_, raw)) = rules.list.iter().find(|(known, _)| *known == number) else { return Ok(None) };
        let (mut error, mut count) = (dpdk_sys::shim_flow_error::default(), dpdk_sys::shim_flow_count::default());
        let _one_at_a_time = control();
        // SAFETY: made by this device, and not destroyed; the call fills the structure.
        outcome(unsafe { dpdk_sys::shim_flow_query(self.id(), *raw, &mut count, &mut error) }, &error)?;
        let known = |set: u8, value: u64| (set != 0).then_some(value);
        let (hits, bytes) = (known(count.hits_set, count.hits), known(count.bytes_set, count.bytes));
        Ok(Some(FlowCount { hits, bytes }))
    }

    /// Takes all rules back, also those that nobody here made.
    pub fn flush_flows(&self) -> Result<(), FlowError> {
        let mut rules = self.rules();
        let mut error = dpdk_sys::shim_flow_error::default();
        let _one_at_a_time = control();
        // SAFETY: the port is open. Whatever is returned, no handle is valid afterwards.
        let result = unsafe { dpdk_sys::shim_flow_flush(self.id(), &mut error) };
        *rules = Rules::default();
        outcome(result, &error)
    }

    /// Receives only what rules ask for, or everything else too.
    pub fn isolate_flows(&self, on: bool) -> Result<(), FlowError> {
        let mut error = dpdk_sys::shim_flow_error::default();
        let _one_at_a_time = control();
        // SAFETY: the port is open.
        outcome(unsafe { dpdk_sys::shim_flow_isolate(self.id(), i32::from(on), &mut error) }, &error)
    }

    /// Before it is stopped: drivers may forget rules then, and handles with them.
    pub(super) fn drop_flows(&self) {
        if !self.rules().list.is_empty()
            && let Err(error) = self.flush_flows()
        {
            tracing::warn!("port {}: rules: {error}", self.spec());
        }
    }

    fn make_flow(&self, rule: &FlowRule, create: bool) -> Result<*mut dpdk_sys::rte_flow, FlowError> {
        if rule.pattern.len() > MOST_FLOW_PARTS || rule.actions.len() > MOST_FLOW_PARTS {
            let message = format!("more than {MOST_FLOW_PARTS} parts");
            return Err(FlowError { part: 1, message, errno: Errno(libc::E2BIG) });
        }
        let mut raw = dpdk_sys::shim_flow_rule {
            group: rule.group,
            priority: rule.priority,
            ingress: u8::from(rule.ingress),
            egress: u8::from(rule.egress),
            transfer: u8::from(rule.transfer),
            item_count: rule.pattern.len() as u32,
            action_count: rule.actions.len() as u32,
            ..Default::default()
        };
        for (raw, item) in raw.items.iter_mut().zip(&rule.pattern) {
            raw.kind = item.kind.raw();
            raw.any = u32::from(item.bytes.is_none());
            raw.ranges = u32::from(item.last.is_some());
            if let Some(last) = &item.last {
                raw.last[..last.len()].copy_from_slice(last);
            }
            if let Some((spec, mask)) = &item.bytes {
                raw.spec[..spec.len()].copy_from_slice(spec);
                raw.mask[..mask.len()].copy_from_slice(mask);
            }
        }
        for (raw, action) in raw.actions.iter_mut().zip(&rule.actions) {
            action.fill(raw);
        }
        let mut error = dpdk_sys::shim_flow_error::default();
        let mut made = std::ptr::null_mut();
        let place = if create { &raw mut made } else { std::ptr::null_mut() };
        let _one_at_a_time = control();
        // SAFETY: the port is open; as many parts as are counted are filled, and the queues that they
        // point to are the rule's, which outlives the call.
        outcome(unsafe { dpdk_sys::shim_flow_make(self.id(), &raw, place, &mut error) }, &error)?;
        Ok(made)
    }
}

impl FlowHeader {
    fn raw(self) -> u32 {
        match self {
            FlowHeader::Ethernet => dpdk_sys::SHIM_FLOW_ETH,
            FlowHeader::Vlan => dpdk_sys::SHIM_FLOW_VLAN,
            FlowHeader::Ipv4 => dpdk_sys::SHIM_FLOW_IPV4,
            FlowHeader::Ipv6 => dpdk_sys::SHIM_FLOW_IPV6,
            FlowHeader::Tcp => dpdk_sys::SHIM_FLOW_TCP,
            FlowHeader::Udp => dpdk_sys::SHIM_FLOW_UDP,
            FlowHeader::Sctp => dpdk_sys::SHIM_FLOW_SCTP,
            FlowHeader::Icmp => dpdk_sys::SHIM_FLOW_ICMP,
            FlowHeader::Vxlan => dpdk_sys::SHIM_FLOW_VXLAN,
            FlowHeader::Arp => dpdk_sys::SHIM_FLOW_ARP,
        }
    }
}

impl FlowAction {
    fn fill(&self, raw: &mut dpdk_sys::shim_flow_action) {
        (raw.kind, raw.value) = match self {
            FlowAction::Drop => (dpdk_sys::SHIM_FLOW_DROP, 0),
            FlowAction::Passthru => (dpdk_sys::SHIM_FLOW_PASSTHRU, 0),
            FlowAction::Queue(queue) => (dpdk_sys::SHIM_FLOW_QUEUE, u32::from(*queue)),
            FlowAction::Jump(group) => (dpdk_sys::SHIM_FLOW_JUMP, *group),
            FlowAction::Mark(mark) => (dpdk_sys::SHIM_FLOW_MARK, *mark),
            FlowAction::Flag => (dpdk_sys::SHIM_FLOW_FLAG, 0),
            FlowAction::Count => (dpdk_sys::SHIM_FLOW_COUNT, 0),
            FlowAction::Spread { function, .. } => (dpdk_sys::SHIM_FLOW_RSS, function.raw()),
            FlowAction::SetMacSrc(_) => (dpdk_sys::SHIM_FLOW_SET_MAC_SRC, 0),
            FlowAction::SetMacDst(_) => (dpdk_sys::SHIM_FLOW_SET_MAC_DST, 0),
            FlowAction::SetIpv4Src(_) => (dpdk_sys::SHIM_FLOW_SET_IPV4_SRC, 0),
            FlowAction::SetIpv4Dst(_) => (dpdk_sys::SHIM_FLOW_SET_IPV4_DST, 0),
        };
        match self {
            FlowAction::Spread { fields, queues, .. } => {
                raw.fields = *fields;
                raw.queues = queues.as_ptr();
                raw.queue_count = queues.len() as u32;
            }
            FlowAction::SetMacSrc(mac) | FlowAction::SetMacDst(mac) => raw.address[..6].copy_from_slice(&mac.octets()),
            FlowAction::SetIpv4Src(ip) | FlowAction::SetIpv4Dst(ip) => raw.address[..4].copy_from_slice(&ip.octets()),
            _ => {}
        }
    }
}

impl FlowHash {
    fn raw(self) -> u32 {
        match self {
            FlowHash::Default => dpdk_sys::SHIM_FLOW_HASH_DEFAULT,
            FlowHash::Toeplitz => dpdk_sys::SHIM_FLOW_HASH_TOEPLITZ,
            FlowHash::SimpleXor => dpdk_sys::SHIM_FLOW_HASH_SIMPLE_XOR,
            FlowHash::SymmetricToeplitz => dpdk_sys::SHIM_FLOW_HASH_SYMMETRIC_TOEPLITZ,
        }
    }
}

fn outcome(result: i32, error: &dpdk_sys::shim_flow_error) -> Result<(), FlowError> {
    if result == 0 {
        return Ok(());
    }
    // SAFETY: the shim ends it with a NUL.
    let message = unsafe { text(error.message.as_ptr()) };
    Err(FlowError { part: error.type_, message, errno: Errno(result.saturating_abs()) })
}

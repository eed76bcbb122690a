//! `[[pf]]` and `[[vf]]`.

use std::collections::HashMap;

use iogate::packet::MacAddr;
use iogate::port::PortSpec;
use iogate::sriov::{HwMode, LinkState, PciAddress, VfRate};

use super::{MAX_QUEUES, Ref, flag, int, mac, name};
use crate::config::model::{Name, Vid};
use crate::config::read::{At, Head, Table, Value};

pub(in crate::config) struct RawPf<'a> {
    pub(in crate::config) head: Head<'a>,
    pub(in crate::config) name: Option<Name>,
    pub(in crate::config) pci: Option<At<PciAddress>>,
    pub(in crate::config) driver: Option<Ref<'a>>,
    pub(in crate::config) num_vfs: Option<At<u16>>,
    pub(in crate::config) hw_mode: Option<HwMode>,
    pub(in crate::config) lanes: Option<At<u8>>,
    pub(in crate::config) up: bool,
    pub(in crate::config) promiscuous: bool,
}

pub(in crate::config) struct RawVf<'a> {
    pub(in crate::config) head: Head<'a>,
    pub(in crate::config) name: Option<Name>,
    pub(in crate::config) pf: Option<Ref<'a>>,
    pub(in crate::config) index: Option<At<u16>>,
    /// The server; `None` is the gateway.
    pub(in crate::config) server: Option<Name>,
    pub(in crate::config) driver: Option<Ref<'a>>,
    pub(in crate::config) queues: u16,
    pub(in crate::config) mac: Option<At<MacAddr>>,
    pub(in crate::config) vlan: Option<At<u16>>,
    pub(in crate::config) qos: Option<At<u8>>,
    pub(in crate::config) service: Option<At<bool>>,
    pub(in crate::config) trust: Option<At<bool>>,
    pub(in crate::config) spoof_check: Option<At<bool>>,
    pub(in crate::config) link_state: LinkState,
    pub(in crate::config) min_tx: Option<At<u32>>,
    pub(in crate::config) max_tx: u32,
}

/// `[[pf]]`
pub(in crate::config) fn pf<'a>(t: Table<'a>) -> RawPf<'a> {
    let name = name(&t);
    let pci = t.must("pci", "say where it is, as in \"0000:3b:00.0\"").and_then(|v| v.parse_or_say());
    let driver = t.get("driver").and_then(|v| driver(&v));
    let num_vfs = t.must("num_vfs", "say how many virtual functions it has").and_then(|v| v.int(0..=1024));
    let modes = [("veb", HwMode::Veb), ("vepa", HwMode::Vepa)];
    let hw_mode = t.get("hwmode").and_then(|v| v.choice(&modes)).map(|m| m.value);
    let lanes = t.get("lanes").and_then(|v| v.int(1..=8));
    let (up, promiscuous) = (flag(&t, "up", true), flag(&t, "promiscuous", false));
    let head = t.head.clone();
    t.finish();
    RawPf { head, name, pci, driver, num_vfs, hw_mode, lanes, up, promiscuous }
}

/// `[[vf]]`
pub(in crate::config) fn vf<'a>(t: Table<'a>) -> RawVf<'a> {
    let name = name(&t);
    let pf = t.must("pf", "name the pf that it is part of").and_then(|v| v.text());
    let index = t.must("index", "say which one it is, counted from 0").and_then(|v| v.int(0..=1023));
    let server = t.get("owner").and_then(|v| server(&v));
    let driver = t.get("driver").and_then(|v| driver(&v));
    let queues = int(&t, "queues", 1..=MAX_QUEUES, 1);
    let any = flag(&t, "mac_any", false);
    let mac = t.get("mac").and_then(|v| mac(&v, any));
    let vlan = t.get("vlan").and_then(|v| v.int(0..=Vid::MAX));
    let qos = t.get("qos").and_then(|v| v.int(0..=7));
    let service = t.get("vlan_proto").and_then(|v| v.choice(&[("802.1q", false), ("802.1ad", true)]));
    let said = |key| t.get(key).and_then(|v: Value<'a>| Some(At { value: v.flag()?, line: v.line }));
    let (trust, spoof_check) = (said("trust"), said("spoofchk"));
    let states = [("auto", LinkState::Auto), ("enable", LinkState::Enable), ("disable", LinkState::Disable)];
    let link_state = t.get("link_state").and_then(|v| v.choice(&states)).map_or(LinkState::Auto, |s| s.value);
    let min_tx = t.get("min_tx_mbps").and_then(|v| v.int(0..=1_000_000));
    let max_tx = int(&t, "max_tx_mbps", 0..=1_000_000, 0);
    let head = t.head.clone();
    t.finish();
    RawVf {
        head,
        name,
        pf,
        index,
        server,
        driver,
        queues,
        mac,
        vlan,
        qos,
        service,
        trust,
        spoof_check,
        link_state,
        min_tx,
        max_tx,
    }
}

impl RawVf<'_> {
    /// What it may send.
    pub(in crate::config) fn rate(&self) -> VfRate {
        VfRate { min_mbps: self.min_tx.map_or(0, |min| min.value), max_mbps: self.max_tx }
    }
}

fn driver<'a>(v: &Value<'a>) -> Option<Ref<'a>> {
    let text = v.text()?;
    let good = !text.value.is_empty() && text.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !good {
        v.refuse("is not a driver; write it as `lspci -k` does, as in \"vfio-pci\"");
    }
    good.then_some(text)
}

/// The server that `owner` names; nothing for the gateway.
fn server(v: &Value<'_>) -> Option<Name> {
    let text = v.text()?.value;
    let server = text.strip_prefix("server:").and_then(Name::parse);
    if server.is_none() && text != "gateway" {
        v.refuse("is not known; use \"gateway\", or \"server:NAME\"");
    }
    server
}

/// What links and uplinks may name as their port, by the VF's name.
pub(in crate::config) type VfPorts<'a> = HashMap<&'a str, VfPort<'a>>;

/// A VF as the port of a link or an uplink.
pub(in crate::config) struct VfPort<'a> {
    pub(in crate::config) head: &'a Head<'a>,
    /// `None` where the VF has a problem of its own.
    pub(in crate::config) spec: Option<PortSpec>,
    pub(in crate::config) queues: u16,
    pub(in crate::config) server: Option<&'a Name>,
}

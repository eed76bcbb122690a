//! What `show` shows, as plain data: made by the gateway (`collect`), rendered by the client.

use serde::{Deserialize, Serialize};

macro_rules! records {
    ($($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty,)+ })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $name { $($(#[doc = $field_doc])+ pub $field: $type,)+ }
    )+};
}

records! {
    /// Packets and bytes, bytes without the frame check sequence.
    Amount {
        /// Packets.
        packets: u64,
        /// Bytes.
        bytes: u64,
    }

    /// A port of a link or an uplink.
    PortRow {
        /// The link's or uplink's name.
        name: String,
        /// `link` or `uplink`.
        role: String,
        /// What it was opened from.
        port: String,
        /// DPDK's driver.
        driver: String,
        /// Whether frames can pass.
        up: bool,
        /// Mbit/s, where known.
        speed_mbps: Option<u32>,
        /// Bytes without the Ethernet header.
        mtu: Option<u16>,
        /// Whether frames for any address are received.
        promiscuous: bool,
        /// `everything`, or `N addresses, M groups`.
        receives: String,
        /// Adapters that the port does not serve, because it cannot receive everything.
        unserved: Vec<String>,
        /// RX queues.
        rx_queues: u16,
        /// TX queues.
        tx_queues: u16,
        /// Received, as the driver counts.
        rx: Amount,
        /// Sent, as the driver counts.
        tx: Amount,
        /// Lost before they were fetched.
        rx_missed: u64,
        /// Received broken.
        rx_errors: u64,
        /// Lost because the pool was empty.
        rx_no_buffer: u64,
        /// Taken by the driver and not sent.
        tx_errors: u64,
        /// Times that the watchdog restarted it.
        restarts: u64,
    }

    /// A vNIC or a vHBA.
    VnicRow {
        /// Its name.
        name: String,
        /// `vnic` or `vhba`.
        kind: String,
        /// The link it is on.
        link: String,
        /// Its address.
        mac: String,
        /// Addresses that it has by FIP besides.
        logins: Vec<String>,
        /// Its networks, each with its tag on the link, as `prod` or `prod:110`.
        networks: Vec<String>,
        /// Whether it is set up.
        up: bool,
        /// Frames of its server that went through.
        from_server: Amount,
        /// Frames to its server.
        to_server: Amount,
        /// Frames of its server that were dropped after they were known to be its.
        dropped: Amount,
    }

    /// A network.
    NetworkRow {
        /// Its name.
        name: String,
        /// `network` or `storage`.
        kind: String,
        /// Its VLAN on the uplink; absent when untagged.
        vlan: Option<u16>,
        /// Its uplink group.
        group: String,
        /// The uplink in use.
        active: Option<String>,
        /// vNICs and vHBAs in it.
        members: usize,
        /// Frames of servers that went through.
        from_server: Amount,
        /// Frames to servers.
        to_server: Amount,
    }

    /// A traffic class.
    ClassRow {
        /// Its name.
        name: String,
        /// Its priority.
        pcp: u8,
        /// `network`, `storage` or `both`.
        kind: String,
        /// Frames of servers that went through.
        from_server: Amount,
        /// Frames to servers.
        to_server: Amount,
    }

    /// Frames dropped at one place for one reason.
    DropRow {
        /// The reason's name.
        reason: String,
        /// `from-server`, `from-uplink`, `to-server` or `to-uplink`.
        direction: String,
        /// The link or uplink where they came in, or were to go out.
        port: String,
        /// How many.
        packets: u64,
        /// Their bytes; absent where the driver does not say.
        bytes: Option<u64>,
        /// What the reason means.
        meaning: String,
    }

    /// A worker.
    WorkerRow {
        /// Its core.
        core: usize,
        /// What it does when nothing arrives, in the configuration's word.
        idle: String,
        /// The queues it polls.
        queues: Vec<String>,
        /// Packets it received.
        packets: u64,
        /// Times it polled all its queues.
        rounds: u64,
        /// Rounds that found packets.
        busy_rounds: u64,
        /// Times it slept.
        sleeps: u64,
        /// Median time of a round that found packets, ns; absent before it was measured, as some rounds are.
        round_ns_p50: Option<u64>,
        /// 99th percentile of the same, ns.
        round_ns_p99: Option<u64>,
    }

    /// A stage of a worker's pipeline.
    StageRow {
        /// The worker's core.
        core: usize,
        /// The stage's name.
        stage: String,
        /// Batches it worked on.
        calls: u64,
        /// Packets it worked on.
        packets: u64,
        /// Packets a call.
        packets_per_call: f64,
        /// TSC cycles a packet; absent before it was measured.
        cycles_per_packet: Option<f64>,
    }

    /// Where all packets went.
    TotalsRow {
        /// Received from ports.
        received: u64,
        /// Copies made.
        generated: u64,
        /// Taken by ports.
        sent: u64,
        /// Dropped, each with a reason.
        dropped: u64,
        /// Waiting to be sent.
        pending: u64,
    }
}

/// A report on one topic. Its JSON is an object with `schema`, `gateway`, `uptime_s`, and the rows
/// under the topic's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`](super::SCHEMA).
    pub schema: u32,
    /// The gateway's name.
    pub gateway: String,
    /// Seconds since its start.
    pub uptime_s: u64,
    /// The rows.
    #[serde(flatten)]
    pub rows: Rows,
}

/// The rows of a [`Report`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "documented at Topic")]
pub enum Rows {
    Ports(Vec<PortRow>),
    Vnics(Vec<VnicRow>),
    Networks(Vec<NetworkRow>),
    Classes(Vec<ClassRow>),
    Drops(Vec<DropRow>),
    Workers(Vec<WorkerRow>),
    Runtime { stages: Vec<StageRow>, totals: TotalsRow },
}

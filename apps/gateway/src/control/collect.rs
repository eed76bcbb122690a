//! From the counters of a running gateway to the rows of a report.

use super::report::{
    Amount, ClassRow, DropRow, NetworkRow, PortRow, Report, Rows, StageRow, TotalsRow, VnicRow, WorkerRow,
};
use super::{SCHEMA, Topic};
use crate::config::model::{AdapterKind, NetworkId, Scope};
use crate::dataplane::tables::NO_UPLINK;
use crate::dataplane::{Direction, Ingress, drop};
use crate::plan::{Receives, State};
use iogate::pipeline::{DropCounters, DropReason};
use iogate::port::Port;
use iogate::telemetry::cycles_per_second;
use iogate::worker::Idle;
use std::sync::atomic::Ordering;

/// Reads the counters that a topic is about.
pub(super) fn report(state: &State, topic: Topic) -> Report {
    let rows = match topic {
        Topic::Ports => Rows::Ports(ports(state)),
        Topic::Vnics => Rows::Vnics(vnics(state)),
        Topic::Networks => Rows::Networks(networks(state)),
        Topic::Classes => Rows::Classes(classes(state)),
        Topic::Drops => Rows::Drops(drops(state)),
        Topic::Workers => Rows::Workers(workers(state)),
        Topic::Runtime => runtime(state),
    };
    let gateway = state.config.gateway.name.to_string();
    Report { schema: SCHEMA, gateway, uptime_s: state.started.elapsed().as_secs(), rows }
}

fn ports(state: &State) -> Vec<PortRow> {
    let row = |(at, port): (usize, &Port)| {
        let stats = state.stats(at);
        let link = port.link().ok();
        let (receives, unserved) = match state.receptions[at].receives() {
            Receives::Everything => ("everything".into(), Vec::new()),
            Receives::Addresses { macs, groups, unserved } => {
                (format!("{} addresses, {groups} groups", macs.len()), unserved)
            }
        };
        PortRow {
            name: port_name(state, at),
            role: if at < state.config.links.len() { "link" } else { "uplink" }.into(),
            port: port.spec().to_string(),
            driver: port.info().driver.clone(),
            up: link.is_some_and(|link| link.up),
            speed_mbps: link.and_then(|link| link.speed_mbps),
            mtu: port.mtu().ok(),
            promiscuous: port.promiscuous(),
            receives,
            unserved,
            rx_queues: port.rx_queues(),
            tx_queues: port.tx_queues(),
            rx: Amount { packets: stats.rx_packets, bytes: stats.rx_bytes },
            tx: Amount { packets: stats.tx_packets, bytes: stats.tx_bytes },
            rx_missed: stats.rx_missed,
            rx_errors: stats.rx_errors,
            rx_no_buffer: stats.rx_no_buffer,
            tx_errors: stats.tx_errors,
            restarts: state.restarts[at].load(Ordering::Relaxed),
        }
    };
    state.ports.iter().enumerate().map(row).collect()
}

fn port_name(state: &State, at: usize) -> String {
    let links = &state.config.links;
    match at.checked_sub(links.len()) {
        None => links[at].name.to_string(),
        Some(uplink) => state.config.uplinks[uplink].name.to_string(),
    }
}

/// What went through, over all workers, for the attachments and classes that `of` picks.
fn amount(state: &State, direction: Direction, of: impl Fn(u32, u8) -> bool) -> Amount {
    let mut sum = Amount { packets: 0, bytes: 0 };
    for attachment in 0..state.tables.attachments.len() as u32 {
        for class in (0..state.config.classes.len() as u8).filter(|class| of(attachment, *class)) {
            for counters in state.workers.iter().map(|worker| &worker.counters) {
                let (packets, bytes) = counters.traffic(attachment, class, direction);
                sum.packets += packets;
                sum.bytes += bytes;
            }
        }
    }
    sum
}

fn vnics(state: &State) -> Vec<VnicRow> {
    let (attachments, logins) = (&state.tables.attachments, state.logins());
    let rows = state.config.adapters().map(|(id, adapter)| {
        let own = |attachment: u32| usize::from(attachments[attachment as usize].adapter) == id.index();
        let mut dropped = Amount { packets: 0, bytes: 0 };
        for attachment in (0..attachments.len() as u32).filter(|at| own(*at)) {
            for worker in &state.workers {
                let (packets, bytes) = worker.counters.dropped(attachment);
                dropped.packets += packets;
                dropped.bytes += bytes;
            }
        }
        let networks = adapter.attachments.iter().map(|attachment| {
            let network = &state.config.network(attachment.network).name;
            attachment.tag.map_or(network.to_string(), |tag| format!("{network}:{tag}"))
        });
        VnicRow {
            name: adapter.name.to_string(),
            kind: match adapter.kind {
                AdapterKind::Vnic => "vnic",
                AdapterKind::Vhba { .. } => "vhba",
            }
            .into(),
            link: state.config.link(adapter.link).name.to_string(),
            mac: adapter.mac.to_string(),
            logins: logins.iter().filter(|(at, _)| own(*at)).map(|(_, mac)| mac.to_string()).collect(),
            networks: networks.collect(),
            up: adapter.up,
            from_server: amount(state, Direction::FromServer, |attachment, _| own(attachment)),
            to_server: amount(state, Direction::ToServer, |attachment, _| own(attachment)),
            dropped,
        }
    });
    rows.collect()
}

fn networks(state: &State) -> Vec<NetworkRow> {
    let active = state.active();
    let row = |(id, network): (NetworkId, &crate::config::model::Network)| {
        let own = |attachment: u32| usize::from(state.tables.attachments[attachment as usize].network) == id.index();
        let uplink = active.0[id.index()];
        NetworkRow {
            name: network.name.to_string(),
            kind: network.kind.to_string(),
            vlan: network.vlan.map(|vlan| vlan.get()),
            group: state.config.group(network.group).name.to_string(),
            active: (uplink != NO_UPLINK).then(|| state.config.uplinks[usize::from(uplink)].name.to_string()),
            members: state.tables.networks[id.index()].members.len(),
            from_server: amount(state, Direction::FromServer, |attachment, _| own(attachment)),
            to_server: amount(state, Direction::ToServer, |attachment, _| own(attachment)),
        }
    };
    state.config.networks().map(row).collect()
}

fn classes(state: &State) -> Vec<ClassRow> {
    let row = |(number, class): (u8, &crate::config::model::Class)| ClassRow {
        name: class.name.to_string(),
        pcp: class.pcp,
        kind: match class.scope {
            Scope::Only(side) => side.as_str(),
            Scope::Both => "both",
        }
        .into(),
        from_server: amount(state, Direction::FromServer, |_, of| of == number),
        to_server: amount(state, Direction::ToServer, |_, of| of == number),
    };
    (0..).zip(&state.config.classes).map(row).collect()
}

fn drops(state: &State) -> Vec<DropRow> {
    let links = state.config.links.len();
    // By port and direction, over all workers; what the data path dropped, then what drivers lost.
    let mut rows: Vec<DropRow> = Vec::new();
    let mut add = |at: usize, out: bool, reason: &str, meaning: &str, packets: u64, bytes: Option<u64>| {
        if packets == 0 {
            return;
        }
        let (direction, port) = (direction(at < links, out), port_name(state, at));
        let same = |row: &&mut DropRow| row.reason == reason && row.direction == direction && row.port == port;
        match rows.iter_mut().find(same) {
            Some(row) => {
                row.packets += packets;
                row.bytes = row.bytes.zip(bytes).map(|(one, other)| one + other);
            }
            None => rows.push(DropRow {
                reason: reason.into(),
                direction: direction.into(),
                port,
                packets,
                bytes,
                meaning: meaning.into(),
            }),
        }
    };
    let mut add_all = |at: usize, out: bool, counters: &DropCounters| {
        for reason in DropReason::all() {
            let (packets, bytes) = (counters.packets(reason), counters.bytes(reason));
            add(at, out, drop::name(reason), drop::meaning(reason), packets, Some(bytes));
        }
    };
    for worker in &state.workers {
        for (source, counters) in worker.poller.sources().iter().enumerate() {
            let at = match worker.ingress[source] {
                Ingress::Link(link) => link,
                Ingress::Uplink(uplink) => links + uplink,
            };
            add_all(at, false, counters.drops());
        }
        for (at, outlet) in worker.poller.outlets().iter().enumerate() {
            add_all(at, true, outlet.drops());
        }
    }
    for at in 0..state.ports.len() {
        let stats = state.stats(at);
        add(at, false, "port-rx-missed", "The worker did not fetch it in time.", stats.rx_missed, None);
        add(at, false, "port-rx-error", "The port received it broken.", stats.rx_errors, None);
        add(at, false, "port-rx-no-buffer", "The pool had no buffer for it.", stats.rx_no_buffer, None);
        add(at, true, "port-tx-error", "The port took it and could not send it.", stats.tx_errors, None);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.packets));
    rows
}

fn direction(link: bool, out: bool) -> &'static str {
    match (link, out) {
        (true, false) => "from-server",
        (true, true) => "to-server",
        (false, false) => "from-uplink",
        (false, true) => "to-uplink",
    }
}

fn workers(state: &State) -> Vec<WorkerRow> {
    let ns = |cycles: u64| (u128::from(cycles) * 1_000_000_000 / u128::from(cycles_per_second().max(1))) as u64;
    let row = |worker: &crate::plan::RunningWorker| {
        let rounds = worker.stats.round_cycles().snapshot();
        let round_ns = |quantile| (!rounds.is_empty()).then(|| ns(rounds.value_at_quantile(quantile)));
        WorkerRow {
            core: worker.core,
            idle: idle(worker.idle).into(),
            queues: worker.queues.clone(),
            packets: worker.poller.totals().received,
            rounds: worker.stats.rounds(),
            busy_rounds: worker.stats.busy_rounds(),
            sleeps: worker.stats.sleeps(),
            round_ns_p50: round_ns(0.5),
            round_ns_p99: round_ns(0.99),
        }
    };
    state.workers.iter().map(row).collect()
}

fn idle(idle: Idle) -> &'static str {
    match idle {
        Idle::Spin => "spin",
        Idle::Pause => "pause",
        Idle::Sleep(_) => "adaptive",
        Idle::Interrupt => "interrupt",
    }
}

fn runtime(state: &State) -> Rows {
    let stages = state.workers.iter().flat_map(|worker| {
        worker.poller.stages().into_iter().map(|stage| StageRow {
            core: worker.core,
            stage: stage.name().to_owned(),
            calls: stage.calls(),
            packets: stage.packets(),
            packets_per_call: stage.packets() as f64 / stage.calls().max(1) as f64,
            cycles_per_packet: stage.cycles_per_packet(),
        })
    });
    let totals = state.totals();
    Rows::Runtime {
        stages: stages.collect(),
        totals: TotalsRow {
            received: totals.received,
            generated: totals.generated,
            sent: totals.sent_by_ports(),
            dropped: totals.dropped,
            pending: totals.pending,
        },
    }
}

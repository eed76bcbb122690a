//! Where workers run: chosen, and shown before anything starts.

use crate::config::Config;
use crate::config::model::{Core, QueueRef, Worker, WorkerCount};
use crate::plan::ports;
use crate::view::{table, unknown};
use iogate::sriov::Host;
use iogate::worker::Topology;

/// The workers with their cores: as the file has them, or chosen where it says how many only.
pub(super) fn place(config: &Config, host: &Host, topology: &Topology) -> Vec<Worker> {
    let ([all], Some(count)) = (config.workers.as_slice(), config.gateway.workers) else {
        return config.workers.clone();
    };
    let most = match count {
        WorkerCount::Auto => usize::MAX,
        WorkerCount::Number(number) => usize::from(number),
    };
    let nodes: Vec<_> = all.queues.iter().map(|queue| node(config, host, *queue)).collect();
    let worker = |(core, queues): (usize, Vec<usize>)| Worker {
        core: Core::Number(core as u16),
        queues: queues.into_iter().map(|at| all.queues[at]).collect(),
        ..all.clone()
    };
    topology.place(&nodes, most).into_iter().map(worker).collect()
}

/// A table of the workers: core, NUMA node, what it shares, queues, and what is not ideal.
pub fn show(config: &Config, host: &Host, topology: &Topology) -> String {
    let workers = place(config, host, topology);
    let cores: Vec<_> = workers.iter().map(|worker| number(worker, topology)).collect();
    let rows = workers.iter().zip(&cores).map(|(worker, core)| {
        let nodes: Vec<_> = worker.queues.iter().map(|queue| node(config, host, *queue)).collect();
        let names = worker.queues.iter().map(|queue| match node(config, host, *queue) {
            Some(node) => format!("{}:{} (node {node})", ports::name(config, queue.port), queue.queue),
            None => format!("{}:{}", ports::name(config, queue.port), queue.queue),
        });
        let cpu = topology.cpu(*core);
        let others: Vec<_> = cores.iter().copied().filter(|other| other != core).collect();
        let mut remarks = topology.remarks(*core, &nodes, &others);
        if cores.iter().filter(|other| *other == core).count() > 1 {
            remarks.push("shares the core with another worker, as asked".to_owned());
        }
        vec![
            core.to_string(),
            unknown(cpu.and_then(|cpu| cpu.numa_node)),
            if cpu.is_some_and(|cpu| cpu.isolated) { "yes" } else { "no" }.to_owned(),
            unknown(cpu.and_then(|cpu| Some(cpu.siblings.first()?.to_string()))),
            names.collect::<Vec<_>>().join(", "),
            remarks.join("; "),
        ]
    });
    table("core numa isolated sibling queues remarks", rows)
}

fn number(worker: &Worker, topology: &Topology) -> usize {
    match worker.core {
        Core::Number(number) => usize::from(number),
        Core::First => topology.cpus().first().map_or(0, |cpu| cpu.number),
    }
}

/// The NUMA node of the card that a queue is on; that of the PF, where a VF is not made yet.
fn node(config: &Config, host: &Host, queue: QueueRef) -> Option<u32> {
    let (_, _, spec, _) = config.ports().find(|(role, ..)| *role == queue.port)?;
    let pf_of = || config.vf_of(spec).map(|vf| config.pf(vf.pf).pci);
    host.numa_node(spec.pci(host).or_else(pf_of)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iogate::testkit::{Card, FakeHost};
    use std::fs;
    use std::path::Path;

    /// An X710 on node 0, an E810 on node 1, and two cores on each.
    fn machine() -> (tempfile::TempDir, Host, Topology) {
        let folder = tempfile::tempdir().unwrap();
        FakeHost::create(folder.path(), &[Card::X710, Card::E810]);
        for cpu in 0..4 {
            let cpus = folder.path().join(format!("sys/devices/system/cpu/cpu{cpu}/node{}", cpu / 2));
            fs::create_dir_all(cpus).unwrap();
        }
        let (host, topology) = (Host::at(folder.path()), Topology::at(folder.path(), &[0, 1, 2, 3]));
        (folder, host, topology)
    }

    fn config(workers: &str) -> Config {
        let [x710, e810] = [Card::X710, Card::E810].map(|card| card.pfs()[0]);
        let text = format!(
            r#"
            schema = 1
            [gateway]
            name = "gw"
            {workers}
            [[pf]]
            name = "x"
            pci = "{x710}"
            num_vfs = 1
            [[pf]]
            name = "e"
            pci = "{e810}"
            num_vfs = 1
            [[vf]]
            name = "vx"
            pf = "x"
            index = 0
            [[vf]]
            name = "ve"
            pf = "e"
            index = 0
            queues = 2
            [[link]]
            name = "lx"
            port = "vx"
            [[link]]
            name = "le"
            port = "ve"
            "#
        );
        crate::config::parse(&text, Path::new("gw.toml")).unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn queues_come_to_the_node_of_their_card_before_the_functions_are_made() {
        let (_folder, host, topology) = machine();
        let cores = |workers: &str| {
            let placed = place(&config(workers), &host, &topology);
            placed.iter().map(|worker| (number(worker, &topology), worker.queues.len())).collect::<Vec<_>>()
        };
        assert_eq!(cores(""), [(0, 3)], "one does all");
        assert_eq!(cores("workers = \"auto\""), [(1, 1), (2, 1), (3, 1)]);
        assert_eq!(cores("workers = 2"), [(1, 1), (2, 2)]);
    }

    #[test]
    fn the_table_says_what_is_not_ideal() {
        let (_folder, host, topology) = machine();
        let shown = show(&config("workers = 2"), &host, &topology);
        let lines: Vec<_> = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "CORE NUMA ISOLATED SIBLING QUEUES REMARKS",
                "1 0 no - lx:0 (node 0)",
                "2 1 no - le:0 (node 1), le:1 (node 1)",
            ]
        );
        let shown = show(&config(""), &host, &topology);
        assert!(shown.contains("a queue is on NUMA node 1, the core on 0"), "{shown}");
    }
}

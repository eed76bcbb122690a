//! The rules of ports and of the workers that poll them.

use std::collections::HashMap;
use std::path::Path;

use iogate::port::{PortKind, PortSpec};

use super::Names;
use crate::config::SOCKETS;
use crate::config::model::{Core, Idle, PortRef, QueueRef, Worker};
use crate::config::problem::{Problem, quoted};
use crate::config::raw::{self, RawPort, RawWorker, Ref};
use crate::config::read::Head;

/// No device behind two ports.
pub(super) fn one_owner_each(ports: &[(PortRef, &RawPort<'_>)]) {
    let mut owners: HashMap<String, &Head<'_>> = HashMap::new();
    for (_, port) in ports {
        let Some(spec) = &port.port else { continue };
        let Some(device) = device(&spec.value) else {
            continue;
        };
        match owners.get(&device) {
            Some(owner) => port.head.problem_at(
                spec.line,
                format!(
                    "port = {} is already that of {} (line {}); use another",
                    quoted(&spec.value.to_string()),
                    owner.label,
                    owner.line
                ),
            ),
            None => drop(owners.insert(device, &port.head)),
        }
    }
}

/// No port's socket where `iogate show` looks for gateways: its other end would take the question for a peer.
pub(super) fn apart_from_gateways(ports: &[(PortRef, &RawPort<'_>)]) {
    for (_, port) in ports {
        let Some(spec) = &port.port else { continue };
        let socket = Path::new(spec.value.target());
        if matches!(spec.value.kind(), PortKind::Vhost | PortKind::VirtioUser | PortKind::Memif)
            && socket.parent() == Some(Path::new(SOCKETS))
            && socket.extension().is_some_and(|end| end == "sock")
        {
            let (shown, other) = (socket.display(), socket.with_extension("vhost"));
            let text = format!(
                "the socket {shown} is where `iogate show` looks for gateways; use another ending, as in {}",
                other.display()
            );
            port.head.problem_at(spec.line, text);
        }
    }
}

/// What a port takes for itself; `None` where the like may be had any number of times.
fn device(spec: &PortSpec) -> Option<String> {
    let text = spec.to_string();
    match spec.kind() {
        PortKind::AfXdp | PortKind::AfPacket | PortKind::Tap => Some(format!("interface {}", spec.target())),
        PortKind::Null | PortKind::Ring => None,
        // Any number of ports may read a file.
        PortKind::Pcap => (text.contains("tx_pcap=") || text.contains("iface=")).then_some(text),
        kind => Some(format!("{kind:?} {}", spec.target())),
    }
}

pub(super) fn check_workers(
    workers: &[RawWorker<'_>],
    ports: &[(PortRef, &RawPort<'_>)],
    names: &Names<'_, PortRef>,
    share_cores: bool,
) -> Option<Vec<Worker>> {
    let all = |port: PortRef, queues: u16| (0..queues).map(move |queue| QueueRef { port, queue });
    if workers.is_empty() {
        let queues: Vec<_> = ports.iter().flat_map(|(id, p)| all(*id, p.queues)).collect();
        let idle = Idle::Adaptive(raw::IDLE_LATENCY);
        let worker = Worker { core: Core::First, line: None, queues, burst: raw::BURST, idle };
        return Some(if worker.queues.is_empty() { Vec::new() } else { vec![worker] });
    }
    let mut cores: HashMap<u16, usize> = HashMap::new();
    let mut polled: HashMap<QueueRef, &Head<'_>> = HashMap::new();
    let mut checked = Vec::new();
    for worker in workers {
        if let Some(core) = worker.core {
            match cores.get(&core.value) {
                Some(_) if share_cores => {}
                Some(line) => worker.head.problem_at(
                    core.line,
                    format!("core = {} already has the worker in line {line}; use another core, give that worker these queues, or set share_cores = true in [gateway]", core.value),
                ),
                None => drop(cores.insert(core.value, worker.head.line)),
            }
        }
        let mut queues = Vec::new();
        for text in &worker.queues {
            let Some(queue) = queue(worker, *text, ports, names) else {
                continue;
            };
            match polled.get(&queue) {
                Some(other) => worker.head.problem_at(
                    text.line,
                    format!(
                        "queue {} is already polled by the {} (line {}); remove it from one of the two",
                        quoted(text.value),
                        other.label,
                        other.line
                    ),
                ),
                None => {
                    polled.insert(queue, &worker.head);
                    queues.push(queue);
                }
            }
        }
        if let Some(core) = worker.core {
            let (line, core) = (Some(core.line), Core::Number(core.value));
            checked.push(Worker { core, line, queues, burst: worker.burst, idle: worker.idle });
        }
    }
    for (id, port) in ports {
        // A port whose name is taken cannot be named by a worker.
        let Some(name) = port.name.as_ref().filter(|n| names.get(n.as_str()) == Some(*id)) else {
            continue;
        };
        for queue in all(*id, port.queues).filter(|q| !polled.contains_key(q)) {
            let number = queue.queue;
            port.head.problem(format!(
                "queue {number} is polled by no worker; add \"{name}:{number}\" to the queues of one"
            ));
        }
    }
    Some(checked)
}

/// Every worker's core is one of those that are there.
pub(in crate::config) fn check_cores(workers: &[Worker], there: &[usize]) -> Vec<Problem> {
    let problem = |worker: &Worker| match worker.core {
        Core::Number(number) if !there.contains(&usize::from(number)) => Some(Problem {
            line: worker.line,
            object: raw::worker_on(number),
            text: format!("core = {number} is not there, or not for this process; use one of {}", ranges(there)),
        }),
        _ => None,
    };
    workers.iter().filter_map(problem).collect()
}

/// Numbers in rising order, as in `0..3, 8`.
fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    let text = runs.map(|run| match run {
        [first, .., last] => format!("{first}..{last}"),
        _ => run[0].to_string(),
    });
    text.collect::<Vec<_>>().join(", ")
}

/// A queue as in `eth-srv1:0`.
fn queue(
    worker: &RawWorker<'_>,
    text: Ref<'_>,
    ports: &[(PortRef, &RawPort<'_>)],
    names: &Names<'_, PortRef>,
) -> Option<QueueRef> {
    let parts = text.value.rsplit_once(':').and_then(|(name, n)| Some((name, n.parse::<u16>().ok()?)));
    let Some((name, queue)) = parts else {
        let text_shown = quoted(text.value);
        worker.head.problem_at(text.line, format!("queues: {text_shown} is not a queue; write it as \"name:0\""));
        return None;
    };
    let port = names.find(&worker.head, "queues", Ref { value: name, line: text.line })?;
    let (_, raw) = ports.iter().find(|(id, _)| *id == port)?;
    if queue >= raw.queues {
        let last = raw.queues - 1;
        worker.head.problem_at(
            text.line,
            format!(
                "queues: {} does not exist, {} has queues 0..{last}; use one of them, or raise its queues",
                quoted(text.value),
                raw.head.label
            ),
        );
        return None;
    }
    Some(QueueRef { port, queue })
}

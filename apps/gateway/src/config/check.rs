//! The rules between objects: names resolve, and what they lead to fits together. Ports, groups, networks and workers here;
//! vNICs and vHBAs in `adapters`.

use std::collections::HashMap;

use super::adapters;
use super::classes;
use super::model::{
    Config, Core, Fabric, Failback, Gateway, GroupId, GroupMode, Idle, Link, LinkId, Name, Network,
    PortRef, QueueRef, Side, Uplink, UplinkGroup, UplinkId, Vid, Worker,
};
use super::problem::{Sink, quoted, suggestion};
use super::raw::{self, RawGroup, RawMode, RawNetwork, RawPort, RawWorker, Ref};
use super::read::{Head, Table};

/// How long a preferred uplink must be up before it takes over again, unless the file says otherwise.
const FAILBACK_DELAY: std::time::Duration = std::time::Duration::from_secs(10);

/// Names of one kind, or of kinds that share their names.
pub(super) struct Names<'a, T> {
    /// As in `link`.
    kind: &'static str,
    known: HashMap<&'a str, (T, usize)>,
    /// In the order of the file.
    order: Vec<&'a str>,
}

impl<'a, T: Copy> Names<'a, T> {
    /// Collects names, and reports those that are taken.
    pub(super) fn collect(
        kind: &'static str,
        objects: impl IntoIterator<Item = (&'a Head<'a>, &'a Option<Name>, T)>,
    ) -> Self {
        Self::gather(kind, objects, |head, line| {
            head.problem(format!(
                "the name is taken by the {kind} in line {line}; choose another"
            ));
        })
    }

    /// The same for names that were checked together with others already.
    pub(super) fn collect_quietly(
        kind: &'static str,
        objects: impl IntoIterator<Item = (&'a Head<'a>, &'a Option<Name>, T)>,
    ) -> Self {
        Self::gather(kind, objects, |_, _| ())
    }

    fn gather(
        kind: &'static str,
        objects: impl IntoIterator<Item = (&'a Head<'a>, &'a Option<Name>, T)>,
        taken: impl Fn(&Head<'_>, usize),
    ) -> Self {
        let mut names = Self {
            kind,
            known: HashMap::new(),
            order: Vec::new(),
        };
        for (head, name, id) in objects {
            let Some(name) = name else { continue };
            if let Some((_, line)) = names.known.get(name.as_str()) {
                taken(head, *line);
            } else {
                names.known.insert(name.as_str(), (id, head.line));
                names.order.push(name.as_str());
            }
        }
        names
    }

    /// What a name in the file stands for; reports one that stands for nothing.
    pub(super) fn find(&self, head: &Head<'_>, key: &str, name: Ref<'_>) -> Option<T> {
        let found = self.known.get(name.value).map(|(id, _)| *id);
        if found.is_none() {
            let kind = self.kind;
            let mend = suggestion(name.value, self.order.iter().copied(), || {
                format!("; add it, or name one of: {}", self.some())
            });
            head.problem_at(
                name.line,
                format!("{key}: there is no {kind} {}{mend}", quoted(name.value)),
            );
        }
        found
    }

    fn some(&self) -> String {
        const MOST: usize = 8;
        match self.order.as_slice() {
            [] => "(there are none)".to_owned(),
            all if all.len() <= MOST => all.join(", "),
            all => format!("{}, ...", all[..MOST].join(", ")),
        }
    }
}

/// Ids of the model in the order of the file; there are never more objects of a kind than ids.
pub(super) fn numbered<T>(objects: &[T]) -> impl Iterator<Item = (u16, &T)> {
    (0u16..).zip(objects)
}

/// Checks everything but the schema; `None` only with a problem in the sink.
pub(super) fn config(root: Table<'_>, sink: &Sink) -> Option<Config> {
    let gateway = raw::gateway(&root);
    let links: Vec<_> = root.objects("link").into_iter().map(raw::link).collect();
    let uplinks: Vec<_> = root
        .objects("uplink")
        .into_iter()
        .map(raw::uplink)
        .collect();
    let groups: Vec<_> = root
        .objects("uplink_group")
        .into_iter()
        .map(raw::group)
        .collect();
    let networks: Vec<_> = root
        .objects("network")
        .into_iter()
        .map(raw::network)
        .collect();
    let workers: Vec<_> = root
        .objects("worker")
        .into_iter()
        .map(raw::worker)
        .collect();
    let classes = classes::read(&root);
    let adapters = adapters::Raw::read(&root);
    root.finish();

    if links.is_empty() && uplinks.is_empty() {
        sink.add(
            None,
            "",
            "no [[link]] and no [[uplink]]: there is nothing to do; add some",
        );
    }
    let ports: Vec<_> = numbered(&links)
        .map(|(i, l)| (PortRef::Link(LinkId(i)), l))
        .chain(numbered(&uplinks).map(|(i, u)| (PortRef::Uplink(UplinkId(i)), u)))
        .collect();
    let port_names = Names::collect(
        "link or uplink",
        ports.iter().map(|(id, p)| (&p.head, &p.name, *id)),
    );
    one_owner_each(&ports);
    let workers = check_workers(&workers, &ports, &port_names);
    let uplink_names = Names::collect_quietly(
        "uplink",
        numbered(&uplinks).map(|(i, u)| (&u.head, &u.name, UplinkId(i))),
    );
    let (group_of, groups_checked) = check_groups(&groups, &uplinks, &uplink_names);
    let group_names = Names::collect(
        "uplink_group",
        numbered(&groups).map(|(i, g)| (&g.head, &g.name, GroupId(i))),
    );
    let max_mtu = gateway.as_ref().map_or(u16::MAX, |g: &Gateway| g.mtu);
    let networks_checked = check_networks(
        &networks,
        &groups,
        &group_names,
        &uplinks,
        &uplink_names,
        max_mtu,
    );
    let adapters = adapters::check(
        &adapters,
        &links,
        &networks,
        &networks_checked,
        classes.as_ref(),
    );

    let links = links.into_iter().map(|l| {
        Some(Link {
            name: l.name?,
            server: l.server,
            port: l.port?.value,
            queues: l.queues,
            fabric: l.fabric,
        })
    });
    let uplinks = uplinks.into_iter().zip(group_of).map(|(u, group)| {
        Some(Uplink {
            name: u.name?,
            port: u.port?.value,
            kind: u.kind?,
            fabric: u.fabric,
            group: group?,
            queues: u.queues,
        })
    });
    let classes = classes?;
    Some(Config {
        gateway: gateway?,
        workers: workers?,
        links: links.collect::<Option<_>>()?,
        uplinks: uplinks.collect::<Option<_>>()?,
        groups: groups_checked.into_iter().collect::<Option<_>>()?,
        networks: networks_checked.into_iter().collect::<Option<_>>()?,
        classes: classes.classes,
        default_class: classes.default,
        protocols: classes.protocols,
        adapters: adapters?,
    })
}

/// No device behind two ports.
fn one_owner_each(ports: &[(PortRef, &RawPort<'_>)]) {
    let mut owners: HashMap<String, &Head<'_>> = HashMap::new();
    for (_, port) in ports {
        let Some(spec) = &port.port else { continue };
        let Some(device) = device(&spec.value.to_string()) else {
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

/// What a port takes for itself: the interface, socket or file; `None` for null ports, of which there may be many.
fn device(spec: &str) -> Option<String> {
    let whole = spec.split(',').next().unwrap_or(spec);
    match whole.split_once(':') {
        None if whole == "null" => None,
        Some(("null", _)) => None,
        Some(("af_xdp" | "af_packet", interface)) => Some(format!("interface {interface}")),
        _ => Some(whole.to_owned()),
    }
}

fn check_workers(
    workers: &[RawWorker<'_>],
    ports: &[(PortRef, &RawPort<'_>)],
    names: &Names<'_, PortRef>,
) -> Option<Vec<Worker>> {
    let all = |port: PortRef, queues: u16| (0..queues).map(move |queue| QueueRef { port, queue });
    if workers.is_empty() {
        let queues: Vec<_> = ports
            .iter()
            .flat_map(|(id, p)| all(*id, p.queues))
            .collect();
        let idle = Idle::Adaptive(raw::IDLE_LATENCY);
        return (!queues.is_empty()).then(|| {
            vec![Worker {
                core: Core::First,
                queues,
                burst: raw::BURST,
                idle,
            }]
        });
    }
    let mut cores: HashMap<u16, usize> = HashMap::new();
    let mut polled: HashMap<QueueRef, &Head<'_>> = HashMap::new();
    let mut checked = Vec::new();
    for worker in workers {
        if let Some(core) = worker.core {
            match cores.get(&core.value) {
                Some(line) => worker.head.problem_at(
                    core.line,
                    format!("core = {} already has the worker in line {line}; use another core, or give that worker these queues", core.value),
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
                    format!("queue {} is already polled by the {} (line {}); remove it from one of the two", quoted(text.value), other.label, other.line),
                ),
                None => {
                    polled.insert(queue, &worker.head);
                    queues.push(queue);
                }
            }
        }
        if let Some(core) = worker.core {
            checked.push(Worker {
                core: Core::Number(core.value),
                queues,
                burst: worker.burst,
                idle: worker.idle,
            });
        }
    }
    for (id, port) in ports {
        let Some(name) = &port.name else { continue };
        for queue in all(*id, port.queues).filter(|q| !polled.contains_key(q)) {
            let number = queue.queue;
            port.head.problem(format!("queue {number} is polled by no worker; add \"{name}:{number}\" to the queues of one"));
        }
    }
    Some(checked)
}

/// A queue as in `eth-srv1:0`.
fn queue(
    worker: &RawWorker<'_>,
    text: Ref<'_>,
    ports: &[(PortRef, &RawPort<'_>)],
    names: &Names<'_, PortRef>,
) -> Option<QueueRef> {
    let parts = text
        .value
        .rsplit_once(':')
        .and_then(|(name, n)| Some((name, n.parse::<u16>().ok()?)));
    let Some((name, queue)) = parts else {
        let text_shown = quoted(text.value);
        worker.head.problem_at(
            text.line,
            format!("queues: {text_shown} is not a queue; write it as \"name:0\""),
        );
        return None;
    };
    let port = names.find(
        &worker.head,
        "queues",
        Ref {
            value: name,
            line: text.line,
        },
    )?;
    let (_, raw) = ports.iter().find(|(id, _)| *id == port)?;
    if queue >= raw.queues {
        let last = raw.queues - 1;
        worker.head.problem_at(text.line, format!("queues: {} does not exist, {} has queues 0..{last}; use one of them, or raise its queues", quoted(text.value), raw.head.label));
        return None;
    }
    Some(QueueRef { port, queue })
}

type Checked<T> = Vec<Option<T>>;

/// The group of each uplink, and the groups.
fn check_groups(
    groups: &[RawGroup<'_>],
    uplinks: &[RawPort<'_>],
    names: &Names<'_, UplinkId>,
) -> (Checked<GroupId>, Checked<UplinkGroup>) {
    let mut group_of: Checked<GroupId> = vec![None; uplinks.len()];
    let mut checked = Vec::new();
    for (i, group) in numbered(groups) {
        let mut members = Vec::new();
        for name in &group.members {
            let Some(id) = names.find(&group.head, "members", *name) else {
                continue;
            };
            let uplink = &uplinks[id.index()];
            if let (Some(ours), Some(its)) = (group.kind, uplink.kind)
                && ours != its
            {
                group.head.problem_at(name.line, format!("members: {} is of kind {its}, the group of kind {ours}; use uplinks of one kind", uplink.head.label));
            }
            match group_of[id.index()] {
                Some(GroupId(other)) => {
                    let other = &groups[usize::from(other)].head;
                    group.head.problem_at(name.line, format!("members: {} is already in {} (line {}); an uplink is in one group, once", uplink.head.label, other.label, other.line));
                }
                None => {
                    group_of[id.index()] = Some(GroupId(i));
                    members.push(id);
                }
            }
        }
        checked.push(check_group(group, members, uplinks));
    }
    for (uplink, group) in uplinks.iter().zip(&group_of) {
        if group.is_none() {
            uplink
                .head
                .problem("is in no uplink_group; add it to the members of one");
        }
    }
    (group_of, checked)
}

fn check_group(
    group: &RawGroup<'_>,
    members: Vec<UplinkId>,
    uplinks: &[RawPort<'_>],
) -> Option<UplinkGroup> {
    let mode = match group.mode {
        RawMode::ActiveStandby => {
            let fabrics = members.iter().map(|id| uplinks[id.index()].fabric);
            if group.kind == Some(Side::Storage)
                && fabrics.clone().any(|f| Some(f) != fabrics.clone().next())
            {
                group.head.problem("its storage members are not all of one fabric, which active-standby would bridge; use mode = \"dual-fabric\", or members of one fabric");
            }
            if let (Some(false), Some(delay)) =
                (group.failback.map(|f| f.value), group.failback_delay)
            {
                group.head.problem_at(
                    delay.line,
                    "failback_delay_ms is for failback = \"auto\" only; remove it",
                );
            }
            let failback = match group.failback {
                Some(failback) if !failback.value => Failback::Manual,
                _ => Failback::Auto(group.failback_delay.map_or(FAILBACK_DELAY, |d| d.value)),
            };
            GroupMode::ActiveStandby { members, failback }
        }
        RawMode::DualFabric => {
            if group.kind == Some(Side::Network) {
                group
                    .head
                    .problem("mode = \"dual-fabric\" is for storage only; use \"active-standby\"");
            }
            let unused = [
                ("failback", group.failback.map(|f| f.line)),
                ("failback_delay_ms", group.failback_delay.map(|d| d.line)),
            ];
            for (key, line) in unused {
                if let Some(line) = line {
                    group.head.problem_at(
                        line,
                        format!("{key} is for mode = \"active-standby\" only; remove it"),
                    );
                }
            }
            let (mut a, mut b) = (None, None);
            for id in members {
                let uplink = &uplinks[id.index()];
                let place = match uplink.fabric {
                    Some(Fabric::A) => &mut a,
                    Some(Fabric::B) => &mut b,
                    None => {
                        uplink.head.problem(format!("it needs a fabric, being in dual-fabric {}; add fabric = \"A\" or \"B\"", group.head.label));
                        continue;
                    }
                };
                if let Some(UplinkId(first)) = place.replace(id) {
                    let first = &uplinks[usize::from(first)].head.label;
                    group.head.problem(format!("{first} and {} are of the same fabric; a dual-fabric group has one member per fabric", uplink.head.label));
                }
            }
            GroupMode::DualFabric { a, b }
        }
    };
    Some(UplinkGroup {
        name: group.name.clone()?,
        kind: group.kind?,
        mode,
    })
}

fn check_networks(
    networks: &[RawNetwork<'_>],
    groups: &[RawGroup<'_>],
    group_names: &Names<'_, GroupId>,
    uplinks: &[RawPort<'_>],
    uplink_names: &Names<'_, UplinkId>,
    max_mtu: u16,
) -> Checked<Network> {
    let mut taken: HashMap<(GroupId, Option<Fabric>, u16), &Head<'_>> = HashMap::new();
    let mut checked = Vec::new();
    for network in networks {
        let head = &network.head;
        if let Some(mtu) = network.mtu.filter(|m| m.value > max_mtu) {
            head.problem_at(mtu.line, format!("mtu = {} is more than that of the gateway, {max_mtu}; lower it, or raise the gateway's", mtu.value));
        }
        let id = network
            .group
            .and_then(|name| group_names.find(head, "uplink", name));
        let Some(group_id) = id else {
            checked.push(None);
            continue;
        };
        let group = &groups[group_id.index()];
        let fabrics: Vec<_> = group
            .members
            .iter()
            .filter_map(|m| uplink_names.known.get(m.value))
            .map(|(id, _)| uplinks[id.index()].fabric)
            .collect();
        // A member that does not exist has been reported, and could be of any fabric.
        let unsure = fabrics.len() < group.members.len();
        let said = network.fabric.map(|f| f.value);
        let fabric = match (group.kind, group.mode) {
            (Some(Side::Storage), RawMode::DualFabric) => said,
            (Some(Side::Storage), RawMode::ActiveStandby) => {
                said.or(fabrics.first().copied().flatten())
            }
            _ => None,
        };
        let label = &group.head.label;
        match (group.kind, group.mode, network.fabric) {
            (Some(Side::Network), _, Some(f)) => {
                head.problem_at(f.line, "fabric is for storage networks only; remove it")
            }
            (Some(Side::Storage), RawMode::DualFabric, None) => {
                head.problem(format!(
                    "it needs a fabric, {label} being dual-fabric; add fabric = \"A\" or \"B\""
                ));
            }
            (Some(Side::Storage), _, Some(f)) if !unsure && !fabrics.contains(&Some(f.value)) => {
                head.problem_at(f.line, format!("fabric = \"{}\": {label} has no member of that fabric; add one, or use another fabric", f.value));
            }
            _ => {}
        }
        if let Some(vlan) = network.vlan {
            match taken.get(&(group_id, fabric, vlan.value)) {
                Some(other) => head.problem_at(
                    vlan.line,
                    format!(
                        "vlan = {} on {label} is already that of {} (line {}); use another",
                        vlan.value, other.label, other.line
                    ),
                ),
                None => drop(taken.insert((group_id, fabric, vlan.value), head)),
            }
        }
        let whole = || {
            let mtu = network.mtu.map_or(max_mtu, |m| m.value);
            Some(Network {
                name: network.name.clone()?,
                kind: group.kind?,
                vlan: Vid::new(network.vlan?.value),
                group: group_id,
                fabric,
                mtu,
            })
        };
        checked.push(whole());
    }
    checked
}

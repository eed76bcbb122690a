//! The rules between objects: names resolve, and what they lead to fits together. This module puts the
//! model together; `workers`, `uplinks`, `adapters` and `sriov` hold the rules, `devices` those that need the machine.

mod adapters;
mod devices;
mod sriov;
mod uplinks;
mod workers;

pub(super) use devices::check_devices;
pub(super) use workers::check_cores;

use std::collections::HashMap;

use crate::config::classes;
use crate::config::model::{Config, Gateway, GroupId, Link, LinkId, Name, PortRef, Uplink, UplinkId};
use crate::config::problem::{Sink, quoted, suggestion};
use crate::config::raw::{self, Ref};
use crate::config::read::{Head, Table};

/// Names of one kind, or of kinds that share their names.
pub(in crate::config) struct Names<'a, T> {
    /// As in `link`.
    kind: &'static str,
    known: HashMap<&'a str, (T, usize)>,
    /// In the order of the file.
    order: Vec<&'a str>,
}

impl<'a, T: Copy> Names<'a, T> {
    /// Collects names, and reports those that are taken.
    pub(in crate::config) fn collect(
        kind: &'static str,
        objects: impl IntoIterator<Item = (&'a Head<'a>, &'a Option<Name>, T)>,
    ) -> Self {
        Self::gather(kind, objects, |head, line| {
            head.problem(format!("the name is taken by the {kind} in line {line}; choose another"));
        })
    }

    /// The same for names that were checked together with others already.
    pub(in crate::config) fn collect_quietly(
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
        let mut names = Self { kind, known: HashMap::new(), order: Vec::new() };
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

    /// Another name for what has one, unless it is taken.
    fn also(&mut self, name: &'a str, id: T, line: usize) {
        self.known.entry(name).or_insert((id, line));
    }

    /// What a name stands for.
    pub(super) fn get(&self, name: &str) -> Option<T> {
        self.known.get(name).map(|(id, _)| *id)
    }

    /// What a name in the file stands for; reports one that stands for nothing.
    pub(in crate::config) fn find(&self, head: &Head<'_>, key: &str, name: Ref<'_>) -> Option<T> {
        let found = self.get(name.value);
        if found.is_none() {
            let kind = self.kind;
            let mend = suggestion(name.value, self.order.iter().copied(), || self.add_or_name());
            head.problem_at(name.line, format!("{key}: there is no {kind} {}{mend}", quoted(name.value)));
        }
        found
    }

    /// What to do about a name that is not there.
    fn add_or_name(&self) -> String {
        const MOST: usize = 8;
        match self.order.as_slice() {
            [] => "; add it".to_owned(),
            all if all.len() <= MOST => format!("; add it, or name one of: {}", all.join(", ")),
            all => format!("; add it, or name one of: {}, ...", all[..MOST].join(", ")),
        }
    }
}

/// Ids of the model in the order of the file; there are never more objects of a kind than ids.
pub(in crate::config) fn numbered<T>(objects: &[T]) -> impl Iterator<Item = (u16, &T)> {
    (0u16..).zip(objects)
}

/// Checks everything but the schema; `None` only with a problem in the sink.
pub(in crate::config) fn config(root: Table<'_>, sink: &Sink) -> Option<Config> {
    let gateway = raw::gateway(&root);
    let functions = sriov::Raw::read(&root);
    let vf_ports = functions.ports();
    let links: Vec<_> = root.objects("link").into_iter().map(|t| raw::link(t, &vf_ports)).collect();
    let uplinks: Vec<_> = root.objects("uplink").into_iter().map(|t| raw::uplink(t, &vf_ports)).collect();
    let groups: Vec<_> = root.objects("uplink_group").into_iter().map(raw::group).collect();
    let networks: Vec<_> = root.objects("network").into_iter().map(raw::network).collect();
    let workers: Vec<_> = root.objects("worker").into_iter().map(raw::worker).collect();
    let classes = classes::read(&root);
    let adapters = adapters::Raw::read(&root);
    root.finish();

    if links.is_empty() && uplinks.is_empty() && functions.is_empty() {
        sink.add(None, "", "no [[link]] and no [[uplink]]: there is nothing to do; add some");
    }
    let ports: Vec<_> = numbered(&links)
        .map(|(i, l)| (PortRef::Link(LinkId(i)), l))
        .chain(numbered(&uplinks).map(|(i, u)| (PortRef::Uplink(UplinkId(i)), u)))
        .collect();
    let mut port_names = Names::collect("link or uplink", ports.iter().map(|(id, p)| (&p.head, &p.name, *id)));
    for (id, port) in &ports {
        let is_its = |(_, vf): &(&&str, &raw::VfPort<'_>)| {
            vf.spec.is_some() && vf.spec == port.port.as_ref().map(|p| p.value.clone())
        };
        if let Some((name, vf)) = vf_ports.iter().find(is_its) {
            port_names.also(name, *id, vf.head.line);
        }
    }
    workers::one_owner_each(&ports);
    workers::apart_from_gateways(&ports);
    let share_cores = gateway.as_ref().is_some_and(|gateway| gateway.share_cores);
    let workers = workers::check_workers(&workers, &ports, &port_names, share_cores);
    let uplink_names =
        Names::collect_quietly("uplink", numbered(&uplinks).map(|(i, u)| (&u.head, &u.name, UplinkId(i))));
    let (group_of, groups_checked) = uplinks::check_groups(&groups, &uplinks, &uplink_names);
    let group_names = Names::collect("uplink_group", numbered(&groups).map(|(i, g)| (&g.head, &g.name, GroupId(i))));
    let max_mtu = gateway.as_ref().map_or(u16::MAX, |g: &Gateway| g.mtu);
    let networks_checked = uplinks::check_networks(&networks, &groups, &group_names, &uplinks, &uplink_names, max_mtu);
    let functions = sriov::check(&functions, &adapters.adapters);
    let adapters_checked = adapters::check(&adapters, &links, &networks, &networks_checked, classes.as_ref());

    let links = links.into_iter().map(|l| {
        Some(Link {
            name: l.name?,
            server: l.server,
            port: l.port?.value,
            queues: l.queues,
            offloads: l.offloads,
            fabric: l.fabric,
            groups: l.groups,
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
            groups: u.groups,
        })
    });
    let classes = classes?;
    let (pfs, vfs) = functions?;
    let config = Config {
        gateway: gateway?,
        workers: workers?,
        links: links.collect::<Option<_>>()?,
        uplinks: uplinks.collect::<Option<_>>()?,
        groups: groups_checked.into_iter().collect::<Option<_>>()?,
        networks: networks_checked.into_iter().collect::<Option<_>>()?,
        classes: classes.classes,
        default_class: classes.default,
        protocols: classes.protocols,
        adapters: adapters_checked?,
        pfs,
        vfs,
    };
    sriov::tags_can_pass(&config, &networks, &adapters.adapters);
    Some(config)
}

//! Which core polls which queue.

use super::cores;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A core that workers may run on: what the system calls a CPU, one thread of a physical core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// The system's number.
    pub number: usize,
    /// The NUMA node it is on, where the machine says.
    pub numa_node: Option<u32>,
    /// Whether the scheduler puts nothing there by itself (`isolcpus`).
    pub isolated: bool,
    /// The other threads of its physical core.
    pub siblings: Vec<usize>,
}

/// The cores that workers may run on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    cpus: Vec<Cpu>,
}

impl Topology {
    /// This machine's, as far as this process may use it.
    pub fn local() -> Self {
        Topology::at(Path::new("/"), &cores())
    }

    /// Of the machine whose `sys` stands in a folder, as far as these may be used.
    pub fn at(root: &Path, usable: &[usize]) -> Self {
        let system = root.join("sys/devices/system");
        let isolated = list_in(&system.join("cpu/isolated"));
        let cpu = |number: &usize| {
            let folder = system.join(format!("cpu/cpu{number}"));
            let mut siblings = list_in(&folder.join("topology/thread_siblings_list"));
            siblings.remove(number);
            Cpu {
                number: *number,
                numa_node: node_of(&folder),
                isolated: isolated.contains(number),
                siblings: siblings.into_iter().collect(),
            }
        };
        Topology { cpus: usable.iter().map(cpu).collect() }
    }

    /// The cores.
    pub fn cpus(&self) -> &[Cpu] {
        &self.cpus
    }

    /// The core with this number.
    pub fn cpu(&self, number: usize) -> Option<&Cpu> {
        self.cpus.iter().find(|cpu| cpu.number == number)
    }

    /// Chooses cores for queues, of which the NUMA nodes are given: at most `most` workers, one for a queue
    /// while there are cores. A core is on the queue's node, if any is left there; then on a physical core
    /// of its own; then isolated; and the first one is left to the system while there are others. Returns
    /// each core with the positions of its queues.
    ///
    /// ```
    /// use iogate::worker::Topology;
    ///
    /// let placed = Topology::local().place(&[None, None], 1);
    /// assert_eq!(placed[0].1, [0, 1]);
    /// ```
    pub fn place(&self, queues: &[Option<u32>], most: usize) -> Vec<(usize, Vec<usize>)> {
        let mut workers: Vec<(&Cpu, Vec<usize>)> = Vec::new();
        for (at, node) in queues.iter().enumerate() {
            let free = self.cpus.iter().filter(|cpu| workers.iter().all(|(taken, _)| taken.number != cpu.number));
            let away = |cpu: &Cpu| node.is_some() && cpu.numa_node.is_some() && cpu.numa_node != *node;
            let crowded = |cpu: &Cpu| workers.iter().any(|(taken, _)| taken.siblings.contains(&cpu.number));
            let best = free.min_by_key(|cpu| (away(cpu), crowded(cpu), !cpu.isolated, self.is_first(cpu), cpu.number));
            match best.filter(|_| workers.len() < most.max(1)) {
                Some(cpu) => workers.push((cpu, vec![at])),
                None => {
                    let least = workers.iter_mut().min_by_key(|(cpu, queues)| (away(cpu), queues.len(), cpu.number));
                    least.into_iter().for_each(|(_, queues)| queues.push(at));
                }
            }
        }
        workers.into_iter().map(|(cpu, queues)| (cpu.number, queues)).collect()
    }

    /// What is not ideal about a worker on `core` that polls queues on these nodes, beside workers on
    /// `others`.
    pub fn remarks(&self, core: usize, queues: &[Option<u32>], others: &[usize]) -> Vec<String> {
        let Some(cpu) = self.cpu(core) else { return Vec::new() };
        let mut remarks = Vec::new();
        let nodes: BTreeSet<u32> = queues.iter().flatten().copied().collect();
        if let Some(own) = cpu.numa_node {
            let away = nodes.into_iter().filter(|node| *node != own);
            remarks.extend(away.map(|node| format!("a queue is on NUMA node {node}, the core on {own}")));
        }
        if let Some(sibling) = cpu.siblings.iter().find(|sibling| others.contains(sibling)) {
            remarks.push(format!("shares a physical core with the worker on core {sibling}"));
        }
        if !cpu.isolated && self.cpus.iter().any(|cpu| cpu.isolated) {
            remarks.push("is not isolated, as others are".to_owned());
        }
        remarks
    }

    fn is_first(&self, cpu: &Cpu) -> bool {
        self.cpus.first().is_some_and(|first| first.number == cpu.number)
    }
}

/// The cores of the machine at `root` that are isolated and that this process' control group has: it may move
/// there, though it was not put there.
pub(super) fn isolated_cores(root: &Path) -> BTreeSet<usize> {
    let isolated = list_in(&root.join("sys/devices/system/cpu/isolated"));
    match control_group_cores(root) {
        Some(ours) => isolated.intersection(&ours).copied().collect(),
        None => isolated,
    }
}

/// What the control group of this process allows; nothing where it does not say. In version 1 the controller of
/// cores has groups of its own, and version 2 then does not have it.
fn control_group_cores(root: &Path) -> Option<BTreeSet<usize>> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    // Each line is `number:controllers:/group`, version 2 without controllers.
    let groups = || text.lines().filter_map(|line| line.split_once(':')?.1.split_once(":/"));
    let first = groups().find(|(controllers, _)| controllers.split(',').any(|controller| controller == "cpuset"));
    let (mount, group, names) = match first {
        Some((_, group)) => ("sys/fs/cgroup/cpuset", group, &["cpuset.effective_cpus", "cpuset.cpus"][..]),
        None => {
            let (_, group) = groups().find(|(controllers, _)| controllers.is_empty())?;
            ("sys/fs/cgroup", group, &["cpuset.cpus.effective"][..])
        }
    };
    // A container may see its own group as the root, and a group has what the one above it has unless it says more.
    let (mount, folder) = (root.join(mount), root.join(mount).join(group));
    let folders = folder.ancestors().take_while(|folder| folder.starts_with(&mount));
    let files = folders.flat_map(|folder| names.iter().map(|name| folder.join(name)));
    files.map(|file| list_in(&file)).find(|cores| !cores.is_empty())
}

/// The numbers in a small file, written as `0-3,8`.
fn list_in(file: &Path) -> BTreeSet<usize> {
    list(&fs::read_to_string(file).unwrap_or_default())
}

/// The numbers in a text such as `0-3,8`; what is none is passed over.
fn list(text: &str) -> BTreeSet<usize> {
    /// More than any machine has.
    const MOST: usize = 1 << 16;
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (last < MOST).then_some(first..=last)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

/// The node in whose folder a CPU is.
fn node_of(cpu: &Path) -> Option<u32> {
    let names = fs::read_dir(cpu).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix("node")?.parse().ok()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two nodes of four physical cores of two threads: 0-3 and 8-11 on node 0, 4-7 and 12-15 on node 1.
    fn machine(isolated: &str, usable: &str) -> Topology {
        let folder = tempfile::tempdir().unwrap();
        let system = folder.path().join("sys/devices/system/cpu");
        for number in 0..16 {
            let cpu = system.join(format!("cpu{number}"));
            fs::create_dir_all(cpu.join("topology")).unwrap();
            fs::create_dir(cpu.join(format!("node{}", number % 8 / 4))).unwrap();
            let siblings = format!("{},{}\n", number % 8, number % 8 + 8);
            fs::write(cpu.join("topology/thread_siblings_list"), siblings).unwrap();
        }
        fs::write(system.join("isolated"), isolated).unwrap();
        Topology::at(folder.path(), &list(usable).into_iter().collect::<Vec<_>>())
    }

    #[test]
    fn lists_are_read() {
        assert_eq!(list("0-2,8\n"), BTreeSet::from([0, 1, 2, 8]));
        for text in ["", "\n", "x", "3-1", "0-99999999999", "-1"] {
            assert_eq!(list(text), BTreeSet::new(), "{text:?}");
        }
    }

    /// The isolated cores of a machine with 2-7 isolated and these files, to a process in these groups.
    fn isolated_in(groups: &str, files: &[(&str, &str)]) -> Vec<usize> {
        let folder = tempfile::tempdir().unwrap();
        let isolated = ("sys/devices/system/cpu/isolated", "2-7\n");
        for (file, text) in [isolated, ("proc/self/cgroup", groups)].iter().chain(files) {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        isolated_cores(folder.path()).into_iter().collect()
    }

    #[test]
    fn isolated_cores_are_those_of_the_control_group() {
        let all = [2, 3, 4, 5, 6, 7];
        assert_eq!(isolated_in("", &[]), all);
        assert_eq!(isolated_in("no sense\n7:cpuset\n0::\n", &[]), all);

        // Version 2: the group's own, that of the nearest above that has the controller, or all.
        let slice = ("sys/fs/cgroup/a.slice/cpuset.cpus.effective", "0-4\n");
        let own = ("sys/fs/cgroup/a.slice/b/cpuset.cpus.effective", "3,9\n");
        assert_eq!(isolated_in("0::/a.slice/b\n", &[slice, own]), [3]);
        assert_eq!(isolated_in("0::/a.slice/b\n", &[slice]), [2, 3, 4]);
        assert_eq!(isolated_in("0::/\n", &[slice]), all);

        // Version 1, also beside version 2, and with an older kernel's file.
        let groups = "12:memory:/m\n11:cpuset,cpu:/docker/c1\n1:name=systemd:/s\n0::/a.slice/b\n";
        let effective = ("sys/fs/cgroup/cpuset/docker/c1/cpuset.effective_cpus", "5-6\n");
        let wanted = ("sys/fs/cgroup/cpuset/docker/c1/cpuset.cpus", "4-6\n");
        assert_eq!(isolated_in(groups, &[effective, wanted, own]), [5, 6]);
        assert_eq!(isolated_in(groups, &[wanted, own]), [4, 5, 6]);
        // A container's own group is the root of what it sees.
        assert_eq!(isolated_in(groups, &[("sys/fs/cgroup/cpuset/cpuset.effective_cpus", "7\n"), own]), [7]);
        // No group of cores at all.
        assert_eq!(isolated_in("12:memory:/m\n", &[own]), all);
    }

    #[test]
    fn queues_come_to_cores_of_their_node_each_on_a_physical_core() {
        let machine = machine("", "0-15");
        let queues = [Some(0), Some(0), Some(1), Some(1), None];
        // The first core is left to the system.
        let placed = [(1, vec![0]), (2, vec![1]), (4, vec![2]), (5, vec![3]), (3, vec![4])];
        assert_eq!(machine.place(&queues, 16), placed);
        assert_eq!(machine.remarks(1, &queues[..1], &[2, 4, 5, 3]), [""; 0]);
        // With more queues than physical cores on the node, threads are shared before nodes are crossed.
        let many = machine.place(&[Some(0); 6], 16);
        let cores: Vec<_> = many.iter().map(|(core, _)| *core).collect();
        assert_eq!(cores, [1, 2, 3, 8, 9, 10]);
        assert_eq!(machine.remarks(9, &[Some(0)], &cores), ["shares a physical core with the worker on core 1"]);
    }

    #[test]
    fn isolated_cores_are_preferred() {
        let machine = machine("2-3,6-7", "0-15");
        let placed = machine.place(&[Some(0), Some(1), Some(0)], 16);
        assert_eq!(placed, [(2, vec![0]), (6, vec![1]), (3, vec![2])]);
        assert_eq!(
            machine.remarks(1, &[Some(1)], &[]),
            ["a queue is on NUMA node 1, the core on 0", "is not isolated, as others are"]
        );
    }

    #[test]
    fn fewer_cores_or_workers_share_the_queues_of_their_node() {
        let queues = [Some(0), Some(1), Some(0), Some(1), None];
        assert_eq!(machine("", "0-15").place(&queues, 2), [(1, vec![0, 2, 4]), (4, vec![1, 3])]);
        assert_eq!(machine("", "5").place(&queues, 16), [(5, vec![0, 1, 2, 3, 4])]);
        assert_eq!(machine("", "0-1").place(&queues, 16), [(1, vec![0, 3]), (0, vec![1, 2, 4])]);
        assert_eq!(Topology::default().place(&queues, 16), []);
    }
}

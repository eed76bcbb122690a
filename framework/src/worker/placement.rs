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

/// The cores that are isolated and that this process' control group has: it may move there, though it
/// was not put there.
pub(super) fn isolated_cores() -> BTreeSet<usize> {
    let isolated = list_in(Path::new("/sys/devices/system/cpu/isolated"));
    match control_group_cores() {
        Some(ours) => isolated.intersection(&ours).copied().collect(),
        None => isolated,
    }
}

/// What the control group (version 2) of this process allows; nothing where it does not say.
fn control_group_cores() -> Option<BTreeSet<usize>> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = Path::new("/sys/fs/cgroup").join(path);
    let files = folder.ancestors().take_while(|folder| folder.starts_with("/sys/fs/cgroup"));
    let file = files.map(|folder| folder.join("cpuset.cpus.effective")).find(|file| file.exists())?;
    Some(list_in(&file)).filter(|cores| !cores.is_empty())
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

//! Which queue's packets go where, and on which core.

use crate::options::Topology;
use crate::settings::Settings;
use iogate::eal::Lcore;

/// One stream: an RX queue and the TX queue that its packets leave by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) rx_port: u16,
    pub(crate) rx_queue: u16,
    pub(crate) tx_port: u16,
    pub(crate) tx_queue: u16,
}

/// Streams by core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) cores: Vec<(Lcore, Vec<Link>)>,
}

impl Plan {
    /// All streams.
    pub(crate) fn streams(&self) -> usize {
        self.cores.iter().map(|(_, links)| links.len()).sum()
    }
}

/// Lays streams out as the original does: queue by queue, port by port, in equal shares for each core,
/// the last ones taking what is left over.
pub(crate) fn plan(settings: &Settings, lcores: &[Lcore], queues: u16) -> Plan {
    let ports = settings.forwarding();
    let mut links = Vec::new();
    for queue in 0..queues {
        for (at, port) in ports.iter().enumerate() {
            let to = if settings.mode.loops() { at } else { partner(settings.topology, at, ports.len()) };
            links.push(Link { rx_port: *port, rx_queue: queue, tx_port: ports[to], tx_queue: queue });
        }
    }
    let known = |id: &u32| lcores.iter().find(|lcore| lcore.id == *id).copied();
    let cores: Vec<Lcore> = settings.lcores.iter().filter_map(known).take(settings.nb_cores).collect();
    let count = cores.len().min(links.len());
    if count == 0 {
        return Plan::default();
    }
    let (share, extra) = (links.len() / count, links.len() % count);
    let mut links = links.into_iter();
    let take = |(at, lcore): (usize, Lcore)| {
        let share = if at < count - extra { share } else { share + 1 };
        (lcore, links.by_ref().take(share).collect())
    };
    Plan { cores: cores.into_iter().take(count).enumerate().map(take).collect() }
}

fn partner(topology: Topology, at: usize, count: usize) -> usize {
    match topology {
        Topology::Loop => at,
        Topology::Chained => (at + 1) % count,
        // The last of an odd number is its own.
        Topology::Paired => {
            if at ^ 1 < count {
                at ^ 1
            } else {
                at
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn lcores(count: u32) -> Vec<Lcore> {
        (0..count).map(|id| Lcore { id, core: id as usize, numa_node: 0, main: id == 0 }).collect()
    }

    fn planned(ports: &[u16], cores: u32, queues: u16, topology: Topology) -> Vec<Vec<(u16, u16, u16)>> {
        let mut settings = Settings::new(&Options::default());
        settings.ports = ports.to_vec();
        settings.nb_ports = ports.len();
        settings.topology = topology;
        settings.lcores = (1..=cores).collect();
        settings.nb_cores = cores as usize;
        let plan = plan(&settings, &lcores(cores + 1), queues);
        let of = |(_, links): &(Lcore, Vec<Link>)| links.iter().map(|l| (l.rx_port, l.rx_queue, l.tx_port)).collect();
        plan.cores.iter().map(of).collect()
    }

    #[test]
    fn ports_are_paired() {
        assert_eq!(planned(&[0, 1], 1, 2, Topology::Paired), [[(0, 0, 1), (1, 0, 0), (0, 1, 1), (1, 1, 0)]]);
        assert_eq!(planned(&[0, 1, 2], 1, 1, Topology::Paired), [[(0, 0, 1), (1, 0, 0), (2, 0, 2)]]);
        assert_eq!(planned(&[3, 1], 1, 1, Topology::Paired), [[(3, 0, 1), (1, 0, 3)]]);
    }

    #[test]
    fn ports_are_chained_or_looped() {
        assert_eq!(planned(&[0, 1, 2], 1, 1, Topology::Chained), [[(0, 0, 1), (1, 0, 2), (2, 0, 0)]]);
        assert_eq!(planned(&[0, 1], 1, 1, Topology::Loop), [[(0, 0, 0), (1, 0, 1)]]);
    }

    #[test]
    fn cores_share_and_the_last_take_the_rest() {
        let sizes = |ports: &[u16], cores| -> Vec<usize> {
            planned(ports, cores, 1, Topology::Loop).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[0, 1, 2, 3, 4], 2), [2, 3]);
        assert_eq!(sizes(&[0, 1], 3), [1, 1]);
        assert_eq!(sizes(&[], 3), [0; 0]);
    }
}

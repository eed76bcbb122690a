//! What a worker does when nothing arrives.

use std::time::Duration;

/// What a worker does when no queue has anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Polls on: the lowest latency, a whole core.
    Spin,
    /// Polls on with pauses that leave the core's sibling thread and its power budget alone.
    Pause,
    /// Polls on for a while and then sleeps, longer and longer, up to this long: the latency that it
    /// may add to the first packet after a quiet time.
    Sleep(Duration),
    /// Polls on for a while and then sleeps until a queue has something. Every queue's driver must
    /// have RX interrupts, and its port be started with them.
    Interrupt,
}

impl Idle {
    /// For ports with the kernel or another process at the other end.
    pub const SOFTWARE: Idle = Idle::Sleep(Duration::from_micros(50));
}

impl Default for Idle {
    fn default() -> Self {
        Idle::SOFTWARE
    }
}

/// What to do after a round.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rest {
    None,
    Pause,
    Sleep(Duration),
    Interrupt,
}

/// Follows how long it has been quiet.
#[derive(Debug)]
pub(super) struct Quiet {
    policy: Idle,
    rounds: u32,
}

/// Quiet rounds before a worker pauses, and before it sleeps. A round that finds nothing takes about
/// a tenth of a microsecond.
const BEFORE_PAUSE: u32 = 64;
const BEFORE_SLEEP: u32 = 256;

impl Quiet {
    pub(super) fn new(policy: Idle) -> Self {
        Quiet { policy, rounds: 0 }
    }

    #[inline]
    pub(super) fn after(&mut self, packets: usize) -> Rest {
        if packets > 0 {
            self.rounds = 0;
            return Rest::None;
        }
        self.rounds = self.rounds.saturating_add(1);
        match self.policy {
            Idle::Spin => Rest::None,
            Idle::Pause => Rest::Pause,
            _ if self.rounds < BEFORE_PAUSE => Rest::None,
            _ if self.rounds < BEFORE_SLEEP => Rest::Pause,
            // From a microsecond, doubled every 8 rounds.
            Idle::Sleep(most) => {
                let doublings = ((self.rounds - BEFORE_SLEEP) / 8).min(20);
                Rest::Sleep(Duration::from_micros(1 << doublings).min(most))
            }
            Idle::Interrupt => Rest::Interrupt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rests(policy: Idle, rounds: usize) -> Vec<Rest> {
        let mut quiet = Quiet::new(policy);
        (0..rounds).map(|_| quiet.after(0)).collect()
    }

    #[test]
    fn sleeping_begins_late_grows_and_stays_within_the_stated_latency() {
        let most = Duration::from_micros(50);
        let rests = rests(Idle::Sleep(most), 1000);
        assert!(rests[..BEFORE_PAUSE as usize - 1].iter().all(|rest| *rest == Rest::None));
        assert_eq!(rests[BEFORE_SLEEP as usize - 1], Rest::Sleep(Duration::from_micros(1)));
        assert_eq!(rests[999], Rest::Sleep(most));
        assert!(rests.iter().all(|rest| !matches!(rest, Rest::Sleep(time) if *time > most)));
    }

    #[test]
    fn a_packet_wakes_it_up() {
        let mut quiet = Quiet::new(Idle::SOFTWARE);
        (0..1000).for_each(|_| {
            quiet.after(0);
        });
        assert_eq!(quiet.after(1), Rest::None);
        assert_eq!(quiet.after(0), Rest::None);
    }

    #[test]
    fn spinning_never_rests() {
        assert!(rests(Idle::Spin, 1000).iter().all(|rest| *rest == Rest::None));
        assert!(rests(Idle::Pause, 1000).iter().all(|rest| *rest == Rest::Pause));
    }
}

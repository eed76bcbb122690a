//! Notices that a VF is dead, though its driver may not say so.

use std::fmt;
use std::time::{Duration, Instant};

/// What is to be seen of a VF from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VfSigns {
    /// Whether its own link is up.
    pub link: bool,
    /// Its PF's, where that can be seen from here.
    pub pf: Option<PfLink>,
    /// Packets that its driver took to send.
    pub sent: u64,
    /// Packets that its driver had no room for.
    pub refused: u64,
    /// Its driver has asked for a reset since it was looked at last.
    pub reset_asked: bool,
    /// The IOMMU has refused it an access since then.
    pub faulted: bool,
}

/// The link of a PF, as the kernel sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PfLink {
    /// Whether it is up now.
    pub up: bool,
    /// How often it went down so far: its driver resets the card then, VFs included.
    pub downs: u64,
}

/// Why a VF is taken for dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// Its PF was down and is up again: it has lost its queues, and may not know.
    PfWasDown,
    /// Its link stays down while its PF's is up.
    LinkBehind,
    /// It takes no packet to send, and others wait.
    Stalled,
    /// Its driver asks for a reset.
    ResetAsked,
    /// The IOMMU refuses it accesses to memory: its descriptors are not what it should have.
    Faulted,
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ailment::PfWasDown => "its physical function was down and is up again",
            Ailment::LinkBehind => "its link is down while that of its physical function is up",
            Ailment::Stalled => "it takes no packets to send",
            Ailment::ResetAsked => "its driver asks for a reset",
            Ailment::Faulted => "the IOMMU has refused it accesses to memory",
        })
    }
}

/// Watches one VF: looks at signs, and says when it is to be restarted.
///
/// A restart that does not help is not tried again at once, but after twice the time each time, up to a
/// minute: a VF whose link was set to `disable` is not ill.
#[derive(Clone, Debug)]
pub struct Watchdog {
    patience: Duration,
    /// How long to wait after the next restart.
    pause: Duration,
    not_before: Option<Instant>,
    last: Option<VfSigns>,
    pf_was_down: bool,
    reset_asked: bool,
    faulted: bool,
    behind_since: Option<Instant>,
    stalled_since: Option<Instant>,
    well_since: Option<Instant>,
    /// What the last restart was for, if it did not go well: no sign of life may come since.
    failed: Option<Ailment>,
}

/// The longest time between two restarts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Watchdog {
    /// One that waits so long before it takes a bad sign for more than that.
    pub fn new(patience: Duration) -> Self {
        Watchdog {
            patience,
            pause: patience,
            not_before: None,
            last: None,
            pf_was_down: false,
            reset_asked: false,
            faulted: false,
            behind_since: None,
            stalled_since: None,
            well_since: None,
            failed: None,
        }
    }

    /// Looks; says what is wrong when the VF is to be restarted now.
    pub fn look(&mut self, now: Instant, signs: VfSigns) -> Option<Ailment> {
        let last = self.last.replace(signs).unwrap_or(signs);
        let pf_up = signs.pf.is_none_or(|pf| pf.up);
        self.reset_asked |= signs.reset_asked;
        self.faulted |= signs.faulted;
        self.pf_was_down |= signs.pf.zip(last.pf).is_some_and(|(pf, before)| pf.downs != before.downs);
        let behind = !signs.link && signs.pf.is_some_and(|pf| pf.up);
        let stalled = signs.sent == last.sent && (signs.refused > last.refused || self.stalled_since.is_some());
        since(&mut self.behind_since, behind, now);
        since(&mut self.stalled_since, stalled, now);
        let long = |since: Option<Instant>| since.is_some_and(|since| now.duration_since(since) >= self.patience);
        let ailment = match () {
            () if self.reset_asked => Some(Ailment::ResetAsked),
            () if self.faulted => Some(Ailment::Faulted),
            // Not before the other side is there to answer.
            () if !pf_up => None,
            () if self.failed.is_some() => self.failed,
            () if self.pf_was_down => Some(Ailment::PfWasDown),
            () if long(self.behind_since) => Some(Ailment::LinkBehind),
            () if long(self.stalled_since) => Some(Ailment::Stalled),
            () => None,
        };
        since(&mut self.well_since, ailment.is_none(), now);
        if self.well_since.is_some_and(|since| now.duration_since(since) >= self.pause)
            && self.not_before.is_some_and(|at| now >= at)
        {
            (self.pause, self.not_before) = (self.patience, None);
        }
        ailment.filter(|_| self.not_before.is_none_or(|at| now >= at))
    }

    /// To be told when it was restarted for an ailment, and whether that went well. What did not is tried again.
    pub fn restarted(&mut self, now: Instant, ailment: Ailment, well: bool) {
        self.failed = (!well).then_some(ailment);
        if well {
            (self.pf_was_down, self.reset_asked, self.faulted) = (false, false, false);
        }
        (self.behind_since, self.stalled_since, self.well_since) = (None, None, None);
        self.not_before = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// Since when something is so.
fn since(since: &mut Option<Instant>, is_so: bool, now: Instant) {
    *since = is_so.then(|| since.unwrap_or(now));
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: VfSigns = VfSigns {
        link: true,
        pf: Some(PfLink { up: true, downs: 1 }),
        sent: 0,
        refused: 0,
        reset_asked: false,
        faulted: false,
    };

    /// Looks every 100 ms with a patience of a second, and restarts when told; returns when and why.
    fn watch(restart_helps: bool, signs: impl Fn(u64) -> VfSigns, looks: u64) -> Vec<(u64, Ailment)> {
        let (mut dog, start) = (Watchdog::new(Duration::from_secs(1)), Instant::now());
        let mut restarts = Vec::new();
        for at in 0..looks {
            let now = start + Duration::from_millis(at * 100);
            if let Some(ailment) = dog.look(now, signs(at)) {
                restarts.push((at, ailment));
                dog.restarted(now, ailment, restart_helps);
            }
        }
        restarts
    }

    #[test]
    fn one_that_is_well_is_left_alone() {
        assert_eq!(watch(true, |at| VfSigns { sent: at, ..WELL }, 1000), []);
        // Also one that is quiet, that cannot keep up, or whose PF is unseen and whose link is out.
        assert_eq!(watch(true, |_| WELL, 1000), []);
        assert_eq!(watch(true, |at| VfSigns { sent: at / 5, refused: at, ..WELL }, 1000), []);
        assert_eq!(watch(true, |_| VfSigns { link: false, pf: None, ..WELL }, 1000), []);
    }

    #[test]
    fn after_its_pf_was_down_it_is_restarted_once_that_is_up() {
        let pf = |at: u64| PfLink { up: !(5..20).contains(&at), downs: 1 + u64::from(at >= 5) };
        assert_eq!(watch(true, |at| VfSigns { pf: Some(pf(at)), ..WELL }, 1000), [(20, Ailment::PfWasDown)]);
        // So quickly that nobody saw it down; and twice.
        let flap = |at: u64| PfLink { up: true, downs: 1 + u64::from(at >= 5) + u64::from(at >= 500) };
        let restarts = watch(true, |at| VfSigns { pf: Some(flap(at)), ..WELL }, 1000);
        assert_eq!(restarts, [(5, Ailment::PfWasDown), (500, Ailment::PfWasDown)]);
    }

    #[test]
    fn a_link_that_stays_behind_is_restarted_ever_more_rarely() {
        let restarts = watch(true, |_| VfSigns { link: false, ..WELL }, 1000);
        let when: Vec<_> = restarts.iter().map(|(at, _)| *at).collect();
        assert_eq!(restarts[0], (10, Ailment::LinkBehind));
        assert_eq!(when, [10, 21, 41, 81, 161, 321, 641]);
    }

    #[test]
    fn one_that_takes_nothing_to_send_is_restarted() {
        // From 3 s on nothing is sent, and now and then something is refused.
        let signs = |at: u64| VfSigns { sent: at.min(30), refused: at.saturating_sub(30) / 3, ..WELL };
        assert_eq!(watch(true, signs, 45), [(43, Ailment::Stalled)]);
    }

    #[test]
    fn a_restart_that_fails_is_tried_again_though_nothing_more_is_sent() {
        // Nobody sends any more once it is taken for dead, and nothing else shows.
        let signs = |at: u64| VfSigns { link: false, pf: None, sent: at.min(30), refused: at.clamp(30, 41), ..WELL };
        let restarts = watch(false, signs, 200);
        assert_eq!(restarts, [41, 51, 71, 111, 191].map(|at| (at, Ailment::Stalled)));
        assert_eq!(watch(true, signs, 200), restarts[..1]);
    }

    #[test]
    fn one_that_the_iommu_stops_is_restarted_and_not_without_end() {
        assert_eq!(watch(true, |at| VfSigns { faulted: at == 3, ..WELL }, 1000), [(3, Ailment::Faulted)]);
        let when: Vec<_> =
            watch(true, |_| VfSigns { faulted: true, ..WELL }, 100).into_iter().map(|(at, _)| at).collect();
        assert_eq!(when, [0, 10, 30, 70]);
    }

    #[test]
    fn a_reset_is_made_when_asked_for_and_tried_again_when_it_fails() {
        let signs = |at: u64| VfSigns { reset_asked: at == 7, pf: None, ..WELL };
        assert_eq!(watch(true, signs, 1000), [(7, Ailment::ResetAsked)]);
        let when: Vec<_> = watch(false, signs, 100).into_iter().map(|(at, _)| at).collect();
        assert_eq!(when, [7, 17, 37, 77]);
    }
}

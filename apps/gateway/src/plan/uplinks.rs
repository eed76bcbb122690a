//! Which uplink of a group is in use.

use crate::config::Config;
use crate::config::model::{Failback, GroupMode, UplinkId};
use crate::dataplane::Active;
use crate::dataplane::tables::NO_UPLINK;
use std::time::{Duration, Instant};

/// Follows the uplinks' links and chooses, in each group, the one to use.
#[derive(Clone, Debug)]
pub struct UplinkChoice {
    up_since: Vec<Option<Instant>>,
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Group {
    members: Vec<UplinkId>,
    /// How long a preferred member must be up to take over again; nothing: it does not.
    failback: Option<Duration>,
    current: Option<UplinkId>,
}

impl UplinkChoice {
    /// With no uplink up yet.
    pub fn new(config: &Config) -> Self {
        let group = |model: &crate::config::model::UplinkGroup| match &model.mode {
            GroupMode::ActiveStandby { members, failback } => {
                let failback = match failback {
                    Failback::Auto(delay) => Some(*delay),
                    Failback::Manual => None,
                };
                Group { members: members.clone(), failback, current: None }
            }
            // Fabrics do not stand in for each other: see `active`.
            GroupMode::DualFabric { .. } => Group { members: Vec::new(), failback: None, current: None },
        };
        UplinkChoice { up_since: vec![None; config.uplinks.len()], groups: config.groups.iter().map(group).collect() }
    }

    /// Takes note of which uplinks are up; says whether anything may have changed.
    pub fn update(&mut self, now: Instant, up: &[bool]) -> bool {
        let before: Vec<_> = self.groups.iter().map(|group| group.current).collect();
        let mut changed = false;
        for (since, up) in self.up_since.iter_mut().zip(up) {
            changed |= since.is_some() != *up;
            *since = up.then(|| since.unwrap_or(now));
        }
        for group in &mut self.groups {
            group.choose(now, &self.up_since);
        }
        changed || before.into_iter().ne(self.groups.iter().map(|group| group.current))
    }

    /// By network, the uplink to use.
    pub fn active(&self, config: &Config) -> Active {
        let of_network = |(id, network): (_, &crate::config::model::Network)| {
            let group = &self.groups[network.group.index()];
            let chosen = match config.group(network.group).mode {
                GroupMode::ActiveStandby { .. } => group.current,
                GroupMode::DualFabric { .. } => {
                    config.uplinks_of(id).iter().copied().find(|uplink| self.up_since[uplink.index()].is_some())
                }
            };
            chosen.map_or(NO_UPLINK, |uplink| uplink.index() as u16)
        };
        Active(config.networks().map(of_network).collect())
    }
}

impl Group {
    fn choose(&mut self, now: Instant, up_since: &[Option<Instant>]) {
        let up_for = |uplink: UplinkId| up_since[uplink.index()].map(|since| now.duration_since(since));
        let current = self.current.filter(|uplink| up_for(*uplink).is_some());
        let Some(current) = current else {
            self.current = self.members.iter().copied().find(|uplink| up_for(*uplink).is_some());
            return;
        };
        let Some(delay) = self.failback else { return };
        let steady = |uplink: &UplinkId| up_for(*uplink).is_some_and(|time| time >= delay);
        let preferred = self.members.iter().copied().take_while(|uplink| *uplink != current).find(steady);
        self.current = Some(preferred.unwrap_or(current));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(failback: &str) -> Config {
        let text = format!(
            r#"
            schema = 1
            [gateway]
            name = "gw"
            [[uplink]]
            name = "a"
            port = "null"
            kind = "network"
            [[uplink]]
            name = "b"
            port = "null"
            kind = "network"
            [[uplink_group]]
            name = "lan"
            kind = "network"
            members = ["a", "b"]
            {failback}
            [[network]]
            name = "prod"
            vlan = 10
            uplink = "lan"
            "#
        );
        crate::config::parse(&text, Path::new("gw.toml")).expect("a valid file")
    }

    /// Feeds (seconds, a up, b up) and returns the active uplink after each.
    fn follow(failback: &str, steps: &[(u64, bool, bool)]) -> Vec<u16> {
        let config = config(failback);
        let mut choice = UplinkChoice::new(&config);
        let start = Instant::now();
        let step = |(second, a, b): &(u64, bool, bool)| {
            choice.update(start + Duration::from_secs(*second), &[*a, *b]);
            choice.active(&config).0[0]
        };
        steps.iter().map(step).collect()
    }

    const DOWN: bool = false;
    const UP: bool = true;

    #[test]
    fn the_preferred_one_is_used_and_the_other_stands_in() {
        let steps = [(0, UP, UP), (1, DOWN, UP), (2, DOWN, DOWN), (3, DOWN, UP)];
        assert_eq!(follow("failback = \"manual\"", &steps), [0, 1, NO_UPLINK, 1]);
    }

    #[test]
    fn failing_back_waits_until_the_link_is_steady() {
        let steps = [(0, UP, UP), (1, DOWN, UP), (2, UP, UP), (5, DOWN, UP), (6, UP, UP), (15, UP, UP), (16, UP, UP)];
        assert_eq!(follow("failback_delay_ms = 10000", &steps), [0, 1, 1, 1, 1, 1, 0]);
    }

    #[test]
    fn without_failback_the_standby_stays() {
        let steps = [(0, UP, UP), (1, DOWN, UP), (2, UP, UP), (100, UP, UP), (101, UP, DOWN)];
        assert_eq!(follow("failback = \"manual\"", &steps), [0, 1, 1, 1, 0]);
    }

    #[test]
    fn nothing_new_is_no_change() {
        let config = config("");
        let mut choice = UplinkChoice::new(&config);
        let now = Instant::now();
        assert!(choice.update(now, &[UP, UP]));
        assert!(!choice.update(now + Duration::from_secs(1), &[UP, UP]));
        assert!(choice.update(now + Duration::from_secs(2), &[UP, DOWN]));
    }
}

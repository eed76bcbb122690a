//! The search for the highest rate that loses no more than allowed: RFC 2544, section 26.1, by halves.

use anyhow::Result;

/// What a rate gave: parts of the line's rate, and of the frames that were sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rung {
    pub(super) rate: f64,
    pub(super) loss: f64,
}

/// The highest rate, of the whole line's, that loses at most `accept`; nothing when none was found. `rungs` are trials
/// that were made before and get those that `run` makes, which returns the loss.
pub(super) fn highest(
    accept: f64,
    resolution: f64,
    rungs: &mut Vec<Rung>,
    run: &mut dyn FnMut(f64) -> Result<f64>,
) -> Result<Option<f64>> {
    loop {
        // A rate counts only below all that failed: loss that comes and goes is loss.
        let failed = rungs.iter().filter(|rung| rung.loss > accept).map(|rung| rung.rate);
        let bad = failed.fold(f64::INFINITY, f64::min);
        let passed = rungs.iter().filter(|rung| rung.loss <= accept && rung.rate < bad).map(|rung| rung.rate);
        let good = passed.fold(0.0, f64::max);
        let rate = match bad {
            _ if good >= 1.0 => return Ok(Some(good)),
            none if none.is_infinite() => 1.0,
            bad if bad - good <= resolution => return Ok((good > 0.0).then_some(good)),
            bad => f64::midpoint(good, bad),
        };
        rungs.push(Rung { rate, loss: run(rate)? });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A device that loses what is above its capacity.
    fn device(capacity: f64) -> impl FnMut(f64) -> Result<f64> {
        move |rate| Ok(((rate - capacity) / rate).max(0.0))
    }

    #[test]
    fn a_device_that_takes_all_needs_one_trial() {
        let mut rungs = Vec::new();
        assert_eq!(highest(0.0, 0.01, &mut rungs, &mut device(1.0)).unwrap(), Some(1.0));
        assert_eq!(rungs.len(), 1);
    }

    #[test]
    fn a_device_that_loses_always_has_no_rate_and_the_search_ends() {
        let mut rungs = Vec::new();
        assert_eq!(highest(0.0, 0.01, &mut rungs, &mut |_| Ok(0.5)).unwrap(), None);
        assert!(rungs.len() <= 8, "{}", rungs.len());
    }

    #[test]
    fn what_was_tried_is_not_tried_again() {
        let mut rungs = Vec::new();
        highest(0.0, 0.01, &mut rungs, &mut device(0.4)).unwrap();
        let before = rungs.len();
        let partial = highest(0.001, 0.01, &mut rungs, &mut device(0.4)).unwrap();
        assert!(partial.is_some() && rungs.len() == before, "the same bounds hold");
    }

    #[test]
    fn a_trial_that_fails_ends_the_search() {
        assert!(highest(0.0, 0.01, &mut Vec::new(), &mut |_| anyhow::bail!("the port is gone")).is_err());
    }

    proptest! {
        #[test]
        fn the_capacity_is_found_within_the_resolution(capacity in 0.02_f64..1.0, resolution in 0.001_f64..0.02) {
            let mut rungs = Vec::new();
            let found = highest(0.0, resolution, &mut rungs, &mut device(capacity)).unwrap().unwrap();
            prop_assert!(found <= capacity && capacity - found <= resolution, "{found} for {capacity}");
            prop_assert!(rungs.len() <= 12);
        }
    }
}

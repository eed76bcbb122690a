//! Every rule: a change to the base, and all that is said about it.

use super::{BASE, changed, check};

/// What to change, into what, and the messages without the name of the file.
type Case = (&'static str, &'static str, &'static [&'static str]);

fn run(cases: &[Case]) {
    for (from, to, expected) in cases {
        let found = check(&changed(from, to)).err().unwrap_or_default();
        let found: Vec<_> = found
            .lines()
            .map(|l| l.strip_prefix("gw.toml:").unwrap_or(l))
            .collect();
        assert_eq!(found, *expected, "\n{from:?} -> {to:?}");
    }
}

#[test]
fn placeholder() {
    run(&[]);
    assert!(check(BASE).is_ok());
}

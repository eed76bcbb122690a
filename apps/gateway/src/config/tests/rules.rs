//! Every rule, by the cases of `rules.txt`.

use super::{changed, check};

#[derive(Default)]
struct Case {
    from: Vec<&'static str>,
    to: Vec<&'static str>,
    messages: Vec<&'static str>,
}

/// The cases of the file, which are apart by empty lines.
fn cases() -> impl Iterator<Item = Case> {
    let paragraphs = include_str!("rules.txt").split("\n\n");
    let read = |paragraph: &'static str| {
        let mut case = Case::default();
        for line in paragraph.lines() {
            match line.split_at_checked(1) {
                Some(("<", rest)) => case.from.push(rest.trim_start_matches(' ')),
                Some((">", rest)) => case.to.push(rest.strip_prefix(' ').unwrap_or(rest)),
                Some(("!", rest)) => case.messages.push(rest.trim_start()),
                Some(("#", _)) | None => {}
                Some(_) => panic!("what is {line:?}?"),
            }
        }
        case
    };
    paragraphs.map(read).filter(|case| !case.from.is_empty())
}

#[test]
fn every_rule_says_what_is_wrong_and_where() {
    let mut count = 0;
    for case in cases() {
        let (from, to) = (case.from.join("\n"), case.to.join("\n"));
        let found = check(&changed(&from, &to)).err().unwrap_or_default();
        let found: Vec<_> = found.lines().map(|line| line.strip_prefix("gw.toml:").unwrap_or(line).trim()).collect();
        assert_eq!(found, case.messages, "\n{from}\n->\n{to}");
        count += 1;
    }
    assert!(count > 90, "only {count} cases were found");
}

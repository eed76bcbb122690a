//! What can be typed. Each file is a family; each command a pattern, a line of help, a function.

mod absent;
mod checksum;
mod complete;
mod control;
mod display;
mod filters;
mod flow_control;
mod flows;
mod help;
mod measure;
mod port;
mod port_config;
mod queues;
mod registers;
mod segments;
mod set;
mod spread;
mod tools;
mod vlan;

pub(crate) use complete::complete;

use crate::app::App;
use crate::grammar::{Refusal, Values, begins, fit, tokens};
use crate::screen::complain;

/// A command.
pub(crate) struct Command {
    /// See [`crate::grammar`].
    pub(crate) pattern: &'static str,
    /// What it does, in a line.
    pub(crate) help: &'static str,
    /// Does it.
    pub(crate) run: fn(&mut App, &Values),
}

/// Commands that belong together.
pub(crate) struct Family {
    /// What `help` calls it.
    pub(crate) name: &'static str,
    /// What it is about, in a line.
    pub(crate) about: &'static str,
    pub(crate) commands: &'static [Command],
}

/// Everything there is.
pub(crate) const FAMILIES: &[&Family] = &[
    &control::FAMILY,
    &display::FAMILY,
    &set::FAMILY,
    &port::FAMILY,
    &port_config::FAMILY,
    &queues::FAMILY,
    &spread::FAMILY,
    &vlan::FAMILY,
    &checksum::FAMILY,
    &segments::FAMILY,
    &filters::FAMILY,
    &flows::FAMILY,
    &flow_control::FAMILY,
    &registers::FAMILY,
    &measure::FAMILY,
    &tools::FAMILY,
    &help::FAMILY,
];

fn all() -> impl Iterator<Item = &'static Command> {
    FAMILIES.iter().flat_map(|family| family.commands)
}

/// Finds the command that a line is.
fn find(tokens: &[&str]) -> Result<(&'static Command, Values), Refusal> {
    let Some(first) = tokens.first() else { return Err(Refusal::NotFound) };
    let mut fitting = all().filter_map(|command| Some((command, fit(command.pattern, tokens)?)));
    match (fitting.next(), fitting.next()) {
        (Some(found), None) => Ok(found),
        (Some(_), Some(_)) => Err(Refusal::Ambiguous),
        _ if absent::is(tokens) => Err(Refusal::NotFound),
        _ if all().any(|command| begins(command.pattern, first)) => Err(Refusal::BadArguments),
        _ => Err(Refusal::NotFound),
    }
}

/// Runs a line. An empty one, or a comment, is nothing.
pub(crate) fn execute(app: &mut App, line: &str) {
    let tokens = tokens(line);
    if tokens.is_empty() {
        return;
    }
    match find(&tokens) {
        Ok((command, values)) => (command.run)(app, &values),
        Err(refusal) => complain!("{}", refusal.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A line that a pattern fits.
    fn example(pattern: &str) -> String {
        let word = |place: &str| match place.split_once(':') {
            None => place.split('|').next().unwrap_or_default().to_owned(),
            Some((_, "mac")) => "02:00:00:00:00:01".to_owned(),
            Some((_, "text" | "rest")) => "nosuchword".to_owned(),
            Some(_) => "1".to_owned(),
        };
        pattern.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_command_is_found_and_no_other() {
        for command in all() {
            let line = example(command.pattern);
            match find(&tokens(&line)) {
                Ok((found, _)) => assert_eq!(found.pattern, command.pattern, "{line}"),
                Err(refusal) => panic!("{line}: {refusal:?}"),
            }
        }
    }

    #[test]
    fn missing_and_surplus_words_are_bad_arguments() {
        for command in all().filter(|command| !command.pattern.contains(":rest")) {
            let line = example(command.pattern);
            let surplus = format!("{line} surplus");
            if let Ok((found, _)) = find(&tokens(&surplus)) {
                assert_ne!(found.pattern, command.pattern);
            }
            let words = tokens(&line);
            for count in 1..words.len() {
                match find(&words[..count]) {
                    Ok((found, _)) => assert_ne!(found.pattern, command.pattern),
                    Err(refusal) => assert_eq!(refusal, Refusal::BadArguments, "{:?}", &words[..count]),
                }
            }
        }
    }

    proptest! {
        /// Lines of words that commands have, and of others: one command, or a refusal.
        #[test]
        fn no_line_breaks_it(choices in proptest::collection::vec((any::<proptest::sample::Index>(), "[ -~]{0,6}"), 0..12)) {
            let words: Vec<&str> = all().flat_map(|command| command.pattern.split([' ', '|'])).collect();
            let word = |(index, other): &(proptest::sample::Index, String)| {
                let known = *index.get(&words);
                if known.contains(':') { other.clone() } else { known.to_owned() }
            };
            let line = choices.iter().map(word).collect::<Vec<_>>().join(" ");
            let found = find(&tokens(&line));
            prop_assert!(!matches!(found, Err(Refusal::Ambiguous)), "{}", line);
        }
    }

    #[test]
    fn what_is_no_command_is_not_found() {
        for line in ["foo", "sho", "STOP", "portx stop all", "\u{e4}"] {
            assert_eq!(find(&tokens(line)).map(|_| ()), Err(Refusal::NotFound), "{line}");
        }
    }
}

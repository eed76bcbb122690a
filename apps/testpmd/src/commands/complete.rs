//! TAB and `?`.

use super::all;
use super::help::shown;
use crate::grammar::fit;
use crate::screen;
use crate::terminal::{Editor, PROMPT, prompt};
use std::collections::BTreeMap;

/// Lists what could stand at the end of the line, or types it when there is one possibility only.
pub(crate) fn complete(editor: &mut Editor) {
    if !editor.at_end() {
        return;
    }
    let line = String::from_utf8_lossy(editor.before_cursor()).into_owned();
    let (before, begun) = match line.rsplit_once(' ') {
        Some((before, begun)) => (before, begun),
        None => ("", line.as_str()),
    };
    let words: Vec<&str> = before.split(' ').filter(|word| !word.is_empty()).collect();
    let mut possible: BTreeMap<String, (bool, &str)> = BTreeMap::new();
    for command in all() {
        let places: Vec<&str> = command.pattern.split(' ').collect();
        let Some(next) = places.get(words.len()) else {
            if places.len() == words.len() && fit(command.pattern, &words).is_some() && begun.is_empty() {
                possible.entry("[RETURN]".to_owned()).or_insert((false, command.help));
            }
            continue;
        };
        if !words.is_empty() && fit(&places[..words.len()].join(" "), &words).is_none() {
            continue;
        }
        if next.contains(':') {
            possible.entry(shown(next)).or_insert((false, command.help));
            continue;
        }
        for word in next.split('|').filter(|word| word.starts_with(begun)) {
            possible.entry(word.to_owned()).or_insert((true, command.help));
        }
    }
    let mut words = possible.iter();
    if let (Some((word, (true, _))), None) = (words.next(), words.next()) {
        let rest = format!("{} ", &word[begun.len()..]);
        return editor.insert(rest.as_bytes());
    }
    screen::write(format_args!("\n"));
    for (word, (_, help)) in &possible {
        screen::write(format_args!(" {word}: {help}\n"));
    }
    prompt(PROMPT);
    editor.show_again();
}

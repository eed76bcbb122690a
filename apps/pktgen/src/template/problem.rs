//! What is wrong with a template: every problem with its place in the text, and how to mend it.

use std::fmt;
use std::path::Path;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line and column, counted from 1; nothing of what is wrong with all of it.
    pub place: Option<(usize, usize)>,
    /// What is wrong and how to mend it.
    pub text: String,
}

/// Everything that is wrong with a text, sorted by place; never empty as an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file, or the option that has the text.
    pub origin: String,
    /// What is wrong with it.
    pub list: Vec<Problem>,
}

impl Problems {
    /// Of a file as a whole.
    pub(crate) fn of_file(file: &Path, text: impl Into<String>) -> Self {
        let problem = Problem { place: None, text: text.into() };
        Problems { origin: file.display().to_string(), list: vec![problem] }
    }
}

impl fmt::Display for Problems {
    /// One line each, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Problem { place, text }) in self.list.iter().enumerate() {
            let newline = if number == 0 { "" } else { "\n" };
            match place {
                Some((line, column)) => write!(f, "{newline}{}:{line}:{column}: {text}", self.origin)?,
                None => write!(f, "{newline}{}: {text}", self.origin)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Collects problems of a text by the byte where they are.
pub(crate) struct Sink<'a> {
    origin: &'a str,
    source: &'a str,
    found: Vec<Problem>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(origin: &'a str, source: &'a str) -> Self {
        Sink { origin, source, found: Vec::new() }
    }

    /// Adds a problem at a byte of the text.
    pub(crate) fn add(&mut self, offset: usize, text: impl Into<String>) {
        let before = self.source.get(..offset).unwrap_or(self.source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.found.push(Problem { place: Some((line, column)), text: text.into() });
    }

    /// Problems so far.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// The value, unless something was wrong.
    pub(crate) fn finish<T>(mut self, value: T) -> Result<T, Problems> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort_by_key(|problem| problem.place);
        self.found.dedup();
        Err(Problems { origin: self.origin.to_owned(), list: self.found })
    }
}

/// Text from a template, fit for a message: quoted, escaped, not too long.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// What to write instead of a name that is unknown: the nearest one, or all there are.
pub(crate) fn instead<'a>(wrong: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    /// Longer texts are nobody's typing error.
    const LONGEST: usize = 40;
    let near = |name: &'a str| (strsim::damerau_levenshtein(wrong, name), name);
    let nearest = known.clone().filter(|_| wrong.len() <= LONGEST).map(near).min();
    match nearest {
        // Also an abbreviation, or a name that the framework has in another form.
        Some((distance, name)) if distance <= (wrong.len() / 2).max(1) => format!("; did you mean {name:?}?"),
        _ => match known.clone().find(|name| wrong.len() >= 3 && (name.contains(wrong) || wrong.contains(name))) {
            Some(name) => format!("; did you mean {name:?}?"),
            None => format!("; use one of {}", known.collect::<Vec<_>>().join(", ")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_columns() {
        let mut sink = Sink::new("x.toml", "ä = 1\nbc = 2\n");
        sink.add(7, "second");
        sink.add(4, "first");
        sink.add(4, "first");
        sink.add(1000, "end");
        let problems = sink.finish(()).unwrap_err();
        assert_eq!(problems.to_string(), "x.toml:1:4: first\nx.toml:2:1: second\nx.toml:3:1: end");
    }

    #[test]
    fn the_nearest_name_is_offered() {
        let known = ["src_port", "dst_port", "checksum"].into_iter();
        assert_eq!(instead("srcport", known.clone()), "; did you mean \"src_port\"?");
        assert_eq!(instead("dst", known.clone()), "; did you mean \"dst_port\"?");
        assert_eq!(instead("zzz", known), "; use one of src_port, dst_port, checksum");
    }
}

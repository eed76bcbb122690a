//! What is wrong with a configuration file: every problem with its line, its object and the mend.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1; `None` when it is the file as a whole.
    pub line: Option<usize>,
    /// The object, as in `link "eth-srv1"`; empty when there is none.
    pub object: String,
    /// What is wrong and how to mend it.
    pub text: String,
}

/// Everything that is wrong with a file, sorted by line; never empty as an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub list: Vec<Problem>,
}

impl Problems {
    /// A file that cannot be used at all.
    pub(super) fn whole(file: &Path, text: impl Into<String>) -> Self {
        let problem = Problem { line: None, object: String::new(), text: text.into() };
        Self { file: file.to_owned(), list: vec![problem] }
    }
}

impl fmt::Display for Problems {
    /// One line each, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.list.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:", self.file.display())?;
            if let Some(line) = problem.line {
                write!(f, "{line}:")?;
            }
            if !problem.object.is_empty() {
                write!(f, " {}:", problem.object)?;
            }
            write!(f, " {}", problem.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Collects problems, and knows which line a byte of the text is on.
pub(super) struct Sink {
    line_starts: Vec<usize>,
    found: RefCell<Vec<Problem>>,
}

impl Sink {
    pub(super) fn new(text: &str) -> Self {
        let after_newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        let line_starts = std::iter::once(0).chain(after_newlines).collect();
        Self { line_starts, found: RefCell::default() }
    }

    /// The line that the byte at `offset` is on, counted from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).max(1)
    }

    pub(super) fn add(&self, line: Option<usize>, object: &str, text: impl Into<String>) {
        self.found.borrow_mut().push(Problem { line, object: object.to_owned(), text: text.into() });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// What was found, in the order of the lines.
    pub(super) fn into_problems(self, file: &Path) -> Problems {
        let mut list = self.found.into_inner();
        list.sort_by_key(|p| p.line.unwrap_or(0));
        list.dedup();
        Problems { file: file.to_owned(), list }
    }
}

/// Text from the file, fit for a message: quoted, escaped, not too long.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// `; did you mean "x"?` when one of the candidates is close, otherwise what `otherwise` says.
pub(super) fn suggestion<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    otherwise: impl FnOnce() -> String,
) -> String {
    const MOST: usize = 512;
    /// Longer texts are nobody's typing error.
    const LONGEST: usize = 48;
    let limit = (wrong.len() / 3).max(1);
    let near = |c: &'a str| (strsim::damerau_levenshtein(wrong, c), c);
    match candidates.into_iter().filter(|c| wrong.len().max(c.len()) <= LONGEST).take(MOST).map(near).min() {
        Some((distance, nearest)) if distance <= limit => format!("; did you mean {nearest:?}?"),
        _ => otherwise(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_name_is_offered() {
        let offered = |wrong: &str| suggestion(wrong, ["queues", "port"], String::new);
        assert_eq!(offered("qeueus"), "; did you mean \"queues\"?");
        assert_eq!([offered("link"), offered(&"port".repeat(20))], ["", ""]);
    }

    #[test]
    fn finds_lines() {
        let sink = Sink::new("a\nb\n\nc");
        let lines: Vec<_> = (0..8).map(|i| sink.line(i)).collect();
        assert_eq!(lines, [1, 1, 2, 2, 3, 4, 4, 4]);
    }

    #[test]
    fn quotes_long_and_odd_text() {
        assert_eq!(quoted("a\u{1b}b"), r#""a\u{1b}b""#);
        assert_eq!(quoted(&"é".repeat(70)), format!("{:?}...", "é".repeat(60)));
    }
}

//! Reads parsed TOML without stopping at the first error: a value of the wrong type or out of range is reported and
//! passed over, and every table reports the keys that nobody asked it for.

use std::cell::RefCell;
use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::model::Name;
use super::problem::{Sink, quoted, suggestion};

/// Something and the line it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

/// The head of an object: where it starts and what messages call it.
#[derive(Clone)]
pub(super) struct Head<'a> {
    pub(super) line: usize,
    pub(super) label: String,
    sink: &'a Sink,
}

impl Head<'_> {
    /// Reports a problem of the object at its first line.
    pub(super) fn problem(&self, text: impl Into<String>) {
        self.sink.add(Some(self.line), &self.label, text);
    }

    /// Reports a problem of the object at another line.
    pub(super) fn problem_at(&self, line: usize, text: impl Into<String>) {
        self.sink.add(Some(line), &self.label, text);
    }
}

/// A table of the file.
pub(super) struct Table<'a> {
    pub(super) head: Head<'a>,
    inner: &'a DeTable<'a>,
    /// What its keys are called in messages: empty, or as in `mbuf.`.
    prefix: String,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// The file itself.
    pub(super) fn root(inner: &'a DeTable<'a>, sink: &'a Sink) -> Self {
        Self::new(inner, Head { line: 1, label: String::new(), sink }, String::new())
    }

    fn new(inner: &'a DeTable<'a>, head: Head<'a>, prefix: String) -> Self {
        Self { head, inner, prefix, known: RefCell::default() }
    }

    /// The value of a key that may be missing.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        self.known.borrow_mut().push(key);
        let spanned = self.inner.get(key)?;
        Some(self.value(format!("{}{key}", self.prefix), spanned))
    }

    /// The value of a key that must be there; `how` says what to write.
    pub(super) fn must(&self, key: &'static str, how: &str) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() {
            self.head.problem(format!("{}{key} is missing; {how}", self.prefix));
        }
        value
    }

    /// A table `[key]`, given once.
    pub(super) fn section(&self, key: &'static str) -> Option<Table<'a>> {
        let mut value = self.get(key)?;
        match value.raw {
            DeValue::Table(inner) => {
                value.head.label = key.to_owned();
                value.head.line = value.line;
                Some(Table::new(inner, value.head, String::new()))
            }
            _ => {
                value.problem(format!("must be a table, given once; write [{key}]"));
                None
            }
        }
    }

    /// The tables `[[key]]`, as messages will call them: by name where they have one.
    pub(super) fn objects(&self, key: &'static str) -> Vec<Table<'a>> {
        /// Ids of the model are 16 bits wide, and a gateway is not a data centre.
        const MOST: usize = 4096;
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value.raw else {
            value.problem(format!("must be a list of tables; write [[{key}]]"));
            return Vec::new();
        };
        if array.len() > MOST {
            value.problem(format!("{} of them are too many; use at most {MOST}", array.len()));
            return Vec::new();
        }
        let mut tables = Vec::with_capacity(array.len());
        for (i, element) in array.iter().enumerate() {
            let line = value.head.sink.line(element.span().start);
            let DeValue::Table(inner) = element.get_ref() else {
                value.head.problem_at(line, format!("{key} must be a list of tables; write [[{key}]]"));
                continue;
            };
            let label = match inner.get("name").and_then(|n| n.get_ref().as_str()) {
                Some(name) => format!("{key} {}", quoted(name)),
                None => format!("{key} #{}", i + 1),
            };
            let head = Head { line, label, sink: value.head.sink };
            tables.push(Table::new(inner, head, String::new()));
        }
        tables
    }

    /// All keys with their values, for tables whose keys are names.
    pub(super) fn entries(&self) -> Vec<(At<&'a str>, Value<'a>)> {
        let entry = |(key, spanned): (&'a Spanned<_>, &'a Spanned<_>)| {
            let name: &'a std::borrow::Cow<'a, str> = key.get_ref();
            let name: &'a str = name;
            let line = self.head.sink.line(key.span().start);
            (At { value: name, line }, self.value(format!("{}{name}", self.prefix), spanned))
        };
        self.inner.iter().map(entry).collect()
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.inner.contains_key(key)
    }

    /// The number of keys.
    pub(super) fn key_count(&self) -> usize {
        self.inner.len()
    }

    /// Reports every key that was not asked for.
    pub(super) fn finish(self) {
        let known = self.known.into_inner();
        for (key, _) in self.inner.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
            let line = self.head.sink.line(key.span().start);
            let what = if self.head.label.is_empty() { "table or key" } else { "key" };
            let mend = suggestion(key.get_ref(), known.iter().copied(), || {
                format!("; remove it, or use one of {}", known.join(", "))
            });
            self.head.problem_at(
                line,
                format!("unknown {what} {}{mend}", quoted(&format!("{}{}", self.prefix, key.get_ref()))),
            );
        }
    }

    fn value(&self, label: String, spanned: &'a Spanned<DeValue<'a>>) -> Value<'a> {
        Value {
            line: self.head.sink.line(spanned.span().start),
            raw: spanned.get_ref(),
            label,
            head: self.head.clone(),
        }
    }
}

/// A value of the file, with what messages call it.
pub(super) struct Value<'a> {
    pub(super) line: usize,
    raw: &'a DeValue<'a>,
    label: String,
    head: Head<'a>,
}

impl<'a> Value<'a> {
    /// Reports a problem of this value.
    pub(super) fn problem(&self, text: impl Display) {
        self.head.problem_at(self.line, format!("{} {text}", self.label));
    }

    /// Reports that the value, which is fine as TOML, is not what it should be.
    pub(super) fn refuse(&self, text: impl Display) {
        self.head.problem_at(self.line, format!("{} = {} {text}", self.label, Shown(self.raw)));
    }

    fn at<T>(&self, value: T) -> At<T> {
        At { value, line: self.line }
    }

    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        self.problem(format!("must be {wanted}, not {}", type_name(self.raw)));
        None
    }

    /// A string.
    pub(super) fn text(&self) -> Option<At<&'a str>> {
        match self.raw {
            DeValue::String(text) => Some(self.at(text)),
            _ => self.wrong_type("a string in quotes"),
        }
    }

    /// A boolean.
    pub(super) fn flag(&self) -> Option<bool> {
        match self.raw {
            DeValue::Boolean(flag) => Some(*flag),
            _ => self.wrong_type("true or false"),
        }
    }

    /// An integer within a range.
    pub(super) fn int<T>(&self, range: RangeInclusive<T>) -> Option<At<T>>
    where
        T: TryFrom<i128> + PartialOrd + Display,
    {
        let DeValue::Integer(integer) = self.raw else {
            return self.wrong_type("a whole number");
        };
        let number = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.and_then(|n| T::try_from(n).ok()).filter(|n| range.contains(n));
        if number.is_none() {
            self.refuse(format!("is out of range; use {}..{}", range.start(), range.end()));
        }
        number.map(|n| self.at(n))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<At<T>> {
        let text = self.text()?;
        let chosen = choices.iter().find(|(word, _)| *word == text.value);
        if chosen.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.refuse(format!("is not known; use {}", words.join(" or ")));
        }
        chosen.map(|(_, value)| self.at(*value))
    }

    /// A string of a certain form; `how` says which.
    pub(super) fn parse<T: FromStr>(&self, how: &str) -> Option<At<T>> {
        let parsed = self.text()?.value.parse().ok();
        if parsed.is_none() {
            self.refuse(how);
        }
        parsed.map(|value| self.at(value))
    }

    /// A string of a certain form, whose error says what to do.
    pub(super) fn parse_or_say<T: FromStr<Err: Display>>(&self) -> Option<At<T>> {
        match self.text()?.value.parse() {
            Ok(value) => Some(self.at(value)),
            Err(error) => {
                self.problem(format!("= {error}"));
                None
            }
        }
    }

    /// The name of an object.
    pub(super) fn name(&self) -> Option<At<Name>> {
        let text = self.text()?.value;
        let name = Name::parse(text);
        if name.is_none() {
            self.refuse(format!(
                "is not a name; use 1 to {} of a-z, 0-9, \"-\" and \".\", a letter or digit first",
                Name::MAX
            ));
        }
        name.map(|name| self.at(name))
    }

    /// A list.
    pub(super) fn list(&self) -> Option<Vec<Value<'a>>> {
        let DeValue::Array(array) = self.raw else {
            return self.wrong_type("a list in [ ]");
        };
        let element = |(i, spanned): (usize, &'a Spanned<DeValue<'a>>)| Value {
            line: self.head.sink.line(spanned.span().start),
            raw: spanned.get_ref(),
            label: format!("{}[{i}]", self.label),
            head: self.head.clone(),
        };
        Some(array.iter().enumerate().map(element).collect())
    }

    /// A list of strings.
    pub(super) fn texts(&self) -> Option<Vec<At<&'a str>>> {
        Some(self.list()?.iter().filter_map(Value::text).collect())
    }

    /// An inline table; its keys are called `key.inner` in messages.
    pub(super) fn table(&self) -> Option<Table<'a>> {
        match self.raw {
            DeValue::Table(inner) => {
                let head = Head { line: self.line, ..self.head.clone() };
                Some(Table::new(inner, head, format!("{}.", self.label)))
            }
            _ => self.wrong_type("a table in { }"),
        }
    }

    /// Whether it is a string.
    pub(super) fn is_text(&self) -> bool {
        self.raw.is_str()
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        self.raw.is_array()
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A scalar as it stands in the file, more or less.
struct Shown<'a>(&'a DeValue<'a>);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            DeValue::String(text) => f.write_str(&quoted(text)),
            DeValue::Integer(number) if number.as_str().len() <= 40 => number.fmt(f),
            DeValue::Integer(number) => write!(f, "{}...", &number.as_str()[..40]),
            DeValue::Boolean(flag) => flag.fmt(f),
            other => f.write_str(type_name(other)),
        }
    }
}

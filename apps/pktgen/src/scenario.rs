//! Scenarios: trials one after the other, each with the limits that it has to keep.
//!
//! ```toml
//! line = "10G"                          # for rates in percent, and to refuse impossible ones
//! max_loss = "0"                        # limits stand here for all steps, or in a step for that one
//!
//! [[step]]
//! name = "half of the line"
//! frame = "ethernet/ipv4,dst=198.18.1.0..198.18.1.255/udp"
//! size = "imix"
//! rate = "50%"
//! duration = "10s"
//! max_latency = ["p99=50us", "max=1ms"]
//!
//! [[step]]
//! template = "web.toml"                 # beside the scenario; or mix = "storage", or replay = "day.pcap"
//! rate = "1Mpps"
//! count = 1000000
//! max_loss = "0.1%"
//! ```

use crate::frame::Prepared;
use crate::frame::size::SMALLEST;
use crate::limits::{Limits, part};
use crate::rate::{Line, Pace, Rate};
use crate::replay;
use crate::template::Problems;
use crate::template::Template;
use crate::template::problem::Sink;
use crate::template::read::{Keys, root, tables};
use crate::time;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// One trial of a scenario.
#[derive(Clone, Debug)]
pub struct Step {
    /// What reports call it.
    pub name: String,
    /// What is sent.
    pub frames: Prepared,
    /// How fast.
    pub pace: Pace,
    /// For how long; nothing for no end.
    pub duration: Option<Duration>,
    /// How many frames; nothing for no end.
    pub count: Option<u64>,
    /// What the outcome has to keep.
    pub limits: Limits,
}

/// Where frames come from.
#[derive(Clone, Debug)]
pub enum Work {
    /// A template in TOML.
    Template(PathBuf),
    /// A frame on one line, and its sizes.
    Frame {
        /// The frame.
        frame: String,
        /// Its sizes.
        size: String,
    },
    /// The storage mix that is built in.
    StorageMix,
    /// A capture.
    Replay(PathBuf),
}

impl Work {
    /// The template of it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self) -> Result<Template, Problems> {
        match self {
            Work::Template(file) => Template::load(file),
            Work::Frame { frame, size } => Template::line(frame, size),
            Work::StorageMix => Ok(Template::storage_mix()),
            Work::Replay(file) => replay::load(file).map_err(|error| Problems::of_file(file, error.to_string())),
        }
    }
}

/// The most steps of a scenario.
const MOST_STEPS: usize = 1000;

const LIMITS: [&str; 5] = ["max_loss", "max_latency", "max_reordered", "max_duplicates", "min_rate"];

/// Reads a scenario.
///
/// # Errors
/// Everything that is wrong with it, with its place.
pub fn load(file: &Path) -> Result<Vec<Step>, Problems> {
    let origin = file.display().to_string();
    let text =
        std::fs::read_to_string(file).map_err(|error| Problems::of_file(file, format!("cannot be read: {error}")))?;
    parse(&text, &origin, file.parent().unwrap_or(Path::new("")))
}

/// Reads the text of a scenario; files that it names are in `folder`.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, origin: &str, folder: &Path) -> Result<Vec<Step>, Problems> {
    let mut sink = Sink::new(origin, text);
    let mut steps = Vec::new();
    let Some(root) = root(text, &mut sink) else { return sink.finish(steps) };
    let known: Vec<&str> = ["line", "step"].into_iter().chain(LIMITS).collect();
    let keys = Keys::new(root.get_ref(), "", &known, &mut sink);
    let line: Option<Line> = parsed(&keys, "line", &mut sink);
    let limits = limits(&keys, &Limits::default(), &mut sink);
    for (number, (at, table)) in tables(&keys, "step", MOST_STEPS, &mut sink).into_iter().enumerate() {
        let context = Common { line, limits: &limits, folder };
        steps.extend(step(table, number, at, &context, &mut sink));
    }
    sink.finish(steps)
}

struct Common<'a> {
    line: Option<Line>,
    limits: &'a Limits,
    folder: &'a Path,
}

fn step(table: &DeTable<'_>, number: usize, at: usize, common: &Common<'_>, sink: &mut Sink<'_>) -> Option<Step> {
    let known = ["name", "template", "frame", "size", "mix", "replay", "seed", "rate", "duration", "count"];
    let known: Vec<&str> = known.into_iter().chain(LIMITS).collect();
    let keys = Keys::new(table, "step: ", &known, sink);
    let before = sink.count();
    let name = keys.text("name", sink).map_or_else(|| format!("step {}", number + 1), str::to_owned);
    let work = work(&keys, at, common.folder, sink);
    let seed = keys.number("seed", i64::MAX as u64, sink);
    let rate: Option<Rate> = parsed(&keys, "rate", sink);
    if keys.get("rate").is_none() && common.line.is_none() {
        sink.add(at, "step: there is no rate; write rate = \"1Mpps\", or line = \"10G\" for all of a line");
    }
    let duration = keys.text("duration", sink).and_then(|text| {
        let place = keys.get("duration").map_or(at, |item| item.span().start);
        time::duration(text).map_err(|error| sink.add(place, format!("step: duration {error}"))).ok()
    });
    let count = keys.number("count", i64::MAX as u64, sink);
    if keys.get("duration").is_none() && keys.get("count").is_none() {
        sink.add(at, "step: it would never end; write duration = \"10s\" or count = 1000");
    }
    let limits = limits(&keys, common.limits, sink);
    let mut template = match work?.load() {
        Ok(template) => template,
        Err(problems) => {
            // Those of another file have places of their own.
            sink.add(at, problems.to_string());
            return None;
        }
    };
    template.seed = seed.unwrap_or(template.seed);
    let frames = Prepared::new(&template).map_err(|error| sink.add(at, error)).ok()?;
    let rate = rate.unwrap_or(Rate::Percent(100.0));
    let place = keys.get("rate").map_or(at, |item| item.span().start);
    if sink.count() > before {
        return None;
    }
    let pace = rate.pace(common.line, frames.mean_wire_bits());
    let pace = pace.map_err(|error| sink.add(place, format!("step: rate {error}"))).ok()?;
    Some(Step { name, frames, pace, duration, count, limits })
}

fn work(keys: &Keys<'_, '_>, at: usize, folder: &Path, sink: &mut Sink<'_>) -> Option<Work> {
    let path = |text: &str| folder.join(text);
    let size = match keys.get("size").map(|item| item.get_ref()) {
        None => Some(SMALLEST.to_string()),
        Some(DeValue::Integer(size)) => Some(size.to_string()),
        Some(_) => keys.text("size", sink).map(str::to_owned),
    };
    let mut found = Vec::new();
    found.extend(keys.text("template", sink).map(|text| Work::Template(path(text))));
    found.extend(keys.text("replay", sink).map(|text| Work::Replay(path(text))));
    let frame = keys.text("frame", sink);
    found.extend(frame.zip(size).map(|(frame, size)| Work::Frame { frame: frame.to_owned(), size }));
    match keys.text("mix", sink) {
        Some("storage") => found.push(Work::StorageMix),
        Some(other) => sink.add(at, format!("step: mix {other:?} is unknown; there is \"storage\"")),
        None => {}
    }
    if let (Some(size), None) = (keys.get("size"), frame) {
        sink.add(size.span().start, "step: size is for a frame in the step; remove it, or write frame");
    }
    if found.len() != 1 && keys.get("mix").is_none_or(|mix| mix.get_ref().as_str() == Some("storage")) {
        sink.add(at, "step: write one of template, frame, mix and replay");
    }
    found.pop().filter(|_| found.is_empty())
}

/// The limits of a table, and those of `others` where it has none.
fn limits(keys: &Keys<'_, '_>, others: &Limits, sink: &mut Sink<'_>) -> Limits {
    let mut limits = others.clone();
    limits.loss = parsed(keys, "max_loss", sink).or(limits.loss);
    limits.reordered = keys.number("max_reordered", i64::MAX as u64, sink).or(limits.reordered);
    limits.duplicates = keys.number("max_duplicates", i64::MAX as u64, sink).or(limits.duplicates);
    if let Some(text) = keys.text("min_rate", sink) {
        limits.rate = text.strip_suffix('%').and_then(part);
        if limits.rate.is_none() {
            let place = keys.get("min_rate").map_or(0, |item| item.span().start);
            sink.add(place, format!("min_rate {text:?} is no part of the rate; write it as 99.9%"));
        }
    }
    if let Some(item) = keys.get("max_latency") {
        let texts = match item.get_ref() {
            DeValue::String(text) => Some(vec![text.to_string()]),
            DeValue::Array(items) => items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let read = texts.ok_or_else(|| "max_latency must be a text or a list of texts".to_owned());
        let read = read.and_then(|texts| texts.iter().map(|text| text.parse()).collect::<Result<Vec<_>, _>>());
        match read {
            Ok(latency) => limits.latency = latency,
            Err(error) => sink.add(item.span().start, format!("max_latency {error}")),
        }
    }
    limits
}

/// What a text of the file says, or nothing when there is none or it is wrong. A whole number is a text too.
fn parsed<T: FromStr<Err = String>>(keys: &Keys<'_, '_>, key: &str, sink: &mut Sink<'_>) -> Option<T> {
    let item = keys.get(key)?;
    let text = match item.get_ref() {
        DeValue::Integer(number) => number.to_string(),
        _ => keys.text(key, sink)?.to_owned(),
    };
    text.parse().map_err(|error: String| sink.add(item.span().start, format!("{key} {error}"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Loss;
    use crate::rate::Unit;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Vec<Step>, Problems> {
        super::parse(text, "s.toml", Path::new("/nowhere"))
    }

    const GOOD: &str = r#"
line = "10G"
max_loss = 0
max_latency = "p99=1ms"

[[step]]
name = "half"
frame = "ethernet/ipv4/udp"
size = "imix"
rate = "50%"
duration = "10s"

[[step]]
mix = "storage"
count = 1000
max_loss = "0.1%"
max_latency = ["p50=5us", "max=9us"]
min_rate = "99%"
"#;

    #[test]
    fn steps_are_read() {
        let steps = parse(GOOD).unwrap_or_else(|problems| panic!("{problems}"));
        let [half, storage] = &steps[..] else { panic!("two steps") };
        assert_eq!((half.name.as_str(), half.duration, half.count), ("half", Some(Duration::from_secs(10)), None));
        assert_eq!(half.pace, Pace { unit: Unit::Bits, thousandths: Some(5_000_000_000_000) });
        assert_eq!((half.limits.loss, half.limits.latency.len()), (Some(Loss::Frames(0)), 1));
        assert_eq!((storage.name.as_str(), storage.count, storage.frames.names().len()), ("step 2", Some(1000), 7));
        assert_eq!((storage.limits.loss, storage.limits.latency.len()), (Some(Loss::Part(0.001)), 2));
        assert_eq!(storage.limits.rate, Some(0.99));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let changed = |from: &str, to: &str| {
            assert!(GOOD.contains(from));
            parse(&GOOD.replacen(from, to, 1)).unwrap_err().to_string()
        };
        for (from, to, said) in [
            ("duration", "duratoin", "s.toml:11:1: step: unknown key \"duratoin\"; did you mean \"duration\"?"),
            ("duration = \"10s\"", "", "s.toml:6:1: step: it would never end"),
            ("\"50%\"", "\"11G\"", "s.toml:10:8: step: rate 11 Gbit/s is more than a line of 10 Gbit/s"),
            ("\"50%\"", "\"fast\"", "s.toml:10:8: rate \"fast\" is no rate"),
            ("\"storage\"", "\"storrage\"", "there is \"storage\""),
            ("mix = \"storage\"", "template = \"none.toml\"", "/nowhere/none.toml: cannot be read"),
            ("mix = \"storage\"", "", "write one of template, frame, mix and replay"),
            ("mix = \"storage\"", "mix = \"storage\"\nframe = \"ethernet\"", "write one of"),
            ("udp\"", "upd\"", "unknown header \"upd\"; did you mean \"udp\"?"),
            ("\"99%\"", "\"99\"", "write it as 99.9%"),
            ("\"p99=1ms\"", "\"p99\"", "s.toml:4:15: max_latency \"p99\" is no limit"),
            ("\"10G\"", "\"ten\"", "s.toml:2:8: line \"ten\" is no speed of a line"),
        ] {
            let error = changed(from, to);
            assert!(error.contains(said), "{to}: {error}");
        }
        assert!(parse("").unwrap_err().to_string().contains("there is no [[step]]"));
        assert!(parse("step = 1").unwrap_err().to_string().contains("write [[step]]"));
        assert!(parse("x = ").unwrap_err().to_string().starts_with("s.toml:1:"));
    }

    #[test]
    fn the_examples_of_the_readme_are_good() {
        let readme = include_str!("../README.md");
        let [template, scenario] = readme.split("```toml\n").skip(1).collect::<Vec<_>>()[..] else {
            panic!("a template and a scenario");
        };
        let until_end = |text: &str| text.split("```").next().unwrap_or_default().to_owned();
        let template = Template::parse(&until_end(template), "README.md").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(template.streams.len(), 2);
        let steps = parse(&until_end(scenario)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(steps.len(), 2);
    }

    proptest! {
        #[test]
        fn reading_is_total(at in 0..GOOD.len(), with in "[ =\\[\\]\"a-z0-9%]{0,3}") {
            let mut text = GOOD.to_owned();
            text.replace_range(at..=at, &with);
            let _ = parse(&text);
        }
    }
}

//! Configuration: TOML text in, a checked [`Config`] out, or everything that is wrong with the file at once.
//!
//! [`load`] reads the file; `read` turns TOML into values without stopping at the first error; `raw` reads each object
//! for itself; `classes` and `check` hold the rules between objects; [`model`] is what comes out and what the rest of
//! the gateway works with. A new kind of object is a struct in `model`, a reader in `raw` and its rules in `check`.
//!
//! ```
//! use std::path::Path;
//! let text = "schema = 1\n[gateway]\nname = \"gw-a\"\nmtu = 9019\n";
//! let problems = iogate_gateway::config::parse(text, Path::new("gw.toml")).unwrap_err();
//! assert_eq!(
//!     problems.to_string(),
//!     "gw.toml: no [[link]] and no [[uplink]]: there is nothing to do; add some\n\
//!      gw.toml:4: gateway: mtu = 9019 is out of range; use 64..9018",
//! );
//! ```

mod check;
mod classes;
pub mod model;
mod problem;
mod raw;
mod read;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use iogate::sriov::Host;
use toml::de::DeTable;

pub use model::Config;
use problem::Sink;
pub use problem::{Problem, Problems};
use read::Table;

/// The folder of gateways' control sockets, `NAME.sock`, unless files say otherwise.
pub const SOCKETS: &str = "/run/iogate";

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// The only version of the format there is.
const SCHEMA: u32 = 1;

/// Reads and checks a file.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let whole = |text: String| Problems::whole(path, text);
    let cannot = |error: std::io::Error| whole(format!("cannot be read: {error}"));
    let file = File::open(path).map_err(cannot)?;
    if file.metadata().map_err(cannot)?.is_dir() {
        return Err(whole("is a directory; name a file".into()));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > LARGEST {
        return Err(whole(format!("is larger than {LARGEST} bytes; is it the right file?")));
    }
    match String::from_utf8(bytes) {
        Ok(text) => parse(&text, path),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..good].iter().filter(|b| **b == b'\n').count() + 1;
            let mut problems = whole("is not UTF-8 here; save the file as UTF-8".into());
            problems.list[0].line = Some(line);
            Err(problems)
        }
    }
}

/// Checks a file against the machine it is for: that `cores` has those that workers run on, and that no PCI function of
/// `host` is behind two ports, or behind one and a server's own. Functions that are not there, as virtual ones before
/// they are made, are left out.
///
/// Apart from [`load`], since it is the machine's matter and not the file's; `path` is only for messages.
pub fn check_machine(config: &Config, path: &Path, cores: &[usize], host: &Host) -> Result<(), Problems> {
    let mut list = check::check_cores(&config.workers, cores);
    list.extend(check::check_devices(config, host));
    if list.is_empty() { Ok(()) } else { Err(Problems { file: path.to_owned(), list }) }
}

/// Checks the text of a file; `path` is only for messages.
pub fn parse(text: &str, path: &Path) -> Result<Config, Problems> {
    let sink = Sink::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let line = error.span().map(|span| sink.line(span.start));
            sink.add(line, "", format!("TOML syntax: {}", error.message()));
        }
        return Err(sink.into_problems(path));
    }
    let root = Table::root(table.get_ref(), &sink);
    if let Some(schema) = root.must("schema", "write schema = 1 at the top")
        && let Some(number) = schema.int(0..=u32::MAX)
        && number.value != SCHEMA
    {
        schema.refuse(format!("is a format this version does not know; use {SCHEMA}"));
    }
    let config = check::config(root, &sink);
    match config {
        Some(config) if sink.is_empty() => Ok(config),
        _ => Err(sink.into_problems(path)),
    }
}

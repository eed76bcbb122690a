//! The client's side of a gateway's socket.

use super::report::Report;
use super::{Answer, Request, SCHEMA, Topic};
use crate::config::SOCKETS;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A gateway that does not answer for so long is in trouble.
const PATIENCE: Duration = Duration::from_secs(10);

/// The socket to talk to when none was named: the only one that somebody listens on.
pub fn find_socket() -> Result<PathBuf> {
    let entries = fs::read_dir(SOCKETS).into_iter().flatten().flatten().map(|entry| entry.path());
    let named = entries.filter(|path| path.extension().is_some_and(|end| end == "sock"));
    let mut sockets: Vec<PathBuf> = named.filter(|path| is_in_use(path)).collect();
    sockets.sort();
    match sockets.as_slice() {
        [one] => Ok(one.clone()),
        [] => bail!("no gateway answers in {SOCKETS}; start one with `iogate run FILE`, or name it with --socket"),
        several => {
            let names: Vec<_> = several.iter().map(|path| path.display().to_string()).collect();
            bail!("there are several gateways: name one with --socket: {}", names.join(", "))
        }
    }
}

/// Whether it is not one that a killed gateway left. Being refused for other reasons is for the user to read.
fn is_in_use(socket: &Path) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    UnixStream::connect(socket).map_or_else(|error| ![ConnectionRefused, NotFound].contains(&error.kind()), |_| true)
}

/// A report, as the gateway sent it.
pub fn show(socket: &Path, topic: Topic) -> Result<(Report, String)> {
    let request = Request { schema: SCHEMA, show: Some(topic), stop: false };
    let text = ask(&mut connect(socket)?, &request)?;
    let report =
        serde_json::from_str(&text).context("the gateway's answer is not understood; is it of this version?")?;
    Ok((report, text))
}

/// Asks the gateway to stop, and waits until it has.
pub fn stop(socket: &Path) -> Result<()> {
    let mut stream = connect(socket)?;
    ask(&mut stream, &Request { schema: SCHEMA, show: None, stop: true })?;
    stream.set_read_timeout(Some(PATIENCE * 3))?;
    // Its end closes the connection.
    match stream.read(&mut [0]) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(()),
        Err(error) => bail!("the gateway was asked to stop and still runs: {error}"),
    }
}

fn connect(socket: &Path) -> Result<UnixStream> {
    let stream = UnixStream::connect(socket)
        .with_context(|| format!("no gateway answers on {}; is it running?", socket.display()))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(stream: &mut UnixStream, request: &Request) -> Result<String> {
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).context("the gateway hung up")?;
    let mut text = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut text).context("the gateway does not answer")?;
    if let Ok(Answer { error: Some(error), .. }) = serde_json::from_str(&text) {
        bail!("the gateway says: {error}");
    }
    Ok(text.trim_end().to_owned())
}

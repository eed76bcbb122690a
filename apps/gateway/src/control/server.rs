//! The gateway's side of its socket.

use super::{Answer, Request, SCHEMA, collect};
use crate::plan::State;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest request, bytes.
const LONGEST: u64 = 4096;
/// A client that says nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before the next try when no client can be accepted, as when there is no descriptor left.
const PAUSE: Duration = Duration::from_millis(50);

/// A listening socket, so that a second gateway of the same name is refused before it opens ports.
#[derive(Debug)]
pub struct Server {
    place: Place,
    listener: UnixListener,
}

impl Server {
    /// Takes the socket. One that a killed gateway left is replaced.
    ///
    /// # Errors
    /// When a gateway answers there, the path is something else, or it cannot be made.
    pub fn bind(path: &Path) -> Result<Server> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        match fs::symlink_metadata(path) {
            Ok(there) if there.file_type().is_socket() => make_room(path)?,
            Ok(_) => bail!("{} is there and is no socket; remove it or choose another path", path.display()),
            Err(_) => {}
        }
        let listener = UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
        let place = Place::of(path, &listener).with_context(|| format!("cannot listen on {}", path.display()))?;
        // Whoever may write to it may stop the gateway.
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
        Ok(Server { place, listener })
    }

    /// Answers from a thread of its own, until the handle is dropped.
    pub fn serve(self, state: &Arc<State>) -> Result<Serving> {
        let Server { place, listener } = self;
        let (state, done) = (Arc::downgrade(state), Arc::new(AtomicBool::new(false)));
        let stop = done.clone();
        let accept = move || {
            for client in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let client = match client {
                    Ok(client) => client,
                    Err(error) => {
                        tracing::debug!("no control client can be accepted: {error}");
                        std::thread::sleep(PAUSE);
                        continue;
                    }
                };
                let state = state.clone();
                // The thread ends with its client, and holds the state only while it answers.
                let spawned = std::thread::Builder::new().name("control".into()).spawn(move || {
                    if let Err(error) = answer(client, &state) {
                        tracing::debug!("control client: {error}");
                    }
                });
                if let Err(error) = spawned {
                    tracing::warn!("no thread for a control client: {error}");
                }
            }
        };
        let thread = std::thread::Builder::new().name("control".into()).spawn(accept)?;
        Ok(Serving { place, done, thread: Some(thread) })
    }
}

/// Removes the socket of a gateway that is gone.
fn make_room(path: &Path) -> Result<()> {
    match UnixStream::connect(path) {
        Ok(_) => bail!("{}: a gateway runs here already; stop it with `iogate stop`", path.display()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => bail!(
            "{}: a socket is there, and whether anybody listens is not to be found out: {error}; \
             remove it or choose another path",
            path.display()
        ),
    }
}

/// Where a listener stands in the file system; dropping it removes the socket, unless another is there by now.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Device and inode; taken for as long as the handle is open.
    inode: (u64, u64),
    /// The listener once more, to end it from outside.
    handle: UnixStream,
}

impl Place {
    fn of(path: &Path, listener: &UnixListener) -> io::Result<Place> {
        let handle = UnixStream::from(OwnedFd::from(listener.try_clone()?));
        Ok(Place { path: path.to_owned(), inode: inode(path)?, handle })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            drop(fs::remove_file(&self.path));
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|there| (there.dev(), there.ino()))
}

/// Answers until it is dropped, which removes the socket.
#[derive(Debug)]
pub struct Serving {
    place: Place,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
        // Nobody is accepted from now on: the thread wakes and sees the flag. A connection would not
        // do, as the socket may have been removed or be somebody else's.
        if let Err(error) = self.place.handle.shutdown(Shutdown::Both) {
            return tracing::warn!("the control socket cannot be closed: {error}");
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn answer(mut client: UnixStream, state: &Weak<State>) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let mut requests = BufReader::new(client.try_clone()?);
    loop {
        let mut line = Vec::new();
        let read = requests.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if read as u64 == LONGEST && !line.ends_with(b"\n") {
            // What follows is the rest of it, and no request of its own.
            let text = refusal(&format!("a request is at most {LONGEST} bytes long")) + "\n";
            return client.write_all(text.as_bytes());
        }
        let (mut text, stopping) = match state.upgrade() {
            Some(state) => respond(&line, &state),
            None => (refusal("the gateway is stopping"), false),
        };
        text.push('\n');
        client.write_all(text.as_bytes())?;
        if stopping {
            // Says nothing more: the connection ends with the process, and tells the client so.
            client.set_read_timeout(None)?;
            let mut rest = [0; 64];
            while client.read(&mut rest)? > 0 {}
            return Ok(());
        }
    }
}

/// The answer, and whether the gateway was asked to stop.
fn respond(line: &[u8], state: &State) -> (String, bool) {
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return (refusal(&format!("not understood: {error}")), false),
    };
    match request {
        Request { schema, .. } if schema != SCHEMA => {
            (refusal(&format!("schema {schema} is not known here; this gateway speaks {SCHEMA}")), false)
        }
        Request { stop: true, show: None, .. } => {
            state.stop.store(true, Ordering::SeqCst);
            (json(&Answer { stopping: true, error: None }), true)
        }
        Request { show: Some(topic), stop: false, .. } => (json(&collect::report(state, topic)), false),
        _ => (refusal("ask for one thing: show or stop"), false),
    }
}

fn refusal(why: &str) -> String {
    json(&Answer { error: Some(why.into()), stopping: false })
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

//! A card's cable: a pair of Unix datagram sockets, one frame a datagram.

use crate::support::wait;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

/// The other end of a card's cable. Everything that comes is kept until it is taken.
pub(crate) struct Wire {
    name: &'static str,
    socket: UnixDatagram,
    /// QEMU's end.
    card: PathBuf,
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Wire {
    /// Makes one with its sockets in `folder`.
    pub(crate) fn new(folder: &Path, name: &'static str) -> Wire {
        let here = folder.join(format!("{name}.here"));
        let card = folder.join(format!("{name}.card"));
        let socket = UnixDatagram::bind(&here).expect("a socket");
        let reader = socket.try_clone().expect("a second handle");
        let frames = Arc::new(Mutex::new(Vec::new()));
        let to = frames.clone();
        // Ends with the process, when the test does.
        std::thread::spawn(move || {
            let mut buffer = [0; 10_000];
            while let Ok(length) = reader.recv(&mut buffer) {
                to.lock().unwrap_or_else(PoisonError::into_inner).push(buffer[..length].to_vec());
            }
        });
        Wire { name, socket, card, frames }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// QEMU's options for this end and the card at the other.
    pub(crate) fn card(&self, bus: &str, mac: &str) -> Vec<String> {
        let (name, here) = (self.name, self.socket.local_addr().expect("an address"));
        let here = here.as_pathname().expect("a path").display();
        let wire = format!(
            "dgram,id={name},local.type=unix,local.path={},remote.type=unix,remote.path={here}",
            self.card.display()
        );
        let card = format!("igb,bus={bus},netdev={name},mac={mac},romfile=");
        ["-netdev".to_owned(), wire, "-device".to_owned(), card].into()
    }

    /// Puts frames on the wire, about 2000 a second, which the emulated card keeps up with.
    pub(crate) fn send(&self, frames: &[Vec<u8>]) {
        for (number, frame) in frames.iter().enumerate() {
            self.socket.send_to(frame, &self.card).expect("the card's end is there");
            if number % 4 == 3 {
                sleep(Duration::from_millis(2));
            }
        }
    }

    /// Waits until as many frames are there, or for `longest`.
    pub(crate) fn wait_for(&self, count: usize, longest: Duration) {
        let come = || self.frames.lock().unwrap_or_else(PoisonError::into_inner).len() >= count;
        wait(longest, || come().then_some(()));
    }

    /// Takes what came since the last time.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.frames.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let here = self.socket.local_addr().ok();
        if let Some(path) = here.as_ref().and_then(|address| address.as_pathname()) {
            drop(fs::remove_file(path));
        }
    }
}

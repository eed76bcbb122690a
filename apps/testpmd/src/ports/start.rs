//! `port start`.

use crate::app::App;
use crate::grammar::Which;
use crate::screen::{complain, say, warn};
use crate::show::{cause, upper};
use iogate::port::QueueConfig;

/// Starts one port or all, and says so as the original does.
pub(crate) fn start(app: &mut App, which: Which) {
    let Some(ids) = app.which(which) else { return };
    let (mut started, mut refused) = (false, false);
    for id in ids {
        match start_one(app, id) {
            Started::Yes => started = true,
            Started::Already => {
                refused = true;
                complain!("Port {id} is now not stopped");
            }
            Started::Failed => {}
        }
    }
    if started && app.settings.link_check {
        say!("Checking link statuses...");
    } else if refused && !started {
        complain!("Please stop the ports first");
    }
    say!("Done");
}

enum Started {
    Yes,
    Already,
    Failed,
}

fn start_one(app: &mut App, id: u16) -> Started {
    let pool = app.pool.clone();
    let Some(port) = app.ports.get_mut(id) else { return Started::Failed };
    if port.started() {
        return Started::Already;
    }
    if port.changed {
        say!("Configuring Port {id} (socket {})", port.socket());
    }
    match port.device.start(&port.config, &pool) {
        Ok(running) => port.port = Some(running),
        Err(error) => {
            complain!("Fail to start port {id}: {}", cause(&error));
            warn(&format!("{error}"));
            return Started::Failed;
        }
    }
    port.changed = false;
    let deferred = |own: &[(u16, QueueConfig)]| {
        own.iter().filter(|(_, own)| own.deferred_start).map(|(queue, _)| *queue).collect()
    };
    port.stopped_rx = deferred(&port.config.rx_own);
    port.stopped_tx = deferred(&port.config.tx_own);
    say!("Port {id}: {}", upper(&port.device));
    Started::Yes
}

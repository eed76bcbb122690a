//! `port stop`.

use crate::app::App;
use crate::grammar::Which;
use crate::screen::{complain, say};

/// Stops one port or all, unless they forward.
pub(crate) fn stop(app: &mut App, which: Which) {
    let Some(ids) = app.which(which) else { return };
    say!("Stopping ports...");
    let mut stopped = false;
    for id in ids {
        if app.forwards(id) {
            complain!("Please remove port {id} from forwarding configuration.");
            continue;
        }
        stopped |= stop_one(app, id);
    }
    if stopped && app.settings.link_check {
        say!("Checking link statuses...");
    }
    say!("Done");
}

/// Stops a port. False when it was stopped already, or cannot be.
pub(crate) fn stop_one(app: &mut App, id: u16) -> bool {
    let Some(port) = app.ports.get_mut(id) else { return false };
    let Some(running) = port.port.take() else { return false };
    match running.stop() {
        Ok(_) => {
            // Rules go with the queues that they speak of, unless somebody wants to keep them.
            if !app.options.keep_flows {
                port.flows.clear();
            }
            port.device.stopped(app.options.keep_flows);
            true
        }
        Err((running, error)) => {
            complain!("rte_eth_dev_stop failed for port {id}: {error}");
            port.port = Some(running);
            false
        }
    }
}

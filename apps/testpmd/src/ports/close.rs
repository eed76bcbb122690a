//! `port close`, `port attach`, `port detach`, `port reset`.

use super::PortState;
use crate::app::App;
use crate::grammar::Which;
use crate::screen::{complain, say};
use iogate::port::PortSpec;

/// Closes one port or all.
pub(crate) fn close(app: &mut App, which: Which) {
    let Some(ids) = app.which(which) else { return };
    say!("Closing ports...");
    for id in ids {
        if app.forwards(id) {
            complain!("Please remove port {id} from forwarding configuration.");
        } else if app.ports.get(id).is_some_and(PortState::started) {
            complain!("Cannot close started device (port {id})");
        } else {
            close_one(app, id);
        }
    }
    say!("Done");
}

/// Closes a stopped port.
pub(crate) fn close_one(app: &mut App, id: u16) {
    if let Some(port) = app.ports.remove(id) {
        drop(port);
        say!("Port {id} is closed");
        app.forget_port(id);
    }
}

/// Attaches a device by DPDK's arguments for it.
pub(crate) fn attach(app: &mut App, identifier: &str) {
    say!("Attaching a new port...");
    let device = PortSpec::verbatim(identifier).map(|spec| app.eal.port(&spec).attach());
    let device = match device {
        Some(Ok(device)) => crate::soft::Device::new(device, app.options.soft_offloads),
        Some(Err(error)) => {
            complain!("testpmd: Failed to attach port {identifier}");
            return crate::screen::warn(&format!("{error}"));
        }
        None => return complain!("testpmd: Failed to attach port {identifier}"),
    };
    let id = device.id();
    if let Err(error) = device.set_promiscuous(true) {
        let cause = crate::show::cause(&error);
        crate::screen::warn(&format!("Error during enabling promiscuous mode for port {id}: {cause} - ignore"));
    }
    let config = app.options.port.clone();
    app.ports.add(PortState::new(device, &config));
    app.add_port(id);
    say!("Port {id} is attached. Now total ports is {}", app.ports.len());
    say!("Done");
}

/// Detaches a stopped port's device.
pub(crate) fn detach(app: &mut App, id: u16) {
    let Some(port) = app.ports.get(id) else { return complain!("Invalid port_id={id}") };
    if port.started() {
        return complain!("Port not stopped");
    }
    crate::screen::warn("Port was not closed");
    remove(app, id);
}

/// Detaches a device by its name.
pub(crate) fn detach_device(app: &mut App, name: &str) {
    let of_it = |port: &&PortState| port.name() == name;
    let Some(port) = app.ports.iter().find(of_it) else {
        say!("Removing a device...");
        return complain!("testpmd: Failed to detach device {name}\ncannot parse identifier");
    };
    let id = port.device.id();
    if port.started() {
        return complain!("Port {id} not stopped");
    }
    remove(app, id);
}

fn remove(app: &mut App, id: u16) {
    say!("Removing a device...");
    close_one(app, id);
    say!("Device is detached");
    say!("Now total ports is {}", app.ports.len());
    say!("Done");
}

/// Takes one stopped port or all back to how they came.
pub(crate) fn reset(app: &mut App, which: Which) {
    let Some(ids) = app.which(which) else { return };
    let running = |id: &u16| app.forwards(*id) || app.ports.get(*id).is_some_and(PortState::started);
    if ids.iter().any(running) {
        return complain!("Can not reset port(s), please stop port(s) first.");
    }
    say!("Resetting ports...");
    for id in ids {
        let Some(port) = app.ports.get_mut(id) else { continue };
        match port.device.reset() {
            Ok(()) => {
                port.changed = true;
                port.flows.clear();
                port.device.stopped(false);
            }
            Err(error) => complain!("Failed to reset port {id}. diag={}", crate::show::code(&error)),
        }
    }
    say!("Done");
}

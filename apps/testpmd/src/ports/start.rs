//! `port start`.

use crate::app::App;
use crate::flow::refused;
use crate::grammar::Which;
use crate::options::Options;
use crate::ports::PortState;
use crate::screen::{complain, say, warn};
use crate::settings::Settings;
use crate::show::{cause, upper};
use crate::soft::{BUFFER_SPLIT, Split};
use iogate::memory::MbufPool;
use iogate::port::QueueConfig;

/// Starts one port or all, and says so as the original does. False when a port was not even configured, and said why.
pub(crate) fn start(app: &mut App, which: Which) -> bool {
    let Some(ids) = app.which(which) else { return true };
    let (mut started, mut refused) = (false, false);
    for id in ids {
        match start_one(app, id) {
            Started::Yes => started = true,
            Started::Already => {
                refused = true;
                complain!("Port {id} is now not stopped");
            }
            Started::Failed => {}
            Started::Refused => return false,
        }
    }
    if started && app.settings.link_check {
        say!("Checking link statuses...");
    } else if refused && !started {
        complain!("Please stop the ports first");
    }
    say!("Done");
    true
}

enum Started {
    Yes,
    Already,
    Failed,
    /// It cannot be configured as an option says: the others are not tried.
    Refused,
}

fn start_one(app: &mut App, id: u16) -> Started {
    let (pool, options) = (app.pool.clone(), app.options.clone());
    let Some(port) = app.ports.get_mut(id) else { return Started::Failed };
    if port.started() {
        return Started::Already;
    }
    if port.changed {
        if options.isolate
            && let Err(error) = port.device.isolate_flows(true)
        {
            refused(&error);
            complain!("Failed to apply isolated mode on port {id}");
            return Started::Refused;
        }
        say!("Configuring Port {id} (socket {})", port.socket());
    }
    match segments(port, &options, &app.settings, &app.segment_pools) {
        Ok(split) => port.device.set_split(split),
        Err(why) => {
            complain!("{why}\nFail to configure port {id} rx queues");
            return Started::Refused;
        }
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

/// How a port is to cut what it receives, if it is to.
fn segments(
    port: &PortState,
    options: &Options,
    settings: &Settings,
    pools: &[Option<MbufPool>],
) -> Result<Option<Split>, String> {
    let sizes = &options.mbuf_sizes;
    if options.several_pools {
        return Err(match sizes.len() {
            1 => "Invalid number of mempools 1".to_owned(),
            _ => format!("Port {} doesn't support requested multi-rx-mempool configuration.", port.device.id()),
        });
    }
    let (several, wanted) = (settings.rxpkts.len() > 1, port.config.rx_offloads & BUFFER_SPLIT != 0);
    if several && !wanted && sizes.contains(&0) {
        return Err("No Rx segmentation offload configured: segments are left out by buffer_split alone".to_owned());
    }
    if pools.iter().all(Option::is_none) || several && wanted {
        return Split::new(&settings.rxpkts, &settings.rxhdrs, &settings.rxoffs, sizes, pools).map(Some);
    }
    Ok(None)
}

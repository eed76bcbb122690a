//! From the command line to ports that are ready.

use crate::app::App;
use crate::grammar::Which;
use crate::options::{Options, USUAL_BUFFER};
use crate::ports::{self, PortState, Ports};
use crate::screen::{say, warn};
use crate::settings::{self, Settings};
use crate::terminal::{Input, Signals};
use crate::verbose::Verbose;
use anyhow::{Context as _, Result, bail};
use iogate::eal::Eal;
use iogate::memory::MbufPool;
use iogate::port::Device;

/// Buffers for each port when nobody says how many, and for one port alone.
const BUFFERS_A_PORT: u32 = 16_384;
/// Fewer than this are not worth a try.
const FEWEST_BUFFERS: u32 = 2048;

/// Starts EAL, finds the ports and starts them.
pub(crate) fn setup(eal_arguments: Vec<String>, options: Options) -> Result<App> {
    let eal = Eal::builder().verbatim(eal_arguments).start()?;
    let signals = Signals::new().context("signals")?;
    let devices = eal.devices()?;
    let lcores = eal.lcores();
    let mut settings = Settings::new(&options);
    settings.lcores = lcores.iter().filter(|lcore| !lcore.main).map(|lcore| lcore.id).collect();
    if settings.lcores.is_empty() {
        bail!("No cores defined for forwarding\nCheck the core mask argument");
    }
    if devices.is_empty() {
        warn("testpmd: No probed ethernet devices");
    }
    if options.interactive {
        say!("Interactive-mode selected");
    }
    choose_cores(&mut settings, &options)?;
    choose_ports(&mut settings, &options, &devices)?;
    if options.lock_memory {
        use rustix::mm::MlockAllFlags as Flags;
        rustix::mm::mlockall(Flags::CURRENT | Flags::FUTURE).context("mlockall")?;
    }
    let (pool, segment_pools) = pools(&eal, &options, devices.len())?;
    settings.warn_of_odd_ports();
    let mut app = App {
        ports: Ports::default(),
        running: None,
        paused: None,
        finished: None,
        verbose: Verbose::new(),
        json: options.json,
        quit: false,
        failed: false,
        depth: 0,
        input: Input::new(),
        settings,
        options,
        lcores,
        signals,
        pool,
        segment_pools,
        eal,
    };
    add(&mut app, devices)?;
    Ok(app)
}

fn choose_cores(settings: &mut Settings, options: &Options) -> Result<()> {
    if let Some(mask) = options.core_mask {
        let list: Vec<u32> = (0..u64::BITS).filter(|bit| mask >> bit & 1 == 1).collect();
        for lcore in &list {
            if !settings.lcores.contains(lcore) {
                bail!("coremask is not valid: lcore {lcore} cannot forward");
            }
        }
        settings.nb_cores = list.len();
        settings.lcores = list;
    }
    if let Some(count) = options.nb_cores {
        let there = settings.lcores.len();
        match usize::try_from(count) {
            Ok(count) if (1..=there).contains(&count) => settings.nb_cores = count,
            _ => bail!("nb-cores should be > 0 and <= {there}"),
        }
    }
    Ok(())
}

fn choose_ports(settings: &mut Settings, options: &Options, devices: &[Device]) -> Result<()> {
    let there: Vec<u16> = devices.iter().map(Device::id).collect();
    settings.ports = there.clone();
    if let Some(mask) = options.port_mask {
        settings.ports = (0..64).filter(|bit| mask >> bit & 1 == 1).collect();
    }
    if let Some(list) = &options.port_list {
        settings.ports = settings::port_list(list).map_err(anyhow::Error::msg)?;
    }
    if let Some(port) = settings.ports.iter().find(|port| !there.contains(port)) {
        bail!("Invalid port {port}");
    }
    settings.nb_ports = settings.ports.len();
    if let Some(count) = options.nb_ports {
        match usize::try_from(count) {
            Ok(count) if (1..=settings.ports.len()).contains(&count) => settings.nb_ports = count,
            _ => bail!("nb-ports should be > 0 and <= {}", settings.ports.len()),
        }
    }
    Ok(())
}

/// The pool that devices receive into, and one for each segment that software cuts packets into; none for those
/// that it leaves out.
fn pools(eal: &Eal, options: &Options, ports: usize) -> Result<(MbufPool, Vec<Option<MbufPool>>)> {
    let sizes = &options.mbuf_sizes;
    if let [size @ 1..=u16::MAX] = sizes[..] {
        let pool = pool(eal, options, ports, "mb_pool_0", size)?;
        return Ok((pool.clone(), vec![Some(pool)]));
    }
    // A packet is whole when it is cut.
    let largest = sizes.iter().copied().fold(USUAL_BUFFER, u16::max);
    let whole = pool(eal, options, ports, "mb_pool_0", largest)?;
    let of_segment = |(at, size): (usize, &u16)| match size {
        0 => Ok(None),
        size => pool(eal, options, ports, &format!("mb_pool_0_{}", at + 1), *size).map(Some),
    };
    let of_segments = sizes.iter().enumerate().map(of_segment).collect::<Result<_>>()?;
    Ok((whole, of_segments))
}

/// A pool: as many buffers as asked for, or as ports and memory suggest.
fn pool(eal: &Eal, options: &Options, ports: usize, name: &str, size: u16) -> Result<MbufPool> {
    let kept = options.mbuf_sizes.iter().filter(|size| **size > 0).count() as u32;
    let share = BUFFERS_A_PORT * ports.clamp(1, 8) as u32 / kept.max(1);
    let mut count = options.total_mbufs.unwrap_or(share);
    loop {
        warn(&format!("testpmd: create a new mbuf pool <{name}>: n={count}, size={size}, socket=0"));
        let made = eal.pool(name).buffers(count).data_room(size).cache(options.mbcache).create();
        match made {
            Ok(pool) => return Ok(pool),
            // Nobody asked for so many: fewer will do.
            Err(_) if options.total_mbufs.is_none() && count / 2 >= FEWEST_BUFFERS => count /= 2,
            Err(error) => return Err(error.into()),
        }
    }
}

fn add(app: &mut App, devices: Vec<Device>) -> Result<()> {
    for device in devices {
        let device = crate::soft::Device::new(device, app.options.soft_offloads);
        let (info, wanted) = (device.info(), &app.options.port);
        let (rx, tx) = (wanted.rx_queues, wanted.tx_queues);
        if rx > info.max_rx_queues || tx > info.max_tx_queues {
            let (what, count, most) = match rx > info.max_rx_queues {
                true => ("rxq", rx, info.max_rx_queues),
                false => ("txq", tx, info.max_tx_queues),
            };
            bail!(
                "{what} {count} invalid - must be >= 1 && <= {most} (Fail: input {what} ({count}) can't be greater than \
                 max_{}_queues ({most}) of port {})",
                if what == "rxq" { "rx" } else { "tx" },
                device.id()
            );
        }
        let mut port = PortState::new(device, &app.options.port);
        port.config.rx_offloads &= port.device.info().rx_offloads;
        if let Some(length) = app.options.max_pkt_len {
            port.config.mtu = Some(u16::try_from(length.saturating_sub(18)).unwrap_or(u16::MAX));
        }
        app.ports.add(port);
    }
    if app.options.device_start && !ports::start(app, Which::All) {
        if !app.options.interactive {
            bail!("Start ports failed");
        }
        warn("Start ports failed");
    }
    for port in app.ports.iter() {
        if let Err(error) = port.device.set_promiscuous(true) {
            let (id, cause) = (port.device.id(), crate::show::cause(&error));
            warn(&format!("Error during enabling promiscuous mode for port {id}: {cause} - ignore"));
        }
    }
    app.ports.sample();
    // What went wrong until here is no command's failure.
    crate::screen::take_failed();
    Ok(())
}

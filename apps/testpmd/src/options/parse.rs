//! Reading the application's options.

use super::{Options, Script, Topology};
use crate::forward::{Mode, UnknownMode};
use crate::grammar::number;
use crate::settings::{fixed_speed, headers, numbers};
use iogate::port::QueueConfig;
use std::time::Duration;

/// What an option takes and does.
enum Rule {
    /// Nothing follows.
    Flag(fn(&mut Options)),
    /// A value may follow, after `=`. What is returned says what is wrong with it.
    Perhaps(fn(&mut Options, Option<&str>) -> Result<(), String>),
    /// A value follows, after `=` or as the next word. What is returned says what is wrong with it.
    Value(fn(&mut Options, &str) -> Result<(), String>),
    /// The same, and nothing can be wrong with the value.
    Text(fn(&mut Options, &str)),
    /// The usage is asked for.
    Help,
}
use Rule::{Flag, Help, Perhaps, Text, Value};

/// Why the options are no good.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Say how it is used, and end well.
    Help,
    /// Say this and how it is used.
    Usage(String),
    /// Say this.
    Value(String),
}

/// Every option there is; those of one letter are `-x`, the others `--x`.
const RULES: &[(&str, Rule)] = &[
    ("h", Help),
    ("help", Help),
    ("i", Flag(|o| o.interactive = true)),
    ("interactive", Flag(|o| o.interactive = true)),
    ("a", Flag(|o| o.auto_start = true)),
    ("auto-start", Flag(|o| o.auto_start = true)),
    ("tx-first", Flag(|o| o.tx_first = true)),
    ("stats-period", Value(|o, v| within(v, 1, 65535, "stats-period").map(|n| o.stats_period = Some(n as u16)))),
    ("display-xstats", Text(|o, v| o.display_xstats = v.split(',').map(str::to_owned).collect())),
    ("cmdline-file", Text(|o, v| o.scripts.push(Script { file: v.into(), echo: true }))),
    ("cmdline-file-noecho", Text(|o, v| o.scripts.push(Script { file: v.into(), echo: false }))),
    ("exec", Text(|o, v| o.exec = Some(v.to_owned()))),
    ("duration", Value(duration)),
    ("keep-going", Flag(|o| o.keep_going = true)),
    ("output", Value(output)),
    ("o", Value(output)),
    ("idle", Value(idle)),
    ("nb-cores", Value(|o, v| number_of(v).map(|n| o.nb_cores = Some(n)))),
    ("nb-ports", Value(|o, v| number_of(v).map(|n| o.nb_ports = Some(n)))),
    ("coremask", Value(|o, v| mask(v, "Invalid fwd core mask").map(|n| o.core_mask = Some(n)))),
    ("portmask", Value(|o, v| mask(v, "Invalid NULL mask of ports").map(|n| o.port_mask = Some(n)))),
    ("portlist", Text(|o, v| o.port_list = Some(v.to_owned()))),
    ("port-topology", Value(topology)),
    // There is one pool, on the node that EAL takes memory from.
    ("numa", Flag(|_| ())),
    ("no-numa", Flag(|_| ())),
    ("socket-num", Value(|_, v| within(v, 0, 31, "socket-num").map(drop))),
    ("port-numa-config", Value(|_, v| numa_config(v, 2, "port-numa-config"))),
    ("ring-numa-config", Value(|_, v| numa_config(v, 3, "ring-numa-config"))),
    ("mp-alloc", Value(|_, v| mp_alloc(v))),
    // Pools ask for no more than they need anyway.
    ("no-iova-contig", Flag(|_| ())),
    ("mlockall", Flag(|o| o.lock_memory = true)),
    ("no-mlockall", Flag(|o| o.lock_memory = false)),
    ("num-procs", Value(|_, v| only(v, 1, "num-procs"))),
    ("proc-id", Value(|_, v| only(v, 0, "proc-id"))),
    ("mbuf-size", Value(mbuf_sizes)),
    ("multi-rx-mempool", Flag(|o| o.several_pools = true)),
    ("total-num-mbufs", Value(total_mbufs)),
    ("mbcache", Value(mbcache)),
    ("max-pkt-len", Value(max_pkt_len)),
    ("max-lro-pkt-size", Value(|o, v| u32_of(v).map(|n| o.port.max_lro = Some(n)))),
    ("eth-peer", Value(eth_peer)),
    ("eth-peers-configfile", Value(eth_peers_file)),
    ("tx-ip", Value(tx_ip)),
    ("tx-udp", Value(tx_udp)),
    ("txpkts", Value(|o, v| crate::settings::segments(v).map(|list| o.txpkts = list))),
    ("txonly-multi-flow", Flag(|o| o.multi_flow = true)),
    ("txonly-flows", Value(|o, v| within(v, 1, 64, "txonly-flows").map(|n| o.txonly_flows = n as u16))),
    ("rxpkts", Value(|o, v| numbers(v, 8, "segments").map(|list| o.rxpkts = list))),
    ("rxhdrs", Value(|o, v| headers(v).map(|(list, lengths)| (o.rxhdrs, o.rxpkts) = (list, lengths)))),
    ("rxoffs", Value(|o, v| numbers(v, 8, "offsets").map(|list| o.rxoffs = list))),
    ("flowgen-flows", Value(|o, v| within(v, 1, 65535, "flowgen-flows").map(|n| o.flows = n as u16))),
    (
        "flowgen-clones",
        Value(|o, v| {
            let count = number(v).and_then(|count| u16::try_from(count).ok());
            count.map(|n| o.flowgen_clones = n).ok_or_else(|| "clones must be >= 0 and <= current burst".to_owned())
        }),
    ),
    ("vxlan-gpe-port", Value(|o, v| udp_port(v, "vxlan-gpe-port").map(|n| o.tunnel_ports.vxlan_gpe = n))),
    ("geneve-parsed-port", Value(|o, v| udp_port(v, "geneve-parsed-port").map(|n| o.tunnel_ports.geneve = n))),
    ("tx-offloads", Value(|o, v| mask(v, "tx-offloads invalid").map(|n| o.port.tx_offloads = n))),
    ("rx-offloads", Value(|o, v| mask(v, "rx-offloads invalid").map(|n| o.port.rx_offloads = n))),
    ("enable-rx-cksum", Flag(|o| o.port.rx_offloads |= 0xe)),
    ("enable-scatter", Flag(|o| o.port.rx_offloads |= 1 << 13)),
    ("enable-lro", Flag(|o| o.port.rx_offloads |= 1 << 4)),
    ("enable-hw-vlan", Flag(|o| o.port.rx_offloads |= 1 | 1 << 9)),
    ("enable-hw-vlan-strip", Flag(|o| o.port.rx_offloads |= 1)),
    ("enable-hw-vlan-filter", Flag(|o| o.port.rx_offloads |= 1 << 9)),
    ("enable-hw-vlan-extend", Flag(|o| o.port.rx_offloads |= 1 << 10)),
    ("enable-hw-qinq-strip", Flag(|o| o.port.rx_offloads |= 1 << 5)),
    ("disable-crc-strip", Flag(|o| o.port.rx_offloads |= 1 << 16)),
    ("enable-drop-en", Flag(|o| o.port.rx.thresholds.drop = Some(true))),
    ("enable-rss", Flag(|o| o.port.rss_fields = crate::show::rss::IP)),
    ("rx-mq-mode", Value(rx_mq_mode)),
    ("disable-rss", Flag(|o| o.port.rss_fields = 0)),
    ("rss-ip", Flag(|o| o.port.rss_fields = crate::show::rss::IP)),
    ("rss-udp", Flag(|o| o.port.rss_fields = crate::show::rss::UDP)),
    ("rxq", Value(|o, v| number_of(v).and_then(|n| queues(n, "rxq")).map(|n| o.port.rx_queues = n))),
    ("txq", Value(|o, v| number_of(v).and_then(|n| queues(n, "txq")).map(|n| o.port.tx_queues = n))),
    ("rxd", Value(|o, v| descriptors(v, "rxd(0) invalid - must be > 0").map(|n| rx(o).descriptors = n))),
    ("txd", Value(|o, v| descriptors(v, "txd must be in > 0").map(|n| tx(o).descriptors = n))),
    // Queues share what they receive where the device can do that, and none here can.
    ("rxq-share", Perhaps(|_, v| v.map_or(Ok(()), |v| u32_of(v).map(drop)))),
    ("hairpinq", Value(|_, v| hairpin_queues(v))),
    ("hairpin-mode", Value(|_, v| hairpin_mode(v))),
    ("hairpin-map", Value(|_, v| Err(format!("hairpin-map {v}: no port here has hairpin queues to bind")))),
    ("burst", Value(burst)),
    ("rxpt", Value(|o, v| byte(v, "rxpt").map(|n| rx(o).thresholds.prefetch = Some(n)))),
    ("rxht", Value(|o, v| byte(v, "rxht").map(|n| rx(o).thresholds.host = Some(n)))),
    ("rxwt", Value(|o, v| byte(v, "rxwt").map(|n| rx(o).thresholds.writeback = Some(n)))),
    ("rxfreet", Value(|o, v| within(v, 0, 65535, "rxfreet").map(|n| rx(o).thresholds.free = Some(n as u16)))),
    ("txpt", Value(|o, v| byte(v, "txpt").map(|n| tx(o).thresholds.prefetch = Some(n)))),
    ("txht", Value(|o, v| byte(v, "txht").map(|n| tx(o).thresholds.host = Some(n)))),
    ("txwt", Value(|o, v| byte(v, "txwt").map(|n| tx(o).thresholds.writeback = Some(n)))),
    ("txfreet", Value(|o, v| within(v, 0, 65535, "txfreet").map(|n| tx(o).thresholds.free = Some(n as u16)))),
    ("txrst", Value(|o, v| within(v, 0, 65535, "txrst").map(|n| tx(o).thresholds.rs = Some(n as u16)))),
    ("forward-mode", Value(mode)),
    ("noisy-tx-sw-buffer-size", Value(|o, v| number_of(v).map(|n| o.noisy.buffer = n))),
    ("noisy-tx-sw-buffer-flushtime", Value(|o, v| number_of(v).map(|n| o.noisy.flush_ms = n))),
    ("noisy-lkup-memory", Value(|o, v| number_of(v).map(|n| o.noisy.memory_mb = n))),
    ("noisy-lkup-num-writes", Value(|o, v| number_of(v).map(|n| o.noisy.writes = n))),
    ("noisy-lkup-num-reads", Value(|o, v| number_of(v).map(|n| o.noisy.reads = n))),
    ("noisy-lkup-num-reads-writes", Value(|o, v| number_of(v).map(|n| o.noisy.both = n))),
    ("eth-link-speed", Value(link_speed)),
    ("disable-link-check", Flag(|o| o.link_check = false)),
    ("disable-device-start", Flag(|o| o.device_start = false)),
    // No driver's interrupts are asked for, so there is none to be without.
    ("no-lsc-interrupt", Flag(|_| ())),
    ("no-rmv-interrupt", Flag(|_| ())),
    // Nor is it watched what comes and goes: devices are attached and detached by commands.
    ("hot-plug", Flag(|_| ())),
    ("flow-isolate-all", Flag(|o| o.isolate = true)),
    ("disable-flow-flush", Flag(|o| o.keep_flows = true)),
    ("latencystats", Value(|_, _| Err(NO_LATENCYSTATS.to_owned()))),
    ("bitrate-stats", Value(|_, _| Err(NO_BITRATE_STATS.to_owned()))),
    ("mask-event", Value(event)),
    ("print-event", Value(event)),
    ("record-core-cycles", Flag(|o| o.wanted.cycles = true)),
    ("record-burst-stats", Flag(|o| o.wanted.bursts = true)),
    ("soft-offloads", Value(soft_offloads)),
    ("no-flush-rx", Flag(|o| o.flush_rx = false)),
];

const NO_LATENCYSTATS: &str = "latencystats: there are no metrics for dpdk-proc-info to read; how old stamped packets \
                               are is measured by `set latency on` and shown by `show port N latency`";
const NO_BITRATE_STATS: &str = "bitrate-stats: there are no metrics for dpdk-proc-info to read; rates of the last \
                                interval are always measured, and shown by `show port stats`";

/// Reads the options.
pub(crate) fn parse(arguments: &[String]) -> Result<Options, Wrong> {
    let mut options = Options::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument.as_str(), None),
        };
        match rule(name).map_err(Wrong::Usage)? {
            Help => return Err(Wrong::Help),
            Flag(_) if value.is_some() => {
                return Err(Wrong::Usage(format!("option '{name}' doesn't allow an argument")));
            }
            Flag(set) => set(&mut options),
            Perhaps(set) => set(&mut options, value).map_err(Wrong::Value)?,
            rule => {
                let next = || arguments.next().map(String::as_str);
                let Some(value) = value.or_else(next) else {
                    return Err(Wrong::Usage(format!("option '{name}' requires an argument")));
                };
                match rule {
                    Value(set) => set(&mut options, value).map_err(Wrong::Value)?,
                    Text(set) => set(&mut options, value),
                    Flag(_) | Perhaps(_) | Help => {}
                }
            }
        }
    }
    if options.tx_first && (options.interactive || options.exec.is_some()) {
        return Err(Wrong::Value("--tx-first cannot be used in interactive mode.".to_owned()));
    }
    Ok(options)
}

/// The option by its name, or by the beginning of it that is no other's.
fn rule(text: &str) -> Result<&'static Rule, String> {
    let unknown = || format!("unrecognized option '{text}'");
    let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-')).ok_or_else(unknown)?;
    let exact = RULES.iter().find(|(known, _)| *known == name);
    let mut like = RULES.iter().filter(|(known, _)| known.len() > 1 && !name.is_empty() && known.starts_with(name));
    match (exact, like.next(), like.next()) {
        (Some((_, rule)), ..) | (None, Some((_, rule)), None) => Ok(rule),
        (None, Some(_), Some(_)) => Err(format!("option '{text}' is ambiguous")),
        _ => Err(unknown()),
    }
}

fn number_of(text: &str) -> Result<u64, String> {
    number(text).ok_or_else(|| format!("\"{text}\" is no number"))
}

fn within(text: &str, least: u64, most: u64, what: &str) -> Result<u64, String> {
    let inside = number(text).filter(|number| (least..=most).contains(number));
    inside.ok_or_else(|| format!("{what} must be >= {least} and <= {most}"))
}

fn u32_of(text: &str) -> Result<u32, String> {
    number_of(text).and_then(|n| u32::try_from(n).map_err(|_| format!("{text} is too large, {} is the most", u32::MAX)))
}

fn udp_port(text: &str, what: &str) -> Result<u16, String> {
    within(text, 0, 65535, what).map(|port| port as u16)
}

/// No device here has hairpin queues, which would take packets from its receiver to its sender.
fn hairpin_queues(text: &str) -> Result<(), String> {
    match number_of(text)? {
        0 => Ok(()),
        count => Err(format!(
            "Fail: input hairpin ({count}) can't be greater than max_hairpin_queues (0) of port 0\n\
             txq {count} invalid - must be >= 0 && <= 0"
        )),
    }
}

/// The lowest four bits choose which queues are bound; the others how, if any are.
fn hairpin_mode(text: &str) -> Result<(), String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match digits.map_or_else(|| number(text), |digits| u64::from_str_radix(digits, 16).ok()) {
        None => Err("hairpin mode invalid".to_owned()),
        Some(mode) if mode & 0xf == 0 => Ok(()),
        Some(_) => Err(format!("hairpin-mode {text}: no port here has hairpin queues to bind")),
    }
}

fn link_speed(options: &mut Options, text: &str) -> Result<(), String> {
    let speed = if matches!(text, "10" | "100" | "auto") { None } else { fixed_speed(text, false) };
    options.port.link_speeds = speed.ok_or("Unsupported fixed speed")?;
    Ok(())
}

fn byte(text: &str, what: &str) -> Result<u8, String> {
    within(text, 0, 255, what).map(|number| number as u8)
}

fn mask(text: &str, wrong: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|mask| *mask > 0 && plain).ok_or_else(|| wrong.to_owned())
}

fn rx(options: &mut Options) -> &mut QueueConfig {
    &mut options.port.rx
}

fn tx(options: &mut Options) -> &mut QueueConfig {
    &mut options.port.tx
}

fn queues(count: u64, what: &str) -> Result<u16, String> {
    let most = iogate::port::MAX_QUEUES;
    match u16::try_from(count) {
        Ok(count) if (1..=most).contains(&count) => Ok(count),
        _ => Err(format!("{what} {count} invalid - must be >= 1 && <= {most}")),
    }
}

fn descriptors(text: &str, wrong: &str) -> Result<u16, String> {
    let count = number(text).and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
    count.ok_or_else(|| wrong.to_owned())
}

fn duration(options: &mut Options, text: &str) -> Result<(), String> {
    let seconds: Option<f64> = text.parse().ok().filter(|seconds| (0.0..1e9).contains(seconds));
    options.duration = Some(seconds.map(Duration::from_secs_f64).ok_or("duration must be seconds")?);
    Ok(())
}

fn output(options: &mut Options, text: &str) -> Result<(), String> {
    options.json = match text {
        "json" => true,
        "text" => false,
        _ => return Err(format!("output {text} invalid - must be: text or json")),
    };
    Ok(())
}

fn soft_offloads(options: &mut Options, text: &str) -> Result<(), String> {
    options.soft_offloads = match text {
        "on" => Some(true),
        "off" => Some(false),
        "auto" => None,
        _ => return Err(format!("soft-offloads {text} invalid - must be: on, off or auto")),
    };
    Ok(())
}

fn idle(options: &mut Options, text: &str) -> Result<(), String> {
    options.sleep = match text {
        "spin" => false,
        "sleep" => true,
        _ => return Err(format!("idle {text} invalid - must be: spin or sleep")),
    };
    Ok(())
}

fn topology(options: &mut Options, text: &str) -> Result<(), String> {
    options.topology = match text {
        "paired" => Topology::Paired,
        "chained" => Topology::Chained,
        "loop" => Topology::Loop,
        _ => return Err(format!("port-topology {text} invalid - must be: paired, chained or loop")),
    };
    Ok(())
}

/// Lists of port, node, or port, direction, node: read, and the nodes left to EAL.
fn numa_config(text: &str, each: usize, what: &str) -> Result<(), String> {
    let inside = text.trim_matches(['(', ')']);
    let numbers: Option<Vec<u64>> = inside.split([',', '(', ')']).filter(|part| !part.is_empty()).map(number).collect();
    match numbers {
        Some(numbers) if !numbers.is_empty() && numbers.len().is_multiple_of(each) => Ok(()),
        _ => Err(format!("invalid {what}: {text}")),
    }
}

fn mp_alloc(text: &str) -> Result<(), String> {
    match text {
        "native" => Ok(()),
        "anon" | "xmem" | "xmemhuge" => Err(format!("mp-alloc {text}: buffers are EAL's here, so only native will do")),
        _ => Err(format!("mp-alloc {text} invalid - must be: native, anon, xmem or xmemhuge")),
    }
}

/// Several processes would share ports, which they cannot here.
fn only(text: &str, wanted: u64, what: &str) -> Result<(), String> {
    match number(text) {
        Some(number) if number == wanted => Ok(()),
        _ => Err(format!("{what} {text}: ports belong to one process here, so it has to be {wanted}")),
    }
}

/// `RTE_ETH_MQ_RX_RSS`.
const MQ_RSS: u64 = 1;

fn rx_mq_mode(options: &mut Options, text: &str) -> Result<(), String> {
    let mask =
        mask(text, "rx-mq-mode must be >= 0 and <= 7").or_else(|why| if text == "0" { Ok(0) } else { Err(why) })?;
    if mask > 7 {
        return Err("rx-mq-mode must be >= 0 and <= 7".to_owned());
    }
    if mask & MQ_RSS == 0 {
        options.port.rss_fields = 0;
    }
    Ok(())
}

/// Headroom, and the shortest frame.
const SMALLEST_BUFFER: u16 = 128 + 64;

fn mbuf_sizes(options: &mut Options, text: &str) -> Result<(), String> {
    options.mbuf_sizes = numbers(text, 8, "mbuf-size")?;
    match options.mbuf_sizes[..] {
        // Nothing else would hold a packet.
        [1..SMALLEST_BUFFER] => Err(format!("mbuf-size must be >= {SMALLEST_BUFFER} and <= 65535")),
        _ => Ok(()),
    }
}

fn total_mbufs(options: &mut Options, text: &str) -> Result<(), String> {
    let count = number(text).and_then(|number| u32::try_from(number).ok()).filter(|count| *count > 1024);
    options.total_mbufs = Some(count.ok_or("total-num-mbufs should be > 1024")?);
    Ok(())
}

fn mbcache(options: &mut Options, text: &str) -> Result<(), String> {
    let size = number(text).filter(|size| *size <= 512);
    options.mbcache = size.ok_or("mbcache must be >= 0 and <= 512")? as u32;
    Ok(())
}

fn max_pkt_len(options: &mut Options, text: &str) -> Result<(), String> {
    let length = number(text).and_then(|length| u32::try_from(length).ok()).filter(|length| *length >= 64);
    options.max_pkt_len = Some(length.ok_or_else(|| format!("Invalid max-pkt-len={text} - should be > 64"))?);
    Ok(())
}

fn eth_peer(options: &mut Options, text: &str) -> Result<(), String> {
    let (port, mac) = text.split_once(',').ok_or_else(|| format!("eth-peer: {text} is not PORT,MAC"))?;
    let port = number(port)
        .filter(|port| *port < 32)
        .ok_or_else(|| format!("eth-peer: port {port} >= RTE_MAX_ETHPORTS(32)"))?;
    let mac = mac.parse().map_err(|_| format!("Invalid ethernet address: {mac}"))?;
    options.eth_peers.push((port as u16, mac));
    Ok(())
}

fn eth_peers_file(options: &mut Options, text: &str) -> Result<(), String> {
    let lines = std::fs::read_to_string(text).map_err(|error| format!("Cannot open {text}: {error}"))?;
    for (port, line) in lines.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        let mac = line.parse().map_err(|_| format!("Invalid ethernet address: {line}"))?;
        options.eth_peers.push((port as u16, mac));
    }
    Ok(())
}

fn tx_ip(options: &mut Options, text: &str) -> Result<(), String> {
    let wrong = || "Incorrect format, should be src,dst".to_owned();
    let (src, dst) = text.split_once(',').ok_or_else(wrong)?;
    let address = |text: &str| text.parse::<std::net::Ipv4Addr>().map(|address| address.octets());
    options.tx_ip = [
        address(src).map_err(|_| "Invalid source address".to_owned())?,
        address(dst).map_err(|_| "Invalid destination address".to_owned())?,
    ];
    Ok(())
}

fn tx_udp(options: &mut Options, text: &str) -> Result<(), String> {
    let port = |text: &str| number(text).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let (src, dst) = text.split_once(',').unwrap_or((text, text));
    let ports = port(src).zip(port(dst)).ok_or("Invalid UDP port")?;
    options.tx_udp = [ports.0, ports.1];
    Ok(())
}

fn burst(options: &mut Options, text: &str) -> Result<(), String> {
    let count = number(text).filter(|count| (1..=512).contains(count) || *count == 0);
    // 0 asks for what the driver recommends, which is the default for all that recommend nothing.
    options.burst = match count.ok_or("burst must be between 1 and 512")? {
        0 => 32,
        count => count as u16,
    };
    Ok(())
}

fn mode(options: &mut Options, text: &str) -> Result<(), String> {
    let mode: Mode = text.parse().map_err(|unknown: UnknownMode| unknown.to_string())?;
    mode.check().map_err(|refused| format!("{text} packet forwarding mode: {refused}"))?;
    (options.mode, options.mode_name) = (mode, mode.name().to_owned());
    Ok(())
}

fn event(_: &mut Options, text: &str) -> Result<(), String> {
    const EVENTS: [&str; 14] = [
        "unknown",
        "intr_lsc",
        "queue_state",
        "intr_reset",
        "vf_mbox",
        "ipsec",
        "macsec",
        "intr_rmv",
        "dev_probed",
        "dev_released",
        "flow_aged",
        "err_recovering",
        "recovery_success",
        "all",
    ];
    if EVENTS.contains(&text) { Ok(()) } else { Err(format!("invalid event: {text}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Options, Wrong> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_test_suites_pass_is_understood() {
        let options = of("-i --port-topology=chained --rxq=4 --txq=4 --forward-mode=mac --mask-event=intr_lsc --eth-peer=0,02:00:00:00:00:01 --mbuf-size 9200").unwrap();
        assert!(options.interactive && options.topology == Topology::Chained && options.mode == Mode::Mac);
        assert_eq!((options.port.rx_queues, options.port.tx_queues, &options.mbuf_sizes[..]), (4, 4, &[9200][..]));
        assert_eq!(options.eth_peers.len(), 1);
    }

    #[test]
    fn queues_and_segments_are_chosen() {
        let options = of("--rxpkts=64,128 --rxoffs 2 --txonly-flows=8 --rx-mq-mode=0x6 --mlockall").unwrap();
        assert_eq!((&options.rxpkts[..], &options.rxoffs[..]), (&[64, 128][..], &[2][..]));
        assert_eq!((options.txonly_flows, options.port.rss_fields, options.lock_memory), (8, 0, true));
        assert_ne!(of("--rx-mq-mode=7").unwrap().port.rss_fields, 0);
        assert!(of("--port-numa-config=(0,0),(1,0) --ring-numa-config=(0,1,0) --socket-num=0 --proc-id=0").is_ok());
    }

    #[test]
    fn a_value_may_be_left_out_where_it_need_not_be() {
        assert!(of("--rxq-share -i").unwrap().interactive);
        assert!(of("--rxq-share=4 -i").unwrap().interactive);
        assert_eq!(of("--rxq-share=x").unwrap_err(), Wrong::Value("\"x\" is no number".to_owned()));
    }

    #[test]
    fn what_devices_are_told_is_kept() {
        let options =
            of("--max-lro-pkt-size=9000 --eth-link-speed=10000 --vxlan-gpe-port=1 --hairpin-mode=0x10").unwrap();
        assert_eq!((options.port.max_lro, options.port.link_speeds), (Some(9000), 0x101));
        assert_eq!((options.tunnel_ports.vxlan_gpe, options.tunnel_ports.geneve), (1, 6081));
    }

    #[test]
    fn an_option_may_be_cut_short() {
        assert!(of("--inter").unwrap().interactive);
        assert_eq!(of("-nb-cores=2").unwrap().nb_cores, Some(2));
        assert!(matches!(of("--nb=2"), Err(Wrong::Usage(text)) if text.contains("ambiguous")));
    }

    #[test]
    fn wrong_values_are_refused() {
        for (line, text) in [
            ("--burst=600", "burst must be between 1 and 512"),
            ("--total-num-mbufs=5", "total-num-mbufs should be > 1024"),
            ("--mbcache=600", "mbcache must be >= 0 and <= 512"),
            ("--eth-peer=0,zz", "Invalid ethernet address: zz"),
            ("--coremask=zz", "Invalid fwd core mask"),
            ("--portmask=0", "Invalid NULL mask of ports"),
            ("--txd=0", "txd must be in > 0"),
            ("--txonly-flows=65", "txonly-flows must be >= 1 and <= 64"),
            ("--mp-alloc=foo", "mp-alloc foo invalid - must be: native, anon, xmem or xmemhuge"),
            ("--mp-alloc=anon", "mp-alloc anon: buffers are EAL's here, so only native will do"),
            ("--num-procs=2", "num-procs 2: ports belong to one process here, so it has to be 1"),
            ("--rx-mq-mode=8", "rx-mq-mode must be >= 0 and <= 7"),
            ("--rxpkts=1,a", "character a is not a decimal digit"),
            ("--port-numa-config=(0,x)", "invalid port-numa-config: (0,x)"),
            ("--flowgen-clones=-1", "clones must be >= 0 and <= current burst"),
            ("--eth-link-speed=100", "Unsupported fixed speed"),
            ("--hairpin-mode=x", "hairpin mode invalid"),
            ("--hairpin-mode=1", "hairpin-mode 1: no port here has hairpin queues to bind"),
            ("--vxlan-gpe-port=70000", "vxlan-gpe-port must be >= 0 and <= 65535"),
            ("--mbuf-size=100", "mbuf-size must be >= 192 and <= 65535"),
            ("--mbuf-size=2176,x", "character x is not a decimal digit"),
            ("--mbuf-size=1,2,3,4,5,6,7,8,9", "nb mbuf-size=9 > 8 - give up"),
            ("--max-pkt-len=10", "Invalid max-pkt-len=10 - should be > 64"),
        ] {
            assert_eq!(of(line).unwrap_err(), Wrong::Value(text.to_owned()), "{line}");
        }
        assert!(matches!(of("--nosuch"), Err(Wrong::Usage(text)) if text == "unrecognized option '--nosuch'"));
        assert!(matches!(of("--rxq"), Err(Wrong::Usage(text)) if text.contains("requires")));
    }
}

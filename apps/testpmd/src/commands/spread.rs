//! RSS: by what packets are spread over RX queues, and how.

use super::{Command, Family};
use crate::app::App;
use crate::flow::HASHES;
use crate::grammar::{Values, number};
use crate::screen::{complain, say};
use crate::show::{cause, code, json, rss};

pub(super) const FAMILY: Family = Family {
    name: "rss",
    about: "Spreading packets over queues.",
    commands: &[
        Command {
            pattern: "show port port:u16 rss-hash",
            help: "Display the hash functions of a port.",
            run: |app, v| show_hash(app, v, false),
        },
        Command {
            pattern: "show port port:u16 rss-hash key",
            help: "Display them and the key.",
            run: |app, v| show_hash(app, v, true),
        },
        Command {
            pattern: "show port port:u16 rss reta size:u16 masks:text",
            help: "Display entries of the redirection table that masks choose: (mask0,mask1,...).",
            run: show_table,
        },
        Command {
            pattern: "port config all rss fields:text",
            help: "Set the fields that packets are spread by: all, default, ip, tcp, udp, sctp, none, ...",
            run: fields,
        },
        Command {
            pattern: "port config port:u16 rss reta entries:text",
            help: "Set entries of the redirection table: (hash,queue)[,(hash,queue)].",
            run: table,
        },
        Command {
            pattern: "show port port:u16 rss-hash algorithm",
            help: "Display how hashes are made.",
            run: show_function,
        },
        Command {
            pattern: "port config port:u16 rss-hash-algo default|simple_xor|toeplitz|symmetric_toeplitz",
            help: "Set how hashes are made.",
            run: function,
        },
        Command {
            pattern: "port config port:u16 rss-hash-key fields:text key:text",
            help: "Set the key that packets are hashed with.",
            run: key,
        },
    ],
};

fn show_hash(app: &mut App, values: &Values, with_key: bool) {
    let (id, json) = (values.u16(2), app.json);
    let Some(port) = app.port(id) else { return };
    if port.device.info().hash_key_size == 0 {
        return complain!("dev_info did not provide a valid hash key size");
    }
    let (key, fields) = match port.device.rss() {
        Ok(found) => found,
        Err(error) => return complain!("{}", refused(code(&error))),
    };
    if json {
        return json::device::rss_hash(id, fields, with_key.then_some(&key));
    }
    if fields == 0 {
        return say!("RSS disabled");
    }
    say!("RSS functions:");
    rss::lines(fields).iter().for_each(|line| say!("{line}"));
    if with_key {
        let digits: String = key.iter().map(|byte| format!("{byte:02X}")).collect();
        say!("RSS key:\n{digits}");
    }
}

fn show_function(app: &mut App, values: &Values) {
    let (id, json) = (values.u16(2), app.json);
    let Some(port) = app.port(id) else { return };
    let known = port.device.hash_function();
    match HASHES.iter().find(|(_, function)| known == Some(*function)) {
        Some((name, _)) if json => json::device::hash_algorithm(id, name),
        Some((name, _)) => say!("RSS algorithm:\n  {name}"),
        None => complain!("{}", refused(-95)),
    }
}

fn function(app: &mut App, values: &Values) {
    let Some(port) = app.port(values.u16(2)) else { return };
    let Some((_, function)) = HASHES.iter().find(|(name, _)| *name == values.word(4)) else { return };
    if port.device.set_hash_function(*function).is_err() {
        complain!("failed to set port {} RSS hash algorithm", port.device.id());
    }
}

fn refused(code: i32) -> String {
    match code {
        -19 => "port index not found".to_owned(),
        -95 => "operation not supported by device".to_owned(),
        code => format!("operation failed - diag={code}"),
    }
}

fn show_table(app: &mut App, values: &Values) {
    let (id, size, masks, json) = (values.u16(2), values.u16(5), values.word(6), app.json);
    let Some(port) = app.port(id) else { return };
    let list = masks.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or("");
    let masks: Option<Vec<u64>> = list.split(',').map(number).collect();
    let Some(masks) = masks.filter(|masks| masks.iter().any(|mask| *mask != 0)) else {
        return complain!("Invalid RSS RETA entries");
    };
    if size == 0 || size != port.device.info().reta_size {
        return complain!("Failed to get RSS RETA info, return code = -22");
    }
    let table = match port.device.reta() {
        Ok(table) => table,
        Err(error) => return complain!("Failed to get RSS RETA info, return code = {}", code(&error)),
    };
    let chosen = |at: &usize| masks.get(at / 64).is_some_and(|mask| mask >> (at % 64) & 1 == 1);
    let entries: Vec<(usize, u16)> = table.iter().copied().enumerate().filter(|(at, _)| chosen(at)).collect();
    if json {
        return json::device::reta(id, &entries);
    }
    for (at, queue) in entries {
        say!("RSS RETA configuration: hash index={at}, queue={queue}");
    }
}

fn fields(app: &mut App, values: &Values) {
    let name = values.word(4);
    let wanted = match name {
        "default" => None,
        name => match rss::fields(name).or_else(|| number(name).filter(|bit| *bit < 64).map(|bit| 1 << bit)) {
            Some(fields) => Some(fields),
            None => return complain!("Unknown parameter"),
        },
    };
    let mut all = true;
    for port in app.ports.iter_mut() {
        let (id, able) = (port.device.id(), port.device.info().rss_supported);
        let asked = wanted.unwrap_or(able);
        let possible = asked & able;
        if possible != asked {
            say!(
                "Port {id} modified RSS hash function based on hardware support,requested:0x{asked:x} configured:{}",
                hexadecimal(possible)
            );
        }
        if let Err(error) = port.device.set_rss(&[], possible) {
            all = false;
            let number = -code(&error);
            complain!(
                "Configuration of RSS hash at ethernet port {id} failed with error ({number}): {}.",
                cause(&error)
            );
        }
    }
    if let (true, Some(fields)) = (all, wanted) {
        app.options.port.rss_fields = fields;
        app.ports.iter_mut().for_each(|port| port.config.rss_fields = fields);
        say!("rss_hf {}", hexadecimal(fields));
    }
}

/// As C's `%#lx`: 0 has no prefix.
fn hexadecimal(number: u64) -> String {
    if number == 0 { "0".to_owned() } else { format!("0x{number:x}") }
}

fn table(app: &mut App, values: &Values) {
    let id = values.u16(2);
    let Some(port) = app.port(id) else { return };
    let size = port.device.info().reta_size;
    if size == 0 {
        return complain!("Redirection table size is 0 which is invalid for RSS");
    }
    say!("The reta size of port {id} is {size}");
    let text = values.word(5);
    let mut entries = Vec::new();
    for pair in text.split(['(', ')']).filter(|part| part.contains(',') && part.len() > 1) {
        let (entry, queue) = pair.trim_matches(',').split_once(',').unwrap_or(("", ""));
        let (Some(entry), Some(queue)) = (number(entry), number(queue)) else {
            return complain!("Invalid RSS Redirection Table config entered");
        };
        if entry >= u64::from(size) {
            return complain!("Invalid RETA hash index={entry}\nInvalid RSS Redirection Table config entered");
        }
        entries.push((entry as u16, u16::try_from(queue).unwrap_or(u16::MAX)));
    }
    let queues = port.config.rx_queues;
    let bad = |code: i32| complain!("Bad redirection table parameter, return code = {code}");
    if !text.starts_with('(') || entries.is_empty() {
        return bad(-22);
    }
    if let Some((entry, queue)) = entries.iter().find(|(_, queue)| *queue >= queues) {
        let (group, at) = (entry / 64, entry % 64);
        complain!("reta_conf[{group}]->reta[{at}]: {queue} exceeds the maximum rxq index: {queues}");
        return bad(-22);
    }
    if let Err(error) = port.device.set_reta(&entries) {
        bad(code(&error));
    }
}

fn key(app: &mut App, values: &Values) {
    let Some(fields) = rss::fields(values.word(4)) else { return complain!("Bad arguments") };
    let Some(port) = app.port(values.u16(2)) else { return };
    let (size, text) = (usize::from(port.device.info().hash_key_size), values.word(5));
    if size == 0 {
        return complain!("dev_info did not provide a valid hash key size");
    }
    if text.len() != size * 2 {
        let (length, digits) = (text.len(), size * 2);
        return complain!("key length: {length} invalid - key must be a string of {digits} hexa-decimal numbers");
    }
    let byte = |at: usize| text.get(at * 2..at * 2 + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let Some(key) = (0..size).map(byte).collect::<Option<Vec<u8>>>() else {
        return complain!("invalid key - key must be a string of {} hexa-decimal numbers", size * 2);
    };
    let now = port.device.rss().map_or(0, |(_, fields)| fields);
    if let Err(error) = port.device.set_rss(&key, now | fields & port.device.info().rss_supported) {
        complain!("{}", refused(code(&error)));
    }
}

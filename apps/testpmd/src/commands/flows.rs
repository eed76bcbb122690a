//! `flow`.

use super::{Command, Family};
use crate::app::App;
use crate::flow::{parse, refused, shown};
use crate::grammar::{Values, number};
use crate::screen::{complain, say};
use iogate::port::{FlowAction, FlowCount, FlowRule};

pub(super) const FAMILY: Family = Family {
    name: "flow",
    about: "Flow rules.",
    commands: &[
        Command {
            pattern: "flow validate port:u16 rule:rest",
            help: "Check whether a port would take a rule: ATTRIBUTES pattern ITEM / ... / end actions ACTION / ... / end.",
            run: validate,
        },
        Command { pattern: "flow create port:u16 rule:rest", help: "Give a port a rule.", run: create },
        Command { pattern: "flow destroy port:u16 rule rules:rest", help: "Take rules back, by number.", run: destroy },
        Command { pattern: "flow flush port:u16", help: "Take all rules of a port back.", run: flush },
        Command {
            pattern: "flow query port:u16 rule:u32 count",
            help: "Display what a rule of a port counted.",
            run: query,
        },
        Command { pattern: "flow list port:u16", help: "List the rules of a port.", run: list },
        Command {
            pattern: "flow isolate port:u16 on:u8",
            help: "Receive only what rules ask for (1), or everything (0).",
            run: isolate,
        },
    ],
};

/// The rule, or nothing after saying where it is wrong.
fn rule(values: &Values) -> Option<FlowRule> {
    let text = values.word(3);
    match parse(text) {
        Ok(rule) => Some(rule),
        Err(wrong) => {
            let before: Vec<&str> = text.split_whitespace().take(wrong.at).collect();
            let after = before.last().map_or_else(|| "the port".to_owned(), |word| format!("\"{word}\""));
            complain!("Bad arguments\n  behind {after} (word {}): {}", before.len(), wrong.what);
            None
        }
    }
}

fn validate(app: &mut App, values: &Values) {
    let Some(rule) = rule(values) else { return };
    let Some(port) = app.port(values.u16(2)) else { return };
    match port.device.validate_flow(&rule) {
        Ok(()) => say!("Flow rule validated"),
        Err(error) => refused(&error),
    }
}

fn create(app: &mut App, values: &Values) {
    let Some(rule) = rule(values) else { return };
    let Some(port) = app.port(values.u16(2)) else { return };
    match port.device.create_flow(&rule) {
        Ok(number) => {
            port.flows.push((number, rule));
            say!("Flow rule #{number} created");
        }
        Err(error) => refused(&error),
    }
}

fn destroy(app: &mut App, values: &Values) {
    let mut numbers = Vec::new();
    for word in values.word(4).split(' ').filter(|word| *word != "rule") {
        match number(word).and_then(|number| u32::try_from(number).ok()) {
            Some(number) => numbers.push(number),
            None => return complain!("Bad arguments"),
        }
    }
    let Some(port) = app.port(values.u16(2)) else { return };
    for number in numbers {
        match port.device.destroy_flow(number) {
            Ok(true) => {
                port.flows.retain(|(known, _)| *known != number);
                say!("Flow rule #{number} destroyed");
            }
            Ok(false) => complain!("Flow rule #{number} not found"),
            Err(error) => refused(&error),
        }
    }
}

fn flush(app: &mut App, values: &Values) {
    let Some(port) = app.port(values.u16(2)) else { return };
    let any = !port.flows.is_empty();
    port.flows.clear();
    if any && let Err(error) = port.device.flush_flows() {
        refused(&error);
    }
}

fn list(app: &mut App, values: &Values) {
    let Some(port) = app.port(values.u16(2)) else { return };
    if port.flows.is_empty() {
        return;
    }
    say!("ID\tGroup\tPrio\tAttr\tRule");
    for (number, rule) in &port.flows {
        let flag = |on: bool, letter| if on { letter } else { '-' };
        let (i, e, t) = (flag(rule.ingress, 'i'), flag(rule.egress, 'e'), flag(rule.transfer, 't'));
        say!("{number}\t{}\t{}\t{i}{e}{t}\t{}", rule.group, rule.priority, shown(rule));
    }
}

fn query(app: &mut App, values: &Values) {
    let number = values.number(3) as u32;
    let Some(port) = app.port(values.u16(2)) else { return };
    let counts = |(known, rule): &(u32, FlowRule)| *known == number && rule.actions.contains(&FlowAction::Count);
    if !port.flows.iter().any(|(known, _)| *known == number) {
        return complain!("Flow rule #{number} not found");
    }
    if !port.flows.iter().any(counts) {
        return complain!("Cannot query action type 0 (count): flow rule #{number} does not count");
    }
    match port.device.query_flow(number) {
        Ok(count) => {
            let FlowCount { hits, bytes } = count.unwrap_or_default();
            say!("COUNT:\n hits_set: {}\n bytes_set: {}", u8::from(hits.is_some()), u8::from(bytes.is_some()));
            say!(" hits: {}\n bytes: {}", hits.unwrap_or(0), bytes.unwrap_or(0));
        }
        Err(error) => refused(&error),
    }
}

fn isolate(app: &mut App, values: &Values) {
    let (id, on) = (values.u16(2), values.number(3) != 0);
    let Some(port) = app.port(id) else { return };
    match port.device.isolate_flows(on) {
        Ok(()) => {
            let how = if on { "now restricted" } else { "not restricted anymore" };
            say!("Ingress traffic on port {id} is {how} to the defined flow rules");
        }
        Err(error) => refused(&error),
    }
}

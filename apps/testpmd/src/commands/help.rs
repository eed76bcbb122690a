//! `help`.

use super::{Command, FAMILIES, Family};
use crate::screen::{complain, say};

pub(super) const FAMILY: Family = Family {
    name: "help",
    about: "This.",
    commands: &[
        Command { pattern: "help", help: "List the sections of help.", run: |_, _| sections() },
        Command {
            pattern: "help section:text",
            help: "Display a section of help, or all.",
            run: |_, values| section(values.word(1)),
        },
    ],
};

fn sections() {
    say!("\nHelp is available for the following sections:\n");
    for family in FAMILIES {
        say!("    help {:<27}: {}", family.name, family.about);
    }
    say!("    help {:<27}: All of the above sections.\n", "all");
}

fn section(name: &str) {
    let families: Vec<_> = FAMILIES.iter().filter(|family| name == "all" || family.name == name).collect();
    if families.is_empty() {
        return complain!("Bad arguments");
    }
    for family in families {
        let title = format!("{}{}:", family.name[..1].to_uppercase(), &family.name[1..]);
        say!("\n{title}\n{}", "-".repeat(title.len()));
        for command in family.commands {
            say!("\n{}\n    {}", shown(command.pattern), command.help);
        }
    }
    say!();
}

/// A pattern as the original's help has it: `set promisc (port_id|all) (on|off)`.
pub(super) fn shown(pattern: &str) -> String {
    let word = |place: &str| match place.split_once(':') {
        Some((name, "ports")) => format!("({name}_id|all)"),
        Some((name, _)) => format!("({name})"),
        None if place.contains('|') => format!("({place})"),
        None => place.to_owned(),
    };
    pattern.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

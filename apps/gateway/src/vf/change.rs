//! `iogate vf plan`, `apply` and `reset`.

use super::{SCHEMA, desired};
use crate::config::Config;
use anyhow::{Context, Result};
use iogate::sriov::{Applied, ApplyError, DesiredPf, Kernel, PfState, Plan, Step};
use serde::Serialize;
use std::fmt::{Display, Write};

/// What a command has to say, and whether it is about something that cannot be done.
pub struct Outcome {
    /// For standard output.
    pub text: String,
    /// Nothing was done, or would be: the plan is refused, or would disturb VFs in use.
    pub refused: bool,
}

/// A plan as JSON.
#[derive(Serialize)]
struct PlanReport<'a> {
    schema: u32,
    #[serde(flatten)]
    plan: &'a Plan,
    /// The steps as text has them.
    text: Vec<String>,
}

/// What was done as JSON.
#[derive(Serialize)]
struct AppliedReport<'a> {
    schema: u32,
    #[serde(flatten)]
    applied: &'a Applied,
    /// The steps as text has them.
    text: Vec<String>,
}

/// Prints what would be done, and why it cannot be.
pub fn plan(kernel: &mut dyn Kernel, config: &Config, json: bool) -> Result<Outcome> {
    let desired = desired(config);
    let states = PfState::read(kernel, desired.iter().map(|pf| pf.address)).context("cannot read what is there")?;
    let plan = Plan::new(kernel.host(), &states, &desired);
    let refused = !plan.refusals.is_empty() || !plan.disturbs.is_empty();
    if json {
        return Ok(Outcome { text: plan_json(&plan)?, refused });
    }
    let mut text = String::new();
    lines(&mut text, "", &plan.steps);
    lines(&mut text, "refused: ", &plan.refusals);
    lines(&mut text, "would disturb: ", &plan.disturbs);
    lines(&mut text, "note: ", &plan.notes);
    let verdict = match plan.steps.len() {
        _ if !plan.refusals.is_empty() => "this cannot be done as it is".to_owned(),
        0 => "nothing to do".to_owned(),
        count => format!("{count} steps to take; nothing was changed"),
    };
    writeln!(text, "{verdict}")?;
    Ok(Outcome { text, refused })
}

/// Makes PFs and VFs as the file wants them. `disturb` allows changes of VFs in use.
///
/// # Errors
/// When a step fails; then everything is as it was, unless the error says otherwise.
pub fn apply(kernel: &mut dyn Kernel, config: &Config, disturb: bool, json: bool) -> Result<Outcome> {
    carry_out(kernel, &desired(config), disturb, json)
}

/// Removes the VFs of the file's PFs, and lets the kernel bind new ones to its drivers again.
///
/// # Errors
/// As [`apply`].
pub fn reset(kernel: &mut dyn Kernel, config: &Config, json: bool) -> Result<Outcome> {
    let without =
        |pf: DesiredPf| DesiredPf { num_vfs: 0, autoprobe: true, settings: Vec::new(), vfs: Vec::new(), ..pf };
    let desired: Vec<_> = desired(config).into_iter().map(without).collect();
    carry_out(kernel, &desired, false, json)
}

fn carry_out(kernel: &mut dyn Kernel, desired: &[DesiredPf], disturb: bool, json: bool) -> Result<Outcome> {
    let applied = match iogate::sriov::apply(kernel, desired, disturb) {
        Ok(applied) => applied,
        Err(error) => return refused(error, json),
    };
    if json {
        let report = AppliedReport { schema: SCHEMA, text: texts(&applied.done), applied: &applied };
        return Ok(Outcome { text: serde_json::to_string_pretty(&report)? + "\n", refused: false });
    }
    let mut text = String::new();
    lines(&mut text, "", &applied.done);
    lines(&mut text, "note: ", &applied.notes);
    match applied.done.len() {
        0 => writeln!(text, "nothing to do")?,
        count => writeln!(text, "{count} steps taken; read back, and as wanted")?,
    }
    Ok(Outcome { text, refused: false })
}

/// What to say where everything is as it was; all else is an error.
fn refused(error: ApplyError, json: bool) -> Result<Outcome> {
    let text = match &error {
        ApplyError::Refused(plan) | ApplyError::Disturbs(plan) if json => plan_json(plan)?,
        ApplyError::Hindered { plan, left } if json && left.is_empty() => plan_json(plan)?,
        ApplyError::Disturbs(_) => format!("{error}\n--disturb allows it\n"),
        ApplyError::Refused(_) => format!("{error}\n"),
        ApplyError::Hindered { left, .. } if left.is_empty() => format!("{error}\n"),
        _ => return Err(error.into()),
    };
    Ok(Outcome { text, refused: true })
}

fn plan_json(plan: &Plan) -> Result<String> {
    let report = PlanReport { schema: SCHEMA, text: texts(&plan.steps), plan };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

fn texts(steps: &[Step]) -> Vec<String> {
    steps.iter().map(ToString::to_string).collect()
}

fn lines(text: &mut String, what: &str, items: &[impl Display]) {
    items.iter().for_each(|item| *text += &format!("{what}{item}\n"));
}

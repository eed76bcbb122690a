//! Carrying a plan out, and taking it back when a step fails.

use super::address::PciAddress;
use super::explain;
use super::kernel::Kernel;
use super::plan::{Plan, Remark};
use super::state::{DesiredPf, PfState};
use super::step::{Change, Step};
use serde::Serialize;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How long the first wait for a VF in reset is; each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// How often something is tried: for about six seconds, in which a link comes up, too.
const TRIES: u32 = 8;
/// What new VFs come with is guessed at first; what was guessed wrong is set in a second round.
const ROUNDS: usize = 2;

/// Why PFs and VFs are not as they are wanted.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The kernel cannot be asked.
    #[error("cannot read what is there: {0}")]
    Read(#[from] io::Error),
    /// Nothing was done, since it cannot work.
    #[error("the plan cannot be carried out, and nothing was done:{}", lines(&.0.refusals))]
    Refused(Plan),
    /// Nothing was done, since VFs are in use.
    #[error("the plan would disturb VFs in use, and nothing was done:{}", lines(&.0.disturbs))]
    Disturbs(Plan),
    /// The first steps made something that stands in the way of the others; what was done was taken back.
    #[error("what the first steps made stands in the way:{}{}{}", lines(&.plan.refusals), lines(&.plan.disturbs),
        taken_back(.left))]
    Hindered {
        /// The rest of the way, as far as it was seen, with what stands in it.
        plan: Plan,
        /// What could not be taken back; empty when everything is as it was.
        left: Vec<Step>,
    },
    /// A step failed, and what was done before was taken back.
    #[error("{step}: {cause}{}{}", semicolon(.hint), taken_back(.left))]
    Failed {
        /// The step.
        step: Box<Step>,
        /// What the kernel answered.
        cause: io::Error,
        /// What that means and what to do; possibly empty.
        hint: String,
        /// What could not be taken back; empty when everything is as it was.
        left: Vec<Step>,
    },
    /// All steps were taken, and the kernel says that it is not so; what was done was taken back.
    #[error("the kernel took every step and does not show these:{}{}", lines(.unlike), taken_back(.left))]
    Unlike {
        /// What would still have to be done.
        unlike: Vec<Step>,
        /// What could not be taken back; empty when everything is as it was.
        left: Vec<Step>,
    },
}

fn lines(items: &[impl std::fmt::Display]) -> String {
    items.iter().map(|item| format!("\n  {item}")).collect()
}

fn semicolon(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!("; {hint}") }
}

fn taken_back(left: &[Step]) -> String {
    match left {
        [] => "\nwhat was done before was taken back".into(),
        left => format!("\nthese could not be taken back:{}", lines(left)),
    }
}

/// What [`apply`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The steps that were taken.
    pub done: Vec<Step>,
    /// What else is to be known.
    pub notes: Vec<Remark>,
}

/// Plans, carries the plan out, reads everything back and compares. When a step fails or the kernel
/// shows something else, all is taken back to how it was. `disturb` allows changes to VFs in use; their
/// number and their drivers are never changed.
///
/// # Errors
/// [`ApplyError`]; everything is as it was before unless it says otherwise.
pub fn apply(kernel: &mut dyn Kernel, desired: &[DesiredPf], disturb: bool) -> Result<Applied, ApplyError> {
    let read = |kernel: &mut dyn Kernel| PfState::read(kernel, desired.iter().map(|pf| pf.address));
    let start = read(kernel)?;
    let mut plan = Plan::new(kernel.host(), &start, desired);
    let mut applied = Applied { done: Vec::new(), notes: std::mem::take(&mut plan.notes) };
    if !plan.refusals.is_empty() {
        return Err(ApplyError::Refused(plan));
    }
    if !plan.disturbs.is_empty() && !disturb {
        return Err(ApplyError::Disturbs(plan));
    }
    for _ in 0..ROUNDS {
        for step in plan.steps {
            if let Some(refusal) = Plan::hindrance(kernel.host(), desired, &step) {
                let plan = Plan { steps: vec![step], refusals: vec![refusal], ..Plan::default() };
                return Err(ApplyError::Hindered { left: take_back(kernel, &start), plan });
            }
            if let Err(cause) = take(kernel, &step) {
                let hint = explain::error(&step.change, &cause);
                return Err(ApplyError::Failed { left: take_back(kernel, &start), hint, cause, step: step.into() });
            }
            applied.done.push(step);
        }
        plan = match read(kernel) {
            Ok(states) => Plan::new(kernel.host(), &states, desired),
            Err(error) => {
                take_back(kernel, &start);
                return Err(error.into());
            }
        };
        if plan.is_empty() {
            return Ok(applied);
        }
        if !plan.refusals.is_empty() || !plan.disturbs.is_empty() && !disturb {
            return Err(ApplyError::Hindered { left: take_back(kernel, &start), plan });
        }
    }
    let unlike = plan.steps;
    Err(ApplyError::Unlike { unlike, left: take_back(kernel, &start) })
}

/// Makes everything as it was; returns what could not be. This is a plan, too: it starts from what is
/// there now, so that it does not matter how far the other one came.
fn take_back(kernel: &mut dyn Kernel, start: &[PfState]) -> Vec<Step> {
    let desired: Vec<_> = start.iter().map(PfState::as_desired).collect();
    let mut left = Vec::new();
    for _ in 0..ROUNDS {
        let plan = match PfState::read(kernel, desired.iter().map(|pf| pf.address)) {
            Ok(states) => Plan::new(kernel.host(), &states, &desired),
            Err(error) => {
                tracing::error!("cannot read what is there: {error}");
                return left;
            }
        };
        if !plan.refusals.is_empty() {
            plan.refusals.iter().for_each(|why| tracing::error!("cannot go back: {why}"));
            return plan.steps;
        }
        left = Vec::new();
        for step in plan.steps {
            if let Err(error) = take(kernel, &step) {
                tracing::error!("cannot go back: {step}: {error}");
                left.push(step);
            }
        }
    }
    left
}

/// Takes a step, for some seconds where a VF is in reset.
fn take(kernel: &mut dyn Kernel, step: &Step) -> io::Result<()> {
    let mut wait = FIRST_WAIT;
    for _ in 1..TRIES {
        match try_to_take(kernel, step) {
            Err(error) if explain::passes(&step.change, &error) => {
                tracing::info!("{step}: {error}; trying again in {wait:?}")
            }
            other => return other,
        }
        kernel.pause(wait);
        wait *= 2;
    }
    try_to_take(kernel, step)
}

fn try_to_take(kernel: &mut dyn Kernel, step: &Step) -> io::Result<()> {
    let pf = kernel.host().function(step.address);
    match &step.change {
        Change::Autoprobe { on } => kernel.write(&pf.join("sriov_drivers_autoprobe"), if *on { "1" } else { "0" }),
        Change::NumVfs { to, .. } => kernel.write(&pf.join("sriov_numvfs"), &to.to_string()),
        Change::Pf { interface, setting } => kernel.set_pf(interface, *setting),
        Change::Vf { interface, vf, setting, .. } => kernel.set_vf(interface, *vf, *setting),
        Change::Bind { vf, binding, .. } => {
            let address = kernel.host().vf_address(step.address, *vf);
            bind(kernel, address.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))?, binding)
        }
    }
}

/// Binds a function: the override makes sure that no other driver takes it, and that the kernel binds it
/// even where new VFs are left alone.
fn bind(kernel: &mut dyn Kernel, address: PciAddress, binding: &super::Binding) -> io::Result<()> {
    let folder = kernel.host().function(address);
    let (only, link) = (folder.join("driver_override"), folder.join("driver"));
    let set_override = |kernel: &mut dyn Kernel, driver: Option<&str>| kernel.write(&only, driver.unwrap_or("\n"));
    let bound = || -> Option<PathBuf> { fs::read_link(&link).ok() };
    let wanted = binding.driver.as_deref();
    if bound().is_some_and(|bound| bound.file_name().and_then(|name| name.to_str()) == wanted) {
        return set_override(kernel, binding.driver_override.as_deref());
    }
    if bound().is_some() {
        kernel.write(&link.join("unbind"), &address.to_string())?;
    }
    if let Some(driver) = wanted {
        set_override(kernel, Some(driver))?;
        let probe = kernel.host().path("sys/bus/pci/drivers_probe");
        kernel.write(&probe, &address.to_string())?;
        if bound().is_none() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
    }
    if wanted != binding.driver_override.as_deref() || wanted.is_none() {
        set_override(kernel, binding.driver_override.as_deref())?;
    }
    Ok(())
}

//! iperf3 between two namespaces, through the gateway and through testpmd, on AF_XDP.

use crate::Plan;
use crate::series::Report;
use anyhow::Result;

/// Not yet.
pub(crate) fn compare(_plan: Plan, report: &mut Report) -> Result<()> {
    report.notes.push("iperf: not measured".to_owned());
    Ok(())
}

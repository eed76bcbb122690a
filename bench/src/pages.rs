//! Huge pages, reserved for as long as they are needed.

use anyhow::{Context as _, Result, ensure};

const NUMBER: &str = "/proc/sys/vm/nr_hugepages";
/// What a page has, MiB.
const PAGE_MB: u32 = 2;

/// So many pages as there were before are reserved again when it goes.
pub(crate) struct Reserved(u32);

impl Reserved {
    /// Has at least `megabytes` free, of pages of 2 MiB.
    pub(crate) fn take(megabytes: u32) -> Result<Reserved> {
        let before = number()?;
        let free = free()?;
        let missing = (megabytes / PAGE_MB).saturating_sub(free);
        let reserved = Reserved(before);
        if missing > 0 {
            std::fs::write(NUMBER, (before + missing).to_string()).with_context(|| format!("cannot write {NUMBER}"))?;
        }
        ensure!(self::free()? >= megabytes / PAGE_MB, "{megabytes} MiB of huge pages are not to be had");
        Ok(reserved)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let _ = std::fs::write(NUMBER, self.0.to_string());
    }
}

fn number() -> Result<u32> {
    let text = std::fs::read_to_string(NUMBER).with_context(|| format!("cannot read {NUMBER}"))?;
    text.trim().parse().with_context(|| format!("no number in {NUMBER}"))
}

fn free() -> Result<u32> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("HugePages_Free:"));
    line.and_then(|count| count.trim().parse().ok()).context("no huge pages in /proc/meminfo")
}

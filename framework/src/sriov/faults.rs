//! IOMMU faults, which only the kernel's log tells of.

use super::address::PciAddress;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Follows the kernel's log for accesses of devices that the IOMMU has refused.
#[derive(Debug)]
pub struct IommuFaults {
    log: File,
}

/// Longer than any record of the kernel's log.
const LONGEST_RECORD: usize = 8192;
/// Records looked at in one go: a device that faults does so again and again.
const MOST_RECORDS: usize = 1000;

impl IommuFaults {
    /// Follows a log from now on: `/dev/kmsg`, which gives a record at a time.
    ///
    /// # Errors
    /// When it may not be read, as in most containers.
    pub fn follow(log: &Path) -> io::Result<Self> {
        let mut log = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(log)?;
        log.seek(SeekFrom::End(0))?;
        Ok(IommuFaults { log })
    }

    /// The devices that had a fault since this was asked last.
    pub fn take(&mut self) -> BTreeSet<PciAddress> {
        let mut record = [0; LONGEST_RECORD];
        let mut faulty = BTreeSet::new();
        for _ in 0..MOST_RECORDS {
            match self.log.read(&mut record) {
                Ok(0) => break,
                Ok(length) => faulty.extend(String::from_utf8_lossy(&record[..length]).lines().filter_map(fault)),
                // Records were overwritten before they were read.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(_) => break,
            }
        }
        faulty
    }
}

/// The device that a line tells a fault of, as the drivers of Intel's, AMD's and Arm's IOMMUs write them.
fn fault(line: &str) -> Option<PciAddress> {
    let known = ["DMAR:", "AMD-Vi:", "arm-smmu"].iter().any(|word| line.contains(word));
    if !known || !line.to_ascii_lowercase().contains("fault") {
        return None;
    }
    let words = line.split(|c: char| !c.is_ascii_hexdigit() && c != ':' && c != '.');
    words.map(|word| word.trim_matches(['.', ':'])).find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn faults_name_their_device() {
        for (line, device) in [
            (
                "3,1162,48213,-;DMAR: [DMA Write NO_PASID] Request device [01:10.0] fault addr 0xfeed000 [fault reason 0x05] \
                 PTE Write access is not set",
                Some("0000:01:10.0"),
            ),
            (
                "vfio-pci 0000:3b:02.1: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x001e address=0xdead flags=0x0000]",
                Some("0000:3b:02.1"),
            ),
            ("AMD-Vi: Event logged [IO_PAGE_FAULT device=3b:02.1 domain=0x001e address=0xdead]", Some("0000:3b:02.1")),
            ("DMAR: Intel(R) Virtualization Technology for Directed I/O", None),
            ("DMAR: DRHD: handling fault status reg 2", None),
            ("igb 0000:01:00.0: page fault in somebody's program", None),
        ] {
            assert_eq!(fault(line).map(|address| address.to_string()).as_deref(), device, "{line}");
        }
    }

    #[test]
    fn only_what_is_new_is_taken() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        let line = |device: &str| format!("6,1,1,-;DMAR: [DMA Read] Request device [{device}] fault addr 0x0\n");
        write!(log, "{}", line("01:10.0")).unwrap();
        let mut faults = IommuFaults::follow(log.path()).unwrap();
        assert!(faults.take().is_empty(), "it was there before");
        write!(log, "{}6,2,2,-;all is well\n{}", line("02:10.0"), line("02:10.2")).unwrap();
        let taken: Vec<_> = faults.take().iter().map(ToString::to_string).collect();
        assert_eq!(taken, ["0000:02:10.0", "0000:02:10.2"]);
        assert!(faults.take().is_empty());
        assert!(IommuFaults::follow(Path::new("/nowhere")).is_err());
    }
}

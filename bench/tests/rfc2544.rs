//! RFC 2544 of a device that is another process: DPDK's testpmd, over shared memory.

use iogate::testkit::skip;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Ended when it is dropped.
struct Device(Child);

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_device_in_another_process_is_measured_size_by_size() {
    let there = Command::new("sh").args(["-c", "command -v dpdk-testpmd"]).output().unwrap().status.success();
    if !there {
        return skip("a_device_in_another_process_is_measured_size_by_size", "dpdk-testpmd is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("memif.sock").display().to_string();
    // Into a pipe it would hold back what it says until it ends.
    let mut device = Command::new("stdbuf");
    device.args([
        "-oL",
        "dpdk-testpmd",
        "--no-huge",
        "-m",
        "128",
        "--no-shconf",
        "--no-pci",
        "--no-telemetry",
        "--lcores=0@0,1@0",
    ]);
    device.arg(format!("--file-prefix=rfc2544-{}", std::process::id()));
    for id in 0..2 {
        device.arg(format!("--vdev=net_memif{id},socket={socket},socket-abstract=no,role=server,id={id}"));
    }
    // It runs until its prompt's end.
    device.args(["--", "-i", "--auto-start", "--forward-mode=io", "--total-num-mbufs=4096"]);
    let mut device = Device(device.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(device.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("packet forwarding - ports=2")), "testpmd does not start");
    let bench = |sizes: &str| {
        let mut bench = Command::new(env!("CARGO_BIN_EXE_iogate-bench"));
        bench.args([
            "rfc2544",
            "--sizes",
            sizes,
            "--seconds",
            "0.05",
            "--line",
            "0.01",
            "--resolution",
            "50",
            "-o",
            "json",
        ]);
        bench.args(["--tx".to_owned(), format!("memif:{socket}")]);
        bench.args(["--rx".to_owned(), format!("memif:{socket},id=1")]).output().unwrap()
    };
    let output = bench("64,594");
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(report["notes"].as_array().unwrap().len(), 1, "{report:#}");
    let rows = |table: usize| report["tables"][table]["rows"].as_array().unwrap().clone();
    let sizes: Vec<_> = rows(0).iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
    assert_eq!(sizes, ["64", "594"]);
    // What it loses is the machine's affair; frames come through, or nothing would be measured.
    assert!(rows(2).iter().any(|row| row[2] != "100.0000 %"), "{report:#}");

    // Without the device nothing is measured, and that is said.
    drop(device);
    let output = bench("64");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot start it"), "{said}");
}

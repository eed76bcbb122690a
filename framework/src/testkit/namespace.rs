//! Tests that need interfaces of their own.

use std::process::Command;

/// Set, to the test's name, in the process that runs a test's body.
const INSIDE: &str = "IOGATE_TEST_INSIDE";
/// Set by whoever wants a test that cannot run to fail.
const NO_SKIP: &str = "IOGATE_TEST_NO_SKIP";
/// A test that takes longer hangs.
const SECONDS: &str = "120";

/// Runs `body` in a process of its own, in a network namespace that is new and vanishes with it.
///
/// `test` is the test's full name, since it is started once more by it. Where namespaces cannot be
/// made the test says so and passes; it fails when `IOGATE_TEST_NO_SKIP` is set.
///
/// # Panics
/// When the body fails there.
pub fn in_namespace(test: &str, body: impl FnOnce()) {
    if std::env::var(INSIDE).is_ok_and(|inside| inside == test) {
        sh(
            "mount -t sysfs sysfs /sys; mount -t bpf bpf /sys/fs/bpf; ip link set lo up; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6",
        );
        return body();
    }
    let allowed = Command::new("unshare").args(["--net", "--mount", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        return skip(test, "network namespaces need root, or CAP_SYS_ADMIN");
    }
    let this = std::env::current_exe().expect("the test's own program");
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--kill-child", "timeout", "--kill-after=5", SECONDS])
        .arg(this)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, test)
        .output()
        .expect("unshare ran above");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{out}{err}");
    assert!(output.status.success(), "{test} in its namespace: {}\n{out}{err}", output.status);
    assert!(out.contains("1 passed"), "there is no test of the name {test}: pass its full path");
}

/// Says why a test cannot run here; fails when `IOGATE_TEST_NO_SKIP` is set.
///
/// # Panics
/// When it is.
pub fn skip(test: &str, reason: &str) {
    assert!(std::env::var_os(NO_SKIP).is_none(), "{test} cannot run: {reason}");
    eprintln!("SKIPPED {test}: {reason}");
}

/// Runs shell commands and returns what they print.
///
/// # Panics
/// When one fails.
pub fn sh(commands: &str) -> String {
    let output = Command::new("sh").args(["-ec", commands]).output().expect("there is a shell");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{commands}: {}\n{out}{err}", output.status);
    out.into_owned()
}

//! A libdpdk of another release than the one built against is refused before it is used.

use iogate::eal::{Eal, HugePages};
use std::process::Command;

const INSIDE: &str = "IOGATE_TEST_OTHER_VERSION";

#[test]
fn another_release_is_refused_and_both_are_named() {
    if std::env::var_os(INSIDE).is_some() {
        let error = Eal::builder().memory_mb(64).huge_pages(HugePages::Never).start().unwrap_err();
        return println!("refused: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("other.c"), folder.path().join("libother.so"));
    std::fs::write(&source, "const char *rte_version(void) { return \"DPDK 23.07.0\"; }\n").unwrap();
    let compiler = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().unwrap();
    assert!(compiler.success());
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["another_release_is_refused_and_both_are_named", "--exact", "--nocapture"])
        .env("LD_PRELOAD", &library)
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find_map(|line| line.split_once("refused: ")).expect("it was refused").1;
    assert!(line.contains("the libdpdk loaded at start is DPDK 23.07.0"), "{line}");
    let (_, built) = line.split_once("built against DPDK ").unwrap();
    assert!(built.starts_with("22.11,") || built.starts_with("23.11,") || built.starts_with("24.11,"), "{line}");
}

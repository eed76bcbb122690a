//! Tells the program which compiler built it: instruction counts depend on it.

use std::process::Command;

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version =
        Command::new(rustc).arg("--version").output().ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let version = version.as_deref().and_then(|text| text.split_whitespace().nth(1)).unwrap_or("unknown");
    println!("cargo:rustc-env=IOGATE_RUSTC={version}");
    println!("cargo:rerun-if-changed=build.rs");
}

//! What a build says where something that it needs is missing: one line, with what to install.

use std::path::Path;
use std::process::Command;

/// Runs the build script of this crate once more, with `changes` to its environment, and returns the
/// one error that it gives to cargo.
fn error(changes: &[(&str, &str)]) -> String {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(changes[0].0.to_lowercase());
    std::fs::create_dir_all(&out).unwrap();
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("DPDK_SYS_BUILD_SCRIPT"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .envs([("TARGET", &target), ("HOST", &target)])
        .envs([("OPT_LEVEL", "0"), ("DEBUG", "false")])
        .env("OUT_DIR", &out)
        .envs(changes.iter().copied())
        .output()
        .expect("the build script is still there");
    let (text, noise) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{text}{noise}");
    assert!(!noise.contains("panicked"), "{noise}");
    let errors: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("cargo::error=")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    errors[0].to_owned()
}

#[test]
fn without_pkg_config() {
    let error = error(&[("PKG_CONFIG", "/nonexistent")]);
    assert!(error.contains("install pkg-config (Debian: apt install pkg-config)"), "{error}");
}

#[test]
fn without_libdpdk() {
    let error = error(&[("PKG_CONFIG_LIBDIR", ""), ("PKG_CONFIG_PATH", "")]);
    assert!(error.contains("no libdpdk") && error.contains("apt install libdpdk-dev"), "{error}");
}

#[test]
fn without_libclang() {
    let error = error(&[("LIBCLANG_PATH", "/nonexistent")]);
    assert!(error.contains("LIBCLANG_PATH") && error.contains("apt install libclang-dev"), "{error}");
}

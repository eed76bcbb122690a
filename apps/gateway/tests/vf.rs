//! `iogate vf` on machines that are trees of files.
#![forbid(unsafe_code)]

mod support;

use iogate::sriov::{Kernel, VfSettings};
use iogate::testkit::{Card, FakeHost, FakeKernel};
use iogate_gateway::config::{self, Config};
use iogate_gateway::vf;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use support::{IOGATE, iogate, must, path, stderr, stdout, text};

/// As the kernel answers.
const EOPNOTSUPP: i32 = 95;

/// One configuration for every card.
fn config(card: Card, change: impl Fn(String) -> String) -> Config {
    let [a, b] = card.pfs().map(|pf| pf.to_string());
    let driver = match card {
        Card::Intel82576 => "igb",
        Card::Intel82599 => "ixgbe",
        Card::X710 => "i40e",
        Card::E810 => "ice",
    };
    let text = include_str!("vf/gateway.toml").replace("PF0", &a).replace("PF1", &b).replace("DRIVER", driver);
    config::parse(&change(text), Path::new("gw.toml")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn machine(card: Card) -> (FakeHost, FakeKernel, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeHost::create(folder.path(), &[card]);
    let kernel = FakeKernel::new(&fake);
    (fake, kernel, folder)
}

/// Compares with a file of `tests/vf`; with `IOGATE_BLESS` set, writes it.
fn golden(name: &str, text: &str) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/vf", name].iter().collect();
    if std::env::var_os("IOGATE_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&path).unwrap(), "{name}");
}

#[test]
fn every_card_gets_its_steps_and_its_refusals() {
    for (card, name) in
        [(Card::Intel82576, "82576"), (Card::Intel82599, "82599"), (Card::X710, "x710"), (Card::E810, "e810")]
    {
        let (_, mut kernel, _folder) = machine(card);
        let shrink = |text: String| match card {
            // It has 7 VFs.
            Card::Intel82576 => text.replace("num_vfs = 8", "num_vfs = 7"),
            _ => text,
        };
        let outcome = vf::plan(&mut kernel, &config(card, shrink), false).unwrap();
        golden(&format!("{name}.txt"), &outcome.text);
        assert_eq!(outcome.refused, matches!(card, Card::Intel82576 | Card::Intel82599), "{name}");
        assert_eq!(kernel.changes(), 0);
    }
}

#[test]
fn what_is_applied_is_there_stays_there_and_goes() {
    let (fake, mut kernel, _folder) = machine(Card::X710);
    let config = config(Card::X710, |text| text);
    let outcome = vf::apply(&mut kernel, &config, false, false).unwrap();
    assert!(outcome.text.ends_with("steps taken; read back, and as wanted\n"), "{}", outcome.text);
    let [a, b] = Card::X710.pfs().map(|pf| fake.host().pf(pf).unwrap().unwrap());
    assert_eq!((a.vfs.len(), b.vfs.len()), (8, 4));
    let driver = |vf: &iogate::sriov::Vf| vf.driver.clone().unwrap_or_default();
    assert_eq!(
        [driver(&a.vfs[0]), driver(&a.vfs[1]), driver(&a.vfs[5]), driver(&b.vfs[0])],
        ["vfio-pci", "", "", "vfio-pci"]
    );
    let settings = kernel.settings("ens1f0").unwrap().vfs;
    assert!(settings[0].trust && !settings[0].spoof_check);
    assert_eq!((settings[5].vlan.id, settings[5].vlan.qos, settings[5].rate.max_mbps), (110, 5, 4000));
    assert_eq!(settings[1], VfSettings::default());

    // Twice is once.
    let again = vf::plan(&mut kernel, &config, false).unwrap();
    assert!(again.text.ends_with("nothing to do\n") && !again.refused, "{}", again.text);
    let json = vf::plan(&mut kernel, &config, true).unwrap().text;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["schema"].as_u64(), json["steps"].as_array().map(Vec::len)), (Some(1), Some(0)));

    // While a gateway has it, it stays.
    let group = a.vfs[0].iommu_group.unwrap();
    fake.add_process(77, "iogate", &[&format!("/dev/vfio/{group}")]);
    let outcome = vf::reset(&mut kernel, &config, false).unwrap();
    assert!(outcome.refused && outcome.text.contains("is used by pid 77 (iogate)"), "{}", outcome.text);
    fs::remove_dir_all(fake.host().path("proc/77")).unwrap();
    assert!(!vf::reset(&mut kernel, &config, false).unwrap().refused);
    let pfs = fake.host().pfs().unwrap();
    assert!(pfs.iter().all(|pf| pf.vfs.is_empty() && pf.autoprobe));
}

#[test]
fn what_shows_only_once_vfs_are_made_is_refused_too() {
    let (fake, mut kernel, _folder) = machine(Card::X710);
    let [a, b] = Card::X710.pfs();
    fake.new_vfs_join(a, b);
    let config = config(Card::X710, |text| text);
    let outcome = vf::apply(&mut kernel, &config, false, false).unwrap();
    assert!(outcome.refused && outcome.text.contains("it shares IOMMU group"), "{}", outcome.text);
    assert!(outcome.text.ends_with("\nwhat was done before was taken back\n"), "{}", outcome.text);
    let json: Value = serde_json::from_str(&vf::apply(&mut kernel, &config, false, true).unwrap().text).unwrap();
    assert!(json["refusals"][0]["text"].as_str().unwrap().contains("it shares IOMMU group"), "{json}");
    assert!(fake.host().pfs().unwrap().iter().all(|pf| pf.vfs.is_empty()));
}

#[test]
fn a_step_that_fails_says_so_and_leaves_nothing() {
    let (fake, mut kernel, _folder) = machine(Card::E810);
    kernel.fail(5, EOPNOTSUPP);
    let error =
        vf::apply(&mut kernel, &config(Card::E810, |text| text), false, false).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("Operation not supported") && error.ends_with("was taken back"), "{error}");
    assert!(fake.host().pfs().unwrap().iter().all(|pf| pf.vfs.is_empty()));
}

#[test]
fn vf_plan_says_by_its_exit_code_whether_it_can_be_done() {
    let folder = tempfile::tempdir().unwrap();
    FakeHost::create(folder.path(), &[Card::X710, Card::Intel82599]);
    let file = folder.path().join("gw.toml");
    let plan = |command: &str, pci: &str, count: u16, more: &str| {
        let pf = format!("[[pf]]\nname = \"p0\"\npci = \"{pci}\"\nnum_vfs = {count}\n");
        fs::write(
            &file,
            format!("schema = 1\n[gateway]\nname = \"gw-t\"\n{}", if count > 0 { pf.as_str() } else { "" }),
        )
        .unwrap();
        let arguments = ["vf", command, "-c", path(&file), "--sysfs-root", path(folder.path())];
        let output = iogate(&[&arguments[..], &more.split_whitespace().collect::<Vec<_>>()].concat());
        (output.status.code(), stdout(&output), stderr(&output))
    };
    let (code, out, err) = plan("plan", "3b:00.0", 4, "");
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.ends_with("2 steps to take; nothing was changed\n"), "{out}");
    let (code, out, _) = plan("plan", "3b:00.0", 4, "-o json");
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["steps"][1]["change"]["kind"]), (Some(0), &Value::from("num-vfs")));

    let (code, out, _) = plan("plan", "04:00.0", 64, "");
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("refused: p0: 64 VFs are more than the 63 that the card has"), "{out}");
    let (code, out, _) = plan("apply", "04:00.0", 64, "-o json");
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["refusals"][0]["about"].as_str()), (Some(3), Some("p0")), "{out}");

    // A folder is no machine to change.
    let (code, _, err) = plan("apply", "3b:00.0", 4, "");
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("autoprobe off") && err.contains("was taken back"), "{err}");
    let (code, _, err) = plan("plan", "", 0, "");
    assert_eq!(code, Some(2), "{err}");
}

#[test]
fn vf_list_shows_cards_and_who_uses_them() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeHost::create(folder.path(), &[Card::Intel82576]);
    let pf = Card::Intel82576.pfs()[0];
    fake.set_num_vfs(pf, 2);
    fake.bind(fake.vf(pf, 0), Some("vfio-pci"));
    fake.add_process(4711, "dpdk-testpmd", &["/dev/vfio/3"]);
    let output = must(IOGATE, &["vf", "list", "--sysfs-root", path(folder.path())]);
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines[0].trim_start().starts_with("ADDRESS"), "{output}");
    assert!(lines[1].contains("82576 PF") && lines[1].contains("eth0 (up)") && lines[1].ends_with("2/7"), "{output}");
    assert!(lines[2].contains("VF 0") && lines[2].ends_with("pid 4711 (dpdk-testpmd) through /dev/vfio/3"), "{output}");
    let json = must(IOGATE, &["vf", "list", "-o", "json", "--sysfs-root", path(folder.path())]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["pfs"][0]["vfs"][0]["holders"][0]["pid"], 4711);
    assert_eq!(json["pfs"][1]["family"], "82576");

    let nowhere = iogate(&["vf", "list", "--sysfs-root", path(&folder.path().join("nowhere"))]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(stderr(&nowhere).contains("sys/bus/pci/devices"), "{}", text(&nowhere));
}

//! Tests of the whole way from text to model.

mod rules;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use iogate::sriov::Host;
use proptest::prelude::*;

use super::model::{
    AdapterKind, AntiSpoof, Core, Fabric, Failback, GroupMode, Idle, PortRange, Protocol, ProtocolSet, Scope, Selector,
    Side,
};
use super::{Config, check_machine, classes, load, parse};

/// A sound file with one of everything.
const BASE: &str = include_str!("base.toml");

fn check(text: &str) -> Result<Config, String> {
    parse(text, Path::new("gw.toml")).map_err(|problems| problems.to_string())
}

/// The base with one thing changed; the change must hit.
fn changed(from: &str, to: &str) -> String {
    assert!(BASE.contains(from), "the base has no {from:?}");
    BASE.replacen(from, to, 1)
}

fn example(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).join(name)
}

#[test]
fn the_base_becomes_its_model() {
    let config = check(BASE).unwrap();
    assert_eq!(config.gateway.socket, Path::new("/run/iogate/gw-a.sock"));
    assert_eq!((config.gateway.mtu, config.gateway.mbuf.size), (1518, 2304));
    assert_eq!(config.workers.len(), 2);
    assert_eq!(config.workers[1].core, Core::Number(2));
    let fits = |cores: &[usize]| check_machine(&config, Path::new("gw.toml"), cores, &Host::at("/nowhere"));
    assert_eq!(fits(&[0, 1, 2]), Ok(()));
    assert_eq!(
        fits(&[0, 1, 3, 4, 5, 7]).unwrap_err().to_string(),
        "gw.toml:8: worker on core 2: core = 2 is not there, or not for this process; use one of 0..1, 3..5, 7"
    );
    assert_eq!(config.workers[1].idle, Idle::Adaptive(Duration::from_micros(50)));
    let ports: Vec<_> = config.ports().map(|(_, name, port, queues)| format!("{name} {port} {queues}")).collect();
    assert_eq!(ports[0], "l1 tap:l1 1");
    assert_eq!(ports.len(), 6);
    let failback = Failback::Auto(Duration::from_secs(10));
    assert!(
        matches!(&config.groups[0].mode, GroupMode::ActiveStandby { members, failback: f } if members.len() == 2 && *f == failback)
    );
    let named = |name: &str| config.adapters().find(|(_, a)| a.name.as_str() == name).unwrap().1;
    let networks = |name: &str| {
        let network =
            |a: &super::model::Attachment| (config.network(a.network).name.to_string(), a.tag.map(|t| t.get()));
        named(name).attachments.iter().map(network).collect::<Vec<_>>()
    };
    assert_eq!(networks("s1.pub"), [("dmz".to_owned(), None)]);
    assert_eq!(networks("s1.trk"), [("prod".to_owned(), Some(110)), ("dmz".to_owned(), Some(7))]);
    assert_eq!(networks("s2.a"), [("iscsi-a".to_owned(), Some(300))]);
    let vhba = named("s2.a");
    assert_eq!((vhba.side(), vhba.up, vhba.antispoof), (Side::Storage, true, AntiSpoof::default()));
    assert_eq!(vhba.kind, AdapterKind::Vhba { protocols: ProtocolSet::EMPTY.with(Protocol::Iscsi) });
    let uplinks = |i: usize| config.uplinks_of(config.adapters[i].attachments[0].network);
    let names = |i: usize| uplinks(i).iter().map(|u| config.uplink(*u).name.as_str()).collect::<Vec<_>>();
    assert_eq!(names(0), ["n1", "n2"]);
    assert_eq!(names(2), ["sa"]);
}

#[test]
fn the_examples_load() {
    let two = load(&example("two-servers.toml")).unwrap();
    assert_eq!((two.links.len(), two.adapters.len(), two.workers.len()), (2, 4, 1));
    assert_eq!(two.workers[0].core, Core::First);
    assert_eq!(two.workers[0].queues.len(), 4);
    let guests = load(&example("guests.toml")).unwrap();
    let ports: Vec<_> = guests.links.iter().map(|link| link.port.to_string()).collect();
    assert_eq!(ports, ["vhost:/run/iogate/vm1.vhost,client=1,tso=1", "vhost:/run/iogate/vm2.vhost,client=1"]);
    assert_eq!(guests.links.iter().map(|link| link.offloads).collect::<Vec<_>>(), [true, false]);
    let trunks = load(&example("trunks.toml")).unwrap();
    assert_eq!((trunks.networks.len(), trunks.adapters.len(), trunks.workers.len()), (5, 6, 2));
    let added = (Protocol::Iscsi, Selector::TcpPort(PortRange::one(3261)));
    assert!(trunks.protocols.contains(&added));
    let block = trunks.classes.iter().find(|c| c.name.as_str() == "block").unwrap();
    assert!(block.rules.contains(&added.1));
    assert_eq!(trunks.networks.iter().filter(|n| n.fabric == Some(Fabric::B)).count(), 1);
}

#[test]
fn the_configuration_in_the_pods_manifest_loads() {
    let page = include_str!("../../../../../docs/kubernetes.md");
    let text = page.split_once("gw.toml: |\n").and_then(|(_, rest)| rest.split_once("\n---")).unwrap().0;
    let config = check(&text.replace("\n    ", "\n")).unwrap();
    assert_eq!(config.uplinks[0].port.to_string(), "env:PCIDEVICE_INTEL_COM_NET_A/0");
}

#[test]
fn the_built_in_classes_are_sound() {
    // Written out in the file, they are the same as when the file has none.
    let (built_in, written) = (check(BASE).unwrap(), check(&format!("{BASE}{}", classes::BUILT_IN)).unwrap());
    assert_eq!(built_in.classes, written.classes);
    let seen: Vec<_> = built_in.classes.iter().map(|c| (c.name.as_str(), c.pcp)).collect();
    let expected =
        [("control", 7), ("fcoe", 3), ("rdma", 4), ("block", 5), ("file", 2), ("support", 6), ("best-effort", 0)];
    assert_eq!(seen, expected);
    assert_eq!(built_in.class(built_in.default_class).name.as_str(), "best-effort");
    for (protocol, selector) in &built_in.protocols {
        let class = built_in.classes.iter().find(|c| c.rules.contains(selector));
        assert_eq!(class.map(|c| c.scope), Some(Scope::Only(Side::Storage)), "{protocol}");
    }
}

#[test]
fn fcoe_brings_fip_and_no_protocol_brings_all() {
    let protocols = |line: &str| match check(&changed("protocol = \"iscsi\"", line)).unwrap().adapters[2].kind {
        AdapterKind::Vhba { protocols } => protocols.iter().collect::<Vec<_>>(),
        AdapterKind::Vnic => Vec::new(),
    };
    assert_eq!(protocols("protocol = \"fcoe\""), [Protocol::Fcoe, Protocol::Fip]);
    assert_eq!(protocols("protocol = [\"nfs\", \"aoe\"]"), [Protocol::Aoe, Protocol::Nfs]);
    assert_eq!(protocols(""), Protocol::ALL);
}

#[test]
fn a_storage_group_of_one_fabric_gives_it_to_its_networks() {
    let text = BASE
        .replace("fabric = \"B\"", "fabric = \"A\"")
        .replace("mode = \"dual-fabric\"", "")
        .replace("uplink = \"san\"\nfabric = \"A\"", "uplink = \"san\"")
        .replacen("vlan = 300", "vlan = 301", 1);
    let config = check(&text).unwrap();
    let fabrics: Vec<_> = config.networks.iter().map(|n| n.fabric).collect();
    assert_eq!(fabrics, [None, None, Some(Fabric::A), Some(Fabric::A)]);
    assert_eq!(config.groups[1].members().count(), 2);
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    let text = changed("vlan = 110", "vlan = 4095").replace("core = 2", "core = -1").replace("\"s2.a\"", "\"S2\"");
    assert_eq!(
        check(&text).unwrap_err(),
        "gw.toml:8: worker #2: core = -1 is out of range; use 0..1023\n\
         gw.toml:46: network \"prod\": vlan = 4095 is out of range; use 0..4094\n\
         gw.toml:78: vhba \"S2\": name = \"S2\" is not a name; use 1 to 32 of a-z, 0-9, \"-\" and \".\", a letter or digit first"
    );
}

#[test]
fn files_that_cannot_be_read_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| load(path).unwrap_err().to_string().replace(path.to_str().unwrap(), "F");
    assert_eq!(message(folder.path()), "F: is a directory; name a file");
    assert!(message(&folder.path().join("none.toml")).starts_with("F: cannot be read: No such file"));
    let file = |bytes: &[u8]| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        message(file.path())
    };
    assert_eq!(file(b"schema = 1\n# \xff\n"), "F:2: is not UTF-8 here; save the file as UTF-8");
    assert_eq!(file(&vec![b'#'; (1 << 20) + 1]), "F: is larger than 1048576 bytes; is it the right file?");
    assert_eq!(
        file(b"a = \n[b\n"),
        "F:1: TOML syntax: string values must be quoted, expected literal string\nF:2: TOML syntax: unclosed table, expected `]`"
    );
}

/// Pieces that make a text look like a configuration file.
const PIECES: [&str; 24] = [
    "schema = 1\n",
    "[gateway]\n",
    "[[link]]\n",
    "[[uplink]]\n",
    "[[vnic]]\n",
    "[[class]]\n",
    "[protocols]\n",
    "name = ",
    "queues = ",
    "match = ",
    "\"a\"",
    "\"\u{e9}\u{1}\"",
    "[",
    "]",
    "{ tcp_port = ",
    "}",
    ",",
    "=",
    "-1",
    "99999999999999999999",
    "1979-05-27",
    "1.5",
    "\n",
    "iscsi = ",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = check(&text);
    }

    #[test]
    fn no_pieces_panic(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
        let _ = check(&pieces.concat());
    }

    #[test]
    fn no_mutation_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..24usize, prop::sample::select(&PIECES[..])), 1..6),
    ) {
        let mut text: Vec<char> = BASE.chars().collect();
        for (at, cut, insert) in edits {
            let at = at.index(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, insert.chars());
            if text.is_empty() {
                break;
            }
        }
        let _ = check(&text.into_iter().collect::<String>());
    }

    /// Whole lines swapped, dropped or doubled leave most of the file sound, so that the rules between objects are
    /// reached.
    #[test]
    fn no_shuffled_lines_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3u8), 1..8)) {
        let mut lines: Vec<&str> = BASE.lines().collect();
        for (a, b, how) in edits {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            match how {
                0 => lines.swap(a, b),
                1 if lines.len() > 1 => drop(lines.remove(a)),
                _ => lines.insert(b, lines[a]),
            }
        }
        if let Err(problems) = check(&lines.join("\n")) {
            prop_assert!(problems.starts_with("gw.toml:"));
        }
    }
}

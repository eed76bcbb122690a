//! Which PCI functions the ports are, however the file names them: the machine's matter, not the file's.

use std::collections::HashMap;

use iogate::sriov::{Host, PciAddress};

use crate::config::model::{Config, PortRef, Vf, VfOwner};
use crate::config::problem::{Problem, quoted};

/// No function behind two ports, none that a server has to itself, and none by another name than the file has for it,
/// by which it has a VLAN and queues. Those that are not there, or not yet, are left out.
pub(in crate::config) fn check_devices(config: &Config, host: &Host) -> Vec<Problem> {
    let at = |vf| config.vf_port(vf).pci(host).map(|address| (address, vf));
    let vfs: HashMap<PciAddress, &Vf> = config.vfs.iter().filter_map(at).collect();
    let mut ports: HashMap<PciAddress, PortRef> = HashMap::new();
    let mut problems = Vec::new();
    for (port, _, spec, _) in config.ports() {
        let Some(address) = spec.pci(host) else { continue };
        let shown = quoted(&spec.to_string());
        let vf = vfs.get(&address).map(|vf| (*vf, quoted(vf.name.as_str())));
        let text = match (vf, ports.insert(address, port)) {
            (Some((Vf { owner: VfOwner::Server(server), .. }, name)), _) => {
                let server = quoted(server.as_str());
                format!(
                    "port = {shown} is vf {name}, which server {server} has to itself; name one with owner = \"gateway\""
                )
            }
            (_, Some(other)) => {
                format!("port = {shown} is {address}, which is already that of {}; use another", config.describe(other))
            }
            (Some((vf, name)), None) if config.vf_of(spec) != Some(vf) => {
                format!("port = {shown} is vf {name}; name that, so that what the file says of it holds")
            }
            _ => continue,
        };
        problems.push(Problem { line: None, object: config.describe(port), text });
    }
    problems
}

#[cfg(test)]
mod tests {
    use iogate::testkit::{Card, FakeHost};
    use std::path::Path;

    /// What is said of a file with these ports of a link and an uplink, and a VF that a server has, where `vfs` are
    /// made.
    fn problems(link: &str, uplink: &str, vfs: u16) -> String {
        let folder = tempfile::tempdir().unwrap();
        let fake = FakeHost::create(folder.path(), &[Card::X710]);
        fake.set_num_vfs(Card::X710.pfs()[0], vfs);
        let text = format!(
            r#"
            schema = 1
            gateway = {{ name = "gw" }}
            pf = [{{ name = "p", pci = "3b:00.0", num_vfs = 3 }}]
            vf = [
                {{ name = "v0", pf = "p", index = 0 }},
                {{ name = "v2", pf = "p", index = 2, owner = "server:db", vlan = 7 }},
            ]
            link = [{{ name = "l", port = "{link}" }}]
            uplink = [{{ name = "u", port = "{uplink}", kind = "network" }}]
            uplink_group = [{{ name = "g", kind = "network", members = ["u"] }}]
            "#
        );
        let config = crate::config::parse(&text, Path::new("gw.toml")).unwrap_or_else(|problems| panic!("{problems}"));
        match crate::config::check_machine(&config, Path::new("gw.toml"), &[0], fake.host()) {
            Ok(()) => String::new(),
            Err(problems) => problems.to_string(),
        }
    }

    #[test]
    fn a_function_is_one_port_by_whatever_name() {
        let taken = |port: &str| {
            format!(
                "gw.toml: uplink \"u\": port = \"{port}\" is 0000:3b:02.0, which is already that of link \"l\"; use another"
            )
        };
        assert_eq!(problems("v0", "3b:02.0", 3), taken("pci:0000:3b:02.0"));
        assert_eq!(problems("pci:3b:02.1", "vf:3b:00.0/1", 3), taken("vf:0000:3b:00.0/1").replace("02.0", "02.1"));
        let other_name = "gw.toml: uplink \"u\": port = \"pci:0000:3b:02.0\" is vf \"v0\"; name that, so that what the file says of it holds";
        assert_eq!(problems("tap:x", "3b:02.0", 3), other_name);
        for (link, uplink) in [
            ("tap:x", "vf:3b:00.0/0,key=1"),
            ("v0", "vf:3b:00.0/1"),
            ("v0", "3b:02.1"),
            ("3b:00.1", "tap:x"),
            ("tap:x", "tap:y"),
        ] {
            assert_eq!(problems(link, uplink, 3), "", "{link} {uplink}");
        }
        // Nobody knows before it is made.
        assert_eq!(problems("v0", "3b:02.0", 0), "");
    }

    #[test]
    fn a_servers_function_is_no_port_by_whatever_name() {
        let text = problems("3b:02.2", "v0", 3);
        assert_eq!(
            text,
            "gw.toml: link \"l\": port = \"pci:0000:3b:02.2\" is vf \"v2\", which server \"db\" has to itself; \
             name one with owner = \"gateway\""
        );
    }
}

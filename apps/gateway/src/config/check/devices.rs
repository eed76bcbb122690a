//! Which PCI functions the ports are, however the file names them: the machine's matter, not the file's.

use std::collections::HashMap;

use iogate::sriov::{Host, PciAddress};

use crate::config::model::{Config, PortRef, VfOwner};
use crate::config::problem::{Problem, quoted};

/// No function behind two ports, and none that a server has to itself. Those that are not there, or not yet, are
/// left out.
pub(in crate::config) fn check_devices(config: &Config, host: &Host) -> Vec<Problem> {
    let mut servers = HashMap::new();
    for vf in &config.vfs {
        if let (VfOwner::Server(server), Some(address)) = (&vf.owner, config.vf_port(vf).pci(host)) {
            servers.insert(address, (vf, server));
        }
    }
    let mut ports: HashMap<PciAddress, PortRef> = HashMap::new();
    let mut problems = Vec::new();
    for (port, _, spec, _) in config.ports() {
        let Some(address) = spec.pci(host) else { continue };
        let spec = quoted(&spec.to_string());
        let text = if let Some((vf, server)) = servers.get(&address) {
            let (vf, server) = (quoted(vf.name.as_str()), quoted(server.as_str()));
            format!("port = {spec} is vf {vf}, which server {server} has to itself; name one with owner = \"gateway\"")
        } else if let Some(other) = ports.insert(address, port) {
            format!("port = {spec} is {address}, which is already that of {}; use another", config.describe(other))
        } else {
            continue;
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
        match crate::config::check_devices(&config, Path::new("gw.toml"), fake.host()) {
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
        assert_eq!(problems("pci:3b:02.0", "vf:3b:00.0/0", 3), taken("vf:0000:3b:00.0/0"));
        for (link, uplink) in [("v0", "vf:3b:00.0/1"), ("v0", "3b:02.1"), ("3b:00.1", "tap:x"), ("tap:x", "tap:y")] {
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

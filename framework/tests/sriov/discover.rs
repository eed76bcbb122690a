//! What is found on a machine.

use iogate::sriov::{Holder, Host};
use iogate::testkit::{Card, FakeHost};

#[test]
fn every_card_is_found_with_its_family() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeHost::create(folder.path(), &Card::ALL);
    let pfs = fake.host().pfs().unwrap();
    let found: Vec<_> = pfs
        .iter()
        .map(|pf| {
            let family = pf.family.map_or("-", |family| family.name);
            let interface = pf.interface.as_ref().map_or("-", |interface| interface.name.as_str());
            format!("{} {family} {} {interface} {}", pf.address, pf.driver.as_deref().unwrap_or("-"), pf.total_vfs)
        })
        .collect();
    assert_eq!(
        found,
        [
            "0000:01:00.0 82576 igb eth0 7",
            "0000:02:00.0 82576 igb eth1 7",
            "0000:04:00.0 82599 ixgbe enp4s0f0 63",
            "0000:04:00.1 82599 ixgbe enp4s0f1 63",
            "0000:3b:00.0 X710 i40e ens1f0 64",
            "0000:3b:00.1 X710 i40e ens1f1 64",
            "0000:86:00.0 E810 ice ens2f0 128",
            "0000:86:00.1 E810 ice ens2f1 128",
        ]
    );
    assert_eq!(
        pfs.iter().map(|pf| pf.numa_node).collect::<Vec<_>>()[1..7],
        [None, Some(0), Some(0), Some(0), Some(0), Some(1)]
    );
    assert!(pfs.iter().all(|pf| pf.autoprobe && pf.vfs.is_empty() && pf.interface.as_ref().unwrap().up));
}

#[test]
fn virtual_functions_are_found_with_who_uses_them() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeHost::create(folder.path(), &[Card::Intel82576]);
    let pf = Card::Intel82576.pfs()[0];
    fake.set_num_vfs(pf, 4);
    let vfs = || fake.host().pf(pf).unwrap().unwrap().vfs;
    let address = |index: usize| vfs()[index].address;
    assert_eq!(address(0).to_string(), "0000:01:10.0");
    assert_eq!(address(3).to_string(), "0000:01:10.6");
    assert_eq!(vfs()[0].driver.as_deref(), Some("igbvf"));
    // An interface that is down is nobody's.
    assert!(vfs().iter().all(|vf| vf.holders.is_empty() && vf.interface.is_some()));

    fake.bind(address(0), Some("vfio-pci"));
    let group = vfs()[0].iommu_group.unwrap();
    fake.add_process(4711, "dpdk-testpmd", &["/dev/null", "/dev/vfio/vfio", &format!("/dev/vfio/{group}")]);
    std::fs::remove_dir_all(fake.host().function(address(1)).join("net")).unwrap();
    fake.add_interface(address(1), "eth7", "02:00:00:00:00:09", true);
    std::fs::remove_dir_all(fake.host().function(address(2)).join("net")).unwrap();
    fake.bind(address(3), None);
    let held: Vec<Vec<String>> = vfs().iter().map(|vf| vf.holders.iter().map(Holder::to_string).collect()).collect();
    assert_eq!(held[0], [format!("pid 4711 (dpdk-testpmd) through /dev/vfio/{group}")]);
    assert_eq!(held[1], ["interface eth7 (02:00:00:00:00:09, up)"]);
    assert_eq!(held[2], ["an interface of igbvf in another network namespace"]);
    assert!(held[3].is_empty());
    assert_eq!(vfs()[3].driver, None);

    fake.set_num_vfs(pf, 0);
    assert!(vfs().is_empty());
}

#[test]
fn odd_files_are_no_reason_to_fail() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeHost::create(folder.path(), &[Card::X710]);
    let [a, b] = Card::X710.pfs();
    fake.set_num_vfs(a, 2);
    std::fs::write(fake.host().function(b).join("sriov_totalvfs"), "many").unwrap();
    std::fs::remove_file(fake.host().function(a).join("virtfn0")).unwrap();
    std::fs::create_dir(fake.host().function(a).join("../nonsense")).unwrap();
    let pfs = fake.host().pfs().unwrap();
    assert_eq!(pfs.len(), 1);
    assert_eq!(pfs[0].vfs.iter().map(|vf| vf.index).collect::<Vec<_>>(), [1]);

    assert!(Host::at(folder.path().join("nowhere")).pfs().is_err());
    assert_eq!(Host::local().pfs().map(|_| ()).map_err(|error| error.to_string()), Ok(()));
}

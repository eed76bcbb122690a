//! Plans carried out on a fake machine, and taken back.

use iogate::sriov::{
    ApplyError, Binding, DesiredPf, DesiredVf, Foreign, HwMode, Kernel, LinkState, PciAddress, PfSetting, PfState,
    Plan, VfRate, VfSetting, VfSettings, VfVlan, apply,
};
use iogate::testkit::{Card, FakeHost, FakeKernel};
use proptest::prelude::*;

struct Machine {
    fake: FakeHost,
    kernel: FakeKernel,
    pf: PciAddress,
    _folder: tempfile::TempDir,
}

fn machine(card: Card, vfs: u16) -> Machine {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeHost::create(folder.path(), &[card]);
    let pf = card.pfs()[0];
    fake.set_num_vfs(pf, vfs);
    Machine { kernel: FakeKernel::new(&fake), fake, pf, _folder: folder }
}

impl Machine {
    fn state(&mut self) -> Vec<PfState> {
        let mut states = PfState::read(&mut self.kernel, [self.pf]).unwrap();
        // Groups are numbered as they come.
        states.iter_mut().flat_map(|state| &mut state.pf.vfs).for_each(|vf| vf.iommu_group = None);
        states
    }

    fn plan(&mut self, desired: &DesiredPf) -> Plan {
        let states = self.state();
        Plan::new(self.kernel.host(), &states, std::slice::from_ref(desired))
    }

    fn apply(&mut self, desired: &DesiredPf) -> Result<Vec<String>, ApplyError> {
        let applied = apply(&mut self.kernel, std::slice::from_ref(desired), false)?;
        Ok(applied.done.iter().map(ToString::to_string).collect())
    }

    /// What its plan refuses.
    fn refusals(&mut self, desired: &DesiredPf) -> String {
        self.plan(desired).refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }
}

fn desired(pf: PciAddress, num_vfs: u16, vfs: Vec<DesiredVf>) -> DesiredPf {
    DesiredPf {
        name: "pf0".into(),
        address: pf,
        driver: None,
        num_vfs,
        autoprobe: false,
        lanes: 1,
        settings: vec![PfSetting::Up(true)],
        vfs,
        exact: false,
    }
}

fn vf(index: u16, settings: &VfSettings) -> DesiredVf {
    DesiredVf {
        name: format!("v{index}"),
        index,
        queues: 1,
        settings: settings.all().to_vec(),
        binding: Some(Binding::to("vfio-pci")),
        foreign: Foreign::None,
    }
}

fn trunk(mac: &str) -> VfSettings {
    VfSettings { mac: mac.parse().unwrap(), trust: true, spoof_check: false, ..VfSettings::default() }
}

fn access(mac: &str) -> VfSettings {
    let vlan = VfVlan { id: 100, qos: 3, service: false };
    VfSettings { mac: mac.parse().unwrap(), vlan, rate: VfRate { min_mbps: 0, max_mbps: 400 }, ..VfSettings::default() }
}

fn two(pf: PciAddress) -> DesiredPf {
    desired(pf, 4, vec![vf(0, &trunk("02:00:00:00:a0:00")), vf(1, &access("02:00:00:00:a0:01"))])
}

#[test]
fn steps_come_in_order_are_taken_and_leave_none() {
    let mut machine = machine(Card::Intel82576, 0);
    let desired = two(machine.pf);
    let done = machine.apply(&desired).unwrap();
    assert_eq!(
        done,
        [
            "pf0 (0000:01:00.0): autoprobe off",
            "pf0 (0000:01:00.0): numvfs 4 (is 0)",
            "pf0 (0000:01:00.0): vf 0 v0: mac 02:00:00:00:a0:00",
            "pf0 (0000:01:00.0): vf 0 v0: trust on",
            "pf0 (0000:01:00.0): vf 0 v0: spoofchk off",
            "pf0 (0000:01:00.0): vf 0 v0: bind vfio-pci",
            "pf0 (0000:01:00.0): vf 1 v1: mac 02:00:00:00:a0:01",
            "pf0 (0000:01:00.0): vf 1 v1: vlan 100 qos 3",
            "pf0 (0000:01:00.0): vf 1 v1: rate 0..400 Mbit/s",
            "pf0 (0000:01:00.0): vf 1 v1: bind vfio-pci",
        ]
    );
    let state = &machine.state()[0];
    assert_eq!(state.settings.vfs[..2], [trunk("02:00:00:00:a0:00"), access("02:00:00:00:a0:01")]);
    let drivers: Vec<_> = state.pf.vfs.iter().map(|vf| vf.driver.as_deref()).collect();
    assert_eq!(drivers, [Some("vfio-pci"), Some("vfio-pci"), None, None]);
    assert_eq!(machine.plan(&desired), Plan::default());
    assert_eq!(machine.apply(&desired).unwrap(), [""; 0]);
}

#[test]
fn only_what_differs_is_changed_and_a_bound_vf_is_taken_over() {
    let mut machine = machine(Card::X710, 2);
    let desired = desired(machine.pf, 2, vec![vf(1, &trunk("02:00:00:00:a0:01"))]);
    assert_eq!(
        machine.apply(&desired).unwrap(),
        [
            "pf0 (0000:3b:00.0): autoprobe off",
            "pf0 (0000:3b:00.0): vf 1 v1: mac 02:00:00:00:a0:01 (is 00:00:00:00:00:00)",
            "pf0 (0000:3b:00.0): vf 1 v1: trust on (is off)",
            "pf0 (0000:3b:00.0): vf 1 v1: spoofchk off (is on)",
            "pf0 (0000:3b:00.0): vf 1 v1: bind vfio-pci (is iavf)",
        ]
    );
    // What was not named is as it was.
    assert_eq!(machine.state()[0].pf.vfs[0].driver.as_deref(), Some("iavf"));
}

#[test]
fn whatever_fails_everything_is_as_it_was() {
    for vfs in [0, 2] {
        let steps = {
            let mut machine = machine(Card::X710, vfs);
            let desired = two(machine.pf);
            machine.apply(&desired).unwrap();
            machine.kernel.changes()
        };
        for at in 0..steps {
            let mut machine = machine(Card::X710, vfs);
            let (desired, before) = (two(machine.pf), machine.state());
            machine.kernel.fail(at, libc::EOPNOTSUPP);
            let error = machine.apply(&desired).unwrap_err();
            assert!(matches!(&error, ApplyError::Failed { left, .. } if left.is_empty()), "change {at}: {error}");
            assert!(error.to_string().ends_with("\nwhat was done before was taken back"), "{error}");
            assert_eq!(machine.state(), before, "change {at}");
        }
    }
}

#[test]
fn an_error_says_the_step_the_answer_and_what_to_do() {
    let message = |change: usize, errno: i32| {
        let mut machine = machine(Card::X710, 0);
        // Some are tried again.
        (change..change + 8).for_each(|change| machine.kernel.fail(change, errno));
        let desired = two(machine.pf);
        let message = machine.apply(&desired).unwrap_err().to_string();
        message.lines().next().unwrap().to_owned()
    };
    assert_eq!(
        message(3, libc::EOPNOTSUPP),
        "pf0 (0000:3b:00.0): vf 0 v0: trust on: Operation not supported (os error 95); the PF's driver cannot set trust \
         for its VFs; leave that key out"
    );
    assert!(message(2, libc::EPERM).contains("needs CAP_NET_ADMIN"));
    assert!(message(1, libc::EACCES).contains("needs root"));
    assert!(message(1, libc::ENOMEM).contains("pci=realloc"));
    assert!(message(9, libc::EINVAL).contains("while the PF's link is up"));
}

#[test]
fn a_vf_in_reset_is_waited_for_a_while() {
    let mut machine = machine(Card::X710, 0);
    let desired = two(machine.pf);
    for change in 3..6 {
        machine.kernel.fail(change, libc::EAGAIN);
    }
    machine.apply(&desired).unwrap();
    assert_eq!(machine.kernel.waited().as_millis(), 50 + 100 + 200);

    let mut machine = self::machine(Card::X710, 0);
    for change in 3..11 {
        machine.kernel.fail(change, libc::EBUSY);
    }
    let error = machine.apply(&desired).unwrap_err().to_string();
    assert!(error.contains("still in reset, or in use"), "{error}");
    assert_eq!(machine.kernel.waited().as_millis(), 6350);
    assert_eq!(machine.state()[0].pf.num_vfs, 0);
}

#[test]
fn what_the_kernel_takes_and_does_not_make_is_found() {
    let mut machine = machine(Card::X710, 0);
    machine.kernel.ignore("trust");
    let desired = two(machine.pf);
    let error = machine.apply(&desired).unwrap_err().to_string();
    assert_eq!(
        error,
        "the kernel took every step and does not show these:\n  \
         pf0 (0000:3b:00.0): vf 0 v0: trust on (is off)\n\
         what was done before was taken back"
    );
    assert_eq!(machine.state()[0].pf.num_vfs, 0);
}

#[test]
fn what_new_vfs_come_with_is_corrected() {
    let mut machine = machine(Card::X710, 0);
    machine.kernel.new_vfs_have(&[VfSetting::SpoofCheck(false)]);
    let desired = two(machine.pf);
    let done = machine.apply(&desired).unwrap();
    // The plan could not know; the read-back shows it.
    assert_eq!(done.last().unwrap(), "pf0 (0000:3b:00.0): vf 1 v1: spoofchk on (is off)");
    assert!(machine.plan(&desired).is_empty());
}

#[test]
fn what_new_vfs_come_with_may_stand_in_the_way() {
    let mut machine = machine(Card::Intel82576, 0);
    machine.kernel.new_vfs_have(&[VfSetting::LinkState(LinkState::Enable)]);
    let desired = two(machine.pf);
    let error = machine.apply(&desired).unwrap_err();
    let text = error.to_string();
    let ApplyError::Hindered { plan, left } = error else { panic!("{error}") };
    assert_eq!((plan.refusals.len(), left.len()), (2, 0));
    assert_eq!(
        text,
        "what the first steps made stands in the way:\n  \
         v0: the link state of VFs of an 82576 cannot be set; leave link_state out\n  \
         v1: the link state of VFs of an 82576 cannot be set; leave link_state out\n\
         what was done before was taken back"
    );
    assert_eq!(machine.state()[0].pf.num_vfs, 0);

    // Somebody sets up the interfaces that the kernel makes for new VFs.
    let mut machine = self::machine(Card::X710, 0);
    machine.kernel.new_vfs_have(&[VfSetting::SpoofCheck(false)]);
    machine.kernel.new_interfaces_are_up();
    let kept = DesiredVf { binding: None, ..vf(0, &VfSettings::default()) };
    let desired = DesiredPf { autoprobe: true, ..self::desired(machine.pf, 1, vec![kept]) };
    let error = machine.apply(&desired).unwrap_err().to_string();
    assert!(error.contains("\n  v0: VF 0 (0000:3b:02.0) is used by interface v3b020"), "{error}");
    assert_eq!(machine.state()[0].pf.num_vfs, 1, "it is in use, and stays");
}

#[test]
fn a_vf_that_shares_its_group_is_not_bound_whether_it_is_there_or_made() {
    let mut machine = machine(Card::X710, 0);
    let (pf, other) = (machine.pf, Card::X710.pfs()[1]);
    machine.fake.new_vfs_join(pf, other);
    let shared = |vf: u16| {
        format!(
            "v{vf}: it shares IOMMU group 2 with 0000:3b:00.1, which is bound to i40e; a group is given out as a whole: \
             unbind that one too, or use a slot with ACS"
        )
    };
    // Before they are made nobody knows.
    let desired = two(pf);
    assert_eq!(machine.refusals(&desired), "");
    let error = machine.apply(&desired).unwrap_err().to_string();
    let why =
        format!("what the first steps made stands in the way:\n  {}\nwhat was done before was taken back", shared(0));
    assert_eq!(error, why);
    assert_eq!((machine.state()[0].pf.num_vfs, machine.state()[0].pf.autoprobe), (0, true));
    machine.fake.set_num_vfs(pf, 2);
    let desired = DesiredPf { num_vfs: 2, ..desired };
    assert_eq!(machine.refusals(&desired), [shared(0), shared(1)].join("\n"));

    // With all of the group it works, whichever of them is first.
    machine.fake.bind(other, None);
    for vfs in [0, 2] {
        machine.fake.set_num_vfs(pf, vfs);
        let desired = DesiredPf { num_vfs: 2, autoprobe: true, ..two(pf) };
        machine.apply(&desired).unwrap();
        machine.fake.set_num_vfs(pf, 0);
    }
}

#[test]
fn nobody_loses_a_vf() {
    let mut machine = machine(Card::Intel82576, 4);
    let address = machine.fake.vf(machine.pf, 3);
    machine.fake.bind(address, Some("vfio-pci"));
    let group = machine.kernel.host().pf(machine.pf).unwrap().unwrap().vfs[3].iommu_group.unwrap();
    machine.fake.add_process(4711, "qemu-system-x86", &["/dev/vfio/vfio", &format!("/dev/vfio/{group}")]);
    let cgroup = machine.kernel.host().path("proc/4711/cgroup");
    std::fs::write(cgroup, "0::/kubepods/pod2b6c1f3a-5d5e-4b4a-9b86-0c1d2e3f4a5b/1\n").unwrap();
    let fewer = desired(machine.pf, 2, vec![]);
    let why = format!(
        "pf0: the number of VFs cannot change from 4 to 2 while VF 3 (0000:01:10.6) is used by pid 4711 \
         (qemu-system-x86) through /dev/vfio/{group} in pod 2b6c1f3a-5d5e-4b4a-9b86-0c1d2e3f4a5b: all VFs vanish meanwhile; stop that first"
    );
    assert_eq!(machine.refusals(&fewer), why);
    let error = machine.apply(&fewer).unwrap_err();
    assert!(matches!(error, ApplyError::Refused(_)) && error.to_string().contains(&why), "{error}");
    assert_eq!(machine.kernel.changes(), 0);

    // Settings of a VF in use are changed only when that is allowed; its driver never is.
    let settings = DesiredVf { binding: None, ..vf(3, &access("02:00:00:00:a0:03")) };
    let change = desired(machine.pf, 4, vec![settings]);
    let error = machine.apply(&change).unwrap_err();
    assert!(matches!(error, ApplyError::Disturbs(_)) && error.to_string().contains("v3: VF 3"), "{error}");
    apply(&mut machine.kernel, std::slice::from_ref(&change), true).unwrap();
    // So is how a card switches, for which drivers reset all VFs; setting its interface up hurts nobody.
    let mode = |mode| DesiredPf { settings: vec![PfSetting::HwMode(mode)], ..desired(machine.pf, 4, vec![]) };
    let (veb, up) = (mode(HwMode::Veb), desired(machine.pf, 4, vec![]));
    let disturbs = machine.plan(&veb).disturbs;
    assert!(disturbs.len() == 1 && disturbs[0].to_string().starts_with("pf0: VF 3 "), "{disturbs:?}");
    assert_eq!(machine.plan(&up).disturbs, []);
    let unbind = DesiredVf { binding: Some(Binding::to("igbvf")), ..vf(3, &access("02:00:00:00:a0:03")) };
    assert!(machine.refusals(&desired(machine.pf, 4, vec![unbind])).contains("cannot be bound to igbvf while"));
}

#[test]
fn what_a_card_cannot_do_is_refused_before_anything_is_done() {
    let refused = |card: Card, change: &dyn Fn(&mut DesiredPf)| {
        let mut machine = machine(card, 0);
        let mut desired = two(machine.pf);
        change(&mut desired);
        machine.refusals(&desired)
    };
    let foreign = |count: usize| move |pf: &mut DesiredPf| pf.vfs[0].foreign = Foreign::Some(count);
    assert_eq!(
        refused(Card::Intel82599, &foreign(6)),
        "v0: needs trust=on (receives 6 foreign MACs); an 82599 cannot (EOPNOTSUPP) -> use the PF's port, or one VF per \
         vNIC with the vNIC's MAC"
    );
    assert_eq!(refused(Card::X710, &foreign(6)), "");
    let untrusted = |pf: &mut DesiredPf| pf.vfs[1].foreign = Foreign::Some(18);
    let few = |pf: &mut DesiredPf| pf.vfs[1].foreign = Foreign::Some(17);
    assert_eq!(refused(Card::E810, &few), "", "by address");
    assert_eq!(refused(Card::E810, &untrusted), "v1: needs trust=on (receives 18 foreign MACs); add trust = true");
    assert_eq!(
        refused(Card::Intel82599, &|pf| (pf.num_vfs, pf.lanes) = (32, 4)),
        "pf0: an 82599 with 4 traffic classes has at most 31 VFs, not 32; ask for fewer VFs or lanes"
    );
    assert_eq!(
        refused(Card::X710, &|pf| pf.num_vfs = 65),
        "pf0: 65 VFs are more than the 64 that the card has; ask for at most 64"
    );
    assert_eq!(
        refused(Card::Intel82576, &|pf| pf.vfs[0].settings = vec![VfSetting::LinkState(LinkState::Enable)]),
        "v0: the link state of VFs of an 82576 cannot be set; leave link_state out"
    );
    assert_eq!(
        refused(Card::Intel82599, &|pf| (pf.num_vfs, pf.vfs[0].queues) = (40, 4)),
        "v0: a VF of an 82599 with 40 VFs has at most 2 RX queues, not 4"
    );
    assert_eq!(
        refused(Card::X710, &|pf| pf.vfs[0].binding = Some(Binding::to("uio"))),
        "v0: there is no driver uio; load it: modprobe uio"
    );
    assert_eq!(
        refused(Card::X710, &|pf| pf.driver = Some("ixgbe".into())),
        "pf0: its driver is i40e, not ixgbe; bind it to ixgbe, or name i40e"
    );
    assert!(
        refused(Card::X710, &|pf| pf.address = "0000:00:1f.6".parse().unwrap())
            .contains("no card with virtual functions")
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is there, whatever is wanted, and whatever fails in whatever order: it ends at the start or
    /// at the goal.
    #[test]
    fn it_ends_at_the_start_or_at_the_goal(
        runs in prop::collection::vec((0..5u16, any::<[bool; 4]>(), prop::option::of((0..14usize, prop::sample::select(
            &[libc::EPERM, libc::EOPNOTSUPP, libc::EIO, libc::EBUSY][..])))), 1..4),
        shared in any::<bool>(),
    ) {
        let mut machine = machine(Card::X710, 0);
        if shared {
            machine.fake.new_vfs_join(machine.pf, Card::X710.pfs()[1]);
        }
        for (count, odd, fault) in runs {
            let mut vfs = Vec::new();
            for index in 0..count {
                let mac = format!("02:00:00:00:{:02x}:{index:02x}", u8::from(odd[0]));
                let settings = if odd[1] { trunk(&mac) } else { access(&mac) };
                let driver = if odd[2] { "vfio-pci" } else { "iavf" };
                vfs.push(DesiredVf { binding: Some(Binding::to(driver)), ..vf(index, &settings) });
            }
            let goal = DesiredPf { autoprobe: odd[3], ..desired(machine.pf, count, vfs) };
            let before = machine.state();
            if let Some((at, errno)) = fault {
                machine.kernel.fail(at, errno);
            }
            match machine.apply(&goal) {
                Ok(_) => prop_assert!(machine.plan(&goal).is_empty()),
                Err(error) => {
                    let (left, hindered) = match &error {
                        ApplyError::Failed { left, .. } => (left.as_slice(), false),
                        // To be bound to vfio-pci, with a neighbour that is not.
                        ApplyError::Hindered { left, .. } => (left.as_slice(), true),
                        ApplyError::Refused(_) => (&[][..], true),
                        error => panic!("{error}"),
                    };
                    // Faults that were not met on the way there may be met on the way back.
                    prop_assert!(shared || !hindered && left.is_empty(), "{}", error);
                    if left.is_empty() {
                        prop_assert_eq!(machine.state(), before);
                    }
                }
            }
        }
    }
}

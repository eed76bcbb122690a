//! The gateway between the virtual functions of two cards.

use crate::gateway::GuestGateway;
use crate::machine::{Hardware, Machine, Made};
use crate::report::Report;
use crate::support::Summary;
use crate::wire::Wire;
use iogate::packet::MacAddr;
use iogate::testkit::{Frame, mac};
use std::rc::Rc;
use std::time::Duration;

/// The server, whose cable is that of card A. It is what the VF of card B receives for.
const SERVER: MacAddr = mac(0x11);
/// A host on the LAN, whose cable is that of card B. It is what the VF of card A receives for.
const LAN: MacAddr = mac(0xe1);
/// Of nobody.
const NOBODY: MacAddr = mac(0xee);

/// Longer than frames take through the guest on a busy machine.
const TRANSIT: Duration = Duration::from_secs(30);
/// Time for what should not come to come.
const SILENCE: Duration = Duration::from_millis(500);

/// A machine with two cards behind an IOMMU, and the cables.
struct Lab {
    report: Report,
    machine: Rc<Machine>,
    a: Wire,
    b: Wire,
}

impl Lab {
    fn boot(made: &Made) -> Lab {
        let report = Report::start("virtual functions: two SR-IOV cards behind an IOMMU, and the gateway between them");
        let (a, b) = (Wire::new(made.run(), "a"), Wire::new(made.run(), "b"));
        let mut options: Vec<String> = [
            ["-machine", "q35,kernel-irqchip=off"],
            ["-device", "intel-iommu,intremap=on"],
            ["-device", "pcie-root-port,id=slot-a,chassis=1,slot=1"],
            ["-device", "pcie-root-port,id=slot-b,chassis=2,slot=2"],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
        options.extend(a.card("slot-a", "52:54:00:aa:00:01"));
        options.extend(b.card("slot-b", "52:54:00:bb:00:01"));
        let kernel = "intel_iommu=on iommu=pt default_hugepagesz=2M hugepages=160";
        let hardware = Hardware { memory: 1536, options, kernel };
        let machine = Rc::new(Machine::boot(made, "sriov", &hardware));
        report.step(&format!("the guest has booted Linux {}", machine.file("lab/booted").trim()));
        Lab { report, machine, a, b }
    }

    /// Puts frames on a wire; exactly those in `on_a` and `on_b` come out, byte for byte and in their order.
    #[track_caller]
    fn crosses(&mut self, what: &str, from: End, frames: &[Vec<u8>], on_a: &[Vec<u8>], on_b: &[Vec<u8>]) {
        match from {
            End::A => self.a.send(frames),
            End::B => self.b.send(frames),
        }
        self.a.wait_for(on_a.len(), TRANSIT);
        self.b.wait_for(on_b.len(), TRANSIT);
        std::thread::sleep(SILENCE);
        for (wire, expected) in [(&self.a, on_a), (&self.b, on_b)] {
            let came = wire.take();
            let same = came == expected;
            assert!(same, "{what}: {}: {}", wire.name(), difference(&came, expected));
        }
        let figures = format!("{} sent on {from:?}, {} came on A and {} on B", frames.len(), on_a.len(), on_b.len());
        self.report.held(what, &figures);
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    A,
    B,
}

/// How what came differs from what was expected.
fn difference(came: &[Vec<u8>], expected: &[Vec<u8>]) -> String {
    let hex = |frame: Option<&Vec<u8>>| match frame {
        None => "none".to_owned(),
        Some(frame) => frame.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let first = (0..).find(|at| came.get(*at) != expected.get(*at)).unwrap_or_default();
    format!(
        "{} frames instead of {}; number {first} is\n{}\ninstead of\n{}",
        came.len(),
        expected.len(),
        hex(came.get(first)),
        hex(expected.get(first))
    )
}

/// So many frames, numbered.
fn frames(count: u32, frame: &Frame) -> Vec<Vec<u8>> {
    (0..count).map(|number| frame.clone().payload(number.to_be_bytes()).payload([0x5a; 60]).build()).collect()
}

#[test]
fn virtual_functions() {
    let Some(made) = Made::find("virtual_functions") else { return };
    let mut lab = Lab::boot(&made);
    lab.machine.sh("modprobe -a igb vfio-pci vfio_iommu_type1
        for card in 'eth0 02:00:00:00:00:e1' 'eth1 02:00:00:00:00:11'; do
            read -r pf mac <<<\"$card\"
            device=$(readlink -f /sys/class/net/$pf/device)
            echo 0 >$device/sriov_drivers_autoprobe
            echo 1 >$device/sriov_numvfs
            ip link set $pf up
            ip link set $pf vf 0 mac $mac
            vf=$(basename $(readlink -f $device/virtfn0))
            echo vfio-pci >/sys/bus/pci/devices/$vf/driver_override
            echo 1 >$device/sriov_drivers_autoprobe
            echo $vf >/sys/bus/pci/drivers_probe
        done");
    lab.report.step("a VF on each card, bound to vfio-pci");
    let config = include_str!("two_vfs.toml");
    let gateway = GuestGateway::start(&lab.machine, "unicast", config);
    gateway.wait_link("eth-srv1", true);
    gateway.wait_link("net-a", true);
    lab.report.step("the gateway runs, and both its links are up");

    let up = frames(200, &Frame::ethernet(SERVER, LAN));
    lab.crosses("unicast from the server", End::A, &up, &[], &up);
    let down = frames(200, &Frame::ethernet(LAN, SERVER));
    lab.crosses("unicast to the server", End::B, &down, &down, &[]);
    let foreign = frames(50, &Frame::ethernet(LAN, NOBODY));
    lab.crosses("a foreign destination: the card keeps it from the VF", End::B, &foreign, &[], &[]);
    let foreign = frames(50, &Frame::ethernet(NOBODY, LAN));
    lab.crosses("a foreign source", End::A, &foreign, &[], &[]);
    assert_eq!(gateway.dropped("unknown-source-mac"), 50);

    lab.machine.set_link(&lab.a, false);
    gateway.wait_link("eth-srv1", false);
    lab.machine.set_link(&lab.a, true);
    gateway.wait_link("eth-srv1", true);
    lab.report.held("link down and up", "shown as such by the gateway");
    lab.crosses("unicast once the link is up again", End::A, &up, &[], &up);

    let summary = gateway.stop();
    assert_eq!(summary, Summary { received: 650, generated: 0, sent: 600, dropped: 50 });
    let figures = format!("{} received, {} sent, {} dropped", summary.received, summary.sent, summary.dropped);
    lab.report.held("the gateway ends with every frame accounted for and every buffer home", &figures);
    lab.report.end();
}

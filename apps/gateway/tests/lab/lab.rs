//! A machine with two SR-IOV cards, and their cables in the hands of the test.

use crate::machine::{Hardware, Machine, Made};
use crate::report::Report;
use crate::wire::Wire;
use iogate::testkit::Frame;
use std::rc::Rc;
use std::time::Duration;

/// Longer than frames take through the guest on a busy machine.
const TRANSIT: Duration = Duration::from_secs(30);
/// Time for what should not come to come.
const SILENCE: Duration = Duration::from_millis(500);

/// Two Intel 82576 behind an IOMMU: card A in slot 1 and card B in slot 2.
pub(crate) struct Lab {
    pub(crate) report: Report,
    pub(crate) machine: Rc<Machine>,
    pub(crate) a: Wire,
    pub(crate) b: Wire,
}

/// A card's cable.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    A,
    B,
}

impl Lab {
    pub(crate) fn boot(made: &Made) -> Lab {
        let report = Report::start("virtual functions: two SR-IOV cards behind an IOMMU, the gateway on their VFs");
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
    pub(crate) fn crosses(&mut self, what: &str, from: End, frames: &[Vec<u8>], on_a: &[Vec<u8>], on_b: &[Vec<u8>]) {
        self.send(from, frames);
        for (wire, came, expected) in
            [("A", self.come(End::A, on_a.len()), on_a), ("B", self.come(End::B, on_b.len()), on_b)]
        {
            assert!(came == expected, "{what}: on {wire} came {}", difference(&came, expected));
        }
        let figures = format!("{} sent on {from:?}, {} came on A and {} on B", frames.len(), on_a.len(), on_b.len());
        self.report.held(what, &figures);
    }

    pub(crate) fn send(&self, from: End, frames: &[Vec<u8>]) {
        self.wire(from).send(frames);
    }

    /// What came on a wire since the last time, once there is so much and some time for more has passed.
    pub(crate) fn come(&self, on: End, count: usize) -> Vec<Vec<u8>> {
        self.wire(on).wait_for(count, TRANSIT);
        std::thread::sleep(SILENCE);
        self.wire(on).take()
    }

    fn wire(&self, end: End) -> &Wire {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }
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
pub(crate) fn frames(count: u32, frame: &Frame) -> Vec<Vec<u8>> {
    (0..count).map(|number| frame.clone().payload(number.to_be_bytes()).payload([0x5a; 60]).build()).collect()
}

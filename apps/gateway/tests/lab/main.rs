//! The gateway on real SR-IOV: the kernel's PF driver, IOMMU groups, vfio-pci and DPDK's VF driver, in a virtual machine
//! with emulated Intel 82576 cards, whose wires these tests hold in their hands.
//!
//! `scripts/lab` gets the machine and runs them; without it they only say that they were skipped. Each test boots a
//! machine of its own, and prints a line for everything that held. What they prove and what they cannot stands in
//! `docs/lab.md`.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
mod support;

mod gateway;
mod guests;
mod lab;
mod machine;
mod nvme;
mod report;
mod virtual_functions;
mod wire;

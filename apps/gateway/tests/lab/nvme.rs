//! NVMe over TCP between the kernel's target and its initiator.

use crate::machine::Machine;
use std::time::Duration;

/// MiB that are written, read and compared.
const AMOUNT: u32 = 4;
/// Where configfs is: `ip netns exec` hides the usual place.
const CONFIGFS: &str = "mkdir -p /run/config; mountpoint -q /run/config || mount -t configfs configfs /run/config";

/// Makes `/dev/ram0` a namespace of a target on this address, in a network namespace.
pub(crate) fn target(machine: &Machine, namespace: &str, address: &str) {
    machine.sh(&format!(
        "modprobe -a nvmet-tcp nvme-tcp
        modprobe brd rd_nr=2 rd_size=16384
        {CONFIGFS}
        cd /run/config/nvmet
        mkdir subsystems/lab
        echo 1 >subsystems/lab/attr_allow_any_host
        mkdir subsystems/lab/namespaces/1
        echo -n /dev/ram0 >subsystems/lab/namespaces/1/device_path
        echo 1 >subsystems/lab/namespaces/1/enable
        mkdir ports/1
        cd ports/1
        echo ipv4 >addr_adrfam
        echo tcp >addr_trtype
        echo {address} >addr_traddr
        echo 4420 >addr_trsvcid
        ip netns exec {namespace} ln -s /run/config/nvmet/subsystems/lab subsystems/lab"
    ));
}

/// Connects from the machine's own network, where the kernel connects again if need be; returns the block device.
pub(crate) fn connect(machine: &Machine, address: &str) -> String {
    machine.until(&format!(
        "echo transport=tcp,traddr={address},trsvcid=4420,nqn=lab,nr_io_queues=1,reconnect_delay=1 >/dev/nvme-fabrics"
    ));
    machine.until("ls /dev/nvme?n? | head -n 1 | grep .").trim().to_owned()
}

/// Writes, compares what the target has, reads and compares. Returns how long it took.
pub(crate) fn data_is_the_same(machine: &Machine, device: &str) -> Duration {
    let started = std::time::Instant::now();
    machine.sh(&format!(
        "head -c {AMOUNT}M /dev/urandom >/run/data
        dd if=/run/data of={device} bs=64k oflag=direct status=none
        for disk in /dev/ram0 {device}; do
            dd if=$disk of=/run/back bs=64k count={blocks} iflag=direct status=none
            cmp /run/data /run/back
        done",
        blocks = AMOUNT << 4,
    ));
    started.elapsed()
}

/// What a reader is told of it.
pub(crate) fn figures(time: Duration, frames: u64) -> String {
    let time = time.as_secs_f64();
    format!("{AMOUNT} MiB written, read and compared in {time:.1} s; {frames} frames counted in class block")
}

/// Takes everything down.
pub(crate) fn end(machine: &Machine) {
    machine.sh("echo 1 >/sys/class/nvme/nvme0/delete_controller
        cd /run/config/nvmet
        rm ports/1/subsystems/lab
        rmdir ports/1 subsystems/lab/namespaces/1 subsystems/lab");
}

//! A guest with plain virtio cards, and the gateway on the host: network, NVMe/TCP and FCoE over vhost-user.

use crate::gateway::of_class;
use crate::machine::{Hardware, Machine, Made};
use crate::nvme;
use crate::report::Report;
use crate::support::{Gateway, IOGATE, wait};
use std::process::Command;
use std::time::Duration;

/// Longer than the guest takes to find a card again.
const PATIENCE: Duration = Duration::from_secs(120);

/// The cards: QEMU listens on `RUN/NAME`, and so a gateway may come and go.
const CARDS: [(&str, &str); 5] = [
    ("srv", "02:00:00:00:01:01"),
    ("fc", "02:00:00:00:01:02"),
    ("lan", "02:00:00:00:02:01"),
    ("san", "02:00:00:00:02:02"),
    ("fct", "02:00:00:00:02:03"),
];

struct Lab {
    report: Report,
    made: Made,
    machine: Machine,
    gateway: Option<Gateway>,
}

#[test]
fn guests() {
    let Some(made) = Made::find("guests") else { return };
    let report = Report::start("guests: plain virtio cards over vhost-user, the gateway on the host");
    let mut options: Vec<String> =
        ["-object", "memory-backend-memfd,id=ram,size=768M,share=on", "-machine", "q35,memory-backend=ram"]
            .map(str::to_owned)
            .into();
    for (name, mac) in CARDS {
        let path = made.run().join(name);
        options.extend([
            "-chardev".to_owned(),
            format!("socket,id={name},path={},server=on,wait=off", path.display()),
            "-netdev".to_owned(),
            format!("vhost-user,id={name},chardev={name}"),
            "-device".to_owned(),
            format!("virtio-net-pci,netdev={name},mac={mac},host_mtu=2500,romfile="),
        ]);
    }
    // The cards come up with a gateway on their other side.
    let gateway = start(&made);
    let machine = Machine::boot(&made, "guests", &Hardware { memory: 768, options, kernel: "" });
    report.step(&format!("the guest has booted Linux {}", machine.file("lab/booted").trim()));
    let mut lab = Lab { report, made, machine, gateway: Some(gateway) };
    cards(&mut lab);
    network(&mut lab, "the guest reaches the LAN");
    let device = storage(&mut lab);
    fibre_channel(&mut lab);
    restart(&mut lab, &device);
    nvme::end(&lab.machine);
    let summary = lab.gateway.take().expect("it runs").stop();
    let figures = format!(
        "received {} + generated {} = sent {} + dropped {}",
        summary.received, summary.generated, summary.sent, summary.dropped
    );
    lab.report.held("the gateway ends with every frame accounted for and every buffer home", &figures);
    lab.report.end();
}

/// Starts a gateway that ends with this process.
fn start(made: &Made) -> Gateway {
    let folder = tempfile::tempdir_in(made.run()).expect("a folder");
    let config = include_str!("guests.toml").replace("RUN", made.run().to_str().expect("a path in UTF-8"));
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", IOGATE]);
    Gateway::launch_by(command, &config, folder).ready()
}

impl Lab {
    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("it runs")
    }

    #[track_caller]
    fn wait_links(&self) {
        let all_up = || {
            let ports = self.gateway().show("ports");
            ports.as_array().expect("rows").iter().all(|port| port["up"] == true).then_some(())
        };
        assert!(wait(PATIENCE, all_up).is_some(), "{}", self.gateway().show("ports"));
    }

    /// Packets of an adapter, from the server and to it.
    fn counted(&self, name: &str) -> (u64, u64) {
        let rows = self.gateway().show("vnics");
        let row = rows.as_array().expect("rows").iter().find(|row| row["name"] == name).expect("an adapter");
        let count = |direction: &str| row[direction]["packets"].as_u64().expect("a count");
        (count("from_server"), count("to_server"))
    }

    /// Frames of a class so far, both ways.
    fn of_class(&self, name: &str) -> u64 {
        of_class(&self.gateway().show("classes"), name)
    }
}

/// Names the cards in the guest, and puts the LAN and the target into network namespaces.
fn cards(lab: &mut Lab) {
    let macs = CARDS.map(|(name, mac)| format!("{name} {mac}")).join("\n");
    lab.machine.sh(&format!(
        "modprobe -a virtio_net 8021q
        while read -r name mac; do
            card=$(grep -l $mac /sys/class/net/*/address | cut -d/ -f5)
            ip link set $card name $name
        done <<<'{macs}'
        for name in lan san; do
            ip netns add $name
            ip link set $name netns $name
        done
        ip -n lan address add 10.1.0.100/24 dev lan
        ip -n lan link set lan up
        ip -n san address add 10.2.0.100/24 dev san
        ip -n san link set san up
        ip address add 10.1.0.1/24 dev srv
        ip link set srv up
        ip link add link srv name srv.300 type vlan id 300
        ip address add 10.2.0.1/24 dev srv.300
        ip link set srv.300 up"
    ));
    lab.wait_links();
    lab.report.held("5 virtio cards, each with a port of the gateway", "all links are up");
}

/// Pings and a file by TCP, both ways through the gateway.
fn network(lab: &mut Lab, what: &str) {
    lab.machine.until("ping -c 1 -W 1 10.1.0.100");
    let before = lab.counted("srv.net");
    let ping = lab.machine.sh("ping -c 20 -i 0.05 -W 5 10.1.0.100");
    assert!(ping.contains(" 20 received"), "{ping}");
    let (from, to) = lab.counted("srv.net");
    assert!(from >= before.0 + 20 && to >= before.1 + 20, "{before:?} {from} {to}");
    let figures =
        format!("20 of 20 pings answered; {} frames from it, {} to it counted", from - before.0, to - before.1);
    lab.report.held(what, &figures);
    let sums = lab.machine.sh("head -c 4M /dev/urandom >/run/file
        for way in 'lan 10.1.0.100' 'srv 10.1.0.1'; do
            read -r name address <<<\"$way\"
            case $name in lan) there='ip netns exec lan'; here='' ;; srv) there=''; here='ip netns exec lan' ;; esac
            timeout 100 $there /run/busybox nc -l -p 5000 >/run/copy < <(exec sleep 100) &
            listener=$!
            for i in $(seq 50); do
                $there /run/busybox netstat -lnt | grep -q :5000 && break
                sleep 0.1
            done
            timeout 100 $here bash -c \"cat /run/file >/dev/tcp/$address/5000\"
            wait $listener
            cmp /run/file /run/copy
            stat -c %s /run/copy
        done");
    assert_eq!(sums, "4194304\n4194304\n");
    lab.report.held("4 MiB by TCP each way", "the data is the same");
}

fn storage(lab: &mut Lab) -> String {
    nvme::target(&lab.machine, "san", "10.2.0.100");
    lab.machine.until("ping -c 1 -W 1 10.2.0.100");
    let before = lab.of_class("block");
    let device = nvme::connect(&lab.machine, "10.2.0.100");
    let time = nvme::data_is_the_same(&lab.machine, &device);
    let frames = lab.of_class("block") - before;
    assert!(frames > 1000, "{frames}");
    lab.report.held("the guest reaches a LUN by NVMe/TCP", &nvme::figures(time, frames));
    device
}

/// FCoE without a forwarder (VN2VN): the kernel's initiator on one card, LIO's target on another.
fn fibre_channel(lab: &mut Lab) {
    let (initiator, target) = ("20:00:02:00:00:00:01:02", "20:00:02:00:00:00:02:03");
    lab.machine.sh(&format!(
        "modprobe -a fcoe tcm_fc target_core_iblock sd_mod
        mkdir -p /run/config /etc/target /var/target/pr
        cd /run/config/target
        mkdir -p core/iblock_0/ram1
        echo udev_path=/dev/ram1 >core/iblock_0/ram1/control
        echo 1 >core/iblock_0/ram1/enable
        mkdir -p fc/{target}/tpgt_1/lun/lun_0 fc/{target}/tpgt_1/acls/{initiator}/lun_0
        ln -s $PWD/core/iblock_0/ram1 fc/{target}/tpgt_1/lun/lun_0/x
        ln -s $PWD/fc/{target}/tpgt_1/lun/lun_0 fc/{target}/tpgt_1/acls/{initiator}/lun_0/x
        # A FIP frame for a port that is half made makes the kernel oops: the links are down while ports are made.
        for name in fct fc; do
            ip link set $name down mtu 2500
            ip link set $name promisc on
            echo $name >/sys/module/libfcoe/parameters/create_vn2vn
        done
        ip link set fct up
        ip link set fc up"
    ));
    let remote = "grep -l 'FCP Target' /sys/class/fc_remote_ports/*/roles";
    lab.machine.until(remote);
    lab.report.held(
        "two FCoE ports find each other through the gateway by FIP",
        "the initiator has logged in to an FCP target",
    );
    let before = lab.of_class("fcoe");
    lab.machine
        .until("for host in /sys/class/scsi_host/host*/scan; do echo '- - -' >$host; done; sleep 1; ls /dev/sda");
    lab.machine.sh("head -c 4M /dev/urandom >/run/data
        dd if=/run/data of=/dev/sda bs=64k oflag=direct status=none
        cmp -n 4194304 /run/data /dev/ram1
        dd if=/dev/sda of=/run/back bs=64k count=64 iflag=direct status=none
        cmp /run/data /run/back");
    let frames = lab.of_class("fcoe") - before;
    assert!(frames > 1000, "{frames}");
    let rows = lab.gateway().show("vnics");
    let row =
        rows.as_array().expect("rows").iter().find(|row| row["name"] == "srv.fc").expect("an adapter").to_string();
    assert!(row.contains("0e:fd:00:"), "no address by a VN2VN claim: {row}");
    lab.report
        .held("a LUN by FCoE", &format!("4 MiB written, read and compared; {frames} frames counted in class fcoe"));
}

/// The gateway is killed while data is written, and another one started.
fn restart(lab: &mut Lab, device: &str) {
    lab.machine.sh(&format!(
        "head -c 8M /dev/urandom >/run/data
        {{ dd if=/run/data of={device} bs=16k oflag=direct status=none; echo $? >/run/written; }} </dev/null >/dev/null 2>&1 &"
    ));
    drop(lab.gateway.take().expect("it runs").kill());
    lab.machine.sh("test ! -e /run/written");
    lab.report.step("the gateway was killed while 8 MiB were being written by NVMe/TCP");
    lab.gateway = Some(start(&lab.made));
    lab.wait_links();
    lab.report.held("another gateway takes its place", "all links are up again");
    network(lab, "the guest reaches the LAN again");
    lab.machine.until("test -e /run/written");
    lab.machine.sh("test $(cat /run/written) = 0
        dd if=/dev/ram0 of=/run/back bs=64k count=128 iflag=direct status=none
        cmp /run/data /run/back");
    lab.report.held("what was being written meanwhile", "8 MiB, the same on the target");
}

//! The gateway between the virtual functions of two cards.

use crate::gateway::GuestGateway;
use crate::lab::{End, Lab, frames};
use crate::machine::Made;
use crate::nvme;
use crate::support::IOGATE;
use iogate::packet::MacAddr;
use iogate::testkit::{Frame, mac};
use std::time::Duration;

/// The server, whose cable is that of card A.
const SERVER: MacAddr = mac(0x11);
/// A host on the LAN, whose cable is that of card B: the address of the VF that is the server's link at first.
const LAN: MacAddr = mac(0xe1);
/// The address of the VF that the server's link is moved to.
const LAN_2: MacAddr = mac(0xe2);
/// Of nobody.
const NOBODY: MacAddr = mac(0xee);
/// A group that the configuration names, and one that it does not.
const GROUP: MacAddr = MacAddr::new([0x01, 0, 0x5e, 0, 0, 0xfb]);
const OTHER_GROUP: MacAddr = MacAddr::new([0x01, 0, 0x5e, 0x11, 0x22, 0x33]);

/// How one run of the gateway differs from the others.
#[derive(Clone, Copy)]
struct Setup {
    link: &'static str,
    /// VLAN and priority that card B puts on and takes off by itself.
    vst: &'static str,
    /// VLAN that the gateway tags with.
    vlan: u16,
    queues: &'static str,
    workers: &'static str,
}

const PLAIN: Setup = Setup { link: "srv-1", vst: "", vlan: 0, queues: "", workers: "" };

impl Setup {
    fn config(self) -> String {
        let Setup { link, vst, vlan, queues, workers } = self;
        include_str!("functions.toml")
            .replace("LINK", link)
            .replace("VST", vst)
            .replace("VLAN", &vlan.to_string())
            .replace("QUEUES", queues)
            .replace("WORKERS", workers)
    }
}

#[test]
fn virtual_functions() {
    let Some(made) = Made::find("virtual_functions") else { return };
    let mut lab = Lab::boot(&made);
    lab.machine.sh("modprobe -a igb vfio-pci vfio_iommu_type1");
    let pages = lab.machine.sh("cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    made_and_read_back(&mut lab);
    plain(&mut lab);
    tags_of_the_gateway(&mut lab);
    tags_of_the_card(&mut lab);
    two_queues(&mut lab);
    guests_card(&mut lab);
    storage(&mut lab);
    destroyed(&mut lab);
    let left = lab.machine.sh("cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    assert_eq!(left, pages, "free huge pages");
    lab.report.held("every huge page is free again", &format!("{} as before", pages.trim()));
    lab.report.end();
}

/// Runs `iogate vf VERB` with the configuration of a setup.
fn vf(lab: &Lab, verb: &str, config: &str) -> (i32, String) {
    lab.machine.put("vf.toml", &config.replace("SOCKET", "/run/gateway.sock"));
    lab.machine.run(&format!("{IOGATE} vf {verb} --config /lab/vf.toml"))
}

#[track_caller]
fn apply(lab: &mut Lab, config: &str, what: &str) {
    let (status, text) = vf(lab, "apply", config);
    assert_eq!(status, 0, "{text}");
    let verdict = text.lines().last().unwrap_or_default().to_owned();
    assert!(verdict.ends_with("read back, and as wanted"), "{text}");
    lab.report.held(what, &verdict);
}

/// Frames of the longest kind, numbered.
fn full(src: MacAddr, dst: MacAddr) -> Vec<Vec<u8>> {
    (0..100_u32)
        .map(|number| Frame::ethernet(src, dst).payload(number.to_be_bytes()).payload([0x5a; 1496]).build())
        .collect()
}

fn numvfs(lab: &Lab) -> String {
    lab.machine.sh("cat /sys/bus/pci/devices/0000:0[12]:00.0/sriov_numvfs | xargs")
}

fn made_and_read_back(lab: &mut Lab) {
    let (status, text) = vf(lab, "plan", &PLAIN.config());
    assert_eq!((status, numvfs(lab).trim()), (0, "0 0"), "{text}");
    let verdict = text.lines().last().unwrap_or_default().to_owned();
    lab.report.held("iogate vf plan changes nothing", &verdict);
    apply(lab, &PLAIN.config(), "iogate vf apply");
    assert_eq!(numvfs(lab).trim(), "2 2");
    let shown = lab.machine.sh("for vf in 01:10.0 01:10.2 02:10.0; do
            device=/sys/bus/pci/devices/0000:$vf
            echo $vf $(basename $(readlink $device/driver)) $(basename $(readlink $device/iommu_group))
        done
        ip link show eth0; ip link show eth1");
    for vf in ["01:10.0 vfio-pci", "01:10.2 vfio-pci", "02:10.0 vfio-pci"] {
        assert!(shown.contains(vf), "{vf}: {shown}");
    }
    for mac in [LAN, LAN_2, SERVER] {
        assert!(shown.contains(&format!("link/ether {mac}")), "{mac}: {shown}");
    }
    lab.report.held("the kernel says the same", "2 VFs on each card; 3 with their MAC, on vfio-pci, in IOMMU groups");
    let (status, text) = vf(lab, "apply", &PLAIN.config());
    assert!(status == 0 && text.ends_with("nothing to do\n"), "{text}");
    lab.report.held("iogate vf apply once more", "nothing to do");
}

fn start(lab: &Lab, name: &str, setup: Setup) -> GuestGateway {
    let gateway = GuestGateway::start(&lab.machine, name, &setup.config());
    gateway.wait_link("eth-srv", true);
    gateway.wait_link("net-a", true);
    lab.report.step("the gateway runs, and both its links are up");
    gateway
}

#[track_caller]
fn stop(lab: &mut Lab, gateway: GuestGateway) {
    let summary = gateway.stop();
    let figures = format!(
        "received {} + generated {} = sent {} + dropped {}",
        summary.received, summary.generated, summary.sent, summary.dropped
    );
    lab.report.held("the gateway ends with every frame accounted for and every buffer home", &figures);
}

fn plain(lab: &mut Lab) {
    let gateway = start(lab, "plain", PLAIN);
    let up = frames(200, &Frame::ethernet(SERVER, LAN));
    lab.crosses("unicast from the server", End::A, &up, &[], &up);
    let down = frames(200, &Frame::ethernet(LAN, SERVER));
    lab.crosses("unicast to the server", End::B, &down, &down, &[]);

    let (up_full, down_full) = (full(SERVER, LAN), full(LAN, SERVER));
    lab.crosses("1514 bytes from the server", End::A, &up_full, &[], &up_full);
    lab.crosses("1514 bytes to the server", End::B, &down_full, &down_full, &[]);

    let before = gateway.received("net-a");
    let foreign = frames(50, &Frame::ethernet(LAN, NOBODY));
    lab.crosses("to a foreign MAC", End::B, &foreign, &[], &[]);
    lab.report
        .held("the card keeps it from the VF", &format!("{} reached the gateway", gateway.received("net-a") - before));
    assert_eq!(gateway.received("net-a"), before);
    let foreign = frames(50, &Frame::ethernet(NOBODY, LAN));
    lab.crosses("from a foreign MAC", End::A, &foreign, &[], &[]);
    lab.report
        .held("the gateway drops it", &format!("{} as unknown-source-mac", gateway.dropped("unknown-source-mac")));
    assert_eq!(gateway.dropped("unknown-source-mac"), 50);

    for (end, src) in [(End::A, SERVER), (End::B, LAN)] {
        let group = frames(100, &Frame::ethernet(src, GROUP));
        let (on_a, on_b): (&[_], &[_]) = match end {
            End::A => (&[], &group),
            End::B => (&group, &[]),
        };
        lab.crosses(&format!("to a group that is listed, from {end:?}"), end, &group, on_a, on_b);
        let all = frames(100, &Frame::ethernet(src, MacAddr::BROADCAST));
        let (on_a, on_b): (&[_], &[_]) = match end {
            End::A => (&[], &all),
            End::B => (&all, &[]),
        };
        lab.crosses(&format!("broadcast from {end:?}"), end, &all, on_a, on_b);
    }
    let reflected = (gateway.dropped("deja-vu"), gateway.dropped("unknown-source-mac") - 50);
    assert!(reflected.0 >= 100 && reflected.0 <= 200 && reflected.1 >= 100 && reflected.1 <= 200, "{reflected:?}");
    let figures = format!("{} on B dropped as deja-vu, {} on A as unknown-source-mac", reflected.0, reflected.1);
    lab.report.held("what the cards reflect of it to their VF is no storm", &figures);
    let before = (gateway.received("eth-srv"), gateway.received("net-a"));
    let group = frames(100, &Frame::ethernet(SERVER, OTHER_GROUP));
    lab.crosses("to a group that is not listed, from A", End::A, &group, &[], &[]);
    let group = frames(100, &Frame::ethernet(LAN, OTHER_GROUP));
    lab.crosses("to a group that is not listed, from B", End::B, &group, &[], &[]);
    assert_eq!((gateway.received("eth-srv"), gateway.received("net-a")), before);
    lab.report.held("the cards keep it from the VFs", "0 reached the gateway");

    lab.machine.set_link(&lab.a, false);
    gateway.wait_link("eth-srv", false);
    lab.machine.set_link(&lab.a, true);
    gateway.wait_link("eth-srv", true);
    lab.report.held("the server's cable out and in again", "the gateway showed the link down, then up");
    lab.crosses("unicast then", End::A, &up, &[], &up);

    let restarts = |port: &str| gateway.wait_port(port, |_| true)["restarts"].as_u64().expect("a count");
    let (before, other) = (restarts("net-a"), restarts("eth-srv"));
    lab.machine.sh("ip link set eth1 down");
    std::thread::sleep(Duration::from_secs(1));
    lab.machine.sh("ip link set eth1 up");
    gateway.wait_port("net-a", |row| row["restarts"].as_u64() > Some(before));
    gateway.wait_link("net-a", true);
    assert_eq!(restarts("eth-srv"), other, "restarts of the other port");
    let figures = format!("the watchdog restarted its port {} times, the other 0 times", restarts("net-a") - before);
    lab.report.held("a reset of the PF of card B", &figures);
    lab.crosses("unicast from the server then", End::A, &up, &[], &up);
    lab.crosses("unicast to the server then", End::B, &down, &down, &[]);

    let (status, text) = vf(lab, "reset", &PLAIN.config());
    assert!(status == 3 && numvfs(lab).trim() == "2 2", "{text}");
    lab.report
        .held("iogate vf reset refuses while the gateway runs", &format!("exit code {status}, every VF still there"));
    stop(lab, gateway);
}

/// The gateway tags, the card filters, and its PF's driver takes tags off.
fn tags_of_the_gateway(lab: &mut Lab) {
    let setup = Setup { link: "srv-2", vlan: 100, ..PLAIN };
    let gateway = start(lab, "tags", setup);
    let old = frames(50, &Frame::ethernet(SERVER, LAN));
    lab.crosses("the server's link is another VF since a restart: to the old one", End::A, &old, &[], &[]);
    let up = frames(200, &Frame::ethernet(SERVER, LAN_2));
    let tagged = frames(200, &Frame::ethernet(SERVER, LAN_2).vlan(100));
    lab.crosses("and to the new one, which leaves in VLAN 100", End::A, &up, &[], &tagged);
    let down = frames(200, &Frame::ethernet(LAN_2, SERVER).vlan(100));
    let plain = frames(200, &Frame::ethernet(LAN_2, SERVER));
    lab.crosses("from VLAN 100, whose tag the card takes off", End::B, &down, &plain, &[]);
    let before = gateway.received("net-a");
    let other = frames(50, &Frame::ethernet(LAN_2, SERVER).vlan(101));
    lab.crosses("from VLAN 101", End::B, &other, &[], &[]);
    assert_eq!(gateway.received("net-a"), before);
    lab.report.held("the card's filter keeps it from the VF", "0 reached the gateway");
    let untagged = frames(50, &Frame::ethernet(LAN_2, SERVER));
    lab.crosses("without a tag", End::B, &untagged, &[], &[]);
    assert_eq!(gateway.dropped("unknown-vlan"), 50);
    lab.report.held("the gateway drops it", "50 as unknown-vlan");
    stop(lab, gateway);
}

/// The card tags.
fn tags_of_the_card(lab: &mut Lab) {
    let setup = Setup { vst: "vlan = 200\nqos = 3", ..PLAIN };
    apply(lab, &setup.config(), "iogate vf apply, of VLAN 200 with priority 3");
    let gateway = start(lab, "vst", setup);
    let up = frames(200, &Frame::ethernet(SERVER, LAN));
    let tagged = frames(200, &Frame::ethernet(SERVER, LAN).priority(200, 3));
    lab.crosses("untagged from the server, leaves in VLAN 200 with priority 3", End::A, &up, &[], &tagged);
    let down = frames(200, &Frame::ethernet(LAN, SERVER).vlan(200));
    let plain = frames(200, &Frame::ethernet(LAN, SERVER));
    lab.crosses("from VLAN 200, untagged to the server", End::B, &down, &plain, &[]);
    let other = frames(50, &Frame::ethernet(LAN, SERVER).vlan(201));
    lab.crosses("from VLAN 201", End::B, &other, &[], &[]);
    lab.crosses("without a tag", End::B, &plain[..50], &[], &[]);
    stop(lab, gateway);
}

fn two_queues(lab: &mut Lab) {
    let workers = "
        [[worker]]
        core = 0
        queues = [\"eth-srv:0\", \"net-a:1\"]
        [[worker]]
        core = 1
        queues = [\"eth-srv:1\", \"net-a:0\"]";
    let setup = Setup { queues: "queues = 2", workers, ..PLAIN };
    apply(lab, &setup.config(), "iogate vf apply, of no VLAN again");
    let gateway = start(lab, "queues", setup);
    let flows = |src, dst, from: [u8; 4], to: [u8; 4]| -> Vec<Vec<u8>> {
        let flow = |port| Frame::ethernet(src, dst).ipv4(from, to).udp(port, 7).payload([0x5a; 40]).build();
        (1000..1400).map(flow).collect()
    };
    let (server, host) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    for (end, other, sent) in
        [(End::A, End::B, flows(SERVER, LAN, server, host)), (End::B, End::A, flows(LAN, SERVER, host, server))]
    {
        lab.send(end, &sent);
        let mut came = lab.come(other, sent.len());
        came.sort();
        // Flows of different queues may overtake each other.
        assert!(came == sent, "{} of {} flows", came.len(), sent.len());
        let figures = format!("{} sent on {end:?}, {} came on {other:?}", sent.len(), came.len());
        lab.report.held("2 queues of each VF on 2 workers: as many flows", &figures);
    }
    let workers = gateway.show("workers");
    let polled: Vec<u64> = workers.as_array().expect("rows").iter().filter_map(|row| row["packets"].as_u64()).collect();
    // An emulated card gives a VF all its frames on queue 0; each worker sends on a queue of its own.
    assert_eq!(polled, [400, 400]);
    lab.report.held("each worker received from one VF and sent to the other", "400 packets each");
    stop(lab, gateway);
}

/// A guest's virtio card and a VF in one gateway. The guest is DPDK's testpmd: a virtio card of its own, of which it makes
/// an interface, so that the kernel answers as the guest's would.
fn guests_card(lab: &mut Lab) {
    let config = include_str!("guest_card.toml");
    let gateway = GuestGateway::start(&lab.machine, "guest_card", config);
    gateway.wait_link("net-a", true);
    lab.machine.sh("modprobe tun
        dpdk-testpmd --file-prefix=vm --no-pci --no-huge -m 64 -l 0-1 --no-telemetry \\
            --vdev net_virtio_user0,path=/run/vm.sock --vdev net_tap0,iface=vm0 -- \\
            --total-num-mbufs=4096 --disable-link-check --auto-start --stats-period=60 </dev/null >/lab/testpmd.log 2>&1 &
        echo $! >/run/testpmd");
    // It has its interface before it forwards, and only then says how much.
    lab.machine.until(
        "{ ip link set vm0 up && grep -q 'NIC statistics' /lab/testpmd.log; } || { cat /lab/testpmd.log; false; }",
    );
    gateway.wait_link("eth-vm", true);
    lab.report.step("the gateway runs, and a guest has connected its virtio card");
    let (guest, host) = ([10, 4, 0, 1], [10, 4, 0, 2]);
    lab.machine.sh(&format!(
        "ip link set vm0 address {SERVER}
        ip address add 10.4.0.1/24 dev vm0
        ip neighbour replace 10.4.0.2 lladdr {LAN} dev vm0 nud permanent"
    ));
    let ask = |number| Frame::ethernet(LAN, SERVER).ipv4(host, guest).icmp_echo(7, number);
    for (what, bytes) in [("102", 60), ("1514", 1472)] {
        let asked: Vec<_> = (0..100).map(|number| ask(number).payload(vec![0x5a; bytes]).build()).collect();
        lab.send(End::B, &asked);
        let answers = lab.come(End::B, asked.len());
        let is_answer = |(asked, answer): (&Vec<u8>, &Vec<u8>)| {
            // Addresses, and all from ICMP's identifier on; it is a type 0 instead of 8.
            answer[..6] == asked[6..12] && answer[6..12] == asked[..6] && answer[34] == 0 && answer[38..] == asked[38..]
        };
        let right = asked.iter().zip(&answers).filter(|pair| is_answer(*pair)).count();
        assert_eq!((answers.len(), right), (asked.len(), asked.len()), "{}", lab.machine.file("lab/testpmd.log"));
        let what = format!("a guest behind a virtio card, the LAN behind a VF: pings of {what} bytes");
        lab.report.held(&what, &format!("{} sent on B, {right} answers came on B", asked.len()));
    }
    let rows = gateway.show("vnics");
    let count = |way: &str| rows[0][way]["packets"].as_u64();
    assert_eq!((count("from_server"), count("to_server")), (Some(200), Some(200)), "{rows}");
    let drivers = ["eth-vm", "net-a"].map(|port| gateway.wait_port(port, |_| true)["driver"].clone());
    assert_eq!(drivers, ["net_vhost", "net_e1000_igb_vf"]);
    lab.report
        .held("the gateway counts them", "200 to the guest and 200 from it, between net_vhost and net_e1000_igb_vf");
    lab.machine.sh("kill -KILL $(cat /run/testpmd)");
    gateway.wait_link("eth-vm", false);
    lab.report.held("the guest is killed", "the gateway showed its link down");
    stop(lab, gateway);
}

/// NVMe/TCP from the PF of card A to that of card B, through the gateway between their VFs.
fn storage(lab: &mut Lab) {
    let config = include_str!("storage.toml");
    apply(lab, config, "iogate vf apply, of the PFs' addresses crosswise");
    lab.machine.sh("for card in eth0 eth1; do ethtool -K $card tx off tso off gso off gro off; done
        ip address add 10.3.0.1/24 dev eth0
        ip netns add san
        ip link set eth1 netns san
        ip -n san address add 10.3.0.100/24 dev eth1
        ip -n san link set eth1 up");
    let gateway = GuestGateway::start(&lab.machine, "storage", config);
    gateway.wait_link("eth-srv", true);
    gateway.wait_link("san-a", true);
    lab.report.step("the gateway runs, and both its links are up");
    nvme::target(&lab.machine, "san", "10.3.0.100");
    lab.machine.until("ping -c 1 -W 1 10.3.0.100");
    let before = gateway.of_class("block");
    let device = nvme::connect(&lab.machine, "10.3.0.100");
    let time = nvme::data_is_the_same(&lab.machine, &device);
    let frames = gateway.of_class("block") - before;
    assert!(frames > 1000, "{frames}");
    lab.report.held("a LUN by NVMe/TCP, between the kernel's initiator and target", &nvme::figures(time, frames));
    nvme::end(&lab.machine);
    stop(lab, gateway);
    lab.machine.sh("ip netns delete san");
    lab.machine.until("test -e /sys/class/net/eth1");
}

fn destroyed(lab: &mut Lab) {
    let (status, text) = vf(lab, "reset", &PLAIN.config());
    assert_eq!((status, numvfs(lab).trim()), (0, "0 0"), "{text}");
    let left = lab.machine.sh("ls -d /sys/bus/pci/devices/*/physfn 2>/dev/null || true");
    assert_eq!(left, "", "VFs");
    let verdict = text.lines().last().unwrap_or_default().to_owned();
    lab.report.held("iogate vf reset, and no VF is left", &verdict);
}

//! The program, as scripts and people use it.

use iogate::testkit::{in_namespace, sh, skip};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PKTGEN: &str = env!("CARGO_BIN_EXE_iogate-pktgen");

fn pktgen(arguments: &[&str]) -> Output {
    Command::new(PKTGEN).args(arguments).output().expect("it starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Runs it and expects an exit code; returns what it said.
fn expect(code: i32, arguments: &[&str]) -> String {
    let output = pktgen(arguments);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    text
}

fn json(arguments: &[&str], code: i32) -> serde_json::Value {
    let output = pktgen(&[arguments, &["-o", "json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
}

/// Whether tshark is there; where not, the test says so.
fn tshark_is_there(test: &str) -> bool {
    let there = Command::new("tshark").arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        skip(test, "tshark is not installed");
    }
    there
}

const CHECKSUMS: &str = "-o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE";

/// Frames of a capture that tshark finds wrong, one a line.
fn judged(file: &Path) -> String {
    let wrong = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 \
                 || icmp.checksum.status == 0 || icmpv6.checksum.status == 0 || fcoe.crc.status == 0";
    sh(&format!("tshark {CHECKSUMS} -r {} -Y '{wrong}' 2>/dev/null", file.display()))
}

/// How often each value of a field is there.
fn fields(file: &Path, field: &str) -> Vec<String> {
    sh(&format!("tshark -r {} -T fields -e {field} 2>/dev/null", file.display())).lines().map(str::to_owned).collect()
}

fn write(folder: &Path, frame: &str, size: &str) -> PathBuf {
    let file = folder.join("frames.pcapng");
    let name = file.display().to_string();
    expect(0, &["write", "--count", "20", "--frame", frame, "--size", size, &name]);
    file
}

#[test]
fn tshark_finds_nothing_wrong_with_any_header() {
    if !tshark_is_there("tshark_finds_nothing_wrong_with_any_header") {
        return;
    }
    let kinds = [
        ("ethernet/arp,target_ip=random", "64", "eth:ethertype:arp"),
        (
            "ethernet/service_vlan,vid=5/vlan,vid=1..9/ipv4,src=random/udp,src_port=random",
            "80..300",
            "eth:ethertype:ieee8021ad:ethertype:vlan:ethertype:ip:udp",
        ),
        ("ethernet/ipv4,src=random,dscp=random/tcp,src_port=random,sequence=random", "imix", "eth:ethertype:ip:tcp"),
        ("ethernet/ipv6,dst=2001:2::1..2001:2::99/udp", "90..99", "eth:ethertype:ipv6:udp"),
        ("ethernet/ipv4/icmp,identifier=random,sequence=0..9", "64..70", "eth:ethertype:ip:icmp"),
        ("ethernet/ipv6/icmpv6,sequence=0..9", "100", "eth:ethertype:ipv6:icmpv6"),
        ("ethernet,dst=33:33:ff:00:00:02/ipv6,hop_limit=255/neighbor_solicitation", "82", "eth:ethertype:ipv6:icmpv6"),
        ("ethernet/ipv4/udp/vxlan,vni=random/ethernet/ipv4,dst=random/tcp,src_port=random", "130", "udp:vxlan:eth"),
        ("ethernet/vlan,pcp=3/fcoe/fc,ox_id=random,s_id=1..9", "152", "fcoe:fc"),
        ("ethernet/fip/fip_mac,mac=random", "64", "eth:ethertype:fip"),
        ("ethernet/ipv4/tcp,src_port=1000..1099/iscsi,task_tag=random,lun=0..9", "122|1518", "tcp:iscsi"),
        (
            "ethernet/ipv4/tcp,src_port=1000..1099/nvme_command,command_id=random,first_block=random",
            "146|1518",
            "tcp:nvme-tcp",
        ),
        ("ethernet/ipv4/udp/roce,dest_qp=random,sequence=0..9", "78|1090", "udp:infiniband"),
        ("ethernet/aoe/ata,lba=random", "64", "eth:ethertype:aoe"),
        ("ethernet/pause,time=random", "64", "eth:ethertype:macc"),
        ("ethernet/pfc,enabled=8,time3=random", "64", "eth:ethertype:macc"),
        ("ethernet/lldp", "64", "eth:ethertype:lldp"),
    ];
    // A stream of each, in turn.
    let stream =
        |(frame, size, _): &(&str, &str, &str)| format!("[[stream]]\nframe = \"{frame}\"\nsize = \"{size}\"\n");
    let folder = tempfile::tempdir().unwrap();
    let (template, file) = (folder.path().join("all.toml"), folder.path().join("all.pcapng"));
    std::fs::write(&template, kinds.iter().map(stream).collect::<String>()).unwrap();
    let [template, name] = [&template, &file].map(|path| path.display().to_string());
    let count = (kinds.len() * 20).to_string();
    expect(0, &["write", "--template", &template, "--count", &count, &name]);
    assert_eq!(judged(&file), "");
    let found = fields(&file, "frame.protocols");
    assert_eq!(found.len(), kinds.len() * 20);
    for (number, found) in found.iter().enumerate() {
        let (frame, _, protocols) = kinds[number % kinds.len()];
        assert!(found.contains(protocols), "frame {number}, {frame}: {found}");
    }
}

#[test]
fn tshark_finds_nothing_wrong_with_the_storage_mix() {
    if !tshark_is_there("tshark_finds_nothing_wrong_with_the_storage_mix") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mix.pcapng");
    let name = file.display().to_string();
    expect(0, &["write", "--mix", "storage", "--count", "560", &name]);
    assert_eq!(judged(&file), "");
    let protocols = fields(&file, "frame.protocols");
    for (protocol, count) in [("iscsi", 80), ("nvme-tcp", 80), ("fcoe", 60), ("infiniband", 60), ("dns", 80)] {
        assert_eq!(protocols.iter().filter(|found| found.contains(protocol)).count(), count, "{protocol}");
    }
}

#[test]
fn tshark_sees_a_wrong_checksum() {
    if !tshark_is_there("tshark_sees_a_wrong_checksum") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "ethernet/ipv4,checksum=1/udp,checksum=2", "64");
    assert_eq!(judged(&file).lines().count(), 20, "else nothing above is judged");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_opened() {
    let run = ["run", "--tx", "af_packet:nosuchif"];
    for (arguments, said) in [
        (
            &["--line", "10G", "--rate", "20Mpps"][..],
            "more than a line of 10 Gbit/s carries: 14880952 frames of 64 bytes",
        ),
        (&["--rate", "50%"], "of which line?"),
        (&["--rate", "0"], "nothing would be sent"),
        (&[], "--rate <RATE>"),
        (&["--rate", "1", "--frame", "ethernet/ipv5/udp"], "--frame:1:10: unknown header \"ipv5\"; did you mean \"ipv"),
        (
            &["--rate", "1", "--frame", "ethernet/ipv4,sorce=1"],
            "--frame:1:15: ipv4: unknown field \"sorce\"; did you mean \"src\"?",
        ),
        (
            &["--rate", "1", "--frame", "ethernet/udp"],
            "--frame:1:10: udp cannot stand behind ethernet; put it behind ipv4 or ipv6",
        ),
        (&["--rate", "1", "--frame", "ethernet/ipv4/tcp/iscsi"], "use a size of 106 or more"),
        (&["--rate", "1", "--frame", "ethernet/ipv4/udp,dst_port=70000"], "does not fit 16 bits"),
        (&["--rate", "1", "--size", "63"], "use 64 to 9018"),
        (&["--rate", "1", "--template", "/nonexistent.toml"], "/nonexistent.toml: cannot be read"),
        (&["--rate", "1", "--replay", "/proc/self/cmdline"], "is no capture"),
        (&["--rate", "1", "--max-loss", "0"], "needs a port that receives"),
        (&["--rate", "1", "--max-loss", "some"], "is no loss"),
        (&["--rate", "1", "--duration", "soon"], "is no duration"),
    ] {
        let text = expect(2, &[&run[..], arguments].concat());
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
    assert!(expect(1, &["run", "--rate", "1", "--tx", "af_packet:nosuchif"]).contains("port af_packet:nosuchif: "));
}

#[test]
fn a_template_is_judged_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.toml");
    let name = file.display().to_string();
    std::fs::write(
        &file,
        "sed = 1\n\n[[stream]]\nname = \"a\"\nsize = 40\nframe = \"ethernet/ipv4,dst=10.0.0/udp\"\n\n[[stream]]\nframe = [\n  { \
         header = \"ethernet\" },\n  { header = \"ipv4\", src = [1, 2] },\n  { hedaer = \"udp\" },\n]\n",
    )
    .unwrap();
    let text = expect(2, &["check", "--template", &name]);
    for said in [
        "t.toml:1:1: unknown key \"sed\"; did you mean \"seed\"?",
        "t.toml:5:8: stream \"a\": size 40 is no size of a frame; use 64 to 9018",
        "t.toml:6:24: ipv4: dst \"10.0.0\" is no IPv4 address",
        "t.toml:11:22: ipv4: src \"1\" is no IPv4 address",
        "t.toml:12:3: a header must be named",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    let mix = expect(0, &["mix"]);
    std::fs::write(&file, mix).unwrap();
    assert!(expect(0, &["check", "--template", &name]).starts_with("good\n  iscsi: measured by stamps"));
}

#[test]
fn headers_and_fields_are_listed() {
    assert!(expect(0, &["headers"]).contains("\nnvme_command "));
    assert!(expect(0, &["headers", "ipv4"]).contains("  dscp                 6 bits\n"));
    assert!(expect(2, &["headers", "ipv5"]).contains("there is no header"));
}

const RING: [&str; 9] = ["run", "--tx", "ring", "--rx", "ring", "--memory", "128", "--rate", "20kpps"];

#[test]
fn a_ring_loses_nothing() {
    let report = json(
        &[
            &RING[..],
            &["--count", "3000", "--size", "imix", "--max-loss", "0", "--max-reordered", "0", "--drain", "10s"],
        ]
        .concat(),
        0,
    );
    let step = &report["steps"][0];
    assert_eq!((&report["schema"], &report["exit_code"]), (&"iogate-pktgen/1".into(), &0.into()));
    assert_eq!((&step["sent"]["frames"], &step["received"]["frames"]), (&3000.into(), &3000.into()));
    assert_eq!((&step["ended"], &step["received"]["lost"]), (&"complete".into(), &0.into()));
    assert!(step["received"]["latency_ns"]["p99"].as_u64() > Some(0));
}

#[test]
fn a_broken_limit_is_an_exit_code() {
    // A null port gives frames without end, none of them ours.
    let text = expect(
        3,
        &[
            "run",
            "--tx",
            "null",
            "--rx",
            "null",
            "--memory",
            "128",
            "--rate",
            "1kpps",
            "--count",
            "10",
            "--max-loss",
            "0",
            "--max-latency",
            "max=1s",
            "--drain",
            "10ms",
            "-o",
            "text",
        ],
    );
    assert!(text.contains("broken    loss: 10 frames, 0 allowed"), "{text}");
    assert!(text.contains("broken    latency: max: no stamped frame came back, 1.00 s allowed"), "{text}");
}

#[test]
fn a_capture_is_replayed_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.pcapng"), folder.path().join("b.pcapng"));
    let (first, second) = (first.display().to_string(), second.display().to_string());
    expect(0, &["write", "--mix", "storage", "--count", "60", &first]);
    // Twice, and a part of it.
    let replay = ["--replay", &first, "--count", "130", "--capture", &second, "--drain", "200ms", "-o", "text"];
    let text = expect(0, &[&RING[..], &replay].concat());
    assert!(text.contains("b.pcapng: 130 frames; 0 more came back"), "{text}");
    let frames = |file: &str| iogate_pktgen::replay::frames(&std::fs::read(file).unwrap()).unwrap();
    let (sent, back) = (frames(&first), frames(&second));
    assert!(back.iter().eq(sent.iter().cycle().take(130)));
    // No more than was asked for.
    let text = expect(0, &[&RING[..], &replay, &["--capture-most", "7"]].concat());
    assert!(text.contains("b.pcapng: 7 frames; 123 more came back"), "{text}");
    let whole = std::fs::read(&first).unwrap();
    std::fs::write(&first, &whole[..whole.len() - 9]).unwrap();
    assert!(expect(2, &[&RING[..], &["--replay", &first]].concat()).contains("is cut off within packet 60"));
}

#[test]
fn a_scenario_runs_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.toml");
    let text = "max_loss = 0\n[[step]]\nname = \"first\"\nmix = \"storage\"\nrate = \"10kpps\"\ncount = 560\n\
                [[step]]\nname = \"second\"\nframe = \"ethernet/ipv4/udp\"\nrate = \"10kpps\"\nduration = \"50ms\"\nmax_latency = \"p50=1ns\"\n\
                [[step]]\nname = \"third\"\nframe = \"ethernet/ipv6/udp\"\nsize = \"90\"\nrate = \"10kpps\"\ncount = 1\n";
    std::fs::write(&file, text).unwrap();
    let report = json(
        &["scenario", &file.display().to_string(), "--tx", "ring", "--rx", "ring", "--memory", "128", "--drain", "10s"],
        3,
    );
    let steps = report["steps"].as_array().unwrap();
    let names: Vec<_> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["first", "second", "third"], "it goes on after a broken limit");
    assert_eq!((&steps[0]["sent"]["frames"], &steps[0]["received"]["lost"]), (&560.into(), &0.into()));
    assert_eq!(steps[0]["streams"].as_array().unwrap().len(), 7);
    let broken = |step: usize| steps[step]["broken_limits"].as_array().unwrap().len();
    assert_eq!([broken(0), broken(1), broken(2)], [0, 1, 0]);
}

#[test]
fn senders_share_the_work() {
    let arguments = ["run", "--tx", "null", "--senders", "2", "--memory", "128", "--rate", "10kpps", "--count", "1001"];
    let report = json(&arguments, 0);
    assert_eq!(report["steps"][0]["sent"]["frames"], 1001);
    assert_eq!(report["steps"][0]["received"], serde_json::Value::Null);
}

#[test]
fn jumbo_frames_cross_a_ring() {
    let report =
        json(&[&RING[..], &["--count", "200", "--size", "64|9018", "--max-loss", "0", "--drain", "10s"]].concat(), 0);
    assert_eq!(report["steps"][0]["streams"][0]["received_bytes"], 100 * (64 + 9018));
}

#[test]
fn an_interrupt_ends_it_with_the_report() {
    let mut run = Command::new(PKTGEN)
        .args([&RING[..], &["-o", "text", "--interval", "50ms"]].concat())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
    lines.next().expect("it reports while it runs").unwrap();
    sh(&format!("kill -INT {}", run.id()));
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert!(rest.iter().any(|line| line.starts_with("run       ended on demand")), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("received  ")), "{rest:?}");
}

#[test]
fn the_live_view_gives_the_terminal_back() {
    let command =
        format!("stty cols 80 rows 24; {PKTGEN} {} --mix storage --count 4000 --interval 20ms", RING.join(" "));
    let screen = Command::new("script").args(["-qec", &command, "/dev/null"]).stdin(Stdio::inherit()).output();
    let Ok(screen) = screen else {
        return skip("the_live_view_gives_the_terminal_back", "script is not installed");
    };
    let text = String::from_utf8_lossy(&screen.stdout);
    let (enter, leave) = ("\u{1b}[?1049h", "\u{1b}[?1049l");
    let (Some(begin), Some(end)) = (text.find(enter), text.rfind(leave)) else {
        panic!("{text}");
    };
    assert!(begin < end && text[begin..end].contains("q ends it"), "{text}");
    assert!(text[begin..end].contains("nvme-tcp"), "streams have names at 80 columns: {text}");
    assert!(text[end..].contains("lost 0"), "the report follows: {text}");
}

#[test]
fn frames_cross_a_wire_of_the_kernel() {
    in_namespace("frames_cross_a_wire_of_the_kernel", || {
        sh("ip link add a0 type veth peer name b0; ip link set a0 up; ip link set b0 up");
        let folder = tempfile::tempdir().unwrap();
        let back = folder.path().join("back.pcapng");
        let report = json(
            &[
                "run",
                "--tx",
                "af_packet:a0",
                "--rx",
                "af_packet:b0",
                "--memory",
                "128",
                "--rate",
                "1kpps",
                "--count",
                "1000",
                "--frame",
                "ethernet/vlan,vid=100/ipv4,src=random,dst=10.0.0.1..10.0.0.99/udp,src_port=random",
                "--size",
                "100|1000|1518",
                "--drain",
                "5s",
                "--capture",
                &back.display().to_string(),
                "--max-loss",
                "0",
            ],
            0,
        );
        let step = &report["steps"][0];
        assert_eq!((&step["received"]["frames"], &report["capture"]["missed"]), (&1000.into(), &0.into()));
        // The kernel counts what crosses the wire, whatever we say.
        let counted = |what: &str| sh(&format!("cat /sys/class/net/{what}")).trim().parse::<u64>().unwrap();
        let (sent, received) = (counted("a0/statistics/tx_packets"), counted("b0/statistics/rx_packets"));
        assert!(sent == received && received >= 1000, "{sent} {received}");
        assert!(report["capture"]["frames"].as_u64() >= Some(1000));
        if tshark_is_there("frames_cross_a_wire_of_the_kernel") {
            assert_eq!(judged(&back), "");
        }
    });
}

#[test]
fn receivers_share_the_work() {
    in_namespace("receivers_share_the_work", || {
        sh("ip link add a0 type veth peer name b0; ip link set a0 up; ip link set b0 up");
        let ports = ["run", "--tx", "af_packet:a0", "--rx", "af_packet:b0", "--receivers", "3", "--memory", "256"];
        // Many flows: the kernel deals them out to the queues by their hash.
        let load = ["--frame", "ethernet/ipv4,src=random/udp", "--rate", "1kpps", "--count", "600", "--drain", "5s"];
        let report = json(&[&ports[..], &load[..], &["--max-loss", "0", "--max-duplicates", "0"]].concat(), 0);
        assert_eq!(report["steps"][0]["received"]["frames"], 600);
    });
}

/// Starts a run, has something happen while it sends, and expects that the port is said to be lost and that the result
/// so far is kept.
fn vanishes(ports: &[&str], port: &str, happen: impl FnOnce()) {
    vanishes_in(&[&["run", "--rate", "1kpps"], ports].concat(), port, happen);
}

fn vanishes_in(command: &[&str], port: &str, happen: impl FnOnce()) {
    let how = ["--memory", "128", "-o", "text", "--interval", "100ms", "--drain", "100ms"];
    let mut run = Command::new(PKTGEN).args(command).args(how).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
    lines.next().expect("it reports while it runs").unwrap();
    lines.next().expect("and again").unwrap();
    happen();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(run.wait().unwrap().code(), Some(4), "{rest:?}");
    let lost = |line: &String| line.contains(&format!("ended early: port {port}")) && line.contains("link went down");
    assert!(rest.iter().any(lost), "{rest:?}");
    let sent = rest.iter().find_map(|line| line.strip_prefix("sent      ")).expect("the result so far");
    assert!(sent.split(' ').next().unwrap().parse::<u64>().unwrap() > 0, "{sent}");
}

#[test]
fn an_interface_that_vanishes_leaves_the_result() {
    in_namespace("an_interface_that_vanishes_leaves_the_result", || {
        sh("ip link add a0 type veth peer name b0; ip link set a0 up; ip link set b0 up");
        vanishes(&["--tx", "af_packet:a0", "--rx", "af_packet:b0"], "af_packet:", || drop(sh("ip link del a0")));
        vanishes(&["--tx", "tap:t0"], "tap:t0", || drop(sh("ip link del t0")));
    });
}

/// Steps that are over before a link is down for long, and one that would never be.
#[test]
fn an_interface_that_vanishes_between_short_steps_ends_them() {
    in_namespace("an_interface_that_vanishes_between_short_steps_ends_them", || {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("short.toml").display().to_string();
        let step =
            |end: &str| format!("[[step]]\nname = \"one\"\nframe = \"ethernet/ipv4/udp\"\nrate = \"1kpps\"\n{end}\n");
        std::fs::write(&file, step("duration = \"250ms\"").repeat(20) + &step("count = 5000")).unwrap();
        vanishes_in(&["scenario", &file, "--tx", "tap:t1"], "tap:t1", || drop(sh("ip link del t1")));
    });
}

#[test]
fn a_capture_that_cannot_be_written_leaves_the_result() {
    let to_nowhere = ["run", "--tx", "ring", "--rx", "ring", "--memory", "128", "--rate", "10kpps", "--count", "500"];
    let report = json(&[&to_nowhere[..], &["--capture", "/dev/full"]].concat(), 1);
    assert_eq!((&report["steps"][0]["sent"]["frames"], &report["exit_code"]), (&500.into(), &1.into()));
}

#[test]
fn a_peer_that_vanishes_leaves_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("vhost.sock");
    let path = socket.display();
    for (theirs, ours) in [
        (format!("vhost:{path}"), format!("virtio_user:{path}")),
        (format!("virtio_user:{path},server=1"), format!("vhost:{path},client=1")),
    ] {
        let mut peer = Command::new(PKTGEN);
        peer.args(["run", "--tx", &theirs, "--memory", "128", "--rate", "1kpps", "--wait", "30s"]);
        let mut peer = peer.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        while !socket.exists() {
            assert!(Instant::now() < end, "{theirs} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        vanishes(&["--tx", &ours, "--rx", &ours], &ours, || {
            peer.kill().unwrap();
            peer.wait().unwrap();
        });
        std::fs::remove_file(&socket).ok();
    }
}

#[test]
fn a_port_without_a_link_is_waited_for() {
    in_namespace("a_port_without_a_link_is_waited_for", || {
        sh("ip link add a0 type veth peer name b0; ip link set a0 up");
        let text = expect(1, &["run", "--tx", "af_packet:a0", "--memory", "128", "--rate", "1kpps", "--wait", "100ms"]);
        assert!(text.contains("port af_packet:a0: no link after 0.1 s"), "{text}");
    });
}

#[test]
fn a_manual_page_can_be_made() {
    let folder = tempfile::tempdir().unwrap();
    expect(0, &["man", &folder.path().display().to_string()]);
    let page = std::fs::read_to_string(folder.path().join("iogate-pktgen-run.1")).unwrap();
    assert!(page.contains("line rate") || page.contains("Line rate"), "{page}");
    assert!(expect(0, &["completions", "bash"]).contains("iogate-pktgen"));
}

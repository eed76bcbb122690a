"""Has DPDK's test suite drive the binary: DTS's own TestPmd class and suites, on virtual ports. scripts/dts starts it.

    run.py BUILD KIND [SUITE[.CASE]...]

BUILD/app/dpdk-testpmd is what DTS starts. KIND is null, ring, tap, af_packet or virtio_user. Without names: all of
DTS's suites where there is a wire (tap, af_packet), and `shell` everywhere, which calls each method of TestPmd. The
current folder is that of DTS; interfaces are made in the current network namespace.
"""

import logging
import subprocess
import sys
import time
import traceback
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MethodType, SimpleNamespace

sys.path.insert(0, ".")

import stand_ins
from generator import Generator
from scapy.config import conf

from api.capabilities import LinkTopology
from api.testpmd import TestPmd
from api.testpmd.config import SimpleForwardingModes
from api.testpmd.types import ChecksumOffloadOptions, FlowRule, RSSOffloadTypesFlag
from framework.context import Context, init_ctx
from framework.exception import SkippedTestException
from framework.settings import SETTINGS
from framework.test_suite import AVAILABLE_TEST_SUITES
from framework.testbed_model.capability import get_supported_capabilities, test_if_supported
from framework.testbed_model.topology import Topology

#: Suites that want a NIC, another program, or a generator for performance, and why.
LEFT_OUT = {
    "blocklist": "PCI addresses",
    "cryptodev_latency": "not testpmd",
    "cryptodev_throughput": "not testpmd",
    "packet_capture": "dpdk-dumpcap of the tree under test",
    "single_core_forward_perf": "a hardware generator",
    "smoke_tests": "a build tree and PCI addresses",
    "softnic": "a NIC behind net_softnic",
    "speed_capabilities": "the speed of a NIC",
}


def sh(command):
    subprocess.run(command, shell=True, check=True, capture_output=True, timeout=30)


def tap(n):
    """A tap device: the kernel's side of it is the other end of the wire, and has the same address."""
    mac = f"02:5a:00:00:00:0{n}"
    # It stays when the binary ends, for the one that listens on it.
    sh(f"ip link del dts{n} || true; ip tuntap add dts{n} mode tap multi_queue; ip link set dts{n} address {mac} up")
    return f"net_tap{n},iface=dts{n},mac={mac}", mac, f"dts{n}", mac


def af_packet(n):
    """One end of a pair of interfaces."""
    ours, theirs = f"02:5a:00:00:01:0{n}", f"02:5a:00:00:02:0{n}"
    sh(f"ip link del sut{n} || true")
    sh(f"ip link add sut{n} address {ours} mtu 9500 type veth peer name tg{n} address {theirs} mtu 9500")
    # What the kernel sends is whole: checksums done, no longer than a frame.
    for end in f"sut{n}", f"tg{n}":
        sh(f"ip link set {end} up; ethtool -K {end} tx off tso off gso off gro off")
    device = f"net_af_packet{n},iface=sut{n},qpairs=1"
    return device, ours, f"tg{n}", theirs


#: What makes the n-th wire, in place of the one that is there.
WIRES = {"tap": tap, "af_packet": af_packet}


def wires(kind):
    """Makes both anew, if ports of this kind have any. What a port was told may stay with its interface when the port is
    closed, and would be there for the next suite: its address, its MTU, whether it is promiscuous."""
    ends = [WIRES[kind](n) for n in range(2)] if kind in WIRES else []
    # Scapy remembers the numbers of interfaces.
    conf.ifaces.reload()
    return ends


def wired(ends):
    """Two ports with a wire on each."""
    sut, tg = stand_ins.node("sut"), stand_ins.node("tg")
    sut_ports = [stand_ins.SutPort(sut, device, mac) for device, mac, _, _ in ends]
    tg_ports = [stand_ins.TgPort(tg, interface, mac) for _, _, interface, mac in ends]
    return sut, tg, Topology(LinkTopology.TWO_LINKS, sut_ports, tg_ports, [], [], [], [])


def bare(devices):
    """Ports with nothing at the other end."""
    sut = stand_ins.node("sut")
    ports = [stand_ins.SutPort(sut, device, None) for device in devices]
    return sut, None, Topology(LinkTopology.NO_LINK, ports, [], [], [], [], [])


KINDS = {
    "null": lambda: bare(["net_null0", "net_null1"]),
    "ring": lambda: bare(["net_ring0", "net_ring1"]),
    "virtio_user": lambda: bare(["net_virtio_user0,path=/tmp/dts-vhost"]),
    **{kind: lambda kind=kind: wired(wires(kind)) for kind in WIRES},
}


@contextmanager
def vhost(build):
    """A testpmd at the other end of the virtio-user port."""
    eal = ["-l", "0,1", "--file-prefix=dts-vhost", "--vdev=net_vhost0,iface=/tmp/dts-vhost"]
    command, quiet = [f"{build}/app/dpdk-testpmd", *eal, "--", "-i"], subprocess.DEVNULL
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet)
    try:
        while not Path("/tmp/dts-vhost").exists():
            time.sleep(0.1)
        yield
    finally:
        other.communicate(b"quit\n", timeout=20)


def shell_calls():
    """Each method of TestPmd that says how it went, with what a testpmd on any port should do."""
    modes = [
        (f"set_forward_mode {mode.value}", lambda t, mode=mode: t.set_forward_mode(mode))
        for mode in SimpleForwardingModes
    ]
    caps = (set(), set())
    rule = FlowRule(direction="ingress", pattern=["eth"], actions=["drop"])
    return [
        ("show_port_info_all", lambda t: t.show_port_info_all()),
        ("show_port_info", lambda t: t.show_port_info(0)),
        ("show_port_stats_all", lambda t: expect(len(t.show_port_stats_all()[0]) == len(t.ports), "a block each")),
        ("show_port_stats", lambda t: t.show_port_stats(0)),
        ("get_devices", lambda t: expect(len(t.get_devices()) == len(t.ports), "a device each")),
        ("wait_link_status_up", lambda t: expect(t.wait_link_status_up(0, timeout=5), "link up")),
        *modes,
        ("set_forward_mode io", lambda t: t.set_forward_mode(SimpleForwardingModes.io)),
        ("start", lambda t: t.start()),
        ("stop", lambda t: t.stop()),
        ("start_tx_first", lambda t: t.start_tx_first(2)),
        ("stop again", lambda t: t.stop()),
        ("set_verbose", lambda t: t.set_verbose(1)),
        ("set_verbose 0", lambda t: t.set_verbose(0)),
        ("set_promisc", lambda t: t.set_promisc(0, True)),
        ("set_promisc off", lambda t: t.set_promisc(0, False)),
        ("set_multicast_all", lambda t: t.set_multicast_all(True)),
        ("set_multicast_all off", lambda t: t.set_multicast_all(False)),
        ("set_portlist", lambda t: t.set_portlist(list(reversed(range(len(t.ports)))))),
        ("set_portlist back", lambda t: t.set_portlist(list(range(len(t.ports))))),
        ("clear_port_stats", lambda t: t.clear_port_stats(0)),
        ("clear_port_stats_all", lambda t: t.clear_port_stats_all()),
        ("stop_all_ports", lambda t: t.stop_all_ports()),
        ("start_all_ports", lambda t: t.start_all_ports()),
        ("set_port_mtu", lambda t: t.set_port_mtu(0, 1400)),
        ("set_port_mtu_all", lambda t: t.set_port_mtu_all(1500)),
        ("set_ports_queues", lambda t: t.set_ports_queues(1)),
        ("get_offload_config rx", lambda t: t.get_offload_config(0, "rx")),
        ("get_offload_config tx", lambda t: t.get_offload_config(0, "tx")),
        ("get_port_queue_info rx", lambda t: t.get_port_queue_info(0, 0, True)),
        ("get_port_queue_info tx", lambda t: t.get_port_queue_info(0, 0, False)),
        ("get_queue_ring_size", lambda t: t.get_queue_ring_size(0, 0, True)),
        ("stop_port_queue", lambda t: t.stop_port_queue(0, 0, True)),
        ("set_queue_ring_size", lambda t: t.set_queue_ring_size(0, 0, 256, True)),
        ("start_port_queue", lambda t: t.start_port_queue(0, 0, True)),
        ("set_queue_deferred_start", lambda t: t.set_queue_deferred_start(0, 0, True, False)),
        ("get_capabilities_rxq_info", lambda t: t.get_capabilities_rxq_info(*caps)),
        ("get_capabilities_show_port_info", lambda t: t.get_capabilities_show_port_info(*caps)),
        ("get_capabilities_selective_rx", lambda t: t.get_capabilities_selective_rx(*caps)),
        ("get_capabilities_mcast_filtering", lambda t: t.get_capabilities_mcast_filtering(*caps)),
        ("get_capabilities_flow_ctrl", lambda t: t.get_capabilities_flow_ctrl(*caps)),
        ("get rx offload capabilities", lambda t: TestPmd.get_offload_capabilities_func("rx")(t, *caps)),
        ("get tx offload capabilities", lambda t: TestPmd.get_offload_capabilities_func("tx")(t, *caps)),
        ("show_port_flow_info", lambda t: t.show_port_flow_info(0)),
        ("set_mac_address", lambda t: t.set_mac_address(0, "02:00:00:00:00:77")),
        ("set_mac_addr", lambda t: t.set_mac_addr(0, "02:00:00:00:00:78", add=True)),
        ("set_multicast_mac_addr", lambda t: t.set_multicast_mac_addr(0, "01:00:5e:00:00:01", add=True)),
        ("set_vlan_filter", lambda t: t.set_vlan_filter(0, True)),
        ("set_vlan_strip", lambda t: t.set_vlan_strip(0, True)),
        ("rx_vlan", lambda t: t.rx_vlan(5, 0, add=True)),
        ("tx_vlan_set", lambda t: t.tx_vlan_set(0, True, 5)),
        ("tx_vlan_set off", lambda t: t.tx_vlan_set(0, False)),
        ("csum_set_hw", lambda t: t.csum_set_hw(ChecksumOffloadOptions.udp, 0)),
        ("set_port_mbuf_fast_free", lambda t: t.set_port_mbuf_fast_free(0, True)),
        ("rx_vxlan", lambda t: t.rx_vxlan(4789, 0, True)),
        ("port_config_all_rss_offload_type", lambda t: t.port_config_all_rss_offload_type(RSSOffloadTypesFlag.udp)),
        ("port_config_rss_reta", lambda t: t.port_config_rss_reta(0, 0, 0)),
        ("flow_validate", lambda t: expect(t.flow_validate(rule, 0), "validated")),
        ("flow_create", lambda t: t.flow_delete(t.flow_create(rule, 0), 0)),
        ("close_all_ports", lambda t: t.close_all_ports()),
    ]


def expect(true, what):
    if not true:
        raise AssertionError(f"not so: {what}")


class Report:
    """What came of each case, and how many of each."""

    def __init__(self):
        self.counts = {}

    def tell(self, name, result, why=""):
        self.counts[result] = self.counts.get(result, 0) + 1
        why = " ".join(str(why).split())
        print(f"{result:<5} {name:<58} {why[:160]}".rstrip(), flush=True)

    def attempt(self, name, work):
        try:
            work()
        except SkippedTestException as why:
            self.tell(name, "SKIP", why)
        except Exception as why:
            logging.getLogger("dts").debug(traceback.format_exc())
            self.tell(name, "FAIL", f"{type(why).__name__}: {why}")
        else:
            self.tell(name, "PASS")


def shell(context, report, other_end):
    with other_end, TestPmd() as testpmd:
        for name, call in shell_calls():
            report.attempt(f"shell.{name}", lambda call=call: call(testpmd))


def suite(spec, context, cases, report):
    suite = spec.class_obj(spec.config_obj())
    context.local.reset()
    context.local.current_test_suite = suite
    chosen = [case for case in spec.class_obj.get_test_cases() if not cases or case.name in cases]
    wanted = set(spec.class_obj.required_capabilities).union(*(case.required_capabilities for case in chosen))
    can = get_supported_capabilities(context.sut_node, context.topology, wanted)
    context.shell_pool.start_new_pool()
    try:
        test_if_supported(spec.class_obj, can)
        suite.set_up_suite()
        for case in chosen:
            report.attempt(f"{spec.name}.{case.name}", lambda case=case: one_case(case, suite, context, can))
    finally:
        suite.tear_down_suite()
        context.shell_pool.terminate_current_pool()


def one_case(case, suite, context, can):
    test_if_supported(case, can)
    context.local.current_test_case = case
    context.shell_pool.start_new_pool()
    try:
        suite.set_up_test_case()
        MethodType(case, suite)()
    finally:
        try:
            suite.tear_down_test_case()
        finally:
            context.shell_pool.terminate_current_pool()


def main():
    build, kind, *names = sys.argv[1:]
    sut, tg, topology = KINDS[kind]()
    build = SimpleNamespace(remote_dpdk_build_dir=Path(build), get_app=lambda name: Path(build, "app", name))
    generator = Generator(tg, SimpleNamespace(type="SCAPY")) if tg else None
    context = Context(sut, tg, topology, build, stand_ins.runtime(sut.main_session), generator, None)
    init_ctx(context)
    if not names:
        # Two programs and no wire: that suite has a kind of its own.
        left = [spec.name for spec in AVAILABLE_TEST_SUITES if spec.name not in {*LEFT_OUT, "virtio_forward"}]
        names = ["shell", *left] if tg else ["shell", *(["virtio_forward"] if kind == "virtio_user" else [])]
    report = Report()
    with TemporaryDirectory() as output:
        SETTINGS.output_dir = output
        logging.disable(logging.CRITICAL)
        if generator:
            generator.setup(topology)
        for name in names:
            name, _, case = name.partition(".")
            if name == "shell":
                other_end = vhost(build.remote_dpdk_build_dir) if kind == "virtio_user" else nullcontext()
                report.attempt("shell", lambda: shell(context, report, other_end))
                continue
            spec = next(spec for spec in AVAILABLE_TEST_SUITES if spec.name == name)
            cases = [case] if case else []
            try:
                wires(kind)
                suite(spec, context, cases, report)
            except SkippedTestException as why:
                report.tell(name, "SKIP", why)
            except Exception as why:
                report.tell(name, "FAIL", f"{type(why).__name__}: {why}")
        if generator:
            generator.teardown()
    print(f"{kind}: " + ", ".join(f"{count} {result}" for result, count in sorted(report.counts.items())))
    return 1 if report.counts.get("FAIL") else 0


if __name__ == "__main__":
    sys.exit(main())

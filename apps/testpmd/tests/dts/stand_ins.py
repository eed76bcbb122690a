"""Stand-ins for what DTS reaches over SSH: both nodes are this machine, and a shell is a bash on a pseudo-terminal.

Everything else is DTS's own: its TestPmd class, its parsers, its traffic generator, its suites.
"""

import fcntl
import os
import pty
import select
import subprocess
import termios
from pathlib import PurePath
from types import SimpleNamespace

from framework.config.node import OS
from framework.testbed_model.cpu import lcore_filter
from framework.testbed_model.linux_session import LinuxSession
from framework.testbed_model.port import Port


class Channel:
    """What paramiko's channel is to DTS: a bash on a terminal of 80 columns and 24 lines."""

    def __init__(self):
        self.active = True
        self.timeout = 15.0
        self.unread = b""
        self.terminal, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        self.bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "vt100", "PS1": "$ "},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    def settimeout(self, seconds):
        self.timeout = seconds

    def set_combine_stderr(self, _):
        """There is one terminal for both anyway."""

    def makefile_stdin(self, _):
        return SimpleNamespace(write=lambda text: os.write(self.terminal, text.encode()), flush=lambda: None)

    def makefile(self, _):
        return self

    def recv_ready(self):
        return bool(self.unread) or bool(select.select([self.terminal], [], [], 0)[0])

    def recv(self, count):
        if not self.unread:
            self._fill()
        data, self.unread = self.unread[:count], self.unread[count:]
        return data

    def readline(self):
        while b"\n" not in self.unread and self._fill():
            pass
        line, end, self.unread = self.unread.partition(b"\n")
        return (line + end).decode(errors="replace")

    def __iter__(self):
        return iter(self.readline, "")

    def _fill(self):
        """Waits for more. False at the end."""
        if not select.select([self.terminal], [], [], self.timeout)[0]:
            raise TimeoutError
        try:
            data = os.read(self.terminal, 65536)
        except OSError:  # The last one has closed its side.
            data = b""
        self.unread += data
        return bool(data)

    def close(self):
        """Hangs up, as a connection that is closed does."""
        self.active = False
        os.close(self.terminal)
        try:
            self.bash.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.bash.pid, 9)
            self.bash.wait()


class Session(LinuxSession):
    """A session with this machine, as root."""

    def __init__(self, name):
        self.name = name
        self.interactive_session = SimpleNamespace(session=SimpleNamespace(invoke_shell=Channel), hostname=name)
        self.remote_session = SimpleNamespace(history=[])

    def send_command(self, command, timeout=15, privileged=False, verify=False, env=None):
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=verify, timeout=timeout)
        return SimpleNamespace(stdout=done.stdout, stderr=done.stderr, return_code=done.returncode)

    @staticmethod
    def _get_privileged_command(command):
        return command

    def join_remote_path(self, *parts):
        return PurePath(*parts)

    def configure_port_mtu(self, mtu, port):
        self.send_command(f"ip link set {port.logical_name} mtu {mtu}", verify=True)


class SutPort(Port):
    """A virtual device. What DTS calls its PCI address is its name and arguments."""

    def __init__(self, node, device, mac):
        self.node, self.mac_address = node, mac
        self.device = device
        self.config = SimpleNamespace(name=device, pci=device.split(",")[0], os_driver_for_dpdk="dpdk")

    pci = property(lambda self: self.device)
    current_driver = "dpdk"

    def driver_by_kind(self, _):
        return self.current_driver


class TgPort(Port):
    """The interface at the other end of a virtual device."""

    def __init__(self, node, interface, mac):
        self.node, self.logical_name, self.mac_address = node, interface, mac
        self.config = SimpleNamespace(name=interface, pci=interface, os_driver="kernel", os_driver_for_dpdk="none")

    is_link_up = True
    current_driver = "kernel"

    def driver_by_kind(self, _):
        return self.current_driver


def node(name):
    """This machine, under a name."""
    config = SimpleNamespace(os=OS.linux, ports=[])
    return SimpleNamespace(name=name, config=config, main_session=Session(name), crypto_device_type=None, cryptodevs=[])


def runtime(session):
    """The DPDK that is tested."""

    def cores(wanted, ascending=True):
        # Where a suite wants more cores than there are, it gets those.
        there = session.get_remote_cpus()
        try:
            return lcore_filter(there, wanted, ascending).filter()
        except ValueError:
            return there

    return SimpleNamespace(
        timestamp=str(os.getpid()),
        prefix_list=[],
        filter_lcores=cores,
        get_virtual_devices=lambda: iter(()),
    )

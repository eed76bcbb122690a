"""A session typed by pexpect: session.py PROGRAM ARGUMENT..."""

import sys

import pexpect

PROMPT = "testpmd> "
child = pexpect.spawn(sys.argv[1], sys.argv[2:], encoding="utf-8", timeout=30, dimensions=(24, 80))
# Typed ahead, while it starts.
child.sendline("set burst 7")
child.expect_exact("Number of packets per burst set to 7\r\n" + PROMPT)


def ask(command, *answers):
    """Types a command; its answer, all of which has to come before the next prompt."""
    child.sendline(command)
    for answer in answers:
        assert child.expect([answer, pexpect.TIMEOUT], timeout=20) == 0, f"{command}: no {answer!r} in {child.before!r}"
    child.expect_exact(PROMPT)


ask("show port info 0", r"\*{21} Infos for port 0", "Link status: up\r\n", r"Promiscuous mode: (enabled|disabled)")
ask("set fwd mac", "Set mac packet forwarding mode\r\n")
ask("start", "mac packet forwarding - ports=2")
ask("start", "Packet forwarding already started\r\n")
ask("show port stats all", r"RX-packets: \d+", r"Rx-pps: +\d+", r"TX-packets: \d+")
ask("nosuch", "Command not found\r\n")
# A line longer than the terminal is wide.
ask("flow create 0 ingress pattern eth / ipv4 src is 192.168.1.1 dst is 192.168.1.2 / tcp dst is 80 / end actions nosuch",
    "Bad arguments\r\n")
ask("stop", r"Accumulated forward statistics for all ports", r"RX-total: \d+", "Done\\.\r\n")
child.sendline("quit")
child.expect_exact("Bye...")
child.expect(pexpect.EOF)
child.close()
sys.exit(child.exitstatus)

"""The traffic generator: scapy, in this process. DTS's own keeps listening on an interface for the whole run, which ends
when the interface goes down, as that of a tap device does with the program that holds it."""

import time

from framework.testbed_model.traffic_generator.capturing_traffic_generator import CapturingTrafficGenerator
from scapy.arch.linux import L2ListenSocket
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.sendrecv import AsyncSniffer, sendp

LLDP = 0x88CC
ICMPV6 = 58
# Bytes of a frame on a wire, without the check sequence.
SHORTEST = 60


def passes(config):
    """Whether a packet is one that the test wants to see."""

    def test(packet):
        unwanted = (
            (config.no_arp and ARP in packet)
            or (config.no_lldp and Ether in packet and packet[Ether].type == LLDP)
            or (config.no_icmp and IP in packet and ICMP in packet)
            or (config.no_icmp and IPv6 in packet and packet[IPv6].nh in (0, ICMPV6))
        )
        return not unwanted

    return test


class Generator(CapturingTrafficGenerator):
    """Sends on one interface, listens on another."""

    def _send_packets(self, packets, port):
        sendp(packets, iface=port.logical_name, verbose=False)

    def _send_packets_and_capture(self, packets, send_port, receive_port, filter_config, duration):
        last = [time.monotonic()]

        def seen(_):
            last[0] = time.monotonic()

        socket = L2ListenSocket(iface=receive_port.logical_name, filter="inbound")
        sniffer = AsyncSniffer(opened_socket=socket, lfilter=passes(filter_config), prn=seen)
        sniffer.start()
        time.sleep(0.05)
        self.send_packets(packets, send_port)
        last[0] = time.monotonic()
        # Until nothing has come for so long, as DTS's own does.
        while time.monotonic() - last[0] < duration:
            time.sleep(0.05)
        sniffer.stop()
        socket.close()
        # What DTS compares is parsed from bytes. A card would have sent none shorter.
        return [Ether(bytes(packet).ljust(SHORTEST, b"\0")) for packet in sniffer.results]

    def close(self):
        """Nothing is left open."""

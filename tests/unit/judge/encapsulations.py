"""One IPv4 packet in whatever may carry it: frames that a search must look into, and that a judge must not
take for something else."""

from __future__ import annotations

import struct
from collections.abc import Callable

from testbed.frames import ip_header, mac

ENDS = mac("02:00:00:00:00:0b") + mac("02:00:00:00:00:0a")
NEAR, FAR = "198.18.10.20", "203.0.113.2"
IPV6_ENDS = bytes.fromhex("20010db800000000000000000000000120010db8000000000000000000000002")
Encapsulation = Callable[[bytes], bytes]


def ethernet(kind: int, body: bytes) -> bytes:
    return ENDS + struct.pack(">H", kind) + body


def ipv4(protocol: int, body: bytes) -> bytes:
    return ethernet(0x0800, ip_header(NEAR, FAR, protocol, 0, len(body)) + body)


def udp(port: int, body: bytes) -> bytes:
    return struct.pack(">HHHH", 40000, port, 8 + len(body), 0) + body


def ipv6(next_header: int, body: bytes) -> bytes:
    return ethernet(0x86DD, struct.pack(">IHBB", 6 << 28, len(body), next_header, 64) + IPV6_ENDS + body)


def tagged(*types: int) -> Encapsulation:
    return lambda packet: (
        ENDS + b"".join(struct.pack(">HH", kind, 5) for kind in types) + b"\x08\x00" + packet
    )


def fragment(packet: bytes) -> bytes:
    """The later part of a packet that was divided."""
    frame = ipv4(17, packet)
    return frame[:20] + struct.pack(">H", 185) + frame[22:]


def pppoe(packet: bytes) -> bytes:
    return ethernet(0x8864, struct.pack(">BBHHH", 0x11, 0, 1, len(packet) + 2, 0x21) + packet)


def gre(packet: bytes) -> bytes:
    return ipv4(47, struct.pack(">HH", 0, 0x0800) + packet)


READ: dict[str, Encapsulation] = {
    "bare": lambda packet: ethernet(0x0800, packet),
    "0x9100": tagged(0x9100),
    "0x9200 and 802.1Q": tagged(0x9200, 0x8100),
    "802.1ad and 802.1Q": tagged(0x88A8, 0x8100),
}
"""Those that are read: the packet inside is seen for what it is."""
UNREAD: dict[str, tuple[Encapsulation, str]] = {
    "three tags": (tagged(0x88A8, 0x8100, 0x8100), "a third VLAN tag (EtherType 0x8100)"),
    "PPPoE": (pppoe, "PPPoE (EtherType 0x8864)"),
    "IPv6": (lambda packet: ipv6(17, udp(5060, packet)), "IPv6 (next header 17)"),
    "IPv4 in IPv6": (lambda packet: ipv6(4, packet), "IPv6 (next header 4)"),
    "IP in IP": (lambda packet: ipv4(4, packet), "IP in IP (protocol 4)"),
    "GRE": (gre, "GRE (protocol 47)"),
    "VXLAN": (
        lambda packet: ipv4(17, udp(4789, b"\x08\0\0\0\0\0\x07\0" + ethernet(0x0800, packet))),
        "VXLAN (UDP port 4789)",
    ),
    "L2TP": (lambda packet: ipv4(17, udp(1701, bytes(12) + packet)), "L2TP (UDP port 1701)"),
    "fragment": (fragment, "IPv4 fragments"),
    "unknown": (lambda packet: ethernet(0x88B5, packet), "unknown (EtherType 0x88b5)"),
    "two labels": (
        lambda packet: ethernet(0x8847, struct.pack(">II", 16 << 12 | 64, 17 << 12 | 1 << 8 | 64) + packet),
        "MPLS with several labels (EtherType 0x8847)",
    ),
}
"""Those that are named as not understood."""
HARMLESS: dict[str, bytes] = {
    "ARP": ethernet(0x0806, b"\0\1\x08\0\6\4\0\1" + bytes(20)),
    "LLDP": ethernet(0x88CC, bytes(40)),
    "spanning tree": mac("01:80:c2:00:00:00")
    + ENDS[6:]
    + struct.pack(">H", 38)
    + b"\x42\x42\x03"
    + bytes(35),
    "neighbour discovery": ipv6(58, b"\x87" + bytes(31)),
    "multicast listener report": ipv6(0, b"\x3a\0\5\2\0\0\1\0" + b"\x8f" + bytes(27)),
    "ICMP": ipv4(1, b"\3\4" + bytes(30)),
    "OSPF": ipv4(89, bytes(44)),
    "LACP": ethernet(0x8809, bytes(110)),
}
"""Frames of every network, in which nothing is looked for."""

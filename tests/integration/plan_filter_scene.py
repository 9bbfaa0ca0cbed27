"""The planned firewall and router of `small-office`, alone on a real kernel: what passes, how it is marked.

`phone` and `pc` stand directly at the firewall's zones, `outside` is everything behind the line. Run by
`test_plan_filter.py` in namespaces of its own; prints what it measured as JSON.
"""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from uclab.emulation.linux import netns, packet_filter
from uclab.model.load import load_topology
from uclab.plan.faults.catalogue import FAULTS
from uclab.plan.planner import make_plan
from uclab.plan.schema.plan import Node, Plan

QUIET_S = 0.4
"""A packet that has not come after this time does not come: all is on one kernel, without delay."""
PPPOE = 1492
"""Bytes that a line with PPPoE carries (RFC 2516 section 7)."""
UP_S = 10.0
"""By then the cables are up and neighbours are resolved."""
CLOUD, WEB, RESOLVER = "198.18.10.12", "198.19.0.6", "198.19.0.2"
PHONE, PC = "192.168.16.11", "192.168.17.11"
EF, AF31 = 46, 26
IP_MTU_DISCOVER, IP_RECVERR, IP_MTU, IP_PMTUDISC_DO = 10, 11, 14, 2
"""Of <linux/in.h>; Python has no names for them."""
DESTINATION_UNREACHABLE, TIME_EXCEEDED = 3, 11

Answer = tuple[str, int] | None
"""Sender's address and DSCP of a packet as it arrived; None where it did not."""


@dataclass(frozen=True)
class Exchange:
    """A packet there and one back."""

    there: Answer
    back: Answer


class Wire:
    """The namespaces between a phone and the cloud."""

    def __init__(self, plan: Plan) -> None:
        netns.prepare_directory()
        self.plan = plan
        self.spaces = netns.create(["phone", "pc", "fw", "edge", "outside"])
        for left, right in (
            (("phone", "eth0"), ("fw", "voice")),
            (("pc", "eth0"), ("fw", "data")),
            (("fw", "wan"), ("edge", "lan")),
            (("edge", "wan1"), ("outside", "eth0")),
        ):
            _run(f"ip link add {left[1]} netns {left[0]} type veth peer name {right[1]} netns {right[0]}")
        self._settle("phone", plan.node("desk1"))
        self._settle("pc", plan.node("pc1"), rules=False)
        self._settle("fw", plan.node("fw"))
        self._settle("edge", plan.node("edge"))
        self._in(
            "outside", "ip link set lo up", "ip link set eth0 up", "ip address add 203.0.113.1/30 dev eth0"
        )
        self._in("outside", *(f"ip address add {address}/32 dev lo" for address in (CLOUD, WEB, RESOLVER)))

    def wait_until_up(self) -> None:
        """Both hosts reach the cloud; `AssertionError` says which one does not."""
        deadline = time.monotonic() + UP_S
        for name in ("phone", "pc"):
            while not self.connects(name, CLOUD, 5097):
                assert time.monotonic() < deadline, f"{name} does not reach {CLOUD} after {UP_S:g} s"

    def _settle(self, name: str, node: Node, rules: bool = True) -> None:
        commands = ["ip link set lo up"]
        for interface in node.interfaces:
            commands.append(f"ip link set {interface.name} up")
            commands += [f"ip address add {address} dev {interface.name}" for address in interface.addresses]
        commands += [f"ip route add {r.prefix} via {r.via} metric {r.metric}" for r in node.routes]
        if node.forwarding:
            commands.append("sysctl -qw net.ipv4.ip_forward=1")
        self._in(name, *commands)
        if rules and node.nftables:
            packet_filter.load(self.spaces[name], node.nftables)

    def _in(self, name: str, *commands: str) -> None:
        with netns.entered(self.spaces[name]):
            for command in commands:
                _run(command)

    def counter(self, name: str) -> int:
        """Packets that a named counter of the firewall has seen."""
        with netns.entered(self.spaces["fw"]):
            listed = subprocess.run(
                ["nft", "list", "counter", "inet", "firewall", name],
                capture_output=True,
                text=True,
                check=True,
            )
        found = re.search(r"packets (\d+)", listed.stdout)
        assert found is not None
        return int(found.group(1))

    def exchange(
        self,
        at: str,
        port: int,
        to: str,
        to_port: int,
        *,
        dscp: int = 0,
        answer_dscp: int = 0,
        answer_from: int = 0,
    ) -> Exchange:
        """A UDP packet from a port of `at` to the outside, and an answer (from the port `answer_from`)."""
        with self.bound(at, "", port) as near, self.bound("outside", to, to_port) as far:
            _mark(near, dscp)
            near.sendto(b"there", (to, to_port))
            there, sender = _receive(far)
            if sender is None:
                return Exchange(there, None)
            if not answer_from:
                _mark(far, answer_dscp)
                far.sendto(b"back", sender)
            else:
                with self.bound("outside", to, answer_from) as other:
                    other.sendto(b"back", sender)
            return Exchange(there, _receive(near)[0])

    def direct(self, at: str, port: int, other: str, address: str, other_port: int) -> bool:
        """Whether a UDP packet gets from one host of the site to another one."""
        with self.bound(at, "", port) as near, self.bound(other, address, other_port) as far:
            near.sendto(b"hello", (address, other_port))
            return _receive(far)[0] is not None

    def connects(self, at: str, to: str, port: int) -> bool:
        """Whether a TCP connection to the outside comes about."""
        with self.spaces["outside"].socket(socket.AF_INET, socket.SOCK_STREAM) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((to, port))
            server.listen()
            with self.spaces[at].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
                client.settimeout(QUIET_S)
                try:
                    client.connect((to, port))
                except OSError:
                    return False
                return True

    def spoofed(self) -> bool:
        """Whether a phone gets through with an address of the data VLAN."""
        self._in("phone", "ip address add 192.168.17.99/32 dev lo")
        with self.bound("phone", "192.168.17.99", 40100) as near, self.bound("outside", CLOUD, 30100) as far:
            near.sendto(b"spoofed", (CLOUD, 30100))
            return _receive(far)[0] is not None

    def unasked(self) -> bool:
        """Whether the cloud reaches a phone that has not sent to it, were there a route."""
        self._in("outside", "ip route add 192.168.16.0/20 via 203.0.113.2")
        with self.bound("phone", "", 40200) as near, self.bound("outside", CLOUD, 30200) as far:
            far.sendto(b"unasked", (PHONE, 40200))
            return _receive(near)[0] is not None

    def hop(self, at: str, to: str, port: int, ttl: int) -> str | None:
        """Who says that the time of a packet was up; None where nobody does."""
        with self.bound(at, "", 0) as near:
            near.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            return _error(near, (to, port), b"hello", TIME_EXCEEDED)

    def too_long(self, at: str, to: str, port: int, line_bytes: int) -> tuple[str | None, int]:
        """Who says that a whole Ethernet packet does not fit the line, and the path MTU (RFC 1191) that the
        sender has learnt then."""
        self._in("edge", f"ip link set wan1 mtu {line_bytes}")
        with self.bound(at, "", 0) as near:
            near.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            teller = _error(near, (to, port), bytes(1500 - 28), DESTINATION_UNREACHABLE)
            near.connect((to, port))
            return teller, near.getsockopt(socket.IPPROTO_IP, IP_MTU)

    def false_errors(self) -> bool:
        """Whether the router's word about a connection that there is not, or its own packets, get in."""
        about_nothing = (
            bytes([3, 1, 0, 0, 0, 0, 0, 0]) + _header(PHONE, CLOUD) + struct.pack("!4H", 1, 2, 8, 0)
        )
        with self.spaces["phone"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as near:
            near.settimeout(QUIET_S)
            with self.spaces["edge"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sender:
                for message in (about_nothing, bytes([8, 0, 0, 0, 0, 1, 0, 1])):
                    sender.sendto(_summed(message), (PHONE, 0))
            try:
                near.recv(100)
            except TimeoutError:
                return False
            return True

    @contextmanager
    def bound(self, name: str, address: str, port: int) -> Iterator[socket.socket]:
        """A UDP socket that tells the DSCP of what it receives."""
        with self.spaces[name].socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
            made.settimeout(QUIET_S)
            made.bind((address, port))
            yield made


def _receive(there: socket.socket) -> tuple[Answer, tuple[str, int] | None]:
    try:
        _, ancillary, _, sender = there.recvmsg(100, 100)
    except TimeoutError:
        return None, None
    tos = next(
        data[0] for level, kind, data in ancillary if (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS)
    )
    return (sender[0], tos >> 2), sender


def _error(near: socket.socket, to: tuple[str, int], payload: bytes, kind: int) -> str | None:
    """Who answers a packet with an ICMP error of that kind; None where nobody does."""
    near.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    near.sendto(payload, to)
    waiting = select.poll()
    waiting.register(near, 0)  # errors are always told
    if not waiting.poll(1000 * QUIET_S):
        return None
    _, ancillary, *_ = near.recvmsg(1, 512, socket.MSG_ERRQUEUE)
    for level, name, data in ancillary:
        if (level, name) == (socket.IPPROTO_IP, IP_RECVERR) and data[5] == kind:
            return socket.inet_ntoa(data[20:24])  # struct sock_extended_err, then the teller's sockaddr_in
    return None


def _header(source: str, destination: str) -> bytes:
    """An IPv4 header of a UDP packet, as an ICMP error quotes it."""
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    return struct.pack("!BBHHHBBH", 0x45, 0, 28, 1, 0, 60, 17, 0) + addresses


def _summed(message: bytes) -> bytes:
    """An ICMP message with its checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(message) // 2}H", message))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return message[:2] + struct.pack("!H", ~total & 0xFFFF) + message[4:]


def _mark(sender: socket.socket, dscp: int) -> None:
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True, text=True)


def measure(fault: str | None) -> dict[str, object]:
    """Everything that the tests want to know, of the plan or of the plan with a fault."""
    plan = make_plan(load_topology("small-office"))
    wire = Wire(FAULTS[fault].apply(plan, None) if fault else plan)
    wire.wait_until_up()
    seen: dict[str, object] = {
        "media": wire.exchange("phone", 40000, CLOUD, 30000, dscp=EF).__dict__,
        "media marked best effort, answer marked EF": wire.exchange(
            "pc", 40001, WEB, 9, dscp=0, answer_dscp=EF
        ).__dict__,
        "answer from another port": wire.exchange("phone", 40002, CLOUD, 30002, answer_from=30004).__dict__,
        "phone to pc": wire.direct("phone", 40003, "pc", PC, 40003),
        "pc to phone": wire.direct("pc", 40004, "phone", PHONE, 40004),
        "phone to the internet": wire.exchange("phone", 40005, WEB, 9).__dict__,
        "phone asks for a name": wire.exchange("phone", 40006, RESOLVER, 53).__dict__,
        "phone asks somebody else for a name": wire.exchange("phone", 40007, WEB, 53).__dict__,
        "phone to SIP over TLS": wire.connects("phone", CLOUD, 5096),
        "phone to plain SIP": wire.connects("phone", CLOUD, 5060),
        "pc to the web": wire.connects("pc", WEB, 80),
        "hops of a PC": [wire.hop("pc", WEB, 33434 + ttl, ttl) for ttl in (1, 2)],
        "hops of a phone": [wire.hop("phone", CLOUD, 30000, ttl) for ttl in (1, 2)],
        "false errors": wire.false_errors(),
        "too long for the line": wire.too_long("phone", CLOUD, 30000, PPPOE),
        "spoofed": wire.spoofed(),
        "unasked": wire.unasked(),
    }
    seen["counters"] = {
        name: wire.counter(name) for name in ("voice_media_out", "between_zones", "spoofed", "voice_refused")
    }
    return seen


if __name__ == "__main__":
    json.dump(measure(sys.argv[1] if len(sys.argv) > 1 else None), sys.stdout)

"""Captures of routers that speak BGP and BFD, and of frames at an exchange, without a lab."""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from testbed.frames import TCP, Packet, ip_header, mac
from uclab.capture.routing import BFD, BGP
from uclab.capture.writer import PcapngWriter
from uclab.judge.evidence.run import Run
from uclab.judge.judging import build_evidence
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.plan.schema.plan import Plan

START_NS = 1_800_000_000_000_000_000
MARKER = b"\xff" * 16


def bgp_open(asn: int, router_id: str) -> bytes:
    """An OPEN message (RFC 4271 section 4.2)."""
    body = struct.pack(">BHH4sB", 4, asn, 9, IPv4Address(router_id).packed, 0)
    return MARKER + struct.pack(">HB", 19 + len(body), 1) + body


def bgp_update(asn: int, next_hop: str, *prefixes: str, withdrawn: tuple[str, ...] = ()) -> bytes:
    """An UPDATE message (section 4.3) with origin, AS path of one number, and next hop."""
    attributes = b"\x40\x01\x01\x00" + b"\x40\x02\x04\x02\x01" + struct.pack(">H", asn)
    attributes += b"\x40\x03\x04" + IPv4Address(next_hop).packed
    gone = b"".join(map(_nlri, withdrawn))
    if not prefixes:
        attributes = b""
    body = struct.pack(">H", len(gone)) + gone + struct.pack(">H", len(attributes)) + attributes
    body += b"".join(map(_nlri, prefixes))
    return MARKER + struct.pack(">HB", 19 + len(body), 2) + body


def bfd_control(interval_ms: int, multiplier: int) -> bytes:
    """A BFD control packet (RFC 5880 section 4.1) of a session that is up."""
    interval_us = 1000 * interval_ms
    return struct.pack(">BBBBIIIII", 1 << 5, 3 << 6, multiplier, 24, 1, 2, interval_us, interval_us, 0)


def _nlri(prefix: str) -> bytes:
    net = IPv4Network(prefix)
    return bytes([net.prefixlen]) + net.network_address.packed[: (net.prefixlen + 7) // 8]


@dataclass
class Tapped:
    """Frames at the taps of a plan, and the evidence that the judge makes of them."""

    plan: Plan
    folder: Path
    frames: dict[str, list[tuple[str, bytes]]] = field(default_factory=lambda: defaultdict(list))
    seq: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(lambda: 1))

    def see(self, tap: str, frame: bytes) -> None:
        """A frame at a tap."""
        namespace = next(t.namespace for t in self.plan.taps if t.label == tap)
        self.frames[namespace].append((tap, frame))

    def say(
        self, tap: str, src: str, dst: str, message: bytes, vlan: int | None, *, by_bfd: bool = False
    ) -> None:
        """A message from one router to another."""
        ports = (49152, BFD) if by_bfd else (40000, BGP) if src < dst else (BGP, 40000)
        seq, ack = self.seq[src, dst], self.seq[dst, src]
        packet = Packet(
            "02:00:00:00:00:01", "02:00:00:00:00:02", src, dst, *ports, message, dscp=48, vlan=vlan
        ) if by_bfd else Packet(
            "02:00:00:00:00:01", "02:00:00:00:00:02", src, dst, *ports, message, dscp=48, proto=TCP,
            vlan=vlan, seq=seq, ack=ack,
        )  # fmt: skip
        if not by_bfd:
            self.seq[src, dst] += len(message)
        self.see(tap, bytes(packet))

    def evidence(self) -> RunEvidence:
        """The captures as the judge reads them."""
        self.folder.mkdir(exist_ok=True)
        paths = []
        for namespace, seen in self.frames.items():
            paths.append(self.folder / f"{namespace}.pcapng")
            labels = list(dict.fromkeys(tap for tap, _ in seen))
            with PcapngWriter(paths[-1], labels) as writer:
                for number, (tap, frame) in enumerate(seen):
                    writer.write(labels.index(tap), START_NS + 1_000_000 * number, frame)
        return build_evidence(Run(plan=self.plan, captures=tuple(sorted(paths))))


def udp_frame(src_mac: str, src: str, dst: str, dscp: int, vlan: int, ethertype: int = 0x0800) -> bytes:
    """A tagged frame with a UDP packet."""
    payload = struct.pack(">HHHH", 4000, 4000, 12, 0) + b"abcd"
    tag = struct.pack(">HHH", 0x8100, vlan, ethertype)
    return (
        mac("02:00:00:00:00:99") + mac(src_mac) + tag + ip_header(src, dst, 17, dscp, len(payload)) + payload
    )

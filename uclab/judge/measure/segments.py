"""Checksums of signalling: each TCP segment on the ports of SIP, at each tap where it passed.

Its sequence number and length stay what they are through address translation, and so must its bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from uclab.capture.headers import TCP, Headers
from uclab.capture.packets import Packets
from uclab.judge.evidence.network import Leg

SegmentKey = tuple[Leg, int, int, int]
"""Direction, the session controller's port, sequence number, length."""


@dataclass
class SegmentBytes:
    """Checksums of the payload of signalling at each tap."""

    ports: Sequence[int]
    seen: dict[SegmentKey, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """Segment to tap to (CRC-32, packet number); the first time that it passed. Of a segment that the capture
    cut there is none."""
    cut: set[tuple[SegmentKey, str]] = field(default_factory=set)
    """Segments, and taps whose capture does not hold all of them."""

    def add(self, packets: Packets, columns: Headers, labels: list[str]) -> None:
        """Takes a batch."""
        loaded = (columns.proto == TCP) & (columns.payload_wire > 0)
        up, down = np.isin(columns.dport, self.ports), np.isin(columns.sport, self.ports)
        for row in np.flatnonzero(loaded & (up | down)).tolist():
            begin, length = int(columns.payload[row]), int(columns.payload_wire[row])
            leg: Leg = "up" if up[row] else "down"
            port = int(columns.dport[row] if up[row] else columns.sport[row])
            key = (leg, port, int(columns.tcp_seq[row]), length)
            if columns.payload_len[row] < length:
                self.cut.add((key, labels[packets.interface[row]]))
                continue
            checksum = zlib.crc32(packets.data[begin : begin + length].tobytes())
            at = self.seen.setdefault(key, {})
            at.setdefault(labels[packets.interface[row]], (checksum, int(packets.number[row])))

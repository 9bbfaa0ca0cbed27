"""Minimal pcapng writer: fixtures of tests, and small extracts that tshark is to dissect."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from uclab.capture.pcapng import BYTE_ORDER_MAGIC, EPB, IDB, ISB, SHB

ETHERNET = 1
"""LINKTYPE_ETHERNET."""


class PcapngWriter:
    """Writes one section with the given interfaces, nanosecond clock, little-endian. Use as a context
    manager."""

    def __init__(self, path: Path, interfaces: Sequence[str], link_type: int = ETHERNET) -> None:
        self._stream = path.open("wb")
        self._interfaces = tuple(interfaces)
        self._packets = [0] * len(interfaces)
        self._stream.write(_block(SHB, struct.pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, -1)))
        for name in interfaces:
            options = _option(2, name.encode()) + _option(9, b"\x09") + _option(0, b"")
            self._stream.write(_block(IDB, struct.pack("<HHI", link_type, 0, 0) + options))

    def write(self, interface: int, time_ns: int, frame: bytes, wire_bytes: int | None = None) -> None:
        """Adds one packet seen at the interface of that index; `wire_bytes`: what it had, where that is more
        than there is of it."""
        wire = len(frame) if wire_bytes is None else wire_bytes
        head = struct.pack("<IIIII", interface, time_ns >> 32, time_ns & 0xFFFFFFFF, len(frame), wire)
        self._stream.write(_block(EPB, head + frame + bytes(-len(frame) % 4)))
        self._packets[interface] += 1

    def statistics(self, dropped: Sequence[int] | None = None) -> None:
        """Closes as dumpcap does: one statistics block an interface with what was received and lost."""
        for index, packets in enumerate(self._packets):
            lost = dropped[index] if dropped else 0
            counters = _option(4, struct.pack("<Q", packets)) + _option(5, struct.pack("<Q", 0))
            counters += _option(7, struct.pack("<Q", lost)) + _option(0, b"")
            self._stream.write(_block(ISB, struct.pack("<III", index, 0, 0) + counters))

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> PcapngWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)

"""What a capture file holds: its interfaces, and packets as columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

SLACK = 64
"""Bytes kept free behind a chunk so that header columns may be gathered beyond a short last packet."""

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]


class MalformedCapture(ValueError):
    """A capture file that is not what pcapng says; the message names file, byte position and what is
    wrong."""

    def __init__(self, path: Path | str, position: int, reason: str) -> None:
        super().__init__(f"{path}: at byte {position}: {reason}")
        self.path, self.position, self.reason = str(path), position, reason


@dataclass
class CaptureInterface:
    """An interface of a capture file: name, link type, clock, and what its statistics block says was lost."""

    name: str
    link_type: int
    snap_len: int
    resolution: int = 6
    """`if_tsresol`: a power of ten, or of two with bit 7 set."""
    offset_s: int = 0
    received: int | None = None
    dropped: int | None = None
    """Packets lost by interface or operating system; None: no statistics block (the capture was not
    closed)."""

    @property
    def tick_ns(self) -> int:
        """How long its clock shows one time, rounded up: a packet came within so long after that."""
        power = self.resolution & 0x7F
        per_second: int = 2**power if self.resolution & 0x80 else 10**power
        return -(-1_000_000_000 // per_second)


@dataclass(frozen=True)
class Packets:
    """A batch of packets as columns; `offset` points into `data`, where each packet's `caplen` bytes lie."""

    data: U8
    number: I64
    """1-based in the file, as Wireshark counts."""
    time_ns: I64
    interface: npt.NDArray[np.int32]
    """Index into `PcapngReader.interfaces`."""
    offset: I64
    caplen: I64
    wirelen: I64

    def __len__(self) -> int:
        return len(self.number)

    def packet(self, row: int) -> bytes:
        """The captured bytes of one packet."""
        start = int(self.offset[row])
        return self.data[start : start + int(self.caplen[row])].tobytes()

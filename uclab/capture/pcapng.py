"""Columnar reader of pcapng files (draft-ietf-opsawg-pcapng): bounded chunks in, numpy columns out.

A chunk of some megabytes is read, the block lengths are followed once, and everything else happens on whole
columns, so that memory does not grow with the file. What dumpcap writes is covered: sections of either byte
order, interface descriptions with `if_name` and `if_tsresol`, enhanced and simple packet blocks, interface
statistics (drop counters). A block cut off at the end of the file (a capture that was killed) is tolerated
and reported; anything else that does not hold together raises `MalformedCapture` with the file's name and
the position.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

import numpy as np
import numpy.typing as npt

from uclab.capture.packets import I64, SLACK, U8, CaptureInterface, MalformedCapture, Packets

SHB, IDB, SPB, NRB, ISB, EPB = 0x0A0D0D0A, 1, 3, 4, 5, 6
BYTE_ORDER_MAGIC = 0x1A2B3C4D
MAX_BLOCK = 64 << 20
"""Bytes; a longer block is taken for damage."""


@dataclass
class PcapngReader:
    """Reads one file: `for packets in PcapngReader(path): ...`; `interfaces` fills while reading."""

    path: Path
    chunk_bytes: int = 4 << 20
    interfaces: list[CaptureInterface] = field(default_factory=list)
    truncated: bool = False
    """The last block was cut off."""
    _big: bool = False
    _base: int = 0
    """Index of the current section's first interface."""
    _count: int = 0
    """Packets so far."""

    def __iter__(self) -> Iterator[Packets]:
        with open(self.path, "rb") as stream:
            yield from self._read(stream)

    def _read(self, stream: BufferedReader) -> Iterator[Packets]:
        position, carry, size, first = 0, np.empty(0, np.uint8), self.chunk_bytes, True
        while True:
            buffer = np.zeros(len(carry) + size + SLACK, np.uint8)
            buffer[: len(carry)] = carry
            got = stream.readinto(buffer[len(carry) : len(carry) + size].data)
            end, start = len(carry) + got, 0
            if first and end < 28:
                raise MalformedCapture(self.path, 0, "no pcapng section header (the file is too short)")
            while start < end:
                if end - start >= 12 and _u32(buffer, start, False) == SHB:
                    used = self._section(buffer, start, end, position, last=got == 0)
                elif first:
                    raise MalformedCapture(self.path, 0, "not a pcapng file (no section header block)")
                else:
                    used, packets = self._blocks(buffer, start, end, position)
                    if packets is not None and len(packets):
                        yield packets
                if used == 0:
                    break
                first, start = False, start + used
            if got == 0:
                self.truncated = start < end
                return
            position += start
            carry = buffer[start:end].copy()
            size = self.chunk_bytes if start else size * 2
            if size > 2 * MAX_BLOCK:
                raise MalformedCapture(self.path, position, "block longer than 64 MiB")

    def _section(self, buffer: U8, start: int, end: int, position: int, last: bool) -> int:
        """Takes a section header block: byte order, and interfaces count from zero. Bytes used, 0 when more
        are needed."""
        magic = _u32(buffer, start + 8, False)
        if magic == BYTE_ORDER_MAGIC:
            self._big = False
        elif magic == 0x4D3C2B1A:
            self._big = True
        else:
            raise MalformedCapture(self.path, position + start, f"bad byte-order magic {magic:#010x}")
        length = _u32(buffer, start + 4, self._big)
        if length < 28 or length % 4 or length > MAX_BLOCK:
            raise MalformedCapture(self.path, position + start, f"section header of {length} bytes")
        if start + length > end:
            return 0
        if _u32(buffer, start + length - 4, self._big) != length:
            raise MalformedCapture(self.path, position + start, "section header's two lengths differ")
        self._base = len(self.interfaces)
        return length

    def _blocks(self, buffer: U8, start: int, end: int, position: int) -> tuple[int, Packets | None]:
        """All whole blocks from `start` up to the next section: (bytes used, packets)."""
        words = buffer[start : start + (len(buffer) - start) // 4 * 4].view(">u4" if self._big else "<u4")
        if words.dtype.byteorder not in ("=", "|"):
            words = words.astype(np.uint32)
        blocks, used, bad = _follow(words.data, (end - start) // 4)
        at = np.array(blocks, np.int64)
        kind = words[at] if len(at) else np.empty(0, np.uint32)
        sections = np.flatnonzero(kind == SHB)
        if len(sections):
            at, kind, bad = at[: sections[0]], kind[: sections[0]], None
            used = blocks[int(sections[0])]
        if bad is not None and words[used] != SHB:  # a section may be of the other byte order
            raise MalformedCapture(self.path, position + start + used * 4, f"block length {bad}")
        if not len(at):
            return 0, None
        length = words[at + 1].astype(np.int64)
        differ = np.flatnonzero(words[at + length // 4 - 1] != length)
        if len(differ):
            where = position + start + int(at[differ[0]]) * 4
            raise MalformedCapture(self.path, where, "a block's two lengths differ")
        for index in np.flatnonzero((kind == IDB) | (kind == ISB)):
            offset, size = start + int(at[index]) * 4, int(length[index])
            body = buffer[offset + 8 : offset + size - 4].tobytes()
            (self._describe if kind[index] == IDB else self._statistics)(body, position + offset)
        packet = (kind == EPB) | (kind == SPB)
        if not packet.any():
            return used * 4, None
        return used * 4, self._columns(
            buffer, words, start, position, at[packet], length[packet], kind[packet]
        )

    def _columns(
        self,
        buffer: U8,
        words: npt.NDArray[np.uint32],
        start: int,
        position: int,
        at: I64,
        length: I64,
        kind: npt.NDArray[np.uint32],
    ) -> Packets:
        simple = kind == SPB
        at_safe = np.where(length >= 32, at, 0)  # a simple block may be shorter than an enhanced one's head
        interface = np.where(simple, 0, words[at_safe + 2].astype(np.int64)) + self._base
        wirelen = np.where(simple, words[at + 2], words[at_safe + 6]).astype(np.int64)
        room = length - np.where(simple, 16, 32)
        wrong = np.flatnonzero((room < 0) | (interface >= len(self.interfaces)))
        if len(wrong):
            index = int(wrong[0])
            why = (
                "packet block too short" if room[index] < 0 else f"unknown interface {int(interface[index])}"
            )
            raise MalformedCapture(self.path, position + start + int(at[index]) * 4, why)
        snap = np.array([i.snap_len or (1 << 31) for i in self.interfaces], np.int64)[interface]
        caplen = np.where(
            simple, np.minimum(np.minimum(wirelen, snap), room), words[at_safe + 5].astype(np.int64)
        )
        wrong = np.flatnonzero(caplen > room)
        if len(wrong):
            where = position + start + int(at[wrong[0]]) * 4
            raise MalformedCapture(self.path, where, "captured length is longer than its block")
        ticks = (words[at_safe + 3].astype(np.int64) << 32) | words[at_safe + 4]
        time_ns = np.zeros(len(at), np.int64)
        for index in np.unique(interface):
            rows = interface == index
            time_ns[rows] = _nanoseconds(ticks[rows], self.interfaces[int(index)])
        time_ns[simple] = 0
        number = np.arange(self._count + 1, self._count + 1 + len(at), dtype=np.int64)
        self._count += len(at)
        offset = start + at * 4 + np.where(simple, 12, 28)
        return Packets(buffer, number, time_ns, interface.astype(np.int32), offset, caplen, wirelen)

    def _describe(self, body: bytes, position: int) -> None:
        order = ">" if self._big else "<"
        if len(body) < 8:
            raise MalformedCapture(self.path, position, "interface description too short")
        link_type, _, snap_len = struct.unpack_from(order + "HHI", body)
        interface = CaptureInterface(f"interface{len(self.interfaces) - self._base}", link_type, snap_len)
        for code, value in self._options(body[8:], position):
            if code == 2:
                interface.name = value.decode("utf-8", "replace").rstrip("\0")
            elif code == 9 and len(value) >= 1:
                interface.resolution = value[0]
                if (value[0] & 0x7F) > (63 if value[0] & 0x80 else 18):
                    raise MalformedCapture(self.path, position, f"time resolution {value[0]:#x}")
            elif code == 14 and len(value) == 8:
                interface.offset_s = struct.unpack(order + "q", value)[0]
        self.interfaces.append(interface)

    def _statistics(self, body: bytes, position: int) -> None:
        order = ">" if self._big else "<"
        if len(body) < 12:
            raise MalformedCapture(self.path, position, "interface statistics too short")
        index = self._base + int(struct.unpack_from(order + "I", body)[0])
        if index >= len(self.interfaces):
            raise MalformedCapture(self.path, position, f"statistics of unknown interface {index}")
        counters = {
            c: struct.unpack(order + "Q", v)[0] for c, v in self._options(body[12:], position) if len(v) == 8
        }
        self.interfaces[index].received = counters.get(4)
        self.interfaces[index].dropped = counters.get(5, 0) + counters.get(7, 0)

    def _options(self, body: bytes, position: int) -> Iterator[tuple[int, bytes]]:
        at, order = 0, ">" if self._big else "<"
        while at + 4 <= len(body):
            code, length = struct.unpack_from(order + "HH", body, at)
            if code == 0:
                return
            if at + 4 + length > len(body):
                raise MalformedCapture(self.path, position, f"option {code} runs over its block's end")
            yield code, body[at + 4 : at + 4 + length]
            at += 4 + (length + 3) // 4 * 4


def _follow(words: memoryview, end: int) -> tuple[list[int], int, int | None]:
    """Follows the block lengths, the one thing that is sequential: (starts in words, words used, a bad
    length)."""
    starts: list[int] = []
    append, at = starts.append, 0
    while at + 3 <= end:
        length = words[at + 1]
        if length < 12 or length & 3 or length > MAX_BLOCK:
            return starts, at, length
        following = at + (length >> 2)
        if following > end:
            break
        append(at)
        at = following
    return starts, at, None


def _u32(buffer: U8, at: int, big: bool) -> int:
    return int.from_bytes(buffer[at : at + 4].tobytes(), "big" if big else "little")


def _nanoseconds(ticks: I64, interface: CaptureInterface) -> I64:
    power = interface.resolution & 0x7F
    if interface.resolution & 0x80:
        seconds, fraction = ticks >> power, ticks & ((1 << power) - 1)
        if power > 30:
            fraction, power = fraction >> (power - 30), 30
        nanoseconds = seconds * 1_000_000_000 + ((fraction * 1_000_000_000) >> power)
    elif power <= 9:
        nanoseconds = ticks * 10 ** (9 - power)
    else:
        nanoseconds = ticks // 10 ** (power - 9)
    shifted: I64 = nanoseconds + interface.offset_s * 1_000_000_000
    return shifted

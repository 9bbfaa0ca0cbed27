"""A pcapng file as a list of raw blocks, of which packets can be changed, dropped, added and moved while all
other bytes stay what they are (draft-ietf-opsawg-pcapng; little endian, enhanced packet blocks, as dumpcap
writes)."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
IF_NAME, IF_RESOLUTION, RECEIVED, DROPPED = 2, 9, 4, 5


@dataclass(frozen=True)
class Captured:
    """One captured packet."""

    interface: int
    time_ns: int
    frame: bytes
    wirelen: int
    options: bytes = b""

    def with_frame(self, frame: bytes) -> Captured:
        """Another frame, wholly captured."""
        return replace(self, frame=frame, wirelen=len(frame))

    def moved(self, by_ns: int) -> Captured:
        """The same packet at another time."""
        return replace(self, time_ns=self.time_ns + by_ns)


Edit = Callable[[Captured], Iterable[Captured]]
"""What becomes of a packet: none, itself, another, several."""


@dataclass(frozen=True)
class CaptureBlocks:
    """All blocks in their order."""

    blocks: tuple[bytes | Captured, ...]

    @staticmethod
    def read(path: Path) -> CaptureBlocks:
        """Raises `ValueError` where that is no such file."""
        data = path.read_bytes()
        blocks: list[bytes | Captured] = []
        ticks: list[int] = []
        at = 0
        while at < len(data):
            kind, length = struct.unpack_from("<II", data, at)
            if length < 12 or at + length > len(data):
                raise ValueError(f"{path}: at byte {at}: a block of {length} bytes")
            block = data[at : at + length]
            if kind == INTERFACE:
                digits = dict(options(block[16:-4])).get(IF_RESOLUTION, b"\x06")[0]
                ticks.append(10 ** (9 - digits))
            if kind == PACKET:
                interface, high, low, kept, original = struct.unpack_from("<IIIII", block, 8)
                rest = block[28 + kept + (-kept % 4) : -4]
                moment = (high << 32 | low) * ticks[interface]
                blocks.append(Captured(interface, moment, block[28 : 28 + kept], original, rest))
            else:
                blocks.append(block)
            at += length
        return CaptureBlocks(tuple(blocks))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The interfaces' names."""
        return tuple(dict(options(b[16:-4]))[IF_NAME].decode() for b in self._of(INTERFACE))

    @cached_property
    def packets(self) -> tuple[Captured, ...]:
        """The packets alone."""
        return tuple(block for block in self.blocks if isinstance(block, Captured))

    def edited(self, edit: Edit, in_order: bool = False) -> CaptureBlocks:
        """Each packet as `edit` leaves it; `in_order`: sorted by time afterwards, as a capture would have
        it."""
        changed: list[bytes | Captured] = []
        for block in self.blocks:
            changed += [block] if isinstance(block, bytes) else edit(block)
        if in_order:
            packets = iter(sorted((b for b in changed if isinstance(b, Captured)), key=lambda p: p.time_ns))
            changed = [block if isinstance(block, bytes) else next(packets) for block in changed]
        return CaptureBlocks(tuple(changed))

    def with_packets(self, more: Iterable[Captured]) -> CaptureBlocks:
        """Further packets, each where its time puts it."""
        changed: list[bytes | Captured] = []
        waiting = sorted(more, key=lambda p: p.time_ns, reverse=True)
        for block in self.blocks:
            last = isinstance(block, bytes) and block[:4] == struct.pack("<I", STATISTICS)
            while waiting and (
                last or (isinstance(block, Captured) and waiting[-1].time_ns <= block.time_ns)
            ):
                changed.append(waiting.pop())
            changed.append(block)
        return CaptureBlocks((*changed, *reversed(waiting)))

    def with_blocks(self, edit: Callable[[int, bytes], Iterable[bytes]]) -> CaptureBlocks:
        """Blocks that are no packets as `edit` (kind, block) leaves them."""
        changed: list[bytes | Captured] = []
        for block in self.blocks:
            changed += edit(kind_of(block), block) if isinstance(block, bytes) else [block]
        return CaptureBlocks(tuple(changed))

    def write(self, path: Path, clean: CaptureBlocks) -> None:
        """Writes the file; statistics count as many packets more or fewer than in `clean` as the interface
        has now: whoever did not capture a packet did not count it either."""
        names = self.names
        count = Counter(names[p.interface] for p in self.packets)
        count.subtract(Counter(clean.names[p.interface] for p in clean.packets))
        more = Counter({index: count[name] for index, name in enumerate(names)})
        ticks = [
            10 ** (9 - dict(options(b[16:-4])).get(IF_RESOLUTION, b"\x06")[0]) for b in self._of(INTERFACE)
        ]
        out = []
        for block in self.blocks:
            if isinstance(block, Captured):
                out.append(_packet_block(block, ticks[block.interface]))
            elif kind_of(block) == STATISTICS:
                out.append(_counted(block, more))
            else:
                out.append(block)
        path.write_bytes(b"".join(out))

    def _of(self, kind: int) -> Iterator[bytes]:
        return (b for b in self.blocks if isinstance(b, bytes) and kind_of(b) == kind)


def kind_of(block: bytes) -> int:
    return int.from_bytes(block[:4], "little")


def whole_block(kind: int, body: bytes) -> bytes:
    """A block with its two lengths."""
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Codes and values."""
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from("<HH", data, at)
        if code == 0:
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + length + (-length % 4)


def _packet_block(packet: Captured, tick_ns: int) -> bytes:
    moment = packet.time_ns // tick_ns
    head = struct.pack(
        "<IIIII", packet.interface, moment >> 32, moment & 0xFFFFFFFF, len(packet.frame), packet.wirelen
    )
    padded = packet.frame + bytes(-len(packet.frame) % 4)
    return whole_block(PACKET, head + padded + packet.options)


def _counted(block: bytes, more: Counter[int]) -> bytes:
    interface = int.from_bytes(block[8:12], "little")
    if not more[interface]:
        return block
    body = block[8:20]
    for code, value in options(block[20:-4]):
        if code == RECEIVED:
            value = struct.pack("<Q", max(0, int.from_bytes(value, "little") + more[interface]))
        body += option(code, value)
    return whole_block(STATISTICS, body + bytes(4))

"""Search for what must never be readable on the way: SIP text, SDES keys, credentials, in every byte of
every frame, whatever carries it, and where TCP splits it between two segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from uclab.capture.headers import TCP, Headers
from uclab.capture.packets import Packets
from uclab.judge.measure.needle import WORD, Needles

SIP_TEXT = {
    b"SIP/2.0": "SIP",
    b"a=crypto:": "an SDES key",
    b"m=audio ": "SDP",
    b"Digest username=": "a digest response",
}
LINE, BEFORE = 60, 40
"""Characters of a line that are kept as evidence, and bytes in front of what was found that may be its."""
OPEN_ENDS = 1 << 14
"""Ends of TCP segments that wait for what follows them, and beginnings for what was before, at most."""
Seam = tuple[str, int, int, int, int, int]
"""Tap, both ends of a direction of a TCP connection, and a sequence number in it."""


@dataclass
class Leak:
    """Something readable at a tap."""

    tap: str
    what: str
    src: int
    """0 where it stood in no IPv4 packet that was read."""
    dst: int
    src_mac: int = 0
    packets: int = 0
    samples: list[int] = field(default_factory=list)
    text: str = ""
    """The first line in which it stood; secrets are not repeated."""


@dataclass
class ReadableSearch:
    """Collects leaks over batches, and counts what was searched: a search through nothing proves nothing."""

    secrets: dict[bytes, str]
    """Secret -> whose it is."""
    leaks: dict[tuple[str, str, int, int, int], Leak] = field(default_factory=dict)
    searched: dict[str, int] = field(default_factory=dict)
    """Tap -> frames that were searched."""
    _ends: dict[Seam, bytes] = field(default_factory=dict)
    """The last bytes in front of a place in a TCP connection."""
    _beginnings: dict[Seam, bytes] = field(default_factory=dict)
    """The first bytes from there on: a segment may come before the one in front of it."""

    def __post_init__(self) -> None:
        self._what = {**SIP_TEXT, **self.secrets}
        self._needles = Needles(self._what)
        self._longest = max(map(len, self._needles.texts)) - 1

    @staticmethod
    def for_accounts(
        accounts: Iterable[tuple[str, str]], texts: Mapping[bytes, str] | None = None
    ) -> ReadableSearch:
        """Search for the passwords of these (user, password), and for other texts, each with what it is."""
        return ReadableSearch(
            {
                **{password.encode(): f"the password of {user}" for user, password in accounts if password},
                **(texts or {}),
            }
        )

    def add(self, packets: Packets, columns: Headers, labels: list[str]) -> None:
        """Takes a batch."""
        counts = np.bincount(packets.interface, minlength=len(labels))
        for label, count in zip(labels, counts.tolist(), strict=False):
            if count:
                self.searched[label] = self.searched.get(label, 0) + count
        begin = int(packets.offset[0]) // WORD * WORD
        end = int(packets.offset[-1] + packets.caplen[-1])
        noted: set[tuple[int, bytes]] = set()
        for at, needle in sorted(self._needles.find(packets.data[begin:end])):
            row = int(np.searchsorted(packets.offset, begin + at, "right")) - 1
            if row < 0 or (row, needle) in noted:
                continue
            where = begin + at - int(packets.offset[row])
            if where + len(needle) <= int(packets.caplen[row]):
                noted.add((row, needle))
                self._note(packets, columns, labels, row, needle, packets.packet(row), where)
        for row in np.flatnonzero((columns.proto == TCP) & (columns.payload_len > 0)).tolist():
            for joined, seam in self._seams(packets, columns, labels, row):
                for needle in self._needles.texts:
                    where = joined.find(needle)
                    if 0 <= where < seam < where + len(needle):
                        self._note(packets, columns, labels, row, needle, joined, where)

    def _seams(
        self, packets: Packets, columns: Headers, labels: list[str], row: int
    ) -> Iterator[tuple[bytes, int]]:
        """The bytes around the places where a segment meets its neighbours, and where in them that is."""
        direction = (
            labels[packets.interface[row]],
            int(columns.src[row]),
            int(columns.dst[row]),
            int(columns.sport[row]),
            int(columns.dport[row]),
        )
        begin, length = int(columns.payload[row]), int(columns.payload_len[row])
        wire, few = int(columns.payload_wire[row]), min(length, self._longest)
        here = (*direction, int(columns.tcp_seq[row]))
        behind = (*direction, (here[-1] + wire) & 0xFFFFFFFF)
        first = packets.data[begin : begin + few].tobytes()
        last = packets.data[begin + length - few : begin + length].tobytes()
        before = self._ends.pop(here, None)
        if before is not None:
            yield before + first, len(before)
            last = last if length > few else (before + last)[-self._longest :]
        self._beginnings[here] = first
        if length < wire:
            return
        after = self._beginnings.pop(behind, None)
        if after is not None:
            yield last + after, len(last)
            if length == few:
                self._beginnings[here] = (first + after)[: self._longest]
        self._ends[behind] = last
        for waiting in (self._ends, self._beginnings):
            if len(waiting) > OPEN_ENDS:
                del waiting[next(iter(waiting))]

    def _note(
        self,
        packets: Packets,
        columns: Headers,
        labels: list[str],
        row: int,
        needle: bytes,
        text: bytes,
        at: int,
    ) -> None:
        tap, what = labels[packets.interface[row]], self._what[needle]
        ends = int(columns.src[row]), int(columns.dst[row]), int(columns.src_mac[row])
        leak = self.leaks.setdefault((tap, what, *ends), Leak(tap, what, *ends))
        leak.packets += 1
        if len(leak.samples) < 3:
            leak.samples.append(int(packets.number[row]))
        if not leak.text and needle not in self.secrets:
            begin = max(text.rfind(b"\n", 0, at) + 1, at - BEFORE)
            end = text.find(b"\n", at)
            line = text[begin : end if end >= 0 else None].decode("latin-1")
            leak.text = "".join(filter(str.isprintable, line)).strip()[:LINE]

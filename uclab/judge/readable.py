"""Search for what must never be readable on the way: SIP text, SDES keys, credentials, in all TCP and UDP
payloads that are not RTP."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from uclab.capture.headers import Headers, Mask
from uclab.capture.pcapng import Packets

SIP_TEXT = {
    b"SIP/2.0": "SIP",
    b"a=crypto:": "an SDES key",
    b"m=audio ": "SDP",
    b"Digest username=": "a digest response",
}


@dataclass
class Leak:
    """Something readable at a tap."""

    tap: str
    what: str
    src: int
    dst: int
    packets: int = 0
    samples: list[int] = field(default_factory=list)
    text: str = ""
    """The first line in which it stood; secrets are not repeated."""


@dataclass
class ReadableSearch:
    """Collects leaks over batches, and counts what was searched: a search through nothing proves nothing."""

    secrets: dict[bytes, str]
    """Secret -> whose it is."""
    leaks: dict[tuple[str, str, int, int], Leak] = field(default_factory=dict)
    searched: dict[str, int] = field(default_factory=dict)
    """Tap -> packets with payload that were searched."""

    @staticmethod
    def for_accounts(accounts: Iterable[tuple[str, str]]) -> ReadableSearch:
        """Search for the passwords of these (user, password)."""
        return ReadableSearch(
            {password.encode(): f"the password of {user}" for user, password in accounts if password}
        )

    def add(self, packets: Packets, columns: Headers, labels: list[str], media: Mask) -> None:
        """Takes a batch."""
        rows = np.flatnonzero((columns.payload_len > 0) & ~media)
        if not len(rows):
            return
        taps, counts = np.unique(packets.interface[rows], return_counts=True)
        for tap, count in zip(taps.tolist(), counts.tolist(), strict=True):
            self.searched[labels[tap]] = self.searched.get(labels[tap], 0) + count
        starts = columns.payload[rows].tolist()
        ends = (columns.payload[rows] + columns.payload_len[rows]).tolist()
        view = packets.data.data
        text = b"\n".join([view[a:b] for a, b in zip(starts, ends, strict=True)])
        first = np.concatenate(([0], np.cumsum(columns.payload_len[rows] + 1)))[:-1].tolist()
        for needle, what in (*SIP_TEXT.items(), *self.secrets.items()):
            at = text.find(needle)
            while at >= 0:
                index = bisect_right(first, at) - 1
                self._note(packets, columns, labels, int(rows[index]), what, text, at, needle in self.secrets)
                at = text.find(needle, first[index] + ends[index] - starts[index])

    def _note(
        self,
        packets: Packets,
        columns: Headers,
        labels: list[str],
        row: int,
        what: str,
        text: bytes,
        at: int,
        secret: bool,
    ) -> None:
        tap, src, dst = labels[packets.interface[row]], int(columns.src[row]), int(columns.dst[row])
        leak = self.leaks.setdefault((tap, what, src, dst), Leak(tap, what, src, dst))
        leak.packets += 1
        if len(leak.samples) < 3:
            leak.samples.append(int(packets.number[row]))
        if not leak.text and not secret:
            begin = text.rfind(b"\n", 0, at) + 1
            end = text.find(b"\n", at)
            leak.text = text[begin : end if end >= 0 else None][:60].decode("latin-1").strip()

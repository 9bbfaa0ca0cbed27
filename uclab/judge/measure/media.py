"""Media followed from tap to tap: a packet is recognised by SSRC and sequence number, so its walk, delay and
loss are exact.

Rows of all captures come in order of time. The time at which each packet left its sender is kept in a ring
of 4096 packets a stream (82 s of voice), every other tap looks it up there, and what is kept a tap is a
count and a histogram: memory depends on the number of streams and taps, not on the length of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from uclab.capture.packets import I64
from uclab.judge.evidence.network import LEGS
from uclab.judge.measure.emodel import BY_PAYLOAD_TYPE, G711
from uclab.judge.measure.media_gaps import Timeline
from uclab.judge.measure.streams import CallWindow, Hop, Second, Stream, window_for

RING = 4096
"""Packets of a stream that may be on the way at once; a power of two that divides 65536."""
OPENING_NS = 1_000_000_000
"""Packets lost within the first second because the way was not open yet (NAT, answer on its way) are no line
loss."""
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class MediaRows:
    """Columns of media packets at taps."""

    time_ns: I64
    tap: npt.NDArray[np.int32]
    """Index into the follower's tap labels."""
    leg: npt.NDArray[np.int8]
    ssrc: npt.NDArray[np.uint32]
    seq: npt.NDArray[np.int32]
    rtp_time: npt.NDArray[np.uint32]
    payload_type: npt.NDArray[np.int16]
    sender: npt.NDArray[np.int16]
    """Index of the endpoint that sent the packet where this is its first tap, else -1."""
    port: npt.NDArray[np.int32]
    """UDP port of the session controller."""

    def __len__(self) -> int:
        return len(self.time_ns)

    def pick(self, rows: npt.NDArray[np.generic]) -> MediaRows:
        """Some of the rows."""
        return MediaRows(*(column[rows] for column in self._columns()))

    def _columns(self) -> tuple[npt.NDArray[np.generic], ...]:
        return (
            self.time_ns,
            self.tap,
            self.leg,
            self.ssrc,
            self.seq,
            self.rtp_time,
            self.payload_type,
            self.sender,
            self.port,
        )

    @staticmethod
    def join(parts: Sequence[MediaRows]) -> MediaRows:
        """All rows of several."""
        return MediaRows(
            *(np.concatenate(columns) for columns in zip(*(p._columns() for p in parts), strict=True))
        )


@dataclass
class MediaFollower:
    """Takes media rows in order of time; ends with streams and hops."""

    labels: Sequence[str]
    endpoint_of_first_tap: dict[int, int]
    """Tap index -> endpoint index."""
    windows: Sequence[CallWindow] = ()
    streams: list[Stream] = field(default_factory=list)
    hops: dict[tuple[int, int, int], Hop] = field(default_factory=dict)
    """(stream, tap, leg) -> figures; of packets that count."""
    watched: frozenset[int] = frozenset()
    """Taps at which it is kept when packets passed: those of the sites' lines."""
    passed: dict[tuple[int, int, int], Timeline] = field(default_factory=dict)
    """(stream, watched tap, leg) -> when packets passed there."""
    anchors: frozenset[int] = frozenset()
    """The session controllers' taps, between the two paths of a call."""
    anchored: dict[tuple[int, int, int], dict[int, int]] = field(default_factory=dict)
    """(stream, anchor, leg) -> packets there by the second since the epoch in which they were sent."""
    unmatched: dict[int, int] = field(default_factory=dict)
    """Tap -> media packets that no endpoint was seen sending."""
    _index: dict[int, int] = field(default_factory=dict)
    _sent_at: I64 = field(default_factory=lambda: np.zeros((0, RING), np.int64))
    _stamp: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, RING), np.int64))
    _arrived: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, RING), np.bool_))

    def add(self, rows: MediaRows) -> None:
        """Takes further rows, none older than those before."""
        if not len(rows):
            return
        self._open_streams(rows)
        unique, inverse = np.unique(rows.ssrc, return_inverse=True)
        stream = np.array([self._index.get(int(s), -1) for s in unique], np.int64)[inverse]
        slot = (rows.seq & (RING - 1)).astype(np.int64)
        at_sender = (rows.sender >= 0) & (stream >= 0)
        own = self._sent_first(rows, stream, slot, at_sender)
        self._sent_at[stream[own], slot[own]] = rows.time_ns[own]
        self._stamp[stream[own], slot[own]] = rows.rtp_time[own]
        self._arrived[stream[own], slot[own]] = False
        known = stream >= 0
        sent = (
            np.where(known, self._sent_at[stream, slot], 0)
            if len(self.streams)
            else np.zeros(len(rows), np.int64)
        )
        if len(self.streams):
            known &= (self._stamp[stream, slot] == rows.rtp_time) & (sent > 0) & (sent <= rows.time_ns)
        for tap, count in zip(*np.unique(rows.tap[~known], return_counts=True), strict=True):
            self.unmatched[int(tap)] = self.unmatched.get(int(tap), 0) + int(count)
        begin = np.array([s.window.answered_ns if s.window else 0 for s in self.streams] or [0], np.int64)
        end = np.array([s.window.end_ns if s.window else 1 << 62 for s in self.streams] or [0], np.int64)
        counts = known & (sent >= begin[stream]) & (sent <= end[stream])
        self._count_hops(rows, stream, sent, counts)
        self._count_sent(rows, stream, counts & own)
        at_endpoint = np.isin(rows.tap, list(self.endpoint_of_first_tap)) & ~at_sender & counts
        self._count_received(rows, stream, slot, sent, at_endpoint)

    def _sent_first(
        self, rows: MediaRows, stream: I64, slot: I64, at_sender: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """Which rows at their sender's tap show a packet there for the first time: one that a capture holds
        twice was sent when it was first seen."""
        chosen = np.flatnonzero(at_sender)
        stamp = rows.rtp_time[chosen].astype(np.int64)
        packet = ((stream[chosen] * RING + slot[chosen]) << 32) | stamp
        first = np.zeros(len(chosen), np.bool_)
        first[np.unique(packet, return_index=True)[1]] = True
        if len(self.streams):
            before = stream[chosen], slot[chosen]
            first &= (self._stamp[before] != rows.rtp_time[chosen]) | (self._sent_at[before] == 0)
        found = np.zeros(len(rows), np.bool_)
        found[chosen[first]] = True
        return found

    def _open_streams(self, rows: MediaRows) -> None:
        own = np.flatnonzero(rows.sender >= 0)
        unique, first = np.unique(rows.ssrc[own], return_index=True)
        new = [(int(s), int(own[f])) for s, f in zip(unique, first, strict=True) if int(s) not in self._index]
        for ssrc, row in new:
            sender, time_ns = int(rows.sender[row]), int(rows.time_ns[row])
            window = window_for(self.windows, sender, time_ns, int(rows.port[row]))
            kind = int(rows.payload_type[row])
            stream = Stream(ssrc, sender, kind, time_ns, window)
            stream.jitter.clock_hz = BY_PAYLOAD_TYPE.get(kind, G711).clock_hz
            self._index[ssrc] = len(self.streams)
            self.streams.append(stream)
        if new:
            self._sent_at = _grown(self._sent_at, len(self.streams))
            self._stamp = _grown(self._stamp, len(self.streams))
            self._arrived = _grown(self._arrived, len(self.streams))

    def _count_hops(self, rows: MediaRows, stream: I64, sent: I64, counts: npt.NDArray[np.bool_]) -> None:
        chosen = np.flatnonzero(counts)
        if not len(chosen):
            return
        taps = len(self.labels)
        code = (stream[chosen] * 3 + rows.leg[chosen]) * taps + rows.tap[chosen]
        delay_us = (rows.time_ns[chosen] - sent[chosen]) / 1000.0
        for value, part in _groups(code, np.arange(len(chosen))):
            rest, tap = divmod(value, taps)
            number, leg = divmod(rest, 3)
            hop = self.hops.setdefault((number, tap, leg), Hop(self.labels[tap], LEGS[leg]))
            own = chosen[part]
            own = own[hop.add(rows.time_ns[own], rows.seq[own], delay_us[part])]
            if tap in self.anchors:
                seconds = self.anchored.setdefault((number, tap, leg), {})
                for second, count in zip(
                    *np.unique(sent[own] // 1_000_000_000, return_counts=True), strict=True
                ):
                    seconds[int(second)] = seconds.get(int(second), 0) + int(count)
            if tap in self.watched:
                self.passed.setdefault((number, tap, leg), Timeline()).add(rows.time_ns[own])

    def _count_sent(self, rows: MediaRows, stream: I64, own: npt.NDArray[np.bool_]) -> None:
        for number, part in _groups(stream, np.flatnonzero(own)):
            followed = self.streams[number]
            times = rows.time_ns[part]
            followed.sent += len(part)
            if followed.window:
                followed._opening_sent += int((times < followed.window.answered_ns + OPENING_NS).sum())
            for second, count in zip(*np.unique(times // 1_000_000_000, return_counts=True), strict=True):
                followed.seconds.setdefault(int(second), Second()).sent += int(count)

    def _count_received(
        self, rows: MediaRows, stream: I64, slot: I64, sent: I64, here: npt.NDArray[np.bool_]
    ) -> None:
        chosen = np.flatnonzero(here)
        again = self._arrived[stream[chosen], slot[chosen]] if len(chosen) else np.zeros(0, np.bool_)
        _, first = np.unique(stream[chosen] * RING + slot[chosen], return_index=True)
        repeated = np.ones(len(chosen), np.bool_)
        repeated[first] = False
        again |= repeated
        self._arrived[stream[chosen], slot[chosen]] = True
        for number in stream[chosen[again]].tolist():
            self.streams[number].duplicates += 1
        for number, part in _groups(stream, chosen[~again]):
            followed = self.streams[number]
            if followed.received == 0:
                followed.opened_s = int(sent[part[0]] // 1_000_000_000)
                followed.receiver = self.endpoint_of_first_tap[int(rows.tap[part[0]])]
                if followed.window:
                    left = self._sent_at[number]
                    before = int(((left >= followed.window.answered_ns) & (left < sent[part[0]])).sum())
                    followed.early = min(before, followed._opening_sent)
            arrivals = rows.time_ns[part]
            delay_ms = (arrivals - sent[part]) / 1e6
            estimates = followed.jitter.add(arrivals, rows.rtp_time[part])
            followed.received += len(part)
            followed.delay_sum_ms += float(delay_ms.sum())
            followed.delay_max_ms = max(followed.delay_max_ms, float(delay_ms.max()))
            gaps = np.diff(arrivals, prepend=followed._last_arrival or arrivals[0])
            followed.gap_max_ms = max(followed.gap_max_ms, float(gaps.max()) / 1e6)
            followed._last_arrival = int(arrivals[-1])
            followed.heard.add(arrivals)
            seconds, inverse = np.unique(sent[part] // 1_000_000_000, return_inverse=True)
            delays, counts = np.bincount(inverse, delay_ms), np.bincount(inverse)
            for index, second in enumerate(seconds.tolist()):
                figures = followed.seconds.setdefault(second, Second())
                figures.received += int(counts[index])
                figures.delay_sum_ms += float(delays[index])
                figures.jitter_sum_ms += float(estimates[inverse == index].sum())


def _groups(stream: I64, rows: npt.NDArray[np.intp]) -> list[tuple[int, npt.NDArray[np.intp]]]:
    """Rows by stream, each group still in order of time."""
    if not len(rows):
        return []
    order = rows[np.argsort(stream[rows], kind="stable")]
    numbers, starts = np.unique(stream[order], return_index=True)
    return list(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))


def _grown(table: npt.NDArray[Scalar], rows: int) -> npt.NDArray[Scalar]:
    """The table with room for more streams; it grows by half so that growing stays cheap."""
    if rows <= len(table):
        return table
    bigger = np.zeros((max(rows, len(table) * 3 // 2, 8), RING), table.dtype)
    bigger[: len(table)] = table
    return bigger

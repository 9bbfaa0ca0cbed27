"""What a path does to probes: delay, jitter and loss over the last seconds, where they arrive (W6).

Probes are numbered and carry the time at which they were sent; both ends have one clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

SILENT_INTERVALS = 10
"""Probes missing at the end count as lost after so many intervals without any: until then a busy machine, or
the delay of those on the way, may be all there is."""


@dataclass(frozen=True)
class Figures:
    """Of one path, one way, or the worse of both."""

    delay_ms: float
    """Mean."""
    jitter_ms: float
    """Mean difference of two successive probes' delays."""
    loss_pct: float


def worse(one: Figures | None, other: Figures | None) -> Figures | None:
    """The worse of two directions in every respect; None where one is not known."""
    if one is None or other is None:
        return None
    return Figures(
        max(one.delay_ms, other.delay_ms),
        max(one.jitter_ms, other.jitter_ms),
        max(one.loss_pct, other.loss_pct),
    )


@dataclass(frozen=True)
class Arrival:
    """A probe that arrived; times in seconds of the one clock."""

    number: int
    sent: float
    received: float


class Arrivals:
    """The probes of one path in the last `window_s` seconds."""

    def __init__(self, interval_s: float, window_s: float) -> None:
        self._interval_s = interval_s
        self._window_s = window_s
        self._kept: deque[Arrival] = deque()
        self._last: Arrival | None = None

    def add(self, arrival: Arrival) -> None:
        """Takes a probe, in order of arrival."""
        self._kept.append(arrival)
        self._last = arrival

    def figures(self, now: float) -> Figures | None:
        """Figures of the last seconds; None before the first probe."""
        while self._kept and self._kept[0].received < now - self._window_s:
            self._kept.popleft()
        if self._last is None:
            return None
        if not self._kept:
            return Figures(1000 * self._window_s, 0.0, 100.0)
        numbers = {arrival.number for arrival in self._kept}
        expected = max(numbers) - min(numbers) + 1
        silent = (now - self._last.received) / self._interval_s
        if silent > SILENT_INTERVALS:
            expected += int(silent)
        delays = [1000 * (arrival.received - arrival.sent) for arrival in self._kept]
        jitter = fmean(abs(b - a) for a, b in pairwise(delays)) if len(delays) > 1 else 0.0
        return Figures(
            round(fmean(delays), 2), round(jitter, 2), round(100 * (1 - len(numbers) / expected), 2)
        )

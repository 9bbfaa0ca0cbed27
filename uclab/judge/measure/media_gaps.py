"""When packets of a stream were seen at a tap, and when not: silences, in bounded memory (V2).

A silence is the time between two packets that follow each other, or from the last packet to the end. Times
are nanoseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from uclab.capture.packets import I64

SHORTEST_NS = 40_000_000
"""Shorter than the time of two packets of 20 ms nothing is missing: it is the line's jitter."""
MOST = 2048
"""Silences kept of a stream at a tap; when there are more, the shorter half is forgotten."""

Span = tuple[int, int]
"""Begin and end."""


@dataclass
class Timeline:
    """One stream at one tap."""

    first_ns: int = 0
    last_ns: int = 0
    _silences: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))

    def add(self, times: I64) -> None:
        """Takes further packets, in order of time and none older than those before."""
        if not len(times):
            return
        before = np.concatenate(([self.last_ns or times[0]], times[:-1]))
        quiet = times - before >= SHORTEST_NS
        if quiet.any():
            self._silences = np.concatenate((self._silences, np.column_stack((before[quiet], times[quiet]))))
        while len(self._silences) > MOST:
            lengths = self._silences[:, 1] - self._silences[:, 0]
            kept = np.sort(np.argsort(lengths, kind="stable")[len(lengths) // 2 :])
            self._silences = self._silences[kept]
        self.first_ns = self.first_ns or int(times[0])
        self.last_ns = int(times[-1])

    @property
    def silences(self) -> list[Span]:
        """The silences between packets, in order."""
        return [(int(begin), int(end)) for begin, end in self._silences]

    @property
    def presence(self) -> list[Span]:
        """The times without silence, in order; empty where nothing was seen."""
        if not self.first_ns:
            return []
        edges = [self.first_ns, *(edge for silence in self.silences for edge in silence), self.last_ns]
        return list(zip(edges[::2], edges[1::2], strict=True))


def joined(spans: Iterable[Span], gap_ns: int = 0) -> list[Span]:
    """The union of time spans; those at most `gap_ns` apart become one."""
    found: list[Span] = []
    for begin, end in sorted(spans):
        if found and begin - found[-1][1] <= gap_ns:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def silences(presence: Iterable[Span], until_ns: int) -> list[Span]:
    """What is between the spans of `presence`, and from the last of them to `until_ns`: each at least
    `SHORTEST_NS` long."""
    heard = joined(span for span in presence if span[0] < until_ns)
    following = [*(begin for begin, _ in heard[1:]), until_ns]
    return [
        (end, after) for (_, end), after in zip(heard, following, strict=False) if after - end >= SHORTEST_NS
    ]


def longest(spans: Iterable[Span], begin_ns: int, end_ns: int) -> Span | None:
    """The longest of the silences that began within a window, with its whole length; None where there is
    none."""
    within = [span for span in spans if begin_ns <= span[0] < end_ns]
    return max(within, key=lambda span: span[1] - span[0], default=None)


def overlap_ns(spans: Iterable[Span], begin_ns: int, end_ns: int) -> int:
    """How much of a window the spans cover; they must not overlap each other."""
    return sum(max(0, min(end, end_ns) - max(begin, begin_ns)) for begin, end in spans)

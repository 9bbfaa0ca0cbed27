"""Whether captures tell the same time: a packet cannot arrive before it was sent.

At the two ends of a cable the first packet of a stream of media is the same packet. Where the end towards
which it goes saw it earlier, and every stream by as much, the clocks of the two captures are apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from uclab.judge.network import Leg
from uclab.plan.types import Tap

NOISE_NS = 1_000_000
"""Taps at one machine's one clock are that near to each other at least."""
SPREAD = 0.2
"""Streams are earlier by so nearly the same, relative to the least; else a capture lacks some."""
First = Mapping[tuple[int, Leg], Mapping[str, int]]
"""SSRC and leg -> tap -> when its first packet passed, in nanoseconds since the epoch."""


@dataclass(frozen=True)
class ClockApart:
    """A capture whose clock is not that of the others."""

    namespace: str
    apart_ns: int
    other: str
    """A tap that says so."""

    @property
    def words(self) -> str:
        """`its clock is 5.0 ms apart from that of edge:lan: packets arrive before they are sent`."""
        apart_ms = self.apart_ns / 1e6
        clock = f"its clock is {apart_ms:.1f} ms apart from that of {self.other}"
        return f"{clock}: packets arrive before they are sent"


def clocks_apart(steps: Iterable[tuple[Tap, Tap]], first: First) -> list[ClockApart]:
    """The captures that are in conflict with most others; both where nobody else can tell. `steps` are
    taps that follow each other on a way to the cloud."""
    found = [(*pair, apart) for pair in steps if (apart := _apart(*pair, first)) is not None]
    counted: Counter[str] = Counter()
    for one, other, _ in found:
        counted.update((one.namespace, other.namespace))
    wrong: dict[str, ClockApart] = {}
    for one, other, apart in found:
        most = max(counted[one.namespace], counted[other.namespace])
        for mine, theirs in ((one, other), (other, one)):
            if counted[mine.namespace] == most:
                wrong.setdefault(mine.namespace, ClockApart(mine.namespace, apart, theirs.label))
    return list(wrong.values())


def _apart(one: Tap, other: Tap, first: First) -> int | None:
    """By how much at least packets are at the end of a cable before they are at its beginning."""
    if one.namespace == other.namespace:
        return None
    for leg in ("up", "down"):
        begin, end = (one.label, other.label) if leg == "up" else (other.label, one.label)
        early = [
            at[begin] - at[end] for (_, way), at in first.items() if way == leg and {begin, end} <= at.keys()
        ]
        least = min(early, default=0)
        if len(early) > 1 and least > NOISE_NS and max(early) - least <= max(NOISE_NS, SPREAD * least):
            return least
    return None

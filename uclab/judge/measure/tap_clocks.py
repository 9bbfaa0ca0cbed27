"""Whether captures tell the same time: both ends of a cable see a packet at once.

At the two ends of a cable the first packet of a stream of media is the same packet, and so is the last. Where
every stream has both as much later at one end, whichever way it goes, the clocks of the two captures are
apart: what holds packets back stands between two taps of one device, and would hold back those of one way
alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from uclab.judge.evidence.network import Leg
from uclab.plan.schema.plan import Tap

NOISE_NS = 1_000_000
"""Taps at one machine's one clock are that near to each other at least."""
SPREAD = 0.2
"""Streams are apart by so nearly the same, relative to their median; else a capture lacks some packets."""
Spans = Mapping[tuple[int, Leg], Mapping[str, tuple[int, int]]]
"""SSRC and leg -> tap -> when its first and its last packet passed, in nanoseconds since the epoch."""


@dataclass(frozen=True)
class ClockApart:
    """A capture whose clock is not that of the others."""

    namespace: str
    apart_ns: int
    other: str
    """A tap that says so."""

    @property
    def words(self) -> str:
        """`its clock is 5.0 ms apart from that of edge:lan, at the other end of a cable`."""
        apart_ms = self.apart_ns / 1e6
        return f"its clock is {apart_ms:.1f} ms apart from that of {self.other}, at the other end of a cable"


def clocks_apart(cables: Iterable[tuple[Tap, Tap]], spans: Spans) -> list[ClockApart]:
    """The captures that are in conflict with most others, and agree with fewest; both where nobody else can
    tell. `cables` are the taps at their two ends."""
    apart: list[tuple[Tap, Tap, int]] = []
    conflicts: Counter[str] = Counter()
    agreements: Counter[str] = Counter()
    for one, other in cables:
        if one.namespace == other.namespace:
            continue
        later = list(_later(one, other, spans))
        if not later:
            continue
        middle = round(median(later))
        near = max(NOISE_NS, SPREAD * abs(middle))
        if min(map(abs, later)) > NOISE_NS and max(abs(offset - middle) for offset in later) <= near:
            apart.append((one, other, abs(middle)))
            conflicts.update((one.namespace, other.namespace))
        else:
            agreements.update((one.namespace, other.namespace))
    wrong: dict[str, ClockApart] = {}
    for one, other, apart_ns in apart:
        trust = {
            tap.namespace: (conflicts[tap.namespace], -agreements[tap.namespace]) for tap in (one, other)
        }
        for mine, theirs in ((one, other), (other, one)):
            if trust[mine.namespace] == max(trust.values()):
                wrong.setdefault(mine.namespace, ClockApart(mine.namespace, apart_ns, theirs.label))
    return list(wrong.values())


def _later(one: Tap, other: Tap, spans: Spans) -> Iterator[int]:
    """By how much the first and the last packet of each stream were later at the other end."""
    for at in spans.values():
        if {one.label, other.label} <= at.keys():
            for mine, theirs in zip(at[one.label], at[other.label], strict=True):
                yield theirs - mine

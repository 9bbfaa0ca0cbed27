"""From when to when each tap saw (`capture.complete`): what happened outside was not shown there, and is held
against nobody."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from uclab.plan.schema.plan import Tap
from uclab.records.run import CallRecord

EVER_NS = 1 << 62
"""Later than everything."""


@dataclass(frozen=True)
class Hole:
    """A time in which a tap saw nothing, or only part of what was there; nanoseconds since the epoch."""

    begin_ns: int
    end_ns: int
    why: str
    """How that is known."""
    part: bool = False
    """It saw something, but not everything."""
    clock: bool = False
    """It saw all, and nobody knows when."""
    told: bool = False
    """`capture.complete` says it in other words: a file that is missing or not closed, a drop counter."""

    def words(self) -> str:
        """`saw nothing from 20:27:16 to 20:27:28: why`."""
        if self.clock:
            return f"does not tell when: {self.why}"
        what = "saw only part" if self.part else "saw nothing"
        if self.begin_ns <= 0 and self.end_ns >= EVER_NS:
            return f"{what}: {self.why}"
        since = f" from {time_of_day(self.begin_ns)}" if self.begin_ns > 0 else ""
        until = f" to {time_of_day(self.end_ns)}" if self.end_ns < EVER_NS else " on" if since else ""
        return f"{what}{since}{until}: {self.why}"


def call_time(call: CallRecord) -> tuple[int, int]:
    """When a call's media was, in nanoseconds since the epoch."""
    begin = call.answered_at or call.started_at
    return int(begin * 1e9), int(call.ended_at * 1e9) if call.ended_at is not None else EVER_NS


def time_of_day(time_ns: int) -> str:
    """Time of day in the machine's own zone, as Wireshark shows it."""
    return time.strftime("%H:%M:%S", time.localtime(time_ns / 1e9))


@dataclass(frozen=True)
class TapWindows:
    """When each tap saw. A tap at which nothing passed has no hole: holes are what only the capture
    explains."""

    taps: Mapping[str, Tap] = field(default_factory=dict)
    holes: Mapping[str, tuple[Hole, ...]] = field(default_factory=dict)
    """Tap -> its holes, in order of time."""
    running: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Namespace -> from when to when its capture ran, by the lab's own record; whole but for holes."""

    def gap(self, tap: str, begin_ns: int = 0, end_ns: int = EVER_NS) -> str | None:
        """Why a tap does not show everything between two times, in words that name it; None where it does.

        Without times: in all the time for which captures ran.
        """
        for hole in self.holes.get(tap, ()):
            if hole.begin_ns < end_ns and begin_ns < hole.end_ns:
                return f"{tap} {hole.words()}"
        known = self.taps.get(tap)
        ran = self.running.get(known.namespace) if known else None
        if ran is not None and begin_ns > 0 and begin_ns < ran[0]:
            return f"{tap} saw nothing before {time_of_day(ran[0])}, when its capture was ready"
        if ran is not None and end_ns < EVER_NS and end_ns > ran[1]:
            return f"{tap} saw nothing from {time_of_day(ran[1])} on, when its capture was stopped"
        return None

    def first_gap(self, taps: Iterable[str], begin_ns: int = 0, end_ns: int = EVER_NS) -> str | None:
        """The gap of the first of several taps that has one."""
        return next((gap for tap in taps if (gap := self.gap(tap, begin_ns, end_ns)) is not None), None)

    def blind(self, begin_ns: int = 0, end_ns: int = EVER_NS) -> frozenset[str]:
        """The taps that do not show everything between two times."""
        return frozenset(tap for tap in self.taps if self.gap(tap, begin_ns, end_ns) is not None)

    def incomplete(self) -> list[tuple[str, str]]:
        """What `capture.complete` says: (subject, words), holes that several taps of a capture share once."""
        shared: dict[Hole, list[str]] = {}
        for label, holes in self.holes.items():
            for hole in (hole for hole in holes if not hole.told):
                shared.setdefault(hole, []).append(label)
        found = []
        for hole, labels in shared.items():
            names = ", ".join(labels[:4]) + (f" and {len(labels) - 4} more taps" if len(labels) > 4 else "")
            spaces = {self.taps[label].namespace for label in labels if label in self.taps}
            subject = "taps" if len(spaces) > 1 else labels[0] if len(labels) == 1 else next(iter(spaces))
            found.append((subject, f"{names} {hole.words()}"))
        return found

"""What a measurement of capacity is told, and what it tells: files below `campaign/` of a run directory.

```
campaign/measuring.json            the `MeasuringRecord`: which line, and how many calls are computed
campaign/<near>.admissions.jsonl   an `Admission` a line: a call that was placed
campaign/<far>.readings.jsonl      a `Reading` a line, about one a second: what this side's calls received
```
Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from uclab.plan.load.record import PoolCodec

Way = Literal["up", "down"]
Spoken = Literal["both", "up", "down"]
MEASURING = "measuring.json"


@dataclass(frozen=True)
class WayRecord:
    """One direction of the line under measurement."""

    way: Way
    device: str
    """Where it is queued."""
    tap: str
    """Of the queue's interface."""
    calls: int
    """Computed: calls that fit while bulk overloads the line, or alone where one queue takes all."""
    calls_lossy: int
    """Computed, where as much may get lost as the policy allows."""
    queue: str
    """The queue that calls are in; `line` where one takes everything."""
    others: str
    """The queue for everything that has none of its own, which bulk overloads."""
    next: str | None
    """What is the next bottleneck, by computation."""


@dataclass(frozen=True)
class MeasuringRecord:
    """What is measured."""

    site: str
    line: str
    codec: PoolCodec
    per_call_kbps: float
    ways: tuple[WayRecord, ...]
    near: str
    """The generator that calls, at the site."""
    far: str
    """The generator that answers, in the data centre."""
    most: int
    """Calls that are placed at most."""
    spoken: Spoken
    """In which directions calls carry media."""
    overloaded: bool
    """Whether bulk overloads the line meanwhile."""
    step_s: float
    """Time from one call to the next."""

    def parties(self, way: WayRecord) -> tuple[str, str]:
        """Who sends in that direction, and who receives."""
        return (self.near, self.far) if way.way == "up" else (self.far, self.near)


@dataclass(frozen=True)
class Admission:
    """A call was placed: the `number`-th, from 1."""

    number: int
    at: float
    """When it was answered, or failed."""
    status: int
    error: str = ""


@dataclass(frozen=True)
class Reading:
    """What all calls of one side have received until then."""

    at: float
    calls: int
    received: int
    lost: int

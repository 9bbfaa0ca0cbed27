"""How many calls fit on a line, in each direction and queue, and what limits them (W8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from uclab.model.bandwidth import MediaStream
from uclab.plan.capacity.air_capacity import AirCapacity

Way = Literal["up", "down"]


@dataclass(frozen=True)
class QueueCapacity:
    """One class of a line's queue, in one direction."""

    name: str
    dscps: tuple[int, ...]
    guaranteed_kbps: int
    ceiling_kbps: int
    need_kbps: float
    room_kbps: float
    """What is left of the guaranteed rate; 0 where the need is larger."""
    lacking_kbps: float
    """By how much the need is larger than the guaranteed rate."""
    per_call_kbps: float
    """What one call more adds, with its share of the signalling."""
    calls: int | None
    """Calls that the guaranteed rate carries, whatever else is sent; None where calls put nothing here."""
    calls_borrowing: int | None
    """Calls that fit while the class for everything else is overloaded: with what the others leave of their
    guarantees."""


@dataclass(frozen=True)
class DirectionCapacity:
    """One direction of a line, where it is queued."""

    way: Way
    device: str
    interface: str
    rate_kbps: int
    """Rate that the queue shapes to."""
    kept_apart: bool
    """False where one queue takes everything: then calls have no rate of their own under overload."""
    need_kbps: float
    room_kbps: float
    lacking_kbps: float
    calls: int
    """Calls that fit: until the first queue, or the line, is full."""
    full_first: str
    """The queue that is full first when calls are added; `line` where it is all of it, `media ports` where
    the session controller has no more."""
    full_next: str | None
    """What is the next bottleneck, had the first more room."""
    calls_alone: int
    """Calls that fit when nothing else has priority: beside bulk that overloads the line, where classes are
    kept apart. That is what an experiment finds (`uclab.plan.capacity.capacity_experiment`)."""
    calls_alone_lossy: int
    """The same where as much of voice may get lost as the policy allows: a call more may then hold."""
    queues: tuple[QueueCapacity, ...]

    @property
    def fits(self) -> bool:
        """Whether line and queues are as large as their needs."""
        return self.lacking_kbps == 0 and all(queue.lacking_kbps == 0 for queue in self.queues)


@dataclass(frozen=True)
class LineCapacity:
    """A WAN line of a site."""

    site: str
    line: str
    link: str
    standby: bool
    """True where another line is preferred: then it needs its room after a failover (V2)."""
    endpoints: int
    calls: int
    """Calls at the busiest moment."""
    stream: MediaStream
    per_call_kbps: float
    """Media of one call, each way."""
    directions: tuple[DirectionCapacity, ...]
    shortage: tuple[str, ...]
    """What does not fit, a sentence for each direction; empty where all does."""
    title: str = ""
    """What the line is, as its profile says for people..."""
    source: str = ""
    """...and where its numbers come from."""


@dataclass(frozen=True)
class Capacity:
    """The capacity of a whole topology."""

    topology: str
    verdict: Literal["pass", "fail"]
    lines: tuple[LineCapacity, ...]
    airs: tuple[AirCapacity, ...] = ()
    """Channels of access points."""

    @property
    def shortage(self) -> tuple[str, ...]:
        """Everything that does not fit."""
        lines = dict.fromkeys(reason for line in self.lines for reason in line.shortage)
        return (*lines, *(reason for air in self.airs for reason in air.shortage))

"""What was broken on purpose, and for how long, as the run's events say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from uclab.records.run import FAILED, HEALED, Event


@dataclass(frozen=True)
class LinkOutage:
    """A link that was out of order because somebody wanted it so. Seconds since the epoch."""

    link: str
    since: float
    until: float
    """Infinity where nobody healed it."""


def link_outages(events: Iterable[Event]) -> Iterator[LinkOutage]:
    """Each time that a link was broken, in order of the ends."""
    since: dict[str, float] = {}
    for event in events:
        for link in event.links:
            if event.kind == FAILED:
                since.setdefault(link, event.time)
            elif event.kind == HEALED and link in since:
                yield LinkOutage(link, since.pop(link), event.time)
    yield from (LinkOutage(link, begin, math.inf) for link, begin in since.items())

"""What somebody changed in a lab on purpose: faults it came up with, things failed, commands run by hand.

A report says so at its top: a verdict on a lab that was broken says nothing of the network that was planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from uclab.records.run import BY_HAND, FAILED, FAULT, Event, Incident

Kind = Literal["fault", "failed", "command"]
KINDS: dict[str, Kind] = {FAULT: "fault", FAILED: "failed", BY_HAND: "command"}
PLAYED_S = 1.0
"""An incident's failure is noted within this time of its moment."""


@dataclass(frozen=True)
class Interference:
    """One thing that was changed."""

    time: float
    """Seconds since the epoch."""
    kind: Kind
    subject: str
    """Name of the fault, or the link or device that was failed or commanded."""
    detail: str

    @property
    def text(self) -> str:
        """`fault dscp-cleared`, `wan1 failed (cut)`, `command in fw: nft flush ruleset`."""
        if self.kind == "fault":
            return f"fault {self.subject}"
        if self.kind == "failed":
            return f"{self.subject} failed ({self.detail})"
        return f"command in {self.subject}: {self.detail}"


def interferences(events: Iterable[Event], incidents: Sequence[Incident]) -> Iterator[Interference]:
    """In order of time, without what a scenario's own incidents failed: these have a section of their own."""
    for event in events:
        if event.kind in KINDS and not any(_plays(incident, event) for incident in incidents):
            yield Interference(event.time, KINDS[event.kind], event.source, event.detail)


def _plays(incident: Incident, event: Event) -> bool:
    within = incident.failed_at - PLAYED_S <= event.time <= incident.ended_at + PLAYED_S
    return event.kind == FAILED and event.source in incident.parts and within

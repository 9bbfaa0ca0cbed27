"""What an incident did to the calls that were live (V2): pure data, measured by `uclab.judge.failover`.
Times are seconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from uclab.records.run import Direction, Incident

Flow = Literal["out", "in", "within"]
"""Of media: out of a site, into one, or between two endpoints at sites."""
Fate = Literal["kept", "re-established", "silent", "dropped", "probe"]
"""`kept`: media went on by itself. `re-established`: it went on after a re-INVITE or UPDATE. `silent`: it
came back with restoration only. `dropped`: hung up, or never back. `probe`: the call that was put on hold
on purpose."""
FLOW_WORDS: dict[Flow, str] = {"out": "from the site", "in": "to the site", "within": "between endpoints"}


@dataclass(frozen=True)
class Silence:
    """A hole in what a receiver got."""

    begin: float
    end: float

    @property
    def ms(self) -> float:
        return 1000 * (self.end - self.begin)


@dataclass(frozen=True)
class Stretch:
    """For how long a line carried media."""

    line: str
    begin: float
    end: float


@dataclass(frozen=True)
class Way:
    """One direction of a call through an incident, at the receiver's own tap."""

    direction: Direction
    flow: Flow
    silences: tuple[Silence, ...]
    gap_ms: float | None
    """The longest silence that began between a second before the failure and the restoration, with its whole
    length; 0 where nothing was missing, None where no media came before the failure."""
    failback_gap_ms: float | None
    """The longest that began after restoration."""
    returned: bool
    """Media was there again before restoration, or never away."""
    alive: bool
    """Media was there at the end of the watch."""
    stretches: tuple[Stretch, ...]
    """The site's lines that carried it."""
    mos_start: float
    mos: tuple[float | None, ...]
    """MOS (ITU-T G.107) of each second of sending; None where nothing was sent."""
    why: str = ""
    """Why media was not there until restoration, where that is so."""
    blame: str | None = None


@dataclass(frozen=True)
class CallOutcome:
    """One live call through an incident."""

    id: str
    caller: str
    callee: str
    fate: Fate
    why: str
    """Why it was not kept."""
    blame: str | None
    ways: tuple[Way, ...]
    hung_up: bool = False
    """Somebody ended it before the watch was over."""


@dataclass(frozen=True)
class Registration:
    """A phone that must re-register: its address changed, or its session controller is cut off."""

    phone: str
    seconds: float | None
    """From the failure to its new registration; None: there was none before restoration."""
    back_seconds: float | None
    """From restoration to the next, where there was one."""


@dataclass(frozen=True)
class LinesUsed:
    """Which line of a site carried media before the failure, just before restoration, and at the end; None
    where no line did."""

    site: str
    wanted: tuple[str | None, str | None, str | None]
    """By the plan's order of lines; the second is None where none is left, or any may do."""
    out: tuple[str | None, str | None, str | None]
    into: tuple[str | None, str | None, str | None]
    router: str
    """The device that chooses for what leaves the site."""
    returns: int = 0
    """How often media came back to the first line after restoration, out of the site."""


@dataclass(frozen=True)
class JudgedIncident:
    """An incident with what the captures and events say of it."""

    incident: Incident
    calls: tuple[CallOutcome, ...]
    detection_ms: float | None
    """From the failure to the first packet on another line, or to the first event that tells of it."""
    detected_by: str
    moves: bool
    """By the plan another line must take over."""
    new_address: bool
    """The calls' source address, as the cloud sees it, changed."""
    registrations: tuple[Registration, ...]
    in_dialog_ms: float | None
    """From the failure to the first answered request within a call's dialog."""
    lines: tuple[LinesUsed, ...]
    recovered_s: int = 3
    """In so many last seconds before restoration calls must be good again, by the policy's tolerances."""

    @property
    def title(self) -> str:
        """What it is called in findings and reports."""
        return f"{self.incident.name} {self.incident.subject}"

    @property
    def judged(self) -> tuple[CallOutcome, ...]:
        """The calls whose media is judged."""
        return tuple(call for call in self.calls if call.fate != "probe")

    def gaps(self, flow: Flow) -> list[float]:
        """Silences after the failure, one value a call direction of this flow."""
        ways = (way for call in self.judged for way in call.ways if way.flow == flow)
        return [way.gap_ms for way in ways if way.gap_ms is not None]

    def failback_gaps(self, flow: Flow) -> list[float]:
        """Silences after restoration, of the directions that were there at the time."""
        ways = (way for call in self.judged for way in call.ways if way.flow == flow and way.returned)
        return [way.failback_gap_ms for way in ways if way.failback_gap_ms is not None]

    @property
    def fates(self) -> dict[str, int]:
        """How many calls had which fate."""
        found: dict[str, int] = {}
        for call in self.judged:
            found[call.fate] = found.get(call.fate, 0) + 1
        return found

"""What the judge says: findings, calls with their quality, walks. `uclab.report` and `results.json` are made
of these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from uclab.judge.result.incidents import JudgedIncident
from uclab.judge.result.interference import Interference
from uclab.judge.result.media import JudgedCall, Ladder, Series, Walk

Verdict = Literal["pass", "fail", "not-shown", "not-applicable"]
"""What was not observed never passes: it is `not-shown`. What nobody asked for in this run is
`not-applicable`."""
RunVerdict = Literal["pass", "fail", "not-shown"]
"""Of a whole run."""


@dataclass(frozen=True)
class Evidence:
    """Where the proof lies: a tap (interface name in the captures) and packet numbers in that namespace's
    file (1-based)."""

    tap: str | None = None
    packets: tuple[int, ...] = ()
    text: str = ""
    """Evidence that is not a packet: a log line, an event, a measured figure."""
    leg: Literal["up", "down", "direct"] | None = None
    """Of media: on which leg of its way (`HopRecord.leg`)."""
    directions: tuple[str, ...] = ()
    """Of a finding on a line or route: the directions of calls, `<call>:<direction>`, that it counts."""

    @property
    def words(self) -> str:
        """All that is neither tap nor packet, for people."""
        leg = f"{self.leg} leg" if self.leg else ""
        counted = f"of {', '.join(self.directions)}" if self.directions else ""
        return "; ".join(part for part in (leg, counted, self.text) if part)


@dataclass(frozen=True)
class Margin:
    """How near a figure came to a limit of the policy."""

    figure: str
    """What is limited, just as it is judged: `uclab.judge.result.margins` has the names."""
    subject: str
    """The line, the route, or `<call>:<direction>`."""
    worst: float
    allowed: float
    unit: str
    digits: int
    """Places after the point that are worth showing."""
    margin_pct: float
    """What is left to the limit, per cent of it; negative where it is broken."""

    @property
    def words(self) -> str:
        """`worst 5 s jitter 29.56 of 30 ms (1.5 % margin)`."""
        allowed = f"{self.allowed:g} {self.unit}".rstrip()
        return f"{self.figure} {self.worst:.{self.digits}f} of {allowed} ({self.margin_pct:.1f} % margin)"


@dataclass(frozen=True)
class Finding:
    """One thing proved or disproved. `subject` names the endpoint, call, hop or device; stable `id`, e.g.
    `media.srtp`."""

    id: str
    requirement: tuple[str, ...]
    subject: str
    expected: str
    observed: str
    verdict: Verdict
    evidence: Evidence = Evidence()
    blame: str | None = None
    """The device or hop named as the cause, where one can be named, e.g. `edge`."""
    margins: tuple[Margin, ...] = ()
    """How near it came to the limits that it is about."""


@dataclass(frozen=True)
class MeasuredWay:
    """How many calls one direction of a line carried by experiment, beside the number computed."""

    line: str
    """`SITE/LINE`."""
    way: Literal["up", "down"]
    codec: str
    packet_ms: int
    computed: int
    computed_lossy: int
    """Where as much may get lost as the policy allows: any number from `computed` on up to this is right."""
    measured: int
    """Calls with which voice still held the policy."""
    bound: Literal["exactly", "at least", "at most"]
    """`at least`: voice never violated the policy's limits; `at most`: it missed it from the first call on
    that was judged."""
    loss_pct: float | None
    """With one call more, of all calls together; None where voice never violated the policy's limits."""
    worst_loss_pct: float | None
    """Of the call that lost most."""
    delay_ms: float | None
    """Of the call that took longest."""
    lost_in_queue: int
    """Packets of voice lost on the way to the line, where the queue stands."""
    lost_elsewhere: int
    """Behind it."""
    dropped: dict[str, int]
    """Class of the queue -> packets that it had no room for."""
    gave_way: str | None
    """The class that dropped most, of those that are kept apart."""
    next: str | None
    """What is the next bottleneck, by computation."""

    @property
    def computed_words(self) -> str:
        """The computed number, `18`, or `18-19`."""
        more = self.computed_lossy > self.computed
        return f"{self.computed}-{self.computed_lossy}" if more else str(self.computed)

    @property
    def apart_pct(self) -> float:
        """How far the measured number is from what was computed, per cent."""
        nearest = min(max(self.measured, self.computed), self.computed_lossy)
        return 100 * abs(self.measured - nearest) / max(nearest, 1)


@dataclass(frozen=True)
class Judgement:
    """All of it: pure data, the input of every report."""

    findings: tuple[Finding, ...]
    calls: tuple[JudgedCall, ...]
    walks: tuple[Walk, ...]
    series: tuple[Series, ...] = ()
    ladders: tuple[Ladder, ...] = ()
    incidents: tuple[JudgedIncident, ...] = ()
    measured: tuple[MeasuredWay, ...] = ()
    """Where the calls that a line carries were counted."""
    interferences: tuple[Interference, ...] = ()
    """What somebody changed on purpose in the lab."""
    too_busy: str = ""
    """One sentence where findings are not shown because the machine did not serve the lab's programs in
    time."""
    margins: tuple[Margin, ...] = ()
    """How near the worst call came to each limit of the policy, where calls are held against them."""

    @property
    def verdict(self) -> RunVerdict:
        """The worst of all findings; `not-shown` where none says pass or fail."""
        return VERDICT_OF_RUN[worst(finding.verdict for finding in self.findings)]


VERDICT_OF_RUN: dict[Verdict, RunVerdict] = {
    "pass": "pass",
    "fail": "fail",
    "not-shown": "not-shown",
    "not-applicable": "not-shown",
}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that stands for several; `not-applicable` for none."""
    given = set(verdicts)
    order: tuple[Verdict, ...] = ("fail", "not-shown", "pass")
    return next((verdict for verdict in order if verdict in given), "not-applicable")

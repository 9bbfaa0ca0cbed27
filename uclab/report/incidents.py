"""Incidents as numbers: a distribution over rounds for tables, and everything for `results.json` (V2)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from uclab.judge.failover.findings import grouped
from uclab.judge.failover.quality import late_mos
from uclab.judge.result.incidents import FLOW_WORDS, CallOutcome, Flow, JudgedIncident
from uclab.judge.result.judgement import Finding, Judgement, worst
from uclab.plan.schema.codec import to_data


@dataclass(frozen=True)
class Spread:
    """A distribution: of one value, all three are the same."""

    low: float
    median: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """Of the values that there are; None where there are none."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(min(known), statistics.median(known), max(known), len(known))

    def words(self, digits: int = 0) -> str:
        """`low / median / high`, or the one value."""
        if self.count == 1:
            return f"{self.median:.{digits}f}"
        return f"{self.low:.{digits}f} / {self.median:.{digits}f} / {self.high:.{digits}f}"


@dataclass(frozen=True)
class IncidentRow:
    """All rounds of one incident."""

    title: str
    rounds: tuple[JudgedIncident, ...]
    verdict: str
    """Of its findings: the worst."""
    detection_ms: Spread | None
    registration_s: Spread | None
    in_dialog_ms: Spread | None
    gaps: dict[Flow, Spread]
    """Silences after the failure, ms, by flow of media."""
    failback_gaps: dict[Flow, Spread]
    mos: Spread | None
    """Just before restoration."""

    @property
    def survivable(self) -> bool:
        return self.rounds[0].incident.survivable

    @property
    def fates(self) -> dict[str, int]:
        """How many calls of all rounds had which fate."""
        found: dict[str, int] = {}
        for judged in self.rounds:
            for fate, count in judged.fates.items():
                found[fate] = found.get(fate, 0) + count
        return found

    @property
    def reasons(self) -> dict[str, list[str]]:
        """Why calls of the worst round were not kept, with the calls."""
        found: dict[str, list[str]] = {}
        for call in self.worst.judged:
            if call.why:
                found.setdefault(call.why, []).append(f"{call.caller} → {call.callee}")
        return found

    @property
    def worst(self) -> JudgedIncident:
        """The round with the longest silence: it is the one that is drawn."""
        return max(
            self.rounds, key=lambda judged: max((g for f in FLOW_WORDS for g in judged.gaps(f)), default=0)
        )


def incident_rows(judgement: Judgement) -> list[IncidentRow]:
    """One row an incident, in the order in which they happened."""
    return [_row(title, rounds, judgement.findings) for title, rounds in grouped(judgement.incidents).items()]


def _row(title: str, rounds: Sequence[JudgedIncident], findings: Sequence[Finding]) -> IncidentRow:
    own = {f.verdict for f in findings if f.id.startswith("failover.") and f.subject.startswith(title)}
    return IncidentRow(
        title=title,
        rounds=tuple(rounds),
        verdict=worst(own),
        detection_ms=Spread.of(judged.detection_ms for judged in rounds),
        registration_s=Spread.of(
            registration.seconds for judged in rounds for registration in judged.registrations
        ),
        in_dialog_ms=Spread.of(judged.in_dialog_ms for judged in rounds),
        gaps=_by_flow({flow: [g for j in rounds for g in j.gaps(flow)] for flow in FLOW_WORDS}),
        failback_gaps=_by_flow(
            {flow: [g for j in rounds for g in j.failback_gaps(flow)] for flow in FLOW_WORDS}
        ),
        mos=Spread.of(mos for judged in rounds for mos in late_mos(judged)),
    )


def _by_flow(values: dict[Flow, list[float]]) -> dict[Flow, Spread]:
    return {flow: spread for flow, measured in values.items() if (spread := Spread.of(measured)) is not None}


def incidents_data(judgement: Judgement) -> list[dict[str, Any]]:
    """`results.json`'s `incidents`: distributions over rounds, and every round with its calls."""
    return [
        {
            "incident": row.rounds[0].incident.name,
            "subject": row.rounds[0].incident.subject,
            "how": row.rounds[0].incident.how,
            "survivable": row.survivable,
            "verdict": row.verdict,
            "detection_ms": to_data(row.detection_ms),
            "registration_s": to_data(row.registration_s),
            "in_dialog_ms": to_data(row.in_dialog_ms),
            "gap_ms": {flow: to_data(spread) for flow, spread in row.gaps.items()},
            "failback_gap_ms": {flow: to_data(spread) for flow, spread in row.failback_gaps.items()},
            "mos_before_mending": to_data(row.mos),
            "calls": row.fates,
            "rounds": [round_data(judged) for judged in row.rounds],
        }
        for row in incident_rows(judgement)
    ]


def round_data(judged: JudgedIncident) -> dict[str, Any]:
    """One occurrence."""
    incident = judged.incident
    return {
        "round": incident.round,
        "failed_at": incident.failed_at,
        "healed_at": incident.healed_at,
        "ended_at": incident.ended_at,
        "calls_wanted": incident.wanted,
        "calls_placed": incident.asked,
        "calls_live": len(incident.calls),
        "detection_ms": judged.detection_ms,
        "detected_by": judged.detected_by,
        "new_address": judged.new_address,
        "registrations": to_data(judged.registrations),
        "in_dialog_ms": judged.in_dialog_ms,
        "lines": to_data(judged.lines),
        "calls": [call_data(call) for call in judged.calls],
    }


def call_data(call: CallOutcome) -> dict[str, Any]:
    """One live call: its fate, and both directions with silences, lines and MOS over time."""
    return {
        "id": call.id,
        "from": call.caller,
        "to": call.callee,
        "fate": call.fate,
        "why": call.why,
        **{
            way.direction: {
                "flow": way.flow,
                "gap_ms": way.gap_ms,
                "failback_gap_ms": way.failback_gap_ms,
                "silences": [[round(s.begin, 3), round(s.end, 3)] for s in way.silences],
                "lines": [[s.line, round(s.begin, 3), round(s.end, 3)] for s in way.stretches],
                "mos_from": way.mos_start,
                "mos": list(way.mos),
            }
            for way in call.ways
        },
    }

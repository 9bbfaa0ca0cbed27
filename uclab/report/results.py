"""`results.json`: the machine-readable outcome of a run, as design.md lays it down."""

from __future__ import annotations

from typing import Any

from uclab.judge.result.judgement import Finding, Judgement
from uclab.judge.result.media import JudgedCall, MediaQuality, Walk
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.plan import Plan
from uclab.report.incidents import incidents_data

DIRECTIONS = {"caller_to_callee": "caller to callee", "callee_to_caller": "callee to caller"}
"""A call's directions in words, by their names in `results.json`."""


def results(
    plan: Plan, judgement: Judgement, host: dict[str, Any], timings: dict[str, float]
) -> dict[str, Any]:
    """The whole outcome as JSON data. Delays and jitter are milliseconds, loss per cent, `delay_us`
    microseconds."""
    return {
        "topology": plan.topology,
        "verdict": judgement.verdict,
        "too_busy": judgement.too_busy,
        "host": host,
        "timings": timings,
        "calls": [call_data(call) for call in judgement.calls],
        "findings": [finding_data(finding) for finding in judgement.findings],
        "walks": [walk_data(walk) for walk in judgement.walks],
        "incidents": incidents_data(judgement),
        "margins": [to_data(margin) for margin in judgement.margins],
        "measured": [to_data(measured_way) for measured_way in judgement.measured],
        "interferences": [to_data(interference) for interference in judgement.interferences],
    }


def call_data(call: JudgedCall) -> dict[str, Any]:
    """One call; each figure for both directions, null where no media was seen."""
    return {
        "id": call.id,
        "from": call.caller,
        "to": call.callee,
        "kind": call.kind,
        "established": call.established,
        "setup_ms": call.setup_ms,
        "seconds": call.seconds,
        **{name: both_directions(call, name) for name in ("mos", "loss_pct", "jitter_ms", "delay_ms")},
        "worst_jitter_ms": both_directions(call, "judged_jitter_ms"),
    }


def both_directions(call: JudgedCall, figure: str) -> dict[str, float | None]:
    """One figure of both directions, rounded to what was measured."""

    def one(quality: MediaQuality | None) -> float | None:
        value: float | None = getattr(quality, figure, None)
        return None if value is None else round(value, 3)

    return {"caller_to_callee": one(call.caller_to_callee), "callee_to_caller": one(call.callee_to_caller)}


def both(call: JudgedCall, figure: str, digits: int, missing: str = "-") -> str:
    """One figure of both directions, caller to callee / callee to caller, for people."""

    def one(quality: MediaQuality | None) -> str:
        value: float | None = getattr(quality, figure, None)
        return missing if value is None else f"{value:.{digits}f}"

    return f"{one(call.caller_to_callee)} / {one(call.callee_to_caller)}"


def finding_data(finding: Finding) -> dict[str, Any]:
    """One finding with its evidence."""
    return {
        "id": finding.id,
        "requirement": list(finding.requirement),
        "subject": finding.subject,
        "expected": finding.expected,
        "observed": finding.observed,
        "evidence": {
            "tap": finding.evidence.tap,
            "packets": list(finding.evidence.packets),
            "text": finding.evidence.words,
            "leg": finding.evidence.leg,
            "directions": list(finding.evidence.directions),
        },
        "blame": finding.blame,
        "verdict": finding.verdict,
    }


def walk_data(walk: Walk) -> dict[str, Any]:
    """One direction of a call, hop by hop."""
    return {
        "call": walk.call,
        "direction": walk.direction,
        "hops": [
            {
                "tap": hop.tap,
                "dscp": hop.dscp,
                "pcp": hop.pcp,
                "vlan": hop.vlan,
                **{
                    name: value
                    for name in ("service_pcp", "service_vlan", "tc", "label", "up")
                    if (value := getattr(hop, name)) is not None
                },
                "delay_us": round(hop.delay_us, 1),
                "packets": hop.packets,
                "lost": hop.lost,
            }
            for hop in walk.hops
        ],
    }

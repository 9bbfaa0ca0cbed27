"""How near a run came to each limit of the policy: a verdict that held by a hair says so."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from uclab.judge.result.judgement import Finding, Margin
from uclab.judge.result.media import JudgedCall
from uclab.plan.paths.loss_interval import Interval
from uclab.plan.schema.plan import Policy

LOSS, DELAY, JITTER, MOS = "loss, at most", "delay, at most", "jitter, at most", "MOS, at least"
"""Of all calls of a line or route: the end of the interval that must be within the limit."""
WORST_JITTER = "worst 5 s jitter"
"""Of a single call; a receiver's report."""


def highest(figure: str, interval: Interval, limit: float, unit: str, digits: int) -> Margin | None:
    """Of a figure that must stay below a limit."""
    left = limit - interval.high
    return _margin(figure, interval.high, limit, unit, digits, left)


def lowest(figure: str, interval: Interval, limit: float, digits: int) -> Margin | None:
    """Of a figure that must not fall below a limit."""
    return _margin(figure, interval.low, limit, "", digits, interval.low - limit)


def with_margins(finding: Finding, found: Iterable[Margin | None]) -> Finding:
    """The finding with the margins of what it judges."""
    return replace(
        finding, margins=tuple(replace(margin, subject=finding.subject) for margin in found if margin)
    )


def nearest(
    findings: Sequence[Finding], calls: Sequence[JudgedCall], policy: Policy, skipped: Sequence[str]
) -> tuple[Margin, ...]:
    """For each limit the line, route or call that came nearest to it, of all that are judged by it; kinds of
    call that are `skipped` are not judged."""
    known = [margin for finding in findings for margin in finding.margins]
    known += [margin for call in calls if call.kind not in skipped for margin in _of_call(call, policy)]
    order = (LOSS, DELAY, JITTER, WORST_JITTER, MOS)
    by_figure = {name: [margin for margin in known if margin.figure == name] for name in order}
    return tuple(
        min(margins, key=lambda margin: margin.margin_pct) for margins in by_figure.values() if margins
    )


def _of_call(call: JudgedCall, policy: Policy) -> Iterable[Margin]:
    for name, quality in (
        ("caller_to_callee", call.caller_to_callee),
        ("callee_to_caller", call.callee_to_caller),
    ):
        value = None if quality is None else quality.judged_jitter_ms
        if value is not None:
            left = policy.max_jitter_ms - value
            margin = _margin(WORST_JITTER, value, policy.max_jitter_ms, "ms", 2, left)
            if margin is not None:
                yield replace(margin, subject=f"{call.id}:{name}")


def _margin(figure: str, worst: float, allowed: float, unit: str, digits: int, left: float) -> Margin | None:
    if not math.isfinite(worst):
        return None
    return Margin(figure, "", round(worst, 3), allowed, unit, digits, round(100 * left / allowed, 1))

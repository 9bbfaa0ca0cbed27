"""Verdicts on media through incidents (V2): silences when it breaks and when it is restored, MOS
meanwhile."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from uclab.judge.result.claim import Claim
from uclab.judge.result.incidents import FLOW_WORDS, Flow, JudgedIncident
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import FailoverLimits, Policy

V2 = ("V2",)
FLOWS: tuple[Flow, ...] = ("out", "in", "within")


def spread(values: Sequence[float], unit: str = "ms", digits: int = 0) -> str:
    """A distribution in words."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f} {unit}"
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"median {middle:.{digits}f} {unit}, {low:.{digits}f} to {high:.{digits}f} ({len(values)} values)"


def check_gaps(rounds: Sequence[JudgedIncident], policy: Policy, limits: FailoverLimits) -> Iterator[Finding]:
    """Silence after the failure, for each flow of media."""
    new_address = any(judged.new_address for judged in rounds)
    limit = limits.max_media_gap_new_address_ms if new_address else limits.max_media_gap_ms
    how = "the source address changes" if new_address else "routing alone moves the path"
    for flow in FLOWS:
        values = [gap for judged in rounds for gap in judged.gaps(flow)]
        expected = f"median media gap at the receiver under {limit:g} ms, as {how}"
        name = f"{rounds[0].title}: {FLOW_WORDS[flow]}"
        claim = Claim("failover.media-gap", V2, name, expected)
        if values:
            yield _median(claim, rounds, flow, values, limit)


def _median(
    claim: Claim, rounds: Sequence[JudgedIncident], flow: Flow, values: Sequence[float], limit: float
) -> Finding:
    ways = [
        (call, way) for judged in rounds for call in judged.judged for way in call.ways if way.flow == flow
    ]
    call, worst = max(ways, key=lambda pair: pair[1].gap_ms or 0.0)
    evidence = Evidence(text=f"longest in {call.id}:{worst.direction}, {worst.gap_ms or 0:.0f} ms")
    if statistics.median(values) < limit:
        return claim.passed(spread(values), evidence)
    reasons = list(dict.fromkeys(way.why for _, way in ways if way.why))
    blame = next((way.blame for _, way in ways if way.blame), None)
    return claim.failed(". ".join([spread(values), *reasons[:2]]), evidence, blame)


def check_failback(
    rounds: Sequence[JudgedIncident], policy: Policy, limits: FailoverLimits
) -> Iterator[Finding]:
    """Failback makes no second gap, since nothing is broken then; and it is taken once."""
    yield from _failback_gaps(rounds, limits)
    for judged in rounds:
        for used in judged.lines:
            first, during = used.wanted[:2]
            if first is None or during in (None, first) or not used.returns:
                continue
            which = f", round {judged.incident.round}" if len(rounds) > 1 else ""
            name = f"{judged.title}{which}: {used.site}"
            claim = Claim("failover.failback", V2, name, f"one failback to {first}")
            flaps = judged.incident.flaps
            after = f", which failed {flaps} more times after the first restoration" if flaps else ""
            if used.returns == 1:
                yield claim.passed(f"failback to {first} once{after}")
            else:
                observed = f"failback to {first} {used.returns} times{after}: {used.router} has no hold-down"
                yield claim.failed(observed, blame=used.router)


def _failback_gaps(rounds: Sequence[JudgedIncident], limits: FailoverLimits) -> Iterator[Finding]:
    """Silence when it is restored, for each flow of media."""
    for flow in FLOWS:
        values = [gap for judged in rounds for gap in judged.failback_gaps(flow)]
        if not values:
            continue
        limit = limits.max_failback_gap_ms
        expected = f"median media gap at the receiver under {limit:g} ms at failback"
        claim = Claim("failover.failback", V2, f"{rounds[0].title}: {FLOW_WORDS[flow]}", expected)
        if statistics.median(values) < limit:
            yield claim.passed(spread(values))
            continue
        ways = [way for judged in rounds for call in judged.judged for way in call.ways if way.flow == flow]
        lost = [way for way in ways if way.returned and not way.alive]
        reasons = list(dict.fromkeys(way.why for way in lost))
        router = next((lines.router for judged in rounds for lines in judged.lines), None)
        blame = next((way.blame for way in lost if way.blame), None) if lost else router
        yield claim.failed(". ".join([spread(values), *reasons[:2]]), blame=blame)


def check_mos(rounds: Sequence[JudgedIncident], policy: Policy, limits: FailoverLimits) -> Iterator[Finding]:
    """Calls are good again while it is still broken."""
    values = [mos for judged in rounds for mos in late_mos(judged)]
    last_s = policy.tolerances.recovered_s
    expected = f"MOS >= {policy.min_mos:g} again in the last {last_s} s before restoration (median)"
    claim = Claim("failover.quality", V2, rounds[0].title, expected)
    if not values:
        yield claim.not_shown("no media was sent then")
    elif not any(_was_felt(judged, policy) for judged in rounds):
        yield claim.not_shown("no loss or delay on any line: the brown-out had no effect")
    elif statistics.median(values) >= policy.min_mos:
        yield claim.passed(spread(values, "MOS", 2))
    else:
        router = next((lines.router for judged in rounds for lines in judged.lines), None)
        yield claim.failed(spread(values, "MOS", 2), blame=router)


def _was_felt(judged: JudgedIncident, policy: Policy) -> bool:
    """A brown-out that few felt, and after which nobody took another line, proves nothing."""
    if judged.incident.how != "brown-out" or any(lines.out[0] != lines.out[1] for lines in judged.lines):
        return True
    first, last = math.ceil(judged.incident.failed_at), math.floor(judged.incident.healed_at)
    felt = []
    for way in (way for call in judged.judged for way in call.ways):
        meanwhile = way.mos[max(first - int(way.mos_start), 0) : last - int(way.mos_start)]
        felt.append(any(mos is not None and mos < policy.min_mos for mos in meanwhile))
    return 2 * sum(felt) >= len(felt)


def late_mos(judged: JudgedIncident) -> Iterator[float]:
    """Mean MOS of each direction in the last whole seconds before restoration."""
    for call in judged.judged:
        for way in call.ways:
            end = math.floor(judged.incident.healed_at - way.mos_start)
            values = [mos for mos in way.mos[max(end - judged.recovered_s, 0) : end] if mos is not None]
            if values:
                yield statistics.fmean(values)

"""Delay, jitter and MOS from end to end against the policy, by all calls between the same places (C8).

Judged are means over all their packets: of the delay, of RFC 3550's running estimate of jitter, and the MOS
that these and the loss give (ITU-T G.107). Each has an interval; that of MOS goes from the worst ends of
the others to their best.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uclab.judge.measure import emodel
from uclab.judge.measure.clusters import Clusters, loss_with
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import Stream, media_time
from uclab.judge.path.fault_localisation import culprit
from uclab.judge.quality.accused import Accused
from uclab.judge.quality.call_parts import DirectionSeen, blamed, in_evidence
from uclab.judge.quality.figures import by_second, rating
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Finding, Margin
from uclab.judge.result.margins import DELAY, JITTER, MOS, highest, lowest, with_margins
from uclab.judge.result.media import Walk
from uclab.plan.paths.loss_interval import Interval
from uclab.plan.schema.plan import Endpoint, Policy

OUTSIDE = "telephone network"


@dataclass(frozen=True)
class RouteFigures:
    """What all calls of a route had together."""

    delay_ms: Interval
    jitter_ms: Interval
    mos: Interval
    loss: Interval
    """Share of the packets, 0..1."""
    lost: Clusters
    effect: float
    """Design effect of the loss."""
    seconds: int
    """In so many seconds there was media."""


def route_figures(policy: Policy, streams: Sequence[Stream], planned_effect: float = 1.0) -> RouteFigures:
    """Of streams of which something arrived."""
    sure = policy.confidence
    lost = by_second(streams, "lost")
    loss, effect = loss_with(sure, sure.level, lost, planned_effect)
    delays, jitters = by_second(streams, "delay_sum_ms"), by_second(streams, "jitter_sum_ms")
    delay_ms = _mean(delays, sure.level, max(stream.delay_max_ms for stream in streams))
    jitter_ms = _mean(jitters, sure.level, max(stream.jitter.max_ms for stream in streams))

    def mos(share: float, delay: float, jitter: float) -> float:
        if math.isinf(delay) or math.isinf(jitter):
            return 1.0 if max(delay, jitter) == math.inf else 4.5
        return emodel.mos(rating(streams[0], 100 * share, max(delay, 0.0), max(jitter, 0.0)))

    return RouteFigures(
        delay_ms,
        jitter_ms,
        Interval(
            mos(loss.value, delay_ms.value, jitter_ms.value),
            mos(loss.high, delay_ms.high, jitter_ms.high),
            mos(loss.low, delay_ms.low, jitter_ms.low),
        ),
        loss,
        lost,
        effect,
        len(delays),
    )


def _mean(clusters: Clusters, level: float, most: float) -> Interval:
    """Of a single second nothing is known but its packets' own highest value."""
    interval = clusters.mean_interval(level)
    return interval if math.isfinite(interval.high) else Interval(interval.value, interval.low, most)


def limits_in_words(policy: Policy) -> str:
    """Of what holds from end to end."""
    delay = f"delay < {policy.max_one_way_delay_ms:g} ms"
    return f"{delay}, jitter < {policy.max_jitter_ms:g} ms, MOS >= {policy.min_mos:g}"


def missed(policy: Policy, figures: RouteFigures) -> list[str]:
    """The figures that are shown to be beyond their limits."""
    return [
        name
        for name, beyond in (
            ("delay", figures.delay_ms.beyond(policy.max_one_way_delay_ms)),
            ("jitter", figures.jitter_ms.beyond(policy.max_jitter_ms)),
            ("MOS", figures.mos.high < policy.min_mos),
        )
        if beyond
    ]


def not_kept(policy: Policy, figures: RouteFigures) -> list[str]:
    """The figures that are not shown to keep their limits, with the seconds of media that it would take."""
    found = []
    for name, interval, limit, rising in (
        ("delay", figures.delay_ms, policy.max_one_way_delay_ms, True),
        ("jitter", figures.jitter_ms, policy.max_jitter_ms, True),
        ("MOS", figures.mos, policy.min_mos, False),
    ):
        kept = interval.below(limit) if rising else interval.low >= limit
        if not kept:
            half = (interval.high if rising else interval.low) - interval.value
            room = limit - interval.value
            more = figures.seconds * (half / room) ** 2 if room and math.isfinite(half) else math.inf
            takes = f"some {math.ceil(more)} s of such calls" if math.isfinite(more) else "longer calls"
            found.append(f"{name} lies on both sides of its limit: to show it takes {takes}")
    return found


def figures_in_words(figures: RouteFigures) -> str:
    """Each figure with the ends of its interval."""
    parts = [
        f"{name} {interval.value:.{digits}f}{unit}"
        f" ({_end(interval.low, digits)} to {_end(interval.high, digits)})"
        for name, interval, unit, digits in (
            ("delay", figures.delay_ms, " ms", 1),
            ("jitter", figures.jitter_ms, " ms", 2),
            ("MOS", figures.mos, "", 2),
        )
    ]
    return ", ".join(parts)


def _end(value: float, digits: int) -> str:
    return f"{max(value, 0.0):.{digits}f}" if math.isfinite(value) else "?"


def check_routes(evidence: RunEvidence, accused: Accused, walks: Sequence[Walk]) -> Iterator[Finding]:
    """One finding for each pair of places between which there were calls, each way, with and without
    overload. A call that fails by its own loss does not count, unless half of the calls do."""
    policy = evidence.network.policy
    by_direction = {(walk.call, walk.direction): walk for walk in walks}
    routes: dict[tuple[bool, str, str], list[DirectionSeen]] = {}
    for seen in (direction for direction in accused.seen if direction.parts):
        ends = _place(evidence, seen.sender), _place(evidence, seen.receiver)
        routes.setdefault((seen.call.kind == "overload", *ends), []).append(seen)
    for (overloaded, source, target), all_of_them in sorted(routes.items(), key=lambda item: item[0]):
        counted = [
            direction
            for direction in all_of_them
            if not any(id(part) in accused.lossy for part in direction.parts)
        ]
        counted = counted if 2 * len(counted) > len(all_of_them) else all_of_them
        planned = max((part.planned_effect for direction in counted for part in direction.parts), default=1.0)
        load = " while the WAN is overloaded" if overloaded else ""
        claim = Claim(
            "quality.overload" if overloaded else "quality.voice",
            ("C8",),
            f"{source} → {target}",
            f"{limits_in_words(policy)}{load}, with {policy.confidence.verdict_pct:g} % confidence",
        )
        figures = route_figures(policy, [direction.stream for direction in counted], planned)
        observed = figures_in_words(figures)
        if names := missed(policy, figures):
            by_loss = names == ["MOS"] and _is_lossy(policy, figures)
            worst = max(counted, key=lambda direction: _suffered(direction.stream, by_loss))
            walk = by_direction.get((worst.call.id, worst.direction))
            blind = evidence.windows.blind(*media_time(worst.stream))
            blame, where = blamed(
                evidence, counted, *culprit(evidence.network, walk, worst.stream, by_loss, blind)
            )
            text = f"{observed}; beyond: {', '.join(names)}" + (f"; {where}" if where else "")
            tap = evidence.network.first_tap.get(worst.receiver.name)
            finding = claim.failed(text, in_evidence(counted, tap), blame)
        elif doubts := not_kept(policy, figures):
            finding = claim.not_shown("; ".join([observed, *doubts]))
        else:
            finding = claim.passed(observed, in_evidence(counted))
        yield with_margins(finding, margins_of(policy, figures))


def margins_of(policy: Policy, figures: RouteFigures) -> tuple[Margin | None, ...]:
    """By the end of each interval that must be within the limit."""
    return (
        highest(DELAY, figures.delay_ms, policy.max_one_way_delay_ms, "ms", 1),
        highest(JITTER, figures.jitter_ms, policy.max_jitter_ms, "ms", 2),
        lowest(MOS, figures.mos, policy.min_mos, 2),
    )


def _suffered(stream: Stream, by_loss: bool) -> float:
    return float(stream.lost) if by_loss else stream.delay_sum_ms / max(stream.received, 1)


def _is_lossy(policy: Policy, figures: RouteFigures) -> bool:
    return figures.loss.value >= policy.max_loss_pct / 100


def _place(evidence: RunEvidence, endpoint: Endpoint) -> str:
    site = evidence.network.ways.site_of.get(endpoint.node, "")
    return OUTSIDE if endpoint.kind == "pstn-phone" or site not in evidence.network.ways.lines else site

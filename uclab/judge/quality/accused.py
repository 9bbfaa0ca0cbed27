"""Which single calls are worse than chance explains on a line that keeps the policy (C8).

A call of some seconds has too few packets for a verdict of its own, and of many calls one is always
unlucky. So a call is accused only where the end of its interval that speaks for it is beyond the limit,
with so high a confidence that all figures of all calls of the run together accuse wrongly as seldom as the
policy says (C. E. Bonferroni, 1936). How much its figures scatter is taken from the other calls of the
line: its own trouble does not excuse it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

from uclab.judge.measure import emodel
from uclab.judge.measure.clusters import Clusters, loss_with, successive_scatter
from uclab.judge.measure.streams import REPORT_S, Stream
from uclab.judge.quality.call_parts import DirectionSeen, Part
from uclab.judge.quality.figures import BySecond, by_second, rating
from uclab.plan.schema.plan import Policy

OF_A_DIRECTION = 5
"""Figures by which a direction can be accused: loss in three parts, delay, MOS; besides jitter, in each
report."""


@dataclass(frozen=True)
class Accusation:
    """What a direction of a call has beyond its limit, that chance does not explain."""

    words: str
    by_loss: bool
    part: Part | None = None
    """Where it lost, if it was loss."""


@dataclass(frozen=True)
class Scatter:
    """How the figures of other calls scatter from second to second, where no call has trouble of its
    own."""

    lost: Clusters
    delay_ms: float
    jitter_ms: float

    @staticmethod
    def of(others: Sequence[Stream], own: Stream | None = None) -> Scatter:
        """Of other calls' streams; of its own where there are no others."""

        def of_means(figure: BySecond) -> float:
            scatter = successive_scatter(by_second([other], figure) for other in others)
            if scatter is None and own is not None:
                scatter = successive_scatter([by_second([own], figure)])
            return scatter or 0.0

        return Scatter(by_second(others, "lost"), of_means("delay_sum_ms"), of_means("jitter_sum_ms"))


def level_for(policy: Policy, streams: Sequence[Stream]) -> float:
    """Confidence of one figure of one of these streams, so that all together accuse wrongly as seldom as
    the policy says."""
    reports = sum(max(1, len(stream.seconds) // REPORT_S) for stream in streams)
    return 1 - policy.confidence.accused_pct / 100 / max(OF_A_DIRECTION * len(streams) + reports, 2)


def beyond_chance(
    policy: Policy, level: float, stream: Stream, scatter: Scatter, planned_effect: float = 1.0
) -> Accusation | None:
    """What of a stream's delay, jitter in a report's time, or MOS is beyond its limit even if chance was
    against it."""
    z, seconds = NormalDist().inv_cdf(level), max(1, len(stream.seconds))
    by_chance = z * scatter.delay_ms / math.sqrt(seconds)
    delay_ms = max(0.0, stream.delay_sum_ms / stream.received - by_chance)
    if delay_ms >= policy.max_one_way_delay_ms:
        return Accusation(f"delay at least {delay_ms:.1f} ms", by_loss=False)
    jitter_ms = stream.worst_jitter_ms - z * scatter.jitter_ms / math.sqrt(min(seconds, REPORT_S))
    if jitter_ms >= policy.max_jitter_ms:
        return Accusation(f"jitter in {REPORT_S} s at least {jitter_ms:.1f} ms", by_loss=False)
    lost = by_second([stream], "lost")
    as_seen = rating(stream, 100 * lost.mean, stream.delay_sum_ms / stream.received, stream.jitter.mean_ms)
    if not lost.count or emodel.mos(as_seen) >= policy.min_mos:
        return None
    loss, _ = loss_with(policy.confidence, level, lost, planned_effect, scatter.lost)
    mean_ms = max(0.0, stream.jitter.mean_ms - z * scatter.jitter_ms / math.sqrt(seconds))
    mos = emodel.mos(rating(stream, 100 * loss.low, delay_ms, mean_ms))
    if mos >= policy.min_mos:
        return None
    by_loss = emodel.mos(rating(stream, 0.0, delay_ms, mean_ms)) >= policy.min_mos
    return Accusation(f"MOS at most {mos:.2f}", by_loss)


def worse_than_chance(policy: Policy, streams: Sequence[Stream]) -> list[Stream]:
    """Those of a campaign's streams that miss the policy by more than chance explains. They are too many to
    look at the others of each: how they scatter is taken from all of them."""
    level, scatter, limit = level_for(policy, streams), Scatter.of(streams), policy.max_loss_pct / 100
    found = []
    for stream in streams:
        lost = by_second([stream], "lost")
        lossy = lost.count and lost.mean >= limit
        if (
            not stream.received
            or (lossy and loss_with(policy.confidence, level, lost, 1.0, scatter.lost)[0].beyond(limit))
            or beyond_chance(policy, level, stream, scatter) is not None
        ):
            found.append(stream)
    return found


@dataclass(frozen=True)
class Accused:
    """Looks at all directions of a run's calls."""

    policy: Policy
    seen: tuple[DirectionSeen, ...]

    @cached_property
    def level(self) -> float:
        """Confidence of one figure of one call."""
        return level_for(self.policy, [direction.stream for direction in self.seen])

    @cached_property
    def places(self) -> dict[tuple[bool, str], list[Part]]:
        """(overloaded, place) -> parts of calls there."""
        found: dict[tuple[bool, str], list[Part]] = {}
        for direction in self.seen:
            for part in direction.parts:
                found.setdefault((part.call.kind == "overload", part.place), []).append(part)
        return found

    @cached_property
    def lossy(self) -> dict[int, str]:
        """Of each part (by identity) that lost more than chance explains: how much."""
        limit, found = self.policy.max_loss_pct / 100, {}
        for parts in self.places.values():
            for part in parts:
                own = part.clusters
                if not own.count or own.mean < limit:
                    continue
                others = Clusters.of(other.seconds for other in parts if other is not part)
                interval, _ = loss_with(self.policy.confidence, self.level, own, part.planned_effect, others)
                if interval.beyond(limit):
                    found[id(part)] = (
                        f"{own.total:.0f} of {own.count:.0f} packets lost on {part.place}:"
                        f" at least {100 * interval.low:.2f} %"
                    )
        return found

    def of(self, direction: DirectionSeen) -> Accusation | None:
        """What is beyond chance in a direction; loss first."""
        for part in direction.parts:
            if id(part) in self.lossy:
                return Accusation(self.lossy[id(part)], True, part)
        others = [other.stream for other in self.seen if other is not direction and _alike(other, direction)]
        planned = max((part.planned_effect for part in direction.parts), default=1.0)
        return beyond_chance(
            self.policy, self.level, direction.stream, Scatter.of(others, direction.stream), planned
        )


def _alike(other: DirectionSeen, one: DirectionSeen) -> bool:
    """Whether two directions take the same paths under the same condition."""
    return (other.call.kind == "overload") == (one.call.kind == "overload") and {
        part.place for part in other.parts
    } == {part.place for part in one.parts}

"""How near the worst of a run came to each limit of the policy: a verdict that held by a hair says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from uclab.judge.types import JudgedCall, Margin, MediaQuality
from uclab.plan.types import Policy


@dataclass(frozen=True)
class Limit:
    """A limit of the policy, and the figure that is held against it."""

    figure: str
    """In words: just what is judged."""
    unit: str
    digits: int
    allowed: float
    judged: Callable[[MediaQuality], float | None]
    at_least: bool = False
    """The figure must not be below; else it must not be above."""


def limits(policy: Policy) -> tuple[Limit, ...]:
    """The limits of voice."""
    return (
        Limit("mean delay", "ms", 1, policy.max_one_way_delay_ms, lambda quality: quality.delay_ms),
        Limit("loss", "%", 2, policy.max_loss_pct, lambda quality: quality.loss_pct),
        Limit("worst 5 s jitter", "ms", 2, policy.max_jitter_ms, lambda quality: quality.judged_jitter_ms),
        Limit("MOS", "", 2, policy.min_mos, lambda quality: quality.mos, at_least=True),
    )


def margins(policy: Policy, calls: Sequence[JudgedCall], skipped: Sequence[str]) -> tuple[Margin, ...]:
    """For each limit the direction of a call that came nearest to it, of all that are judged by it; kinds of
    call that are `skipped` are not."""
    directions = list(_directions(calls, skipped))
    return tuple(margin for limit in limits(policy) if (margin := _nearest(limit, directions)) is not None)


def _directions(calls: Sequence[JudgedCall], skipped: Sequence[str]) -> Iterator[tuple[str, MediaQuality]]:
    for call in calls:
        if call.established and call.kind not in skipped:
            for name, quality in (("forward", call.forward), ("backward", call.backward)):
                if quality is not None and quality.delay_ms is not None:
                    yield f"{call.id}:{name}", quality


def _nearest(limit: Limit, directions: Sequence[tuple[str, MediaQuality]]) -> Margin | None:
    found = [(value, name) for name, one in directions if (value := limit.judged(one)) is not None]
    if not found:
        return None
    value, name = min(found) if limit.at_least else max(found)
    left = value - limit.allowed if limit.at_least else limit.allowed - value
    return Margin(
        limit.figure,
        name,
        round(value, 3),
        limit.allowed,
        limit.unit,
        limit.digits,
        round(100 * left / limit.allowed, 1),
    )

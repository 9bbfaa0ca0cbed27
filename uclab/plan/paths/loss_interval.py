"""With what confidence a share of lost packets lies below or above a limit, and how many packets a verdict
needs.

The interval is that of Korn and Graubard: the exact one of Clopper and Pearson (Biometrika 26, 1934) for as
many packets as count after the *design effect* (Kish, Survey Sampling, 1965), because a line that loses in
bursts of ten tells as little by 10,000 packets as one that loses at random tells by 1,000. (E. L. Korn, B.
I. Graubard: Confidence intervals for proportions with small expected number of positive counts estimated
from survey data, Survey Methodology 24, 1998, 193-201.)

Shares are 0..1; a level is the confidence of *one* end of an interval, 0.5..1. Pure, and without any number
of a policy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

MOST_PACKETS = 10_000_000
"""More than this is no answer: more than two days of one direction of a call."""
FEW_CLUSTERS = 10
"""By fewer seconds with losses than this a design effect cannot be estimated."""
_TINY = 1e-300
_FRACTIONS = 20_000
_HALVINGS = 50
_STEP = 1.03


@dataclass(frozen=True)
class Interval:
    """A figure, and the values between which it lies with the confidence that was asked for."""

    value: float
    low: float
    high: float

    def below(self, limit: float) -> bool:
        """Shown to be below a limit."""
        return self.high < limit

    def beyond(self, limit: float) -> bool:
        """Shown to be at a limit or above."""
        return self.low >= limit


def loss_interval(
    lost: float, sent: float, level: float, design_effect: float = 1.0, clusters: int | None = None
) -> Interval:
    """Of the share that a line loses which lost `lost` of `sent` packets.

    `clusters`: from how many of them the design effect was estimated, if it was: Korn and Graubard then let
    fewer packets count, by the squared ratio of the normal to Student's quantile.
    """
    if not sent > 0 or not 0 <= lost <= sent or design_effect < 1 or not 0.5 <= level < 1:
        raise ValueError(f"loss: {lost} of {sent}, design effect {design_effect}, level {level}")
    effective = sent / design_effect
    if clusters is not None and clusters > 1 and level > 0.5:
        effective *= (NormalDist().inv_cdf(level) / student_quantile(level, clusters - 1)) ** 2
    share = lost / sent
    hits = share * effective
    low = _root(lambda p: at_least(hits, effective, p) - (1 - level), 0.0, share) if lost else 0.0
    high = _root(lambda p: (1 - level) - at_most(hits, effective, p), share, 1.0) if lost < sent else 1.0
    return Interval(share, low, high)


def at_least(lost: float, sent: float, share: float) -> float:
    """The chance that so many packets or more get lost where each does with chance `share`: the binomial
    tail, also between whole numbers (DLMF 8.17.5)."""
    return 1.0 if lost <= 0 else beta_share(share, lost, sent - lost + 1)


def at_most(lost: float, sent: float, share: float) -> float:
    """The chance that so many or fewer do."""
    return 1.0 if lost >= sent else 1 - beta_share(share, lost + 1, sent - lost)


@cache
def packets_needed(
    expected: float,
    limit: float,
    level: float,
    power: float,
    design_effect: float = 1.0,
    judged_effect: float = 1.0,
) -> int | None:
    """So many packets show on which side of `limit` a line is that loses `expected`: with confidence
    `level`, and in the share `power` of all runs. None where it would take more than `MOST_PACKETS`, as
    just at the limit.

    `design_effect`: of the line's loss; `judged_effect`: what the verdict counts with where that is more.
    """
    judged = max(design_effect, judged_effect)
    if not 0 < limit < 1 or not 0 <= expected <= 1 or design_effect < 1:
        raise ValueError(f"loss: expected {expected}, limit {limit}, design effect {design_effect}")
    apart = abs(expected - limit)
    z = NormalDist().inv_cdf
    spread = z(level) * math.sqrt(limit * (1 - limit)) + z(power) * math.sqrt(expected * (1 - expected))
    if spread**2 * judged > MOST_PACKETS * apart**2:  # by the normal law
        return None
    enough = max(1.0, (spread / apart) ** 2 / 2) * design_effect
    while _shown(expected, limit, level, enough, design_effect, judged) < power:
        enough *= _STEP
    return math.ceil(enough)


def _shown(
    expected: float, limit: float, level: float, sent: float, design_effect: float, judged_effect: float
) -> float:
    """How often so many packets show the right side."""
    judged, real = sent / judged_effect, sent / design_effect
    scale = judged_effect / design_effect
    if expected < limit:
        if at_most(0, judged, limit) > 1 - level:
            return 0.0
        most = _root(lambda lost: (1 - level) - at_most(lost, judged, limit), judged * limit, 0.0)
        return at_most(math.floor(most * scale), real, expected)
    if at_least(judged, judged, limit) > 1 - level:
        return 0.0
    least = _root(lambda lost: (1 - level) - at_least(lost, judged, limit), judged * limit, judged)
    return at_least(math.ceil(least * scale), real, expected)


def student_quantile(level: float, degrees: int) -> float:
    """Student's t that is not exceeded with chance `level`, of 0.5 and more (Student, Biometrika 6,
    1908)."""
    if not 0.5 <= level < 1 or degrees < 1:
        raise ValueError(f"Student's t: level {level}, {degrees} degrees of freedom")
    beyond = 2 * (1 - level)
    x = _root(lambda x: beta_share(x, degrees / 2, 0.5) - beyond, 0.0, 1.0)
    return math.sqrt(degrees * (1 - x) / x) if x > 0 else math.inf


def beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22, modified
    Lentz)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_share(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    c, d = 1.0, 1 / _clear(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _FRACTIONS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            c, d = _clear(1 + term / c), 1 / _clear(1 + term * d)
            value *= c * d
        if abs(c * d - 1) < 1e-12:
            break
    return min(1.0, front * value / a)


def _clear(value: float) -> float:
    """Away from zero, so that it can be divided by."""
    return value if abs(value) > _TINY else _TINY


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a function passes zero that is negative on the side of `low`."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2

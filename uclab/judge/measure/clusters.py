"""How far figures scatter from second to second: packets of one second are not independent of each other,
seconds nearly are.

A second is a *cluster* of all packets that a line carried in it, of whatever calls. How much more the lost
packets scatter between clusters than single packets drawn by lot would is the design effect (Kish, Survey
Sampling, 1965, chapter 5); the variance of a ratio from clusters is that of Cochran, Sampling Techniques,
1977, section 9A.2. Bursts shorter than a second lie within a cluster, whether they hit one call or several
at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from uclab.plan.paths.loss_interval import FEW_CLUSTERS, Interval, loss_interval, student_quantile
from uclab.plan.schema.plan import Confidence


@dataclass(frozen=True)
class Clusters:
    """Sums and numbers of packets by second; of loss the sum is the packets lost."""

    sums: tuple[float, ...]
    counts: tuple[float, ...]

    @staticmethod
    def of(parts: Iterable[Mapping[int, tuple[float, float]]]) -> Clusters:
        """Those of several streams together: each says (sum, number of packets) by second."""
        total: dict[int, tuple[float, float]] = {}
        for part in parts:
            for second, (amount, count) in part.items():
                before = total.get(second, (0.0, 0.0))
                total[second] = (before[0] + amount, before[1] + count)
        kept = [both for _, both in sorted(total.items()) if both[1] > 0]
        return Clusters(tuple(amount for amount, _ in kept), tuple(count for _, count in kept))

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def count(self) -> float:
        """Packets of all seconds."""
        return sum(self.counts)

    @property
    def total(self) -> float:
        """Of the sums: packets lost."""
        return sum(self.sums)

    @property
    def struck(self) -> int:
        """In so many seconds something was lost."""
        return sum(amount > 0 for amount in self.sums)

    @property
    def mean(self) -> float:
        """Over all packets; 0 without any."""
        return self.total / self.count if self.counts else 0.0

    @property
    def variance(self) -> float:
        """Of the mean; infinite where one second alone was seen."""
        if len(self) < 2:
            return math.inf
        apart = np.array(self.sums) - self.mean * np.array(self.counts)
        return float(len(self) / (len(self) - 1) * (apart**2).sum() / self.count**2)

    @property
    def design_effect(self) -> float:
        """By how much the share of lost packets scatters more than if each were lost by lot; at least 1."""
        share = self.mean
        if len(self) < 2 or not 0 < share < 1:
            return 1.0
        return max(1.0, self.variance * self.count / (share * (1 - share)))

    def mean_interval(self, level: float) -> Interval:
        """Of the mean, by Student's t. The scatter is that of successive seconds, which leaves a slow drift
        out: that is the network's, not chance (J. von Neumann, Annals of Mathematical Statistics 12,
        1941)."""
        scatter = successive_scatter([self])
        if scatter is None:
            return Interval(self.mean, -math.inf, math.inf)
        half = student_quantile(level, len(self) - 1) * scatter / math.sqrt(len(self))
        return Interval(self.mean, self.mean - half, self.mean + half)


def successive_scatter(series: Iterable[Clusters]) -> float | None:
    """Standard deviation of a second's mean, by the differences between successive seconds of each series;
    None where there are none."""
    squares = [
        (clusters.sums[at + 1] / clusters.counts[at + 1] - clusters.sums[at] / clusters.counts[at]) ** 2
        for clusters in series
        for at in range(len(clusters) - 1)
    ]
    return math.sqrt(sum(squares) / len(squares) / 2) if squares else None


def loss_with(
    sure: Confidence, level: float, clusters: Clusters, planned_effect: float, bursts: Clusters | None = None
) -> tuple[Interval, float]:
    """The share lost with its interval, and the design effect that it counts with: as measured on `bursts`
    (or the same packets), at least what the line's profile says, and what the policy assumes where too
    little was lost."""
    if not clusters.count:
        return Interval(0.0, 0.0, 1.0), 1.0
    source = bursts if bursts is not None and bursts.count else clusters
    measured = source.design_effect
    effect = max(measured, planned_effect)
    estimated_from = len(source) if effect == measured else None
    if source.struck < FEW_CLUSTERS:
        effect, estimated_from = max(effect, sure.assumed_design_effect), None
    return loss_interval(clusters.total, clusters.count, level, effect, estimated_from), effect

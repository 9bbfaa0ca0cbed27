"""What chance does to packets on a line: loss in bursts, delays that scatter; the way netem does both.

Pure: the random numbers come in, so that the same seed gives the same decisions.
"""

from __future__ import annotations

import math
from random import Random
from statistics import NormalDist

from uclab.plan.schema.plan import Bursts, Impairment

_TAIL = 4.0
"""netem's tables (iproute2, tc/*.dist) end at four times their scale."""
_PARETO_SHAPE, _PARETO_MEAN, _PARETO_SCALE = 3.0, 1.5, 0.75
"""netem's `pareto` table: Pareto numbers of shape 3, less their mean, by their variance."""

_NORMAL = NormalDist()

TABLE_DEVIATIONS = {"normal": 1.0, "uniform": 1 / math.sqrt(3), "pareto": 0.82, "paretonormal": 0.834}
"""Standard deviation of what each distribution gives for netem's jitter of 1: `uniform` is netem without a
table, evenly to both sides; the others measured on the tables of iproute2 6.1."""


def netem_jitter_ms(impairment: Impairment) -> float:
    """The jitter to ask netem for, so that the delay's standard deviation is the planned one."""
    return round(impairment.jitter_ms / TABLE_DEVIATIONS[impairment.jitter_distribution], 3)


def deviation(random: Random, distribution: str) -> float:
    """How far a packet's delay lies from the line's delay, in units of netem's jitter."""
    match distribution:
        case "uniform":
            return random.uniform(-1.0, 1.0)
        case "pareto":
            return _pareto(random.random())
        case "paretonormal":
            # a quarter normal, both at the same quantile: so the table is made
            quantile = random.random() or 0.5
            return 0.25 * min(_TAIL, max(-_TAIL, _NORMAL.inv_cdf(quantile))) + 0.75 * _pareto(quantile)
    return random.gauss(0.0, 1.0)


def _pareto(quantile: float) -> float:
    pareto = math.pow(1.0 - quantile, -1.0 / _PARETO_SHAPE)
    return min(_TAIL, (pareto - _PARETO_MEAN) / _PARETO_SCALE)


class Loss:
    """Which packets a line loses: at random, and in bursts where there are any (Gilbert-Elliott).

    As in netem (net/sched/sch_netem.c, loss_gilb_ell): for each packet the line's next state is drawn, then
    whether the packet is lost in the state before.
    """

    def __init__(self, random: Random, loss_pct: float, bursts: Bursts | None) -> None:
        self._random = random
        self._loss_pct = loss_pct
        self._bursts = bursts
        self._bad = False

    def change(self, loss_pct: float, bursts: Bursts | None) -> None:
        """Other figures from the next packet on; a burst that goes on goes on."""
        self._loss_pct = loss_pct
        self._bursts = bursts
        self._bad = self._bad and bursts is not None

    def lost(self) -> bool:
        """Whether the next packet is lost."""
        loss_pct = self._loss_pct
        if self._bursts is not None:
            bursts = self._bursts
            if self._bad:
                loss_pct = bursts.lost_pct
            change_pct = bursts.leave_pct if self._bad else bursts.enter_pct
            if self._random.random() * 100 < change_pct:
                self._bad = not self._bad
        return self._random.random() * 100 < loss_pct

"""Confidence in a share of lost packets: against published values, and by simulation of lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from testbed.plans import shipped_plan
from uclab.judge.measure.clusters import Clusters, loss_with
from uclab.judge.measure.streams import Second, Stream
from uclab.judge.quality.accused import worse_than_chance
from uclab.plan.paths.line_loss import INTERRUPTED, UNCOUNTED_S, expected_loss
from uclab.plan.paths.loss_interval import (
    Interval,
    at_least,
    at_most,
    beta_share,
    loss_interval,
    packets_needed,
    student_quantile,
)
from uclab.plan.schema.plan import Bursts, Plan
from uclab.plan.traffic.calls import reference_calls

pytestmark = pytest.mark.req("C8")

RUNS = 100
BURSTY = Bursts(enter_pct=1.0, leave_pct=25.0, lost_pct=60.0)
"""Four packets long in the mean; how often is set to give the line's loss."""


# -- against values known otherwise


@pytest.mark.parametrize(
    ("lost", "sent", "low", "high"),
    [  # Clopper and Pearson, 95 % between both ends
        (0, 100, 0.0, 0.0362),
        (1, 10, 0.0025, 0.4450),
        (5, 100, 0.0164, 0.1128),
        (10, 1000, 0.0048, 0.0183),
        (10, 10, 0.6915, 1.0),
    ],
)
def test_without_bursts_it_is_the_exact_interval(lost: int, sent: int, low: float, high: float) -> None:
    found = loss_interval(lost, sent, 0.975)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


def test_nothing_lost_of_299_shows_less_than_one_per_cent() -> None:
    assert loss_interval(0, 299, 0.95).below(0.01)
    assert not loss_interval(0, 298, 0.95).below(0.01)
    # and where loss comes in bursts, as many packets tell less
    assert not loss_interval(0, 299, 0.95, design_effect=2).below(0.01)
    assert loss_interval(0, 598, 0.95, design_effect=2).below(0.01)


@pytest.mark.parametrize(
    ("level", "degrees", "value"),
    [(0.95, 1, 6.314), (0.95, 4, 2.132), (0.975, 10, 2.228), (0.99, 30, 2.457), (0.95, 1000, 1.646)],
)
def test_students_quantiles_are_those_of_the_tables(level: float, degrees: int, value: float) -> None:
    assert student_quantile(level, degrees) == pytest.approx(value, abs=6e-4)


def test_tails_are_those_of_the_binomial_law() -> None:
    # 3 or more, and 3 or fewer, of 10 with chance 0.2
    assert at_least(3, 10, 0.2) == pytest.approx(0.32220, abs=1e-5)
    assert at_most(3, 10, 0.2) == pytest.approx(0.87913, abs=1e-5)
    assert beta_share(0.3, 2.5, 4.0) + beta_share(0.7, 4.0, 2.5) == pytest.approx(1.0)


def test_the_interval_of_few_clusters_is_wider() -> None:
    many, few = (loss_interval(20, 2000, 0.95, 1.0, clusters) for clusters in (None, 5))
    assert few.low < many.low < many.value < many.high < few.high


@pytest.mark.parametrize(
    ("lost", "sent", "level", "effect"), [(1, 0, 0.95, 1), (3, 2, 0.95, 1), (1, 9, 0.3, 1), (1, 9, 0.9, 0.5)]
)
def test_figures_that_cannot_be_are_refused(lost: int, sent: int, level: float, effect: float) -> None:
    with pytest.raises(ValueError, match="loss"):
        loss_interval(lost, sent, level, effect)


def test_the_nearer_to_the_limit_the_more_packets_it_takes() -> None:
    needed = [packets_needed(share, 0.01, 0.95, 0.98) or 0 for share in (0.0, 0.005, 0.008, 0.009)]
    assert needed == sorted(needed)
    assert needed[0] < 350
    assert 25_000 < needed[2] < 40_000
    assert packets_needed(0.01, 0.01, 0.95, 0.98) is None
    assert packets_needed(0.013, 0.01, 0.95, 0.98, design_effect=8) or 0 > 8 * 15_000


# -- lines, as the reference scenario would measure them


@cache
def line(loss_pct: float, bursty: bool) -> Plan:
    """`enterprise-hq` with a line that loses so much each way."""
    plan = shipped_plan("enterprise-hq")
    bursts = None
    if bursty:  # share of the time that the line must be bad
        bad = loss_pct / BURSTY.lost_pct
        bursts = replace(BURSTY, enter_pct=BURSTY.leave_pct * bad / (1 - bad))
    nodes = tuple(
        replace(
            node,
            impairments=tuple(
                replace(its, loss_pct=0.0 if bursts else loss_pct, bursts=bursts) for its in node.impairments
            ),
        )
        for node in plan.nodes
    )
    return replace(plan, nodes=nodes)


def losses(random: np.random.Generator, packets: int, plan: Plan) -> npt.NDArray[np.bool_]:
    """Which packets the line loses (Gilbert-Elliott)."""
    its = next(its for node in plan.nodes for its in node.impairments)
    if its.bursts is None:
        return random.random(packets) < its.loss_pct / 100
    turns = int(packets * its.bursts.enter_pct / 100 * 2) + 50
    good = random.geometric(its.bursts.enter_pct / 100, turns)
    bad = random.geometric(its.bursts.leave_pct / 100, turns)
    state = np.repeat(np.tile([False, True], turns), np.column_stack((good, bad)).ravel())[:packets]
    assert len(state) == packets
    return state & (random.random(packets) < its.bursts.lost_pct / 100)


def measured(random: np.random.Generator, plan: Plan) -> Interval:
    """The loss of the site's line upwards, by the quiet calls that the reference scenario would place."""
    names = {endpoint.name for endpoint in plan.endpoints}
    legs = [
        call.seconds - UNCOUNTED_S
        for call in reference_calls(plan)
        if call.kind not in (*INTERRUPTED, "overload")
        for party in (call.caller, call.callee)
        if party in names
    ]
    counts = [50 * sum(seconds > at for seconds in legs) for at in range(int(max(legs)))]
    lost = losses(random, sum(counts), plan)
    by_second = np.add.reduceat(lost.astype(int), np.concatenate(([0], np.cumsum(counts)[:-1])))
    clusters = Clusters(tuple(map(float, by_second)), tuple(map(float, counts)))
    planned = expected_loss(plan, plan.endpoints[0].name, "up").design_effect
    return loss_with(plan.policy.confidence, plan.policy.confidence.level, clusters, planned)[0]


@pytest.mark.parametrize("bursty", [False, True], ids=["at random", "in bursts"])
@pytest.mark.parametrize(
    ("loss_pct", "right"), [(0.0, "pass"), (0.5, "pass"), (0.8, "pass"), (1.3, "fail"), (2.0, "fail")]
)
def test_a_line_gets_the_right_verdict_in_95_of_100_runs(loss_pct: float, right: str, bursty: bool) -> None:
    # given a line with this loss, and the media that the reference scenario places for it
    if bursty and not loss_pct:
        return
    plan, random = line(loss_pct, bursty), np.random.default_rng(20_26)

    # when it is measured a hundred times
    verdicts: Counter[str] = Counter()
    for _ in range(RUNS):
        loss = measured(random, plan)
        verdicts["pass" if loss.below(0.01) else "fail" if loss.beyond(0.01) else "not shown"] += 1

    # then the verdict is right, and hardly ever the opposite
    assert verdicts[right] >= 95, verdicts
    assert verdicts["pass" if right == "fail" else "fail"] <= 1, verdicts


def test_bursts_that_no_profile_tells_of_are_seen() -> None:
    # given a line of 1 % in bursts of four packets, of which the judge knows nothing
    plan, random = line(1.0, True), np.random.default_rng(7)
    effects = []
    for _ in range(20):
        lost = losses(random, 300 * 120, plan).reshape(120, 300).sum(axis=1)
        effects.append(Clusters(tuple(map(float, lost)), (300.0,) * 120).design_effect)
    # then what it measures is what the Gilbert-Elliott model has
    planned = expected_loss(plan, plan.endpoints[0].name, "up").design_effect
    assert planned == pytest.approx(4.5, abs=0.3)
    assert np.mean(effects) == pytest.approx(planned, rel=0.15)


def stream(number: int, lost: npt.NDArray[np.int64]) -> Stream:
    """A call's one direction, with the packets lost by second."""
    found = Stream(number, 0, 0, 0, None, sent=50 * len(lost), received=50 * len(lost) - int(lost.sum()))
    for second, count in enumerate(lost.tolist()):
        found.seconds[second] = Second(50, 50 - count, 20.0 * (50 - count), 1.0 * (50 - count))
        found.delay_sum_ms += 20.0 * (50 - count)
    found.jitter.sum_ms, found.jitter.count = float(found.received), found.received
    return found


def test_no_call_of_a_line_within_the_policy_is_accused_and_a_bad_one_always_is() -> None:
    # given calls of five seconds on a line that loses 0.8 %: a third of them lose more than 1 %
    policy, random = line(0.8, False).policy, np.random.default_rng(11)
    unlucky = accused = missed = 0
    for _ in range(RUNS):
        calls = [stream(n, random.binomial(50, 0.008, 5)) for n in range(18)]
        unlucky += sum(call.lost >= 0.01 * call.sent for call in calls)
        accused += bool(worse_than_chance(policy, calls))
        # when one of them loses 30 % by a fault of its own
        bad = stream(99, random.binomial(50, 0.3, 5))
        missed += worse_than_chance(policy, [*calls, bad]) != [bad]
    # then only that one is accused
    assert unlucky > 5 * RUNS
    assert accused <= 1
    assert missed <= 1

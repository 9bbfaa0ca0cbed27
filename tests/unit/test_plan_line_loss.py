"""What lines lose by their profiles, and how long that makes the reference scenario's calls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testbed.plans import shipped_plan
from uclab.plan.paths.line_loss import CALL_S, call_s, expected_loss
from uclab.plan.schema.plan import Bursts, Plan
from uclab.plan.traffic.calls import TRANSFERRED_SECONDS, reference_calls, rounds

pytestmark = pytest.mark.req("C8")


def plan(topology: str = "small-office") -> Plan:
    return shipped_plan(topology)


def lossy(loss_pct: float, bursts: Bursts | None = None, delay_ms: float = 10.0) -> Plan:
    """`small-office` with a line that loses so much each way."""
    its = plan()
    nodes = tuple(
        replace(
            node,
            impairments=tuple(
                replace(line, loss_pct=loss_pct, bursts=bursts, delay_ms=delay_ms)
                for line in node.impairments
            ),
        )
        for node in its.nodes
    )
    return replace(its, nodes=nodes)


def longest_s(its: Plan) -> tuple[float, float]:
    """Of the quiet calls, and of those under overload."""
    calls = reference_calls(its)
    return (
        max(call.seconds for call in calls if call.kind not in ("overload", "hold-transfer")),
        max(call.seconds for call in calls if call.kind == "overload"),
    )


def test_a_path_loses_what_its_lines_lose_one_after_another() -> None:
    # given a branch that reaches the cloud over its hub's line: 0.005 % on its own circuit, nothing behind
    hub = plan("hub-and-spoke")
    branch = next(endpoint for endpoint in hub.endpoints if endpoint.node.startswith("b1"))
    for way in ("up", "down"):
        found = expected_loss(hub, branch.name, way)
        assert found.share == pytest.approx(0.00005)
        assert found.design_effect == 1.0
        assert found.delay_ms == pytest.approx(14.0)


def test_a_call_by_hand_is_as_long_as_a_verdict_takes() -> None:
    # of two phones at one site both send over its line; of a phone and the telephone network one
    office = plan()
    assert 5.0 < call_s(office, "desk1", "desk2") < call_s(office, "desk1", "+493055501001") < 20
    # a line that loses as much as its limit asks for nothing
    assert call_s(lossy(1.0), "desk1", "desk2") == CALL_S


def test_bursts_count_by_the_gilbert_elliott_model() -> None:
    # given a low-orbit line: 0.2 % upwards at random, and a burst of 20 packets in 2,000 that loses 80 %
    found = expected_loss(plan("satellite-leo"), "desk1", "up")
    assert found.share == pytest.approx(0.0099, abs=1e-4)
    assert found.design_effect == pytest.approx(25, abs=0.5)
    assert expected_loss(lossy(1.0), "desk1", "down").design_effect == 1.0


@pytest.mark.parametrize("topology", ["small-office", "enterprise-hq", "mpls-branch", "smb-dual-wan"])
def test_calls_on_lines_far_from_the_limit_stay_short(topology: str) -> None:
    assert longest_s(plan(topology)) <= (8.0, 8.0)


def test_calls_become_as_long_as_the_verdict_needs() -> None:
    quiet = [longest_s(lossy(loss_pct))[0] for loss_pct in (0.0, 0.3, 0.5, 0.8)]
    assert quiet == sorted(quiet)
    assert quiet[0] == 5.0
    # 0.8 %: some 35,000 packets each way, two sides at a time in the round with most
    assert 250 < quiet[-1] < 450
    assert longest_s(lossy(0.0, Bursts(0.2, 25.0, 60.0)))[0] > longest_s(lossy(0.5))[0]
    # and calls under overload have to say it by themselves
    assert longest_s(lossy(0.8))[1] > 100


def test_where_no_reasonable_call_is_long_enough_calls_stay_short() -> None:
    assert longest_s(lossy(1.0)) == (5.0, 8.0)
    assert longest_s(lossy(0.97)) == (5.0, 8.0)
    # nor is a line measured whose delay alone is beyond the limit
    assert longest_s(lossy(0.8, delay_ms=200.0)) == (5.0, 8.0)
    # and the policy says what is reasonable
    short = lossy(0.8)
    sure = replace(short.policy.confidence, longest_call_s=60.0)
    assert longest_s(replace(short, policy=replace(short.policy, confidence=sure))) == (5.0, 8.0)


def test_calls_that_run_at_once_stay_together() -> None:
    its = lossy(0.8)
    for group in rounds(its, reference_calls(its)):
        assert len({call.seconds for call in group if call.kind != "hold-transfer"}) <= 1


@pytest.mark.parametrize(("topology", "alone"), [("internet-exchange", True), ("enterprise-hq", False)])
def test_a_transferred_call_that_alone_goes_between_two_sites_is_long_enough_for_a_verdict(
    topology: str, alone: bool
) -> None:
    # given a reference scenario whose transferred call is, or is not, the only one between its sites
    its = plan(topology)
    (call,) = (call for call in reference_calls(its) if call.transfer_to is not None)
    # then it lasts as long as a verdict on them takes, or no longer than it takes to hear each other
    wanted = call_s(its, call.callee, call.transfer_to or "")
    assert call.transfer_seconds == (wanted if alone else TRANSFERRED_SECONDS) < wanted + 1

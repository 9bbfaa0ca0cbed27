"""Where on a walk something begins to be wrong, and who stands in front of it."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from testbed.made_up_network import reference_plan
from uclab.judge.evidence.network import PlannedNetwork
from uclab.judge.measure.run_evidence import ObservedMarking
from uclab.judge.path.hop_check import Seen, walk_finding
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Finding

RIGHT, WRONG = (ObservedMarking(dscp, -1, -1) for dscp in (46, 0))


@cache
def network() -> PlannedNetwork:
    return PlannedNetwork(reference_plan("desk1", "desk2"))


def finding(*seen: tuple[str, ObservedMarking, int]) -> Finding:
    at = [Seen(tap, "down", Counter({marking: packets}), ()) for tap, marking, packets in seen]
    claim = Claim("qos.dscp", ("C8",), "call:caller_to_callee", "EF at every tap")
    return walk_finding(claim, network(), at, lambda _, m: m == RIGHT, lambda m: f"DSCP {m.dscp}", None)


@pytest.mark.req("B1", "D5")
def test_a_tap_that_saw_a_single_packet_is_not_in_front_of_the_others() -> None:
    # given a call of which one packet went by the internet when its circuit was taken down
    found = finding(("fra1-br:lan", RIGHT, 196), ("inet:fra1-br", RIGHT, 1), ("fra1-px:2", WRONG, 195))
    assert found.observed == "correct up to fra1-br:lan, DSCP 0 at fra1-px:2"
    assert found.blame is not None
    assert "inet" not in found.blame


@pytest.mark.req("B1", "D5")
def test_the_tap_in_front_is_the_last_that_most_of_them_passed() -> None:
    found = finding(("fra1-sw:2", RIGHT, 200), ("fra1-br:lan", RIGHT, 198), ("edge:wan1", WRONG, 198))
    assert found.observed == "correct up to fra1-br:lan, DSCP 0 at edge:wan1"
    assert finding(("edge:wan1", WRONG, 5)).observed == "DSCP 0 at edge:wan1"

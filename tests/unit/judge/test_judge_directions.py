"""The direction of a frame on a link, by its sender's MAC address."""

from __future__ import annotations

import pytest

from testbed.plans import shipped_plan
from uclab.judge.evidence.directions import Directions
from uclab.judge.evidence.network import PlannedNetwork, mac_number
from uclab.plan.schema.plan import Plan

PLAN = shipped_plan("small-office")


def mac_of(plan: Plan, name: str, interface: str) -> int:
    node = next(node for node in plan.nodes if node.name == name)
    return mac_number(next(one.mac for one in node.interfaces if one.name == interface))


@pytest.mark.parametrize(
    ("tap", "sender", "leaves"),
    [
        ("desk1:eth0", ("desk1", "eth0"), True),
        ("desk1:eth0", ("fw", "voice"), False),
        ("sw1:9", ("desk1", "eth0"), True),
        ("sw1:9", ("fw", "voice"), False),
        ("fw-sw:3", ("desk1", "eth0"), False),
        ("fw-sw:3", ("fw", "voice"), True),
        ("edge:wan1", ("edge", "wan1"), True),
        ("edge:wan1", ("isp1", "edge"), False),
    ],
)
def test_a_frame_leaves_the_device_that_is_nearer_to_its_sender(
    tap: str, sender: tuple[str, str], leaves: bool
) -> None:
    assert Directions(PlannedNetwork(PLAN)).leaves(tap, mac_of(PLAN, *sender)) is leaves


def test_a_stranger_comes_from_beyond_the_link() -> None:
    assert not Directions(PlannedNetwork(PLAN)).leaves("sw1:1", 0x020000FFFFFF)

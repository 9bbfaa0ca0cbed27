"""Shipped link profiles, their table in the docs, and what the plan makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ci import profile_table
from uclab.model.load import load_topology
from uclab.model.profile import Bursts, Direction, LinkProfile
from uclab.plan.planner import make_plan
from uclab.plan.resolve import queues
from uclab.plan.schema import plan

WANTED = (
    "leased-line-10", "business-internet", "cable", "dsl", "evpl", "mpls", "wifi-5ghz", "wifi-2-4ghz",
    "mobile-3g", "mobile-4g", "mobile-5g", "satellite-geo", "satellite-leo",
)  # fmt: skip
PROFILES = {profile.profile: profile for profile in profile_table.profiles()}


def line(**more: object) -> LinkProfile:
    """A line of 1.2 Mbit/s to the site: 100 full packets a second."""
    down = Direction(rate_kbps=1200, delay_ms=10)
    up = Direction(rate_kbps=600, delay_ms=10)
    settings = {"profile": "line", "title": "Line", "source": "test", "up": up, "down": down, **more}
    return LinkProfile.model_validate(settings)


@pytest.mark.req("W1", "W2", "W3", "W4.1", "W7.1", "W8")
@pytest.mark.parametrize("name", WANTED)
def test_there_is_a_profile_of_every_kind_of_line_with_its_source(name: str) -> None:
    # given a kind of line
    profile = PROFILES[name]
    # then it says where its numbers come from, at more length than a name
    assert len(profile.source) > 40
    # and its directions are of its own making: both have a delay
    assert profile.up.delay_ms > 0 < profile.down.delay_ms


def test_table_of_profiles_is_that_of_the_files() -> None:
    text = profile_table.PAGE.read_text()
    assert text == profile_table.page(text), "run: python -m ci.profile_table"


@pytest.mark.req("W8")
def test_only_the_geostationary_satellite_is_beyond_the_delay_of_a_call() -> None:
    # given the policy's limit of 150 ms one way
    limit = load_topology("enterprise-hq").policy.limits.max_one_way_delay_ms
    # then no line but the geostationary one exceeds it by its delay alone
    beyond = {name for name, p in PROFILES.items() if max(p.up.delay_ms, p.down.delay_ms) > limit}
    assert beyond == {"satellite-geo"}


@pytest.mark.req("Q2")
@pytest.mark.parametrize(
    ("depth", "packets"),
    [({}, queues.FIFO_PACKETS), ({"queue_ms": 500}, 50), ({"queue_ms": 1}, 1), ({"queue_packets": 333}, 333)],
)
def test_providers_queue_is_as_deep_as_the_profile_says(depth: dict[str, int], packets: int) -> None:
    # given a line whose provider keeps one queue for all, 1.2 Mbit/s: a full packet takes 10 ms
    queue = queues.provider_queue("edge", line(**depth), ())
    # then the queue takes as many full packets as leave in that time
    assert [c.limit_packets for c in queue.classes] == [packets]


@pytest.mark.req("Q2")
def test_depth_with_classes_is_that_of_the_class_for_everything_else() -> None:
    # given a provider with classes and a deep queue
    shares = load_topology("enterprise-hq").policy.wan_queues
    shallow = queues.provider_queue("edge", line(honours_classes=True), shares)
    deep = queues.provider_queue("edge", line(honours_classes=True, queue_packets=999), shares)
    # then voice and signalling wait no longer than before
    changed = [c.name for c, d in zip(shallow.classes, deep.classes, strict=True) if c != d]
    assert changed == [c.name for c in deep.classes if not c.dscps]
    assert {c.limit_packets for c in deep.classes if not c.dscps} == {999}


@pytest.mark.req("W4.1", "W7.1", "W8")
def test_plan_carries_bursts_and_distribution_of_each_direction() -> None:
    # given a site whose line to the provider is bursty on the way up only
    loaded = load_topology("small-office")
    name, profile = next(iter(loaded.profiles.items()))
    bursts = Bursts(enter_pct=1, leave_pct=10, lost_pct=50)
    up = profile.up.model_copy(update={"bursts": bursts, "jitter_distribution": "pareto"})
    # when it is planned
    made = make_plan(replace(loaded, profiles={name: profile.model_copy(update={"up": up})}))
    lines = {node.kind: node.impairments for node in made.nodes if node.impairments}
    # then the router's line has them, and the provider's has none
    (upwards,), (downwards,) = lines[plan.NodeKind.ROUTER], lines[plan.NodeKind.ISP]
    assert (upwards.bursts, upwards.jitter_distribution) == (plan.Bursts(1, 10, 50), "pareto")
    assert (downwards.bursts, downwards.jitter_distribution) == (None, "normal")

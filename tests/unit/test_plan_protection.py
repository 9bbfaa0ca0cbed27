"""What one address may ask of a session controller grows with the accounts behind it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from testbed.plans import shipped_plan
from uclab.model.load import load_topology
from uclab.plan.cloud.protection import accounts_behind, guard
from uclab.plan.load.load_placement import with_load
from uclab.plan.schema.plan import Plan
from uclab.plan.schema.protection import Protection

pytestmark = pytest.mark.req("C1.1")


@cache
def plan_of(topology: str) -> Plan:
    return shipped_plan(topology)


def limits_of(plan: Plan) -> Protection:
    limits = plan.session_controllers[0].protection
    assert limits is not None
    return limits


def test_sites_accounts_share_its_address() -> None:
    assert accounts_behind(load_topology("small-office").topology) == 3


def test_accounts_of_sites_behind_a_hub_are_the_hubs() -> None:
    # given a hub by which all sites reach the world
    topology = load_topology("hub-and-spoke").topology
    assert accounts_behind(topology) == sum(len(site.endpoints) for site in topology.sites)


def test_crowd_widens_what_its_address_may_ask_for() -> None:
    # given 2,000 phones more behind the same address
    plan = plan_of("small-office")
    before, crowded = limits_of(plan), with_load(plan, 40, 2).plan
    after = limits_of(crowded)
    # then it may have so many connections more, and the packet filter knows
    assert after.behind == before.behind + 40
    assert after.connections == before.connections + 40 * before.connections_per_account
    assert f"burst {after.connections} packets" in (crowded.node("fra1-sbc").nftables or "")


def test_packet_filter_looks_at_phones_ports_alone() -> None:
    text = guard(replace(limits_of(plan_of("small-office")), behind=0), (5097, 5096))
    assert "tcp dport { 5096, 5097 } tcp flags & (syn | ack) == syn" in text
    assert "limit rate over 20/second" in text
    assert "burst 16 packets" in text
    assert "ct " not in text

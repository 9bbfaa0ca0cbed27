"""A plan with load generators: users have addresses and accounts of their own, all else stays as it is."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Network, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.plans import shipped_plan
from uclab.plan.load.load_placement import LoadPlan, with_load
from uclab.plan.schema.codec import plan_from_json, plan_to_json
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.plan import Plan

pytestmark = pytest.mark.req("D11")


@cache
def plan_of(topology: str) -> Plan:
    return shipped_plan(topology)


@settings(deadline=None, max_examples=25)
@given(users=st.integers(1, 150), generators=st.integers(1, 6))
def test_every_user_has_a_place_of_its_own(users: int, generators: int) -> None:
    # given a site, when load generators are added
    plan = plan_of("enterprise-hq")
    if users < generators:
        with pytest.raises(PlanError, match="each needs one user at least"):
            with_load(plan, users, generators)
        return
    load_plan = with_load(plan, users, generators)
    everybody = [user for generator in load_plan.generators for user in generator.users]
    # then each user has an address and an account that nobody else has
    assert len(everybody) == users
    assert len({user.address for user in everybody}) == users
    extensions = [user.account.user for user in everybody]
    assert not {endpoint.account.user for endpoint in plan.endpoints} & set(extensions)
    assert len(set(extensions)) == users
    taken = {cidr.partition("/")[0] for node in plan.nodes for i in node.interfaces for cidr in i.addresses}
    assert not taken & {user.address for user in everybody}
    # and sits in the voice VLAN, and the cloud knows the account
    voice = {vlan.site: IPv4Network(vlan.subnet) for vlan in plan.vlans if vlan.role == "voice"}
    assert all(ip_address(u.address) in voice[g.site] for g in load_plan.generators for u in g.users)
    known = {account.user for account in load_plan.plan.session_controllers[0].accounts}
    assert set(extensions) <= known
    # and the load is even
    sizes = [len(generator.users) for generator in load_plan.generators]
    assert max(sizes) - min(sizes) <= 1


def test_a_generator_is_plugged_in_like_a_phone_and_steered_apart() -> None:
    plan = plan_of("small-office")
    load_plan = with_load(plan, 4, 2)
    assert plan_from_json(plan_to_json(load_plan.plan)) == load_plan.plan
    ports = {port.peer: port for switch in load_plan.plan.switches for port in switch.ports}
    for generator in load_plan.generators:
        # given a generator's port, then it takes its MAC address in the voice VLAN and trusts its marking
        node = load_plan.plan.node(generator.node)
        port = ports[generator.node]
        voice = next(v for v in plan.vlans if (v.site, v.role) == (generator.site, "voice"))
        assert (port.vlan, port.trust_dscp) == (voice.id, True)
        assert port.allowed == ((voice.id, node.interfaces[0].mac),)
        # and the controller knows of it
        assert any(port in switch.ports for fabric in load_plan.plan.fabrics for switch in fabric.switches)
        # and the management network leads nowhere else
        assert not load_plan.plan.node(load_plan.leader).forwarding
        assert all(route.via != generator.leader_address for route in node.routes)
    # and what was there stays as it was, but that the gateway knows the users' MAC addresses, and the session
    # controller that more of them come from one address
    told = [node.name for node in plan.nodes if load_plan.plan.node(node.name) != node]
    assert told == ["fw", "fra1-sbc"]
    users = {user.address for generator in load_plan.generators for user in generator.users}
    assert {address for _, address, _ in load_plan.plan.node("fw").neighbours} == users


def _wanted(topology: str, users: int, generators: int) -> LoadPlan:
    return with_load(plan_of(topology), users, generators)


@pytest.mark.parametrize(
    ("topology", "users", "generators", "words"),
    [
        (
            "satellite-geo",
            500,
            1,
            r"station: VLAN voice \(10.80.0.0/26\) has room for \d+ users, 500 are",
        ),
        ("soho-all-in-one", 5, 1, "has no place for load generators"),
        ("small-office", 500, 65, "1 to 64 are possible"),
    ],
)
def test_a_crowd_without_a_place_is_refused(topology: str, users: int, generators: int, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        _wanted(topology, users, generators)

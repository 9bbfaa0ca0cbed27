"""The telephone network of a campaign: one generator at the PSTN peer's node, in the place of its phone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.plans import shipped_plan
from uclab.plan.lan.endpoints import direct_number
from uclab.plan.load.load_placement import LoadPlan, as_judged, pools, with_load
from uclab.plan.load.pstn_load import FIRST_LINE, outside_numbers, outside_pool, played, with_outside
from uclab.plan.load.record import Pool
from uclab.plan.schema.codec import from_data, plan_from_json, plan_to_json, to_data
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.plan import Plan

pytestmark = pytest.mark.req("D11", "C3", "C4")


@cache
def plan_of(topology: str) -> Plan:
    return shipped_plan(topology)


@cache
def load_of(topology: str, users: int = 6, generators: int = 2, lines: int = 6) -> LoadPlan:
    return with_outside(with_load(plan_of(topology), users, generators), lines)


def test_the_generator_has_the_peer_s_place_and_a_management_cable_of_its_own() -> None:
    plan, load_plan = plan_of("small-office"), load_of("small-office")
    peer, outside = plan.pstn_peers[0], load_plan.outside
    assert outside is not None
    before, node = plan.node(peer.node), load_plan.plan.node(outside.node)
    # given the peer's node, then all that it was it is still, and one interface more
    assert replace(node, interfaces=node.interfaces[:1]) == before
    assert [one.name for one in node.interfaces] == ["eth0", "mgmt0"]
    # and that leads to the leader, which leads nowhere
    cable = next(
        link
        for link in load_plan.plan.links
        if node.name in (link.a.device, link.b.device) and link.kind == "lan"
    )
    assert {cable.a.device, cable.b.device} == {load_plan.leader, node.name}
    assert outside.leader_address in {
        address.partition("/")[0]
        for i in load_plan.plan.node(load_plan.leader).interfaces
        for address in i.addresses
    }
    assert not node.forwarding
    assert not load_plan.plan.node(load_plan.leader).forwarding
    assert load_plan.plan.node(load_plan.leader).routes == ()
    # and nothing is captured there
    assert {tap.interface for tap in load_plan.plan.taps if tap.namespace == node.name} == {"eth0"}
    assert plan_from_json(plan_to_json(load_plan.plan)) == load_plan.plan


def test_the_peer_s_phone_does_not_run_beside_it_but_is_what_the_judge_looks_for() -> None:
    load_plan = load_of("small-office")
    brought_up = played(load_plan, load_plan.plan)
    assert brought_up.pstn_peers == ()
    # and the session controller, the name server and the authority know it all the same
    assert brought_up.session_controllers[0].trunk_peer == ("pstn.ucaas.test", 5061)
    assert brought_up.certificates == load_plan.plan.certificates
    assert [peer.endpoint.name for peer in as_judged(load_plan).pstn_peers] == ["pstn"]
    # and without a generator in the telephone network the phone stays
    plain = with_load(plan_of("small-office"), 4, 1)
    assert played(plain, plain.plan) == plain.plan


@pytest.mark.req("C9.1")
def test_it_is_told_of_the_trunk_and_of_everybody_s_direct_number() -> None:
    load_plan = load_of("cloudconnect-georedundant")
    told = outside_pool(load_plan, "/run/campaign", "/run/pki")
    assert told is not None
    assert from_data(Pool, to_data(told)) == told
    trunk, controllers = told.trunk, load_plan.plan.session_controllers
    assert trunk is not None
    # given two session controllers, then it calls the first, and both may call
    assert (trunk.controller.host_name, trunk.controller.port) == (controllers[0].host_name, 5061)
    assert trunk.callers == tuple(one.host_name for one in controllers)
    assert (trunk.certificate, trunk.key) == ("/run/pki/pstn.ucaas.test.pem", "/run/pki/pstn.ucaas.test.key")
    # and dials what the cloud knows as somebody's number
    owners = {account.e164: account.user for account in controllers[0].accounts}
    assert [owners[number] for number in told.direct] == list(told.colleagues)
    # and users at sites are told of its numbers, none of which is a subscriber's
    at_sites = pools(load_plan, "/run/campaign", "/run/pki/ca.pem")
    lines = tuple(user.account.user for user in told.users)
    assert {pool.outside for pool in at_sites} == {lines}
    assert not set(lines) & owners.keys()
    assert {pool.trunk for pool in at_sites} == {None}


def test_where_there_is_no_telephone_network_a_crowd_stays_as_it_is() -> None:
    plan = plan_of("small-office")
    for without in (
        replace(plan, pstn_peers=()),
        replace(
            plan, session_controllers=tuple(replace(c, trunk_peer=None) for c in plan.session_controllers)
        ),
    ):
        load_plan = with_load(without, 4, 1)
        assert with_outside(load_plan, 4) == load_plan
        assert outside_pool(load_plan, "", "") is None
        assert load_plan.all_generators == load_plan.generators
        assert {pool.outside for pool in pools(load_plan, "", "")} == {()}


def test_the_management_network_has_an_end() -> None:
    full = replace(load_of("small-office"), generators=load_of("small-office").generators * 32)
    with pytest.raises(PlanError, match="63 are possible beside it"):
        with_outside(full, 1)


@given(
    own=st.lists(st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True), min_size=1, max_size=4, unique=True),
    count=st.integers(1, 50),
    extension=st.integers(200, 99_999) | st.integers(700_001, 710_000),
)
def test_numbers_outside_are_different_and_nobody_s_inside(
    own: list[str], count: int, extension: int
) -> None:
    numbers = outside_numbers(tuple(own), count)
    assert len(set(numbers)) == len(numbers) <= count
    assert numbers[: len(own)] == tuple(own)[:count]
    assert all(15 >= len(number) - 1 >= 7 for number in numbers)
    if extension >= 700_001:
        assert direct_number(own, extension) not in numbers
    # and where the own numbers have digits enough, there are as many as wanted
    assert (
        len(numbers) == count
        or count <= len(own)
        or direct_number(own, FIRST_LINE + 1) is None
        or len(own) > 1
    )

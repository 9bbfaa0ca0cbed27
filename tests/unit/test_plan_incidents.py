"""What can fail is chosen from the plan, with whether it can be survived, and the calls meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testbed.plans import shipped_plan
from uclab.model.load import reference_topologies
from uclab.plan.paths.reachability import Reachability
from uclab.plan.schema.plan import Plan
from uclab.plan.traffic.breakable import (
    NotBreakable,
    broken_links,
    concerned_links,
    controlled_ends,
    links_of,
    planned_line,
)
from uclab.plan.traffic.incidents import (
    INCIDENTS,
    WANTED_CALLS,
    NoSuchIncident,
    chosen_incidents,
    failover_calls,
    planned_incidents,
)

pytestmark = pytest.mark.req("V2")


def plan_of(name: str) -> Plan:
    return shipped_plan(name)


@pytest.fixture(scope="module")
def dual() -> Plan:
    return plan_of("smb-dual-wan")


def test_lines_are_in_the_order_of_the_sites_connections(dual: Plan) -> None:
    lines = Reachability(dual).lines["shop"]
    assert [(line.name, line.link, line.tap) for line in lines] == [
        ("wan1", "edge-isp1", "edge:wan1"),
        ("wan2", "edge-isp2", "edge:wan2"),
    ]
    assert [line.outside for line in lines] == ["203.0.113.2", "203.0.113.66"]


def test_a_line_without_translation_keeps_addresses(dual: Plan) -> None:
    edge = replace(dual.node("edge"), translations=())
    plan = replace(dual, nodes=tuple(edge if node.name == "edge" else node for node in dual.nodes))
    assert {line.outside for line in Reachability(plan).lines["shop"]} == {""}


def test_each_incident_is_on_what_the_calls_use(dual: Plan) -> None:
    found = {incident.name: incident for incident in planned_incidents(dual)}
    assert tuple(found) == tuple(name for name in INCIDENTS if name != "circuits-down")
    assert {name: (i.subject, i.how, i.survivable) for name, i in found.items()} == {
        "circuit-down": ("edge-isp1", "cut", True),
        "circuit-black-holed": ("edge-isp1", "black-hole", True),
        "brown-out": ("edge-isp1", "brown-out", True),
        "circuit-flaps": ("edge-isp1", "cut", True),
        "router-killed": ("edge", "kill", False),
        "isp-lost": ("isp1", "kill", True),
        "datacentre-lost": ("fra1", "cut", False),
        "dns-lost": ("dns", "cut", True),
    }
    assert found["datacentre-lost"].parts == ("fra1-br-inet",)
    assert {name for name, incident in found.items() if incident.flaps} == {"circuit-flaps"}


def test_all_circuits_of_a_site_are_cut_where_something_else_is_left() -> None:
    def cut(name: str) -> list[tuple[tuple[str, ...], bool]]:
        found = planned_incidents(plan_of(name))
        return [(one.parts, one.survivable) for one in found if one.name == "circuits-down"]

    assert cut("cloudconnect-georedundant-ott") == [(("edge-fra1", "edge-fra2"), True)]
    # no internet beside them; one circuit only
    assert cut("cloudconnect-georedundant") == cut("cloudconnect-simplex-ott") == []


@pytest.mark.parametrize(
    ("topology", "router", "survivable"),
    [
        ("smb-dual-wan", "edge", False),
        ("cloudconnect-georedundant", "fra1-cc", True),
        ("cloudconnect-simplex-ott", "fra1-cc", True),
        ("small-office", "edge", False),
        ("sd-wan", "edge", False),
    ],
)
def test_the_router_that_dies_is_one_that_can_be_done_without(
    topology: str, router: str, survivable: bool
) -> None:
    (killed,) = [one for one in planned_incidents(plan_of(topology)) if one.name == "router-killed"]
    assert (killed.subject, killed.survivable, killed.how) == (router, survivable, "kill")


def test_a_line_flaps_where_its_router_waits_before_it_goes_back(dual: Plan) -> None:
    def names(plan: Plan) -> set[str]:
        return {incident.name for incident in planned_incidents(plan)}

    assert "circuit-flaps" in names(dual)
    assert "circuit-flaps" not in names(replace(dual, line_watches=()))
    assert "circuit-flaps" not in names(plan_of("cloudconnect-simplex-ott"))


def test_circuits_of_one_public_prefix_share_an_address_the_internet_has_another() -> None:
    lines = Reachability(plan_of("cloudconnect-georedundant-ott")).lines["hq"]
    assert [line.name for line in lines] == ["cc1", "cc2", "wan1"]
    assert lines[0].outside == lines[1].outside != lines[2].outside


@pytest.mark.parametrize("topology", reference_topologies())
def test_every_incident_of_every_topology_can_be_carried_out(topology: str) -> None:
    # given a shipped topology, when its incidents are planned
    plan = plan_of(topology)
    incidents = planned_incidents(plan)
    # then each names what the lab takes for `fail` in that way, and means all of it
    assert incidents
    for incident in incidents:
        for part in incident.parts:
            named = part in {link.name for link in plan.links}
            links = broken_links(plan, part, incident.how)
            assert links == ((part,) if named else links_of(plan, part)), (incident.name, part)
            assert set(links) <= set(concerned_links(plan, part)), "what is broken can be restored"
    # and the same line is meant, whatever happens to it
    on_line = {i.subject for i in incidents if i.name in ("circuit-down", "circuit-black-holed", "brown-out")}
    assert len(on_line) <= 1


def test_what_the_lab_cannot_break_is_refused_before_it_starts(dual: Plan) -> None:
    # given a preferred line without delay and loss of its own
    def cable(plan: Plan) -> Plan:
        return replace(plan, nodes=tuple(replace(node, impairments=()) for node in plan.nodes))

    # when a cable is to brown out, then the refusal says what it can do, and what lines there are
    with pytest.raises(NotBreakable, match=r"fw-edge.*has no delay.*: edge-isp1, edge-isp2"):
        broken_links(dual, "fw-edge", "brown-out")
    with pytest.raises(NotBreakable, match="lines that have: none"):
        broken_links(cable(dual), "edge-isp1", "brown-out")
    with pytest.raises(NotBreakable, match="no link or node `nothing`"):
        broken_links(dual, "nothing", "cut")
    with pytest.raises(NotBreakable, match="cannot be killed"):
        broken_links(dual, "desk1", "kill")


def test_a_brown_out_needs_a_policy_that_says_how_bad(dual: Plan) -> None:
    silent = replace(dual, policy=replace(dual.policy, failover=None))
    assert "brown-out" not in {incident.name for incident in planned_incidents(silent)}


@pytest.mark.parametrize("name", ["edge-fra1", "edge-cc1-ntu", "fra1-cc-edge"])
def test_a_circuit_is_one_line_by_whichever_of_its_cables_it_is_called(name: str) -> None:
    plan = plan_of("cloudconnect-simplex-ott")
    assert broken_links(plan, name, "brown-out") == ("edge-fra1",)
    assert broken_links(plan, name, "cut") == (name,)


def test_behind_a_modem_the_line_begins_at_the_router() -> None:
    plan = plan_of("soho-bridge-modem")
    near, far = controlled_ends(plan)["router-isp1"]
    assert (near.device, far.device) == ("router", "isp1")
    assert planned_line(plan, near, far) is not None
    assert planned_line(plan, far, near) is not None


def test_a_circuit_is_broken_as_a_whole_line() -> None:
    found = {i.name: i for i in planned_incidents(plan_of("cloudconnect-simplex-ott"))}
    assert found["circuit-down"].parts == ("edge-fra1",)
    assert found["circuit-black-holed"].parts == ("edge-fra1",)
    assert found["brown-out"].parts == ("edge-fra1",)
    assert found["circuit-down"].survivable


def test_calls_do_not_survive_the_data_centre_that_has_them() -> None:
    """A second data centre takes registrations, and calls that begin then."""
    plan = plan_of("cloudconnect-georedundant")
    (lost,) = (i for i in planned_incidents(plan) if i.name == "datacentre-lost")
    assert (lost.subject, lost.survivable) == ("fra1", False)
    phone = plan.endpoints[0]
    assert Reachability(plan).reaches_cloud(phone, lost.parts)
    assert not Reachability(plan).keeps_calls(phone, lost.parts)


def test_behind_a_hub_it_is_the_hubs_line_that_has_another_beside_it() -> None:
    plan = plan_of("hub-and-spoke")
    found = {i.name: i for i in planned_incidents(plan)}
    assert (found["circuit-down"].subject, found["circuit-down"].survivable) == ("edge-fra1", True)
    branch = next(e for e in plan.endpoints if e.name == "b1desk1")
    assert not Reachability(plan).keeps_calls(branch, links=("b1edge-hub",))
    assert Reachability(plan).keeps_calls(branch, links=("edge-fra1",))


def test_with_one_line_a_cut_cannot_be_survived() -> None:
    found = {incident.name: incident.survivable for incident in planned_incidents(plan_of("small-office"))}
    assert found["circuit-down"] is False
    assert found["dns-lost"] is True


def test_what_can_be_done_without_follows_from_the_cables(dual: Plan) -> None:
    assert Reachability(dual).keeps_calls(dual.endpoints[0], devices=("isp1",))
    assert not Reachability(dual).keeps_calls(dual.endpoints[0], devices=("edge",))
    assert not Reachability(dual).keeps_calls(dual.endpoints[0], links=("edge-isp1", "edge-isp2"))


def test_another_site_is_no_way_out(dual: Plan) -> None:
    """A cable between two sites' firewalls would lead there; their policies do not."""
    moved = replace(
        dual, nodes=tuple(replace(n, site="depot") if n.name == "isp2" else n for n in dual.nodes)
    )
    stranger = replace(dual.endpoints[0], name="stranger", node="isp2")
    moved = replace(moved, endpoints=(*dual.endpoints, stranger))
    assert not Reachability(moved).keeps_calls(dual.endpoints[0], links=("edge-isp1",))


def test_incidents_can_be_chosen_and_unknown_ones_are_refused(dual: Plan) -> None:
    chosen = chosen_incidents(dual, ["dns-lost", "circuit-down", "dns-lost"])
    assert [incident.name for incident in chosen] == ["dns-lost", "circuit-down"]
    with pytest.raises(NoSuchIncident) as caught:
        chosen_incidents(dual, ["flood"])
    assert caught.value.args[0] == "flood"


@pytest.mark.parametrize("name", sorted(reference_topologies()))
def test_calls_share_no_endpoint_and_are_as_many_as_there_can_be(name: str) -> None:
    plan = plan_of(name)
    calls = failover_calls(plan, "x", 20)
    own = {endpoint.name for endpoint in plan.endpoints}
    parties = [party for call in calls for party in (call.caller, call.callee) if party in own]
    assert len(parties) == len(set(parties))
    assert len({call.id for call in calls}) == len(calls)
    assert len(calls) == min(len(plan.endpoints), WANTED_CALLS)


def test_calls_come_in_and_go_out(dual: Plan) -> None:
    calls = failover_calls(dual, "x", 20)
    assert len(calls) == 6
    assert {call.caller for call in calls if call.caller == "pstn"} == {"pstn"}
    assert any(call.callee.startswith("+") for call in calls)


def test_without_a_telephone_network_neighbours_call_each_other(dual: Plan) -> None:
    calls = failover_calls(replace(dual, pstn_peers=()), "x", 20)
    assert [(call.caller, call.callee) for call in calls] == [
        ("desk1", "desk2"),
        ("desk3", "desk4"),
        ("soft1", "soft2"),
    ]

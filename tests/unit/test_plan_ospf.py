"""OSPF inside a site: what the routers are told, and what they end up with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.plans import shipped_plan
from uclab.emulation.routing import frr
from uclab.emulation.routing.learned import difference
from uclab.model.load import load_topology
from uclab.plan.faults.catalogue import FAULTS
from uclab.plan.planner import make_plan
from uclab.plan.schema.devices import Interface, Node, NodeKind
from uclab.plan.schema.plan import Plan
from uclab.plan.schema.routing import Ospf
from uclab.plan.wan import ospf

pytestmark = pytest.mark.req("N2")

NAME = "cross-connect"


@cache
def plan() -> Plan:
    return shipped_plan(NAME)


def static_plan() -> Plan:
    """The same site with static routes."""
    loaded = load_topology(NAME)
    sites = tuple(
        site.model_copy(update={"router": site.router.model_copy(update={"routing": "static"})})
        for site in loaded.topology.sites
    )
    return make_plan(replace(loaded, topology=loaded.topology.model_copy(update={"sites": sites})))


def row(length: int) -> tuple[Node, ...]:
    """Routers in a row, `10.0.n.0/24` between the nth and the next, a network of its own behind each
    (`10.1.n.0/24`); the last one leads out."""
    nodes = []
    for number in range(length):
        sides = ((f"10.0.{number - 1}.2/24", number > 0), (f"10.0.{number}.1/24", number < length - 1))
        cables = [address for address, there in sides if there]
        interfaces = (
            *(Interface(f"eth{n}", "02:00:00:00:00:01", (address,)) for n, address in enumerate(cables)),
            Interface("lan", "02:00:00:00:00:01", (f"10.1.{number}.1/24",)),
        )
        speaks = tuple(f"eth{n}" for n in range(len(cables)))
        told = Ospf(f"10.1.{number}.1", speaks, ("lan",), leads_out=number == length - 1)
        nodes.append(Node(f"r{number}", NodeKind.ROUTER, "site", interfaces, ospf=told))
    return tuple(nodes)


def learned(nodes: Iterable[Node]) -> dict[str, dict[str, str]]:
    return {node.name: {route.prefix: route.via for route in node.learned} for node in nodes}


@given(st.integers(2, 6))
def test_routers_in_a_row_know_every_network_by_their_neighbours(length: int) -> None:
    # given routers in a row, when OSPF has settled
    found = learned(ospf.with_learned(row(length)))
    for number in range(length):
        mine = found[f"r{number}"]
        # then each knows all networks but those at which it is
        assert len(mine) == (length - 1) + (length - 1) - (1 + (0 < number < length - 1)) + (
            number < length - 1
        )
        # and sends to each by the neighbour on that side
        left, right = f"10.0.{number - 1}.1", f"10.0.{number}.2"
        for other in range(length):
            if other != number:
                assert mine[f"10.1.{other}.0/24"] == (left if other < number else right)
        assert mine.get("0.0.0.0/0") == (right if number < length - 1 else None)


def test_a_router_behind_a_silent_interface_is_no_neighbour() -> None:
    # given a first router that does not speak to the next
    first, *others = row(3)
    assert first.ospf is not None
    silent = replace(first, ospf=replace(first.ospf, speaks=(), silent=("eth0", "lan")))
    # then neither learns anything of the other's side
    found = learned(ospf.with_learned((silent, *others)))
    assert found["r0"] == {}
    assert "10.1.0.0/24" not in found["r1"]


def routes(node: Node) -> Sequence[tuple[str, str]]:
    return [(route.prefix, route.via) for route in (*node.routes, *node.learned)]


def test_firewall_and_router_learn_each_others_networks() -> None:
    # given a site whose router and firewall speak OSPF
    wall, edge = plan().node("fw"), plan().node("edge")
    inside, outside = edge.interface("lan").addresses[0], wall.interface("wan").addresses[0]
    # then the firewall has no static route, and the router none inwards
    assert wall.routes == ()
    assert {route.prefix for route in edge.routes} == {"0.0.0.0/0"}
    # and they have learned what they need, beside BGP
    assert routes(wall) == [("0.0.0.0/0", inside.partition("/")[0])]
    assert edge.ospf is not None
    assert {route.prefix: route.via for route in edge.ospf.learned} == {
        "10.40.10.0/24": outside.partition("/")[0],
        "10.40.20.0/24": outside.partition("/")[0],
    }
    assert edge.routing is not None
    assert set(edge.routing.learned) < set(edge.learned)
    # and every packet goes as it does with static routes
    assert plan().paths == static_plan().paths


def test_firewall_takes_ospf_from_its_router_alone() -> None:
    rules = plan().node("fw").nftables or ""
    [rule] = [line.strip() for line in rules.splitlines() if "ospf accept" in line]
    inside = plan().node("edge").interface("lan").addresses[0].partition("/")[0]
    assert rule == f'iifname "wan" ip saddr {inside} ip protocol ospf accept'
    assert "ospf" not in (static_plan().node("fw").nftables or "")


def test_frr_runs_what_a_router_speaks_and_no_more() -> None:
    wall, edge = plan().node("fw"), plan().node("edge")
    inner = frr.render("fw", wall.routing, wall.ospf)
    assert list(inner) == ["mgmtd", "zebra", "ospfd"]
    assert list(frr.render("edge", edge.routing, edge.ospf)) == ["mgmtd", "zebra", "bfdd", "bgpd", "ospfd"]
    # the firewall speaks to the router and is silent in its zones, where hosts are
    blocks = {block.split()[0]: block for block in inner["ospfd"].split("interface ")[1:]}
    assert {name for name, block in blocks.items() if "ip ospf passive" in block} == {"voice", "data"}
    assert "point-to-point" in blocks["wan"]
    # the router alone leads out
    assert "default-information" not in inner["ospfd"]
    assert "default-information originate always" in frr.render("edge", None, edge.ospf)["ospfd"]


def test_what_a_router_lacks_is_said() -> None:
    wall = plan().node("fw")
    wanted = frozenset((route.prefix, route.via) for route in wall.learned)
    assert difference(frozenset(), wanted).startswith("missing: 0.0.0.0/0 by 10.40.")
    assert difference(wanted, frozenset()).startswith("too many: ")


@pytest.mark.req("P3")
def test_a_leaked_prefix_is_one_that_the_router_learned_inside() -> None:
    leaking = FAULTS["prefix-leaked"].apply(plan(), None).node("edge")
    assert leaking.routing is not None
    assert "10.40.10.0/24" in leaking.routing.networks

"""Private circuits in plans: their names, AS numbers, order of use, translation, and what routers learn."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from ipaddress import IPv4Network

import pytest

from uclab.model.load import LoadedTopology, load_topology
from uclab.model.topology import Connection, Site
from uclab.plan.lan import router_ruleset
from uclab.plan.planner import make_plan
from uclab.plan.resolve.circuits import Circuit, asn_of, border_router, circuits_of, peering_router
from uclab.plan.resolve.policies import resolve
from uclab.plan.schema.plan import Node, Plan

SIMPLEX, BOTH, BOTH_OTT = (
    "cloudconnect-simplex-ott", "cloudconnect-georedundant", "cloudconnect-georedundant-ott",
)  # fmt: skip
HUB = "hub-and-spoke"


@cache
def loaded(name: str) -> LoadedTopology:
    return load_topology(name)


@cache
def plan(name: str) -> Plan:
    return make_plan(loaded(name))


def with_site(name: str, number: int = 0, **changes: object) -> LoadedTopology:
    """The topology with one of its sites changed."""
    base = loaded(name)
    sites = [
        site.model_copy(update=changes) if place == number else site
        for place, site in enumerate(base.topology.sites)
    ]
    return replace(base, topology=base.topology.model_copy(update={"sites": tuple(sites)}))


def reordered(name: str, *order: str) -> LoadedTopology:
    lines = {line.name: line for line in loaded(name).topology.sites[0].connections}
    return with_site(name, connections=tuple(lines[wanted] for wanted in order))


def sessions(node: Node) -> dict[str, tuple[int, int]]:
    """Neighbour to (local preference, how often the own AS number is prepended)."""
    assert node.routing is not None
    return {s.device: (s.preference, s.prepend) for s in node.routing.neighbours}


def learned(node: Node) -> dict[str, str]:
    """Prefix to next hop."""
    assert node.routing is not None
    return {route.prefix: route.via for route in node.routing.learned}


def address_of(plan_: Plan, device: str, interface: str) -> str:
    return plan_.node(device).interface(interface).addresses[0].partition("/")[0]


def test_ends_of_a_circuit_are_named_for_the_line_and_for_the_router_at_the_other_end() -> None:
    first, *spokes = circuits_of(loaded(HUB).topology)
    assert (first.kind, first.near_router, first.near_interface) == ("datacentre", "edge", "cc1")
    assert (first.far_router, first.far_interface) == (peering_router("fra1"), "edge")
    assert [(c.kind, c.near_router, c.near_interface, c.far_router, c.far_interface) for c in spokes] == [
        ("site", f"b{n}edge", f"mpls{n}", "edge", f"b{n}edge") for n in (1, 2, 3)
    ]


def test_second_circuit_between_the_same_routers_has_names_of_its_own() -> None:
    lines = loaded(SIMPLEX).topology.sites[0].connections
    second = lines[0].model_copy(update={"name": "cc2", "vlan": 102})
    one, two = circuits_of(with_site(SIMPLEX, connections=(lines[0], second, lines[1])).topology)
    assert (one.far_router, two.far_router) == ("fra1-cc", "fra1-cc")
    assert one.far_interface != two.far_interface
    both = make_plan(with_site(SIMPLEX, connections=(lines[0], second, lines[1])))
    names = [link.name for link in both.links if link.kind == "circuit"]
    assert len(names) == len(set(names)) == 6


def test_line_named_like_an_interface_of_the_router_gets_another_interface() -> None:
    lines = loaded(SIMPLEX).topology.sites[0].connections
    clashing = with_site(SIMPLEX, connections=(lines[0].model_copy(update={"name": "lan"}), lines[1]))
    [circuit] = circuits_of(clashing.topology)
    assert (circuit.name, circuit.near_interface) != ("lan", "lan")
    make_plan(clashing)


@pytest.mark.req("P3")
def test_as_number_is_the_routers_own_or_the_next_private_one_that_no_site_has() -> None:
    base = loaded(HUB).topology
    taken = base.sites[1].model_copy(
        update={"router": base.sites[1].router.model_copy(update={"asn": 65002})}
    )
    topology = base.model_copy(update={"sites": (base.sites[0], taken, *base.sites[2:])})
    assert [asn_of(topology, site) for site in topology.sites] == [65001, 65002, 65003, 65004]
    assert [asn_of(base, site) for site in base.sites] == [65001, 65002, 65003, 65004]
    numbers = {asn_of(topology, site) for site in topology.sites}
    assert len(numbers) == len(topology.sites)


@pytest.mark.req("V2", "P4")
def test_order_of_lines_becomes_preference_outwards_and_prepending_inwards() -> None:
    assert sessions(plan(BOTH_OTT).node("edge")) == {"fra1-cc": (200, 0), "fra2-cc": (190, 1)}
    turned = make_plan(reordered(BOTH_OTT, "cc2", "cc1", "wan1")).node("edge")
    assert sessions(turned) == {"fra2-cc": (200, 0), "fra1-cc": (190, 1)}


@pytest.mark.req("V2", "P4")
def test_both_directions_use_the_first_circuit_and_another_order_moves_both() -> None:
    for order, first in ((("cc1", "cc2", "wan1"), "fra1"), (("cc2", "cc1", "wan1"), "fra2")):
        made = make_plan(reordered(BOTH_OTT, *order))
        way_out = address_of(made, peering_router(first), "edge")
        assert set(learned(made.node("edge")).values()) == {way_out}
        for centre in ("fra1", "fra2"):
            border = made.node(border_router(centre))
            by = peering_router(first) if centre == first else border_router(first)
            interface = "br" if centre == first else border_router(centre)
            assert learned(border)["203.0.113.128/28"] == address_of(made, by, interface)


@pytest.mark.req("P3")
def test_site_announces_its_public_prefix_alone_and_each_side_filters_what_the_other_may_say() -> None:
    made = plan(SIMPLEX)
    site, cloud = made.node("edge").routing, made.node("fra1-cc").routing
    assert site is not None
    assert cloud is not None
    [near], far = site.neighbours, next(s for s in cloud.neighbours if s.device == "edge")
    assert [rule.prefix for rule in near.announce] == ["203.0.113.128/28"]
    assert near.announce == far.accept
    assert far.announce == near.accept
    assert all(rule.longest is None for rule in (*near.accept, *far.accept)), "no part of a prefix either"
    assert (near.asn, far.asn) == (cloud.asn, site.asn)
    peering = loaded(SIMPLEX).policy.peering
    assert peering is not None
    assert near.max_prefixes == far.max_prefixes == peering.max_prefixes
    assert near.bfd is not None
    assert near.bfd.interval_ms == peering.bfd_interval_ms


@pytest.mark.req("P4", "V6")
def test_site_without_internet_hears_of_the_name_server_and_others_do_not() -> None:
    resolver = f"{plan(BOTH).name_servers[0].address}/32"
    assert resolver in learned(plan(BOTH).node("edge"))
    assert resolver not in learned(plan(BOTH_OTT).node("edge"))


@pytest.mark.req("P4")
def test_each_data_centre_of_the_region_is_heard_of_on_every_circuit() -> None:
    edge_router = plan(BOTH_OTT).node("edge")
    assert edge_router.routing is not None
    for session in edge_router.routing.neighbours:
        assert [rule.prefix for rule in session.accept] == ["198.18.10.0/24", "198.18.11.0/24"]
    assert set(learned(edge_router)) == {"198.18.10.0/24", "198.18.11.0/24"}


@pytest.mark.req("V5")
def test_spokes_learn_the_default_route_and_the_hub_their_prefixes() -> None:
    made = plan(HUB)
    for number in (1, 2, 3):
        near = address_of(made, "edge", f"b{number}edge")
        assert learned(made.node(f"b{number}edge")) == {"0.0.0.0/0": near}
        spoke = address_of(made, f"b{number}edge", f"mpls{number}")
        assert learned(made.node("edge"))[f"10.5{number}.0.0/16"] == spoke


@pytest.mark.req("V5")
def test_no_private_prefix_of_a_spoke_reaches_the_cloud() -> None:
    for node in plan(HUB).nodes:
        if node.routing is not None and node.routing.asn == 64500:
            assert not [p for p in learned(node) if IPv4Network(p).subnet_of(IPv4Network("10.0.0.0/8"))]


@pytest.mark.req("V5")
def test_every_way_of_a_spoke_to_the_cloud_crosses_the_hub() -> None:
    for path in plan(HUB).paths:
        if path.endpoint.startswith("b"):
            assert {"edge:cc1"} <= {hop.tap for hop in path.hops}


@pytest.mark.req("P3", "V3", "W10")
def test_circuit_is_tagged_between_its_termination_unit_and_the_peering_switch_and_nowhere_else() -> None:
    path = next(p for p in plan(SIMPLEX).paths if p.endpoint == "desk1")
    tagged = [hop.tap for hop in path.hops if hop.vlan == 101]
    assert tagged == ["cc1-ntu:2", "fra1-px:2"]


def rules_of(name: str, *exits: router_ruleset.Exit) -> str:
    topology = loaded(name)
    return router_ruleset.edge_rules(
        ["lan"], exits, ["10.20.0.0/16"], resolve(topology.policy, topology.topology)
    )


CIRCUIT = router_ruleset.Exit("cc1", "203.0.113.129", "198.19.0.17")
SECOND = router_ruleset.Exit("cc2", "203.0.113.129", "198.19.0.21")
INTERNET = router_ruleset.Exit("wan1", "masquerade")


@pytest.mark.req("N2", "V2")
def test_exits_with_different_outer_addresses_are_tracked_in_zones_of_their_own() -> None:
    text = rules_of(SIMPLEX, CIRCUIT, INTERNET)
    assert 'iifname "lan" fib daddr oifname "cc1" ct zone set 1' in text
    assert 'iifname "cc1" ct zone set 1' in text
    assert 'iifname "lan" fib daddr oifname "wan1" ct zone set 2' in text
    assert 'oifname "cc1" ip saddr 10.20.0.0/16 snat to 203.0.113.129' in text
    assert 'oifname "wan1" ip saddr 10.20.0.0/16 masquerade' in text


@pytest.mark.req("N2", "V2", "P2.1")
def test_circuits_with_one_outer_address_share_a_zone_so_that_connections_survive() -> None:
    text = rules_of(BOTH_OTT, CIRCUIT, SECOND, INTERNET)
    assert 'iifname "lan" fib daddr oifname { "cc1", "cc2" } ct zone set 1' in text
    assert "ct zone" not in rules_of(BOTH, CIRCUIT, SECOND)
    assert "ct zone" not in rules_of(SIMPLEX, INTERNET)


@pytest.mark.req("N1.1", "P3")
def test_only_the_bgp_neighbour_of_a_circuit_may_speak_to_the_router() -> None:
    text = rules_of(SIMPLEX, CIRCUIT, INTERNET)
    assert 'iifname "cc1" ip saddr 198.19.0.17 tcp dport 179 accept' in text
    assert 'iifname "cc1" ip saddr 198.19.0.17 udp dport 3784 accept' in text
    assert 'iifname "wan1" ip saddr' not in text


@pytest.mark.req("V2")
def test_two_internet_lines_masquerade_in_zones_of_their_own() -> None:
    text = rules_of(SIMPLEX, INTERNET, router_ruleset.Exit("wan2", "masquerade"))
    assert 'iifname "wan1" ct zone set 1' in text
    assert 'iifname "wan2" ct zone set 2' in text


def test_site_without_circuits_speaks_no_bgp() -> None:
    site: Site = loaded(SIMPLEX).topology.sites[0]
    lines: tuple[Connection, ...] = (site.connections[1],)
    alone = make_plan(with_site(SIMPLEX, connections=lines))
    assert [node.name for node in alone.nodes if node.routing is not None] == []
    assert not [node for node in alone.nodes if node.name == peering_router("fra1")]


def test_ranks_count_circuits_to_the_cloud_apart_from_those_to_sites() -> None:
    lines = loaded(BOTH_OTT).topology.sites[0].connections
    ott_first = with_site(BOTH_OTT, connections=(lines[2], lines[0], lines[1]))
    found: list[Circuit] = list(circuits_of(ott_first.topology))
    assert [(c.name, c.place, c.rank) for c in found] == [("cc1", 1, 0), ("cc2", 2, 1)]

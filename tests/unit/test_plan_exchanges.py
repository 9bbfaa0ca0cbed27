"""Internet exchanges: who tells whom what, and which way traffic takes (P5)."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from testbed.plans import shipped_plan
from uclab.emulation.mininet.switches import clearing_flows
from uclab.emulation.ovs.openflow import NORMAL
from uclab.emulation.routing import frr
from uclab.plan.schema.flows import SwitchFlow, set_dscp
from uclab.plan.schema.plan import Node, Plan, SwitchRole
from uclab.plan.schema.routing import Routing
from uclab.plan.wan import bgp_routes

CLOUD = "198.18.10.0/24"


@cache
def plan(name: str = "internet-exchange") -> Plan:
    return shipped_plan(name)


def routing(node: str) -> Routing:
    found = plan().node(node).routing
    assert found is not None
    return found


def learned(nodes: tuple[Node, ...], router: str) -> dict[str, str]:
    """Prefix to next hop."""
    [node] = [node for node in bgp_routes.with_learned(nodes) if node.name == router]
    return {route.prefix: route.via for route in node.routing.learned} if node.routing else {}


def without(*devices: str) -> tuple[Node, ...]:
    """The nodes, without any BGP on these."""
    return tuple(replace(n, routing=None) if n.name in devices else n for n in plan().nodes)


@pytest.mark.req("P5")
@pytest.mark.parametrize("provider", ["isp1", "isp2", "corp"])
def test_members_reach_the_cloud_by_its_own_address_at_the_exchange(provider: str) -> None:
    at_exchange = plan().node("fra1-br").interface("ix1").addresses[0].split("/")[0]
    assert learned(plan().nodes, provider)[CLOUD] == at_exchange


@pytest.mark.req("P5")
def test_way_of_media_takes_the_peering_and_not_the_transit() -> None:
    for path in plan().paths:
        devices = {hop.tap.partition(":")[0] for hop in path.hops}
        assert "inet" not in devices
        assert "ix1" in devices or path.endpoint == "pstn"


@pytest.mark.req("P5", "V2")
def test_transit_takes_over_without_the_route_server() -> None:
    # given an exchange that has failed
    nodes = without("ix1-rs")
    # then everybody goes by the internet's core, both ways
    cores = {link.a: link.b for link in plan().links}
    assert cores
    for provider in ("isp1", "isp2", "corp"):
        core = next(r.via for r in plan().node(provider).routes if r.prefix == "0.0.0.0/0")
        assert learned(nodes, provider)[CLOUD] == core
    back = learned(nodes, "fra1-br")
    assert set(back) == {"203.0.113.0/26", "203.0.113.64/26", "203.0.113.128/26"}
    assert len(set(back.values())) == 1


@pytest.mark.req("P5")
def test_who_does_not_peer_goes_by_transit_alone() -> None:
    nodes = without("isp1")
    assert "203.0.113.0/26" not in learned(nodes, "fra1-br")


@pytest.mark.req("P5")
def test_members_announce_their_own_prefix_and_no_transit() -> None:
    for name in ("isp1", "isp2", "corp"):
        own = routing(name)
        assert [tuple(rule.prefix for rule in n.announce) for n in own.neighbours] == [own.networks] * 2
        assert [n.preference for n in own.neighbours] == [200, 100]


@pytest.mark.req("P5")
def test_route_server_is_in_no_path_and_changes_nothing() -> None:
    # given a route server that tells isp1 of corp
    routers = {node.name: node.routing for node in plan().nodes if node.routing is not None}
    [session] = [n for n in routers["ix1-rs"].neighbours if n.device == "isp1"]
    path = bgp_routes.Path("203.0.113.128/26", "198.18.250.4", (64510,))
    assert session.reflector_client
    assert bgp_routes._announced(routers["ix1-rs"], session, path) == path
    # and no route goes back to where it came from
    assert bgp_routes._announced(routers["ix1-rs"], session, replace(path, next_hop="198.18.250.2")) is None
    # while a router puts itself into both
    [upstream] = [n for n in routers["inet"].neighbours if n.device == "isp1"]
    announced = bgp_routes._announced(routers["inet"], upstream, path)
    assert announced is not None
    assert announced.as_path == (4200000000, 64510)


@pytest.mark.req("P5")
def test_frr_is_told_to_serve_routes_and_its_clients_to_take_them() -> None:
    server = frr.render("ix1-rs", routing("ix1-rs"))["bgpd"]
    assert server.count("route-server-client") == 4
    assert "enforce-first-as" not in server
    client = frr.render("isp1", routing("isp1"))["bgpd"]
    assert client.count("enforce-first-as") == 1
    assert "route-server-client" not in client
    assert " set local-preference 200" in client


def test_topology_without_exchanges_has_no_bgp_in_the_internet() -> None:
    assert all(node.routing is None for node in plan("smb-dual-wan").nodes)


@pytest.mark.req("P5")
def test_peering_lan_that_clears_marks_has_a_flow_for_each() -> None:
    [lan] = [switch for switch in plan().switches if switch.role is SwitchRole.EXCHANGE]
    assert clearing_flows(lan, [46, 0]) == clearing_flows(lan, [])
    distrusting = replace(lan, ports=tuple(replace(p, trust_dscp=False) for p in lan.ports))
    rest, *flows = clearing_flows(distrusting, [46, 26, 0])
    assert rest == SwitchFlow(0, NORMAL)
    assert {(f.match.in_port, f.match.ip_dscp, f.actions) for f in flows} == {
        (p.number, dscp, (set_dscp(0),)) for p in lan.ports for dscp in (46, 26)
    }

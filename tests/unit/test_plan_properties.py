"""What holds for the plan of any topology that passes the checks."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uclab.drawing.boxes import Box
from uclab.drawing.graph import draw
from uclab.drawing.layout import arrange
from uclab.model.load import LoadedTopology, check, load_topology
from uclab.model.topology import Topology
from uclab.plan.lan.spanning_trees import trunks_between
from uclab.plan.planner import make_plan
from uclab.plan.resolve.vswitchd_placement import PORTS_PER_ENGINE
from uclab.plan.schema.codec import plan_from_json, plan_to_json
from uclab.plan.schema.plan import LinkEnd, NodeKind, Plan, PortMode, SwitchRole
from uclab.plan.traffic.calls import reference_calls, rounds

REFERENCE = load_topology("enterprise-hq")
"""Its policy serves all."""
LINES = {
    name: profile
    for topology in ("enterprise-hq", "cloudconnect-simplex-ott", "wifi-office")
    for name, profile in load_topology(topology).profiles.items()
}
LONG = "abcdefghijk"
"""Names may have 12 characters; kernel interfaces have 15."""


@st.composite
def sites(draw_: st.DrawFn, number: int, providers: int, datacentres: int) -> dict[str, Any]:
    """A site with any shape of switch hierarchy, phones, PCs and softclients on its access switches, and
    private circuits at any place among its lines, phones and softclients at its access points."""
    stem = draw_(st.sampled_from([f"s{number}", f"{LONG[:8]}{number}"]))
    cores, distributions = draw_(st.integers(0, 2)), draw_(st.integers(0, 2))
    access = draw_(st.integers(1, 3)) if cores else 1
    core_names = [f"{stem}c{n}" for n in range(cores)]
    upper = core_names
    switches: list[dict[str, Any]] = [
        {"name": name, "role": "core", "uplinks": core_names[:n]} for n, name in enumerate(core_names)
    ]
    if cores and distributions:
        upper = [f"{stem}d{n}" for n in range(distributions)]
        switches += [{"name": name, "role": "distribution", "uplinks": core_names} for name in upper]
    ports = draw_(st.sampled_from([12, 24, 48]))
    access_names = [f"{stem}a{n}" for n in range(access)]
    switches += [
        {"name": name, "role": "access", "uplinks": upper, "ports": ports, "poe_watts": 700}
        for name in access_names
    ]
    base = 16 * number
    vlans = [
        {"name": "voice", "id": 110 + number, "role": "voice", "subnet": f"10.{base}.110.0/24"},
        {"name": "data", "id": 220 + number, "role": "data", "subnet": f"10.{base}.120.0/25"},
    ]
    others = draw_(st.sets(st.sampled_from(["rooms", "management", "foreign-voip"])))
    vlans += [
        {"name": f"x-{role[:8]}", "id": 330 + n, "role": role, "subnet": f"10.{base}.{130 + n}.0/26"}
        for n, role in enumerate(sorted(others))
    ]
    points = [
        {"name": f"{stem}y{n}", "port": f"{access_names[n % access]}/{ports - n}", "profile": "wifi-air-5ghz"}
        for n in range(draw_(st.integers(0, 2)))
    ]
    endpoints = []
    for place in range(draw_(st.integers(0, 10))):
        switch, port = access_names[place % access], place // access + 1
        kind = draw_(st.sampled_from(["desk-phone", "softclient"]))
        endpoint = {
            "name": f"{stem}p{place:02}",
            "kind": kind,
            "port": f"{switch}/{port}",
            "number": 1000 + 100 * number + place,
        }
        if len(points) > 0 and draw_(st.booleans()):
            del endpoint["port"]
            endpoint["ap"] = draw_(st.sampled_from(points))["name"]
        elif kind == "desk-phone" and draw_(st.booleans()):
            endpoint["pc"] = f"{stem}w{place:02}"
        endpoints.append(endpoint)
    lines = [
        {"name": f"wan{n}", "to": f"isp{(n + number) % providers}", "profile": "business-internet-10"}
        for n in range(draw_(st.integers(1, 2)))
    ]
    circuits = [
        {"name": f"cc{n}", "to": f"dc{n}", "profile": "leased-line-5", "vlan": 101 + number}
        for n in sorted(draw_(st.sets(st.integers(0, datacentres - 1))))
    ]
    for circuit in circuits:
        if draw_(st.booleans()):
            circuit["via"] = "sdx"
    return {
        "name": f"site{number}",
        **({"public_prefix": f"203.0.113.{128 + 16 * number}/28"} if circuits else {}),
        "prefix": f"10.{base}.0.0/16",
        "vlans": vlans,
        "switches": switches,
        "access_points": points,
        "firewall": {"name": f"{stem}f", "uplinks": core_names or access_names},
        "router": {"name": f"{stem}r", "nat": draw_(st.booleans())},
        "connections": draw_(st.permutations([*circuits, *lines])),
        "endpoints": endpoints,
    }


@st.composite
def topologies(draw_: st.DrawFn) -> LoadedTopology:
    """Any topology that is right, as a user would have written it."""
    providers = draw_(st.integers(1, 2))
    datacentres = draw_(st.integers(1, 2))
    tree = {
        "topology": "any",
        "title": "Any",
        "policy": "ucaas",
        "cloud": {
            "domain": "ucaas.test",
            "regions": [
                {
                    "name": "eu",
                    "datacentres": [
                        {"name": f"dc{n}", "prefix": f"198.18.{10 + n}.0/24"} for n in range(datacentres)
                    ],
                }
            ],
            "pstn": {"numbers": ["+493055501001"]},
        },
        "internet": {
            "providers": [{"name": f"isp{n}", "prefix": f"203.0.113.{64 * n}/26"} for n in range(providers)]
        },
        "carriers": [{"name": "sdx", "kind": "sdn", "switches": draw_(st.integers(2, 4))}],
        "sites": [draw_(sites(number, providers, datacentres)) for number in range(draw_(st.integers(1, 3)))],
    }
    topology = Topology.model_validate_json(json.dumps(tree))
    return replace(REFERENCE, topology=topology, profiles=LINES)


plans = topologies().map(make_plan)
relaxed = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@settings(relaxed, max_examples=10)
@given(loaded=topologies())
def test_these_topologies_are_right(tmp_path: Path, loaded: LoadedTopology) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(loaded.topology.model_dump_json(exclude_none=True))
    assert check(path) == ()


@pytest.mark.req("D7")
@relaxed
@given(loaded=topologies())
def test_same_topology_same_plan(loaded: LoadedTopology) -> None:
    assert make_plan(loaded) == make_plan(loaded)


@relaxed
@given(plan=plans)
def test_plan_survives_json(plan: Plan) -> None:
    assert plan_from_json(plan_to_json(plan)) == plan


@relaxed
@given(plan=plans)
def test_no_address_and_no_mac_twice(plan: Plan) -> None:
    interfaces = [interface for node in plan.nodes for interface in node.interfaces]
    addresses = Counter(IPv4Interface(a).ip for interface in interfaces for a in interface.addresses)
    assert addresses.most_common(1)[0][1] == 1
    macs = Counter(interface.mac for interface in interfaces)
    assert macs.most_common(1)[0][1] == 1
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs), "locally administered, unicast"


@relaxed
@given(plan=plans)
def test_subnets_of_different_links_do_not_overlap(plan: Plan) -> None:
    networks = {IPv4Interface(a).network for node in plan.nodes for i in node.interfaces for a in i.addresses}
    assert not [(a, b) for a, b in combinations(networks, 2) if a.overlaps(b)]


@relaxed
@given(plan=plans)
def test_kernel_takes_every_name(plan: Plan) -> None:
    per_node = [[interface.name for interface in node.interfaces] for node in plan.nodes]
    ports = [port.interface for switch in plan.switches for port in switch.ports]
    devices = [
        *(n.name for n in plan.nodes),
        *(s.name for s in plan.switches),
        *(e.name for e in plan.engines),
    ]
    for names in (*per_node, ports, devices):
        assert len(names) == len(set(names))
        assert all(0 < len(name) <= 15 and "/" not in name for name in names)
    assert all("lo" not in names for names in per_node)


@relaxed
@given(plan=plans)
def test_every_cable_has_two_ends_and_every_end_one_cable(plan: Plan) -> None:
    there = {LinkEnd(node.name, interface.name) for node in plan.nodes for interface in node.interfaces}
    there |= {LinkEnd(switch.name, port.interface) for switch in plan.switches for port in switch.ports}
    ends = [end for link in plan.links for end in (link.a, link.b)]
    assert sorted(ends, key=str) == sorted(there, key=str)
    assert len({link.name for link in plan.links}) == len(plan.links)
    taps = [(tap.device, tap.interface) for tap in plan.taps]
    assert sorted(taps) == sorted((end.device, end.interface) for end in ends), "a tap at every end"
    assert len({tap.label for tap in plan.taps}) == len(plan.taps)


@pytest.mark.req("V6")
@relaxed
@given(plan=plans)
def test_every_default_route_leads_to_a_neighbour_and_names_are_resolved_in_public(plan: Plan) -> None:
    resolver = plan.name_servers[0].address
    assert IPv4Network("198.18.0.0/15").supernet_of(IPv4Network(resolver))
    for node in (node for node in plan.nodes if node.kind is not NodeKind.AIR):
        networks = [IPv4Interface(address).network for i in node.interfaces for address in i.addresses]
        assert node.routes
        assert all(
            any(IPv4Interface(route.via).ip in network for network in networks) for route in node.routes
        )
        assert node.nameservers == (resolver,)


@pytest.mark.req("L1", "L2", "C7")
@relaxed
@given(plan=plans)
def test_every_endpoint_has_a_way_to_the_cloud_in_its_vlan(plan: Plan) -> None:
    labels = {tap.label: tap for tap in plan.taps}
    roles = {(vlan.site, vlan.id): vlan.role for vlan in plan.vlans}
    carriage = (SwitchRole.CARRIER, SwitchRole.SDN_EXCHANGE)
    carriers = {switch.name for switch in plan.switches if switch.role in carriage}
    assert [path.endpoint for path in plan.paths][:-1] == [endpoint.name for endpoint in plan.endpoints]
    for path in plan.paths:
        endpoint = plan.endpoint(path.endpoint)
        hops = [labels[hop.tap] for hop in path.hops]
        assert hops[0].device == endpoint.node
        assert hops[-1].device == plan.session_controllers[0].node
        site = plan.node(endpoint.node).site
        inside = [hop for hop in path.hops if labels[hop.tap].device not in carriers]
        roles_there = {roles[site, hop.vlan] for hop in inside if hop.vlan is not None}
        wanted = {"desk-phone": {"voice"}, "softclient": {"data"}}.get(endpoint.kind, set())
        assert roles_there <= wanted
        assert all(hop.vlan is None for hop in path.hops if not labels[hop.tap].tagged)
        for hop, tap in zip(path.hops, hops, strict=True):
            kind = next((n.kind for n in plan.nodes if n.name == tap.device), None)
            assert kind not in (NodeKind.PC, NodeKind.PHONE) or tap.device == endpoint.node, hop


@pytest.mark.req("N3.1")
@relaxed
@given(plan=plans)
def test_switches_fit_together_and_engines_stay_small(plan: Plan) -> None:
    for fabric in plan.fabrics:
        assert set(fabric.switches) == {s for s in plan.switches if s.site == fabric.site and s.controlled}
        assert sorted(fabric.root_order) == sorted(switch.name for switch in fabric.switches)
        trunks = trunks_between(fabric.switches)
        assert len(trunks) == sum(
            link.kind == "trunk" and _site(plan, link.a) == fabric.site for link in plan.links
        )
        pairs = [pair for s in fabric.switches for p in s.ports for pair in p.allowed]
        assert len(pairs) == len(set(pairs)), "a device may send at one port only"
        edge = [
            port for switch in fabric.switches for port in switch.ports if port.mode is not PortMode.TRUNK
        ]
        assert all(port.allowed for port in edge)
    assert len({switch.dpid for switch in plan.switches}) == len(plan.switches)
    served = [name for engine in plan.engines for name in engine.switches]
    assert sorted(served) == sorted(switch.name for switch in plan.switches)
    sizes = {switch.name: len(switch.ports) for switch in plan.switches}
    for engine in plan.engines:
        assert len(engine.switches) == 1 or sum(sizes[name] for name in engine.switches) <= PORTS_PER_ENGINE


@relaxed
@given(plan=plans)
def test_tones_and_passwords_differ(plan: Plan) -> None:
    everyone = [*plan.endpoints, *(peer.endpoint for peer in plan.pstn_peers)]
    tones = sorted(endpoint.tone_hz for endpoint in everyone)
    assert all(high - low >= 25 for low, high in pairwise(tones))
    assert tones[-1] < 2 * tones[0], "no tone is a harmonic of another"
    assert tones[0] > 300
    assert tones[-1] < 3400
    assert len({endpoint.account.password for endpoint in everyone}) == len(everyone)
    assert len({endpoint.account.aor for endpoint in everyone}) == len(everyone)


@relaxed
@given(plan=plans)
def test_calls_that_run_at_once_share_no_endpoint(plan: Plan) -> None:
    calls = reference_calls(plan)
    groups = rounds(plan, calls)
    assert sorted(call.id for group in groups for call in group) == sorted(call.id for call in calls)
    assert len({call.id for call in calls}) == len(calls)
    for group in groups:
        busy = [n for call in group for n in (call.caller, call.callee, call.transfer_to) if n is not None]
        phones = [name for name in busy if name in {endpoint.name for endpoint in plan.endpoints}]
        assert len(phones) == len(set(phones))
        assert len({call.kind == "overload" for call in group}) == 1


@settings(relaxed, max_examples=25)
@given(plan=plans)
def test_drawing_shows_every_device_and_no_two_on_one_place(plan: Plan) -> None:
    svg = draw(plan)
    root = ElementTree.fromstring(svg)
    words = {element.text for element in root.iter() if element.text}
    layout = arrange(plan)
    shown = {box.name: box for box in layout.boxes.values()}
    assert set(shown) <= words
    assert {node.name for node in plan.nodes} <= set(layout.boxes)
    assert {switch.name for switch in plan.switches} <= set(layout.boxes)
    assert not [(a.name, b.name) for a, b in combinations(shown.values(), 2) if _overlap(a, b)]
    for box in shown.values():
        assert box.x - box.width / 2 >= 0
        assert box.x + box.width / 2 <= layout.width


def _overlap(a: Box, b: Box) -> bool:
    return abs(a.x - b.x) < (a.width + b.width) / 2 and abs(a.y - b.y) < (a.height + b.height) / 2


def _site(plan: Plan, end: LinkEnd) -> str:
    return next(switch.site for switch in plan.switches if switch.name == end.device)

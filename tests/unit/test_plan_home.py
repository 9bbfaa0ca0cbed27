"""Small premises: one device for everything, or a modem in bridge mode before a router (N5, W9)."""

from __future__ import annotations

from functools import cache

import pytest

from testbed.plans import shipped_plan
from uclab.judge.evidence.network import PlannedNetwork
from uclab.model.home import expand_home_router
from uclab.plan.resolve.lines import wan_lines
from uclab.plan.schema.plan import LinkEnd, NodeKind, Plan, PortMode, SwitchRole

BOTH = ("soho-all-in-one", "soho-bridge-modem")


@cache
def plan(name: str) -> Plan:
    return shipped_plan(name)


@pytest.mark.req("N5", "W9")
def test_all_in_one_device_is_one_routing_namespace_with_a_switch_of_its_own() -> None:
    home = plan("soho-all-in-one")
    there = [node for node in home.nodes if node.site == "home"]
    assert [n.name for n in there if n.kind in (NodeKind.ROUTER, NodeKind.FIREWALL)] == ["box"]
    box = home.node("box")
    assert [(i.name, i.addresses) for i in box.interfaces] == [
        ("lan", ("192.168.178.1/24",)),
        ("dsl1", ("203.0.113.2/30",)),
    ]
    [switch] = [s for s in home.switches if s.role is SwitchRole.HOME]
    assert not switch.controlled
    assert [(p.number, p.peer) for p in switch.ports] == [
        (1, "desk1-sw"),
        (2, "desk2-sw"),
        (3, "soft1"),
        (5, "box"),
    ]
    assert home.fabrics == ()


@pytest.mark.req("N5")
@pytest.mark.parametrize("name", BOTH)
def test_nothing_is_tagged_in_a_home(name: str) -> None:
    home = plan(name)
    assert {port.mode for switch in home.switches for port in switch.ports} == {PortMode.ACCESS}
    assert {hop.vlan for path in home.paths for hop in path.hops} == {None}
    network = PlannedNetwork(home)
    assert not any(network.is_tagged(endpoint.name) for endpoint in home.endpoints)
    router = next(n.name for n in home.nodes if n.kind is NodeKind.ROUTER and n.site == "home")
    assert {f"{router}:lan", f"{router}-sw:1", "desk1-sw:2"} <= network.home_taps
    assert not {f"{router}:dsl1", "isp1:inet", "modem:1"} & network.home_taps


@pytest.mark.req("N5", "C8")
def test_home_router_translates_classifies_by_port_and_has_no_sip_gateway() -> None:
    rules = plan("soho-all-in-one").node("box").nftables or ""
    assert 'oifname "dsl1" ip saddr 192.168.178.0/24 masquerade' in rules
    assert 'iifname "lan" oifname "dsl1" jump classify' in rules
    assert "ip daddr { 198.18.10.0/24 } udp dport { 20000-64999, 8803 } ip dscp set 46 return" in rules
    assert "ct helper" not in rules
    # while a site with access switches leaves that to them
    office = shipped_plan("small-office")
    assert "classify" not in (office.node("edge").nftables or "")


@pytest.mark.req("W9")
def test_modem_stands_between_router_and_line() -> None:
    home = plan("soho-bridge-modem")
    [line] = wan_lines(home)
    assert (line.near, line.far, line.link) == (
        LinkEnd("router", "dsl1"),
        LinkEnd("isp1", "router"),
        "router-isp1",
    )
    [cable] = [link for link in home.links if link.name == "router-isp1"]
    assert (cable.a.device, cable.b) == ("modem", LinkEnd("isp1", "router"))
    taps = [hop.tap for hop in home.paths[0].hops]
    assert taps[taps.index("router:dsl1") :][:4] == ["router:dsl1", "modem:1", "modem:2", "isp1:router"]
    [up] = home.node("router").impairments
    assert up.arrives_at == LinkEnd("isp1", "router")
    [down] = home.node("isp1").impairments
    assert down.arrives_at == LinkEnd("router", "dsl1")


@pytest.mark.req("D7")
@pytest.mark.parametrize("data", [None, [], {"sites": 3}, {"sites": [4, {"name": "x"}]}])
def test_whatever_has_no_home_router_is_left_as_it_is(data: object) -> None:
    assert expand_home_router(data) == data


@pytest.mark.req("D7")
def test_home_router_is_furnished_even_where_it_is_wrong() -> None:
    # so that only what the writer wrote is said to be wrong
    [site] = expand_home_router({"sites": [{"home_router": "box", "prefix": 7, "endpoints": ["x"]}]})["sites"]
    assert site["vlans"] == [{"name": "lan", "id": 1, "role": "data", "subnet": "192.168.0.0/24"}]
    assert site["switches"][0]["name"] == "home"
    assert site["endpoints"] == ["x"]

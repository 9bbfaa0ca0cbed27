"""Faults of the way between a site and the cloud: what exactly they change."""

from __future__ import annotations

from functools import cache

import pytest

from testbed.plans import shipped_plan
from uclab.plan.faults.catalogue import FAULTS
from uclab.plan.schema.plan import Node, Plan
from uclab.plan.schema.routing import Route


@cache
def clean(topology: str) -> Plan:
    return shipped_plan(topology)


def changed(topology: str, fault: str, target: str | None = None) -> dict[str, tuple[Node, Node]]:
    """The nodes that a fault changes: before and after."""
    plan = clean(topology)
    pairs = zip(plan.nodes, FAULTS[fault].apply(plan, target).nodes, strict=True)
    return {a.name: (a, b) for a, b in pairs if a != b}


def added_rules(pair: tuple[Node, Node]) -> str:
    assert pair[0].interface_rules is None
    return (pair[1].nftables or "").removeprefix(pair[0].nftables or "") + (pair[1].interface_rules or "")


@pytest.mark.req("C8")
def test_provider_clears_what_it_sends_to_the_cloud() -> None:
    nodes = changed("small-office", "dscp-cleared-by-isp")
    assert 'oifname "inet" ip dscp set 0' in added_rules(nodes.pop("isp1"))
    assert not nodes
    # and at an exchange, what it sends there
    assert 'oifname "ix1"' in added_rules(changed("internet-exchange", "dscp-cleared-by-isp", "isp2")["isp2"])


@pytest.mark.req("V2", "P1.1")
@pytest.mark.parametrize(
    ("topology", "router", "via"),
    [
        ("smb-dual-wan", "edge", "203.0.113.65"),
        ("cloudconnect-simplex-ott", "edge", "203.0.113.1"),
        ("internet-exchange", "corp", "198.19.0.17"),
    ],
)
def test_backup_is_preferred_by_a_static_route_to_the_cloud(topology: str, router: str, via: str) -> None:
    [(before, after)] = changed(topology, "backup-preferred", router).values()
    [cloud] = clean(topology).policy.cloud_prefixes
    assert set(after.routes) - set(before.routes) == {Route(cloud, via)}
    # what the kernel has by that route, it does not have from BGP
    if after.routing is not None:
        assert cloud not in {route.prefix for route in after.routing.learned}


@pytest.mark.parametrize("topology", ["small-office", "cloudconnect-georedundant"])
def test_who_has_one_way_only_has_no_backup(topology: str) -> None:
    with pytest.raises(KeyError, match="no router with a second way to the cloud; there is none"):
        FAULTS["backup-preferred"].apply(clean(topology), None)


@pytest.mark.req("W9")
def test_every_other_packet_of_media_takes_the_second_line() -> None:
    [pair] = changed("smb-dual-wan", "wan-balanced-per-packet").values()
    rules = added_rules(pair)
    assert 'hook egress device "wan1"' in rules
    assert 'udp dport 20000-64999 numgen inc mod 2 0 fwd ip to 203.0.113.65 device "wan2"' in rules


@pytest.mark.req("W9", "N1.2")
def test_answers_come_back_by_the_second_line() -> None:
    nodes = changed("smb-dual-wan", "asymmetric-routing")
    assert set(nodes) == {"inet", "isp2"}
    new = {name: set(b.routes) - set(a.routes) for name, (a, b) in nodes.items()}
    at_core = clean("smb-dual-wan").node("isp2").interface("inet").addresses[0].split("/")[0]
    assert new == {"inet": set(), "isp2": {Route("203.0.113.2/32", "203.0.113.66")}}
    rules = added_rules(nodes["inet"])
    assert 'hook egress device "isp1"' in rules
    assert f'ip daddr 203.0.113.2 fwd ip to {at_core} device "isp2"' in rules


@pytest.mark.req("N2", "C9.1")
def test_sip_gateway_writes_into_the_ports_of_sip() -> None:
    [pair] = changed("soho-all-in-one", "sip-alg").values()
    assert pair[0].name == "box"
    assert "tcp dport { 5061, 5096, 5097 } meta length > 100 @ih,0,8 set 0x53" in added_rules(pair)

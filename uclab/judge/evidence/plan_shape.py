"""Whether a plan file holds together: every name in it is one of its own, every address an address. The
planner makes no other, but whoever handed the run over may have changed it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from uclab.judge.evidence.network import PlannedNetwork, mac_number
from uclab.plan.schema.plan import Plan


def plan_trouble(plan: Plan) -> str | None:
    """The first thing that does not hold together, in words; None where all does."""
    try:
        trouble = next(_troubles(plan), None)
        if trouble is None:
            network = PlannedNetwork(plan)
            _ = network.ways.lines, [network.vlan_of_node(node.name) for node in plan.nodes]
    except (LookupError, ValueError, StopIteration, ArithmeticError, AttributeError, TypeError) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    return trouble


def _troubles(plan: Plan) -> Iterator[str]:
    if not plan.session_controllers:
        yield "it has no session controller"
    devices = {node.name for node in plan.nodes} | {switch.name for switch in plan.switches}
    names = [node.name for node in plan.nodes]
    yield from (f"node `{name}` is there twice" for name in {name for name in names if names.count(name) > 1})
    for what, owner, device in _references(plan):
        if device not in devices:
            yield f"{what} `{owner}` is at `{device}`, which is no node or switch of it"
    taps = {tap.label for tap in plan.taps}
    for path in plan.paths:
        for hop in path.hops:
            if hop.tap not in taps:
                yield f"the way of `{path.endpoint}` passes `{hop.tap}`, which is no tap of it"
    for owner, value, parse in _addresses(plan):
        try:
            parse(value)
        except ValueError:
            yield f"`{owner}` has `{value[:40]}` in place of an address"


def _references(plan: Plan) -> Iterator[tuple[str, str, str]]:
    for endpoint in (*plan.endpoints, *(peer.endpoint for peer in plan.pstn_peers)):
        yield "endpoint", endpoint.name, endpoint.node
    for controller in plan.session_controllers:
        yield "session controller", controller.name, controller.node
    for tap in plan.taps:
        yield "tap", tap.label, tap.device
    for link in plan.links:
        yield "link", link.name, link.a.device
        yield "link", link.name, link.b.device
    for bulk in plan.bulk:
        yield "bulk traffic", bulk.name, bulk.source_node
        yield "bulk traffic", bulk.name, bulk.target_node


def _addresses(plan: Plan) -> Iterator[tuple[str, str, Callable[[str], object]]]:
    for node in plan.nodes:
        for interface in node.interfaces:
            yield node.name, interface.mac, mac_number
            yield from ((node.name, address, ipaddress.IPv4Interface) for address in interface.addresses)
    for vlan in plan.vlans:
        yield vlan.name, vlan.subnet, ipaddress.IPv4Network
    for controller in plan.session_controllers:
        yield controller.name, controller.address, ipaddress.IPv4Address
        yield controller.name, controller.media_address, ipaddress.IPv4Address
    for peer in plan.pstn_peers:
        yield peer.endpoint.name, peer.address, ipaddress.IPv4Address
    for bulk in plan.bulk:
        yield bulk.name, bulk.target_address, ipaddress.IPv4Address
    for prefix in plan.policy.cloud_prefixes:
        yield plan.policy.name, prefix, ipaddress.IPv4Network

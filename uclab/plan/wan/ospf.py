"""Which routes OSPF routers end up with (pure): shortest paths within one area (RFC 2328 section 16.1), and
the default route of who leads out of it (section 16.4).

Every interface costs the same. Where two ways are equally short, the router that is named first counts: plans
have routers in a row, so that there is one way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network

from uclab.plan.lan.sites import DEFAULT
from uclab.plan.schema.devices import Node, Route

KERNEL_METRIC = 20
"""What FRR's zebra gives OSPF routes in the kernel, whatever they cost."""


def with_learned(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes, their OSPF routers with the routes that they learn."""
    speakers = {node.name: node for node in nodes if node.ospf is not None}
    return tuple(
        replace(node, ospf=replace(node.ospf, learned=_learned(node, speakers))) if node.ospf else node
        for node in nodes
    )


def _learned(node: Node, speakers: Mapping[str, Node]) -> tuple[Route, ...]:
    """The networks of all routers that it reaches, each by the way to the nearest router there."""
    own = {net for interface in node.interfaces for net in _networks(node, (interface.name,))}
    found: dict[IPv4Network, str] = {}
    for router, via in _reached(node, speakers):
        assert router.ospf is not None
        announced = set(_networks(router, (*router.ospf.speaks, *router.ospf.silent)))
        if router.ospf.leads_out:
            announced.add(IPv4Network(DEFAULT))
        for net in announced - own:
            found.setdefault(net, via)
    return tuple(Route(str(net), via, KERNEL_METRIC) for net, via in sorted(found.items()))


def _reached(node: Node, speakers: Mapping[str, Node]) -> Iterator[tuple[Node, str]]:
    """(Router, address of the neighbour by which it is reached), the nearest first."""
    seen, queue = {node.name}, deque([(node, "")])
    while queue:
        here, first = queue.popleft()
        for other, address in _neighbours(here, speakers):
            if other.name not in seen:
                seen.add(other.name)
                queue.append((other, first or address))
                yield other, first or address


def _neighbours(node: Node, speakers: Mapping[str, Node]) -> Iterator[tuple[Node, str]]:
    """Routers that it speaks with, and their addresses on the common network."""
    assert node.ospf is not None
    shared = set(_networks(node, node.ospf.speaks))
    for other in speakers.values():
        assert other.ospf is not None
        for name in other.ospf.speaks:
            for address in map(IPv4Interface, other.interface(name).addresses):
                if other is not node and address.network in shared:
                    yield other, str(address.ip)


def _networks(node: Node, interfaces: Sequence[str]) -> Iterator[IPv4Network]:
    for name in interfaces:
        yield from (IPv4Interface(address).network for address in node.interface(name).addresses)

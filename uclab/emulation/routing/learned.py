"""Whether a router has learned the routes that it should have."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any

from pyroute2 import IPRoute
from pyroute2 import NetlinkError as Pyroute2Error

from uclab.emulation.linux import netns
from uclab.emulation.linux.netns import Namespace
from uclab.plan.schema.routing import Route
from uclab.runtime.readiness import wait_until

LEARNED_S = 40.0
_PROTOCOLS = (186, 188)
"""Routing protocol numbers of FRR's bgpd and ospfd in the kernel (rt_protos of iproute2)."""
Learned = frozenset[tuple[str, str]]
"""(Prefix, neighbour's address)."""


def learned_routes(namespace: Namespace) -> Learned:
    """The routes that BGP and OSPF have put into the kernel."""
    found = set()
    with netns.entered(namespace), IPRoute() as kernel:
        for _, route in _learned(kernel):
            prefix, via = route.get_attr("RTA_DST") or "0.0.0.0", route.get_attr("RTA_GATEWAY")
            found.add((str(IPv4Network(f"{prefix}/{route['dst_len']}")), str(via)))
    return frozenset(found)


def forget_learned(namespace: Namespace) -> None:
    """Take away all that BGP and OSPF have put into the kernel, as a restart would. OSError where it refuses.

    By prefix and metric alone: zebra's routes name a next-hop object, and a request that names gateways, too,
    is refused (net/ipv4/fib_frontend.c).
    """
    with netns.entered(namespace), IPRoute() as kernel:
        try:
            for protocol, route in _learned(kernel):
                prefix = f"{route.get_attr('RTA_DST') or '0.0.0.0'}/{route['dst_len']}"
                priority = route.get_attr("RTA_PRIORITY") or 0
                kernel.route("del", dst=prefix, proto=protocol, priority=priority)
        except Pyroute2Error as error:
            raise OSError(error.code, f"{namespace.name}: cannot forget its routes: {error}") from error


def _learned(kernel: IPRoute) -> list[tuple[int, Any]]:
    """(Protocol, route) of every route that a routing program has put there."""
    return [(number, route) for number in _PROTOCOLS for route in kernel.get_routes(family=2, proto=number)]


async def wait_learned(namespace: Namespace, expected: Sequence[Route]) -> None:
    """Wait until the router has exactly the expected routes from its neighbours. Raises `NotReady` that says
    which are missing or too many."""
    wanted: Learned = frozenset((route.prefix, route.via) for route in expected)

    async def look() -> bool | None:
        have = await asyncio.to_thread(learned_routes, namespace)
        if have != wanted:
            raise OSError(difference(have, wanted))
        return True

    await wait_until(look, what=f"{namespace.name} to learn its routes", deadline_s=LEARNED_S, every_s=0.1)


def difference(have: Learned, wanted: Learned) -> str:
    """What is missing and what is too much, in words (pure)."""
    missing = ", ".join(f"{prefix} by {via}" for prefix, via in sorted(wanted - have))
    surplus = ", ".join(f"{prefix} by {via}" for prefix, via in sorted(have - wanted))
    return "; ".join(
        part for part in (missing and f"missing: {missing}", surplus and f"too many: {surplus}") if part
    )

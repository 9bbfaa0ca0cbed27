"""Cables and what hangs on their ends: veth pairs, addresses, routes, link state, all through batched
netlink.

A veth pair is born with both ends already in their namespaces, named and addressed; a second short round in
each namespace raises what is down and sets IP addresses and routes.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface

from uclab.emulation.linux import netns, offload, rtnetlink, sysctl
from uclab.emulation.linux.netns import Namespace
from uclab.emulation.linux.rtnetlink import Request, VethEnd

MTU = 1500
"""Bytes. The kernel lets an 802.1Q tag pass on top of it."""


@dataclass(frozen=True)
class Cable:
    """A veth pair to make."""

    a: VethEnd
    b: VethEnd
    mtu: int = MTU


@dataclass(frozen=True)
class InterfaceSettings:
    """What an interface gets once it exists."""

    name: str
    index: int
    addresses: tuple[str, ...] = ()
    offload: bool = False


@dataclass(frozen=True)
class NodeSettings:
    """IP settings of one namespace."""

    interfaces: tuple[InterfaceSettings, ...]
    routes: tuple[tuple[str, str, int], ...] = ()
    """(prefix, via, metric)"""
    neighbours: tuple[tuple[int, str, str], ...] = ()
    """(interface index, address, MAC)"""


def passable(settings: NodeSettings, up: Collection[str]) -> NodeSettings:
    """The settings without routes and neighbours behind interfaces that are down, which the kernel refuses.

    A device whose links were all cut gets them back one by one.
    """
    down = [interface for interface in settings.interfaces if interface.name not in up]
    networks = [ip_interface(address).network for interface in down for address in interface.addresses]
    indices = {interface.index for interface in down}
    return replace(
        settings,
        routes=tuple(r for r in settings.routes if not any(ip_address(r[1]) in net for net in networks)),
        neighbours=tuple(n for n in settings.neighbours if n[0] not in indices),
    )


def without_defaults(settings: NodeSettings) -> NodeSettings:
    """The settings without default routes: those of a device with a program that sets them itself."""
    return replace(settings, routes=tuple(r for r in settings.routes if r[0] != "0.0.0.0/0"))


def lay(cables: Sequence[Cable]) -> None:
    """Make all veth pairs. The calling thread's namespace does not matter: each end names its own."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        rtnetlink.send(sock, [rtnetlink.veth(cable.a, cable.b, cable.mtu) for cable in cables], "links")


def raise_interfaces(namespace: Namespace, interfaces: Sequence[tuple[int, str]]) -> None:
    """Raise interfaces given by index and name."""
    apply_requests(namespace, [rtnetlink.link_state(index, True, name) for index, name in interfaces])


def prepare(namespace: Namespace, settings: Iterable[tuple[str, str]]) -> None:
    """Kernel settings that must stand before the first interface comes."""
    with netns.entered(namespace):
        sysctl.write(settings, namespace.name)


def configure(namespace: Namespace, settings: NodeSettings) -> None:
    """Loopback up, addresses, routes, offload off, in one namespace."""
    with netns.entered(namespace):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
            rtnetlink.send(sock, requests(settings), namespace.name)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for interface in settings.interfaces:
                if not interface.offload:
                    offload.switch_off(sock, interface.name)


def requests(settings: NodeSettings) -> list[Request]:
    """The netlink requests that carry out `settings`, in order (pure)."""
    result = [rtnetlink.link_state(1, True, "lo")]
    for interface in settings.interfaces:
        result += [rtnetlink.address(interface.index, cidr) for cidr in interface.addresses]
        result.append(rtnetlink.link_state(interface.index, True, interface.name))
    result += routing_requests(settings)
    return result


def routing_requests(settings: NodeSettings) -> list[Request]:
    """Routes and neighbours: what the kernel forgets when an interface goes down."""
    result = [rtnetlink.route(prefix, via, metric=metric) for prefix, via, metric in settings.routes]
    result += [rtnetlink.neighbour(index, ip, mac) for index, ip, mac in settings.neighbours]
    return result


def operational(namespace: Namespace) -> set[str]:
    """The interfaces that can carry packets now."""
    with namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        return {name for name, up in rtnetlink.operational(sock).items() if up}


def apply_requests(namespace: Namespace, wanted: Sequence[Request]) -> None:
    """Send requests inside a namespace."""
    with namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        rtnetlink.send(sock, wanted, namespace.name)

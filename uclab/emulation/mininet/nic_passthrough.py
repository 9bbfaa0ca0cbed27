"""Network cards that are lent: looked at, moved into another namespace, and given back as they were.

A card that is a device of its own falls back to the machine's first namespace by itself when the namespace it
is in ends (net/core/dev.c, default_device_exit_net), under its name, without addresses. One that software
made does not (veth, VLAN, macvlan): it is destroyed, and of a veth pair so is the other end.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pyroute2 import IPRoute
from pyroute2 import NetlinkError as Pyroute2Error

from uclab.emulation.linux import netns, offload
from uclab.emulation.linux.netns import Namespace

_LINK_SCOPE = 253
_IFF_UP, _IFF_LOOPBACK = 0x1, 0x8


class CardError(OSError):
    """A card could not be moved; the message names it."""


@dataclass(frozen=True)
class CardState:
    """What a network interface of a namespace is used for."""

    loopback: bool = False
    addresses: tuple[str, ...] = ()
    """But for IPv6 link-local ones, which every interface that is up has."""
    routes: tuple[str, ...] = ()
    """Destinations that it leads to, `default` among them."""
    master: str = ""
    """The bridge, bond or switch that it is a part of."""


@dataclass(frozen=True)
class LentCard:
    """A card in a namespace that is not its own, and how it was before."""

    name: str
    index: int
    there: Namespace
    mac: str
    up: bool
    offload: Mapping[int, int]


def look(name: str) -> CardState | None:
    """The state of an interface of the calling thread's namespace; None where there is none."""
    with IPRoute() as kernel:
        index = _index(kernel, name)
        if index is None:
            return None
        (link,) = kernel.get_links(index)
        master = link.get_attr("IFLA_MASTER")
        return CardState(
            loopback=bool(link["flags"] & _IFF_LOOPBACK),
            addresses=tuple(
                f"{address.get_attr('IFA_ADDRESS')}/{address['prefixlen']}"
                for address in kernel.get_addr(index=index)
                if not (address["family"] == socket.AF_INET6 and address["scope"] == _LINK_SCOPE)
            ),
            routes=tuple(
                "default" if not route["dst_len"] else f"{route.get_attr('RTA_DST')}/{route['dst_len']}"
                for route in kernel.get_routes(family=socket.AF_INET, oif=index)
            ),
            master=kernel.get_links(master)[0].get_attr("IFLA_IFNAME") if master else "",
        )


def refusal(name: str, state: CardState | None) -> str | None:
    """Why an interface cannot be lent; None where it can (pure)."""
    if state is None:
        return f"this machine has no network interface `{name}`; `ip -brief link` shows what it has"
    if state.loopback:
        return f"`{name}` is the loopback interface: name one with a cable"
    if "default" in state.routes:
        return f"`{name}` leads to this machine's default route: lending it would cut the machine off"
    if state.addresses:
        return (
            f"`{name}` has the address {state.addresses[0]}: this machine uses it; name an interface without"
            f" addresses, or take them away with `ip address flush dev {name}`"
        )
    if state.routes:
        return f"`{name}` leads to {state.routes[0]}: this machine uses it"
    if state.master:
        return f"`{name}` is a part of `{state.master}`: take it out with `ip link set {name} nomaster`"
    return None


def lend(name: str, home: Namespace, target: Namespace, mac: str | None = None) -> LentCard:
    """Move the card `name` of `home` to the namespace `target`, with another MAC address where one is given;
    no offload, so that captures show what is on the wire. It is left down. Raises `CardError`."""
    with _words(name), netns.entered(home), IPRoute() as kernel:
        index = _index(kernel, name)
        if index is None:
            raise CardError(f"this machine has no network interface `{name}` any more")
        (link,) = kernel.get_links(index)
        was = (str(link.get_attr("IFLA_ADDRESS")), bool(link["flags"] & _IFF_UP))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            before = offload.settings(sock, name)
        kernel.link("set", index=index, net_ns_fd=target.fd)
    with _words(name), netns.entered(target), IPRoute() as kernel:
        moved = _index(kernel, name)
        if moved is None:
            raise CardError(f"network interface `{name}` is gone")
        kernel.link("set", index=moved, state="down")
        if mac is not None:
            kernel.link("set", index=moved, address=mac)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            offload.apply(sock, name, dict.fromkeys(before, 0))
    return LentCard(name, moved, target, *was, before)


def give_back(card: LentCard, home: Namespace) -> None:
    """Move a card back as it was, without addresses. One that is gone in the meantime stays gone."""
    with suppress(CardError):
        with _words(card.name), netns.entered(card.there), IPRoute() as kernel:
            kernel.link("set", index=card.index, state="down")
            kernel.link("set", index=card.index, address=card.mac)
            kernel.link("set", index=card.index, net_ns_fd=home.fd)
        with _words(card.name), netns.entered(home), IPRoute() as kernel:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                offload.apply(sock, card.name, card.offload)
            back = _index(kernel, card.name)
            if back is not None and card.up:
                kernel.link("set", index=back, state="up")


def _index(kernel: IPRoute, name: str) -> int | None:
    return next(iter(kernel.link_lookup(ifname=name)), None)


@contextmanager
def _words(name: str) -> Iterator[None]:
    try:
        yield
    except Pyroute2Error as error:
        raise CardError(f"network interface `{name}` cannot be lent: {error}") from error

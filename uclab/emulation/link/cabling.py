# ruff: noqa: N802, N803 (the names are Mininet's)
"""Mininet links and interfaces that only remember what they are; the network makes all of them in one go."""

from __future__ import annotations

import itertools
from typing import Any

from mininet.link import Intf, Link

from uclab.emulation.link import veth
from uclab.emulation.linux import rtnetlink
from uclab.emulation.linux.netns import Namespace


class LabIntf(Intf):
    """One end of a cable. Settings made before the network starts are kept, those made after are carried out
    at once."""

    _indices = itertools.count(2)
    """No two interfaces of a process share an index: with equal indices at both ends of a veth pair the
    kernel takes up to a second to detect carrier (net/core/link_watch.c, linkwatch_urgent_event), and drops
    what is sent until then."""

    def __init__(
        self,
        name: str,
        node: Any = None,
        port: int | None = None,
        link: Any = None,
        mac: str | None = None,
        **params: Any,
    ) -> None:
        self.index = next(self._indices)
        self.addresses: list[str] = []
        self.up = True
        super().__init__(name, node=node, port=port, link=link, mac=mac, **params)

    def setIP(self, ipstr: str, prefixLen: int | None = None) -> None:
        """Add an address, `10.0.0.1/8` or (`10.0.0.1`, 8)."""
        cidr = ipstr if "/" in ipstr else f"{ipstr}/{prefixLen}"
        self.addresses.append(cidr)
        self.ip, self.prefixLen = cidr.split("/")
        if self._namespace is not None:
            veth.apply_requests(self._namespace, [rtnetlink.address(self.index, cidr)])

    def setMAC(self, macstr: str) -> None:
        """Hardware address; only before the network starts."""
        if self._namespace is not None:
            raise RuntimeError(f"{self.name}: set the MAC address before the network starts")
        self.mac = macstr

    def isUp(self, setUp: bool = False) -> bool:
        """Whether the interface is administratively up; with `setUp` raise it."""
        if setUp and not self.up:
            self.set_state(up=True)
        return self.up

    def set_state(self, *, up: bool) -> None:
        """Raise or lower the interface."""
        if self._namespace is not None:
            veth.apply_requests(self._namespace, [rtnetlink.link_state(self.index, up, self.name)])
        self.up = up

    def ifconfig(self, *args: Any) -> str:
        """`up` and `down` are understood, as Mininet's `configLinkStatus` uses them."""
        if args in (("up",), ("down",)):
            self.set_state(up=args[0] == "up")
        return ""

    def updateIP(self) -> str | None:
        """The address (Mininet asks ifconfig here)."""
        address: str | None = self.ip
        return address

    def updateMAC(self) -> str | None:
        """The hardware address (Mininet asks ifconfig here)."""
        mac: str | None = self.mac
        return mac

    def updateAddr(self) -> tuple[str | None, str | None]:
        """Both."""
        return self.updateIP(), self.updateMAC()

    def delete(self) -> None:
        """Forget it; the namespace takes the interface with it."""
        self.node.delIntf(self)
        self.link = None

    def status(self) -> str:
        """`OK` or `DOWN`."""
        return "OK" if self.up else "DOWN"

    @property
    def _namespace(self) -> Namespace | None:
        namespace: Namespace | None = self.node.namespace if self.node else None
        return namespace


class LabLink(Link):
    """A cable between two interfaces. `name` is what `fail` and `heal` take, e.g. `acc1-dist1`."""

    def __init__(self, node1: Any, node2: Any, name: str | None = None, **params: Any) -> None:
        self.name = name or f"{node1.name}-{node2.name}"
        super().__init__(node1, node2, **params)

    @classmethod
    def makeIntfPair(cls, *args: Any, **kwargs: Any) -> None:
        """Nothing yet: `LabNet` makes all pairs in a few system calls."""

    def stop(self) -> None:
        """The namespaces take both ends with them."""

    def ends(self) -> tuple[LabIntf, LabIntf]:
        """Both ends; the first is made up, the second is raised afterwards."""
        return self.intf1, self.intf2

"""A site firewall's rules as data (N1); `uclab.plan.lan.firewall` writes them for nftables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Zone:
    """A zone: the firewall's interface to one VLAN."""

    interface: str
    role: str
    subnet: str


@dataclass(frozen=True)
class MissingRule:
    """A rule that a firewall lacks. Of drills alone."""

    zone: str
    """The zone's interface."""
    service: str
    way: Literal["out", "in"]


@dataclass(frozen=True)
class FirewallRules:
    """What passes: by zone, what it may start towards the outside, and answers."""

    zones: tuple[Zone, ...]
    outside: str
    """Interface towards the router."""
    transit: str
    """Subnet of that link."""
    router: str
    """The router's address there."""
    resolvers: tuple[str, ...]
    """Public name servers."""
    ospf: bool = False
    """Whether firewall and router speak OSPF."""
    cloud_ports: tuple[int, ...] = ()
    """TCP ports of further services of the cloud, for phones and PCs."""
    missing: tuple[MissingRule, ...] = ()
    open_between: tuple[str, ...] = ()
    """Interfaces of zones that may send each other UDP. Of drills alone."""

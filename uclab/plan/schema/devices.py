"""Devices of a plan: nodes with their interfaces, routes, filters, queues and lines; cables between them.

Rates are kbit/s, delays milliseconds, DSCP 0..63.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from uclab.plan.schema.firewall import FirewallRules
from uclab.plan.schema.routing import Ospf, Route, Routing

__all__ = [
    "Bursts",
    "EgressQueue",
    "Impairment",
    "Interface",
    "JitterDistribution",
    "Link",
    "LinkEnd",
    "Node",
    "NodeKind",
    "Ospf",
    "QueueClass",
    "Route",
    "Routing",
]


class NodeKind(StrEnum):
    """What a device is. Each node is one network namespace."""

    FIREWALL = "firewall"
    ROUTER = "router"
    ISP = "isp"
    CLOUD_ROUTER = "cloud-router"
    SERVER = "server"
    """A host of the cloud, or a public server such as the DNS resolver."""
    PHONE = "phone"
    PC = "pc"
    AIR = "air"
    """An access point's channel: passes frames between it and its stations
    (`uclab.plan.schema.radio_channel`)."""
    OTHER_CUSTOMER = "other-customer"
    """A router of another customer of a carrier; it has the same addresses as one of ours."""


@dataclass(frozen=True)
class Interface:
    """A node's end of a link, or its loopback-like extra addresses (RFC 4291 / RFC 791 addresses in CIDR
    form)."""

    name: str
    """Name inside the node's namespace, at most 15 characters."""
    mac: str
    addresses: tuple[str, ...] = ()
    """CIDR notation, e.g. `10.10.110.11/24`."""
    zone: str | None = None
    """Firewall zone (`voice`, `data`, `wan`, ...) where the node is a firewall."""


@dataclass(frozen=True)
class QueueClass:
    """One class of an HTB egress queue: packets whose DSCP is in `dscps` (the default class has none)."""

    name: str
    dscps: tuple[int, ...]
    rate_kbps: int
    """Guaranteed."""
    ceil_kbps: int
    priority: int
    """0 is served first."""
    limit_packets: int
    """Depth of the leaf queue; small, because a full one would hold up other ports' traffic (facts:
    AF_PACKET)."""
    arp: bool = False
    """True on the one class that also takes ARP: unanswered ARP drops calls."""
    codes: tuple[int, ...] = ()
    """In a carrier's network: the priorities of service tags, or the MPLS traffic classes, of the class."""


@dataclass(frozen=True)
class EgressQueue:
    """Bandwidth management at the way out of `interface` (N2, C8): HTB of `rate_kbps` with classes."""

    interface: str
    rate_kbps: int
    classes: tuple[QueueClass, ...]
    sorts_by: Literal["dscp", "service-pcp", "mpls-tc"] = "dscp"
    """What decides the class: the DSCP, or in a carrier's network the `codes` of service tag or label."""


JitterDistribution = Literal["normal", "uniform", "pareto", "paretonormal"]


@dataclass(frozen=True)
class Bursts:
    """Loss in bursts (Gilbert-Elliott): chances to turn bad and good again, drawn for every packet, and loss
    while bad; per cent."""

    enter_pct: float
    leave_pct: float
    lost_pct: float = 100.0


@dataclass(frozen=True)
class Impairment:
    """What the line does to packets leaving by `interface`: delay, jitter (standard deviation), random
    loss, loss in bursts."""

    interface: str
    delay_ms: float
    jitter_ms: float = 0.0
    loss_pct: float = 0.0
    limit_packets: int = 1000
    seed: int = 1
    keep_order: bool = True
    jitter_distribution: JitterDistribution = "normal"
    bursts: Bursts | None = None
    arrives_at: LinkEnd | None = None
    """The device's interface where the line ends, where switches stand in between; else the other end of the
    cable."""


@dataclass(frozen=True)
class LinkEnd:
    """Where a link ends: a node's interface, or a switch's port (then `interface` is the port's name,
    `acc1-p3`)."""

    device: str
    interface: str


@dataclass(frozen=True)
class LineStep:
    """What a line does from `at_s` on, on top of its impairment, until its schedule's next step."""

    at_s: float
    """Seconds from the schedule's beginning."""
    rate_kbps: int | None = None
    """Of the sender's queue; None: its planned one."""
    more_delay_ms: float = 0.0
    more_jitter_ms: float = 0.0
    more_loss_pct: float = 0.0
    """100 is an outage."""


@dataclass(frozen=True)
class LineSchedule:
    """How a direction of a line changes with time (W4, W8): packets leaving `node` by `interface`.

    Of several schedules of a line delays, jitters and losses add up, and the lowest rate counts.
    """

    node: str
    interface: str
    steps: tuple[LineStep, ...]
    """In order of time, the first at 0."""
    repeat_s: float | None = None
    """Begins again after so long; None: stays at its last step."""


@dataclass(frozen=True)
class SourceTranslation:
    """Source NAT (RFC 3022): what inner addresses become on their way out by an interface."""

    interface: str
    address: str


@dataclass(frozen=True)
class Node:
    """One device: a network namespace with its interfaces, routes, packet filter, queues and line
    impairments."""

    name: str
    kind: NodeKind
    site: str
    """Site, datacentre, or `internet`."""
    interfaces: tuple[Interface, ...]
    routes: tuple[Route, ...] = ()
    forwarding: bool = False
    sysctls: tuple[tuple[str, str], ...] = ()
    """E.g. `("net.netfilter.nf_conntrack_udp_timeout_stream", "360")`; set inside the namespace."""
    nftables: str | None = None
    """A complete nftables ruleset (`nft -f`), or none."""
    interface_rules: str | None = None
    """Tables of nftables' family netdev: they hang on interfaces, which must be there first."""
    firewall: FirewallRules | None = None
    """Of a site's firewall: what `nftables` says, as data."""
    translations: tuple[SourceTranslation, ...] = ()
    """What `nftables` translates to."""
    queues: tuple[EgressQueue, ...] = ()
    impairments: tuple[Impairment, ...] = ()
    nameservers: tuple[str, ...] = ()
    neighbours: tuple[tuple[str, str, str], ...] = ()
    """Static ARP entries (interface, address, MAC); normally empty: ARP is real."""
    routing: Routing | None = None
    """BGP and BFD, where it speaks them (FRR)."""
    ospf: Ospf | None = None
    """OSPF, where it speaks it (FRR)."""

    @property
    def learned(self) -> tuple[Route, ...]:
        """The routes that it has from its neighbours when nothing has failed, by whatever protocol."""
        return (
            *(self.routing.learned if self.routing is not None else ()),
            *(self.ospf.learned if self.ospf is not None else ()),
        )

    def interface(self, name: str) -> Interface:
        """The interface of that name; KeyError if there is none."""
        for interface in self.interfaces:
            if interface.name == name:
                return interface
        raise KeyError(f"{self.name} has no interface {name}")


@dataclass(frozen=True)
class Link:
    """A cable: a veth pair. `name` is what `uclab fail` takes, e.g. `acc1-dist1`."""

    name: str
    a: LinkEnd
    b: LinkEnd
    kind: Literal["lan", "trunk", "wan", "circuit", "internet", "datacentre", "backbone", "tunnel", "air"]
    """`wan`: a site's line to its provider; `circuit`: a part of a private circuit; `internet`: a link of the
    internet's core; `backbone`: between the cloud's own routers; `tunnel`: an overlay's, which no plan
    lists as a cable (`uclab.plan.schema.overlay`); `air`: from an access point or station to its channel."""

"""What the user writes: the typed, frozen form of a topology file (D7).

Pydantic checks types and ranges of single values; `uclab.model.checks` checks what spans several of them.
Field descriptions become the JSON Schema that editors use.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from uclab.model.part import Address, LongName, Name, Network, Part, says

PortRef = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,11}/[1-9][0-9]{0,2}$"),
    says("a switch and one of its ports, such as `acc1/7`"),
]
"""A switch port as `switch/number`, e.g. `acc1/7`."""
E164 = Annotated[
    str,
    StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$"),
    says('a telephone number in quotes, `+` and 7 to 15 digits, such as `"+493055501001"` (E.164)'),
]
"""Telephone number in international form (ITU-T E.164)."""


class Vlan(Part):
    """A VLAN of a site (IEEE 802.1Q; L1 to L4)."""

    name: Name
    id: int = Field(ge=1, le=4094)
    role: Literal["voice", "data", "rooms", "management", "foreign-voip"]
    subnet: Network
    gateway: Address | None = None
    """Address of the gateway in the VLAN; the first of the subnet where absent."""


class Switch(Part):
    """An Ethernet switch (N3)."""

    name: Name
    role: Literal["core", "distribution", "access"]
    uplinks: tuple[Name, ...] = ()
    ports: int = Field(default=24, ge=1, le=96)
    poe_watts: int = Field(default=0, ge=0, le=3000)


class Firewall(Part):
    """The site's edge firewall: stateful, zones (N1)."""

    name: Name
    uplinks: tuple[Name, ...] = Field(min_length=1)


class Router(Part):
    """The site's edge router: NAT and bandwidth management (N2)."""

    name: Name
    nat: bool = True


class Connection(Part):
    """A WAN line of a site, in order of preference (V1, V2)."""

    name: Name
    to: Name
    """A provider of `internet.providers`."""
    profile: str
    """Name of a link profile, or a path to one."""


class Endpoint(Part):
    """A phone or softclient (E1, E7)."""

    name: Name
    kind: Literal["desk-phone", "softclient"]
    port: PortRef
    number: int = Field(ge=100, le=99999)
    """Extension."""
    pc: Name | None = None
    """A PC behind the phone's own switch port, on the data VLAN."""
    vlan: Name | None = None
    """VLAN to put it in, where it is not the one of its kind."""


class Site(Part):
    """One place of the company."""

    name: Name
    prefix: Network
    vlans: tuple[Vlan, ...] = Field(min_length=1)
    switches: tuple[Switch, ...] = Field(min_length=1)
    firewall: Firewall
    router: Router
    connections: tuple[Connection, ...] = Field(min_length=1)
    endpoints: tuple[Endpoint, ...] = ()


class Provider(Part):
    """An internet service provider (W1)."""

    name: Name
    prefix: Network
    """Public prefix it gives to customers; from 198.18.0.0/15 or 203.0.113.0/24."""


class Internet(Part):
    providers: tuple[Provider, ...] = Field(min_length=1)


class Datacentre(Part):
    name: Name
    prefix: Network


class Region(Part):
    name: Name
    datacentres: tuple[Datacentre, ...] = Field(min_length=1)


class Pstn(Part):
    """The telephone network behind the cloud (C3, C4)."""

    numbers: tuple[E164, ...] = Field(min_length=1)


class Cloud(Part):
    domain: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)*\.test$"),
        says("a domain under `.test`, such as `ucaas.test`"),
    ]
    regions: tuple[Region, ...] = Field(min_length=1)
    pstn: Pstn


class Topology(Part):
    """A whole topology file."""

    topology: LongName
    title: str
    policy: str
    cloud: Cloud
    internet: Internet
    sites: tuple[Site, ...] = Field(min_length=1)


class Direction(Part):
    """One direction of a line."""

    rate_kbps: int = Field(ge=64, le=10_000_000)
    delay_ms: float = Field(ge=0, le=5000)
    jitter_ms: float = Field(default=0, ge=0, le=1000)
    """Standard deviation of the delay."""
    loss_pct: float = Field(default=0, ge=0, le=100)


class LinkProfile(Part):
    """A named kind of line; each direction separately."""

    profile: LongName
    title: str
    source: str
    """Where the numbers come from."""
    up: Direction
    """From the site to the provider."""
    down: Direction
    honours_classes: bool = False
    """True where the provider queues by DSCP towards the site."""

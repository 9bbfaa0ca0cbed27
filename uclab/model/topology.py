"""What the user writes: the typed, frozen form of a topology file (D7).

Pydantic checks types and ranges of single values; `uclab.model.checks` checks what spans several of them.
Field descriptions become the JSON Schema that editors use.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from uclab.kinds.carrier_kind import CarrierKindName
from uclab.kinds.endpoint_kind import EndpointKindName
from uclab.model.cloud import Cloud
from uclab.model.conditions import Conditions
from uclab.model.home import FURNISHED
from uclab.model.line_watch import LineWatch
from uclab.model.schema_types import (
    Address,
    Dscp,
    LongName,
    Name,
    Network,
    Reference,
    StrictModel,
    Title,
    says,
)
from uclab.model.sdwan import SdWan, SiteOverlay
from uclab.model.traffic import SiteTraffic

PortRef = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,11}/[1-9][0-9]{0,2}$"),
    says("a switch and one of its ports, such as `acc1/7`"),
]
"""A switch port as `switch/number`, e.g. `acc1/7`."""
VlanRole = Literal["voice", "data", "rooms", "management", "foreign-voip"]


class Vlan(StrictModel):
    """A VLAN of a site (IEEE 802.1Q; L1 to L4)."""

    name: Name
    id: int = Field(ge=1, le=4094)
    """802.1Q VLAN identifier."""
    role: VlanRole
    """What lives in it: `voice` desk phones (L1), `data` softclients and PCs (L2), `rooms` video rooms (L3),
    `management` devices, `foreign-voip` a legacy VoIP system (L4)."""
    subnet: Network
    """Part of the site's prefix, /30 or larger."""
    gateway: Address | None = None
    """Address of the gateway in the VLAN; the first of the subnet where absent."""


class Switch(StrictModel):
    """An Ethernet switch (N3)."""

    name: Name
    role: Literal["core", "distribution", "access"]
    """Place in the hierarchy; endpoints are plugged into access switches, or a site's only one."""
    uplinks: tuple[Name, ...] = ()
    """Switches of a higher role that it is cabled to; top switches may be cabled with each other."""
    ports: int = Field(default=24, ge=1, le=96)
    """Ports for endpoints; uplinks have ports of their own behind them."""
    poe_watts: int = Field(default=0, ge=0, le=3000)
    """Power over Ethernet that it can give to all its ports together, W."""


class AccessPoint(StrictModel):
    """A Wi-Fi access point at a switch port: one SSID for each voice and data VLAN (N4, V9, W7)."""

    name: Name
    port: PortRef
    """Where its wired side is plugged in: switch and port."""
    profile: Reference
    """Name of a link profile of a Wi-Fi radio in `profiles/`, or a path to one: how its air behaves."""
    conditions: Conditions | None = None
    """What its stations suffer from: distance, users, surroundings."""


class Firewall(StrictModel):
    """The site's edge firewall: stateful, zones (N1)."""

    name: Name
    uplinks: tuple[Name, ...] = Field(min_length=1)
    """Top switches of the site that it is plugged into."""


class Router(StrictModel):
    """The site's edge router: NAT, bandwidth management, and BGP on private circuits (N2, P3)."""

    name: Name
    nat: bool = True
    """Whether it translates the site's private addresses to public ones."""
    asn: int | None = Field(default=None, ge=64512, le=65534)
    """Private AS number (RFC 6996) for its BGP sessions; the lab chooses one where absent."""
    routing: Literal["static", "ospf"] = "static"
    """How router and firewall know of each other's networks: by static routes, or by OSPF (RFC 2328)."""
    line_watch: LineWatch | None = LineWatch()
    """How it watches its lines to providers, where it has several (V2); null: it does not, and a line that is
    up but leads nowhere goes unnoticed."""


class HomeRouter(StrictModel):
    """A small premises' one device: router, firewall and switch in one (N5, W9)."""

    name: Name
    ports: int = Field(default=4, ge=1, le=96)
    """Ports of its built-in switch."""


class Connection(StrictModel):
    """A WAN line of a site, in order of preference (V1, V2)."""

    name: Name
    to: Name
    """Where it leads: a provider of `internet.providers`; or, as a private circuit, a data centre of the
    cloud (CloudConnect: P1, P2) or another site (V5)."""
    profile: Reference
    """Name of a link profile in `profiles/`, or a path to one."""
    vlan: int | None = Field(default=None, ge=1, le=4094)
    """802.1Q VLAN id of a private circuit (P3)."""
    via: Name | None = None
    """The carrier of `carriers` whose network carries this private circuit (W2, W3, W5); none:
    a cable does."""
    modem: Name | None = None
    """A modem in bridge mode between the router and the line to a provider (W9)."""
    conditions: Conditions | None = None
    """What the line suffers from: weather, distance, users, surroundings."""
    compress: float | None = Field(default=None, ge=1, le=86_400)
    """How many times faster the profile's timetable passes, instead of what the profile says."""


class Endpoint(StrictModel):
    """Who has a subscriber: a phone, a softclient (E1, E7), or of a kind that another package declares."""

    name: Name
    kind: EndpointKindName
    port: PortRef | None = None
    """Where it is plugged in: switch and port."""
    ap: Name | None = None
    """Instead of `port`: the access point at which it is a station (V7)."""
    number: int = Field(ge=100, le=99999)
    """Extension; one of its own in the whole company."""
    pc: Name | None = None
    """A PC behind the phone's own switch port, on the data VLAN."""
    vlan: Name | None = None
    """VLAN to put it in, where it is not the first one of its kind's role."""


def _or_home_router(schema: dict[str, Any]) -> None:
    """In the schema for editors, a home router stands for what it is."""
    others = [key for key in schema["required"] if key in FURNISHED]
    schema["required"] = [key for key in schema["required"] if key not in FURNISHED]
    schema["anyOf"] = [{"required": others}, {"required": ["home_router"]}]


class Site(StrictModel):
    """One place of the company. With a `home_router` it has no `vlans`, `switches`, `firewall`,
    `router`."""

    model_config = ConfigDict(json_schema_extra=_or_home_router)

    name: Name
    prefix: Network
    """Private (RFC 1918); all VLANs lie in it."""
    vlans: tuple[Vlan, ...] = Field(min_length=1)
    switches: tuple[Switch, ...] = Field(min_length=1)
    access_points: tuple[AccessPoint, ...] = ()
    """Wi-Fi access points (V9)."""
    firewall: Firewall
    router: Router
    connections: tuple[Connection, ...] = Field(min_length=1)
    """WAN lines, the preferred one first (V2)."""
    public_prefix: Network | None = None
    """Public addresses that the company brings along: its router announces them on private circuits to data
    centres and translates to the first of them (P3); from 198.18.0.0/15 or 203.0.113.0/24."""
    sd_wan: SiteOverlay | None = None
    """Its overlay over its internet lines (W6)."""
    home_router: HomeRouter | None = None
    """One device instead of all others: one flat LAN, which is the whole `prefix`."""
    endpoints: tuple[Endpoint, ...] = ()
    traffic: SiteTraffic = SiteTraffic()
    """How much is called here, where that differs from the policy."""


class Provider(StrictModel):
    """An internet service provider (W1)."""

    name: Name
    prefix: Network
    """Public prefix it gives to customers; from 198.18.0.0/15 or 203.0.113.0/24."""
    asn: int | None = Field(default=None, ge=1, le=4294967294)
    """AS number, where it speaks BGP: where the topology has exchanges; the lab chooses one where absent."""


class Exchange(StrictModel):
    """An internet exchange: a peering LAN with a route server (P5)."""

    name: Name
    prefix: Network
    """Addresses of the peering LAN; from 198.18.0.0/15 or 203.0.113.0/24."""
    members: tuple[Name, ...] = Field(min_length=2)
    """Providers and data centres that peer there."""


class Internet(StrictModel):
    """The public internet of the lab (W1)."""

    providers: tuple[Provider, ...] = Field(min_length=1)
    exchanges: tuple[Exchange, ...] = ()
    """Where providers and data centres peer; without, the internet's routes are static."""


class CircuitTerms(StrictModel):
    """What an exchange is told of a private circuit, where that differs from its usual terms (W5)."""

    site: Name
    connection: Name
    """Connection of that site that goes by way of the exchange."""
    rate_kbps: int | None = Field(default=None, ge=64, le=10_000_000)
    """In each direction; a tenth above the line's rate where absent."""
    pcp: int | None = Field(default=None, ge=0, le=7)
    """802.1p priority of all its frames; what each frame has where absent."""
    dscp: Dscp | None = None
    """Marking of all its packets; what each packet has where absent."""
    allowed_dscp: Annotated[tuple[Dscp, ...], Field(min_length=1)] | None = None
    """Markings with which packets may come in; those of the policy's markings, and 0, where absent."""


class Carrier(StrictModel):
    """A carrier's network, over which private circuits run (W2, W3, W5)."""

    name: Name
    kind: CarrierKindName
    """`mpls`: a label-switched core (RFC 3031); `evpl`: Ethernet virtual private lines with a service tag
    (MEF 6.3, IEEE 802.1ad); `sdn`: an exchange whose switches a controller programs, circuit by circuit,
    while it runs."""
    other_customer: bool = False
    """Another customer of a label-switched core, at the ends of the first circuit and with the same addresses
    as its routers: the carrier must keep the two apart."""
    switches: int = Field(default=2, ge=2, le=8)
    """Switches of an exchange, cabled in a row; sites are plugged into all but the last one, data centres
    into that."""
    circuits: tuple[CircuitTerms, ...] = ()
    """Terms of single circuits of an exchange; every connection by way of it is a circuit."""


class Topology(StrictModel):
    """A whole topology file."""

    topology: LongName
    """Name of the topology."""
    title: Title
    policy: Reference
    """Name of a policy in `policies/`, or a path to one."""
    cloud: Cloud
    internet: Internet
    sd_wan: SdWan | None = None
    """Gateways at which sites' overlays end (W6)."""
    sites: tuple[Site, ...] = Field(min_length=1)
    carriers: tuple[Carrier, ...] = ()
    """Networks that carry private circuits."""

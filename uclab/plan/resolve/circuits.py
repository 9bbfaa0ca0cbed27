"""Private circuits of a topology: from a site's router to a data centre's peering router (CloudConnect: P1 to
P4), or to another site's router (V5).

A circuit is an 802.1Q VLAN between two termination units, with one network and one BGP session of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from uclab.model import topology as model
from uclab.model.sdwan import SdWanGateway
from uclab.plan.resolve.names import free_name

Customer = model.Site | SdWanGateway
"""Who has private circuits."""
FIRST_PRIVATE_ASN = 65001
"""RFC 6996: 64512 to 65534 are private."""
INSIDE = "lan"
"""A site router's interface towards its firewall."""
CUSTOMER_SIDE = "cc"
"""An SD-WAN gateway's interface towards the cloud."""
BORDER = "br"
"""A peering router's interface towards its data centre's border router."""


@dataclass(frozen=True)
class Circuit:
    """A private circuit. The near end is the site's that has it in its `connections`."""

    site: str
    """Or the SD-WAN gateway."""
    name: str
    kind: Literal["datacentre", "site"]
    target: str
    """Data centre or site where it leads."""
    place: int
    """Place among the site's connections: 0 is preferred."""
    rank: int
    """Place among the site's circuits to data centres, or among those to sites."""
    vlan: int
    line: model.Connection
    """What the topology says of it."""
    near_router: str
    near_interface: str
    far_router: str
    far_interface: str
    via: str | None = None
    """The carrier whose network carries it; None: a cable."""

    @property
    def label(self) -> str:
        """What it is called where circuits of all sites are."""
        return f"{self.site}-{self.name}"


def border_router(datacentre: str) -> str:
    """Name of a data centre's router towards the internet and other data centres."""
    return f"{datacentre}-br"


def peering_router(datacentre: str) -> str:
    """Name of the router at which private circuits end."""
    return f"{datacentre}-cc"


def asn_of(topology: model.Topology, customer: Customer) -> int:
    """The AS number of a customer's router: its own, or one for each, from 65001 on."""
    own = {place.name: _own_asn(place) for place in customers(topology)}
    free = (asn for asn in range(FIRST_PRIVATE_ASN, 65535) if asn not in own.values())
    chosen = {name: asn or next(free) for name, asn in own.items()}
    return chosen[customer.name]


def _own_asn(customer: Customer) -> int | None:
    return customer.router.asn if isinstance(customer, model.Site) else customer.asn


def gateways_of(topology: model.Topology) -> tuple[SdWanGateway, ...]:
    """The SD-WAN's gateways; each is a customer of the cloud with a circuit of its own."""
    return topology.sd_wan.gateways if topology.sd_wan is not None else ()


def customer_named(topology: model.Topology, name: str) -> Customer:
    """Who has a circuit: a site or an SD-WAN gateway."""
    return next(place for place in customers(topology) if place.name == name)


def customers(topology: model.Topology) -> list[Customer]:
    """Sites and SD-WAN gateways."""
    found: list[Customer] = list(topology.sites)
    found += gateways_of(topology)
    return found


def sites_behind(topology: model.Topology, site: model.Site) -> list[model.Site]:
    """The sites that reach the world through this one, those behind them included (V5)."""
    behind = []
    for other in topology.sites:
        if any(line.to == site.name for line in other.connections):
            behind += [other, *sites_behind(topology, other)]
    return behind


def line_interfaces(site: model.Site) -> dict[str, str]:
    """Connection name to the router's interface."""
    lines: dict[str, str] = {}
    for line in site.connections:
        lines[line.name] = free_name(line.name, ("lo", INSIDE, *lines.values()))
    return lines


def circuits_of(topology: model.Topology) -> tuple[Circuit, ...]:
    """All private circuits, in the order of sites and connections."""
    return tuple(_circuits(topology))


def _circuits(topology: model.Topology) -> Iterator[Circuit]:
    sites = {site.name: site for site in topology.sites}
    datacentres = {dc.name for region in topology.cloud.regions for dc in region.datacentres}
    far_names: dict[str, list[str]] = {}
    for site in topology.sites:
        near, ranks = line_interfaces(site), {"datacentre": 0, "site": 0}
        for place, line in enumerate(site.connections):
            kind: Literal["datacentre", "site"]
            if line.to in datacentres:
                kind, router, taken = "datacentre", peering_router(line.to), ["lo", BORDER]
            elif line.to in sites:
                other = sites[line.to]
                kind, router, taken = (
                    "site",
                    other.router.name,
                    ["lo", INSIDE, *line_interfaces(other).values()],
                )
            else:
                continue
            used = far_names.setdefault(router, taken)
            used.append(free_name(site.router.name, used))
            yield Circuit(
                site=site.name,
                name=line.name,
                kind=kind,
                target=line.to,
                place=place,
                rank=ranks[kind],
                vlan=line.vlan or 0,
                line=line,
                near_router=site.router.name,
                near_interface=near[line.name],
                far_router=router,
                far_interface=used[-1],
                via=line.via,
            )
            ranks[kind] += 1
    for gateway in gateways_of(topology):
        router = peering_router(gateway.to)
        used = far_names.setdefault(router, ["lo", BORDER])
        used.append(free_name(gateway.name, used))
        yield Circuit(
            site=gateway.name,
            name=gateway.name,
            kind="datacentre",
            target=gateway.to,
            place=0,
            rank=0,
            vlan=gateway.vlan,
            line=model.Connection(
                name=gateway.name, to=gateway.to, profile=gateway.profile, vlan=gateway.vlan
            ),
            near_router=gateway.name,
            near_interface=CUSTOMER_SIDE,
            far_router=router,
            far_interface=used[-1],
        )

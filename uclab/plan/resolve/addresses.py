"""Who has which IPv4 address: VLAN gateways and hosts, transit and WAN links, the internet's core, the data
centres."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import combinations

from uclab.model import topology as model
from uclab.model.cloud import Datacentre, RequestedServer
from uclab.plan.resolve.circuits import Circuit, border_router, gateways_of, peering_router
from uclab.plan.resolve.hosts import Host
from uclab.plan.schema.errors import PlanError

INTERNET = IPv4Network("198.18.0.0/15")
"""Stands for the public internet inside a lab (RFC 2544: never routed outside)."""
SHARED = IPv4Network("100.64.0.0/10")
"""Where a site prefix is full, its transit link is taken from here (RFC 6598)."""

DOWNLOADS = 2
"""Addresses of a data centre's web server for each circuit: one for the overload of each direction."""

Pair = tuple[IPv4Interface, IPv4Interface]
"""Both ends of a point-to-point link."""


@dataclass(frozen=True)
class DatacentreAddresses:
    """One data centre's hosts, all in its prefix."""

    router: IPv4Interface
    session_controller: IPv4Interface
    media: IPv4Interface
    pstn: IPv4Interface
    downloads: tuple[IPv4Interface, ...] = ()
    """Its web server's addresses, where it has one."""
    further: Mapping[str, IPv4Interface] = field(default_factory=dict)
    """Servers of further services, by name (`cloud.services`)."""


@dataclass(frozen=True)
class Addresses:
    """All addresses of a lab."""

    gateways: Mapping[tuple[str, str], IPv4Interface]
    """(Site, VLAN name): the firewall's address there."""
    hosts: Mapping[str, IPv4Interface]
    """Phones, PCs and other hosts in VLANs."""
    transit: Mapping[str, Pair]
    """Site: (firewall, router)."""
    wan: Mapping[tuple[str, str], Pair]
    """(Site, connection): (router, provider)."""
    core: Mapping[str, Pair]
    """Neighbour of the internet core (provider, data centre, `dns`, `web`): (core, neighbour)."""
    datacentres: Mapping[str, DatacentreAddresses]
    circuits: Mapping[tuple[str, str], Pair]
    """(Site, connection) of a private circuit: (its site's router, the router where it leads)."""
    cloud: Mapping[tuple[str, str], Pair]
    """Two routers of the cloud that are cabled with each other, in this order."""
    exchanges: Mapping[tuple[str, str], IPv4Interface] = field(default_factory=dict)
    """(Exchange, member): its address on the peering LAN; the exchange's own is its route server's."""


def allocate(
    topology: model.Topology, hosts: Iterable[Host], services: Iterable[str], circuits: Sequence[Circuit]
) -> Addresses:
    """Allocate everything. `services` are the public servers at the internet core. PlanError where a prefix
    is too small."""
    gateways = {(site.name, vlan.name): gateway(vlan) for site in topology.sites for vlan in site.vlans}
    datacentres = [dc for region in topology.cloud.regions for dc in region.datacentres]
    arriving = Counter(c.target for c in circuits)
    peering = [dc.name for dc in datacentres if arriving[dc.name]]
    services = (*services, *(gateway.name for gateway in gateways_of(topology)))
    core, to_cloud, cloud = _public_links(topology, services, circuits, peering)
    return Addresses(
        gateways=gateways,
        hosts=_vlan_hosts(topology, tuple(hosts), gateways),
        transit={site.name: _transit(site, number) for number, site in enumerate(topology.sites)},
        wan=_wan(topology),
        core=core,
        datacentres={
            dc.name: _datacentre(dc, arriving[dc.name], [server.name for server in servers_at(topology, dc)])
            for dc in datacentres
        },
        circuits=to_cloud | _between_sites(circuits),
        cloud=cloud,
        exchanges=_exchanges(topology),
    )


def gateway(vlan: model.Vlan) -> IPv4Interface:
    """The VLAN's gateway: as the topology says, otherwise the subnet's first address."""
    address = vlan.gateway if vlan.gateway is not None else vlan.subnet.network_address + 1
    return IPv4Interface(f"{address}/{vlan.subnet.prefixlen}")


def _vlan_hosts(
    topology: model.Topology, hosts: tuple[Host, ...], gateways: Mapping[tuple[str, str], IPv4Interface]
) -> dict[str, IPv4Interface]:
    given: dict[str, IPv4Interface] = {}
    for site in topology.sites:
        for vlan in site.vlans:
            in_vlan = [host for host in hosts if host.site == site.name and host.vlan.name == vlan.name]
            free = _free_hosts(
                vlan.subnet, {gateways[site.name, vlan.name].ip}, len(in_vlan), f"VLAN {vlan.name}"
            )
            given |= {host.name: address for host, address in zip(in_vlan, free, strict=True)}
    return given


def _free_hosts(subnet: IPv4Network, taken: set[IPv4Address], count: int, owner: str) -> list[IPv4Interface]:
    """`count` host addresses: from the tenth on where there is room (the first ones are for
    infrastructure)."""
    room = subnet.num_addresses - 2
    first = 11 if room - 10 - len(taken) >= count else 1
    found: list[IPv4Interface] = []
    for offset in range(first, room + 1):
        if len(found) == count:
            break
        if (address := subnet.network_address + offset) not in taken:
            found.append(IPv4Interface(f"{address}/{subnet.prefixlen}"))
    if len(found) < count:
        raise PlanError(
            f"{owner}: {subnet} has room for {len(found)} hosts, {count} are needed; give it a larger subnet"
        )
    return found


def _transit(site: model.Site, number: int) -> Pair:
    """The link between firewall and router: the highest /30 of the site's prefix that no VLAN covers."""
    free = highest_free(site.prefix, 30, [vlan.subnet for vlan in site.vlans])
    return _ends(free or IPv4Network((int(SHARED.network_address) + 4 * number, 30)))


def _wan(topology: model.Topology) -> dict[tuple[str, str], Pair]:
    pairs: dict[tuple[str, str], Pair] = {}
    for provider in topology.internet.providers:
        customers = [
            (site.name, line.name)
            for site in topology.sites
            for line in site.connections
            if line.to == provider.name
        ]
        blocks = list(_blocks(provider.prefix, 30, len(customers)))
        if len(blocks) < len(customers):
            raise PlanError(
                f"provider {provider.name}: {provider.prefix} has room for {len(blocks)} lines"
                f" of 4 addresses, {len(customers)} are needed; give it a larger prefix"
            )
        for customer, block in zip(customers, blocks, strict=True):
            near_provider, near_customer = _ends(block)
            pairs[customer] = (near_customer, near_provider)
    return pairs


def _public_links(
    topology: model.Topology, services: tuple[str, ...], circuits: Sequence[Circuit], peering: Sequence[str]
) -> tuple[dict[str, Pair], dict[tuple[str, str], Pair], dict[tuple[str, str], Pair]]:
    """Links of the internet core, circuits to data centres, links between the cloud's routers: a /20 of the
    lab's internet that nobody in the topology uses, each link a /30 of it."""
    datacentres = [dc for region in topology.cloud.regions for dc in region.datacentres]
    taken = [p.prefix for p in topology.internet.providers] + [dc.prefix for dc in datacentres]
    taken += [exchange.prefix for exchange in topology.internet.exchanges]
    taken += [site.public_prefix for site in topology.sites if site.public_prefix is not None]
    taken += [gateway.public_prefix for gateway in gateways_of(topology)]
    halves = reversed(list(INTERNET.subnets(1)))  # 198.19/16 first: users tend to take 198.18/16
    free = (net for half in halves for net in half.subnets(new_prefix=20))
    block = next((net for net in free if not any(net.overlaps(other) for other in taken)), None)
    if block is None:
        raise PlanError(
            f"no /20 of {INTERNET} is left for the internet's core; use smaller provider prefixes"
        )
    neighbours = [*services, *(p.name for p in topology.internet.providers), *(dc.name for dc in datacentres)]
    to_cloud = [c for c in circuits if c.kind == "datacentre"]
    routers = [(border_router(name), peering_router(name)) for name in peering]
    routers += combinations([border_router(dc.name) for dc in datacentres], 2)
    wanted = len(neighbours) + len(to_cloud) + len(routers)
    links = [_ends(net) for net in _blocks(block, 30, wanted)]
    if len(links) < wanted:
        raise PlanError(
            f"{block} has room for {len(links)} links of the internet's core, {wanted} are needed"
        )
    ends = iter(links)
    core = {name: next(ends) for name in neighbours}
    # The cloud has the first address of a circuit's network.
    circuit_ends = {(c.site, c.name): next(ends)[::-1] for c in to_cloud}
    return core, circuit_ends, {pair: next(ends) for pair in routers}


def _between_sites(circuits: Sequence[Circuit]) -> dict[tuple[str, str], Pair]:
    """Circuits between sites: from the addresses for carriers, apart from full sites' transit links."""
    start = int(SHARED.network_address) + (1 << 16)
    between = [c for c in circuits if c.kind == "site"]
    return {
        (c.site, c.name): _ends(IPv4Network((start + 4 * number, 30)))[::-1]
        for number, c in enumerate(between)
    }


def _exchanges(topology: model.Topology) -> dict[tuple[str, str], IPv4Interface]:
    """On each peering LAN the route server first, then the members. PlanError where there is no room."""
    given: dict[tuple[str, str], IPv4Interface] = {}
    for exchange in topology.internet.exchanges:
        connected = (exchange.name, *exchange.members)
        if len(connected) > (room := exchange.prefix.num_addresses - 2):
            raise PlanError(
                f"exchange {exchange.name}: {exchange.prefix} has room for {room} hosts,"
                f" {len(connected)} are needed; give it a larger prefix"
            )
        for number, member in enumerate(connected, start=1):
            address = exchange.prefix.network_address + number
            given[exchange.name, member] = IPv4Interface(f"{address}/{exchange.prefix.prefixlen}")
    return given


def servers_at(topology: model.Topology, dc: Datacentre) -> tuple[RequestedServer, ...]:
    """The servers of further services that stand in a data centre; those that name none are in the first."""
    first = topology.cloud.regions[0].datacentres[0].name
    return tuple(server for server in topology.cloud.services if (server.datacentre or first) == dc.name)


def _datacentre(dc: Datacentre, circuits: int, servers: Sequence[str]) -> DatacentreAddresses:
    router = IPv4Interface(f"{dc.prefix.network_address + 1}/{dc.prefix.prefixlen}")
    downloads = DOWNLOADS * circuits
    count = 3 + downloads + len(servers)
    sbc, media, pstn, *more = _free_hosts(dc.prefix, {router.ip}, count, f"data centre {dc.name}")
    further = dict(zip(servers, more[downloads:], strict=True))
    return DatacentreAddresses(router, sbc, media, pstn, tuple(more[:downloads]), further)


def _blocks(net: IPv4Network, length: int, count: int) -> Iterator[IPv4Network]:
    """The first `count` subnets of that prefix length; fewer where there is no room."""
    size, start = 1 << (32 - length), int(net.network_address)
    for number in range(min(count, net.num_addresses // size)):
        yield IPv4Network((start + number * size, length))


def highest_free(net: IPv4Network, length: int, taken: Iterable[IPv4Network]) -> IPv4Network | None:
    """The highest subnet of that prefix length that nothing covers, found by stepping over what is taken;
    None where all is."""
    size = 1 << (32 - length)
    start = int(net.broadcast_address) + 1 - size
    for other in sorted(taken, key=lambda network: int(network.broadcast_address), reverse=True):
        if start > int(other.broadcast_address):
            break
        # The last block that ends below what is taken.
        start = min(start, int(other.network_address) // size * size - size)
    return IPv4Network((start, length)) if start >= int(net.network_address) else None


def _ends(net: IPv4Network) -> Pair:
    low, high = net.network_address + 1, net.network_address + 2
    return IPv4Interface(f"{low}/{net.prefixlen}"), IPv4Interface(f"{high}/{net.prefixlen}")

"""Networks: where they may come from, that none overlaps another, and that all who live in one find room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from uclab.kinds.endpoint_kind import kind_of
from uclab.model.diagnostic import Diagnostic, listed, shown
from uclab.model.yaml_location import YamlLocation

PRIVATE = tuple(IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
"""RFC 1918."""
PUBLIC = (IPv4Network("198.18.0.0/15"), IPv4Network("203.0.113.0/24"))
"""What stands for public addresses in a lab (RFC 2544, RFC 5737): none is anybody's outside."""
LINE_ADDRESSES = 4
"""A line to a provider takes a /30 of the provider's prefix."""
DATACENTRE_HOSTS = 4
"""Border router, session controller, media, telephone network."""
PEERING_HOSTS = 2
"""The web server's addresses for each private circuit that arrives."""


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """All networks of a topology."""
    sites = list(top["sites"])
    yield from _from(PRIVATE, [site["prefix"] for site in sites], "a site's prefix is private,")
    yield from _overlaps([site["prefix"] for site in sites], "sites may not overlap")
    for site in sites:
        for vlan in site["vlans"]:
            yield from _subnet(site, vlan)
            yield from _gateway(vlan)
        yield from _room(site)
        yield from _overlaps([vlan["subnet"] for vlan in site["vlans"]], "VLANs of a site may not overlap")
    yield from _public(top)


def _public(top: YamlLocation) -> Iterator[Diagnostic]:
    providers = list(top["internet"]["providers"])
    datacentres = [dc for region in top["cloud"]["regions"] for dc in region["datacentres"]]
    prefixes = [place["prefix"] for place in (*datacentres, *providers)]
    gateways = list(top["sd_wan"]["gateways"])
    prefixes += [place["public_prefix"] for place in (*top["sites"], *gateways)]
    prefixes += [exchange["prefix"] for exchange in top["internet"]["exchanges"]]
    yield from _from(PUBLIC, prefixes, "public prefixes of a lab are")
    yield from _overlaps(prefixes, "prefixes of providers, data centres and sites may not overlap")
    lines = [line["to"].text for site in top["sites"] for line in site["connections"]]
    for provider in providers:
        wanted = lines.count(provider["name"].text) * LINE_ADDRESSES if provider["name"].text else 0
        if (net := provider["prefix"].network) and net.num_addresses < wanted:
            yield provider["prefix"].mistake(
                f"{net} has {net.num_addresses} addresses; its lines take {wanted}", "give a larger prefix"
            )
    first = datacentres[0]["name"].text if datacentres else None
    standing = [
        server["datacentre"].text if server["datacentre"].given else first
        for server in top["cloud"]["services"]
    ]
    for datacentre in datacentres:
        arriving = [*lines, *(gateway["to"].text for gateway in gateways)]
        circuits = arriving.count(datacentre["name"].text) if datacentre["name"].text else 0
        servers = standing.count(datacentre["name"].text) if datacentre["name"].text else 0
        hosts = DATACENTRE_HOSTS + PEERING_HOSTS * circuits + servers
        if (net := datacentre["prefix"].network) and net.num_addresses - 2 < hosts:
            yield datacentre["prefix"].mistake(
                f"{net} is too small for a data centre{_with(circuits, servers)}",
                f"allowed: /{32 - (hosts + 1).bit_length()} or larger",
            )


def _with(circuits: int, servers: int) -> str:
    also = [f"{n} {what}" for n, what in ((circuits, "circuits"), (servers, "further servers")) if n]
    return f" with {' and '.join(also)}" if also else ""


def _from(
    allowed: tuple[IPv4Network, ...], places: Iterable[YamlLocation], what: str
) -> Iterator[Diagnostic]:
    for place in places:
        net = place.network
        if net is not None and not any(net.subnet_of(whole) for whole in allowed):
            yield place.mistake(f"found {shown(net)}", f"{what} part of {listed(map(str, allowed))}")


def _overlaps(places: Iterable[YamlLocation], allowed: str) -> Iterator[Diagnostic]:
    """By address, a network overlaps an earlier one only if it overlaps the one that reaches furthest."""
    known = [(net, place) for place in places if (net := place.network) is not None]
    known.sort(key=lambda pair: (pair[0].network_address, pair[0].prefixlen))
    widest: tuple[IPv4Network, YamlLocation] | None = None
    for net, place in known:
        if widest is not None and net.overlaps(widest[0]):
            (other, first), (mine, later) = sorted(
                (widest, (net, place)), key=lambda p: (p[1].line, p[1].column)
            )
            yield later.mistake(f"{shown(mine)} overlaps {shown(other)} of line {first.line}", allowed)
        if widest is None or net.broadcast_address > widest[0].broadcast_address:
            widest = (net, place)


def _subnet(site: YamlLocation, vlan: YamlLocation) -> Iterator[Diagnostic]:
    prefix, subnet = site["prefix"].network, vlan["subnet"].network
    if subnet is None:
        return
    if subnet.prefixlen > 30:
        yield vlan["subnet"].mistake(
            f"{shown(subnet)} has no room for a gateway and a host", "allowed: /30 or larger"
        )
    if prefix is not None and not subnet.subnet_of(prefix):
        yield vlan["subnet"].mistake(
            f"{shown(subnet)} is not in the site's prefix", f"allowed: part of {shown(prefix)}"
        )


def _gateway(vlan: YamlLocation) -> Iterator[Diagnostic]:
    place, subnet, address = vlan["gateway"], vlan["subnet"].network, vlan["gateway"].address
    if subnet is None or address is None or subnet.prefixlen > 30:
        return
    usable = f"allowed: {subnet[1]} to {subnet[-2]}"
    if address not in subnet:
        yield place.mistake(f"gateway {shown(address)} is not in the VLAN's subnet {shown(subnet)}", usable)
    elif address == subnet.network_address:
        yield place.mistake(f"gateway {shown(address)} is the network's own address", usable)
    elif address == subnet.broadcast_address:
        yield place.mistake(f"gateway {shown(address)} is the broadcast address", usable)


def _room(site: YamlLocation) -> Iterator[Diagnostic]:
    """Every host and the gateway have an address of their own in their VLAN."""
    by_role: Counter[str] = Counter()
    by_name: Counter[str] = Counter()
    for endpoint in site["endpoints"]:
        chosen = endpoint["vlan"].text
        if chosen is not None:
            by_name[chosen] += 1
        else:
            kind = kind_of(endpoint["kind"].text)
            by_role[kind.vlan if kind is not None else "data"] += 1
        by_role["data"] += endpoint["pc"].text is not None
    for vlan in site["vlans"]:
        subnet = vlan["subnet"].network
        if subnet is None or subnet.prefixlen > 30:
            continue
        # Where a role has several VLANs, the first takes all who do not choose.
        hosts = by_name[vlan["name"].text or ""] + by_role.pop(vlan["role"].text or "", 0)
        room = subnet.num_addresses - 3
        if hosts > room:
            yield vlan["subnet"].mistake(
                f"{shown(subnet)} has room for a gateway and {room} more; {hosts} are to live in it",
                "give a larger subnet",
            )

"""BGP of a lab: who speaks with whom, what is announced, accepted and limited (P1 to P4).

Within the cloud all routers are one AS: each data centre's border router knows the border routers of the
other ones, and passes on what its own peering router learns (RFC 4456). On a circuit a customer announces
its own public prefix and nothing else, and hears the cloud's prefixes and nothing else; both sides filter.
"""

from __future__ import annotations

from collections.abc import Iterable

from uclab.model import topology as model
from uclab.model.cloud import Datacentre
from uclab.model.policy import Peering
from uclab.model.sdwan import SdWanGateway
from uclab.plan.lan.sites import DEFAULT, Context
from uclab.plan.resolve.circuits import (
    Circuit,
    Customer,
    asn_of,
    border_router,
    customer_named,
    peering_router,
    sites_behind,
)
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.routing import Bfd, BgpNeighbour, PrefixRule, Routing

ANY = (PrefixRule(DEFAULT, longest=32),)
FIRST_PREFERENCE, PREFERENCE_STEP = 200, 10
"""Local preference of a site's first line, and by how much less each later one has."""
INTERNAL_LIMIT = 1000
"""Prefixes between routers of the cloud."""


def site_routing(context: Context, site: model.Site) -> Routing | None:
    """BGP of a site's router; None where it has no private circuit."""
    starting = [c for c in context.circuits if c.site == site.name]
    ending = [c for c in context.circuits if c.kind == "site" and c.target == site.name]
    if not starting and not ending:
        return None
    rules = _rules(context)
    asn, networks = asn_of(context.topology, site), []
    neighbours: list[BgpNeighbour] = []
    for circuit in starting:
        _, far = context.addresses.circuits[site.name, circuit.name]
        if circuit.kind == "datacentre":
            own = site.public_prefix
            announce = _rules_for([str(own)] if own is not None else [])
            accept, other = _cloud_prefixes(context, site, circuit), rules.asn
        else:
            announce, accept = _rules_for(prefixes_behind(context, site)), (PrefixRule(DEFAULT),)
            other = asn_of(context.topology, site_of(context.topology, circuit.target))
        networks += [rule.prefix for rule in announce]
        neighbours.append(
            BgpNeighbour(
                device=circuit.far_router,
                address=str(far.ip),
                asn=other,
                accept=accept,
                announce=announce,
                max_prefixes=rules.max_prefixes,
                preference=FIRST_PREFERENCE - PREFERENCE_STEP * circuit.place,
                prepend=circuit.rank,
                bfd=_bfd(rules),
            )
        )
    for circuit in ending:
        near, _ = context.addresses.circuits[circuit.site, circuit.name]
        other_site = site_of(context.topology, circuit.site)
        networks.append(DEFAULT)
        neighbours.append(
            BgpNeighbour(
                device=circuit.near_router,
                address=str(near.ip),
                asn=asn_of(context.topology, other_site),
                accept=_rules_for(prefixes_behind(context, other_site)),
                announce=(PrefixRule(DEFAULT),),
                max_prefixes=rules.max_prefixes,
                bfd=_bfd(rules),
            )
        )
    return Routing(
        asn=asn,
        router_id=str(context.addresses.transit[site.name][1].ip),
        networks=tuple(dict.fromkeys(networks)),
        neighbours=tuple(neighbours),
        keepalive_s=rules.keepalive_s,
        hold_time_s=rules.hold_time_s,
    )


def peering_routing(context: Context, dc: Datacentre) -> Routing:
    """BGP of a data centre's peering router: its customers, and the border router."""
    rules = _rules(context)
    border, own = context.addresses.cloud[border_router(dc.name), peering_router(dc.name)]
    customers = []
    for circuit in context.circuits:
        if circuit.target != dc.name:
            continue
        site = customer_named(context.topology, circuit.site)
        near, _ = context.addresses.circuits[circuit.site, circuit.name]
        accept = site.public_prefix
        customers.append(
            BgpNeighbour(
                device=circuit.near_router,
                address=str(near.ip),
                asn=asn_of(context.topology, site),
                accept=(PrefixRule(str(accept)),) if accept is not None else (),
                announce=_cloud_prefixes(context, site, circuit),
                max_prefixes=rules.max_prefixes,
                bfd=_bfd(rules),
            )
        )
    inner = _internal(rules, border_router(dc.name), str(border.ip), reflector_client=False)
    return Routing(rules.asn, str(own.ip), (), (*customers, inner), rules.keepalive_s, rules.hold_time_s)


def gateway_routing(context: Context, gateway: SdWanGateway, circuit: Circuit) -> Routing:
    """BGP of an SD-WAN gateway with the cloud."""
    rules, own = _rules(context), str(gateway.public_prefix)
    _, far = context.addresses.circuits[circuit.site, circuit.name]
    session = BgpNeighbour(
        device=circuit.far_router,
        address=str(far.ip),
        asn=rules.asn,
        accept=_cloud_prefixes(context, gateway, circuit),
        announce=(PrefixRule(own),),
        max_prefixes=rules.max_prefixes,
        preference=FIRST_PREFERENCE,
        bfd=_bfd(rules),
    )
    router_id = str(context.addresses.core[gateway.name][1].ip)
    return Routing(
        asn_of(context.topology, gateway), router_id, (own,), (session,), rules.keepalive_s, rules.hold_time_s
    )


def border_routing(context: Context, dc: Datacentre) -> Routing | None:
    """BGP of a data centre's border router; None where it is alone."""
    name = border_router(dc.name)
    rules, sessions = context.profile.peering, []
    pairs = context.addresses.cloud
    for pair, (first, second) in pairs.items():
        if name not in pair or rules is None:
            continue
        other, address = (pair[1], second) if pair[0] == name else (pair[0], first)
        client = other == peering_router(dc.name)
        sessions.append(_internal(rules, other, str(address.ip), reflector_client=client))
    if not sessions or rules is None:
        return None
    networks = [str(dc.prefix)]
    if any(not has_internet(context, site) for site in context.topology.sites):
        networks += [f"{server}/32" for server in context.nameservers]
    router_id = str(context.addresses.core[dc.name][1].ip)
    return Routing(
        rules.asn, router_id, tuple(networks), tuple(sessions), rules.keepalive_s, rules.hold_time_s
    )


def prefixes_behind(context: Context, site: model.Site) -> list[str]:
    """A site's prefix and those of the sites that reach the world through it (V5)."""
    return [str(behind.prefix) for behind in (site, *sites_behind(context.topology, site))]


def has_internet(context: Context, site: Customer) -> bool:
    """Whether a customer has a line to an internet provider of its own."""
    if isinstance(site, SdWanGateway):
        return True
    private = {c.name for c in context.circuits if c.site == site.name}
    return any(line.name not in private for line in site.connections)


def _internal(rules: Peering, device: str, address: str, *, reflector_client: bool) -> BgpNeighbour:
    return BgpNeighbour(
        device,
        address,
        rules.asn,
        ANY,
        ANY,
        INTERNAL_LIMIT,
        bfd=_bfd(rules),
        reflector_client=reflector_client,
    )


def _cloud_prefixes(context: Context, site: Customer, circuit: Circuit) -> tuple[PrefixRule, ...]:
    """What is announced on a circuit: the data centres of the region (P4); where the site has no internet,
    the public name server (V6)."""
    regions = context.topology.cloud.regions
    region = next(r for r in regions if any(dc.name == circuit.target for dc in r.datacentres))
    announced = [PrefixRule(str(dc.prefix)) for dc in region.datacentres]
    if not has_internet(context, site):
        announced += [PrefixRule(f"{server}/32") for server in context.nameservers]
    return tuple(announced)


def _rules_for(prefixes: Iterable[str]) -> tuple[PrefixRule, ...]:
    return tuple(PrefixRule(prefix) for prefix in prefixes)


def site_of(topology: model.Topology, name: str) -> model.Site:
    """The site of that name."""
    return next(site for site in topology.sites if site.name == name)


def _bfd(rules: Peering) -> Bfd:
    return Bfd(rules.bfd_interval_ms, rules.bfd_multiplier)


def _rules(context: Context) -> Peering:
    if context.profile.peering is None:
        raise PlanError(f"policy {context.profile.policy} has no `peering`: private circuits need it")
    return context.profile.peering

"""Internet exchanges: a peering LAN with a route server, and the BGP of those who meet there and of the
transit between them (P5).

Where a topology has exchanges, every provider and every data centre's border router speaks BGP with the
internet's core, which is transit for all, and an exchange's members with its route server (RFC 7947) as well.
Each announces its own prefix and nothing else; what is heard at an exchange is preferred. Without exchanges
there is no BGP in the internet, and routes are static.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from uclab.model import topology as model
from uclab.model.cloud import Datacentre
from uclab.model.policy import Peering
from uclab.plan.lan.bridges import BridgeBuilder
from uclab.plan.lan.sites import Context
from uclab.plan.resolve.circuits import border_router
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.plan import Interface, Link, LinkEnd, Node, NodeKind, PortMode, Switch, SwitchRole
from uclab.plan.schema.routing import Bfd, BgpNeighbour, PrefixRule, Routing
from uclab.plan.wan.bgp_sessions import ANY, INTERNAL_LIMIT, border_routing

PLACE = "exchanges"
TRANSIT_ASN = 4200000000
"""AS number of the internet's core. RFC 6996: 4200000000 to 4294967294 are private."""
FIRST_SERVER_ASN, FIRST_PROVIDER_ASN = TRANSIT_ASN + 100, TRANSIT_ASN + 200
PEERING_PREFERENCE, TRANSIT_PREFERENCE = 200, 100
"""Local preference: peering costs nothing, transit does."""
_CORE = "inet"


@dataclass(frozen=True)
class Exchanges:
    """What all exchanges add to the plan."""

    nodes: tuple[Node, ...] = ()
    switches: tuple[Switch, ...] = ()
    links: tuple[Link, ...] = ()


def build_exchanges(context: Context, first_dpid: int) -> Exchanges:
    """A switch, which nobody controls, and a route server for each exchange; cables to all members."""
    bench = BridgeBuilder(PLACE, first_dpid)
    nodes = []
    for exchange in context.topology.internet.exchanges:
        bench.add_switch(exchange.name, SwitchRole.EXCHANGE)
        server = server_name(exchange)
        plugs = [LinkEnd(server, "eth0")]
        plugs += [LinkEnd(_router(context, member), exchange.name) for member in exchange.members]
        for number, plug in enumerate(plugs, start=1):
            port = bench.add_port(
                exchange.name, number, PortMode.ACCESS, vlan=1, trust_dscp=True, peer=plug.device
            )
            bench.add_link(f"{plug.device}-{exchange.name}", plug, port, "internet")
        own = context.addresses.exchanges[exchange.name, exchange.name]
        nodes.append(
            Node(
                name=server,
                kind=NodeKind.SERVER,
                site=PLACE,
                interfaces=(Interface("eth0", context.mac(server, "eth0"), (str(own),)),),
                nameservers=context.nameservers,
                routing=_server_routing(context, exchange),
            )
        )
    return Exchanges(tuple(nodes), bench.switches(), tuple(bench.links))


def server_name(exchange: model.Exchange) -> str:
    """Name of an exchange's route server."""
    return f"{exchange.name}-rs"


def interfaces(context: Context, member: str) -> tuple[Interface, ...]:
    """A member's interfaces at its exchanges, named for them."""
    router = _router(context, member)
    return tuple(
        Interface(
            exchange.name,
            context.mac(router, exchange.name),
            (str(context.addresses.exchanges[exchange.name, member]),),
        )
        for exchange in _of(context, member)
    )


def provider_routing(context: Context, provider: model.Provider) -> Routing | None:
    """BGP of a provider; None where the topology has no exchange."""
    if not context.topology.internet.exchanges:
        return None
    return Routing(
        asn=_asn(context, provider.name),
        router_id=str(context.addresses.core[provider.name][1].ip),
        networks=(str(provider.prefix),),
        neighbours=tuple(_upstream(context, provider.name, str(provider.prefix))),
        keepalive_s=_rules(context).keepalive_s,
        hold_time_s=_rules(context).hold_time_s,
    )


def datacentre_routing(context: Context, dc: Datacentre) -> Routing | None:
    """BGP of a border router: within the cloud, and towards the internet where the topology has exchanges."""
    inner = border_routing(context, dc)
    if not context.topology.internet.exchanges:
        return inner
    outer = tuple(_upstream(context, dc.name, str(dc.prefix)))
    rules = _rules(context)
    return Routing(
        asn=rules.asn,
        router_id=str(context.addresses.core[dc.name][1].ip),
        networks=inner.networks if inner is not None else (str(dc.prefix),),
        neighbours=(*(inner.neighbours if inner is not None else ()), *outer),
        keepalive_s=rules.keepalive_s,
        hold_time_s=rules.hold_time_s,
    )


def transit_routing(context: Context) -> Routing | None:
    """BGP of the internet's core: it tells everybody of everybody else; None where it is all static."""
    if not context.topology.internet.exchanges:
        return None
    rules = _rules(context)
    customers = [
        BgpNeighbour(
            device=_router(context, name),
            address=str(context.addresses.core[name][1].ip),
            asn=_asn(context, name),
            accept=(PrefixRule(prefix),),
            announce=ANY,
            max_prefixes=rules.max_prefixes,
            bfd=_bfd(rules),
        )
        for name, prefix in _prefixes(context.topology)
    ]
    own = next(iter(context.addresses.core.values()))[0]
    return Routing(TRANSIT_ASN, str(own.ip), (), tuple(customers), rules.keepalive_s, rules.hold_time_s)


def _upstream(context: Context, member: str, prefix: str) -> Iterator[BgpNeighbour]:
    """A member's sessions: with its exchanges' route servers, and with the transit."""
    rules, own = _rules(context), (PrefixRule(prefix),)
    others = tuple(PrefixRule(p) for name, p in _prefixes(context.topology) if name != member)
    for exchange in _of(context, member):
        yield BgpNeighbour(
            device=server_name(exchange),
            address=str(context.addresses.exchanges[exchange.name, exchange.name].ip),
            asn=_server_asn(context.topology, exchange),
            accept=tuple(PrefixRule(p) for name, p in _prefixes(context.topology)
                         if name in exchange.members and name != member),
            announce=own,
            max_prefixes=INTERNAL_LIMIT,
            preference=PEERING_PREFERENCE,
            bfd=_bfd(rules),
        )  # fmt: skip
    yield BgpNeighbour(
        device=_CORE,
        address=str(context.addresses.core[member][0].ip),
        asn=TRANSIT_ASN,
        accept=others,
        announce=own,
        max_prefixes=INTERNAL_LIMIT,
        preference=TRANSIT_PREFERENCE,
        bfd=_bfd(rules),
    )


def _server_routing(context: Context, exchange: model.Exchange) -> Routing:
    """A route server passes on what it is told as it was told: path and next hop stay the member's."""
    rules, prefixes = _rules(context), dict(_prefixes(context.topology))
    clients = tuple(
        BgpNeighbour(
            device=_router(context, member),
            address=str(context.addresses.exchanges[exchange.name, member].ip),
            asn=_asn(context, member),
            accept=(PrefixRule(prefixes[member]),),
            announce=ANY,
            max_prefixes=rules.max_prefixes,
            bfd=_bfd(rules),
            reflector_client=True,
        )
        for member in exchange.members
    )
    asn = _server_asn(context.topology, exchange)
    own = context.addresses.exchanges[exchange.name, exchange.name]
    return Routing(asn, str(own.ip), (), clients, rules.keepalive_s, rules.hold_time_s)


def _of(context: Context, member: str) -> Iterable[model.Exchange]:
    return (e for e in context.topology.internet.exchanges if member in e.members)


def _prefixes(topology: model.Topology) -> Iterator[tuple[str, str]]:
    """Providers and data centres with their prefixes."""
    for provider in topology.internet.providers:
        yield provider.name, str(provider.prefix)
    for region in topology.cloud.regions:
        for dc in region.datacentres:
            yield dc.name, str(dc.prefix)


def _router(context: Context, member: str) -> str:
    providers = {provider.name for provider in context.topology.internet.providers}
    return member if member in providers else border_router(member)


def _asn(context: Context, member: str) -> int:
    for number, provider in enumerate(context.topology.internet.providers):
        if provider.name == member:
            return provider.asn or FIRST_PROVIDER_ASN + number
    return _rules(context).asn


def _server_asn(topology: model.Topology, exchange: model.Exchange) -> int:
    return FIRST_SERVER_ASN + topology.internet.exchanges.index(exchange)


def _bfd(rules: Peering) -> Bfd:
    return Bfd(rules.bfd_interval_ms, rules.bfd_multiplier)


def _rules(context: Context) -> Peering:
    if context.profile.peering is None:
        raise PlanError(f"policy {context.profile.policy} has no `peering`: exchanges need its AS number")
    return context.profile.peering
